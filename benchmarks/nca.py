"""Speed of the vectorised kinetics against a plain implementation, one course at a time.

10,000 courses of 15 points, all default metrics except the two maximum-likelihood
fits, which are timed apart. The plain implementation is written here from the
definitions and must give the same numbers. Seconds are processor time, so a busy machine counts
little. One row per run is appended to benchmarks/nca_results.tsv.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

# One core: threads of the linear algebra only get in the way of such small matrices.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from cartrace.config import Kinetics
from cartrace.kinetics import nca, persistence
from cartrace.kinetics.profiles import BLD, BLQ, QUANTIFIED, Profiles, outline
from cartrace.kinetics.rows import assemble
from cartrace.kinetics.stein import RESIDUAL_SD, TYPICAL, SteinParameters, stein_course
from cartrace.kinetics.stein_fit import fit_stein
from cartrace.kinetics.terminal import terminal_phase, tobit_phase
from record import append_row

if TYPE_CHECKING:
    from collections.abc import Sequence
from itertools import pairwise

DAYS = (2.0, 4.0, 7.0, 9.0, 11.0, 14.0, 18.0, 21.0, 28.0, 42.0, 56.0, 84.0, 120.0, 180.0, 270.0)
LLOQ, LOD = 50.0, 10.0
RESULTS = Path(__file__).with_name("nca_results.tsv")
MIN_RESULTS = 2
WINDOWS = ((0, 7), (0, 14), (0, 28), (0, 84), (0, 90), (0, 180))
LANDMARKS = {"M1": (28, 7), "M3": (84, 14), "M6": (180, 30), "M12": (365, 45)}

NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


def simulate(n: int, seed: int = 1) -> Profiles:
    """Draw ``n`` courses around the published model, with noise, limits and jittered days."""
    rng = np.random.default_rng(seed)
    time = np.sort(np.array(DAYS) + rng.uniform(-0.4, 0.4, (n, len(DAYS))), axis=1)
    level = np.empty_like(time)
    for i in range(n):
        tmax, cmax, alpha, fb = (
            getattr(TYPICAL, name) * math.exp(rng.normal(0, sd))
            for name, sd in (("tmax", 0.3), ("cmax", 0.8), ("alpha", 0.5), ("fb", 0.8))
        )
        level[i] = stein_course(
            time[i], SteinParameters(3900.0, tmax, cmax, alpha, TYPICAL.beta, min(fb, 1.0))
        )
    level *= np.exp(rng.normal(0, RESIDUAL_SD, level.shape))
    detection = np.select([level >= LLOQ, level >= LOD], [QUANTIFIED, BLQ], BLD).astype(np.int8)
    known = detection == QUANTIFIED
    value = np.where(known, level, np.nan)
    keys = pd.DataFrame(
        {
            "subject_id": [f"S{i:06d}" for i in range(n)],
            "infusion": 1,
            "matrix": "blood",
            "analyte": "transgene",
            "assay": "qpcr",
            "course_unit": "copies/ug",
        }
    )
    return Profiles(
        time=time,
        value=value,
        detection=detection,
        lower=np.where(known, value, np.where(detection == BLQ, LOD, 0.0)),
        upper=np.where(known, value, np.where(detection == BLQ, LLOQ, LOD)),
        lod=np.full_like(time, LOD),
        lloq=np.full_like(time, LLOQ),
        averaged=np.zeros(n, dtype=bool),
        mixed=np.zeros(n, dtype=bool),
        keys=keys,
    )


def plain(time: Sequence[float], value: Sequence[float | None]) -> dict[str, float]:
    """Compute the default metrics of one course; ``value`` is None below quantification.

    Returns only what is estimable: linear up, log down; results below
    quantification 0, 0 and left out between; no area from fewer than 2 results;
    PKNCA's half-life.
    """
    known = [(t, c) for t, c in zip(time, value, strict=True) if c is not None]
    if not known:
        return {}
    out: dict[str, float] = {}
    tmax, cmax = max(known, key=lambda point: point[1])
    tfirst, (tlast, clast) = known[0][0], known[-1]
    out |= {"cmax": cmax, "tmax": tmax, "tfirst": tfirst, "tlast": tlast, "clast": clast}
    out["last_quantifiable"] = tlast
    below = [t for t, c in zip(time, value, strict=True) if c is None and t > tlast]
    if below:
        out["t_bql"] = below[0]
    points = [(0.0, 0.0)]
    for t, c in zip(time, value, strict=True):
        if c is not None:
            points.append((t, c))
        elif t < tfirst or t > tlast:
            points.append((t, 0.0))

    def area(t1: float, c1: float, t2: float, c2: float, *, falls: bool) -> float:
        if falls:
            return (t2 - t1) * (c1 - c2) / math.log(c1 / c2)
        return (t2 - t1) * (c1 + c2) / 2

    def quadrature(t1: float, c1: float, t2: float, c2: float) -> float:
        # Gauss-Legendre: the closed form cancels where c1 and c2 are nearly equal.
        share = (NODES + 1) / 2
        return float((t2 - t1) / 2 * (WEIGHTS * (t1 + share * (t2 - t1)) * c1 * (c2 / c1) ** share).sum())

    def until(end: float) -> float:
        total = 0.0
        for (t1, c1), (t2, c2) in pairwise(points):
            if t1 >= end:
                break
            if t2 <= end:
                total += area(t1, c1, t2, c2, falls=0 < c2 < c1)
                continue
            share = (end - t1) / (t2 - t1)
            # The rule of the whole segment holds for its part: a fall to 0 is linear.
            falls = 0 < c2 < c1
            middle = c1 * (c2 / c1) ** share if falls else c1 + share * (c2 - c1)
            total += area(t1, c1, end, middle, falls=falls)
        return total

    def seen(start: float, end: float) -> bool:
        # The first point is the start that was put in.
        return sum(start <= t <= end for t, _ in points[1:]) >= MIN_RESULTS

    auc = until(tlast)
    enough = seen(0, tlast)
    if enough:
        out["auc_last"] = auc
        out["auc_all"] = auc + (clast * (below[0] - tlast) / 2 if below else 0.0)
    for start, end in WINDOWS:
        if end <= points[-1][0] and seen(start, end):
            out[f"auc_{start}_{end}"] = until(end) - until(start)
    moment = 0.0
    for (t1, c1), (t2, c2) in pairwise(points):
        if t2 > tlast:
            break
        if 0 < c2 < c1:
            moment += quadrature(t1, c1, t2, c2)
        else:
            moment += (t2 - t1) * (t1 * c1 + t2 * c2) / 2
    if enough:
        out |= {"aumc_last": moment, "mrt": moment / auc, "effective_half_life": math.log(2) * moment / auc}

    late = [(t, math.log(c)) for t, c in known if t > tmax]
    windows = []
    for k in range(3, len(late) + 1):
        xs, ys = zip(*late[-k:], strict=True)
        mx, my = sum(xs) / k, sum(ys) / k
        sxx = sum((x - mx) ** 2 for x in xs)
        sxy = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
        syy = sum((y - my) ** 2 for y in ys)
        if syy > 0:
            slope = sxy / sxx
            windows.append(
                (1 - (1 - slope * sxy / syy) * (k - 1) / (k - 2), k, slope, my - slope * mx, xs[0])
            )
    best = max((w[0] for w in windows), default=0.0)
    good = [w for w in windows if w[0] > best - 1e-4 and w[2] < 0]
    if good:
        adj_r2, k, slope, intercept, start = max(good, key=lambda w: w[1])
        half_life = math.log(2) / -slope
        span = (tlast - start) / half_life
        out |= {"lambda_z_n_points": k, "lambda_z_adj_r2": adj_r2, "lambda_z_span_ratio": span}
        if adj_r2 >= 0.7 and span >= 1:
            out |= {"lambda_z": -slope, "half_life": half_life, "lambda_z_intercept": math.exp(intercept)}
            tail = clast / -slope
            out["auc_extrapolated_percent"] = 100 * tail / (auc + tail)
            if out["auc_extrapolated_percent"] <= 20:
                out["auc_inf"] = auc + tail
    for name, (day, width) in LANDMARKS.items():
        distance, index = min((abs(t - day), i) for i, t in enumerate(time))
        if distance <= width:
            out[f"persistent_at_{name}"] = float(value[index] is not None)
    return out


def agreement(table: pd.DataFrame, expected: list[dict[str, float]]) -> float:
    """Return the largest relative difference; a value on one side only is infinite."""
    wide = table.pivot_table(index="subject_id", columns="metric", values="value", dropna=False, sort=False)
    reference = pd.DataFrame(expected, index=wide.index).reindex(columns=wide.columns)
    # Censored times have no point estimate on either side.
    ours = wide.drop(columns=["half_life_tobit", "time_to_loss"], errors="ignore")
    theirs = reference[ours.columns]
    if not (ours.isna() == theirs.isna()).all(axis=None):
        return math.inf
    difference = (ours - theirs).abs() / theirs.abs().clip(lower=1e-300)
    return float(np.nanmax(difference.where(theirs != 0, ours.abs()).to_numpy(dtype=np.float64)))


def main(argv: Sequence[str] | None = None) -> int:
    """Time both implementations, compare their numbers, append one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", type=int, default=10_000, help="number of courses")
    parser.add_argument("--repeat", type=int, default=5, help="runs; the fastest counts")
    parser.add_argument("--fits", type=int, default=50, help="courses for the piecewise model")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to append to")
    arguments = parser.parse_args(argv)

    n = arguments.profiles
    profiles = simulate(n)
    kinetics = Kinetics.model_validate({"half_life": {"tobit": False}})
    seconds = []
    for _ in range(arguments.repeat):
        start = process_time()
        rows = [*nca.results(profiles, kinetics), *persistence.results(profiles, kinetics)]
        table = assemble(profiles, rows)
        seconds.append(process_time() - start)
    ours = n / min(seconds)

    lists = [
        (t, [None if math.isnan(c) else c for c in v])
        for t, v in zip(profiles.time.tolist(), profiles.value.tolist(), strict=True)
    ]
    start = process_time()
    expected = [plain(t, c) for t, c in lists]
    reference = n / (process_time() - start)
    worst = agreement(table, expected)

    shape = outline(profiles)
    phase = terminal_phase(profiles, shape, kinetics.half_life)
    start = process_time()
    tobit_phase(profiles, shape, phase, kinetics.half_life)
    tobit = n / (process_time() - start)
    enough = np.flatnonzero(profiles.quantified.sum(axis=1) >= kinetics.stein.min_points)[: arguments.fits]
    start = process_time()
    for i in enough:
        fit_stein(profiles.time[i], profiles.lower[i], profiles.upper[i])
    stein = len(enough) / (process_time() - start)

    row = {
        "profiles": str(n),
        "metrics_per_profile": str(len(rows)),
        "profiles_per_s": f"{ours:.0f}",
        "plain_profiles_per_s": f"{reference:.0f}",
        "ratio": f"{ours / reference:.2f}",
        "largest_relative_difference": f"{worst:.1e}",
        "tobit_profiles_per_s": f"{tobit:.0f}",
        "stein_profiles_per_s": f"{stein:.1f}",
    }
    append_row(arguments.results, row, "src/cartrace/kinetics", "benchmarks/nca.py")
    if not worst < 1e-9:
        print("the two implementations disagree")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
