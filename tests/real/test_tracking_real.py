"""Clones of CARPALL P02 (Anderson 2023) from the product to month 21, against plain counts of the files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.real.conftest import real_data
from tests.unit.repertoire.hand_clones import library

from cartrace.config import Config
from cartrace.flow.counts import share_interval
from cartrace.repertoire.chains import chains_of, receptors_of
from cartrace.repertoire.changes import changes
from cartrace.repertoire.clone_cells import LibraryTables, clone_cells, countable_chains
from cartrace.repertoire.clonotypes import t_clonotypes
from cartrace.repertoire.contigs import read_contigs
from cartrace.repertoire.persistence import persistence
from cartrace.repertoire.samples import PlannedLibrary, library_order, samples_of
from cartrace.repertoire.settings import Repertoire
from cartrace.repertoire.tracking import clone_samples, clone_totals, clones_table, count_clones

pytestmark = [pytest.mark.real, pytest.mark.slow]

SETTINGS = Repertoire()
MONTH = 30.4
TIMES = ("M0", "M01", "M02", "M05", "M15", "M21")
MATRIX = {"PROD": "infusion_product", "PB": "blood", "BM": "marrow"}
SORT = {"NoSo": "none", "CD3+CAT+": "car_positive"}
PERSISTENT = "9b97a8d97e61ba9f"
"""Digest of the CDR3 that the reference names."""


@dataclass(frozen=True)
class Followed:
    libraries: list[PlannedLibrary]
    files: dict[str, pd.DataFrame]
    """library -> its beta chains, as the file has them."""
    cells: pd.DataFrame
    clones: pd.DataFrame
    samples: pd.DataFrame
    totals: pd.DataFrame
    changes: pd.DataFrame
    persistence: pd.DataFrame


@pytest.fixture(scope="module")
def p02() -> Followed:
    folder = real_data() / "single_cell" / "carpall_p02"
    if not folder.is_dir():
        pytest.skip("CARPALL P02 is not here: set CARTRACE_REAL_DATA or put it into ../shared/data")
    sheet = pd.read_csv(folder / "samples.tsv", sep="\t")
    sheet = sheet[(sheet["Patient"] == "P02") & sheet["vdj_file"]]
    tables, files = [], {}
    for row in sheet.itertuples():
        path = folder / "vdj_t" / f"{row.TCR_Sample}.filtered_contig_annotations.csv.gz"
        name, day = row.TCR_Sample, float(row.Timepoint[1:]) * MONTH
        files[name] = beta_chains(path)
        chains = chains_of({"T": read_contigs(path, path.name)}, name, SETTINGS.contigs)
        tables.append(
            LibraryTables(
                library(name, row.Timepoint, day, matrix=MATRIX[row.Source], sort=SORT[row.Sort]),
                chains,
                receptors_of(chains),
            )
        )
    libraries = [one.library for one in tables]
    samples = samples_of(libraries)
    chains = countable_chains(tables)
    t = t_clonotypes(chains, library_order(libraries), SETTINGS.clonotypes)
    no_b = pd.DataFrame({"library": [], "cell": [], "clonotype": []})
    cells, _ = clone_cells("P02", tables, t, no_b, t_chains="trb")
    counts = count_clones(cells, libraries, samples)
    of: dict[str, Any] = {"counts": counts, "samples": samples, "settings": SETTINGS.tracking}
    return Followed(
        libraries,
        files,
        cells,
        clones_table("P02", cells, chains, samples)[0],
        clone_samples("P02", **of),
        clone_totals("P02", **of),
        changes("P02", **of),
        persistence("P02", landmarks=Config().kinetics.persistence.landmarks, **of),
    )


def beta_chains(path: Path) -> pd.DataFrame:
    """Productive beta chains, the one of most UMIs first; and whether the cell has an alpha chain as well."""
    contigs = pd.read_csv(path)
    good = contigs[(contigs["productive"].astype(str).str.lower() == "true") & (contigs["cdr3_nt"] != "None")]
    beta = good[good["chain"] == "TRB"].sort_values(["umis", "reads", "cdr3_nt"], ascending=False)
    return beta.assign(paired=beta["barcode"].isin(good.loc[good["chain"] == "TRA", "barcode"]))


def test_the_six_persistent_clones_come_out(p02: Followed) -> None:
    times = {lib.library_id: lib.sample.sample_id for lib in p02.libraries}

    def everywhere(files: dict[str, pd.DataFrame]) -> set[str]:
        beta = pd.concat([file.assign(time=times[name]) for name, file in files.items()])
        at = beta.groupby("cdr3_nt")["time"].agg(set)
        return set(at.index[at.map(lambda seen: seen >= set(TIMES))])

    plain = everywhere(p02.files)
    # The six of the reference are those of cells with both chains; a beta chain alone finds four more.
    six = everywhere({name: file[file["paired"]] for name, file in p02.files.items()})
    assert len(six) == 6
    assert PERSISTENT in {hashlib.sha256(cdr3.encode()).hexdigest()[:16] for cdr3 in six}
    assert six < plain
    assert len(plain) == 10

    at = p02.samples[p02.samples["sample_id"].isin(TIMES)].groupby("clonotype")["sample_id"].nunique()
    found = p02.clones[p02.clones["clonotype"].isin(at.index[at == len(TIMES)])]
    assert set(found["cdr3_nt"]) == plain
    assert found["in_product"].all()


def test_tracked_shares_are_those_of_a_plain_count(p02: Followed) -> None:
    receptors = p02.cells.set_index(["library", "cell"])
    for population, sort in (("t_cells", "none"), ("car_t_cells", "car_positive")):
        for sample in ("M0", "M02", "M21"):
            (name,) = (
                lib.library_id for lib in p02.libraries if lib.sample.sample_id == sample and lib.sort == sort
            )
            # Cells with too many chains are no cells of a clone: whom to leave out is another test's matter.
            first = p02.files[name].drop_duplicates("barcode")
            first = first[[(name, cell) in receptors.index for cell in first["barcode"]]]
            plain = first.groupby(["v_gene", "j_gene", "cdr3_nt"]).size()
            mine = p02.samples[
                (p02.samples["population"] == population) & (p02.samples["sample_id"] == sample)
            ].merge(p02.clones, on="clonotype", suffixes=("", "_clone"))
            mine = mine.set_index(["v_gene", "j_gene", "cdr3_nt"])
            assert len(plain) == len(mine)
            n = plain.sum()
            low, high = share_interval(plain.to_numpy(), n)
            expected = pd.DataFrame(
                {"cells": plain, "percent": 100 * plain / n, "lower": 100 * low, "upper": 100 * high}
            )
            pd.testing.assert_frame_equal(
                mine.loc[expected.index, list(expected)].astype(float),
                expected.astype(float),
                check_index_type=False,
            )
            (total,) = p02.totals.loc[
                (p02.totals["population"] == population) & (p02.totals["sample_id"] == sample), "cells"
            ]
            assert total == n
            # At most a few per cent of the cells are left out.
            assert n > 0.85 * p02.files[name]["barcode"].nunique()


def test_sorted_and_unsorted_cells_stand_in_different_populations(p02: Followed) -> None:
    libraries = p02.totals.set_index(["population", "sample_id"])["libraries"]
    assert not libraries.str.contains(";").any()
    assert libraries["t_cells", "M0"] != libraries["car_t_cells", "M0"]


def test_clones_of_the_product_persist_to_month_21(p02: Followed) -> None:
    of_car = p02.persistence[p02.persistence["population"] == "car_t_cells"].set_index("sample_id")
    car = p02.samples[p02.samples["population"] == "car_t_cells"]
    product = set(car.loc[car["sample_id"] == "M0", "clonotype"])
    for sample, row in of_car.iterrows():
        later = car[car["sample_id"] == sample]
        assert row["product_clones"] == len(product)
        assert row["found"] == len(product & set(later["clonotype"])) > 0
        assert row["cells"] == later.loc[later["clonotype"].isin(product), "cells"].sum()
    assert set(of_car.index) == {"M01", "M02", "M05", "M15", "M21"}


def test_clones_of_sorted_car_positive_cells_expand_and_contract(p02: Followed) -> None:
    found = p02.changes[(p02.changes["population"] == "car_t_cells") & (p02.changes["from_sample"] == "M0")]
    assert {"expanded", "contracted"} <= set(found["change"])
    assert (found["from_cells"] + found["to_cells"]).min() >= SETTINGS.tracking.min_cells
