"""All kinetic metrics of all courses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cartrace.kinetics import expansion, nca, persistence
from cartrace.kinetics.profiles import Profiles, build_profiles
from cartrace.kinetics.rows import Result, assemble
from cartrace.tables import METRICS, conform

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Kinetics
    from cartrace.kinetics.profiles import Bools

MRNA = "mRNA product: no integrated transgene"


def compute_metrics(
    measurements: pd.DataFrame, infusions: pd.DataFrame | None, kinetics: Kinetics
) -> pd.DataFrame:
    """Compute every kinetic metric of every course.

    Parameters
    ----------
    measurements
        Table in the contract of ``cartrace.tables.MEASUREMENTS``.
    infusions
        Table in the contract of ``cartrace.tables.INFUSIONS``, or None. Transgene
        courses of an infusion whose vector is mrna are not estimable: nothing is
        integrated, so DNA copies don't count the cells.
    kinetics
        Settings.

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.tables.METRICS``: one row for each course and
        metric, in the order of the course key, whatever can be computed or not.
    """
    profiles = build_profiles(measurements, kinetics)
    rows: list[Result] = [
        *nca.results(profiles, kinetics),
        *persistence.results(profiles, kinetics),
        *expansion.results(profiles, kinetics),
    ]
    mrna = _without_transgene(profiles, infusions)
    for result in rows:
        _overrule(result, mrna)
    return conform(assemble(profiles, rows), METRICS)


def _without_transgene(profiles: Profiles, infusions: pd.DataFrame | None) -> Bools:
    """(n,) courses of the transgene after an mRNA product."""
    if infusions is None or not len(profiles):
        return np.zeros(len(profiles), dtype=bool)
    vectors = infusions.loc[:, ["subject_id", "infusion", "vector"]]
    joined = profiles.keys.merge(vectors, on=["subject_id", "infusion"], how="left")
    mrna = (joined["vector"] == "mrna").fillna(value=False).to_numpy(dtype=bool)
    return np.asarray(mrna & (joined["analyte"] == "transgene").to_numpy(dtype=bool))


def _overrule(result: Result, where: Bools) -> None:
    result.reason[where] = None
    result.status[where] = 0
    result.refuse(where, MRNA)
