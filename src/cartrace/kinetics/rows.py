"""Rows of the metrics table, put together column by column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.metrics import find, unit_of
from cartrace.vocabulary import METRIC_STATUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartrace.kinetics.profiles import Bools, Floats

ESTIMATED, LEFT, RIGHT, INTERVAL, NOT_ESTIMABLE = range(5)
"""Positions in ``cartrace.tables.METRIC_STATUSES``."""

Texts = npt.NDArray[np.object_]


class Keyed(Protocol):
    """n courses, whatever their arrays look like; ``keys`` has the columns of ``PROFILE_KEY``."""

    @property
    def keys(self) -> pd.DataFrame:
        """The n rows that name the courses."""
        ...

    def __len__(self) -> int:
        """Return n."""
        ...


@dataclass(slots=True)
class Result:
    """One metric of n courses, as arrays of length n.

    It starts as estimated everywhere; ``refuse`` and ``censor`` take courses out.
    A course that was refused keeps its first reason.
    """

    metric: str
    value: Floats
    method: str | Texts = ""
    n_points: Floats | None = None
    window_start: Floats | None = None
    window_end: Floats | None = None
    lower: Floats = field(init=False)
    upper: Floats = field(init=False)
    status: npt.NDArray[np.int8] = field(init=False)
    reason: Texts = field(init=False)

    def __post_init__(self) -> None:
        """Fill in the state of an estimate without limits or remark."""
        n = len(self.value)
        self.value = np.array(self.value, dtype=np.float64)
        self.lower = np.full(n, np.nan)
        self.upper = np.full(n, np.nan)
        self.status = np.full(n, ESTIMATED, dtype=np.int8)
        self.reason = np.full(n, None, dtype=object)

    @property
    def estimated(self) -> Bools:
        """(n,) where the value is a point estimate."""
        return np.asarray(self.status == ESTIMATED)

    @property
    def refused(self) -> Bools:
        """(n,) where it is not estimable."""
        return np.asarray(self.status == NOT_ESTIMABLE)

    def refuse(self, where: Bools, reason: str | Texts) -> Result:
        """Make courses not estimable; ``reason`` is one text, or one for each course."""
        new = where & ~self.refused
        self.status[new] = NOT_ESTIMABLE
        for bound in (self.value, self.lower, self.upper):
            bound[new] = np.nan
        self._say(new, reason)
        return self

    def censor(
        self,
        where: Bools,
        status: int,
        reason: str | Texts,
        lower: Floats | None = None,
        upper: Floats | None = None,
    ) -> Result:
        """Make courses censored, with the bounds that are known."""
        new = where & ~self.refused
        self.status[new] = status
        if lower is not None:
            self.lower[new] = lower[new]
        if upper is not None:
            self.upper[new] = upper[new]
        self._say(new, reason)
        return self

    def remark(self, where: Bools, reason: str | Texts) -> Result:
        """Add a remark to estimates that have none."""
        self._say(where & ~self.refused & ~given(self.reason), reason)
        return self

    def _say(self, where: Bools, reason: str | Texts) -> None:
        self.reason[where] = reason if isinstance(reason, str) else reason[where]


def given(words: Texts) -> Bools:
    """(n,) where there is a text."""
    return np.asarray(~pd.isna(words))


def texts(where: Bools, template: str, *numbers: Floats) -> Texts:
    """Fill ``template`` (printf style) where it is needed; None elsewhere."""
    out = np.full(len(where), None, dtype=object)
    chosen = np.flatnonzero(where)
    if len(chosen):
        columns = [np.asarray(x, dtype=np.float64)[chosen].tolist() for x in numbers]
        out[chosen] = [template % row for row in zip(*columns, strict=True)]
    return out


def assemble(profiles: Keyed, results: Sequence[Result]) -> pd.DataFrame:
    """Return the rows of all results, course by course, in the order of ``results``.

    Returns
    -------
    pandas.DataFrame
        n * len(results) rows with the columns and types of
        ``cartrace.tables.METRICS``.
    """
    n, k = len(profiles), len(results)
    row = np.repeat(np.arange(n), k)
    data: dict[str, object] = {
        name: profiles.keys[name].array.take(row)
        if name == "infusion"
        else profiles.keys[name].astype("string").array.take(row)
        for name in profiles.keys.columns
    }
    data["infusion"] = profiles.keys["infusion"].astype("Int64").array.take(row)
    names = pd.array([r.metric for r in results], dtype="string")
    data["metric"] = names.take(np.tile(np.arange(k), n))

    def flat(parts: Sequence[Floats | None]) -> Floats:
        out = np.full((n, k), np.nan)
        for j, part in enumerate(parts):
            if part is not None:
                out[:, j] = part
        return out.ravel()

    for name in ("value", "lower", "upper"):
        data[name] = flat([getattr(r, name) for r in results])
    units, unit_code = np.unique(profiles.keys["course_unit"].to_numpy(dtype=object), return_inverse=True)
    table = [unit_of(find(r.metric), str(unit)) for unit in units for r in results]
    where = (unit_code[:, None] * k + np.arange(k)[None, :]).ravel()
    data["unit"] = pd.array(table, dtype="string").take(where)
    status = np.stack([r.status for r in results], axis=1).ravel()
    data["status"] = pd.array(METRIC_STATUSES, dtype="string").take(status)
    data["reason"] = _words(np.stack([r.reason for r in results], axis=1).ravel())
    points = flat([r.n_points for r in results])
    missing = np.isnan(points)
    data["n_points"] = pd.arrays.IntegerArray(np.where(missing, 0, points).astype(np.int64), missing)
    data["window_start"] = flat([r.window_start for r in results])
    data["window_end"] = flat([r.window_end for r in results])
    method = np.empty((n, k), dtype=object)
    for j, result in enumerate(results):
        method[:, j] = result.method
    data["method"] = _words(method.ravel())
    return pd.DataFrame(data)


def _words(flat: Texts) -> pd.api.extensions.ExtensionArray:
    """Turn repeated texts into a string array through their few distinct ones."""
    codes, distinct = pd.factorize(flat)
    return pd.array(distinct, dtype="string").take(codes, allow_fill=True)
