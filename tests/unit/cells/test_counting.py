"""FASTQ to counts: the command lines, programs that are missing or fail, and planted molecules that come back."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pysam
import pytest
from scripts.cells import build_reference, check_construct, count_library
from tests.unit.cells import small_library as small

from cartrace.cells.ambiguity import map_ambiguity
from cartrace.cells.constructs import Construct
from cartrace.cells.counting import (
    BAM,
    Reads,
    kallisto_commands,
    program,
    run,
    star_index_command,
    starsolo_command,
    whole_folder,
)
from cartrace.cells.endogenous import Transcript
from cartrace.cells.references import GenomeSize
from cartrace.cells.settings import Reference
from cartrace.problems import InputError
from cartrace.simulate.construct import fasta_text, gtf_text, made_up_construct, made_up_endogenous

READS = Reads((Path("a_R1.fastq.gz"), Path("b_R1.fastq.gz")), (Path("a_R2.fastq.gz"), Path("b_R2.fastq.gz")))
SETTINGS = Reference()


def option(command: list[str], name: str, number: int = 1) -> list[str]:
    at = command.index(name)
    return command[at + 1 : at + 1 + number]


def solo(chemistry: str, settings: Reference = SETTINGS) -> list[str]:
    return starsolo_command(
        READS, settings, chemistry=chemistry, threads=3, index_bytes=30_000_000_000, whitelist=True
    )


def test_star_reads_lanes_with_the_transcripts_first() -> None:
    command = solo("3p")
    assert option(command, "--readFilesIn", 2) == [
        "R2_1.fastq.gz,R2_2.fastq.gz",
        "R1_1.fastq.gz,R1_2.fastq.gz",
    ]
    assert option(command, "--readFilesCommand", 2) == ["gzip", "-dc"]
    assert option(command, "--limitBAMsortRAM") == ["30000000000"]
    assert option(command, "--soloMultiMappers") == ["Unique"]


def test_the_strand_is_that_of_the_chemistry() -> None:
    assert option(solo("3p"), "--soloStrand") == ["Forward"]
    assert option(solo("5p"), "--soloStrand") == ["Reverse"]


def test_a_paired_5p_library_loses_barcode_umi_and_oligo_of_its_first_read() -> None:
    command = solo("5p", Reference(paired=True, umi_length=10))
    assert option(command, "--clip5pNbases", 2) == ["39", "0"]
    assert option(command, "--soloBarcodeMate") == ["1"]
    assert option(command, "--soloStrand") == ["Forward"]
    assert option(command, "--readFilesIn", 2) == [
        "R1_1.fastq.gz,R1_2.fastq.gz",
        "R2_1.fastq.gz,R2_2.fastq.gz",
    ]
    assert "--clipAdapterType" not in command


def test_a_human_index_is_sized_by_the_memory_there_is() -> None:
    size = GenomeSize(3_100_000_000, 194)
    command = star_index_command(size, SETTINGS, threads=8, memory=16_000_000_000)
    assert option(command, "--genomeSAsparseD") == ["3"]
    assert option(command, "--genomeSAindexNbases") == ["14"]
    assert option(command, "--limitGenomeGenerateRAM") == ["16000000000"]
    assert option(command, "--sjdbOverhang") == ["89"]


def test_kallisto_corrects_barcodes_only_with_a_whitelist_and_knows_the_strand() -> None:
    def steps(chemistry: str, whitelist: bool) -> list[tuple[str, list[str]]]:
        return kallisto_commands(
            READS, SETTINGS, chemistry=chemistry, threads=2, memory_mb=4000, whitelist=whitelist
        )

    assert [c[0] for _, c in steps("3p", True)][:4] == ["bus", "sort", "correct", "sort"]
    assert [c[0] for _, c in steps("3p", False)][:3] == ["bus", "sort", "count"]
    bus = steps("5p", True)[0][1]
    assert "--rf-stranded" in bus
    assert option(bus, "-x") == ["0,0,16:0,16,28:1,0,0"]
    assert bus[-4:] == ["R1_1.fastq.gz", "R2_1.fastq.gz", "R1_2.fastq.gz", "R2_2.fastq.gz"]
    assert "--fr-stranded" in steps("3p", True)[0][1]
    assert not any("--multimapping" in c or "-m" in c for _, c in steps("3p", True) if c[0] == "count")


def test_reads_that_do_not_fit_are_told_at_once(tmp_path: Path) -> None:
    here = tmp_path / "a.fastq"
    here.write_text("")
    with pytest.raises(InputError) as error:
        Reads((here, here), (tmp_path / "gone.fastq.gz",)).check()
    said = str(error.value)
    for what in ("no file that can be read", "2 files of R1, 1 of R2", "named twice", "zipped and plain"):
        assert what in said


def test_a_missing_program_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="rna-star"):
        program("STAR")


def test_kallisto_and_bustools_come_with_a_package() -> None:
    assert {program(n).parent.parent.parent.name for n in ("kallisto", "bustools")} == {"bins"}


def test_a_program_that_fails_is_told_without_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        run("bustools", ["sort", "-o", "x", str(tmp_path / "gone.bus")], tmp_path)
    assert "program bustools: found exit status" in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def stop_half_way() -> None:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_half_way()
    assert list(tmp_path.iterdir()) == []
    for text in ("one", "two"):
        with whole_folder(tmp_path / "out") as folder:
            (folder / "file").write_text(text)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "file").read_text() == "two"


def counts(folder: Path) -> Counter[tuple[str, str]]:
    """Read a count folder of STARsolo (genes x cells) or bustools (cells x genes), by barcode and gene name."""
    star = (folder / "matrix.mtx").exists()
    matrix = folder / ("matrix.mtx" if star else "cells_x_genes.mtx")
    lines = [line.split() for line in matrix.read_text().splitlines() if not line.startswith("%")][1:]
    cells = (folder / ("barcodes.tsv" if star else "cells_x_genes.barcodes.txt")).read_text().split()
    names = (folder / ("features.tsv" if star else "cells_x_genes.genes.names.txt")).read_text().splitlines()
    genes = [line.split("\t")[1] if star else line for line in names]
    found: Counter[tuple[str, str]] = Counter()
    for a, b, n in lines:
        cell, gene = (int(b), int(a)) if star else (int(a), int(b))
        found[cells[cell - 1], genes[gene - 1]] += int(n)
    return found


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Counter[tuple[str, str]]]]:
    """Count one simulated 5' library with both programs, through the scripts: counter -> (folder, planted)."""
    folder = tmp_path_factory.mktemp("counted")
    genome, genes = small.write_genome(folder)
    car = made_up_construct()
    (folder / "car.fa").write_text(fasta_text({car.name: car.sequence}))
    (folder / "car.gtf").write_text(gtf_text(car))
    (folder / "endogenous.fa").write_text(fasta_text(made_up_endogenous()))
    files = {n: str(folder / n) for n in ("regions", "domains", "qc", "bed", "picture")}
    arguments = [
        "--construct",
        car.name,
        "--sequence",
        f"{folder}/car.fa",
        "--annotation",
        f"{folder}/car.gtf",
    ]
    arguments += ["--endogenous", f"{folder}/endogenous.fa"]
    assert check_construct.main([*arguments, *(x for n, f in files.items() for x in (f"--{n}", f))]) == 0
    library = small.library("5p", small.barcodes(6), car_cells=3)
    r1, r2 = library.write(folder)
    out = {}
    for counter in ("starsolo", "kallisto"):
        if counter == "starsolo" and shutil.which("STAR") is None:
            continue
        settings = ["--settings", json.dumps({"cells": {"reference": {"counter": counter}}})]
        reference = ["--genome", str(genome), "--annotation", str(genes), "--constructs", car.name]
        reference += [
            "--sequences",
            f"{folder}/car.fa",
            "--regions",
            files["regions"],
            "--out",
            f"{folder}/{counter}",
        ]
        assert build_reference.main([*reference, *settings]) == 0
        run_ = ["--library", "L", "--reference", f"{folder}/{counter}", "--r1", str(r1), "--r2", str(r2)]
        run_ += ["--chemistry", "5p", "--memory-mb", "200", "--out", f"{folder}/{counter}_counts"]
        assert count_library.main([*run_, *settings]) == 0
        out[counter] = (folder / f"{counter}_counts", library.molecules)
    return out


def provable() -> Counter[str]:
    """Return what the planted CAR molecules of the small library should be counted as, by the map."""
    car = made_up_construct()
    transcripts = [Transcript(g, g, s) for g, s in made_up_endogenous().items()]
    mapped = map_ambiguity(Construct(car.name, car.sequence, (), car.name), transcripts, SETTINGS)
    starts = [s for n in range(3) for s in range(n * 7, len(car.sequence) - small.READ + 1, 60)]
    return Counter(mapped.gene[s] if mapped.classes[s] else car.name for s in starts)


def total(of: Counter[tuple[str, str]], gene: str) -> int:
    return sum(n for (_, g), n in of.items() if g == gene)


@pytest.mark.skipif(shutil.which("STAR") is None, reason="STAR is not installed (Debian package rna-star)")
def test_starsolo_counts_the_planted_molecules_and_loses_no_cd247(
    counted: dict[str, tuple[Path, Counter[tuple[str, str]]]],
) -> None:
    folder, planted = counted["starsolo"]
    got = counts(folder / "Solo.out" / "Gene" / "raw")
    expected = provable()
    car = made_up_construct().name
    assert total(got, car) == expected[car]
    assert {cell for cell, gene in got if gene == car} == {cell for cell, gene in planted if gene == car}
    assert total(got, "ACTB") == total(planted, "ACTB")
    # CAR molecules that look like CD247 are counted there. STAR leaves out a read that barely crosses a splice.
    assert 0.99 <= total(got, "CD247") / (total(planted, "CD247") + expected["CD247"]) <= 1
    features = (folder / "Solo.out" / "Gene" / "filtered" / "features.tsv").read_text()
    assert f"{car}\t{car}\t" in features


@pytest.mark.skipif(shutil.which("STAR") is None, reason="STAR is not installed (Debian package rna-star)")
def test_the_bam_is_indexed_shows_the_whole_car_and_names_no_file(
    counted: dict[str, tuple[Path, Counter[tuple[str, str]]]],
) -> None:
    folder, _ = counted["starsolo"]
    car = made_up_construct()
    with pysam.AlignmentFile(str(folder / BAM)) as bam:
        header = str(bam.header)
        shared = car.span("signalling")
        depth = sum(map(sum, bam.count_coverage(car.name, shared.start, shared.stop)))  # type: ignore[arg-type]
        first = next(bam.fetch(car.name))
        tags = {tag for tag, _ in first.get_tags()}
    assert depth > 0
    assert str(first.query_name).isdecimal()
    assert {"CB", "UB", "GX", "GN"} <= tags
    assert str(folder) not in header
    assert sorted(p.name for p in folder.iterdir()) == [BAM, f"{BAM}.bai", "Solo.out"]


def test_kallisto_counts_the_planted_molecules_and_loses_no_cd247(
    counted: dict[str, tuple[Path, Counter[tuple[str, str]]]],
) -> None:
    folder, planted = counted["kallisto"]
    got = counts(folder / "counts_unfiltered")
    expected = provable()
    car = made_up_construct().name
    assert total(got, "ACTB") == total(planted, "ACTB")
    assert abs(total(got, car) - expected[car]) <= 1
    assert abs(total(got, "CD247") - total(planted, "CD247") - expected["CD247"]) <= 1
    assert sorted(p.name for p in folder.iterdir()) == ["counts_filtered", "counts_unfiltered"]
