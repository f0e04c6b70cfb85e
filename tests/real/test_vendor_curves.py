"""Calibration curves against what the vendors' software computed from the same wells, and against bio-curve-fit.

bio-curve-fit runs in its own environment: CARTRACE_BIO_CURVE_FIT_PYTHON names a Python that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.immunoassay.calibration import (
    Curve,
    CurveError,
    Model,
    confidence_band,
    fit_curve,
    inverse,
    known_curve,
)
from cartrace.immunoassay.plate import Plate
from cartrace.immunoassay.readers import read_plate
from cartrace.immunoassay.standards import Rules, calibrate

pytestmark = pytest.mark.real

HCP = "softmaxpro_example_reduced.txt"
HCP_WITH_STANDARDS = "softmaxpro_example_group_with_missing_calc_column.txt"


def plate_of(name: str, folder: str = "allotropy_immuno") -> Plate:
    path = real_data() / "assays" / folder / name
    if not path.is_file():
        pytest.skip("the real files are not here: set CARTRACE_REAL_DATA or put them in ../shared/data")
    return read_plate(path.read_bytes(), name)


def standards(plate: Plate) -> tuple[np.ndarray, np.ndarray]:
    mine = plate.wells[plate.wells["task"] == "standard"]
    return mine["nominal"].to_numpy(np.float64), mine["signal"].to_numpy(np.float64)


def deviation_percent(plate: Plate, curve: Curve, *, blank: float = 0.0) -> pd.DataFrame:
    """Vendor's concentration of each well that has one, and ours in % away from it."""
    mine = plate.wells[plate.wells["vendor_concentration"].notna()]
    vendor = mine["vendor_concentration"].to_numpy(np.float64)
    ours = inverse(curve, mine["signal"].to_numpy(np.float64) - blank).concentration
    return pd.DataFrame({"vendor": vendor, "ours": ours, "percent": 100 * (ours / vendor - 1)})


def test_alphalisa_parameters_are_those_that_gen5_printed() -> None:
    plate = plate_of("alphalisa_test_2.txt")
    curve = fit_curve(*standards(plate))
    printed = known_curve(plate.curves[""].parameters)
    for ours, theirs, digits in zip(curve.parameters[:4], printed.parameters, (3, 2, 3, 3), strict=False):
        assert float(f"{ours:.{digits}g}") == theirs
    assert curve.converged


def test_alphalisa_concentrations_are_those_of_gen5() -> None:
    plate = plate_of("alphalisa_test_2.txt")
    found = deviation_percent(plate, fit_curve(*standards(plate)))
    assert len(found) >= 40
    # Gen5 prints three decimals.
    assert (found["ours"] - found["vendor"]).abs().max() < 0.0006
    assert found.loc[found["vendor"] > 1, "percent"].abs().max() < 0.15


def test_alphalisa_wells_that_gen5_calls_out_of_range_lie_outside_its_range() -> None:
    plate = plate_of("alphalisa_test_2.txt")
    x, y = standards(plate)
    curve = fit_curve(x, y)
    outside = plate.wells[plate.wells["vendor_concentration"].isna()]
    read = inverse(curve, outside["signal"].to_numpy(np.float64))
    # Gen5 takes 5 % beyond the highest standard for the end, and 0 for the other.
    beyond = (read.side != "inside") | (read.concentration > 1.05 * x.max())
    assert len(outside) == 2
    assert beyond.all()


def test_hcp_concentrations_are_those_of_softmax_pro_without_weights() -> None:
    plate = plate_of(HCP)
    away = deviation_percent(plate, fit_curve(*standards(plate)))["percent"].abs()
    assert len(away) >= 60
    assert away.median() < 0.01
    assert away.max() < 0.05
    weighted = deviation_percent(plate, fit_curve(*standards(plate), weighting="1/y2"))["percent"].abs()
    assert weighted.median() > 1


def test_a_second_hcp_plate_far_below_its_plateau_agrees_too() -> None:
    # Only the start of the curve is seen, so the EC50 is not; SoftMax stops a little elsewhere on the ridge.
    plate = plate_of(HCP_WITH_STANDARDS)
    x, y = standards(plate)
    curve = fit_curve(x, y)
    found = deviation_percent(plate, curve)
    assert curve.parameters[2] > 5 * x.max()
    assert found["percent"].abs().median() < 0.1
    assert found.loc[found["vendor"] > 1, "percent"].abs().max() < 0.72


def test_hcp_standards_pass_the_tolerance_and_have_too_few_levels_for_ich_m10() -> None:
    plate = plate_of(HCP_WITH_STANDARDS)
    x, y = standards(plate)
    found = calibrate(x, y, model="4pl")
    assert set(found.broken) == {"standard_levels"}
    assert found.n_accepted == 5
    assert calibrate(x, y, model="4pl", rules=Rules(min_levels=5)).accepted
    vendor = plate.wells[plate.wells["task"] == "standard"].groupby("nominal")["vendor_concentration"].mean()
    for nominal, mean in vendor[vendor.index > 0].items():
        row = found.table[np.isclose(found.table["nominal"], float(str(nominal)))]
        assert row["back_mean"].iloc[0] == pytest.approx(mean, rel=0.005)


def test_a_line_of_gen5_is_that_through_standards_and_blanks_without_the_blank() -> None:
    plate = plate_of("endpoint_stdcurve_singleplate.txt")
    x, y = standards(plate)
    blanks = plate.wells.loc[plate.wells["task"] == "blank", "signal"].to_numpy(np.float64)
    curve = fit_curve(
        np.append(x, np.zeros(len(blanks))),
        np.append(y, blanks) - blanks.mean(),
        model="linear",
        log_concentration=False,
    )
    printed = plate.curves[""].parameters
    assert float(f"{curve.parameters[1]:.3g}") == printed["slope"]
    assert curve.parameters[0] == pytest.approx(printed["intercept"], abs=5e-5)
    found = deviation_percent(plate, curve, blank=float(blanks.mean()))
    assert found.loc[found["vendor"] > 50, "percent"].abs().max() < 0.5


def test_a_mock_plate_without_a_curve_is_refused() -> None:
    with pytest.raises(CurveError, match="do not change with their concentration"):
        fit_curve(*standards(plate_of("alphalisa_endpoint_singleplate.txt")))


SCRIPT = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
from bio_curve_fit.logistic import FiveParamLogistic, FourParamLogistic

out = []
for job in json.load(sys.stdin):
    model = FourParamLogistic() if job["model"] == "4pl" else FiveParamLogistic()
    p = job["power"]
    try:
        model.fit(np.array(job["x"]), np.array(job["y"]), weight_func=lambda y: np.maximum(y, 1e-300) ** (p / 2), maxfev=20000)
    except Exception:
        out.append(None)
        continue
    names = "ABCD" if job["model"] == "4pl" else "ABCDE"
    out.append({
        "parameters": [float(getattr(model, n)) for n in names],
        "half_band": list(map(float, model.predict_confidence_band(np.array(job["x"])))),
    })
json.dump(out, sys.stdout)
"""


def by_bio_curve_fit(jobs: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    python = os.environ.get("CARTRACE_BIO_CURVE_FIT_PYTHON")
    if not python:
        pytest.skip("set CARTRACE_BIO_CURVE_FIT_PYTHON to a Python that has bio-curve-fit")
    run = subprocess.run(
        [python, "-c", SCRIPT],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found: list[dict[str, Any] | None] = json.loads(run.stdout)
    return found


def luminex_standards() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Dilution series of the standards (row A from the second well on), one for each analyte."""
    wells = plate_of("IGG_CO_1_xponent.csv", "serolyzer_luminex").wells
    series = wells[(wells["sample_name"] == "S") & wells["well"].str.startswith("A")]
    out = {}
    for target, rows in series.groupby("target"):
        y = rows.sort_values("well")["signal"].to_numpy(np.float64)
        out[str(target)] = (100 / 2.0 ** np.arange(len(y)), y)
    return out


def squares(curve: Curve, x: np.ndarray, y: np.ndarray, power: float) -> float:
    return float(np.sum((y - curve.predict(x)) ** 2 / y**power))


def other_curve(found: dict[str, Any]) -> Curve:
    return known_curve(dict(zip("ABCDG", found["parameters"], strict=False)))


def test_bio_curve_fit_gives_the_same_alphalisa_curve() -> None:
    x, y = standards(plate_of("alphalisa_test_2.txt"))
    (found,) = by_bio_curve_fit([{"x": list(x), "y": list(y), "model": "4pl", "power": 0}])
    assert found is not None
    curve = fit_curve(x, y)
    assert curve.parameters[:4] == pytest.approx(other_curve(found).parameters[:4], rel=1e-3)
    low, high = confidence_band(curve, x)
    # It takes the weights for the inverse variances themselves: its band is for a residual SD of 1.
    assert (high - low) / 2 == pytest.approx(np.array(found["half_band"]) * curve.residual_sd, rel=0.01)


# 5pl with the power 1.8 is what Bio-Plex Manager fits by default. Standards leave the asymmetry of a 5pl open;
# ours keeps it within bounds, and bio-curve-fit does not.
@pytest.mark.parametrize(
    ("model", "power", "percent"),
    [("4pl", 0.0, 0.5), ("4pl", 2.0, 0.01), ("5pl", 0.0, 3.0), ("5pl", 1.8, 0.2)],
)
def test_bio_curve_fit_reads_the_same_concentrations_off_real_luminex_standards(
    model: Model, power: float, percent: float
) -> None:
    series = luminex_standards()
    jobs = [{"x": list(x), "y": list(y), "model": model, "power": power} for x, y in series.values()]
    found = by_bio_curve_fit(jobs)
    assert len(found) > 20
    for (x, y), other in zip(series.values(), found, strict=True):
        assert other is not None
        ours, theirs = fit_curve(x, y, model=model, weighting="power", power=power), other_curve(other)
        if model == "4pl":
            assert squares(ours, x, y, power) <= squares(theirs, x, y, power) * (1 + 1e-9)
        read = inverse(ours, theirs.predict(x[1:-1])).concentration
        assert 100 * np.abs(read / x[1:-1] - 1).max() < percent
