"""Names of clones."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from tests.unit.repertoire.hand_chains import chain, chains

from cartrace.repertoire.names import cell_codes, clone_name, receptors, representatives, sample_ranks


def test_a_name_is_the_start_of_the_hash_of_the_receptor() -> None:
    text = "TRB|TRBV9|TRBJ2-1|TGTGCCAGC"
    assert clone_name("T", text) == "T-" + sha256(text.encode()).hexdigest()[:12]
    assert clone_name("B", text)[1:] == clone_name("T", text)[1:]


def test_receptors_are_told_apart_by_locus_genes_and_sequence_and_not_by_allele() -> None:
    found = receptors(
        chains(
            chain("L", "A", "TRB", "TGT", v_gene="TRBV9*01", j_gene="TRBJ1-1*01"),
            chain("L", "B", "TRB", "TGT", v_gene="TRBV9*02", j_gene="TRBJ1-1"),
            chain("L", "C", "TRB", "TGT", v_gene="TRBV9", j_gene="TRBJ1-2"),
            chain("L", "D", "TRB", "TGC", v_gene="TRBV9", j_gene="TRBJ1-1"),
            chain("L", "E", "TRB", None),
            chain("L", "F", "TRB", "TGT", v_gene=""),
        ),
        "nt",
    )
    a, b, c, d, e, f = found.code.tolist()
    assert a == b
    assert len({a, c, d}) == 3
    assert e == f == -1
    assert found.text(a) == "TRB|TRBV9|TRBJ1-1|TGT"


def test_no_contigs_are_no_receptors() -> None:
    assert len(receptors(chains(), "aa").cdr3) == 0


def test_a_barcode_is_another_cell_in_another_library() -> None:
    found = cell_codes(
        chains(chain("L", "A", "TRB", "T"), chain("M", "A", "TRB", "T"), chain("L", "A", "TRA", "T"))
    )
    assert found[0] == found[2] != found[1]


def test_samples_are_ranked_in_time_and_one_without_a_place_is_told() -> None:
    frame = chains(
        chain("late", "A", "TRB", "T"), chain("early", "A", "TRB", "T"), chain("same", "A", "TRB", "T")
    )
    assert sample_ranks(frame, {"late": 28, "early": -7, "same": 28}).tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="early, same"):
        sample_ranks(frame, {"late": 28})


def test_the_earliest_sample_names_then_most_cells_then_the_alphabet() -> None:
    text = ["d", "c", "b", "a"]

    def chosen(*seen: tuple[int, int, int]) -> list[int]:
        clone, receptor, rank = (np.array(v, dtype=np.int64) for v in zip(*seen, strict=True))
        return representatives(clone, receptor, rank, text).tolist()

    # clone, receptor, rank of the sample
    assert chosen((0, 0, 1), (0, 0, 1), (0, 1, 0)) == [1]
    assert chosen((0, 0, 0), (0, 0, 0), (0, 3, 0)) == [0]
    assert chosen((0, 0, 0), (0, 2, 0), (0, 1, 0)) == [2]
    # Cells of later samples don't weigh.
    assert chosen((0, 0, 0), (0, 2, 0), (0, 0, 1), (1, 3, 5)) == [2, 3]
