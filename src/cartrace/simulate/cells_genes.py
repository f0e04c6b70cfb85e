"""What the cells of the simulated libraries express: made-up programmes over real names of genes.

A programme gives the UMIs that its genes have in a usual cell of :data:`USUAL_UMIS`. Marker genes, mitochondrial,
ribosomal and immunoglobulin genes bear their names, because that is how cells are recognised; their ids, a thousand
genes of background and all numbers are made up. The markers are those of Qin 2024 and of common knowledge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

USUAL_UMIS = 1_800.0
"""UMIs of a usual cell."""
BACKGROUND = 1_000
"""Genes without a meaning."""
RIBOSOMAL_SHARE = 0.2
"""Share of the background's UMIs that are of ribosomal proteins."""
LINEAGE_GENES, LINEAGE_SPREAD = 150, 0.7
"""Genes of the background that a lineage sets apart, and the SD of the log by which it does."""


def _levels(text: str) -> dict[str, float]:
    """Read ``GENE level GENE level ...``."""
    words = text.split()
    return {gene: float(level) for gene, level in zip(words[::2], words[1::2], strict=True)}


PROGRAMMES: dict[str, dict[str, float]] = {
    name: _levels(text)
    for name, text in {
        # Lineages and what several types share.
        "t": "CD3D 4 CD3E 4 CD3G 2.5 CD2 3 CD5 1 CD7 2 TRAC 8 TRBC1 3 TRBC2 4 LCK 2 BCL11B 2 IL32 6 LTB 3 CD247 2"
        " CD28 0.6 CD6 1 TRAT1 1 CAMK4 0.6 THEMIS 0.6",
        "gd": "CD3D 4 CD3E 4 CD3G 3 CD2 3 CD7 2 TRDC 5 TRGC1 3 TRGC2 2 TRGV9 3 TRDV2 3 LCK 2 IL32 5 CD247 2 KLRB1 2"
        " KLRC1 0.8 KLRD1 1.5",
        "nk": "NKG7 12 GNLY 14 KLRD1 4 KLRF1 3 KLRC1 1.5 KLRB1 3 NCAM1 1 FCGR3A 4 PRF1 6 GZMB 6 GZMA 4 TYROBP 5"
        " FCER1G 3 CD7 3 CD247 3 CTSW 4 CST7 5 CCL5 5 XCL1 1 XCL2 1.5 SPON2 2 FGFBP2 3 CD160 1 NCR1 1 NCR3 0.8"
        " IL2RB 2 EOMES 0.8 TBX21 1 SH2D1B 1 KIR2DL1 0.4 KIR2DL3 0.5 TXK 0.6 CMC1 1.5 IL18RAP 0.6 KLRC2 0.4 KLRK1 1 KIR2DL4 0.3",
        "b": "MS4A1 5 CD79A 8 CD79B 6 CD19 1.5 CD22 1.5 BANK1 3 PAX5 1 BLK 1.5 RALGPS2 2 CD37 4 HLA-DRA 10"
        " HLA-DRB1 6 CD74 25 HLA-DPA1 4 HLA-DPB1 5 HLA-DQA1 3 HLA-DQB1 3 SPIB 1 LINC00926 1.5 FCRLA 1 CD72 1 CR2 0.6"
        " TNFRSF13C 2 BLNK 1 EBF1 1 FCRL1 1 P2RX5 0.8 ADAM28 0.8",
        "plasma": "JCHAIN 16 XBP1 14 MZB1 12 PRDM1 4 TNFRSF17 4 CD38 6 CD27 4 IRF4 4 SSR4 9 DERL3 5 FKBP11 5 SEC11C 4"
        " POU2AF1 3 TXNDC5 4 PIM2 3 CD79A 4 TNFRSF13B 0.5 SPCS2 3 HERPUD1 4 CD9 0.4 SDF2L1 5 PDIA4 2 TENT5C 0.8 CPNE5 0.6 ITM2C 5",
        "monocyte": "LYZ 28 CST3 14 TYROBP 10 FCER1G 7 CTSS 10 AIF1 7 FCN1 8 MNDA 4 CD68 3 CSF1R 1.5 SPI1 2 LST1 6"
        " HLA-DRA 6 HLA-DRB1 4 CD74 12 PSAP 4 CYBB 2 ITGAM 0.8 CD33 0.8 MS4A6A 2 TYMP 3 SERPINA1 3 CFD 3 LGALS2 2 GRN 4 CTSB 3 CTSD 2 CSTA 4 CLEC7A 1.5"
        " CFP 2 HCK 1 FTL 20 SAT1 8 APLP2 1",
        # Types of T cells.
        "cd4": "CD4 0.6 CD40LG 0.8 MAL 1 TNFRSF4 0.6 ICOS 0.8 CD28 0.5 LTB 3 ITGB1 1 TIMP1 1 TNFRSF25 0.8",
        "cd8": "CD8A 3 CD8B 2.5 CRTAM 0.6 LINC02446 1.2 CTSW 1.5 CD8B2 0.3",
        "treg": "FOXP3 2.5 IL2RA 3 CTLA4 3 IKZF2 2 TIGIT 2 RTKN2 1.5 TNFRSF18 1.5 BATF 1.5 TNFRSF4 1",
        # States of T cells.
        "naive": "CCR7 3.5 SELL 3.5 TCF7 4 LEF1 3.5 IL7R 3 NOSIP 2 ACTN1 1 TXK 0.4 BACH2 1.5 PRKCQ-AS1 1 LDHB 3 KLF2 1.5"
        " LRRN3 0.7 NELL2 1 RCAN3 1 TRABD2A 0.5 ADTRP 0.4 FHIT 0.7 TSHZ2 0.5",
        "central_memory": "CCR7 1.5 SELL 1.8 TCF7 2 LEF1 0.8 IL7R 4.5 CD27 2 GPR183 2.5 S100A4 4 AQP3 1.2 ANXA1 2"
        " CD44 2 LDHB 2 TSHZ2 0.4 INPP4B 0.8 CCR4 0.5",
        "effector_memory": "GZMK 5 GZMA 4 CCL5 8 CXCR3 1.5 KLRB1 1.5 S100A4 5 EOMES 1 CST7 4 NKG7 3 ANXA1 3 CCR5 0.8"
        " DUSP2 3 CD44 2 CCR6 0.5 IL7R 1",
        "cytotoxic": "GZMB 6 PRF1 5 NKG7 11 GNLY 9 GZMH 6 FGFBP2 4 CX3CR1 1.5 KLRG1 2.5 FCGR3A 2 CCL5 10 CST7 5 GZMA 4"
        " TBX21 1.2 ADGRG1 1.5 ZEB2 1.5 PLEK 1.5 KLRD1 1.5 EFHD2 1.5 CCL4 3 S1PR5 1 ZNF683 0.5 KLRC2 0.3",
        "exhausted": "PDCD1 2.5 LAG3 3 HAVCR2 2.5 TIGIT 3 CTLA4 2 TOX 3 CXCL13 1.5 ENTPD1 1.5 GZMK 3 LAYN 0.8 CCL5 4"
        " NKG7 3 CST7 3 TNFRSF9 1 BATF 1.5 CD27 1.5 CD200 0.5 TOX2 0.8",
        "proliferating": "MKI67 3 TOP2A 3 STMN1 9 TUBB 5 TUBA1B 8 HMGB2 5 HMGN2 6 TYMS 3 PCNA 3 CDK1 2 NUSAP1 2.5"
        " BIRC5 2 ZWINT 2 RRM2 2.5 KIF11 1 CENPF 2 UBE2C 2 TK1 2 PCLAF 3 JPT1 2 CENPU 1 PIMREG 0.6",
        # Phases of the cell cycle, beside what all dividing cells have (genes of Tirosh 2016).
        "S": "MCM5 2 MCM2 1.5 MCM4 1.5 MCM6 1.5 MCM3 1.5 PCNA 3 TYMS 3 FEN1 2 RRM1 1.5 RRM2 2 UNG 1 GINS2 1.5 CDCA7 1"
        " DTL 1 UHRF1 1.5 HELLS 1.5 RFC2 1 GMNN 1.5 CLSPN 1.2 CDC6 1 CDC45 1 SLBP 1.5 TIPIN 1 WDR76 1 NASP 2 RAD51AP1 1"
        " POLD3 0.8 MSH2 0.8 ATAD2 1.2 RAD51 0.8 USP1 1 UBR7 0.8 CCNE2 0.8 EXO1 0.6 BLM 0.6 CASP8AP2 0.5 CHAF1B 0.6"
        " BRIP1 0.6 E2F8 0.5 DSCC1 0.5 PRIM1 0.8 POLA1 0.6 MLF1IP 0.3 RPA2 1",
        "G2M": "HMGB2 4 CDK1 2.5 NUSAP1 3 UBE2C 4 BIRC5 3 TPX2 2.5 TOP2A 4 NDC80 1.5 CKS2 3 NUF2 1.5 CKS1B 2 MKI67 3"
        " TMPO 2 CENPF 3 TACC3 1.2 SMC4 2.5 CCNB2 2.5 CKAP2L 1 CKAP2 1.5 AURKB 2 BUB1 1.5 KIF11 1.5 ANP32E 2 TUBB4B 3"
        " GTSE1 1 KIF20B 1 HJURP 1 CDCA3 1.5 CDC20 2 TTK 1 CDC25C 0.7 KIF2C 1 RANGAP1 1 NCAPD2 1 DLGAP5 1.2 CDCA2 0.8"
        " CDCA8 1.5 ECT2 1 KIF23 1 HMMR 1.5 AURKA 1 PSRC1 0.8 ANLN 1 LBR 1 CKAP5 0.8 CENPE 1.2 CTCF 0.5 NEK2 0.8"
        " G2E3 0.8 GAS2L3 0.5 CBX5 1 CENPA 1.5",
        # Types of B and plasma cells, without immunoglobulins.
        "transitional_b": "TCL1A 8 CD38 2.5 MME 1.2 CD24 3.5 SOX4 2.5 CD9 2 VPREB3 3 NEIL1 1.5 PLD4 1.5 IGLL5 1.5"
        " RAG1 0.2",
        "naive_b": "TCL1A 3.5 FCER2 2 IL4R 2.5 BACH2 2 YBX3 2 CD200 1 FCMR 1.5 PLPP5 1 CXCR5 1",
        "non_switched_memory_b": "CD27 3 TNFRSF13B 2.5 CD1C 2 AIM2 1.2 LINC01857 1 CD24 2 MYO1C 0.8 CR2 0.8",
        "switched_memory_b": "CD27 3 TNFRSF13B 2.5 AIM2 1.8 COCH 2 CRIP1 5 S100A10 2 CLECL1 1 SSPN 1 CD80 0.6 CD24 1.5"
        " CD82 1.5 FCRL2 1",
        "double_negative_b": "ITGAX 2.5 TBX21 2 FCRL5 2.5 FCRL3 2 ZEB2 2.5 FGR 1.5 CRIP1 3 CD86 0.8 TNFRSF1B 2 LGALS1 3"
        " EMP3 3 ITGB2 2",
        "plasmablast": "MKI67 2.5 TYMS 2.5 TOP2A 2 STMN1 7 HLA-DRA 6 CD74 14 CD19 1.5 CD79B 2 HMGB2 3 TUBA1B 5 PCNA 2"
        " HLA-DRB1 3 HLA-DPA1 2",
        "plasma_cell": "SDC1 4 CD74 2 CAV1 0.8 SLAMF7 3 CCR10 0.8 IGF1 0.3 MYDGF 2 PRDX4 3 TNFRSF17 2",
        # Myeloid and other cells.
        "cd14_monocyte": "CD14 6 S100A8 30 S100A9 30 S100A12 8 VCAN 6 CSF3R 3 CCR2 0.8 CLEC4E 1 CD36 2 SELL 1",
        "cd16_monocyte": "FCGR3A 10 MS4A7 6 LST1 8 CDKN1C 3.5 RHOC 4 IFITM3 5 CX3CR1 2 TCF7L2 1.5 LILRB2 2 SIGLEC10 1.5"
        " HES4 1.5 VMO1 1 CKB 1 HMOX1 2 COTL1 4 SAT1 6",
        "macrophage": "C1QA 8 C1QB 8 C1QC 6 CD163 3 APOE 8 MRC1 3 MARCO 1.5 MSR1 2 CD14 4 GPNMB 1 TREM2 1.5 SLC40A1 1"
        " MS4A4A 2 FABP5 2 APOC1 6 LGMN 2 VSIG4 1.5 SELENOP 2 FOLR2 1 CTSB 6 CTSD 5 FTL 30 SPP1 0.5",
        "conventional_dendritic": "FCER1A 5 CD1C 5 CLEC10A 4 HLA-DRA 25 HLA-DRB1 14 HLA-DQA1 10 HLA-DQB1 8 HLA-DPB1 14"
        " HLA-DPA1 12 CD74 50 CST3 16 LYZ 14 FCGR2B 1 ENHO 1 FLT3 1.5 AIF1 4 TYROBP 3 FCER1G 3 CD1E 0.6 NDRG2 0.6"
        " PKIB 1 ITGAX 1.5 GSN 2 CPVL 2 CLNK 0.4 CADM1 0.4 BATF3 0.6 S100B 0.5 PLD4 2",
        "plasmacytoid_dendritic": "LILRA4 6 CLEC4C 3 IL3RA 4 IRF7 8 TCF4 6 IRF8 6 GZMB 5 JCHAIN 4 SERPINF1 4 ITM2C 5"
        " PLD4 5 TCL1A 3 SPIB 2 UGCG 3 HLA-DRA 8 CD74 20 LAMP5 1 SCT 1 PTPRS 1 SMPD3 1 TSPAN13 2 DERL3 1.5 NRP1 1"
        " HLA-DPA1 3 PPP1R14B 3 CCDC50 4 C12orf75 4 SEC61B 3 LILRB4 2 APP 2 DNASE1L3 0.8 LRRC26 0.7 PTCRA 0.7"
        " MZB1 3",
        "progenitor": "CD34 5 SPINK2 5 KIT 2 SOX4 6 STMN1 6 PRSS57 4 CYTL1 2 AVP 3 CDK6 2 CRHBP 1 EGFL7 2 SMIM24 2"
        " MLLT3 1 GATA2 1.5 HOPX 1 NPR3 0.5 MEIS1 0.8 HLA-DRA 4 CD74 8 BEX3 2 NUCB2 2 SNHG7 2 KIAA0087 1.5 ERG 0.7"
        " HLF 0.8 MSRB3 0.6 ANKRD28 1 CPA3 0.5",
        "platelet": "PPBP 40 PF4 30 GNG11 9 TUBB1 8 GP9 6 SPARC 8 CAVIN2 7 ITGA2B 3 GP1BB 4 NRGN 8 TREML1 2 CLU 4"
        " CLEC1B 1 MPIG6B 1 RGS18 3 TMEM40 1 MYL9 4 ACRBP 2 CMTM5 1 TSC22D1 4 HIST1H2AC 6 MPP1 3 F13A1 2 PTCRA 1 TUBA4A 3",
        "erythroid": "HBB 420 HBA1 150 HBA2 200 HBD 12 ALAS2 6 AHSP 8 CA1 6 SLC25A37 4 HBM 4 GYPA 1.5 GYPB 1.5 SNCA 2"
        " SLC4A1 1.5 BLVRB 2 SELENBP1 1.5 DMTN 1 HEMGN 1.5 KLF1 1.5 GATA1 1 FECH 1.5 GYPC 4",
    }.items()
}
"""Programme -> UMIs of its genes in a usual cell."""

OF_TYPE: dict[str, tuple[str, ...]] = {
    "cd4_t": ("t", "cd4"),
    "cd8_t": ("t", "cd8"),
    "treg": ("t", "cd4", "treg"),
    "gamma_delta_t": ("gd",),
    "double_negative_t": ("t",),
    "nk": ("nk",),
    "transitional_b": ("b", "transitional_b"),
    "naive_b": ("b", "naive_b"),
    "non_switched_memory_b": ("b", "non_switched_memory_b"),
    "switched_memory_b": ("b", "switched_memory_b"),
    "double_negative_b": ("b", "double_negative_b"),
    "plasmablast": ("plasma", "plasmablast"),
    "plasma_cell": ("plasma", "plasma_cell"),
    "cd14_monocyte": ("monocyte", "cd14_monocyte"),
    "cd16_monocyte": ("monocyte", "cd16_monocyte"),
    "macrophage": ("monocyte", "macrophage"),
    "conventional_dendritic": ("conventional_dendritic",),
    "plasmacytoid_dendritic": ("plasmacytoid_dendritic",),
    "progenitor": ("progenitor",),
    "platelet": ("platelet",),
    "erythroid": ("erythroid",),
}
"""Type -> its programmes; T cells have those of their state and phase besides."""
SIZES = {
    "plasmablast": 2.2,
    "plasma_cell": 2.0,
    "cd14_monocyte": 1.4,
    "cd16_monocyte": 1.3,
    "macrophage": 1.6,
    "conventional_dendritic": 1.6,
    "plasmacytoid_dendritic": 1.4,
    "platelet": 0.6,
}
"""UMIs of a type as a multiple of a usual cell's; 1 where none is named."""
PROLIFERATING_SIZE = 1.5

ISOTYPES = ("IGHM", "IGHD", "IGHG1", "IGHG2", "IGHG3", "IGHA1", "IGHA2")
HEAVY = {
    "transitional_b": 14.0,
    "naive_b": 10.0,
    "non_switched_memory_b": 14.0,
    "switched_memory_b": 10.0,
    "double_negative_b": 10.0,
    "plasmablast": 160.0,
    "plasma_cell": 280.0,
}
"""UMIs of the heavy chain's constant gene; light chains have 1.4 times as many."""
LIGHT = 1.4
WITH_IGD = {"transitional_b": 5.0, "naive_b": 7.0, "non_switched_memory_b": 2.5}
"""UMIs of IGHD in cells that have IGHM as well."""

MITOCHONDRIAL = {
    "MT-CO1": 5,
    "MT-CO2": 5,
    "MT-CO3": 5,
    "MT-ATP6": 4,
    "MT-ND4": 4,
    "MT-CYB": 3,
    "MT-ND3": 3,
    "MT-ND1": 2,
    "MT-ND2": 2,
    "MT-ND5": 1,
    "MT-ND4L": 1,
    "MT-ATP8": 0.5,
    "MT-ND6": 0.3,
}
RIBOSOMAL = tuple(
    [f"RPL{i}" for i in range(3, 40) if i not in {16, 20, 25, 33}]
    + [f"RPS{i}" for i in range(2, 30) if i not in {22, 1}]
)
_OTHERS = (
    "ACTB B2M MALAT1 GAPDH CD8A CD4 TNFRSF9 CSF2RA IGKC IGLC1 IGLC2 IGLC3 IGLC7 IGHG4 IGHE TNFRSF13C IL6 IFNG TNF IL2"
    " CD69 FAS CD44 ITGAE NR4A1 NEIL1 CLEC9A XCR1 AXL SIGLEC6 LILRB1 CD99 EPCAM PTPRC"
)
OTHERS = tuple(_OTHERS.split())
"""Genes that stand in the matrix beside those of the programmes."""
HOUSEKEEPING = {
    "MALAT1": 40.0,
    "B2M": 25.0,
    "ACTB": 14.0,
    "GAPDH": 6.0,
    "FTL": 8.0,
    "BTG1": 4.0,
    "SAT1": 3.0,
    "CXCR4": 2.0,
    "PTPRC": 3.0,
}
"""UMIs in a usual cell of every type."""
CAR_EFFECT_GENES = 12
"""Genes of the background that the CAR raises, and as many that it lowers."""
CAR_EFFECT = 2.5
"""How many fold."""


@dataclass(frozen=True, slots=True)
class Genes:
    """The genes of the made-up reference, and what is the same in all libraries.

    ``background`` (lineages, genes) are shares that sum to 1; ``car_factor`` (genes,) is what the CAR multiplies.
    """

    ids: tuple[str, ...]
    symbols: tuple[str, ...]
    index: Mapping[str, int]
    lineages: tuple[str, ...]
    background: Floats
    mitochondrial: Floats
    car_factor: Floats


@cache
def genes() -> Genes:
    """Return the genes: the same for every trial."""
    named: dict[str, None] = {}
    for names in (
        *PROGRAMMES.values(),
        MITOCHONDRIAL,
        RIBOSOMAL,
        ISOTYPES,
        OTHERS,
        HOUSEKEEPING,
    ):
        named |= dict.fromkeys(names)
    symbols = (*named, *(f"MADEUP{i:04d}" for i in range(1, BACKGROUND + 1)))
    index = {symbol: i for i, symbol in enumerate(symbols)}
    rng = np.random.default_rng(7)
    plain = np.zeros(len(symbols))
    plain[-BACKGROUND:] = rng.lognormal(0.0, 1.1, BACKGROUND)
    lineages = tuple(dict.fromkeys(parts[0] for parts in OF_TYPE.values()))
    background = np.tile(plain, (len(lineages), 1))
    for row in background:
        chosen = len(symbols) - BACKGROUND + rng.choice(BACKGROUND, LINEAGE_GENES, replace=False)
        row[chosen] *= np.exp(LINEAGE_SPREAD * rng.standard_normal(LINEAGE_GENES))
    background *= (1 - RIBOSOMAL_SHARE) / background.sum(axis=1, keepdims=True)
    ribosomal = rng.lognormal(0.0, 0.5, len(RIBOSOMAL))
    background[:, [index[s] for s in RIBOSOMAL]] = RIBOSOMAL_SHARE * ribosomal / ribosomal.sum()
    mitochondrial = vector(MITOCHONDRIAL.items(), index)
    # Genes in the middle of the scale: those that a pseudobulk of some dozen cells can tell.
    middle = len(symbols) - BACKGROUND + np.argsort(plain[-BACKGROUND:])[-300:-100]
    chosen = rng.permutation(middle)[: 2 * CAR_EFFECT_GENES]
    factor = np.ones(len(symbols))
    factor[chosen[:CAR_EFFECT_GENES]] = CAR_EFFECT
    factor[chosen[CAR_EFFECT_GENES:]] = 1 / CAR_EFFECT
    return Genes(
        ids=tuple(f"DEMOG{i:08d}" for i in range(1, len(symbols) + 1)),
        symbols=symbols,
        index=index,
        lineages=lineages,
        background=background,
        mitochondrial=mitochondrial / mitochondrial.sum(),
        car_factor=factor,
    )


def vector(levels: Iterable[tuple[str, float]], index: Mapping[str, int]) -> Floats:
    """Return the levels as a vector over all genes; a gene that is named twice has the sum."""
    out = np.zeros(len(index))
    for symbol, level in levels:
        out[index[symbol]] += level
    return out


@cache
def programme(names: tuple[str, ...]) -> Floats:
    """Return the UMIs of all genes that these programmes give a usual cell together."""
    index = genes().index
    return sum((vector(PROGRAMMES[n].items(), index) for n in names), np.zeros(len(index)))
