from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook

from cartrace.analytes import ANTIBODY, DEPLETION
from cartrace.simulate.humoral_laboratory import number_cell, titre_cell
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.simulate.write import write_trial


@pytest.fixture(scope="module")
def trial() -> Trial:
    return simulate_trial(2024, tubes=False, immunoassays=False, libraries=False)


@pytest.fixture(scope="module")
def folder(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trial") / "demo"
    write_trial(trial, out)
    return out


@pytest.mark.parametrize(
    ("titre", "start", "cell", "measured"),
    [
        (9.9, 10, "<1:10", 9.9),
        (10, 10, "1:10", 10),
        (79, 10, "1:40", 40),
        (80, 10, "1:80", 80),
        (2559, 10, "1:1280", 1280),
        (2560, 10, ">1:2560", 2560),
        (19, 20, "<1:20", 19),
        (41, 20, "1:40", 40),
    ],
)
def test_a_titre_is_the_last_positive_well(titre: float, start: int, cell: str, measured: float) -> None:
    assert titre_cell(titre, start) == (cell, measured)


@pytest.mark.parametrize(
    ("analyte", "value", "comma", "cell"),
    [
        ("b_cells", 0.29, True, "n.n."),
        ("b_cells", 0.9, True, "<1"),
        ("b_cells", 3.26, True, "3,3"),
        ("b_cells", 212.4, True, "212"),
        ("plasma_cells", 0.123, True, "0,12"),
        ("plasma_cells", 0.03, True, "<0,05"),
        ("igm", 0.04, False, "<0.05"),
        ("igg", 9.876, False, "9.88"),
        ("anti_srp", 4.9, False, "<5"),
    ],
)
def test_numbers_are_written_as_laboratories_do(analyte: str, value: float, comma: bool, cell: str) -> None:
    assert number_cell(analyte, value, comma=comma) == cell


def test_every_new_analyte_has_results(trial: Trial) -> None:
    samples = trial.truth["samples"]
    wanted = {a for a in DEPLETION if a in set(samples["analyte"])}
    assert {"b_cells", "naive_b_cells", "memory_b_cells", "plasmablasts", "plasma_cells"} <= wanted
    assert {"igg", "iga", "igm", "soluble_bcma"} <= wanted
    assert {"aqp4_igg", "anti_srp"} == set(samples["analyte"]) & set(ANTIBODY)
    srp = samples.loc[samples["analyte"] == "anti_srp", "subject_id"].unique().tolist()
    assert srp == ["NMO-003", "NMO-006"]


def test_titres_stand_under_their_visits(folder: Path) -> None:
    sheet = load_workbook(folder / "data/serology/aqp4_titres.xlsx")["AQP4-IgG"]
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[2][:5] == ("Patient", "Infusion", "Series begins at", "Pre-LD", "D14")
    cells = {c for row in rows[3:] for c in row[3:] if c is not None}
    assert "<1:10" in cells
    assert all(c.lstrip("<>").startswith("1:") for c in cells)


def test_one_subject_has_a_second_row_with_another_start(folder: Path) -> None:
    sheet = load_workbook(folder / "data/serology/aqp4_titres.xlsx")["AQP4-IgG"]
    starts: dict[str, set[str]] = {}
    for row in list(sheet.iter_rows(values_only=True))[3:]:
        starts.setdefault(str(row[0]), set()).add(str(row[2]))
    assert {s for s, found in starts.items() if len(found) > 1} == {"NMO-005"}
    assert starts["NMO-005"] == {"1:10", "1:20"}


def test_the_events_are_those_of_the_publication(trial: Trial) -> None:
    events = trial.sheets["events"]
    relapsed = events.loc[events["kind"] == "relapse", "subject_id"]
    assert relapsed.tolist() == ["NMO-009"]  # 11 of 12 without relapse
    assert set(events["kind"]) == {"adverse_event", "drug", "infection", "ivig", "relapse", "response"}
    drugs = events[events["kind"] == "drug"].groupby("label")["subject_id"].unique()
    assert drugs["tocilizumab"].tolist() == ["NMO-004", "NMO-006", "NMO-011"]
    assert drugs["rituximab"].tolist() == ["NMO-009"]
    assert events.loc[events["kind"] == "ivig", "subject_id"].unique().tolist() == ["NMO-004"]
    assert events.loc[events["kind"] == "infection", "grade"].astype(int).between(1, 3).all()


def test_events_happen_before_the_last_contact(folder: Path) -> None:
    with (folder / "sheets/events.tsv").open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    lost = [r for r in rows if r["subject_id"] == "NMO-010"]
    assert {r["kind"] for r in lost} == {"adverse_event", "drug"}
    # What is still given at the last contact has no end.
    ends = {(r["label"], r["end_date"]) for r in lost if r["kind"] == "drug"}
    assert ("aciclovir", "") in ends
    with (folder / "sheets/subjects.tsv").open(newline="") as handle:
        last = {r["subject_id"]: int(r["follow_up_day"]) for r in csv.DictReader(handle, delimiter="\t")}
    with (folder / "sheets/infusions.tsv").open(newline="") as handle:
        first = {
            r["subject_id"]: date.fromisoformat(r["date"])
            for r in csv.DictReader(handle, delimiter="\t")
            if r["infusion"] == "1"
        }
    days = [
        (date.fromisoformat(r[column]) - first[r["subject_id"]]).days - last[r["subject_id"]]
        for r in rows
        for column in ("date", "end_date")
        if r[column]
    ]
    assert max(days) <= 0


def test_eleven_of_twelve_antibodies_fall(trial: Trial) -> None:
    aqp4 = trial.truth["antibodies"].query("analyte == 'aqp4_igg' and infusion == 1")
    assert (aqp4["half_life"] < 60).sum() == 11
    assert aqp4.loc[aqp4["half_life"] > 60, "subject_id"].tolist() == ["NMO-002"]


def test_the_humoral_part_moves_no_car_t_result(trial: Trial) -> None:
    # The first results of seed 2024 before there was a humoral part.
    first = trial.truth["samples"].query("subject_id == 'NMO-001' and unit == 'copies/ug'")
    assert first["right_cell"].tolist()[4:8] == ["2689", "33347", "10171", "4936"]


def test_truth_has_one_row_for_each_subject_infusion_and_analyte(trial: Trial) -> None:
    for name in ("depletion", "antibodies"):
        truth = trial.truth[name]
        assert not truth.duplicated(["subject_id", "infusion", "analyte"]).any()
    assert len(trial.truth["depletion"]) == 13 * 9
    assert pd.notna(trial.truth["depletion"]["baseline"]).all()
