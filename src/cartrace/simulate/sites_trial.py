"""Integration sites of the demo trial: tables as INSPIIRED writes them, and one BAM, for two subjects.

A product holds thousands of transduced cells, each with a site of its own; in blood some of them grow, as clones do.
Subject 003 has one site near a gene of concern that takes over within half a year; subject 008 stays polyclonal. At
D90 the B cells of 003 were looked at as well: two of their sites are in T cells, too. Positions, genes and chromosomes
are made up; only the names of the genes of concern are real.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cartrace.simulate.cells_files import GENOME, csv_bytes

if TYPE_CHECKING:
    from cartrace.simulate.cells_trial import Truth

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CHROMOSOMES, LENGTH = ("chr1", "chr2", "chr3", "chr4"), 1_000_000
GENE_EVERY, GENE_HALF = 20_000, 3_000
"""Bases from gene to gene; half the length of a gene."""
GENES_OF_CONCERN = {"LMO2": ("chr3", 24), "MECOM": ("chr1", 11), "CCND2": ("chr2", 40), "HMGA2": ("chr4", 7)}
"""Real names with made-up places: chromosome, and which of its genes."""
GENES_FILE = "genes_of_concern.txt"
VECTOR, VECTOR_LENGTH = "DEMO-vector", 1_200
POOL, POOL_B = 2_500, 60
"""Sites of the T cells, and of the B cells, of one subject."""
APART = 20
"""Fewest bases between two sites of a subject; no site lies nearer than EDGE to the end of a chromosome."""
EDGE = 1_000
PRODUCT_SD, GROWTH_SD, LATER_SD = 0.5, 0.8, 0.3
"""SD of the log of the sites' shares: in the product, from there to D28, from each visit to the next."""
GROWS_FROM, GROWS_BY, DAYS_PER_MONTH = 0.0012, 2.6, 30.4
"""Share of the planted site in the product, 0 to 1, and the factor by which it grows a month."""
GROWING_GENE, GROWING_DISTANCE = "LMO2", -4_200
SHARED_BY_B = 2
"""Sites of B cells that T cells have, too."""
COLUMNS = (
    "chrom",
    "strand",
    "start",
    "width",
    "specimen",
    "refgenome",
    "patient",
    "celltype",
    "timepoint",
    "estAbund",
    "relAbund",
    "relRank",
    "posid",
    "in_gene",
    "nearest_geneDist",
    "nearest_gene",
    "nearest_geneOrt",
)
"""As INSPIIRED names them."""


@dataclass(frozen=True, slots=True)
class PlannedSites:
    """One set of sites: whose (place among twelve), when, of which cells, how many of them."""

    place: int
    visit: str
    """Visit of blood; empty: the product."""
    total: int
    """Cells; fragments of a BAM."""
    cell_type: str = "T cells"
    bam: bool = False


SITE_SETS = (
    PlannedSites(2, "", 500),
    PlannedSites(2, "D28", 600),
    PlannedSites(2, "D90", 400),
    PlannedSites(2, "D90", 60, "B cells"),
    PlannedSites(2, "D180", 320),
    PlannedSites(7, "", 500),
    PlannedSites(7, "D28", 260, bam=True),
    PlannedSites(7, "D90", 400),
    PlannedSites(7, "D180", 320),
)
GROWING = 2
"""Place of the subject in whom one site takes over."""


@dataclass(slots=True)
class SiteFiles:
    """What the laboratory of integration sites sends: rows of the sheets, files by their path, the truth by site."""

    samples: list[dict[str, str]] = field(default_factory=list)
    sets: list[dict[str, str]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    truth: list[dict[str, Any]] = field(default_factory=list)

    @property
    def config(self) -> dict[str, Any]:
        """The section ``repertoire`` of the configuration, where there are sites."""
        if not self.sets:
            return {}
        sites = {"genome": GENOME, "genes_of_concern": GENES_FILE, "junctions": {"vector": [VECTOR]}}
        return {"repertoire": {"sites": sites}}

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The truth, where there are sites."""
        return {"sites": pd.DataFrame(self.truth)} if self.truth else {}


@dataclass(frozen=True, slots=True)
class _Pool:
    """Sites of a subject, (POOL + POOL_B + 1,) each: T cells, B cells, the planted one."""

    chromosome: Integers
    position: Integers
    strand: npt.NDArray[np.str_]
    log_product: Floats
    growth: Floats
    later: Floats
    """(3, sites): steps of the log of the shares from the product to D28, D90 and D180."""

    def name(self, i: int) -> str:
        return f"{CHROMOSOMES[self.chromosome[i]]}{self.strand[i]}{self.position[i]}"

    def shares(self, planned: PlannedSites, study_day: int) -> Floats:
        """Return the share of each site, (sites,)."""
        log = self.log_product.copy()
        steps = ("", "D28", "D90", "D180").index(planned.visit)
        log += self.later[:steps].sum(axis=0) + (self.growth if steps else 0)
        share = np.exp(log)
        share[-1] = 0
        of_b = planned.cell_type == "B cells"
        share[POOL:-1] *= of_b
        if of_b:
            # The two that T cells have, too, are the largest of these.
            shared = np.argsort(-share[:POOL])[:SHARED_BY_B]
            share[:POOL] = 0
            share[shared] = 3 * share[POOL:-1].mean()
        share /= share.sum()
        if planned.place == GROWING and not of_b:
            grown = GROWS_FROM * GROWS_BY ** (study_day / DAYS_PER_MONTH)
            share *= 1 - grown
            share[-1] = grown
        return share


def site_laboratory(
    seed: int, truth: Truth, first_infusion: Mapping[str, date], samples: Sequence[Mapping[str, str]]
) -> SiteFiles:
    """Make the integration sites of the subjects that there are.

    Parameters
    ----------
    seed
        Seed of the trial; each subject has a stream of its own.
    truth
        Samples of the first twelve subjects.
    first_infusion
        Date of the first infusion of each subject, for the samples sheet.
    samples
        Rows of the samples sheet that there are; a product or blood sample among them is taken, others are added.
    """
    raw = SiteFiles()
    known = {(s["subject_id"], s["matrix"], s["visit"]): s["sample_id"] for s in samples}
    for place in dict.fromkeys(s.place for s in SITE_SETS):
        subject_id = truth.subject(place)
        if subject_id is None:
            continue
        rng = np.random.default_rng([seed, place + 1, 24])
        pool = _draw_pool(rng)
        rows: list[dict[str, str]] = []
        for planned in (s for s in SITE_SETS if s.place == place):
            drawn = truth.blood(place, planned.visit) if planned.visit else (subject_id, 0, None)
            if drawn is None:
                continue
            matrix = "blood" if planned.visit else "infusion_product"
            key = (subject_id, matrix, planned.visit)
            if key not in known:
                known[key] = f"V{place + 1:02d}{len(raw.samples) + 1:02d}"
                day = first_infusion[subject_id] + timedelta(days=drawn[1])
                raw.samples.append(
                    {
                        "sample_id": known[key],
                        "subject_id": subject_id,
                        "matrix": matrix,
                        "visit": planned.visit,
                        "date": day.isoformat(),
                    }
                )
            rows += _add_set(raw, rng, planned, pool, _Whose(subject_id, known[key], drawn[1]))
        raw.contents[f"data/{_table_path(subject_id)}"] = csv_bytes(COLUMNS, rows, "\t")
    if raw.sets:
        raw.contents[GENES_FILE] = "".join(f"{gene}\n" for gene in GENES_OF_CONCERN).encode()
    return raw


@dataclass(frozen=True, slots=True)
class _Whose:
    subject_id: str
    sample_id: str
    study_day: int


def _table_path(subject_id: str) -> str:
    return f"integration_sites/{subject_id}.tsv"


def _draw_pool(rng: np.random.Generator) -> _Pool:
    n = POOL + POOL_B + 1
    # A grid keeps sites apart; a gene of concern has none but the planted one near it.
    per_chromosome = (LENGTH - 2 * EDGE) // APART
    slots = rng.permutation(per_chromosome * len(CHROMOSOMES))
    chromosome, position = slots // per_chromosome, EDGE + APART * (slots % per_chromosome)
    concern = [(CHROMOSOMES.index(c), i) for c, i in GENES_OF_CONCERN.values()]
    near = np.zeros(slots.size, dtype=bool)
    for at, number in concern:
        near |= (chromosome == at) & (position // GENE_EVERY == number)
    chromosome, position = chromosome[~near][:n], position[~near][:n]
    c, i = GENES_OF_CONCERN[GROWING_GENE]
    chromosome[-1], position[-1] = CHROMOSOMES.index(c), _centre(i) + GROWING_DISTANCE
    return _Pool(
        chromosome,
        position,
        np.where(rng.random(n) < 0.5, "+", "-"),
        PRODUCT_SD * rng.standard_normal(n),
        GROWTH_SD * rng.standard_normal(n),
        LATER_SD * rng.standard_normal((3, n)),
    )


def _centre(gene: int) -> int:
    return GENE_EVERY * gene + GENE_EVERY // 2


def _gene(chromosome: int, position: int) -> tuple[str, int, str]:
    """Return the nearest gene, the distance to its end (0 inside) and its orientation."""
    i = position // GENE_EVERY
    named = {place: gene for gene, place in GENES_OF_CONCERN.items()}
    name = named.get((CHROMOSOMES[chromosome], i), f"MADEUP-{chromosome + 1}-{i:02d}")
    off = position - _centre(i)
    distance = 0 if abs(off) <= GENE_HALF else off - GENE_HALF if off > 0 else off + GENE_HALF
    return name, distance, "+" if (chromosome + i) % 2 else "-"


def _add_set(
    raw: SiteFiles, rng: np.random.Generator, planned: PlannedSites, pool: _Pool, whose: _Whose
) -> list[dict[str, str]]:
    """Add one set; return its rows of the subject's table."""
    share = pool.shares(planned, whose.study_day)
    found = rng.multinomial(planned.total, share)
    if share[-1]:
        # Planted, not drawn: the site is in every sample of the subject.
        found[-1] = max(1, round(planned.total * float(share[-1])))
    places = np.flatnonzero(found)
    places = places[np.argsort(-found[places], kind="stable")]
    number = len(raw.sets) + 1
    site_set, specimen = f"SITES{number:02d}", f"GTS{number:04d}"
    path = f"integration_sites/{site_set}.bam" if planned.bam else _table_path(whose.subject_id)
    raw.sets.append(
        {
            "site_set_id": site_set,
            "sample_id": whose.sample_id,
            "path": path,
            "specimen": "" if planned.bam else specimen,
            "cell_type": planned.cell_type,
        }
    )
    total = int(found.sum())
    rows = []
    for rank, i in enumerate(places.tolist(), 1):
        gene, distance, orientation = _gene(int(pool.chromosome[i]), int(pool.position[i]))
        chromosome = CHROMOSOMES[pool.chromosome[i]]
        raw.truth.append(
            {
                "subject_id": whose.subject_id,
                "site_set": site_set,
                "sample_id": whose.sample_id,
                "study_day": whose.study_day,
                "cell_type": planned.cell_type,
                "site": pool.name(i),
                "chromosome": chromosome,
                "position": int(pool.position[i]),
                "strand": str(pool.strand[i]),
                "true_percent": 100 * float(share[i]),
                "abundance": int(found[i]),
                "total": total,
                "gene": "" if planned.bam else gene,
                "planted": "dominant;growing;gene_of_concern" if i == share.size - 1 else "",
            }
        )
        values = (
            *(chromosome, str(pool.strand[i]), str(pool.position[i]), "1", specimen, GENOME),
            *(whose.subject_id, planned.cell_type, f"d{whose.study_day}", str(found[i])),
            *(f"{found[i] / total:.6g}", str(rank), pool.name(i), gene if distance == 0 else "FALSE"),
            *(str(distance), gene, orientation),
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    if planned.bam:
        raw.contents |= _bam(rng, pool, {i: int(found[i]) for i in places.tolist()}, f"data/{path}")
        return []
    return rows


def _bam(rng: np.random.Generator, pool: _Pool, fragments: Mapping[int, int], path: str) -> dict[str, bytes]:
    """Return a BAM of the fragments of each site, and its index."""
    from cartrace.simulate.read_files import random_letters
    from cartrace.simulate.site_reads import JunctionModel, PlantedSite, junction_bam

    sites = []
    for i, n in fragments.items():
        # Primers lie in the right LTR, and pick up the left one, which begins alike, now and then.
        left = n // 3
        strand: Literal["+", "-"] = "+" if pool.strand[i] == "+" else "-"
        sites.append(
            PlantedSite(CHROMOSOMES[pool.chromosome[i]], int(pool.position[i]), strand, left, n - left)
        )
    host = {name: random_letters(rng, LENGTH) for name in CHROMOSOMES}
    # Short enough that one of the two reads crosses the end of the vector.
    model = JunctionModel(longest=80, error_rate=0.001, extra_copies=0.5, background=40, chimeras=4)
    bam, index = junction_bam(rng, sites, (VECTOR, random_letters(rng, VECTOR_LENGTH)), host, model)
    return {path: bam, f"{path}.bai": index}
