"""Tables of the repertoire stage made by hand: a product, blood on days 28 and 90, blood from before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cartrace.flow.counts import share_interval
from cartrace.repertoire.metrics import Tables
from cartrace.repertoire.tables import (
    B_RETURN,
    CLONE_CHANGES,
    CLONE_PERSISTENCE,
    CLONE_SAMPLES,
    CLONE_TOTALS,
    DIVERSITY,
    SITE_ALARM,
    SITE_SAMPLES,
)
from cartrace.tables import empty, rows

Row = dict[str, Any]


def sample(name: str, day: float, matrix: str = "blood", infusion: int = 1) -> Row:
    return {"sample_id": name, "infusion": infusion, "day": day, "study_day": day, "matrix": matrix}


SAMPLES = {
    s["sample_id"]: s
    for s in (
        sample("pre", -5.0),
        sample("product", 0.0, "infusion_product"),
        sample("d28", 28.0),
        sample("d90", 90.0),
    )
}


def share(k: float, n: float) -> Row:
    lower, upper = (float(x) for x in share_interval(k, n))
    return {"percent": 100 * k / n, "lower": 100 * lower, "upper": 100 * upper}


def clone_samples(
    counts: Mapping[str, Mapping[str, int]], population: str = "t_cells", subject: str = "P1"
) -> pd.DataFrame:
    """Return CLONE_SAMPLES of sample -> clone -> cells."""
    return rows(
        [
            {
                "subject_id": subject,
                "population": population,
                "clonotype": clone,
                **SAMPLES[name],
                "cells": n,
                "total": sum(clones.values()),
                **share(n, sum(clones.values())),
            }
            for name, clones in counts.items()
            for clone, n in clones.items()
        ],
        CLONE_SAMPLES,
    )


def clone_totals(
    counts: Mapping[str, Mapping[str, int]],
    population: str = "t_cells",
    subject: str = "P1",
    rejected: Iterable[str] = (),
) -> pd.DataFrame:
    return rows(
        [
            {
                "subject_id": subject,
                "population": population,
                **SAMPLES[name],
                "libraries": f"L-{name}",
                "cells": sum(clones.values()),
                "clones": len(clones),
                "expanded": 0,
                "verdict": "rejected" if name in set(rejected) else "accepted",
                "reason": "too few cells" if name in set(rejected) else None,
            }
            for name, clones in counts.items()
        ],
        CLONE_TOTALS,
    )


def persistence(found: Mapping[str, Row], population: str = "t_cells") -> pd.DataFrame:
    """Return CLONE_PERSISTENCE of sample -> its numbers."""
    usual = {"product_clones": 4, "expected_if_unchanged": 2.5, "cells": 10, "total": 40}
    return rows(
        [
            {
                "subject_id": "P1",
                "population": population,
                "product_sample": "product",
                **SAMPLES[name],
                **(usual | numbers),
            }
            for name, numbers in found.items()
        ],
        CLONE_PERSISTENCE,
    )


def changes(called: Iterable[tuple[str, str, str, str]]) -> pd.DataFrame:
    """Return CLONE_CHANGES of clone, earlier sample, later sample, change."""
    return rows(
        [
            {
                "subject_id": "P1",
                "population": "t_cells",
                "clonotype": clone,
                "from_sample": before,
                "to_sample": after,
                "from_cells": 1,
                "from_total": 20,
                "to_cells": 9,
                "to_total": 20,
                "p": 0.01,
                "q": 0.02,
                "change": change,
            }
            for clone, before, after, change in called
        ],
        CLONE_CHANGES,
    )


def b_return_rows(shares: Mapping[tuple[str, str], tuple[int, int]], **more: Any) -> pd.DataFrame:
    """Return B_RETURN of (sample, measure) -> (cells, total); a share of nothing is rejected."""
    return rows(
        [
            {
                "subject_id": "P1",
                **SAMPLES[name],
                "measure": measure,
                "cells": k,
                "total": n,
                **(
                    {"verdict": "accepted", **share(k, n)}
                    if n
                    else {"verdict": "rejected", "reason": "nothing known"}
                ),
                **more,
            }
            for (name, measure), (k, n) in shares.items()
        ],
        B_RETURN,
    )


def sites(counts: Mapping[str, Mapping[str, float]], cell_type: str = "unsorted") -> pd.DataFrame:
    """Return SITE_SAMPLES of sample -> site -> abundance."""
    return rows(
        [
            {
                "subject_id": "P1",
                "cell_type": cell_type,
                **SAMPLES[name],
                "site": site,
                "chromosome": "chr1",
                "position": 100,
                "strand": "+",
                "abundance": n,
                "total": sum(of.values()),
                **share(round(n), round(sum(of.values()))),
            }
            for name, of in counts.items()
            for site, n in of.items()
        ],
        SITE_SAMPLES,
    )


def alarms(raised: Iterable[tuple[str, str, str]], cell_type: str = "unsorted") -> pd.DataFrame:
    """Return SITE_ALARM of sample, site, alarm."""
    return rows(
        [
            {
                "subject_id": "P1",
                "cell_type": cell_type,
                **SAMPLES[name],
                "site": site,
                "alarm": alarm,
                "message": "Look at it.",
            }
            for name, site, alarm in raised
        ],
        SITE_ALARM,
    )


def tables(**some: pd.DataFrame) -> Tables:
    """Return all tables; those not given are empty."""
    none = {
        "samples": CLONE_SAMPLES,
        "totals": CLONE_TOTALS,
        "changes": CLONE_CHANGES,
        "persistence": CLONE_PERSISTENCE,
        "b_return": B_RETURN,
        "sites": SITE_SAMPLES,
        "alarms": SITE_ALARM,
        "diversity": DIVERSITY,
    }
    return Tables(**{name: some.get(name, empty(table)) for name, table in none.items()})
