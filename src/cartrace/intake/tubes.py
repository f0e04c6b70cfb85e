"""The tubes sheet and the gate review sheet: what each FCS file is, and what a reviewer said of its gates.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.flow.vocabulary import REVIEWS, TUBE_KINDS
from cartrace.intake.sheets import (
    NEEDED_SHEETS,
    _read_rows,
    _Row,
    check_samples,
    id_fault,
    look_alike,
    nearest,
    quote,
)
from cartrace.problems import Problem, did_you_mean, holds_date

if TYPE_CHECKING:
    from cartrace import config as configuration
    from cartrace.intake.sheets import Sheets

RANGES = {
    "beads_per_ul": (10.0, 200_000.0, "beads per uL of the suspension that was added, 10 to 200000"),
    "bead_volume_ul": (1.0, 1_000.0, "uL of the bead suspension, 1 to 1000"),
    "sample_volume_ul": (5.0, 20_000.0, "uL of the specimen in the tube, 5 to 20000"),
    "dilution": (1.0, 10_000.0, "volume that was acquired over specimen in it, 1 to 10000 (1 in 5 is 5)"),
    "acquired_volume_ul": (1.0, 10_000.0, "uL that the instrument took, 1 to 10000"),
    "lymphocytes_per_ul": (0.0, 500_000.0, "lymphocytes per uL (1.2 x 10^9/L are 1200), 0 to 500000"),
    "white_cells_per_ul": (0.0, 500_000.0, "white cells per uL (5 x 10^9/L are 5000), 0 to 500000"),
}
"""Lowest and highest plausible number of each column, with its meaning. House values, wide enough
that only a wrong unit breaks them."""

_BEADS = ("beads_per_ul", "bead_volume_ul", "sample_volume_ul")
_MOST_BEADS = 500_000.0
"""Beads in one tube. Makers give some 10,000 to 100,000; a dry pellet's beads times a volume are more. House value."""
_BLOOD_COUNTS = ("lymphocytes_per_ul", "white_cells_per_ul")
_WHOLE_BELOW = 100.0
"""A blood count below this with decimals is one in 10^9/L: analysers print whole cells per uL."""
_LEAVES_OUT = ("fmo", "isotype")
_NEEDED_SHEETS = {"tubes": "what each FCS file is"} | NEEDED_SHEETS
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Tube:
    """One row of the tubes sheet."""

    file_id: str
    """A file of the files sheet whose reader is fcs_tube; each has one row."""
    kind: str
    """One of :data:`cartrace.flow.vocabulary.TUBE_KINDS`."""
    sample_id: str | None
    """Of the samples sheet; needed for kind sample, allowed for controls."""
    marker: str | None
    """Marker that an FMO or isotype tube leaves out; needed there, and nowhere else."""
    batch: str | None
    """Tubes that were stained and acquired together; needed for an FMO or isotype tube."""
    data_set: int | None
    """Data set of a file that holds several, from 1."""
    beads_per_ul: float | None
    """Concentration of the bead suspension, beads/uL; with bead_volume_ul and sample_volume_ul."""
    bead_volume_ul: float | None
    sample_volume_ul: float | None
    """Specimen in the tube, uL."""
    dilution: float | None
    """Dilution between specimen and acquired suspension for counts by volume: 5 means 1 in 5."""
    acquired_volume_ul: float | None
    """Acquired volume, uL, where the file does not tell it ($VOL)."""
    lymphocytes_per_ul: float | None
    white_cells_per_ul: float | None
    unreadable: tuple[tuple[str, str], ...]
    """(marker, reason) of stainings that can't be read, as 'CD38: daratumumab; CD19: prior product'."""
    row: int | None
    """None of a tube of the inbox that no row names."""


@dataclass(frozen=True, slots=True)
class GateReview:
    """One row of the gate review sheet."""

    file_id: str
    verdict: str
    """accepted or rejected."""
    gates_sha256: str
    """Hash of the gate set that the reviewer saw, copied from the report: 64 digits, lower case."""
    remark: str | None
    row: int


def read_tubes(folder: Path, file: str, problems: list[Problem]) -> tuple[Tube, ...]:
    """Read and check the tubes sheet.

    Parameters
    ----------
    folder
        Trial folder.
    file
        The sheet, relative to it.
    problems
        Every problem is added to it; the tubes count only when there is none.

    Returns
    -------
    tuple of Tube
        In the order of the sheet.
    """
    rows = _read_rows(folder, file, "tubes", problems)
    _each_once(rows)
    _one_spelling(rows, "batch")
    return tuple(_tube(row) for row in rows)


def named_tube(file_id: str, kind: str, sample_id: str | None, marker: str | None, batch: str | None) -> Tube:
    """Return a tube of which the name of its file tells all that there is."""
    return Tube(
        file_id,
        kind,
        sample_id,
        marker,
        batch,
        data_set=None,
        unreadable=(),
        row=None,
        **dict.fromkeys(RANGES),
    )


def read_gate_review(folder: Path, file: str, problems: list[Problem]) -> tuple[GateReview, ...]:
    """Read and check the gate review sheet.

    Parameters
    ----------
    folder
        Trial folder.
    file
        The sheet, relative to it.
    problems
        Every problem is added to it; the reviews count only when there is none.

    Returns
    -------
    tuple of GateReview
        In the order of the sheet.
    """
    rows = _read_rows(folder, file, "gate_review", problems)
    _each_once(rows)
    out = []
    for row in rows:
        verdict = row.required("verdict")
        if verdict and verdict not in REVIEWS:
            row.problem("verdict", quote(verdict), ", ".join(REVIEWS), did_you_mean(verdict, REVIEWS))
        gates = row.required("gates_sha256")
        # A shortened hash is refused: whoever signs should sign one gate set and no other.
        if gates and not _SHA256.fullmatch(gates):
            row.problem(
                "gates_sha256", quote(gates), "the whole hash of the report: 64 digits of 0-9 and a-f"
            )
        if holds_date(row.text("remark")):
            row.problem("remark", "a calendar date", "text without a date")
        out.append(
            GateReview(row.required("file_id"), verdict, gates.lower(), row.optional("remark"), row.row)
        )
    return tuple(out)


def check_tubes(
    sheets: Sheets, samples: Collection[str], names: configuration.Sheets, problems: list[Problem]
) -> None:
    """Check that files, tubes, samples and reviews name each other.

    Parameters
    ----------
    sheets
        What was read.
    samples
        Every sample_id of the samples sheet, also of rows with faults.
    names
        Where the sheets are.
    problems
        Every problem is added to it.
    """
    acquired = {f.file_id: f.row for f in sheets.files if f.reader == "fcs_tube"}
    others = {f.file_id: f.reader for f in sheets.files if f.reader != "fcs_tube"}
    # The name of a file in the inbox may tell all that the tubes sheet would.
    listed_rows = [row for row in acquired.values() if row is not None]
    for sheet, tells in _NEEDED_SHEETS.items():
        if (acquired if sheet != "tubes" else listed_rows) and getattr(names, sheet) is None:
            allowed = f"sheets.{sheet} in the configuration: it tells {tells}"
            row = min(listed_rows, default=None)
            problems.append(Problem(names.files, f"fcs_tube, and no {sheet} sheet", allowed, row, "reader"))
    listed: list[tuple[str | None, Tube | GateReview]] = [
        *((names.tubes, tube) for tube in sheets.tubes),
        *((names.gate_review, review) for review in sheets.reviews),
    ]
    for file, item in listed:
        if item.file_id and item.file_id not in acquired:
            found = f"unknown {quote(item.file_id)}"
            if item.file_id in others:
                found = f"{quote(item.file_id)}, whose reader is {quote(others[item.file_id])}"
            allowed = f"a file_id of {names.files} whose reader is fcs_tube"
            near = nearest(item.file_id, acquired)
            problems.append(Problem(str(file), found, allowed, item.row, "file_id", near))
    if names.samples:
        check_samples(((t.sample_id, t.row) for t in sheets.tubes), str(names.tubes), samples, problems)
    # A sheet that could not be read as a whole has told its own problem.
    if names.tubes and (sheets.tubes or not any(p.file == names.tubes for p in problems)):
        told = {tube.file_id for tube in sheets.tubes}
        problems.extend(
            Problem(
                names.files,
                f"{quote(file_id)} without a row in {names.tubes}",
                "one row there",
                row,
                "file_id",
            )
            for file_id, row in acquired.items()
            if file_id not in told
        )


def _tube(row: _Row) -> Tube:
    def needed(column: str, what: str) -> None:
        if not row.text(column):
            row.problem(column, "nothing", what)

    kind = row.required("kind")
    if kind and kind not in TUBE_KINDS:
        row.problem("kind", quote(kind), ", ".join(TUBE_KINDS), did_you_mean(kind, TUBE_KINDS))
    if kind == "sample":
        needed("sample_id", "the sample that is in the tube")
    if kind in _LEAVES_OUT:
        needed("marker", "the marker that the tube leaves out")
        needed("batch", "the batch whose tubes it is a control of")
    elif kind in TUBE_KINDS and row.text("marker"):
        row.problem("marker", quote(row.text("marker")), "nothing; it belongs to the kinds fmo and isotype")
    if row.text("batch") and (fault := id_fault(row.text("batch"))):
        row.problem("batch", quote(row.text("batch")), fault)
    if row.text("beads_per_ul") or row.text("bead_volume_ul"):
        for column in _BEADS:
            needed(column, f"a number: counting beads need {', '.join(_BEADS)}")
    if row.text("acquired_volume_ul"):
        needed("dilution", "the dilution of the acquired volume; 1 when there is none")
    numbers = {column: row.number(column, *limits) for column, limits in RANGES.items()}
    beads = (numbers["beads_per_ul"] or 0) * (numbers["bead_volume_ul"] or 0)
    if beads > _MOST_BEADS:
        row.problem(
            "beads_per_ul",
            f"{beads:.0f} beads in the tube (x bead_volume_ul)",
            f"at most {_MOST_BEADS:.0f}; dry beads: the beads of the tube, with bead_volume_ul 1",
        )
    for column in _BLOOD_COUNTS:
        count = numbers[column]
        if count is not None and count < _WHOLE_BELOW and not count.is_integer():
            row.problem(column, quote(row.text(column)), f"{RANGES[column][2]}; whole below {_WHOLE_BELOW:g}")
    lymphocytes, white_cells = (numbers[column] for column in _BLOOD_COUNTS)
    if lymphocytes is not None and white_cells is not None and lymphocytes > white_cells:
        row.problem(
            "lymphocytes_per_ul", quote(row.text("lymphocytes_per_ul")), "no more than white_cells_per_ul"
        )
    return Tube(
        file_id=row.required("file_id"),
        kind=kind,
        sample_id=row.optional("sample_id"),
        marker=row.optional("marker"),
        batch=row.optional("batch"),
        data_set=row.integer("data_set", "number of the data set in the file, from 1"),
        unreadable=_unreadable(row),
        row=row.row,
        **numbers,
    )


def _unreadable(row: _Row) -> tuple[tuple[str, str], ...]:
    """Read ``MARKER: reason; MARKER: reason``."""
    reasons: dict[str, str] = {}
    for part in filter(None, map(str.strip, row.text("unreadable").split(";"))):
        marker, _, reason = (piece.strip() for piece in part.partition(":"))
        if not (marker and reason):
            row.problem("unreadable", quote(part), "MARKER: reason; MARKER: reason")
        elif marker in reasons:
            row.problem("unreadable", f"{quote(marker)} twice", "each marker once")
        elif holds_date(part):
            row.problem("unreadable", "a calendar date", "a reason without a date")
        else:
            reasons[marker] = reason
    return tuple(reasons.items())


def _each_once(rows: list[_Row]) -> None:
    seen: dict[str, int] = {}
    for row in rows:
        file_id = row.text("file_id")
        if file_id in seen:
            row.problem("file_id", f"{quote(file_id)} again", f"each once; it is in row {seen[file_id]}")
        elif file_id:
            seen[file_id] = row.row


def _one_spelling(rows: list[_Row], column: str) -> None:
    """Tell names that look alike: as two batches they would part tubes from their controls."""
    seen: dict[str, tuple[str, int]] = {}
    for row in rows:
        name = row.text(column)
        first, number = seen.setdefault(look_alike(name), (name, row.row))
        if name != first:
            row.problem(
                column,
                f"{quote(name)}, which reads like {quote(first)} in row {number}",
                "one spelling of a name",
            )
