"""Whether expansion goes with depletion, antibodies, response or relapse.

Rank tests over subjects, each by its first infusion, with the number of subjects
in every row and Benjamini-Hochberg within each family of questions. A value that is
known only as an interval enters by the pairs whose order is certain
(``cartrace.cohort.ranks``): without it every duration would drop out, since sampling
days make each of them an interval, and so would the deepest nadirs, which lie below
the limit of detection; what is left would be a selection by the outcome itself. No
midpoint and no bound is taken for a value. ``censored: leave_out`` in the
configuration drops them, and counts them.

An association is no effect: nobody drew lots for expansion. All events count from
the first infusion, whatever followed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from cartrace import registry
from cartrace.analytes import ANALYTES, ANTIBODY, EXPANSION
from cartrace.cohort.ranks import Permutations, RankTest, TiedError, compare_groups, mantel_scores, spearman
from cartrace.cohort.shares import count_reasons
from cartrace.metrics import label_of
from cartrace.problems import Problem, did_you_mean, raise_if_any
from cartrace.tables import ASSOCIATIONS, rows

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cartrace.config import Association, Cohort, Relapse, Response

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Texts = NDArray[np.object_]

COURSE_TYPE = ("matrix", "analyte", "assay", "course_unit")

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Variable:
    """One number of n subjects: ends of its intervals, and why it is missing ('' where it is not)."""

    name: str
    lower: Floats
    upper: Floats
    missing: Texts


@dataclass(frozen=True, slots=True)
class Grouping:
    """The group of n subjects, and why it is missing ('' where it is not)."""

    name: str
    groups: tuple[str, ...]
    group: Texts
    missing: Texts


def associate(
    metrics: pd.DataFrame, subjects: pd.DataFrame, events: pd.DataFrame, settings: Cohort
) -> pd.DataFrame:
    """Test expansion against depletion, antibodies, response and relapse.

    Parameters
    ----------
    metrics
        The metrics table (``cartrace.tables.METRICS``); infusion 1 is used.
    subjects
        The subjects table (``cartrace.tables.SUBJECTS``).
    events
        The events table (``cartrace.tables.EVENTS``).
    settings
        Section ``cohort`` of the configuration; ``association`` is used.

    Returns
    -------
    pandas.DataFrame
        In the contract of ``cartrace.tables.ASSOCIATIONS``: a row for each pair of
        variables that was asked for, with a reason where there is no test.

    Raises
    ------
    InputError
        When the settings name a metric or an analyte that does not exist.
    """
    rules = settings.association
    _check(rules)
    # The order of the subjects decides which rearrangements are drawn: it is always the same.
    people = subjects.sort_values("subject_id", ignore_index=True)
    first = metrics[metrics["infusion"] == 1]
    expansion = list(variables(one_unit(first), people, EXPANSION, rules.expansion, rules))
    outcomes: list[tuple[str, Iterable[Variable | Grouping]]] = [
        ("depletion", variables(first, people, rules.depletion_analytes, rules.depletion, rules)),
        ("antibodies", variables(first, people, ANTIBODY, rules.antibody, rules)),
        ("response", [group_by_response(people, events, rules.response)]),
        ("relapse", [group_by_relapse(people, events, rules.relapse)]),
    ]
    found: list[Row] = []
    for name, ys in outcomes:
        family = [
            _correlate(x, y, rules) if isinstance(y, Variable) else _compare(x, y, rules)
            for y in ys
            for x in expansion
        ]
        _correct(family)
        found += [{"family": f"expansion and {name}", **row} for row in family]
    return rows(found, ASSOCIATIONS)


def group_by_response(subjects: pd.DataFrame, events: pd.DataFrame, rules: Response) -> Grouping:
    """Group subjects by the response nearest to the day that is asked for.

    Two responses equally near that belong to two groups give none.

    Parameters
    ----------
    subjects, events
        Tables; see :func:`associate`.
    rules
        Section ``cohort.association.response``.
    """
    of_label = {x.strip().casefold(): group.name for group in rules.groups for x in group.labels}
    seen = events[(events["kind"] == "response") & (events["study_day"] > 0)]
    distance = (seen["study_day"] - rules.day).abs()
    seen = seen.assign(distance=distance)[distance <= rules.window]
    answers: dict[str, tuple[str, str]] = {}
    for subject, own in seen.groupby("subject_id"):
        nearest = own.loc[own["distance"] == own["distance"].min(), "label"].fillna("")
        groups = {of_label.get(x.strip().casefold(), rules.rest) if x.strip() else "" for x in nearest}
        if len(groups) > 1:
            answers[str(subject)] = ("", "two responses equally near, of two groups")
        elif groups == {""}:
            answers[str(subject)] = ("", "response without a label")
        else:
            (group,) = groups
            answers[str(subject)] = (group, "") if group else ("", "response of no group")
    around = f"study day {rules.day:g} +/- {rules.window:g}"
    pairs = [answers.get(str(s), ("", f"no response at {around}")) for s in subjects["subject_id"]]
    return Grouping(
        f"Response at {around}",
        (*(group.name for group in rules.groups), *([rules.rest] if rules.rest else [])),
        *_columns(pairs),
    )


def group_by_relapse(subjects: pd.DataFrame, events: pd.DataFrame, rules: Relapse) -> Grouping:
    """Group subjects by a relapse up to a day; who was not followed so long is in no group.

    Parameters
    ----------
    subjects, events
        Tables; see :func:`associate`.
    rules
        Section ``cohort.association.relapse``.
    """
    kinds = " or ".join(rules.kinds)
    relapses = events[events["kind"].isin(rules.kinds) & (events["study_day"] > 0)]
    when = relapses.groupby("subject_id")["study_day"].min().to_dict()
    yes, no = kinds, f"no {kinds}"
    pairs: list[tuple[str, str]] = []
    for subject, end in zip(subjects["subject_id"], subjects["follow_up_study_day"], strict=True):
        day = when.get(subject, np.inf)
        if day <= rules.by_day:
            pairs.append((yes, ""))
        # A relapse later on shows that the subject was followed until then.
        elif end >= rules.by_day or np.isfinite(day):
            pairs.append((no, ""))
        elif np.isnan(end):
            pairs.append(("", f"no {kinds}, and no day of last contact"))
        else:
            pairs.append(("", f"no {kinds}, but followed for less than {rules.by_day:g} days"))
    return Grouping(f"{kinds.capitalize()} by study day {rules.by_day:g}", (yes, no), *_columns(pairs))


def one_unit(metrics: pd.DataFrame) -> pd.DataFrame:
    """Keep the expansion courses of one unit for each matrix, analyte and assay.

    Copies/ug, copies/cell and copies/uL of one assay are one result seen three ways.
    Asked three times it would weaken every other question of the correction. The
    unit that comes first in :mod:`cartrace.analytes` stays, among those of most subjects.
    """
    expansion = metrics[metrics["analyte"].isin(EXPANSION)]
    other_units: set[int] = set()
    for (_, analyte, _), own in expansion.groupby(["matrix", "analyte", "assay"]):
        units = ANALYTES[str(analyte)].units
        subjects = own.groupby("course_unit")["subject_id"].nunique()
        best = min(subjects.index, key=lambda u: (-subjects[u], units.index(u)))
        other_units.update(own.index[own["course_unit"] != best])
    return metrics.drop(index=list(other_units))


def _columns(pairs: list[tuple[str, str]]) -> tuple[Texts, Texts]:
    # Without a subject there is no pair, and still two columns.
    table = np.array(pairs, dtype=object).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _check(rules: Association) -> None:
    known = registry.load_all()
    problems = []
    for field in ("expansion", "depletion", "antibody"):
        for name in getattr(rules, field):
            try:
                label_of(name)
            except KeyError:
                problems.append(
                    Problem(
                        file="config",
                        column=f"cohort.association.{field}",
                        found=f"'{name}'",
                        allowed="a metric of docs/metrics.md",
                        suggestion=did_you_mean(name, known),
                    )
                )
    raise_if_any(problems)


def course_words(matrix: str, analyte: str, assay: str, unit: str) -> str:
    """Name a course in words, as the variables of :func:`associate` do."""
    label = ANALYTES[analyte].label if analyte in ANALYTES else analyte
    return f"{label} ({matrix}, {assay}, {unit})"


def variables(
    metrics: pd.DataFrame,
    subjects: pd.DataFrame,
    analytes: tuple[str, ...],
    names: tuple[str, ...],
    rules: Association,
) -> Iterator[Variable]:
    """Give each named metric of each course type of ``analytes``, over all subjects.

    Parameters
    ----------
    metrics
        The metrics table, one row for a subject, course type and metric.
    subjects
        The n subjects, in the order of the result.
    analytes, names
        What is wanted; names that no metric has give variables without a number.
    rules
        Section ``cohort.association``; ``censored`` is used.
    """
    chosen = metrics[metrics["analyte"].isin(analytes)]
    types = {cast("tuple[str, ...]", k): own for k, own in chosen.groupby(list(COURSE_TYPE))}
    for key in sorted(types, key=lambda k: (analytes.index(k[1]), k)):
        matrix, analyte, assay, unit = key
        of_type = types[key]
        for name in names:
            course = course_words(matrix, analyte, assay, unit)
            found = of_type[of_type["metric"] == name].set_index("subject_id").reindex(subjects["subject_id"])
            yield _variable(f"{label_of(name)}, {course}", found, rules)


def _variable(name: str, found: pd.DataFrame, rules: Association) -> Variable:
    status = found["status"].fillna("").to_numpy(dtype=object)
    value = found["value"].to_numpy(dtype=float)
    estimated = status == "estimated"
    # Around an estimate the bounds are confidence limits, not where the value may lie.
    lower = np.where(estimated, value, found["lower"].to_numpy(dtype=float))
    upper = np.where(estimated, value, found["upper"].to_numpy(dtype=float))
    unbounded = np.isnan(lower) & np.isnan(upper)
    missing = found["reason"].fillna("no reason given").to_numpy(dtype=object)
    used = (status != "not_estimable") & (status != "")
    missing[status == ""] = "not measured"
    missing[used & unbounded] = "no bound is known"
    used &= ~unbounded
    if rules.censored == "leave_out":
        missing[used & ~estimated] = "known only as an interval"
        used &= estimated
    missing[used] = ""
    return Variable(
        name,
        np.where(np.isnan(lower), -np.inf, lower),
        np.where(np.isnan(upper), np.inf, upper),
        missing,
    )


def _correlate(x: Variable, y: Variable, rules: Association) -> Row:
    both = (x.missing == "") & (y.missing == "")
    censored = (x.lower != x.upper) | (y.lower != y.upper)
    row = _begin(x, y, both, censored)
    if both.sum() < rules.min_pairs:
        return _refuse(row, "spearman", _too_few(both, rules))
    try:
        test = spearman(
            mantel_scores(x.lower[both], x.upper[both]),
            mantel_scores(y.lower[both], y.upper[both]),
            _permutations(rules),
            limits=not censored[both].any(),
        )
    except TiedError:
        return _refuse(row, "spearman", "of one of the two no order can be told: all values tie")
    return _finish(row, test)


def _compare(x: Variable, y: Grouping, rules: Association) -> Row:
    both = (x.missing == "") & (y.missing == "")
    row = _begin(x, y, both, x.lower != x.upper)
    method = "mann_whitney" if len(y.groups) == 2 else "kruskal_wallis"
    members = {group: both & (y.group == group) for group in y.groups}
    sizes = {group: int(inside.sum()) for group, inside in members.items()}
    row["groups"] = "; ".join(f"{group}: {size}" for group, size in sizes.items())
    if both.sum() < rules.min_pairs:
        return _refuse(row, method, _too_few(both, rules))
    small = [f"'{group}' has {size}" for group, size in sizes.items() if size < rules.min_group]
    if small:
        return _refuse(row, method, f"a group needs {rules.min_group} subjects; {', '.join(small)}")
    scores = np.zeros(len(both))
    scores[both] = mantel_scores(x.lower[both], x.upper[both])
    try:
        test = compare_groups([scores[inside] for inside in members.values()], _permutations(rules))
    except TiedError:
        return _refuse(row, method, "no order can be told: all values tie")
    if test.method != "mann_whitney":
        return _finish(row, test)
    first, second = sizes
    effect = test.statistic / (sizes[first] * sizes[second])
    remark = f"'{first}' lies above '{second}' in {100 * effect:.0f} % of the pairs of patients"
    return _finish(row, test, remark) | {"effect": effect}


def _permutations(rules: Association) -> Permutations:
    return Permutations(rules.permutation_up_to, rules.permutations)


def _begin(x: Variable, y: Variable | Grouping, both: Bools, censored: Bools) -> Row:
    """Return the names, and who is in the test and who is not."""
    only_x = (x.missing == "") & (y.missing != "")
    only_y = (x.missing != "") & (y.missing == "")
    absent = [f"no y: {text}" for text in y.missing[only_x]] + [f"no x: {text}" for text in x.missing[only_y]]
    return {
        "x": x.name,
        "y": y.name,
        "n": int(both.sum()),
        "n_censored": int((both & censored).sum()),
        "left_out": count_reasons(absent),
    }


def _too_few(both: Bools, rules: Association) -> str:
    n = int(both.sum())
    return f"{n} {'subject has' if n == 1 else 'subjects have'} both, fewer than {rules.min_pairs}"


def _refuse(row: Row, method: str, reason: str) -> Row:
    return row | {"method": method, "status": "not_estimable", "reason": reason}


def _finish(row: Row, test: RankTest, remark: str = "") -> Row:
    remarks = [remark] if remark else []
    if row["n_censored"]:
        remarks.append(
            f"{row['n_censored']} known only as intervals: ranked by the pairs whose order is certain"
        )
    if test.method == "spearman" and np.isnan(test.lower):
        remarks.append("no limits at rho 1 or -1" if abs(test.statistic) == 1 else "so no limits of rho")
    return row | {
        "method": test.method,
        "statistic": test.statistic,
        "lower": test.lower,
        "upper": test.upper,
        "p": test.p,
        "p_method": test.p_method,
        "status": "estimated",
        "reason": "; ".join(remarks) or None,
    }


def _correct(family: list[Row]) -> None:
    """Add q to the tests of one family: Benjamini and Hochberg 1995, J R Stat Soc B 57:289."""
    tested = [row for row in family if "p" in row]
    if not tested:
        return
    # scipy.stats takes a second to import: only cohort jobs pay it.
    from scipy.stats import false_discovery_control

    for row, q in zip(tested, false_discovery_control([row["p"] for row in tested]), strict=True):
        row["q"] = float(q)
