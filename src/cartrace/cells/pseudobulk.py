"""Pseudobulks: the counts of many cells of one subject as one sample, for both sides of a contrast.

Subjects are the replicates, never cells: cells of one subject are alike for reasons that no test of cells knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.settings import Expression


@dataclass(frozen=True, slots=True)
class Contrast:
    """Which cells of a subject are compared with which."""

    name: str
    first: tuple[str, str]
    """Kind of cells (car_positive, car_negative, b) and phase (product, before, peak, late, after)."""
    second: tuple[str, str]

    @property
    def of_cars(self) -> bool:
        """Whether CAR+ cells are compared with CAR- ones of the same libraries."""
        return self.first[0] != self.second[0]


CONTRASTS = (
    *(
        Contrast(f"car_positive_vs_negative_{phase}", ("car_positive", phase), ("car_negative", phase))
        for phase in ("product", "peak", "late")
    ),
    Contrast("car_peak_vs_product", ("car_positive", "peak"), ("car_positive", "product")),
    Contrast("car_late_vs_product", ("car_positive", "late"), ("car_positive", "product")),
    Contrast("car_late_vs_peak", ("car_positive", "late"), ("car_positive", "peak")),
    Contrast("b_after_vs_before", ("b", "after"), ("b", "before")),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Cells of one contrast.

    Attributes
    ----------
    contrast
        Which.
    subjects
        Subjects with both sides, in order.
    code
        (cells,) 2 x position of the subject, plus 1 on the second side; -1 for all other cells.
    libraries
        Libraries that the cells come from.
    left_out
        Subject -> why it is not among them.
    """

    contrast: Contrast
    subjects: tuple[str, ...]
    code: NDArray[np.int64]
    libraries: frozenset[str]
    left_out: dict[str, str]


def phases_of(
    obs: pd.DataFrame, settings: Expression, post_infusion_visits: str
) -> dict[str, NDArray[np.bool_]]:
    """Return which cells belong to which part of the course of the first infusion.

    Parameters
    ----------
    obs
        The contract OBS.
    post_infusion_visits
        Regular expression: a sample of study day 0 whose visit matches was taken after the infusion.
    """
    matrix = obs["matrix"].to_numpy(dtype=object)
    day, study_day = (obs[c].to_numpy(dtype=np.float64) for c in ("day", "study_day"))
    first = obs["infusion"].to_numpy(dtype=np.int64) == 1
    blood = first & np.isin(matrix, settings.matrices)
    visits = obs["visit"].fillna("")
    post = {v: bool(re.search(post_infusion_visits, v)) for v in visits.unique()}
    before = (study_day < 0) | ((study_day == 0) & ~visits.map(post).to_numpy(dtype=bool))
    inside = {
        name: blood & ~before & (day >= days[0]) & (day <= days[1])
        for name, days in (
            ("peak", settings.peak_days),
            ("late", settings.late_days),
            ("after", settings.after_days),
        )
    }
    return {"product": first & (matrix == "infusion_product"), "before": blood & before} | inside


def kinds_of(obs: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Return which cells are of which kind; only cells that count, of libraries that are not rejected."""
    counts = obs["counts"].to_numpy(dtype=bool) & (obs["library_verdict"] != "rejected").to_numpy(dtype=bool)
    lineage, call = (obs[c].to_numpy(dtype=object) for c in ("lineage", "call"))
    t = counts & (lineage == "t")
    return {
        "car_positive": t & (call == "positive"),
        "car_negative": t & (call == "negative"),
        "b": counts & np.isin(lineage, ["b", "plasma"]),
    }


def choose(obs: pd.DataFrame, settings: Expression, post_infusion_visits: str) -> list[Chosen]:
    """Choose the cells of every contrast."""
    phases, kinds = phases_of(obs, settings, post_infusion_visits), kinds_of(obs)
    library, subject, chemistry = (
        obs[c].to_numpy(dtype=object) for c in ("library", "subject_id", "chemistry")
    )
    chosen = []
    for contrast in CONTRASTS:
        sides = [kinds[kind] & phases[phase] for kind, phase in (contrast.first, contrast.second)]
        if contrast.of_cars:
            # A library of sorted CAR+ cells beside another one would compare libraries, not cells.
            both = {
                name
                for name in np.unique(library[sides[0]])
                if all((side & (library == name)).sum() >= settings.min_cells for side in sides)
            }
            sides = [side & np.isin(library, list(both)) for side in sides]
        chosen.append(
            _pair(contrast, sides, subject=subject, library=library, chemistry=chemistry, settings=settings)
        )
    return chosen


def _pair(
    contrast: Contrast,
    sides: Sequence[NDArray[np.bool_]],
    *,
    subject: NDArray[Any],
    library: NDArray[Any],
    chemistry: NDArray[Any],
    settings: Expression,
) -> Chosen:
    """Keep the subjects with both sides."""
    left_out: dict[str, str] = {}
    kept: list[str] = []
    for name in sorted(set(subject[sides[0] | sides[1]])):
        mine = [side & (subject == name) for side in sides]
        cells = [int(side.sum()) for side in mine]
        if min(cells) < settings.min_cells:
            left_out[name] = (
                f"{cells[0]} and {cells[1]} cells, and {settings.min_cells} are asked of each side"
            )
        elif set(chemistry[mine[0]]) != set(chemistry[mine[1]]):
            left_out[name] = "the two sides were read with different chemistries"
        else:
            kept.append(name)
    code = np.full(len(subject), -1, dtype=np.int64)
    for position, name in enumerate(kept):
        for second, side in enumerate(sides):
            code[side & (subject == name)] = 2 * position + second
    return Chosen(contrast, tuple(kept), code, frozenset(library[code >= 0]), left_out)


def sum_counts(
    blocks: Iterable[tuple[int, csr_array]], chosen: Sequence[Chosen], genes: int
) -> list[NDArray[np.int64]]:
    """Sum the counts of the cells of each contrast in one pass.

    Parameters
    ----------
    blocks
        Position of the first cell, and counts (cells x genes); all cells in order.

    Returns
    -------
    list of (2 x subjects, genes) arrays
        For each contrast: first and second side of each subject in turn.
    """
    from scipy.sparse import csr_array

    sums = [np.zeros((2 * len(c.subjects), genes), dtype=np.int64) for c in chosen]
    for start, block in blocks:
        for number, choice in enumerate(chosen):
            code = choice.code[start : start + block.shape[0]]
            (cells,) = np.nonzero(code >= 0)
            if len(cells):
                ones = np.ones(len(cells), dtype=np.float64)
                picks = csr_array((ones, (code[cells], cells)), shape=(len(sums[number]), block.shape[0]))
                sums[number] += (picks @ block).toarray().astype(np.int64)
    return sums


def left_out_rows(chosen: Sequence[Chosen]) -> Iterator[dict[str, object]]:
    """Tell subjects that have cells on one side only, or too few."""
    for choice in chosen:
        for subject, why in choice.left_out.items():
            yield {
                "check": "pseudobulk_left_out",
                "verdict": "note",
                "subject_id": subject,
                "value": choice.contrast.name,
                "limit_source": "cells.expression.min_cells",
                "message": f"{choice.contrast.name}: subject {subject} is left out: {why}",
            }
