"""What the tube pages show: each tube's gates with their pictures, its thresholds, background and populations.

The list of tubes travels as one table; the page of a tube is drawn from its own part
alone. The densities of a tube travel as one deflated block: they are most of its bytes,
and mostly empty bins.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from cartrace.analytes import ANALYTES
from cartrace.flow.tables import (
    ACQUISITION,
    BACKGROUND,
    GATES,
    PLOTS,
    POPULATIONS,
    THRESHOLDS,
    TUBES,
)
from cartrace.problems import redact_dates
from cartrace.report.packing import Texts, columns, numbers
from cartrace.report.plate_words import in_words
from cartrace.report.plates import compact
from cartrace.report.tube_words import (
    COMPENSATIONS,
    COUNT_METHODS,
    FLAGS,
    GATE_KINDS,
    KINDS,
    REVIEWS,
    THRESHOLD_METHODS,
)
from cartrace.tables import TableError, empty

MOST_STRETCHES = 240
"""Stretches of the acquisition that a picture shows; more are joined."""

# Kept apart from the texts, where a part of a hash may read as a date and be taken out.
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FlowTables:
    """The tables of the flow stage; each keeps the contract of ``cartrace.flow.tables`` and may be empty."""

    tubes: pd.DataFrame = field(default_factory=partial(empty, TUBES))
    gates: pd.DataFrame = field(default_factory=partial(empty, GATES))
    thresholds: pd.DataFrame = field(default_factory=partial(empty, THRESHOLDS))
    background: pd.DataFrame = field(default_factory=partial(empty, BACKGROUND))
    acquisition: pd.DataFrame = field(default_factory=partial(empty, ACQUISITION))
    plots: pd.DataFrame = field(default_factory=partial(empty, PLOTS))
    populations: pd.DataFrame = field(default_factory=partial(empty, POPULATIONS))

    @property
    def listed(self) -> list[str]:
        """file_id of every tube, in the order of the table."""
        return [str(t) for t in self.tubes["tube"]]


@dataclass(frozen=True, slots=True)
class PanelUse:
    """How the tubes of one panel were gated: what the methods say of it."""

    name: str
    tubes: int
    compensation: tuple[str, ...]
    """Sources of the matrix, in words."""
    gates: tuple[str, ...]
    """Names of the gates, in the order of the strategy."""
    thresholds: tuple[tuple[str, tuple[str, ...]], ...]
    """Name of a threshold, and the ways by which it was set, in words; no way where it never could be."""


def panels_used(flow: FlowTables) -> list[PanelUse]:
    """Say how each panel was gated, in the order in which the tubes name them."""
    used = []
    for panel, tubes in flow.tubes.groupby("panel", sort=False):
        mine = tubes["tube"]
        gates = flow.gates[flow.gates["tube"].isin(mine)].sort_values("order", kind="stable")
        thresholds = flow.thresholds[flow.thresholds["tube"].isin(mine)]
        used.append(
            PanelUse(
                panel_name(str(panel)),
                len(tubes),
                tuple(COMPENSATIONS.get(c, str(c)) for c in tubes["compensation"].unique()),
                tuple(redact_dates(str(n)) for n in gates["name"].unique()),
                tuple(
                    (
                        redact_dates(str(name)),
                        tuple(THRESHOLD_METHODS.get(m, str(m)) for m in rows["method"].dropna().unique()),
                    )
                    for name, rows in thresholds.groupby("threshold", sort=False)
                ),
            )
        )
    return used


def panel_name(path: str) -> str:
    """Name a panel by its file, without folder and ending.

    >>> panel_name("mappings/tcell_panel.yaml")
    'tcell_panel'
    """
    return redact_dates(PurePosixPath(path).stem)


def payload(
    flow: FlowTables,
    sample_of: pd.DataFrame,
    number_of: Mapping[str, int],
    confidence: float,
    texts: Texts,
    *,
    review_required: bool = False,
) -> dict[str, Any] | None:
    """Bring the tubes into the compact form that the page's script reads.

    Parameters
    ----------
    flow
        Tables of the flow stage.
    sample_of
        sample_id, subject_id, day, infusion, visit: for tubes without a row in
        ``flow_populations`` that names them.
    number_of
        Subject to its number on the page.
    confidence
        Level of the intervals.
    texts
        Where every text goes.
    review_required
        Whether the configuration asks for a review of the gates.

    Returns
    -------
    dict or None
        Plain lists, numbers and strings; None without any tube.

    Raises
    ------
    TableError
        When a picture does not hold the bins that it says.
    """
    if flow.tubes.empty:
        return None
    return {
        "tubes": columns(_listed(flow, sample_of, number_of), texts, ["source_sha256", "gates_sha256"]),
        "sha256": [h if _HASH.fullmatch(h) else "" for h in flow.tubes["gates_sha256"]],
        "parts": _parts(flow, texts),
        "confidence": confidence,
        "review_required": review_required,
        "kinds": KINDS,
        "reviews": REVIEWS,
    }


def _listed(flow: FlowTables, sample_of: pd.DataFrame, number_of: Mapping[str, int]) -> pd.DataFrame:
    """One row for each tube: who it belongs to, what was left out, its verdict and those of its populations."""
    wanted = ["subject_id", "day", "infusion", "visit"]
    known = flow.populations.dropna(subset=["subject_id"]).drop_duplicates("tube").set_index("tube")[wanted]
    named = sample_of.drop_duplicates("sample_id").set_index("sample_id")[wanted]
    tubes = flow.tubes
    of_tube = known.reindex(tubes["tube"]).reset_index(drop=True)
    of_sample = named.reindex(tubes["sample_id"]).reset_index(drop=True)
    known_here = of_tube["subject_id"].notna()
    who = {c: of_tube[c].where(known_here, of_sample[c]) for c in wanted}
    reported = flow.populations[flow.populations["analyte"].notna()]
    judged = pd.crosstab(reported["tube"], reported["verdict"])
    counts = judged.reindex(index=tubes["tube"], columns=["accepted", "flagged", "rejected"], fill_value=0)
    left_out = 100 * (tubes["events"] - tubes["gated_events"]) / tubes["events"].where(tubes["events"] > 0)
    return tubes.assign(
        s=who["subject_id"].map(number_of).fillna(-1).astype(int).to_numpy(),
        day=who["day"].to_numpy(),
        infusion=who["infusion"].to_numpy(),
        visit=who["visit"].to_numpy(),
        panel_name=tubes["panel"].map(panel_name),
        left_out_percent=left_out.astype("float64"),
        what=[_what(k, m) for k, m in zip(tubes["kind"], tubes["marker"], strict=True)],
        compensated=tubes["compensation"].map(lambda c: COMPENSATIONS.get(c, c)),
        says=tubes["flags"].map(partial(in_words, words=FLAGS), na_action="ignore"),
        reported=counts.sum(axis=1).to_numpy(),
        reported_flagged=counts["flagged"].to_numpy(),
        reported_rejected=counts["rejected"].to_numpy(),
    )


def _what(kind: str, marker: Any) -> str:
    """Name a tube or control: ``FMO of CD19``."""
    word = KINDS.get(kind, kind)
    return word if pd.isna(marker) else f"{word} of {marker}"


def _analyte(name: str) -> str:
    return ANALYTES[name].label if name in ANALYTES else name


def _parts(flow: FlowTables, texts: Texts) -> list[dict[str, Any]]:
    """Give what the page of each tube is drawn from, in the order of the tubes."""
    gates = flow.gates.sort_values(["tube", "order"], kind="stable").assign(
        vendor_percent=_difference(flow.gates),
        kind=flow.gates["kind"].replace(GATE_KINDS),
    )
    thresholds = flow.thresholds.assign(
        method=flow.thresholds["method"].map(THRESHOLD_METHODS, na_action="ignore")
    )
    background = flow.background.assign(
        what=[
            _what(k, m)
            for k, m in zip(flow.background["control_kind"], flow.background["control_marker"], strict=True)
        ],
        percent=_percent(flow.background),
    )
    populations = flow.populations.assign(
        says=flow.populations["flags"].map(partial(in_words, words=FLAGS), na_action="ignore"),
        analyte=flow.populations["analyte"].map(_analyte, na_action="ignore"),
        count_method=flow.populations["count_method"].map(COUNT_METHODS, na_action="ignore"),
    )
    tables = {
        "gates": _by_tube(gates, "tube"),
        "thresholds": _by_tube(thresholds, "tube"),
        "background": _by_tube(background, "tube", "control_kind", "control_marker"),
        "populations": _by_tube(
            populations,
            *("tube", "sample_id", "subject_id", "matrix", "infusion", "day", "visit"),
            *("assay", "flags", "source_sha256"),
        ),
    }
    acquisition, plots = _by_tube(flow.acquisition, "tube"), _by_tube(flow.plots)
    return [
        {
            **{name: compact(rows(tube), texts, ()) for name, rows in tables.items()},
            "acquisition": acquisition_picture(acquisition(tube), texts),
            **pictures(plots(tube), texts),
        }
        for tube in flow.listed
    ]


def _by_tube(frame: pd.DataFrame, *leave: str) -> Callable[[str], pd.DataFrame]:
    """Return a function that gives the rows of a tube, without the columns ``leave``."""
    shown = frame.drop(columns=list(leave))
    groups = frame.groupby("tube", sort=False).indices
    return lambda tube: shown.iloc[groups.get(tube, [])]


def _percent(frame: pd.DataFrame) -> pd.Series[Any]:
    parent = frame["parent_events"]
    share = 100 * frame["events"] / parent.where(parent > 0)
    return share.astype("float64")


def _difference(gates: pd.DataFrame) -> pd.Series[Any]:
    """Difference of our count from FlowJo's, % of FlowJo's."""
    vendor = gates["vendor_events"]
    share = 100 * (gates["events"] - vendor) / vendor.where(vendor > 0)
    return share.astype("float64")


def acquisition_picture(bins: pd.DataFrame, texts: Texts, most: int = MOST_STRETCHES) -> dict[str, Any]:
    """Make the line of the flow rate, and the stretches that were left out.

    Parameters
    ----------
    bins
        Rows of ``flow_acquisition`` of one tube.
    texts
        Where every text goes.
    most
        Neighbours are joined until no more points than this are left; their rate is
        events / time over all of them.

    Returns
    -------
    dict
        ``start``, ``end`` and ``rate`` of each point (rate None without a clock);
        ``out``, columns start, end, events, reason of what was left out, neighbours
        joined.
    """
    if bins.empty:
        return {
            "start": [],
            "end": [],
            "rate": [],
            "out": {k: [] for k in ("start", "end", "events", "reason")},
        }
    bins = bins.sort_values("bin", kind="stable")
    start, end = (bins[c].to_numpy(dtype=float) for c in ("start_s", "end_s"))
    events, rates = bins["events"].to_numpy(dtype=int), bins["rate"].to_numpy(dtype=float)
    reason = bins["reason"].fillna("").to_numpy(dtype=object)
    left_out = ~bins["kept"].to_numpy(dtype=bool)

    each = -(-len(bins) // most)
    first = np.arange(0, len(bins), each)
    last = np.append(first[1:], len(bins)) - 1
    time = end[last] - start[first]
    known = np.isfinite(rates[first]) & (time > 0)
    rate = np.add.reduceat(events, first) / np.where(known, time, np.nan)

    begin = np.flatnonzero(np.append(True, left_out[1:] != left_out[:-1]))
    stop = np.append(begin[1:], len(bins)) - 1
    total = np.add.reduceat(events, begin)
    out = left_out[begin]
    return {
        "start": numbers(start[first], 8),
        "end": numbers(end[last], 8),
        "rate": numbers(rate, 4),
        "out": {
            "start": numbers(start[begin[out]], 8),
            "end": numbers(end[stop[out]], 8),
            "events": numbers(total[out]),
            "reason": [
                texts.place(_why(reason[a : b + 1])) for a, b in zip(begin[out], stop[out], strict=True)
            ],
        },
    }


def _why(reasons: Iterable[str]) -> str:
    """Say what was off in neighbouring stretches.

    >>> _why(["rate; FSC-A", "rate", "CD3; FSC-A"])
    'flow rate; signal of FSC-A, CD3'
    """
    parts = dict.fromkeys(part for reason in reasons for part in reason.split("; ") if part)
    channels = [part for part in parts if part != "rate"]
    said = ["flow rate"] if "rate" in parts else []
    return "; ".join(said + ([f"signal of {', '.join(channels)}"] if channels else []))


def pictures(plots: pd.DataFrame, texts: Texts) -> dict[str, Any]:
    """Pack the pictures of one tube: their densities as one deflated block, the rest as a list.

    Parameters
    ----------
    plots
        Rows of ``flow_plots`` of one tube.
    texts
        Where every text goes.

    Returns
    -------
    dict
        ``plots``: gate, labels, ranges, ticks and outlines of each picture, and ``at``,
        where its bytes begin in the block; ``densities``: base64 of the block (zlib).

    Raises
    ------
    TableError
        When a picture does not hold the bins that it says.
    """
    listed, block = [], bytearray()
    for row in plots.to_dict("records"):
        flat = pd.isna(row["y_label"])
        density = base64.b64decode(row["density"], validate=True)
        wanted = int(row["bins"]) ** (1 if flat else 2)
        if len(density) != wanted:
            raise TableError(
                f"flow_plots: tube {row['tube']}, gate {row['gate']}: the density has {len(density)} bytes, and its "
                f"{row['bins']} bins need {wanted}"
            )
        # Gates of one parent on the same axes have the same density.
        at = block.find(density)
        if at < 0:
            at = len(block)
            block += density
        listed.append(
            {
                "gate": texts.place(str(row["gate"])),
                "x": redact_dates(str(row["x_label"])),
                "y": None if flat else redact_dates(str(row["y_label"])),
                "xr": [_short(row["x_low"]), _short(row["x_high"])],
                "yr": None if flat else [_short(row["y_low"]), _short(row["y_high"])],
                "bins": int(row["bins"]),
                "at": at,
                "fullest": int(row["fullest"]),
                "outline": _outlines(row["outline"]),
                "xt": _ticks(row["x_ticks"]),
                "yt": [] if flat else _ticks(row["y_ticks"]),
            }
        )
    return {"plots": listed, "densities": base64.b64encode(zlib.compress(bytes(block), 9)).decode()}


def _short(x: float) -> float:
    """Five digits: a picture shows no more."""
    return float(f"{x:.5g}")


def _outlines(cell: Any) -> list[list[list[float | None]]]:
    if pd.isna(cell):
        return []
    return [
        [[None if x is None else _short(x) for x in corner] for corner in outline]
        for outline in json.loads(cell)
    ]


def _ticks(cell: Any) -> list[list[Any]]:
    if pd.isna(cell):
        return []
    return [[_short(place), redact_dates(str(label))] for place, label in json.loads(cell)]
