"""Real plates through the whole path, from bytes to verdicts, beside what the vendors' software computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.config import Immunoassay
from cartrace.immunoassay.assay import load_assay
from cartrace.immunoassay.layout import read_layout
from cartrace.immunoassay.quantify import PlateResult, quantify_plate
from cartrace.immunoassay.readers import read_plate
from cartrace.plates.plate import ReadOptions

pytestmark = pytest.mark.real

FIVE_LEVELS = {"standard_levels": {"lower": 5}}
ANTIBODIES = ("aqp4_igg", "mog_igg", "anti_srp", "achr_antibody", "anti_dsdna", "other_antibody")
LUMINEX = "IGG_CO_1_xponent"


def content(folder: str, name: str) -> bytes:
    path = real_data() / "assays" / folder / name
    if not path.is_file():
        pytest.skip("the real files are not here: set CARTRACE_REAL_DATA or put them in ../shared/data")
    return path.read_bytes()


def quantified(
    name: str,
    targets: dict[str, Any],
    *,
    folder: str = "allotropy_immuno",
    layout: str = "",
    acceptance: dict[str, Any] | None = None,
) -> PlateResult:
    raw = {
        "samples": {"pattern": "(?P<subject>.+)", "matrix": "serum"},
        "targets": targets,
        "acceptance": acceptance or {},
    }
    assay = load_assay(raw, "assay.yaml")
    plate = read_plate(content(folder, name), name, ReadOptions())
    said = read_layout(content(folder, layout), layout) if layout else None
    return quantify_plate(plate, assay, Immunoassay(), file_id="p", sha256="0" * 64, layout=said)


def one(**calibration: Any) -> dict[str, Any]:
    return {"X": {"analyte": "soluble_bcma", "unit": "ng/mL", "calibration": calibration}}


def percent_away(result: PlateResult, least: float = 0.0) -> pd.Series:
    """Deviation of the wells' concentrations from those of the vendor, % without a sign."""
    wells = result.wells
    wells = wells[wells["vendor_concentration"].notna() & (wells["vendor_concentration"] > least)]
    return 100 * (wells["concentration"] / wells["vendor_concentration"] - 1).abs()


@pytest.mark.parametrize(
    ("name", "n", "median", "largest"),
    [
        ("softmaxpro_example_reduced.txt", 66, 0.01, 0.05),
        ("softmaxpro_example_group_with_missing_calc_column.txt", 74, 0.1, 4.0),
    ],
)
def test_hcp_plates_come_out_as_from_softmax_pro(name: str, n: int, median: float, largest: float) -> None:
    result = quantified(name, one(model="4pl", weighting="none"), acceptance=FIVE_LEVELS)
    away = percent_away(result)
    assert (len(away), result.curves["verdict"].tolist()) == (n, ["accepted"])
    assert away.median() < median
    assert away.max() < largest
    assert not result.samples["verdict"].eq("rejected").any()
    # The result of a sample is the mean of its wells times their dilution.
    found = result.samples[result.samples["detection"].eq("quantified")]
    assert len(found) > 5
    wells = result.wells.set_index("well")
    for row in found.to_dict("records"):
        mine = wells.loc[row["wells"].split(", ")]
        mine = mine[mine["dilution"] == row["dilution_used"]]
        expected = mine["vendor_concentration"].mean() * row["dilution_used"]
        assert row["result"] == pytest.approx(expected, rel=0.005)


def test_an_alphalisa_plate_gives_gen5s_numbers_and_fails_by_its_lowest_standards() -> None:
    result = quantified("alphalisa_test_2.txt", one(model="4pl", weighting="none"))
    away = percent_away(result, least=1.0)
    assert len(away) > 25
    assert away.max() < 0.15
    (curve,) = result.curves.to_dict("records")
    assert (curve["verdict"], curve["n_accepted"]) == ("rejected", 8)
    assert set(curve["flags"].split(";")) == {
        "standards_within",
        "standard_recovery",
        "standard_recovery_ends",
    }


def test_a_line_of_gen5_comes_out_within_its_rounding() -> None:
    # Gen5 has the blanks on its line as concentration 0; ours only takes them off.
    calibration = {
        "model": "linear",
        "weighting": "none",
        "log_concentration": False,
        "subtract_blank": True,
    }
    result = quantified("endpoint_stdcurve_singleplate.txt", one(**calibration))
    away = percent_away(result, least=50.0)
    assert len(away) > 50
    assert away.median() < 0.1
    assert away.max() < 0.5


def test_a_mock_plate_without_a_curve_gives_no_number() -> None:
    result = quantified("alphalisa_endpoint_singleplate.txt", one(model="4pl"))
    assert result.samples["verdict"].eq("rejected").all()
    assert result.samples["result"].isna().all()
    assert "curve_missing" in set(result.qc["check"])


def test_real_luminex_plates_give_relative_units_of_every_antibody() -> None:
    wells = read_plate(content("serolyzer_luminex", f"{LUMINEX}.csv"), "p.csv").wells
    beads = sorted(wells["target"].unique())[: len(ANTIBODIES)]
    targets = {
        bead: {"analyte": a, "unit": "arbitrary", "calibration": {"weighting": "1/y2"}}
        for bead, a in zip(beads, ANTIBODIES, strict=True)
    }
    result = quantified(
        f"{LUMINEX}.csv", targets, folder="serolyzer_luminex", layout=f"{LUMINEX}_layout.xlsx"
    )
    assert len(result.curves) == len(ANTIBODIES)
    accepted = result.curves[result.curves["verdict"] == "accepted"]
    assert len(accepted) >= 5
    for curve in accepted.to_dict("records"):
        mine = result.wells[result.wells["target"].eq(curve["target"])]
        standards = mine[mine["task"].eq("standard") & mine["nominal"].between(curve["lloq"], curve["uloq"])]
        assert len(standards) >= 6
        assert (standards["recovery_percent"] - 100).abs().median() < 15
    found = result.samples[result.samples["detection"].eq("quantified")]
    assert len(found) > 100
    assert (found["lower"] < found["result"]).all()
    assert np.isfinite(found["upper"]).all()
