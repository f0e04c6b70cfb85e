"""One plate quantified: concentrations, censoring, dilutions, controls, titres, indices, vendor numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from scipy.stats import t as student
from tests.unit.immunoassay.hand_elisa import (
    LEVELS,
    Row,
    assay,
    layout,
    od,
    quantified,
    sample,
    standards,
    titre_assay,
)

from cartrace.config import Immunoassay
from cartrace.immunoassay.curves import vendor_side
from cartrace.immunoassay.quantify import PlateResult
from cartrace.immunoassay.tables import CURVES, SAMPLES, STANDARDS, WELLS
from cartrace.tables import QC, conform


def row(result: PlateResult, name: str, target: str = "sBCMA") -> dict[str, Any]:
    found = result.samples[(result.samples["sample"] == name) & (result.samples["target"] == target)]
    assert len(found) == 1
    return {str(k): v for k, v in found.iloc[0].items()}


def flags(found: dict[str, Any]) -> list[str]:
    return [] if pd.isna(found["flags"]) else found["flags"].split(";")


def findings(result: PlateResult, check: str) -> pd.DataFrame:
    return result.qc[result.qc["check"] == check]


def test_a_sample_is_read_off_the_curve_times_its_dilution() -> None:
    result = quantified([*standards(), *sample("C01 C02", "S1 d0", od(50), od(52), dilution=10)])
    found = row(result, "S1 d0")
    assert found["result"] == pytest.approx(510, rel=1e-3)
    assert found["lower"] < 510 < found["upper"]
    assert found["cv_percent"] == pytest.approx(100 * math.sqrt(2) / 51, rel=1e-2)
    assert (found["detection"], found["verdict"], found["n_used"]) == ("quantified", "accepted", 2)
    assert (found["lloq"], found["uloq"]) == (30, 30_000)
    curve = result.curves.iloc[0]
    assert curve[["model", "limits_from", "verdict"]].tolist() == ["4pl", "accepted_range", "accepted"]
    assert curve["ec50"] == pytest.approx(100, rel=1e-3)
    assert curve["n_accepted"] == len(LEVELS)


def test_every_table_keeps_its_contract() -> None:
    result = quantified([*standards(), *sample("C01", "S1 d0", od(50))])
    for frame, table in (
        (result.wells, WELLS),
        (result.standards, STANDARDS),
        (result.curves, CURVES),
        (result.samples, SAMPLES),
        (result.qc, QC),
    ):
        pd.testing.assert_frame_equal(conform(frame, table), frame)
    assert len(result.standards) == len(LEVELS)


def test_the_result_is_not_multiplied_where_standards_are_diluted_alike() -> None:
    result = quantified(
        [*standards(), *sample("C01", "S1 d0", od(50), dilution=10)], assay(result_times_dilution=False)
    )
    assert row(result, "S1 d0")["result"] == pytest.approx(50, rel=1e-3)
    assert row(result, "S1 d0")["lloq"] == 3


def test_out_of_range_results_are_bounds_times_the_dilution() -> None:
    result = quantified(
        [
            *standards(),
            *sample("C01", "S1 d0", od(2), dilution=10),
            *sample("C02", "S1 d1", 0.01, dilution=10),
            *sample("C03", "S1 d2", od(9000), dilution=10),
            *sample("C04", "S1 d3", 3.4, dilution=10),
        ]
    )
    low, under, high, over = (row(result, f"S1 d{i}") for i in range(4))
    for found in (low, under):
        assert (found["detection"], found["lower"], found["upper"]) == ("BLQ", 0, 30)
    for found in (high, over):
        assert (found["detection"], found["lower"]) == ("above_uloq", 30_000)
        assert pd.isna(found["upper"])
        assert pd.isna(found["result"])
    ranges = result.wells.set_index("well")["range"]
    assert ranges[["C01", "C02", "C03", "C04"]].tolist() == [
        "below_lloq",
        "below_curve",
        "above_uloq",
        "above_curve",
    ]


def test_blanks_set_the_limit_of_detection() -> None:
    blanks = [
        {"well": f"H0{i}", "sample_name": "blank", "task": "blank", "signal": s}
        for i, s in enumerate((0.048, 0.05, 0.052), 1)
    ]
    result = quantified(
        [*standards(), *blanks, *sample("C01", "S1 d0", od(0.05)), *sample("C02", "S1 d1", od(1))]
    )
    # mean + 3 SD = 0.05 + 3 x 0.002, which is od(0.2004)
    assert result.curves["lod"].iloc[0] == pytest.approx(0.2, rel=0.05)
    below, between = row(result, "S1 d0"), row(result, "S1 d1")
    assert below["detection"] == "BLD"
    assert (below["lower"], below["upper"]) == (0, result.curves["lod"].iloc[0])
    assert between["detection"] == "BLQ"
    assert (between["lower"], between["upper"]) == (result.curves["lod"].iloc[0], 3)


def test_a_high_blank_flags_the_target() -> None:
    blank = {"well": "H01", "task": "blank", "signal": 0.5}
    result = quantified([*standards(), blank, *sample("C01", "S1 d0", od(50))])
    assert flags(row(result, "S1 d0")) == ["blank_signal"]


def test_high_blanks_that_lift_the_limit_of_detection_flag_the_target_too() -> None:
    blanks = [{"well": f"H0{i}", "task": "blank", "signal": s} for i, s in enumerate((0.4, 0.5, 0.6), 1)]
    result = quantified([*standards(), *blanks, *sample("C01", "S1 d0", od(50))])
    assert len(findings(result, "lod_above_lloq")) == 1
    assert flags(row(result, "S1 d0")) == ["blank_signal"]


def test_blanks_that_give_no_limit_of_detection_are_told() -> None:
    result = quantified([*standards(), {"well": "H01", "task": "blank", "signal": 0.05}])
    (message,) = findings(result, "lod_missing")["message"]
    assert "blanks: 1; 3 are needed" in message


def test_a_blank_is_subtracted_from_everything() -> None:
    of = assay(
        targets={
            "sBCMA": {
                "analyte": "soluble_bcma",
                "unit": "ng/mL",
                "calibration": {"subtract_blank": True},
            }
        }
    )
    blank = {"well": "H01", "task": "blank", "signal": 0.05}
    rows = [*standards(), *sample("C01", "S1 d0", od(50))]
    result = quantified([*rows, blank], of)
    assert row(result, "S1 d0")["result"] == pytest.approx(50, rel=1e-2)
    corrected = result.wells.set_index("well")["corrected"]
    assert corrected["C01"] == pytest.approx(od(50) - 0.05)
    missing = quantified(rows, of)
    assert flags(row(missing, "S1 d0")) == ["blank_missing"]
    assert row(missing, "S1 d0")["result"] == pytest.approx(50, rel=1e-2)


def test_of_several_dilutions_the_one_nearest_the_middle_counts() -> None:
    # 2000 ng/mL at 1:2, 1:20, 1:200: 1000, 100 and 10 in the well; the middle is sqrt(3 x 3000) = 95.
    rows = [
        r
        for well, d in (("C01", 2), ("C02", 20), ("C03", 200))
        for r in sample(well, "S1 d0", od(2000 / d), dilution=d)
    ]
    found = row(quantified([*standards(), *rows]), "S1 d0")
    assert found["dilution_used"] == 20
    assert found["result"] == pytest.approx(2000, rel=1e-2)
    assert found["dilutions"] == "2, 20, 200"
    assert (found["lloq"], found["uloq"]) == (6, 600_000)
    assert found["linearity_percent"] < 5
    assert found["parallelism_p"] > 0.01


def test_dilutions_that_disagree_are_flagged() -> None:
    rows = [*sample("C01", "S1 d0", od(100), dilution=10), *sample("C02", "S1 d0", od(20), dilution=100)]
    found = row(quantified([*standards(), *rows]), "S1 d0")
    # 1000 and 2000: each is a third away from 1500.
    assert found["linearity_percent"] == pytest.approx(100 / 3, rel=1e-2)
    assert "linearity" in flags(found)
    assert found["verdict"] == "flagged"


def test_the_lowest_dilution_bounds_a_low_and_the_highest_a_high_result() -> None:
    low = [r for w, d in (("C01", 2), ("C02", 20)) for r in sample(w, "S1 d0", od(1 / d), dilution=d)]
    high = [r for w, d in (("C03", 2), ("C04", 20)) for r in sample(w, "S2 d0", od(2e5 / d), dilution=d)]
    result = quantified([*standards(), *low, *high])
    assert row(result, "S1 d0")["upper"] == 6
    assert row(result, "S2 d0")["lower"] == 60_000


def test_dilutions_on_both_sides_of_the_curve_are_no_result() -> None:
    rows = [*sample("C01", "S1 d0", od(9000), dilution=2), *sample("C02", "S1 d0", 0.01, dilution=4)]
    found = row(quantified([*standards(), *rows]), "S1 d0")
    assert found["verdict"] == "rejected"
    assert flags(found) == ["dilutions_contradict"]
    assert pd.isna(found["detection"])


def test_a_dilution_past_the_hook_is_not_used() -> None:
    rows = [
        *sample("C01 C02", "S1 d0", od(60), od(61), dilution=2),
        *sample("C03 C04", "S1 d0", od(500), od(505), dilution=200),
    ]
    result = quantified([*standards(), *rows])
    found = row(result, "S1 d0")
    assert found["dilution_used"] == 200
    assert found["result"] == pytest.approx(502.5 * 200, rel=2e-2)
    assert "hook" in flags(found)
    assert result.wells.set_index("well").loc[["C01", "C02"], "range"].tolist() == ["hook", "hook"]
    assert len(findings(result, "hook")) == 1


def test_a_saturated_well_is_above_the_curve_not_missing() -> None:
    rows = sample("C01 C02", "S1 d0", od(900), math.nan, vendor_status="OVRFLW")
    rows[0]["vendor_status"] = None
    found = row(quantified([*standards(), *rows]), "S1 d0")
    assert (found["detection"], found["lower"]) == ("above_uloq", 3000)


def test_a_well_without_a_reading_is_rejected_and_the_others_count() -> None:
    result = quantified([*standards(), *sample("C01 C02", "S1 d0", od(50), math.nan)])
    found = row(result, "S1 d0")
    assert (found["n_wells"], found["n_used"], found["verdict"]) == (2, 1, "accepted")
    assert result.wells.set_index("well").loc["C02", "verdict"] == "rejected"
    alone = row(quantified([*standards(), *sample("C01", "S1 d0", math.nan)]), "S1 d0")
    assert (alone["verdict"], flags(alone)) == ("rejected", ["no_well_left", "reading_missing"])


def test_replicates_that_disagree_are_flagged() -> None:
    found = row(quantified([*standards(), *sample("C01 C02", "S1 d0", od(50), od(80))]), "S1 d0")
    # mean 65, SD 30/sqrt(2)
    assert found["cv_percent"] == pytest.approx(100 * 30 / math.sqrt(2) / 65, rel=1e-2)
    assert flags(found) == ["replicate_cv"]


def test_a_bad_standard_leaves_the_fit_and_the_others_hold() -> None:
    rows = standards()
    for r in rows:
        if r["nominal"] == 30:
            r["signal"] = od(60)
    result = quantified([*rows, *sample("C01", "S1 d0", od(50))])
    levels = result.standards.set_index("nominal")
    assert levels.loc[30, "verdict"] == "rejected"
    assert levels.loc[30, "n_used"] == 0
    found = row(result, "S1 d0")
    assert found["result"] == pytest.approx(50, rel=1e-2)
    assert found["verdict"] == "accepted"
    told = findings(result, "standard_recovery")
    assert told["verdict"].tolist() == ["warn"]
    assert "is left out of the fit" in told["message"].iloc[0]


def test_too_few_standards_reject_the_plate() -> None:
    rows = [r for r in standards() if r["nominal"] <= 300]
    found = row(quantified([*rows, *sample("C01", "S1 d0", od(50))]), "S1 d0")
    assert found["verdict"] == "rejected"
    assert flags(found) == ["standard_levels"]
    lenient = Immunoassay.model_validate({"acceptance": {"standard_levels": {"lower": 5}}})
    accepted = row(quantified([*rows, *sample("C01", "S1 d0", od(50))], settings=lenient), "S1 d0")
    assert accepted["verdict"] == "accepted"


def test_without_standards_nothing_is_quantified() -> None:
    result = quantified(sample("C01", "S1 d0", od(50)))
    found = row(result, "S1 d0")
    assert (found["verdict"], flags(found)) == ("rejected", ["curve_missing", "no_well_left"])
    assert result.curves.empty


def control(task: str = "control", **more: Any) -> dict[str, Any]:
    return {"controls": {"QC": {"task": task, **more}}}


def test_a_control_that_misses_its_concentration_rejects_the_target() -> None:
    of = assay(**control(concentration={"sBCMA": 100}))
    rows = [*standards(), *sample("C01", "S1 d0", od(50))]
    good = quantified([*rows, *sample("D01", "QC", od(110))], of)
    assert row(good, "S1 d0")["verdict"] == "accepted"
    assert row(good, "QC")["recovery_percent"] == pytest.approx(110, rel=1e-2)
    bad = quantified([*rows, *sample("D01", "QC", od(140))], of)
    assert (row(bad, "S1 d0")["verdict"], flags(row(bad, "S1 d0"))) == ("rejected", ["control_recovery"])
    lost = quantified([*rows, *sample("D01", "QC", 0.01)], of)
    assert row(lost, "S1 d0")["verdict"] == "rejected"


def test_wells_that_nobody_names_and_that_read_like_samples_are_told() -> None:
    named = [*standards(), *sample("C01", "S1 d0", od(50))]
    lost = [{"well": "C02", "signal": od(52)}, {"well": "H12", "signal": 0.04}]
    result = quantified([*named, *lost])
    assert findings(result, "well_unnamed")[["value", "verdict"]].to_numpy().tolist() == [["C02", "warn"]]
    assert row(result, "S1 d0")["n_used"] == 1
    assert findings(quantified([*named, lost[1]]), "well_unnamed").empty
    dilutions = layout({"well": "A01", "sample": "S1 d0", "dilution": 10})
    wells = [{"well": f"A{n:02d}", "vendor_status": word} for n, word in enumerate("++-", 1)]
    read = quantified(wells, titre_assay(), dilutions)
    assert findings(read, "well_unnamed")["value"].tolist() == ["A02"]


def test_a_curve_that_goes_the_wrong_way_is_rejected() -> None:
    # Standards in reverse order come back perfectly: S1 in the well of S7.
    upside_down = [{**r, "nominal": LEVELS[-1 - LEVELS.index(r["nominal"])]} for r in standards()]
    wells = [*upside_down, *sample("C01 C02", "S1 d0", od(50), od(52))]
    found = row(quantified(wells), "S1 d0")
    assert found["verdict"] == "rejected"
    assert "curve_direction" in flags(found)
    competitive = {"sBCMA": {"analyte": "soluble_bcma", "unit": "ng/mL", "calibration": {"falling": True}}}
    assert row(quantified(wells, assay(targets=competitive)), "S1 d0")["verdict"] == "accepted"
    rising = [*standards(), *sample("C01 C02", "S1 d0", od(50), od(52))]
    result = quantified(rising, assay(targets=competitive))
    assert row(result, "S1 d0")["verdict"] == "rejected"
    assert "rises with the concentration" in findings(result, "curve_direction")["message"].iloc[0]


def test_a_plate_without_any_control_of_the_assay_file_is_flagged() -> None:
    controls = {f"lot {n}": {"task": "control", "concentration": {"sBCMA": 50.0}} for n in "AB"}
    wells = [*standards(), *sample("C01 C02", "S1 d0", od(50), od(52))]
    result = quantified(wells, assay(controls=controls))
    assert flags(row(result, "S1 d0")) == ["uncontrolled"]
    assert "lot A, lot B" in findings(result, "uncontrolled")["message"].iloc[0]
    one = quantified([*wells, *sample("D01", "Lot b", od(50))], assay(controls=controls))
    assert flags(row(one, "S1 d0")) == []


def test_a_control_outside_its_range_rejects_the_target() -> None:
    of = assay(**control("negative_control", range={"sBCMA": [0, 8]}))
    rows = [*standards(), *sample("C01", "S1 d0", od(50))]
    assert row(quantified([*rows, *sample("D01", "QC", 0.05)], of), "S1 d0")["verdict"] == "accepted"
    bad = row(quantified([*rows, *sample("D01", "QC", od(9))], of), "S1 d0")
    assert flags(bad) == ["control_range"]
    assert bad["verdict"] == "rejected"


def test_few_beads_flag_the_sample() -> None:
    rows = [*standards(bead_count=100), *sample("C01", "S1 d0", od(50), bead_count=49)]
    found = row(quantified(rows), "S1 d0")
    assert flags(found) == ["bead_count"]
    enough = [*standards(bead_count=100), *sample("C01", "S1 d0", od(50), bead_count=50)]
    assert flags(row(quantified(enough), "S1 d0")) == []


def test_omitted_wells_are_not_used() -> None:
    result = quantified([*standards(), *sample("C01", "S1 d0", od(50), omitted=True)])
    assert row(result, "S1 d0")["verdict"] == "not_used"
    assert result.wells.set_index("well").loc["C01", ["verdict", "exclusion"]].tolist() == [
        "not_used",
        "omitted",
    ]


def vendor(**limits: Any) -> Any:
    target: dict[str, Any] = {
        "analyte": "soluble_bcma",
        "unit": "ng/mL",
        "calibration": {"model": "vendor"},
    }
    return assay(targets={"sBCMA": target | ({"limits": limits} if limits else {})})


def test_concentrations_of_the_instrument_are_taken_with_their_limits() -> None:
    rows = [
        *[r | {"vendor_concentration": r["nominal"] * 1.02} for r in standards()],
        *sample("C01 C02", "S1 d0", 1.0, 1.0, dilution=10, vendor_concentration=50.0),
        *sample("C03", "S1 d1", 0.05, dilution=10, vendor_status="OOR <"),
        *sample("C04", "S1 d2", 3.1, dilution=10, vendor_status="OOR >"),
        *sample("C05", "S1 d3", 0.06, dilution=10, vendor_concentration=1.0, vendor_status="*"),
        *sample("C06", "S1 d4", 0.2, dilution=10, vendor_concentration=4.0, vendor_status="* extrapolated"),
    ]
    result = quantified(rows, vendor())
    found = [row(result, f"S1 d{i}") for i in range(5)]
    assert found[0]["result"] == 500
    assert pd.isna(found[0]["lower"])
    assert [f["detection"] for f in found] == ["quantified", "BLQ", "above_uloq", "BLQ", "quantified"]
    assert (found[1]["upper"], found[2]["lower"]) == (30, 30_000)
    assert flags(found[4]) == ["vendor_out_of_range"]
    assert result.curves["model"].tolist() == ["vendor"]
    assert result.standards["recovery_percent"].tolist() == pytest.approx([102] * 7)


def test_without_standards_the_limits_of_the_assay_file_hold() -> None:
    rows = sample("C01", "S1 d0", 0.1, vendor_concentration=4.0) + sample(
        "C02", "S1 d1", 0.3, vendor_concentration=40.0
    )
    result = quantified(rows, vendor(source="fixed", lloq=5, uloq=1000))
    assert row(result, "S1 d0")["detection"] == "BLQ"
    assert row(result, "S1 d1")["result"] == 40
    unknown = quantified(rows, vendor())
    assert row(unknown, "S1 d0")["result"] == 4
    assert len(findings(unknown, "limits_unknown")) == 1


@pytest.mark.parametrize(
    ("status", "side"),
    [
        ("OOR <", "below_curve"),
        ("> 105", "above_curve"),
        ("Above Fit Curve Range", "above_curve"),
        ("Below Detection Range", "below_curve"),
        ("*12.5", "beyond"),
        ("Range?", "beyond"),
        ("Low bead count", ""),
        ("High CV", ""),
        ("In Detection Range", ""),
        ("", ""),
    ],
)
def test_remarks_of_the_instruments_are_understood(status: str, side: str) -> None:
    assert vendor_side(status) == side


def index_assay(**target: Any) -> Any:
    return assay(
        targets={
            "AQP4": {
                "analyte": "aqp4_igg",
                "unit": "index",
                "readout": "index",
                "index_control": "Calibrator",
                **target,
            }
        },
        controls={"Calibrator": {"task": "control"}, "Blank": {"task": "blank"}},
    )


def test_an_index_is_the_signal_over_that_of_its_control() -> None:
    rows = [*sample("A01 A02", "Calibrator", 0.9, 1.1), *sample("C01 C02", "S1 d0", 2.0, 2.2)]
    found = row(quantified(rows, index_assay()), "S1 d0", "AQP4")
    assert found["result"] == pytest.approx(2.1)
    assert found["readout"] == "index"
    low = row(quantified(rows, index_assay(limits={"source": "fixed", "lloq": 3})), "S1 d0", "AQP4")
    assert (low["detection"], low["upper"]) == ("BLQ", 3)


def test_an_index_over_a_control_that_reads_like_a_blank_is_rejected() -> None:
    # Nothing else would tell: an index of 40 instead of 2 is a fine number.
    blank = {"well": "B01", "sample_name": "Blank", "signal": 0.05}
    rows = [blank, *sample("A01", "Calibrator", 0.06), *sample("C01", "S1 d0", 2.0)]
    assert "control_weak" in flags(row(quantified(rows, index_assay()), "S1 d0", "AQP4"))
    rows[1] |= {"signal": 1.0}
    assert row(quantified(rows, index_assay()), "S1 d0", "AQP4")["verdict"] == "accepted"


def test_a_result_beyond_the_standards_is_flagged_where_fixed_limits_allow_it() -> None:
    limits = {"source": "fixed", "lloq": 1, "uloq": 5000}
    of = assay(targets={"sBCMA": {"analyte": "soluble_bcma", "unit": "ng/mL", "limits": limits}})
    rows = [*standards(), *sample("C01", "S1 d0", od(1.5)), *sample("C02", "S2 d0", od(50))]
    result = quantified(rows, of)
    assert "extrapolated" in flags(row(result, "S1 d0"))
    assert flags(row(result, "S2 d0")) == []


def test_an_index_without_its_control_or_its_blank_is_rejected() -> None:
    found = row(quantified(sample("C01", "S1 d0", 2.0), index_assay()), "S1 d0", "AQP4")
    assert (found["verdict"], flags(found)) == ("rejected", ["control_missing"])
    rows = [*sample("A01", "Calibrator", 1.0), *sample("C01", "S1 d0", 2.0)]
    unblanked = row(quantified(rows, index_assay(calibration={"subtract_blank": True})), "S1 d0", "AQP4")
    assert (unblanked["verdict"], flags(unblanked)) == ("rejected", ["blank_missing"])


SERIES = (10, 20, 40, 80, 160)


def series(letter: str, name: str, words: str, **more: Any) -> list[Row]:
    return [
        {
            "well": f"{letter}{i:02d}",
            "sample_name": name,
            "task": "unknown",
            "dilution": d,
            "vendor_status": w,
            **more,
        }
        for i, (d, w) in enumerate(zip(SERIES, words.split(), strict=True), 1)
    ]


def test_a_titre_of_words() -> None:
    rows = [
        *series("A", "S1 d0", "+ + + - -"),
        *series("B", "S1 d30", "- - - - -"),
        *series("C", "S1 d60", "+ + + + +"),
    ]
    result = quantified(rows, titre_assay())
    high, negative, above = (row(result, f"S1 d{d}", "AQP4") for d in (0, 30, 60))
    assert (high["result"], high["lower"], high["upper"], high["lloq"]) == (40, 40, 80, 10)
    assert (negative["detection"], negative["upper"], negative["lloq"]) == ("BLQ", 10, 10)
    assert (above["detection"], above["lower"], above["uloq"]) == ("above_uloq", 160, 160)
    assert {high["verdict"], negative["verdict"], above["verdict"]} == {"accepted"}


def test_two_readers_of_a_titre() -> None:
    rows = [
        *series("A", "S1 d0", "+ + + - -"),
        *series("B", "S1 d0", "+ + + + -"),
        *series("C", "S2 d0", "+ - - - -"),
        *series("D", "S2 d0", "+ + + + -"),
    ]
    result = quantified(rows, titre_assay())
    near, far = row(result, "S1 d0", "AQP4"), row(result, "S2 d0", "AQP4")
    assert near["result"] == pytest.approx(math.sqrt(40 * 80))
    assert (near["lower"], near["upper"], near["verdict"]) == (40, 160, "flagged")
    assert (far["verdict"], flags(far)) == ("rejected", ["readings_disagree"])


def test_a_cutoff_control_that_reads_nothing_or_too_much_is_told() -> None:
    of = titre_assay({"NC": {"task": "negative_control"}}, cutoff_control="NC")
    wells = [r | {"dilution": 10 * 2**i} for i, r in enumerate(sample("A01 A02 A03", "S1 d0", 2.0, 0.5, 0.1))]

    def with_control(signal: float) -> PlateResult:
        return quantified([*wells, {"well": "H12", "sample_name": "NC", "signal": signal}], of)

    good = with_control(0.1)
    assert row(good, "S1 d0", "AQP4")["result"] == 20
    assert set(good.qc["verdict"]) <= {"pass", "note"}
    for nothing in (0.0, -0.01):  # every well would be positive
        assert "control_missing" in flags(row(with_control(nothing), "S1 d0", "AQP4"))
    contaminated = row(with_control(1.5), "S1 d0", "AQP4")  # every well would be negative
    assert (contaminated["detection"], flags(contaminated)) == ("BLQ", ["cutoff_unproven"])


def test_a_signal_of_no_bead_is_none() -> None:
    rows = [*standards(bead_count=80), *sample("C01 C02", "S1 d0", od(50), od(500), bead_count=80)]
    rows[-1]["bead_count"] = 0
    found = row(quantified(rows), "S1 d0")
    assert found["n_used"] == 1
    assert found["result"] == pytest.approx(50, rel=1e-2)


def test_the_cutoff_of_a_titre_is_a_multiple_of_its_control() -> None:
    made = titre_assay(
        {"Normal serum": {"task": "negative_control"}}, cutoff_control="Normal serum", cutoff_factor=3
    )
    signals = (2.0, 1.0, 0.4, 0.2, 0.1)
    rows = [
        {"well": f"C{i:02d}", "sample_name": "S1 d0", "task": "unknown", "dilution": d, "signal": s}
        for i, (d, s) in enumerate(zip(SERIES, signals, strict=True), 1)
    ]
    blank = [
        {"well": w, "sample_name": "Normal serum", "dilution": 10, "signal": 0.1} for w in ("H01", "H02")
    ]
    assert row(quantified([*rows, *blank], made), "S1 d0", "AQP4")["result"] == 40
    found = row(quantified(rows, made), "S1 d0", "AQP4")
    assert found["verdict"] == "rejected"
    assert "control_missing" in flags(found)


def test_a_typed_end_point_needs_no_wells_of_a_series() -> None:
    rows = [
        {"well": "A01", "sample_name": "S1 d0", "task": "unknown", "vendor_status": "1:80"},
        {"well": "A02", "sample_name": "S1 d30", "task": "unknown", "vendor_status": "<1:10"},
    ]
    result = quantified(rows, titre_assay())
    assert row(result, "S1 d0", "AQP4")[("result")] == 80
    assert row(result, "S1 d30", "AQP4")["detection"] == "BLQ"


def test_a_mismatched_well_leaves_its_sample() -> None:
    said = layout({"well": "C01", "sample": "S1 d0"}, {"well": "C02", "sample": "S2 d0"})
    rows = [*standards(), *sample("C01 C02", "S1 d0", od(50), od(500))]
    result = quantified(rows, layout=said)
    swapped = row(result, "S2 d0")
    assert (swapped["verdict"], swapped["n_used"]) == ("rejected", 0)
    assert "sample_mismatch" in flags(swapped)
    assert row(result, "S1 d0")["result"] == pytest.approx(50, rel=1e-2)


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False), st.floats(0.01, 100))
def test_the_order_of_wells_and_the_unit_of_the_signal_do_not_matter(random: Any, scale: float) -> None:
    rows = [*standards(), *sample("C01 C02", "S1 d0", od(50), od(52)), *sample("C03", "S1 d1", od(500))]
    expected = quantified(rows).samples.set_index("sample")["result"]
    shuffled = [r | {"signal": r["signal"] * scale} for r in rows]
    random.shuffle(shuffled)
    found = quantified(shuffled).samples.set_index("sample")["result"]
    assert found[expected.index].tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_standards_of_a_serum_with_dilutions_only_give_relative_units() -> None:
    target = {"analyte": "other_antibody", "unit": "arbitrary"}
    of = assay(targets={"sBCMA": target}, result_times_dilution=False)
    rows = [
        {
            "well": f"A{i:02d}",
            "sample_name": f"1/{d}",
            "task": "standard",
            "dilution": d,
            "signal": od(1e6 / d),
        }
        for i, d in enumerate((1e6 / level for level in LEVELS), 1)
    ]
    result = quantified([*rows, *sample("C01", "S1 d0", od(50), dilution=100)], of)
    assert row(result, "S1 d0")["result"] == pytest.approx(50, rel=1e-3)
    assert len(findings(result, "relative_units")) == 1
    ng = quantified([*rows, *sample("C01", "S1 d0", od(50))])
    assert row(ng, "S1 d0")["verdict"] == "rejected"


def test_typed_end_points_of_a_grid_become_titres() -> None:
    rows = [
        {"well": w, "sample_name": f"S{i} d0", "vendor_status": text}
        for i, (w, text) in enumerate([("A01", "1:40"), ("A02", "<1:10"), ("A03", ">1:320")])
    ]
    found = quantified(rows, titre_assay()).samples
    assert found["detection"].tolist() == ["quantified", "BLQ", "above_uloq"]
    assert found["result"].tolist()[0] == 40


def test_a_kit_with_fewer_levels_is_told_the_remedy_and_passes_with_it() -> None:
    rows = [r for r in standards() if r["nominal"] <= 300]
    finding = quantified(rows + sample("C01", "S1 d0", od(50))).qc.set_index("check").loc["standard_levels"]
    assert finding["verdict"] == "fail"
    assert "the assay file may say acceptance: {standard_levels: {lower: 5}}" in finding["message"]
    eased = assay(acceptance={"standard_levels": {"lower": 5}})
    result = quantified(rows + sample("C01", "S1 d0", od(50)), eased)
    assert result.samples["verdict"].tolist() == ["accepted"]


def test_a_curve_whose_standards_leave_a_parameter_open_says_so() -> None:
    # A 5pl of points on a line against the logarithm: no plateau anywhere.
    rows = [
        r | {"signal": 1 + 0.3 * math.log(r["nominal"]) * f}
        for r, f in zip(standards(), [1.002, 0.998] * 7, strict=True)
    ]
    target = {
        "analyte": "soluble_bcma",
        "unit": "ng/mL",
        "calibration": {"model": "5pl", "weighting": "none"},
    }
    result = quantified(rows, assay(targets={"sBCMA": target}))
    assert "runs to the edge of the search" in result.qc.set_index("check").loc["curve_open", "message"]


@pytest.mark.parametrize("second", [0.0, 9.9])
def test_replicates_of_which_one_lies_beyond_the_curve_are_flagged(second: float) -> None:
    # Their mean signal is on the curve, and no CV of concentrations can tell.
    first = od(50) if second < 1 else 0.2
    target = {"analyte": "soluble_bcma", "unit": "ng/mL", "calibration": {"weighting": "none"}}
    rows = standards() + sample("C01 C02", "S1 d0", first, second if second < 1 else 3.5)
    found = row(quantified(rows, assay(targets={"sBCMA": target})), "S1 d0")
    assert found["verdict"] == "flagged"
    assert flags(found) == ["replicates_straddle"]
    assert found["repeat"] is pd.NA or not pd.isna(found["result"])


def test_replicates_of_a_standard_that_disagree_flag_every_sample() -> None:
    # 125 % and 75 % of the signal at 100: the level comes back well, since its mean does.
    rows = [
        r | {"signal": od(100) * (1.25 if r["well"].startswith("A") else 0.75)} if r["nominal"] == 100 else r
        for r in standards()
    ]
    result = quantified(rows + sample("C01 C02", "S1 d0", od(50), od(50)))
    finding = result.qc.set_index("check").loc["standard_cv"]
    assert (finding["verdict"], finding["limit"]) == ("warn", "at most 25 %")
    assert "35.36 % at 100 (A04, B04)" in finding["message"]  # 25 % on both sides: 25 sqrt(2)
    assert result.samples["verdict"].tolist() == ["flagged"]


@pytest.mark.parametrize("signal", [1e-300, 1e-12, 1e12])
def test_signals_of_any_size_give_the_same_concentrations(signal: float) -> None:
    rows = standards() + sample("C01 C02", "S1 d0", od(50), od(50))
    target = {"analyte": "soluble_bcma", "unit": "ng/mL", "calibration": {"weighting": "1/y2"}}
    scaled = quantified(
        [r | {"signal": r["signal"] * signal} for r in rows], assay(targets={"sBCMA": target})
    )
    assert scaled.samples["result"].tolist() == pytest.approx([50], rel=1e-3)


def test_a_plate_recomputed_with_scipy_gives_the_same_result_and_interval() -> None:
    rng = np.random.default_rng(8)
    rows = [r | {"signal": od(r["nominal"]) * (1 + 0.01 * rng.standard_normal())} for r in standards()]
    signals = (0.93, 0.99)
    found = row(quantified(rows + sample("C01 C02", "S1 d0", *signals, dilution=20)), "S1 d0")

    def four(x: Any, a: float, b: float, c: float, d: float) -> Any:
        return d + (a - d) / (1 + (x / c) ** b)

    x, y = (np.array([r[k] for r in rows]) for k in ("nominal", "signal"))
    mean = np.array([y[x == level].mean() for level in x])
    best, covariance = curve_fit(four, x, y, (0.05, 1.0, 100.0, 3.0), sigma=mean, xtol=1e-14, ftol=1e-14)

    def back(signal: float, p: Any) -> float:
        a, b, c, d = p
        return float(c * ((a - d) / (signal - d) - 1) ** (1 / b))

    assert found["result"] == pytest.approx(20 * np.mean([back(s, best) for s in signals]), rel=1e-6)
    at = float(np.mean(signals))
    steps = np.diag(1e-6 * np.abs(best))
    gradient = [math.log(back(at, best + h) / back(at, best - h)) / (2 * h.sum()) for h in steps]
    slope = math.log(back(at + 1e-6, best) / back(at - 1e-6, best)) / 2e-6
    cv = math.sqrt(float(np.sum(((y - four(x, *best)) / mean) ** 2)) / (len(x) - 4))
    # These two differ by more than the standards do.
    scatter = max(cv * at, float(np.std(signals, ddof=1)))
    assert scatter > cv * at
    variance = np.array(gradient) @ covariance @ np.array(gradient) + (slope * scatter) ** 2 / len(signals)
    factor = math.exp(float(student.ppf(0.975, len(x) - 4)) * math.sqrt(variance))
    assert found["upper"] / found["result"] == pytest.approx(factor, rel=1e-4)
    assert found["result"] / found["lower"] == pytest.approx(factor, rel=1e-4)


def test_the_interval_of_a_bad_duplicate_holds_both_of_its_wells() -> None:
    rng = np.random.default_rng(8)
    rows = [r | {"signal": od(r["nominal"]) * (1 + 0.02 * rng.standard_normal())} for r in standards()]
    alike, apart = (
        row(quantified(rows + sample("C01 C02", "S1 d0", od(10), od(second))), "S1 d0") for second in (10, 4)
    )
    assert alike["upper"] / alike["lower"] < 1.15
    assert apart["lower"] < 4
    assert apart["upper"] > 10
    assert "replicate_cv" in flags(apart)


def test_a_result_where_the_curve_is_too_flat_is_flagged() -> None:
    # 1,000 and 3,000 lie 91 % and 97 % of the way up: a scatter of 4 % of the signal is far more of the concentration.
    rows = [
        r | {"signal": od(r["nominal"]) * (1.04 if r["well"].startswith("A") else 0.96)} for r in standards()
    ]
    of = assay(acceptance={"standard_recovery": {"upper": None}, "standard_recovery_ends": {"upper": None}})
    result = quantified(rows + sample("C01", "S1 d0", od(100)) + sample("C02", "S1 d1", od(900)), of)
    assert row(result, "S1 d0")["verdict"] == "accepted"
    assert (row(result, "S1 d1")["verdict"], flags(row(result, "S1 d1"))) == ("flagged", ["imprecise"])
