"""All metrics there are.

Apart from :mod:`cartrace.metrics`, so that a module that registers its own
metrics does not rest on those of all others: an edited depletion module must
not rerun the kinetics.
"""

from __future__ import annotations

import importlib

from cartrace.metrics import REGISTRY, Metric

GROUPS = (
    "peak",
    "area",
    "terminal",
    "expansion",
    "persistence",
    "depletion",
    "antibody",
    "safety",
    "efficacy",
    "clones",
)
"""Order of the groups in tables and pages. The metrics of a group are registered by one module,
so that their order never depends on which module was imported first."""

MODULES = (
    "cartrace.kinetics.nca",
    "cartrace.kinetics.expansion",
    "cartrace.kinetics.persistence",
    "cartrace.depletion.metrics",
    "cartrace.antibody.metrics",
    "cartrace.safety.recovery",
    "cartrace.efficacy.scores",
    "cartrace.repertoire.metrics",
)
"""The modules whose import fills the registry."""


def load_all() -> dict[str, Metric]:
    """Import every module that registers metrics and return the registry."""
    for module in MODULES:
        importlib.import_module(module)
    return dict(sorted(REGISTRY.items(), key=lambda item: GROUPS.index(item[1].group)))
