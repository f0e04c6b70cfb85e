"""What the pages of immunoassay plates are made from: bands, sentences, counts, words, and what is packed."""

from __future__ import annotations

import ast
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.unit.immunoassay.hand_elisa import LEVELS, od
from tests.unit.report.immunoassay_trial import assembled, elisa, everything, immunoassay_trial, of_page

from cartrace import immunoassay, tables
from cartrace.config import Config, ImmunoassayAcceptance, load
from cartrace.immunoassay import vocabulary
from cartrace.immunoassay.calibration import curve_columns, curve_from_columns, fit_curve, prediction_band
from cartrace.immunoassay.tables import CURVES, SAMPLES, WELLS
from cartrace.problems import holds_date
from cartrace.report import immunoassay_words, immunoassays
from cartrace.report.immunoassays import ImmunoassayTables, band, calibrations_used, summary
from cartrace.report.methods import sections
from cartrace.report.packing import Texts
from cartrace.report.page import render

HOSTILE = '</script><img src=x onerror="alert(2)">'


@pytest.fixture(scope="module")
def made() -> ImmunoassayTables:
    return of_page(everything())


@pytest.fixture(scope="module")
def packed(made: ImmunoassayTables) -> dict[str, Any]:
    texts = Texts()
    out = immunoassays.payload(made, {}, {"P01": 4, "P03": 7}, 0.95, texts)
    assert out is not None
    return out | {"texts": texts.listed}


def plate(packed: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(next(p for p in packed["plates"] if p["id"] == name))


def column(packed: dict[str, Any], table: dict[str, Any], name: str) -> list[Any]:
    """Give a column of a compact table, each row its own again; texts as texts."""
    values = table[name] if isinstance(table[name], list) else [table[name]] * table["rows"]
    return [packed["texts"][v] if v >= 0 else "" for v in values] if name in _TEXTS else values


_TEXTS = {c.name for t in (WELLS, SAMPLES) for c in t.columns if c.kind == "text"}


def test_without_a_plate_nothing_is_packed_and_the_methods_are_silent() -> None:
    assert immunoassays.payload(ImmunoassayTables(), {}, {}, 0.95, Texts()) is None
    assert calibrations_used(ImmunoassayTables()) == []
    assert not any("mmunoassay" in heading for heading, _ in sections(Config(), {}))


def test_plates_make_the_tab_and_hostile_text_stays_text() -> None:
    html = render(immunoassay_trial(1, of=assembled(elisa(hostile=HOSTILE))), Config())
    assert '<a href="#/plates">Plates</a>' in html
    assert "Immunoassay plates: acceptance" in html
    assert html.count("<script") == 3
    assert "<img src=x" not in html


@pytest.mark.parametrize("model", ["4pl", "5pl", "linear"])
def test_a_curve_comes_back_from_its_columns_with_its_band(model: Any) -> None:
    # Two wells a level, 5 % apart.
    x = np.repeat(LEVELS, 2)
    y = np.array([od(v) for v in x]) * np.tile([1.025, 0.975], len(LEVELS))
    curve = fit_curve(x, y, model=model, weighting="1/y2")
    row = dict.fromkeys(CURVES.names, math.nan) | curve_columns(curve)
    again = curve_from_columns(row)
    assert again is not None
    at = np.array([5.0, 60.0, 900.0])
    np.testing.assert_allclose(again.predict(at), curve.predict(at), rtol=1e-12)
    for ours, fitted in zip(prediction_band(again, at), prediction_band(curve, at), strict=True):
        np.testing.assert_allclose(ours, fitted, rtol=1e-12)


def test_the_instrument_s_own_concentrations_have_no_curve() -> None:
    assert curve_from_columns({"model": "vendor"}) is None


def test_the_band_reaches_four_times_beyond_the_standards(made: ImmunoassayTables) -> None:
    mine = made.curves["plate"] == "E01"
    found = band(made.curves[mine].iloc[0].to_dict(), made.standards[made.standards["plate"] == "E01"], 0.95)
    assert found is not None
    assert found["x"][0] == pytest.approx(3 / 4)
    assert found["x"][-1] == pytest.approx(3000 * 4)
    # The signal is 0.05 + 3 x / (100 + x), and the standards lie 0.5 % off on both sides.
    middle = len(found["x"]) // 2
    at = found["x"][middle]
    assert found["fit"][middle] == pytest.approx(od(at), rel=1e-3)
    assert found["low"][middle] < 0.995 * od(at)
    assert 1.005 * od(at) < found["high"][middle] < 1.03 * od(at)


def test_a_wider_level_makes_a_wider_band(made: ImmunoassayTables) -> None:
    row, standards = made.curves.iloc[0].to_dict(), made.standards[made.standards["plate"] == "E01"]
    widths = []
    for level in (0.9, 0.99):
        found = band(row, standards, level)
        assert found is not None
        widths.append(found["high"][20] - found["low"][20])
    # Student's t with 14 wells - 4 parameters: 1.812 and 3.169 (tables).
    assert widths[1] / widths[0] == pytest.approx(3.169273 / 1.812461, rel=1e-3)


def test_a_fit_without_covariance_has_a_line_and_no_band(made: ImmunoassayTables) -> None:
    row = made.curves.iloc[0].to_dict() | {"covariance": pd.NA}
    found = band(row, made.standards[made.standards["plate"] == "E01"], 0.95)
    assert found is not None
    assert set(found) == {"x", "fit"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "E01",
            [
                "The curve of sBCMA is accepted: 7 of 7 levels of standards come back within tolerance.",
                "One control; none breaks a rule.",
                "7 results: 4 accepted, 1 flagged, 1 rejected, 1 not used; 3 are to be repeated.",
            ],
        ),
        (
            "E07",
            [
                "The curve of sBCMA is accepted: 7 of 7 levels of standards come back within tolerance.",
                "One control; a control of sBCMA fails.",
                "1 result: 1 rejected; none is to be repeated, another plate answers 1.",
            ],
        ),
        (
            "L01",
            [
                "3 of 4 curves hold; without a curve: Ferritin.",
                "The plate has no control.",
                "32 results: 21 accepted, 3 flagged, 8 rejected; 8 are to be repeated.",
            ],
        ),
        (
            "T01",
            [
                "End-point titres of AQP4; no curve is needed.",
                "The plate has no control.",
                "6 results: 2 accepted, 3 flagged, 1 rejected; 3 are to be repeated.",
            ],
        ),
    ],
)
def test_a_plate_says_its_verdict_in_sentences(packed: dict[str, Any], name: str, said: list[str]) -> None:
    assert plate(packed, name)["say"] == said


def curve_row(target: str, **more: Any) -> dict[str, Any]:
    return {
        "plate": "p", "target": target, "model": "4pl", "weighting": "1/y2", "n_accepted": 5, "verdict": "accepted",
    } | more  # fmt: skip


def result_row(target: str, **more: Any) -> dict[str, Any]:
    return {
        "plate": "p", "sample": "s", "target": target, "assay": "elisa", "readout": "concentration", "unit": "ng/mL",
        "task": "unknown", "wells": "A01", "n_wells": 1, "n_used": 1, "verdict": "accepted", "source_row": 2,
        "source_sha256": "0",
    } | more  # fmt: skip


def said_of(curves: list[dict[str, Any]], samples: list[dict[str, Any]]) -> str:
    levels = [
        {"plate": "p", "target": r["target"], "nominal": x, "anchor": x == 1.0, "n": 2, "n_used": 2, "verdict": "accepted"}
        for r in curves
        for x in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    ]  # fmt: skip
    return summary(
        tables.rows(samples, SAMPLES),
        tables.rows(curves, CURVES),
        tables.rows(levels, immunoassay.tables.STANDARDS),
    )[0]


def test_a_plate_without_any_flag_says_so_in_a_sentence(made: ImmunoassayTables) -> None:
    unflagged = tables.conform(made.samples.assign(flags=pd.NA), SAMPLES)
    clean = dataclasses.replace(made, samples=unflagged)
    found = immunoassays.payload(clean, {}, {}, 0.95, Texts(), min_plates=5)
    assert found is not None
    assert not any("fails" in line for plate in found["plates"] for line in plate["say"])


def test_a_rejected_curve_says_why_and_that_nothing_stands() -> None:
    said = said_of(
        [curve_row("IL-6", verdict="rejected", flags="too few levels of standards within tolerance")],
        [result_row("IL-6")],
    )
    assert said == (
        "The curve of IL-6 is rejected (too few levels of standards within tolerance), and every result with it; "
        "5 of 6 levels of standards come back within tolerance."
    )


def test_a_missing_curve_is_told_from_the_instrument_s_own_concentrations() -> None:
    lost = result_row("IL-6", verdict="rejected", flags=immunoassay_words.FLAGS["curve_missing"])
    assert said_of([], [lost]) == "There is no curve of IL-6, and so no concentration."
    assert "those of the instrument's software; its standards are not" in said_of([], [result_row("IL-6")])
    assert said_of([curve_row("IL-6", model="vendor")], [result_row("IL-6")]) == (
        "The concentrations of IL-6 are those of the instrument's software; 5 of 6 levels of standards come back within "
        "tolerance."
    )


def test_the_rejected_of_several_curves_are_named() -> None:
    rows = [curve_row("IL-6", verdict="rejected"), curve_row("TNF", verdict="flagged")]
    assert said_of(rows, [result_row("IL-6"), result_row("TNF")]) == "1 of 2 curves hold; rejected: IL-6."


def test_each_target_of_a_sample_counts_and_controls_do_not(packed: dict[str, Any]) -> None:
    assert plate(packed, "L01")["counts"] == {"accepted": 21, "flagged": 3, "rejected": 8, "not_used": 0}
    assert plate(packed, "E01")["counts"] == {"accepted": 4, "flagged": 1, "rejected": 1, "not_used": 1}


def test_what_is_said_of_a_well_travels_once_for_all_targets(packed: dict[str, Any]) -> None:
    page = plate(packed, "L01")
    # 14 standards and 16 wells of samples.
    assert page["places"]["rows"] == 30
    for target in page["targets"]:
        wells = target["wells"]
        assert wells["rows"] == 30
        assert "sample" not in wells
        found = [column(packed, page["places"], "well")[i] for i in column(packed, wells, "place")]
        assert found[:2] == ["A01", "B01"]
        assert len(set(found)) == 30


def test_a_well_finds_its_own_place_whatever_the_order_of_the_rows(made: ImmunoassayTables) -> None:
    mixed = dataclasses.replace(made, wells=made.wells.sample(frac=1, random_state=1))
    texts = Texts()
    out = immunoassays.payload(mixed, {}, {}, 0.95, texts)
    assert out is not None
    found = {}
    for name in ("E01", "L01"):
        page = plate(out, name)
        places = column({"texts": texts.listed}, page["places"], "well")
        for target in page["targets"]:
            at, signal = (column({}, target["wells"], c) for c in ("place", "signal"))
            found |= {(name, target["name"], places[i]): x for i, x in zip(at, signal, strict=True)}
    known = made.wells.set_index(["plate", "target", "well"])["signal"].sort_index()
    for key, signal in found.items():
        assert signal == pytest.approx(known[key], rel=1e-4)


def test_the_instrument_s_result_stands_beside_ours(packed: dict[str, Any]) -> None:
    target = plate(packed, "E01")["targets"][0]
    # od(50) and od(52) come back as 50 and 52; the file says 51 of both.
    samples = target["samples"]
    at = column(packed, samples, "sample").index("P01 d0")
    assert column(packed, samples, "ours")[at] == pytest.approx(51, rel=1e-3)
    assert column(packed, samples, "vendor")[at] == 51
    assert column(packed, samples, "vendor_percent")[at] == pytest.approx(100, rel=1e-3)
    assert column(packed, samples, "vendor").count(None) == samples["rows"] - 1
    # 51 is 2 % above 50 and 1.9 % below 52.
    curve = target["curve"]
    assert (curve["vendor_n"], round(curve["vendor_median"], 2)) == (2, 1.96)
    assert curve["vendor_most"] == pytest.approx(2.0, rel=0.01)


def test_the_table_of_a_curve_has_its_limits_and_where_from(packed: dict[str, Any]) -> None:
    curve = plate(packed, "E01")["targets"][0]["curve"]
    assert (curve["lloq"], curve["uloq"], curve["limits_from"]) == (
        3,
        3000,
        "lowest and highest accepted standard",
    )
    assert (curve["n_accepted"], curve["n_judged"], curve["weights"]) == (7, 7, "weights 1/y²")
    assert curve["ec50"] == pytest.approx(100, rel=1e-3)
    lost = plate(packed, "L01")["targets"][3]
    assert (lost["curve"], lost["band"], lost["curve_lost"]) == (None, None, True)


def test_a_level_that_was_left_out_says_what_it_comes_back_as(made: ImmunoassayTables) -> None:
    standards = made.standards[made.standards["plate"] == "E01"].copy()
    unknown = ["signal_mean", "back_mean", "recovery_percent"]
    standards.loc[standards["nominal"] == 30, ["n_used", *unknown]] = [0, *[math.nan] * 3]
    wells = made.wells[made.wells["plate"] == "E01"].copy()
    wells.loc[wells["nominal"] == 30, "concentration"] = [40.0, 44.0]
    found = immunoassays.with_left_out(standards, wells).set_index("nominal")
    assert found.loc[30, ["back_mean", "recovery_percent"]].tolist() == [42, 140]
    assert found.loc[30, "signal_mean"] == pytest.approx(od(30))
    assert found.loc[100, "back_mean"] == pytest.approx(100, rel=1e-3)
    wells.loc[wells["nominal"] == 30, "concentration"] = [40.0, math.nan]
    assert math.isnan(immunoassays.with_left_out(standards, wells).set_index("nominal").loc[30, "back_mean"])


def test_each_well_of_a_titre_keeps_what_it_reads(made: ImmunoassayTables) -> None:
    words = made.wells[made.wells["plate"] == "T01"].set_index(["well", "source_row"])["reading"]
    assert words.xs("F02")[0:1].tolist() == ["equivocal"]
    assert words.xs("D03").tolist() == ["positive"]
    assert sorted(words.xs("A03")) == ["negative", "positive"]
    by_signal = made.wells[made.wells["plate"] == "T02"]
    assert by_signal["reading"].tolist() == ["positive"] * 3 + ["negative"] * 2
    assert made.samples.loc[made.samples["plate"] == "T02", "cutoff"].tolist() == [0.5]
    assert made.wells.loc[made.wells["plate"] == "E01", "reading"].isna().all()


def test_the_wells_of_readings_that_disagree_are_rejected_with_their_sample(made: ImmunoassayTables) -> None:
    mine = made.wells[(made.wells["plate"] == "T01") & (made.wells["sample"] == "P03 d0")]
    assert set(mine["verdict"]) == {"rejected"}


def flags_of_findings() -> set[str]:
    """Give the checks that mark a well, a sample or a target, as the code of the stage writes them."""
    found = set()
    for path in Path(vocabulary.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
            ):
                continue
            marks = any(k.arg == "marks" and getattr(k.value, "elts", [1]) for k in node.keywords)
            if marks and isinstance(node.args[0], ast.Constant):
                found.add(node.args[0].value)
    return found


def test_every_rule_flag_task_and_code_has_words() -> None:
    assert list(immunoassay_words.BROKEN) == list(ImmunoassayAcceptance.model_fields)
    assert set(vocabulary.FLAGS) <= set(immunoassay_words.FLAGS)
    assert {"curve_missing", "hook", "reading_missing"} <= flags_of_findings() <= set(immunoassay_words.FLAGS)
    assert set(immunoassay_words.TASKS) == set(vocabulary.TASKS)
    assert set(immunoassay_words.SIGNALS) == set(vocabulary.SIGNALS)
    assert set(immunoassay_words.MODELS) == set(vocabulary.MODELS)
    assert set(immunoassay_words.READOUTS) == set(vocabulary.READOUTS)
    assert set(immunoassay_words.RANGES) == set(vocabulary.RANGES)
    assert len({letter for letter, _ in immunoassay_words.TASKS.values()}) == len(vocabulary.TASKS)
    for weighting in vocabulary.WEIGHTINGS:
        assert immunoassay_words.weights(weighting, 1.5)


def test_flags_are_in_words(packed: dict[str, Any]) -> None:
    flags = column(packed, plate(packed, "E01")["targets"][0]["samples"], "flags")
    assert "replicates scatter" in flags
    assert not any("_" in f for f in flags)


def test_a_sample_names_its_patient_by_subject_or_by_sample(made: ImmunoassayTables) -> None:
    samples = made.samples.copy()
    samples["sample_id"] = "X"
    samples["subject_id"] = samples["subject_id"].where(samples["subject_id"] != "P02")
    out = immunoassays.payload(
        dataclasses.replace(made, samples=samples), {"X": "P02"}, {"P01": 4, "P02": 5}, 0.95, Texts()
    )
    assert out is not None
    found = plate(out, "E01")["targets"][0]["samples"]["s"]
    assert found.count(4) == 2
    assert found.count(5) == 4


def test_no_calendar_date_of_a_plate_reaches_the_page(made: ImmunoassayTables) -> None:
    day = "run 2021-03-04"
    data = ImmunoassayTables(
        wells=made.wells.assign(plate=day, sample_name="taken 04.03.2021", target="of 4 Mar 2021"),
        standards=made.standards.assign(plate=day),
        curves=made.curves.assign(plate=day, target="of 4 Mar 2021"),
        samples=made.samples.assign(
            plate=day, target="of 4 Mar 2021", assay=day, repeat_reason="since 20210304"
        ),
        controls=made.controls.assign(plate=day, control="QC of 2021-03-04", assay=day),
    )
    texts = Texts()
    out = immunoassays.payload(data, {}, {}, 0.95, texts)
    assert not holds_date(json.dumps(out, ensure_ascii=False))
    assert not any(holds_date(t) for t in texts.listed)
    assert not holds_date(repr(calibrations_used(data)))


def test_the_methods_say_how_each_assay_was_calibrated(made: ImmunoassayTables) -> None:
    used = calibrations_used(made)
    assert [(u.assay, u.plates) for u in used] == [("ELISA", 8), ("Luminex", 1), ("cell-based assay", 2)]
    assert used[0].how == (("4PL with weights 1/y²", ("sBCMA",)), ("ratios of signals", ("SRP",)))
    assert used[1].how == (("4PL with weights 1/y²", ("IL-6", "IL-10", "IFNg")), ("no curve", ("Ferritin",)))
    text = dict(sections(Config(), {}, immunoassays=used))
    first = text["Immunoassay plates: from the signal to the result"]
    assert (
        "ELISA (8 plates): 4PL with weights 1/y² for sBCMA; ratios of signals for SRP. Luminex (1 plate)"
        in first
    )
    assert "Immunoassay plates: titres" in text


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "back-calculated mean of a level of standards: 80 to 120 % of nominal;"),
        ({}, "Intervals are at 95 %"),
        ({"confidence": 0.9}, "Intervals are at 90 %"),
        ({"starts": 3}, "from up to 3 starting points"),
        ({"lod_sd": 2.5}, "and 2.5 of their standard deviations"),
        ({"acceptance": {"replicate_cv": {"upper": 15}}}, "CV between the wells of a sample: at most 15 %"),
        (
            {"acceptance": {"bead_count": {"consequence": "ignore"}}},
            "Not looked at: beads behind a signal: at least 50.",
        ),
        ({"westgard": {"rules": ["1_3s"], "min_plates": 7}}, "from 7 plates on"),
    ],
)
def test_each_setting_changes_its_sentence(
    made: ImmunoassayTables, settings: dict[str, Any], sentence: str
) -> None:
    told = sections(load({"immunoassay": settings}), {}, immunoassays=calibrations_used(made))
    text = "\n".join(t for heading, t in told if heading.startswith("Immunoassay"))
    assert sentence in text
    assert "  " not in text
    assert "None" not in text


def test_a_page_of_many_targets_stays_light(made: ImmunoassayTables) -> None:
    # Thirty targets in 30 wells each, of the one plate of three curves.
    def thirty(frame: pd.DataFrame) -> pd.DataFrame:
        mine = frame[(frame["plate"] == "L01") & (frame["target"] == "IL-6")]
        return pd.concat([mine.assign(target=f"T{i}") for i in range(30)], ignore_index=True)

    data = ImmunoassayTables(
        wells=thirty(made.wells),
        standards=thirty(made.standards),
        curves=thirty(made.curves),
        samples=thirty(made.samples),
    )
    out = immunoassays.payload(data, {}, {}, 0.95, Texts())
    assert out is not None
    assert len(out["plates"][0]["targets"]) == 30
    assert len(json.dumps(out)) < 30 * 6000
