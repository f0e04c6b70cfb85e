"""What the plate pages are made from: counts, bands, droplets, words, and what is packed."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.report.full_trial import full_trial
from tests.unit.report.plate_trial import (
    charts,
    curve,
    curve_wells,
    d01,
    plate_trial,
    q01,
    sample,
    together,
    well,
)

from cartrace import tables
from cartrace.config import Config, PcrAcceptance, Westgard, load
from cartrace.pcr.standard_curve import fit_curve
from cartrace.pcr.standard_curve import prediction_band as fitted_band
from cartrace.pcr.tables import CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.pcr.vocabulary import METHODS, TASKS
from cartrace.problems import holds_date
from cartrace.report import plate_words, plates
from cartrace.report.methods import paragraph, sections
from cartrace.report.packing import Texts
from cartrace.report.page import payload, render
from cartrace.report.plates import (
    PcrTables,
    compact,
    droplet_picture,
    prediction_band,
    sample_counts,
)

HOSTILE = '</script><img src=x onerror="alert(2)">'


@pytest.fixture(scope="module")
def data():
    return plate_trial(3)


@pytest.fixture(scope="module")
def packed(data):
    return payload(data, Config())


def first_bands(pcr, confidence=0.95):
    """Bands of the first plate."""
    made = plates.payload(pcr, {}, {}, confidence, Texts())
    assert made is not None
    return made["plates"][0]["bands"]


def column(packed, table, name):
    """Texts of one column of a plate's table, each row its own again."""
    values = table[name] if isinstance(table[name], list) else [table[name]] * table["rows"]
    return [packed["texts"][v] if v >= 0 else "" for v in values]


def test_without_a_plate_there_is_no_tab_and_nothing_is_packed():
    data = full_trial(1)
    assert payload(data, Config())["pcr"] is None
    html = render(data, Config())
    assert 'href="#/plates"' not in html
    assert "PCR plates" not in html.split('<section id="methods"')[1].split("</section>")[0]


def test_with_plates_there_is_a_tab_and_the_methods_tell_how(data):
    html = render(data, Config())
    assert '<a href="#/plates">Plates</a>' in html
    assert "PCR plates: acceptance" in html


def test_plates_come_in_the_order_of_the_tables(packed):
    assert [p["id"] for p in packed["pcr"]["plates"]][:3] == ["Q01", "D01", "P01"]
    assert len(packed["pcr"]["plates"]) == 14


def test_each_plate_holds_its_own_rows(packed):
    first = packed["pcr"]["plates"][0]
    assert first["wells"]["rows"] == 10 + 12 + 4
    assert set(column(packed, first["wells"], "well")) >= {"A01", "C06", "H12", "17"}
    assert "D01" not in column(packed, first["samples"], "sample")


def test_samples_count_by_their_worst_reported_target():
    rows = [
        sample("Q", "one"),
        sample("Q", "one", target="CAR2", verdict="rejected"),
        sample("Q", "two", verdict="flagged"),
        sample("Q", "two", target="RPP30", role="reference", verdict="rejected"),
        sample("Q", "PC", task="positive_control", verdict="rejected"),
        sample("Q", "three", verdict="not_used"),
    ]
    counts = sample_counts(tables.rows(rows, SAMPLES))
    assert counts == {"not_used": 1, "accepted": 0, "flagged": 1, "rejected": 1}


def test_the_prediction_band_is_that_of_simple_regression():
    # n = 10, s = sqrt(0.1 / 8) = 0.1118034, t(0.975, 8) = 2.306004 (tables).
    low, high = prediction_band(curve("Q"), np.array([3.0, 5.0]), 0.95)
    middle = 2.306004 * 0.1118034 * math.sqrt(1 + 1 / 10)
    end = 2.306004 * 0.1118034 * math.sqrt(1 + 1 / 10 + 4 / 20)
    assert low == pytest.approx([38 - 3.32 * 3 - middle, 38 - 3.32 * 5 - end], rel=1e-6)
    assert high == pytest.approx([38 - 3.32 * 3 + middle, 38 - 3.32 * 5 + end], rel=1e-6)


def test_the_band_of_the_tables_is_that_of_the_fit():
    wells = tables.rows(curve_wells("Q"), WELLS)
    fitted = fit_curve(np.log10(wells["nominal"].to_numpy(float)), wells["cq"].to_numpy(float))
    names = ("slope", "intercept", "residual_sd", "mean_log10", "sxx", "n_used")
    x = np.linspace(0, 7, 5)
    ours = prediction_band({n: getattr(fitted, n) for n in names}, x, 0.9)
    for mine, theirs in zip(ours, fitted_band(fitted, x, 0.9), strict=True):
        np.testing.assert_allclose(mine, theirs)


def test_the_band_takes_its_level_from_the_configuration(data):
    def width(confidence):
        band = first_bands(data.pcr, confidence)[0]
        return band["high"][0] - band["low"][0]

    settings = load({"pcr": {"confidence": 0.9}})
    band = payload(data, settings)["pcr"]["plates"][0]["bands"][0]
    assert band["high"][0] - band["low"][0] == width(0.9)
    assert width(0.99) / width(0.95) == pytest.approx(3.355387 / 2.306004, rel=1e-4)


def test_the_band_reaches_to_the_wells_that_lie_beyond_the_standards():
    wells = [*curve_wells("Q"), well("Q", "C01", cq=18.0, copies=1.06e6)]
    data = PcrTables(wells=tables.rows(wells, WELLS), curves=tables.rows([curve("Q")], CURVES))
    band = first_bands(data)[0]
    assert band["x"][0] == pytest.approx(10, abs=4)
    assert band["x"][-1] == 1.06e6


@pytest.mark.parametrize(
    "change",
    [
        {"weighting": "level_variance"},
        {"source": "master.yaml"},
        {"residual_sd": None},
        {"n_used": 2},
        {"sxx": 0.0},
    ],
)
def test_a_curve_whose_scatter_is_not_known_has_a_line_and_no_band(change):
    data = PcrTables(
        wells=tables.rows(curve_wells("Q"), WELLS), curves=tables.rows([curve("Q", **change)], CURVES)
    )
    band = first_bands(data)[0]
    assert set(band) == {"x", "fit"}


def test_a_curve_that_could_not_be_fitted_has_neither():
    failed = curve("Q", slope=None, intercept=None, verdict="rejected", flags="curve_missing")
    data = PcrTables(wells=tables.rows(curve_wells("Q"), WELLS), curves=tables.rows([failed], CURVES))
    assert first_bands(data) == [None]


def bins(rows):
    known = {"plate": "D", "target": "CAR", "threshold": 4000.0}
    return tables.rows(
        [known | dict(zip(("well", "low", "high", "count"), r, strict=True)) for r in rows], DROPLETS
    )


def test_common_bins_keep_their_edges():
    picture = droplet_picture(bins([("A01", 0, 10, 5), ("A01", 10, 20, 1), ("A02", 10, 20, 7)]))
    assert picture == {
        "wells": ["A01", "A02"],
        "thresholds": [4000, 4000],
        "edges": [0, 10, 20],
        "counts": [[5, 0], [1, 7]],
    }


def test_bins_of_their_own_are_put_on_one_grid():
    # Steps of 25: the middles 5, 35 and 95 lie in the first, second and last.
    picture = droplet_picture(bins([("A01", 0, 10, 5), ("A02", 30, 40, 7), ("A03", 90, 100, 2)]), most=4)
    assert picture["edges"] == [0, 25, 50, 75, 100]
    assert picture["counts"] == [[5, 0, 0], [0, 7, 0], [0, 0, 0], [0, 0, 2]]


@given(
    st.lists(
        st.tuples(st.sampled_from(["A01", "B02", "C03"]), st.integers(0, 400), st.integers(1, 9)),
        min_size=1,
        max_size=60,
    )
)
def test_no_partition_is_lost_in_the_picture(drawn):
    picture = droplet_picture(bins([(w, low, low + 3, n) for w, low, n in drawn]), most=20)
    for k, name in enumerate(picture["wells"]):
        assert sum(row[k] for row in picture["counts"]) == sum(n for w, _, n in drawn if w == name)
    assert len(picture["edges"]) <= 21


def test_a_column_that_is_the_same_in_every_row_travels_as_one_value():
    frame = pd.DataFrame(
        {
            "task": pd.array(["ntc", "ntc"], "string"),
            "cq": [1.23456789, 2.0],
            "empty": [float("nan")] * 2,
            "plate": "Q",
        }
    )
    texts = Texts()
    assert compact(frame, texts, ("plate",), digits=6) == {
        "rows": 2,
        "task": 0,
        "cq": [1.23457, 2],
        "empty": None,
    }


def test_flags_are_in_words_and_an_unknown_one_stays(packed):
    first = packed["pcr"]["plates"][0]
    assert "replicates scatter (Cq); odd rule" in column(packed, first["samples"], "flags")
    assert "left out by the operator in the instrument's software" in column(packed, first["wells"], "flags")


def test_every_acceptance_rule_task_method_and_westgard_rule_has_words():
    assert list(plate_words.BROKEN) == list(PcrAcceptance.model_fields)
    assert set(plate_words.TASKS) == set(TASKS)
    assert set(plate_words.METHODS) == set(METHODS)
    assert set(plate_words.WESTGARD) == set(Westgard().rules)
    assert len({letter for letter, _ in plate_words.TASKS.values()}) == len(TASKS)


def test_a_sample_names_its_patient_by_subject_or_by_sample(data, packed):
    assert [packed["texts"][i] for i in packed["pcr"]["repeats"]["sample"]] == ["P03_d14"]
    made = plates.payload(data.pcr, {"P03|blood|d14": "P03"}, {"P01": 4, "P03": 7}, 0.95, Texts())
    assert made["repeats"]["s"] == [7]
    assert made["plates"][0]["samples"]["s"] == [4, -1, 7, 4, -1]
    assert packed["pcr"]["repeats"]["s"] == [2]


def test_controls_keep_the_rules_they_break_as_words(packed):
    controls = packed["pcr"]["controls"]
    words = {packed["texts"][i] for i in controls["rules_in_words"] if i >= 0}
    assert words == {"1-2s: more than 2 SD from the centre; 1-3s: more than 3 SD from the centre"}
    assert len(controls["plate"]) == 24


def test_hostile_text_of_a_plate_stays_text():
    html = render(plate_trial(3, hostile=HOSTILE), Config())
    assert html.count("<script") == 3
    assert "<img src=x" not in html


def test_no_calendar_date_of_a_plate_reaches_the_page(data):
    pcr = dataclasses.replace(
        data.pcr,
        wells=data.pcr.wells.assign(plate="run 2021-03-04", sample_name="taken 04.03.2021"),
        droplets=data.pcr.droplets.assign(plate="run 2021-03-04", well="of 4 Mar 2021"),
        samples=data.pcr.samples.assign(
            plate="run 2021-03-04", repeat_reason="since 20210304", assay="of 2021-03-04"
        ),
    )
    texts = Texts()
    out = plates.payload(pcr, {}, {}, 0.95, texts)
    assert out is not None
    assert not holds_date(json.dumps(out, ensure_ascii=False))
    assert not any(holds_date(t) for t in texts.listed)
    assert out["plates"][0]["id"] == "run <date>"


@pytest.mark.parametrize(
    ("pcr", "sentence"),
    [
        ({}, "slope of the standard curve: -3.6 to -3.1 Cq per decade;"),
        ({}, "accepted partitions: at least 10000;"),
        ({}, "standard deviation of Cq between the wells beyond counting: at most 0.5 cycles;"),
        ({"acceptance": {"r2": {"consequence": "ignore"}}}, "Not looked at: r2 of the standard curve."),
        ({"acceptance": {"slope": {"lower": -4, "upper": -3}}}, "-4 to -3 Cq"),
        ({"pg_per_diploid_genome": 6.4}, "with 6.4 pg of DNA in a diploid cell"),
        ({"confidence": 0.9}, "Intervals are at 90 %"),
        ({"digital_interval": "normal"}, "QX Manager"),
        ({"digital_interval": "exact"}, "Clopper and Pearson"),
        ({"subtract_blank": True}, "The mean of the blanks was taken off"),
        ({"subtract_blank": False}, "No blank was taken off"),
        ({"units": ["copies/ug"]}, "Results are given in copies/µg, each"),
        ({"westgard": {"rules": ["1_3s", "R_4s"], "min_plates": 7}}, "Westgard rules: 1-3s and R-4s"),
        ({"westgard": {"min_plates": 7}}, "from 7 plates on"),
        ({}, "Limits of detection and quantification are those of the assay file."),
        (
            {"detection_limits": {"car": {"target": "CAR", "dilutions": "a.tsv", "max_cv_percent": 30}}},
            "'car' (CAR): the limit of detection by probit at a probability of 95 %; the limit of quantification is the "
            "lowest level with a CV of at most 30 %",
        ),
    ],
)
def test_each_pcr_setting_changes_its_sentence(pcr, sentence):
    text = "\n".join(t for _, t in sections(load({"pcr": pcr}), {}, plates=True))
    assert sentence in text


def test_the_methods_say_nothing_of_plates_when_there_are_none():
    assert "Westgard" not in paragraph(Config(), {})


def test_no_text_of_the_methods_has_a_doubled_space_or_a_missing_word():
    for heading, text in sections(Config(), {}, plates=True):
        if heading.startswith("PCR"):
            assert "  " not in text
            assert "None" not in text
            assert re.search(r"\.$", text)


@pytest.mark.slow
def test_two_hundred_plates_stay_below_sixteen_megabytes():
    digital, curves = d01(96), q01()

    def size(plates):
        parts = []
        for k in range(plates):
            source = digital if k % 2 else curves
            named = {
                n: getattr(source, n).assign(plate=f"X{k:03d}")
                for n in ("wells", "curves", "samples", "droplets")
            }
            parts.append(PcrTables(**named))
        data = dataclasses.replace(full_trial(1), pcr=together(*parts, charts(60)))
        return len(render(data, Config()).encode())

    # Each plate is packed by itself: what 20 more cost, 190 more cost nine and a half times.
    few, more = size(10), size(30)
    assert few + 9.5 * (more - few) < 16e6
