"""Integration sites of five patients (Nobles 2020): all specimens are read, and followed without a fault."""

from __future__ import annotations

import csv
from collections import defaultdict
from functools import cache

import pytest
from tests.real.conftest import real_data

from cartrace.repertoire.settings import Repertoire, Sites
from cartrace.repertoire.site_alarms import findings, site_alarms
from cartrace.repertoire.site_clonality import planned, site_samples, track
from cartrace.repertoire.sites import SiteRow, open_table, read_sites, sites_frame

FOLDER = real_data() / "integration_sites" / "ctl019"
DAYS = {"d0": 0, "m2": 60}
SITES = Sites()

if not FOLDER.is_dir():
    pytest.skip("the real site tables are not here: set CARTRACE_REAL_DATA", allow_module_level=True)


def specimens() -> list[dict[str, str]]:
    with (FOLDER / "specimen_summary.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@cache
def table(name: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    header, rows = open_table(FOLDER / name, name)
    return header, list(rows)


def read(specimen: dict[str, str]) -> list[SiteRow]:
    kind = "tdn" if specimen["timepoint"] == "d0" else "timepoint"
    name = f"cart19_{kind}_sites.tsv.gz"
    return read_sites(*table(name), specimen["specimen"], SITES, name)


@pytest.mark.slow
def test_all_specimens_have_the_authors_number_of_sites_and_are_followed() -> None:
    subjects = defaultdict(list)
    for specimen in specimens():
        found = read(specimen)
        assert len(found) == int(specimen["numUniqSites"]), specimen["specimen"]
        assert all(r.gene and r.distance is not None for r in found)
        subjects[specimen["patient"]].append((specimen, found))
    assert len(subjects) == 5
    for subject, sets in subjects.items():
        plan = planned(
            {
                "site_set": s["specimen"],
                "cell_type": s["celltype"],
                "sample_id": f"{s['timepoint']}-{s['celltype']}",
                "infusion": 1,
                "day": (day := DAYS.get(s["timepoint"], int(s["timepoint"][1:]))),
                "study_day": day,
                "visit": None,
                "matrix": "blood" if day else "infusion_product",
                "pre_infusion": False,
            }
            for s, _ in sets
        )
        frames = {s["specimen"]: sites_frame(s["specimen"], found) for s, found in sets}
        tracked = track(subject, plan, frames, SITES.junctions.same_site)
        # The authors' sites of one specimen lie farther apart than what is joined, so that none is lost.
        for item in plan:
            if len(pooled := [p for p in plan if p.sample.sample_id == item.sample.sample_id]) == 1:
                assert len(tracked.counts[item.cell_type, item.sample.sample_id]) == len(
                    frames[item.site_set]
                )
            assert len(pooled) <= 2
        found = site_samples(tracked, genes={"LMO2", "TET2"}, gene_distance=50_000, confidence=0.95)
        assert (found["lower"] <= found["percent"] + 1e-9).all()
        assert (found["percent"] <= found["upper"] + 1e-9).all()
        assert not found["of_concern"].isna().any()
        alarms = site_alarms(tracked, found, SITES, Repertoire().tracking.confidence)
        # No site of these patients holds a fifth of a sample with ten cells.
        assert alarms.empty
        assert {f["check"] for f in findings(tracked, alarms, SITES)} <= {"site_cells", "site_growth"}
