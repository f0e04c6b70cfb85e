"""The tables of thresholds in resources/safety are complete, and faults in them are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cartrace.problems import InputError
from cartrace.safety.thresholds import load_standards, plain_label, read_standards, rounded
from cartrace.safety.vocabulary import TERMS

FILES = sorted((Path(__file__).parents[3] / "resources" / "safety").glob("*.yaml"))
RAW: dict[str, Any] = {f.name: yaml.safe_load(f.read_text("utf-8")) for f in FILES}


def test_every_computed_term_has_one_table_with_its_source() -> None:
    standards = read_standards(FILES)
    assert set(standards.named) == set(TERMS) - {"infection"}
    assert all(": " in words for words in standards.named.values())
    assert set(standards.terms.values()) == set(TERMS)
    assert [t.analyte for t in standards.recovery] == ["neutrophils", "platelets"]


def test_no_row_is_only_recalled_and_each_names_its_source() -> None:
    standards = read_standards(FILES)
    rows = [
        *(row for table in standards.symptoms.values() for row in table.rows),
        *(row for table in standards.counts for row in table.rows),
        *(row for table in standards.haematotoxicity for row in table.rows),
        *standards.recovery,
    ]
    assert len(rows) == 7 + 11 + 15 + 18 + 2
    assert all(row.source and not row.recalled for row in rows)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("crs.yaml", {"kind": "symptom"}, "column 'kind'"),
        ("crs.yaml", {"term": "CRS"}, "one of crs, icans"),
        (
            "crs.yaml",
            {"rows": [{"item": "oxigen", "word": "low_flow", "grade": 2, "source": "s"}]},
            "is no item",
        ),
        ("crs.yaml", {"rows": [{"item": "oxygen", "word": "mask", "grade": 2, "source": "s"}]}, "allows"),
        ("crs.yaml", {"rows": [{"item": "oxygen", "at_least": 1, "grade": 2, "source": "s"}]}, "allows"),
        ("crs.yaml", {"rows": [{"item": "oxygen", "grade": 2, "source": "s"}]}, "one of word"),
        ("crs.yaml", {"rows": [{"item": "oxygen", "word": "none", "grade": 5, "source": "s"}]}, "grade"),
        ("crs.yaml", {"colour": "red"}, "unknown key 'colour'"),
        ("icans.yaml", {"term": "crs"}, "a second table for crs"),
        ("recovery.yaml", {"tables": [{"analyte": "neutrophils", "unit": "g/L"}]}, "recovery.yaml"),
    ],
)
def test_a_fault_is_told_with_its_file(file: str, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load_standards({**RAW, file: {**RAW[file], **change}})
    assert file in str(caught.value)


def test_all_faulty_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: [")
    (tmp_path / "b.yaml").write_text("kind: colours")
    with pytest.raises(InputError) as caught:
        read_standards([tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"])
    assert {p.file for p in caught.value.problems} == {"a.yaml", "b.yaml", "c.yaml"}


def test_labels_are_compared_without_case_and_spaces() -> None:
    assert plain_label("  Cytokine  Release Syndrome ") == "cytokine release syndrome"


def test_comparisons_do_not_see_the_last_bits_of_a_number() -> None:
    assert rounded(0.1 + 0.2) == 0.3
    assert rounded(float("inf")) == float("inf")
