"""The single-cell libraries of the demo trial: product, blood, CSF of three subjects.

Two subjects are followed from before the infusion to the return of their B cells. Libraries of one of them have reads
(BAM) as well: the product, and blood of day 10 that was aligned to a reference without the CAR. Three faults are planted
in the libraries of the third subject.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.simulate.cells_core import (
    Library,
    Makeup,
    Protocol,
    ambient_counts,
    draw_barcodes,
    make_library,
    subject_factor,
)
from cartrace.simulate.cells_files import (
    ANTIBODY,
    EXPRESSION,
    Matrix,
    csv_bytes,
    h5_bytes,
    metrics_bytes,
    mtx_files,
)
from cartrace.simulate.cells_genes import CAR_EFFECT, genes
from cartrace.simulate.cells_makeup import of_blood, of_csf, of_product, sorted_for_car
from cartrace.simulate.cells_repertoire import (
    CONTIG_COLUMNS,
    Clone,
    Repertoire,
    contig_rows,
    draw_b_clones,
    draw_repertoire,
    draw_t_clones,
)
from cartrace.simulate.construct import (
    SEED,
    MadeUpConstruct,
    fasta_text,
    gtf_text,
    made_up_construct,
    made_up_endogenous,
)
from cartrace.simulate.dna import spread

if TYPE_CHECKING:
    from typing import Protocol as Interface

    from cartrace.simulate.cell_reads import Genome, Planted
    from cartrace.simulate.flow_tubes import Blood

    class Truth(Interface):
        """Tells what is true of a subject's samples."""

        def blood(self, place: int, visit: str) -> tuple[str, int, Blood] | None:
            """Return subject, study day and blood; None where there is no such sample."""
            ...

        def csf(self, place: int, day: int) -> tuple[str, float] | None:
            """Return subject and CAR+ share of T cells in CSF, 0 to 1; None where there is no such sample."""
            ...

        def subject(self, place: int) -> str | None:
            """Return the subject; None where the trial is too small."""
            ...


CONSTRUCT, OTHER_CONSTRUCT = "DEMO-BBz", "DEMO-other-BBz"
TAG = "BCMA-Fc-tag"
"""Surface tag: labelled BCMA that binds the CAR."""
READ_GENES = ("CD8A", "CD28", "TNFRSF9", "CD247", "CSF2RA", "MS4A1")
"""Genes of which the BAM files hold reads, beside the CAR."""
SHARED_GENES = READ_GENES[:5]
READS_PER_UMI = 3.0
BLOOD_COUNT_CV, FLOW_CV = 0.04, 0.05
FAILED_BARCODES, FAILED_LEVEL = 5_000, 2.0
"""Barcodes and mean UMIs of the failed library."""
SOUND_CELLS = 300
"""Cells that it has in a trial without faults."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One library: whose (place among twelve), of what, how."""

    library_id: str
    place: int
    material: str
    """product, blood or csf."""
    visit: str
    """Visit of blood, day of CSF."""
    stage: str
    n: int
    empty: int = 800
    chemistry: str = "5p"
    sort: str = "none"
    car_mean: float = 3.5
    car_feature: bool = True
    bam: bool = False
    tag: bool = False
    contigs: bool = True
    folder: bool = False
    """Counts as a folder of mtx files."""
    flow: bool = False
    """The sheet tells the CAR+ share by flow."""
    planted: str = ""


LIBRARIES = (
    Planned("L008_product", 7, "product", "", "product", 300, tag=True, flow=True),
    Planned("L008_before", 7, "blood", "Pre-LD", "before", 420, tag=True),
    Planned("L008_d14", 7, "blood", "D14", "peak", 420, car_mean=2.5, tag=True),
    Planned("L008_csf_d28", 7, "csf", "28", "peak", 160, empty=0, car_mean=2.5, tag=True),
    Planned("L008_d90", 7, "blood", "D90", "late", 420, car_mean=2.0, tag=True),
    Planned("L003_product", 2, "product", "", "product", 280, bam=True),
    Planned("L003_before", 2, "blood", "Pre-LD", "before", 380),
    Planned("L003_d10", 2, "blood", "D10", "peak", 480, car_mean=3.5, bam=True, car_feature=False),
    Planned("L003_d90", 2, "blood", "D90", "late", 420, car_mean=2.0),
    Planned("L004_product", 3, "product", "", "product", 240, bam=True, planted="wrong_construct"),
    Planned("L004_d10", 3, "blood", "D10", "peak", 320, car_mean=3.0, planted="no_car_feature"),
    Planned(
        *("L004_d14_car", 3, "blood", "D14", "peak", 180),
        chemistry="3p",
        sort="car_positive",
        contigs=False,
        folder=True,
    ),
    Planned("L004_d180", 3, "blood", "D180", "late", 0, planted="failed_library"),
)

FAULTS = {
    "failed_library": (
        "failed_library",
        "reject",
        "the channel failed: 5,000 barcodes with a median of 2 UMIs, no receptors",
    ),
    "no_car_feature": (
        "car_features",
        "no result",
        "counted without the CAR in the reference: no CAR feature, no reads, so no CAR+ share",
    ),
    "wrong_construct": (
        "car_construct",
        "flag",
        "the cells carry another registered construct than the subject's product",
    ),
}
"""Which check has to find each kind of fault, what follows, and what happened."""


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """One planted fault: the check that has to find it, and in which library."""

    kind: str
    library: str
    check: str
    consequence: str
    what: str


@dataclass(slots=True)
class LibraryFiles:
    """What the single-cell laboratory sends.

    ``samples`` and ``libraries`` are rows of those sheets, ``contents`` the files by their path in the trial folder;
    ``cells`` has one row for each barcode with a cell, ``truth`` one for each library.
    """

    samples: list[dict[str, str]] = field(default_factory=list)
    libraries: list[dict[str, str]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    cells: list[pd.DataFrame] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    faults: list[PlantedFault] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        """The section ``cells`` of the configuration, where there are libraries."""
        if not self.libraries:
            return {}
        registered = {
            name: {
                "sequence": f"constructs/{name}.fasta",
                "annotation": f"constructs/{name}.gtf",
                "features": [name],
            }
            for name in (CONSTRUCT, OTHER_CONSTRUCT)
        }
        loci = genome().loci(SHARED_GENES)
        return {
            "constructs": registered,
            "reference": {"endogenous": "constructs/endogenous.fasta"},
            "car_reads": {"loci": loci, "binder_loci": {}},
            # The demo has two subjects with both sides of most contrasts: fewer than a trial should compare.
            "expression": {"min_pairs": 2},
        }

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The truth, where there are libraries."""
        if not self.libraries:
            return {}
        faults = [asdict(f) for f in self.faults]
        return {
            "cells": pd.concat(self.cells, ignore_index=True),
            "libraries": pd.DataFrame(self.truth),
            "cell_expression": expression_truth(),
            "planted_library_faults": pd.DataFrame(faults, columns=[f.name for f in fields(PlantedFault)]),
        }


def constructs() -> dict[str, MadeUpConstruct]:
    """Return the registered constructs: the product's, and another with a binder of its own on the same backbone."""
    ours = replace(made_up_construct(), name=CONSTRUCT)
    theirs = made_up_construct(SEED + 1)
    sequence = ours.sequence
    for kind in ("vh", "linker", "vl"):
        span = ours.span(kind)
        sequence = sequence[: span.start] + theirs.sequence[theirs.span(kind)] + sequence[span.stop :]
    return {CONSTRUCT: ours, OTHER_CONSTRUCT: replace(ours, name=OTHER_CONSTRUCT, sequence=sequence)}


def genome(*, with_car: bool = False) -> Genome:
    """Return the genome that the reads are aligned to."""
    from cartrace.simulate.cell_reads import make_genome

    endogenous = made_up_endogenous()
    cars = {CONSTRUCT: constructs()[CONSTRUCT].sequence} if with_car else None
    return make_genome({g: endogenous[g] for g in READ_GENES}, cars, seed=SEED)


def expression_truth() -> pd.DataFrame:
    """Return the genes that the CAR itself changes, and how far (log2)."""
    g = genes()
    changed = np.flatnonzero(g.car_factor != 1)
    return pd.DataFrame(
        {
            "gene": [g.symbols[i] for i in changed],
            "gene_id": [g.ids[i] for i in changed],
            "contrast": "CAR+ against CAR- T cells",
            "log2_fold_change": np.round(np.log2(g.car_factor[changed]), 4),
            "factor": np.where(g.car_factor[changed] > 1, CAR_EFFECT, 1 / CAR_EFFECT),
        }
    )


def single_cell_core(
    seed: int, truth: Truth, first_infusion: Mapping[str, date], *, plant: bool
) -> LibraryFiles:
    """Make the libraries of the subjects that there are.

    Parameters
    ----------
    seed
        Seed of the trial; each subject and each library has a stream of its own.
    truth
        Samples of the first twelve subjects.
    first_infusion
        Date of the first infusion of each subject, for the samples sheet.
    plant
        Plant faults.
    """
    raw = LibraryFiles()
    repertoires: dict[int, tuple[Repertoire, npt.NDArray[np.float64]]] = {}
    for number, listed in enumerate(LIBRARIES, 1):
        planned = listed if plant else replace(listed, planted="", n=listed.n or SOUND_CELLS)
        sample = _sample(truth, planned)
        if sample is None:
            continue
        if planned.place not in repertoires:
            rng = np.random.default_rng([seed, planned.place + 1, 20])
            factor = subject_factor(rng, len(genes().symbols))
            repertoires[planned.place] = draw_repertoire(rng, sample.subject_id), factor
        repertoire, factor = repertoires[planned.place]
        rng = np.random.default_rng([seed, planned.place + 1, 21, crc32(planned.library_id.encode())])
        made = _Made(planned, sample, f"C{planned.place + 1:02d}{number:02d}")
        _add_sheets(raw, rng, made, first_infusion[sample.subject_id])
        if planned.planted == "failed_library":
            _add_failed(raw, rng, made, factor)
        else:
            _add_library(raw, rng, made, repertoire, factor)
        if planned.planted:
            raw.faults.append(PlantedFault(planned.planted, planned.library_id, *FAULTS[planned.planted]))
    if raw.libraries:
        for name, construct in constructs().items():
            raw.contents[f"constructs/{name}.fasta"] = fasta_text({name: construct.sequence}).encode()
            raw.contents[f"constructs/{name}.gtf"] = gtf_text(construct).encode()
        raw.contents["constructs/endogenous.fasta"] = fasta_text(made_up_endogenous()).encode()
    return raw


@dataclass(frozen=True, slots=True)
class _Sample:
    subject_id: str
    study_day: int
    matrix: str
    visit: str
    makeup: Makeup
    lymphocytes: float | None


@dataclass(frozen=True, slots=True)
class _Made:
    planned: Planned
    sample: _Sample
    sample_id: str

    @property
    def folder(self) -> str:
        return f"cells/{self.planned.library_id}"

    @property
    def car_feature(self) -> bool:
        return self.planned.car_feature and self.planned.planted != "no_car_feature"

    @property
    def construct(self) -> str:
        return OTHER_CONSTRUCT if self.planned.planted == "wrong_construct" else CONSTRUCT


def _sample(truth: Truth, planned: Planned) -> _Sample | None:
    if planned.material == "product":
        subject = truth.subject(planned.place)
        made = of_product(planned.place)
        return None if subject is None else _Sample(subject, 0, "infusion_product", "", made, None)
    if planned.material == "csf":
        day = int(planned.visit)
        fluid = truth.csf(planned.place, day)
        return None if fluid is None else _Sample(fluid[0], day, "csf", "", of_csf(fluid[1]), None)
    drawn = truth.blood(planned.place, planned.visit)
    if drawn is None:
        return None
    subject_id, study_day, blood = drawn
    makeup = of_blood(blood, planned.stage)
    if planned.sort == "car_positive":
        makeup = sorted_for_car(makeup)
    return _Sample(subject_id, study_day, "blood", planned.visit, makeup, blood.lymphocytes)


def _add_sheets(raw: LibraryFiles, rng: np.random.Generator, made: _Made, first: date) -> None:
    planned, sample = made.planned, made.sample
    counted, stained = (float(z) for z in rng.standard_normal(2))
    raw.samples.append(
        {
            "sample_id": made.sample_id,
            "subject_id": sample.subject_id,
            "matrix": sample.matrix,
            "visit": sample.visit,
            "date": (first + timedelta(days=sample.study_day)).isoformat(),
        }
    )
    at = made.folder
    lymphocytes = (
        "" if sample.lymphocytes is None else f"{sample.lymphocytes * spread(BLOOD_COUNT_CV, counted):.0f}"
    )
    flow = min(100 * sample.makeup.car_share * spread(FLOW_CV, stained), 99.0)
    contigs = planned.contigs
    raw.libraries.append(
        {
            "library_id": planned.library_id,
            "sample_id": made.sample_id,
            "chemistry": planned.chemistry,
            "counts": f"{at}/filtered_feature_bc_matrix" + ("" if planned.folder else ".h5"),
            "raw_counts": f"{at}/raw_feature_bc_matrix.h5" if planned.empty else "",
            "bam": f"{at}/possorted_genome_bam.bam" if planned.bam else "",
            "tcr_contigs": f"{at}/vdj_t_contig_annotations.csv" if contigs else "",
            "bcr_contigs": f"{at}/vdj_b_contig_annotations.csv"
            if contigs and sample.matrix == "blood"
            else "",
            "metrics": f"{at}/metrics_summary.csv",
            "sort": planned.sort,
            "lymphocytes_per_ul": lymphocytes if planned.sort == "none" else "",
            "car_flow_percent": f"{flow:.1f}" if planned.flow else "",
            "tag_features": TAG if planned.tag else "",
        }
    )


def _add_library(
    raw: LibraryFiles,
    rng: np.random.Generator,
    made: _Made,
    repertoire: Repertoire,
    factor: npt.NDArray[np.float64],
) -> None:
    planned = made.planned
    # Without a raw matrix there are empty droplets all the same: what floats in them comes from them.
    protocol = Protocol(planned.n, planned.empty, planned.car_mean, factor, tag=planned.tag)
    library = make_library(rng, made.sample.makeup, protocol)
    true_car = _car_column(library)
    own_car = true_car - library.ambient_car
    if planned.bam:
        library = _with_reads(raw, rng, made, library)
    _add_matrices(raw, made, library)
    clones, names = _clones(rng, made, repertoire, library)
    cells = library.cells
    places = np.flatnonzero(library.is_cell)
    barcodes = [str(b) for b in library.barcodes[places]]
    heavy = [
        next((str(cells.isotype[i]) for i in pair if i >= 0 and cells.isotype[i]), "")
        for pair in zip(library.first[places], library.second[places], strict=True)
    ]
    for column, receptor in (("tcr_contigs", "TR"), ("bcr_contigs", "IG")):
        path = raw.libraries[-1][column]
        if path:
            rows = contig_rows(rng, barcodes, clones, heavy, receptor=receptor)
            raw.contents[f"data/{path}"] = csv_bytes(CONTIG_COLUMNS, rows)
    raw.cells.append(_true_cells(made, library, names, own_car))
    raw.truth.append(_true_library(made, library, own_car))


def _car_column(library: Library) -> npt.NDArray[np.int64]:
    return library.counts[:, len(genes().symbols)].astype(np.int64)


def _with_reads(raw: LibraryFiles, rng: np.random.Generator, made: _Made, library: Library) -> Library:
    """Sequence the CAR and the genes that share its domains; the matrix holds what the aligner places uniquely."""
    from cartrace.simulate.cell_reads import ReadModel, simulate_reads, write_bam

    registered, endogenous = constructs(), made_up_endogenous()
    transcripts = {g: endogenous[g] for g in READ_GENES} | {CONSTRUCT: registered[made.construct].sequence}
    model = ReadModel(
        chemistry=made.planned.chemistry, extra_fragments=0.5, extra_copies=0.5, chimera_share=0.005
    )
    seed = int(rng.integers(2**31))
    reads = simulate_reads(_planted(library), transcripts, model, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "possorted_genome_bam.bam"
        write_bam(path, reads, genome(with_car=made.car_feature), seed=seed)
        for suffix in ("", ".bai"):
            name = f"data/{made.folder}/{path.name}{suffix}"
            raw.contents[name] = path.with_name(path.name + suffix).read_bytes()
        counted = _counted(path)
    g = genes()
    columns = {gene: g.index[gene] for gene in READ_GENES} | {CONSTRUCT: len(g.symbols)}
    place = {str(b): i for i, b in enumerate(library.barcodes)}
    counts = library.counts.copy()
    counts[:, list(columns.values())] = 0
    for cell, _, gene in counted:
        counts[place[cell], columns[gene]] += 1
    return replace(library, counts=counts)


def _planted(library: Library) -> list[Planted]:
    from cartrace.simulate.cell_reads import Planted

    g = genes()
    car = _car_column(library)
    planted = []
    for i, barcode in enumerate(map(str, library.barcodes)):
        numbers = {gene: int(library.counts[i, g.index[gene]]) for gene in READ_GENES}
        planted += [Planted(barcode, gene, n) for gene, n in numbers.items() if n]
        ambient = int(library.ambient_car[i])
        for kind, n in (("own", int(car[i]) - ambient), ("ambient", ambient)):
            planted += [Planted(barcode, CONSTRUCT, n, kind)] if n else []
    return planted


def _counted(path: Path) -> set[tuple[str, str, str]]:
    """Return cell, UMI and gene of every read that lies in one place, as Cell Ranger counts."""
    import pysam

    with pysam.AlignmentFile(str(path)) as file:
        return {
            (str(r.get_tag("CB")), str(r.get_tag("UB")), str(r.get_tag("GN")))
            for r in file
            if r.mapping_quality == 255 and r.has_tag("GN")
        }


def _features(made: _Made, *, tag: bool) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return ids, names and kinds of the features."""
    g = genes()
    car = (CONSTRUCT,) if made.car_feature else ()
    antibody = (TAG,) if tag else ()
    kinds = (EXPRESSION,) * (len(g.ids) + len(car)) + (ANTIBODY,) * len(antibody)
    return (*g.ids, *car, *antibody), (*g.symbols, *car, *antibody), kinds


def _add_matrices(raw: LibraryFiles, made: _Made, library: Library) -> None:
    counts = library.counts
    if not made.car_feature:
        counts = np.delete(counts, len(genes().symbols), axis=1)
    full = Matrix(library.barcodes, *_features(made, tag=made.planned.tag), counts)
    _add_files(raw, made, full, library.is_cell)


def _add_files(raw: LibraryFiles, made: _Made, full: Matrix, is_cell: npt.NDArray[np.bool_]) -> None:
    planned, at = made.planned, f"data/{made.folder}"
    cells = replace(full, barcodes=full.barcodes[is_cell], counts=full.counts[is_cell])
    chemistry = "Single Cell 5' R2-only" if planned.chemistry == "5p" else "Single Cell 3' v3"
    if planned.folder:
        files = mtx_files(cells)
        raw.contents |= {
            f"{at}/filtered_feature_bc_matrix/{name}": content for name, content in files.items()
        }
    else:
        raw.contents[f"{at}/filtered_feature_bc_matrix.h5"] = h5_bytes(cells, chemistry)
    if planned.empty:
        raw.contents[f"{at}/raw_feature_bc_matrix.h5"] = h5_bytes(full, chemistry)
    in_cells = float(cells.counts.sum() / full.counts.sum())
    raw.contents[f"{at}/metrics_summary.csv"] = metrics_bytes(
        cells, reads_per_umi=READS_PER_UMI, in_cells=min(in_cells, 0.93)
    )


def _clones(
    rng: np.random.Generator, made: _Made, repertoire: Repertoire, library: Library
) -> tuple[list[list[Clone]], list[str]]:
    """Return for each barcode with a cell the clones in it, and the name of the first cell's clone."""
    cells = library.cells
    stage = {"before": "late"}.get(made.planned.stage, made.planned.stage)
    of_t = draw_t_clones(rng, repertoire, stage, cells.car)
    has_t = np.isin(cells.type, ["cd4_t", "cd8_t", "treg", "double_negative_t"])
    b_cells = np.flatnonzero(cells.isotype != "")
    of_b = dict(
        zip(
            b_cells.tolist(),
            draw_b_clones(rng, made.planned.library_id, [str(x) for x in cells.light[b_cells]]),
            strict=True,
        )
    )
    own: list[Clone | None] = [
        repertoire.clones[of_t[i]] if has_t[i] else of_b.get(i) for i in range(cells.type.size)
    ]
    clones, names = [], []
    for i in np.flatnonzero(library.is_cell):
        pair = [own[j] for j in (library.first[i], library.second[i]) if j >= 0]
        clones.append([c for c in pair if c is not None])
        names.append("" if pair[0] is None else pair[0].name)
    return clones, names


def _true_cells(
    made: _Made, library: Library, clones: Sequence[str], own_car: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """Return one row for each barcode with a cell; of two cells the first one is described."""
    rows = np.flatnonzero(library.is_cell)
    first, second = library.first[rows], library.second[rows]
    cells = library.cells
    two = second >= 0
    return pd.DataFrame(
        {
            "library": made.planned.library_id,
            "cell": library.barcodes[rows],
            "type": cells.type[first],
            "state": cells.state[first],
            "phase": cells.phase[first],
            "isotype": cells.isotype[first],
            "car": cells.car[first] | (two & cells.car[second]),
            "car_molecules": own_car[rows],
            "doublet": two,
            "second_type": np.where(two, cells.type[second], ""),
            "damaged": library.damaged[rows],
            "clone": clones,
        }
    )


def _true_library(made: _Made, library: Library, own_car: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return what is true of a library: counts and shares of its sound single cells."""
    rows = np.flatnonzero(library.is_cell)
    sound = rows[~library.doublet[rows] & ~library.damaged[rows]]
    cells = library.cells
    of = library.first[sound]
    kind, is_t, car = cells.type[of], cells.is_t[of], cells.car[of]
    is_b = np.isin(kind, B_TYPES)
    n_t, n_b = int(is_t.sum()), int(is_b.sum())
    umis = int(library.counts[rows, : len(genes().symbols)].sum())
    return _about(made) | {
        "barcodes": rows.size,
        "doublets": int(library.doublet.sum()),
        "damaged": int(library.damaged.sum()),
        "sound_cells": sound.size,
        "t_cells": n_t,
        "car_t_cells": int((is_t & car).sum()),
        "car_percent": _percent(int((is_t & car).sum()), n_t),
        "car_molecules": float(own_car[sound][car].mean()) if car.any() else np.nan,
        "cd8_of_car_percent": _percent(int((car & (kind == "cd8_t")).sum()), int(car.sum())),
        "b_cells": n_b,
        "b_percent": _percent(n_b, sound.size),
        "naive_of_b_percent": _percent(int((kind == "naive_b").sum()), n_b),
        "transitional_of_b_percent": _percent(int((kind == "transitional_b").sum()), n_b),
        "plasma_cells": int(np.isin(kind, ["plasmablast", "plasma_cell"]).sum()),
        "ambient_percent": 100 * float(library.ambient[rows].sum()) / umis,
    }


B_TYPES = ("transitional_b", "naive_b", "non_switched_memory_b", "switched_memory_b", "double_negative_b")


def _about(made: _Made) -> dict[str, Any]:
    planned, sample = made.planned, made.sample
    return {
        "library": planned.library_id,
        "sample_id": made.sample_id,
        "subject_id": sample.subject_id,
        "matrix": sample.matrix,
        "visit": sample.visit,
        "study_day": sample.study_day,
        "chemistry": planned.chemistry,
        "sort": planned.sort,
        "reads": planned.bam,
        "car_feature": made.car_feature,
        "construct": made.construct,
        "planted": made.planned.planted,
        "sample_car_percent": 100 * sample.makeup.car_share,
    }


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else float("nan")


def _add_failed(
    raw: LibraryFiles, rng: np.random.Generator, made: _Made, factor: npt.NDArray[np.float64]
) -> None:
    """Add a library in which no cell was opened: every barcode holds a few UMIs of the medium."""
    cells = make_library(rng, made.sample.makeup, Protocol(50, 0, made.planned.car_mean, factor))
    soup = cells.counts.sum(axis=0).astype(np.float64)
    n = FAILED_BARCODES + made.planned.empty
    counts = ambient_counts(rng, soup / soup.sum(), FAILED_LEVEL, n).astype(np.int32)
    is_cell = np.arange(n) < FAILED_BARCODES
    # A barcode without a UMI is in no filtered matrix.
    bare = np.flatnonzero(is_cell & (counts.sum(axis=1) == 0))
    counts[bare, rng.integers(0, counts.shape[1], bare.size)] = 1
    full = Matrix(draw_barcodes(rng, n), *_features(made, tag=False), counts)
    _add_files(raw, made, full, is_cell)
    for column in ("tcr_contigs", "bcr_contigs"):
        raw.contents[f"data/{raw.libraries[-1][column]}"] = csv_bytes(CONTIG_COLUMNS, [])
    raw.truth.append(_about(made) | {"barcodes": FAILED_BARCODES, "sound_cells": 0})
