"""The mapping file: how one laboratory lays out its table.

A mapping says which column is the subject, the day and the matrix, and what
each value column (wide) or each test name (long) means. It is checked as a
whole: every unknown key and every bad value is reported at once.

This module is read while the Snakefile is parsed, so it imports pydantic and
nothing heavier.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping as MappingABC
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from cartrace.analytes import ANALYTES
from cartrace.problems import InputError, Problem, did_you_mean, holds_date
from cartrace.units import canonical
from cartrace.validation import validated
from cartrace.vocabulary import MATRICES

Meaning = Literal["missing", "not_done", "BLD", "BLQ", "unreadable"]
ZeroMeaning = Literal["quantified", "BLD", "BLQ"]
Censored = Literal["quantified", "BLD", "BLQ", "above_uloq"]
TITRE = "titre"

NOT_CENSORED = frozenset({"", "0", "no", "none", "false"})
"""What a censoring column says where the cell is a result; other texts must be listed."""


def _matrix(value: object) -> object:
    if isinstance(value, str) and value not in MATRICES:
        near = did_you_mean(value, MATRICES)
        raise ValueError(f"one of {', '.join(MATRICES)}" + (f" (did you mean '{near}'?)" if near else ""))
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"'{value}' is no regular expression: {error}") from error
    return value


def _number_to_text(value: object) -> object:
    # YAML reads `values: [0]` and `7: day7` as numbers; a cell is always text.
    if isinstance(value, bool):
        raise ValueError("YAML read a bare yes, no, on or off as a truth value; put it in quotes")
    if isinstance(value, date):
        raise ValueError("YAML read a calendar date; put the text in quotes")
    return f"{value:g}" if isinstance(value, (int, float)) else value


def _text_keys(value: object) -> object:
    if not isinstance(value, MappingABC):
        return value
    return {_number_to_text(k): v for k, v in value.items()}


Text = Annotated[str, BeforeValidator(_number_to_text)]
Regex = Annotated[str, BeforeValidator(_regex)]
Matrix = Annotated[str, BeforeValidator(_matrix)]


class Part(BaseModel):
    """A part of a mapping. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class ColumnRef(Part):
    """One column, by its header (joined with " / " over several header rows)."""

    column: Text = Field(min_length=1, description="Header of the column.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        return {"column": raw} if isinstance(raw, (str, int, float)) else raw


class SubjectColumn(ColumnRef):
    """The column with the subject."""

    pattern: Regex | None = Field(
        None, description="Regular expression with a group named subject; the rest is cut away."
    )
    prefix: str = Field(
        "", description="Put before the id: for tables that each number their patients from 1."
    )

    @field_validator("pattern")
    @classmethod
    def _names_subject(cls, value: str | None) -> str | None:
        if value is not None and "subject" not in re.compile(value).groupindex:
            raise ValueError("the pattern needs a group named subject: (?P<subject>...)")
        return value


class MatrixColumn(ColumnRef):
    """The column with the specimen."""

    values: Annotated[dict[str, Matrix], BeforeValidator(_text_keys)] = Field(
        description="Specimen text -> matrix. A text that is not listed rejects its row, with a warning."
    )


class DateColumn(ColumnRef):
    """A column of calendar dates. They become days and are forgotten."""

    format: str | None = Field(None, description="strptime format; ISO (year-month-day) without one.")


class IgnoreRows(ColumnRef):
    """Rows to leave out: those with one of ``values`` in ``column``."""

    values: tuple[Text, ...] = Field(description="Cell texts.", min_length=1)


class CensoredBy(ColumnRef):
    """A column that says whether the number beside it is a result or only its limit."""

    values: Annotated[dict[str, Censored], BeforeValidator(_text_keys)] = Field(
        description="Text -> BLQ, BLD or above_uloq (the number is then the limit), or quantified. An empty cell, "
        "0, no, none and false mean quantified; another text that is not listed leaves the result out.",
        min_length=1,
    )

    @field_validator("values")
    @classmethod
    def _fold(cls, value: dict[str, Censored]) -> dict[str, Censored]:
        return {fold(k): v for k, v in value.items()}

    def meaning(self, text: str) -> Censored | None:
        """Return what ``text`` says, or None when the mapping does not know it."""
        word = fold(text)
        return self.values.get(word, "quantified" if word in NOT_CENSORED else None)


class Test(Part):
    """What one value column, or one test name, measures."""

    __test__ = False  # not a pytest class

    analyte: str = Field(description="Analyte (cartrace.analytes).")
    assay: str = Field(description="Assay: qpcr, ddpcr, flow, elisa, ...", pattern=r"^[a-z][a-z0-9_]*$")
    unit: str = Field(description="Unit in which the limits are given and results are stored.")
    lod: float | None = Field(None, ge=0, description="Limit of detection.")
    lloq: float | None = Field(None, ge=0, description="Lower limit of quantification.")
    uloq: float | None = Field(None, gt=0, description="Upper limit of quantification.")
    zero: ZeroMeaning | None = Field(
        None, description="What the number 0 means. Without it: BLD for expansion analytes, else quantified."
    )
    scale: float = Field(1.0, gt=0, description="Multiplier that turns the column's numbers into `unit`.")
    start: ColumnRef | None = Field(
        None,
        description="Titres: column with the starting dilution of each row, its lower limit of quantification. "
        "Where that cell is empty, lloq holds.",
    )
    step: float | None = Field(
        None,
        gt=1,
        description="Titres: dilution step of the series; a titre of 40 with step 2 lies from 40 up to 80. Without it "
        "antibody.titre_step of the configuration counts.",
    )
    censored: CensoredBy | None = Field(
        None, description="Another column that says where the number is only a limit (CENS of NONMEM tables)."
    )

    @field_validator("analyte")
    @classmethod
    def _known_analyte(cls, value: str) -> str:
        if value not in ANALYTES:
            near = did_you_mean(value, ANALYTES)
            raise ValueError(f"one of {', '.join(ANALYTES)}" + (f" (did you mean '{near}'?)" if near else ""))
        return value

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, value: str) -> str:
        return canonical(value)

    @model_validator(mode="after")
    def _fits(self) -> Test:
        allowed = ANALYTES[self.analyte].units
        if self.unit not in allowed:
            raise ValueError(f"unit '{self.unit}' does not fit {self.analyte}; allowed: {', '.join(allowed)}")
        limits = [("lod", self.lod), ("lloq", self.lloq), ("uloq", self.uloq)]
        given = [(n, v) for n, v in limits if v is not None]
        for (n1, v1), (n2, v2) in itertools.pairwise(given):
            if v1 > v2 or (n2 == "uloq" and v1 == v2):
                raise ValueError(f"{n1} {v1:g} lies above {n2} {v2:g}")
        if self.unit == TITRE and self.zero == "quantified":
            raise ValueError("a titre of 0 is no result; zero may be BLQ or BLD")
        if self.step is not None and self.unit != TITRE:
            raise ValueError(f"step is the dilution step of a titre, and the unit is {self.unit}")
        if self.start is not None:
            self.check_start()
        return self

    def check_start(self) -> None:
        """Raise ValueError when this test can have no starting dilution."""
        if self.unit != TITRE:
            raise ValueError(f"start is the starting dilution of a titre, and the unit is {self.unit}")
        if self.lod is not None:
            raise ValueError("start and lod don't go together: nothing is known below the starting dilution")

    @property
    def zero_means(self) -> ZeroMeaning:
        """What the number 0 means in this column."""
        if self.zero is not None:
            return self.zero
        return "BLD" if ANALYTES[self.analyte].family == "expansion" else "quantified"


class ValueColumn(Test):
    """One value column of a wide table, or several by a pattern."""

    column: Text | None = Field(None, description="Exact header.")
    pattern: Regex | None = Field(
        None,
        description="Regular expression over whole headers, with groups named day (and hour, minute: the time "
        "of that day) or visit.",
    )
    visit: Text | None = Field(
        None, min_length=1, description="Visit of this column; its day comes from the configuration's visits."
    )
    label: Text | None = Field(
        None,
        min_length=1,
        max_length=60,
        description="How outputs name the column, where its header holds a month or date.",
    )

    @field_validator("visit", "label")
    @classmethod
    def _no_date(cls, value: str | None) -> str | None:
        if value is not None and holds_date(value):
            raise ValueError("a name without a calendar date or month in it: it appears in outputs")
        return value

    @model_validator(mode="after")
    def _one_of_both(self) -> ValueColumn:
        if (self.column is None) == (self.pattern is None):
            raise ValueError("give either column or pattern")
        if self.pattern is not None:
            groups = set(re.compile(self.pattern).groupindex)
            others = sorted(groups - {"day", "hour", "minute", "visit"})
            if others:
                raise ValueError(
                    f"the groups may be named day, hour, minute and visit, not {', '.join(others)}"
                )
            for group, needed in (("hour", "day"), ("minute", "hour")):
                if group in groups and needed not in groups:
                    raise ValueError(f"a group named {group} needs a group named {needed}")
            if "visit" in groups and self.visit is not None:
                raise ValueError("the visit is given twice: by the pattern and by visit")
            if self.label is not None:
                raise ValueError("label names one column: it goes with column, not with pattern")
        return self

    @property
    def gives_day(self) -> bool:
        """Whether the header itself says the day."""
        return self.pattern is not None and "day" in re.compile(self.pattern).groupindex

    @property
    def gives_visit(self) -> bool:
        """Whether the visit goes with the column: said by its header, or by the mapping."""
        return self.visit is not None or (
            self.pattern is not None and "visit" in re.compile(self.pattern).groupindex
        )


class Long(Part):
    """A long table: one row per result."""

    analyte: ColumnRef = Field(description="Column with the name of the test.")
    value: ColumnRef = Field(description="Column with the result.")
    unit: ColumnRef | None = Field(None, description="Column with the unit of the result.")
    tests: Annotated[dict[str, Test], BeforeValidator(_text_keys)] = Field(
        description="Text in the analyte column -> what it is. Rows of other tests are left out, with a note.",
        min_length=1,
    )


class Ratio(Part):
    """The laboratory's own ratio between two units of the same result."""

    analyte: str = Field(description="Analyte that is given in both units.")
    numerator: str = Field(description="Unit of the numerator.")
    denominator: str = Field(description="Unit of the denominator.")
    expected: float | None = Field(
        None, gt=0, description="numerator / denominator; null: the median of the file."
    )

    @field_validator("numerator", "denominator")
    @classmethod
    def _known_unit(cls, value: str) -> str:
        return canonical(value)

    @field_validator("analyte")
    @classmethod
    def _known_analyte(cls, value: str) -> str:
        if value not in ANALYTES:
            raise ValueError(f"one of {', '.join(ANALYTES)}")
        return value

    @model_validator(mode="after")
    def _differ(self) -> Ratio:
        if self.numerator == self.denominator:
            raise ValueError("numerator and denominator are the same unit")
        return self


class Mapping(Part):
    """How one laboratory table is laid out."""

    sheet: str | None = Field(None, description="Sheet of a workbook; needed when it has several.")
    header_rows: int = Field(
        1, ge=1, le=10, description="Header rows; the upper ones are filled to the right."
    )
    skip_rows: int = Field(0, ge=0, le=1000, description="Rows above the header.")
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="Default: tab for .tsv and .txt, comma for .csv."
    )
    encoding: str = Field("utf-8-sig", description="Text encoding of csv and tsv files.")
    decimal: Literal[".", ","] = Field(".", description="Decimal mark.")
    thousands: Literal["", ",", ".", " ", "'"] = Field("", description="Thousands mark.")
    subject: SubjectColumn | None = Field(None, description="Column with the subject.")
    matrix: str | MatrixColumn | None = Field(None, description="The matrix, or the column that says it.")
    day: ColumnRef | None = Field(None, description="Column with the study day (number).")
    date: DateColumn | None = Field(None, description="Column with the calendar date of the sample.")
    visit: ColumnRef | None = Field(None, description="Column with the nominal visit.")
    infusion: ColumnRef | None = Field(
        None, description="Column with the infusion number; days then count from it."
    )
    sample: ColumnRef | None = Field(None, description="Column with the sample of samples.tsv.")
    start: ColumnRef | None = Field(
        None, description="Column with the starting dilution, for every titre that names no own."
    )
    ignore_rows: tuple[IgnoreRows, ...] = Field((), description="Rows to leave out.")
    values: tuple[ValueColumn, ...] = Field((), description="Wide table: the value columns.")
    long: Long | None = Field(None, description="Long table: test, value and unit columns.")
    text: Annotated[dict[str, Meaning], BeforeValidator(_text_keys)] = Field(
        default_factory=dict, description="What words in value cells mean, beyond the built-in ones."
    )
    ratios: tuple[Ratio, ...] = Field((), description="Ratios between two units of the same result.")

    @field_validator("matrix", mode="before")
    @classmethod
    def _constant_or_column(cls, raw: Any) -> Any:
        # Validated here, so that a union does not report every fault twice.
        if isinstance(raw, str):
            return _matrix(raw)
        if isinstance(raw, MappingABC):
            return MatrixColumn.model_validate(dict(raw))
        return raw

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            # zlib and hex are codecs as well, and none of text.
            b"xx".decode(value)
        except UnicodeError:
            return value
        except (LookupError, ValueError) as error:
            raise ValueError(f"'{value}' is no text encoding") from error
        return value

    @field_validator("text")
    @classmethod
    def _fold(cls, value: dict[str, Meaning]) -> dict[str, Meaning]:
        return {fold(k): v for k, v in value.items()}

    @model_validator(mode="after")
    def _whole(self) -> Mapping:
        faults: list[str] = []
        if bool(self.values) == (self.long is not None):
            faults.append("give either values (wide table) or long (long table)")
        if self.decimal == self.thousands:
            faults.append("decimal and thousands are the same mark")
        if self.sample is None:
            if self.subject is None:
                faults.append("subject is missing (only a sample column could stand in for it)")
            if self.matrix is None:
                faults.append("matrix is missing (a matrix, or {column, values})")
            in_header = self.long is None and all(v.gives_day or v.gives_visit for v in self.values)
            if self.day is None and self.date is None and self.visit is None and not in_header:
                faults.append("no day: give day, date or visit, or a value pattern with a group named day")
        if self.day is not None and self.date is not None:
            faults.append("give day or date, not both")
        if self.start is not None:
            titres = [t for t in self.tests if t.unit == TITRE]
            if not titres:
                faults.append("start is the starting dilution of titres, and no test has the unit titre")
            if any(t.lod is not None for t in titres):
                faults.append("start and lod don't go together: nothing is known below the starting dilution")
        labels = [v.label for v in self.values if v.label is not None]
        faults += [f"label '{n}' is given twice" for n in sorted({n for n in labels if labels.count(n) > 1})]
        names = [v.column for v in self.values if v.column is not None]
        faults += [f"column '{n}' is listed twice" for n in sorted({n for n in names if names.count(n) > 1})]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def tests(self) -> tuple[Test, ...]:
        """Every test of the table, wide or long."""
        return tuple(self.long.tests.values()) if self.long is not None else self.values

    @property
    def uses_clock(self) -> bool:
        """Whether the rows can be read only with the infusions or samples sheet."""
        return any(c is not None for c in (self.date, self.sample, self.infusion))


def fold(text: str) -> str:
    """Return ``text`` as words are compared: outer spaces off, one space inside, no case."""
    return " ".join(text.split()).casefold()


def load_mapping(raw: MappingABC[str, Any] | Any, file: str) -> Mapping:
    """Check ``raw`` and return the mapping.

    Raises
    ------
    InputError
        With every unknown key (and the nearest known one) and every bad value.
    """
    return validated(raw, Mapping, file, "subject, matrix, day, values")


def read_mapping(path: Path, file: str) -> Mapping:
    """Read and check a mapping file.

    Raises
    ------
    InputError
        When it is missing, no YAML, or no valid mapping.
    """
    return load_mapping(read_yaml(path, file, "mapping"), file)


def _load(text: str) -> Any:
    """Read YAML as ``yaml.safe_load`` does; a key that stands twice is an error, where YAML takes the last one."""
    import yaml

    # Not the C loader: text nested 100,000 deep makes it crash, where this one raises.
    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(name or id(key))
            return super().construct_mapping(node, deep)

    return yaml.load(text, Loader)


def read_yaml(path: Path, file: str, kind: str) -> Any:
    """Read a YAML file; ``kind`` says in errors what it should be.

    Raises
    ------
    InputError
        When it is missing, no YAML, or has a key twice.
    """
    import yaml

    try:
        return _load(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise InputError([Problem(file, "no such file", f"an existing {kind} file")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            [Problem(file, f"a file that can't be read ({type(error).__name__})", "UTF-8 text")]
        ) from None
    except RecursionError:
        raise InputError([Problem(file, "text that is nested too deep", f"a {kind} file")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            [
                Problem(
                    file,
                    f"no YAML ({getattr(error, 'problem', None) or 'syntax error'})",
                    "a YAML mapping",
                    row=None if mark is None else mark.line + 1,
                )
            ]
        ) from None
