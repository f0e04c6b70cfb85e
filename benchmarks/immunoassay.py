"""Speed and success of calibration curves beside what a user would run instead, and seconds per plate.

- Curves: ``fit_curve`` (all its starts), ``scipy.optimize.curve_fit`` with the usual starting values (lowest and
  highest signal, slope 1, the middle standard) and bio-curve-fit, which runs in the Python that
  CARTRACE_BIO_CURVE_FIT_PYTHON names; without it those columns stay empty. The same series of standards
  for all: eight duplicates, CV 5 %, weights 1/y2. ``worse`` counts series whose weighted
  sum of squares is more than 1 % above the smallest that any of them found, or that failed.
- Plates: one ELISA from bytes to verdicts, one panel of 30 analytes from its wells to verdicts.

Seconds are processor time of one core after the imports. One row per run is appended to
benchmarks/immunoassay_results.tsv.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from time import process_time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.optimize import curve_fit

from cartrace import tables
from cartrace.analytes import ANALYTES
from cartrace.config import Immunoassay
from cartrace.immunoassay.assay import load_assay, read_assay
from cartrace.immunoassay.calibration import CurveError, fit_curve, known_curve
from cartrace.immunoassay.layout import read_layout
from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.quantify import quantify_plate
from cartrace.immunoassay.readers import read_plate
from cartrace.immunoassay.tables import PLATE_WELLS
from record import append_row

REPOSITORY = Path(__file__).parents[1]
OUTPUT = Path(__file__).with_name("immunoassay_results.tsv")
EXAMPLE = REPOSITORY / "examples" / "immunoassay_plates"
LEVELS = 10_000 / 4.0 ** np.arange(8)
X = np.repeat(LEVELS, 2)
BIO_CURVE_FIT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from bio_curve_fit.logistic import FourParamLogistic
jobs = json.load(sys.stdin)
found, start = [], time.process_time()
for x, y in jobs:
    try:
        m = FourParamLogistic()
        mean = np.repeat(np.array(y).reshape(-1, 2).mean(axis=1), 2)
        m.fit(np.array(x), np.array(y), weight_func=lambda y, mean=mean: mean, maxfev=20000)
        found.append([float(v) for v in (m.A, m.B, m.C, m.D)])
    except Exception:
        found.append(None)
print(json.dumps([found, time.process_time() - start]))
"""

Series = list[tuple[np.ndarray, np.ndarray]]
Found = list[tuple[float, ...] | None]


def series(n: int, seed: int = 1) -> Series:
    """Return standards of ``n`` curves with made-up parameters."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        curve = known_curve(
            {
                "A": 10 ** rng.uniform(0.5, 2.5),
                "B": rng.uniform(0.7, 1.8),
                "C": 10 ** rng.uniform(1.5, 4),
                "D": 2e4,
            }
        )
        out.append((X, curve.predict(X) * (1 + 0.05 * rng.standard_normal(len(X)))))
    return out


def by_cartrace(x: np.ndarray, y: np.ndarray) -> tuple[float, ...] | None:
    """Fit with cartrace."""
    try:
        return fit_curve(x, y, weighting="1/y2").parameters[:4]
    except CurveError:
        return None


def level_mean(y: np.ndarray) -> np.ndarray:
    """Return the mean of the duplicates of each well: the weights are its inverse square."""
    return np.repeat(y.reshape(-1, 2).mean(axis=1), 2)


def by_scipy(x: np.ndarray, y: np.ndarray) -> tuple[float, ...] | None:
    """Fit as most scripts do."""

    def logistic(t: np.ndarray, a: float, b: float, c: float, d: float) -> np.ndarray:
        return d + (a - d) / (1 + (t / c) ** b)

    start = (y.min(), 1.0, float(np.median(x)), y.max())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tuple(map(float, curve_fit(logistic, x, y, start, sigma=level_mean(y), maxfev=10_000)[0]))
    except RuntimeError:
        return None


def squares(parameters: tuple[float, ...] | None, x: np.ndarray, y: np.ndarray) -> float:
    """Return the sum of squares with the weights of cartrace; infinite without a curve."""
    if parameters is None:
        return float("inf")
    a, b, c, d = parameters
    mean = np.repeat(y.reshape(-1, 2).mean(axis=1), 2)
    with np.errstate(all="ignore"):
        return float(np.nan_to_num(np.sum(((y - d - (a - d) / (1 + (x / c) ** b)) / mean) ** 2), nan=np.inf))


def curves(n: int) -> dict[str, str]:
    """Fit the same series with all."""
    made = series(n)
    found: dict[str, Found] = {}
    seconds: dict[str, float] = {}
    fitters: dict[str, Callable[..., tuple[float, ...] | None]] = {"cartrace": by_cartrace, "scipy": by_scipy}
    for name, fit in fitters.items():
        start = process_time()
        found[name] = [fit(x, y) for x, y in made]
        seconds[name] = process_time() - start
    if python := os.environ.get("CARTRACE_BIO_CURVE_FIT_PYTHON"):
        jobs = json.dumps([[x.tolist(), y.tolist()] for x, y in made])
        done = subprocess.run(
            [python, "-c", BIO_CURVE_FIT], input=jobs, capture_output=True, text=True, check=True
        )
        found["bio_curve_fit"], seconds["bio_curve_fit"] = json.loads(done.stdout)
    sums = {
        name: np.array([squares(p, x, y) for p, (x, y) in zip(f, made, strict=True)])
        for name, f in found.items()
    }
    best = np.min(list(sums.values()), axis=0)
    out = {"curves": str(n)}
    for name in ("cartrace", "scipy", "bio_curve_fit"):
        known = name in sums
        out[f"{name}_ms"] = f"{1e3 * seconds[name] / n:.1f}" if known else ""
        out[f"{name}_worse"] = str(int((sums[name] > 1.01 * best).sum())) if known else ""
    return out


def elisa() -> None:
    """Quantify the ELISA of the example, from bytes."""
    layout = EXAMPLE / "layouts/sbcma_elisa.tsv"
    plate = read_plate((EXAMPLE / "plates/sbcma_elisa.csv").read_bytes(), "elisa.csv")
    assay = read_assay(EXAMPLE / "mappings/sbcma_elisa.yaml", "assay.yaml")
    said = read_layout(layout.read_bytes(), layout.name)
    quantify_plate(plate, assay, Immunoassay(), file_id="p", sha256="0" * 64, layout=said)


def panel(analytes: int = 30) -> Callable[[], object]:
    """Return what quantifies 96 wells of many analytes: eight standards, a blank, 39 samples, all in duplicate."""
    pairs = [(a.name, u) for a in ANALYTES.values() for u in a.units if "/" in u][:analytes]
    names = [*(f"STD{i}" for i in range(8)), "B", *(f"S{i:03d} d7" for i in range(39))]
    rng = np.random.default_rng(2)
    rows = []
    for k, (_, y) in enumerate(series(len(pairs), seed=3)):
        signals = [*y, 60.0, 61.0, *np.repeat(rng.uniform(y.min(), y.max(), 39), 2)]
        rows += [
            {
                "well": f"{'ABCDEFGH'[i % 8]}{i // 8 + 1:02d}",
                "sample_name": names[i // 2],
                "target": f"T{k}",
                "task": "standard" if i < 16 else "blank" if i < 18 else "unknown",
                "omitted": False,
                "signal": float(signal),
                "bead_count": 80,
                "nominal": float(X[i]) if i < 16 else None,
                "source_row": i + 2,
            }
            for i, signal in enumerate(signals)
        ]
    plate = Plate("benchmark", tables.rows(rows, PLATE_WELLS))
    targets = {f"T{k}": {"analyte": a, "unit": u} for k, (a, u) in enumerate(pairs)}
    samples = {"pattern": r"(?P<subject>S\d+) d(?P<day>\d+)", "matrix": "serum"}
    assay = load_assay({"samples": samples, "targets": targets}, "assay.yaml")
    return lambda: quantify_plate(plate, assay, Immunoassay(), file_id="p", sha256="0" * 64)


def plates(repeats: int) -> dict[str, str]:
    """Return the best seconds of ``repeats``."""
    return {
        "elisa_plate_ms": f"{1e3 * min(_seconds(elisa) for _ in range(repeats)):.0f}",
        "panel_30_ms": f"{1e3 * min(_seconds(panel()) for _ in range(repeats)):.0f}",
    }


def _seconds(work: Callable[[], object]) -> float:
    start = process_time()
    work()
    return process_time() - start


def main() -> None:
    """Measure once and append a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curves", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    measured = curves(args.curves) | plates(args.repeats)
    append_row(OUTPUT, measured, "src/cartrace/immunoassay", "benchmarks/immunoassay.py")


if __name__ == "__main__":
    main()
