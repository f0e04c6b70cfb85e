from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pysam
import pytest

from cartrace.simulate.cell_reads import (
    CellRead,
    Planted,
    ReadModel,
    made_up_barcodes,
    make_genome,
    molecule_truth,
    mutated,
    reverse_complement,
    simulate_reads,
    write_bam,
    write_fastq,
)
from cartrace.simulate.construct import made_up_construct, made_up_endogenous

CAR = made_up_construct()
ENDOGENOUS = made_up_endogenous()
TRANSCRIPTS = ENDOGENOUS | {CAR.name: CAR.sequence}
CELLS = made_up_barcodes(5, np.random.default_rng(1))
PLANTED = [Planted(c, t, 3) for c in CELLS for t in ("CD247", "ACTB", CAR.name)]
CLEAN = ReadModel(error_rate=0, umi_error_rate=0)
ZETA = CAR.span("signalling")


def reads(model: ReadModel = CLEAN, seed: int = 1) -> list[CellRead]:
    return simulate_reads(PLANTED, TRANSCRIPTS, model, seed=seed)


def read_from(start: int, sequence: str, transcript: str = CAR.name) -> CellRead:
    return CellRead("r", CELLS[0], "ACGTACGTACGT", "ACGTACGTACGT", sequence, transcript, start, 0, "own")


def written(path: Path, listed: list[CellRead], contig: bool) -> dict[str, pysam.AlignedSegment]:
    write_bam(path, listed, make_genome(ENDOGENOUS, {CAR.name: CAR.sequence} if contig else None))
    with pysam.AlignmentFile(str(path)) as file:
        assert file.has_index()
        return {r.query_name or "": r for r in file.fetch(until_eof=True)}


def test_reads_of_five_prime_libraries_run_against_the_transcript() -> None:
    for r in reads():
        assert reverse_complement(r.sequence) == TRANSCRIPTS[r.transcript][r.start : r.start + 90]
    middle = np.mean([r.start for r in reads()])
    assert middle == pytest.approx(350 - 90, abs=40)


def test_reads_of_three_prime_libraries_run_along_it_near_its_end() -> None:
    for r in reads(ReadModel("3p", error_rate=0)):
        assert r.sequence == TRANSCRIPTS[r.transcript][r.start : r.start + 90]
        assert len(TRANSCRIPTS[r.transcript]) - r.start < 800


def test_same_seed_same_reads() -> None:
    assert reads(ReadModel()) == reads(ReadModel())
    assert reads(ReadModel()) != reads(ReadModel(), seed=2)


def test_errors_come_at_their_rate() -> None:
    clean, noisy = reads(), reads(ReadModel(error_rate=0.05, umi_error_rate=0.1))
    bases = sum(len(r.sequence) for r in noisy)
    wrong = sum(
        a != b
        for r in noisy
        for a, b in zip(reverse_complement(r.sequence), TRANSCRIPTS[r.transcript][r.start :], strict=False)
    )
    assert wrong / bases == pytest.approx(0.05, rel=0.2)
    assert all(r.umi == r.true_umi for r in clean)
    assert any(r.umi != r.true_umi for r in noisy)


def test_the_truth_counts_molecules_not_reads() -> None:
    found = molecule_truth(reads(), [CAR.name])
    assert found == {(c, CAR.name, "own"): 3 for c in sorted(CELLS)}


def test_a_chimera_is_the_same_fragment_in_another_cell() -> None:
    listed = reads(ReadModel(error_rate=0, umi_error_rate=0, chimera_share=1))
    copies = [r for r in listed if r.kind == "chimeric"]
    assert len(copies) >= 0.9 * sum(p.molecules for p in PLANTED)
    for copy in copies:
        own = [r for r in listed if r.molecule == copy.molecule and r.kind == "own"]
        assert copy.cell not in {r.cell for r in own}
        assert (copy.umi, copy.start) in {(r.umi, r.start) for r in own}


def test_a_shared_domain_goes_where_an_aligner_would_put_it(tmp_path: Path) -> None:
    shared = reverse_complement(CAR.sequence[ZETA.start + 60 : ZETA.start + 150])
    own = reverse_complement(CAR.sequence[300:390])
    alone = written(tmp_path / "a.bam", [read_from(300, own)], contig=False)["r"]
    assert alone.is_unmapped
    assert alone.query_sequence == own
    natural = written(tmp_path / "b.bam", [read_from(ZETA.start, shared)], contig=False)["r"]
    assert (natural.reference_name, natural.mapping_quality, natural.get_tag("GN")) == ("chr1", 255, "CD247")
    both = written(tmp_path / "c.bam", [read_from(ZETA.start, shared)], contig=True)["r"]
    assert (both.mapping_quality, both.get_tag("NH")) == (3, 2)
    assert not both.has_tag("GN")
    junction = CAR.sequence[ZETA.start - 25 : ZETA.start + 65]
    clipped = written(tmp_path / "d.bam", [read_from(0, junction)], contig=False)["r"]
    assert clipped.cigarstring is not None
    assert clipped.cigarstring.startswith("2")
    assert "S" in clipped.cigarstring


def test_the_bam_file_holds_every_read_with_its_tags(tmp_path: Path) -> None:
    listed = reads(ReadModel())
    found = written(tmp_path / "a.bam", listed, contig=True)
    assert set(found) == {r.name for r in listed}
    for r in listed:
        segment = found[r.name]
        assert segment.get_forward_sequence() == r.sequence
        assert (segment.get_tag("CB"), segment.get_tag("UR")) == (r.cell, r.umi)
    counted = Counter(s.get_tag("GN") for s in found.values() if s.has_tag("xf") and s.get_tag("xf") == 25)
    assert counted == {"CD247": 15, "ACTB": 15, CAR.name: 15}


def test_same_reads_same_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder / "x.bam", reads(), contig=True)
        write_fastq(tmp_path / folder / "R1.fastq.gz", tmp_path / folder / "R2.fastq.gz", reads())
    for name in ("x.bam", "x.bam.bai", "R1.fastq.gz", "R2.fastq.gz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_fastq_files_hold_barcode_and_umi_and_the_cdna(tmp_path: Path) -> None:
    listed = reads()
    write_fastq(tmp_path / "R1.fastq.gz", tmp_path / "R2.fastq.gz", listed)
    first, second = (
        gzip.decompress((tmp_path / n).read_bytes()).decode().splitlines()
        for n in ("R1.fastq.gz", "R2.fastq.gz")
    )
    assert len(first) == len(second) == 4 * len(listed)
    assert first[1] == listed[0].cell.removesuffix("-1") + listed[0].umi
    assert second[1] == listed[0].sequence
    assert len(second[3]) == len(second[1])


def test_changes_are_made_where_they_are_said_to_be() -> None:
    assert mutated("ACGTACGT", [(2, "C", "T"), (5, "AC", ""), (8, "T", "TGG")]) == "ATGTGTGG"
    with pytest.raises(ValueError, match="no G at 2"):
        mutated("ACGT", [(2, "G", "T")])


def test_loci_are_written_as_settings_have_them() -> None:
    genome = make_genome({"A": "ACGT" * 50, "B": "TTTT" * 10}, {"car": "ACGT" * 30}, spacer=100)
    assert genome.loci(["A", "B", "none"]) == {"A": "chr1:101-300", "B": "chr1:401-440"}
    assert genome.contigs["chr1"][100:300] == "ACGT" * 50
    assert (genome.gene_at("chr1", 100), genome.gene_at("chr1", 99), genome.gene_at("car", 5)) == (
        "A",
        None,
        "car",
    )
