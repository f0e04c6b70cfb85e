"""Which contigs count, what is one chain, and what the chains of a barcode say of it: worked out by hand."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.repertoire.test_contigs import csv_of, tenx

from cartrace.repertoire.chains import chains_of, findings_of, receptors_of
from cartrace.repertoire.contigs import ContigTable, contigs_of
from cartrace.repertoire.settings import Contigs
from cartrace.repertoire.tables import CELL_RECEPTORS, CHAINS
from cartrace.repertoire.vocabulary import LOCI
from cartrace.tables import conform

SETTINGS = Contigs()
NT = {"CASF": "TGTGCCAGCTTT", "CAAF": "TGTGCAGCATTT", "CATF": "TGTGCAACATTT", "CAVF": "TGTGCAGTATTT"}


def chain(
    cell: str, locus: str, aa: str = "CASF", *, umis: int = 3, reads: int = 30, number: int = 1, **other: str
) -> str:
    return tenx(
        number,
        **{
            "barcode": cell,
            "contig_id": f"{cell}_contig_{number}",
            "chain": locus,
            "v_gene": f"{locus}V1",
            "j_gene": f"{locus}J1",
            "c_gene": f"{locus}C",
            "cdr3": aa,
            "cdr3_nt": NT.get(aa, ""),
            "umis": str(umis),
            "reads": str(reads),
        }
        | other,
    )


def found(*lines: str, receptor: str = "T", options: Contigs = SETTINGS) -> pd.DataFrame:
    return chains_of({receptor: csv_of(*lines)}, "L1", options)


def cell_of(**loci: int) -> str:
    """Return the pairing of a cell with so many chains of each locus."""
    acids = list(NT)
    wanted = [(locus, acids[i]) for locus, n in loci.items() for i in range(n)]
    lines = [chain("A-1", locus, aa, number=i) for i, (locus, aa) in enumerate(wanted)]
    both = dict.fromkeys("TB", csv_of(*lines))
    return str(receptors_of(chains_of(both, "L1", SETTINGS))["pairing"].iloc[0])


@pytest.mark.parametrize(
    "other",
    [
        {"is_cell": "False"},
        {"high_confidence": "false"},
        {"productive": "None"},
        {"productive": "false"},
        {"chain": "Multi"},
        {"chain": "IGH"},
        {"cdr3": "None", "cdr3_nt": "None"},
        {"umis": "0"},
    ],
)
def test_what_is_no_sure_productive_chain_of_a_cell_does_not_count(other: dict[str, str]) -> None:
    rows = found(chain("A-1", "TRB", number=1, **other), chain("C-1", "TRB", number=2))
    assert rows["cell"].tolist() == ["C-1"]


def test_fewest_umis_and_full_length_are_settings() -> None:
    lines = [chain("A-1", "TRB", umis=2), chain("C-1", "TRB", umis=5, full_length="False")]
    assert found(*lines, options=Contigs(min_umis=3))["cell"].tolist() == ["C-1"]
    assert found(*lines, options=Contigs(full_length=True))["cell"].tolist() == ["A-1"]


def test_one_chain_in_two_contigs_is_one_and_its_umis_are_added() -> None:
    rows = found(
        chain("A-1", "TRB", umis=2, reads=10, number=1),
        chain("A-1", "TRB", umis=7, reads=20, number=2, c_gene="None"),
        chain("A-1", "TRB", "CAAF", umis=8, reads=5, number=3),
        # Another J gene is another chain.
        chain("A-1", "TRB", umis=1, number=4, j_gene="TRBJ2-7"),
    )
    assert rows[["contig", "rank", "umis", "reads"]].to_numpy().tolist() == [
        ["A-1_contig_2", 1, 9, 30],
        ["A-1_contig_3", 2, 8, 5],
        ["A-1_contig_4", 3, 1, 30],
    ]
    # The contig with most UMIs has no constant gene, the other has.
    assert rows["c_gene"].iloc[0] == "TRBC"
    assert receptors_of(rows)["trb"].tolist() == [3]


def test_ranks_go_by_umis_then_reads_then_sequence_within_a_locus() -> None:
    rows = found(
        chain("A-1", "TRA", "CASF", umis=3, reads=5, number=1),
        chain("A-1", "TRA", "CATF", umis=3, reads=9, number=2),
        chain("A-1", "TRA", "CAVF", umis=3, reads=5, number=3),
        chain("A-1", "TRB", "CAAF", umis=1, number=4),
    )
    # TGTGCC.. stands after TGTGCA..: the last in the alphabet comes first.
    assert rows[["locus", "rank", "cdr3_aa"]].to_numpy().tolist() == [
        ["TRA", 1, "CATF"],
        ["TRA", 2, "CASF"],
        ["TRA", 3, "CAVF"],
        ["TRB", 1, "CAAF"],
    ]


def test_without_umis_reads_rank_and_each_chain_counts_one() -> None:
    content = "barcode,contig_id,chain,productive,cdr3_nt,cdr3,v_gene,j_gene,reads\n"
    content += "A-1,a,TRB,true,TGTGCC,CA,TRBV1,TRBJ1,5\nA-1,b,TRB,true,TGTGCA,CA,TRBV1,TRBJ1,8\n"
    table = contigs_of(lambda: io.BytesIO(content.encode()), "x.csv")
    rows = chains_of({"T": table}, "L1", Contigs(min_umis=2))
    assert rows[["contig", "rank", "umis"]].to_numpy().tolist() == [["b", 1, 1], ["a", 2, 1]]
    told = findings_of({"T": table}, "L1", Contigs(min_umis=2), receptors_of(rows), rows)
    assert [f["message"] for f in told if f["check"] == "contig_umis"] == [
        "the file tells no UMIs: chains are ranked by their reads; min_umis (2) can't be asked"
    ]


@pytest.mark.parametrize(
    ("loci", "pairing"),
    [
        ({"TRA": 1, "TRB": 1}, "single_pair"),
        ({"TRG": 1, "TRD": 1}, "single_pair"),
        ({"IGH": 1, "IGK": 1}, "single_pair"),
        ({"TRA": 1}, "orphan_vj"),
        ({"TRA": 2}, "orphan_vj"),
        ({"IGH": 1}, "orphan_vdj"),
        ({"TRA": 2, "TRB": 1}, "extra_vj"),
        ({"IGK": 1, "IGL": 1, "IGH": 1}, "extra_vj"),
        ({"TRA": 1, "TRB": 2}, "extra_vdj"),
        ({"TRA": 2, "TRB": 2}, "two_full_chains"),
        ({"TRA": 3, "TRB": 1}, "multichain"),
        ({"TRB": 3}, "multichain"),
        ({"TRB": 3, "IGH": 1}, "multichain"),
        ({"TRB": 1, "IGK": 1}, "ambiguous"),
        ({"TRA": 1, "TRD": 1}, "ambiguous"),
        ({"IGK": 1, "IGL": 1}, "ambiguous"),
    ],
)
def test_the_chains_of_a_cell_have_the_words_of_scirpy(loci: dict[str, int], pairing: str) -> None:
    assert cell_of(**loci) == pairing


def test_t_and_b_chains_in_one_barcode_are_of_both_and_count_for_nothing() -> None:
    t = csv_of(chain("A-1", "TRB", number=1), chain("C-1", "TRB", number=1))
    b = csv_of(chain("A-1", "IGH", number=1), chain("G-1", "IGH", number=1), chain("G-1", "TRA", number=2))
    rows = chains_of({"T": t, "B": b}, "L1", SETTINGS)
    # Cell Ranger numbers the contigs of either receptor from 1; each file tells its own receptor only.
    assert rows["contig"].tolist() == ["A-1_contig_1", "bcr_A-1_contig_1", "C-1_contig_1", "G-1_contig_1"]
    cells = receptors_of(rows).set_index("cell")
    assert cells["receptor"].to_dict() == {"A-1": "both", "C-1": "T", "G-1": "B"}
    assert cells["counts"].to_dict() == {"A-1": False, "C-1": True, "G-1": True}
    told = findings_of({"T": t, "B": b}, "L1", SETTINGS, receptors_of(rows), rows)
    by = {f["check"]: f for f in told}
    assert by["ambiguous_cells"]["verdict"] == "warn"
    assert by["ambiguous_cells"]["value"] == "33.3 %"
    assert "1 contigs of the other receptor are left out" in by["bcr_contigs"]["message"]


def test_one_file_of_both_receptors_may_be_given_twice() -> None:
    table = csv_of(chain("A-1", "TRB", number=1), chain("C-1", "IGH", number=2))
    rows = chains_of({"T": table, "B": table}, "L1", SETTINGS)
    assert rows[["cell", "locus", "umis"]].to_numpy().tolist() == [["A-1", "TRB", 3], ["C-1", "IGH", 3]]


def test_empty_files_and_files_of_the_other_receptor_are_findings() -> None:
    def told(receptor: str, *lines: str) -> list[dict[str, Any]]:
        tables: dict[str, ContigTable] = {receptor: csv_of(*lines)}
        rows = chains_of(tables, "L1", SETTINGS)
        return findings_of(tables, "L1", SETTINGS, receptors_of(rows), rows)

    assert "is empty" in told("T")[0]["message"]
    assert "has none: another receptor's file" in told("T", chain("A-1", "IGH"))[0]["message"]
    assert "0 of 1 contigs count" in told("B", chain("A-1", "IGH", productive="false"))[0]["message"]
    missing = [f for f in told("B", chain("A-1", "IGH", c_gene="")) if f["check"] == "constant_genes"]
    assert missing[0]["verdict"] == "warn"
    assert missing[0]["value"] == "100 %"


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_the_order_of_the_rows_changes_nothing(data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["A-1", "C-1", "G-1"]),
                st.sampled_from(LOCI),
                st.sampled_from(list(NT)),
                st.integers(1, 3),
                st.integers(1, 3),
            ),
            min_size=1,
            max_size=20,
        )
    )
    lines = [chain(c, x, a, umis=u, reads=r, number=i) for i, (c, x, a, u, r) in enumerate(rows)]
    shuffled = data.draw(st.permutations(lines))
    one, other = (chains_of(dict.fromkeys("TB", csv_of(*each)), "L1", SETTINGS) for each in (lines, shuffled))
    pd.testing.assert_frame_equal(one, other)
    assert one["umis"].sum() == sum(r[3] for r in rows)
    assert not one.duplicated(["cell", "locus", "rank"]).any()
    cells = receptors_of(one)
    pd.testing.assert_frame_equal(conform(cells, CELL_RECEPTORS), cells)
    pd.testing.assert_frame_equal(conform(one, CHAINS), one)
    assert cells[[x.lower() for x in LOCI]].to_numpy(np.int64).sum() == len(one)
