"""The final tables for other programs: their order of rows, and one DuckDB file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.cells import tables as cells
from cartrace.files import replacing
from cartrace.flow.tables import BACKGROUND, GATES, POPULATIONS, THRESHOLDS, TUBES
from cartrace.immunoassay import tables as immunoassay
from cartrace.pcr.tables import CONTROLS, CURVES, SAMPLES, WELLS
from cartrace.repertoire import tables as repertoire
from cartrace.safety.tables import GRADES, OBSERVATIONS, SAFETY_SUMMARY, TOXICITY
from cartrace.tables import (
    ANTIBODY_MEANS,
    ASSOCIATIONS,
    CHARACTERISTICS,
    COHORT_SUMMARY,
    COURSE_KEY,
    EPISODES,
    EVENTS,
    INBOX,
    KEY_RESULTS,
    MEASUREMENTS,
    METRICS,
    MODELS,
    OUTCOME_CURVES,
    OUTCOMES,
    QC,
    SURVIVAL,
    Table,
    conform,
)

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

EXPORTED: tuple[Table, ...] = (
    MEASUREMENTS,
    METRICS,
    QC,
    COHORT_SUMMARY,
    SURVIVAL,
    EPISODES,
    MODELS,
    ANTIBODY_MEANS,
    ASSOCIATIONS,
    CHARACTERISTICS,
    EVENTS,
)

PCR_EXPORTED: tuple[Table, ...] = (SAMPLES, WELLS, CURVES, CONTROLS)
"""Written as well when the trial has PCR plates."""

FLOW_EXPORTED: tuple[Table, ...] = (POPULATIONS, TUBES, GATES, THRESHOLDS, BACKGROUND)
"""Written as well when the trial has flow tubes; pictures and acquisitions stay in the report."""

IMMUNOASSAY_EXPORTED: tuple[Table, ...] = (
    immunoassay.SAMPLES,
    immunoassay.WELLS,
    immunoassay.STANDARDS,
    immunoassay.CURVES,
    immunoassay.CONTROLS,
)
"""Written as well when the trial has immunoassay plates."""

CELLS_EXPORTED: tuple[Table, ...] = (
    cells.LIBRARIES,
    cells.COMPOSITION,
    cells.CAR_FRACTIONS,
    cells.CAR_READS,
    cells.VARIANTS,
    cells.EXPRESSION,
)
"""Written as well when the trial has single-cell libraries; what is said of each cell is in cells.h5ad."""

REPERTOIRE_EXPORTED: tuple[Table, ...] = (
    repertoire.CLONES,
    repertoire.CLONE_SAMPLES,
    repertoire.CLONE_TOTALS,
    repertoire.CLONE_CHANGES,
    repertoire.CLONE_PERSISTENCE,
    repertoire.DIVERSITY,
    repertoire.OVERLAP,
    repertoire.B_RETURN,
    repertoire.SHARED,
    repertoire.SITE_SAMPLES,
    repertoire.SITE_ALARM,
)
"""Written as well when the trial has receptor contigs or integration sites; what is said of each cell is in the
subjects' AIRR files."""

SAFETY_EXPORTED: tuple[Table, ...] = (SAFETY_SUMMARY, TOXICITY, GRADES, OBSERVATIONS)
"""The safety table, highest grades, grades by day, and what was observed."""

EFFICACY_EXPORTED: tuple[Table, ...] = (KEY_RESULTS, OUTCOMES, OUTCOME_CURVES)
"""What an abstract prints, relapse-free survival and follow-up, and their curves."""


INBOX_EXPORTED: tuple[Table, ...] = (INBOX,)
"""Written as well when the trial has inboxes."""


def _list_of(name: str, description: str, samples: Table) -> Table:
    """Declare the list of what is to be repeated: what a technician needs of a table of samples."""
    wanted = (
        *(
            "plate",
            "sample",
            "subject_id",
            "sample_id",
            "target",
            "assay",
            "task",
            "wells",
            "n_wells",
            "n_used",
        ),
        *("dilutions", "detection", "verdict", "flags", "repeat_reason"),
    )
    of = {c.name: c for c in samples.columns}
    return Table(name, description, tuple(of[column] for column in wanted if column in of))


REPEAT_LIST = _list_of(
    "repeat_list", "Samples whose PCR is to be repeated: the rows of pcr_samples that say so.", SAMPLES
)
IMMUNOASSAY_REPEAT_LIST = _list_of(
    "immunoassay_repeat_list",
    "Samples whose immunoassay is to be repeated: the rows of immunoassay_samples that say so.",
    immunoassay.SAMPLES,
)
REPEAT_LISTS = {SAMPLES.name: REPEAT_LIST, immunoassay.SAMPLES.name: IMMUNOASSAY_REPEAT_LIST}
"""Table of samples -> list of those that are to be repeated."""

ORDER: dict[str, tuple[str, ...]] = {
    "measurements": (*COURSE_KEY, "unit", "study_day", "sample_id", "source_file", "source_row"),
    "metrics": (*COURSE_KEY, "course_unit"),
    "qc": ("source_file", "source_row", "source_column", "check", "message"),
    "episodes": (*COURSE_KEY, "course_unit", "episode"),
    "events": ("subject_id", "study_day", "kind", "label"),
    "observations": ("subject_id", "infusion", "day", "item", "source_row"),
}
"""Columns that the rows are sorted by; rows that are equal in them, and all rows
of the other tables, keep the order in which they were computed."""

_SQL = {"text": "VARCHAR", "number": "DOUBLE", "integer": "BIGINT", "flag": "BOOLEAN"}


def in_order(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Check ``frame`` against ``table`` and return its rows in the order of :data:`ORDER`.

    Raises
    ------
    TableError
        When ``frame`` does not keep the contract.
    """
    checked = conform(frame, table)
    columns = list(ORDER.get(table.name, ()))
    return checked.sort_values(columns, kind="stable", ignore_index=True) if columns else checked


def repeat_list(samples: pd.DataFrame, table: Table = REPEAT_LIST) -> pd.DataFrame:
    """Pick the samples of plates that are to be repeated, and what a technician needs of them."""
    wanted = samples["repeat"].fillna(value=False).astype(bool)
    return conform(samples.loc[wanted, table.names], table)


def write_database(frames: Mapping[str, pd.DataFrame], path: str | Path) -> None:
    """Write the tables into one DuckDB file, whole or not at all.

    Types and comments on tables and columns come from the contracts, so that the
    file explains itself (``SELECT * FROM duckdb_columns()``).

    Parameters
    ----------
    frames
        Name of an exported table -> its rows, in the table's contract.
    path
        File to write; an older one is replaced.
    """
    # DuckDB takes a while to import: only this job pays it.
    import duckdb

    by_name = {
        table.name: table
        for table in (
            *EXPORTED,
            *PCR_EXPORTED,
            *FLOW_EXPORTED,
            *IMMUNOASSAY_EXPORTED,
            *CELLS_EXPORTED,
            *REPERTOIRE_EXPORTED,
            *SAFETY_EXPORTED,
            *EFFICACY_EXPORTED,
            *INBOX_EXPORTED,
            *REPEAT_LISTS.values(),
        )
    }
    with replacing(path) as temporary:
        # DuckDB makes its file itself and takes an empty one for a broken one.
        temporary.unlink()
        with duckdb.connect(str(temporary)) as database:
            for name, frame in frames.items():
                _fill(database, by_name[name], frame)
            database.execute("CHECKPOINT")


def _fill(database: duckdb.DuckDBPyConnection, table: Table, frame: pd.DataFrame) -> None:
    execute = database.execute
    columns = ", ".join(f"{_name(c.name)} {_SQL[c.kind]}" for c in table.columns)
    execute(f"CREATE TABLE {_name(table.name)} ({columns})")
    execute(f"COMMENT ON TABLE {_name(table.name)} IS {_text(table.description)}")
    for column in table.columns:
        place = f"{_name(table.name)}.{_name(column.name)}"
        execute(f"COMMENT ON COLUMN {place} IS {_text(column.description)}")
    if len(frame):
        database.register("incoming", _arrow(frame, table))
        listed = ", ".join(_name(c.name) for c in table.columns)
        execute(f"INSERT INTO {_name(table.name)} ({listed}) SELECT {listed} FROM incoming")
        database.unregister("incoming")


def _arrow(frame: pd.DataFrame, table: Table) -> object:
    # Arrow carries a missing value as missing; DuckDB's own reading of pandas differs by version.
    import pyarrow as pa

    return pa.Table.from_pandas(frame[table.names], preserve_index=False)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"
