"""Speed and memory from contigs to clones beside scirpy.

The contigs of T cells are simulated as Cell Ranger's filtered_contig_annotations.csv.gz: clone sizes with a heavy
tail, an alpha chain missed in a fifth of the cells and a second one in an eighth, V and J genes and lengths as in
blood. Each contestant in a fresh process, from the file to the clone of each cell by its beta chain (V gene, J gene
and CDR3 nucleotides):

cartrace  read_contigs, chains_of, receptors_of, t_clonotypes (which tells paired clones too).
scirpy    read_10x_vdj, index_chains, define_clonotypes (VDJ, primary_only, same V and J gene).

With --b-cells the same number of B cells, of which a half are of mutated clones, goes through b_clonotypes alone
(Hamming identity 0.85, single linkage): seconds without reading. scirpy has no exact counterpart: it rounds
distances to whole percent.

Seconds are wall time after the imports (which stand beside them), and the processor time; memory is the peak of
the process. ``same`` says whether both make the same clones; where scirpy was not run its columns are empty. One
row per size is appended to benchmarks/clonotypes_results.tsv. Files are kept in --folder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from record import append_row

OUTPUT = Path(__file__).with_name("clonotypes_results.tsv")
HEADER = (
    "barcode,is_cell,contig_id,high_confidence,length,chain,v_gene,d_gene,j_gene,c_gene,full_length,productive,"
    "cdr3,cdr3_nt,reads,umis,raw_clonotype_id,raw_consensus_id"
)
AA = dict(
    zip(
        "FLSYCWPHQRIMTNKVADEG",
        [
            "TTT",
            "CTG",
            "AGC",
            "TAC",
            "TGC",
            "TGG",
            "CCT",
            "CAC",
            "CAG",
            "CGG",
            "ATC",
            "ATG",
            "ACC",
            "AAC",
            "AAG",
            "GTC",
            "GCC",
            "GAC",
            "GAG",
            "GGC",
        ],
        strict=True,
    )
)
GENES = {"TRA": (45, 60), "TRB": (48, 13), "IGH": (50, 6)}
MISSED, SECOND = 0.2, 0.125


def barcodes(cells: int) -> np.ndarray:
    """Return (cells,) barcodes."""
    letters = np.array(list("ACGT"))[(np.arange(cells)[:, None] >> 2 * np.arange(16)) & 3]
    return np.array([f"{''.join(row)}-1" for row in letters], dtype=object)


def receptors(number: int, locus: str, rng: np.random.Generator) -> list[tuple[str, str, str, str]]:
    """Draw chains: V gene, J gene, CDR3 as amino acids and as nucleotides."""
    v_genes, j_genes = GENES[locus]
    v = (rng.pareto(1.2, number) * 4).astype(int) % v_genes + 1
    j = rng.integers(1, j_genes + 1, number)
    letters = np.array(list(AA))
    drawn = letters[rng.integers(0, len(letters), (number, 14))]
    length = rng.integers(6, 15, number)
    made = []
    for i in range(number):
        acids = f"CAS{''.join(drawn[i, : length[i]])}F"
        made.append((f"{locus}V{v[i]}", f"{locus}J{j[i]}", acids, "".join(AA[a] for a in acids)))
    return made


def sizes(cells: int, rng: np.random.Generator) -> np.ndarray:
    """Return (cells,) the clone of each cell: most clones are of one cell, some of thousands."""
    size = np.minimum(rng.zipf(2.2, cells), cells // 20)
    return np.repeat(np.arange(cells), size)[:cells]


def simulate(path: Path, cells: int) -> None:
    """Write the contigs of T cells."""
    rng = np.random.default_rng(1)
    clone = rng.permutation(sizes(cells, rng))
    clones = int(clone.max()) + 1
    beta, alpha, second = (receptors(clones, locus, rng) for locus in ("TRB", "TRA", "TRA"))
    missed, double = rng.random(cells) < MISSED, rng.random(clones) < SECOND
    umis = rng.integers(1, 30, (cells, 3))
    part = path.with_suffix(".part")
    with gzip.open(part, "wt", compresslevel=1) as out:
        out.write(HEADER + "\n")
        for cell, name in enumerate(barcodes(cells)):
            of = int(clone[cell])
            found = [("TRB", beta[of])]
            if not missed[cell]:
                found += [("TRA", alpha[of])] + ([("TRA", second[of])] if double[of] else [])
            for number, (locus, (v, j, acids, nt)) in enumerate(found):
                n = umis[cell, number]
                out.write(
                    f"{name},true,{name}_contig_{number + 1},true,500,{locus},{v},,{j},{locus}C,true,true,"
                    f"{acids},{nt},{n * 100},{n},,\n"
                )
    part.replace(path)


def b_chains(cells: int) -> Any:
    """Return CHAINS of B cells: a half naive, each with its own chain, a half of clones with 3 mutations a cell."""
    import pandas as pd

    rng = np.random.default_rng(2)
    naive = receptors(cells // 2, "IGH", rng)
    clone = rng.permutation(sizes(cells - len(naive), rng))
    founders = receptors(int(clone.max()) + 1, "IGH", rng)
    mutated = []
    for of in clone.tolist():
        v, j, acids, nt = founders[of]
        bases = list(nt)
        for place in rng.integers(3, len(nt) - 3, 3).tolist():
            bases[place] = "ACGT"[int(rng.integers(0, 4))]
        mutated.append((v, j, acids, "".join(bases)))
    v, j, acids, nt = zip(*naive, *mutated, strict=True)
    return pd.DataFrame(
        {
            "library": "L",
            "cell": barcodes(cells),
            "locus": "IGH",
            "rank": 1,
            "v_gene": v,
            "j_gene": j,
            "cdr3_aa": acids,
            "cdr3_nt": nt,
        }
    )


def by_cartrace(path: Path) -> dict[str, Any]:
    """Clones by the beta chain, as the stage makes them."""
    from cartrace.repertoire.chains import chains_of, receptors_of
    from cartrace.repertoire.clonotypes import t_clonotypes
    from cartrace.repertoire.contigs import read_contigs
    from cartrace.repertoire.settings import Clonotypes, Contigs

    chains = chains_of({"T": read_contigs(path, path.name)}, "L", Contigs())
    told = receptors_of(chains)
    chains = chains[chains["cell"].isin(told.loc[told["counts"].astype(bool), "cell"])]
    table = t_clonotypes(chains, {"L": 0}, Clonotypes())
    return {"cell": table["cell"].to_numpy(object), "clone": table["beta_clonotype"].to_numpy(object)}


def by_scirpy(path: Path) -> dict[str, Any]:
    """Clones by the beta chain, as scirpy makes them."""
    import scirpy as ir

    data = ir.io.read_10x_vdj(path)
    ir.pp.index_chains(data)
    ir.tl.chain_qc(data)
    ir.tl.define_clonotypes(
        data, receptor_arms="VDJ", dual_ir="primary_only", same_v_gene=True, same_j_gene=True, n_jobs=1
    )
    found = data.obs["clone_id"].dropna()
    return {"cell": found.index.to_numpy(object), "clone": found.to_numpy(object)}


def of_b_cells(cells: int) -> dict[str, float]:
    """Return seconds and clones of b_clonotypes alone."""
    from cartrace.repertoire.b_clones import b_clonotypes
    from cartrace.repertoire.settings import Clonotypes

    chains = b_chains(cells)
    start = perf_counter()
    table = b_clonotypes(chains, {"L": 0}, Clonotypes())
    return {"s": perf_counter() - start, "clones": int(table["clonotype"].nunique())}


def measure(who: str, path: Path, target: Path) -> None:
    """Run one contestant in this process; print seconds and memory, write its clones."""
    warnings.simplefilter("ignore")
    start = perf_counter()
    if who == "scirpy":
        import scirpy  # noqa: F401
    else:
        import pyarrow.csv  # noqa: F401
        from scipy.sparse import csgraph  # noqa: F401

        import cartrace.repertoire.chains
        import cartrace.repertoire.clonotypes  # noqa: F401
    imported = perf_counter() - start
    start, started = perf_counter(), process_time()
    found = {"cartrace": by_cartrace, "scirpy": by_scirpy}[who](path)
    seconds, processor = perf_counter() - start, process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    np.savez(target, **{name: values.astype(str) for name, values in found.items()})
    print(json.dumps({"s": seconds, "cpu_s": processor, "mib": peak, "imports_s": imported}))


def compare(cells: int, folder: Path, contestants: list[str], b_cells: bool) -> dict[str, str]:
    """Measure one size."""
    path = folder / f"{cells}.csv.gz"
    if not path.exists():
        simulate(path, cells)
    row: dict[str, str] = {"cells": str(cells)}
    told: dict[str, dict[str, Any]] = {}
    clones: dict[str, set[frozenset[str]]] = {}
    for who in ("cartrace", "scirpy"):
        if who not in contestants:
            row |= {f"{who}_{k}": "" for k in ("s", "cpu_s", "mib", "imports_s")}
            continue
        target = folder / f"{cells}.{who}.npz"
        command = [sys.executable, __file__, "--measure", who, str(path), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        told[who] = json.loads(done.stdout.splitlines()[-1])
        row |= {f"{who}_{k}": f"{v:.{0 if k == 'mib' else 2}f}" for k, v in told[who].items()}
        clones[who] = partition(target)
        row["clones"] = str(len(clones[who]))
    both = len(told) == 2
    if both and clones["cartrace"] != clones["scirpy"]:
        raise SystemExit("the clones are not the same")
    row["same"] = "yes" if both else ""
    for name, key in (("ratio", "s"), ("cpu_ratio", "cpu_s"), ("memory_ratio", "mib")):
        row[name] = f"{told['scirpy'][key] / told['cartrace'][key]:.1f}" if both else ""
    told_b = of_b_cells(cells) if b_cells else None
    row["b_clones_s"] = f"{told_b['s']:.2f}" if told_b else ""
    row["b_clones"] = str(told_b["clones"]) if told_b else ""
    return row


def partition(path: Path) -> set[frozenset[str]]:
    """Return the clones as sets of cells."""
    members: dict[str, list[str]] = {}
    with np.load(path) as file:
        for cell, clone in zip(file["cell"].tolist(), file["clone"].tolist(), strict=True):
            members.setdefault(clone, []).append(cell)
    return {frozenset(m) for m in members.values()}


def main() -> None:
    """Measure once and append a row per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[20_000], help="20000, 1000000")
    parser.add_argument(
        "--contestants", nargs="+", choices=["cartrace", "scirpy"], default=["cartrace", "scirpy"]
    )
    parser.add_argument("--b-cells", action="store_true", help="clones of as many B cells too")
    parser.add_argument(
        "--folder", type=Path, default=Path("/tmp/cartrace_benchmark_clonotypes"), help="simulated files"
    )
    parser.add_argument("--dry", action="store_true", help="print only, append no row")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        who, path, target = args.measure
        measure(who, Path(path), Path(target))
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    for cells in args.cells:
        row = compare(cells, args.folder, args.contestants, args.b_cells)
        if args.dry:
            print(json.dumps(row, indent=1))
        else:
            append_row(OUTPUT, row, "src/cartrace/repertoire", "benchmarks/clonotypes.py")


if __name__ == "__main__":
    main()
