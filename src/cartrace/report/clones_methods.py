"""What the methods say of clones, returning B cells and integration sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.repertoire.settings import Repertoire
    from cartrace.report.clones import CloneTables


def sections(settings: Repertoire, tables: CloneTables) -> list[tuple[str, str]]:
    """Describe what was done with receptors and sites, as (heading, text) pairs; nothing without them.

    Parameters
    ----------
    settings
        Section ``repertoire`` of the configuration that ran.
    tables
        Its tables: only what they hold is told.
    """
    parts = []
    if tables.has_clones:
        parts.append(("Clones: receptors and clonotypes", _clonotypes(settings, tables)))
    if len(tables.clone_totals):
        parts.append(("Clones: tracking", _tracking(settings, tables)))
    if len(tables.diversity) or len(tables.overlap):
        parts.append(("Clones: diversity and overlap", _diversity(settings, tables)))
    if len(tables.clone_sharing):
        parts.append(("Clones: shared between patients", _sharing(settings)))
    if len(tables.b_return):
        parts.append(("Clones: B cells that return", _b_cells(settings)))
    if tables.has_sites:
        parts.append(("Integration sites", _sites(settings, tables)))
    return parts


def _clonotypes(settings: Repertoire, tables: CloneTables) -> str:
    c, n = settings.clonotypes, tables.receptors["library"].nunique()
    umis, sequence = settings.contigs.min_umis, {"nt": "nucleotides", "aa": "amino acids"}
    contigs = (
        "Contigs count when they are productive, confident and in a cell"
        f"{f', of {umis} UMIs or more' if umis > 1 else ''}{', and full length where the file says it' if settings.contigs.full_length else ''}"
        f"{f' ({n} libraries)' if n > 1 else ''}. A barcode with more than two chains of a kind, or with chains of T and B cells, is "
        "taken for two cells and has no clone. "
    )
    told = {
        "trb": f"T cells are of one clone when V gene, J gene and CDR3 ({sequence[c.t_sequence]}) of their beta chain (of gamma-delta T cells the delta chain) are identical; the alpha chain, which many cells lack, does not enter",
        "paired": f"T cells are of one clone when V gene, J gene and CDR3 ({sequence[c.t_sequence]}) of their beta and their alpha chain are identical",
    }[c.t_chains]
    text = contigs + told + ". "
    if len(tables.b_return) or (tables.clones["receptor"] == "B").any():
        text += (
            f"B cells are of one clone when their heavy chains have the V gene, the J gene and the length of CDR3 in common and at least "
            f"{100 * c.b_identity:g} % of its {sequence[c.b_sequence]} (Hamming distance, single linkage). "
        )
    return text + "A clone is named by its receptor, so that it has the same name in every sample and run."


def _tracking(settings: Repertoire, tables: CloneTables) -> str:
    t = settings.tracking
    text = (
        "Shares are of the cells of a population that have a clone, with exact intervals (Clopper and Pearson) at "
        f"{100 * t.confidence:g} %; a sample of fewer than {t.min_sample_cells} such cells tells none. Libraries of one sample were pooled. The "
        "limit of detection is the share of a clone that would be seen with 95 % probability. An expanded clone of a sample has "
        f"{t.expanded_cells} cells or more (Qin 2024). "
    )
    if len(tables.clone_changes):
        text += (
            f"Clones of {t.min_cells} cells or more in two samples together were compared by Fisher's exact test, the product with each later "
            f"sample and each sample with the next; they expanded or contracted where q (Benjamini and Hochberg 1995, within the pair) is below "
            f"{t.fdr:g}. The test knows the chance of drawing cells, not differences of handling between libraries. Among all T cells, blood "
            "also differs from the product by T cells that were never infused: a clone that is larger than in the product may have been so before. "
        )
    if len(tables.clone_persistence):
        text += (
            "Clones of the product that a later sample holds are counted beside the number that the depth of the sample would have shown, "
            "had every clone kept its share: without it a shallow sample looks like loss."
        )
    return text.strip()


def _diversity(settings: Repertoire, tables: CloneTables) -> str:
    d = settings.diversity
    depth = (
        f"{d.rarefied_to:,} cells"
        if d.rarefied_to is not None
        else f"the cells of the patient's smallest sample that has {d.min_cells} or more"
    )
    text = ""
    if len(tables.diversity):
        text = (
            "Most indices of diversity depend on the number of cells. Those that are compared were brought to equal depth: "
            f"{depth}; samples of fewer than {d.min_cells} cells have none. Intervals are from {d.bootstraps:,} bootstrap samples, unseen clones included (Chao 2014). Hill numbers of order 0, "
            "1 and 2 are the numbers of equally large clones with the same richness, Shannon entropy and Simpson index (Hill 1973). "
        )
    if len(tables.overlap):
        text += (
            "The overlap of two samples is told as Morisita-Horn, which weighs clones by their shares and depends little on depth, and as "
            f"Jaccard, which counts clones; samples of fewer than {settings.tracking.min_sample_cells} cells have none."
        )
    return text.strip()


def _sharing(settings: Repertoire) -> str:
    s = settings.sharing
    return (
        "Libraries of two patients were asked for clones in common. How many are usual, the pairs of all other patients tell, in proportion to the clones of both libraries. A pair is "
        f"a finding from {s.min_shared} common clones on, where they are more (exact test of two Poisson counts, false-discovery rate "
        f"{100 * s.fdr:g} %): index hopping where the same clones have the same barcodes; exchanged samples where the overlap by cells "
        f"(Morisita-Horn) is {s.swap_overlap:g} or more and above that with the patient's own samples; else public clones. Nothing was corrected."
    )


def _b_cells(settings: Repertoire) -> str:
    b = settings.b_cells
    return (
        "B cells are naive when their heavy chain is IgM or IgD and not mutated; mutated when more than "
        f"{100 * b.mutated_above:g} % of the bases of its V gene differ from the germline. Where the contigs do not tell identity or constant gene, the "
        f"share is not known. A share of fewer than {b.min_cells} B cells, or of a sample in which the fact is known of less than {b.min_known_percent:g} % of them, is flagged. Old clones are those seen before the infusion: a clone that was too small to be "
        "seen then counts as new."
    )


def _sites(settings: Repertoire, tables: CloneTables) -> str:
    s = settings.sites
    text = (
        f"Positions are of {s.genome}. A site's share is its abundance (cells by sonic lengths or UMIs; of an alignment, fragments) over that of all sites "
        f"of the sample and cell type. Samples of an abundance below {s.min_abundance} raise no alarm. A site is dominant where the lower limit of its share reaches {s.dominant_percent:g} %; it "
        f"grows where its share has reached {s.growth_percent:g} % and the lower limit of its growth, over at least three samples since one infusion, {s.growth_per_month:g} times a month. "
    )
    if s.genes_of_concern is not None:
        text += f"Sites within {s.gene_distance:,} bases of a gene of the trial's list are marked, and told where they grow or the lower limit of their share reaches {s.growth_percent:g} %. "
    else:
        text += "No list of genes of concern was given. "
    return text + "Dominance alone is no proof of harm: it asks for a second sample."
