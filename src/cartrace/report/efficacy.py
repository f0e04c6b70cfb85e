"""What the page of efficacy shows: key results, relapse-free curves, scores, expansion against response.

Nothing is tested here: the rank tests are those of ``cartrace.cohort.association``, and
the dots are the very values that entered them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cartrace import registry
from cartrace.analytes import ANTIBODY, EXPANSION
from cartrace.cohort.association import Variable, course_words, group_by_response, one_unit, variables
from cartrace.metrics import label_of
from cartrace.problems import redact_dates
from cartrace.report import figures
from cartrace.report.families import EXAMINATION, assay_label, readable
from cartrace.report.packing import Columns, Texts, columns, numbers, unit_label
from cartrace.tables import KEY_RESULTS, OUTCOME_CURVES, OUTCOMES, empty

if TYPE_CHECKING:
    from cartrace.config import Config, Score

_TYPE = ["matrix", "analyte", "assay", "unit"]
FALL = ("log2_fall",)
CHANGE = "score_change_at_"
BEST = "score_best_change"
FEW = 30
"""Up to so many patients the page says what the test cannot show."""


@dataclass(frozen=True, slots=True)
class EfficacyTables:
    """The tables of outcomes; each keeps the contract of ``cartrace.tables`` and may be empty."""

    outcomes: pd.DataFrame = field(default_factory=partial(empty, OUTCOMES))
    curves: pd.DataFrame = field(default_factory=partial(empty, OUTCOME_CURVES))
    key_results: pd.DataFrame = field(default_factory=partial(empty, KEY_RESULTS))

    @property
    def listed(self) -> bool:
        """Whether there is anything to show."""
        return bool(len(self.key_results) or len(self.outcomes))


@dataclass(frozen=True, slots=True)
class Trial:
    """The tables of the report that the page needs beside its own."""

    measurements: pd.DataFrame
    metrics: pd.DataFrame
    subjects: pd.DataFrame
    events: pd.DataFrame
    associations: pd.DataFrame


def payload(
    efficacy: EfficacyTables, trial: Trial, number_of: Mapping[str, int], config: Config, texts: Texts
) -> dict[str, Any] | None:
    """Bring the page into the compact form that its script reads.

    Parameters
    ----------
    efficacy
        The tables of outcomes.
    trial
        Tables in the contracts of ``cartrace.tables``.
    number_of
        Subject to its number on the page.
    config
        The configuration that ran.
    texts
        Where every text goes.

    Returns
    -------
    dict or None
        Plain lists, numbers and strings; None when there is nothing to show.
    """
    if not efficacy.listed:
        return None
    registry.load_all()
    key = efficacy.key_results
    key = key.assign(**{c: key[c].map(_in_words, na_action="ignore") for c in ("course", "text", "reason")})
    return {
        "key": columns(key, texts),
        "outcomes": columns(efficacy.outcomes, texts),
        "curves": columns(efficacy.curves, texts),
        "kinds": list(config.cohort.association.relapse.kinds),
        "death": config.cohort.outcomes.death,
        "scores": _scores(trial, number_of, config, texts),
        "response": _against_response(trial, number_of, config, texts),
        "antibody": _against_antibody(trial, number_of, config, texts),
    }


def _in_words(text: str) -> str:
    # A minus in front of a number, not the hyphen of "AUC 0-28".
    signed = re.sub(r"(?<![\w.)-])-(?=\d)", "\N{MINUS SIGN}", text.replace("+/-", "±"))
    return unit_label(readable(signed))


# ---------------------------------------------------------------- scores


def _scores(trial: Trial, number_of: Mapping[str, int], config: Config, texts: Texts) -> list[dict[str, Any]]:
    """Give the courses of each score, the first infusion's changes, and the median over visits."""
    used = trial.measurements[
        (trial.measurements["status"] != "rejected") & trial.measurements["value"].notna()
    ]
    out: list[dict[str, Any]] = []
    for score in config.efficacy.scores:
        for key, group in used[used["analyte"] == score.analyte].groupby(_TYPE, sort=True):
            matrix, analyte, assay, unit = (str(k) for k in key)
            metrics = trial.metrics[
                (
                    trial.metrics[["matrix", "analyte", "assay", "course_unit"]]
                    == [matrix, analyte, assay, unit]
                ).all(axis=1)
            ]
            # A score has no specimen; only an assay that says more than "examination" is named.
            place = "" if assay == EXAMINATION else assay_label(assay)
            out.append(
                {
                    "label": score.label,
                    "place": redact_dates(place),
                    "unit": unit_label(unit),
                    "better": score.better,
                    "range": [score.minimum, score.maximum],
                    "minimal": score.minimal_change,
                    "courses": _score_courses(group, number_of),
                    "medians": _score_medians(group, trial.subjects, config),
                    "changes": _changes(metrics, score, number_of, config, texts),
                }
            )
    return out


def _score_courses(group: pd.DataFrame, number_of: Mapping[str, int]) -> list[dict[str, Any]]:
    found = []
    ordered = group.sort_values("study_day", kind="stable")
    for (subject, infusion), own in ordered.groupby(["subject_id", "infusion"], sort=True):
        found.append(
            {
                "s": number_of[str(subject)],
                "i": int(str(infusion)),
                "day": numbers(own["day"]),
                "study": numbers(own["study_day"]),
                "value": numbers(own["value"]),
                "visit": [redact_dates(str(v)) for v in own["visit"].fillna("")],
            }
        )
    return found


def _score_medians(group: pd.DataFrame, subjects: pd.DataFrame, config: Config) -> list[dict[str, Any]]:
    """Give the median score at each visit after the first infusion, of all subjects and of each cohort."""
    first = group[group["infusion"] == 1]
    # A score of 0 is a number like any other, unlike a result below a limit.
    first = first.assign(kind=figures.QUANTIFIED, position=first["value"].astype(float))
    cohort_of = dict(zip(subjects["subject_id"], subjects["cohort"], strict=True))
    cohort = first["subject_id"].map(cohort_of).astype("string")
    pooled = figures.bins(config.visits)
    out = []
    named = [(str(c), first[cohort == c]) for c in sorted(cohort.dropna().unique())]
    for name, rows in [("all", first), *named]:
        wanted = ["subject_id", "day", "visit", "kind", "position"]
        curve = figures.median_curve(rows[wanted], pooled, config.cohort.min_n)
        out.append(
            {
                "cohort": redact_dates(name),
                "day": numbers(curve["day"]),
                "label": [redact_dates(x) for x in curve["label"].tolist()],
                "n": curve["n"].tolist(),
                "median": numbers(curve["median"]),
            }
        )
    return out


def _changes(
    metrics: pd.DataFrame, score: Score, number_of: Mapping[str, int], config: Config, texts: Texts
) -> list[dict[str, Any]]:
    """Give the change of each subject at each landmark, and the best one, ordered from best to worst."""
    first = metrics[metrics["infusion"] == 1]
    sign = 1.0 if score.better == "lower" else -1.0
    asked = [(mark.name, f"{CHANGE}{mark.name}") for mark in config.efficacy.landmarks] + [("best", BEST)]
    out = []
    for name, metric in asked:
        rows = first[first["metric"] == metric]
        value = rows["value"].to_numpy(dtype=float)
        rows = rows.assign(order=sign * value).sort_values(
            ["order", "subject_id"], kind="stable", na_position="last"
        )
        known = value[~np.isnan(value)]
        if not len(known):
            continue
        better = -sign * known
        out.append(
            {
                "name": name,
                "s": [number_of[str(s)] for s in rows["subject_id"]],
                "value": numbers(rows["value"]),
                "reason": texts.column(rows["reason"]),
                "improved": int((better >= score.minimal_change - 1e-9).sum()),
                "worsened": int((-better >= score.minimal_change - 1e-9).sum()),
                "n": len(known),
            }
        )
    return out


# ---------------------------------------------------------------- expansion against outcomes


def _expansion(trial: Trial, config: Config) -> tuple[pd.DataFrame, list[Variable]]:
    """Give the subjects in the order of the tests, and the expansion variables over them."""
    people = trial.subjects.sort_values("subject_id", ignore_index=True)
    rules = config.cohort.association
    first = one_unit(trial.metrics[trial.metrics["infusion"] == 1])
    return people, list(variables(first, people, EXPANSION, rules.expansion, rules))


def _points(variable: Variable, use: np.ndarray) -> Columns:
    """Give the ends of the values of some subjects; an open end is None."""
    return {"low": numbers(variable.lower[use]), "high": numbers(variable.upper[use])}


def _units(trial: Trial, config: Config) -> dict[str, str]:
    """Give the unit of each expansion variable by its name ("Cmax, CAR transgene (blood, qpcr, copies/ug)")."""
    own = trial.metrics[trial.metrics["metric"].isin(config.cohort.association.expansion)].dropna(
        subset="unit"
    )
    keys = ["matrix", "analyte", "assay", "course_unit", "metric", "unit"]
    listed = own[keys].drop_duplicates(keys[:-1]).itertuples(index=False, name=None)
    return {
        f"{label_of(metric)}, {course_words(*course)}": unit_label(unit) for *course, metric, unit in listed
    }


def _split(name: str) -> tuple[str, str]:
    """Part "Cmax, CAR transgene (blood, qpcr, copies/ug)" into metric and course."""
    metric, course = name.split(", ", 1)
    return metric, _in_words(course)


def _tests(associations: pd.DataFrame, y: str) -> dict[str, dict[str, Any]]:
    hit = associations[associations["y"] == y]
    return {str(row["x"]): {str(k): v for k, v in row.items()} for _, row in hit.iterrows()}


def _test(row: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    def place(name: str) -> int:
        return -1 if pd.isna(row[name]) else texts.place(_in_words(str(row[name])))

    return {
        "n": int(row["n"]),
        "tested": row["status"] == "estimated",
        **{k: numbers([row[k]])[0] for k in ("statistic", "effect", "lower", "upper", "p", "q")},
        **{k: place(k) for k in ("p_method", "reason", "left_out")},
    }


def least_p(sizes: Iterable[int]) -> float:
    """Return the smallest two-sided p that a permutation test of groups of these sizes can give.

    >>> least_p([3, 3])
    0.1
    """
    listed = list(sizes)
    arrangements = math.factorial(sum(listed)) // math.prod(math.factorial(n) for n in listed)
    # Two groups can part in two directions.
    return min(1.0, (2 if len(listed) == 2 else 1) / arrangements)


def _against_response(
    trial: Trial, number_of: Mapping[str, int], config: Config, texts: Texts
) -> dict[str, Any] | None:
    """Give each expansion metric by response group, with its test."""
    if not (trial.events["kind"] == "response").any():
        return None
    people, expansion = _expansion(trial, config)
    rules = config.cohort.association
    grouping = group_by_response(people, trial.events, rules.response)
    tests = _tests(trial.associations, grouping.name)
    ids = people["subject_id"].to_numpy(dtype=object)
    units = _units(trial, config)
    plots: list[dict[str, Any]] = []
    for x in expansion:
        if x.name not in tests:
            continue
        both = (x.missing == "") & (grouping.missing == "")
        metric, course = _split(x.name)
        sizes = [int((both & (grouping.group == g)).sum()) for g in grouping.groups]
        plots.append(
            {
                "metric": metric,
                "unit": units.get(x.name, ""),
                "course": course,
                "s": [number_of[str(s)] for s in ids[both]],
                "group": [grouping.groups.index(str(g)) for g in grouping.group[both]],
                **_points(x, both),
                "sizes": sizes,
                # Drawn rearrangements can't give a smaller p than one of them.
                "least_p": max(least_p(sizes), 1 / (rules.permutations + 1)) if min(sizes) else None,
                "test": _test(tests[x.name], texts),
            }
        )
    if not plots:
        return None
    return {
        "name": redact_dates(_in_words(grouping.name)),
        "groups": [redact_dates(g) for g in grouping.groups],
        "missing": int((grouping.missing != "").sum()),
        "few": max(len(p["s"]) for p in plots) <= FEW,
        "plots": plots,
    }


def _against_antibody(
    trial: Trial, number_of: Mapping[str, int], config: Config, texts: Texts
) -> list[dict[str, Any]]:
    """Give each expansion metric against the fall of each antibody, with its test."""
    people, expansion = _expansion(trial, config)
    first = trial.metrics[trial.metrics["infusion"] == 1]
    ids = people["subject_id"].to_numpy(dtype=object)
    units = _units(trial, config)
    plots: list[dict[str, Any]] = []
    for y in variables(first, people, ANTIBODY, FALL, config.cohort.association):
        tests = _tests(trial.associations, y.name)
        for x in expansion:
            both = (x.missing == "") & (y.missing == "")
            if x.name not in tests or not both.any():
                continue
            metric, course = _split(x.name)
            plots.append(
                {
                    "metric": metric,
                    "unit": units.get(x.name, ""),
                    "course": course,
                    "fall": _split(y.name)[1],
                    "s": [number_of[str(s)] for s in ids[both]],
                    **_points(x, both),
                    **{f"fall_{k}": v for k, v in _points(y, both).items()},
                    "test": _test(tests[x.name], texts),
                }
            )
    return plots
