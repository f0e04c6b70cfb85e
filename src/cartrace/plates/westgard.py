"""Levey-Jennings charts of controls over plates, and the Westgard rules.

Source: Westgard et al. 1981 (Clin Chem 27:493). A point is judged only by plates
before it, and its verdict never changes when a later plate arrives:

* The centre and SD of a point come from the accepted plates before it, the first
  ``baseline_plates`` of them at most. Once so many are there the limits stand; until
  then they grow, and a point never enters its own centre. Under ``min_plates`` there is
  no verdict but a note.
* What was rejected by the acceptance rules is charted and judged, and sets no limits.
* A mean and SD of few plates are themselves uncertain: the deviation is referred to Student's t of
  n - 1 degrees of freedom with the variance of a new point, s^2 (1 + 1/n), and z is the normal
  deviate of the same probability. So 1_3s alarms on 0.27 % of good plates from the first
  judged one on; (value - centre) / SD would on 5 % of them with five plates. With many
  plates the two are the same.
* The rules over several points take consecutive plates, each with its own z; a point
  without z interrupts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from cartrace.tables import QC, Table, conform, rows

if TYPE_CHECKING:
    from cartrace.config import Westgard

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MEANING = {
    "1_2s": "more than 2 SD from the centre",
    "1_3s": "more than 3 SD from the centre",
    "2_2s": "two plates in a row more than 2 SD off on the same side",
    "R_4s": "two controls of one plate more than 4 SD apart",
    "4_1s": "four plates in a row more than 1 SD off on the same side",
    "10_x": "ten plates in a row on the same side of the centre",
}
"""Westgard rule -> what it says. 1_2s warns, every other fails."""
_RUNS = {"1_2s": (1, 2.0), "1_3s": (1, 3.0), "2_2s": (2, 2.0), "4_1s": (4, 1.0), "10_x": (10, 0.0)}
"""Rule -> points in a row, and SD that each of them must exceed on the same side."""
_LIMITS = {"limit_1s": 1.0, "limit_2s": 2.0, "limit_3s": 3.0}
_CHART = ["assay", "target", "control", "quantity"]


@dataclass(frozen=True, slots=True)
class Chart:
    """One control over its plates, (n,) arrays in the order of the plates."""

    n: NDArray[np.int64]
    centre: Floats
    sd: Floats
    z: Floats

    def limit(self, z: float) -> Floats:
        """Distance from the centre at which a value has the normal deviate ``z`` > 0."""
        deviate = -stdtrit(np.maximum(self.n - 1, 1), ndtr(-z))
        return np.asarray(deviate * _scale(self.sd, self.n))


def chart(values: Floats, accepted: Bools, westgard: Westgard) -> Chart:
    """Compute centre, SD and z of each point from the accepted points before it.

    Parameters
    ----------
    values : (n,) array
        In the order of the plates.
    accepted : (n,) array of bool
        Points that may set the limits.
    westgard
        How many plates set them.

    Returns
    -------
    Chart
        centre, sd (n - 1 in the denominator) and z are nan under ``min_plates``; z also
        where the SD is 0. z allows for the few plates that set the limits.
    """
    before = np.cumsum(accepted) - accepted
    n = np.minimum(before, westgard.baseline_plates).astype(np.int64)
    baseline = values[accepted]
    centre, sd = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for i in np.flatnonzero(n >= westgard.min_plates):
        centre[i], sd[i] = baseline[: n[i]].mean(), baseline[: n[i]].std(ddof=1)
    # Equal values have an SD of floating point noise: no yardstick.
    usable = sd > 1e-12 * np.maximum(np.abs(centre), 1.0)
    apart = (values - centre) / np.where(usable, _scale(sd, n), 1.0)
    # By the tail: a probability near 1 has no digits left for a deviate.
    tail = stdtr(np.maximum(n - 1, 1), -np.abs(apart))
    z = np.where(usable, -np.sign(apart) * ndtri(np.maximum(tail, np.finfo(float).tiny)), np.nan)
    return Chart(n, centre, sd, z)


def _scale(sd: Floats, n: NDArray[np.int64]) -> Floats:
    """Return the standard deviation of a new value about a mean of ``n``."""
    return np.asarray(sd * np.sqrt(1 + 1 / np.maximum(n, 1)))


def runs(z: Floats) -> dict[str, Bools]:
    """Say which points end a run that breaks a rule; all but R_4s.

    Parameters
    ----------
    z : (n,) array
        In the order of the plates; nan interrupts a run.
    """
    out: dict[str, Bools] = {}
    for rule, (length, limit) in _RUNS.items():
        broken = np.zeros(len(z), dtype=bool)
        for side in (z > limit, z < -limit):
            count = 0
            for i, hit in enumerate(side):
                count = count + 1 if hit else 0
                broken[i] |= count >= length
        out[rule] = broken
    return out


POINTS = ("plate", *_CHART, "value", "accepted")
"""Columns of the points that are charted; ``accepted``: may set the limits."""


def charts_of(
    points: pd.DataFrame, order: Sequence[str], westgard: Westgard, table: Table, limit_source: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Chart points over the plates and judge each of them.

    Parameters
    ----------
    points
        Columns of POINTS: the value of one quantity of one control on one plate.
    order
        The plates (file_id) in the order of the files sheet.
    westgard
        Baseline and rules.
    table
        Contract of the charts: columns as :func:`cartrace.plates.tables.controls_table`.
    limit_source
        Where qc says that the limits come from.

    Returns
    -------
    controls, qc : DataFrame
        ``table`` and the contract QC: a row of qc for each point that breaks a rule.
    """
    points = points.copy()
    points["order"] = points["plate"].map({plate: n for n, plate in enumerate(order, 1)})
    points = points.sort_values([*_CHART, "order", "value"], kind="stable", ignore_index=True)
    broken = pd.DataFrame(data=False, index=points.index, columns=[*MEANING])
    for name in ("n", "centre", "sd", "z", *_LIMITS):
        points[name] = np.nan
    for _, group in points.groupby(_CHART, sort=False):
        drawn = chart(group["value"].to_numpy(float), group["accepted"].to_numpy(bool), westgard)
        for name in ("n", "centre", "sd", "z"):
            points.loc[group.index, name] = getattr(drawn, name)
        for name, deviate in _LIMITS.items():
            points.loc[group.index, name] = drawn.limit(deviate)
        for rule, hit in runs(drawn.z).items():
            broken.loc[group.index, rule] = hit
    # Within one plate only, between its controls of one target.
    for _, group in points.groupby(["plate", "assay", "target", "quantity"], sort=False):
        z = group["z"].dropna()
        if len(z) > 1 and z.max() - z.min() > 4:
            broken.loc[[z.idxmax(), z.idxmin()], "R_4s"] = True
    broken = broken[[rule for rule in MEANING if rule in westgard.rules]]
    points["rules"] = [";".join(broken.columns[row]) or None for row in broken.to_numpy(bool)]
    failed = broken.drop(columns="1_2s", errors="ignore").any(axis=1)
    points["verdict"] = np.select(
        [points["z"].isna(), failed, broken.any(axis=1)], ["note", "fail", "warn"], "pass"
    )
    points["n"] = points["n"].astype("Int64")
    controls = conform(points.drop(columns="accepted"), table)
    return controls, _qc(points, limit_source)


def _qc(points: pd.DataFrame, limit_source: str) -> pd.DataFrame:
    return rows(
        [
            {
                "check": "control_chart",
                "verdict": row["verdict"],
                "source_file": row["plate"],
                "source_column": row["target"],
                "value": f"{row['quantity']} {row['value']:.4g} (z {row['z']:+.2f})",
                "limit": f"{row['centre']:.4g} +- {row['limit_2s']:.3g} (2 s) or {row['limit_3s']:.3g} (3 s), "
                f"from {row['n']} plates",
                "limit_source": f"Westgard 1981; {limit_source}",
                "message": f"{row['control']} ({row['target']}, {row['quantity']}) breaks "
                + " and ".join(f"{rule} ({MEANING[rule]})" for rule in row["rules"].split(";"))
                + ".",
            }
            for row in points[points["verdict"].isin(["warn", "fail"])].to_dict("records")
        ],
        QC,
    )
