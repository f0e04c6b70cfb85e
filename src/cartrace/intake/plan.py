"""What there is to do in a trial folder, known before the first job runs.

:func:`load_plan` checks configuration, sheets, mappings and laboratory files
and reports every problem at once. The Snakefile calls it while it is parsed, so
this module writes nothing and imports nothing heavy.

Laboratory files are known by content. Hashing a terabyte at each dry-run would
be slow, so a manifest remembers the hash of each path, size and time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cartrace import config as configuration
from cartrace.files import write_whole
from cartrace.intake.mapping import Mapping as TableMapping
from cartrace.intake.mapping import read_mapping
from cartrace.intake.sheets import LaboratoryFile, Sheets, quote, read_sheets
from cartrace.problems import InputError, Problem, holds_date, raise_if_any
from cartrace.provenance import sha256_of

MANIFEST = "results/intake/manifest.json"


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One laboratory file that is to be read.

    ``path`` and ``mapping`` are relative to the trial folder. ``clock_digest``
    is empty unless the table holds dates; it then stands for the infusions of
    the subjects in that file, so that a new subject does not rerun other files.
    """

    file_id: str
    path: str
    sha256: str
    reader: str
    mapping: str
    clock_digest: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked trial folder."""

    config: configuration.Config
    files: dict[str, FilePlan]
    sheet_paths: dict[str, str]
    sheets_digest: str
    stats: dict[str, tuple[int, int]]
    """Size and modification time (ns) of each laboratory file, as hashed."""

    @property
    def subjects_from_tables(self) -> bool:
        """Whether the subjects are those found in the tables (no subjects or infusions sheet)."""
        return "subjects" not in self.sheet_paths or "infusions" not in self.sheet_paths

    def settings(self, *keys: str) -> str:
        """JSON of the parts of the configuration that ``keys`` name; of the whole without a key.

        A key is a section, or a path with dots: ``kinetics.post_infusion_visits``.
        The JSON is itself a configuration: the other parts have their defaults.

        Raises
        ------
        KeyError
            For a key that does not exist.
        """
        whole = self.config.model_dump(mode="json")
        chosen: dict[str, Any] = {} if keys else whole
        for key in keys:
            *parents, last = key.split(".")
            source, target = whole, chosen
            for part in parents:
                source, target = source[part], target.setdefault(part, {})
            target[last] = source[last]
        return json.dumps(chosen, sort_keys=True)


def load_plan(config_raw: Mapping[str, Any], folder: Path, config_file: str = "config.yaml") -> Plan:
    """Check a trial folder and return the plan.

    Parameters
    ----------
    config_raw
        The configuration as read.
    folder
        The trial folder.
    config_file
        How errors name the configuration.

    Raises
    ------
    InputError
        With every problem of configuration, sheets, mappings and files.
    """
    config, problems = configuration.check(config_raw, config_file)
    sheets, more = read_sheets(folder, config)
    problems += more
    known = _read_manifest(folder)
    files: dict[str, FilePlan] = {}
    stats: dict[str, tuple[int, int]] = {}
    mappings: dict[str, TableMapping | None] = {}
    paths: dict[tuple[Path, str], LaboratoryFile] = {}
    hashes: dict[tuple[str, str], LaboratoryFile] = {}
    for item in sheets.files:
        path = _data_path(item, folder, config, problems)
        if item.mapping and item.mapping not in mappings:
            mappings[item.mapping] = _mapping(item, folder, config, problems)
        if path is None:
            continue
        # One workbook may hold several tables: each mapping reads its own sheet.
        real = (path.resolve(), item.mapping)
        if real in paths:
            problems.append(
                _at(
                    item,
                    config,
                    "path",
                    "the file again",
                    f"each file once for a mapping; it is also {paths[real].file_id}",
                )
            )
            continue
        paths[real] = item
        relative = f"{config.data_dir.rstrip('/')}/{item.path}"
        try:
            status = path.stat()
            sha256 = known.get((relative, status.st_size, status.st_mtime_ns)) or sha256_of(path)
        except OSError as error:
            problems.append(
                _at(
                    item,
                    config,
                    "path",
                    f"a file that can't be read ({type(error).__name__})",
                    "a readable file",
                )
            )
            continue
        content = (sha256, item.mapping)
        if content in hashes:
            problems.append(
                _at(
                    item,
                    config,
                    "path",
                    f"the same content as {quote(hashes[content].file_id)}",
                    "each content once, or every result would count twice",
                )
            )
        hashes.setdefault(content, item)
        stats[relative] = (status.st_size, status.st_mtime_ns)
        mapping = mappings.get(item.mapping)
        clock = _clock_digest(sheets, item.subjects) if mapping is not None and mapping.uses_clock else ""
        files[item.file_id] = FilePlan(item.file_id, relative, sha256, item.reader, item.mapping, clock)
    raise_if_any(problems)
    named = config.sheets.model_dump()
    sheet_paths = {name: path for name, path in named.items() if path is not None}
    return Plan(config, files, sheet_paths, _sheets_digest(sheets), stats)


def manifest_of(plan: Plan) -> list[dict[str, Any]]:
    """Return the manifest: path, size, mtime_ns and sha256 of each laboratory file."""
    return [
        {
            "path": f.path,
            "size": plan.stats[f.path][0],
            "mtime_ns": plan.stats[f.path][1],
            "sha256": f.sha256,
        }
        for f in plan.files.values()
    ]


def write_manifest(plan: Plan, folder: Path) -> Path:
    """Write the manifest of ``plan`` into the trial folder, whole or not at all."""
    path = folder / MANIFEST
    write_whole(path, json.dumps(manifest_of(plan), indent=1) + "\n")
    return path


def _read_manifest(folder: Path) -> dict[tuple[str, int, int], str]:
    # The manifest is a cache: when it is broken the files are hashed again.
    try:
        entries = json.loads((folder / MANIFEST).read_text("utf-8"))
        return {
            (str(e["path"]), int(e["size"]), int(e["mtime_ns"])): str(e["sha256"])
            for e in entries
            if len(str(e["sha256"])) == 64
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _at(item: LaboratoryFile, config: configuration.Config, column: str, found: str, allowed: str) -> Problem:
    return Problem(config.sheets.files, found, allowed, item.row, column)


def _mapping(
    item: LaboratoryFile, folder: Path, config: configuration.Config, problems: list[Problem]
) -> TableMapping | None:
    path = folder / item.mapping
    if not path.resolve().is_relative_to(folder.resolve()):
        problems.append(
            _at(item, config, "mapping", "a path that leads out of the trial folder", "a path inside it")
        )
        return None
    try:
        return read_mapping(path, item.mapping)
    except InputError as error:
        problems.extend(error.problems)
        return None


def _data_path(
    item: LaboratoryFile, folder: Path, config: configuration.Config, problems: list[Problem]
) -> Path | None:
    if not item.path:
        return None
    if config.privacy.dates_in_file_names == "refuse" and holds_date(item.path):
        problems.append(
            _at(
                item,
                config,
                "path",
                "a calendar date in the file's name",
                "a name without a date (or privacy.dates_in_file_names: allow)",
            )
        )
    if any(not c.isprintable() for c in item.path):
        return None  # the sheet has told it
    root = folder / config.data_dir
    path = root / item.path
    # resolve() follows links, so a link that leads out is caught as well.
    if Path(item.path).is_absolute() or not path.resolve().is_relative_to(root.resolve()):
        problems.append(
            _at(
                item,
                config,
                "path",
                f"{quote(item.path)}, which leads out of the data folder",
                "a path inside it",
            )
        )
        return None
    if not path.exists():
        near = _near(path)
        problems.append(
            Problem(
                config.sheets.files,
                f"no file {quote(item.path)}",
                "an existing file in the data folder",
                item.row,
                "path",
                near,
            )
        )
        return None
    if not path.is_file():
        problems.append(_at(item, config, "path", f"{quote(item.path)}, which is no file", "a file"))
        return None
    return path


def _near(path: Path) -> str:
    from cartrace.problems import did_you_mean

    try:
        return did_you_mean(path.name, (p.name for p in path.parent.iterdir()))
    except OSError:
        return ""


def _digest(parts: Iterable[object]) -> str:
    return hashlib.sha256(json.dumps(list(parts), sort_keys=True, default=str).encode()).hexdigest()


def _sheets_digest(sheets: Sheets) -> str:
    """Digest of the content in order of the keys; spaces, column order and row order do not count."""
    return _digest(
        [
            sorted((asdict(s) for s in sheets.subjects), key=lambda s: str(s["subject_id"])),
            sorted((asdict(p) for p in sheets.products), key=lambda p: str(p["product"])),
            sorted((asdict(i) for i in sheets.infusions), key=lambda i: (i["subject_id"], i["infusion"])),
            sorted((asdict(s) for s in sheets.samples), key=lambda s: str(s["sample_id"])),
            sorted((asdict(e) for e in sheets.events), key=repr),
        ]
    )


def _clock_digest(sheets: Sheets, subjects: tuple[str, ...]) -> str:
    chosen = set(subjects)

    def counts(subject: str) -> bool:
        return not chosen or subject in chosen

    return _digest(
        [
            sorted((s, d.isoformat()) for s, d in sheets.first_dates.items() if counts(s)),
            sorted((i.subject_id, i.infusion, i.study_day) for i in sheets.infusions if counts(i.subject_id)),
            sorted(
                (s.sample_id, s.subject_id, s.matrix, s.study_day)
                for s in sheets.samples
                if counts(s.subject_id)
            ),
        ]
    )
