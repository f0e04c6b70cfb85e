"""The events sheet: checked like the other sheets, in days, with every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace import config as configuration
from cartrace.intake.plan import load_plan
from cartrace.intake.sheet_tables import sheet_tables, strangers
from cartrace.intake.sheets import Sheets, read_sheets
from cartrace.problems import InputError, holds_date

CONFIG: dict[str, Any] = {"sheets": {"events": "sheets/events.tsv"}}
SINGLE: dict[str, Any] = {
    "sheets": {"events": "sheets/events.tsv", "subjects": None, "products": None, "infusions": None},
    "single_infusion": {"product": "P"},
}
HEADER = "subject_id\tday\tdate\tend_day\tend_date\tkind\tlabel\tgrade\tdose\tdose_unit\n"
SHEETS = {
    "subjects": "subject_id\n1003\n1004\n",
    "products": "product\tvector\nCT103A\tlentiviral\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\tdate\n"
    "1003\t1\tCT103A\t\t2021-03-04\n1003\t2\tCT103A\t\t2021-06-02\n1004\t1\tCT103A\t0\t\n",
    "files": "file_id\tpath\treader\tmapping\n",
}
DATED = "1003\t\t2021-04-03\t\t2021-04-05\tivig\t\t\t30\tg\n"
DAYS = "1004\t60\t\t\t\tresponse\tCR\t\t\t\n"


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    (tmp_path / "sheets").mkdir()
    for name, text in SHEETS.items():
        (tmp_path / f"sheets/{name}.tsv").write_text(text)
    return tmp_path


def read(folder: Path, *lines: str, config: dict[str, Any] | None = None) -> tuple[Sheets, str]:
    (folder / "sheets/events.tsv").write_text(HEADER + "".join(lines))
    sheets, problems = read_sheets(folder, configuration.load(config or CONFIG))
    return sheets, "\n".join(map(str, problems))


def test_dates_of_events_become_study_days_of_the_first_infusion(trial: Path) -> None:
    sheets, problems = read(trial, DATED, "1003\t\t2021-06-03\t\t\trelapse\t\t\t\t\n", DAYS)
    assert problems == ""
    # 4 March to 3 April are 30 days; the second infusion (day 90) starts no clock of its own here.
    assert [(e.study_day, e.end_study_day) for e in sheets.events] == [(30, 32), (91, None), (60, None)]
    assert "2021" not in repr(sheets)


def test_the_table_is_in_order_of_subject_and_day_and_holds_what_the_sheet_says(trial: Path) -> None:
    sheets, _ = read(trial, DAYS, DATED, "1003\t2\t\t\t\tadverse_event\tCRS\t2\t\t\n")
    table = sheet_tables(sheets, configuration.load(CONFIG)).events
    assert table["subject_id"].tolist() == ["1003", "1003", "1004"]
    assert table["kind"].tolist() == ["adverse_event", "ivig", "response"]
    assert table["grade"].tolist()[0] == 2
    assert table.loc[1, ["dose", "dose_unit"]].tolist() == [30, "g"]


def test_without_an_events_sheet_the_table_is_empty(trial: Path) -> None:
    sheets, problems = read_sheets(trial, configuration.load({}))
    assert problems == []
    assert len(sheet_tables(sheets, configuration.load({})).events) == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (DATED.replace("ivig", "IVIg"), "did you mean 'ivig'?"),
        (DAYS.replace("response", "respons"), "did you mean 'response'?"),
        (DAYS.replace("response", ""), "column 'kind': found nothing"),
        (DAYS.replace("1004", "01004"), "unknown '01004'"),
        (DAYS.replace("1004", "01004"), "did you mean '1004'?"),
        (DAYS.replace("1004", "=1004"), "begins with a letter or digit"),
        (DAYS.replace("60", ""), "neither day nor date"),
        (DAYS.replace("60", "day 60"), "study day (the first infusion is 0)"),
        (DAYS.replace("60", "nan"), "study day (the first infusion is 0)"),
        (DAYS.replace("60\t", "60\t2021-04-03"), "either day or date"),
        (DAYS.replace("60\t", "\t2021-04-03"), "allowed: day, since the first infusion has no date"),
        (DAYS.replace("\t60\t\t\t", "\t60\t\t\t2021-04-03"), "end_day, since the first infusion has no date"),
        (DATED.replace("2021-04-03", "03.04.2021"), "text that is no ISO date"),
        (DATED.replace("2021-04-03", "1961-04-03"), "a date that is too old"),
        (DATED.replace("2021-04-05", "2021-04-01"), "no earlier than the start (day 30)"),
        (DATED.replace("\t\t2021-04-05", "\t40\t2021-04-05"), "either end_day or end_date"),
        (DATED.replace("\tg\n", "\t\n"), "the unit of the dose"),
        (DATED.replace("30\tg", "\tg"), "the dose, since its unit is given"),
        (DATED.replace("30\tg", "-30\tg"), "a number above 0"),
        (DAYS.replace("CR", ""), "what the response was"),
        (DAYS.replace("CR\t", "CR\t7"), "a grade from 0 to 5"),
        (DAYS.replace("CR", "CR on 04.05.1961"), "text without a date"),
        (DAYS.replace("CR", "CR in May 2021"), "text without a date"),
        (DAYS.replace("CR", "CR\x07"), "a control character"),
        (DAYS + DAYS, "the same event again; allowed: each event once; it is in row 2"),
        ("1004\t90\t\t\t\tdeath\t\t\t\t\n1004\t91\t\t\t\tdeath\t\t\t\t\n", "a second death"),
        (
            "1004\t90\t\t\t\tdeath\t\t\t\t\n1004\t95\t\t\t\trelapse\t\t\t\t\n",
            "no later than the subject's death",
        ),
    ],
)
def test_each_fault_is_told_without_a_date(trial: Path, line: str, said: str) -> None:
    _, problems = read(trial, line)
    assert said in problems
    assert "events.tsv, row" in problems
    assert not holds_date(problems)


def test_an_unknown_column_is_told_with_the_nearest(trial: Path) -> None:
    (trial / "sheets/events.tsv").write_text("subject_id\tdya\tkind\n1003\t5\trelapse\n")
    _, problems = read_sheets(trial, configuration.load(CONFIG))
    assert "did you mean 'day'?" in "\n".join(map(str, problems))


def test_all_faults_of_a_sheet_come_at_once(trial: Path) -> None:
    _, problems = read(
        trial, DAYS.replace("response", "x"), DATED.replace("30\tg", "x\tg"), "9\tz\t\t\t\t\t\t\t\t\n"
    )
    # kind; dose; subject, kind and day of the last row.
    assert problems.count("events.tsv, row") == 5


def test_a_missing_events_sheet_is_told(trial: Path) -> None:
    _, problems = read_sheets(trial, configuration.load(CONFIG))
    assert "sheets.events in the configuration" in str(problems[0])


def test_events_count_in_the_digest_of_the_sheets_and_their_order_does_not(trial: Path) -> None:
    def digest(*lines: str) -> str:
        (trial / "sheets/events.tsv").write_text(HEADER + "".join(lines))
        return load_plan(CONFIG, trial).sheets_digest

    assert digest(DAYS, DATED) == digest(DATED, DAYS.replace("60", "60.0"))
    assert digest(DAYS, DATED) != digest(DAYS.replace("60", "61"), DATED)
    assert digest(DAYS) != digest()
    assert load_plan(CONFIG, trial).sheet_paths["events"] == "sheets/events.tsv"


def test_a_plan_with_a_faulty_events_sheet_is_refused(trial: Path) -> None:
    (trial / "sheets/events.tsv").write_text(HEADER + DAYS.replace("response", "respons"))
    with pytest.raises(InputError, match="did you mean 'response'"):
        load_plan(CONFIG, trial)


def test_without_sheets_a_subject_that_no_table_knows_is_told_with_its_twin(trial: Path) -> None:
    sheets, problems = read(trial, DAYS, DAYS.replace("1004", "01003"), config=SINGLE)
    assert problems == ""
    tables = sheet_tables(sheets, configuration.load(SINGLE), ["1003", "1004"])
    found = strangers(tables, "sheets/events.tsv")
    assert [str(p) for p in found] == [
        "sheets/events.tsv, column 'subject_id': found subject '01003'; "
        "allowed: a subject of the laboratory's tables (did you mean '1003'?)"
    ]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), max_size=12),
        min_size=10,
        max_size=10,
    )
)
def test_hostile_cells_become_problems_or_days_but_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "sheets").mkdir()
    for name, text in SHEETS.items():
        (folder / f"sheets/{name}.tsv").write_text(text)
    (folder / "sheets/events.tsv").write_text(HEADER + "\t".join(cells) + "\n", "utf-8")
    sheets, problems = read_sheets(folder, configuration.load(CONFIG))
    # No such row can name a known subject and a kind: it is told, or it was empty.
    assert problems or not any(c.strip() for c in cells)
    assert not holds_date("\n".join(map(str, problems)))
    assert all(e.study_day == e.study_day for e in sheets.events)
