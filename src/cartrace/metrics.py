"""What a metric is, and where each is registered.

Each metric is registered once, beside the function that computes it, with its
unit rule, its definition, its source and its CDISC code. docs/metrics.md is
generated from here, and the report takes its labels from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

UnitRule = Literal["course", "day", "per day", "day*course", "day^2*course", "none", "%", "log2", "log10"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One registered metric.

    ``name`` may hold fields in braces, as ``auc_{start}_{end}``; ``unit`` says
    how its unit follows from the unit of the course.
    """

    name: str
    label: str
    unit: UnitRule
    definition: str
    source: str
    group: str
    cdisc: str = ""
    event: bool = False
    """True for a time to an event, which the cohort tables summarise with
    Kaplan-Meier and Turnbull instead of means."""
    share: bool = False
    """True for yes (1) or no (0), which the cohort tables summarise as a share."""


REGISTRY: dict[str, Metric] = {}


def register(metric: Metric) -> Metric:
    """Add ``metric`` to the registry.

    Raises
    ------
    ValueError
        When the name is taken: one metric, one place.
    """
    if metric.name in REGISTRY:
        raise ValueError(f"metric '{metric.name}' is registered twice")
    REGISTRY[metric.name] = metric
    return metric


def find(name: str) -> Metric:
    """Return the metric behind a concrete name, such as ``auc_0_28``.

    Raises
    ------
    KeyError
        When no registered metric matches.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    for metric in REGISTRY.values():
        if "{" in metric.name and name.startswith(metric.name.split("{", 1)[0]):
            return metric
    raise KeyError(name)


def label_of(name: str) -> str:
    """Return the label of a concrete name: ``auc_0_28`` has the fields 0 and 28.

    Raises
    ------
    KeyError
        When no registered metric matches.
    """
    metric = find(name)
    match = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(metric.name)), name)
    if match is None:
        raise KeyError(name)
    return metric.label.format(**match.groupdict())


def unit_of(metric: Metric, course_unit: str) -> str | None:
    """Return the unit of ``metric`` for a course measured in ``course_unit``."""
    return {
        "course": course_unit,
        "day": "day",
        "per day": "1/day",
        "day*course": f"day*{course_unit}",
        "day^2*course": f"day^2*{course_unit}",
        "none": None,
        "%": "%",
        "log2": "log2",
        "log10": "log10",
    }[metric.unit]
