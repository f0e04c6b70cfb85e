"""scripts/cells/check_construct.py: tables, BED and picture of one construct, or the faults of its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.cells import check_construct

from cartrace.cells.tables import DOMAINS, REGIONS
from cartrace.simulate.construct import fasta_text, gtf_text, made_up_construct, made_up_endogenous
from cartrace.tables import QC, read_table

OUT = ("regions", "domains", "qc", "bed", "picture")


def arguments(folder: Path, *more: str) -> list[str]:
    car = made_up_construct()
    (folder / "car.fa").write_text(fasta_text({car.name: car.sequence}))
    (folder / "car.gtf").write_text(gtf_text(car))
    (folder / "endogenous.fa").write_text(fasta_text(made_up_endogenous()))
    given = {
        "construct": "demo",
        "sequence": "car.fa",
        "annotation": "car.gtf",
        "endogenous": "endogenous.fa",
    }
    named = {k: v if k == "construct" else str(folder / v) for k, v in given.items()}
    named |= {name: str(folder / "out" / name) for name in OUT}
    return [*(x for k, v in named.items() for x in (f"--{k}", v)), *more]


def test_everything_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_construct.main(arguments(tmp_path)) == 0
    out = tmp_path / "out"
    regions = read_table(out / "regions", REGIONS)
    assert set(regions["chemistry"]) == {"5p", "3p"}
    assert set(regions["gene"].dropna()) == {"CD8A", "TNFRSF9", "CD247"}
    assert len(read_table(out / "domains", DOMAINS)) == len(made_up_construct().domains)
    assert set(read_table(out / "qc", QC)["verdict"]) == {"note"}
    assert (out / "bed").read_text().startswith(made_up_construct().name)
    assert (out / "picture").read_text().startswith("<svg")
    assert "12 domains" in capsys.readouterr().out


def test_one_chemistry_gives_its_regions_only(tmp_path: Path) -> None:
    assert check_construct.main(arguments(tmp_path, "--chemistry", "3p")) == 0
    assert set(read_table(tmp_path / "out" / "regions", REGIONS)["chemistry"]) == {"3p"}


def test_files_that_can_not_be_read_are_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(tmp_path)
    (tmp_path / "car.fa").write_text(">a\nACGT\n>b\nACGT\n")
    (tmp_path / "car.gtf").write_text("no table\n")
    assert check_construct.main(given) == 2
    said = capsys.readouterr().err
    assert "2 records" in said
    assert "1 columns" in said
    assert not (tmp_path / "out").exists()


def test_a_zipped_file_that_is_cut_off_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import gzip

    given = arguments(tmp_path)
    (tmp_path / "endogenous.fa").unlink()
    (tmp_path / "cut.fa.gz").write_bytes(gzip.compress(fasta_text(made_up_endogenous()).encode())[:500])
    given[given.index("--endogenous") + 1] = str(tmp_path / "cut.fa.gz")
    assert check_construct.main(given) == 2
    assert "no file that can be read whole" in capsys.readouterr().err
