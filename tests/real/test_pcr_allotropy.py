"""The same files read by allotropy, an independent converter, in its own environment.

allotropy needs pandas below 3, so it can't live beside cartrace. CARTRACE_ALLOTROPY_PYTHON
names a Python that has it (a virtual environment with allotropy alone).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.pcr.plate import well_name
from cartrace.pcr.readers import read_plate

pytestmark = pytest.mark.real

QS, DA, CFX, QIACUITY, ABSOLUTE = (
    "APPBIO_QUANTSTUDIO",
    "APPBIO_QUANTSTUDIO_DESIGNANDANALYSIS",
    "CFXMAESTRO",
    "QIACUITY_DPCR",
    "APPBIO_ABSOLUTE_Q",
)
QPCR = {
    **{f"appbio_quantstudio_example0{i}.txt": QS for i in (1, 2, 4, 5, 6, 7)},
    "example_quantsudio_results_only.txt": QS,
    "appbio_quantstudio_example08.xlsx": QS,
    "appbio_quantstudio_design_quantity_test.xlsx": DA,
    "appbio_quantstudio_designandanalysis_QS1_Standard_Curve_example01.xlsx": DA,
    "appbio_quantstudio_designandanalysis_QS7_Standard_Curve_example06.xlsx": DA,
    "appbio_quantstudio_designandanalysis_QS7Pro_Standard_Curve_example14.xlsx": DA,
    "example01.csv": CFX,
}
DPCR = {
    **{f"qiacuity_dpcr_example0{i}.csv": QIACUITY for i in range(1, 5)},
    **{f"Appbio_AbsoluteQ_example0{i}.csv": ABSOLUTE for i in range(1, 6)},
    "Appbio_AbsoluteQ_singe2_summary.csv": ABSOLUTE,
    "Appbio_AbsoluteQ_single1_summary.csv": ABSOLUTE,
    "Appbio_AbsoluteQ_summary.csv": ABSOLUTE,
}

SHORTENED = {"appbio_quantstudio_example01.txt", "appbio_quantstudio_example05.txt"}

SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
from allotropy.parser_factory import Vendor
from allotropy.to_allotrope import allotrope_from_file

def measurements(part):
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "measurement document":
                yield from value
            else:
                yield from measurements(value)
    elif isinstance(part, list):
        for value in part:
            yield from measurements(value)

def number(part, name):
    value = part.get(name)
    return value.get("value") if isinstance(value, dict) else value

found = {}
for path, vendor in json.load(sys.stdin).items():
    rows = []
    for m in measurements(allotrope_from_file(path, Vendor[vendor])):
        data = m["processed data aggregate document"]["processed data document"][0]
        control = m["device control aggregate document"]["device control document"][0]
        rows.append({
            "well": m["sample document"]["well location identifier"],
            "sample": m["sample document"].get("sample identifier"),
            "target": m.get("target DNA description"),
            "reporter": control.get("reporter dye setting"),
            "cq": number(data, "cycle threshold result (qPCR)"),
            "partitions": number(m, "total partition count"),
            "positives": number(data, "positive partition count"),
            "concentration": number(data, "number concentration"),
        })
    found[path] = rows
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def by_allotropy() -> dict[str, list[dict[str, Any]]]:
    """What allotropy reads, by the name of the file."""
    python = os.environ.get("CARTRACE_ALLOTROPY_PYTHON")
    if not python:
        pytest.skip("set CARTRACE_ALLOTROPY_PYTHON to a Python that has allotropy")
    folder = real_data() / "assays"
    if not folder.is_dir():
        pytest.skip("the real files are not here: set CARTRACE_REAL_DATA")
    jobs = {str(folder / "allotropy_qpcr" / n): v for n, v in QPCR.items()}
    jobs |= {str(folder / "allotropy_dpcr" / n): v for n, v in DPCR.items()}
    run = subprocess.run(
        [python, "-c", SCRIPT],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return {Path(path).name: rows for path, rows in json.loads(run.stdout).items()}


def ours(folder: str, name: str) -> pd.DataFrame:
    return read_plate((real_data() / "assays" / folder / name).read_bytes(), name).wells


def key(well: str, target: str | None, reporter: str | None) -> tuple[str, str]:
    # Without a target allotropy writes N/A, and cartrace the dye.
    return well_name(well), reporter if target in {None, "N/A"} and reporter else str(target)


def same(one: float | None, other: float | None) -> bool:
    missing = [v is None or pd.isna(v) for v in (one, other)]
    if any(missing) or one is None or other is None:
        return all(missing)
    return math.isclose(one, other, rel_tol=1e-12)


@pytest.mark.parametrize("name", QPCR)
def test_wells_targets_and_cq_of_qpcr(by_allotropy: dict[str, list[dict[str, Any]]], name: str) -> None:
    own = {(w.well, w.target): w for w in ours("allotropy_qpcr", name).itertuples()}
    other = {key(r["well"], r["target"], r["reporter"]): r for r in by_allotropy[name]}
    # allotropy leaves out rows of CFX without a sample name, and wells that a shortened
    # [Sample Setup] lacks.
    named = {k for k, w in own.items() if not pd.isna(w.sample_name)}
    assert other.keys() <= own.keys()
    assert named <= other.keys() or name in SHORTENED
    wrong = {k: (own[k].cq, r["cq"]) for k, r in other.items() if not same(own[k].cq, r["cq"])}
    assert wrong == {}


@pytest.mark.parametrize("name", DPCR)
def test_partitions_positives_and_concentration_of_dpcr(
    by_allotropy: dict[str, list[dict[str, Any]]], name: str
) -> None:
    own = {(w.well, w.target): w for w in ours("allotropy_dpcr", name).itertuples()}
    other = {key(r["well"], r["target"], r["reporter"]): r for r in by_allotropy[name]}
    assert own.keys() == other.keys()
    for place, row in other.items():
        well = own[place]
        assert same(well.partitions, row["partitions"]), place
        assert same(well.positives, row["positives"]), place
        assert same(well.vendor_concentration, row["concentration"]), place
