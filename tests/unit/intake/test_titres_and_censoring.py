"""Titres with their starting dilution, limits told by another column, and columns named by months."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import time
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.intake.cells import CellOptions, parse_cell
from cartrace.intake.laboratory_table import Grid, read_results
from cartrace.intake.mapping import Mapping, load_mapping
from cartrace.problems import InputError, holds_date

TITRE = {"column": "titre", "analyte": "aqp4_igg", "assay": "cba", "unit": "titre"}
INDEX = {"column": "x", "analyte": "neutralising_antibody", "assay": "psv", "unit": "arbitrary"}
CENSORED = {"column": "CENS", "values": {1: "BLQ", -1: "above_uloq", "bld": "BLD"}}


def mapping(**more: Any) -> Mapping:
    raw: dict[str, Any] = {"subject": "p", "matrix": "serum", "day": "d", "values": [TITRE]}
    return load_mapping({k: v for k, v in (raw | more).items() if v is not None}, "m.yaml")


def refused(**more: Any) -> str:
    with pytest.raises(InputError) as caught:
        mapping(**more)
    return str(caught.value)


def read(
    header: Sequence[str], lines: Sequence[Sequence[Any]], m: Mapping
) -> tuple[pd.DataFrame, pd.DataFrame]:
    grid = Grid("t.csv", tuple(header), tuple(map(tuple, lines)), tuple(range(2, len(lines) + 2)))
    return read_results(grid, m, file_id="t", sha256="0" * 64)


def titres(*cells: Any, **more: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    return read(["p", "d", "titre"], [["A", n, c] for n, c in enumerate(cells)], mapping(**more))


def started(*rows: tuple[Any, Any], **more: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    lines = [["A", n, cell, start] for n, (cell, start) in enumerate(rows)]
    return read(["p", "d", "titre", "from"], lines, mapping(**({"start": "from"} | more)))


def flagged(*rows: tuple[Any, Any], **more: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    lines = [["A", n, cell, flag] for n, (cell, flag) in enumerate(rows)]
    m = mapping(values=[INDEX | {"censored": CENSORED} | more])
    return read(["p", "d", "x", "CENS"], lines, m)


def test_a_titre_is_its_reciprocal_dilution_and_no_finding() -> None:
    results, qc = titres("1:40", "1 : 320", "1/80", 160, "1:10")
    assert list(results["value"]) == [40, 320, 80, 160, 10]
    assert set(results["detection"]) == {"quantified"}
    assert len(qc) == 0


def test_a_step_in_the_mapping_gives_each_number_its_interval() -> None:
    results, _ = titres("1:40", "<1:10", ">1:2560", values=[TITRE | {"lloq": 10, "step": 3}])
    assert results["value"].fillna(-1).tolist() == [40, -1, -1]
    assert results["lower"].tolist() == [40, 0, 2560]
    assert results["upper"].fillna(-1).tolist() == [120, 10, -1]
    assert "step is the dilution step of a titre" in refused(values=[INDEX | {"step": 2}])
    assert "greater than 1" in refused(values=[TITRE | {"step": 1}])


def test_below_the_first_dilution_and_above_the_last_are_bounds() -> None:
    results, qc = titres("<1:10", ">1:2560", values=[TITRE | {"lloq": 10}])
    assert results["detection"].tolist() == ["BLQ", "above_uloq"]
    assert results.loc[0, ["lower", "upper", "lloq"]].tolist() == [0, 10, 10]
    assert results.loc[1, "lower"] == 2560
    assert pd.isna(results.loc[1, "upper"])
    assert qc["verdict"].tolist() == ["note", "note"]


def test_a_bound_in_the_cell_is_the_starting_dilution_of_its_run() -> None:
    results, qc = titres("<1:20", values=[TITRE | {"lloq": 10}])
    assert results.loc[0, ["upper", "lloq"]].tolist() == [20, 20]
    assert "not the mapping's lloq 10" in qc.loc[0, "message"]


def test_each_row_may_have_its_own_starting_dilution() -> None:
    results, qc = started(("1:40", "1:10"), ("<1:20", 20), ("1:40", ""), ("1:80", 10.0))
    assert list(results["lloq"].fillna(-1)) == [10, 20, -1, 10]
    assert results["detection"].tolist() == ["quantified", "BLQ", "quantified", "quantified"]
    assert qc["message"].str.contains("not the mapping's lloq").sum() == 0


def test_an_empty_start_falls_back_on_the_lloq_of_the_mapping() -> None:
    results, _ = started(("neg", None), ("neg", 20), values=[TITRE | {"lloq": 10}], text={"neg": "BLQ"})
    assert results["upper"].tolist() == [10, 20]
    assert set(results["detection"]) == {"BLQ"}


def test_start_may_stand_under_one_value_or_one_test() -> None:
    header, lines = ["p", "d", "titre", "from", "x"], [["A", 1, "1:40", 20, 7.5]]
    m = mapping(values=[TITRE | {"start": {"column": "from"}}, INDEX])
    results, _ = read(header, lines, m)
    assert list(results["lloq"].fillna(-1)) == [20, -1]
    tests = {"AQP4": {k: v for k, v in TITRE.items() if k != "column"} | {"start": "from"}}
    long = mapping(values=None, long={"analyte": "t", "value": "r", "tests": tests})
    results, _ = read(["p", "d", "t", "r", "from"], [["A", 1, "AQP4", "1:40", 20]], long)
    assert results["lloq"].tolist() == [20]


@pytest.mark.parametrize(
    "start", ["oops", "0", "-10", "<1:10", "0.5", "nan", "1:0", "=1+1", True, "1:10-1:20", "9" * 400, "5120"]
)
def test_a_result_with_an_unreadable_start_is_left_out(start: Any) -> None:
    results, qc = started(("1:40", start), ("1:80", 10), values=[TITRE | {"uloq": 2560}])
    assert results["value"].tolist() == [80]
    assert qc["check"].tolist() == ["starting_dilution"]
    assert qc["verdict"].tolist() == ["fail"]


def test_a_negative_titre_needs_the_mapping_and_a_starting_dilution() -> None:
    results, qc = titres("neg", "Negative", "not detected")
    assert len(results) == 0
    assert qc["verdict"].tolist() == ["warn"] * 3
    assert qc["suggestion"].str.contains("negative: BLQ, and give lloq or start").tolist()[1]
    results, qc = titres("neg", text={"neg": "BLQ"})
    assert len(results) == 0
    assert "without a starting dilution" in qc.loc[0, "message"]
    results, _ = titres("Neg", text={"neg": "BLQ"}, values=[TITRE | {"lloq": 10}])
    assert results.loc[0, ["detection", "lower", "upper"]].tolist() == ["BLQ", 0, 10]


@pytest.mark.parametrize("cell", ["1:40-1:80", "1:10 - 1:20", "1:40\N{EN DASH}1:80", "40-80", "1:40 to 1:80"])
def test_a_range_of_titres_is_refused(cell: str) -> None:
    results, qc = titres(cell)
    assert len(results) == 0
    assert "a range of titres" in qc.loc[0, "message"]
    assert qc.loc[0, "verdict"] == "warn"


def test_a_titre_below_its_start_or_of_zero_is_impossible() -> None:
    results, qc = started(("1:10", 20), (0, 20))
    assert len(results) == 0
    assert qc["check"].tolist() == ["impossible_value"] * 2
    assert '(text: {"10": BLQ})' in qc.loc[0, "message"]
    assert "zero: BLQ" in qc.loc[1, "message"]
    results, _ = started((0, 20), values=[TITRE | {"zero": "BLQ"}])
    assert results.loc[0, ["detection", "upper"]].tolist() == ["BLQ", 20]


def test_a_titre_in_a_column_of_another_unit_is_not_read() -> None:
    reading = parse_cell("1:40", CellOptions(unit="U/mL"))
    assert reading.kind == "unread"
    assert parse_cell("1/40", CellOptions(unit="U/mL")).kind == "unread"
    assert parse_cell("neg", CellOptions(unit="U/mL")).kind == "BLD"


def test_a_titre_that_the_spreadsheet_took_for_a_time_is_told() -> None:
    reading = parse_cell(time(1, 40), CellOptions(unit="titre"))
    assert reading.kind == "unread"
    assert "perhaps 1:40" in reading.suggestion


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"values": [INDEX | {"start": "from"}]}, "start is the starting dilution of a titre"),
        ({"values": [INDEX], "start": "from"}, "no test has the unit titre"),
        ({"values": [TITRE | {"lod": 5, "start": "from"}]}, "start and lod don't go together"),
        ({"values": [TITRE | {"lod": 5}], "start": "from"}, "start and lod don't go together"),
        ({"values": [TITRE | {"zero": "quantified"}]}, "a titre of 0 is no result"),
        ({"values": [INDEX | {"censored": {"column": "C", "values": {"1": "BQL"}}}]}, "BQL"),
        ({"values": [INDEX | {"censored": {"column": "C", "valus": {}}}]}, "did you mean 'values'?"),
        ({"values": [INDEX | {"censored": {"column": "C", "values": {}}}]}, "at least 1 item"),
        ({"values": [INDEX | {"censored": "C"}]}, "values"),
        ({"values": [INDEX | {"label": "May 2020"}]}, "without a calendar date or month"),
        ({"values": [INDEX | {"visit": "2020-05-04"}]}, "without a calendar date or month"),
        ({"values": [INDEX | {"label": "V1"}, TITRE | {"label": "V1"}]}, "label 'V1' is given twice"),
    ],
)
def test_what_does_not_fit_together_is_told(more: dict[str, Any], said: str) -> None:
    assert said in refused(**more)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ({"pattern": r"x_(?P<hour>\d)"}, "a group named hour needs a group named day"),
        ({"pattern": r"x_(?P<day>\d)(?P<minute>\d)"}, "a group named minute needs a group named hour"),
        ({"pattern": r"x_(?P<visit>\d)", "visit": "V1"}, "given twice"),
        ({"pattern": r"x_(?P<day>\d)", "label": "X"}, "label names one column"),
        ({"pattern": r"x_(?P<week>\d)"}, "not week"),
    ],
)
def test_patterns_that_do_not_fit_are_told(pattern: dict[str, Any], said: str) -> None:
    entry = {k: v for k, v in INDEX.items() if k != "column"} | pattern
    assert said in refused(values=[entry])


def test_the_number_beside_a_censoring_flag_is_the_limit() -> None:
    results, qc = flagged((20, 1), (50.5, 0), (3, ""), ("900", "-1"), (8, "BLD"), (7, None), (5, False))
    assert results["detection"].tolist() == [
        "BLQ",
        "quantified",
        "quantified",
        "above_uloq",
        "BLD",
        "quantified",
        "quantified",
    ]
    assert results.loc[0, ["lower", "upper", "lloq"]].tolist() == [0, 20, 20]
    assert results.loc[3, "lower"] == 900
    assert results.loc[4, ["lower", "upper", "lod"]].tolist() == [0, 8, 8]
    assert results["value"].isna().tolist() == [True, False, False, True, True, False, False]
    assert qc["source_row"].tolist() == [2, 5, 6]
    assert set(qc["verdict"]) == {"note"}
    assert qc["message"].str.contains("as column 'CENS' says").all()


def test_the_limit_of_a_flagged_number_comes_before_that_of_the_mapping() -> None:
    results, qc = flagged((20, 1), (40, "bld"), (20, 0), lloq=30, scale=2)
    assert results["upper"].tolist() == [40, 80, 40]
    assert results["detection"].tolist() == ["BLQ", "BLD", "quantified"]
    assert results["lloq"].fillna(-1).tolist() == [40, -1, 30]
    assert "not the mapping's lloq 30" in qc.loc[0, "message"]


@pytest.mark.parametrize(
    "flag", ["2", "yes", "=1+1", "1;DROP TABLE", "\x00", "1.5", "x" * 5000, "#N/A", True]
)
def test_a_flag_that_the_mapping_does_not_list_leaves_the_result_out(flag: Any) -> None:
    results, qc = flagged((20, flag), (30, 0))
    assert results["value"].tolist() == [30]
    assert qc["check"].tolist() == ["censoring_column"]
    assert qc["verdict"].tolist() == ["warn"]
    assert len(qc.loc[0, "message"]) < 200
    assert "\x00" not in qc.loc[0, "message"]


def test_a_flag_holds_no_date_in_the_findings() -> None:
    _, qc = flagged((20, "since 04.05.1961"))
    assert not holds_date(qc.to_csv())


@pytest.mark.parametrize(
    ("cell", "flag", "detection"),
    [
        ("<20", 1, "BLQ"),
        ("<20", "bld", "BLD"),
        ("BLQ", 1, "BLQ"),
        (">900", -1, "above_uloq"),
        ("<20", 0, "BLQ"),
    ],
)
def test_a_cell_that_says_the_same_as_its_flag_is_read(cell: str, flag: Any, detection: str) -> None:
    results, _ = flagged((cell, flag))
    assert results["detection"].tolist() == [detection]


@pytest.mark.parametrize(
    ("cell", "flag", "said"),
    [
        (">20", 1, "the cell says otherwise"),
        ("<20", -1, "the cell says otherwise"),
        (0, 1, "that no result can keep"),
        (-3, 1, "that no result can keep"),
        ("", 1, "which should hold the limit, is empty"),
        (None, -1, "which should hold the limit, is empty"),
        ("oops", 1, "text in a number column"),
    ],
)
def test_a_flag_without_a_usable_limit_gives_no_result(cell: Any, flag: Any, said: str) -> None:
    results, qc = flagged((cell, flag))
    assert len(results) == 0
    assert said in qc.loc[0, "message"]
    assert qc.loc[0, "verdict"] == "warn"


def test_an_empty_cell_without_a_flag_is_no_finding() -> None:
    results, qc = flagged(("", 0), (None, ""), ("", "not sampled"))
    assert len(results) == 0
    assert list(qc["check"]) == ["no_results"]


def test_a_missing_censoring_or_start_column_is_told() -> None:
    m = mapping(values=[TITRE | {"start": "from"}, INDEX | {"censored": CENSORED}])
    with pytest.raises(InputError) as caught:
        read(["p", "d", "titre", "x", "CENSS"], [["A", 1, 20, 3, 0]], m)
    assert "column 'from': found no such column" in str(caught.value)
    assert "did you mean 'CENSS'?" in str(caught.value)


MONTHS = ["p", "Neutralisation_May_2020", "Neutralization_november_2020"]


def months(**more: Any) -> Mapping:
    entries = [
        {**TITRE, "column": column, "visit": f"V{n}"}
        | ({"label": f"titre V{n}"} if more.get("label") else {})
        for n, column in enumerate(MONTHS[1:], 1)
    ]
    return mapping(day=None, values=entries)


def test_months_in_headers_stay_out_of_results_and_findings() -> None:
    results, qc = read(MONTHS, [["A", "1:40", "<1:10"], ["B", "oops", "1:20"]], months(label=True))
    assert results["visit"].tolist() == ["V1", "V2", "V2"]
    assert results["source_column"].tolist() == ["titre V1", "titre V2", "titre V2"]
    assert qc["source_column"].tolist() == ["titre V2", "titre V1"]
    for table in (results, qc):
        assert not holds_date(table.to_csv())
        assert "2020" not in table.to_csv()


def test_month_headers_without_a_label_are_redacted() -> None:
    m = mapping(day=None, values=[{**TITRE, "column": MONTHS[1], "visit": "V1"}])
    results, _ = read(MONTHS[:2], [["A", "1:40"]], m)
    assert results["source_column"].tolist() == ["Neutralisation_<date>"]


def test_month_headers_that_redaction_makes_equal_need_labels() -> None:
    header = ["p", "titre_May_2020", "titre_june_2021"]
    m = mapping(day=None, values=[{**TITRE, "column": c, "visit": c[6:9]} for c in header[1:]])
    with pytest.raises(InputError) as caught:
        read(header, [["A", "1:40", "1:20"]], m)
    assert "a label for each of them" in str(caught.value)
    assert "2020" not in str(caught.value)


def test_a_month_can_not_become_a_visit_by_a_pattern() -> None:
    entry = {k: v for k, v in TITRE.items() if k != "column"} | {"pattern": "Neutrali.ation_(?P<visit>.+)"}
    with pytest.raises(InputError) as caught:
        read(MONTHS, [["A", "1:40", "1:20"]], mapping(day=None, values=[entry]))
    assert "one entry for each such column" in str(caught.value)
    assert "2020" not in str(caught.value)


def il6(*headers: str) -> list[float]:
    pattern = r"il6_d(?P<day>-?\d+)(?:-(?P<hour>\d\d)(?P<minute>\d\d))?"
    entry = {"pattern": pattern, "analyte": "il6", "assay": "elisa", "unit": "pg/mL"}
    results, _ = read(
        ["p", *headers], [["A", *range(1, len(headers) + 1)]], mapping(day=None, values=[entry])
    )
    return [float(d) for d in results["day"]]


def test_a_time_of_day_in_the_header_is_a_fraction_of_the_day() -> None:
    days = il6("il6_d0", "il6_d1-0000", "il6_d1-0300", "il6_d1-1830", "il6_d-7")
    assert days == pytest.approx([0, 1, 1.125, 1 + 18.5 / 24, -7])


@pytest.mark.parametrize("header", ["il6_d1-2500", "il6_d1-0399", "il6_d99999"])
def test_an_impossible_time_in_the_header_is_told(header: str) -> None:
    with pytest.raises(InputError, match="an hour from 0 to 24"):
        il6(header)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(max_size=12), st.floats(), st.integers(-5, 500), st.none(), st.booleans()),
            st.one_of(st.text(max_size=6), st.integers(-2, 2), st.none(), st.floats()),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_no_pair_of_cell_and_flag_raises_and_bounds_always_hold(rows: list[tuple[Any, Any]]) -> None:
    results, qc = flagged(*rows)
    assert len(results) <= len(rows)
    for r in results.to_dict("records"):
        assert r["lower"] >= 0
        if r["detection"] == "quantified":
            assert r["value"] == r["lower"] == r["upper"]
        else:
            assert math.isnan(r["value"])
    assert not holds_date(qc["message"].str.cat(sep=" ") if len(qc) else "")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(max_size=12), st.sampled_from(["1:40", "<1:10", ">1:2560", "neg", 0, 20])),
            st.one_of(st.text(max_size=6), st.integers(-2, 40), st.none()),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_titre_is_at_least_its_starting_dilution(rows: list[tuple[Any, Any]]) -> None:
    results, _ = started(*rows)
    known = results[(results["detection"] == "quantified") & results["lloq"].notna()]
    assert (known["value"] >= known["lloq"]).all()
    negative = results[results["detection"] == "BLQ"]
    assert (negative["upper"] == negative["lloq"]).all()
