"""The ambiguity map: what a read of each start position tells."""

from __future__ import annotations

from random import Random
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from cartrace.cells.ambiguity import (
    Ambiguity,
    bed_text,
    findings,
    map_ambiguity,
    regions,
    sharing,
    start_weights,
)
from cartrace.cells.construct_picture import picture
from cartrace.cells.constructs import Construct, Domain, reverse_complement
from cartrace.cells.endogenous import Transcript, gene_of, parse_transcripts
from cartrace.cells.settings import Reference
from cartrace.cells.tables import REGIONS
from cartrace.problems import InputError
from cartrace.tables import conform

SETTINGS = Reference(read_length=40)


def letters(n: int, seed: int) -> str:
    return "".join(Random(seed).choices("ACGT", k=n))


OWN_1, SHARED, OWN_2 = letters(200, 1), letters(100, 2), letters(150, 3)
CAR = Construct(
    "car",
    OWN_1 + SHARED + OWN_2,
    (Domain("mine", "binder", 1, 200), Domain("<z>", "signalling", 201, 300)),
    "car",
)
GENE = Transcript("t", "CD247", letters(300, 4) + SHARED + letters(300, 5))


@pytest.fixture(scope="module")
def mapped() -> Ambiguity:
    return map_ambiguity(CAR, [GENE, Transcript("u", "ACTB", letters(800, 6))], SETTINGS)


def test_reads_inside_the_shared_stretch_are_like_the_gene_and_two_letters_off_are_ambiguous(
    mapped: Ambiguity,
) -> None:
    # 100 shared bases hold 61 reads of 40: starts 200 to 260. Two of 40 letters may differ at 95 %.
    assert np.flatnonzero(mapped.classes == 2).tolist() == list(range(200, 261))
    near = np.flatnonzero(mapped.classes == 1).tolist()
    assert set(near) <= {198, 199, 261, 262}
    assert set(near) >= {199, 261}
    assert {mapped.gene[i] for i in range(200, 261)} == {"CD247"}
    assert mapped.share == pytest.approx((61 + len(near)) / 411)
    assert mapped.identical_share == pytest.approx(61 / 411)


def test_mappability_is_the_share_of_reads_over_a_position_that_prove_the_car(mapped: Ambiguity) -> None:
    share = mapped.mappability
    assert share[:198].min() == 1
    assert share[240] == 0
    # Position 200 (from 0) is read from 161 to 200; of these 40 starts those up to 197 or 198 prove the CAR.
    proving = sum(mapped.classes[i] == 0 for i in range(161, 201))
    assert share[200] == pytest.approx(proving / 40)
    assert np.flatnonzero(~mapped.provable).min() >= 237
    assert np.flatnonzero(~mapped.provable).max() <= 262


def test_a_gene_on_the_other_strand_does_not_matter() -> None:
    other = Transcript("t", "CD247", reverse_complement(GENE.sequence))
    assert map_ambiguity(CAR, [other], SETTINGS).share == 0


def test_the_order_of_transcripts_does_not_matter(mapped: Ambiguity) -> None:
    again = map_ambiguity(CAR, [Transcript("u", "ACTB", letters(800, 6)), GENE], SETTINGS)
    assert (again.classes == mapped.classes).all()


def test_scattered_differences_within_the_limit_are_found() -> None:
    # One letter in 25 changed: reads of 40 hold one or two differences, 95 % or more.
    changed = "".join(
        {"A": "C", "C": "G", "G": "T", "T": "A"}[c] if i % 25 == 12 else c for i, c in enumerate(SHARED)
    )
    found = map_ambiguity(CAR, [Transcript("t", "CD247", changed)], SETTINGS)
    assert (found.classes[203:258] == 1).all()


def test_regions_bed_and_findings_say_the_same(mapped: Ambiguity) -> None:
    frame = conform(regions(mapped, CAR, SETTINGS, "5p"), REGIONS)
    like = frame[frame["class"] == "endogenous_like"].iloc[0]
    assert (like["start"], like["end"], like["gene"], like["identity"]) == (201, 261, "CD247", 1.0)
    assert like["domain"] == "<z>"
    assert frame["reads_percent"].sum() == pytest.approx(100)
    assert (frame["start"].iloc[1:].to_numpy() == frame["end"].iloc[:-1].to_numpy() + 1).all()
    lines = [line.split("\t") for line in bed_text(mapped, "car").splitlines()]
    assert ["car", "200", "261", "endogenous_like:CD247"] in [line[:4] for line in lines]
    rows = findings(mapped, SETTINGS, ("5p",))
    assert "CD247" in str(rows[0]["message"])


def test_reads_lie_near_the_end_that_the_chemistry_reads() -> None:
    five, three = (start_weights(2000, 90, c, Reference()) for c in ("5p", "3p"))
    assert five.sum() == pytest.approx(1)
    assert three == pytest.approx(five[::-1])
    # Half of the fragments are longer than the median of 350 bases: their reads start behind 260.
    assert five[: 350 - 90 + 1].sum() == pytest.approx(0.5, abs=0.01)


def test_a_construct_that_is_all_endogenous_fails() -> None:
    whole = map_ambiguity(CAR, [Transcript("t", "COPY", CAR.sequence)], SETTINGS)
    assert whole.share == 1
    assert findings(whole, SETTINGS, ("3p",))[0]["verdict"] == "fail"


def test_a_construct_shorter_than_a_read_is_one_read() -> None:
    short = Construct("s", OWN_1[:30], (), "s")
    assert map_ambiguity(short, [GENE], SETTINGS).read_length == 30


def test_only_transcripts_that_share_a_word_are_looked_at() -> None:
    transcripts = [
        GENE,
        Transcript("u", "ACTB", letters(800, 6)),
        Transcript("n", "N", "N" * 50),
        Transcript("s", "S", "AC"),
    ]
    assert [t.gene for t in sharing(CAR.sequence, transcripts, 15)] == ["CD247"]


def test_the_picture_is_xml_and_escapes_names(mapped: Ambiguity) -> None:
    text = picture(CAR, mapped, SETTINGS, ("5p", "3p"))
    told = [e.text for e in ET.fromstring(text).iter() if e.tag.endswith("title")]
    assert "<z>, signalling, 201-300" in told
    assert "endogenous_like CD247, 201-261" in told
    assert len(text) < 30_000


@pytest.mark.parametrize(
    ("header", "gene"),
    [
        ("NM_001561.6 gene=TNFRSF9 Homo sapiens", "TNFRSF9"),
        ("NM_001561.6 Homo sapiens TNF receptor superfamily member 9 (TNFRSF9), mRNA", "TNFRSF9"),
        ("ENST1.2 cdna chromosome:GRCh38 gene:ENSG1 gene_symbol:CD28 description:x", "CD28"),
        ("ENST1.2|ENSG1.3|OTT|OTT|CD8A-201|CD8A|2887|protein_coding|", "CD8A"),
        ("anything else", "anything"),
        ("", "unnamed"),
    ],
)
def test_genes_are_read_from_headers_of_the_usual_sources(header: str, gene: str) -> None:
    assert gene_of(header) == gene


def test_transcripts_are_read_record_by_record() -> None:
    text = ">a gene=X\nacg\nu\n\n>b\nAA\n".splitlines()
    assert [(t.name, t.gene, t.sequence) for t in parse_transcripts(text, "f")] == [
        ("a", "X", "ACGT"),
        ("b", "b", "AA"),
    ]


@pytest.mark.parametrize("text", ["", "ACGT\n", ">chr1\n" + "A" * 500_001])
def test_what_is_no_fasta_of_transcripts_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        list(parse_transcripts(text.splitlines(), "f"))
