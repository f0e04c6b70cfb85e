"""Composition of samples: what share of which cells, and how many a uL, with exact intervals.

Libraries of one sample and sort are pooled: their cells are one draw from one specimen. What a library can't
tell (a share of all cells where T cells were sorted, any number where it failed) is a row with a reason.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from cartrace.cells.populations import (
    CAR_T,
    PARENTS_BY_SORT,
    POPULATIONS,
    UNASSIGNED,
    Population,
    count,
    division,
    masks_of,
)
from cartrace.cells.shares import Estimate, apart, counted_share, per_ul, pooled, product
from cartrace.cells.vocabulary import ASSAY
from cartrace.flow.absolute import COUNTED_IN
from cartrace.problems import plain

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.cells.settings import Composition

Row = Mapping[str, Any]
SAMPLE_COLUMNS = ("sample_id", "subject_id", "infusion", "day", "study_day", "matrix")
NAMES = {"cells": "all cells", "t": "T cells", "car_t": "CAR+ T cells", "b": "B cells"}
SORTED = {
    "t_cells": "T cells were sorted",
    "car_positive": "CAR+ cells were sorted",
    "b_cells": "B cells were sorted",
    "other": "cells were sorted",
}


@dataclass(frozen=True, slots=True)
class CountedLibrary:
    """One library: what it is and what was counted in it."""

    library_id: str
    sort: str
    verdict: str
    flags: frozenset[str]
    reason: str
    """Why it is rejected."""
    sha256: str
    lymphocytes_per_ul: float | None
    white_cells_per_ul: float | None
    counts: Mapping[tuple[str, str], int]
    fraction: Row
    """Row of CAR_FRACTIONS; empty when there is none."""


def counted_library(
    library: Row,
    types: pd.DataFrame,
    cars: pd.DataFrame,
    fraction: Row,
    *,
    lymphocytes_per_ul: float | None,
    white_cells_per_ul: float | None,
    settings: Composition,
) -> CountedLibrary:
    """Count the populations of one library.

    Parameters
    ----------
    library, fraction
        Its rows of LIBRARIES and CAR_FRACTIONS, None where a value is empty.
    types, cars
        The contracts TYPES and CARS of its cells.
    lymphocytes_per_ul, white_cells_per_ul
        Blood counts of the libraries sheet.
    settings
        What a lymphocyte count counts.
    """
    return CountedLibrary(
        library["library"],
        library["sort"],
        library["verdict"],
        _split(library["flags"]) if library["verdict"] == "flagged" else frozenset(),
        str(library["reason"] or "the library is rejected"),
        library["source_sha256"],
        lymphocytes_per_ul,
        white_cells_per_ul,
        count(masks_of(types, cars, settings.lymphocytes)),
        fraction,
    )


@dataclass(slots=True)
class Line:
    """One population of one pool of libraries, before it becomes a row."""

    pool: Pool
    population: Population
    k: float | None = None
    n: int | None = None
    share: Estimate | None = None
    concentration: Estimate | None = None
    flags: set[str] = field(default_factory=set)
    reason: str = ""
    """Why there is no share."""
    no_concentration: str = ""
    """Why there are no cells/uL."""
    analyte: str = ""
    count_analyte: str = ""

    @property
    def verdict(self) -> str:
        """Rejected: neither a share nor cells/uL can be told."""
        if self.share is None and self.concentration is None:
            return "rejected"
        return "flagged" if self.flags else "accepted"

    def row(self) -> dict[str, Any]:
        """Return the row of COMPOSITION."""
        share, per = self.share, self.concentration
        shown = (
            {}
            if share is None
            else {
                "percent": 100 * share.value,
                "lower": 100 * share.lower,
                "upper": 100 * share.upper,
                "lod": 100 * share.lod,
                "lloq": 100 * share.lloq,
                "detection": share.detection,
            }
        )
        if per is not None:
            shown |= {
                "cells_per_ul": per.value,
                "cells_per_ul_lower": per.lower,
                "cells_per_ul_upper": per.upper,
            }
        return {
            "library": self.pool.name,
            "sort": self.pool.sort,
            **{c: self.pool.sample[c] for c in SAMPLE_COLUMNS},
            "population": self.population.name,
            "parent": self.population.parent,
            "analyte": self.analyte or None,
            "count_analyte": self.count_analyte or None,
            "count": self.k,
            "total": self.n,
            "verdict": self.verdict,
            "flags": ";".join(sorted(self.flags)) or None,
            "reason": plain(self.reason, 400) or None,
            **shown,
        }


class Pool:
    """Libraries of one sample and sort, counted together."""

    def __init__(
        self, libraries: Sequence[CountedLibrary], sample: Row, settings: Composition, confidence: float
    ) -> None:
        """Sum the counts; a rejected library is a pool of its own.

        Parameters
        ----------
        libraries
            One or more, of one sample and sort.
        sample
            Row of SAMPLES.
        confidence
            Level of the intervals.
        """
        self.libraries, self.sample = libraries, sample
        self.settings, self.confidence = settings, confidence
        self.name = ";".join(lib.library_id for lib in libraries)
        self.sort = libraries[0].sort
        self.rejected = libraries[0].verdict == "rejected"
        self.flags = frozenset().union(*(lib.flags for lib in libraries))
        self.counts = {key: sum(lib.counts[key] for lib in libraries) for key in libraries[0].counts}
        self.fraction, self.no_fraction, self.fraction_flags = self._fraction()
        self.blood_count, self.no_blood_count = self._blood_count()

    @property
    def sha256(self) -> str:
        """Digest of the files of its libraries."""
        digests = [lib.sha256 for lib in self.libraries]
        return digests[0] if len(digests) == 1 else hashlib.sha256(";".join(digests).encode()).hexdigest()

    def lines(self) -> list[Line]:
        """Return a line for every population."""
        return [self._line(p) for p in POPULATIONS]

    def _line(self, population: Population) -> Line:
        line = Line(self, population)
        if self.rejected:
            line.reason = line.no_concentration = self.libraries[0].reason
            return line
        line.flags |= self.flags
        line.n = self.counts[population.parent, population.parent]
        if population == CAR_T:
            self._car_share(line)
        else:
            line.k = self.counts[population.name, population.parent]
            self._counted_share(line)
        if population.absolute:
            self._concentration(line)
        if population.parent == "car_t" and line.share is not None:
            self._undetermined(line)
        self._unassigned(line)
        return line

    def _told(self, parent: str) -> str:
        """Say why this pool tells no share of ``parent``; empty when it does."""
        if parent not in PARENTS_BY_SORT[self.sort]:
            return f"{SORTED[self.sort]}: no share of {NAMES[parent]} can be told"
        if parent == "car_t":
            if self.fraction is None:
                return f"CAR+ cells are not known: {self.no_fraction}"
            if self.fraction.detection == "BLD":
                return "CAR+ T cells are not detected"
        n = self.counts[parent, parent]
        least = self.settings.min_parent_cells
        return "" if n >= least else f"{n} {NAMES[parent]}, fewer than {least}"

    def _counted_share(self, line: Line) -> None:
        line.reason = self._told(line.population.parent)
        if not line.reason:
            assert line.k is not None
            assert line.n is not None
            line.share = counted_share(int(line.k), line.n, self.settings, self.confidence)

    def _car_share(self, line: Line) -> None:
        if "t" not in PARENTS_BY_SORT[self.sort]:
            line.reason = self._told("t")
            return
        line.share, line.reason = self.fraction, self.no_fraction
        line.flags |= self.fraction_flags
        if self.fraction is not None and line.n is not None:
            line.k = None if math.isnan(self.fraction.value) else self.fraction.value * line.n

    def _fraction(self) -> tuple[Estimate | None, str, frozenset[str]]:
        """Return the CAR+ share of T cells, why there is none, and its flags."""
        told, weights, reasons = [], [], []
        flags: set[str] = set()
        for library in self.libraries:
            row = library.fraction
            if not row or row["detection"] is None or row["verdict"] == "rejected":
                reasons.append(str((row and row["reason"]) or "no CAR calls"))
                continue
            if row["verdict"] == "flagged":
                flags |= _split(row["flags"])
            told.append(self._modelled(row))
            weights.append(float(row["t_cells"]))
        if not told:
            return None, "; ".join(dict.fromkeys(reasons)), frozenset()
        return pooled(told, weights), "", frozenset(flags)

    def _modelled(self, row: Row) -> Estimate:
        """Return the share of a row of CAR_FRACTIONS; one of too few cells is not quantified."""
        value, lower, upper, lod = (
            math.nan if row[c] is None else row[c] / 100 for c in ("fraction", "lower", "upper", "lod")
        )
        lloq = min(max(self.settings.min_cells_lloq / max(row["t_cells"], 1), lod), 1.0)
        detection = row["detection"]
        if detection == "quantified" and value < lloq:
            detection = "BLQ"
        return Estimate(value, lower, upper, lod, lloq, detection)

    def _blood_count(self) -> tuple[float | None, str]:
        """Return lymphocytes/uL of the sample, or why they say nothing here."""
        if self.sort != "none":
            return None, f"{SORTED[self.sort]}: cells/uL can't be told"
        if self.sample["matrix"] not in COUNTED_IN:
            return None, f"a blood count says nothing of {self.sample['matrix']}"
        known = {c for lib in self.libraries if (c := lib.lymphocytes_per_ul) is not None}
        if len(known) > 1:
            return None, "the libraries of the sample have different counts of lymphocytes"
        if not known:
            if any(lib.white_cells_per_ul is not None for lib in self.libraries):
                return None, (
                    "a count of white cells includes granulocytes, which the library lacks; lymphocytes_per_ul is needed"
                )
            return None, "the libraries sheet gives no count of lymphocytes"
        (cells,) = known
        if cells == 0:
            # A rounded count: as a factor it would make every population certainly absent.
            return None, "the count of lymphocytes is 0"
        n = self.counts["lymphocytes", "lymphocytes"]
        if n < self.settings.min_parent_cells:
            return None, f"{n} lymphocytes, fewer than {self.settings.min_parent_cells}"
        return cells, ""

    def _concentration(self, line: Line) -> None:
        line.no_concentration = self.no_blood_count
        if self.blood_count is None:
            return
        name, parent = line.population.name, line.population.parent
        if name == "car_t" or parent == "car_t":
            if self.fraction is None:
                line.no_concentration = self.no_fraction
                return
            made = product(self._of_lymphocytes("t", "cells"), self.fraction)
            if parent == "car_t":
                made = self._part_of_cars(made, line)
            line.concentration = made
        else:
            line.concentration = self._of_lymphocytes(name, parent)

    def _of_lymphocytes(self, name: str, parent: str) -> Estimate:
        assert self.blood_count is not None
        k, n = self.counts[name, parent], self.counts["lymphocytes", "lymphocytes"]
        inside = k == self.counts[name, "lymphocytes"]
        return per_ul(
            k,
            n,
            inside=inside,
            cells_per_ul=self.blood_count,
            settings=self.settings,
            confidence=self.confidence,
        )

    def _part_of_cars(self, cars: Estimate, line: Line) -> Estimate:
        """Return cells/uL of a part of CAR+ T cells: where its share is not known, up to all of them."""
        if line.share is not None:
            return product(cars, line.share)
        return Estimate(
            math.nan,
            0.0,
            cars.bounds[1],
            cars.lod,
            cars.lloq,
            cars.detection if cars.detection == "BLD" else "BLQ",
        )

    def _undetermined(self, line: Line) -> None:
        if self.counts["undetermined_t", "undetermined_t"] > self.counts["car_t", "car_t"]:
            line.flags.add("undetermined_cells")

    def _unassigned(self, line: Line) -> None:
        """Flag parts of a parent of which many cells are not known."""
        unknown = UNASSIGNED.get(division(line.population))
        if unknown is None or line.share is None or line.population in {CAR_T} or not line.n:
            return
        percent = 100 * self.counts[unknown, line.population.parent] / line.n
        if percent > self.settings.max_unassigned_percent:
            line.flags.add("unassigned_cells")


def pools_of(
    libraries: Sequence[CountedLibrary], samples: Mapping[str, Row], settings: Composition, confidence: float
) -> list[Pool]:
    """Pool the libraries of one sample and sort; rejected ones stay alone. In order of the libraries.

    Parameters
    ----------
    samples
        library_id -> row of SAMPLES.
    """
    groups: dict[tuple[str, ...], list[CountedLibrary]] = defaultdict(list)
    for library in libraries:
        sample = samples[library.library_id]
        alone = library.library_id if library.verdict == "rejected" else ""
        groups[sample["sample_id"], library.sort, alone].append(library)
    return [Pool(g, samples[g[0].library_id], settings, confidence) for g in groups.values()]


def composition(pools: Sequence[Pool]) -> list[Line]:
    """Return the lines of all pools, and say which of several sorts of a sample goes into measurements.

    A sample has one number for each share: of the pool with most cells of the parent.
    """
    lines = [line for pool in pools for line in pool.lines()]
    by_share: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        line.count_analyte = line.population.count_analyte if line.concentration is not None else ""
        if line.share is not None:
            key = (line.pool.sample["sample_id"], line.population.parent, line.population.name)
            by_share[key].append(line)
    for same in by_share.values():
        best = max(same, key=lambda line: (line.n or 0, line.pool.sort == "none"))
        best.analyte = best.population.analyte
        for other in same:
            if other is not best and other.population.analyte:
                other.reason = f"{best.pool.name} of the same sample has more {NAMES[best.population.parent]}"
    return lines


def contradictions(pools: Sequence[Pool], lines: Sequence[Line]) -> Iterator[dict[str, object]]:
    """Tell libraries of one sample whose shares contradict each other, and flag their numbers.

    One finding for each pair of libraries, with the population that is furthest apart; of different sorts
    only shares are compared that both tell.
    """
    by_sample: dict[str, list[CountedLibrary]] = defaultdict(list)
    for pool in pools:
        if not pool.rejected:
            by_sample[pool.sample["sample_id"]] += pool.libraries
    for sample, libraries in by_sample.items():
        for a, b in combinations(libraries, 2):
            parents = PARENTS_BY_SORT[a.sort] & PARENTS_BY_SORT[b.sort]
            pool = next(p for p in pools if a in p.libraries)
            worst = _furthest(a, b, parents, pool)
            if worst is None:
                continue
            (first, second), population = worst
            for line in lines:
                mine = a in line.pool.libraries or b in line.pool.libraries
                if mine and line.population.parent in parents and line.share is not None:
                    line.flags.add("libraries_apart")
            yield {
                "check": "libraries_apart",
                "verdict": "warn",
                "source_file": a.library_id,
                "source_column": f"{population.name} of {population.parent}",
                "sample_id": sample,
                "value": b.library_id,
                "limit": f"odds less than {pool.settings.apart_odds:g} times apart",
                "limit_source": "cells.composition.apart_odds",
                "message": f"{population.name}: {first[0]} of {first[1]} {NAMES[population.parent]} in {a.library_id}, "
                f"{second[0]} of {second[1]} in {b.library_id}, both of sample {sample}",
                "suggestion": "perhaps one of the two is of another sample, or failed",
            }


def _furthest(
    a: CountedLibrary, b: CountedLibrary, parents: frozenset[str], pool: Pool
) -> tuple[tuple[tuple[int, int], tuple[int, int]], Population] | None:
    worst = None
    most = 0.0
    for population in POPULATIONS:
        # How many cells are called positive rests on depth: the model's share is compared nowhere.
        if population.parent not in parents or population == CAR_T:
            continue
        pairs = [
            (lib.counts[population.name, population.parent], lib.counts[population.parent, population.parent])
            for lib in (a, b)
        ]
        if min(n for _, n in pairs) < pool.settings.min_parent_cells:
            continue
        if not apart(pairs[0], pairs[1], pool.settings.apart_odds, pool.confidence):
            continue
        far = abs(math.log(_odds(*pairs[0]) / _odds(*pairs[1])))
        if far > most:
            most, worst = far, ((pairs[0], pairs[1]), population)
    return worst


def _odds(k: int, n: int) -> float:
    return (k + 0.5) / (n - k + 0.5)


def results_of(lines: Sequence[Line]) -> Iterator[dict[str, object]]:
    """Make one row of RESULTS for each share and each cells/uL that has an analyte."""
    for line in lines:
        for unit, analyte, estimate in (
            ("%", line.analyte, line.share.scaled(100) if line.share else None),
            ("cells/uL", line.count_analyte, line.concentration),
        ):
            if not analyte or estimate is None:
                continue
            quantified = estimate.detection == "quantified"
            lower, upper = estimate.bounds
            most = 100.0 if unit == "%" else math.inf
            yield {
                "sample_id": line.pool.sample["sample_id"],
                "matrix": line.pool.sample["matrix"],
                "analyte": analyte,
                "assay": ASSAY,
                "value": estimate.value if quantified else None,
                "unit": unit,
                "detection": estimate.detection,
                "censoring": "none" if quantified else "left",
                "lower": lower,
                "upper": min(upper, most),
                "lod": estimate.lod,
                "lloq": estimate.lloq,
                "n_replicates": len(line.pool.libraries),
                "status": line.verdict,
                "flags": ";".join(sorted(line.flags)) or None,
                "source_file": line.pool.name,
                "source_row": 1,
                "source_column": f"{line.population.name} of {line.population.parent}",
                "source_sha256": line.pool.sha256,
            }


def reasons_of(lines: Sequence[Line]) -> Iterator[dict[str, object]]:
    """Tell what has no number: one finding for each pool and reason, with all populations that it concerns."""
    told: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.population.analyte and line.share is None:
            told[line.pool.name, "%", line.reason].append(line)
        if line.population.count_analyte and line.concentration is None:
            told[line.pool.name, "cells/uL", line.no_concentration].append(line)
    for (name, unit, reason), about in told.items():
        pool = about[0].pool
        yield {
            "check": "library_rejected" if pool.rejected else "share_not_estimable",
            "verdict": "fail" if pool.rejected else "note",
            "source_file": name,
            "source_column": ", ".join(f"{x.population.name} of {x.population.parent}" for x in about),
            "sample_id": pool.sample["sample_id"],
            "value": unit,
            "message": f"no result in {unit}: {plain(reason, 400)}",
        }
    for name, words in _WORDS.items():
        flagged: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            if name in line.flags and line.population.analyte:
                flagged[line.pool.name].append(line)
        for pool_name, about in flagged.items():
            parents = " and ".join(dict.fromkeys(NAMES[x.population.parent] for x in about))
            yield {
                "check": name,
                "verdict": "warn",
                "source_file": pool_name,
                "source_column": ", ".join(f"{x.population.name} of {x.population.parent}" for x in about),
                "sample_id": about[0].pool.sample["sample_id"],
                "message": words.format(parents),
            }


_WORDS = {
    "unassigned_cells": "many {} have no type or state; the shares of their parts are too low by up to so many",
    "undetermined_cells": "of more T cells it is undetermined than certain that they carry the CAR; parts of {} are those of "
    "the certain ones, which have more UMIs",
}


def _split(flags: object) -> frozenset[str]:
    return frozenset(str(flags or "").split(";")) - {""}
