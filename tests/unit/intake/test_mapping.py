"""Mapping files are checked as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from cartrace.intake.mapping import MatrixColumn, load_mapping, read_mapping
from cartrace.problems import InputError


def wide(**more: Any) -> dict[str, Any]:
    column = {"column": "x", "analyte": "transgene", "assay": "qpcr", "unit": "copies/µg"}
    return {"subject": "p", "matrix": "blood", "day": "d", "values": [column]} | more


def problems_of(raw: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_mapping(raw, "m.yaml")
    return [str(p) for p in caught.value.problems]


def test_short_forms_stand_for_columns_and_units_are_spelled_one_way() -> None:
    mapping = load_mapping(wide(), "m.yaml")
    assert mapping.subject is not None
    assert mapping.subject.column == "p"
    assert mapping.tests[0].unit == "copies/ug"
    assert mapping.tests[0].zero_means == "BLD"


def test_all_problems_come_at_once_with_suggestions() -> None:
    raw = wide(subjct="p", matrix="blod", text={"nd": "mising"})
    raw["values"][0]["analyte"] = "transgen"
    found = "\n".join(problems_of(raw))
    for hint in ("did you mean 'subject'?", "did you mean 'blood'?", "did you mean 'transgene'?", "text.nd"):
        assert hint in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": []}, "either values"),
        ({"day": None}, "no day"),
        ({"matrix": None}, "matrix is missing"),
        ({"subject": None}, "subject is missing"),
        ({"date": "drawn"}, "day or date, not both"),
        ({"decimal": ",", "thousands": ","}, "same mark"),
        ({"encoding": "utf-9"}, "no text encoding"),
        ({"subject": {"column": "p", "pattern": "^x$"}}, "group named subject"),
    ],
)
def test_parts_that_do_not_fit_together_are_told(change: dict[str, Any], said: str) -> None:
    assert said in "\n".join(problems_of(wide(**change)))


def test_limits_in_the_wrong_order_are_told() -> None:
    raw = wide()
    raw["values"][0] |= {"lod": 60, "lloq": 50}
    assert "lod 60 lies above lloq 50" in "\n".join(problems_of(raw))


def test_a_unit_that_does_not_fit_the_analyte_is_told() -> None:
    raw = wide()
    raw["values"][0]["unit"] = "%"
    assert "does not fit transgene" in "\n".join(problems_of(raw))


def test_specimen_texts_map_to_matrices_also_when_yaml_reads_numbers() -> None:
    mapping = load_mapping(wide(matrix={"column": "s", "values": {1: "blood", "BM": "marrow"}}), "m.yaml")
    assert isinstance(mapping.matrix, MatrixColumn)
    assert mapping.matrix.values == {"1": "blood", "BM": "marrow"}


@pytest.mark.parametrize("raw", [None, [], "text", 3])
def test_what_is_no_mapping_is_told(raw: Any) -> None:
    assert "no keys" in problems_of(raw)[0]


def test_a_file_that_is_no_yaml_is_told_with_its_row(tmp_path: Any) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("subject: p\n  day: [\n")
    with pytest.raises(InputError, match=r"m\.yaml, row 2"):
        read_mapping(path, "m.yaml")
    with pytest.raises(InputError, match="no such file"):
        read_mapping(tmp_path / "none.yaml", "none.yaml")
