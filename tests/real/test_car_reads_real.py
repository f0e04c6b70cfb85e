"""Reads of published constructs against natural transcripts: what proves the CAR, and that its molecules come back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tests.real.conftest import REPOSITORY, real_data

from cartrace.cells.bam import Tally, find_targets, open_bam, read_car_reads
from cartrace.cells.car_reads import collect, count_car_molecules
from cartrace.cells.constructs import Construct, read_construct
from cartrace.cells.endogenous import read_transcripts
from cartrace.cells.matching import AMBIGUOUS, JUNCTION, UNIQUE, Matcher, relatives
from cartrace.cells.settings import CarReads
from cartrace.simulate.cell_reads import (
    Planted,
    ReadModel,
    made_up_barcodes,
    make_genome,
    molecule_truth,
    simulate_reads,
    write_bam,
)

FOLDER = real_data() / "constructs" / "CAR_constructs"
FILES = {
    "axi-cel": ("Axicel_HM852952", "Anno_Axicel"),
    "tisa-cel": ("Tisacel_patentUS9499629B2", "Anno_Tisacel"),
    "cilta-cel": ("Cilta_Braun_et_al", "Anno_Ciltacel_Oezdemirli_and_Braun"),
    "ide-cel": ("Idecel_patentWO2021091978A1", "Anno_Idecel"),
    "Hu19-CD28Z": ("Hu19-CD28Z_MN698642.1", "Hu19-CD28Z_MN698642.1"),
}
SETTINGS = CarReads()
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not FOLDER.is_dir(), reason="the real constructs are not here: set CARTRACE_REAL_DATA"
    ),
]


def construct(name: str) -> Construct:
    fasta, annotation = FILES[name]
    return read_construct(
        name,
        (FOLDER / "Sequences" / f"{fasta}.fasta").read_text(),
        (FOLDER / "Annotations" / f"{annotation}.gtf").read_text(),
        fasta_file=fasta,
        annotation_file=annotation,
    )


def transcripts() -> dict[str, str]:
    shipped = REPOSITORY / "resources" / "cells" / "endogenous.fasta"
    return {t.name: t.sequence for t in read_transcripts(shipped)}


def shares(name: str) -> dict[int | None, float]:
    """Share of 90-base reads of a construct by what they are."""
    car = construct(name)
    matcher = Matcher([car], relatives([car], transcripts().items()), SETTINGS)
    kinds = Counter(matcher.match(car.sequence[i : i + 90]).kind for i in range(len(car.sequence) - 89))
    return {kind: n / kinds.total() for kind, n in kinds.items()}


@pytest.mark.parametrize("name", ["ide-cel", "Hu19-CD28Z"])
def test_every_read_of_a_codon_optimised_construct_proves_it(name: str) -> None:
    assert shares(name) == {UNIQUE: 1}


@pytest.mark.parametrize("name", ["axi-cel", "tisa-cel", "cilta-cel"])
def test_a_third_of_the_reads_of_the_others_can_be_endogenous(name: str) -> None:
    found = shares(name)
    assert set(found) == {UNIQUE, JUNCTION, AMBIGUOUS}
    assert 0.2 < found[AMBIGUOUS] < 0.4
    assert found[JUNCTION] > 0.03


@pytest.mark.parametrize("contig", [True, False])
@pytest.mark.parametrize("name", ["axi-cel", "tisa-cel"])
def test_molecules_come_back_among_natural_transcripts(tmp_path: Path, name: str, contig: bool) -> None:
    car, natural = construct(name), transcripts()
    rng = np.random.default_rng(1)
    cells = made_up_barcodes(40, rng)
    planted = [Planted(c, g, int(rng.poisson(4))) for c in cells for g in natural]
    planted += [Planted(c, name, 3) for c in cells[:20]]
    # Cuts within the binder, 300 to 700 bases behind the start of the registered sequence.
    model = ReadModel(insert_mean=500, insert_sd=60)
    reads = simulate_reads(planted, natural | {name: car.sequence}, model, seed=2)
    genome = make_genome(natural, {name: car.sequence} if contig else None)
    write_bam(tmp_path / "x.bam", reads, genome)
    tally = Tally()
    with open_bam(tmp_path / "x.bam", "x.bam") as bam:
        targets = find_targets(
            {n: len(s) for n, s in genome.contigs.items()},
            {name: ((name,), len(car.sequence))},
            loci=genome.loci(natural),
            binder_loci={},
            file="x.bam",
            shipped_loci=False,
        )
        matcher = Matcher([car], relatives([car], natural.items()), SETTINGS)
        evidence = collect(read_car_reads(bam, targets, tally), matcher, "5p")
    counted = count_car_molecules(
        evidence,
        [car],
        SETTINGS,
        library="L1",
        chemistry="5p",
        product=[name],
        targets=targets,
        tally=tally,
        from_index=True,
        file="x.bam",
    )
    true = {cell: n for (cell, _, _), n in molecule_truth(reads, [name]).items()}
    sums = counted.molecules["unique"] + counted.molecules["junction"]
    found = {c: n for c, n in zip(counted.molecules["cell"], sums, strict=True) if n}
    assert set(found) <= set(true)
    assert sum(found.values()) == pytest.approx(sum(true.values()), rel=0.05)
    assert counted.variants.empty
