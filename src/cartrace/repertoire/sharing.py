"""Clones that libraries of two subjects share: how many are usual, and what more of them looks like.

Two people share a clone now and then: a few receptors are made over and over (public clones). How often, all other
pairs of subjects tell, in proportion to the clones of both libraries; a pair that is beyond it is left out of that
comparison. The rest is told apart by two marks:

- index hopping: reads of one library got the index of another on the flow cell. They keep their barcode, so the same
  clone stands behind the same barcode in both.
- a swap: a sample lies under the wrong subject. It shares its large clones with the other subject, and more than with
  the samples of its own.

Nothing is corrected. Cells that don't count are looked at too, since what hopped is mostly poor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cartrace.repertoire.overlap import shared_and_horn
from cartrace.repertoire.tables import SHARED
from cartrace.repertoire.vocabulary import RECEPTORS
from cartrace.tables import rows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from cartrace.repertoire.settings import Sharing

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Row = Mapping[str, Any]

NEEDED = ("subject_id", "library", "cell", "sample_id", "receptor", "clonotype")
"""Columns of CLONE_CELLS that are looked at."""
BARCODE = r"([ACGTN]{8,})"
"""The barcode within the name of a cell, without the prefix or suffix that tells libraries apart."""
CLEARLY = 0.5
"""A library overlaps clearly less with its own subject when by less than this part of the overlap with the other one.
House value."""
MOSTLY = 0.5
"""Part of the cells of shared clones from which those with the same barcode in both explain them by hopping; part of
all cells of the smaller library from which it is rather one library given twice. House values."""
MOST_NAMED = 20
LEAST_SUBJECTS = 3


@dataclass(frozen=True, slots=True)
class Libraries:
    """The libraries with clones of one receptor, sorted by name.

    Attributes
    ----------
    receptor
        T or B.
    names, samples
        library_id and sample_id, (libraries,).
    subjects, subject_names
        Number of the subject of each library, (libraries,), and the subjects that are meant.
    counts
        Cells, (libraries, clones).
    clonotypes
        Names of the clones, sorted, (clones,).
    shared, horn
        Clones that two libraries share, and their Morisita-Horn overlap, (libraries, libraries).
    """

    receptor: str
    names: list[str]
    samples: list[str]
    subjects: Ints
    subject_names: list[str]
    counts: csr_array
    clonotypes: list[str]
    shared: csr_array
    horn: csr_array

    def subject_of(self, library: int) -> str:
        """Return the subject of a library."""
        return self.subject_names[int(self.subjects[library])]

    def several(self) -> NDArray[np.bool_]:
        """Return which clones were seen in more than one subject, (clones,)."""
        library, clone = self.counts.tocoo().coords
        seen = pd.DataFrame({"clone": clone, "subject": self.subjects[library]}).drop_duplicates()
        return np.bincount(seen["clone"], minlength=len(self.clonotypes)) > 1


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of libraries of two subjects that share a clone: all arrays (pairs,), the earlier name first.

    Attributes
    ----------
    a, b
        The libraries.
    shared, horn
        Shared clones, and the Morisita-Horn overlap.
    barcodes
        Barcodes that stand for the same clone in both.
    hopped
        Whether there are more of these than by chance.
    carried
        Whether hopping explains what is shared: most cells of the shared clones in one of the two are behind such a
        barcode. What came into a library so is shared with the other libraries of its source, too.
    """

    a: Ints
    b: Ints
    shared: Ints
    horn: Floats
    barcodes: Ints
    hopped: NDArray[np.bool_]
    carried: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A library that may lie under the wrong subject.

    Attributes
    ----------
    library, other
        The library, and that of another subject which it resembles.
    own
        Its best overlap with another sample of its own subject; nan without one.
    """

    library: int
    other: int
    own: float


def shared_clones(
    clone_cells: pd.DataFrame, settings: Sharing
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Return the pairs of libraries of two subjects that share clones, and what is found in them.

    The effort grows with the cells and with the pairs of libraries that share a clone, not with the pairs of clones.

    Parameters
    ----------
    clone_cells
        CLONE_CELLS of all subjects, in any order; the columns in :data:`NEEDED` are enough.

    Returns
    -------
    pandas.DataFrame
        SHARED.
    list of dict
        Records of QC: ``sample_swap`` (one for each library in doubt), ``index_hopping`` and ``public_clones`` (one for
        each pair), and what can't be told.
    """
    found: list[dict[str, Any]] = []
    qc: list[dict[str, object]] = []
    for receptor in RECEPTORS[:2]:
        cells = clone_cells.loc[clone_cells["receptor"] == receptor, list(NEEDED)]
        if cells.empty:
            continue
        libraries = libraries_of(cells, receptor)
        pairs = pairs_of(libraries, cells, settings)
        doubts = doubts_of(libraries, pairs, settings)
        marked = pairs.hopped | pairs.carried
        marked[list(doubts)] = True
        expected, p = expectation(libraries, pairs, marked, settings)
        taken_for = _taken_for(libraries, pairs, p, doubts, settings)
        told = list(_rows(libraries, pairs, expected, p, taken_for))
        found += told
        qc += _swaps(libraries, told, doubts, settings)
        qc += [_hopping(told[k], settings) for k in np.flatnonzero(pairs.hopped) if k not in doubts]
        qc += [_public(row, settings) for row in told if row["taken_for"] == "public"]
        qc += _not_told(libraries)
    return rows(found, SHARED), qc


def libraries_of(cells: pd.DataFrame, receptor: str) -> Libraries:
    """Count the cells of each clone in each library; ``cells`` are those of one receptor."""
    from scipy.sparse import csr_array

    sizes = cells.groupby(["library", "clonotype"], observed=True).size().reset_index(name="cells")
    facts = cells.drop_duplicates("library").sort_values("library")
    names = [str(n) for n in facts["library"]]
    clone, clonotypes = pd.factorize(sizes["clonotype"], sort=True)
    subject, subjects = pd.factorize(facts["subject_id"], sort=True)
    library = sizes["library"].map({n: i for i, n in enumerate(names)}).to_numpy(np.int64)
    counts = csr_array(
        (sizes["cells"].to_numpy(np.float64), (library, clone)), shape=(len(names), len(clonotypes))
    )
    counts.sort_indices()
    return Libraries(
        receptor,
        names,
        [str(s) for s in facts["sample_id"]],
        np.asarray(subject, dtype=np.int64),
        [str(s) for s in subjects],
        counts,
        [str(c) for c in clonotypes],
        *shared_and_horn(counts),
    )


def pairs_of(libraries: Libraries, cells: pd.DataFrame, settings: Sharing) -> Pairs:
    """Return the pairs of libraries of two subjects that share a clone."""
    every = libraries.shared.tocoo()
    a, b = (np.asarray(c, dtype=np.int64) for c in every.coords)
    kept = np.flatnonzero((a < b) & (libraries.subjects[a] != libraries.subjects[b]))
    kept = kept[np.lexsort((b[kept], a[kept]))]
    a, b = a[kept], b[kept]
    if not len(kept):
        none = np.zeros(0, dtype=np.int64)
        return Pairs(none, none, none, none.astype(np.float64), none, none > 0, none > 0)
    horn = np.asarray(libraries.horn[a, b], dtype=np.float64).ravel()
    same = np.asarray(_same_barcodes(libraries, cells)[a, b]).ravel().astype(np.int64)
    hopped = same_by_chance(libraries, cells, (a, b), same, settings) <= settings.fdr
    return Pairs(
        a, b, every.data[kept].astype(np.int64), horn, same, hopped, _carried(libraries, (a, b), same, hopped)
    )


def _carried(
    libraries: Libraries, pairs: tuple[Ints, Ints], same: Ints, hopped: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    from scipy.sparse import csr_array

    a, b = pairs
    counts = libraries.counts
    met = csr_array((np.ones_like(counts.data), counts.indices, counts.indptr), shape=counts.shape)
    # Cells of one library in the clones of the other.
    within = csr_array(counts @ met.T)
    least = np.minimum(*(np.asarray(within[x, y]).ravel() for x, y in ((a, b), (b, a))))
    size = counts.sum(axis=1)
    carried = hopped & (same >= MOSTLY * least) & (same < MOSTLY * np.minimum(size[a], size[b]))
    sides = [list(zip(x.tolist(), libraries.subjects[y].tolist(), strict=True)) for x, y in ((a, b), (b, a))]
    sources = {side for both in sides for side, is_so in zip(both, carried, strict=True) if is_so}
    return np.array([one in sources or other in sources for one, other in zip(*sides, strict=True)])


def _same_barcodes(libraries: Libraries, cells: pd.DataFrame) -> csr_array:
    """Return the barcodes that stand for the same clone in two libraries, (libraries, libraries)."""
    from scipy.sparse import csr_array

    clones = [c for c, several in zip(libraries.clonotypes, libraries.several(), strict=True) if several]
    some = cells[cells["clonotype"].isin(clones)]
    keyed = pd.DataFrame(
        {
            "library": some["library"].map({n: i for i, n in enumerate(libraries.names)}),
            "key": some["clonotype"].astype(str) + " " + barcodes_of(some["cell"]),
        }
    ).drop_duplicates()
    key, keys = pd.factorize(keyed["key"])
    met = csr_array(
        (np.ones(len(keyed)), (keyed["library"].to_numpy(np.int64), key)),
        shape=(len(libraries.names), len(keys)),
    )
    return csr_array(met @ met.T)


def barcodes_of(cells: pd.Series[str]) -> pd.Series[str]:
    """Return the barcode in each cell's name; the whole name where there is none."""
    names = cells.astype(str)
    return names.str.extract(BARCODE, expand=False).fillna(names)


def same_by_chance(
    libraries: Libraries, cells: pd.DataFrame, pairs: tuple[Ints, Ints], same: Ints, settings: Sharing
) -> Floats:
    """Return p for more barcodes with the same clone than the barcodes of both libraries let expect, (pairs,).

    By chance a barcode that both have stands for the same clone with the probability sum p q, where p and q are the
    shares of the clones. So a file that numbers its cells 1, 2, 3 raises no alarm. 1 for fewer than min_shared.
    """
    from scipy.special import gammainc

    found = np.ones(len(same))
    wanted = np.flatnonzero(same >= settings.min_shared)
    of = {libraries.names[library] for side in pairs for library in side[wanted]}
    some = cells[cells["library"].isin(of)]
    known = {str(name): set(barcodes_of(group)) for name, group in some.groupby("library")["cell"]}
    for k in wanted:
        i, j = (int(side[k]) for side in pairs)
        common = len(known[libraries.names[i]] & known[libraries.names[j]])
        p, q = (_shares(libraries, library) for library in (i, j))
        found[k] = gammainc(same[k], common * float(p @ q))
    return found


def _shares(libraries: Libraries, library: int) -> Floats:
    cells = libraries.counts[[library], :].toarray().ravel()
    return np.asarray(cells / cells.sum(), dtype=np.float64)


def expectation(
    libraries: Libraries, pairs: Pairs, marked: NDArray[np.bool_], settings: Sharing
) -> tuple[Floats, Floats]:
    """Return the shared clones that all other pairs of subjects let expect, and p for more, both (pairs,).

    Shared clones are Poisson counts, in proportion to the product of the clones of the two libraries. A pair is held
    against the pairs of all other two subjects by the exact test of two Poisson counts (Przyborowski and Wilenski 1940,
    Biometrika 31:313), so that few other pairs prove little. Pairs of subjects that are beyond the expected, and those
    that are ``marked``, are left out of what the others are held against.

    nan where no other pair of subjects is left.
    """
    from scipy.special import betainc

    clones = np.diff(libraries.counts.indptr).astype(np.float64)
    by_subject = np.bincount(libraries.subjects, weights=clones)
    n = len(by_subject)
    low, high = np.sort(libraries.subjects[np.stack([pairs.a, pairs.b])], axis=0)
    # What two subjects share, and the product of their clones, over all of their libraries.
    subject_pairs, of = np.unique(low * n + high, return_inverse=True)
    shared = np.bincount(of, weights=pairs.shared, minlength=len(subject_pairs))
    product = by_subject[subject_pairs // n] * by_subject[subject_pairs % n]
    products = (by_subject.sum() ** 2 - (by_subject**2).sum()) / 2
    mine = clones[pairs.a] * clones[pairs.b]
    out = np.zeros(len(subject_pairs), dtype=np.bool_)
    out[of[marked]] = True
    while True:
        others = (shared.sum() - shared[out].sum() - np.where(out, 0, shared))[of]
        area = (products - product[out].sum() - np.where(out, 0, product))[of]
        known = area > 0.5  # products of whole numbers
        area = np.where(known, area, 1.0)
        expected = np.where(known, others / area * mine, np.nan)
        p = np.where(known, betainc(pairs.shared, others + 1, mine / (mine + area)), np.nan)
        beyond = out.copy()
        beyond[of[significant(p, libraries, settings)]] = True
        # One pair of subjects more is left out each time, so this ends.
        if (beyond == out).all():
            return expected, p
        out = beyond


def significant(p: Floats, libraries: Libraries, settings: Sharing) -> NDArray[np.bool_]:
    """Return which p are significant by Benjamini and Hochberg 1995, among all pairs of libraries of two subjects.

    Pairs that share no clone have no p here; theirs is 1.
    """
    each = np.bincount(libraries.subjects)
    tests = int(each.sum() ** 2 - (each**2).sum()) // 2
    order = np.argsort(p, kind="stable")  # nan comes last
    passed = np.flatnonzero(p[order] <= settings.fdr * np.arange(1, len(p) + 1) / tests)
    found = np.zeros(len(p), dtype=np.bool_)
    if len(passed):
        found[order[: passed[-1] + 1]] = True
    return found


def best_of_own(libraries: Libraries) -> Floats:
    """Return the largest Morisita-Horn overlap of each library with another sample of its subject; nan without one."""
    samples = pd.Series(libraries.samples)
    several = samples.groupby(libraries.subjects).transform("nunique") > 1
    found = np.where(several, 0.0, np.nan)
    pairs = libraries.horn.tocoo()
    a, b = pairs.coords
    mine = (libraries.subjects[a] == libraries.subjects[b]) & (samples.to_numpy()[a] != samples.to_numpy()[b])
    np.maximum.at(found, a[mine], pairs.data[mine])
    return found


def doubts_of(libraries: Libraries, pairs: Pairs, settings: Sharing) -> dict[int, list[Doubt]]:
    """Return the pairs that look like a swap, by their number, and which of their libraries is in doubt."""
    own = best_of_own(libraries)
    alike = (pairs.shared >= settings.min_shared) & (pairs.horn >= settings.swap_overlap)
    found = {}
    for k in np.flatnonzero(alike & ~pairs.carried):
        i, j = int(pairs.a[k]), int(pairs.b[k])
        sides = (Doubt(i, j, float(own[i])), Doubt(j, i, float(own[j])))
        if doubted := [sides[s] for s in suspects(float(pairs.horn[k]), [own[i], own[j]])]:
            found[int(k)] = doubted
    return found


def suspects(overlap: float, own: Sequence[float]) -> list[int]:
    """Return which of two libraries (0, 1) may lie under the wrong subject, by their best overlaps with their own.

    A library without another sample of its subject (nan) can't be cleared.
    """
    doubted = [k for k in (0, 1) if not own[k] >= CLEARLY * overlap]
    return doubted or [k for k in (0, 1) if own[k] == min(own) < overlap]


def _taken_for(
    libraries: Libraries, pairs: Pairs, p: Floats, doubts: Iterable[int], settings: Sharing
) -> list[str]:
    beyond = significant(p, libraries, settings) & (pairs.shared >= settings.min_shared)
    found = np.where(np.isnan(p), "unknown", np.where(beyond, "public", "as_expected"))
    found = np.where(pairs.hopped | (pairs.carried & beyond), "index_hopping", found)
    found[list(doubts)] = "swap"
    return [str(f) for f in found]


def _rows(
    libraries: Libraries, pairs: Pairs, expected: Floats, p: Floats, taken_for: Sequence[str]
) -> Iterator[dict[str, Any]]:
    clones = np.diff(libraries.counts.indptr)
    places = np.flatnonzero(libraries.several())
    names = [libraries.clonotypes[c] for c in places]
    some = libraries.counts[:, places]
    for k, (i, j) in enumerate(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)):
        yield {
            "library_a": libraries.names[i],
            "subject_a": libraries.subject_of(i),
            "library_b": libraries.names[j],
            "subject_b": libraries.subject_of(j),
            "receptor": libraries.receptor,
            "clones_a": int(clones[i]),
            "clones_b": int(clones[j]),
            "shared": int(pairs.shared[k]),
            "expected": float(expected[k]),
            "p": float(p[k]),
            "shared_barcodes": int(pairs.barcodes[k]),
            "morisita_horn": float(pairs.horn[k]),
            "taken_for": taken_for[k],
            "clones": ";".join(names[c] for c in _largest(some, i, j)),
        }


def _largest(counts: csr_array, i: int, j: int) -> list[int]:
    """Return the clones (columns) that two libraries share, those of most cells in both first."""
    first, second = (
        dict(zip(counts.indices[low:high].tolist(), counts.data[low:high].tolist(), strict=True))
        for low, high in ((counts.indptr[k], counts.indptr[k + 1]) for k in (i, j))
    )
    return sorted(first.keys() & second.keys(), key=lambda c: (-first[c] - second[c], c))[:MOST_NAMED]


def _swaps(
    libraries: Libraries, told: Sequence[Row], doubts: Mapping[int, Sequence[Doubt]], settings: Sharing
) -> Iterator[dict[str, object]]:
    """Tell each library in doubt once, beside the one that it resembles most."""
    best: dict[int, tuple[Row, Doubt]] = {}
    for k, doubted in doubts.items():
        for doubt in doubted:
            if (
                doubt.library not in best
                or best[doubt.library][0]["morisita_horn"] < told[k]["morisita_horn"]
            ):
                best[doubt.library] = told[k], doubt
    cells = libraries.counts.sum(axis=1)
    for library in sorted(best):
        row, doubt = best[library]
        name, other = libraries.names[library], libraries.names[doubt.other]
        subject = libraries.subject_of(doubt.other)
        own = (
            "no other sample of its own subject has clones"
            if np.isnan(doubt.own)
            else f"the best with another sample of its own subject is {doubt.own:.2g}"
        )
        twice = row["shared_barcodes"] >= MOSTLY * min(cells[library], cells[doubt.other])
        yield {
            "check": "sample_swap",
            "verdict": "warn",
            "source_file": name,
            "subject_id": libraries.subject_of(library),
            "sample_id": libraries.samples[library],
            "value": f"{row['morisita_horn']:.2g}",
            "limit": f"{settings.swap_overlap:g}",
            "limit_source": "repertoire.sharing.swap_overlap",
            "message": f"{name} shares {row['shared']} {row['receptor']}-cell clones with {other} of subject {subject} "
            f"(Morisita-Horn {row['morisita_horn']:.2g}); {own}",
            "suggestion": "the same cells behind the same barcodes: perhaps one library was given twice"
            if twice
            else f"perhaps a sample of subject {subject}, or {other} is one of this subject",
        }


def _both(row: Row) -> str:
    return (
        f"{row['library_a']} (subject {row['subject_a']}) and {row['library_b']} (subject {row['subject_b']})"
    )


def _hopping(row: Row, settings: Sharing) -> dict[str, object]:
    return {
        "check": "index_hopping",
        "verdict": "warn",
        "source_file": row["library_a"],
        "subject_id": row["subject_a"],
        "value": str(row["shared_barcodes"]),
        "limit": str(settings.min_shared),
        "limit_source": "repertoire.sharing.min_shared",
        "message": f"{_both(row)} have {row['shared_barcodes']} barcodes that stand for the same {row['receptor']}-cell "
        "clone in both",
        "suggestion": "reads of one library carry the index of the other, if both were on one flow cell",
    }


def _public(row: Row, settings: Sharing) -> dict[str, object]:
    return {
        "check": "public_clones",
        "verdict": "note",
        "source_file": row["library_a"],
        "subject_id": row["subject_a"],
        "value": str(row["shared"]),
        "limit": f"{row['expected']:.3g} expected",
        "limit_source": "repertoire.sharing.fdr",
        "message": f"{_both(row)} share {row['shared']} {row['receptor']}-cell clones, where the other subjects let "
        f"{row['expected']:.2g} expect (p {row['p']:.1g}, false-discovery rate {settings.fdr:g})",
        "suggestion": "public clones of two subjects with tissue types in common, or cells carried over",
    }


def _not_told(libraries: Libraries) -> Iterator[dict[str, object]]:
    subjects = len(libraries.subject_names)
    if subjects < LEAST_SUBJECTS:
        count = f"{subjects} subject{'s' * (subjects > 1)}"
        yield {
            "check": "public_clones",
            "verdict": "note",
            "value": count,
            "limit": f"{LEAST_SUBJECTS} subjects",
            "limit_source": "two to compare, and another to tell what is usual",
            "message": f"how many {libraries.receptor}-cell clones two subjects share by chance can't be told from "
            f"{count}",
        }
