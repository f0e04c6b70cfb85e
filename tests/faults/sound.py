"""A small trial with one sound file for each reader, and the programs that read them, run in this process."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from tests.unit.cells.hand_matrix import write_10x, write_folder
from tests.unit.flow.hand_fcs import write_fcs
from tests.unit.repertoire.test_chains import chain
from tests.unit.repertoire.test_contigs import TENX

from cartrace.pcr.standard_curve import dump_stored_curve, master_curve
from cartrace.simulate.cell_reads import Planted, ReadModel, make_genome, simulate_reads, write_bam
from cartrace.simulate.construct import fasta_text, gtf_text, made_up_construct, made_up_endogenous

CAR = made_up_construct()
FILES = {
    "table_csv": "data/haematology/blood_counts.csv",
    "table_tsv": "data/chemistry/immunoglobulins.tsv",
    "table_xlsx": "data/serology/aqp4_titres.xlsx",
    "pcr": "data/plates/qpcr_run_01.txt",
    "elisa": "data/immunoassays/sbcma_elisa_01.txt",
    "luminex": "data/immunoassays/cytokines_luminex_01.csv",
    "elisa_xlsx": "data/immunoassays/srp_elisa_01.xlsx",
    "fcs": "data/tubes/t1.fcs",
    "panel": "mappings/panel.yaml",
    "matrix_h5": "data/cells/counts.h5",
    "matrix_mtx": "data/cells/mtx",
    "bam": "data/cells/reads.bam",
    "contigs": "data/cells/t.csv",
    "sites": "data/sites/s1.tsv",
    "construct": "constructs/car.fasta",
    "annotation": "constructs/car.gtf",
    "plate_map": "plate_maps/qpcr_run_01.tsv",
    "amplitudes": "data/droplets/x_A01_Amplitude.csv",
    "curve": "curves/car.yaml",
    "gates": "gates/drawn.xml",
    "compensation": "gates/matrix.csv",
    "dilutions": "limits/dilutions.tsv",
    "blanks": "limits/blanks.tsv",
    "index": "data/cells/reads.bam.bai",
}
"""Where the sound file of each reader lies."""

SHEETS = {
    "gate_review": "file_id\tverdict\tgates_sha256\tremark\nt1\taccepted\t" + "0" * 64 + "\t\n",
    "tubes": "file_id\tkind\tsample_id\tdilution\tacquired_volume_ul\nt1\tsample\tF101\t5\t50\n",
    "libraries": "library_id\tsample_id\tchemistry\tcounts\tbam\ttcr_contigs\tsort\tlymphocytes_per_ul\n"
    "L1\tF101\t5p\tcells/counts.h5\tcells/reads.bam\tcells/t.csv\tnone\t900\n",
    "integration_sites": "site_set_id\tsample_id\tpath\tspecimen\tcell_type\nS1\tF101\tsites/s1.tsv\tGTS1\tT cells\n",
}
PANEL = {
    "assay": "flow",
    "markers": {"FSC-A": {"linear": True}, "FSC-H": {"linear": True}, "CD3": None, "CD19": None},
    "thresholds": {"CD3": {"method": "fixed", "value": 3000}},
    "gates": {"singlets": {"kind": "singlets"}, "T": {"parent": "singlets", "where": {"CD3": "above"}}},
    "populations": {"T cells": {"gate": "T", "analyte": "t_cells"}},
}


def make_trial(folder: Path) -> None:
    """Simulate three subjects' tables and plates, and put one tube, library and set of sites beside them."""
    program("simulate/simulate_trial")(
        ["--output", str(folder), "--subjects", "3", "--without-tubes", "--without-libraries"]
    )
    # F101 to F106 are the samples of the tubes, which are left out with them.
    with (folder / "sheets/samples.tsv").open("a") as sheet:
        sheet.write("F101\tNMO-001\tblood\tD10\t2023-02-01\n")
    for name, text in SHEETS.items():
        (folder / f"sheets/{name}.tsv").write_text(text)
    with (folder / "sheets/files.tsv").open("a") as sheet:
        sheet.write("t1\ttubes/t1.fcs\tfcs_tube\tmappings/panel.yaml\t\t\t\n")
    _config(folder / "config.yaml")
    (folder / "mappings/panel.yaml").write_text(yaml.safe_dump(PANEL, sort_keys=False))
    for name in ("tubes", "cells", "sites"):
        (folder / "data" / name).mkdir()
    _tube(folder / FILES["fcs"])
    _library(folder / "data/cells")
    (folder / FILES["sites"]).write_text(
        "chrom\tstart\tstrand\testAbund\tspecimen\nchr2\t70\t-\t3\tGTS1\nchr1\t9\t+\t1\tGTS1\n"
    )
    (folder / "constructs").mkdir()
    (folder / FILES["construct"]).write_text(fasta_text({CAR.name: CAR.sequence}))
    (folder / FILES["annotation"]).write_text(gtf_text(CAR))
    (folder / "constructs/endogenous.fasta").write_text(fasta_text(made_up_endogenous()))
    _beside(folder)


def _beside(folder: Path) -> None:
    """Put what assay and panel files name: a stored curve, drawn gates, a spillover matrix."""
    for name in ("curves", "gates", "limits"):
        (folder / name).mkdir()
    wells = "".join(f"{level}\t{level + 0.1 * n}\n" for level in (1, 3, 10) for n in range(8))
    (folder / FILES["dilutions"]).write_text(f"level\tcopies\n{wells}")
    (folder / FILES["blanks"]).write_text("copies\n" + "0\n" * 30)
    levels = np.repeat(np.arange(1.0, 6.0), 3)
    wobble = np.tile([-0.1, 0.0, 0.1], 5)
    standards = {f"p{n}": (levels, 38 + 0.1 * n - 3.4 * levels + wobble) for n in (1, 2)}
    (folder / FILES["curve"]).write_text(dump_stored_curve(master_curve(standards), "car", "CAR"))
    assay = yaml.safe_load((folder / "mappings/car_qpcr_plate.yaml").read_text())
    assay["targets"]["CAR"]["curve"] = {"source": "stored", "file": FILES["curve"]}
    (folder / "mappings/stored.yaml").write_text(yaml.safe_dump(assay))
    with contextlib.chdir(folder):
        assert run("fcs") == 0
        Path("results/gating-ml.parquet").rename(FILES["gates"])
        shutil.rmtree("results")
    (folder / FILES["plate_map"]).write_text("well\tdilution\nA01\t1\nA02\t1\nA03\t1\n")
    (folder / FILES["amplitudes"]).parent.mkdir()
    droplets = "".join(f"{9000 if n % 3 else 900}.5,{500 + n},{1 + n % 3}\n" for n in range(300))
    (folder / FILES["amplitudes"]).write_text("Ch1 Amplitude,Ch2 Amplitude,Cluster\n" + droplets)
    (folder / FILES["compensation"]).write_text("B1-A,B2-A\n1,0.1\n0,1\n")
    drawn = {key: PANEL[key] for key in ("assay", "markers", "populations")}
    panels = {
        "drawn": drawn | {"drawn": {"gating_ml": FILES["gates"]}},
        "compensated": PANEL | {"compensation": {"source": "csv", "file": FILES["compensation"]}},
    }
    for name, panel in panels.items():
        (folder / f"mappings/{name}.yaml").write_text(yaml.safe_dump(panel, sort_keys=False))


def _config(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    config["sheets"] |= {name: f"sheets/{name}.tsv" for name in SHEETS}
    files = {"sequence": FILES["construct"], "annotation": FILES["annotation"], "features": ["CAR"]}
    config["cells"] = {
        "constructs": {"DEMO-BBz": files},
        "reference": {"endogenous": "constructs/endogenous.fasta"},
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def _tube(path: Path) -> None:
    random = np.random.default_rng(1)
    area = random.normal(100_000, 8_000, 3000)
    stained = random.normal(0, 150, (3000, 2))
    stained[:1500, 0] += 20_000
    stained[1500:, 1] += 20_000
    events = np.column_stack([area, area * 0.9, stained, np.arange(3000)])
    names = ["FSC-A", "FSC-H", "B1-A", "B2-A", "Time"]
    spillover = (["B1-A", "B2-A"], [[1.0, 0.1], [0.0, 1.0]])
    write_fcs(path, names, events, stains=["", "", "CD3", "CD19", ""], timestep=0.01, spillover=spillover)


def _library(folder: Path) -> None:
    cells = ["AAACCTGAGAAACCAT-1", "AAACCTGAGAAACCTA-1", "AAACCTGAGAAACGAT-1"]
    counts = np.array([[500, 10, 20, 0, 2, 9], [300, 8, 25, 0, 0, 7], [400, 5, 30, 1, 0, 4]])
    write_10x(folder / "counts.h5", counts, cells=cells)
    write_folder(folder / "mtx", counts, cells=cells)
    (folder / "t.csv").write_text("\n".join([TENX, chain(cells[0], "TRB"), chain(cells[1], "TRB"), ""]))
    transcripts = made_up_endogenous()
    reads = simulate_reads(
        [Planted(cells[0].removesuffix("-1"), CAR.name, 5)],
        transcripts | {CAR.name: CAR.sequence},
        ReadModel(error_rate=0, umi_error_rate=0),
        seed=1,
    )
    write_bam(folder / "reads.bam", reads, make_genome(transcripts))


def program(name: str) -> Callable[[list[str]], int]:
    """Return ``main`` of a program in scripts/."""
    main: Callable[[list[str]], int] = importlib.import_module(f"scripts.{name.replace('/', '.')}").main
    return main


def _planned(reader: str) -> list[str]:
    path = Path(FILES[reader])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64
    return ["--path", str(path), "--sha256", sha256]


def _out(*names: str) -> list[str]:
    return [word for name in names for word in (f"--{name}", f"results/{name}.parquet")]


def run(reader: str) -> int:
    """Run the program that reads the file of ``reader`` in the trial folder, which is the working directory."""
    config = Path("config.yaml").read_text() if reader.startswith("table") else ""
    tables = {
        "table_csv": "blood_counts",
        "table_tsv": "immunoglobulins",
        "table_xlsx": "serology",
    }
    immunoassays = {"elisa": "sbcma_elisa", "luminex": "cytokines_luminex", "elisa_xlsx": "srp_elisa"}
    if reader in {"sheet", "config", "mapping", "panel"}:
        return program("run_scheduled")(["--config", "config.yaml", "--dry-run"])
    if reader in tables:
        mapping = ["--file-id", "f1", "--mapping", f"mappings/{tables[reader]}.yaml"]
        settings = ["--settings", json.dumps(yaml.safe_load(config))]
        return program("intake/read_laboratory_table")(
            [*mapping, *_planned(reader), *settings, *_out("output", "qc")]
        )
    if reader == "pcr":
        given = ["--file-id", "p1", "--mapping", "mappings/car_qpcr_plate.yaml", *_planned(reader)]
        return program("pcr/quantify_plate")([*given, *_out("wells", "curves", "samples", "droplets", "qc")])
    if reader in immunoassays:
        given = ["--file-id", "e1", "--mapping", f"mappings/{immunoassays[reader]}.yaml", *_planned(reader)]
        if reader == "elisa_xlsx":
            given += ["--layout", "plate_maps/srp_elisa_01.xlsx"]
        outputs = _out("wells", "standards", "curves", "samples", "qc")
        return program("immunoassay/calibrate_plate")([*given, *outputs])
    if reader in {"plate_map", "amplitudes"}:
        given = ["--file-id", "p1", "--mapping", "mappings/car_qpcr_plate.yaml", *_planned("pcr")]
        given += [f"--{reader.replace('_', '-')}", FILES[reader]]
        return program("pcr/quantify_plate")([*given, *_out("wells", "curves", "samples", "droplets", "qc")])
    if reader == "curve":
        given = ["--file-id", "p1", "--mapping", "mappings/stored.yaml", *_planned("pcr")]
        given += ["--curve", FILES["curve"]]
        return program("pcr/quantify_plate")([*given, *_out("wells", "curves", "samples", "droplets", "qc")])
    if reader in {"dilutions", "blanks"}:
        given = ["--dilutions", FILES["dilutions"], "--blanks", FILES["blanks"], "--name", "car"]
        return program("pcr/estimate_detection_limits")([*given, "--target", "CAR", *_out("output")])
    if reader in {"fcs", "gates", "compensation"}:
        names = ("tubes", "gates", "thresholds", "background", "acquisition", "plots", "qc", "gating-ml")
        panel = {"fcs": FILES["panel"], "gates": "mappings/drawn.yaml"}.get(
            reader, "mappings/compensated.yaml"
        )
        given = ["--file-id", "t1", "--panel", panel, *_planned("fcs")]
        given += ["--drawn", FILES["gates"]] if reader == "gates" else []
        given += ["--compensation", FILES["compensation"]] if reader == "compensation" else []
        return program("flow/gate_tube")([*given, *_out(*names)])
    if reader in {"matrix_h5", "matrix_mtx"}:
        plan = {"library_id": "L1", "chemistry": "5p", "sort": "none", "sha256": "", "counts": FILES[reader]}
        plan |= {"car_features": ["CAR"], "tag_features": []}
        outputs = _out("h5ad", "cells", "ambient", "libraries", "qc")
        return program("cells/read_library")(["--library", "L1", "--plan", json.dumps(plan), *outputs])
    construct = ["--endogenous", "constructs/endogenous.fasta"]
    if reader in {"bam", "index"}:
        names = ("molecules", "coverage", "variants", "car-reads", "qc")
        given = ["--library", "L1", "--chemistry", "5p", "--bam", FILES["bam"], "--constructs", CAR.name]
        given += ["--sequences", FILES["construct"], "--annotations", FILES["annotation"], *construct]
        given += ["--index", FILES["index"]] if reader == "index" else []
        return program("cells/count_car_molecules")([*given, *_out(*names)])
    if reader == "contigs":
        plan = {"tcr_contigs": FILES["contigs"]}
        outputs = _out("chains", "receptors", "qc")
        return program("repertoire/read_contigs")(["--library", "L1", "--plan", json.dumps(plan), *outputs])
    if reader == "sites":
        given = ["--site-set", "S1", "--path", FILES["sites"], "--specimen", "GTS1"]
        return program("repertoire/read_sites")([*given, *_out("sites", "qc")])
    given = ["--construct", "DEMO-BBz", "--sequence", FILES["construct"], "--annotation", FILES["annotation"]]
    outputs = _out("regions", "domains", "qc", "bed", "picture")
    return program("cells/check_construct")([*given, *construct, *outputs])
