"""Ambiguity map: which reads of a construct can be told from reads of endogenous transcripts.

Every read that the construct could give (one for each start position) is aligned to the endogenous transcripts on
their sense strand; the best identity over the whole read decides. Unaligned ends count as differences.

- ``discriminative``: below the limit (0.95) with every endogenous transcript; proves the CAR.
- ``ambiguous``: at or above it, but not letter by letter; a sequencing error can turn one into the other.
- ``endogenous_like``: the same letters stand in an endogenous transcript; proves nothing.

Where reads start differs by chemistry. A fragment of a 10x library has one end at an end of the transcript: at its
5' end (5p) or at its polyadenylation site (3p). The cDNA read is the other end of the fragment, so that it lies
within a fragment's length of that end of the transcript. Fragment lengths are log-normal. In a paired 5' library
the first read begins at the 5' end itself, which the model does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cartrace.cells.vocabulary import REGION_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from cartrace.cells.constructs import Construct
    from cartrace.cells.endogenous import Transcript
    from cartrace.cells.settings import Reference

_CODE = np.full(256, 255, dtype=np.uint8)
for _i, _base in enumerate(b"ACGT"):
    _CODE[_base] = _i


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """What reads of one construct tell; index 0 is the read that starts at position 1."""

    construct: str
    length: int
    """Bases of the construct."""
    read_length: int
    identity: NDArray[np.float64]
    """(n_starts,) best identity with an endogenous transcript, 0 to 1; 0: none."""
    gene: tuple[str, ...]
    """(n_starts,) gene of that transcript; empty: none."""
    classes: NDArray[np.int8]
    """(n_starts,) index into REGION_CLASSES."""

    @property
    def share(self) -> float:
        """Share of start positions whose read can't be told from endogenous ones, 0 to 1."""
        return float((self.classes > 0).mean())

    @property
    def identical_share(self) -> float:
        """Share of start positions whose read stands letter by letter in an endogenous transcript."""
        return float((self.classes == 2).mean())

    @property
    def mappability(self) -> NDArray[np.float64]:
        """(length,) share of the reads over each position that prove the CAR, 0 to 1."""
        good = _covered(self.classes == 0, self.read_length, self.length)
        every = _covered(np.ones(len(self.classes), bool), self.read_length, self.length)
        return np.asarray(good / np.maximum(every, 1))

    @property
    def provable(self) -> NDArray[np.bool_]:
        """(length,) positions that lie in at least one read that proves the CAR."""
        return np.asarray(_covered(self.classes == 0, self.read_length, self.length) > 0)

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Give (start, end) of runs of start positions of one class and gene, from 0, end left out."""
        keys = [(int(c), g if c else "") for c, g in zip(self.classes, self.gene, strict=True)]
        start = 0
        for i in range(1, len(keys) + 1):
            if i == len(keys) or keys[i] != keys[start]:
                yield start, i
                start = i


def map_ambiguity(construct: Construct, transcripts: Iterable[Transcript], settings: Reference) -> Ambiguity:
    """Compare every read of the construct with the endogenous transcripts.

    ``transcripts`` may be a whole transcriptome: it is read once, and only those that share a word with the
    construct are kept. The word is so short that every read within the limit of identity has one: with at most m
    differences in L letters, one stretch of L // (m + 1) letters is without any.
    """
    import mappy  # type: ignore[import-not-found, unused-ignore]

    length = min(settings.read_length, len(construct.sequence))
    n = len(construct.sequence) - length + 1
    word = _word(length, settings.identity)
    best = np.zeros(n)
    gene = [""] * n
    reads = [construct.sequence[i : i + length] for i in range(n)]
    for transcript in sharing(construct.sequence, transcripts, word):
        aligner = mappy.Aligner(
            seq=transcript.sequence, preset="sr", k=word, w=1, min_cnt=1, min_chain_score=word, best_n=20
        )
        for i, read in enumerate(reads):
            for hit in aligner.map(read):
                identity = hit.mlen / max(length, hit.blen)
                if hit.strand == 1 and identity > best[i]:
                    best[i], gene[i] = identity, transcript.gene
    classes = np.where(best >= 1, 2, np.where(best >= settings.identity, 1, 0)).astype(np.int8)
    return Ambiguity(construct.name, len(construct.sequence), length, best, tuple(gene), classes)


def sharing(sequence: str, transcripts: Iterable[Transcript], word: int) -> Iterator[Transcript]:
    """Give the transcripts that share a word of ``word`` letters with ``sequence`` on the same strand."""
    own = np.unique(_words(sequence, word))
    for transcript in transcripts:
        if np.isin(_words(transcript.sequence, word), own).any():
            yield transcript


def regions(ambiguity: Ambiguity, construct: Construct, settings: Reference, chemistry: str) -> pd.DataFrame:
    """Return rows of the table REGIONS: stretches of start positions of one class and gene."""
    weights = start_weights(ambiguity.length, ambiguity.read_length, chemistry, settings)
    mappability = ambiguity.mappability
    rows = []
    for start, end in ambiguity.stretches():
        one = slice(start, end)
        covered = construct.domains_at(start + 1, end)
        rows.append(
            {
                "construct": construct.name,
                "chemistry": chemistry,
                "start": start + 1,
                "end": end,
                "class": REGION_CLASSES[ambiguity.classes[start]],
                "domain": "; ".join(dict.fromkeys(d.name for d in covered)) or None,
                "gene": ambiguity.gene[start] or None if ambiguity.classes[start] else None,
                "identity": float(ambiguity.identity[one].max()) if ambiguity.classes[start] else None,
                "mappability": float(mappability[one].mean()),
                "reads_percent": float(100 * weights[one].sum()),
            }
        )
    return pd.DataFrame(rows)


def start_weights(length: int, read_length: int, chemistry: str, settings: Reference) -> NDArray[np.float64]:
    """Return where the reads of a transcript of ``length`` bases start: (n_starts,), sums to 1."""
    from math import log

    starts = np.arange(length - read_length + 1)
    # Length of the fragment whose far end gives this read.
    fragment = (starts + read_length if chemistry == "5p" else length - starts).astype(float)
    z = (np.log(fragment) - log(settings.fragment_median)) / settings.fragment_spread
    weights = np.exp(-0.5 * z**2) / fragment
    return np.asarray(weights / weights.sum())


def bed_text(ambiguity: Ambiguity, record: str) -> str:
    """Write the stretches as BED 6 on the FASTA record; the score is 1000 x mean mappability."""
    mappability = ambiguity.mappability
    lines = []
    for start, end in ambiguity.stretches():
        name = REGION_CLASSES[ambiguity.classes[start]]
        gene = ambiguity.gene[start] if ambiguity.classes[start] else ""
        score = round(1000 * float(mappability[start:end].mean()))
        lines.append(f"{record}\t{start}\t{end}\t{name}{':' + gene if gene else ''}\t{score}\t+\n")
    return "".join(lines)


def findings(
    ambiguity: Ambiguity, settings: Reference, chemistries: Sequence[str]
) -> list[dict[str, object]]:
    """Return rows of qc: how much of the construct proves nothing, and with which genes."""
    genes: dict[str, int] = {}
    for g, c in zip(ambiguity.gene, ambiguity.classes, strict=True):
        if c:
            genes[g] = genes.get(g, 0) + 1
    percent = 100 * ambiguity.share
    named = ", ".join(f"{g} {n}" for g, n in sorted(genes.items(), key=lambda x: -x[1])[:10])
    message = (
        f"{percent:.0f} % of {ambiguity.read_length} bp reads of the construct can't be told from endogenous ones "
        f"({100 * ambiguity.identical_share:.0f} % letter by letter)" + (f": {named}" if named else "")
    )
    rows: list[dict[str, object]] = [
        {
            "check": "construct_ambiguity",
            "verdict": "note" if ambiguity.share < 1 else "fail",
            "source_file": ambiguity.construct,
            "value": f"{percent:.1f}",
            "message": message,
        }
    ]
    for chemistry in chemistries:
        weights = start_weights(ambiguity.length, ambiguity.read_length, chemistry, settings)
        told = 100 * float(weights[ambiguity.classes == 0].sum())
        rows.append(
            {
                "check": "construct_provable_reads",
                "verdict": "note" if told >= settings.least_provable_percent else "warn",
                "source_file": ambiguity.construct,
                "value": f"{told:.1f}",
                "limit": f"{settings.least_provable_percent:g}",
                "message": f"{told:.0f} % of the reads of {_END[chemistry]} libraries prove the CAR, where reads lie "
                "as the model of fragments says and the sequence is the whole transcript",
            }
        )
    return rows


_END = {"5p": "5'", "3p": "3'"}


def _word(length: int, identity: float) -> int:
    differences = int(length * (1 - identity) + 1e-9)
    return int(np.clip(length // (differences + 1), 8, 15))


def _words(sequence: str, size: int) -> NDArray[np.uint32]:
    """Return each word of ``size`` (at most 16) letters as a number; words with other letters than ACGT are left out."""
    codes = _CODE[np.frombuffer(sequence.encode("ascii", "replace"), dtype=np.uint8)]
    n = len(codes) - size + 1
    if n <= 0:
        return np.empty(0, dtype=np.uint32)
    words = np.zeros(n, dtype=np.uint32)
    for i in range(size):
        words = (words << np.uint32(2)) | codes[i : i + n].astype(np.uint32) & np.uint32(3)
    strange = np.concatenate([[0], np.cumsum(codes == 255)])
    return np.asarray(words[strange[size:] == strange[:-size]])


def _covered(starts: NDArray[np.bool_], read_length: int, length: int) -> NDArray[np.int64]:
    """Count the marked reads over each position."""
    steps = np.zeros(length + 1, dtype=np.int64)
    steps[: len(starts)] += starts
    steps[read_length : read_length + len(starts)] -= starts
    return np.asarray(np.cumsum(steps[:length]))
