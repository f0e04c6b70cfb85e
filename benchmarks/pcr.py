"""Speed of the PCR stage beside what a user would run instead.

- Reading a QuantStudio export: ``cartrace.pcr.readers`` and allotropy, which reads the same
  file into ASM JSON. allotropy needs pandas below 3, so it runs in the Python that
  CARTRACE_ALLOTROPY_PYTHON names; without it that column stays empty.
- Exact intervals of digital PCR wells: vectorised here, and one call of
  statsmodels.stats.proportion.proportion_confint a well. Both give the same numbers.
- One plate from bytes to verdicts.

Plates come from scripts/simulate/simulate_trial.py. Seconds are processor time of one core
after the imports. One row per run is appended to benchmarks/pcr_results.tsv.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from cartrace.config import Pcr
from cartrace.pcr.assay import read_assay
from cartrace.pcr.digital import poisson_interval
from cartrace.pcr.quantify import quantify_plate
from cartrace.pcr.readers import read_plate
from record import append_row

REPOSITORY = Path(__file__).parents[1]
OUTPUT = Path(__file__).with_name("pcr_results.tsv")
ALLOTROPY = """
import io, sys, time, warnings
warnings.simplefilter("ignore")
from allotropy.parser_factory import Vendor
from allotropy.to_allotrope import allotrope_from_io
content = open(sys.argv[1], "rb").read()
seconds = []
for _ in range(int(sys.argv[2])):
    start = time.process_time()
    allotrope_from_io(io.BytesIO(content), "plate.txt", Vendor.APPBIO_QUANTSTUDIO)
    seconds.append(time.process_time() - start)
print(min(seconds))
"""


def reading(path: Path, repeats: int) -> dict[str, str]:
    """Read one QuantStudio export with both; the best of ``repeats``."""
    content = path.read_bytes()
    ours = min(_seconds(lambda: read_plate(content, path.name)) for _ in range(repeats))
    python = os.environ.get("CARTRACE_ALLOTROPY_PYTHON")
    if not python:
        return {"read_ms": f"{1e3 * ours:.1f}", "allotropy_ms": "", "read_ratio": ""}
    done = subprocess.run(
        [python, "-c", ALLOTROPY, str(path), str(repeats)], capture_output=True, text=True, check=True
    )
    theirs = float(done.stdout)
    return {
        "read_ms": f"{1e3 * ours:.1f}",
        "allotropy_ms": f"{1e3 * theirs:.1f}",
        "read_ratio": f"{theirs / ours:.1f}",
    }


def intervals(wells: int, sample: int) -> dict[str, str]:
    """Compute exact limits of lambda for ``wells`` wells, and for ``sample`` of them one by one."""
    rng = np.random.default_rng(1)
    partitions = rng.integers(10_000, 20_000, wells)
    positives = rng.binomial(partitions, 10 ** rng.uniform(-4, -0.1, wells))
    start = process_time()
    lower, upper = poisson_interval(positives, partitions)
    ours = (process_time() - start) / wells
    start = process_time()
    one_by_one = [
        proportion_confint(k, n, method="beta")
        for k, n in zip(positives[:sample], partitions[:sample], strict=True)
    ]
    theirs = (process_time() - start) / sample
    # At no positive partition ours is one-sided: those wells can't agree.
    two_sided = positives[:sample] > 0
    expected = -np.log1p(-np.array(one_by_one)[two_sided])
    found = np.column_stack([lower[:sample], upper[:sample]])[two_sided]
    difference = float(np.max(np.abs(found / expected - 1)))
    assert difference < 1e-9, f"the two do not agree: {difference:.1e}"
    return {
        "wells": str(wells),
        "intervals_per_s": f"{1 / ours:.0f}",
        "statsmodels_per_s": f"{1 / theirs:.0f}",
        "interval_ratio": f"{theirs / ours:.0f}",
        "largest_difference": f"{difference:.1e}",
    }


def plates(folder: Path, repeats: int) -> dict[str, str]:
    """Read and quantify one qPCR and one digital plate; the best of ``repeats``."""
    out = {}
    for kind, name in (("qpcr", "plates/qpcr_run_01.txt"), ("ddpcr", "plates/ddpcr_run_02.csv")):
        content = (folder / "data" / name).read_bytes()
        mapping = "car_qpcr_plate" if kind == "qpcr" else "car_ddpcr"
        assay = read_assay(folder / f"mappings/{mapping}.yaml", mapping)

        def once(content: bytes = content, name: str = name, assay: object = assay) -> None:
            quantify_plate(read_plate(content, name), assay, Pcr(), file_id="p", sha256="0" * 64)

        out[f"{kind}_plate_ms"] = f"{1e3 * min(_seconds(once) for _ in range(repeats)):.0f}"
    return out


def _seconds(work: object) -> float:
    start = process_time()
    work()
    return process_time() - start


def main() -> None:
    """Measure once and append a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wells", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "trial"
        program = str(REPOSITORY / "scripts/simulate/simulate_trial.py")
        subprocess.run(
            [sys.executable, program, "--output", str(folder)], check=True, stdout=subprocess.DEVNULL
        )
        measured = {
            **reading(folder / "data/plates/qpcr_run_01.txt", args.repeats),
            **plates(folder, args.repeats),
            **intervals(args.wells, min(args.wells, 2_000)),
        }
    append_row(OUTPUT, measured, "src/cartrace/pcr", "benchmarks/pcr.py")


if __name__ == "__main__":
    main()
