"""Flow tubes in the contracts of cartrace.flow.tables: what the tube pages are drawn from in the tests.

T01 is a sample tube with every kind of gate, T02 one with a gate that could not be set and a
rejected population, T03 an FMO tube; T04 has no clock, FlowJo's counts and no picture.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from tests.unit.report.full_trial import full_trial

from cartrace import tables
from cartrace.flow.plots import Axis, Outline, picture
from cartrace.flow.tables import ACQUISITION, BACKGROUND, GATES, PLOTS, POPULATIONS, THRESHOLDS, TUBES
from cartrace.report.page import ReportData
from cartrace.report.tubes import FlowTables

SHA = "0" * 64
HASH = "ab20210304" + "c" * 54
"""A hash that reads as a date in one place: it has to stay whole."""
SCATTER = {name: Axis(name, None, 262_144) for name in ("FSC-A", "FSC-H", "SSC-A")}


def scale(values: Any) -> Any:
    """asinh on 0 to 1, near what a logicle scale does."""
    return (np.arcsinh(np.asarray(values, dtype=float) / 150) / np.arcsinh(262_144 / 150) + 0.1) / 1.1


def stain(name: str) -> Axis:
    return Axis(name, scale, 262_144)


def tube(name: str, **more: Any) -> dict[str, Any]:
    """One accepted sample tube: 40,000 events, of which 1,000 were unstable and 200 at a margin."""
    return {
        "tube": name, "panel": "mappings/tcell_panel.yaml", "assay": "flow", "kind": "sample", "batch": "B1", "controls": "T03",
        "fcs_version": "FCS3.1", "data_set": 1, "n_channels": 14, "events": 40_000, "unstable_events": 1_000, "margin_events": 200,
        "gated_events": 38_800, "duration_s": 82.0, "kept_time_share": 0.96, "volume_ul": 60.0, "compensation": "file",
        "over_compensation": 0.01, "under_compensation": 0.02, "gates_sha256": HASH, "review": "missing", "verdict": "accepted",
        "source_sha256": SHA,
    } | more  # fmt: skip


def gate(
    name: str, path: str, order: int, events: int | None, parent: int | None, **more: Any
) -> dict[str, Any]:
    """One gate of a tube; its exact interval is left to +-10 %."""
    above = path.rpartition(" / ")
    share = None if events is None or not parent else 100 * events / parent
    return {
        "tube": name, "gate": path, "name": above[2], "parent": above[0] or None, "order": order, "kind": "threshold",
        "events": events, "parent_events": parent, "percent_of_parent": share,
        "lower": None if share is None else 0.9 * share, "upper": None if share is None else 1.1 * share,
    } | more  # fmt: skip


def population(name: str, what: str, **more: Any) -> dict[str, Any]:
    """CD3+ cells of a sample tube: 12,000 of 30,000 events, 1,200 cells/uL by beads."""
    return {
        "tube": name, "population": what, "analyte": "t_cells", "assay": "flow", "gate": "Cells / Lymphocytes / CD3+",
        "of": "Cells / Lymphocytes", "events": 12_000, "of_events": 30_000, "percent": 40.0, "percent_lower": 39.4,
        "percent_upper": 40.6, "cells_per_ul": 1200.0, "cells_per_ul_lower": 1150.0, "cells_per_ul_upper": 1250.0,
        "count_method": "beads", "cells_per_ul_beads": 1200.0, "cells_per_ul_volume": 1130.0, "background_percent": 0.01,
        "background_events": 3.0, "background_source": "T03", "lob_events": 6.0, "lod_events": 20.0, "lloq_events": 50.0,
        "lod_percent": 0.0667, "lloq_percent": 0.167, "lod_cells_per_ul": 2.0, "lloq_cells_per_ul": 5.0,
        "detection": "quantified", "verdict": "accepted", "source_sha256": SHA,
    } | more  # fmt: skip


CELLS = "Cells / Lymphocytes"
CD3 = f"{CELLS} / CD3+"


def cloud(seed: int, n: int, *peaks: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Events of some peaks (share, x, y, spread) on linear scales."""
    rng = np.random.default_rng(seed)
    which = rng.choice(len(peaks), n, p=[p[0] for p in peaks])
    _, x, y, spread = np.array(peaks).T
    return rng.normal(x[which], spread[which] * x[which]), rng.normal(y[which], spread[which] * y[which])


def plots_of(name: str, seed: int = 1, n: int = 20_000) -> list[dict[str, Any]]:
    """Pictures of the gates of T01: a scatter ellipse, singlets, a histogram, four that share their events."""
    scatter = cloud(
        seed, n, (0.3, 30_000, 20_000, 0.5), (0.6, 90_000, 30_000, 0.12), (0.1, 130_000, 120_000, 0.2)
    )
    angle = np.linspace(0, 2 * np.pi, 72)
    ellipse = tuple(zip(90_000 + 32_000 * np.cos(angle), 30_000 + 12_000 * np.sin(angle), strict=True))
    area, _ = cloud(seed + 1, n, (0.9, 90_000, 1, 0.15), (0.1, 170_000, 1, 0.1))
    height = 0.8 * area * np.random.default_rng(seed).normal(1, 0.03, n)
    band = ((0.0, 0.0), (250_000.0, 180_000.0), (250_000.0, 230_000.0), (0.0, 10_000.0))
    cd3, cd4 = cloud(seed + 2, n, (0.4, 150, 200, 1.5), (0.35, 9_000, 15_000, 0.5), (0.25, 9_000, 150, 0.8))
    _, car = cloud(seed + 3, n, (0.96, 1, 80, 2.0), (0.04, 1, 6_000, 0.6))
    drawn = scale(cd3), scale(cd4), scale(car)
    at = float(scale(2_000))
    axes = (stain("CD4"), stain("CD8"))
    pictures: dict[str, Any] = {
        "Cells": picture(scatter, (SCATTER["FSC-A"], SCATTER["SSC-A"]), Outline(corners=(ellipse,))),
        CELLS: picture((area, height), (SCATTER["FSC-A"], SCATTER["FSC-H"]), Outline(corners=(band,))),
        CD3: picture(drawn[:1], (stain("CD3"),), Outline(bounds=((at, None),))),
        f"{CD3} / CAR+": picture((drawn[0], drawn[2]), (stain("CD3"), stain("CAR")), Outline(bounds=((None, None), (at, None)))),
    }  # fmt: skip
    for quadrant, bounds in {
        "CD4+": ((at, None), (None, at)),
        "CD8+": ((None, at), (at, None)),
        "double negative": ((None, at), (None, at)),
        "double positive": ((at, None), (at, None)),
    }.items():
        pictures[f"{CD3} / {quadrant}"] = picture(drawn[:2], axes, Outline(bounds=bounds))
    return [{"tube": name, "gate": path, **row} for path, row in pictures.items()]


def gates_of(name: str) -> list[dict[str, Any]]:
    return [
        gate(name, "Cells", 1, 31_000, 38_800, kind="scatter", dimensions="FSC-A;SSC-A"),
        gate(name, CELLS, 2, 30_000, 31_000, kind="singlets", dimensions="FSC-A;FSC-H"),
        gate(name, CD3, 3, 12_000, 30_000, dimensions="CD3"),
        gate(name, f"{CD3} / CD4+", 4, 7_000, 12_000),
        gate(name, f"{CD3} / CD8+", 5, 4_000, 12_000),
        gate(name, f"{CD3} / double negative", 6, 900, 12_000),
        gate(name, f"{CD3} / double positive", 7, 100, 12_000),
        gate(name, f"{CD3} / CAR+", 8, 480, 12_000),
        gate(name, f"{CD3} / not CAR+", 9, 11_520, 12_000, kind="boolean"),
    ]


def stretches(name: str, n: int = 40, *, clock: bool = True) -> list[dict[str, Any]]:
    """Stretches of 2 s and 1,000 events; the 11th and 12th were left out (rate, then CD3 too), the last for two channels."""
    rows = []
    for k in range(n):
        out = {10: "rate", 11: "rate; CD3-A", n - 1: "CD3-A; CD4-A"}.get(k)
        events = 400 if k in {10, 11} else 1_000 + 20 * (k % 3)
        start, end = (2.0 * k, 2.0 * (k + 1)) if clock else (1000.0 * k, 1000.0 * (k + 1))
        rows.append({"tube": name, "bin": k + 1, "start_s": start, "end_s": end, "events": events, "rate": events / 2 if clock else None, "kept": out is None, "reason": out})  # fmt: skip
    return rows


def threshold(name: str, marker: str, **more: Any) -> dict[str, Any]:
    return {
        "tube": name, "threshold": marker, "marker": marker, "channel": f"{marker}-A", "population": CELLS, "method": "fmo",
        "control": "T03", "n_events": 9_000, "value": 2_000.0, "scaled": 0.5,
    } | more  # fmt: skip


def flow_tables(hostile: str = "") -> FlowTables:
    """Build the four tubes of this module."""
    rejected = {
        "verdict": "rejected",
        "detection": None,
        "cells_per_ul": None,
        "percent": None,
        "events": None,
    }
    tubes = [
        tube("T01", sample_id="P01|blood|d14", review="accepted", reviewer_remark=f"fine{hostile}"),
        tube("T02", sample_id=f"P02_d14{hostile}", verdict="flagged", flags="removed_percent;odd_rule", reason=f"Too much was left out{hostile}.", review="changed"),
        tube("T03", kind="fmo", marker=f"CAR{hostile}", controls=None, verdict="control", review="not_asked"),
        tube("T04", panel="mappings/b_cells.yaml", kind="sample", sample_id="P03_d28", controls=None, duration_s=None, volume_ul=None, unstable_events=0, margin_events=0, gated_events=40_000, over_compensation=None, under_compensation=None, compensation="gates", bead_events=5_000, verdict="rejected", flags="pre_infusion_car_percent", review="not_asked"),
    ]  # fmt: skip
    unset = [
        gate("T02", "Cells", 1, 31_000, 38_800, kind="scatter"),
        gate(
            "T02",
            f"Cells / CAR+{hostile}",
            2,
            None,
            31_000,
            reason=f"no threshold{hostile}: the FMO has 12 events",
        ),
    ]
    vendor = [
        gate("T04", "Lymphocytes", 1, 20_000, 40_000, kind="polygon", vendor_events=20_040),
        gate(
            "T04",
            "Lymphocytes / CD19+",
            2,
            0,
            20_000,
            kind="rectangle",
            vendor_events=0,
            lower=0.0,
            upper=0.018,
        ),
    ]
    second = plots_of("T02", 7)[0]
    labelled = {**second, "gate": f"Cells / CAR+{hostile}", "x_label": f"CAR{hostile}", "outline": "[]"}
    populations = [
        population("T01", "T cells", subject_id="P01", sample_id="P01|blood|d14", matrix="blood", infusion=1, day=14.0, visit="D14"),
        population("T01", "CAR+ T cells", analyte="car_t_cells", subject_id="P01", infusion=1, day=14.0, gate=f"{CD3} / CAR+", of=CD3, events=30, of_events=12_000, percent=0.25, percent_lower=0.17, percent_upper=0.36, cells_per_ul=3.0, cells_per_ul_lower=2.0, cells_per_ul_upper=4.3, detection="BLQ", verdict="flagged", flags="no_review"),
        population("T01", "Plasmablasts", analyte=None, subject_id="P01", infusion=1, day=14.0, events=2, percent=0.0067, cells_per_ul=0.2, detection="BLD", lod_percent=None, verdict="accepted"),
        population("T02", f"CAR+{hostile}", subject_id="P02", infusion=1, day=14.0, reason=f"gate CAR+{hostile} could not be set", flags="gate_not_estimable", **rejected),
        population("T02", "T cells", subject_id="P02", infusion=1, day=14.0, verdict="rejected", flags="count_agreement"),
        population("T03", "T cells", verdict="control", detection=None, cells_per_ul=None, count_method=None),
    ]  # fmt: skip
    return FlowTables(
        tubes=tables.rows(tubes, TUBES),
        gates=tables.rows([*gates_of("T01"), *unset, *gates_of("T03"), *vendor], GATES),
        thresholds=tables.rows(
            [
                threshold("T01", "CD3", method="valley", control=None),
                threshold("T01", "CAR"),
                threshold("T02", "CAR", method=None, control=None, n_events=None, value=None, scaled=None, reason=f"the FMO has 12 events{hostile}"),
                threshold("T03", "CD3", method="valley", control=None),
            ],
            THRESHOLDS,
        ),
        background=tables.rows(
            [{"tube": "T01", "gate": f"{CD3} / CAR+", "control": "T03", "control_kind": "fmo", "control_marker": f"CAR{hostile}", "events": 3, "parent_events": 12_000}],
            BACKGROUND,
        ),
        acquisition=tables.rows([*stretches("T01"), *stretches("T02", 600), *stretches("T04", clock=False)], ACQUISITION),
        plots=tables.rows([*plots_of("T01"), second, labelled, *plots_of("T03", 5)], PLOTS),
        populations=tables.rows(populations, POPULATIONS),
    )  # fmt: skip


def tube_trial(patients: int = 12, hostile: str = "") -> ReportData:
    """The full trial with the four tubes, and findings that point at them."""
    base = full_trial(patients, hostile=hostile)
    findings = [
        {"check": "removed_percent", "verdict": "warn", "source_file": "T02", "value": "43", "limit": "<= 30", "message": f"43 % of the events were left out{hostile}."},
        {"check": "flowjo_difference_percent", "verdict": "pass", "source_file": "T04", "message": "As FlowJo counts."},
    ]  # fmt: skip
    qc = tables.concat([base.qc, tables.rows(findings, tables.QC)], tables.QC)
    return dataclasses.replace(base, qc=qc, flow=flow_tables(hostile))
