from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cells.hand_reads import write_reads

from cartrace.cells.bam import (
    GRCH38,
    Stretch,
    Tally,
    Targets,
    find_targets,
    open_bam,
    read_car_reads,
    read_loci,
)
from cartrace.problems import InputError

CONTIGS = {"chr1": 10_000, "chr2": 5_000, "CAR": 2_000}
LOCI = {"CD247": "chr1:1001-2000", "CD28": "chr2:1-500"}


def targets(contigs: dict[str, int] = CONTIGS, **more: Any) -> Targets:
    usual: dict[str, Any] = {"loci": LOCI, "binder_loci": {"IGH": "chr1:1901-3000"}, "file": "x.bam"}
    constructs = more.pop("constructs", {"CAR": (("car",), 2_000)})
    return find_targets(contigs, constructs, **(usual | {"shipped_loci": False} | more))


def read(contig: str | None = None, start: int = 0, **more: Any) -> dict[str, Any]:
    return {**({"contig": contig, "start": start} if contig else {}), **more}


def cells_of(path: Path, what: Targets) -> tuple[list[str], Tally]:
    tally = Tally()
    with open_bam(path, "x.bam") as bam:
        found = [r.cell for r in read_car_reads(bam, what, tally)]
    return found, tally


def test_the_contig_of_the_car_and_the_endogenous_genes_are_looked_at() -> None:
    found = targets()
    assert found.stretches == (
        Stretch("CAR", 0, 2_000, construct=True),
        Stretch("chr1", 1_000, 2_000),
        Stretch("chr2", 0, 500),
    )
    assert (found.unmapped, found.with_contig, found.remarks, found.gaps) == (False, ("CAR",), (), ())


def test_a_contig_of_the_same_length_is_looked_at_whatever_its_name() -> None:
    found = targets({"chr1": 10_000, "chr2": 5_000, "pVector": 2_000})
    assert found.stretches[0] == Stretch("pVector", 0, 2_000, construct=True)
    # It may be another one's: the rest is searched as well.
    assert (found.with_contig, found.unmapped) == ((), True)


def test_without_a_contig_unmapped_reads_and_antibody_genes_are_searched() -> None:
    found = targets({"chr1": 10_000, "chr2": 5_000})
    assert found.unmapped
    # The overlap of CD247 and IGH is met once.
    assert found.stretches == (Stretch("chr1", 1_000, 3_000), Stretch("chr2", 0, 500))
    assert found.remarks == ("no contig for CAR: unmapped reads, IGH were searched instead",)


def test_chromosomes_are_known_with_and_without_chr() -> None:
    assert targets({"1": 10_000, "2": 5_000, "CAR": 2_000}).stretches[1] == Stretch("1", 1_000, 2_000)


def test_shipped_loci_count_only_in_their_genome() -> None:
    found = targets(shipped_loci=True)
    assert found.stretches == (Stretch("CAR", 0, 2_000, construct=True),)
    assert "not those of GRCh38" in found.gaps[0]
    human = {c.removeprefix("chr"): n for c, n in GRCH38.items()} | {"CAR": 2_000}
    assert len(targets(human, shipped_loci=True).stretches) == 3


def test_loci_that_cannot_be_read_are_all_told() -> None:
    with pytest.raises(InputError) as error:
        targets(
            loci={"A": "chr1", "B": "chr1:9-5", "C": "chr7:1-5", "D": "chr1:20000-30000", "E": "chr1:1-5"}
        )
    assert [p.column for p in error.value.problems] == ["A", "B", "C", "D"]
    assert error.value.problems[2].suggestion.startswith("chr")


def test_only_reads_of_the_targets_are_fetched(tmp_path: Path) -> None:
    reads = [
        read("CAR", 10, tags={"CB": "in-1", "UB": "ACGT"}),
        read("chr1", 1_500, tags={"CB": "in-2", "UB": "ACGT"}),
        read("chr1", 5_000, tags={"CB": "out", "UB": "ACGT"}),
        read(tags={"CB": "unmapped", "UB": "ACGT"}),
    ]
    path = write_reads(tmp_path / "x.bam", CONTIGS, reads)
    assert cells_of(path, targets())[0] == ["in-1", "in-2"]
    assert cells_of(path, targets(constructs={"other": ((), 7)}))[0] == ["in-2", "unmapped"]


def test_a_file_without_index_gives_the_same_reads(tmp_path: Path) -> None:
    reads = [
        read(c, s, tags={"CB": f"{c}-{s}", "UB": "ACGT"}) for c in CONTIGS for s in (0, 990, 1_400, 1_900)
    ]
    reads += [read(tags={"CB": "unmapped", "UB": "ACGT"})]
    path = write_reads(tmp_path / "x.bam", CONTIGS, reads)
    what = targets(constructs={"CAR": (("car",), 2_000), "other": ((), 7)})
    with_index = cells_of(path, what)
    (tmp_path / "x.bam.bai").unlink()
    without = cells_of(path, what)
    assert sorted(without[0]) == sorted(with_index[0])
    assert without[1] == with_index[1] == Tally(len(with_index[0]))


def test_reads_are_left_out_for_a_reason(tmp_path: Path) -> None:
    tags = [
        {"UB": "ACGT"},
        {"CB": "-", "UB": "ACGT"},
        {"CB": "x" * 200, "UB": "ACGT"},
        {"CB": "A"},
        {"CB": "A", "UB": "-"},
        {"CB": "A", "UB": "-", "UR": "ACGT"},
    ]
    reads = [read("CAR", 10, tags=t) for t in tags]
    # Secondary, failed by the sequencer, supplementary: not reads of their own.
    reads += [read("CAR", 10, flag=f) for f in (0x100, 0x200, 0x800)]
    path = write_reads(tmp_path / "x.bam", CONTIGS, reads)
    cells, tally = cells_of(path, targets())
    assert cells == ["A"]
    assert tally == Tally(fetched=6, no_cell=3, no_umi=2)


def test_what_the_aligner_says_of_a_read_is_kept(tmp_path: Path) -> None:
    ok = {"CB": "A", "UB": "ACGT"}
    reads = [
        read("CAR", 10, tags=ok | {"NH": 3, "nM": 1}, quality=1),
        read("chr1", 1_100, tags=ok | {"NH": 2, "nM": 2}, cigar="10S30M", flag=16),
        read("chr1", 1_200, tags=ok, flag=65),
    ]
    path = write_reads(tmp_path / "x.bam", CONTIGS, reads)
    with open_bam(path, "x.bam") as bam:
        found = [
            (r.places, r.mismatches, r.flag, len(r.sequence)) for r in read_car_reads(bam, targets(), Tally())
        ]
    assert found == [(3, -1, 0, 40), (1, 12, 16, 40), (1, -1, 65, 40)]


def broken(path: Path) -> str:
    with pytest.raises(InputError) as error, open_bam(path, "x.bam") as bam:
        list(read_car_reads(bam, targets(), Tally()))
    assert str(path.parent) not in str(error.value)
    return str(error.value)


def test_broken_files_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = write_reads(tmp_path / "x.bam", CONTIGS, [read("CAR", i % 1_900) for i in range(5_000)])
    content = good.read_bytes()
    for name, text, bytes_ in (
        ("no_end.bam", "cut short", content[:-28]),
        ("half.bam", "cut short", content[: len(content) // 2]),
        ("text.bam", "no readable BAM file", b"hello"),
        ("empty.bam", "no readable BAM file", b""),
        ("sam.bam", "a SAM file", b"@HD\tVN:1.6\n@SQ\tSN:CAR\tLN:2000\n"),
    ):
        path = tmp_path / name
        path.write_bytes(bytes_)
        assert text in broken(path), name
    assert "no file" in broken(tmp_path / "missing.bam")
    assert not capfd.readouterr().err


def test_a_damaged_block_in_the_middle_is_told(tmp_path: Path) -> None:
    path = write_reads(
        tmp_path / "x.bam", CONTIGS, [read("CAR", i % 1_900, sequence="ACGTT" * 20) for i in range(20_000)]
    )
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = b"\x55" * 200
    path.write_bytes(content)
    assert "BAM file" in broken(path)


def test_an_index_that_is_none_is_told(tmp_path: Path) -> None:
    path = write_reads(tmp_path / "x.bam", CONTIGS, [read("CAR", 5)])
    index = tmp_path / "x.bam.bai"
    index.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="an index that can't be read"), open_bam(path, "x.bam", index):
        pass


def test_an_index_of_other_reads_is_told_since_it_would_lose_reads_unseen(tmp_path: Path) -> None:
    def letters(seed: int) -> str:
        return "".join(random.Random(seed).choices("ACGT", k=100))

    few, many = (
        write_reads(
            tmp_path / f"{n}.bam",
            CONTIGS,
            [read(c, i, sequence=letters(i), cigar="100M") for c in ("chr1", "CAR") for i in range(n)],
        )
        for n in (3, 1_500)
    )
    for path, other in ((few, many), (many, few)):
        index = Path(f"{other}.bai")
        with pytest.raises(InputError, match="the index of another BAM"), open_bam(path, "x.bam", index):
            pass
        with open_bam(path, "x.bam", Path(f"{path}.bai")) as bam:
            assert bam.has_index()


def test_loci_are_read_from_bed_and_gtf() -> None:
    bed = "# made by hand\nchr1\t1000\t2000\tCD247\nchr2\t0\t500\tCD28\n"
    assert read_loci(bed, "loci.bed", ["CD247"]) == LOCI
    gtf = "".join(
        f'chr1\tx\t{what}\t{start}\t{start + 99}\t.\t+\t.\tgene_id "G"; gene_name "{gene}";\n'
        for what, start, gene in (
            ("gene", 1, "CD247"),
            ("exon", 1, "CD247"),
            ("gene", 500, "ACTB"),
            ("gene", 900, "IGHV1-2"),
        )
    )
    assert read_loci(gtf, "genes.gtf", ["CD247"]) == {"CD247": "chr1:1-100", "IGHV1-2": "chr1:900-999"}
    with pytest.raises(InputError, match=r"row 1.*\n.*row 3"):
        read_loci("chr1\tx\ty\tCD247\nchr1\t1\t2\tCD28\nchr1\n", "loci.bed", ["CD247"])
    with pytest.raises(InputError, match="none of the genes"):
        read_loci("", "loci.bed", ["CD247"])
