"""Tables as plain lists and numbers, small enough to travel inside the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from cartrace.problems import redact_dates

Columns = dict[str, list[Any]]


class Texts:
    """Every text once, without calendar dates; tables name it by its index (-1 for none)."""

    def __init__(self) -> None:
        """Begin without any text."""
        self.listed: list[str] = []
        self._index: dict[str, int] = {}

    def column(self, series: pd.Series[Any]) -> list[int]:
        """Replace each text by its index, and an empty cell by -1."""
        codes, uniques = pd.factorize(series)
        places = np.array([*(self.place(str(u)) for u in uniques), -1])
        return [int(i) for i in places[codes]]

    def place(self, text: str) -> int:
        """Give the index of one text, which is added when it is new."""
        shown = redact_dates(text)
        if shown not in self._index:
            self._index[shown] = len(self.listed)
            self.listed.append(shown)
        return self._index[shown]


def numbers(series: Iterable[Any], digits: int = 9) -> list[float | int | None]:
    """Numbers with so many significant digits; None where empty."""
    out: list[float | int | None] = []
    for x in pd.to_numeric(pd.Series(series)).to_numpy(dtype=float, na_value=np.nan).tolist():
        if not np.isfinite(x):
            out.append(None)
        else:
            out.append(int(x) if x.is_integer() and abs(x) < 1e15 else float(f"{x:.{digits}g}"))
    return out


def number(value: Any) -> float | int | None:
    """One number, as :func:`numbers` writes it."""
    return numbers([value])[0]


def text(row: Any, column: str) -> str:
    """One text of a row without calendar dates; empty where the row or the cell is missing."""
    return "" if row is None or pd.isna(row[column]) else redact_dates(str(row[column]))


def unit_label(unit: str) -> str:
    """Write a unit as people do: µ for u, a raised 2, a middle dot."""
    return unit.replace("/ug", "/µg").replace("/uL", "/µL").replace("^2", "²").replace("*", "·")


def columns(frame: pd.DataFrame, texts: Texts, leave: Iterable[str] = (), digits: int = 9) -> Columns:
    """Give a table as columns: numbers as they are, texts by index, units as people write them."""
    out: Columns = {}
    for name in frame.columns.drop(list(leave)):
        series = frame[name]
        if name in {"unit", "course_unit"}:
            series = series.map(unit_label, na_action="ignore")
        numeric = pd.api.types.is_numeric_dtype(series)
        out[str(name)] = numbers(series, digits) if numeric else texts.column(series)
    return out
