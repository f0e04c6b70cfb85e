"""What the page of efficacy is made from: key results, curves, scores, expansion against outcomes."""

from __future__ import annotations

import dataclasses
import json

import duckdb
import numpy as np
import pytest
from tests.unit.report.browser import HOSTILE
from tests.unit.report.efficacy_trial import efficacy_trial, settings
from tests.unit.report.full_trial import full_trial

from cartrace import tables
from cartrace.config import Config, load
from cartrace.report.efficacy import EfficacyTables, least_p
from cartrace.report.export import EFFICACY_EXPORTED, in_order, write_database
from cartrace.report.methods import sections
from cartrace.report.page import payload, render


@pytest.fixture(scope="module")
def data():
    return efficacy_trial()


@pytest.fixture(scope="module")
def packed(data):
    return payload(data, settings())


def texts(packed, column):
    return [packed["texts"][i] if i >= 0 else "" for i in column]


def test_without_outcomes_there_is_no_tab_and_nothing_is_packed():
    bare = full_trial(1)
    assert payload(bare, Config())["efficacy"] is None
    assert 'href="#/efficacy"' not in render(bare, Config())


def test_key_results_are_packed_in_words(packed):
    key = packed["efficacy"]["key"]
    course = texts(packed, key["course"])
    assert "CAR transgene (blood, qPCR, copies/µg)" in course
    said = dict(zip(texts(packed, key["result"]), texts(packed, key["text"]), strict=True))
    assert said["Treated"] == "6"  # the last cohort's
    assert any(x.endswith("copies/µg (5,280 to 153,000)") for x in texts(packed, key["text"]))


def test_a_score_of_zero_is_a_number_and_counts_in_the_median(packed):
    (score,) = packed["efficacy"]["scores"]
    assert (score["label"], score["better"], score["minimal"]) == ("EDSS", "lower", 1)
    first = next(c for c in score["courses"] if c["s"] == 0)
    assert first["value"] == [1, 0, 0, 0]
    # At day 84: 0, 3.5, 4.5, 4, 5.5, 5, 6.5, 6, 7.5, 7, 8.5 of eleven.
    median = next(m for m in score["medians"] if m["cohort"] == "all")
    at = median["day"].index(84)
    assert (median["median"][at], median["n"][at]) == (5.5, 11)


def test_changes_are_ordered_from_best_to_worst_with_reasons_last(packed):
    (score,) = packed["efficacy"]["scores"]
    months = {c["name"]: c for c in score["changes"]}
    assert list(months) == ["M1", "M3", "M6", "best"]
    assert months["M1"]["value"] == [-1] * 5 + [0] * 5 + [1.5, None]
    assert (months["M1"]["improved"], months["M1"]["worsened"], months["M1"]["n"]) == (5, 1, 11)
    assert texts(packed, months["M1"]["reason"])[-1] == "no score up to the infusion"


def test_the_dots_are_the_values_that_were_tested(data, packed):
    against = packed["efficacy"]["response"]
    assert against["groups"] == ["improved", "not improved"]
    plot = against["plots"][0]
    row = data.associations[
        (data.associations.y == against["name"].replace("±", "+/-"))
        & data.associations.x.str.startswith("Cmax, CAR transgene (blood, qpcr")
    ].iloc[0]
    assert (plot["metric"], plot["test"]["n"], len(plot["s"])) == ("Cmax", row.n, row.n)
    low, group = np.array(plot["low"]), np.array(plot["group"])
    above = (low[group == 0][:, None] > low[group == 1][None, :]).mean()
    assert plot["test"]["effect"] == pytest.approx(above)
    assert plot["sizes"] == [6, 6]
    # 99 drawn rearrangements give no p below 1 of 100.
    assert plot["least_p"] == 0.01


def test_a_fall_that_is_only_bounded_has_an_open_end(packed):
    plot = packed["efficacy"]["antibody"][0]
    assert plot["fall"] == "AQP4-IgG (serum, cell-based assay, titre)"
    assert None in plot["fall_high"]
    assert None not in plot["fall_low"]
    assert plot["test"]["tested"]


def test_the_smallest_p_counts_both_directions_of_two_groups():
    assert least_p([7, 3]) == pytest.approx(2 / 120)
    assert least_p([2, 2, 2]) == pytest.approx(1 / 90)
    assert least_p([1, 1]) == 1


def test_a_trial_without_responses_scores_or_antibodies_packs_none(data):
    events = data.events[~data.events["kind"].isin(["response"])]
    bare = dataclasses.replace(data, events=events, metrics=tables.empty(tables.METRICS))
    found = payload(bare, settings())["efficacy"]
    assert (found["response"], found["antibody"]) == (None, [])
    assert found["scores"][0]["changes"] == []
    none = dataclasses.replace(bare, measurements=tables.empty(tables.MEASUREMENTS))
    assert payload(none, settings())["efficacy"]["scores"] == []


def test_hostile_text_stays_text_and_dates_stay_away():
    data = efficacy_trial(3, hostile=f"{HOSTILE} 2024-03-01")
    html = render(data, settings())
    assert 'href="#/efficacy"' in html
    assert "<b>x</b>" not in html
    assert "2024-03-01" not in html


def test_tables_without_a_row_still_make_a_page(data):
    empty = dataclasses.replace(data, efficacy=EfficacyTables(key_results=data.efficacy.key_results.head(1)))
    packed = payload(empty, settings())
    assert packed["efficacy"]["curves"]["day"] == []
    assert json.dumps(packed, allow_nan=False)


def test_the_methods_say_the_rules_only_where_there_is_a_page():
    config = settings()
    assert not [h for h, _ in sections(config, {}) if h == "Relapses and follow-up"]
    said = dict(sections(config, {}, efficacy=True))
    assert "death without one is an event as well" in said["Relapses and follow-up"]
    assert "EDSS (0 to 10, lower is better) 1;" in said["Clinical scores"]
    other = load(
        {"cohort": {"outcomes": {"death": "censoring", "before_days": 365}}, "efficacy": {"scores": []}}
    )
    said = dict(sections(other, {}, efficacy=True))
    assert "death without one ends the follow-up" in said["Relapses and follow-up"]
    assert "relapses of 365 days" in said["Relapses and follow-up"]
    assert said["Clinical scores"] == "No clinical score was followed."


def test_the_tables_of_outcomes_are_exported_in_their_contracts(data, tmp_path):
    frames = {
        "key_results": data.efficacy.key_results,
        "outcomes": data.efficacy.outcomes,
        "outcome_curves": data.efficacy.curves,
    }
    assert {t.name for t in EFFICACY_EXPORTED} == set(frames)
    write_database(
        {name: in_order(f, tables.TABLES[name]) for name, f in frames.items()}, tmp_path / "x.duckdb"
    )
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as database:
        found = database.execute(
            "SELECT text FROM key_results WHERE cohort = 'all' AND result = 'Treated'"
        ).fetchall()
    assert found == [("12",)]
