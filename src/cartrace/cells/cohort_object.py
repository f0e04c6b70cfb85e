"""All cells of a trial: one row each with type, state and CAR call, and one h5ad with their counts.

The h5ad is appended to library by library, so that memory holds one block of one library. Genes are joined: a
gene that a library did not measure has no counts there, and ``varm["measured"]`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.cells.stored import Genes, Stored, join_genes, moved, rows_of
from cartrace.cells.tables import OBS
from cartrace.tables import conform

if TYPE_CHECKING:
    import h5py
    import pandas as pd
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

_OF_SAMPLE = ("sample_id", "subject_id", "infusion", "day", "study_day", "visit", "matrix")
CHUNK = 1 << 17
PACKING: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def join_obs(
    barcodes: Sequence[str],
    cells: pd.DataFrame,
    types: pd.DataFrame,
    cars: pd.DataFrame,
    *,
    library: Mapping[str, Any],
    sample: Mapping[str, Any],
) -> pd.DataFrame:
    """Join what the jobs of one library said of its cells.

    Parameters
    ----------
    barcodes
        Cells of its count matrix, in order.
    cells, types, cars
        The contracts CELLS, TYPES and CARS.
    library, sample
        Its rows of LIBRARIES and SAMPLES.

    Returns
    -------
    DataFrame
        The contract OBS, one row for each barcode, in order.

    Raises
    ------
    ValueError
        When a table lacks a cell of the matrix, or has another one: as many cells out as in.
    """
    import pandas as pd

    name = str(library["library"])
    parts = []
    for what, table in (("cells", cells), ("types", types), ("cars", cars)):
        if len(table) != len(barcodes) or set(table["cell"]) != set(barcodes):
            raise ValueError(
                f"{name}: {len(barcodes)} cells in the matrix, and {len(table)} others in {what}"
            )
        parts.append(table.set_index("cell").drop(columns="library").reindex(list(barcodes)))
    joined = pd.concat(parts, axis=1).reset_index(names="cell")
    about = {c: sample[c] for c in _OF_SAMPLE} | {c: library[c] for c in ("library", "chemistry", "sort")}
    about["library_verdict"] = library["verdict"]
    return conform(joined.assign(**about), OBS)


def browsable(obs: pd.DataFrame) -> pd.DataFrame:
    """Return OBS as a browser reads it: categories, numbers and flags, without nullable or object columns."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for spec in OBS.columns:
        values = obs[spec.name]
        if spec.kind == "text":
            columns[spec.name] = _categories(values)
        elif spec.kind == "number":
            columns[spec.name] = values.to_numpy(np.float64)
        elif spec.kind == "integer":
            known = values.notna().all()
            columns[spec.name] = (
                values.to_numpy(np.int32) if known else values.to_numpy(np.float64, na_value=np.nan)
            )
        elif values.notna().all():
            columns[spec.name] = values.to_numpy(bool)
        else:
            columns[spec.name] = _categories(values.map({True: "yes", False: "no"}))
    names = obs["library"].astype(str) + ":" + obs["cell"].astype(str)
    return pd.DataFrame(columns, index=pd.Index(names.to_numpy(dtype=object), dtype=object))


def _categories(values: pd.Series[Any]) -> pd.Categorical:
    """Return text as categories of plain Python strings: pandas' own kind of text has an encoding few browsers read."""
    import pandas as pd

    words = pd.Index(sorted(set(values.dropna())), dtype=object)
    return pd.Categorical(values.astype(object).where(values.notna(), None), categories=words)


def write_cohort(
    path: Path, libraries: Mapping[str, Path], obs: pd.DataFrame, embedding: pd.DataFrame | None
) -> None:
    """Write the h5ad of all libraries.

    Parameters
    ----------
    path
        Where to; the caller puts it in its place.
    libraries
        library_id -> h5ad, in the order of ``obs``.
    obs
        The contract OBS of all cells: libraries in order, and in each the cells in the order of its matrix.
    embedding
        The contract EMBEDDING of some or all cells, which becomes ``obsm["X_umap"]``; nan elsewhere.

    Raises
    ------
    ValueError
        When a library has another number of cells in ``obs``.
    """
    import anndata
    import h5py

    genes, places, measured = joined_genes(libraries.values())
    sizes = obs["library"].value_counts().to_dict()
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
        matrix = file.create_group("X")
        for key, kind in (("data", np.float32), ("indices", np.int32)):
            matrix.create_dataset(key, (0,), kind, maxshape=(None,), chunks=(CHUNK,), **PACKING)
        ends = [np.zeros(1, np.int64)]
        for (name, source), where in zip(libraries.items(), places, strict=True):
            with Stored(source) as stored:
                if len(stored.barcodes) != sizes.get(name, 0):
                    raise ValueError(f"{name}: {len(stored.barcodes)} cells in, {sizes.get(name, 0)} out")
                for _, block in stored.blocks():
                    _append(matrix, moved(block, where, len(genes)), ends)
        indptr = np.concatenate(ends)
        matrix.create_dataset("indptr", data=indptr)
        matrix.attrs["encoding-type"], matrix.attrs["encoding-version"] = "csr_matrix", "0.1.0"
        matrix.attrs["shape"] = np.array([len(indptr) - 1, len(genes)])
        write = anndata.io.write_elem
        write(file, "obs", browsable(obs))
        write(file, "var", _var(genes, measured))
        obsm = {} if embedding is None or not len(embedding) else {"X_umap": coordinates(obs, embedding)}
        write(file, "obsm", obsm)
        write(file, "varm", {"measured": measured})
        write(file, "uns", {"cartrace": {"libraries": np.array(list(libraries), dtype=object)}})
        for key in ("layers", "obsp", "varp"):
            write(file, key, {})


def joined_genes(
    paths: Any,
) -> tuple[Genes, list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Join the genes of several h5ad files (:func:`cartrace.cells.stored.join_genes`)."""
    parts = []
    for path in paths:
        with Stored(path) as stored:
            parts.append(stored.genes)
    return join_genes(parts)


def picked_counts(
    libraries: Mapping[str, Path], chosen: pd.DataFrame
) -> tuple[csr_array, Genes, pd.DataFrame]:
    """Return the counts of some cells of several libraries, with their genes joined.

    Parameters
    ----------
    libraries
        library_id -> h5ad.
    chosen
        Columns library and cell.

    Returns
    -------
    counts, genes, cells
        Counts (cells, genes), the genes, and library and cell of each row.
    """
    import pandas as pd
    from scipy.sparse import vstack

    genes, places, _ = joined_genes(libraries.values())
    parts, cells = [], []
    for (name, path), where in zip(libraries.items(), places, strict=True):
        wanted = set(chosen.loc[chosen["library"] == name, "cell"])
        with Stored(path) as stored:
            positions = np.flatnonzero([barcode in wanted for barcode in stored.barcodes])
            if len(positions):
                parts.append(moved(rows_of(stored, positions), where, len(genes)))
                cells.append(pd.DataFrame({"library": name, "cell": stored.barcodes[positions]}))
    return vstack(parts, format="csr"), genes, pd.concat(cells, ignore_index=True)


def coordinates(obs: pd.DataFrame, embedding: pd.DataFrame) -> NDArray[np.float32]:
    """Return (cells, 2) the coordinates of each cell of ``obs``; nan for cells outside the picture."""
    keys = ["library", "cell"]
    joined = obs[keys].merge(embedding, on=keys, how="left")
    return joined[["x", "y"]].to_numpy(np.float32)


def _append(matrix: h5py.Group, block: Any, ends: list[NDArray[np.int64]]) -> None:
    start = int(ends[-1][-1])
    for key, values in (("data", block.data), ("indices", block.indices)):
        matrix[key].resize((start + block.nnz,))
        matrix[key][start:] = values
    ends.append(start + block.indptr[1:].astype(np.int64))


def _var(genes: Genes, measured: NDArray[np.bool_]) -> pd.DataFrame:
    import pandas as pd

    index = pd.Index(genes.ids, dtype=object)
    return pd.DataFrame(
        {
            "symbol": pd.Series(genes.symbols, index=index, dtype=object),
            "feature_type": _categories(pd.Series(genes.types, dtype=object)),
            "car": genes.cars,
            "libraries": measured.sum(axis=1).astype(np.int32),
        },
        index=index,
    )
