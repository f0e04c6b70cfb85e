"""Real contigs: the same chains, ranks and words as scirpy; the broken file refused with its lines."""

from __future__ import annotations

import gzip
import hashlib
import warnings
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.cells.contigs import read_contigs as cells_of
from cartrace.problems import InputError
from cartrace.repertoire.airr_file import rearrangements, write_airr
from cartrace.repertoire.chains import chains_of, counted, receptors_of
from cartrace.repertoire.contigs import faults_of, read_contigs
from cartrace.repertoire.settings import Contigs
from cartrace.repertoire.tables import CLONE_CELLS
from cartrace.tables import empty

FOLDER = real_data() / "vdj"
P02 = real_data() / "single_cell" / "carpall_p02" / "vdj_t"
FILES = {
    "scirpy/sc5p_v2_hs_melanoma_10k_b_filtered_contig_annotations.csv.gz": "B",
    "scirpy/vdj_nextgem_hs_pbmc3_t_filtered_contig_annotations.csv.gz": "T",
    "dandelion/filtered_contig_annotations.csv": "B",
    "scirpy/issue_625.tsv": "B",
}
JSON = "scirpy/all_contig_annotations.json"
SETTINGS = Contigs()
VDJ = {"TRB": "VDJ", "TRD": "VDJ", "IGH": "VDJ"}
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (FOLDER.is_dir() and P02.is_dir()), reason="the real contigs are not here: set CARTRACE_REAL_DATA"
    ),
]


def chains(path: Path, receptor: str) -> pd.DataFrame:
    return chains_of({receptor: read_contigs(path, path.name)}, "L", SETTINGS)


def beginning(name: str, folder: Path) -> Path:
    """Return a file with the first 500 contigs: scirpy takes 20 s for the 15,079 of the largest, all the same."""
    source = FOLDER / name
    if source.suffix == ".json":
        return source
    content = source.read_bytes()
    lines = (gzip.decompress(content) if source.suffix == ".gz" else content).splitlines(keepends=True)
    (folder / source.stem).write_bytes(b"".join(lines[:501]))
    return folder / source.stem


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FILES, JSON])
def test_chains_their_order_and_the_words_of_cells_are_those_of_scirpy(name: str, tmp_path: Path) -> None:
    path = beginning(name, tmp_path)
    with warnings.catch_warnings():
        # Of its own dependencies; what counts here is what it computes.
        warnings.simplefilter("ignore")
        import scirpy

        read = scirpy.io.read_airr if name.endswith("tsv") else scirpy.io.read_10x_vdj
        theirs = read(path)
        scirpy.pp.index_chains(theirs)
        scirpy.tl.chain_qc(theirs)
        columns = ["locus", "junction", "v_call", "j_call", "c_call", "consensus_count"]
        told = scirpy.get.airr(theirs, columns, ["VJ_1", "VJ_2", "VDJ_1", "VDJ_2"])
    both = dict.fromkeys(("T", "B"), read_contigs(path, name))
    ours = chains_of({r: t for r, t in both.items() if counted(t, r, SETTINGS).any()}, "L", SETTINGS)
    receptors = receptors_of(ours).set_index("cell")

    words = theirs.obs["chain_pairing"].astype(str).str.replace(" ", "_").str.lower()
    words = words[words != "no_ir"]
    assert receptors["pairing"].to_dict() == words.to_dict()

    # scirpy ranks both loci of a kind together; within a cell the order of ours is by locus, then rank.
    ours["kind"] = ours["locus"].map(lambda locus: VDJ.get(locus, "VJ"))
    by_kind = ours.sort_values(["umis", "reads", "cdr3_nt"], ascending=False, kind="stable")
    by_kind["place"] = by_kind.groupby(["cell", "kind"]).cumcount() + 1
    own = ["locus", "cdr3_nt", "v_gene", "j_gene", "c_gene", "reads"]
    mine = {
        (row["cell"], f"{row['kind']}_{row['place']}"): [None if pd.isna(row[c]) else row[c] for c in own]
        for row in by_kind[by_kind["place"] <= 2].to_dict("records")  # scirpy keeps two
    }
    found = {}
    for arm in ("VJ_1", "VJ_2", "VDJ_1", "VDJ_2"):
        for cell, row in told[[f"{arm}_{c}" for c in columns]].iterrows():
            values = [None if pd.isna(x) else x for x in row]
            if values[1]:
                # Without the allele, and as IMGT writes it.
                genes = [g and str(g).partition("*")[0].replace("14DV4", "14/DV4") for g in values[2:5]]
                found[cell, arm] = [*values[:2], *genes, values[5]]
    assert mine == found
    ranks = ours.sort_values(["umis", "reads", "cdr3_nt"], ascending=False, kind="stable")
    assert (ranks.groupby(["cell", "locus"]).cumcount() + 1 == ranks["rank"]).all()


@pytest.mark.slow
def test_what_is_written_as_airr_is_the_same_to_scirpy(tmp_path: Path) -> None:
    own = chains(
        beginning("scirpy/sc5p_v2_hs_melanoma_10k_b_filtered_contig_annotations.csv.gz", tmp_path), "B"
    )
    path = tmp_path / "subject.airr.tsv.gz"
    write_airr(rearrangements(own, empty(CLONE_CELLS), {"L": "S"}), path)
    with warnings.catch_warnings():
        # Of its own dependencies; what counts here is what it computes.
        warnings.simplefilter("ignore")
        import scirpy

        theirs = scirpy.io.read_airr(path)
        scirpy.pp.index_chains(theirs)
        scirpy.tl.chain_qc(theirs)
        first = scirpy.get.airr(theirs, ["junction", "c_call"], ["VDJ_1"])
    words = theirs.obs["chain_pairing"].astype(str).str.replace(" ", "_").str.lower()
    assert words.to_dict() == {f"L:{c}": p for c, p in receptors_of(own).set_index("cell")["pairing"].items()}
    heavy = own[(own["locus"] == "IGH") & (own["rank"] == 1)]
    told = first.dropna(subset=["VDJ_1_junction"])
    assert told["VDJ_1_junction"].to_dict() == dict(zip("L:" + heavy["cell"], heavy["cdr3_nt"], strict=True))


def test_the_broken_file_is_refused_with_its_lines() -> None:
    path = FOLDER / "malformed" / "filtered_contig_annotations.csv"
    with pytest.raises(InputError) as error:
        read_contigs(path, path.name)
    text = str(error.value)
    # The fourth line calls two J genes, with a comma that no quotes hold.
    assert "filtered_contig_annotations.csv, row 4: found 23 columns; allowed: 22" in text
    assert "more lines like these" in text


def test_no_real_cdr3_contradicts_its_amino_acids_and_no_contig_comes_twice() -> None:
    paths = {**{FOLDER / f: r for f, r in FILES.items()}, **dict.fromkeys(sorted(P02.glob("*.csv.gz")), "T")}
    for path, receptor in paths.items():
        table = read_contigs(path, path.name)
        assert faults_of(table, counted(table, receptor, SETTINGS)) == []


def test_six_beta_chains_of_p02_stand_at_six_visits() -> None:
    samples = pd.read_csv(P02.parent / "samples.tsv", sep="\t", dtype=str)
    seen: dict[str, set[str]] = defaultdict(set)
    paired: dict[str, set[str]] = defaultdict(set)
    for sample, visit in zip(samples["TCR_Sample"], samples["Timepoint"], strict=True):
        found = chains(P02 / f"{sample}.filtered_contig_annotations.csv.gz", "T")
        beta = found[found["locus"] == "TRB"]
        receptors = receptors_of(found)
        pairs = receptors.loc[receptors["pairing"] == "single_pair", "cell"]
        seen[visit] |= set(beta["cdr3_nt"])
        paired[visit] |= set(beta.loc[beta["cell"].isin(pairs), "cdr3_nt"])
    visits = ("M0", "M01", "M02", "M05", "M15", "M21")
    six = set.intersection(*(paired[v] for v in visits))
    assert len(six) == 6
    # The CDR3 that the reference names, by its digest.
    assert "9b97a8d97e61ba9f" in {hashlib.sha256(cdr3.encode()).hexdigest()[:16] for cdr3 in six}
    # With the beta chains of cells that lack an alpha chain or have a second one, ten.
    ten = set.intersection(*(seen[v] for v in visits))
    assert len(ten) == 10
    assert six < ten
    # Another patient's library is an empty file: a finding, no fault.
    assert seen["M7.5"] == set()


def test_the_cells_stage_sees_the_same_chains() -> None:
    path = FOLDER / "scirpy/issue_625.tsv"
    cells = cells_of(path, path.name).cells
    own = chains(path, "B")
    assert {c: k.count("IGH", "IGK", "IGL") for c, k in cells.items()} == own.groupby("cell").size().to_dict()
    assert cells_of(FOLDER / JSON, JSON).receptor_missing("T") is False
