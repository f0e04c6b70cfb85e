"""What the program that counted says of a library: Cell Ranger's metrics_summary.csv, STARsolo's Summary.csv."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cartrace.problems import InputError, Problem

_NAMES: dict[str, tuple[str, ...]] = {
    "cells": ("estimated number of cells", "cells"),
    "median_umis": ("median umi counts per cell", "median umi per cell"),
    "median_genes": ("median genes per cell", "median gene per cell", "median genefull per cell"),
    "total_genes": ("total genes detected", "total gene detected", "total genefull detected"),
}
"""What each metric is called: by Cell Ranger count, Cell Ranger multi, STARsolo (since 2.7.9)."""
_NUMBER = re.compile(r"(\d{1,3}(,\d{3}){0,4}|\d{1,15})(\.\d{1,15})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class VendorMetrics:
    """Numbers of a library as the vendor's program reports them; empty where it does not."""

    values: Mapping[str, float]


def parse_metrics(lines: Sequence[str], name: str) -> VendorMetrics:
    """Read the metrics of one library.

    Cell Ranger count writes a line of names and a line of numbers; Cell Ranger multi one line for each metric
    (Category, Library Type, ..., Metric Name, Metric Value), of which those of gene expression of the cells
    count; STARsolo a name and a number in each line.

    Raises
    ------
    InputError
        When it is none of these, or tells of none of the numbers that are compared.
    """
    try:
        table = [row for row in csv.reader(lines) if row]
    except csv.Error:
        raise InputError([Problem(name, "a line that is no csv", "fields separated by commas")]) from None
    named: dict[str, str]
    if len(table) > 1 and "metric name" in (head := [c.strip().lower() for c in table[0]]):
        named = _multi(table[1:], head)
    elif len(table) == 2 and len(table[0]) == len(table[1]) > 2:
        named = dict(zip(table[0], table[1], strict=True))
    else:
        named = {row[0]: row[1] for row in table if len(row) == 2}
    lower = {k.strip().lower(): v.strip() for k, v in named.items()}
    found = {}
    for metric, names in _NAMES.items():
        text = next((lower[n] for n in names if n in lower), "")
        if _NUMBER.fullmatch(text):
            found[metric] = float(text.replace(",", ""))
    if not found:
        raise InputError(
            [
                Problem(
                    name,
                    "no number of cells, genes or UMIs",
                    "metrics_summary.csv of Cell Ranger, or Summary.csv of STARsolo",
                )
            ]
        )
    return VendorMetrics(found)


def _multi(table: Sequence[Sequence[str]], head: Sequence[str]) -> dict[str, str]:
    at = {c: i for i, c in enumerate(head)}
    named: dict[str, str] = {}
    for row in table:
        if len(row) != len(head):
            continue
        kind = row[at["library type"]].strip().lower() if "library type" in at else "gene expression"
        category = row[at["category"]].strip().lower() if "category" in at else "cells"
        if kind == "gene expression" and category == "cells":
            named.setdefault(row[at["metric name"]], row[at["metric value"]])
    return named


@dataclass(frozen=True, slots=True)
class Difference:
    """One number of the vendor beside ours."""

    metric: str
    vendor: float
    own: float

    @property
    def agrees(self) -> bool:
        """Whether both are the same; the vendor rounds medians to whole numbers."""
        return abs(self.vendor - self.own) <= (0.5 if self.metric.startswith("median") else 0)


def compare(vendor: VendorMetrics, own: Mapping[str, float]) -> list[Difference]:
    """Put each number of the vendor beside ours."""
    return [Difference(m, v, own[m]) for m, v in vendor.values.items() if m in own]
