"""The single-cell libraries of the demo trial: product, blood, CSF of three subjects.

Two subjects are followed from before the infusion to the return of their B cells. Libraries of one of them have reads
(BAM) as well: the product, and blood of day 10 that was aligned to a reference without the CAR. Three faults are planted
in the libraries of the third subject. One library has contigs and no counts; contigs of another one hopped into it.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.simulate.cells_b_clones import OldClone, draw_b_cells, draw_old_clones
from cartrace.simulate.cells_clone_truth import LibraryClones, clone_tables
from cartrace.simulate.cells_contig_files import contig_bytes
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
    h5_bytes,
    metrics_bytes,
    mtx_files,
)
from cartrace.simulate.cells_genes import CAR_EFFECT, genes
from cartrace.simulate.cells_makeup import of_blood, of_csf, of_product, sorted_for_car
from cartrace.simulate.cells_repertoire import (
    Clone,
    Contig,
    Repertoire,
    draw_repertoire,
    draw_t_clones,
    find_contigs,
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
    t_file: str = "vdj_t_contig_annotations.csv"
    b_file: str = "vdj_b_contig_annotations.csv"
    counts: bool = True
    folder: bool = False
    """Counts as a folder of mtx files."""
    flow: bool = False
    """The sheet tells the CAR+ share by flow."""
    planted: str = ""


AIRR, ALL_JSON = "vdj_b_airr_rearrangement.tsv.gz", "vdj_t_all_contig_annotations.json"
"""What one laboratory sends instead of csv: mutations of B cells are in AIRR alone, other barcodes in json."""

LIBRARIES = (
    Planned("L008_product", 7, "product", "", "product", 300, tag=True, flow=True),
    Planned("L008_before", 7, "blood", "Pre-LD", "before", 420, tag=True, b_file=AIRR),
    Planned("L008_d14", 7, "blood", "D14", "peak", 420, car_mean=2.5, tag=True, b_file=AIRR),
    Planned("L008_csf_d28", 7, "csf", "28", "peak", 160, empty=0, car_mean=2.5, tag=True, t_file=ALL_JSON),
    Planned("L008_d90", 7, "blood", "D90", "late", 420, car_mean=2.0, tag=True, b_file=AIRR),
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
    Planned(
        *("L008_d180_car", 7, "blood", "D180", "late", 150),
        sort="car_positive",
        counts=False,
        planted="index_hopping",
    ),
)
OLD_CLONES_RETURN = (7,)
"""Places of the subjects in whom old clones of B cells come back."""
HOPS_FROM = "L003_d10"
"""Library on the same lane, whose contigs are found in the one with ``index_hopping``."""
OUTSIDE_CELLS = 30
"""Contigs of empty droplets in a file of all contigs."""
HOPPING_CELLS = 8
"""Cells, each of another clone, that hopped: the largest clones, which had most molecules on the lane."""

FAULTS = {
    "failed_library": (
        "failed_library",
        "reject",
        "the channel failed: 5,000 barcodes with a median of 2 UMIs, no receptors",
    ),
    "index_hopping": (
        "index_hopping",
        "flag",
        f"contigs of {HOPPING_CELLS} large clones of {HOPS_FROM}, with the same barcodes and 1 or 2 UMIs",
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
    ``cells`` has one row for each barcode with a cell, ``truth`` one for each library; ``clones`` are those of each
    library, ``t_contigs`` its contigs of T cells by its name.
    """

    samples: list[dict[str, str]] = field(default_factory=list)
    libraries: list[dict[str, str]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    cells: list[pd.DataFrame] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    clones: list[LibraryClones] = field(default_factory=list)
    t_contigs: dict[str, list[Contig]] = field(default_factory=dict)
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
            **clone_tables(self.clones),
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
    subjects: dict[int, _Person] = {}
    for number, listed in enumerate(LIBRARIES, 1):
        planned = listed if plant else replace(listed, planted="", n=listed.n or SOUND_CELLS)
        sample = _sample(truth, planned)
        if sample is None:
            continue
        if planned.place not in subjects:
            subjects[planned.place] = _person(seed, planned.place, sample.subject_id)
        person = subjects[planned.place]
        rng = np.random.default_rng([seed, planned.place + 1, 21, crc32(planned.library_id.encode())])
        made = _Made(planned, sample, f"C{planned.place + 1:02d}{number:02d}")
        _add_sheets(raw, rng, made, first_infusion[sample.subject_id])
        if planned.planted == "failed_library":
            _add_failed(raw, rng, made, person.factor)
        else:
            # B cells have a stream of their own: what is counted rests on the other.
            own = np.random.default_rng([seed, planned.place + 1, 23, crc32(planned.library_id.encode())])
            _add_library(raw, rng, own, made, person)
        if planned.planted:
            raw.faults.append(PlantedFault(planned.planted, planned.library_id, *FAULTS[planned.planted]))
    if raw.libraries:
        for name, construct in constructs().items():
            raw.contents[f"constructs/{name}.fasta"] = fasta_text({name: construct.sequence}).encode()
            raw.contents[f"constructs/{name}.gtf"] = gtf_text(construct).encode()
        raw.contents["constructs/endogenous.fasta"] = fasta_text(made_up_endogenous()).encode()
    return raw


@dataclass(frozen=True, slots=True)
class _Person:
    """Clones of a subject, and what it multiplies its genes by: (genes,)."""

    t_cells: Repertoire
    old_b_clones: tuple[OldClone, ...]
    factor: npt.NDArray[np.float64]


def _person(seed: int, place: int, subject_id: str) -> _Person:
    rng = np.random.default_rng([seed, place + 1, 20])
    factor = subject_factor(rng, len(genes().symbols))
    of_b = np.random.default_rng([seed, place + 1, 22])
    return _Person(
        draw_repertoire(rng, subject_id),
        draw_old_clones(of_b, subject_id, returning=place in OLD_CLONES_RETURN),
        factor,
    )


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
        return self.planned.car_feature and self.planned.counts and self.planned.planted != "no_car_feature"

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
            "counts": f"{at}/filtered_feature_bc_matrix" + ("" if planned.folder else ".h5")
            if planned.counts
            else "",
            "raw_counts": f"{at}/raw_feature_bc_matrix.h5" if planned.empty and planned.counts else "",
            "bam": f"{at}/possorted_genome_bam.bam" if planned.bam else "",
            "tcr_contigs": f"{at}/{planned.t_file}" if contigs else "",
            "bcr_contigs": f"{at}/{planned.b_file}"
            if contigs and sample.matrix == "blood" and planned.sort == "none"
            else "",
            "metrics": f"{at}/metrics_summary.csv" if planned.counts else "",
            "sort": planned.sort,
            "lymphocytes_per_ul": lymphocytes if planned.sort == "none" else "",
            "car_flow_percent": f"{flow:.1f}" if planned.flow else "",
            "tag_features": TAG if planned.tag else "",
        }
    )


def _add_library(
    raw: LibraryFiles,
    rng: np.random.Generator,
    of_b: np.random.Generator,
    made: _Made,
    person: _Person,
) -> None:
    planned = made.planned
    # Without a raw matrix there are empty droplets all the same: what floats in them comes from them.
    protocol = Protocol(planned.n, planned.empty, planned.car_mean, person.factor, tag=planned.tag)
    library = make_library(rng, made.sample.makeup, protocol)
    true_car = _car_column(library)
    own_car = true_car - library.ambient_car
    if planned.bam:
        library = _with_reads(raw, rng, made, library)
    if planned.counts:
        _add_matrices(raw, made, library)
    own, heavy = _clones(rng, of_b, made, person, library)
    barcodes = [str(b) for b in library.barcodes[library.is_cell]]
    pairs = _pairs(library)
    behind = [[clone for clone in (own[i] for i in pair) if clone is not None] for pair in pairs]
    c_genes = [next((heavy[i] for i in pair if heavy[i]), "") for pair in pairs]
    for column, receptor in (("tcr_contigs", "TR"), ("bcr_contigs", "IG")):
        path = raw.libraries[-1][column]
        if path:
            contigs = find_contigs(rng, barcodes, behind, c_genes, receptor=receptor)
            if receptor == "TR":
                raw.t_contigs[planned.library_id] = list(contigs)
                if planned.planted == "index_hopping":
                    contigs += _hopped(raw.t_contigs.get(HOPS_FROM, []), of_b)
                if planned.t_file == ALL_JSON:
                    contigs += _outside_cells(of_b, contigs)
            raw.contents[f"data/{path}"] = contig_bytes(contigs, path)
    names = ["" if clone is None else clone.name for clone in (own[pair[0]] for pair in pairs)]
    raw.clones.append(_true_clones(made, person, library, own, heavy))
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
    rng: np.random.Generator, of_b: np.random.Generator, made: _Made, person: _Person, library: Library
) -> tuple[list[Clone | None], list[str]]:
    """Return the clone of each cell (none without a receptor), and the constant gene of its heavy chain."""
    cells = library.cells
    of_t = draw_t_clones(rng, person.t_cells, _t_stage(made.planned.stage), cells.car)
    # The receptor of a gamma-delta cell is not in the library.
    own = [
        person.t_cells.clones[of_t[i]] if kind in ALPHA_BETA else None for i, kind in enumerate(cells.type)
    ]
    heavy = [""] * cells.type.size
    places = np.flatnonzero(cells.isotype != "").tolist()
    b_cells = draw_b_cells(
        of_b,
        person.old_b_clones,
        made.planned.library_id,
        [(str(cells.type[i]), str(cells.isotype[i]), str(cells.light[i])) for i in places],
        before=made.planned.stage == "before",
    )
    for i, cell in zip(places, b_cells, strict=True):
        own[i], heavy[i] = cell.clone, cell.c_gene
    return own, heavy


ALPHA_BETA = ("cd4_t", "cd8_t", "treg", "double_negative_t")


def _t_stage(stage: str) -> str:
    """Return the stage whose clones a sample has: before the infusion those of the late sample, without a CAR."""
    return "late" if stage == "before" else stage


def _pairs(library: Library) -> list[list[int]]:
    """Return the one or two cells of each barcode that has any."""
    places = np.flatnonzero(library.is_cell)
    both = zip(library.first[places].tolist(), library.second[places].tolist(), strict=True)
    return [[i for i in pair if i >= 0] for pair in both]


def _hopped(source: Sequence[Contig], rng: np.random.Generator) -> list[Contig]:
    """Return what is read of another library's largest clones by a wrong index: its barcodes, 1 or 2 UMIs each."""
    betas = [c for c in source if c.chain.chain == "TRB"]
    chains = Counter(c.barcode for c in betas)
    # Barcodes with two chains may hold two clones.
    single = [c for c in betas if chains[c.barcode] == 1 and c.productive and c.umis > 1]
    sizes = Counter(c.chain.cdr3_nt for c in single)
    first = {c.chain.cdr3_nt: c.barcode for c in reversed(single)}
    barcodes = {first[cdr3] for cdr3, _ in sizes.most_common(HOPPING_CELLS)}
    out = []
    for contig in source:
        if contig.barcode in barcodes:
            umis = int(rng.integers(1, 3))
            out.append(replace(contig, umis=umis, reads=umis * int(rng.integers(1, 4)), clonotype=""))
    return out


def _outside_cells(rng: np.random.Generator, contigs: Sequence[Contig]) -> list[Contig]:
    """Return contigs of empty droplets: chains of the cells, one UMI each, which a file of all contigs holds, too."""
    drawn = rng.integers(len(contigs), size=OUTSIDE_CELLS)
    barcodes = draw_barcodes(rng, OUTSIDE_CELLS)
    return [
        replace(
            contigs[i],
            barcode=str(b),
            number=1,
            umis=1,
            reads=int(rng.integers(1, 40)),
            clonotype="",
            is_cell=False,
        )
        for i, b in zip(drawn.tolist(), barcodes, strict=True)
    ]


def _true_clones(
    made: _Made, person: _Person, library: Library, own: Sequence[Clone | None], heavy: Sequence[str]
) -> LibraryClones:
    """Return the clones of the sound single cells of a library, with the shares that were planted."""
    cells = library.cells
    sound = library.is_cell & ~library.doublet & ~library.damaged
    of = library.first[sound]
    planned, sample = made.planned, made.sample
    return LibraryClones(
        library=planned.library_id,
        subject_id=sample.subject_id,
        sample_id=made.sample_id,
        study_day=sample.study_day,
        stage=planned.stage,
        sort=planned.sort,
        t_clones=person.t_cells,
        t_stage=_t_stage(planned.stage),
        old_b_clones=person.old_b_clones,
        car_share=float(cells.car[of][cells.is_t[of]].mean()) if cells.is_t[of].any() else 0.0,
        barcodes=tuple(map(str, library.barcodes[sound])),
        clones=tuple(own[i] for i in of),
        c_genes=tuple(heavy[i] for i in of),
        types=tuple(map(str, cells.type[of])),
        car=tuple(map(bool, cells.car[of])),
    )


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
        raw.contents[f"data/{raw.libraries[-1][column]}"] = contig_bytes([], raw.libraries[-1][column])
    raw.truth.append(_about(made) | {"barcodes": FAILED_BARCODES, "sound_cells": 0})
