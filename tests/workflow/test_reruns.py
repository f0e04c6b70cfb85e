"""The rerun contract of docs/architecture.md: exactly the right jobs run, and no others."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest
import yaml
from tests.workflow.conftest import Workplace

pytestmark = pytest.mark.slow

SITES = "sheets/integration_sites.tsv"
REPORT = {"export_tables": 1, "render_report": 1}

LAST = {"assemble_metrics": 1, "summarise_cohort": 1, "associate": 1, "collect_key_results": 1, **REPORT}
"""What follows any change of a metric."""

COHORT = {
    "assemble_measurements": 1,
    "compute_kinetics": 1,
    "compute_depletion": 1,
    "compute_antibody": 1,
    "fit_population_decay": 1,
    "estimate_titre_means": 1,
    "grade_toxicity": 1,
    "summarise_safety": 1,
    "compute_efficacy": 1,
    **LAST,
}
"""What follows any change of a measurement."""

SHEETS = {"check_sheets": 1, "describe_subjects": 1, "estimate_outcomes": 1, **COHORT}
"""What follows any change of a sheet."""


PLATES = {"assemble_plates": 1, **COHORT}
"""What follows any change of a PCR plate."""

TUBES = {"assemble_tubes": 1, **COHORT}
"""What follows any change of a flow tube."""

ASSAYS = {"assemble_immunoassays": 1, **COHORT}
"""What follows any change of an immunoassay plate."""

CLONES = {"assemble_repertoire": 1, **COHORT}
"""What follows any change of the clones, or integration sites, of a subject."""

CELLS = {"assemble_libraries": 1, "assemble_cells": 1, "compare_expression": 1, **COHORT}
"""What follows any change of what single-cell libraries are told to be."""

LIBRARIES = {**CELLS, "track_clones": 1, **CLONES}
"""What follows any change of the calls in a single-cell library; all of the trial are of one subject."""

TYPED = {"embed_cells": 1, **LIBRARIES}
"""What follows any change of the cells in a library."""

NEW_SHEETS = {"assemble_plates": 1, "assemble_tubes": 1, "assemble_immunoassays": 1, **CELLS, **SHEETS}
"""What follows a change of a sheet, in a trial with plates and tubes whose samples it may place."""


def files_of(trial: Path, reader: str) -> list[dict[str, str]]:
    """Rows of the files sheet that one reader reads."""
    return [r for r in rows(trial / "sheets/files.tsv") if r["reader"] == reader]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def libraries(trial: Path) -> list[dict[str, str]]:
    return rows(trial / "sheets/libraries.tsv")


def write_rows(path: Path, records: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


def set_option(trial: Path, section: list[str], value: object) -> None:
    path = trial / "config.yaml"
    config = yaml.safe_load(path.read_text())
    place = config
    for key in section[:-1]:
        place = place.setdefault(key, {})
    place[section[-1]] = value
    path.write_text(yaml.safe_dump(config))


def later(path: Path) -> None:
    """Give a file the date of a moment after everything else."""
    stat = path.stat()
    os.utime(path, (stat.st_atime + 7200, stat.st_mtime + 7200))


def test_a_finished_trial_has_nothing_to_do(workplace: Workplace) -> None:
    assert workplace.planned() == {}


def test_from_nothing_each_file_is_one_job(workplace: Workplace) -> None:
    assert workplace.planned("--forceall") == {
        "read_laboratory_table": len(files_of(workplace.trial, "laboratory_table")),
        "quantify_plate": len(files_of(workplace.trial, "pcr_plate")),
        "estimate_detection_limits": 1,
        "gate_tube": len(files_of(workplace.trial, "fcs_tube")),
        "calibrate_plate": len(files_of(workplace.trial, "immunoassay_plate")),
        "check_construct": 2,
        **dict.fromkeys(("read_library", "type_cells", "call_cars"), len(libraries(workplace.trial))),
        "count_car_molecules": sum(bool(row["bam"]) for row in libraries(workplace.trial)),
        "embed_cells": 1,
        "read_contigs": sum(bool(row["tcr_contigs"]) for row in libraries(workplace.trial)),
        "read_sites": len(rows(workplace.trial / SITES)),
        "track_clones": 1,
        "track_sites": 1,
        **CLONES,
        **NEW_SHEETS,
    }


def test_the_catalog_entry_asks_for_the_same_jobs(workplace: Workplace) -> None:
    assert workplace.planned("--forceall", snakefile="workflow/Snakefile") == workplace.planned("--forceall")


def test_touched_files_do_nothing(workplace: Workplace) -> None:
    for folder, pattern in (("trial/data", "*"), ("trial/sheets", "*"), ("trial/mappings", "*")):
        for path in (workplace.folder / folder).rglob(pattern):
            later(path)
    for path in [*(workplace.repo / "scripts").rglob("*.py"), *(workplace.repo / "src").rglob("*.py")]:
        later(path)
    assert workplace.planned() == {}


def test_a_new_file_is_one_job_and_the_cohort(workplace: Workplace) -> None:
    sheet = workplace.trial / "sheets/files.tsv"
    records = rows(sheet)
    source = workplace.trial / "data" / records[0]["path"]
    copy = source.with_name("one_more" + source.suffix)
    shutil.copy2(source, copy)
    new_path = str(copy.relative_to(workplace.trial / "data"))
    # The same bytes twice are a fault of their own: make it another file.
    change_content(copy)
    write_rows(sheet, [*records, {**records[0], "file_id": "one_more", "path": new_path}])
    assert workplace.planned() == {"read_laboratory_table": 1, **COHORT}


def change_content(path: Path) -> None:
    """Change a file's bytes but not what a reader makes of them."""
    if path.suffix == ".xlsx":
        import openpyxl

        book = openpyxl.load_workbook(path)
        book.create_sheet("remarks")
        book.save(path)
    else:
        path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        ("laboratory_table", COHORT),
        ("pcr_plate", PLATES),
        ("fcs_tube", TUBES),
        ("immunoassay_plate", ASSAYS),
    ],
)
def test_a_removed_file_is_the_cohort_alone(
    workplace: Workplace, reader: str, expected: dict[str, int]
) -> None:
    last = files_of(workplace.trial, reader)[-1]
    sheet = workplace.trial / "sheets/files.tsv"
    write_rows(sheet, [r for r in rows(sheet) if r != last])
    tubes = workplace.trial / "sheets/tubes.tsv"
    write_rows(tubes, [r for r in rows(tubes) if r["file_id"] != last["file_id"]])
    assert workplace.planned() == expected


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        ("laboratory_table", {"read_laboratory_table": 1, **COHORT}),
        ("pcr_plate", {"quantify_plate": 1, **PLATES}),
        ("fcs_tube", {"gate_tube": 1, **TUBES}),
        ("immunoassay_plate", {"calibrate_plate": 1, **ASSAYS}),
    ],
)
def test_a_changed_file_with_an_old_date_is_noticed(
    workplace: Workplace, reader: str, expected: dict[str, int]
) -> None:
    path = workplace.trial / "data" / files_of(workplace.trial, reader)[-1]["path"]
    stat = path.stat()
    change_content(path)
    os.utime(path, (stat.st_atime, stat.st_mtime - 86400))
    assert workplace.planned() == expected


def test_a_changed_plate_map_is_its_plate(workplace: Workplace) -> None:
    mapped = next(r for r in files_of(workplace.trial, "pcr_plate") if r["plate_map"])
    path = workplace.trial / mapped["plate_map"]
    stat = path.stat()
    change_content(path)
    os.utime(path, (stat.st_atime, stat.st_mtime - 86400))
    assert workplace.planned() == {"quantify_plate": 1, **PLATES}


def test_changed_droplets_are_their_plate(workplace: Workplace) -> None:
    folder = next(r["amplitudes"] for r in files_of(workplace.trial, "pcr_plate") if r["amplitudes"])
    change_content(next((workplace.trial / "data" / folder).glob("*_Amplitude.csv")))
    assert workplace.planned() == {"quantify_plate": 1, **PLATES}


def test_added_droplets_are_their_plate(workplace: Workplace) -> None:
    folder = next(r["amplitudes"] for r in files_of(workplace.trial, "pcr_plate") if r["amplitudes"])
    there = next((workplace.trial / "data" / folder).glob("*_Amplitude.csv"))
    shutil.copy2(there, there.with_name("more_D05_Amplitude.csv"))
    assert workplace.planned() == {"quantify_plate": 1, **PLATES}


def test_an_edited_reader_is_every_plate(workplace: Workplace) -> None:
    path = workplace.repo / "src/cartrace/pcr/readers/qiacuity.py"
    path.write_text(path.read_text() + "\n# one more line\n")
    plates = len(files_of(workplace.trial, "pcr_plate"))
    assert workplace.planned() == {"quantify_plate": plates, **PLATES}


def test_edited_code_with_an_old_date_is_noticed(workplace: Workplace) -> None:
    for name in ("src/cartrace/kinetics/nca.py", "scripts/efficacy/compute_efficacy.py"):
        path = workplace.repo / name
        stat = path.stat()
        path.write_text(path.read_text() + "\n# one more line\n")
        os.utime(path, (stat.st_atime, stat.st_mtime - 86400))
    assert workplace.planned() == {"compute_kinetics": 1, "compute_efficacy": 1, **LAST}


def test_a_new_extraction_quantifies_no_plate_again(workplace: Workplace) -> None:
    sheet = workplace.trial / "sheets/extractions.tsv"
    write_rows(sheet, [*rows(sheet), {**rows(sheet)[0], "sample": "one more"}])
    assert workplace.planned() == PLATES


def test_a_changed_assay_file_is_its_plates(workplace: Workplace) -> None:
    plates = files_of(workplace.trial, "pcr_plate")
    path = workplace.trial / plates[0]["mapping"]
    path.write_text(path.read_text() + "\n# one more line\n")
    of_assay = [p for p in plates if p["mapping"] == plates[0]["mapping"]]
    assert 0 < len(of_assay) < len(plates)
    assert workplace.planned() == {"quantify_plate": len(of_assay), **PLATES}


def test_a_changed_acceptance_rule_is_every_plate(workplace: Workplace) -> None:
    set_option(workplace.trial, ["pcr", "acceptance"], {"r2": {"lower": 0.97, "consequence": "flag"}})
    plates = len(files_of(workplace.trial, "pcr_plate"))
    assert workplace.planned() == {"quantify_plate": plates, **PLATES}


def test_another_mass_of_a_genome_quantifies_no_plate_again(workplace: Workplace) -> None:
    set_option(workplace.trial, ["pcr", "pg_per_diploid_genome"], 6.5)
    assert workplace.planned() == {**PLATES, "render_report": 1}


def test_a_changed_control_is_the_tubes_that_it_belongs_to(workplace: Workplace) -> None:
    sheet = rows(workplace.trial / "sheets/tubes.tsv")
    control = next(r for r in sheet if r["kind"] == "fmo")
    batch = [r for r in sheet if r["batch"] == control["batch"]]
    path = next(
        r["path"] for r in files_of(workplace.trial, "fcs_tube") if r["file_id"] == control["file_id"]
    )
    change_content(workplace.trial / "data" / path)
    assert 1 < len(batch) < len(sheet)
    assert workplace.planned() == {"gate_tube": len(batch), **TUBES}


def test_a_new_blood_count_and_a_review_gate_no_tube_again(workplace: Workplace) -> None:
    sheet = workplace.trial / "sheets/tubes.tsv"
    records = rows(sheet)
    write_rows(sheet, [{**r, "lymphocytes_per_ul": "1234"} for r in records])
    assert workplace.planned() == TUBES
    sample = next(r["file_id"] for r in records if r["kind"] == "sample")
    write_rows(
        workplace.trial / "sheets/gate_review.tsv",
        [{"file_id": sample, "verdict": "accepted", "gates_sha256": "ab" * 32, "remark": ""}],
    )
    set_option(workplace.trial, ["sheets", "gate_review"], "sheets/gate_review.tsv")
    planned = workplace.planned()
    assert "gate_tube" not in planned
    assert planned["assemble_tubes"] == 1


def test_an_unreadable_marker_is_its_tube(workplace: Workplace) -> None:
    sheet = workplace.trial / "sheets/tubes.tsv"
    records = rows(sheet)
    records[-1]["unreadable"] = "CD138: no stain in the tube"
    write_rows(sheet, records)
    assert workplace.planned() == {"gate_tube": 1, **TUBES}


def test_a_changed_panel_file_is_its_tubes(workplace: Workplace) -> None:
    tubes = files_of(workplace.trial, "fcs_tube")
    path = workplace.trial / tubes[0]["mapping"]
    path.write_text(path.read_text() + "\n# one more line\n")
    assert workplace.planned() == {"gate_tube": len(tubes), **TUBES}


def test_required_reviews_gate_no_tube_again(workplace: Workplace) -> None:
    set_option(workplace.trial, ["flow", "review"], "required")
    assert workplace.planned() == {**TUBES, "render_report": 1}


@pytest.mark.parametrize("column", ["mapping", "plate_map"])
def test_a_changed_assay_file_or_layout_is_its_immunoassay_plates(workplace: Workplace, column: str) -> None:
    plates = files_of(workplace.trial, "immunoassay_plate")
    named = next(p[column] for p in plates if p[column])
    change_content(workplace.trial / named)
    its_own = [p for p in plates if p[column] == named]
    assert 0 < len(its_own) < len(plates)
    assert workplace.planned() == {"calibrate_plate": len(its_own), **ASSAYS}


def test_an_edited_calibration_is_every_immunoassay_plate(workplace: Workplace) -> None:
    path = workplace.repo / "src/cartrace/immunoassay/calibration.py"
    path.write_text(path.read_text() + "\n# one more line\n")
    plates = len(files_of(workplace.trial, "immunoassay_plate"))
    assert workplace.planned() == {"calibrate_plate": plates, **ASSAYS}


def of_library(column: str, library_id: str, trial: Path) -> Path:
    return trial / "data" / next(r for r in libraries(trial) if r["library_id"] == library_id)[column]


@pytest.mark.parametrize(
    ("library_id", "column", "expected"),
    [
        ("L003_d10", "counts", {"read_library": 1, "type_cells": 1, "call_cars": 1, **TYPED}),
        ("L003_d10", "bam", {"count_car_molecules": 1, "call_cars": 1, **LIBRARIES}),
        (
            "L003_before",
            "tcr_contigs",
            {"read_contigs": 1, "read_library": 1, "type_cells": 1, "call_cars": 1, **TYPED},
        ),
    ],
)
def test_a_changed_file_of_a_library_is_its_own_jobs(
    workplace: Workplace, library_id: str, column: str, expected: dict[str, int]
) -> None:
    path = of_library(column, library_id, workplace.trial)
    stat = path.stat()
    change_content(path)
    os.utime(path, (stat.st_atime, stat.st_mtime - 86400))
    assert workplace.planned() == expected


def test_a_blood_count_reads_no_library(workplace: Workplace) -> None:
    records = libraries(workplace.trial)
    records[-1]["lymphocytes_per_ul"] = "777"
    write_rows(workplace.trial / "sheets/libraries.tsv", records)
    planned = workplace.planned()
    assert planned == {"assemble_libraries": 1, **COHORT}


def test_a_share_by_flow_is_the_calls_of_its_library(workplace: Workplace) -> None:
    records = libraries(workplace.trial)
    records[-1]["car_flow_percent"] = "12"
    write_rows(workplace.trial / "sheets/libraries.tsv", records)
    assert workplace.planned() == {"call_cars": 1, **LIBRARIES}


def test_a_library_that_left_the_sheet_leaves_no_job_but_those_over_all(workplace: Workplace) -> None:
    records = libraries(workplace.trial)
    write_rows(workplace.trial / "sheets/libraries.tsv", records[:-1])
    assert workplace.planned() == TYPED


def test_other_panels_type_all_cells_and_count_no_molecule(workplace: Workplace) -> None:
    change_content(workplace.repo / "resources/cells/panels.yaml")
    many = len(libraries(workplace.trial))
    assert workplace.planned() == {"type_cells": many, "call_cars": many, **TYPED}


def test_a_changed_table_of_sites_is_its_sets_and_their_subject(workplace: Workplace) -> None:
    sets = rows(workplace.trial / SITES)
    change_content(workplace.trial / "data" / sets[0]["path"])
    same = sum(row["path"] == sets[0]["path"] for row in sets)
    assert workplace.planned() == {"read_sites": same, "track_sites": 1, **CLONES}


def test_a_set_of_sites_that_left_the_sheet_reads_none(workplace: Workplace) -> None:
    write_rows(workplace.trial / SITES, rows(workplace.trial / SITES)[:-1])
    assert workplace.planned() == {"track_sites": 1, **CLONES}


def test_another_list_of_genes_reads_no_site(workplace: Workplace) -> None:
    (workplace.trial / "genes_of_concern.txt").write_text("LMO2\n")
    assert workplace.planned() == {"track_sites": 1, **CLONES}


def test_another_limit_of_sharing_follows_no_clone_again(workplace: Workplace) -> None:
    set_option(workplace.trial, ["repertoire", "sharing", "min_shared"], 4)
    assert workplace.planned() == CLONES


def test_another_definition_of_clones_reads_no_contig(workplace: Workplace) -> None:
    set_option(workplace.trial, ["repertoire", "clonotypes", "t_chains"], "paired")
    assert workplace.planned() == {"track_clones": 1, **CLONES}


def test_receptors_for_other_programs_are_made_when_they_are_asked_for(workplace: Workplace) -> None:
    assert workplace.planned("interchange") == {"export_mudata": 1, "interchange": 1}


def test_clusters_are_made_when_they_are_asked_for(workplace: Workplace) -> None:
    assert workplace.planned("cell_clusters") == {"cluster_cells": 1, "cell_clusters": 1}


def test_a_new_observation_grades_anew_and_reads_no_file(workplace: Workplace) -> None:
    sheet = workplace.trial / "sheets/observations.tsv"
    records = rows(sheet)
    write_rows(sheet, [*records, {**records[-1], "day": "29", "item": "temperature_c", "value": "36.6"}])
    assert workplace.planned() == NEW_SHEETS


def test_a_changed_table_of_thresholds_is_the_grades(workplace: Workplace) -> None:
    path = workplace.repo / "resources/safety/crs.yaml"
    path.write_text(path.read_text() + "\n# one more line\n")
    assert workplace.planned() == {"grade_toxicity": 1, "summarise_safety": 1, **LAST}


def test_a_changed_threshold_reruns_the_rules_that_take_it(workplace: Workplace) -> None:
    set_option(workplace.trial, ["kinetics", "half_life", "min_adj_r2"], 0.9)
    assert workplace.planned() == {"compute_kinetics": 1, **LAST}


def test_a_changed_definition_of_depletion_reruns_depletion(workplace: Workplace) -> None:
    set_option(workplace.trial, ["depletion", "confirm_end"], 1)
    assert workplace.planned() == {"compute_depletion": 1, **LAST}


def test_a_new_event_reruns_what_rests_on_the_sheets_but_reads_no_file(workplace: Workplace) -> None:
    sheet = workplace.trial / "sheets/events.tsv"
    records = rows(sheet)
    new = dict.fromkeys(records[0], "") | {
        "subject_id": records[0]["subject_id"],
        "date": records[0]["date"],
        "kind": "other",
        "label": "remark",
    }
    write_rows(sheet, [*records, new])
    assert workplace.planned() == NEW_SHEETS


def test_a_changed_title_is_the_report_alone(workplace: Workplace) -> None:
    set_option(workplace.trial, ["trial", "title"], "Another title")
    assert workplace.planned() == {"render_report": 1}


def test_a_setting_written_out_at_its_default_is_no_change(workplace: Workplace) -> None:
    set_option(workplace.trial, ["kinetics", "half_life", "min_points"], 3)
    assert workplace.planned() == {}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("kinetics/nca.py", {"compute_kinetics": 1, **LAST}),
        ("depletion/episodes.py", {"compute_depletion": 1, **LAST}),
        ("antibody/mixed.py", {"fit_population_decay": 1, **REPORT}),
        ("report/page.py", {"render_report": 1}),
        ("report/export.py", {"export_tables": 1}),
        ("intake/plausibility.py", COHORT),
        ("pcr/normalise.py", PLATES),
        ("pcr/limits.py", {"estimate_detection_limits": 1, **PLATES}),
        # In which compartments cells are counted holds for tubes and libraries alike.
        ("flow/absolute.py", {**TUBES, "assemble_libraries": 1}),
        ("immunoassay/repeats.py", ASSAYS),
        ("safety/icaht.py", {"grade_toxicity": 1, "summarise_safety": 1, **LAST}),
        ("efficacy/scores.py", {"compute_efficacy": 1, **LAST}),
    ],
)
def test_an_edited_module_reruns_the_rules_that_rest_on_it(
    workplace: Workplace, module: str, expected: dict[str, int]
) -> None:
    path = workplace.repo / "src/cartrace" / module
    path.write_text(path.read_text() + "\n# one more line\n")
    assert workplace.planned() == expected


def test_a_new_subject_reruns_only_what_needs_the_clock(workplace: Workplace) -> None:
    subjects = workplace.trial / "sheets/subjects.tsv"
    infusions = workplace.trial / "sheets/infusions.tsv"
    write_rows(subjects, [*rows(subjects), {**rows(subjects)[0], "subject_id": "NEW-001"}])
    write_rows(infusions, [*rows(infusions), {**rows(infusions)[0], "subject_id": "NEW-001"}])
    planned = workplace.planned()
    assert planned.pop("read_laboratory_table", 0) < len(rows(workplace.trial / "sheets/files.tsv"))
    assert planned == NEW_SHEETS


def test_a_sheet_written_in_another_order_of_columns_is_no_change(workplace: Workplace) -> None:
    sheet = workplace.trial / "sheets/infusions.tsv"
    write_rows(sheet, [dict(reversed(list(r.items()))) for r in rows(sheet)])
    assert workplace.planned() == {}


def test_a_fault_in_a_sheet_stops_the_dry_run_with_every_problem(workplace: Workplace) -> None:
    sheet = workplace.trial / "sheets/infusions.tsv"
    records = rows(sheet)
    records[0]["subject_id"] = "NOBODY"
    records[1]["infusion"] = "first"
    write_rows(sheet, records)
    set_option(workplace.trial, ["kinetcs"], {})
    done = workplace.snakemake("--dry-run")
    assert done.returncode == 1
    assert "NOBODY" in done.stdout
    assert "first" in done.stdout
    assert "did you mean 'kinetics'" in done.stdout


def test_a_file_that_broke_after_a_good_run_fails_each_run_until_it_is_whole_again(
    workplace: Workplace,
) -> None:
    """Snakemake alone would call the second run a success."""
    plate = next(r for r in rows(workplace.trial / "sheets/files.tsv") if r["reader"] == "pcr_plate")
    raw = workplace.trial / "data" / plate["path"]
    good = raw.read_bytes()
    raw.write_bytes(b"PK\x03\x04 not a workbook")
    done = workplace.snakemake("--cores", "2", "--keep-going")
    assert done.returncode == 1, done.stdout
    assert plate["file_id"] in done.stdout
    assert not list((workplace.trial / "results/pcr/plate").glob(f"{plate['file_id']}.*"))
    for content in (raw.read_bytes(), good, good + b"\n"):
        raw.write_bytes(content)
        assert workplace.planned()["quantify_plate"] == 1


def test_a_broken_file_stops_with_an_error_and_leaves_no_half_written_output(workplace: Workplace) -> None:
    files = rows(workplace.trial / "sheets/files.tsv")
    records = {
        "intake/read_laboratory_table": next(r for r in files if r["path"].endswith(".xlsx")),
        "pcr/quantify_plate": next(r for r in files if r["reader"] == "pcr_plate"),
        # The last one, which is no control of another tube.
        "flow/gate_tube": next(r for r in reversed(files) if r["reader"] == "fcs_tube"),
    }
    for record in records.values():
        (workplace.trial / "data" / record["path"]).write_bytes(b"PK\x03\x04 not a workbook")
    done = workplace.snakemake("--cores", "2", "--keep-going")
    assert done.returncode == 1
    for rule, record in records.items():
        assert record["file_id"] in done.stdout
        log = (workplace.trial / f"logs/{rule}/{record['file_id']}.log").read_text()
        assert "found" in log
        assert "Traceback" not in log
    assert not list((workplace.trial / "results").rglob("*.part"))
