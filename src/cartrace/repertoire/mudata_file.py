"""Cells and their receptors in one file, for scirpy and muon: h5mu with the modalities gex and airr.

The counts go from the h5ad into the h5mu as they are, so memory holds the chains alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import anndata
    import pandas as pd

CELL_FIELDS = ("subject_id", "sample_id", "library_id", "clone_id")
"""Fields of an AIRR row that are of the cell; a cell has one clone, of its T or of its B receptor."""


def read_chains(paths: Iterable[Path]) -> pd.DataFrame:
    """Read AIRR tables of subjects (:mod:`cartrace.repertoire.airr_file`), all as text."""
    import pandas as pd

    parts = [pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False) for path in paths]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def airr_of(chains: pd.DataFrame) -> anndata.AnnData:
    """Return the receptors as scirpy holds them.

    Parameters
    ----------
    chains
        Rows of AIRR tables, text.

    Returns
    -------
    AnnData
        One row a cell, named library:barcode; ``obsm["airr"]`` its chains, ``obs`` its CELL_FIELDS.

    Raises
    ------
    ValueError
        When there is no chain.
    """
    import pandas as pd
    from scirpy.io import read_airr  # type: ignore[import-untyped]

    if chains.empty:
        raise ValueError("found no chain in the AIRR tables; allowed: tables of subjects with contigs")
    receptors: anndata.AnnData = read_airr(chains)
    fields = [name for name in CELL_FIELDS if name in chains]
    # The first that is told: chains without a clone leave it to the others.
    of_cell = chains[["cell_id", *fields]].replace("", None).groupby("cell_id")[fields].first()
    of_cell = of_cell.reindex(receptors.obs_names)
    for name in fields:
        words = of_cell[name].astype(object)
        kinds = pd.Index(sorted(set(words.dropna())), dtype=object)
        receptors.obs[name] = pd.Categorical(words.where(words.notna(), None), categories=kinds)
    return receptors


def write_h5mu(path: Path, h5ad: Path, receptors: anndata.AnnData) -> tuple[int, int, int]:
    """Write the h5mu.

    Parameters
    ----------
    path
        Where to; the caller puts it in its place.
    h5ad
        All cells of the trial (scripts/cells/assemble_cells.py), copied without being read.
    receptors
        Of :func:`airr_of`.

    Returns
    -------
    cells, with_receptor, without_counts
        Cells of the h5ad, those of them with a receptor, and receptors of barcodes that the h5ad lacks.
    """
    import h5py
    import mudata  # type: ignore[import-untyped]
    import pandas as pd
    from anndata import AnnData

    with h5py.File(h5ad) as source:
        cells, genes = (_names(source[part]) for part in ("obs", "var"))
        named: dict[str, Any] = {
            "gex": AnnData(obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes)),
            "airr": receptors,
        }
        # mudata 0.3 copies all obs to the top unless told not to; 0.4 never does.
        options = getattr(mudata, "set_options", None)
        with options(pull_on_update=False) if options else nullcontext():
            mudata.write_h5mu(path, mudata.MuData(named))
        with h5py.File(path, "r+") as target:
            del target["mod/gex"]
            source.copy(source["/"], target["mod"], name="gex")
    matched = int(cells.isin(receptors.obs_names).sum())
    return len(cells), matched, receptors.n_obs - matched


def _names(frame: Any) -> pd.Index[Any]:
    """Return the index of a table in an h5ad."""
    import pandas as pd
    from anndata.io import read_elem

    values: Any = read_elem(frame[frame.attrs["_index"]])
    names: pd.Index[Any] = pd.Index(values, dtype=object)
    return names
