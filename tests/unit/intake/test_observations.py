"""The observations sheet: checked like the other sheets, in days, with every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartrace import config as configuration
from cartrace.intake.observations import Observation, on_clock
from cartrace.intake.plan import load_plan
from cartrace.intake.sheet_tables import sheet_tables, unknown_subjects
from cartrace.intake.sheets import Sheets, read_sheets
from cartrace.problems import InputError, holds_date

CONFIG: dict[str, Any] = {
    "sheets": {"events": "sheets/events.tsv", "observations": "sheets/observations.tsv"}
}
SINGLE: dict[str, Any] = {
    "sheets": {
        "observations": "sheets/observations.tsv",
        "subjects": None,
        "products": None,
        "infusions": None,
    },
    "single_infusion": {"product": "P"},
}
HEADER = "subject_id\tday\tdate\titem\tvalue\n"
SHEETS = {
    "subjects": "subject_id\n1003\n1004\n",
    "products": "product\tvector\nCT103A\tlentiviral\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\tdate\tlymphodepletion_day\n"
    "1003\t1\tCT103A\t\t2021-03-04\t-5\n1003\t2\tCT103A\t\t2021-06-02\t-5\n1004\t1\tCT103A\t0\t\t\n",
    "files": "file_id\tpath\treader\tmapping\n",
    "events": "subject_id\tday\tkind\n1004\t9.5\tdeath\n",
}
FEVER = "1004\t2\t\ttemperature_c\t38.6\n"


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    (tmp_path / "sheets").mkdir()
    for name, text in SHEETS.items():
        (tmp_path / f"sheets/{name}.tsv").write_text(text)
    return tmp_path


def read(folder: Path, *lines: str, config: dict[str, Any] | None = None) -> tuple[Sheets, str]:
    (folder / "sheets/observations.tsv").write_text(HEADER + "".join(lines))
    sheets, problems = read_sheets(folder, configuration.load(config or CONFIG))
    return sheets, "\n".join(map(str, problems))


def test_numbers_and_words_are_read_and_dates_become_days(trial: Path) -> None:
    sheets, problems = read(trial, FEVER, "1003\t\t2021-03-07\toxygen\tlow_flow\n")
    assert problems == ""
    assert sheets.observations == (
        Observation("1004", 2.0, "temperature_c", 38.6, None, 2),
        Observation("1003", 3.0, "oxygen", None, "low_flow", 3),
    )
    assert "2021" not in repr(sheets)


def test_the_table_counts_days_from_the_infusion_that_an_observation_belongs_to(trial: Path) -> None:
    # Infusion 2 is on study day 90, its lymphodepletion begins on day 85.
    days = ("-3", "0", "84", "85", "93")
    sheets, problems = read(trial, *(f"1003\t{d}\t\tice\t10\n" for d in days))
    assert problems == ""
    table = sheet_tables(sheets, configuration.load(CONFIG)).observations
    assert table["infusion"].tolist() == [1, 1, 1, 2, 2]
    assert table["day"].tolist() == [-3, 0, 84, -5, 3]
    assert table["study_day"].tolist() == [-3, 0, 84, 85, 93]
    assert table["source_row"].tolist() == [2, 3, 4, 5, 6]


def test_without_an_observations_sheet_the_table_is_empty(trial: Path) -> None:
    sheets, problems = read_sheets(trial, configuration.load({}))
    assert problems == []
    assert len(sheet_tables(sheets, configuration.load({})).observations) == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (FEVER.replace("temperature_c", "temperature"), "did you mean 'temperature_c'?"),
        (FEVER.replace("temperature_c", ""), "column 'item': found nothing"),
        (FEVER.replace("38.6", ""), "column 'value': found nothing"),
        (FEVER.replace("38.6", "38,6"), "for temperature_c: a number from 30 to 45"),
        (FEVER.replace("38.6", "101.5"), "for temperature_c: a number from 30 to 45"),
        (FEVER.replace("38.6", "nan"), "for temperature_c: a number from 30 to 45"),
        ("1004\t2\t\tice\t7.5\n", "for ice: a whole number from 0 to 10"),
        ("1004\t2\t\tcrs_grade\t6\n", "for crs_grade: a whole number from 0 to 5"),
        ("1004\t2\t\toxygen\tlow flow\n", "did you mean 'low_flow'?"),
        ("1004\t2\t\thypotension\t1\n", "for hypotension: yes, no"),
        (FEVER.replace("1004", "01004"), "did you mean '1004'?"),
        (FEVER.replace("1004", "1004 2021-03-04"), "an id without a calendar date"),
        (FEVER.replace("\t2\t", "\t\t"), "neither day nor date"),
        (FEVER.replace("\t2\t\t", "\t2\t2021-03-06\t"), "a day and a date"),
        (FEVER.replace("\t2\t\t", "\t\t2021-03-06\t"), "since the first infusion has no date"),
        (FEVER.replace("\t2\t", "\t10\t"), "no later than the subject's death (day 9.5)"),
    ],
)
def test_what_a_row_may_not_say_is_told_with_its_row(trial: Path, line: str, said: str) -> None:
    _, problems = read(trial, line)
    assert said in problems
    assert "row 2" in problems
    assert not holds_date(problems)


def test_the_day_of_the_death_still_counts(trial: Path) -> None:
    assert read(trial, FEVER.replace("\t2\t", "\t9.9\t"))[1] == ""


def test_all_problems_come_at_once(trial: Path) -> None:
    _, problems = read(trial, "1005\t\t\tfoo\t1\n", FEVER.replace("38.6", "hot"))
    assert len(problems.splitlines()) == 4


def test_the_plan_refuses_a_bad_sheet_and_reads_it_as_an_input(trial: Path) -> None:
    read(trial, FEVER)
    before = load_plan(CONFIG, trial)
    assert before.sheet_paths["observations"] == "sheets/observations.tsv"
    read(trial, FEVER.replace("38.6", "38.7"))
    assert load_plan(CONFIG, trial).sheets_digest != before.sheets_digest
    read(trial, FEVER.replace("38.6", "warm"))
    with pytest.raises(InputError, match="temperature_c"):
        load_plan(CONFIG, trial)


def test_without_a_subjects_sheet_strangers_are_told_once_the_subjects_are_known(trial: Path) -> None:
    sheets, problems = read(trial, FEVER, FEVER.replace("1004", "9"), config=SINGLE)
    assert problems == ""
    tables = sheet_tables(sheets, configuration.load(SINGLE), ["1004"])
    assert tables.observations["subject_id"].tolist() == ["1004"]
    told = unknown_subjects({o.subject_id for o in sheets.observations}, tables, "observations.tsv")
    assert [str(p) for p in told] == [
        "observations.tsv, column 'subject_id': found subject '9'; allowed: a subject of the laboratory's tables"
    ]


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(-20, 60), st.integers(0, 9)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_does_not_matter(seen: list[tuple[str, int, int]], random: Any) -> None:
    plans = {"A": [(1, 0.0, -5.0), (2, 30.0, None)], "B": [(1, 0.0, None)]}
    listed = [Observation(s, float(d), "ice", float(v), None, n) for n, (s, d, v) in enumerate(seen)]
    shuffled = listed.copy()
    random.shuffle(shuffled)
    assert on_clock(listed, plans) == on_clock(shuffled, plans)
    for row in on_clock(listed, plans):
        start = {1: 0.0, 2: 30.0}[int(str(row["infusion"]))]
        assert row["day"] == float(str(row["study_day"])) - start


def test_cells_seen_before_are_still_checked_together(trial: Path) -> None:
    # Each cell of the later rows has stood in a row without fault.
    good = ["1003\t12\t\ttemperature_c\t38\n", "1003\t\t2021-03-07\toxygen\tlow_flow\n", FEVER]
    _, problems = read(trial, *good)
    assert problems == ""
    _, problems = read(
        trial,
        *good,
        "1004\t12\t\ttemperature_c\t38\n",  # after the death on day 9.5
        "1004\t\t2021-03-07\toxygen\tlow_flow\n",  # this subject's first infusion has no date
        "1003\t12\t\toxygen\t38\n",
        "1003\t12\t2021-03-07\ttemperature_c\t38\n",
    )
    rows = [line.split(" row ")[1].split(",")[0].split(":")[0] for line in problems.splitlines()]
    assert rows == ["5", "6", "7", "8"], problems


def test_a_fault_that_stands_twice_is_told_twice(trial: Path) -> None:
    _, problems = read(trial, *["1005\t1\t\ttemperature_c\t38\n"] * 2)
    assert problems.count("'1005'") == 2
