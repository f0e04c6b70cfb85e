"""What is odd in the CAR reads of one library, as rows of qc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cartrace.problems import plain

if TYPE_CHECKING:
    from cartrace.cells.bam import Tally, Targets
    from cartrace.cells.refinement import Variant
    from cartrace.cells.settings import CarReads

_HARMLESS = {"synonymous", "outside the coding sequence"}


@dataclass(frozen=True, slots=True)
class ConstructReads:
    """One construct in one library."""

    construct: str
    in_product: bool
    reads: int
    """Of molecules that prove it."""
    molecules: int
    """That prove it, chimeras left out."""
    cells: int
    chimeric: int
    """Molecules left out as chimeras."""
    sense: int
    """Specific reads in the direction of the chemistry."""
    antisense: int
    support: float | None
    """Share of molecules that fit one construct only, which fit this one; None without such molecules."""
    distance: float | None
    """Median distance of reads from the end that the chemistry reads, bases."""

    @property
    def sense_percent(self) -> float | None:
        """Specific reads in the direction of the chemistry, %; None without reads."""
        total = self.sense + self.antisense
        return 100 * self.sense / total if total else None


class Findings:
    """Rows of qc of one library."""

    def __init__(self, library: str, chemistry: str, settings: CarReads) -> None:
        """Remember what the findings are about, and the limits."""
        self._library = library
        self._end = chemistry[0]
        self._settings = settings
        self.rows: list[dict[str, object]] = []

    def of_file(self, targets: Targets, tally: Tally, *, from_index: bool, no_umi: int, partial: int) -> None:
        """Tell what of the file could not be read, or had to be searched."""
        if not from_index:
            what = "no index beside the BAM file: all of it was read; 'samtools index' makes one"
            self._say("car_index", "warn", what)
        for remark in targets.remarks:
            self._say("car_loci", "note", remark)
        for gap in targets.gaps:
            self._say("car_loci", "warn", gap)
        if tally.no_cell or no_umi:
            self._say(
                "car_tags",
                "note",
                f"of {tally.fetched} reads {tally.no_cell} have no cell (CB) and {no_umi} no usable UMI: left out",
            )
        if partial:
            self._say(
                "car_partial",
                "note",
                f"{partial} reads fit a construct in part only, and nothing else: what is registered may be shorter than "
                "the transcript, or differ from it",
            )

    def of_constructs(self, summaries: Sequence[ConstructReads]) -> None:
        """Judge direction, profile and chimeras of each construct, and which one the molecules fit."""
        for s in summaries:
            self._direction(s)
            self._profile(s)
            self._chimeras(s)
        if not any(s.molecules for s in summaries):
            self._say("car_molecules", "note", "no molecule proves a registered construct")
        self._support(summaries)

    def of_variants(self, variants: Mapping[str, Sequence[tuple[Variant, str]]]) -> None:
        """Tell where the molecules differ from what is registered."""
        for construct, listed in variants.items():
            for v, what in listed:
                self._say(
                    "car_variant",
                    "note" if what in _HARMLESS else "warn",
                    f"{v.molecules} of {v.depth} molecules have {v.observed or 'nothing'} instead of "
                    f"{v.reference or 'nothing'} at position {v.position + 1} of {construct}: {what}",
                )

    def _say(self, check: str, verdict: str, message: str, **more: object) -> None:
        row = {"check": check, "verdict": verdict, "source_file": self._library}
        self.rows.append({**row, "message": plain(message, 500), **more})

    def _direction(self, s: ConstructReads) -> None:
        share, least = s.sense_percent, self._settings.min_sense_percent
        if share is None or share >= least:
            return
        self._say(
            "car_direction",
            "fail" if share < 50 else "warn",
            f"only {share:.1f} % of {s.sense + s.antisense} specific reads of {s.construct} run as those of a "
            f"{self._end}' library do; the others were left out; is the chemistry right?",
            value=f"{share:.1f} %",
            limit=f"at least {least:g} %",
            limit_source="cells.car_reads.min_sense_percent",
        )

    def _profile(self, s: ConstructReads) -> None:
        most = self._settings.max_median_distance
        if s.distance is None or s.distance <= most:
            return
        self._say(
            "car_profile",
            "warn",
            f"reads of {s.construct} lie at a median of {s.distance:.0f} bases from the {self._end}' end of the "
            "registered sequence; is the chemistry right, and does the sequence end where the transcript does?",
            value=f"{s.distance:.0f}",
            limit=f"at most {most}",
            limit_source="cells.car_reads.max_median_distance",
        )

    def _chimeras(self, s: ConstructReads) -> None:
        total, most = s.molecules + s.chimeric, self._settings.chimera_percent
        if not total or 100 * s.chimeric / total <= most:
            return
        self._say(
            "car_chimeras",
            "warn",
            f"{s.chimeric} of {total} molecules of {s.construct} are copies of another cell's: left out",
            value=f"{100 * s.chimeric / total:.1f} %",
            limit=f"at most {most:g} %",
            limit_source="cells.car_reads.chimera_percent",
        )

    def _support(self, summaries: Sequence[ConstructReads]) -> None:
        """Judge whether the molecules fit the product's constructs."""
        judged = [(s, s.support) for s in summaries if s.support is not None]
        total = sum(s.molecules for s in summaries)
        if len(summaries) < 2 or not judged or total < self._settings.min_support_molecules:
            return
        own = sum(share for s, share in judged if s.in_product)
        good = own >= self._settings.min_support
        product = ", ".join(s.construct for s in summaries if s.in_product) or "no construct"
        others = ", ".join(f"{s.construct} {100 * share:.1f} %" for s, share in judged if share)
        self._say(
            "car_construct",
            "pass" if good else "fail",
            f"{100 * own:.1f} % of the molecules that tell constructs apart fit {product}; all: {others}",
            value=f"{100 * own:.1f} %",
            limit=f"at least {100 * self._settings.min_support:g} %",
            limit_source="cells.car_reads.min_support",
            **({} if good else {"suggestion": "check sample, product and constructs"}),
        )
