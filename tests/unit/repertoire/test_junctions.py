"""Junctions of host and vector: by hand, and in simulated reads with known truth."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pytest

from cartrace.cells.bam import open_bam
from cartrace.problems import InputError
from cartrace.repertoire.junctions import (
    Part,
    Tally,
    Template,
    Vector,
    find_sites,
    findings,
    fragment_of,
    junction_of,
    pair_of,
    read_templates,
    sites_frame,
    vectors_of,
)
from cartrace.repertoire.settings import Junctions
from cartrace.simulate.read_files import random_letters
from cartrace.simulate.site_reads import JunctionModel, PlantedSite, junction_bam

VECTOR = Vector(0, 3000, 0)
VECTORS = {"VEC": VECTOR}
SETTINGS = Junctions(vector=("VEC",))
SHORT = JunctionModel(longest=75)
"""Fragments that are short enough for every read to cross the seam."""


def part(contig: str, start: int, bases: int, first: int, *, turned: bool = False, quality: int = 60) -> Part:
    return Part(contig, start, start + bases, turned, first, first + bases, 100, quality)


def read_of(*, host_first: bool, strand: str, turned: bool) -> tuple[Part, Part]:
    """Make a read of 60 host and 40 vector bases; the host's base beside the vector is 1000, from 1.

    ``turned`` says whether the read runs against the host's forward strand.
    """
    left = host_first == (strand == "+")
    host_start = 940 if host_first else 999
    vector_start = 0 if left else 2960
    # Along the host's forward strand the host's 60 bases come first or last.
    host_at, vector_at = (0, 60) if host_first else (40, 0)
    if turned:
        host_at, vector_at = 100 - host_at - 60, 100 - vector_at - 40
    return (
        part("chr1", host_start, 60, host_at, turned=turned),
        part("VEC", vector_start, 40, vector_at, turned=turned != (strand == "-")),
    )


@pytest.mark.parametrize(
    ("host_first", "strand", "side"),
    [(True, "+", "left"), (False, "+", "right"), (True, "-", "right"), (False, "-", "left")],
)
@pytest.mark.parametrize("turned", [False, True])
def test_strand_and_order_tell_side_and_orientation(
    host_first: bool, strand: str, side: str, turned: bool
) -> None:
    host, vector = read_of(host_first=host_first, strand=strand, turned=turned)
    seam = junction_of(host, vector, VECTOR, 20)
    assert seam is not None
    assert (seam.position, seam.strand, seam.side, seam.missing) == (1000, strand, side, 0)


@pytest.mark.parametrize("host_first", [True, False])
def test_bases_that_fit_both_go_to_the_vector(host_first: bool) -> None:
    # Three bases of the vector's end happen to be those of the host.
    host, vector = read_of(host_first=host_first, strand="+", turned=False)
    if host_first:
        longer = host._replace(end=host.end + 3, last=host.last + 3)
    else:
        longer = host._replace(start=host.start - 3, first=host.first - 3)
    seam = junction_of(longer, vector, VECTOR, 20)
    assert seam is not None
    assert (seam.position, seam.missing) == (1000, 0)


def test_in_a_plasmid_bases_beyond_the_vectors_end_go_back_to_the_host() -> None:
    ends = Vector(500, 2500, 0)
    host = part("chr1", 940, 63, 0)
    # The plasmid goes on as the host does for two bases beside its LTR, and the host as the LTR for three.
    vector = part("VEC", 498, 42, 58)
    seam = junction_of(host, vector, ends, 20)
    assert seam is not None
    assert (seam.position, seam.missing) == (1000, 0)


def test_a_gap_leaves_the_host_where_it_was_aligned() -> None:
    host, vector = read_of(host_first=True, strand="+", turned=False)
    shorter = vector._replace(start=4, first=vector.first + 4)
    seam = junction_of(host, shorter, VECTOR, 20)
    assert seam is not None
    assert (seam.position, seam.missing, seam.unaligned) == (1000, 4, 4)


def test_either_ltr_is_the_end_that_the_host_lies_at() -> None:
    ends = Vector(0, 3000, 200)
    host = part("chr1", 999, 60, 40)
    # The vector's right end, aligned to the end of the left LTR.
    seam = junction_of(host, part("VEC", 160, 40, 0), ends, 20)
    assert seam is not None
    assert (seam.side, seam.missing) == ("right", 0)
    # The vector goes on for two bases behind its left LTR as the host does.
    longer = junction_of(host, part("VEC", 160, 42, 0), ends, 20)
    assert longer is not None
    assert (longer.position, longer.side, longer.missing) == (1000, "right", 0)


def test_too_few_bases_of_its_own_make_no_junction() -> None:
    host, vector = read_of(host_first=True, strand="+", turned=False)
    assert junction_of(host._replace(first=41, start=981), vector, VECTOR, 20) is None
    # All of the host's part lies on the vector as well: homology.
    whole = part("VEC", 0, 100, 0)
    assert junction_of(host, whole, VECTOR, 20) is None


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("host_first", [True, False])
def test_a_pair_tells_side_and_orientation(host_first: bool, strand: str) -> None:
    left = host_first == (strand == "+")
    host = part("chr1", 800, 100, 0, turned=not host_first)
    vector = part("VEC", 50 if left else 2850, 100, 0, turned=host_first == (strand == "+"))
    pair = pair_of(Template(((host,), (vector,))), VECTORS, SETTINGS)
    assert pair is not None
    assert (pair.strand, pair.side, pair.host_first) == (strand, "left" if left else "right", host_first)
    assert (pair.outer, pair.inner, pair.vector_length) == (
        (801, 900, 150) if host_first else (900, 801, 150)
    )


def test_pairs_far_inside_the_vector_or_on_unsure_host_tell_nothing() -> None:
    host, inside = part("chr1", 800, 100, 0), part("VEC", 1500, 100, 0, turned=True)
    assert pair_of(Template(((host,), (inside,))), VECTORS, SETTINGS) is None
    end = part("VEC", 50, 100, 0, turned=True)
    assert pair_of(Template(((host._replace(quality=3),), (end,))), VECTORS, SETTINGS) is None


def test_copies_of_a_fragment_have_its_ends_whatever_was_clipped() -> None:
    ends = {"VEC": Vector(0, 3000, 200)}
    host, vector = part("chr1", 800, 100, 0), part("VEC", 40, 100, 0, turned=True)
    clipped = host._replace(start=803, first=3)
    other_ltr = vector._replace(start=2840, end=2940)
    first = fragment_of(Template(((host,), (vector,))), ends)
    assert first == fragment_of(Template(((clipped,), (other_ltr,))), ends)
    assert first == fragment_of(Template(((vector,), (host,))), ends)
    assert first != fragment_of(Template(((host._replace(start=801),), (vector,))), ends)


def analyse(
    content: bytes, folder: Path, settings: Junctions = SETTINGS, *, index: bool = False
) -> tuple[list[dict[str, Any]], Tally]:
    path = folder / "reads.bam"
    path.write_bytes(content)
    if index:
        pysam.index(str(path))
    tally = Tally()
    with open_bam(path, "reads.bam") as bam:
        contigs = dict(zip(bam.references, bam.lengths, strict=True))
        vectors = vectors_of(contigs, settings, "reads.bam", "GRCh38")
        templates = read_templates(bam, vectors, tally, "reads.bam")
    return find_sites(templates.values(), vectors, settings, tally), tally


class Trial:
    """Made-up chromosomes and a vector with planted sites."""

    def __init__(self, seed: int, ltr: int = 0, most: int = 4) -> None:
        self.rng = np.random.default_rng(seed)
        self.host = {c: random_letters(self.rng, 20_000) for c in ("chr1", "chr2")}
        end = random_letters(self.rng, ltr)
        self.vector = ("VEC", end + random_letters(self.rng, 2000) + end)
        self.sites = [
            PlantedSite(c, 1000 * i + int(self.rng.integers(500)), "+-"[int(s)], *counts)  # type: ignore[arg-type]
            for (c, i), s, counts in zip(
                product(self.host, range(1, 19, 2)),
                self.rng.integers(2, size=18),
                self.rng.integers(1, most + 1, size=(18, 2)).tolist(),
                strict=True,
            )
        ]

    def bam(self, model: JunctionModel) -> bytes:
        return junction_bam(self.rng, self.sites, self.vector, self.host, model)[0]

    def truth(self) -> dict[str, int]:
        return {f"{s.contig}{s.strand}{s.position}": s.fragments for s in self.sites}


def counted(found: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {r["site"]: r["fragments"] for r in found}


@pytest.mark.parametrize("index", [True, False])
def test_every_planted_site_is_found_and_none_else(tmp_path: Path, index: bool) -> None:
    trial = Trial(1, ltr=60)
    model = JunctionModel(longest=75, ltr=60, extra_copies=1, background=20, chimeras=5)
    settings = SETTINGS.model_copy(update={"ltr": 60})
    found, tally = analyse(trial.bam(model), tmp_path, settings, index=index)
    assert counted(found) == trial.truth()
    assert {r["side"] for r in found} == {"left;right"}
    assert tally.duplicates > 0
    assert sum(tally.inside.values()) == 5


def test_sequencing_errors_and_duplicates_leave_sites_and_support(tmp_path: Path) -> None:
    trial = Trial(2, ltr=60)
    model = JunctionModel(longest=75, ltr=60, extra_copies=2, flagged_share=0, error_rate=0.003, chimeras=10)
    found, _ = analyse(trial.bam(model), tmp_path, SETTINGS.model_copy(update={"ltr": 60}))
    assert counted(found) == trial.truth()


def test_pairs_that_do_not_cross_support_the_site_of_those_that_do(tmp_path: Path) -> None:
    trial = Trial(3, most=30)
    trial.sites = trial.sites[:4]
    found, tally = analyse(trial.bam(JunctionModel(longest=250)), tmp_path)
    assert counted(found) == trial.truth()
    assert all(r["discordant_pairs"] > 0 for r in found)
    assert tally.pairs_without_site == 0


def test_pairs_alone_are_no_site_but_told(tmp_path: Path) -> None:
    trial = Trial(4)
    trial.sites = [PlantedSite("chr1", 5000, "+", 6, 0)]
    found, tally = analyse(trial.bam(JunctionModel(shortest=150)), tmp_path)
    assert found == []
    assert tally.pairs_without_site == 6
    checks = {f["check"]: f["verdict"] for f in findings(tally, found, "set1")}
    assert checks == {"site_reads": "warn", "pairs_without_site": "note"}


def test_without_its_right_end_a_site_lies_beside_the_left_one(tmp_path: Path) -> None:
    trial = Trial(5)
    # The vector's left end lies at the other end of the 5 bases that stand on both sides.
    trial.sites = [PlantedSite("chr1", 5000, "+", 3, 0), PlantedSite("chr2", 5000, "-", 3, 0)]
    found, _ = analyse(trial.bam(SHORT), tmp_path)
    assert [(r["site"], r["side"]) for r in found] == [("chr1+5004", "left"), ("chr2-4996", "left")]


def test_single_reads_tell_sites(tmp_path: Path) -> None:
    trial = Trial(6, most=9)
    found, _ = analyse(trial.bam(JunctionModel(longest=75, paired=False)), tmp_path)
    right = {r["site"] for r in found if "right" in r["side"]}
    assert right <= set(trial.truth())
    assert len(right) >= 15


def test_few_fragments_are_left_out_where_the_settings_say_so(tmp_path: Path) -> None:
    trial = Trial(7)
    trial.sites = [PlantedSite("chr1", 5000, "+", 2, 2), PlantedSite("chr2", 5000, "-", 1, 1)]
    found, tally = analyse(trial.bam(SHORT), tmp_path, SETTINGS.model_copy(update={"min_fragments": 3}))
    assert counted(found) == {"chr1+5000": 4}
    assert tally.few_fragments == 1


def segment(name: str, flag: int, place: tuple[int, int], cigar: str, sa: str = "") -> pysam.AlignedSegment:
    read = pysam.AlignedSegment()
    read.query_name, read.flag = name, flag
    read.reference_id, read.reference_start = place
    read.cigarstring, read.mapping_quality = cigar, 60
    read.query_sequence = "A" * sum(n for op, n in read.cigartuples or () if op in {0, 1, 4})
    if sa:
        read.set_tag("SA", sa)
    return read


def bam_of(reads: Sequence[pysam.AlignedSegment], folder: Path) -> bytes:
    header = pysam.AlignmentHeader.from_references(["chr2", "VEC"], [100_000, 3000])
    with pysam.AlignmentFile(str(folder / "hand.bam"), "wb", header=header) as file:
        for read in sorted(reads, key=lambda r: (r.reference_id, r.reference_start)):
            file.write(read)
    return (folder / "hand.bam").read_bytes()


def test_homology_inside_the_vector_is_told_not_counted(tmp_path: Path) -> None:
    # A CAR's CD8A hinge: reads from the cDNA that an aligner puts half on the gene.
    reads = []
    for i in range(4):
        reads.append(segment(f"r{i}", 0, (1, 1400 + i), "60M40S", f"chr2,5001,+,{60}S40M,60,0;"))
        reads.append(segment(f"r{i}", 0x800, (0, 5000), "60H40M", f"VEC,{1401 + i},+,60M40S,60,0;"))
    found, tally = analyse(bam_of(reads, tmp_path), tmp_path)
    assert found == []
    (finding,) = [f for f in findings(tally, found, "set1") if f["check"] == "junctions_inside_vector"]
    assert (finding["verdict"], finding["value"]) == ("warn", "4")
    assert "chr2:5001 at base" in str(finding["message"])


def test_split_reads_that_bwa_marks_as_secondary_count(tmp_path: Path) -> None:
    reads = [
        segment("r", 0, (0, 4940), "60M40S", "VEC,1,+,60S40M,60,0;"),
        segment("r", 0x100, (1, 0), "60H40M", "chr2,4941,+,60M40S,60,0;"),
        # A true secondary alignment names no other part.
        segment("s", 0x100, (1, 0), "100M"),
    ]
    found, _ = analyse(bam_of(reads, tmp_path), tmp_path)
    assert counted(found) == {"chr2+5000": 1}


def test_reads_that_contradict_each_other_are_left_out(tmp_path: Path) -> None:
    reads = [
        segment("r", 0x41, (1, 0), "60S40M", "chr2,4941,+,60M40S,60,0;"),
        segment("r", 0x81, (1, 0), "60S40M", "chr2,9941,+,60M40S,60,0;"),
    ]
    for read in reads:
        read.next_reference_id, read.next_reference_start = 1, 0
    found, tally = analyse(bam_of(reads, tmp_path), tmp_path)
    assert found == []
    assert tally.contradictory == 1


def test_a_bam_packed_by_gzip_or_with_a_damaged_header_is_refused(tmp_path: Path) -> None:
    content = gzip.decompress(bam_of([segment("r", 0, (1, 0), "100M")], tmp_path))
    with pytest.raises(InputError, match="packed by gzip"):
        analyse(gzip.compress(content), tmp_path)
    with pysam.BGZFile(str(tmp_path / "damaged.bam"), "wb", None) as file:
        file.write(content.replace(b"@SQ\tSN:chr2", b"@SQ\tXN:chr2"))
    with pytest.raises(InputError, match="no readable BAM file"):
        analyse((tmp_path / "damaged.bam").read_bytes(), tmp_path)


@pytest.mark.parametrize(
    "tag", ["chr2;oops", "chr3,9,+,40S60M,60,0;", "chr2,0,+,40S60M,60,0;", "chr2,99999,+,40S60M,60,0;"]
)
def test_an_unreadable_tag_or_one_without_a_place_is_refused(tmp_path: Path, tag: str) -> None:
    with pytest.raises(InputError, match="tag SA"):
        analyse(bam_of([segment("r", 0, (1, 0), "40M60S", tag)], tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("contigs", "settings", "told"),
    [
        ({"chr1": 9, "VEC": 9}, {}, "no vector"),
        ({"chr1": 9, "VEC1": 9}, {"vector": ("VEC",)}, "did you mean 'VEC1'"),
        ({"VEC": 9}, {"vector": ("VEC",)}, "no chromosome"),
        ({"chr1": 9, "VEC": 9}, {"vector": ("VEC",), "ends": {"VEC": (1, 10)}}, "ends 1 to 10"),
        ({"chr1": 9, "VEC": 9}, {"vector": ("VEC",), "ends": {"V": (1, 9)}}, "'V'"),
        ({"chr1": 9, "VEC": 9}, {"vector": ("VEC",), "ltr": 5}, "LTR of 5"),
        ({"chr1": 249250621, "VEC": 9}, {"vector": ("VEC",)}, "chromosomes of GRCh37"),
        ({"run_2024-03-01": 9, "VEC": 9}, {"vector": ("VEC",)}, "named with a calendar date"),
    ],
)
def test_a_bam_that_does_not_fit_the_settings_is_refused(
    contigs: dict[str, int], settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        vectors_of(contigs, Junctions(**settings), "reads.bam", "hg38")


def test_row_order_changes_nothing(tmp_path: Path) -> None:
    trial = Trial(8)
    content = trial.bam(SHORT)
    found, _ = analyse(content, tmp_path)
    with pysam.AlignmentFile(str(tmp_path / "reads.bam")) as bam:
        reads, header = list(bam), bam.header
    with pysam.AlignmentFile(str(tmp_path / "turned.bam"), "wb", header=header) as file:
        for read in reads[::-1]:
            file.write(read)
    again, _ = analyse((tmp_path / "turned.bam").read_bytes(), tmp_path)
    assert sites_frame("s", again).equals(sites_frame("s", found))


def test_reads_with_a_clean_seam_tell_the_base(tmp_path: Path) -> None:
    # In the reads of two fragments a wrong base beside the seam costs the host its last two bases.
    reads = [
        segment("a", 0, (0, 4940), "60M40S", "VEC,1,+,60S40M,60,0;"),
        segment("a", 0x800, (1, 0), "60H40M", "chr2,4941,+,60M40S,60,0;"),
        *(
            segment(name, 0, (1, 0), f"{n + 2}S{98 - n}M", f"chr2,{4998 - n + 1},+,{n}M{100 - n}S,60,0;")
            for name, n in (("b", 40), ("c", 41))
        ),
    ]
    found, _ = analyse(bam_of(reads, tmp_path), tmp_path)
    assert counted(found) == {"chr2+5000": 3}
