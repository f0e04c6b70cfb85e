"""Write a simulated trial as a trial folder: whole or not at all, equal bytes for equal seeds."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartrace.problems import InputError, Problem
from cartrace.simulate.flow_core import MAPPING
from cartrace.simulate.flow_panel import PANEL_COMMENTS
from cartrace.simulate.workbook import workbook_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from cartrace.simulate.laboratory import LabTable
    from cartrace.simulate.trial import Trial

MARKER = "truth/simulation.json"
"""The file by which a folder of ours is known."""

PARTS = (
    "config.yaml",
    "genes_of_concern.txt",
    "sheets",
    "mappings",
    "plate_maps",
    "limits",
    "constructs",
    "data",
    "faults",
    "truth",
)
"""What a simulated trial folder holds; anything else there is results of a run."""


COMMENTS: dict[str, Mapping[str, str]] = {MAPPING: PANEL_COMMENTS}
"""Mapping -> comment above each of its keys."""


def files(trial: Trial) -> dict[str, bytes]:
    """Return the content of every file of the trial folder by its relative path."""
    marker = {
        "made_by": "cartrace.simulate",
        "seed": trial.seed,
        "subjects": trial.n_subjects,
        "plant_errors": trial.plant_errors,
        "plates": bool(trial.plates.files),
        "tubes": bool(trial.tubes.files),
        "bedside": "toxicity" in trial.truth,
        "immunoassays": bool(trial.immunoassays.files),
        "libraries": bool(trial.libraries.libraries),
    }
    out = {
        MARKER: (json.dumps(marker, indent=2) + "\n").encode(),
        "config.yaml": _yaml(trial.config),
    }
    out |= {
        f"mappings/{name}.yaml": _yaml(mapping, COMMENTS.get(name))
        for name, mapping in trial.mappings.items()
    }
    out |= {f"sheets/{name}.tsv": _tsv(frame) for name, frame in trial.sheets.items()}
    out |= {f"data/{table.path}": _table(table) for table in trial.tables}
    out |= trial.plates.contents | trial.tubes.contents | trial.immunoassays.contents
    out |= trial.libraries.contents | trial.sites.contents
    names = {"courses": "truth"}
    out |= {f"truth/{names.get(name, name)}.tsv": _tsv(frame) for name, frame in trial.truth.items()}
    return out


def write_trial(trial: Trial, folder: str | Path) -> bool:
    """Write ``trial`` into ``folder`` and say whether anything changed.

    A folder that already holds exactly this trial is left alone, with the results
    that a run left in it. An earlier simulated trial is replaced whole.

    Raises
    ------
    InputError
        When ``folder`` holds anything but a simulated trial: nothing is written.
    """
    target = Path(folder)
    wanted = files(trial)
    if target.exists() or target.is_symlink():
        if not is_ours(target):
            found = "a folder that is no simulated trial" if target.is_dir() else "a file"
            raise InputError(
                [Problem(target.name, found, "a new name, an empty folder, or an earlier simulated trial")]
            )
        if _content(target) == wanted:
            return False
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        new = beside / "new"
        for name, content in wanted.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if target.exists():
            target.rename(beside / "old")
        try:
            new.rename(target)
        except OSError:
            if (beside / "old").exists():
                (beside / "old").rename(target)
            raise
    finally:
        shutil.rmtree(beside)
    return True


def is_ours(folder: Path) -> bool:
    """Say whether ``folder`` is empty or an earlier simulated trial."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get("made_by") == "cartrace.simulate"


def _content(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in PARTS:
        path = folder / part
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file():
                found[file.relative_to(folder).as_posix()] = file.read_bytes()
    return found


def _yaml(content: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> bytes:
    """Write YAML as a person would: what is short on one line, no anchors, a comment above a key."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:
            return super().represent_mapping(tag, mapping, mapping is not part and _short(mapping))

        def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
            return super().represent_sequence(tag, sequence, _short(sequence))

    out = []
    for key, value in content.items():
        part = {key: value}
        out += [f"# {line}\n" for line in (comments or {}).get(key, "").splitlines()]
        out.append(yaml.dump(part, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120))
    return "".join(out).encode()


def _short(value: Any) -> bool:
    return len(str(value)) < 125


def _tsv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(sep="\t", index=False, lineterminator="\n", float_format="%.10g").encode()


def _table(table: LabTable) -> bytes:
    return _xlsx(table) if table.path.endswith(".xlsx") else _delimited(table)


def _delimited(table: LabTable) -> bytes:
    text = io.StringIO()
    # What a spreadsheet program exports: Windows line ends, and a byte order mark with semicolons.
    writer = csv.writer(text, delimiter=table.delimiter, lineterminator="\r\n")
    writer.writerows([t] for t in table.titles)
    writer.writerows(table.header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in table.rows)
    return text.getvalue().encode("utf-8-sig" if table.delimiter == ";" else "utf-8")


def _xlsx(table: LabTable) -> bytes:
    return workbook_bytes(
        {
            table.sheet: [*([t] for t in table.titles), *table.header, *table.rows],
            "Method": [["Simulated by cartrace. No patient is behind any number."]],
        }
    )
