"""What was planted in the simulated trial comes back from its files: contigs and sites to clones, alarms and findings.

Types of cells and CAR calls are the true ones, so that nothing is asked of the stage of cells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.loading import load_module
from tests.unit.repertoire.hand_clones import cars_of, types_of

from cartrace.cells.tables import CARS, TYPES
from cartrace.repertoire import tables as contracts
from cartrace.simulate import cells_trial, sites_trial
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.tables import METRICS, QC, read_table, write_table

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "repertoire"
KEPT = {
    *("L003_before", "L003_d10", "L003_d90"),
    *("L008_product", "L008_before", "L008_d90", "L008_d180_car"),
}
PLACE = "L008_product", "L008_d90"
"""Product and late sample of the subject whose clones are followed."""
QUICK = json.dumps({"repertoire": {"diversity": {"bootstraps": 50}}})
GROWS = "NMO-003"
"""Subject with the site that takes over."""
CLONES = {
    "cells": "clone_cells",
    "clones": "clones",
    "samples": "clone_samples",
    "totals": "clone_totals",
    "changes": "clone_changes",
    "persistence": "clone_persistence",
    "diversity": "diversity",
    "overlap": "overlap",
    "b-return": "b_return",
    "qc": "clones_qc",
}
SITES = {name: f"site_{name}" for name in ("samples", "diversity", "overlap", "alarms")} | {"qc": "sites_qc"}


@dataclass(frozen=True, slots=True)
class Told:
    """The truth, and where the tables of all subjects lie."""

    truth: Mapping[str, pd.DataFrame]
    folder: Path

    def table(self, name: str, contract: Any) -> pd.DataFrame:
        return read_table(self.folder / f"{name}.parquet", contract)

    @property
    def clones(self) -> pd.DataFrame:
        """The clones found, with the true one beside; none where no true clone has this receptor."""
        receptor = ["subject_id", "v_gene", "j_gene", "cdr3_nt"]
        true = self.truth["clones"]
        columns = ["clone", "fate", "planted", "persists", "product_cells", "late_cells"]
        found = self.table("clones", contracts.CLONES).query("receptor == 'T'")
        return found.astype(dict.fromkeys(receptor, object)).merge(
            true[[*receptor, *columns]], on=receptor, how="left"
        )


def call(name: str, *arguments: str, **outputs: Path) -> None:
    module = load_module(SCRIPTS / f"{name}.py")
    written = [part for key, path in outputs.items() for part in (f"--{key.replace('_', '-')}", str(path))]
    assert module.main([*arguments, *written]) == 0


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        kept = [replace(p, bam=False) for p in cells_trial.LIBRARIES if p.library_id in KEPT]
        patch.setattr(cells_trial, "LIBRARIES", kept)
        # Neither counts nor alignments are read.
        patch.setattr(cells_trial, "_add_matrices", lambda *_: None)
        patch.setattr(sites_trial, "_bam", lambda *_: {})
        trial = simulate_trial(2024, 8, plates=False, tubes=False, immunoassays=False, bedside=False)
    for path, content in {**trial.libraries.contents, **trial.sites.contents}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    write_cells(trial, folder)
    plan = libraries_of(trial, folder)
    for subject in sorted({record["subject_id"] for record in plan}):
        own = [{k: v for k, v in r.items() if k != "subject_id"} for r in plan if r["subject_id"] == subject]
        call(
            "track_clones",
            *("--subject", subject, "--plan", json.dumps(own)),
            *("--folder", str(folder), "--cells-folder", str(folder), "--settings", QUICK),
            airr=folder / "airr.tsv.gz",
            **{name: folder / f"{subject}.{part}.parquet" for name, part in CLONES.items()},
        )
    sets = follow_sites(trial, folder)
    assemble(folder, plan, sets)
    return Told(trial.truth, folder)


def write_cells(trial: Trial, folder: Path) -> None:
    """Write types and CAR calls of the truth."""
    for library, cells in trial.truth["cells"].groupby("library"):
        sound = ~(cells["doublet"] | cells["damaged"])
        types = dict(zip(cells["cell"], zip(cells["type"], sound, strict=True), strict=True))
        calls = dict(zip(cells["cell"], cells["car"].map({True: "positive", False: "negative"}), strict=True))
        write_table(types_of(str(library), types), folder / f"{library}.types.parquet", TYPES)
        write_table(cars_of(str(library), calls), folder / f"{library}.cars.parquet", CARS)


def facts_of(trial: Trial) -> dict[str, dict[str, Any]]:
    """Return sample -> what a plan says of it."""
    truth = pd.concat([trial.truth["libraries"], trial.truth["sites"]])
    days = truth.drop_duplicates("sample_id").set_index("sample_id")["study_day"]
    samples = trial.sheets["samples"].set_index("sample_id")
    return {
        name: {
            "sample_id": name,
            "matrix": samples.loc[name, "matrix"],
            "infusion": 1,
            "day": float(day),
            "study_day": float(day),
            "visit": None,
            "pre_infusion": day < 0,
        }
        for name, day in days.items()
    }


def libraries_of(trial: Trial, folder: Path) -> list[dict[str, Any]]:
    """Read the contigs of all libraries; return the plan."""
    facts, plan = facts_of(trial), []
    subjects = trial.truth["libraries"].set_index("library")["subject_id"]
    for row in trial.sheets["libraries"].to_dict("records"):
        name, files = row["library_id"], {}
        for key in ("tcr_contigs", "bcr_contigs"):
            files[key] = str(folder / "data" / row[key]) if row[key] else ""
        call(
            "read_contigs",
            *("--library", name, "--plan", json.dumps(files)),
            chains=folder / f"{name}.chains.parquet",
            receptors=folder / f"{name}.receptors.parquet",
            qc=folder / f"{name}.contigs_qc.parquet",
        )
        plan.append(
            facts[row["sample_id"]]
            | {
                "library_id": name,
                "subject_id": subjects[name],
                "sort": row["sort"],
                "cells": bool(row["counts"]),
                "tcr": bool(row["tcr_contigs"]),
                "bcr": bool(row["bcr_contigs"]),
            }
        )
    return plan


def follow_sites(trial: Trial, folder: Path) -> dict[str, tuple[str, str, str]]:
    """Read the tables of the subject and follow its sites; return the sources."""
    truth, sheet = trial.truth["sites"], trial.sheets["integration_sites"]
    sheet = sheet[sheet["site_set_id"].isin(truth.loc[truth["subject_id"] == GROWS, "site_set"])]
    facts, plan = facts_of(trial), []
    genome = json.dumps({"repertoire": {"sites": {"genome": sites_trial.GENOME}}})
    for row in sheet.to_dict("records"):
        name = row["site_set_id"]
        call(
            "read_sites",
            *("--site-set", name, "--path", str(folder / "data" / row["path"])),
            *("--specimen", row["specimen"], "--settings", genome),
            sites=folder / f"{name}.sites.parquet",
            qc=folder / f"{name}.sites_qc.parquet",
        )
        plan.append(facts[row["sample_id"]] | {"site_set": name, "cell_type": row["cell_type"]})
    call(
        "track_sites",
        *("--subject", GROWS, "--plan", json.dumps(plan), "--folder", str(folder)),
        *("--genes", str(folder / sites_trial.GENES_FILE)),
        **{name: folder / f"{GROWS}.{part}.parquet" for name, part in SITES.items()},
    )
    return {p["site_set"]: (p["sample_id"], p["cell_type"], "0" * 64) for p in plan}


def assemble(
    folder: Path, plan: Sequence[Mapping[str, Any]], sets: Mapping[str, tuple[str, str, str]]
) -> None:
    libraries = [record["library_id"] for record in plan]
    sources = {"libraries": dict.fromkeys(libraries, "0" * 64), "site_sets": sets}
    names = (
        *("clones", "samples", "totals", "changes", "persistence", "diversity", "overlap", "b_return"),
        *("sharing", "sites", "alarms", "receptors", "results", "metrics", "qc"),
    )
    call(
        "assemble_repertoire",
        *("--subjects", *sorted({record["subject_id"] for record in plan}), "--site-subjects", GROWS),
        *("--folder", str(folder), "--libraries", *libraries, "--library-folder", str(folder)),
        *("--site-sets", *sets, "--sites-folder", str(folder), "--sources", json.dumps(sources)),
        **{name: folder / f"{name}.parquet" for name in names},
    )


def test_every_clone_is_a_true_one_but_those_that_hopped(told: Told) -> None:
    unknown = told.clones[told.clones["clone"].isna()]
    cells = told.table("NMO-008.clone_cells", contracts.CLONE_CELLS)
    hopped = cells[cells["clonotype"].isin(unknown["clonotype"])]
    assert set(unknown["subject_id"]) == {"NMO-008"}
    assert len(hopped) == len(unknown) == cells_trial.HOPPING_CELLS
    assert set(hopped["library"]) == {"L008_d180_car"}
    # One receptor, one name.
    assert told.clones["clone"].dropna().is_unique


def test_every_change_that_is_called_is_true(told: Told) -> None:
    names = told.clones.set_index(["subject_id", "clonotype"])["clone"]
    true = told.truth["clone_samples"].set_index(["population", "sample_id", "clone"])["true_percent"]
    changes = told.table("changes", contracts.CLONE_CHANGES).query("change != 'unchanged'")
    assert len(changes) > 5
    for row in changes.itertuples():
        clone = names[row.subject_id, row.clonotype]
        before, after = (true.get((row.population, s, clone), 0.0) for s in (row.from_sample, row.to_sample))
        assert row.change == ("expanded" if after > before else "contracted"), (clone, before, after)


def test_the_clones_that_were_planted_to_change_are_found(told: Told) -> None:
    product, late = told.truth["libraries"].set_index("library").loc[list(PLACE), "sample_id"]
    planted = told.clones[told.clones["planted"].eq(other=True)]
    changes = told.table("changes", contracts.CLONE_CHANGES).query("population == 't_cells'")
    called = changes[(changes["from_sample"] == product) & (changes["to_sample"] == late)]
    found = planted.merge(called[called["change"] != "unchanged"], on=["subject_id", "clonotype"])
    assert found.set_index("fate")["change"].to_dict() == {"expands": "expanded", "contracts": "contracted"}


def test_clones_that_persist_are_found_in_product_and_late_sample(told: Told) -> None:
    lasting = told.clones[told.clones["persists"].eq(other=True)]
    both = lasting["in_product"] & (lasting["last_study_day"] > 80)
    # The beta chain is missed in some cells.
    assert both.sum() >= 0.8 * len(lasting) > 10
    row = told.table("persistence", contracts.CLONE_PERSISTENCE).query(
        "population == 't_cells' and day.between(80, 100)"
    )
    assert row["found"].tolist() == [both.sum()]


def test_clones_larger_than_in_the_product_stood_in_the_blood_before(told: Told) -> None:
    metrics = told.table("metrics", METRICS).query("metric == 'expanded_clones' and assay == 'scTCR-seq'")
    row = metrics.set_index("subject_id").loc["NMO-008"]
    assert row["value"] > 0
    n = int(row["value"])
    assert row["reason"] == f"{n} of {n} were in the blood before the infusion"


def test_old_b_cell_clones_come_back_in_the_one_subject_in_whom_they_do(told: Told) -> None:
    sound = told.truth["cells"].query("not doublet and not damaged")[["library", "cell"]]
    b = told.truth["b_cells"].merge(sound, on=["library", "cell"])
    true = told.truth["b_clones"]
    back = b[b["clone"].isin(true.loc[true["old"] & true["returns"], "clone"])]
    rows = told.table("b_return", contracts.B_RETURN).query("measure == 'old_clones' and day > 80")
    found = rows.set_index("subject_id")
    assert found.loc["NMO-008", "cells"] == (back["library"] == "L008_d90").sum() > 0
    assert found.loc["NMO-003", "cells"] == 0
    drawn = b["library"].value_counts()
    for subject, library in (("NMO-008", "L008_d90"), ("NMO-003", "L003_d90")):
        # The heavy chain is missed in some cells.
        assert 0.6 * drawn[library] < found.loc[subject, "total"] <= drawn[library]


def test_contigs_that_hopped_are_told_of_the_two_libraries_and_no_other(told: Told) -> None:
    shared = told.table("sharing", contracts.SHARED)
    pair = shared[shared["shared_barcodes"] > 0]
    assert pair[["library_a", "library_b", "taken_for"]].to_numpy().tolist() == [
        ["L003_d10", "L008_d180_car", "index_hopping"]
    ]
    assert pair["shared_barcodes"].tolist() == [cells_trial.HOPPING_CELLS]
    assert not shared["taken_for"].isin(["swap", "public"]).any()
    # The other libraries of the source share the clones, not the reads.
    assert set(shared["library_b"]) == {"L008_d180_car"}
    checks = told.table("qc", QC)["check"]
    assert (checks == "index_hopping").sum() == 1
    assert "sample_swap" not in set(checks)


def test_only_the_planted_site_raises_alarms(told: Told) -> None:
    planted = told.truth["sites"].query("planted != ''")
    alarms = told.table("alarms", contracts.SITE_ALARM)
    assert set(alarms["site"]) == set(planted["site"])
    assert set(alarms["alarm"]) == set(planted["planted"].iloc[0].split(";"))
    assert set(alarms["sample_id"]) == {planted.sort_values("study_day")["sample_id"].iloc[-1]}
    sites = told.table("sites", contracts.SITE_SAMPLES)
    key = ["sample_id", "cell_type", "site"]
    true = told.truth["sites"].query("subject_id == @GROWS")
    assert (
        sites.set_index(key)["abundance"].astype(float).to_dict()
        == true.set_index(key)["abundance"].astype(float).to_dict()
    )
