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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace.analytes import ANALYTES
from cartrace.problems import redact_dates
from cartrace.report import figures, methods

if TYPE_CHECKING:
    from cartrace.config import Config
    from cartrace.metrics import Metric

DATA_FILES = ("templates/*",)
"""What this module reads besides Python (cartrace.provenance.sources)."""

_TEMPLATES = Path(__file__).parent / "templates"
_TYPE = ["matrix", "analyte", "assay", "unit"]
_COURSE = ["subject_id", "infusion", *_TYPE]

_MATRIX_LABELS = {
    "pbmc": "PBMC",
    "csf": "CSF",
    "marrow": "bone marrow",
    "marrow_biopsy": "bone marrow biopsy",
    "lymph_node": "lymph node",
    "infusion_product": "infusion product",
    "other": "other specimen",
}
_ASSAY_LABELS = {"qpcr": "qPCR", "ddpcr": "ddPCR", "elisa": "ELISA", "flow": "flow cytometry"}

KEY_METRICS = (
    "cmax",
    "tmax",
    "auc_0_28",
    "half_life",
    "time_to_loss",
    "persistent_at_M3",
    "persistent_at_M6",
)
"""The columns of the cohort table that are shown before the reader asks for more."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything the report shows: the tables of a trial and what their metrics mean.

    Each frame keeps the contract of the same name in ``cartrace.tables``.
    """

    measurements: pd.DataFrame
    metrics: pd.DataFrame
    qc: pd.DataFrame
    cohort_summary: pd.DataFrame
    survival: pd.DataFrame
    subjects: pd.DataFrame
    infusions: pd.DataFrame
    registry: Mapping[str, Metric] = field(default_factory=dict)
    """Metric name to definition, as ``cartrace.metrics.load_all`` gives."""
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
    scripts = [_script(get_plotlyjs()), _script(_read("report.js"))]
    template = environment.get_template("report.html.j2")
    return template.render(
        title=redact_dates(config.trial.title),
        description=redact_dates(config.trial.description),
        policy=_policy(scripts),
        style=Markup(_read("report.css")),
        plotly=Markup(scripts[0]),
        script=Markup(scripts[1]),
        data=Markup(_json(payload(data, config))),
        sections=[(heading, redact_dates(text)) for heading, text in methods.sections(config, data.versions)],
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
    texts = _Texts()
    measurements = data.measurements.rename_axis(None).reset_index(drop=True)
    metrics = data.metrics.rename(columns={"unit": "metric_unit", "course_unit": "unit"})
    subjects = _subject_ids(data)
    number_of = {s: i for i, s in enumerate(subjects)}
    types = _course_types(measurements, metrics)
    type_of = {t: i for i, t in enumerate(types)}
    courses = _courses(measurements, metrics, number_of, type_of)

    measurements = measurements.assign(
        kind=figures.kinds(measurements), position=figures.positions(measurements)
    )
    measurements = _by_course(measurements, courses).sort_values(["course", "study_day"], kind="stable")
    names = _metric_names(metrics["metric"].unique().tolist(), data.registry)
    order = {n["name"]: i for i, n in enumerate(names)}
    metrics = _by_course(metrics, courses)
    metrics = metrics.assign(name=metrics["metric"].map(order).astype(int))
    metrics = metrics.sort_values(["course", "name"], kind="stable")
    cohort_of = dict(zip(data.subjects["subject_id"], data.subjects["cohort"], strict=True))
    pooled = figures.bins(config.visits)

    return {
        "title": redact_dates(config.trial.title),
        "subject_pages": config.report.subject_pages,
        "min_n": config.cohort.min_n,
        "by_visit": bool(config.visits),
        "counts": _counts(data, subjects),
        "subjects": _subjects(data, measurements, subjects),
        "types": [_type_label(t, measurements) for t in types],
        "courses": _course_list(courses, measurements, metrics),
        "points": _points(measurements, texts),
        "medians": _medians(measurements, types, cohort_of, pooled, config.cohort.min_n),
        "spans": _spans(measurements, courses),
        "metric_names": names,
        "key_metrics": list(KEY_METRICS),
        "metrics": _metrics(metrics, texts),
        "summary": _table(data.cohort_summary, type_of, order, texts),
        "survival": _table(data.survival, type_of, order, texts),
        "qc": _qc(data.qc, number_of, texts),
        "texts": texts.listed,
    }


class _Texts:
    """Every text once; without calendar dates."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self._index: dict[str, int] = {}

    def column(self, series: pd.Series[Any]) -> list[int]:
        codes, uniques = pd.factorize(series)
        places = np.array([*(self._place(str(u)) for u in uniques), -1])
        return [int(i) for i in places[codes]]

    def _place(self, text: str) -> int:
        shown = redact_dates(text)
        if shown not in self._index:
            self._index[shown] = len(self.listed)
            self.listed.append(shown)
        return self._index[shown]


def _numbers(series: Iterable[Any]) -> list[float | int | None]:
    """Numbers with nine significant digits; None where empty."""
    out: list[float | int | None] = []
    for x in pd.to_numeric(pd.Series(series)).to_numpy(dtype=float, na_value=np.nan).tolist():
        if not np.isfinite(x):
            out.append(None)
        else:
            out.append(int(x) if x.is_integer() and abs(x) < 1e15 else float(f"{x:.9g}"))
    return out


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

    def rank(t: tuple[str, ...]) -> tuple[object, ...]:
        distance = [a != b for a, b in zip(t, usual, strict=True)]
        return (analytes.get(t[1], len(analytes)), *distance, -found[t], t)

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


def _unit_label(unit: str) -> str:
    return unit.replace("/ug", "/µg").replace("/uL", "/µL").replace("^2", "²").replace("*", "·")


def _type_label(t: tuple[str, ...], measurements: pd.DataFrame) -> dict[str, Any]:
    matrix, analyte, assay, unit = t
    rows = measurements[(measurements[_TYPE] == list(t)).all(axis=1)]
    name = ANALYTES[analyte].label if analyte in ANALYTES else analyte
    place = _MATRIX_LABELS.get(matrix, matrix)
    method = _ASSAY_LABELS.get(assay, assay)
    shown = rows.loc[rows["status"] != "rejected", "position"] if len(rows) else pd.Series(dtype=float)
    lowest = shown.min()
    return {
        "key": list(t),
        "label": f"{name} in {place}, {method}, {_unit_label(unit)}",
        "name": name,
        "place": place,
        "method": method,
        "unit": _unit_label(unit),
        "expansion": analyte in ANALYTES and ANALYTES[analyte].family == "expansion",
        # Marks without a known height are drawn here, below everything that has one.
        "floor": _numbers([lowest / 2 if np.isfinite(lowest) else 1.0])[0],
        "lloq": _limits(rows["lloq"]),
        "lod": _limits(rows["lod"]),
    }


def _limits(series: pd.Series[Any]) -> list[float | int | None]:
    """List the limits that held, the most frequent first."""
    return _numbers(series.dropna().value_counts().index.tolist()[:4])


def _points(measurements: pd.DataFrame, texts: _Texts) -> dict[str, list[Any]]:
    status = {"accepted": 0, "flagged": 1, "rejected": 2}
    return {
        "day": _numbers(measurements["day"]),
        "study": _numbers(measurements["study_day"]),
        "y": _numbers(measurements["position"]),
        "kind": measurements["kind"].astype(int).tolist(),
        "status": measurements["status"].map(status).astype(int).tolist(),
        "lloq": _numbers(measurements["lloq"]),
        "lod": _numbers(measurements["lod"]),
        "visit": texts.column(measurements["visit"]),
        "flags": texts.column(measurements["flags"]),
    }


def _medians(
    measurements: pd.DataFrame,
    types: list[tuple[str, ...]],
    cohort_of: Mapping[str, Any],
    pooled: list[figures.Bin],
    min_n: int,
) -> list[dict[str, Any]]:
    columns = ["t", "infusion", "subject_id", "day", "visit", "kind", "position"]
    used = measurements.loc[measurements["status"] != "rejected", columns]
    used = used.assign(cohort=used["subject_id"].map(cohort_of).astype("string").fillna(""))
    out: list[dict[str, Any]] = []
    pairs = used[["t", "infusion"]].drop_duplicates().sort_values(["t", "infusion"])
    for number, infusion in pairs.astype(int).itertuples(index=False, name=None):
        group = used[(used["t"] == number) & (used["infusion"] == infusion)]
        named = [(c, g) for c, g in group.groupby("cohort", sort=True) if c]
        for cohort, rows in [("all", group), *named]:
            curve = figures.median_curve(rows, pooled, min_n)
            out.append(
                {
                    "t": number,
                    "i": infusion,
                    "cohort": redact_dates(str(cohort)),
                    "day": _numbers(curve["day"]),
                    "label": [redact_dates(x) for x in curve["label"].tolist()],
                    "n": curve["n"].tolist(),
                    "below": curve["n_below"].tolist(),
                    "median": _numbers(curve["median"]),
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


def _metric_names(found: list[str], registry: Mapping[str, Metric]) -> list[dict[str, str]]:
    """Describe the metrics that occur, in the order of the registry."""
    described = [(name, *_describe(name, registry)) for name in found]
    described.sort(key=lambda d: (d[1], _natural(d[0])))
    return [
        {"name": name, "label": label, "definition": definition, "group": group}
        for name, _, label, definition, group in described
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", name)]


def _describe(name: str, registry: Mapping[str, Metric]) -> tuple[int, str, str, str]:
    """Give place in the registry, label, definition and group of a concrete metric."""
    if name in registry:
        exact = registry[name]
        return list(registry).index(name), exact.label, exact.definition, exact.group
    for place, metric in enumerate(registry.values()):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(metric.name))
        match = re.fullmatch(pattern, name)
        if match:
            label, definition = metric.label, metric.definition
            for key, value in match.groupdict().items():
                label = label.replace(f"{{{key}}}", value)
                definition = definition.replace(f"{{{key}}}", value)
            return place, label, definition, metric.group
    return len(registry), name, "", "other"


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


def _metrics(metrics: pd.DataFrame, texts: _Texts) -> dict[str, list[Any]]:
    units = metrics["metric_unit"].map(_unit_label, na_action="ignore")
    return {
        "name": metrics["name"].tolist(),
        "value": _numbers(metrics["value"]),
        "lower": _numbers(metrics["lower"]),
        "upper": _numbers(metrics["upper"]),
        "unit": texts.column(units),
        "status": metrics["status"].map(_STATUS).astype(int).tolist(),
        "reason": texts.column(metrics["reason"]),
        "n": _numbers(metrics["n_points"]),
        "start": _numbers(metrics["window_start"]),
        "end": _numbers(metrics["window_end"]),
        "method": texts.column(metrics["method"]),
    }


def _table(
    frame: pd.DataFrame,
    type_of: Mapping[tuple[str, ...], int],
    order: Mapping[str, int],
    texts: _Texts,
) -> dict[str, list[Any]]:
    """Give a cohort table as columns, its course type and metric as numbers."""
    keys = frame[["matrix", "analyte", "assay", "course_unit"]].itertuples(index=False, name=None)
    out: dict[str, list[Any]] = {
        "t": [type_of.get(tuple(map(str, k)), -1) for k in keys],
        "name": [order.get(str(m), -1) for m in frame["metric"]],
    }
    for column in frame.columns.drop(["matrix", "analyte", "assay", "course_unit", "metric"]):
        series = frame[column]
        if column == "unit":
            series = series.map(_unit_label, na_action="ignore")
        number = pd.api.types.is_numeric_dtype(series)
        out[str(column)] = _numbers(series) if number else texts.column(series)
    return out


def _qc(qc: pd.DataFrame, number_of: Mapping[str, int], texts: _Texts) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {
        "s": qc["subject_id"].map(number_of).fillna(-1).astype(int).tolist(),
        "source_row": _numbers(qc["source_row"]),
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


def _subjects(data: ReportData, measurements: pd.DataFrame, subjects: list[str]) -> list[dict[str, Any]]:
    sheet = data.subjects.set_index("subject_id")
    last = measurements.groupby("subject_id")["study_day"].max()
    results = measurements["subject_id"].value_counts()
    serious = data.qc.loc[data.qc["verdict"].isin(["warn", "fail"]), "subject_id"].value_counts()
    infusions = dict(list(data.infusions.groupby("subject_id", sort=False)))
    out = []
    for subject in subjects:
        row = sheet.loc[subject] if subject in sheet.index else None
        followed = None if row is None else _numbers([row["follow_up_study_day"]])[0]
        out.append(
            {
                "id": redact_dates(subject),
                "cohort": _text(row, "cohort"),
                "sex": _text(row, "sex"),
                "age": None if row is None else _numbers([row["age"]])[0],
                "weight": None if row is None else _numbers([row["weight_kg"]])[0],
                "end": followed if followed is not None else _numbers([last.get(subject, np.nan)])[0],
                "end_known": followed is not None,
                "results": int(results.get(subject, 0)),
                "findings": int(serious.get(subject, 0)),
                "infusions": _infusions(infusions.get(subject)),
            }
        )
    return out


def _infusions(rows: pd.DataFrame | None) -> list[dict[str, Any]]:
    if rows is None:
        return [{"n": 1, "day": 0, "product": "", "dose": None, "unit": "", "ld": None}]
    return [
        {
            "n": int(r["infusion"]),
            "day": _numbers([r["study_day"]])[0],
            "product": _text(r, "product"),
            "dose": _numbers([r["dose"]])[0],
            "unit": _text(r, "dose_unit"),
            "ld": _numbers([r["lymphodepletion_day"]])[0],
        }
        for _, r in rows.sort_values("infusion").iterrows()
    ]


def _text(row: Any, column: str) -> str:
    return "" if row is None or pd.isna(row[column]) else redact_dates(str(row[column]))


@cache
def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _json(value: object) -> str:
    """JSON that can't end the script element that holds it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


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
