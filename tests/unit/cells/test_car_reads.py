from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.unit.cells.hand_reads import (
    CAR,
    ENDOGENOUS,
    SETTINGS,
    Car,
    count,
    domain,
    matcher,
    other_car,
    simulated_bam,
)

from cartrace.cells.bam import CarRead, Tally, Targets
from cartrace.cells.car_reads import CarMolecules, collect, count_car_molecules
from cartrace.problems import InputError
from cartrace.simulate.cell_reads import (
    CellRead,
    Planted,
    ReadModel,
    made_up_barcodes,
    molecule_truth,
    mutated,
    reverse_complement,
    simulate_reads,
)

CLEAN = ReadModel(error_rate=0, umi_error_rate=0)
CELLS = made_up_barcodes(40, np.random.default_rng(3))
TRANSCRIPTS = ENDOGENOUS | {CAR.name: CAR.sequence}
VH = domain("vh").start - 1
ZETA = domain("signalling").start - 1
NOWHERE = Targets((), unmapped=False, with_contig=())


def planted(car: str = CAR.name) -> list[Planted]:
    """40 barcodes: 15 with 1 to 4 CAR molecules, 5 with an ambient one, endogenous genes in all."""
    rng = np.random.default_rng(5)
    out = [Planted(c, g, int(rng.poisson(2))) for c in CELLS for g in ("CD8A", "CD247", "TNFRSF9", "ACTB")]
    out += [Planted(c, car, 1 + i % 4) for i, c in enumerate(CELLS[:15])]
    return out + [Planted(c, car, 1, "ambient") for c in CELLS[30:35]]


def simulated(model: ReadModel = CLEAN, car: str = CAR.name, **transcripts: str) -> list[CellRead]:
    return simulate_reads(planted(car), TRANSCRIPTS | transcripts, model, seed=7)


def by_hand(*reads: tuple[str, str, str, bool]) -> CarMolecules:
    """cell, UMI, sequence along the transcript, whether it was read against it."""
    return tables([CarRead(c, u, s, 4 | 16 * turned, True, None) for c, u, s, turned in reads])


def tables(reads: list[CarRead], **more: object) -> CarMolecules:
    usual: dict[str, object] = {
        "library": "L1",
        "chemistry": "5p",
        "product": [CAR.name],
        "targets": NOWHERE,
        "tally": Tally(len(reads)),
        "from_index": True,
        "file": "x.bam",
    }
    return count_car_molecules(
        collect(reads, matcher(), "5p"),
        [CAR],
        SETTINGS,
        **(usual | more),  # type: ignore[arg-type]
    )


def proving(counted: CarMolecules, construct: str = CAR.name) -> dict[str, int]:
    """Cell -> molecules that prove the construct."""
    own = counted.molecules[counted.molecules["construct"] == construct]
    sums = own["unique"] + own["junction"]
    return {c: int(n) for c, n in zip(own["cell"], sums, strict=True) if n}


def truth(reads: list[CellRead], *kinds: str, start: int = 0, end: int = 10_000) -> dict[str, int]:
    """Cell -> CAR molecules with a read between two positions."""
    inside = [r for r in reads if start <= r.start < end and r.kind in kinds]
    found: dict[str, int] = {}
    for (cell, _, _), n in molecule_truth(inside, [CAR.name]).items():
        found[cell] = found.get(cell, 0) + n
    return found


def checks(counted: CarMolecules) -> dict[str, str]:
    return dict(zip(counted.qc["check"], counted.qc["verdict"], strict=True))


def test_molecules_of_four_reads_by_hand() -> None:
    unique, shared = CAR.sequence[VH : VH + 90], CAR.sequence[ZETA + 50 : ZETA + 140]
    junction = CAR.sequence[ZETA - 45 : ZETA + 45]
    counted = by_hand(
        ("A-1", "ACGTACGTAC", unique, True),
        ("A-1", "ACGTACGTAC", shared, True),
        ("A-1", "TTTTACGTAC", junction, True),
        ("B-1", "GGGGACGTAC", shared, True),
        # Read along the transcript: not from a 5' library.
        ("C-1", "GGGGACGTAC", unique, False),
    )
    columns = ["cell", "unique", "junction", "ambiguous", "endogenous", "chimeric", "reads"]
    assert counted.molecules[columns].to_numpy().tolist() == [
        ["A-1", 1, 1, 0, 0, 0, 3],
        ["B-1", 0, 0, 1, 0, 0, 0],
    ]
    row = counted.car_reads.iloc[0]
    assert row[["reads_fetched", "reads_used", "molecules", "cells"]].tolist() == [5, 3, 2, 1]
    assert row["sense_percent"] == pytest.approx(100 * 2 / 3)
    assert checks(counted)["car_direction"] == "warn"


def test_coverage_counts_molecules_by_hand() -> None:
    unique = CAR.sequence[VH : VH + 90]
    counted = by_hand(
        ("A-1", "ACGTACGTAC", unique, True),
        ("A-1", "ACGTACGTAC", unique, True),
        ("B-1", "TTTTACGTAC", unique, True),
    )
    coverage = counted.coverage
    assert (coverage["start"].iloc[0], coverage["end"].iloc[-1]) == (1, len(CAR.sequence))
    # 90 bases of two molecules.
    widths = coverage["end"] - coverage["start"] + 1
    assert float((coverage["unique"] * widths).sum()) == pytest.approx(180)
    assert coverage["ambiguous"].sum() == 0


@pytest.mark.parametrize("contig", [True, False])
def test_every_molecule_of_error_free_reads_comes_back(tmp_path: Path, contig: bool) -> None:
    reads = simulated()
    genome = simulated_bam(tmp_path / "x.bam", reads, contig=contig)
    counted = count(tmp_path / "x.bam", genome)
    # Reads end before the hinge: all of them prove the CAR.
    assert max(r.start for r in reads if r.transcript == CAR.name) + 90 < domain("hinge").start
    assert proving(counted) == truth(reads, "own", "ambient")
    assert counted.car_reads["sense_percent"].tolist() == [100]
    assert counted.car_reads["molecules"].tolist() == [sum(truth(reads, "own", "ambient").values())]
    assert set(checks(counted)) == (set() if contig else {"car_loci"})


@pytest.mark.parametrize("contig", [True, False])
def test_molecules_of_a_three_prime_library_come_back(tmp_path: Path, contig: bool) -> None:
    reads = simulated(replace(CLEAN, chemistry="3p"))
    genome = simulated_bam(tmp_path / "x.bam", reads, contig=contig)
    assert proving(count(tmp_path / "x.bam", genome, chemistry="3p")) == truth(reads, "own", "ambient")


def test_shared_domains_stay_ambiguous_and_junctions_prove(tmp_path: Path) -> None:
    # Cuts 1,000 to 1,600 bases behind the cap: hinge to CD3 zeta.
    model = replace(CLEAN, insert_mean=1300, insert_sd=120, extra_fragments=0)
    reads = simulated(model)
    genome = simulated_bam(tmp_path / "x.bam", reads)
    counted = count(tmp_path / "x.bam", genome)
    # A read proves the CAR when it reaches 10 bases into what its neighbour does not have.
    borders = [domain(k).start - 1 for k in ("hinge", "costimulation", "signalling")] + [
        domain("stop").start - 1
    ]

    def proves(r: CellRead) -> bool:
        return (
            r.start + 10 <= borders[0]
            or r.start + 90 >= borders[3] + 10
            or any(r.start + 10 <= b <= r.start + 80 for b in borders[1:3])
        )

    expected: dict[str, int] = {}
    for r in {(r.cell, r.molecule) for r in reads if r.transcript == CAR.name and proves(r)}:
        expected[r[0]] = expected.get(r[0], 0) + 1
    assert proving(counted) == expected
    assert counted.molecules["junction"].sum() > 0
    assert counted.molecules["ambiguous"].sum() > 0


def test_few_molecules_are_lost_or_made_up_by_errors(tmp_path: Path) -> None:
    reads = simulated(ReadModel(error_rate=0.005, umi_error_rate=0.003))
    genome = simulated_bam(tmp_path / "x.bam", reads, contig=False)
    found, true = proving(count(tmp_path / "x.bam", genome)), truth(reads, "own", "ambient")
    assert set(found) <= set(true)
    assert sum(found.values()) == pytest.approx(sum(true.values()), rel=0.03)


def test_copies_under_another_barcode_are_left_out(tmp_path: Path) -> None:
    model = replace(CLEAN, chimera_share=0.5, extra_fragments=3, extra_copies=2)
    reads = simulated(model)
    genome = simulated_bam(tmp_path / "x.bam", reads)
    counted = count(tmp_path / "x.bam", genome)
    copies = truth(reads, "chimeric")
    assert sum(copies.values()) > 10
    assert counted.car_reads["chimeric_molecules"].iloc[0] >= sum(copies.values())
    kept, true = proving(counted), truth(reads, "own", "ambient")
    assert all(n <= true.get(cell, 0) for cell, n in kept.items())
    assert sum(kept.values()) >= 0.9 * sum(true.values())
    assert checks(counted)["car_chimeras"] == "warn"


@pytest.mark.parametrize("contig", [True, False])
def test_a_wrong_construct_is_noticed(tmp_path: Path, contig: bool) -> None:
    wrong = other_car()
    reads = simulated(car=wrong.name, **{wrong.name: wrong.sequence})
    # The reference was made with the product's construct only.
    genome = simulated_bam(tmp_path / "x.bam", reads, contig=contig)
    counted = count(tmp_path / "x.bam", genome, CAR, wrong)
    rows = counted.car_reads.set_index("construct")
    assert rows["support"].to_dict() == {CAR.name: 0, "other": 1}
    assert rows["in_product"].to_dict() == {CAR.name: True, "other": False}
    finding = counted.qc.set_index("check").loc["car_construct"]
    assert finding["verdict"] == "fail"
    assert "other 100.0 %" in finding["message"]


def test_both_constructs_of_a_product_are_counted(tmp_path: Path) -> None:
    second = other_car()
    both = [Planted(CELLS[0], CAR.name, 12), Planted(CELLS[1], second.name, 13)]
    reads = simulate_reads(both, {CAR.name: CAR.sequence, second.name: second.sequence}, CLEAN, seed=2)
    genome = simulated_bam(tmp_path / "x.bam", reads, cars=(CAR, second))
    counted = count(tmp_path / "x.bam", genome, CAR, second, product=(CAR.name, second.name))
    assert proving(counted) == {CELLS[0]: 12}
    assert proving(counted, second.name) == {CELLS[1]: 13}
    assert counted.car_reads["support"].tolist() == pytest.approx([12 / 25, 13 / 25])
    assert checks(counted)["car_construct"] == "pass"


def test_mutations_of_the_construct_are_found(tmp_path: Path) -> None:
    codon = VH + 30
    letters = CAR.sequence
    stop = next(c for c in ("TAA", "TAG", "TGA") if c != letters[codon : codon + 3])
    changes = [
        (codon + 1, letters[codon : codon + 3], stop),
        (VH + 120 + 1, letters[VH + 120 : VH + 123], ""),
    ]
    reads = simulated(**{CAR.name: mutated(letters, changes)})
    genome = simulated_bam(tmp_path / "x.bam", reads, contig=False)
    counted = count(tmp_path / "x.bam", genome)
    # Untouched molecules: what changed costs none of them.
    assert proving(counted) == truth(reads, "own", "ambient")
    variants = counted.variants
    # All but molecules that end a few bases behind the gap, where it can't be told from mismatches.
    assert (variants["molecules"] >= 0.8 * variants["depth"]).all()
    points = variants[variants["observed"] != "-"]
    for row in points.itertuples():
        i = int(row.position) - 1
        assert letters[i] == row.reference
        assert 0 <= i - codon < 3
        assert row.observed == stop[i - codon]
    gaps = variants[variants["observed"] == "-"]
    # A gap may stand anywhere within a repeat, and lose the same letters.
    ((start, gone),) = ((int(r.position) - 1, r.reference) for r in gaps.itertuples())
    assert letters[:start] + letters[start + 3 :] == mutated(letters, changes[1:])
    assert len(gone) == 3
    assert "in-frame deletion of 1 amino acids" in gaps["effect"].iloc[0]
    assert checks(counted)["car_variant"] == "warn"


def test_errors_of_sequencing_are_no_variants(tmp_path: Path) -> None:
    reads = simulated(ReadModel(error_rate=0.01))
    genome = simulated_bam(tmp_path / "x.bam", reads)
    assert count(tmp_path / "x.bam", genome).variants.empty


def test_the_wrong_chemistry_is_noticed(tmp_path: Path) -> None:
    reads = simulated()
    genome = simulated_bam(tmp_path / "x.bam", reads)
    counted = count(tmp_path / "x.bam", genome, chemistry="3p")
    assert counted.car_reads["sense_percent"].tolist() == [0]
    assert counted.car_reads["molecules"].tolist() == [0]
    assert checks(counted) == {"car_direction": "fail", "car_molecules": "note"}


def test_part_of_a_construct_is_noticed(tmp_path: Path) -> None:
    end = domain("leader").end
    half = Car(CAR.name, CAR.sequence[:end], tuple(d for d in CAR.domains if d.end <= end))
    reads = simulated()
    genome = simulated_bam(tmp_path / "x.bam", reads, contig=False)
    assert checks(count(tmp_path / "x.bam", genome, half))["car_partial"] == "note"


def test_the_index_changes_nothing(tmp_path: Path) -> None:
    reads = simulated(ReadModel(chimera_share=0.2))
    genome = simulated_bam(tmp_path / "x.bam", reads, contig=False)
    whole = count(tmp_path / "x.bam", genome)
    (tmp_path / "x.bam.bai").unlink()
    scanned = count(tmp_path / "x.bam", genome)
    for name in ("molecules", "coverage", "variants"):
        pd.testing.assert_frame_equal(getattr(scanned, name), getattr(whole, name))
    assert scanned.car_reads["from_index"].tolist() == [False]
    assert checks(scanned)["car_index"] == "warn"


def test_the_order_of_reads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = [r for r in simulated(ReadModel(chimera_share=0.3)) if r.transcript == CAR.name]

    def tables_of(listed: list[CellRead]) -> CarMolecules:
        return tables([CarRead(r.cell, r.umi, r.sequence, 4, True, None) for r in listed])

    one, other = tables_of(reads), tables_of(reads[::-1])
    # Adding up in between must not matter either.
    monkeypatch.setattr("cartrace.cells.car_reads._ADD_UP_AT", 10)
    third = tables_of(reads)
    for name in ("molecules", "coverage", "variants", "car_reads"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
        pd.testing.assert_frame_equal(getattr(one, name), getattr(third, name))


def test_reads_of_the_other_strand_are_the_same_molecules() -> None:
    unique = CAR.sequence[VH : VH + 90]
    one = by_hand(("A-1", "ACGTACGTAC", unique, True))
    other = by_hand(("A-1", "ACGTACGTAC", reverse_complement(unique), False))
    pd.testing.assert_frame_equal(one.molecules, other.molecules)


def test_reads_whose_umi_is_none_are_told() -> None:
    unique = CAR.sequence[VH : VH + 90]
    counted = by_hand(
        ("A-1", "ACNT", unique, True), ("A-1", "AAAA", unique, True), ("A-1", "ACGT", unique, True)
    )
    assert counted.car_reads["molecules"].tolist() == [1]
    assert "2 no usable UMI" in counted.qc["message"].iloc[0]


def test_hostile_barcodes_are_made_plain() -> None:
    unique = CAR.sequence[VH : VH + 90]
    counted = by_hand(
        ("A\x01", "ACGT", unique, True), ("A\x02", "TTGT", unique, True), ("2024-03-01", "ACCT", unique, True)
    )
    assert dict(zip(counted.molecules["cell"], counted.molecules["unique"], strict=True)) == {
        "<date>": 1,
        "A?": 2,
    }


def test_a_library_without_reads_has_empty_tables() -> None:
    counted = tables([])
    assert counted.molecules.empty
    assert counted.car_reads["molecules"].tolist() == [0]
    assert counted.car_reads["support"].isna().all()
    assert checks(counted) == {"car_molecules": "note"}


@pytest.mark.parametrize(
    ("tally", "text"), [(Tally(5, no_cell=5), "no tag CB"), (Tally(5, 2, 3), "neither tag UB")]
)
def test_a_file_without_tags_is_refused(tally: Tally, text: str) -> None:
    with pytest.raises(InputError, match=text):
        tables([], tally=tally)
