"""Do the concentrations of the instrument's software hold the dilution already?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.unit.immunoassay.hand_elisa import LEVELS, assay, od, quantified, sample, standards

from cartrace.immunoassay.assay import Assay
from cartrace.immunoassay.vendor import dilution_held

NOMINAL = np.repeat(LEVELS, 2)
SIGNAL = np.array([od(x) for x in NOMINAL])
WELLS = np.array([20.0, 55.0, 170.0])


def held(concentration: Any, dilution: Any, signal: Any = None, sign: float = 1.0) -> bool | None:
    read = np.array([od(x) for x in WELLS]) if signal is None else np.asarray(signal, dtype=float)
    n = len(read)
    return dilution_held(
        NOMINAL,
        sign * SIGNAL,
        np.broadcast_to(np.asarray(dilution, dtype=float), n),
        sign * read,
        np.asarray(concentration, dtype=float),
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("dilution", [2.0, 50.0])
def test_concentrations_of_the_well_and_of_the_sample_are_told_apart(dilution: float, sign: float) -> None:
    assert held(WELLS, dilution, sign=sign) is False
    assert held(WELLS * dilution, dilution, sign=sign) is True


def test_the_median_of_the_wells_counts() -> None:
    assert held([20.0, 55.0 * 50, 170.0 * 50], 50) is True


def test_nobody_can_tell_without_dilutions_signals_between_the_standards_or_a_clear_answer() -> None:
    assert held(WELLS, 1) is None
    assert held(WELLS, 50, signal=[0.01, 9.0, np.nan]) is None
    assert held(WELLS * 7, 50) is None, "off by the square root of the dilution"
    few = dilution_held(NOMINAL[:4], SIGNAL[:4], np.full(3, 50.0), np.array([0.1, 0.2, 0.3]), WELLS)
    assert few is None


def of_vendor(**calibration: Any) -> Assay:
    target = {
        "analyte": "soluble_bcma",
        "unit": "ng/mL",
        "calibration": {"model": "vendor"} | calibration,
        "limits": {"source": "fixed", "lloq": 3, "uloq": 3000},
    }
    return assay(targets={"sBCMA": target})


@pytest.mark.parametrize(("printed", "right"), [(55.0 * 50, True), (55.0, False)])
def test_a_wrong_setting_rejects_the_target_and_the_right_one_gives_the_result(
    printed: float, right: bool
) -> None:
    rows = standards() + sample("C01", "S1 d0", od(55), dilution=50, vendor_concentration=printed)
    wrong = quantified(rows, of_vendor(holds_dilution=not right))
    assert wrong.samples["verdict"].tolist() == ["rejected"]
    finding = wrong.qc.set_index("check").loc["vendor_dilution"]
    assert finding["suggestion"] == f"calibration: {{holds_dilution: {str(right).lower()}}}"
    result = quantified(rows, of_vendor(holds_dilution=right))
    assert result.samples[["verdict", "result", "lloq"]].to_numpy().tolist() == [["accepted", 2750.0, 150.0]]
    assert "vendor_dilution" not in set(result.qc["check"])
    assert result.wells["vendor_concentration"].dropna().tolist() == [printed], "as printed"


def test_limits_hold_in_the_well_whatever_the_software_prints() -> None:
    # 100 of the sample is 2 in the well, below the limit of 3.
    rows = standards() + sample("C01", "S1 d0", od(2), dilution=50, vendor_concentration=100.0)
    result = quantified(rows, of_vendor(holds_dilution=True))
    assert result.samples[["detection", "upper"]].to_numpy().tolist() == [["BLQ", 150.0]]


def test_what_can_t_be_checked_is_told_and_stands() -> None:
    rows = sample("C01", "S1 d0", od(55), dilution=50, vendor_concentration=55.0)
    result = quantified(rows, of_vendor())
    assert result.samples["result"].tolist() == [55 * 50.0]
    assert result.qc.set_index("check").loc["dilution_not_checked", "verdict"] == "warn"


def test_a_warning_of_the_software_is_no_reading() -> None:
    rows = [*standards(), *sample("C01", "S1 d0", np.nan, vendor_status="too few beads")]
    result = quantified(rows, of_vendor())
    assert "reading_missing" in set(result.qc["check"])
