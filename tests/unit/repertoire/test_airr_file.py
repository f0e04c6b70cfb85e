"""The rearrangement table: valid by the schema, safe, and read back as what was written."""

from __future__ import annotations

import gzip
from pathlib import Path

import airr
import pandas as pd
import pytest
from tests.unit.repertoire.test_chains import chain
from tests.unit.repertoire.test_contigs import csv_of

from cartrace.repertoire.airr_file import FIELDS, rearrangements, write_airr
from cartrace.repertoire.chains import chains_of, receptors_of
from cartrace.repertoire.contigs import faults_of, read_contigs
from cartrace.repertoire.settings import Contigs
from cartrace.tables import concat

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:airr")
SAME = ["locus", "rank", "v_gene", "d_gene", "j_gene", "c_gene", "cdr3_nt", "cdr3_aa", "umis", "reads"]


def chains() -> pd.DataFrame:
    from cartrace.repertoire.tables import CHAINS

    lines = [
        chain("A-1", "TRB", umis=4, number=1),
        chain("A-1", "TRA", "CAAF", number=2, c_gene=""),
        chain("C-1", "IGH", "CATF", reads=7, number=3),
    ]
    parts = [chains_of(dict.fromkeys("TB", csv_of(*lines)), library, Contigs()) for library in ("L1", "L2")]
    return concat(parts, CHAINS)


def cells() -> pd.DataFrame:
    rows = [("L1", "A-1", "T", "T-0123456789ab"), ("L2", "C-1", "B", "B-0123456789ab")]
    frame = pd.DataFrame(rows, columns=["library", "cell", "receptor", "clonotype"])
    return frame.assign(subject_id="S1")


def written(path: Path, table: pd.DataFrame) -> Path:
    write_airr(table, path)
    return path


def test_each_chain_is_a_row_with_the_clone_of_its_receptor(tmp_path: Path) -> None:
    table = rearrangements(chains(), cells(), {"L1": "P-M0", "L2": "P-M1"})
    assert tuple(table.columns) == FIELDS
    path = written(tmp_path / "s.airr.tsv.gz", table)
    back = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    assert back["cell_id"].tolist() == ["L1:A-1", "L1:A-1", "L1:C-1", "L2:A-1", "L2:A-1", "L2:C-1"]
    assert back["clone_id"].tolist() == ["T-0123456789ab", "T-0123456789ab", "", "", "", "B-0123456789ab"]
    assert back["sample_id"].tolist() == ["P-M0"] * 3 + ["P-M1"] * 3
    assert set(back["subject_id"]) == {"S1"}
    assert back["sequence_id"].is_unique
    assert back["c_call"].tolist()[:3] == ["", "TRBC", "IGHC"]


def test_the_file_is_valid_and_comes_back_as_the_same_chains(tmp_path: Path) -> None:
    own = chains()
    path = written(tmp_path / "s.airr.tsv.gz", rearrangements(own, cells(), {}))
    plain = tmp_path / "s.tsv"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    assert airr.validate_rearrangement(str(plain))
    table = read_contigs(path, path.name)
    assert table.lacking == ()
    back = chains_of(dict.fromkeys("TB", table), "L", Contigs())
    pd.testing.assert_frame_equal(back[SAME], own[SAME])
    assert (back["cell"] == own["library"] + ":" + own["cell"]).all()
    assert receptors_of(back)["pairing"].tolist() == ["single_pair", "orphan_vdj"] * 2
    assert faults_of(table, (table.frame["umis"] > 0).to_numpy(bool)) == []


def test_the_same_rows_give_the_same_bytes_and_no_formula(tmp_path: Path) -> None:
    own = chains().assign(library="=cmd()")
    own.loc[0, "contig"] = 'a\tb\n"c"'
    table = rearrangements(own, cells(), {})
    one, other = (written(tmp_path / n, table).read_bytes() for n in ("a.gz", "b.gz"))
    assert one == other
    lines = gzip.decompress(one).decode().splitlines()
    assert len(lines) == len(own) + 1
    assert all(line.count("\t") == len(FIELDS) - 1 for line in lines)
    assert not any(field.startswith("=") for line in lines for field in line.split("\t"))


def test_no_chains_make_a_file_with_a_header_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "s.tsv.gz", rearrangements(chains().head(0), cells().head(0), {}))
    assert gzip.decompress(path.read_bytes()).decode() == "\t".join(FIELDS) + "\n"
    assert read_contigs(path, path.name).frame.empty
