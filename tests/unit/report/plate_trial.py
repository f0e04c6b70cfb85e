"""PCR plates in the contracts of cartrace.pcr.tables: what the plate pages are drawn from in the tests.

Q01 is a qPCR plate with a curve, a rejected sample and a duplex target; D01 a digital
plate with droplets; P01 to P12 give the control chart, with a 1_3s violation on P12.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from tests.unit.report.full_trial import full_trial

from cartrace import tables
from cartrace.pcr.tables import CONTROLS, CURVES, DROPLETS, SAMPLES, WELLS
from cartrace.report.page import ReportData
from cartrace.report.plates import PcrTables

SHA = "0" * 64
SLOPE, INTERCEPT = -3.32, 38.0
MIXED = 0.1


def well(plate: str, name: str, **more: Any) -> dict[str, Any]:
    """One accepted well of an unknown; qPCR unless said otherwise."""
    return {
        "plate": plate,
        "well": name,
        "target": "CAR",
        "role": "transgene",
        "method": "qpcr",
        "task": "unknown",
        "cq_kind": "quantified",
        "verdict": "accepted",
        "source_row": 40,
    } | more


def read_from_curve(cq: float) -> float:
    return float(10 ** ((cq - INTERCEPT) / SLOPE))


def curve_wells(plate: str) -> list[dict[str, Any]]:
    """Five levels in duplicate; the residuals are +0.1 and -0.1 at every level."""
    rows = []
    for level in range(1, 6):
        for j, off in enumerate((MIXED, -MIXED)):
            cq = INTERCEPT + SLOPE * level + off
            rows.append(
                well(
                    plate,
                    f"{'AB'[j]}{level:02d}",
                    task="standard",
                    sample_name=f"S{level}",
                    cq=cq,
                    nominal=10.0**level,
                    copies=read_from_curve(cq),
                    residual=off,
                    recovery_percent=100 * read_from_curve(cq) / 10.0**level,
                )
            )
    return rows


def curve(plate: str, **more: Any) -> dict[str, Any]:
    """The line of :func:`curve_wells`: n = 10, mean 3, Sxx = 20, s = sqrt(10 x 0.01 / 8)."""
    return {
        "plate": plate, "target": "CAR", "source": "plate", "n_standards": 10, "n_used": 10, "n_levels": 5,
        "slope": SLOPE, "slope_lower": -3.4, "slope_upper": -3.24, "intercept": INTERCEPT, "intercept_lower": 37.8, "intercept_upper": 38.2,
        "r2": 0.9991, "efficiency_percent": 100 * (10 ** (-1 / SLOPE) - 1), "efficiency_lower": 96.0, "efficiency_upper": 104.0,
        "residual_sd": math.sqrt(0.1 / 8), "mean_log10": 3.0, "sxx": 20.0, "weighting": "none", "lowest": 10.0, "highest": 1e5,
        "vendor_slope": -3.32, "vendor_intercept": 38.0, "vendor_r2": 0.9991, "verdict": "accepted",
    } | more  # fmt: skip


def sample(plate: str, name: str, **more: Any) -> dict[str, Any]:
    """One accepted result of a patient's sample by qPCR."""
    return {
        "plate": plate, "sample": name, "target": "CAR", "role": "transgene", "analyte": "transgene", "assay": "qpcr", "method": "qpcr",
        "task": "unknown", "wells": "C01, C02", "n_wells": 2, "n_used": 2, "lod": 5.0, "lloq": 10.0, "detection": "quantified",
        "verdict": "accepted", "repeat": False, "source_row": 40, "source_sha256": SHA,
    } | more  # fmt: skip


def q01(hostile: str = "") -> PcrTables:
    """A curve plate: P01 quantified, P02 not detected, P03 rejected (replicates), a dirty NTC, an omitted well."""
    wells = curve_wells("Q01")
    for k, (name, cqs) in enumerate({"P01_d14": (26.0, 26.1), "P02_d14": (None, None), "P03_d14": (27.0, 29.5)}.items()):  # fmt: skip
        for j, cq in enumerate(cqs):
            bad = {"verdict": "rejected", "flags": "replicate_cq_sd"} if k == 2 else {}
            seen = (
                {"cq": cq, "copies": read_from_curve(cq)}
                if cq
                else {"cq_kind": "undetermined", "copies": 0.0}
            )
            named = {"sample": name, "sample_name": f"{name}{hostile}"}
            wells.append(well("Q01", f"C{2 * k + j + 1:02d}", **named, **seen, **bad))
            wells.append(well("Q01", f"C{2 * k + j + 1:02d}", **named, target="IPC", role="inhibition_control", cq=24.0, reporter="VIC"))  # fmt: skip
    wells += [
        well("Q01", "H01", task="ntc", sample_name="NTC", cq=33.5, copies=read_from_curve(33.5), verdict="flagged", flags="ntc_cq_margin"),
        well("Q01", "H02", task="ntc", sample_name="NTC", cq_kind="undetermined"),
        well("Q01", "H12", sample="P01_d14", cq=31.0, copies=read_from_curve(31.0), verdict="not_used", exclusion="omitted", flags="omitted"),
        well("Q01", "17", sample="P04_d14", cq=26.0, copies=read_from_curve(26.0)),
    ]  # fmt: skip
    units = {"copies_per_ug": 25_000.0, "copies_per_ug_lower": 21_000.0, "copies_per_ug_upper": 30_000.0, "copies_per_cell": 0.165}  # fmt: skip
    samples = [
        sample("Q01", "P01_d14", subject_id="P01", cq_mean=26.05, cq_sd=0.07, copies=4000.0, lower=3500.0, upper=4600.0, **units),
        sample("Q01", "P02_d14", wells="C03, C04", copies=0.0, lower=0.0, upper=3.0, detection="BLD", copies_per_ug=0.0),
        sample("Q01", f"P03_d14{hostile}", sample_id="P03|blood|d14", wells="C05, C06", cq_mean=28.25, cq_sd=1.77, copies=1200.0, verdict="rejected", flags="replicate_cq_sd;odd_rule", repeat=True, repeat_reason="The two wells differ by 2.5 Cq: pipette again in triplicate."),
        sample("Q01", "P01_d14", subject_id="P01", target="IPC", role="inhibition_control", detection=None, verdict="accepted"),
        sample("Q01", "NTC", task="ntc", wells="H01, H02", detection=None, verdict="flagged", flags="ntc_cq_margin"),
    ]  # fmt: skip
    return PcrTables(
        wells=tables.rows(wells, WELLS),
        curves=tables.rows([curve("Q01")], CURVES),
        samples=tables.rows(samples, SAMPLES),
    )


def d01(n: int = 8) -> PcrTables:
    """A digital plate: duplicates of n / 2 samples, the last well short of droplets; droplets of one channel."""
    wells, droplets = [], []
    for k in range(n):
        low = k == n - 1
        partitions, positives = (4000 if low else 16_000), (0 if k < 2 else 40 * k)
        share = -math.log(1 - positives / partitions)
        name = f"{'ABCDEFGH'[k // 12]}{k % 12 + 1:02d}"
        wells.append(
            well(
                "D01",
                name,
                method="dpcr",
                cq_kind="missing",
                sample=f"P{k // 2 + 5:02d}_d28",
                partitions=partitions,
                positives=positives,
                copies_per_partition=share,
                copies=share / 0.85e-3 * 20,
                partition_volume_nl=0.85,
                implied_volume_nl=0.91 if k == 3 else 0.85,
                threshold=4000.0,
                verdict="rejected" if low else "accepted",
                flags="partitions" if low else None,
            )
        )
        for step in range(60):
            count = sum(
                round(size * math.exp(-((step - middle) ** 2) / 8) / 5)
                for size, middle in ((partitions - positives, 15), (positives, 45))
            )
            edges = {"low": 150.0 * step, "high": 150.0 * (step + 1)}
            droplets.append(
                {"plate": "D01", "well": name, "target": "CAR", "count": count, "threshold": 4000.0} | edges
            )
    samples = [
        sample("D01", f"P{k + 5:02d}_d28", subject_id=f"P{k + 5:02d}", assay="ddpcr", method="dpcr", wells=f"A{2 * k + 1:02d}, A{2 * k + 2:02d}", copies=90.0 * k, lower=80.0 * k, upper=100.0 * k, partitions=32_000, positives=80 * k, detection="quantified" if k else "BLQ")
        for k in range(n // 2)
    ]  # fmt: skip
    return PcrTables(
        wells=tables.rows(wells, WELLS),
        samples=tables.rows(samples, SAMPLES),
        droplets=tables.rows(droplets, DROPLETS),
    )


def charts(n: int = 12) -> PcrTables:
    """A positive control and the slope over n plates; the last plate breaks 1_3s."""
    rows = []
    for k in range(n):
        last = k == n - 1
        for control, quantity, centre, sd in (
            ("PC", "log10 copies", 4.0, 0.05),
            ("slope", "slope", -3.32, 0.02),
        ):
            z = 3.6 if last and control == "PC" else (-1) ** k * 0.8
            known = k >= 5
            broken = last and control == "PC"
            rows.append(
                {
                    "plate": f"P{k + 1:02d}",
                    "order": k + 1,
                    "assay": "qpcr",
                    "target": "CAR",
                    "control": control,
                    "quantity": quantity,
                    "value": centre + z * sd,
                    "n": k,
                    "centre": centre if known else None,
                    "sd": sd if known else None,
                    "z": z if known else None,
                    **{f"limit_{m}s": m * sd if known else None for m in (1, 2, 3)},
                    "rules": "1_2s;1_3s" if broken else None,
                    "verdict": "fail" if broken else "pass" if known else "note",
                }
            )
    return PcrTables(
        wells=tables.rows([w for k in range(n) for w in curve_wells(f"P{k + 1:02d}")], WELLS),
        curves=tables.rows([curve(f"P{k + 1:02d}") for k in range(n)], CURVES),
        controls=tables.rows(rows, CONTROLS),
    )


def together(*parts: PcrTables) -> PcrTables:
    """Put plates of several parts into one set of tables."""
    names = {"wells": WELLS, "curves": CURVES, "samples": SAMPLES, "droplets": DROPLETS, "controls": CONTROLS}
    return PcrTables(**{n: tables.concat([getattr(p, n) for p in parts], t) for n, t in names.items()})


def plate_trial(patients: int = 12, hostile: str = "") -> ReportData:
    """The full trial with the three sets of plates, and findings that point at them."""
    base = full_trial(patients, hostile=hostile)
    findings = [
        {"check": "replicate_cq_sd", "verdict": "warn", "source_file": "Q01", "source_row": 44, "source_column": "CT", "subject_id": base.subjects["subject_id"][2], "value": "1.77", "limit": "0.5", "message": f"Sample P03_d14: the wells differ{hostile}."},
        {"check": "ntc_cq_margin", "verdict": "note", "source_file": "Q01", "message": "A no-template control amplified."},
    ]  # fmt: skip
    qc = tables.concat([base.qc, tables.rows(findings, tables.QC)], tables.QC)
    return dataclasses.replace(base, qc=qc, pcr=together(q01(hostile), d01(), charts()))
