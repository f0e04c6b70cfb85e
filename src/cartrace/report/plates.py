"""What the plate pages show: each plate's tables, the band of its curve, its droplets; repeats and control charts.

A page is drawn from the tables of its own plate alone, so they travel apart, and a
column that is the same in every row (an empty one, most often) as one value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from cartrace.pcr.tables import CONTROLS, CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.problems import redact_dates
from cartrace.report.packing import Columns, Texts, columns, numbers
from cartrace.report.plate_words import FLAGS, METHODS, TASKS, WESTGARD, WHOLE_PLATE, in_words
from cartrace.tables import empty

_WORST = ("not_used", "accepted", "flagged", "rejected")
_LEFT_OUT = {
    "wells": ("plate", "method"),
    "samples": ("plate", "source_sha256", "source_row", "infusion", "day", "visit", "assay", "method", "repeat"),
    "curves": ("plate",),
}  # fmt: skip
_REPEAT = ("plate", "sample", "target", "wells", "verdict", "flags", "repeat_reason", "s")


@dataclass(frozen=True, slots=True)
class PcrTables:
    """The tables of the PCR stage; each keeps the contract of ``cartrace.pcr.tables`` and may be empty."""

    wells: pd.DataFrame = field(default_factory=partial(empty, WELLS))
    curves: pd.DataFrame = field(default_factory=partial(empty, CURVES))
    samples: pd.DataFrame = field(default_factory=partial(empty, SAMPLES))
    droplets: pd.DataFrame = field(default_factory=partial(empty, DROPLETS))
    controls: pd.DataFrame = field(default_factory=partial(empty, CONTROLS))

    @property
    def plates(self) -> list[str]:
        """file_id of every plate, in the order of the tables."""
        found = pd.concat([self.wells["plate"], self.samples["plate"], self.controls["plate"]])
        return [str(p) for p in found.unique()]


def payload(
    pcr: PcrTables,
    subject_of_sample: Mapping[str, str],
    number_of: Mapping[str, int],
    confidence: float,
    texts: Texts,
    *,
    min_plates: int = 5,
) -> dict[str, Any] | None:
    """Bring the plates into the compact form that the page's script reads.

    Parameters
    ----------
    pcr
        Tables of the PCR stage.
    subject_of_sample
        sample_id to subject, for samples whose own row names no subject.
    number_of
        Subject to its number on the page.
    confidence
        Level of the band of a curve.
    texts
        Where every text goes.
    min_plates
        Plates before a control is judged.

    Returns
    -------
    dict or None
        Plain lists, numbers and strings; None without any plate.
    """
    if not pcr.plates:
        return None
    subject = subject_numbers(pcr.samples, subject_of_sample, number_of)
    samples = _in_words(pcr.samples).assign(s=subject)
    parts = {
        "wells": _by_plate(_in_words(pcr.wells)),
        "samples": _by_plate(samples),
        "curves": _by_plate(_in_words(pcr.curves)),
        "droplets": _by_plate(pcr.droplets),
    }
    listed = []
    for plate in pcr.plates:
        wells, rows = parts["wells"].get(plate, pcr.wells[:0]), parts["samples"].get(plate, samples[:0])
        curves = parts["curves"].get(plate, pcr.curves[:0])
        droplets = parts["droplets"].get(plate, pcr.droplets[:0])
        listed.append(
            {
                "id": redact_dates(plate),
                "assay": ", ".join(redact_dates(a) for a in rows["assay"].unique()),
                "method": ", ".join(
                    METHODS[m] for m in pd.concat([wells["method"], rows["method"]]).unique()
                ),
                "counts": sample_counts(rows),
                "repeats": int(rows["repeat"].fillna(value=False).sum()),
                "wells": compact(wells, texts, _LEFT_OUT["wells"], digits=6),
                "samples": compact(rows, texts, _LEFT_OUT["samples"]),
                "curves": compact(curves, texts, _LEFT_OUT["curves"]),
                "bands": [_band(row, wells, confidence) for row in curves.to_dict("records")],
                "droplets": [
                    {"target": texts.place(str(target)), **droplet_picture(group)}
                    for target, group in droplets.groupby("target", sort=False)
                ],
            }
        )
    repeats = samples.loc[samples["repeat"].fillna(value=False).astype(bool), list(_REPEAT)]
    controls = pcr.controls.sort_values(["assay", "target", "control", "quantity", "order"], kind="stable")
    broken = controls["rules"].map(partial(in_words, words=WESTGARD), na_action="ignore")
    return {
        "plates": listed,
        "repeats": columns(repeats, texts),
        "controls": columns(controls.assign(rules_in_words=broken), texts),
        "tasks": TASKS,
        "confidence": confidence,
        "min_plates": min_plates,
        "whole": WHOLE_PLATE,
    }


def subject_numbers(
    samples: pd.DataFrame, subject_of_sample: Mapping[str, str], number_of: Mapping[str, int]
) -> pd.Series[int]:
    """Return the number of each sample's subject on the page; -1 where nobody says whose it is."""
    named = samples["sample_id"].map(subject_of_sample).astype("string")
    return samples["subject_id"].fillna(named).map(number_of).fillna(-1).astype(int)


def _by_plate(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {str(plate): rows for plate, rows in frame.groupby("plate", sort=False)}


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    said = frame["flags"].map(partial(in_words, words=FLAGS), na_action="ignore")
    # Without any flag pandas 3 leaves a column of no type.
    return frame.assign(flags=said.astype("string"))


def compact(frame: pd.DataFrame, texts: Texts, leave: Iterable[str], digits: int = 9) -> dict[str, Any]:
    """Give a table as columns; a column that is the same in every row as that one value, and the number of rows."""
    listed: Columns = columns(frame, texts, leave, digits)
    return {
        "rows": len(frame),
        **{name: values[0] if len(set(values)) == 1 else values for name, values in listed.items()},
    }


def sample_counts(samples: pd.DataFrame) -> dict[str, int]:
    """Count the samples of a plate by their worst verdict over the targets that are reported.

    Controls and reference genes are no results of their own: they act through the
    acceptance rules on the transgene's verdict.
    """
    reported = samples[(samples["task"] == "unknown") & (samples["role"] == "transgene")]
    worst = reported["verdict"].map(_WORST.index).astype(int).groupby(reported["sample"]).max()
    return {word: int((worst == place).sum()) for place, word in enumerate(_WORST)}


def prediction_band(
    curve: Mapping[str, Any], log10_copies: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper Cq between which one new well of known copies is expected.

    fit -+ t(n - 2) s sqrt(1 + 1/n + (x - mean)^2 / Sxx), the prediction interval of
    simple linear regression (Draper and Smith 1998, 3.1).

    Parameters
    ----------
    curve
        A row of ``pcr_curves``, fitted to the plate's own standards without weights.
    log10_copies
        Where to evaluate, log10 copies per reaction, any shape.
    confidence
        Level, such as 0.95.

    Returns
    -------
    tuple of arrays
        Cq, of the shape of ``log10_copies``.
    """
    from scipy.special import stdtrit

    n = int(curve["n_used"])
    fit = curve["intercept"] + curve["slope"] * log10_copies
    spread = np.sqrt(1 + 1 / n + (log10_copies - curve["mean_log10"]) ** 2 / curve["sxx"])
    half = stdtrit(n - 2, (1 + confidence) / 2) * curve["residual_sd"] * spread
    return fit - half, fit + half


def _band(curve: Mapping[Any, Any], wells: pd.DataFrame, confidence: float) -> Columns | None:
    """Line and band over the range of the standards and of the wells that are read from the curve."""
    line = [curve[k] for k in ("slope", "intercept")]
    copies = wells.loc[wells["target"] == curve["target"], ["nominal", "copies"]].to_numpy(dtype=float)
    seen = [float(x) for x in (*copies.ravel(), curve["lowest"], curve["highest"]) if x > 0]
    if not seen or not np.isfinite(line).all():
        return None
    x = np.linspace(math.log10(min(seen)), math.log10(max(seen)), 15)
    out: Columns = {"x": numbers(10**x, 6), "fit": numbers(curve["intercept"] + curve["slope"] * x, 6)}
    # With weights the scatter differs from level to level, and a stored curve's from plate to plate;
    # the table does not keep by how much.
    known = [curve[k] for k in ("residual_sd", "mean_log10", "sxx")]
    if (
        curve["source"] == "plate"
        and curve["weighting"] == "none"
        and np.isfinite(known).all()
        and curve["sxx"] > 0
        and curve["n_used"] > 2
    ):
        low, high = prediction_band(curve, x, confidence)
        out |= {"low": numbers(low, 6), "high": numbers(high, 6)}
    return out


def droplet_picture(bins: pd.DataFrame, most: int = 120) -> dict[str, Any]:
    """Put the bins of one target's wells on one common grid of amplitudes.

    Parameters
    ----------
    bins
        Rows of ``pcr_droplets`` of one plate and target.
    most
        The edges of the bins are kept where they are no more than this; else the
        range is cut into so many equal steps, and a bin counts where its middle is.

    Returns
    -------
    dict
        ``wells`` and their ``thresholds``; ``edges`` of the grid; ``counts``, one
        list of partitions for each step of the grid, one number for each well.
    """
    low, high = bins["low"].to_numpy(dtype=float), bins["high"].to_numpy(dtype=float)
    edges = np.unique(np.concatenate([low, high]))
    if len(edges) > most + 1:
        edges = np.linspace(edges[0], edges[-1], most + 1)
    wells = bins["well"].unique().tolist()
    counts = np.zeros((len(edges) - 1, len(wells)), dtype=int)
    step = np.clip(np.searchsorted(edges, (low + high) / 2, side="right") - 1, 0, len(edges) - 2)
    np.add.at(counts, (step, pd.Index(wells).get_indexer(bins["well"])), bins["count"].to_numpy(dtype=int))
    thresholds = bins.groupby("well", sort=False)["threshold"].first()
    return {
        "wells": [redact_dates(str(w)) for w in wells],
        "thresholds": numbers(thresholds.reindex(wells), 6),
        "edges": numbers(edges, 6),
        "counts": counts.tolist(),
    }
