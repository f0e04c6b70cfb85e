from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook

from cartrace.simulate.errors import CHECKS, transpose_digits
from cartrace.simulate.trial import VISITS, simulate_trial
from cartrace.simulate.write import write_trial


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trial") / "demo"
    write_trial(simulate_trial(2024, tubes=False, immunoassays=False, libraries=False), out)
    return out


@pytest.fixture(scope="module")
def planted(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "truth" / "planted_errors.tsv", sep="\t", dtype=str).fillna("")


def cells(folder: Path, path: str) -> list[list[str]]:
    """All cells of a file as text, as a person would see them."""
    file = folder / "data" / path
    if file.suffix == ".xlsx":
        sheet = load_workbook(file).worksheets[0]
        return [["" if c is None else str(c) for c in row] for row in sheet.iter_rows(values_only=True)]
    with file.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.reader(handle, delimiter=";" if file.suffix == ".csv" else "\t"))


def column_index(rows: list[list[str]], name: str) -> int:
    for header in rows[:4]:
        for index, text in enumerate(header):
            if text and name.endswith(text) and text != "CAR transgene":
                return index
    raise AssertionError(f"no column {name}")


def test_every_kind_of_error_is_planted_once(planted: pd.DataFrame) -> None:
    assert sorted(planted["kind"]) == sorted(CHECKS)


def test_every_planted_error_stands_in_the_written_cell(folder: Path, planted: pd.DataFrame) -> None:
    for error in planted.itertuples():
        rows = cells(folder, error.path)
        cell = rows[int(error.row) - 1][column_index(rows, error.column)]
        assert cell == error.written, error.kind


def test_the_right_value_is_somewhere_else_or_lost(planted: pd.DataFrame) -> None:
    assert (planted["written"] != planted["right"]).all()


def test_the_unit_error_is_a_factor_of_ten(planted: pd.DataFrame) -> None:
    error = planted.set_index("kind").loc["unit_off_by_ten"]
    assert int(error["written"]) == 10 * int(error["right"])


def test_the_swapped_visits_hold_each_others_results(folder: Path, planted: pd.DataFrame) -> None:
    error = planted.set_index("kind").loc["visits_swapped"]
    rows = cells(folder, error["path"])
    here, before = rows[int(error["row"]) - 1], rows[int(error["row"]) - 2]
    assert (before[1], here[1]) == ("D4", "D7")
    assert before[4] == error["right"]
    # Both units moved, so that their ratio says nothing.
    assert float(here[5]) / float(here[4]) == pytest.approx(0.0066, rel=0.01)


def test_the_duplicate_disagrees_twofold(folder: Path, planted: pd.DataFrame) -> None:
    error = planted.set_index("kind").loc["duplicate_disagrees"]
    file_id, row, _ = error["also"].split(":", 2)
    first = cells(folder, f"pcr/{file_id}.xlsx")[int(row) - 1]
    second = cells(folder, error["path"])[int(error["row"]) - 1]
    assert first[:4] == second[:4]
    assert float(second[4]) / float(first[4]) == pytest.approx(2.2, rel=0.02)


def test_the_late_visit_is_outside_its_window(planted: pd.DataFrame) -> None:
    error = planted.set_index("kind").loc["visit_outside_window"]
    nominal, window = {name: (day, w) for name, day, w in VISITS}[error["visit"]]
    assert int(error["study_day"]) == nominal + 19
    assert window < 19


def test_the_impossible_share_is_above_100(planted: pd.DataFrame) -> None:
    error = planted.set_index("kind").loc["impossible_value"]
    assert float(error["written"].replace(",", ".")) > 100


@pytest.mark.parametrize("seed", range(1, 16))
def test_every_error_finds_its_place_whatever_the_seed(seed: int) -> None:
    trial = simulate_trial(seed, plates=False, tubes=False, immunoassays=False, libraries=False)
    assert sorted(trial.truth["planted_errors"]["kind"]) == sorted(CHECKS)
    error = trial.truth["planted_errors"].set_index("kind").loc["visits_swapped"]
    table = next(t for t in trial.tables if t.file_id == error["file_id"])
    index = int(error["row"]) - table.row_number(0)
    # The swapped value lies more than 20-fold below both neighbours, whatever the noise.
    around = [float(str(table.rows[i][4]).replace(",", "")) for i in (index - 1, index, index + 1)]
    assert min(around[0], around[2]) / around[1] > 20


@pytest.mark.parametrize(
    ("number", "expected"), [(4183, 4813), (1760, 1670), (22, None), (1050, 1500), (10, None)]
)
def test_transposed_digits(number: int, expected: int | None) -> None:
    assert transpose_digits(number) == expected
