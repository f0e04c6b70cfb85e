"""Integration sites by hand: sets of a plan, their tables, and samples of a subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cartrace.repertoire.site_clonality import Tracked, planned, track
from cartrace.repertoire.sites import SiteRow, sites_frame


def site_set(
    name: str,
    *,
    sample: str = "",
    day: float = 28,
    cell_type: str = "T",
    matrix: str = "blood",
    pre_infusion: bool = False,
) -> dict[str, Any]:
    """Make the record of a plan; the sample is named as the set unless told."""
    return {
        "site_set": name,
        "cell_type": cell_type,
        "sample_id": sample or name,
        "infusion": 1,
        "day": day,
        "study_day": day,
        "visit": None,
        "matrix": matrix,
        "pre_infusion": pre_infusion,
    }


def sites_of(
    name: str, found: Mapping[str, float], genes: Mapping[str, tuple[str, int]] | None = None
) -> pd.DataFrame:
    """Make SITES from names as chr1+100 and their abundances; ``genes``: site -> gene and distance."""
    rows = []
    for number, (site, abundance) in enumerate(found.items(), 2):
        strand = "+" if "+" in site else "-"
        chromosome, position = site.split(strand)
        gene, distance = (genes or {}).get(site, (None, None))
        rows.append(SiteRow(number, chromosome, int(position), strand, abundance, gene, distance))
    return sites_frame(name, rows)


def tracked_of(
    plan: list[dict[str, Any]],
    sites: Mapping[str, Mapping[str, float]],
    genes: Mapping[str, tuple[str, int]] | None = None,
    same_site: int = 5,
) -> Tracked:
    tables = {name: sites_of(name, found, genes) for name, found in sites.items()}
    return track("P1", planned(plan), tables, same_site)
