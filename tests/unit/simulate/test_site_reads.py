"""Simulated reads across the ends of a vector: what was planted is what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pysam
import pytest

from cartrace.simulate.read_files import random_letters
from cartrace.simulate.site_reads import JunctionModel, PlantedSite, junction_bam


def reads(content: bytes, folder: Path) -> list[pysam.AlignedSegment]:
    (folder / "reads.bam").write_bytes(content)
    with pysam.AlignmentFile(str(folder / "reads.bam")) as bam:
        return list(bam)


def made(seed: int, site: PlantedSite, model: JunctionModel) -> tuple[bytes, str, str]:
    rng = np.random.default_rng(seed)
    host, vector = random_letters(rng, 2000), random_letters(rng, 900)
    return junction_bam(rng, [site], ("VEC", vector), {"chr1": host}, model)[0], host, vector


def test_the_host_and_the_vector_meet_where_the_site_says(tmp_path: Path) -> None:
    # Forward: the host's base 1000 follows the vector's last base; its five bases stand before the first one, too.
    site, model = PlantedSite("chr1", 1000, "+", 1, 1), JunctionModel(longest=60, read_length=150)
    content, host, vector = made(1, site, model)
    seen = {r.query_sequence for r in reads(content, tmp_path) if not r.is_supplementary and not r.is_reverse}
    seams = (host[1004 - 20 : 1004] + vector[:20], vector[-20:] + host[999:1019])
    assert all(any(seam in str(s) for s in seen) for seam in seams)


def test_alignments_agree_with_the_sequences(tmp_path: Path) -> None:
    site = PlantedSite("chr1", 1000, "-", 3, 3)
    content, host, vector = made(2, site, JunctionModel(longest=80))
    for read in reads(content, tmp_path):
        contig = host if read.reference_name == "chr1" else vector
        bases = str(read.query_alignment_sequence)
        assert bases == contig[read.reference_start : read.reference_end]
    names = {r.query_name for r in reads(content, tmp_path)}
    assert len(names) == site.fragments


def test_the_same_seed_gives_the_same_bytes() -> None:
    site, model = PlantedSite("chr1", 1000, "-", 2, 2), JunctionModel(error_rate=0.01, extra_copies=1)
    assert made(3, site, model)[0] == made(3, site, model)[0]


def test_a_site_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        made(4, PlantedSite("chr1", 10, "-", 0, 1), JunctionModel())
    with pytest.raises(ValueError, match="no room"):
        made(4, PlantedSite("chr1", 1000, "+", 5, 0), JunctionModel(shortest=30, longest=31))
