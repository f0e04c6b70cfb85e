"""Integration sites of five patients against the indices that their authors printed (Nobles 2020; data/integration_sites).

The authors' Chao1 is no index of these tables alone: INSPIIRED jackknifes it over random tenths of the fragments, and
rounds. It is compared with what such a jackknife of the same abundances can give.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.real.conftest import real_data

from cartrace.repertoire.diversity import indices_of


@pytest.fixture(scope="module")
def authors() -> pd.DataFrame:
    folder = real_data() / "integration_sites" / "ctl019"
    if not folder.is_dir():
        pytest.skip(
            "the real sites (integration_sites) are not here: set CARTRACE_REAL_DATA or put them in ../shared/data"
        )
    sites = pd.concat(
        pd.read_csv(folder / f"cart19_{part}_sites.tsv.gz", sep="\t") for part in ("tdn", "timepoint")
    )
    abundances = {s: g["estAbund"].to_numpy() for s, g in sites.groupby("specimen")}
    summary = pd.read_csv(folder / "specimen_summary.tsv", sep="\t")
    return summary.assign(abundances=summary["specimen"].map(abundances))


def test_sites_shannon_gini_and_uc50_are_those_of_the_authors(authors: pd.DataFrame) -> None:
    assert len(authors) == 17
    found = pd.DataFrame([indices_of(a) for a in authors["abundances"]])
    assert found["richness"].tolist() == authors["numUniqSites"].tolist()
    assert found["uc50"].tolist() == authors["UC50"].tolist()
    assert found["shannon"].to_numpy() == pytest.approx(authors["ShannonIndex"].to_numpy(), abs=1e-9)
    assert found["gini"].to_numpy() == pytest.approx(authors["GiniIndex"].to_numpy(), abs=1e-9)


def test_the_authors_chao1_lies_where_a_random_jackknife_can_put_it(authors: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    few = authors[authors["numUniqSites"].between(40, 600)]
    assert len(few) == 7
    for row in few.to_dict("records"):
        cells = np.repeat(np.arange(len(row["abundances"])), row["abundances"].astype(int))
        whole = indices_of(row["abundances"])["chao1"]
        found = []
        for _ in range(30):
            tenth = rng.permutation(len(cells)) % 10
            left = [indices_of(np.bincount(cells[tenth != t]))["chao1"] for t in range(10)]
            found.append(10 * whole - 9 * np.mean(left))
        assert abs(row["Chao1"] - np.mean(found)) < 4 * np.std(found)
