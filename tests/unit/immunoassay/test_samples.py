"""What stands in each well: file, layout, controls and pattern together."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from tests.unit.immunoassay.hand_elisa import Row, assay, layout, plate, sample, titre_assay

from cartrace.immunoassay.assay import Assay
from cartrace.immunoassay.samples import in_units, map_wells, match_targets
from cartrace.plates.acceptance import Finding
from cartrace.problems import InputError

CONTROLS = {"QC high": {"task": "control", "concentration": {"sBCMA": 500}}, "B": {"task": "blank"}}


def mapped(
    rows: list[Row], of: Assay | None = None, said: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, list[Finding]]:
    of = of or assay()
    wells, _ = match_targets(plate(rows).wells, of, said, file="plate.txt")
    return map_wells(wells, of, said)


def checks(findings: list[Finding]) -> list[str]:
    return [f.check for f in findings]


def test_the_pattern_makes_a_sample_of_a_name() -> None:
    wells, findings = mapped(sample("C01", "S001 d-3", 1.0))
    row = wells.iloc[0]
    assert row[["sample", "subject_id", "day", "matrix", "task", "label"]].tolist() == [
        "S001 d-3",
        "S001",
        -3.0,
        "serum",
        "unknown",
        "S001 d-3",
    ]
    assert findings == []


def test_a_name_that_does_not_fit_the_pattern_is_told_and_flagged() -> None:
    wells, findings = mapped(sample("C01", "somebody", 1.0))
    assert wells["mapping_flag"].tolist() == ["sample_unmapped"]
    assert checks(findings) == ["sample_unmapped"]
    assert findings[0].message == "C01: 'somebody' stands for no sample: it does not fit samples.pattern"


def test_controls_are_known_by_their_name() -> None:
    wells, findings = mapped(sample("C01 C02", "qc  HIGH", 1.0, 1.0), assay(controls=CONTROLS))
    assert wells["task"].tolist() == ["control", "control"]
    assert wells["nominal"].tolist() == [500, 500]
    assert wells["label"].tolist() == ["QC high"] * 2
    assert checks(findings) == ["task_mismatch"] or findings == []


def test_two_analytes_of_the_file_are_never_pooled_into_one_target() -> None:
    target = {"analyte": "soluble_bcma", "unit": "ng/mL", "names": ["BCMA 1", "BCMA 2"]}
    of = assay(targets={"sBCMA": target})
    rows = [sample("C01", "S1 d0", 1.0, target=f"BCMA {i}")[0] for i in (1, 2)]
    with pytest.raises(
        InputError, match="'BCMA 1' and 'BCMA 2', which the assay file calls sBCMA, in one well"
    ):
        mapped(rows, of)
    assert len(mapped(rows[:1], of)[0]) == 1


def test_the_layout_names_wells_of_a_file_without_names() -> None:
    rows = [{"well": w, "signal": 1.0} for w in ("A01", "A02", "A03", "H12")]
    said = layout(
        {"well": "A01", "sample": "STD1", "task": "standard", "nominal": 30},
        {"well": "A02", "sample": "S1 d0", "dilution": 50},
        {"well": "A03", "sample": "S1 d7"},
        {"well": "B07", "sample": "S1 d9"},
    )
    wells, findings = mapped(rows, assay(dilution=20), said)
    assert wells["task"].tolist() == ["standard", "unknown", "unknown", "empty"]
    assert wells["dilution"].tolist() == [1, 50, 20, 1]
    assert wells["nominal"].iloc[0] == 30
    assert checks(findings) == ["layout_well_absent"]
    assert "B07" in findings[0].message


def test_layout_and_file_that_name_two_samples_reject_the_well() -> None:
    said = layout({"well": "C01", "sample": "S2 d0"}, {"well": "C02", "sample": "S1 d0"})
    wells, findings = mapped(sample("C01 C02", "S1 d0", 1.0, 1.0), said=said)
    assert wells["mapping_flag"].fillna("").tolist() == ["sample_mismatch", ""]
    assert findings[0].verdict == "fail"
    assert "wells may be swapped" in findings[0].message


def test_a_standard_of_the_file_that_the_layout_calls_a_sample_rejects_the_well() -> None:
    said = layout({"well": "C01", "sample": "S1 d0", "task": "unknown"})
    wells, _ = mapped(sample("C01", "STD1", 1.0, task="standard", nominal=10), said=said)
    assert wells["mapping_flag"].tolist() == ["sample_mismatch"]


def test_standards_go_by_many_names() -> None:
    said = layout({"well": "C01", "sample": "Cal A", "task": "standard", "nominal": 11})
    wells, findings = mapped(sample("C01", "STD1", 1.0, task="standard", nominal=10), said=said)
    assert wells["mapping_flag"].isna().all()
    assert wells["nominal"].tolist() == [11]
    assert checks(findings) == ["nominal_mismatch"]


def test_the_layout_leaves_wells_out_with_a_reason() -> None:
    said = layout({"well": "C01", "exclude": "bubble"})
    wells, _ = mapped(sample("C01", "S1 d0", 1.0), said=said)
    assert wells["exclusion"].tolist() == ["excluded by the layout: bubble"]


def test_a_dilution_of_the_file_counts_before_that_of_the_assay_and_is_told() -> None:
    wells, findings = mapped(sample("C01", "S1 d0", 1.0, dilution=100), assay(dilution=50))
    assert wells["dilution"].tolist() == [100]
    assert checks(findings) == ["dilution_mismatch"]
    # A factor of 1 is what programs print where nobody typed one.
    wells, findings = mapped(sample("C01", "S1 d0", 1.0, dilution=1), assay(dilution=50))
    assert wells["dilution"].tolist() == [50]
    assert findings == []


def test_the_well_of_a_titre_has_no_dilution_unless_somebody_says_it() -> None:
    wells, _ = mapped(sample("C01 C02", "S1 d0", 1.0, 1.0, dilution=None), titre_assay())
    assert wells["dilution"].isna().all()


def test_names_with_a_calendar_date_lose_it() -> None:
    wells, findings = mapped(
        sample("C01", "S1 d0 2024-03-01", 1.0), assay(samples={"pattern": r"(?P<subject>S\d+) .*"})
    )
    assert "2024" not in wells.to_csv()
    assert checks(findings) == ["date_in_sample_name"]


def two_targets(**more: Any) -> Assay:
    targets = {
        "sBCMA": {"analyte": "soluble_bcma", "unit": "ng/mL", "names": ["BCMA (27)"]},
        "IL6": {"analyte": "il6", "unit": "pg/mL"},
    }
    return assay(targets=targets, **more)


def test_targets_are_found_by_their_names_and_others_are_left_alone() -> None:
    rows = [{"well": "A01", "target": t, "signal": 1.0} for t in ("bcma (27)", "IL-2", "il6")]
    wells, findings = match_targets(plate(rows).wells, two_targets(), None, file="plate.csv")
    assert wells["target"].fillna("").tolist() == ["sBCMA", "", "IL6"]
    assert checks(findings) == ["target_not_in_assay"]


def test_a_target_that_the_plate_lacks_is_told() -> None:
    rows = [{"well": "A01", "target": "IL6", "signal": 1.0}]
    _, findings = match_targets(plate(rows).wells, two_targets(), None, file="plate.csv")
    assert checks(findings) == ["target_missing"]


def test_the_wrong_assay_file_is_an_error() -> None:
    rows = [{"well": "A01", "target": "TNF", "signal": 1.0}]
    with pytest.raises(InputError, match="the targets TNF; allowed: at least one target of the assay file"):
        match_targets(plate(rows).wells, two_targets(), None, file="plate.csv")


def test_wells_without_a_target_need_one_from_the_layout() -> None:
    rows = [{"well": w, "signal": 1.0} for w in ("A01", "A02")]
    with pytest.raises(InputError, match="no target in the wells A01, A02"):
        match_targets(plate(rows).wells, two_targets(), None, file="plate.csv")
    said = layout({"well": "A01", "target": "IL6"}, {"well": "A02", "target": "sBCMA"})
    wells, _ = match_targets(plate(rows).wells, two_targets(), said, file="plate.csv")
    assert wells["target"].tolist() == ["IL6", "sBCMA"]


def test_a_layout_with_an_unknown_target_is_an_error() -> None:
    said = layout({"well": "A01", "target": "IL7"})
    with pytest.raises(InputError, match=r"layout.tsv, column 'target'.*did you mean 'IL6'"):
        match_targets(plate([{"well": "A01", "signal": 1.0}]).wells, two_targets(), said, file="plate.csv")


def test_concentrations_in_another_unit_are_converted() -> None:
    of = assay()
    wells, _ = match_targets(
        plate(sample("A01", "STD", 1.0, nominal=3000.0, vendor_concentration=500.0)).wells, of, None, file="p"
    )
    found, findings = in_units(wells, of, {"": "pg/mL"})
    assert found[["nominal", "vendor_concentration"]].iloc[0].tolist() == pytest.approx([3.0, 0.5])
    assert findings == []
    _, findings = in_units(wells, of, {"": "mIU/mL"})
    assert [(f.check, f.verdict, f.marks) for f in findings] == [
        ("unit_unknown", "fail", ("wells", "target"))
    ]
