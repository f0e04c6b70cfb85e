"""Four runs whose standard curves the instrument's own software fitted (docs/validation.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.pcr.readers import read_plate
from cartrace.pcr.standard_curve import fit_curve, inverse_interval

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Run:
    """A file, how many standards and unknowns it holds, and half a unit of the digits that it prints."""

    file: str
    standards: int
    unknowns: int
    line: float
    r2: float
    efficiency: float


D_AND_A = "appbio_quantstudio_designandanalysis_"
RUNS = (
    # QuantStudio 7 Flex prints three decimals, and computes the efficiency from a slope so rounded.
    Run("example_quantsudio_results_only.txt", 18, 69, 5e-4, 5e-4, 0.01),
    # Design & Analysis prints four decimals of the line, and r2 and efficiency in full.
    Run(f"{D_AND_A}QS1_Standard_Curve_example01.xlsx", 20, 72, 5.1e-5, 1e-9, 1e-6),
    Run(f"{D_AND_A}QS7_Standard_Curve_example06.xlsx", 20, 72, 5.1e-5, 1e-9, 1e-6),
    Run(f"{D_AND_A}QS7Pro_Standard_Curve_example14.xlsx", 92, 0, 5.1e-5, 1e-9, 1e-6),
)


@pytest.fixture(params=RUNS, ids=[r.file for r in RUNS])
def run(request: pytest.FixtureRequest) -> tuple[Run, pd.DataFrame, pd.DataFrame]:
    run: Run = request.param
    path = real_data() / "assays" / "allotropy_qpcr" / run.file
    if not path.is_file():
        pytest.skip("the real plates are not here: set CARTRACE_REAL_DATA or put them in ../shared/data")
    wells = read_plate(path.read_bytes(), run.file).wells
    wells = wells[(wells["cq_kind"] == "quantified") & ~wells["omitted"]]
    standards = wells[wells["task"] == "standard"]
    assert len(set(standards["target"])) == 1
    return run, standards, wells[(wells["task"] != "standard") & wells["vendor_quantity"].notna()]


def test_the_curve_is_that_of_the_instrument_to_the_printed_digits(
    run: tuple[Run, pd.DataFrame, pd.DataFrame],
) -> None:
    expected, standards, _ = run
    assert len(standards) == expected.standards
    curve = fit_curve(np.log10(standards["nominal"]), standards["cq"])
    printed = {
        name: standards[f"vendor_{name}"].dropna().unique()
        for name in ("slope", "intercept", "r2", "efficiency_percent")
    }
    assert {len(v) for v in printed.values()} == {1}
    assert curve.slope == pytest.approx(printed["slope"][0], abs=expected.line)
    assert curve.intercept == pytest.approx(printed["intercept"][0], abs=expected.line)
    assert curve.r2 == pytest.approx(printed["r2"][0], abs=expected.r2)
    assert curve.efficiency_percent == pytest.approx(
        printed["efficiency_percent"][0], abs=expected.efficiency
    )


def test_the_unknowns_are_those_of_the_instrument(run: tuple[Run, pd.DataFrame, pd.DataFrame]) -> None:
    expected, standards, unknowns = run
    assert len(unknowns) == expected.unknowns
    curve = fit_curve(np.log10(standards["nominal"]), standards["cq"])
    copies = curve.predict(unknowns["cq"])
    assert copies == pytest.approx(unknowns["vendor_quantity"].to_numpy(), rel=5e-4)
    lower, upper = inverse_interval(curve, unknowns["cq"])
    assert ((lower < copies) & (copies < upper)).all()
