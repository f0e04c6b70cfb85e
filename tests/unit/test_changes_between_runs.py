import numpy as np
import pandas as pd
import pytest

from cartrace import changes_between_runs as between
from cartrace.tables import METRICS, rows

COURSE = {
    "subject_id": "NMO-001",
    "infusion": 1,
    "matrix": "blood",
    "analyte": "transgene",
    "assay": "qpcr",
    "course_unit": "copies/ug",
}


def metric(name, value=None, *, status="estimated", **cells):
    return {**COURSE, "metric": name, "value": value, "status": status, **cells}


def table(*records):
    return rows(records, METRICS)


def measured(*cells):
    return pd.DataFrame(
        cells, columns=["subject_id", "analyte", "source_file", "source_sha256"], dtype="string"
    )


def record(**parts):
    whole = {
        "inputs": {"data/a.csv": "aa", "data/b.csv": "bb"},
        "config_sha256": "c1",
        "code_version": "0.1.0 (abc)",
        "versions": {"python": "3.12.1", "pandas": "3.1.0"},
    }
    return {**whole, **parts}


BEFORE = table(
    metric("cmax", 200.0, unit="copies/ug"),
    metric("tmax", 10.0, unit="day"),
    metric("tlast", lower=90.0, status="right_censored", reason="still there on the last visit"),
    metric("auc_last", 0.0),
    metric("half_life", 14.0),
)
AFTER = table(
    metric("cmax", 250.0, unit="copies/ug"),
    metric("tmax", 10.0, unit="day"),
    metric("tlast", lower=99.0, status="right_censored", reason="still there on the last visit"),
    metric("auc_last", 5.0),
    metric("clast", 12.0),
)


def test_each_kind_of_change_is_told_with_both_states():
    changed = between.changed_metrics(BEFORE, AFTER).set_index("metric")
    assert changed["change"].to_dict() == {
        "auc_last": "changed",
        "clast": "added",
        "cmax": "changed",
        "half_life": "removed",
        "tlast": "changed",
    }
    assert changed.loc["cmax", ["value_before", "value_after", "changed_columns"]].tolist() == [
        200.0,
        250.0,
        "value",
    ]
    # (250 - 200) / 200, and (99 - 90) / 90 of the bound of a censored value.
    assert changed.loc["cmax", "relative_difference"] == 0.25
    assert changed.loc["tlast", "relative_difference"] == pytest.approx(0.1, rel=1e-12)
    assert changed.loc["tlast", "changed_columns"] == "lower"
    # From 0 there is no relative difference, nor from nothing.
    assert changed.loc[["auc_last", "clast", "half_life"], "relative_difference"].isna().all()
    assert changed.loc[["clast", "half_life"], "changed_columns"].isna().all()
    assert (changed.loc["clast", "value_after"], changed.loc["half_life", "value_before"]) == (12.0, 14.0)


def test_a_difference_in_the_last_digit_is_a_change_and_its_size_is_told():
    changed = between.changed_metrics(
        table(metric("cmax", 1.0)), table(metric("cmax", float(np.nextafter(1.0, 2.0))))
    )
    assert changed["relative_difference"].tolist() == [2.0**-52]


def test_status_reason_and_unit_are_compared_too():
    before = table(metric("cmax", 5.0, unit="copies/ug", reason="one"), metric("tmax", 3.0))
    after = table(
        metric("cmax", 5.0, unit="cells/uL", reason="two"),
        metric("tmax", status="not_estimable", reason="too few points"),
    )
    changed = between.changed_metrics(before, after)
    assert changed["changed_columns"].tolist() == ["unit, reason", "value, status, reason"]
    assert changed["relative_difference"].iloc[0] == 0
    assert np.isnan(changed["relative_difference"].iloc[1])


def test_an_infinite_bound_has_no_relative_difference():
    changed = between.changed_metrics(
        table(metric("tlast", lower=9.0, upper=np.inf)), table(metric("tlast", lower=9.0, upper=20.0))
    )
    assert changed["changed_columns"].tolist() == ["upper"]
    assert changed["relative_difference"].tolist() == [0.0]


def test_the_order_of_rows_does_not_matter_and_equal_tables_have_no_change():
    shuffled = BEFORE.sample(frac=1, random_state=1), AFTER.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(between.changed_metrics(BEFORE, AFTER), between.changed_metrics(*shuffled))
    assert between.changed_metrics(AFTER, shuffled[1]).empty


def test_back_and_forth_swap_added_and_removed():
    there, back = between.changed_metrics(BEFORE, AFTER), between.changed_metrics(AFTER, BEFORE)
    swap = {"added": "removed", "removed": "added", "changed": "changed"}
    assert there["change"].map(swap).tolist() == back["change"].tolist()
    assert there["value_before"].tolist() == pytest.approx(back["value_after"].tolist(), nan_ok=True)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (
            {"inputs": {"data/a.csv": "aa", "data/b.csv": "bb", "data/c.csv": "cc"}},
            "1 input file added: data/c.csv",
        ),
        (
            {"inputs": {"data/a.csv": "aa", "data/b.csv": "b2"}},
            "1 input file changed under the old name: data/b.csv",
        ),
        ({"inputs": {}}, "2 input files removed: data/a.csv, data/b.csv"),
        ({"config_sha256": "c2"}, "configuration changed"),
        ({"code_version": "0.1.0 (abd)"}, "code changed: 0.1.0 (abc) -> 0.1.0 (abd)"),
        (
            {"versions": {"pandas": "3.1.1", "scipy": "1.1"}},
            "versions changed: pandas 3.1.0 -> 3.1.1, python 3.12.1 -> none, scipy none -> 1.1",
        ),
        ({}, "nothing that the run records hold differs"),
    ],
)
def test_every_cause_is_named(after, told):
    assert between.run_causes(record(), record(**after)) == [told]


def test_several_causes_are_all_named():
    after = record(inputs={"data/a.csv": "a2"}, config_sha256="c2", code_version="0.2.0")
    assert between.run_causes(record(), after) == [
        "1 input file changed under the old name: data/a.csv",
        "1 input file removed: data/b.csv",
        "configuration changed",
        "code changed: 0.1.0 (abc) -> 0.2.0",
    ]


def test_code_with_uncommitted_edits_is_never_taken_for_the_same():
    dirty = record(code_version="0.1.0 (abc+dirty)")
    assert "it may differ" in between.run_causes(dirty, dirty)[0]
    hashed = [{**dirty, "code_sha256": content} for content in ("1", "2")]
    assert between.run_causes(*hashed) == ["code changed: 0.1.0 (abc+dirty) -> 0.1.0 (abc+dirty)"]
    assert between.run_causes(hashed[0], hashed[0]) == ["nothing that the run records hold differs"]


def test_many_files_are_counted_a_few_named_and_dates_in_names_taken_out():
    inputs = {f"data/plate_2024-05-{day:02}.csv": "x" for day in range(1, 13)}
    (cause,) = between.run_causes(record(inputs={}), record(inputs=inputs))
    assert cause.startswith("12 input files added: data/plate_<date>.csv, ")
    assert cause.endswith(" and 7 more")


def test_a_file_is_told_by_the_hash_of_its_content():
    before = measured(("S", "x", "same", "1"), ("S", "x", "fixed", "2"), ("S", "x", "left", "3"))
    after = measured(("S", "x", "same", "1"), ("S", "x", "fixed", "4"), ("S", "x", "came", "5"))
    assert between.changed_sources(before, after, [], []) == {
        "came": "new",
        "fixed": "other content",
        "left": "gone",
    }


def test_the_same_content_under_another_name_or_without_results_before_is_no_change():
    before, after = measured(("S", "x", "old_name", "1")), measured(("S", "x", "new_name", "1"))
    assert between.changed_sources(before, after, [], []) == {}
    nothing = measured()
    assert between.changed_sources(nothing, after, ["1"], ["1"]) == {}
    assert between.changed_sources(after, nothing, ["1"], ["1"]) == {}


def test_a_row_names_only_changed_files_of_its_own_subject_and_analyte():
    before = measured(
        ("NMO-001", "transgene", "pcr_1", "1"),
        ("NMO-001", "transgene", "pcr_2", "2"),
        ("NMO-002", "transgene", "pcr_3", "3"),
        ("NMO-001", "b_cells", "flow", "4"),
    )
    # pcr_2 was corrected; pcr_3 is another subject's and flow another analyte's.
    after = before.assign(source_sha256=pd.array(["1", "22", "33", "44"], dtype="string"))
    changed = between.changes((BEFORE, AFTER), (before, after), (record(), record(config_sha256="c2")))
    assert set(changed["source_files"]) == {"pcr_2 (other content)"}
    assert set(changed["causes"]) == {"configuration changed"}


def test_a_row_without_a_changed_file_of_its_own_names_none():
    same = measured(("NMO-001", "transgene", "pcr_1", "1"))
    changed = between.changes((BEFORE, AFTER), (same, same), (record(), record(code_version="0.2.0")))
    assert list(changed.columns) == list(between.CHANGES.names)
    assert changed["source_files"].isna().all()


def test_no_change_is_an_empty_table_and_all_counts_are_told():
    assert between.changes((AFTER, AFTER), (measured(), measured()), (record(), record())).empty
    assert between.summary(between.changed_metrics(AFTER, AFTER)) == "no metric changed"
    assert between.summary(between.changed_metrics(BEFORE, AFTER)) == "3 metrics changed, 1 added, 1 removed"
    assert between.summary(between.changed_metrics(BEFORE[:0], AFTER[:1])) == "1 metric added"
