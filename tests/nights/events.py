"""What people and laboratories do to a trial folder, and what of it a run has to do.

:class:`Laboratory` does it to the files. :class:`Contract` says which jobs that makes due: the table "What reruns
when" of docs/architecture.md, by hand and without Snakemake.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from tests.workflow.test_reruns import COHORT, REPORT, SHEETS, rows, set_option, write_rows

Job = tuple[str, str]
"""Rule and what it is of; nothing where there is one job of the rule."""


@dataclass(frozen=True)
class File:
    """A laboratory file of the simulated trial, and how it comes into the folder."""

    file_id: str
    inbox: str
    name: str
    """In its inbox."""
    by_pattern: bool
    reader: str
    mapping: str
    path: str
    """In the simulated trial."""
    timed: bool
    """Holds dates, samples or numbers of infusions: it is read again when the sheets of these change."""
    batch: str
    is_control: bool


What = Literal[
    "joins", "recorded", "listed", "left", "half", "again", "corrected", "broken", "touched", "set", "killed"
]


@dataclass(frozen=True)
class Event:
    """Something that happens on the day before a run."""

    what: What
    file: File | None = None
    subject: str = ""
    option: tuple[str, ...] = ()
    value: Any = None
    rules: tuple[str, ...] = ()
    """Of an option: the rules that take it."""

    def __str__(self) -> str:
        about = self.subject or (self.file and self.file.file_id) or ".".join(self.option)
        return f"{self.what} {about}".strip()


OWN = {
    "laboratory_table": "read_laboratory_table",
    "pcr_plate": "quantify_plate",
    "fcs_tube": "gate_tube",
    "immunoassay_plate": "calibrate_plate",
}
JOIN = {
    "pcr_plate": "assemble_plates",
    "fcs_tube": "assemble_tubes",
    "immunoassay_plate": "assemble_immunoassays",
}


def single(*rules: str) -> set[Job]:
    return {(rule, "") for rule in rules}


LISTING = single("list_inbox", *REPORT)
"""What follows any change in what stands in the inboxes."""


@dataclass
class Contract:
    """Which jobs are due."""

    due: set[Job] = field(default_factory=set)
    used: dict[str, File] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    there: set[str] = field(default_factory=set)
    broken: str = ""

    def happens(self, event: Event) -> None:
        """Add what an event makes due."""
        file = event.file
        match event.what:
            case "joins":
                timed = {(OWN[f.reader], f.file_id) for f in self.used.values() if f.timed}
                self.due |= self.of_sheets() | timed
            case "recorded" | "killed":
                self.due |= self.of_sheets()
            case "set":
                self.due |= single(*event.rules)
            case "half" | "again":
                self.due |= LISTING
            case "listed" | "left":
                assert file
                (self.listed if event.what == "listed" else self.there).add(file.file_id)
                known = file.by_pattern or file.file_id in self.listed
                if known and file.file_id in self.there:
                    self.used[file.file_id] = file
                    self._changed(file)
                self.due |= LISTING
            case "corrected" | "broken":
                assert file
                if event.what == "broken":
                    self.broken = file.file_id
                elif self.broken == file.file_id:
                    self.broken = ""
                self._changed(file)
                self.due |= LISTING
            case "touched":
                pass

    def of_sheets(self) -> set[Job]:
        joins = {JOIN[f.reader] for f in self.used.values() if f.reader in JOIN}
        return single(*SHEETS, *joins)

    def _changed(self, file: File) -> None:
        self.due |= {(OWN[file.reader], file.file_id)} | single(*COHORT)
        if file.reader in JOIN:
            self.due |= single(JOIN[file.reader])
        if file.is_control:
            batch = (f for f in self.used.values() if f.batch == file.batch)
            self.due |= {(OWN[f.reader], f.file_id) for f in batch}

    def night(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """Return the jobs by rule that are planned, started and failed on a night, which is over then."""
        planned, failed = self.due, set()
        blocked: set[Job] = set()
        if self.broken:
            file = self.used[self.broken]
            failed = {(OWN[file.reader], file.file_id)}
            blocked = planned & single(*COHORT, JOIN.get(file.reader, ""))
        self.due = failed | blocked
        return tuple(Counter(rule for rule, _ in jobs) for jobs in (planned, planned - blocked, failed))  # type: ignore[return-value]


SUBJECT_SHEETS = ("subjects", "infusions", "samples", "events")
"""Those that grow with each subject."""
KINDS = {
    "laboratory_table": "tables",
    "pcr_plate": "qpcr",
    "fcs_tube": "flow",
    "immunoassay_plate": "elisa",
}
PATTERNS = {
    "qpcr": {"name": r"(?P<file_id>qpcr_run_\d+)\.txt", "reader": "pcr_plate", "mapping": "mappings/car_qpcr_plate.yaml"},
    "elisa": {"name": r"(?P<file_id>aqp4_elisa_\d+)\.txt", "reader": "immunoassay_plate", "mapping": "mappings/aqp4_elisa.yaml"},
    "flow": {"name": r"(?P<kind>fmo|sample)_(?P<sample_id>F\d+)_(?P<marker>\w+)_(?P<batch>S\d+)\.fcs", "reader": "fcs_tube", "mapping": "mappings/flow_panel.yaml"},
}  # fmt: skip


class Laboratory:
    """A trial folder in which nothing has arrived yet, and all that will."""

    def __init__(self, simulated: Path, trial: Path, first: tuple[str, ...]) -> None:
        """Make the folder ``trial`` of a ``simulated`` one, with its ``first`` subjects and one table."""
        self.simulated, self.trial = simulated, trial
        for part in ("mappings", "plate_maps", "sheets"):
            shutil.copytree(simulated / part, trial / part)
        config = yaml.safe_load((simulated / "config.yaml").read_text())
        config.pop("pcr")
        config["sheets"] = {
            name: f"sheets/{name}.tsv" for name in ("events", "extractions", "samples", "tubes")
        }
        folders = {name: {"folder": f"inbox/{name}", "patterns": []} for name in KINDS.values()}
        for name, pattern in PATTERNS.items():
            folders[name]["patterns"].append(pattern)
        config["inbox"] = {"folders": folders}
        (trial / "config.yaml").write_text(yaml.safe_dump(config))
        for name in folders:
            (trial / "inbox" / name).mkdir(parents=True)
        files = rows(simulated / "sheets/files.tsv")
        tubes = {row["file_id"]: row for row in rows(simulated / "sheets/tubes.tsv")}
        self.files = {row["file_id"]: self._file(row, tubes.get(row["file_id"], {})) for row in files}
        self.rows = {row["file_id"]: row for row in files}
        # Here from the beginning, outside the inboxes.
        table = self.files["pcr_batch_01"]
        (trial / "data" / table.path).parent.mkdir(parents=True)
        shutil.copy2(simulated / "data" / table.path, trial / "data" / table.path)
        write_rows(trial / "sheets/files.tsv", [self.rows["pcr_batch_01"] | {"subjects": ""}])
        self._cut("tubes", [])
        for sheet in SUBJECT_SHEETS:
            self._cut(sheet, [r for r in rows(simulated / f"sheets/{sheet}.tsv") if r["subject_id"] in first])

    def _file(self, row: dict[str, str], tube: dict[str, str]) -> File:
        file_id, reader = row["file_id"], row["reader"]
        name, by_pattern = Path(row["path"]).name, file_id.startswith(("qpcr_run", "aqp4_elisa"))
        if tube.get("batch") == "S02":
            marker = tube["marker"] or "all"
            name, by_pattern = f"{tube['kind']}_{tube['sample_id']}_{marker}_{tube['batch']}.fcs", True
        mapping = yaml.safe_load((self.simulated / row["mapping"]).read_text())
        return File(
            Path(name).stem,
            KINDS[reader],
            name,
            by_pattern,
            reader,
            row["mapping"],
            row["path"],
            reader == "laboratory_table" and not mapping.keys().isdisjoint(("date", "sample", "infusion")),
            tube.get("batch", ""),
            tube.get("kind") in {"fmo", "isotype"},
        )

    def _cut(self, sheet: str, kept: list[dict[str, str]]) -> None:
        path = self.trial / f"sheets/{sheet}.tsv"
        names = path.read_text().splitlines()[0].split("\t")
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, delimiter="\t", lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)

    def _grow(self, sheet: str, more: list[dict[str, str]]) -> None:
        path = self.trial / f"sheets/{sheet}.tsv"
        self._cut(sheet, [*rows(path), *more])

    def happens(self, event: Event, now: float) -> None:
        """Do to the folder what an event says; ``now`` is the time of the run that follows."""
        file = event.file
        place = self.trial / "inbox" / file.inbox / file.name if file else self.trial
        match event.what:
            case "joins":
                for sheet in SUBJECT_SHEETS:
                    all_rows = rows(self.simulated / f"sheets/{sheet}.tsv")
                    self._grow(sheet, [r for r in all_rows if r["subject_id"] == event.subject])
            case "recorded" | "killed":
                path = self.trial / "sheets/subjects.tsv"
                changed = rows(path)
                for row in changed:
                    if row["subject_id"] == event.subject:
                        row["weight_kg"] = str(event.value)
                write_rows(path, changed)
            case "listed":
                assert file
                row = next(r for r in self.rows.values() if r["path"] == file.path)
                stored = {"path": f"inbox/{file.inbox}/{file.name}", "file_id": file.file_id, "subjects": ""}
                self._grow("files", [row | stored])
                tubes = rows(self.simulated / "sheets/tubes.tsv")
                self._grow("tubes", [t for t in tubes if t["file_id"] == row["file_id"]])
            case "left":
                assert file
                place.write_bytes(self.content(file))
            case "half":
                assert file
                whole = self.content(file)
                place.write_bytes(whole[: len(whole) // 2])
                os.utime(place, (now - 60, now - 60))
            case "again":
                shutil.copyfile(place, place.with_name(f"copy-of-{place.name}"))
            case "corrected":
                assert file
                place.write_bytes(self.corrected(file, int(event.value)))
            case "broken":
                place.write_bytes(b"PK\x03\x04 no workbook, plate or tube")
            case "touched":
                stat = place.stat()
                os.utime(place, (stat.st_atime + 60, stat.st_mtime + 60))
            case "set":
                set_option(self.trial, list(event.option), event.value)

    def content(self, file: File) -> bytes:
        return (self.simulated / "data" / file.path).read_bytes()

    def corrected(self, file: File, number: int) -> bytes:
        """Return the content with another number in its last line; of a plate, with lines at its end."""
        whole = self.content(file)
        if file.reader != "laboratory_table":
            return whole + b"\n" * number
        text, last = whole.decode().rstrip("\r\n").rsplit("\n", 1)
        cells = re.split(r"([,\t;])", last)
        place = max(n for n, cell in enumerate(cells) if re.fullmatch(r"\d+(\.\d+)?", cell))
        cells[place] = str(float(cells[place]) + number)
        return f"{text}\n{''.join(cells)}\n".encode()
