"""The sheets of a trial folder: subjects, products, infusions, samples, files, libraries, events and more.

Sheets are read as text and checked cell by cell, row by row and across rows.
Nothing stops at the first fault: :func:`read_sheets` returns what could be read
together with every problem. Dates become days here and are kept only in memory,
for laboratory tables that are dated themselves.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.intake.clock import EARLIEST, days_between, infusion_at, parse_date
from cartrace.problems import Problem, did_you_mean, holds_date, printable
from cartrace.vocabulary import EVENT_KINDS, MATRICES, VECTORS

if TYPE_CHECKING:
    from cartrace.config import Config
    from cartrace.intake.extractions import Extraction
    from cartrace.intake.inbox_match import Matched, Stored
    from cartrace.intake.libraries import Library
    from cartrace.intake.observations import Observation
    from cartrace.intake.site_sets import SiteSet
    from cartrace.intake.tubes import GateReview, Tube

READERS = {
    "laboratory_table": "mapping file of this table",
    "pcr_plate": "assay file of this plate",
    "fcs_tube": "panel file of this tube",
    "immunoassay_plate": "assay file of this plate",
}
"""Reader -> what its mapping is."""
PLATE_COLUMNS = {"plate_map": ("pcr_plate", "immunoassay_plate"), "amplitudes": ("pcr_plate",)}
"""Columns of the files sheet that belong to some readers only."""
MAX_SHEET_BYTES = 50_000_000
MAX_SHEET_COLUMNS = 1000
MAX_AGE = 120.0
MAX_WEIGHT_KG = 400.0
MAX_GRADE = 5.0

LABELLED_EVENTS = ("drug", "response", "adverse_event", "other")
"""Kinds of events that say nothing without a label."""

IDENTIFYING = frozenset(
    {
        "name",
        "first_name",
        "last_name",
        "surname",
        "forename",
        "given_name",
        "family_name",
        "patient_name",
        "initials",
        "date_of_birth",
        "birth_date",
        "birthdate",
        "birthday",
        "dob",
        "address",
        "street",
        "postcode",
        "zip",
        "phone",
        "email",
        "mrn",
        "medical_record_number",
        "ssn",
        "insurance_number",
    }
)


@dataclass(frozen=True, slots=True)
class Subject:
    """One row of the subjects sheet."""

    subject_id: str
    cohort: str | None
    sex: str | None
    age: float | None
    weight_kg: float | None
    follow_up_study_day: float | None


@dataclass(frozen=True, slots=True)
class Product:
    """One row of the products sheet."""

    product: str
    construct: str | None
    target: str | None
    vector: str


@dataclass(frozen=True, slots=True)
class Infusion:
    """One row of the infusions sheet, on the study clock."""

    subject_id: str
    infusion: int
    product: str
    study_day: float
    dose: float | None
    dose_unit: str | None
    lymphodepletion_day: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of the samples sheet, on the clock of its infusion."""

    sample_id: str
    subject_id: str
    matrix: str
    visit: str | None
    infusion: int
    day: float
    study_day: float


@dataclass(frozen=True, slots=True)
class LaboratoryFile:
    """One row of the files sheet. ``path`` is relative to the data folder."""

    file_id: str
    path: str
    reader: str
    mapping: str
    subjects: tuple[str, ...]
    row: int | None
    """None of a file of the inbox that no row names."""
    plate_map: str = ""
    """Relative to the trial folder; of a PCR plate only."""
    amplitudes: str = ""
    """Folder of the droplet amplitudes, relative to the data folder; of a PCR plate only."""


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the events sheet, on the study clock."""

    subject_id: str
    study_day: float
    end_study_day: float | None
    kind: str
    label: str | None
    grade: float | None
    dose: float | None
    dose_unit: str | None


@dataclass(frozen=True, slots=True)
class Sheets:
    """All sheets. ``first_dates`` never leaves memory and is not shown."""

    subjects: tuple[Subject, ...] = ()
    products: tuple[Product, ...] = ()
    infusions: tuple[Infusion, ...] = ()
    samples: tuple[Sample, ...] = ()
    files: tuple[LaboratoryFile, ...] = ()
    events: tuple[Event, ...] = ()
    first_dates: dict[str, date] = field(default_factory=dict, repr=False)
    extractions: tuple[Extraction, ...] = ()
    tubes: tuple[Tube, ...] = ()
    reviews: tuple[GateReview, ...] = ()
    observations: tuple[Observation, ...] = ()
    libraries: tuple[Library, ...] = ()
    site_sets: tuple[SiteSet, ...] = ()
    inbox: Matched | None = None
    """What became of the files of the inbox."""

    def infusion_days(self) -> dict[str, list[tuple[int, float]]]:
        """``(infusion, study_day)`` of each subject, in order."""
        days: dict[str, list[tuple[int, float]]] = {}
        for i in sorted(self.infusions, key=lambda i: (i.subject_id, i.infusion)):
            days.setdefault(i.subject_id, []).append((i.infusion, i.study_day))
        return days


@dataclass(frozen=True, slots=True)
class _Spec:
    columns: tuple[str, ...]
    required: tuple[str, ...]


SPECS: dict[str, _Spec] = {
    "subjects": _Spec(
        ("subject_id", "cohort", "sex", "age", "weight_kg", "follow_up_day", "follow_up_date"),
        ("subject_id",),
    ),
    "products": _Spec(("product", "construct", "target", "vector"), ("product", "vector")),
    "infusions": _Spec(
        (
            "subject_id",
            "infusion",
            "product",
            "day",
            "date",
            "dose",
            "dose_unit",
            "lymphodepletion_day",
            "lymphodepletion_date",
        ),
        ("subject_id", "infusion", "product"),
    ),
    "samples": _Spec(
        ("sample_id", "subject_id", "matrix", "visit", "day", "date", "infusion"),
        ("sample_id", "subject_id", "matrix"),
    ),
    "files": _Spec(
        ("file_id", "path", "reader", "mapping", "subjects", "plate_map", "amplitudes"),
        ("file_id", "path", "reader"),
    ),
    "extractions": _Spec(
        ("sample", "dna_ng_per_ul", "elution_volume_ul", "blood_volume_ul", "white_cells_per_ul"),
        ("sample",),
    ),
    "tubes": _Spec(
        (
            "file_id",
            "kind",
            "sample_id",
            "marker",
            "batch",
            "data_set",
            "beads_per_ul",
            "bead_volume_ul",
            "sample_volume_ul",
            "dilution",
            "acquired_volume_ul",
            "lymphocytes_per_ul",
            "white_cells_per_ul",
            "unreadable",
        ),
        ("file_id", "kind"),
    ),
    "gate_review": _Spec(
        ("file_id", "verdict", "gates_sha256", "remark"),
        ("file_id", "verdict", "gates_sha256"),
    ),
    "libraries": _Spec(
        (
            "library_id",
            "sample_id",
            "chemistry",
            "counts",
            "raw_counts",
            "metrics",
            "bam",
            "fastq",
            "tcr_contigs",
            "bcr_contigs",
            "sort",
            "lymphocytes_per_ul",
            "white_cells_per_ul",
            "car_flow_percent",
            "car_features",
            "tag_features",
        ),
        ("library_id", "sample_id", "chemistry"),
    ),
    "integration_sites": _Spec(
        ("site_set_id", "sample_id", "path", "specimen", "cell_type"),
        ("site_set_id", "sample_id", "path"),
    ),
    "observations": _Spec(
        ("subject_id", "day", "date", "item", "value"),
        ("subject_id", "item", "value"),
    ),
    "events": _Spec(
        (
            "subject_id",
            "day",
            "date",
            "end_day",
            "end_date",
            "kind",
            "label",
            "grade",
            "dose",
            "dose_unit",
        ),
        ("subject_id", "kind"),
    ),
}


@dataclass(slots=True)
class _Row:
    """One row as text, with the means to complain about it."""

    file: str
    row: int
    cells: dict[str, str]
    problems: list[Problem]

    def text(self, column: str) -> str:
        return self.cells.get(column, "")

    def optional(self, column: str) -> str | None:
        return self.text(column) or None

    def problem(self, column: str | None, found: str, allowed: str, suggestion: str = "") -> None:
        self.problems.append(Problem(self.file, found, allowed, self.row, column, suggestion))

    def required(self, column: str) -> str:
        value = self.text(column)
        if not value:
            self.problem(column, "nothing", "a value")
        return value

    def identifier(self, column: str) -> str:
        value = self.required(column)
        if value:
            allowed = id_fault(value)
            if allowed:
                self.problem(column, quote(value), allowed)
        return value

    def file_name(self, column: str, seen: dict[str, int]) -> str:
        """Return an id that names files, and tell where another row of ``seen`` has it."""
        value = self.required(column)
        if value and not names_files(value):
            self.problem(column, quote(value), FILE_NAME)
        elif value.casefold() in seen:
            self.problem(column, f"{quote(value)} again", f"each once; it is in row {seen[value.casefold()]}")
        seen.setdefault(value.casefold(), self.row)
        return value

    def number(self, column: str, low: float, high: float, meaning: str) -> float | None:
        text = self.text(column)
        if not text:
            return None
        value = to_number(text)
        if value is None or not low <= value <= high:
            self.problem(column, quote(text), meaning)
            return None
        return value

    def integer(self, column: str, meaning: str) -> int | None:
        text = self.text(column)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 3 and int(text) >= 1):
            self.problem(column, quote(text), meaning)
            return None
        return int(text)

    def date(self, column: str) -> date | None:
        text = self.text(column)
        if not text:
            return None
        value = parse_date(text)
        if value is None or value < EARLIEST:
            self.problem(
                column,
                "text that is no ISO date" if value is None else "a date that is too old",
                "YYYY-MM-DD, as 2001-02-03 stands for 3 February"
                if value is None
                else "the date of a sample or an infusion",
            )
            return None
        return value


_ID = re.compile(r"[^\W_](?:[\w .:/#+-]*[\w#+])?")
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
FILE_NAME = "at most 64 letters, digits, or . _ - (no calendar date): it names files"
NEEDED_SHEETS = {
    "samples": "from whom and when a sample is",
    "subjects": "who the subjects are",
    "infusions": "which samples came before the infusion",
}
"""Sheets without which tubes, libraries and integration sites can't be read, and what each tells."""
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


@lru_cache(maxsize=100_000)
def id_fault(value: str) -> str:
    """Say what an id must be when ``value`` can't be one; an empty string when it can."""
    if holds_date(value):
        return "an id without a calendar date in it"
    if len(value) > 64 or not _ID.fullmatch(value):
        return (
            "an id of at most 64 letters, digits, spaces or . _ : / # + - that begins with a letter or digit"
        )
    return ""


@lru_cache(maxsize=100_000)
def to_number(text: str) -> float | None:
    """Read a plain finite number, or return None."""
    if not (text.isascii() and _NUMBER.fullmatch(text)):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def names_files(text: str) -> bool:
    """Say whether a name may be part of the names of files."""
    return bool(SAFE_NAME.fullmatch(text)) and not holds_date(text)


def check_samples(
    listed: Iterable[tuple[str | None, int | None]],
    file: str,
    samples: Collection[str],
    problems: list[Problem],
) -> None:
    """Tell each sample_id that the samples sheet does not have; ``listed`` has those of a sheet and their rows."""
    for sample_id, row in listed:
        if sample_id and sample_id not in samples:
            found, near = f"unknown {quote(sample_id)}", nearest(sample_id, samples)
            problems.append(Problem(file, found, "one of the samples sheet", row, "sample_id", near))


def quote(text: str) -> str:
    """Show hostile text: quoted, without control characters, at most 60 characters."""
    shown = printable(text[:61])
    return f"'{shown[:60]}...'" if len(shown) > 60 else f"'{shown}'"


def look_alike(text: str) -> str:
    """Return the form in which ids are compared: letters and numbers, no case, no leading zeros.

    Punctuation only divides: ``S-1-12`` and ``S-11-2`` stay different.
    """
    parts = re.findall(r"[^\W\d_]+|\d+", text.casefold())
    return "-".join(p.lstrip("0") or "0" if p.isdigit() else p for p in parts)


def nearest(value: str, names: Iterable[str]) -> str:
    """Return the id that differs from ``value`` by form only, else the most similar one, else nothing."""
    known = list(names)
    return next((n for n in known if look_alike(n) == look_alike(value)), did_you_mean(value, known))


def _read_rows(folder: Path, file: str, kind: str, problems: list[Problem]) -> list[_Row]:
    spec = SPECS[kind]
    path = folder / file
    try:
        if path.stat().st_size > MAX_SHEET_BYTES:
            problems.append(Problem(file, "more than 50 MB", f"a {kind} sheet"))
            return []
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        problems.append(
            Problem(file, "no such file", f"the {kind} sheet (sheets.{kind} in the configuration)")
        )
        return []
    except UnicodeDecodeError:
        problems.append(Problem(file, "bytes that are not UTF-8", "a text file in UTF-8"))
        return []
    except OSError as error:
        problems.append(Problem(file, f"a file that can't be read ({type(error).__name__})", "a text file"))
        return []
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    lines: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines.extend((number, cells) for number, cells in enumerate(reader, 1))
    except csv.Error as error:
        problems.append(Problem(file, f"broken text ({error})", "a table", row=reader.line_num))
        return []
    while lines and not any(c.strip() for c in lines[-1][1]):
        lines.pop()
    if not lines:
        problems.append(Problem(file, "an empty file", f"a header row: {', '.join(spec.columns)}"))
        return []
    header = [c.strip() for c in lines[0][1]]
    if len(header) > MAX_SHEET_COLUMNS:
        # Each unknown column costs a search for the nearest name: a million of them take minutes.
        problems.append(Problem(file, f"{len(header)} columns", ", ".join(spec.columns), row=1))
        return []
    if len(header) == 1 and len(spec.required) > 1:
        other = "\t" if delimiter == "," else ","
        if other in header[0] or ";" in header[0]:
            problems.append(
                Problem(
                    file,
                    "a header that is one single cell",
                    f"cells divided by {'commas' if delimiter == ',' else 'tabs'} ({path.suffix})",
                    row=1,
                )
            )
            return []
    before = len(problems)
    for n, name in enumerate(header):
        if name in spec.columns:
            if header.index(name) != n:
                problems.append(Problem(file, "the column twice", "each column once", 1, name))
        elif name.casefold().replace(" ", "_").replace("-", "_") in IDENTIFYING:
            problems.append(
                Problem(
                    file,
                    f"the identifying column {quote(name)}",
                    "pseudonyms only; take the column out of the sheet",
                    1,
                    name,
                )
            )
        elif name or any(len(c) > n and c[n].strip() for _, c in lines[1:]):
            problems.append(
                Problem(
                    file,
                    f"unknown column {quote(name)}",
                    ", ".join(spec.columns),
                    1,
                    name[:60] or f"number {n + 1}",
                    did_you_mean(name, spec.columns),
                )
            )
    problems.extend(
        Problem(file, "no such column", f"a column '{name}'", 1, name)
        for name in spec.required
        if name not in header
    )
    rows: list[_Row] = []
    missing_required = any(name not in header for name in spec.required)
    named_columns = [(n, name) for n, name in enumerate(header) if name in spec.columns]
    for number, padded in lines[1:]:
        # A big cohort has a million of these cells, and every dry-run reads them.
        cells = list(map(str.strip, padded))
        whole = "".join(cells)
        if not whole:
            continue
        if len(cells) > len(header) and any(cells[len(header) :]):
            problems.append(Problem(file, f"{len(cells)} cells", f"{len(header)} cells", number))
        named = {name: cells[n] for n, name in named_columns if n < len(cells)}
        row = _Row(file, number, named, problems)
        rows.append(row)
        if len(whole) <= 1000 and whole.isprintable():
            continue
        for name, cell in named.items():
            if not cell.isprintable():
                row.problem(name, "a control character", "printable text")
            elif len(cell) > 1000:
                row.problem(name, f"{len(cell)} characters", "at most 1000")
    # Rows are still checked when a column is unknown, so that all problems come at once.
    return [] if missing_required and len(problems) > before else rows


def _no_duplicates(rows: Sequence[tuple[_Row, str]], column: str) -> None:
    seen: dict[str, tuple[str, int]] = {}
    for row, value in rows:
        if not value:
            continue
        key = look_alike(value) or value
        if key in seen:
            first, number = seen[key]
            if first == value:
                row.problem(column, f"{quote(value)} again", f"each once; it is in row {number}")
            else:
                row.problem(
                    column,
                    f"{quote(value)}, which reads like {quote(first)} in row {number}",
                    "ids that differ by more than case, punctuation, spaces or leading zeros",
                )
        else:
            seen[key] = (value, row.row)


def _known(row: _Row, column: str, value: str, known: Collection[str], where: str) -> bool:
    if not value or value in known:
        return bool(value)
    row.problem(column, f"unknown {quote(value)}", f"one of {where}", nearest(value, list(known)))
    return False


def read_sheets(
    folder: Path, config: Config, *, with_files: bool = True, inbox: Stored | None = None
) -> tuple[Sheets, list[Problem]]:
    """Read and check every sheet that the configuration names.

    Parameters
    ----------
    folder
        Trial folder.
    config
        Its configuration.
    with_files
        False leaves out the sheets that tell of files, samples of DNA and tubes: jobs that put results on the
        clock need them not, and don't know what the inbox holds.
    inbox
        Files that the inbox holds: what their names tell is added to the sheets.

    Returns
    -------
    Sheets
        What could be read.
    list of Problem
        Every problem found; the sheets count only when there is none.
    """
    # They read their sheets with the means of this module.
    from cartrace.intake.extractions import read_extractions
    from cartrace.intake.inbox_match import match
    from cartrace.intake.libraries import check_libraries, read_libraries
    from cartrace.intake.observations import read_observations
    from cartrace.intake.site_sets import check_site_sets, read_site_sets
    from cartrace.intake.tubes import check_tubes, read_gate_review, read_tubes

    problems: list[Problem] = []
    names = config.sheets
    subject_rows = _read_rows(folder, names.subjects, "subjects", problems) if names.subjects else []
    product_rows = _read_rows(folder, names.products, "products", problems) if names.products else []
    infusion_rows = _read_rows(folder, names.infusions, "infusions", problems) if names.infusions else []
    sample_rows = _read_rows(folder, names.samples, "samples", problems) if names.samples else []
    file_rows = _read_rows(folder, names.files, "files", problems) if with_files else []
    event_rows = _read_rows(folder, names.events, "events", problems) if names.events else []

    products = _products(product_rows)
    known_subjects = {r.text("subject_id") for r in subject_rows}
    known_products = {p.product for p in products}
    if config.single_infusion is not None and names.products is None:
        known_products.add(config.single_infusion.product)
    infusions, dates = _infusions(
        infusion_rows,
        known_subjects if names.subjects else None,
        known_products,
    )
    first_dates = {s: d for (s, n), d in dates.items() if n == 1}
    subjects = _subjects(subject_rows, first_dates)
    if names.subjects and names.infusions and infusion_rows:
        treated = {i.text("subject_id") for i in infusion_rows}
        for row in subject_rows:
            if row.text("subject_id") and row.text("subject_id") not in treated:
                row.problem(
                    "subject_id",
                    f"{quote(row.text('subject_id'))} without an infusion",
                    f"at least one row in {names.infusions}",
                )
    sheets = Sheets(subjects, products, infusions, first_dates=first_dates)
    samples = _samples(sample_rows, sheets, known_subjects if names.subjects else None, config)
    files = _files(file_rows, known_subjects if names.subjects else None)
    events = _events(event_rows, known_subjects if names.subjects else None, first_dates)
    sheets = Sheets(subjects, products, infusions, samples, files, events, first_dates)
    if names.observations:
        known = known_subjects if names.subjects else None
        observations = read_observations(folder, names.observations, sheets, known, problems)
        sheets = replace(sheets, observations=observations)
    if not with_files:
        return sheets, problems
    extractions = read_extractions(folder, names.extractions, problems) if names.extractions else ()
    tubes = read_tubes(folder, names.tubes, problems) if names.tubes else ()
    reviews = read_gate_review(folder, names.gate_review, problems) if names.gate_review else ()
    sheets = replace(sheets, extractions=extractions, tubes=tubes, reviews=reviews)
    if names.libraries:
        sheets = replace(sheets, libraries=read_libraries(folder, names.libraries, problems))
    if names.integration_sites:
        sheets = replace(sheets, site_sets=read_site_sets(folder, names.integration_sites, problems))
    if inbox is not None:
        sheets = match(sheets, config, inbox)
    sample_ids = {r.text("sample_id") for r in sample_rows}
    check_tubes(sheets, sample_ids, names, problems)
    check_libraries(sheets, sample_ids, names, problems)
    check_site_sets(sheets, sample_ids, names, problems)
    return sheets, problems


def _products(rows: list[_Row]) -> tuple[Product, ...]:
    _no_duplicates([(r, r.text("product")) for r in rows], "product")
    out = []
    for row in rows:
        vector = row.required("vector")
        if vector and vector not in VECTORS:
            row.problem("vector", quote(vector), ", ".join(VECTORS), did_you_mean(vector, VECTORS))
        for column in ("construct", "target"):
            if holds_date(row.text(column)):
                row.problem(column, "a calendar date", "text without a date")
        out.append(
            Product(row.identifier("product"), row.optional("construct"), row.optional("target"), vector)
        )
    return tuple(out)


def _subjects(rows: list[_Row], first_dates: dict[str, date]) -> tuple[Subject, ...]:
    _no_duplicates([(r, r.text("subject_id")) for r in rows], "subject_id")
    out = []
    for row in rows:
        subject = row.identifier("subject_id")
        follow_up = row.number("follow_up_day", 0, 36_525, "days from the first infusion, 0 or more")
        when = row.date("follow_up_date")
        if row.text("follow_up_day") and row.text("follow_up_date"):
            row.problem("follow_up_date", "a day and a date", "either follow_up_day or follow_up_date")
        elif when is not None:
            if subject not in first_dates:
                row.problem("follow_up_date", "a date", "follow_up_day, since the first infusion has no date")
            else:
                follow_up = days_between(first_dates[subject], when)
                if follow_up < 0:
                    row.problem("follow_up_date", "a date before the first infusion", "a later date")
        for column in ("cohort", "sex"):
            if holds_date(row.text(column)):
                row.problem(column, "a calendar date", "text without a date")
        out.append(
            Subject(
                subject,
                row.optional("cohort"),
                row.optional("sex"),
                row.number("age", 0, MAX_AGE, "years at the first infusion, 0 to 120"),
                row.number("weight_kg", 0.5, MAX_WEIGHT_KG, "kilograms, 0.5 to 400"),
                follow_up,
            )
        )
    return tuple(out)


def _infusions(
    rows: list[_Row], known_subjects: set[str] | None, known_products: set[str]
) -> tuple[tuple[Infusion, ...], dict[tuple[str, int], date]]:
    dates: dict[tuple[str, int], date] = {}
    by_subject: dict[str, list[tuple[int, _Row]]] = {}
    for row in rows:
        subject = row.identifier("subject_id")
        if known_subjects is not None:
            _known(row, "subject_id", subject, known_subjects, "the subjects sheet")
        _known(row, "product", row.identifier("product"), known_products, "the products sheet")
        row.required("infusion")
        number = row.integer("infusion", "a whole number from 1")
        if number is not None and subject:
            by_subject.setdefault(subject, []).append((number, row))
    out: list[Infusion] = []
    for subject, numbered in by_subject.items():
        numbered.sort(key=lambda pair: (pair[0], pair[1].row))
        numbers = [n for n, _ in numbered]
        for expected, (number, row) in enumerate(numbered, 1):
            if number != expected:
                found = f"{number} twice" if numbers.count(number) > 1 else str(number)
                row.problem("infusion", found, f"1, 2, ... without gaps for each subject; here {expected}")
                break
        previous: float | None = None
        for number, row in numbered:
            study_day = _infusion_day(row, subject, number, dates)
            if study_day is None:
                continue
            column = "date" if row.text("date") else "day"
            if number == 1 and study_day != 0:
                row.problem(column, f"{study_day:g}", "0: the first infusion is study day 0")
            if previous is not None and study_day <= previous:
                row.problem(
                    column, f"day {study_day:g}", f"later than infusion {number - 1} (day {previous:g})"
                )
            previous = study_day
            out.append(
                Infusion(
                    subject,
                    number,
                    row.text("product"),
                    study_day,
                    row.number("dose", 1e-12, 1e15, "a number above 0"),
                    row.optional("dose_unit"),
                    _lymphodepletion(row, dates.get((subject, number))),
                )
            )
            if row.text("dose") and not row.text("dose_unit"):
                row.problem("dose_unit", "nothing", "the unit of the dose")
            if holds_date(row.text("dose_unit")):
                row.problem("dose_unit", "a calendar date", "text without a date")
    return tuple(out), dates


def _infusion_day(row: _Row, subject: str, number: int, dates: dict[tuple[str, int], date]) -> float | None:
    if bool(row.text("day")) == bool(row.text("date")):
        found = "a day and a date" if row.text("day") else "neither day nor date"
        row.problem("day", found, "either day or date")
        return None
    if row.text("day"):
        return row.number("day", -36_525, 36_525, "study day (the first infusion is 0)")
    when = row.date("date")
    if when is None:
        return None
    dates[subject, number] = when
    if number == 1:
        return 0.0
    if (subject, 1) not in dates:
        row.problem("date", "a date", "a day, since infusion 1 has no date")
        return None
    return days_between(dates[subject, 1], when)


def _lymphodepletion(row: _Row, infusion_date: date | None) -> float | None:
    allowed = "days from its infusion, below 0 (-60 to -1)"
    if row.text("lymphodepletion_day") and row.text("lymphodepletion_date"):
        row.problem(
            "lymphodepletion_date", "a day and a date", "either lymphodepletion_day or lymphodepletion_date"
        )
        return None
    if row.text("lymphodepletion_day"):
        return row.number("lymphodepletion_day", -60, -1, allowed)
    when = row.date("lymphodepletion_date")
    if when is None:
        return None
    if infusion_date is None:
        row.problem("lymphodepletion_date", "a date", "lymphodepletion_day, since the infusion has no date")
        return None
    day = days_between(infusion_date, when)
    if not -60 <= day <= -1:
        row.problem("lymphodepletion_date", f"day {day:g}", allowed)
        return None
    return day


def _samples(
    rows: list[_Row], sheets: Sheets, known_subjects: set[str] | None, config: Config
) -> tuple[Sample, ...]:
    _no_duplicates([(r, r.text("sample_id")) for r in rows], "sample_id")
    all_days = sheets.infusion_days()
    nominal = {v.name.casefold(): v.day for v in config.visits}
    out = []
    for row in rows:
        sample_id = row.identifier("sample_id")
        subject = row.identifier("subject_id")
        if known_subjects is not None and not _known(
            row, "subject_id", subject, known_subjects, "the subjects sheet"
        ):
            continue
        matrix = row.required("matrix")
        if matrix and matrix not in MATRICES:
            row.problem("matrix", quote(matrix), ", ".join(MATRICES), did_you_mean(matrix, MATRICES))
        if holds_date(row.text("visit")):
            row.problem("visit", "a calendar date", "a visit name without a date")
        days = all_days.get(subject)
        if days is None:
            if config.single_infusion is None:
                continue  # the infusions sheet has its own problem
            days = [(1, 0.0)]
        number = row.integer("infusion", "a whole number from 1")
        starts = dict(days)
        if number is not None and number not in starts:
            row.problem(
                "infusion", str(number), f"an infusion of this subject: {', '.join(map(str, starts))}"
            )
            continue
        given = row.number("day", -36_525, 36_525, "a day")
        when = row.date("date")
        if row.text("day") and row.text("date"):
            row.problem("day", "a day and a date", "either day or date")
            continue
        if when is not None:
            if subject not in sheets.first_dates:
                row.problem("date", "a date", "a day, since the first infusion has no date")
                continue
            study_day = days_between(sheets.first_dates[subject], when)
        elif given is not None:
            study_day = given + (starts[number] if number is not None else 0.0)
        elif row.text("day") or row.text("date"):
            continue
        elif row.text("visit").casefold() in nominal:
            study_day = nominal[row.text("visit").casefold()] + starts[number or 1]
        else:
            row.problem(
                "day", "neither day nor date", "a day, a date, or a visit that the configuration lists"
            )
            continue
        if number is None:
            number, day = infusion_at(study_day, days)
        else:
            day = study_day - starts[number]
        out.append(Sample(sample_id, subject, matrix, row.optional("visit"), number, day, study_day))
    return tuple(out)


def _files(rows: list[_Row], known_subjects: set[str] | None) -> tuple[LaboratoryFile, ...]:
    # Two ids that differ by punctuation only are allowed here: they are the user's own.
    seen: dict[str, int] = {}
    out = []
    for row in rows:
        file_id = row.file_name("file_id", seen)
        reader = row.required("reader")
        if reader and reader not in READERS:
            row.problem("reader", quote(reader), ", ".join(READERS), did_you_mean(reader, READERS))
        # Two ways to write one path are one mapping: else its files would count twice.
        mapping = os.path.normpath(row.text("mapping")) if row.text("mapping") else ""
        if reader in READERS and not mapping:
            row.problem("mapping", "nothing", f"the {READERS[reader]}")
        for column in ("plate_map", "amplitudes"):
            owners = PLATE_COLUMNS[column]
            if reader in READERS and reader not in owners and row.text(column):
                row.problem(
                    column,
                    quote(row.text(column)),
                    f"nothing; it belongs to the reader {' or '.join(owners)}",
                )
        named = tuple(s.strip() for s in row.text("subjects").split(",") if s.strip())
        if known_subjects is not None:
            for subject in named:
                _known(row, "subjects", subject, known_subjects, "the subjects sheet")
        out.append(
            LaboratoryFile(
                file_id,
                row.required("path"),
                reader,
                mapping,
                named,
                row.row,
                row.text("plate_map"),
                row.text("amplitudes"),
            )
        )
    return tuple(out)


def _events(
    rows: list[_Row], known_subjects: set[str] | None, first_dates: dict[str, date]
) -> tuple[Event, ...]:
    read: list[tuple[_Row, Event]] = []
    for row in rows:
        subject = row.identifier("subject_id")
        if known_subjects is not None:
            _known(row, "subject_id", subject, known_subjects, "the subjects sheet")
        kind = row.required("kind")
        if kind and kind not in EVENT_KINDS:
            row.problem("kind", quote(kind), ", ".join(EVENT_KINDS), did_you_mean(kind, EVENT_KINDS))
        for column in ("label", "dose_unit"):
            if holds_date(row.text(column)):
                row.problem(column, "a calendar date", "text without a date")
        if kind in LABELLED_EVENTS and not row.text("label"):
            row.problem("label", "nothing", f"what the {kind.replace('_', ' ')} was")
        grade = row.number("grade", 0, MAX_GRADE, "a grade from 0 to 5")
        dose = row.number("dose", 1e-12, 1e15, "a number above 0")
        if row.text("dose") and not row.text("dose_unit"):
            row.problem("dose_unit", "nothing", "the unit of the dose")
        if row.text("dose_unit") and not row.text("dose"):
            row.problem("dose", "nothing", "the dose, since its unit is given")
        start = _event_day(row, "day", "date", subject, first_dates)
        if not row.text("day") and not row.text("date"):
            row.problem("day", "neither day nor date", "either day or date")
        end = _event_day(row, "end_day", "end_date", subject, first_dates)
        if start is not None and end is not None and end < start:
            column = "end_day" if row.text("end_day") else "end_date"
            row.problem(column, f"day {end:g}", f"no earlier than the start (day {start:g})")
        if start is not None:
            label, unit = row.optional("label"), row.optional("dose_unit")
            read.append((row, Event(subject, start, end, kind, label, grade, dose, unit)))
    _events_together(read)
    return tuple(event for _, event in read)


def _event_day(
    row: _Row, day_column: str, date_column: str, subject: str, first_dates: dict[str, date]
) -> float | None:
    if row.text(day_column) and row.text(date_column):
        row.problem(day_column, "a day and a date", f"either {day_column} or {date_column}")
        return None
    if row.text(day_column):
        return row.number(day_column, -36_525, 36_525, "study day (the first infusion is 0)")
    when = row.date(date_column)
    if when is None:
        return None
    if subject not in first_dates:
        row.problem(date_column, "a date", f"{day_column}, since the first infusion has no date")
        return None
    return days_between(first_dates[subject], when)


def _events_together(read: Sequence[tuple[_Row, Event]]) -> None:
    """Tell an event that stands twice, a second death, and what happened after a death."""
    seen: dict[Event, int] = {}
    deaths: dict[str, tuple[float, int]] = {}
    for row, event in read:
        if event in seen:
            row.problem(None, "the same event again", f"each event once; it is in row {seen[event]}")
        elif event.kind == "death" and event.subject_id in deaths:
            number = deaths[event.subject_id][1]
            row.problem("kind", "a second death", f"one for each subject; it is in row {number}")
        elif event.kind == "death":
            deaths[event.subject_id] = (event.study_day, row.row)
        seen.setdefault(event, row.row)
    for row, event in read:
        day, number = deaths.get(event.subject_id, (math.inf, 0))
        if event.study_day > day:
            row.problem(
                "date" if row.text("date") else "day",
                f"day {event.study_day:g}",
                f"no later than the subject's death (day {day:g}, row {number})",
            )
