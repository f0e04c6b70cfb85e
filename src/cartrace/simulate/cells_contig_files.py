"""Contigs in the formats that laboratories have: Cell Ranger's csv and json, and AIRR rearrangements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cartrace.simulate.cells_files import csv_bytes, packed
from cartrace.simulate.cells_repertoire import CONTIG_COLUMNS, Contig, contig_rows

AIRR_COLUMNS = (
    "cell_id",
    "sequence_id",
    "sequence",
    "rev_comp",
    "productive",
    "locus",
    "v_call",
    "d_call",
    "j_call",
    "c_call",
    "sequence_alignment",
    "germline_alignment",
    "junction",
    "junction_aa",
    "v_cigar",
    "d_cigar",
    "j_cigar",
    "v_identity",
    "consensus_count",
    "duplicate_count",
)
ALLELE = "*01"


def contig_bytes(contigs: Sequence[Contig], name: str) -> bytes:
    """Write contigs in the format that the name of the file tells: ``.csv``, ``.json`` or ``.tsv.gz`` (AIRR)."""
    if name.endswith(".json"):
        return ("[" + ",\n".join(json.dumps(_record(c)) for c in contigs) + "]\n").encode()
    if name.endswith(".tsv.gz"):
        return packed(csv_bytes(AIRR_COLUMNS, map(_airr, contigs), "\t"))
    return csv_bytes(CONTIG_COLUMNS, contig_rows(contigs))


def _airr(contig: Contig) -> dict[str, object]:
    """Return one AIRR rearrangement; of the sequence only the junction is there."""
    chain = contig.chain
    return {
        "cell_id": contig.barcode,
        "sequence_id": contig.name,
        "sequence": chain.cdr3_nt,
        "rev_comp": "F",
        "productive": "T" if contig.productive else "F",
        "locus": chain.chain,
        "v_call": chain.v_gene + ALLELE,
        "d_call": chain.d_gene + ALLELE if chain.d_gene else "",
        "j_call": chain.j_gene + ALLELE,
        "c_call": contig.c_gene,
        "junction": chain.cdr3_nt if contig.productive else "",
        "junction_aa": chain.cdr3 if contig.productive else "",
        "v_identity": f"{chain.v_identity:.4f}",
        "consensus_count": contig.reads,
        "duplicate_count": contig.umis,
    }


def _record(contig: Contig) -> dict[str, Any]:
    """Return one member of ``all_contig_annotations.json``; of the sequence only the CDR3 is there."""
    chain, length = contig.chain, len(contig.chain.cdr3_nt)
    regions = {
        "L-REGION+V-REGION": chain.v_gene,
        "D-REGION": chain.d_gene,
        "J-REGION": chain.j_gene,
        "C-REGION": contig.c_gene,
    }
    annotations = [
        {
            "feature": {
                "chain": chain.chain,
                "display_name": gene,
                "feature_id": number,
                "gene_name": gene,
                "region_type": region,
            }
        }
        for number, (region, gene) in enumerate(regions.items(), 1)
        if gene
    ]
    return {
        "aa_sequence": chain.cdr3,
        "annotations": annotations,
        "barcode": contig.barcode,
        "cdr3": chain.cdr3 if contig.productive else None,
        "cdr3_seq": chain.cdr3_nt if contig.productive else None,
        "cdr3_start": 0 if contig.productive else None,
        "cdr3_stop": length if contig.productive else None,
        "clonotype": contig.clonotype or None,
        "contig_name": contig.name,
        "filtered": contig.is_cell,
        "frame": None,
        "high_confidence": True,
        "info": {},
        "is_cell": contig.is_cell,
        "primer_annotations": [],
        "productive": contig.productive,
        "quals": "F" * length,
        "read_count": contig.reads,
        "sequence": chain.cdr3_nt,
        "umi_count": contig.umis,
    }
