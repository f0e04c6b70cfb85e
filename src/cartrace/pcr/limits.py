"""Limits of an assay from its own data: limit of blank, of detection, of quantification.

All in copies per reaction. A limit that the data do not give is None, with the
reason; none is guessed. docs/pcr_limits.md tells the methods and their sources.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import ConfigDict, Field, ValidationError, model_validator
from scipy.special import chdtrc, ndtr, ndtri

from cartrace.intake.sheets import quote
from cartrace.problems import InputError, Problem, did_you_mean, raise_if_any
from cartrace.section import Section
from cartrace.validation import problem_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cartrace.config import DetectionLimits

Array = npt.NDArray[np.float64]

BLANK_PROBABILITY = 0.95
"""Share of blanks at or below the limit of blank (CLSI EP17-A2)."""
MIN_BLANKS = 20
"""House value. The rank rule works from 10; EP17-A2 asks 60."""
USUAL_BLANKS = 60
"""EP17-A2 [recalled]."""
MIN_LEVELS = 3
DILUTION_COLUMNS = ("level", "copies", "plate")
BLANK_COLUMNS = ("copies", "plate")


class Level(Section):
    """What was found at one level of the dilution series."""

    model_config = ConfigDict(allow_inf_nan=False)

    level: float = Field(gt=0, description="Copies per reaction that were put in.")
    n: int = Field(ge=1, description="Wells.")
    detected: int = Field(ge=0, description="Wells above the limit of blank; above 0 without one.")
    mean: float = Field(ge=0, description="Mean copies; a well without any counts as 0.")
    cv_percent: float | None = Field(None, ge=0, description="100 sd / mean over all wells of the level.")
    bias_percent: float = Field(description="100 (mean - level) / level.")
    fitted_cv_percent: float | None = Field(None, ge=0, description="CV of the precision profile.")


class Limits(Section):
    """Limits of one target in copies per reaction; None where the data do not give one."""

    model_config = ConfigDict(allow_inf_nan=False)

    name: str = Field("", description="Name in pcr.detection_limits.")
    target: str = Field(description="Target, as the assay files name it.")
    unit: Literal["copies/reaction"] = "copies/reaction"
    lob: float | None = Field(None, ge=0, description="Limit of blank.")
    lod: float | None = Field(None, gt=0, description="Limit of detection.")
    lod_lower: float | None = Field(None, gt=0, description="Its lower confidence limit.")
    lod_upper: float | None = Field(None, gt=0, description="Its upper confidence limit.")
    lod_fallback: float | None = Field(
        None,
        gt=0,
        description="Only where there is no lod: the lowest level from which on enough wells were detected. "
        "No estimate of the LOD, and never taken for one.",
    )
    lloq: float | None = Field(None, gt=0, description="Lower limit of quantification.")
    lob_method: str = Field("", description="How the limit of blank was found.")
    lod_method: str = Field("", description="How the limit of detection was found.")
    lloq_method: str = Field("", description="How the limit of quantification was found.")
    reasons: tuple[str, ...] = Field(
        (), description="Why a limit is missing, and what to doubt of the others."
    )
    n_blanks: int = Field(0, ge=0, description="Blanks.")
    levels: tuple[Level, ...] = Field((), description="The dilution series.")

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        chain = [n for n in (self.lod_lower, self.lod, self.lod_upper) if n is not None]
        if chain != sorted(chain):
            raise ValueError("lod outside its confidence limits")
        if self.lod is not None and self.lloq is not None and self.lloq < self.lod:
            raise ValueError("lloq below lod")
        return self


def estimate_limits(
    dilutions: pd.DataFrame,
    blanks: npt.ArrayLike | None,
    settings: DetectionLimits,
    *,
    name: str = "",
    confidence: float = 0.95,
) -> Limits:
    """Estimate the limits of one target.

    Parameters
    ----------
    dilutions
        One row a well: ``level`` (copies per reaction put in, above 0), ``copies``
        (found; 0 where nothing was), and ``plate`` where it is known.
    blanks
        Copies found in blanks, 0 where nothing was, inf where something amplified
        that got no number; None: no limit of blank.
    settings
        Probability of detection, largest CV and bias.
    name
        Kept in the result.
    confidence
        Level of the interval of the LOD.
    """
    blank = np.asarray([] if blanks is None else blanks, dtype=float)
    lob = _NONE if blanks is None else limit_of_blank(blank)
    cut = lob.value or 0.0
    levels = _levels(dilutions, cut)
    lod = limit_of_detection(
        [v.level for v in levels],
        [v.n for v in levels],
        [v.detected for v in levels],
        probability=settings.probability,
        confidence=confidence,
    )
    profile, lloq = limit_of_quantification(
        levels,
        floor=lod.value or lod.fallback,
        max_cv_percent=settings.max_cv_percent,
        max_bias_percent=settings.max_bias_percent,
    )
    plates = dilutions["plate"].nunique() if "plate" in dilutions else 0
    spread = {
        0: "plates are not given, so whether the CV holds the spread between plates is unknown",
        1: "all wells are of one plate: the CV lacks the spread between plates",
    }.get(plates)
    return Limits(
        name=name,
        target=settings.target,
        lob=lob.value,
        lod=lod.value,
        lod_lower=lod.lower,
        lod_upper=lod.upper,
        lod_fallback=None if lod.value else lod.fallback,
        lloq=lloq.value,
        lob_method=lob.method,
        lod_method=f"{lod.method}; a well is detected above {cut:g} copies"
        + (" (the limit of blank)" if lob.value is not None else ""),
        lloq_method=lloq.method,
        reasons=(
            *(f"lob: {r}" for r in lob.reasons),
            *(f"lod: {r}" for r in lod.reasons),
            *(f"lloq: {r}" for r in (*lloq.reasons, *([spread] if spread else []))),
        ),
        n_blanks=len(blank),
        levels=profile,
    )


_MAX_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """One limit: its value or the reasons why there is none, and remarks on it."""

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    fallback: float | None = None
    """Lowest level from which on enough wells were detected."""
    method: str = ""
    reasons: tuple[str, ...] = ()


_NONE = Estimate(reasons=("no blanks given; a well counts as detected above 0 copies",))


def limit_of_blank(copies: npt.ArrayLike) -> Estimate:
    """Estimate the limit of blank without assuming a distribution (CLSI EP17-A2).

    The blank of rank 0.5 + 0.95 n, interpolated between two ranks.

    Parameters
    ----------
    copies
        One entry for each blank, shape (n,); inf for a blank that amplified without a number.
    """
    # + 0.0: blanks printed as -0.000 would give a limit of -0.
    ordered = np.sort(np.asarray(copies, dtype=float)) + 0.0
    n = len(ordered)
    if n < MIN_BLANKS:
        return Estimate(
            reasons=(f"{n} blanks, fewer than {MIN_BLANKS}; a well counts as detected above 0 copies",)
        )
    rank = round(0.5 + BLANK_PROBABILITY * n, 6)
    below = int(rank) - 1
    low, high = ordered[below], ordered[below + (rank > int(rank))]
    # Equal ranks apart, since inf - inf is no number.
    value = low if low == high else low + (rank - int(rank)) * (high - low)
    method = (
        f"95th percentile of {n} blanks by rank {rank:g} (CLSI EP17-A2); {int((ordered > 0).sum())} above 0, "
        f"largest {'not quantified' if math.isinf(ordered[-1]) else f'{ordered[-1]:.4g}'}"
    )
    if math.isinf(value):
        return Estimate(
            method=method,
            reasons=("too many blanks amplified without a number; a well counts as detected above 0 copies",),
        )
    few = (f"{n} blanks; EP17-A2 asks {USUAL_BLANKS} [recalled]",) if n < USUAL_BLANKS else ()
    return Estimate(float(value), method=method, reasons=few)


def limit_of_detection(
    level: Sequence[float],
    n: Sequence[int],
    detected: Sequence[int],
    *,
    probability: float = 0.95,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the level that is detected with ``probability``, by probit regression on log10 level.

    The interval is Fieller's on the log scale (Finney, Probit Analysis, 1971). MIQE
    and Forootan 2017 (PMC5496743) define the LOD so.

    Parameters
    ----------
    level
        Levels in rising order, copies per reaction, above 0.
    n, detected
        Wells, and wells detected, at each level.
    probability
        Probability of detection at the LOD.
    confidence
        Level of the interval.

    Returns
    -------
    Estimate
        Without a value where the data give none: fewer than 3 levels, all or no wells
        detected, no level between, no rise, an LOD outside the levels tested.
        ``fallback`` is then the lowest level from which on at least ``probability``
        of the wells were detected; it is no LOD.
    """
    x, total, hits = np.asarray(level, dtype=float), np.asarray(n), np.asarray(detected)
    method = (
        f"probit on log10 level, {100 * probability:g} % detected, interval {100 * confidence:g} % (Fieller)"
    )
    fallback, told = _fallback(x, total, hits, probability)
    fault = _no_probit(x, total, hits)
    if fault:
        return Estimate(fallback=fallback, method=method, reasons=(fault, told))

    import statsmodels.api as sm  # type: ignore[import-untyped]

    # One row a well: grouped shares that lie on a probit line by chance look like separation.
    row = np.repeat(np.arange(len(x)), total)
    found = np.arange(len(row)) - np.repeat(np.cumsum(total) - total, total) < hits[row]
    fit = sm.GLM(
        found.astype(float),
        sm.add_constant(np.log10(x))[row],
        family=sm.families.Binomial(link=sm.families.links.Probit()),
    ).fit(tol=1e-11)
    a, b = fit.params
    covariance = fit.cov_params()
    z, q = ndtri(probability), ndtri(0.5 + confidence / 2)
    # (a - z + b u)^2 <= q^2 (var a + 2 u cov + u^2 var b)
    square = b**2 - q**2 * covariance[1, 1]
    if not fit.converged or b <= 0 or square <= 0:
        fault = "the share detected does not clearly rise with the level"
        return Estimate(fallback=fallback, method=method, reasons=(fault, told))
    lod = 10 ** ((z - a) / b)
    if not x[0] <= lod <= x[-1]:
        fault = f"the probit line reaches {100 * probability:g} % at {lod:.4g} copies, outside the levels tested ({x[0]:g} to {x[-1]:g})"
        return Estimate(fallback=fallback, method=method, reasons=(fault, told))
    linear = -((a - z) * b - q**2 * covariance[0, 1])
    root = math.sqrt(max(0.0, linear**2 - square * ((a - z) ** 2 - q**2 * covariance[0, 0])))
    lower, upper = (10 ** ((linear + sign * root) / square) for sign in (-1, 1))
    remarks = []
    poisson = -math.log(1 - probability)
    if lod < poisson:
        remarks.append(
            f"{lod:.3g} copies is below {poisson:.3g}, the least that is possible, since fewer leave more than "
            f"{100 * (1 - probability):.3g} % of the reactions empty (Poisson): chance, more copies in the levels than was "
            "thought, or blanks that count as detected"
        )
    share = np.clip(ndtr(a + b * np.log10(x)), 1e-12, 1 - 1e-12)
    misfit = np.sum((hits - total * share) ** 2 / (total * share * (1 - share)))
    if (p := float(chdtrc(len(x) - 2, misfit))) < 0.05:
        remarks.append(
            f"the shares detected do not follow the probit line (Pearson p = {p:.2g}); the interval is too narrow"
        )
    return Estimate(float(lod), float(lower), float(upper), fallback, method, tuple(remarks))


def _fallback(x: Array, n: Array, hits: Array, probability: float) -> tuple[float | None, str]:
    low = ~(hits >= probability * n)
    first = len(x) - int(np.argmax(low[::-1])) if low.any() else 0
    share = f"{100 * probability:g} %"
    if first == len(x):
        return None, f"no level from which on at least {share} of the wells were detected"
    return float(x[first]), (
        f"no estimate, but {x[first]:g} copies is the lowest level from which on at least {share} of the wells were "
        f"detected ({hits[first]} of {n[first]})"
    )


def _no_probit(x: Array, n: Array, hits: Array) -> str:
    if len(x) < MIN_LEVELS:
        return f"{len(x)} levels; the probit line needs at least {MIN_LEVELS}"
    if not hits.any():
        return "no well was detected at any level"
    if (hits == n).all():
        return f"every well of every level was detected: the LOD lies below or at {x[0]:g} copies"
    if x[hits > 0][0] >= x[hits < n][-1]:
        return "no well is detected below a level and all above it: the probit line has no end of steepness (separation)"
    return ""


def limit_of_quantification(
    levels: Sequence[Level], *, floor: float | None, max_cv_percent: float, max_bias_percent: float
) -> tuple[tuple[Level, ...], Estimate]:
    """Find the lowest level that is precise and right, with all above it.

    The CV follows the precision profile CV^2 = a + b / level (a: pipetting and
    plates, b: counting), fitted over all levels by maximum likelihood of the
    variances; the bias is joined linearly over log10 level between tested levels.
    Nothing is extrapolated.

    Parameters
    ----------
    levels
        The dilution series, in rising order.
    floor
        The LOD (or its fallback), below which no LLOQ may lie.
    max_cv_percent, max_bias_percent
        What is allowed at the LLOQ.

    Returns
    -------
    tuple
        The levels with the fitted CV, and the limit.
    """
    method = (
        f"lowest level from which on CV <= {max_cv_percent:g} % (precision profile CV^2 = a + b / level) and "
        f"|bias| <= {max_bias_percent:g} %, not below the LOD"
    )
    used = [v for v in levels if v.cv_percent is not None]
    if len(used) < MIN_LEVELS:
        fault = f"{len(used)} levels with a CV (2 wells or more, something found); the precision profile needs at least {MIN_LEVELS}"
        return tuple(levels), Estimate(method=method, reasons=(fault,))
    x = np.array([v.level for v in used])
    cv = np.array([v.cv_percent for v in used], dtype=float) / 100
    bias = np.array([v.bias_percent for v in used])
    a, b = _precision_profile(x, cv**2, np.array([v.n - 1 for v in used], dtype=float))
    profile = tuple(
        v.model_copy(update={"fitted_cv_percent": 100 * math.sqrt(a + b / v.level)}) for v in levels
    )
    allowed = (max_cv_percent / 100) ** 2
    faults = []
    if a + b / x[-1] > allowed:
        faults.append(f"the CV of the profile is above {max_cv_percent:g} % at all levels tested")
    if abs(bias[-1]) > max_bias_percent:
        faults.append(f"the bias at the highest level, {x[-1]:g} copies, is {bias[-1]:+.3g} %")
    if floor is None:
        faults.append("without an LOD (or a level that is detected nearly always) it has no lower bound")
    elif floor > x[-1]:
        faults.append("the LOD lies above all levels with a CV")
    if faults or floor is None:
        return profile, Estimate(method=method, reasons=tuple(faults))
    lowest = {
        "the CV": b / (allowed - a) if b > 0 else 0.0,
        "the bias": _bias_limit(np.log10(x), bias, max_bias_percent),
        "the lowest level tested": x[0],
        "detection": floor,
    }
    decides = max(lowest, key=lambda key: lowest[key])
    lloq = float(lowest[decides])
    noisy = [
        f"{v.level:g} ({v.cv_percent:.3g} %)"
        for v in used
        if v.level >= lloq and (v.cv_percent or 0) > max_cv_percent
    ]
    remarks = (
        (f"the CV as found is above the limit at {', '.join(noisy)}; that of the profile is not",)
        if noisy
        else ()
    )
    return profile, Estimate(lloq, method=f"{method}; decided by {decides}", reasons=remarks)


def _precision_profile(level: Array, cv2: Array, df: Array) -> tuple[float, float]:
    """Fit a, b >= 0 of CV^2 = a + b / level; variances scatter as chi-square, so by iterated weights."""
    from scipy.optimize import nnls

    if not cv2.any():
        return 0.0, 0.0
    design = np.column_stack([np.ones_like(level), level.min() / level])
    fitted = np.full_like(cv2, cv2.mean())
    for _ in range(100):
        weight = np.sqrt(df) / fitted
        part, _norm = nnls(design * weight[:, None], cv2 * weight)
        before, fitted = fitted, np.maximum(design @ part, cv2.max() * 1e-9)
        if np.allclose(before, fitted, rtol=1e-10, atol=0):
            break
    return float(part[0]), float(part[1] * level.min())


def _bias_limit(x: Array, bias: Array, allowed: float) -> float:
    """Lowest level from which on the bias is allowed; ``x`` is log10 level, the last one is allowed."""
    bad = np.flatnonzero(np.abs(bias) > allowed)
    if not len(bad):
        return float(10 ** x[0])
    i = bad[-1]
    edge = math.copysign(allowed, bias[i])
    return float(10 ** (x[i] + (bias[i] - edge) / (bias[i] - bias[i + 1]) * (x[i + 1] - x[i])))


def _levels(dilutions: pd.DataFrame, cut: float) -> tuple[Level, ...]:
    level, copies = (dilutions[c].to_numpy(dtype=float) for c in ("level", "copies"))
    found = []
    for x in np.unique(level):
        values = copies[level == x]
        mean = float(values.mean())
        found.append(
            Level(
                level=float(x),
                n=len(values),
                detected=int((values > cut).sum()),
                mean=mean,
                cv_percent=100 * float(values.std(ddof=1)) / mean if len(values) > 1 and mean > 0 else None,
                bias_percent=100 * (mean / float(x) - 1),
            )
        )
    return tuple(found)


# Files ----------------------------------------------------------------------------------------


def limits_to_json(limits: Limits) -> str:
    """Write limits as JSON text."""
    return limits.model_dump_json(indent=2) + "\n"


def limits_from_json(text: str, name: str) -> Limits:
    """Read limits from JSON text; ``name`` is how errors name the file.

    Raises
    ------
    InputError
        For text that is no JSON, unknown keys and bad values.
    """
    try:
        return Limits.model_validate_json(text)
    except ValidationError as error:
        raise InputError([problem_of(e, name, Limits) for e in error.errors()]) from None


def read_dilutions(text: str, name: str) -> pd.DataFrame:
    """Read a dilution series: tab-separated text with level, copies and optionally plate.

    An empty cell of copies is 0: nothing was found.

    Raises
    ------
    InputError
        With every fault; ``name`` is how it names the file.
    """
    problems: list[Problem] = []
    records = []
    for row, cells in _records(text, name, DILUTION_COLUMNS, ("level", "copies"), problems):
        level = _number(cells["level"], name, row, "level", problems)
        if level == 0:
            problems.append(
                Problem(name, "0", "a level above 0; blanks have a file of their own", row, "level")
            )
        copies = _number(cells["copies"] or "0", name, row, "copies", problems)
        if "plate" in cells and not cells["plate"]:
            problems.append(Problem(name, "an empty cell", "the plate of the well", row, "plate"))
        records.append({"level": level, "copies": copies} | {k: v for k, v in cells.items() if k == "plate"})
    raise_if_any(problems)
    return pd.DataFrame(records)


def read_blanks(text: str, name: str) -> Array:
    """Read blanks: tab-separated text with copies and optionally plate; an empty cell is 0.

    Raises
    ------
    InputError
        With every fault; ``name`` is how it names the file.
    """
    problems: list[Problem] = []
    found = [
        _number(cells["copies"] or "0", name, row, "copies", problems)
        for row, cells in _records(text, name, BLANK_COLUMNS, ("copies",), problems)
    ]
    raise_if_any(problems)
    return np.array(found, dtype=float)


def blanks_of_wells(wells: pd.DataFrame, target: str) -> Array:
    """Take the no-template controls of past plates as blanks, copies per reaction, shape (n,).

    All that have a result, also those that were rejected for being positive: without
    them the limit of blank would always be 0. Wells with an exclusion are left out.

    Parameters
    ----------
    wells
        Contract PCR_WELLS.
    target
        Target, as the assay file names it.
    """
    mine = wells[
        (wells["task"] == "ntc") & (wells["target"] == target) & (wells["exclusion"].fillna("") == "")
    ]
    qpcr = mine["method"] == "qpcr"
    amplified = qpcr & (mine["cq_kind"] == "quantified")
    copies = mine["copies"].astype("float64")
    copies = copies.mask(amplified & copies.isna(), np.inf)
    copies = copies.mask(qpcr & (mine["cq_kind"] == "undetermined"), 0.0)
    return np.asarray(copies.dropna(), dtype=np.float64)


def _records(
    text: str, name: str, known: Sequence[str], needed: Sequence[str], problems: list[Problem]
) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), delimiter="\t", strict=True)
    try:
        lines = [[cell.strip() for cell in line] for line in reader]
    except csv.Error as error:
        problems.append(Problem(name, f"broken text ({error})", "a tab-separated table", row=reader.line_num))
        return
    header = lines[0] if lines else []
    if len(header) > _MAX_COLUMNS:
        # Each unknown column costs a search for the nearest name.
        problems.append(Problem(name, f"{len(header)} columns", ", ".join(known), row=1))
        return
    for column in header:
        if column not in known:
            problems.append(
                Problem(
                    name,
                    f"column {quote(column)}",
                    ", ".join(known),
                    row=1,
                    suggestion=did_you_mean(column, known),
                )
            )
        elif header.count(column) > 1:
            problems.append(Problem(name, f"column '{column}' twice", "each column once", row=1))
            return
    if missing := [c for c in needed if c not in header]:
        problems.append(
            Problem(
                name,
                f"no column {', '.join(missing)}",
                f"a tab-separated table with {', '.join(needed)}",
                row=1,
            )
        )
        return
    if len(lines) < 2:
        problems.append(Problem(name, "no rows", "one row for each well"))
    for row, line in enumerate(lines[1:], 2):
        if len(line) != len(header):
            problems.append(
                Problem(
                    name,
                    f"{len(line)} cells",
                    f"{len(header)}, as in the header; 0 where nothing was found",
                    row,
                )
            )
            continue
        yield row, dict(zip(header, line, strict=True))


def _number(cell: str, name: str, row: int, column: str, problems: list[Problem]) -> float:
    try:
        number = float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        problems.append(
            Problem(
                name,
                quote(cell) if cell else "an empty cell",
                "a number of at least 0, with a decimal point",
                row,
                column,
            )
        )
    return number
