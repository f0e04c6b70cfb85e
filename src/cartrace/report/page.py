"""The report: one HTML file that opens without a network.

Everything is in the file: the tables once, as JSON; plotly.js; our own script,
which draws a page when it is opened. A content security policy in the file
allows these two scripts by their hashes and no request at all, so hostile text
in a laboratory's cell can neither run nor call out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace import tables
from cartrace.analytes import ANALYTES
from cartrace.antibody.metrics import READ_OUT
from cartrace.depletion.masking import is_masked, mask
from cartrace.problems import redact_dates
from cartrace.report import clones, efficacy, figures, immunoassays, inbox, libraries, methods, plates, tubes
from cartrace.report.families import (
    EXAMINATION,
    FAMILIES,
    ON_DEMAND,
    SUBSETS,
    assay_label,
    course_label,
    family_of,
    matrix_label,
    readable,
)
from cartrace.report.packing import Columns, Texts, columns, number, numbers, text, unit_label
from cartrace.report.questions import Question, questions
from cartrace.report.safety import SafetyTables
from cartrace.report.safety import payload as safety_payload

if TYPE_CHECKING:
    from cartrace.config import Config
    from cartrace.metrics import Metric

DATA_FILES = ("templates/*",)
"""What this module reads besides Python (cartrace.provenance.sources)."""

_TEMPLATES = Path(__file__).parent / "templates"
PLAIN_BELOW = 10_000_000
"""Characters of data up to which they stand in the page as they are, for anybody to read. House value."""
_TYPE = ["matrix", "analyte", "assay", "unit"]
_COURSE = ["subject_id", "infusion", *_TYPE]

KEY_METRICS = (
    "cmax",
    "tmax",
    "auc_0_28",
    "half_life",
    "time_to_loss",
    "persistent_at_M3",
    "persistent_at_M6",
    "baseline",
    "nadir",
    "nadir_day",
    "percent_fall",
    "time_to_depletion",
    "depletion_duration",
    "time_to_reconstitution_threshold",
    "antibody_baseline",
    "antibody_nadir",
    "log2_fall",
    "time_to_fourfold_fall",
    "time_to_seronegative",
    "antibody_half_life",
    "score_baseline",
    "score_change_at_M3",
    "score_change_at_M6",
    "score_best_change",
    "time_to_sustained_improvement",
    "product_clones",
    "clones_found_at_M3",
    "clones_found_at_M6",
    "expanded_clones",
    "largest_clone_peak",
    "b_clones_returned",
    "old_b_clone_share_last",
    "naive_bcr_share_last",
    "largest_site_peak",
    "dominant_site",
)
"""The columns of the cohort table that are shown before the reader asks for more. A course has
the metrics of its own family only."""

_SCRIPTS = (
    "tools",
    "figures",
    "tables",
    "cohort",
    "panels",
    "patient",
    "quality",
    "plates",
    "plate",
    "immunoassay",
    "immunoassay_plate",
    "tubes",
    "tube",
    "gates",
    "libraries",
    "library",
    "clones",
    "sites",
    "safety",
    "efficacy",
    "inbox",
    "routes",
)


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything the report shows: the tables of a trial and what their metrics mean.

    Each frame keeps the contract of the same name in ``cartrace.tables``, those of ``pcr`` in
    ``cartrace.pcr.tables``, those of ``flow`` in ``cartrace.flow.tables``, those of ``immunoassay`` in
    ``cartrace.immunoassay.tables``, those of ``cells`` in ``cartrace.cells.tables``, those of ``clones`` in
    ``cartrace.repertoire.tables``.
    """

    measurements: pd.DataFrame
    metrics: pd.DataFrame
    qc: pd.DataFrame
    cohort_summary: pd.DataFrame
    survival: pd.DataFrame
    subjects: pd.DataFrame
    infusions: pd.DataFrame
    events: pd.DataFrame = field(default_factory=partial(tables.empty, tables.EVENTS))
    episodes: pd.DataFrame = field(default_factory=partial(tables.empty, tables.EPISODES))
    models: pd.DataFrame = field(default_factory=partial(tables.empty, tables.MODELS))
    antibody_means: pd.DataFrame = field(default_factory=partial(tables.empty, tables.ANTIBODY_MEANS))
    associations: pd.DataFrame = field(default_factory=partial(tables.empty, tables.ASSOCIATIONS))
    characteristics: pd.DataFrame = field(default_factory=partial(tables.empty, tables.CHARACTERISTICS))
    inbox: pd.DataFrame = field(default_factory=partial(tables.empty, tables.INBOX))
    pcr: plates.PcrTables = field(default_factory=plates.PcrTables)
    flow: tubes.FlowTables = field(default_factory=tubes.FlowTables)
    efficacy: efficacy.EfficacyTables = field(default_factory=efficacy.EfficacyTables)
    immunoassay: immunoassays.ImmunoassayTables = field(default_factory=immunoassays.ImmunoassayTables)
    cells: libraries.CellTables = field(default_factory=libraries.CellTables)
    clones: clones.CloneTables = field(default_factory=clones.CloneTables)
    safety: SafetyTables = field(default_factory=SafetyTables)
    registry: Mapping[str, Metric] = field(default_factory=dict)
    """Metric name to definition, as ``cartrace.registry.load_all`` gives."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Program to version, as ``cartrace.provenance.versions`` gives."""


def render(data: ReportData, config: Config) -> str:
    """Write the report as one HTML document.

    Parameters
    ----------
    data
        Tables, definitions and versions.
    config
        The configuration that ran; its rules become the methods page.

    Returns
    -------
    str
        A complete HTML document. It holds no calendar date and refers to
        nothing outside itself.
    """
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = [_script(get_plotlyjs()), _script(_own_script())]
    template = environment.get_template("report.html.j2")
    return template.render(
        title=redact_dates(config.trial.title),
        description=redact_dates(config.trial.description),
        policy=_policy(scripts),
        style=Markup(_read("report.css")),
        plotly=Markup(scripts[0]),
        script=Markup(scripts[1]),
        data=Markup(_embedded(_json(payload(data, config)))),
        has_plates=bool(data.pcr.plates or data.immunoassay.plates),
        has_tubes=bool(data.flow.listed),
        has_libraries=bool(data.cells.listed),
        has_clones=data.clones.listed,
        has_efficacy=data.efficacy.listed,
        has_safety=data.safety.listed,
        has_inbox=not data.inbox.empty,
        inbox_open=inbox.open_rows(data.inbox),
        sections=[
            (heading, redact_dates(text))
            for heading, text in methods.sections(
                config,
                data.versions,
                plates=bool(data.pcr.plates),
                panels=tubes.panels_used(data.flow),
                immunoassays=immunoassays.calibrations_used(data.immunoassay),
                cells=data.cells,
                clones=data.clones,
                safety=data.safety.standards if data.safety.listed else None,
                efficacy=data.efficacy.listed,
            )
        ],
        groups=_definitions(data),
        version=data.versions.get("cartrace", ""),
    )


def payload(data: ReportData, config: Config) -> dict[str, Any]:
    """Bring the tables into the compact form that the page's script reads.

    Columns instead of rows; every text is listed once in ``texts`` and named by
    its index (-1 for none); courses, subjects and metrics are named by index.

    Returns
    -------
    dict
        Plain lists, numbers and strings, ready for JSON.
    """
    texts = Texts()
    measurements = mask(data.measurements, data.events, config.depletion)
    measurements = measurements.rename_axis(None).reset_index(drop=True)
    metrics = data.metrics.rename(columns={"unit": "metric_unit", "course_unit": "unit"})
    subjects = _subject_ids(data)
    number_of = {s: i for i, s in enumerate(subjects)}
    types = _course_types(measurements, metrics)
    type_of = {t: i for i, t in enumerate(types)}
    courses = _courses(measurements, metrics, number_of, type_of)

    measurements = measurements.assign(
        kind=figures.kinds(measurements),
        position=figures.positions(measurements),
        top=figures.titre_tops(measurements, config.antibody),
        foot=figures.titre_feet(measurements),
        masked=is_masked(measurements),
    )
    measurements = _by_course(measurements, courses).sort_values(["course", "study_day"], kind="stable")
    names = _metric_names(metrics["metric"].unique().tolist(), data.registry)
    order = {n["name"]: i for i, n in enumerate(names)}
    metrics = _by_course(metrics, courses)
    metrics = metrics.assign(name=metrics["metric"].map(order).astype(int))
    metrics = metrics.sort_values(["course", "name"], kind="stable")
    cohort_of = dict(zip(data.subjects["subject_id"], data.subjects["cohort"], strict=True))
    pooled = figures.bins(config.visits)
    people = _subjects(data, measurements, subjects, config)
    last_day = {s: np.nan if p["end"] is None else p["end"] for s, p in zip(subjects, people, strict=True)}

    return {
        "title": redact_dates(config.trial.title),
        "subject_pages": config.report.subject_pages,
        "min_n": config.cohort.min_n,
        "by_visit": bool(config.visits),
        "counts": _counts(data, subjects),
        "subjects": people,
        "types": [_type_label(t, measurements) for t in types],
        "families": [list(f) for f in FAMILIES],
        "courses": _course_list(courses, measurements, metrics),
        "points": _points(measurements, texts),
        "medians": _medians(measurements, types, cohort_of, pooled, config.cohort.min_n),
        "spans": _spans(measurements, courses),
        "metric_names": names,
        "key_metrics": list(KEY_METRICS),
        "metrics": _metrics(metrics, texts),
        "summary": _table(data.cohort_summary, type_of, order, texts),
        "survival": _table(data.survival, type_of, order, texts),
        "episodes": _episodes(data.episodes, courses, texts),
        "waterfalls": _waterfalls(data.metrics, number_of, type_of, texts),
        "models": {"t": _type_numbers(data.models, type_of), **columns(data.models, texts)},
        "antibody_means": _antibody_means(data.antibody_means, type_of, texts),
        "questions": _questions(questions(data.metrics, data.events, last_day, types, config), texts),
        "characteristics": columns(data.characteristics, texts),
        "associations": columns(_named(data.associations), texts),
        "caution": READ_OUT,
        "fold": config.antibody.fold,
        "qc": _qc(data.qc, number_of, texts),
        "pcr": plates.payload(
            data.pcr,
            _subject_of_sample(measurements),
            number_of,
            config.pcr.confidence,
            texts,
            min_plates=config.pcr.westgard.min_plates,
        ),
        "flow": tubes.payload(
            data.flow,
            measurements,
            number_of,
            config.flow.confidence,
            texts,
            review_required=config.flow.review == "required",
        ),
        "immunoassay": immunoassays.payload(
            data.immunoassay,
            _subject_of_sample(measurements),
            number_of,
            config.immunoassay.confidence,
            texts,
            min_plates=config.immunoassay.westgard.min_plates,
        ),
        "cells": libraries.payload(data.cells, number_of, config.cells, texts),
        "clones": clones.payload(data.clones, number_of, config.repertoire, texts),
        "safety": safety_payload(data.safety, number_of, texts),
        "efficacy": efficacy.payload(
            data.efficacy,
            efficacy.Trial(data.measurements, data.metrics, data.subjects, data.events, data.associations),
            number_of,
            config,
            texts,
        ),
        "inbox": inbox.payload(data.inbox, texts),
        "texts": texts.listed,
    }


def _subject_of_sample(measurements: pd.DataFrame) -> dict[str, str]:
    pairs = measurements[["sample_id", "subject_id"]].drop_duplicates("sample_id")
    return dict(zip(pairs["sample_id"], pairs["subject_id"], strict=True))


def _subject_ids(data: ReportData) -> list[str]:
    """Subjects in the order of the sheet, then those that only the tables know."""
    found = pd.concat(
        [data.subjects["subject_id"], data.measurements["subject_id"], data.metrics["subject_id"]]
    )
    return [str(s) for s in found.dropna().unique()]


def _course_types(measurements: pd.DataFrame, metrics: pd.DataFrame) -> list[tuple[str, ...]]:
    """Kinds of course, the usual one (transgene by qPCR in blood) first."""
    counts = measurements.groupby(_TYPE, as_index=False, observed=True).size()
    found = {tuple(map(str, row[:4])): int(row[4]) for row in counts.itertuples(index=False, name=None)}
    for row in metrics[_TYPE].drop_duplicates().itertuples(index=False, name=None):
        found.setdefault(tuple(map(str, row)), 0)
    usual = ("blood", "transgene", "qpcr", "copies/ug")
    analytes = {name: i for i, name in enumerate(ANALYTES)}
    families = [name for name, _ in FAMILIES]

    def rank(t: tuple[str, ...]) -> tuple[object, ...]:
        distance = [a != b for a, b in zip(t, usual, strict=True)]
        family = families.index(family_of(t[1]))
        return (family, analytes.get(t[1], len(analytes)), *distance, -found[t], t)

    return sorted(found, key=rank)


def _courses(
    measurements: pd.DataFrame,
    metrics: pd.DataFrame,
    number_of: Mapping[str, int],
    type_of: Mapping[tuple[str, ...], int],
) -> pd.DataFrame:
    """One row per course with its number, its subject's and its type's number."""
    keys = pd.concat([measurements[_COURSE], metrics[_COURSE]]).drop_duplicates(ignore_index=True)
    keys = keys.assign(
        s=keys["subject_id"].map(number_of).astype(int),
        t=[type_of[tuple(map(str, row))] for row in keys[_TYPE].itertuples(index=False, name=None)],
    )
    keys = keys.sort_values(["s", "t", "infusion"], ignore_index=True)
    return keys.assign(course=np.arange(len(keys)))


def _by_course(frame: pd.DataFrame, courses: pd.DataFrame) -> pd.DataFrame:
    return frame.merge(courses, on=_COURSE, how="left", validate="many_to_one")


def _course_list(
    courses: pd.DataFrame, measurements: pd.DataFrame, metrics: pd.DataFrame
) -> list[dict[str, Any]]:
    """Give each course its rows in points and metrics as half-open ranges."""
    number = np.arange(len(courses) + 1)
    points = np.searchsorted(measurements["course"].to_numpy(), number).tolist()
    rows = np.searchsorted(metrics["course"].to_numpy(), number).tolist()
    return [
        {"s": s, "t": t, "i": i, "p": points[c : c + 2], "m": rows[c : c + 2]}
        for c, (s, t, i) in enumerate(
            zip(courses["s"].tolist(), courses["t"].tolist(), courses["infusion"].tolist(), strict=True)
        )
    ]


def _type_label(t: tuple[str, ...], measurements: pd.DataFrame) -> dict[str, Any]:
    matrix, analyte, assay, unit = t
    rows = measurements[(measurements[_TYPE] == list(t)).all(axis=1)]
    name = ANALYTES[analyte].label if analyte in ANALYTES else analyte
    family = family_of(analyte)
    score = family == "score"
    shown = rows.loc[rows["status"] != "rejected", "position"] if len(rows) else pd.Series(dtype=float)
    lowest = shown.min()
    return {
        "key": list(t),
        "label": f"{course_label(matrix, analyte, assay)}, {unit_label(unit)}",
        "name": name,
        "place": "" if score else matrix_label(matrix),
        "method": "" if score and assay == EXAMINATION else assay_label(assay),
        "unit": unit_label(unit),
        "family": family,
        "subset": analyte in SUBSETS,
        "on_demand": analyte in ON_DEMAND,
        # A score of 0 is a place like any other: its axis is not logarithmic.
        "linear": score,
        "titre": unit == "titre",
        # Marks without a known height are drawn here, below everything that has one.
        "floor": number(lowest / 2 if np.isfinite(lowest) else 1.0),
        "lloq": _limits(rows["lloq"]),
        "lod": _limits(rows["lod"]),
    }


def _limits(series: pd.Series[Any]) -> list[float | int | None]:
    """List the limits that held, the most frequent first; of three or more only the lowest and the highest.

    A limit in copies per reaction differs from sample to sample in the other units, so
    that no single line is the limit.
    """
    # A limit that was computed for each result carries the noise of floating point.
    found = numbers(series.dropna().map(lambda x: float(f"{x:.6g}")).value_counts().index.tolist())
    known = [x for x in found if x is not None]
    return found if len(found) <= 2 else [min(known), max(known), None]


def _points(measurements: pd.DataFrame, texts: Texts) -> dict[str, list[Any]]:
    status = measurements["status"].map({"accepted": 0, "flagged": 1, "rejected": 2})
    # A masked result was measured well but answers for a drug: 3, unless it was rejected anyway.
    status = status.where((status == 2) | ~measurements["masked"], 3)
    return {
        "day": numbers(measurements["day"]),
        "study": numbers(measurements["study_day"]),
        "y": numbers(measurements["position"]),
        "top": numbers(measurements["top"]),
        "foot": numbers(measurements["foot"]),
        "kind": measurements["kind"].astype(int).tolist(),
        "status": status.astype(int).tolist(),
        "lloq": numbers(measurements["lloq"]),
        "lod": numbers(measurements["lod"]),
        "visit": texts.column(measurements["visit"]),
        "flags": texts.column(measurements["flags"]),
        "file": texts.column(measurements["source_file"]),
    }


def _medians(
    measurements: pd.DataFrame,
    types: list[tuple[str, ...]],
    cohort_of: Mapping[str, Any],
    pooled: list[figures.Bin],
    min_n: int,
) -> list[dict[str, Any]]:
    wanted = ["t", "infusion", "subject_id", "day", "visit", "kind", "position"]
    kept = (measurements["status"] != "rejected") & ~measurements["masked"]
    used = measurements.loc[kept, wanted]
    used = used.assign(cohort=used["subject_id"].map(cohort_of).astype("string").fillna(""))
    out: list[dict[str, Any]] = []
    pairs = used[["t", "infusion"]].drop_duplicates().sort_values(["t", "infusion"])
    for t, infusion in pairs.astype(int).itertuples(index=False, name=None):
        group = used[(used["t"] == t) & (used["infusion"] == infusion)]
        named = [(c, g) for c, g in group.groupby("cohort", sort=True) if c]
        for cohort, rows in [("all", group), *named]:
            curve = figures.median_curve(rows, pooled, min_n)
            out.append(
                {
                    "t": t,
                    "i": infusion,
                    "cohort": redact_dates(str(cohort)),
                    "day": numbers(curve["day"]),
                    "label": [redact_dates(x) for x in curve["label"].tolist()],
                    "n": curve["n"].tolist(),
                    "below": curve["n_below"].tolist(),
                    "median": numbers(curve["median"]),
                }
            )
    return out


def _spans(measurements: pd.DataFrame, courses: pd.DataFrame) -> list[list[list[float]]]:
    """Quantifiable stretches of each course, on the study clock; after infusion only."""
    out: list[list[list[float]]] = [[] for _ in range(len(courses))]
    kept = (measurements["status"] != "rejected") & (measurements["day"] >= 0)
    used = measurements.loc[kept, ["course", "study_day", "kind"]]
    # Of two results on one day the quantifiable one counts, as in the kinetics.
    used = used.assign(absent=~used["kind"].isin([figures.QUANTIFIED, figures.ABOVE]))
    used = used.sort_values(["course", "study_day", "absent"], kind="stable")
    used = used.drop_duplicates(["course", "study_day"])
    for course, rows in used.groupby("course", sort=False):
        spans = figures.quantifiable_spans(rows["study_day"].to_numpy(dtype=float), rows["kind"].to_numpy())
        out[int(str(course))] = [[round(a, 4), round(b, 4)] for a, b in spans]
    return out


def _metric_names(found: list[str], registry: Mapping[str, Metric]) -> list[dict[str, Any]]:
    """Describe the metrics that occur, in the order of the registry."""
    described = [(name, *_describe(name, registry)) for name in found]
    described.sort(key=lambda d: (d[1], _natural(d[0])))
    return [
        {"name": name, "label": label, "definition": definition, "group": group, "share": share}
        for name, _, label, definition, group, share in described
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name)]


def _describe(name: str, registry: Mapping[str, Metric]) -> tuple[int, str, str, str, bool]:
    """Give place in the registry, label, definition, group and share of a concrete metric."""
    if name in registry:
        exact = registry[name]
        return list(registry).index(name), exact.label, exact.definition, exact.group, exact.share
    for place, metric in enumerate(registry.values()):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(metric.name))
        match = re.fullmatch(pattern, name)
        if match:
            label, definition = metric.label, metric.definition
            for key, value in match.groupdict().items():
                label = label.replace(f"{{{key}}}", value)
                definition = definition.replace(f"{{{key}}}", value)
            return place, label, definition, metric.group, metric.share
    return len(registry), name, "", "other", False


def _definitions(data: ReportData) -> list[tuple[str, list[Metric]]]:
    groups: dict[str, list[Metric]] = {}
    for metric in data.registry.values():
        groups.setdefault(metric.group, []).append(metric)
    return list(groups.items())


_STATUS = {
    "estimated": 0,
    "left_censored": 1,
    "right_censored": 2,
    "interval_censored": 3,
    "not_estimable": 4,
}


def _metrics(metrics: pd.DataFrame, texts: Texts) -> dict[str, list[Any]]:
    units = metrics["metric_unit"].map(unit_label, na_action="ignore")
    return {
        "name": metrics["name"].tolist(),
        "value": numbers(metrics["value"]),
        "lower": numbers(metrics["lower"]),
        "upper": numbers(metrics["upper"]),
        "unit": texts.column(units),
        "status": metrics["status"].map(_STATUS).astype(int).tolist(),
        "reason": texts.column(metrics["reason"]),
        "n": numbers(metrics["n_points"]),
        "start": numbers(metrics["window_start"]),
        "end": numbers(metrics["window_end"]),
        "method": texts.column(metrics["method"]),
    }


def _table(
    frame: pd.DataFrame,
    type_of: Mapping[tuple[str, ...], int],
    order: Mapping[str, int],
    texts: Texts,
) -> Columns:
    """Give a cohort table as columns, its course type and metric as numbers."""
    return {
        "t": _type_numbers(frame, type_of),
        "name": [order.get(str(m), -1) for m in frame["metric"]],
        **columns(frame, texts, ["matrix", "analyte", "assay", "course_unit", "metric"]),
    }


def _antibody_means(means: pd.DataFrame, type_of: Mapping[tuple[str, ...], int], texts: Texts) -> Columns:
    """Give the means; a visit without anybody has nothing to show."""
    shown = means[(means["n"] > 0) | means["left_out"].notna()]
    leave = ["matrix", "analyte", "assay", "course_unit", "method", "lower_log2", "upper_log2"]
    return {"t": _type_numbers(shown, type_of), **columns(shown, texts, leave)}


def _type_numbers(frame: pd.DataFrame, type_of: Mapping[tuple[str, ...], int]) -> list[int]:
    keys = frame[["matrix", "analyte", "assay", "course_unit"]].itertuples(index=False, name=None)
    return [type_of.get(tuple(map(str, k)), -1) for k in keys]


def _qc(qc: pd.DataFrame, number_of: Mapping[str, int], texts: Texts) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {
        "s": qc["subject_id"].map(number_of).fillna(-1).astype(int).tolist(),
        "source_row": numbers(qc["source_row"]),
    }
    for column in qc.columns.drop(["source_row"]):
        out[str(column)] = texts.column(qc[column])
    return out


def _counts(data: ReportData, subjects: list[str]) -> dict[str, int]:
    verdicts = data.qc["verdict"].value_counts()
    return {
        "subjects": len(subjects),
        "infusions": len(data.infusions),
        "samples": int(data.measurements["sample_id"].nunique()),
        "results": len(data.measurements),
        **{f"qc_{v}": int(verdicts.get(v, 0)) for v in ("fail", "warn", "note", "pass")},
    }


def _subjects(
    data: ReportData, measurements: pd.DataFrame, subjects: list[str], config: Config
) -> list[dict[str, Any]]:
    sheet = data.subjects.set_index("subject_id")
    last = measurements.groupby("subject_id")["study_day"].max()
    results = measurements["subject_id"].value_counts()
    serious = data.qc.loc[data.qc["verdict"].isin(["warn", "fail"]), "subject_id"].value_counts()
    infusions = dict(list(data.infusions.groupby("subject_id", sort=False)))
    events = dict(list(data.events.groupby("subject_id", sort=False)))
    out = []
    for subject in subjects:
        row = sheet.loc[subject] if subject in sheet.index else None
        followed = None if row is None else number(row["follow_up_study_day"])
        out.append(
            {
                "id": redact_dates(subject),
                "cohort": text(row, "cohort"),
                "sex": text(row, "sex"),
                "age": None if row is None else number(row["age"]),
                "weight": None if row is None else number(row["weight_kg"]),
                "end": followed if followed is not None else number(last.get(subject, np.nan)),
                "end_known": followed is not None,
                "results": int(results.get(subject, 0)),
                "findings": int(serious.get(subject, 0)),
                "infusions": _infusions(infusions.get(subject)),
                "events": _events(events.get(subject), config),
            }
        )
    return out


def _infusions(rows: pd.DataFrame | None) -> list[dict[str, Any]]:
    if rows is None:
        return [{"n": 1, "day": 0, "product": "", "dose": None, "unit": "", "ld": None}]
    return [
        {
            "n": int(r["infusion"]),
            "day": number(r["study_day"]),
            "product": text(r, "product"),
            "dose": number(r["dose"]),
            "unit": text(r, "dose_unit"),
            "ld": number(r["lymphodepletion_day"]),
        }
        for _, r in rows.sort_values("infusion").iterrows()
    ]


def _events(rows: pd.DataFrame | None, config: Config) -> list[dict[str, Any]]:
    if rows is None:
        return []
    masks = {m.kind: {"analytes": list(m.analytes), "days": m.days} for m in config.depletion.masks}
    return [
        {
            "day": number(r["study_day"]),
            "end": number(r["end_study_day"]),
            "kind": text(r, "kind"),
            "label": text(r, "label"),
            "grade": number(r["grade"]),
            "dose": number(r["dose"]),
            "unit": text(r, "dose_unit"),
            "mask": masks.get(str(r["kind"])),
        }
        for _, r in rows.sort_values("study_day", kind="stable").iterrows()
    ]


def _episodes(episodes: pd.DataFrame, courses: pd.DataFrame, texts: Texts) -> Columns:
    """Name each episode's course by number; its days count from the infusion of the course."""
    keyed = episodes.rename(columns={"course_unit": "unit"})
    known = keyed.merge(courses[[*_COURSE, "course"]], on=_COURSE, how="inner")
    known = known.sort_values(["course", "episode"], kind="stable")
    return {"c": known["course"].astype(int).tolist(), **columns(known, texts, [*_COURSE, "course"])}


def _named(associations: pd.DataFrame) -> pd.DataFrame:
    """Write compartment, assay and unit inside the names of the variables as people do."""

    def named(variable: str) -> str:
        return unit_label(readable(variable))

    return associations.assign(**{c: associations[c].map(named, na_action="ignore") for c in ("x", "y")})


def _waterfalls(
    metrics: pd.DataFrame,
    number_of: Mapping[str, int],
    type_of: Mapping[tuple[str, ...], int],
    texts: Texts,
) -> list[dict[str, Any]]:
    """Order the falls of each antibody course type and infusion."""
    falls = metrics[metrics["metric"] == "log2_fall"]
    out = []
    keys = ["matrix", "analyte", "assay", "course_unit", "infusion"]
    for key, rows in falls.groupby(keys, sort=True, observed=True):
        bars = figures.waterfall(rows)
        out.append(
            {
                "t": type_of[tuple(map(str, key[:4]))],
                "i": int(str(key[4])),
                "s": bars["subject_id"].map(number_of).astype(int).tolist(),
                "value": numbers(bars["value"]),
                "low": numbers(bars["low"]),
                "high": numbers(bars["high"]),
                "known": bars["known"].tolist(),
                "reason": texts.column(bars["reason"]),
            }
        )
    return out


def _questions(asked: Iterable[Question], texts: Texts) -> list[dict[str, Any]]:
    return [
        {
            "text": q.text,
            "rule": q.rule,
            "verdict": [a.verdict for a in q.answers],
            "remark": [texts.place(a.remark) for a in q.answers],
        }
        for q in asked
    ]


def _own_script() -> str:
    """Join the parts of the page's script in one function, where they see each other."""
    parts = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(async () => {{\n{parts}}})();'


@cache
def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _json(value: object) -> str:
    """JSON that can't end the script element that holds it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _embedded(data: str) -> str:
    """Return the element that holds the page's data: as they are, or of a large cohort compressed.

    A browser takes longer to find the end of 70 MB of text than to decode and unpack a tenth of it.
    """
    if len(data) <= PLAIN_BELOW:
        return f'<script type="application/json" id="cartrace-data">{data}</script>'
    packed = base64.b64encode(zlib.compress(data.encode(), 6)).decode()
    return f'<script type="text/plain" data-packed="true" id="cartrace-data">{packed}</script>'


def _script(text: str) -> str:
    """Check that a script can stand inside a script element, and fix its line ends."""
    if re.search(r"</script|<!--", text, re.IGNORECASE):
        raise ValueError("a script of the report holds '</script' or '<!--' and can't be embedded")
    return "\n" + text.replace("\r\n", "\n").replace("\r", "\n") + "\n"


def _policy(scripts: Iterable[str]) -> str:
    """Content security policy: these scripts, styles of this file, no request at all."""
    hashes = " ".join(
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() + "'" for s in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )
