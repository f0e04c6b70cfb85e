"""The tables of thresholds (resources/safety/*.yaml): models, reading, and what one row says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from cartrace.analytes import ANALYTES
from cartrace.intake.mapping import read_yaml
from cartrace.problems import InputError, Problem
from cartrace.safety.vocabulary import ITEMS, TERMS
from cartrace.section import Section
from cartrace.validation import validated


def _term(value: str) -> str:
    if value not in TERMS:
        raise ValueError(f"one of {', '.join(TERMS)}")
    return value


Term = Annotated[str, AfterValidator(_term)]
DIGITS = 9
"""Significant digits that count in a comparison: 0.1 + 0.2 is at most 0.3. (admiral uses 10.)"""


class _Row(Section):
    grade: int = Field(ge=1, le=4, description="Grade that the row gives.")
    source: str = Field(min_length=1, description="Where it was read.")
    recalled: bool = Field(False, description="Not read anywhere, only remembered.")


class ItemRow(_Row):
    """An observation that gives a grade: one word, or numbers from or up to a limit."""

    item: str = Field(description="Item of the observations sheet.")
    word: str | None = Field(None, description="Word that gives it.")
    at_least: float | None = Field(None, description="Lowest number that gives it.")
    at_most: float | None = Field(None, description="Highest number that gives it.")

    @model_validator(mode="after")
    def _known(self) -> ItemRow:
        if self.item not in ITEMS:
            raise ValueError(f"'{self.item}' is no item; known: {', '.join(ITEMS)}")
        if sum(x is not None for x in (self.word, self.at_least, self.at_most)) != 1:
            raise ValueError("one of word, at_least, at_most")
        words = ITEMS[self.item]
        if isinstance(words[0], str) != (self.word is not None) or (self.word and self.word not in words):
            raise ValueError(f"{self.item} allows {words}")
        return self

    def says(self, value: float | str) -> bool:
        """Say whether ``value`` gives the grade."""
        if isinstance(value, str):
            return value == self.word
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


class SymptomTable(Section):
    """Grades from observations: the worst row counts."""

    kind: Literal["symptoms"]
    term: Term
    standard: str
    source: str
    fever: ItemRow | None = None
    rows: tuple[ItemRow, ...] = Field(min_length=1)

    @property
    def items(self) -> tuple[str, ...]:
        """Items of the rows, each once, in order."""
        return tuple(dict.fromkeys(row.item for row in self.rows))

    def ceiling(self, item: str) -> int:
        """Return the highest grade that ``item`` can give."""
        return max(row.grade for row in self.rows if row.item == item)

    def grade(self, item: str, values: Iterable[float | str]) -> int:
        """Return the highest grade that ``values`` of ``item`` give; 0 for none."""
        listed = list(values)
        return max(
            (row.grade for row in self.rows if row.item == item and any(map(row.says, listed))), default=0
        )


class CountRow(_Row):
    """A count below, or at most at, a threshold."""

    below: float | Literal["lln"] | None = Field(None, description="Counts below it; lln: of the laboratory.")
    at_most: float | None = Field(None, description="Counts up to it.")

    @model_validator(mode="after")
    def _one(self) -> CountRow:
        if (self.below is None) == (self.at_most is None):
            raise ValueError("either below or at_most")
        return self

    def limit(self, lln: float | None) -> float | None:
        """Return the threshold; None where it is a lower limit of normal that nobody gave."""
        if self.below is None:
            return self.at_most
        return lln if self.below == "lln" else self.below

    def met(self, value: float, lln: float | None = None) -> bool | None:
        """Say whether ``value`` gives the grade; None where the lower limit of normal is not known."""
        limit = self.limit(lln)
        if limit is None:
            return None
        return rounded(value) <= limit if self.below is None else rounded(value) < limit

    @property
    def text(self) -> str:
        """The threshold as a person writes it."""
        return f"at most {self.at_most:g}" if self.below is None else f"below {self.below}"


class CountTable(Section):
    """Grades from one count: the highest row counts."""

    term: Term
    analyte: str
    unit: str
    rows: tuple[CountRow, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> CountTable:
        _check_unit(self.analyte, self.unit)
        return self


class DurationRow(CountRow):
    """A count at a threshold for some days, or on some days."""

    days: int | None = Field(None, ge=1, description="Days at the threshold, at least.")
    never_above: bool = Field(False, description="Not one day above the threshold.")
    start_by: int = Field(0, ge=0, description="never_above: day from which it must hold.")

    @model_validator(mode="after")
    def _kind(self) -> DurationRow:
        if self.below == "lln":
            raise ValueError("a number; the lower limit of normal has no place here")
        if self.never_above and self.days is not None:
            raise ValueError("either days or never_above")
        return self


class HaematotoxicityTable(Section):
    """Grades from the counts of a window: depth and duration."""

    term: Term
    analyte: str
    unit: str
    from_day: int = Field(ge=0)
    to_day: int
    confirm: Literal["same", "mildest"] = Field(
        "same",
        description="Rows without days need two counts on different days: both at the row's own threshold, or one of "
        "them only at that of the mildest row.",
    )
    rows: tuple[DurationRow, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> HaematotoxicityTable:
        _check_unit(self.analyte, self.unit)
        if self.to_day < self.from_day:
            raise ValueError("to_day lies before from_day")
        return self


class RecoveryTable(Section):
    """When counts have recovered."""

    analyte: str
    unit: str
    at_least: float = Field(gt=0)
    consecutive: int = Field(3, ge=1)
    transfusion_free_days: int = Field(0, ge=0)
    source: str = Field(min_length=1)
    recalled: bool = False

    @model_validator(mode="after")
    def _known(self) -> RecoveryTable:
        _check_unit(self.analyte, self.unit)
        return self


class _Counts(Section):
    kind: Literal["counts"]
    standard: str
    source: str
    tables: tuple[CountTable, ...] = Field(min_length=1)


class _Haematotoxicity(Section):
    kind: Literal["haematotoxicity"]
    standard: str
    source: str
    tables: tuple[HaematotoxicityTable, ...] = Field(min_length=1)


class _Recovery(Section):
    kind: Literal["recovery"]
    standard: str
    source: str
    tables: tuple[RecoveryTable, ...] = Field(min_length=1)


class _Labels(Section):
    kind: Literal["labels"]
    labels: dict[Term, tuple[str, ...]]


_KINDS: dict[str, type[BaseModel]] = {
    "symptoms": SymptomTable,
    "counts": _Counts,
    "haematotoxicity": _Haematotoxicity,
    "recovery": _Recovery,
    "labels": _Labels,
}


@dataclass(frozen=True, slots=True)
class Standards:
    """All tables of thresholds, and the words for them."""

    symptoms: dict[str, SymptomTable] = field(default_factory=dict)
    counts: tuple[CountTable, ...] = ()
    haematotoxicity: tuple[HaematotoxicityTable, ...] = ()
    recovery: tuple[RecoveryTable, ...] = ()
    terms: dict[str, str] = field(default_factory=dict)
    """Label of an adverse event, as :func:`plain_label` writes it -> term."""
    named: dict[str, str] = field(default_factory=dict)
    """Term -> standard and source in words."""

    def recalled(self, term: str) -> str:
        """Name the thresholds of a term that were read nowhere, only remembered; empty for none."""
        counted = [(t.term, row) for t in self.counts for row in t.rows]
        counted += [(t.term, row) for t in self.haematotoxicity for row in t.rows]
        said = [f"grade {row.grade} {row.text}" for of, row in counted if of == term and row.recalled]
        if term in self.symptoms:
            table = self.symptoms[term]
            listed = (*((table.fever,) if table.fever else ()), *table.rows)
            said += [f"grade {r.grade} {r.item.replace('_', ' ')}" for r in listed if r.recalled]
        return ", ".join(said)


def plain_label(label: str) -> str:
    """Return a label as labels are compared: no case, single spaces."""
    return " ".join(label.casefold().split())


def rounded(value: float) -> float:
    """Round to the digits that count in a comparison; infinite values stay."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def read_standards(paths: Iterable[Path]) -> Standards:
    """Read and check the tables of thresholds.

    Raises
    ------
    InputError
        With every fault of every file, and for a term that two files grade.
    """
    problems: list[Problem] = []
    raw: dict[str, Any] = {}
    for path in paths:
        try:
            raw[path.name] = read_yaml(path, path.name, "thresholds")
        except InputError as error:
            problems.extend(error.problems)
    try:
        found = load_standards(raw)
    except InputError as error:
        problems.extend(error.problems)
    if problems:
        raise InputError(problems)
    return found


def load_standards(raw: Mapping[str, Any]) -> Standards:
    """Check what files hold; ``raw`` maps a file's name to its content.

    Raises
    ------
    InputError
        With every fault of every file, and for a term that two files grade.
    """
    problems: list[Problem] = []
    out = Standards()
    counts: list[CountTable] = []
    toxicity: list[HaematotoxicityTable] = []
    recovery: list[RecoveryTable] = []
    for file, content in raw.items():
        kind = content.get("kind") if isinstance(content, Mapping) else None
        if not isinstance(kind, str) or kind not in _KINDS:
            problems.append(Problem(file, repr(kind)[:60], ", ".join(_KINDS), column="kind"))
            continue
        try:
            model = validated(content, _KINDS[kind], file, "kind, standard, source")
        except InputError as error:
            problems.extend(error.problems)
            continue
        if isinstance(model, SymptomTable):
            problems.extend(_name(out, [model.term], model.standard, model.source, file))
            out.symptoms[model.term] = model
        elif isinstance(model, _Counts):
            problems.extend(_name(out, [t.term for t in model.tables], model.standard, model.source, file))
            counts.extend(model.tables)
        elif isinstance(model, _Haematotoxicity):
            problems.extend(_name(out, [t.term for t in model.tables], model.standard, model.source, file))
            toxicity.extend(model.tables)
        elif isinstance(model, _Recovery):
            recovery.extend(model.tables)
        elif isinstance(model, _Labels):
            for term, labels in model.labels.items():
                problems.extend(
                    Problem(file, f"'{label}' for two terms", "one term for a label")
                    for label in labels
                    if out.terms.setdefault(plain_label(label), term) != term
                )
    if problems:
        raise InputError(problems)
    return Standards(out.symptoms, tuple(counts), tuple(toxicity), tuple(recovery), out.terms, out.named)


def _name(out: Standards, terms: list[str], standard: str, source: str, file: str) -> list[Problem]:
    twice = [term for term in terms if term in out.named]
    out.named.update(dict.fromkeys(terms, f"{standard}: {source}"))
    return [Problem(file, f"a second table for {term}", "one table for a term") for term in twice]


def _check_unit(analyte: str, unit: str) -> None:
    if analyte not in ANALYTES:
        raise ValueError(f"'{analyte}' is no analyte")
    if unit not in ANALYTES[analyte].units:
        raise ValueError(f"'{unit}' is no unit of {analyte}; known: {', '.join(ANALYTES[analyte].units)}")
