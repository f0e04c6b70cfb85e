"""What one read proves: a CAR, an endogenous transcript, or neither.

Each read is aligned with minimap2 (mappy) to every registered construct and to the endogenous transcripts. What
counts is how many of its bases do not agree over its whole length: clipped ends are compared base by base, a gap
of up to 30 bases counts once, a longer one with all its bases. So a read from the middle of a shared domain fits
both alike, one across a junction fits the CAR only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cartrace.problems import InputError, Problem

if TYPE_CHECKING:
    from cartrace.cells.constructs import Domain
    from cartrace.cells.settings import CarReads

UNIQUE, JUNCTION, AMBIGUOUS, ENDOGENOUS = range(4)
"""What a read is; the first two prove the CAR."""

_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
_SPACER = "N" * 100
"""Between transcripts that are aligned to together; no read fits across it."""
_LONGEST_GAP = 30
_KEPT = 200_000
"""Distinct sequences whose answer is remembered: copies of a fragment need not be aligned again."""
_TOKENS = re.compile(r"(:\d+|\*[a-z]{2}|[+-][a-z]+)")
_TEMPLATE_SWITCH = ("AAGCAGTGGTATCAACGCAGAGTACATGGG", "TTTCTTATATGGG")
"""Template-switch oligos of 10x 3' and 5' kits (10x Genomics, library structures): they may begin a cDNA."""
_SEEN = 12
"""Last bases of such an oligo that are looked for, and length of a run of A that is a tail."""


class CarTarget(Protocol):
    """A construct: name, sequence, domains."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def sequence(self) -> str: ...  # noqa: D102
    @property
    def domains(self) -> tuple[Domain, ...]: ...  # noqa: D102


class Fit(NamedTuple):
    """How a read lies on a target."""

    target: int
    strand: int
    """1: the read as given, -1: its other strand."""
    start: int
    """First base on the target, from 0."""
    end: int
    errors: int
    """Bases that do not agree; one for a short gap."""
    overhang: int
    """Bases beyond the ends of the target."""
    differences: tuple[tuple[int, str, str], ...]
    """Position on the target (from 0), what stands there, what the read has; an empty text for a gap."""

    @property
    def cost(self) -> int:
        """Bases that the target does not explain."""
        return self.errors + self.overhang


class Match(NamedTuple):
    """A read against everything: the best constructs, equal ones together, and the best endogenous transcript."""

    cars: tuple[Fit, ...]
    endogenous: Fit | None
    length: int
    fitting: int
    """Places on constructs where the read fits, the best and others."""
    partial: bool
    """Whether a construct fits a part of the read, but not enough."""
    kind: int | None
    """What the read is by itself; see :meth:`Matcher.classify`."""


@dataclass(frozen=True, slots=True)
class _Target:
    """A construct prepared for matching."""

    sequence: str
    aligner: Any
    boundaries: tuple[int, ...]
    """First base of each domain, from 0, but the first."""
    own: tuple[int, ...]
    """Bases before each position that no endogenous transcript has."""


class Matcher:
    """Aligns reads to registered constructs and endogenous transcripts."""

    def __init__(
        self, constructs: Sequence[CarTarget], endogenous: Mapping[str, str], settings: CarReads
    ) -> None:
        """Index all sequences.

        Raises
        ------
        InputError
            When two constructs have one name, or one is shorter than a read's least part.
        """
        problems = [
            Problem(c.name, f"a construct of {len(c.sequence)} bases", f"at least {settings.min_aligned}")
            for c in constructs
            if len(c.sequence) < settings.min_aligned
        ]
        names = [c.name for c in constructs]
        problems += [
            Problem(n, "two constructs of this name", "one") for n in {n for n in names if names.count(n) > 1}
        ]
        if problems:
            raise InputError(problems)
        self.names = tuple(names)
        self._settings = settings
        self._known: dict[str, Match] = {}
        self._endogenous = _SPACER.join(s.upper() for s in endogenous.values())
        self._endogenous_aligner = _aligner(self._endogenous) if self._endogenous else None
        self._targets = tuple(self._prepared(c) for c in constructs)

    def match(self, sequence: str) -> Match:
        """Align a read, in whichever direction."""
        found = self._known.get(sequence)
        if found is None:
            found = self._best(sequence)
            if found.partial:
                # Bases of the library kit at its ends may be what does not fit.
                trimmed = trim(sequence)
                if settled := len(trimmed) < len(sequence) and self._best(trimmed):
                    found = settled
            if len(self._known) >= _KEPT:
                self._known.clear()
            if found.cars or found.endogenous:
                found = found._replace(kind=self.classify(found))
            self._known[sequence] = found
        return found

    def classify(self, match: Match, *, genome_mismatches: int = -1, places: int = 1) -> int | None:
        """Say what a read is, with what its place in the genome adds: UNIQUE, JUNCTION, AMBIGUOUS, ENDOGENOUS, or None.

        Parameters
        ----------
        match
            From :meth:`match`.
        genome_mismatches
            Bases that do not agree where the BAM's aligner put it outside the constructs; -1: nowhere.
        places
            Places in the BAM's genome that fit equally well. More than there are on the constructs means that the
            genome has the sequence as well.
        """
        settings = self._settings
        limit = int((1 - settings.min_identity) * match.length + 1e-9)
        cost = match.endogenous.cost if match.endogenous else match.length
        if 0 <= genome_mismatches < cost:
            cost = genome_mismatches
        natural = cost <= limit
        if not match.cars:
            return ENDOGENOUS if natural else None
        best = match.cars[0]
        if best.cost - cost >= settings.min_difference:
            return ENDOGENOUS
        if natural or cost - best.cost < settings.min_difference or places > match.fitting:
            return AMBIGUOUS
        return self._proof(best)

    def _proof(self, fit: Fit) -> int:
        """Say how a read proves the CAR: by bases of its own, or by joining two domains."""
        target, n = self._targets[fit.target], self._settings.min_flank
        if target.own[fit.end] - target.own[fit.start] >= n:
            return UNIQUE
        if any(fit.start + n <= b <= fit.end - n for b in target.boundaries):
            return JUNCTION
        return AMBIGUOUS

    def _best(self, sequence: str) -> Match:
        length = len(sequence)
        fits: list[Fit] = []
        partial = False
        fitting = 0
        for i, target in enumerate(self._targets):
            found = all_fits(target.aligner, target.sequence, sequence, i)
            good = [f for f in found if self._fits(f, length)]
            fits += good[:1]
            fitting += len(good)
            partial |= bool(found) and not good
        if not fits and not partial:
            return Match((), None, length, 0, False, None)
        endogenous = None
        if self._endogenous_aligner is not None:
            endogenous = next(iter(all_fits(self._endogenous_aligner, self._endogenous, sequence, -1)), None)
        least = min((f.cost for f in fits), default=0)
        cars = tuple(f for f in fits if f.cost == least)
        return Match(cars, endogenous, length, fitting, partial and not cars, None)

    def _fits(self, fit: Fit, length: int) -> bool:
        aligned = length - fit.overhang
        allowed = (1 - self._settings.min_identity) * aligned + 1e-9
        return aligned >= self._settings.min_aligned and fit.errors <= allowed

    def _prepared(self, construct: CarTarget) -> _Target:
        sequence = construct.sequence.upper()
        borders = {d.start - 1 for d in construct.domains} | {d.end for d in construct.domains}
        own = [0]
        for shared in self._shared(sequence):
            own.append(own[-1] + (not shared))
        return _Target(
            sequence,
            _aligner(sequence),
            tuple(sorted(b for b in borders if 0 < b < len(sequence))),
            tuple(own),
        )

    def _shared(self, sequence: str) -> list[bool]:
        """Say of each base of a construct whether an endogenous transcript has the stretch around it."""
        shared = [False] * len(sequence)
        if self._endogenous_aligner is None:
            return shared
        for hit in self._endogenous_aligner.map(sequence):
            if hit.strand > 0 and hit.mlen >= self._settings.min_identity * hit.blen:
                shared[hit.q_st : hit.q_en] = [True] * (hit.q_en - hit.q_st)
        return shared


def all_fits(aligner: Any, target: str, sequence: str, number: int) -> list[Fit]:
    """Return how ``sequence`` lies on ``target``, the best first; none when nothing is alike."""
    fits = [_fit(hit, target, sequence, number) for hit in aligner.map(sequence, cs=True)]
    return sorted(set(fits), key=lambda f: (f.cost, f.start, f.strand)) if len(fits) > 1 else fits


def relatives(constructs: Sequence[CarTarget], transcripts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return those (name, sequence) that have anything in common with a construct, one pass, one at a time.

    So a whole transcriptome may be given: reads of all others fit no construct anyway.
    """
    aligners = [_aligner(c.sequence.upper()) for c in constructs]
    return {
        name: sequence
        for name, sequence in transcripts
        if any(next(iter(a.map(sequence)), None) is not None for a in aligners)
    }


def trim(sequence: str) -> str:
    """Cut template-switch oligos and poly(A) tails off the ends of a read, in either direction."""
    turned = sequence.translate(_COMPLEMENT)[::-1]
    start = max(_kit_bases(sequence), 0)
    stop = len(sequence) - _kit_bases(turned)
    return sequence[start:stop] if stop > start else sequence


def _kit_bases(sequence: str) -> int:
    """Count bases of the kit that a read begins with: an oligo, or the complement of a tail."""
    longest = 0
    for oligo in _TEMPLATE_SWITCH:
        at = sequence.find(oligo[-_SEEN:], 0, len(oligo) + 5)
        if at >= 0:
            longest = max(longest, at + _SEEN)
    tail = len(sequence) - len(sequence.lstrip("T"))
    return max(longest, tail if tail >= _SEEN else 0)


def _aligner(sequence: str) -> Any:
    import mappy  # type: ignore[import-not-found, unused-ignore]

    # Shorter seeds than the preset for short reads: a read with four errors still has one.
    return mappy.Aligner(seq=sequence, preset="sr", k=15, w=5)


def _fit(hit: Any, target: str, sequence: str, number: int) -> Fit:
    """Count what does not agree, with the clipped ends compared base by base."""
    if not hit.NM and hit.q_en - hit.q_st == len(sequence):
        return Fit(number, hit.strand, hit.r_st, hit.r_en, 0, 0, ())
    oriented = sequence if hit.strand > 0 else sequence.translate(_COMPLEMENT)[::-1]
    before, after = hit.q_st, len(sequence) - hit.q_en
    if hit.strand < 0:
        before, after = after, before
    errors = 0
    differences: list[tuple[int, str, str]] = []
    at = hit.r_st
    for token in _TOKENS.findall(hit.cs) if hit.NM else ():
        kind, text = token[0], token[1:]
        if kind == ":":
            at += int(text)
        elif kind == "*":
            differences.append((at, text[0].upper(), text[1].upper()))
            errors += 1
            at += 1
        else:
            errors += 1 if len(text) <= _LONGEST_GAP else len(text)
            letters = text.upper()
            differences.append((at, letters, "") if kind == "-" else (at, "", letters))
            at += len(text) if kind == "-" else 0
    overhang = 0
    for i in range(before):
        position = hit.r_st - 1 - i
        letter = oriented[before - 1 - i]
        if position < 0:
            overhang += 1
        elif letter != target[position]:
            differences.append((position, target[position], letter))
            errors += 1
    for i in range(after):
        position = hit.r_en + i
        letter = oriented[len(oriented) - after + i]
        if position >= len(target):
            overhang += 1
        elif letter != target[position]:
            differences.append((position, target[position], letter))
            errors += 1
    start, end = max(hit.r_st - before, 0), min(hit.r_en + after, len(target))
    return Fit(number, hit.strand, start, end, errors, overhang, tuple(sorted(differences)))
