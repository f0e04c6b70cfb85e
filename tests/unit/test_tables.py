import math
import os
import re
import stat

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace import tables
from cartrace.files import replacing
from cartrace.tables import Column, Table, TableError, conform, defuse


def qc(**columns):
    return pd.DataFrame({"check": ["c"], "verdict": ["warn"], "message": ["m"], **columns})


def metric(**other):
    return {
        "subject_id": "P1",
        "infusion": 1,
        "matrix": "blood",
        "analyte": "transgene",
        "assay": "qpcr",
        "course_unit": "copies/ug",
        "metric": "cmax",
        "status": "estimated",
        **other,
    }


@pytest.mark.parametrize("table", tables.TABLES.values(), ids=lambda t: t.name)
def test_each_table_is_declared_whole(table):
    assert len(set(table.names)) == len(table.names)
    # A median has no day, and is one row all the same.
    may_be_empty = {"day"} if table.name == "outcomes" else set()
    assert set(table.key) - may_be_empty <= {c.name for c in table.columns if c.required}
    assert all(c.description.endswith(".") for c in table.columns)
    assert all(c.kind == "text" for c in table.columns if c.allowed)


@pytest.mark.parametrize("table", tables.TABLES.values(), ids=lambda t: t.name)
def test_an_empty_table_survives_a_round_trip(table, tmp_path):
    tables.write_table(tables.empty(table), tmp_path / "x.parquet", table)
    again = tables.read_table(tmp_path / "x.parquet", table)
    assert again.empty
    assert list(again.columns) == table.names


def test_columns_come_in_order_with_their_types_and_optional_ones_are_added():
    frame = conform(qc()[["message", "check", "verdict"]], tables.QC)
    assert list(frame.columns) == tables.QC.names
    assert {str(frame[c.name].dtype) for c in tables.QC.columns if c.kind == "integer"} == {"Int64"}
    assert frame["suggestion"].isna().all()


def test_a_round_trip_keeps_values_missing_values_and_types(tmp_path):
    frame = tables.rows(
        [metric(value=1.5, n_points=3), metric(infusion=2, reason="none left")], tables.METRICS
    )
    tables.write_table(frame, tmp_path / "m.parquet", tables.METRICS)
    pd.testing.assert_frame_equal(tables.read_table(tmp_path / "m.parquet", tables.METRICS), frame)


def test_unknown_and_missing_columns_are_all_named_at_once():
    with pytest.raises(TableError) as caught:
        conform(pd.DataFrame({"chek": ["c"], "verdict": ["warn"], "colour": ["red"]}), tables.QC)
    text = str(caught.value)
    for part in (
        "qc:",
        "unknown column 'chek'",
        "unknown column 'colour'",
        "column 'check'",
        "column 'message'",
    ):
        assert part in text


def test_columns_of_the_wrong_type_are_all_named_at_once():
    record = metric(value="high", n_points="many")
    with pytest.raises(TableError) as caught:
        tables.rows([record], tables.METRICS)
    assert "'value' is not number" in str(caught.value)
    assert "'n_points' is not integer" in str(caught.value)


def test_every_breach_of_content_is_named_at_once():
    with pytest.raises(TableError) as caught:
        tables.rows(
            [metric(matrix="bloood", status="guessed"), metric(subject_id=None, matrix="blod")],
            tables.METRICS,
        )
    text = str(caught.value)
    assert "2 rows of column 'matrix'" in text
    assert "1 rows of column 'status'" in text
    assert "column 'subject_id'" in text
    assert "first: 'bloood'" in text


def test_a_repeated_key_is_refused():
    with pytest.raises(
        TableError, match=r"2 rows repeat a key \(first: subject_id='P1', infusion=1, .*'cmax'\)"
    ):
        tables.rows([metric(value=1.0), metric(infusion=2), metric(value=2.0)], tables.METRICS)


def test_no_date_of_a_cell_reaches_the_message_or_its_cause():
    for record in (metric(value="2021-03-04"), metric(matrix="04.03.2021")):
        with pytest.raises(TableError, match="<date>") as caught:
            tables.rows([record], tables.METRICS)
        assert "2021" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_two_courses_of_one_subject_are_no_repeated_key():
    frame = tables.rows([metric(), metric(matrix="csf"), metric(infusion=2)], tables.METRICS)
    assert len(frame) == 3


def test_fractions_are_no_whole_numbers():
    with pytest.raises(TableError, match="'infusion' is not integer"):
        tables.rows([metric(infusion=1.5)], tables.METRICS)


def test_stacking_nothing_gives_an_empty_table_and_stacking_drops_nothing():
    assert tables.concat([], tables.METRICS).empty
    one, two = (tables.rows([metric(infusion=i)], tables.METRICS) for i in (1, 2))
    stacked = tables.concat([one, tables.empty(tables.METRICS), two], tables.METRICS)
    assert stacked["infusion"].tolist() == [1, 2]


def test_a_table_that_breaks_its_contract_is_not_written(tmp_path):
    with pytest.raises(TableError):
        tables.write_table(qc(verdict=["maybe"]), tmp_path / "qc.parquet", tables.QC)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
@pytest.mark.parametrize("before", ["", " ", "\n", "\u200b\ufeff", "\u202e"])
def test_text_that_a_spreadsheet_would_run_is_defused(cell, before):
    assert defuse(before + cell) == "'" + before + cell


def test_signs_of_full_width_count_as_well():
    assert [defuse(sign + "1") for sign in "\uff1d\uff0b\uff0d\uff20"] == [
        "'\uff1d1",
        "'\uff0b1",
        "'\uff0d1",
        "'\uff201",
    ]


@pytest.mark.parametrize("cell", ["blood", "", " 1=1", "1-2", "<50", "'=1", -1.5, 3, None])
def test_other_cells_stay_as_they_are(cell):
    assert defuse(cell) == cell


@given(st.text(max_size=20))
def test_defused_text_never_begins_a_formula_and_defusing_twice_is_once(text):
    safe = defuse(text)
    assert not re.match(r"\s*[=+\-@]|[\t\r]", safe)
    assert defuse(safe) == safe
    assert safe.endswith(text)


def test_the_tsv_defuses_text_and_keeps_the_sign_of_numbers(tmp_path):
    frame = pd.DataFrame({"text": ["=A1", None], "number": [-1.5, 2.0]})
    frame = frame.astype({"text": "string"})
    tables.write_tsv(frame, tmp_path / "x.tsv")
    assert (tmp_path / "x.tsv").read_text() == "text\tnumber\n'=A1\t-1.5\n\t2.0\n"


@settings(deadline=None)
@given(cells=st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_no_cell_of_a_tsv_adds_a_row_or_a_column(cells, tmp_path_factory):
    path = tmp_path_factory.mktemp("tsv") / "x.tsv"
    tables.write_tsv(pd.DataFrame({"a": pd.array(cells, dtype="string"), "b": 1}), path)
    again = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, na_filter=False)
    assert len(path.read_bytes().splitlines()) == len(cells) + 1
    assert len(again) == len(cells)
    assert (again["b"] == "1").all()


def test_a_file_appears_whole_and_an_older_one_is_replaced(tmp_path):
    path = tmp_path / "deep" / "x.txt"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert os.listdir(path.parent) == ["x.txt"]  # noqa: PTH208 - names alone, hidden ones too


def test_a_failure_leaves_the_older_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("hal")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_new_file_has_the_permissions_that_the_umask_gives(tmp_path):
    umask = os.umask(0o027)
    try:
        with replacing(tmp_path / "x") as temporary:
            temporary.write_text("")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_table_gives_its_column_names_in_order():
    table = Table("t", "A table.", (Column("b", "text", "B."), Column("a", "number", "A.")))
    assert table.names == ["b", "a"]


TOY = Table(
    "toy",
    "For the quick check.",
    (
        Column("id", "text", "Identifies.", required=True),
        Column("side", "text", "Either.", allowed=("left", "right")),
        Column("n", "integer", "Counts.", required=True),
        Column("day", "number", "Days."),
    ),
    key=("id", "side", "day"),
)


@settings(deadline=None)  # the first call imports
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]),
            st.sampled_from(["left", "right", "up", None]),
            st.sampled_from([1, 2, None]),
            st.sampled_from([0.0, -0.0, 1.0, math.nan]),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_the_quick_check_agrees_with_pandera(cells, many):
    frame = pd.DataFrame(
        {
            "id": pd.array([c[0] for c in cells], dtype="string"),
            "side": pd.array([c[1] for c in cells], dtype="string"),
            "n": pd.array([c[2] for c in cells], dtype="Int64"),
            "day": np.array([c[3] for c in cells], dtype="float64"),
        }
    )
    try:
        tables._validate(frame, TOY)
        kept = True
    except TableError:
        kept = False
    with pytest.MonkeyPatch.context() as patch:
        if many:
            patch.setattr(tables, "_FEW", 0)
        assert tables._keeps(frame, TOY) == kept


def test_a_checked_frame_shares_nothing_with_the_frame_that_it_was_made_of():
    given = pd.DataFrame({"id": ["a", "b"], "n": [1, 2], "day": [1.0, 2.0]})
    first = tables.conform(given, TOY)
    second = tables.conform(first, TOY)
    for frame in (given, first):
        frame.loc[0, ["id", "n", "day"]] = ["c", 3, 3.0]
    assert second.loc[0, ["id", "n", "day"]].tolist() == ["a", 1, 1.0]
    assert second["side"].isna().all()
    second.loc[0, "side"] = "left"
    assert tables.conform(given, TOY)["side"].isna().all()
