"""Speed and memory of the cells stage beside the standard chain of scanpy.

A library of 20,000 genes is simulated (some 1,400 genes and 3,000 UMIs a cell, twelve kinds of cells with 300
genes of their own and the markers of a lineage) and written as Cell Ranger's h5. Two races, each contestant in
a fresh process:

types     from the file to quality, types, states and composition. cartrace streams the file; scanpy reads it,
          computes quality metrics, filters, normalises, takes logarithms, scores the same panels (score_genes),
          and names each cluster (variable genes, components, neighbours, Leiden) by the lineage with the highest
          mean score. scanpy_scores stops before the clusters: the lineage with the highest score of the cell.
clusters  from the file to clusters and their markers: variable genes, components, neighbours, Leiden,
          Wilcoxon. cartrace as in cluster_cells; scanpy with its defaults (igraph's Leiden, two iterations).

Seconds are wall time after the imports (which stand beside them), and the processor time; memory is the peak of
the process. Agreement is the share of cells whose planted lineage each found, and of cells with the same lineage
in both; for clusters the adjusted Rand index with what was planted. One row per race and size is appended to
benchmarks/cells_results.tsv. Files are kept in --folder, so that they are simulated once.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from record import REPOSITORY, append_row

OUTPUT = Path(__file__).with_name("cells_results.tsv")
PANELS = REPOSITORY / "resources" / "cells" / "panels.yaml"
GENES, OWN = 20_000, 300
KINDS = ("t", "t", "t", "t", "t", "nk", "b", "b", "monocyte", "monocyte", "cd16_monocyte", "plasma")
LINEAGE = {"cd16_monocyte": "monocyte"}
BLOCK = 2_000


def profiles(symbols: list[str], rng: np.random.Generator) -> np.ndarray:
    """Share of each gene in the UMIs of each kind, (kinds, genes)."""
    from cartrace.cells.panels import read_panels

    panels = read_panels(PANELS, PANELS.name)
    place = {s: i for i, s in enumerate(symbols)}
    base = rng.lognormal(0, 2.15, GENES)
    base[: len(panels.all_genes)] = 0
    base /= base.sum()
    found = []
    for kind in KINDS:
        share = base.copy()
        own = rng.choice(np.arange(len(panels.all_genes), GENES), OWN, replace=False)
        share[own] *= rng.lognormal(1.5, 0.7, OWN)
        share *= 0.9 / share.sum()
        for level, genes in panels.lineages[kind].markers.items():
            share[[place[g] for g in genes]] += panels.levels[level] / 10_000
        found.append(share / share.sum())
    # 5 % of every cell is soup: the mean of all.
    return 0.95 * np.array(found) + 0.05 * np.mean(found, axis=0)


def simulate(path: Path, cells: int) -> None:
    """Write a library as Cell Ranger's h5, block by block; the kinds stand beside it."""
    import h5py

    from cartrace.cells.panels import read_panels

    rng = np.random.default_rng(1)
    marked = read_panels(PANELS, PANELS.name).all_genes
    symbols = [
        *marked,
        *(f"MT-{i}" for i in range(13)),
        *(f"GENE{i}" for i in range(GENES - len(marked) - 13)),
    ]
    cumulative = np.cumsum(profiles(symbols, rng), axis=1)
    kind = rng.integers(0, len(KINDS), cells)
    depth = rng.lognormal(np.log(2800), 0.45, cells).astype(np.int64)
    part = path.with_suffix(".part")
    with h5py.File(part, "w") as file:
        file.attrs["software_version"] = "cellranger-7.1.0"
        matrix = file.create_group("matrix")
        for key, dtype in (("data", "i4"), ("indices", "i8")):
            packing = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
            matrix.create_dataset(key, (0,), dtype, maxshape=(None,), chunks=(80_000,), **packing)
        ends = [np.zeros(1, np.int64)]
        for first in range(0, cells, BLOCK):
            last = min(first + BLOCK, cells)
            keys = []
            for k in range(len(KINDS)):
                own = np.flatnonzero(kind[first:last] == k)
                drawn = np.searchsorted(cumulative[k], rng.random(int(depth[first:last][own].sum())))
                keys.append(np.repeat(own, depth[first:last][own]) * GENES + np.minimum(drawn, GENES - 1))
            entry, count = np.unique(np.concatenate(keys), return_counts=True)
            start = len(matrix["data"])
            for key, values in (("data", count), ("indices", entry % GENES)):
                matrix[key].resize((start + len(entry),))
                matrix[key][start:] = values
            ends.append(start + np.cumsum(np.bincount(entry // GENES, minlength=last - first)))
        matrix["indptr"] = np.concatenate(ends)
        matrix["shape"] = np.array([GENES, cells], np.int32)
        letters = np.array(list("ACGT"))[(np.arange(cells)[:, None] >> 2 * np.arange(10)) & 3]
        matrix["barcodes"] = np.array([f"{''.join(row)}-1" for row in letters], dtype=bytes)
        features = matrix.create_group("features")
        features["id"] = np.array([f"ENSG{i:011d}" for i in range(GENES)], dtype=bytes)
        features["name"] = np.array(symbols, dtype=bytes)
        features["feature_type"] = np.array(["Gene Expression"] * GENES, dtype=bytes)
    np.save(path.with_suffix(".npy"), kind)
    part.replace(path)


def types_by_cartrace(path: Path) -> np.ndarray:
    """Quality, types, states, composition as the stage computes them; returns the lineages."""
    from cartrace.cells.matrices import open_matrix
    from cartrace.cells.panels import read_panels
    from cartrace.cells.quality import judge_cells, limits_of
    from cartrace.cells.settings import Cells
    from cartrace.cells.streaming import add_up, roles_of
    from cartrace.cells.typing import Facts, Matrix, survey, type_cells

    settings, panels = Cells(), read_panels(PANELS, PANELS.name)
    counts = open_matrix(path)
    none = np.zeros(len(counts.features), bool)
    sums = add_up((block for _, block in counts.blocks()), roles_of(counts.features, none, none))
    passed = judge_cells(sums, limits_of(sums, settings.quality)).passed
    matrix = Matrix(
        blocks=lambda: (block for _, block in counts.blocks()),
        ids=counts.features.ids,
        symbols=counts.features.symbols,
        usable=~none,
    )
    kept = survey(matrix, panels, passed, settings.types)
    unknown = np.zeros(len(passed), bool)
    facts = Facts(passed, unknown, unknown, np.full(len(passed), ""))
    typed = type_cells(kept, facts, panels, settings.types)
    for found in (typed.lineage, typed.cell_type, typed.state[typed.lineage == "t"]):
        _composition(found[passed] if len(found) == len(passed) else found)
    return np.where(passed, typed.lineage, "filtered")


def _composition(words: np.ndarray) -> dict[str, float]:
    import pandas as pd

    return {str(k): float(v) for k, v in pd.Series(words).value_counts(normalize=True, dropna=False).items()}


def scored_by_scanpy(path: Path) -> tuple[Any, Any, list[str]]:
    """Run the standard chain to scores of the same panels; returns the data, all barcodes, the lineages' scores."""
    import scanpy as sc

    from cartrace.cells.panels import read_panels

    panels = read_panels(PANELS, PANELS.name)
    data = sc.read_10x_h5(path)
    data.var_names_make_unique()
    cells = data.obs_names
    data.var["mt"] = data.var_names.str.startswith("MT-")
    sc.pp.calculate_qc_metrics(data, qc_vars=["mt"], percent_top=None, inplace=True)
    sc.pp.filter_cells(data, min_genes=200)
    sc.pp.filter_genes(data, min_cells=3)
    data = data[(data.obs["pct_counts_mt"] < 10) & (data.obs["total_counts"] >= 500)].copy()
    sc.pp.normalize_total(data, target_sum=1e4)
    sc.pp.log1p(data)
    known, names = set(data.var_names), []
    for group, classes in panels.groups():
        for name, panel in classes.items():
            genes = sorted({g for level in panel.markers.values() for g in level} & known)
            if genes:
                sc.tl.score_genes(data, genes, score_name=f"{group}.{name}")
                names.append(f"{group}.{name}")
    return data, cells, [n for n in names if n.startswith("lineages.")]


def _named(data: Any, cells: Any, best: np.ndarray) -> np.ndarray:
    _composition(best)
    found = np.full(len(cells), "filtered", dtype=object)
    found[cells.get_indexer(data.obs_names)] = [str(b).partition(".")[2] for b in best]
    return found


def types_by_scores(path: Path) -> np.ndarray:
    """Name each cell by its highest score."""
    data, cells, lineages = scored_by_scanpy(path)
    best = np.array(lineages)[data.obs[lineages].to_numpy().argmax(axis=1)]
    return _named(data, cells, best)


def types_by_scanpy(path: Path) -> np.ndarray:
    """Name each cluster by its highest mean score."""
    data, cells, lineages = scored_by_scanpy(path)
    clustered_by_scanpy(data)
    means = data.obs.groupby("leiden", observed=True)[lineages].transform("mean").to_numpy()
    return _named(data, cells, np.array(lineages)[means.argmax(axis=1)])


def clustered_by_scanpy(data: Any) -> None:
    """Cluster normalised data."""
    import scanpy as sc

    sc.pp.highly_variable_genes(data, n_top_genes=2000)
    sc.pp.pca(data, n_comps=30, mask_var="highly_variable")
    sc.pp.neighbors(data, n_neighbors=15)
    sc.tl.leiden(data, flavor="igraph", n_iterations=2, directed=False)


def clusters_by_cartrace(path: Path) -> np.ndarray:
    """Clusters and markers as cluster_cells computes them."""
    from scipy.sparse import csr_array, vstack

    from cartrace.cells.clusters import cluster, markers
    from cartrace.cells.embedding import reduced
    from cartrace.cells.matrices import open_matrix
    from cartrace.cells.neighbour_graph import normalised
    from cartrace.cells.settings import Cells
    from cartrace.cells.stored import Genes

    settings, matrix = Cells(), open_matrix(path)
    counts = csr_array(vstack([block.astype(np.float32) for _, block in matrix.blocks()], format="csr"))
    features = matrix.features
    genes = Genes(features.ids, features.symbols, features.types, np.zeros(len(features), bool))
    library = np.full(counts.shape[0], "L", dtype=object)
    components = reduced(counts, genes, library, settings.embedding, left_out=(), seed=1)
    member = cluster(components, settings.embedding, 1)
    rows = markers(normalised(counts), member, genes, most=50, max_q=0.05)
    assert rows
    return member


def clusters_by_scanpy(path: Path) -> np.ndarray:
    """Run the standard chain to clusters and markers."""
    import scanpy as sc

    data = sc.read_10x_h5(path)
    data.var_names_make_unique()
    sc.pp.filter_genes(data, min_cells=3)
    sc.pp.normalize_total(data, target_sum=1e4)
    sc.pp.log1p(data)
    clustered_by_scanpy(data)
    sc.tl.rank_genes_groups(data, "leiden", method="wilcoxon")
    return data.obs["leiden"].astype(int).to_numpy()


RACES = {
    "types": {"cartrace": types_by_cartrace, "scanpy": types_by_scanpy, "scanpy_scores": types_by_scores},
    "clusters": {"cartrace": clusters_by_cartrace, "scanpy": clusters_by_scanpy},
}


def measure(race: str, who: str, path: Path, target: Path) -> None:
    """Run one contestant in this process; print seconds and memory, write what it found."""
    warnings.simplefilter("ignore")
    start = perf_counter()
    if who != "cartrace":
        import scanpy  # noqa: F401
    else:
        import h5py  # noqa: F401
        import pandas as pd  # noqa: F401
        from scipy import linalg, sparse  # noqa: F401

        import cartrace.cells.typing  # noqa: F401
        from cartrace.cells import settings  # noqa: F401
    imported = perf_counter() - start
    start, started = perf_counter(), process_time()
    found = RACES[race][who](path)
    seconds, processor = perf_counter() - start, process_time() - started
    np.save(target, np.asarray(found, dtype=str if race == "types" else int))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"s": seconds, "cpu_s": processor, "mib": peak, "imports_s": imported}))


def compare(race: str, cells: int, folder: Path, contestants: list[str]) -> dict[str, str]:
    """Measure one race at one size."""
    path = folder / f"{cells}.h5"
    if not path.exists():
        simulate(path, cells)
    planted = np.load(path.with_suffix(".npy"))
    row: dict[str, str] = {"race": race, "cells": str(cells)}
    found: dict[str, np.ndarray] = {}
    told: dict[str, dict[str, Any]] = {}
    for who in ("cartrace", "scanpy", "scanpy_scores"):
        if who not in contestants or who not in RACES[race]:
            row |= {f"{who}_{k}": "" for k in ("s", "cpu_s", "mib", "imports_s", "agrees")}
            continue
        target = folder / f"{race}.{who}.npy"
        command = [sys.executable, __file__, "--measure", race, who, str(path), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        told[who] = json.loads(done.stdout.splitlines()[-1])
        found[who] = np.load(target)
        row |= {
            f"{who}_{k}": f"{told[who][k]:.{0 if k == 'mib' else 1}f}"
            for k in ("s", "cpu_s", "mib", "imports_s")
        }
        row[f"{who}_agrees"] = f"{_agreement(race, found[who], planted):.3f}"
    both = {"cartrace", "scanpy"} <= found.keys()
    row["same"] = f"{_same(race, found):.3f}" if both else ""
    for name, key in (("ratio", "s"), ("cpu_ratio", "cpu_s"), ("memory_ratio", "mib")):
        row[name] = f"{told['scanpy'][key] / told['cartrace'][key]:.1f}" if both else ""
    return row


def _agreement(race: str, found: np.ndarray, planted: np.ndarray) -> float:
    """Share of kept cells with the planted lineage, or the adjusted Rand index with the planted kinds."""
    if race == "clusters":
        from cartrace.cells.clusters import adjusted_rand

        return adjusted_rand(found, planted)
    kept = found != "filtered"
    truth = np.array([LINEAGE.get(k, k) for k in KINDS])[planted]
    return float((_lineages(found) == truth)[kept].mean())


def _lineages(found: np.ndarray) -> np.ndarray:
    return np.array([LINEAGE.get(str(f), str(f)) for f in found])


def _same(race: str, found: dict[str, np.ndarray]) -> float:
    if race == "clusters":
        from cartrace.cells.clusters import adjusted_rand

        return adjusted_rand(found["cartrace"], found["scanpy"])
    both = (found["cartrace"] != "filtered") & (found["scanpy"] != "filtered")
    return float((_lineages(found["cartrace"]) == _lineages(found["scanpy"]))[both].mean())


def main() -> None:
    """Measure once and append a row per race and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[20_000, 100_000, 300_000])
    parser.add_argument("--races", nargs="+", choices=list(RACES), default=list(RACES))
    parser.add_argument(
        "--contestants", nargs="+", choices=list(RACES["types"]), default=list(RACES["types"])
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("/tmp/cartrace_benchmark_cells"), help="simulated files"
    )
    parser.add_argument("--dry", action="store_true", help="print only, append no row")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        race, who, path, target = args.measure
        measure(race, who, Path(path), Path(target))
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    for cells in args.cells:
        for race in args.races:
            row = compare(race, cells, args.folder, args.contestants)
            if args.dry:
                print(json.dumps(row, indent=1))
            else:
                append_row(OUTPUT, row, "src/cartrace/cells", "benchmarks/cells.py")


if __name__ == "__main__":
    main()
