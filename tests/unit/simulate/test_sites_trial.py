"""The integration sites of the simulated trial: files, sheets and truth fit together."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pysam
import pytest

from cartrace.problems import holds_date
from cartrace.repertoire.junctions import Tally, find_sites, read_templates, vectors_of
from cartrace.repertoire.settings import Junctions
from cartrace.simulate.sites_trial import (
    APART,
    COLUMNS,
    GENES_FILE,
    GENES_OF_CONCERN,
    GENOME,
    SHARED_BY_B,
    SITE_SETS,
)
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.simulate.write import files


def simulated(n: int, *, seed: int = 2024, libraries: bool = True) -> Trial:
    return simulate_trial(
        seed, n, plates=False, tubes=False, immunoassays=False, bedside=False, libraries=libraries
    )


@pytest.fixture(scope="module")
def trial(monkeypatch_module: pytest.MonkeyPatch) -> Trial:
    """Sites of both subjects, of libraries but two."""
    from cartrace.simulate import cells_trial

    kept = [p for p in cells_trial.LIBRARIES if p.library_id in {"L008_product", "L003_product"}]
    monkeypatch_module.setattr(cells_trial, "LIBRARIES", kept)
    return simulated(8)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    patch = pytest.MonkeyPatch()
    yield patch
    patch.undo()


def table(trial: Trial, subject_id: str) -> pd.DataFrame:
    content = trial.sites.contents[f"data/integration_sites/{subject_id}.tsv"]
    return pd.read_csv(io.BytesIO(content), sep="\t", dtype=str)


def of(trial: Trial, subject_id: str) -> pd.DataFrame:
    truth = trial.truth["sites"]
    return truth[truth["subject_id"] == subject_id]


def test_the_tables_hold_the_sites_of_the_truth(trial: Trial) -> None:
    sheet = trial.sheets["integration_sites"].set_index("site_set_id")
    assert len(sheet) == len(SITE_SETS)
    for row in sheet[~sheet["path"].str.endswith(".bam")].itertuples():
        truth = trial.truth["sites"].query("site_set == @row.Index")
        rows = table(trial, truth["subject_id"].iloc[0]).query("specimen == @row.specimen")
        assert tuple(rows.columns) == COLUMNS
        found = dict(zip(rows["posid"], rows["estAbund"].astype(int), strict=True))
        assert found == dict(zip(truth["site"], truth["abundance"], strict=True))
        assert (rows["chrom"] + rows["strand"] + rows["start"]).tolist() == rows["posid"].tolist()
        assert set(truth["total"]) == {truth["abundance"].sum()}
        assert set(rows["celltype"]) == {row.cell_type}


def test_samples_of_sites_are_those_of_the_libraries_where_there_are_any(trial: Trial) -> None:
    sheet, samples = trial.sheets["integration_sites"], trial.sheets["samples"].set_index("sample_id")
    assert set(sheet["sample_id"]) <= set(samples.index)
    assert samples.index.is_unique
    products = samples[samples["matrix"] == "infusion_product"].index
    assert set(products) <= set(sheet["sample_id"])
    assert len(products) == 2


def test_one_site_near_a_gene_of_concern_takes_over(trial: Trial) -> None:
    planted = of(trial, "NMO-003").query("planted != ''").sort_values("study_day")
    assert len(set(planted["site"])) == 1
    share = 100 * planted["abundance"] / planted["total"]
    assert len(share) == 4
    assert share.is_monotonic_increasing
    assert share.iloc[-1] > 20 > 10 * share.iloc[1]
    assert set(planted["gene"]) == {"LMO2"}
    others = trial.truth["sites"].query("planted == ''")
    assert not others["gene"].isin(GENES_OF_CONCERN).any()
    listed = trial.sites.contents[GENES_FILE].decode().split()
    assert listed == list(GENES_OF_CONCERN)


def test_the_other_subject_stays_polyclonal(trial: Trial) -> None:
    truth = of(trial, "NMO-008")
    assert (truth["planted"] == "").all()
    assert (100 * truth["abundance"] / truth["total"]).max() < 5
    assert truth.groupby("site_set").size().min() > 150
    # Sites come again all the same: the sets are of one patient.
    product, late = (set(truth.query("study_day == @d")["site"]) for d in (0, truth["study_day"].max()))
    assert len(product & late) > 20


def test_b_cells_have_two_sites_of_the_t_cells(trial: Trial) -> None:
    truth = of(trial, "NMO-003")
    b = truth.query("cell_type == 'B cells'")
    t = truth[(truth["sample_id"] == b["sample_id"].iloc[0]) & (truth["cell_type"] == "T cells")]
    assert len(set(b["site"]) & set(t["site"])) == SHARED_BY_B
    assert len(b) > 10


def test_sites_of_a_subject_lie_apart(trial: Trial) -> None:
    for subject_id in ("NMO-003", "NMO-008"):
        sites = of(trial, subject_id).drop_duplicates("site")
        for _, on in sites.query("planted == ''").groupby("chromosome"):
            assert on["position"].sort_values().diff().min() >= APART


def test_true_shares_are_met(trial: Trial) -> None:
    truth = trial.truth["sites"].query("planted == ''")
    for row in truth.nlargest(20, "abundance").itertuples():
        expected = row.total * row.true_percent / 100
        assert abs(row.abundance - expected) < 5 * math.sqrt(expected) + 2


def test_the_junctions_in_the_bam_are_the_sites_of_the_truth(trial: Trial, tmp_path: Path) -> None:
    name = next(n for n in trial.sites.contents if n.endswith(".bam"))
    for suffix in ("", ".bai"):
        (tmp_path / f"sites.bam{suffix}").write_bytes(trial.sites.contents[name + suffix])
    assert len(trial.sites.contents[name]) < 300_000
    settings, tally = Junctions(**trial.config["repertoire"]["sites"]["junctions"]), Tally()
    with pysam.AlignmentFile(str(tmp_path / "sites.bam")) as bam:
        contigs = dict(zip(bam.references, bam.lengths, strict=True))
        vectors = vectors_of(contigs, settings, name, GENOME)
        found = find_sites(read_templates(bam, vectors, tally, name).values(), vectors, settings, tally)
    truth = trial.truth["sites"].query("subject_id == 'NMO-008' and gene == ''")
    expected = dict(zip(truth["site"], truth["abundance"], strict=True))
    assert len(found) == len(expected)
    # An error of sequencing right beside the junction moves it by a base or more.
    same = [site for site in found if expected.get(str(site["site"])) == site["fragments"]]
    assert len(same) >= 0.98 * len(expected)


def test_the_same_seed_gives_the_same_sites_whatever_the_size_of_the_trial(trial: Trial) -> None:
    small, other = simulated(3), simulated(3, seed=5)
    path = "data/integration_sites/NMO-003.tsv"
    assert small.sites.contents[path] == trial.sites.contents[path]
    assert small.sites.contents[path] != other.sites.contents[path]
    assert set(small.sites.contents) == {path, GENES_FILE}
    assert simulated(2).sites.contents == {}


def test_a_trial_without_libraries_has_no_sites() -> None:
    without = simulated(8, libraries=False)
    assert not [n for n in files(without) if "site" in n or GENES_FILE in n]
    assert "repertoire" not in without.config
    assert "integration_sites" not in without.config["sheets"]


def test_no_date_is_in_tables_and_truth(trial: Trial) -> None:
    for name, content in trial.sites.contents.items():
        if name.endswith(".tsv"):
            assert not holds_date(content.decode())
    assert not holds_date(trial.truth["sites"].to_csv(index=False))
