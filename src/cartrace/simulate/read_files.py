"""What simulated reads of cells and of integration sites share: random bases, and the BAM file that holds reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cartrace.files import replacing

if TYPE_CHECKING:
    import pysam

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)


def random_letters(rng: np.random.Generator, n: int) -> str:
    """Return ``n`` bases drawn at random."""
    return BASES[rng.integers(4, size=n)].tobytes().decode()


def bam_header(lengths: Mapping[str, int]) -> pysam.AlignmentHeader:
    """Return the header of a sorted BAM file: contig -> bases."""
    import pysam

    return pysam.AlignmentHeader.from_dict(
        {
            "HD": {"VN": "1.6", "SO": "coordinate"},
            "SQ": [{"SN": name, "LN": length} for name, length in lengths.items()],
            "PG": [{"ID": "simulated", "PN": "cartrace"}],
        }
    )


def write_sorted(path: Path, header: pysam.AlignmentHeader, records: Iterable[pysam.AlignedSegment]) -> None:
    """Write alignments sorted by position, those without one last, with an index beside."""
    import pysam

    ordered = sorted(
        records,
        key=lambda s: (s.reference_id < 0, s.reference_id, s.reference_start, s.query_name or "", s.flag),
    )
    with replacing(path) as temporary:
        with pysam.AlignmentFile(str(temporary), "wb", header=header) as file:
            for segment in ordered:
                file.write(segment)
        with replacing(path.with_name(path.name + ".bai")) as temporary_index:
            pysam.index("-o", str(temporary_index), str(temporary))
