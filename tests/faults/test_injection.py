"""Text that a program downstream would run: it stays text in every table, in the page, and in the shell of a job."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import zlib
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.faults import sound as programs
from tests.workflow.conftest import Workplace, finished

__all__ = ["finished"]
pytestmark = pytest.mark.slow

HOSTILE = (
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("x";"y")',
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\n=1+1",
    " =1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\uff1d1+1",
    "a\tb\nc\r\nd\x85e\u2028f\x00g\x1b[31m",
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "{input} {wildcards.file_id} {{x}}",
    "$(touch harmed) `touch harmed` ; touch harmed | & \\",
    "%0a%0d%00 &lt;b&gt; &#60;",
    "'; DROP TABLE metrics; --",
    "\u202egnp.exe\u202c \u2066x\u2069",
    "x" * 5_000,
)

TOLD = frozenset(
    [
        "batch",
        "car_features",
        "cell_type",
        "cell_types",
        "clonotype",
        "cohort",
        "construct",
        "control",
        "detail",
        "dose_unit",
        "exclusion",
        "file_id",
        "gate",
        "hint",
        "inbox",
        "label",
        "left_out",
        "library",
        "library_a",
        "library_b",
        "marker",
        "message",
        "name",
        "observed",
        "plate",
        "population",
        "product",
        "reason",
        "reasons",
        "reviewer_remark",
        "sample",
        "sample_id",
        "sample_name",
        "sex",
        "subject_id",
        "suggestion",
        "symbol",
        "target",
        "tube",
        "value",
        "vendor_status",
        "visit",
    ]
)
"""Columns whose text comes from a sheet or a laboratory's file, and texts that quote it."""

FORMULA = re.compile(r"[\s\ufeff\u200b-\u200f]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def hostile(text: str) -> str:
    """Put one of the texts before a cell: for the same cell the same one, so that tables still fit together."""
    return HOSTILE[zlib.crc32(text.encode()) % len(HOSTILE)] + text


class Page(HTMLParser):
    """Elements and attributes of a page, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[tuple[str, ...]] = Counter()
        self.scripts: list[str] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag, *sorted(name for name, _ in attrs)] += 1
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def told(finished: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export and page of the finished trial, in whose tables every told text is hostile."""
    place = Workplace(tmp_path_factory.mktemp("injection"))
    commands = _commands(finished)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        free = _free_columns()
        for source in {
            word for command in commands.values() for word in command if word.endswith(".parquet")
        }:
            if (finished.trial / source).is_file():
                frame = pd.read_parquet(finished.trial / source)
                for column in TOLD & free[tuple(frame.columns)]:
                    frame[column] = frame[column].map(hostile, na_action="ignore")
                Path(source).parent.mkdir(parents=True, exist_ok=True)
                frame.to_parquet(source)
        for name, command in commands.items():
            assert programs.program(name)(command) in {0, None}
    return place.folder


def _free_columns() -> dict[tuple[str, ...], set[str]]:
    """Columns of text without a vocabulary, by the columns of a table."""
    from scripts.report import export_tables, render_report

    from cartrace.tables import TABLES

    listed = [*export_tables.TABLES, *TABLES.values()]
    for name in ("PCR", "FLOW", "IMMUNOASSAY", "CELL", "CLONE", "SAFETY", "EFFICACY"):
        listed += getattr(render_report, f"{name}_INPUTS").values()
    return {
        tuple(table.names): {c.name for c in table.columns if c.kind == "text" and not c.allowed}
        for table in listed
    }


_FOLDERS = {
    "PCR": "pcr",
    "FLOW": "flow",
    "IMMUNOASSAY": "immunoassay",
    "CELLS": "cells",
    "CLONES": "repertoire",
}


def _commands(place: Workplace) -> dict[str, list[str]]:
    """Options of the two last rules with the tables of a trial, as their rules give them."""
    text = (place.repo / "workflow/rules/report.smk").read_text()
    found = {}
    for rule, whole in re.findall(
        r"^rule (export_tables|render_report):\n(.*?)^        \"\"\"$", text, re.DOTALL | re.M
    ):
        inputs = dict(re.findall(r'^        (\w+)="<results>/(.+?)",$', whole, re.M))
        for name, group, key in re.findall(r'^        (\w+)=([A-Z]+)\["(\w+)"\],$', whole, re.M):
            inputs[name] = f"{_FOLDERS[group]}/{key}.parquet"
        options = re.findall(r"--([a-z-]+) \{input\.(\w+):q\}", whole)
        found[f"report/{rule}"] = [
            word
            for option, name in options
            if name in inputs
            for word in (f"--{option}", f"results/{inputs[name]}")
        ]
    found["report/export_tables"] += ["--folder", "results/tables", "--duckdb", "results/cartrace.duckdb"]
    settings = yaml.safe_load((place.trial / "config.yaml").read_text())
    settings |= {"trial": dict.fromkeys(("title", "description"), " ".join(HOSTILE[12:22]))}
    found["report/render_report"] += ["--settings", json.dumps(settings), "--output", "results/report.html"]
    return found


def test_no_cell_of_a_tsv_is_a_formula_and_each_row_is_one_line(told: Path) -> None:
    paths = sorted((told / "results/tables").glob("*.tsv"))
    assert len(paths) > 40
    planted = 0
    for path in paths:
        frame = pd.read_parquet(path.with_suffix(".parquet"))
        text = path.read_bytes().decode()
        assert all(
            c.isprintable() or c in "\t\n" for c in text if c not in "\u202e\u202c\u2066\u2069\u200b\ufeff"
        ), path
        lines = text.split("\n")
        assert len(lines) == len(frame) + 2, path
        assert {line.count("\t") for line in lines[:-1]} == {len(frame.columns) - 1}
        numeric = [pd.api.types.is_numeric_dtype(frame[column]) for column in frame.columns]
        for cells in csv.reader(lines[1:-1], delimiter="\t"):
            for cell, number in zip(cells, numeric, strict=True):
                assert number or not FORMULA.match(cell), (path.name, cell)
                planted += "alert(1)" in cell
    assert planted > 100


def test_the_database_holds_the_texts_as_they_were(told: Path) -> None:
    import duckdb

    with duckdb.connect(str(told / "results/cartrace.duckdb"), read_only=True) as base:
        names = {
            name for (name,) in base.execute("select table_name from information_schema.tables").fetchall()
        }
        assert names == {path.stem for path in (told / "results/tables").glob("*.parquet")}
        for name in names:
            frame = pd.read_parquet(told / f"results/tables/{name}.parquet")
            for column in TOLD & set(frame.columns):
                found = [value for (value,) in base.execute(f'select "{column}" from "{name}"').fetchall()]
                assert [None if pd.isna(value) else value for value in frame[column]] == found, (name, column)


def test_the_page_has_no_element_attribute_or_script_that_it_had_not_before(
    told: Path, finished: Workplace
) -> None:
    before, page = (Page((folder / "results/report.html").read_text()) for folder in (finished.trial, told))
    # The methods list the vocabulary of the laboratory: lines more or fewer, but none of another kind.
    assert page.elements.keys() == before.elements.keys()
    assert len(page.scripts) == len(before.scripts) == 3
    assert page.policy.count("'sha256-") == before.policy.count("'sha256-") == 2
    for script in page.scripts[1:]:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in page.policy
    data = json.loads(page.scripts[0])
    assert data.keys() == json.loads(before.scripts[0]).keys()
    shown = "\n".join(data["texts"])
    for text in ("<script>alert(1)</script>", "{{ 7 * 7 }}", "$(touch harmed)"):
        assert text in shown
        assert text in data["title"]
