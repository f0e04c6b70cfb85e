"""The single-cell libraries of the simulated trial: files, sheets and truth fit together."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pysam
import pytest

from cartrace.problems import holds_date
from cartrace.repertoire.contigs import read_contigs
from cartrace.simulate import cells_trial
from cartrace.simulate.cells_genes import genes
from cartrace.simulate.cells_trial import (
    AIRR,
    ALL_JSON,
    B_TYPES,
    CONSTRUCT,
    FAILED_BARCODES,
    FAULTS,
    HOPPING_CELLS,
    HOPS_FROM,
    LIBRARIES,
    OTHER_CONSTRUCT,
    OUTSIDE_CELLS,
    TAG,
    constructs,
)
from cartrace.simulate.construct import made_up_endogenous
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.simulate.write import files


def simulated(n: int, *, seed: int = 2024, plant_errors: bool = True, libraries: bool = True) -> Trial:
    return simulate_trial(
        seed,
        n,
        plant_errors=plant_errors,
        plates=False,
        tubes=False,
        immunoassays=False,
        bedside=False,
        libraries=libraries,
    )


@pytest.fixture(scope="module")
def trial() -> Trial:
    return simulated(12)


def matrix(trial: Trial, library: str, kind: str = "filtered") -> pd.DataFrame:
    """Read an h5 file: barcodes x features."""
    content = trial.libraries.contents[f"data/cells/{library}/{kind}_feature_bc_matrix.h5"]
    with h5py.File(io.BytesIO(content)) as f:
        group = f["matrix"]
        n_features, n_barcodes = group["shape"][:]
        out = np.zeros((n_barcodes, n_features), dtype=int)
        barcode = np.repeat(np.arange(n_barcodes), np.diff(group["indptr"][:]))
        out[barcode, group["indices"][:]] = group["data"][:]
        names = group["features/name"].asstr()[:]
        return pd.DataFrame(out, index=group["barcodes"].asstr()[:], columns=names)


def of_library(trial: Trial, library: str) -> pd.DataFrame:
    cells = trial.truth["cells"]
    return cells[cells["library"] == library].set_index("cell")


def sheet(trial: Trial) -> pd.DataFrame:
    return trial.sheets["libraries"].set_index("library_id")


def test_every_path_of_the_sheet_is_a_file_and_every_file_is_named(trial: Trial) -> None:
    named = set()
    for row in trial.sheets["libraries"].to_dict("records"):
        paths = [
            row[c] for c in ("counts", "raw_counts", "bam", "tcr_contigs", "bcr_contigs", "metrics") if row[c]
        ]
        for path in paths:
            found = {
                n for n in trial.libraries.contents if n == f"data/{path}" or n.startswith(f"data/{path}/")
            }
            assert found, path
            named |= found
    beside = {n for n in trial.libraries.contents if n.startswith("data/")} - named
    assert all(n.endswith(".bam.bai") for n in beside)
    assert sheet(trial).index.tolist() == [p.library_id for p in LIBRARIES]


def test_cells_of_the_truth_are_the_barcodes_of_the_filtered_matrix(trial: Trial) -> None:
    for library in ("L008_before", "L003_d10", "L008_csf_d28"):
        assert sorted(of_library(trial, library).index) == matrix(trial, library).index.tolist()
    filtered, raw = (matrix(trial, "L008_d14", kind) for kind in ("filtered", "raw"))
    assert len(raw) == len(filtered) + 800
    assert raw.loc[filtered.index].equals(filtered)


def test_the_truth_of_a_library_counts_its_sound_single_cells(trial: Trial) -> None:
    truth = trial.truth["libraries"].set_index("library")
    for library, row in truth[truth["sound_cells"] > 0].iterrows():
        cells = of_library(trial, str(library)).query("not doublet and not damaged")
        t = cells[cells["state"] != ""]
        assert row["sound_cells"] == len(cells)
        assert row["t_cells"] == len(t)
        assert row["car_percent"] == pytest.approx(100 * t["car"].mean())
        assert row["b_cells"] == cells["type"].isin(B_TYPES).sum()
        assert row["ambient_percent"] == pytest.approx(4.7, abs=0.6)


def test_the_car_share_is_that_of_pcr_and_flow_on_the_same_day(trial: Trial) -> None:
    flow = trial.truth["samples"].query("analyte == 'car_t_fraction' and infusion == 1")
    flow = flow.set_index(["subject_id", "visit"])["true_value"]
    truth = trial.truth["libraries"].query("matrix == 'blood' and sort == 'none'")
    for row in truth.itertuples():
        expected = 0.0 if row.visit == "Pre-LD" else flow[row.subject_id, row.visit]
        assert row.sample_car_percent == pytest.approx(expected, abs=1e-4), row.library
        if row.sound_cells:
            error = np.sqrt(max(expected * (100 - expected), 1.0) / row.t_cells)
            assert row.car_percent == pytest.approx(expected, abs=4 * error), row.library


def test_b_cells_go_and_come_back_as_naive_ones(trial: Trial) -> None:
    truth = trial.truth["libraries"].set_index("library")
    for subject, peak in (("L008", "d14"), ("L003", "d10")):
        assert truth.loc[f"{subject}_before", "b_percent"] > 5
        assert truth.loc[f"{subject}_{peak}", "b_cells"] == 0
        late = truth.loc[f"{subject}_d90"]
        assert late["b_percent"] > 5
        new = truth["naive_of_b_percent"] + truth["transitional_of_b_percent"]
        assert new[f"{subject}_d90"] > new[f"{subject}_before"]
    assert of_library(trial, "L008_d90").query("type in @B_TYPES")["isotype"].eq("IGHM").mean() > 0.8


def test_the_matrix_holds_the_markers_of_the_true_types(trial: Trial) -> None:
    counts, truth = matrix(trial, "L008_before"), of_library(trial, "L008_before")
    single = truth.query("not doublet").index
    counts, truth = counts.loc[single], truth.loc[single]
    for gene, types in (("CD3D", ("cd4_t", "cd8_t")), ("CD79A", B_TYPES), ("LYZ", ("cd14_monocyte",))):
        own = truth["type"].isin(types)
        assert counts.loc[own, gene].mean() > 15 * counts.loc[~own, gene].median()
        assert counts.loc[own, gene].mean() > 2.5
    assert (counts["MALAT1"] > 0).mean() > 0.99
    assert counts[TAG].median() < 10


def test_the_car_feature_counts_what_carries_and_what_floats(trial: Trial) -> None:
    counts, truth = matrix(trial, "L008_product"), of_library(trial, "L008_product")
    car = counts[CONSTRUCT].loc[truth.index]
    assert (car >= truth["car_molecules"]).all()
    assert truth.loc[~truth["car"] & ~truth["doublet"], "car_molecules"].sum() == 0
    floating = car - truth["car_molecules"]
    assert 0.02 < floating.mean() < 0.4
    before = matrix(trial, "L008_before")
    assert before[CONSTRUCT].sum() == 0


def test_the_matrix_of_a_library_with_reads_counts_the_reads(trial: Trial, tmp_path: Path) -> None:
    path = tmp_path / "reads.bam"
    path.write_bytes(trial.libraries.contents["data/cells/L003_product/possorted_genome_bam.bam"])
    name = "data/cells/L003_product/possorted_genome_bam.bam.bai"
    path.with_name("reads.bam.bai").write_bytes(trial.libraries.contents[name])
    with pysam.AlignmentFile(str(path)) as file:
        assert file.check_index()
        reads = [r for r in file.fetch(CONSTRUCT) if r.mapping_quality == 255]
    molecules = {(r.get_tag("CB"), r.get_tag("UB")) for r in reads if r.has_tag("GN")}
    counts = matrix(trial, "L003_product", "raw")
    assert counts[CONSTRUCT].sum() == len(molecules)
    # 5' reads lie in the binder, which nothing else in the genome resembles: next to none is lost.
    truth = of_library(trial, "L003_product")
    assert matrix(trial, "L003_product").loc[truth.index, CONSTRUCT].sum() == pytest.approx(
        truth["car_molecules"].sum(), rel=0.08
    )


def test_one_library_was_aligned_to_a_reference_without_the_car(trial: Trial) -> None:
    assert CONSTRUCT not in matrix(trial, "L003_d10").columns
    with tempfile.NamedTemporaryFile(suffix=".bam") as file:
        file.write(trial.libraries.contents["data/cells/L003_d10/possorted_genome_bam.bam"])
        file.flush()
        with pysam.AlignmentFile(file.name) as reads:
            assert reads.references == ("chr1",)
            unmapped = [r.query_sequence for r in reads.fetch(until_eof=True) if r.is_unmapped]
    # Reads of the CAR's own parts have no place there.
    molecules = of_library(trial, "L003_d10")["car_molecules"].sum()
    assert 10 < molecules < len(unmapped)


def test_contigs_name_the_clones_of_the_truth(trial: Trial) -> None:
    text = trial.libraries.contents["data/cells/L008_d14/vdj_t_contig_annotations.csv"].decode()
    rows = [r for r in csv.DictReader(io.StringIO(text)) if r["productive"] == "true" and r["chain"] == "TRB"]
    truth = of_library(trial, "L008_d14")
    assert {r["barcode"] for r in rows} <= set(truth.index)
    single = [r for r in rows if not truth.loc[r["barcode"], "doublet"] and int(r["umis"]) > 1]
    of_clone: dict[str, set[str]] = {}
    for r in single:
        of_clone.setdefault(truth.loc[r["barcode"], "clone"], set()).add(r["cdr3_nt"])
    assert all(len(chains) == 1 for chains in of_clone.values())
    sizes = truth.loc[truth["car"], "clone"].value_counts()
    assert sizes.iloc[0] >= 3
    shared = set(of_library(trial, "L008_product")["clone"]) & set(truth["clone"]) - {""}
    assert len(shared) > 10


def contigs(trial: Trial, library: str, receptor: str = "t") -> pd.DataFrame:
    content = trial.libraries.contents[f"data/cells/{library}/vdj_{receptor}_contig_annotations.csv"]
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def sound(trial: Trial, library: str) -> pd.DataFrame:
    return of_library(trial, library).query("not doublet and not damaged and clone != ''")


def test_the_truth_of_the_clones_names_their_chains_and_counts_their_cells(trial: Trial) -> None:
    clones = trial.truth["clones"].set_index("clone")
    rows = contigs(trial, "L008_d14").query("chain == 'TRB' and productive == 'true' and umis != '1'")
    cells = sound(trial, "L008_d14")
    rows = rows[rows["barcode"].isin(cells.index)].set_index("barcode")
    for column in ("v_gene", "j_gene", "cdr3_nt"):
        own = clones.loc[cells.loc[rows.index, "clone"], column]
        assert own.tolist() == rows[column].tolist()
    samples = trial.truth["clone_samples"].query("library == 'L008_d14'")
    for population, of in (("t_cells", cells), ("car_t_cells", cells[cells["car"]])):
        part = samples[samples["population"] == population]
        assert part.set_index("clone")["cells"].to_dict() == of["clone"].value_counts().to_dict()
        assert set(part["total"]) == {len(of)}


def test_planted_shares_sum_to_one_and_are_met(trial: Trial) -> None:
    samples = trial.truth["clone_samples"].query("population != 'b_cells'")
    for _, part in samples.groupby(["library", "population"]):
        percent, total = part["true_percent"], part["total"].iloc[0]
        # The clones that were drawn hold most of the share; the others are the rest.
        assert percent.sum() < 100
        error = np.sqrt(percent * (100 - percent) / total)
        assert (abs(100 * part["cells"] / total - percent) < 6 * error + 100 * 2 / total).all()


def test_clones_of_the_product_expand_contract_and_persist(trial: Trial) -> None:
    clones = trial.truth["clones"].query("subject_id == 'NMO-008'")
    grown = clones.query("fate == 'expands' and transduced")
    assert (grown["peak_percent_of_kind"] >= 10 * grown["product_percent_of_kind"]).all()
    assert grown["peak_cells"].max() >= 5
    planted = clones.query("planted").set_index(["transduced", "fate"])
    assert sorted(planted.index) == [(t, f) for t in (False, True) for f in ("contracts", "expands")]
    # Of those a test between samples has something to find.
    assert (planted.loc[(slice(None), "contracts"), "product_cells"] >= 6).all()
    assert (planted.loc[(slice(None), "contracts"), "peak_cells"] <= 2).all()
    assert (
        planted.loc[(False, "expands"), "peak_cells"] >= 10 * planted.loc[(False, "expands"), "product_cells"]
    )
    assert planted.loc[(False, "expands"), "persists"]
    assert {"expands", "contracts", "steady"} == set(clones["fate"])
    persisting = set(clones[clones["persists"]]["clone"])
    both = set(sound(trial, "L008_product")["clone"]) & set(sound(trial, "L008_d90")["clone"])
    assert persisting == both
    assert len(both) > 10


def test_contigs_in_airr_format_are_valid_and_tell_mutations(trial: Trial, tmp_path: Path) -> None:
    import airr

    path = tmp_path / AIRR
    content = trial.libraries.contents[f"data/cells/L008_d90/{AIRR}"]
    path.write_bytes(content)
    plain = path.with_suffix("")
    plain.write_bytes(gzip.decompress(content))
    assert airr.validate_rearrangement(str(plain))
    frame = read_contigs(path, AIRR).frame.query("locus == 'IGH' and productive and umis > 1")
    truth = trial.truth["b_cells"].query("library == 'L008_d90'").set_index("cell")
    frame = frame[frame["cell"].isin(truth.index)].set_index("cell")
    assert len(frame) > 15
    own = truth.loc[frame.index]
    assert frame["mutation_frequency"].tolist() == pytest.approx(own["mutation_frequency"].tolist())
    assert frame["c_gene"].tolist() == own["c_gene"].tolist()
    assert frame["cdr3_nt"].tolist() == own["cdr3_nt"].tolist()
    clones = trial.truth["b_clones"].set_index("clone").loc[own["clone"]]
    assert frame["v_gene"].tolist() == clones["v_gene"].tolist()


def test_a_file_of_all_contigs_has_those_outside_cells_too(trial: Trial, tmp_path: Path) -> None:
    path = tmp_path / ALL_JSON
    path.write_bytes(trial.libraries.contents[f"data/cells/L008_csf_d28/{ALL_JSON}"])
    frame = read_contigs(path, ALL_JSON).frame
    assert (~frame["is_cell"]).sum() == OUTSIDE_CELLS
    cells = sound(trial, "L008_csf_d28")
    frame = frame.query("is_cell and productive and locus == 'TRB' and umis > 1").set_index("cell")
    frame = frame[frame.index.isin(cells.index)]
    own = trial.truth["clones"].set_index("clone").loc[cells.loc[frame.index, "clone"]]
    assert len(frame) > 50
    for column in ("v_gene", "j_gene", "cdr3_nt", "cdr3_aa"):
        assert frame[column].tolist() == own[column].tolist()


def test_old_b_clones_come_back_in_one_subject_only(trial: Trial) -> None:
    clones = trial.truth["b_clones"]
    back = clones.query("old and after_cells > 0")
    assert set(back["subject_id"]) == {"NMO-008"}
    assert back["returns"].all()
    assert len(back) == 2
    assert (back["before_cells"] > 0).all()
    cells = trial.truth["b_cells"]
    late = cells[cells["library"].str.endswith("_d90")]
    naive = late["type"].isin(["naive_b", "transitional_b"])
    assert naive.mean() > 0.8
    assert (late.loc[naive, "mutation_frequency"] < 0.005).all()
    assert set(late.loc[naive, "c_gene"]) == {"IGHM", "IGHD"}
    assert (late.loc[~naive, "mutation_frequency"] > 0.02).all()


def test_members_of_a_b_clone_differ_by_at_most_three_bases(trial: Trial) -> None:
    founders = trial.truth["b_clones"].set_index("clone")
    cells = trial.truth["b_cells"]
    cells = cells[cells["clone"].isin(founders[founders["old"]].index)]
    distances = [
        sum(a != b for a, b in zip(founder, own, strict=True))
        for founder, own in zip(founders.loc[cells["clone"], "cdr3_nt"], cells["cdr3_nt"], strict=True)
    ]
    assert set(distances) == {0, 1, 2, 3}
    assert not founders["cdr3_aa"].str.contains("*", regex=False).any()


def test_contigs_of_the_largest_clones_hopped_into_a_library_of_another_subject(trial: Trial) -> None:
    there, here = contigs(trial, HOPS_FROM), contigs(trial, "L008_d180_car")
    shared = set(there["barcode"]) & set(here["barcode"])
    assert len(shared) == HOPPING_CELLS
    hopped = here[here["barcode"].isin(shared)]
    assert set(hopped["umis"]) == {"1", "2"}
    chains = hopped.query("chain == 'TRB' and productive == 'true'")["cdr3_nt"]
    assert chains.nunique() == HOPPING_CELLS
    assert chains.isin(there["cdr3_nt"]).all()
    # Nobody else shares a beta chain by chance.
    rest = here[~here["barcode"].isin(shared)].query("chain == 'TRB' and productive == 'true'")
    assert not rest["cdr3_nt"].isin(there["cdr3_nt"]).any()


def test_a_library_may_have_contigs_and_no_counts(trial: Trial) -> None:
    row = sheet(trial).loc["L008_d180_car"]
    assert {row[c] for c in ("counts", "raw_counts", "bam", "metrics", "bcr_contigs")} == {""}
    assert row["sort"] == "car_positive"
    assert of_library(trial, "L008_d180_car").query("not doublet")["car"].mean() > 0.8


def test_each_kind_of_fault_is_planted_where_it_says(trial: Trial) -> None:
    faults = trial.truth["planted_library_faults"].set_index("kind")["library"]
    assert set(faults.index) == set(FAULTS)
    failed = matrix(trial, faults["failed_library"])
    assert len(failed) == FAILED_BARCODES
    assert failed.sum(axis=1).median() == 2
    assert failed.sum(axis=1).min() == 1
    assert CONSTRUCT not in matrix(trial, faults["no_car_feature"]).columns
    assert sheet(trial).loc[faults["no_car_feature"], "bam"] == ""
    wrong = trial.truth["libraries"].set_index("library").loc[faults["wrong_construct"]]
    assert wrong["construct"] == OTHER_CONSTRUCT
    # The matrix counts the registered construct: hardly a read of the other lies in what both share.
    assert (
        matrix(trial, wrong.name)[CONSTRUCT].sum()
        < 0.2 * of_library(trial, wrong.name)["car_molecules"].sum()
    )


def test_a_trial_without_faults_has_the_same_libraries_and_all_are_sound(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [*trial.truth["planted_library_faults"]["library"], "L004_d14_car"]
    monkeypatch.setattr(cells_trial, "LIBRARIES", [p for p in LIBRARIES if p.library_id in names])
    clean = simulated(4, plant_errors=False)
    assert len(clean.truth["planted_library_faults"]) == 0
    assert (clean.truth["libraries"]["sound_cells"] > 0).all()
    assert set(clean.truth["libraries"]["construct"]) == {CONSTRUCT}
    ours, theirs = clean.libraries.contents, trial.libraries.contents
    spoilt = {n.split("/")[2] for n in ours if n.startswith("data/") and theirs.get(n) != ours[n]}
    assert spoilt == {name for name in names[:-1] if name.startswith("L004")}


@pytest.fixture(scope="module")
def small() -> Trial:
    """The libraries of one subject."""
    return simulated(3)


def test_libraries_change_no_other_file_of_the_trial(small: Trial) -> None:
    with_libraries, without = files(small), files(simulated(3, libraries=False))
    more = set(with_libraries) - set(without)
    assert {n.split("/")[0] for n in more} == {
        "constructs",
        "data",
        "genes_of_concern.txt",
        "sheets",
        "truth",
    }
    assert {n for n in without if with_libraries[n] != without[n]} == {"config.yaml", "truth/simulation.json"}
    assert not [n for n in without if "data/cells" in n or "librar" in n]
    assert b"libraries.tsv" not in without["config.yaml"]


def test_a_larger_trial_holds_the_libraries_of_a_smaller_one_unchanged(trial: Trial, small: Trial) -> None:
    contents = small.libraries.contents
    assert {n: trial.libraries.contents[n] for n in contents} == contents
    assert simulated(1).libraries.contents == {}


def test_another_seed_gives_other_libraries_and_the_same_seed_the_same(
    small: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = [p for p in LIBRARIES if p.library_id == "L003_before"]
    monkeypatch.setattr(cells_trial, "LIBRARIES", one)
    again, other = (simulated(3, seed=seed).libraries.contents for seed in (2024, 5))
    data = [n for n in again if n.startswith("data/cells")]
    assert len(data) == 5
    assert {n: small.libraries.contents[n] for n in data} == {n: again[n] for n in data}
    assert not [n for n in data if other[n] == again[n]]


def test_the_other_construct_has_a_binder_of_its_own_on_the_same_backbone() -> None:
    ours, theirs = constructs().values()
    assert [d.name for d in ours.domains] == [d.name for d in theirs.domains]
    for domain in ours.domains:
        span = slice(domain.start - 1, domain.end)
        same = ours.sequence[span] == theirs.sequence[span]
        assert same == (domain.kind not in {"vh", "linker", "vl"}), domain.name
    assert len(ours.sequence) == len(theirs.sequence)


def test_no_name_no_date_and_no_real_sequence_is_in_the_files(trial: Trial) -> None:
    for name, content in trial.libraries.contents.items():
        assert not holds_date(name)
        if name.endswith((".csv", ".gtf")):
            assert not holds_date(content.decode()), name
    assert not any(i.startswith("ENS") for i in genes().ids)
    shipped = Path("resources/cells/endogenous.fasta").read_text("utf-8").replace("\n", "")
    pieces = (s[i : i + 30] for s in made_up_endogenous().values() for i in range(0, len(s) - 30, 30))
    assert not any(piece in shipped for piece in pieces)
    for table in ("cells", "libraries", "planted_library_faults", "cell_expression", "clones", "b_clones"):
        assert not holds_date(trial.truth[table].head(200).to_csv(index=False))
