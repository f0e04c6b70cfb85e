"""Construct files as they are in the wild: every fault is found, and the shares of ambiguous reads come out.

Living-Drugs-Wiki (PROVENANCE.md of the folder): CARs and lentiviral vectors with hand-made annotations.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from tests.real.conftest import REPOSITORY, real_data

from cartrace.cells.ambiguity import map_ambiguity
from cartrace.cells.construct_checks import check_construct, compare_protein
from cartrace.cells.constructs import Construct, longest_orf, parse_fasta, read_construct
from cartrace.cells.endogenous import Transcript, read_transcripts
from cartrace.cells.settings import Reference
from cartrace.files import read_text

FOLDER = real_data() / "constructs"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the construct files are not beside the repository"),
]

AXI = ("CAR_constructs", "Axicel_HM852952", "Anno_Axicel")
TISA = ("CAR_constructs", "Tisacel_patentUS9499629B2", "Anno_Tisacel")
CILTA_WO = ("CAR_constructs", "Ciltacel_patentWO2022116086A1", "Anno_Ciltacel_Patent_WO2022116086A1")
CILTA_US = ("CAR_constructs", "Ciltacel_patentUS20230270786A1", "Anno_Ciltacel_Patent_WO2022116086A1")
CILTA_OEZ = ("CAR_constructs", "Ciltacel_Oezdemirli", "Anno_Ciltacel_Oezdemirli_and_Braun")
CILTA_BRAUN = ("CAR_constructs", "Cilta_Braun_et_al", "Anno_Ciltacel_Oezdemirli_and_Braun")
IDE = ("CAR_constructs", "Idecel_patentWO2021091978A1", "Anno_Idecel")
HU19 = ("CAR_constructs", "Hu19-CD28Z_MN698642.1", "Hu19-CD28Z_MN698642.1")
HU19_COPY = ("CAR_constructs", "Hu19-CD28Z_MN698642.1", "Anno_Idecel_copy")
V_CILTA = ("Vector_systems", "lentiviral_vector_ciltacel_oezdemirli", "lentiviral_vector_ciltacel_oezdemirli")
V_IDE = ("Vector_systems", "lentiviral_vector_idecel", "lentiviral_vector_idecel")
V_TISA = ("Vector_systems", "lentiviral_vector_tisacel", "lentiviral_vector_tisacel")
Files = tuple[str, str, str]


def path_of(kind: str, name: str) -> Path:
    return FOLDER / kind / "Sequences" / f"{name}.fasta"


@cache
def read(files: Files) -> Construct:
    kind, sequence, annotation = files
    return read_construct(
        sequence,
        read_text(path_of(kind, sequence)),
        read_text(FOLDER / kind / "Annotations" / f"{annotation}.gtf"),
        fasta_file=sequence,
        annotation_file=annotation,
    )


def told(files: Files) -> dict[str, str]:
    out: dict[str, str] = {}
    for row in check_construct(read(files)):
        check = str(row["check"])
        out[check] = f"{out[check]} | {row['message']}" if check in out else str(row["message"])
    return out


ENDS = {"construct", "construct_upstream", "construct_downstream"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            AXI,
            {
                "construct_annotation": "3, 1, 2, 1",
                "construct_names": "'axicel'",
                "construct_overlap": "CSF2RA and anti-CD19 at 67-68 (2 bp)",
                "construct_frame": "CD28 810-1131 (2 bases into a codon)",
            },
        ),
        (
            TISA,
            {
                "construct_names": "'tisacel'",
                "construct_length": "1459 bases, 1 more than whole codons",
                "construct_end": "no stop codon",
                "construct_gap": "104 coding bases belong to no domain: 893-996",
                "construct_known_domain": "transmembrane domain of CD8A is at 925-996",
            },
        ),
        *(
            (
                files,
                {
                    "construct_names": "'ciltacel'",
                    "construct_frame": "CD8HTMD 789-892",
                    "construct_overlap": "anti-BCMA-Vl and CD8HTMD at 789 (1 bp)",
                    "construct_gap": "104 coding bases belong to no domain: 893-996",
                    "construct_known_domain": "hinge of CD8A is at 790-924, but annotated as CD8HTMD 789-892",
                },
            )
            for files in (CILTA_WO, CILTA_US)
        ),
        *((files, {"construct_names": "'ciltacel'"}) for files in (CILTA_OEZ, CILTA_BRAUN)),
        (
            IDE,
            {
                "construct_end": "2 stop codons follow each other",
                "construct_gap": "198 coding bases belong to no domain: 79-114, 346-393, 451-498, 745-810",
            },
        ),
        (
            HU19,
            {
                "construct_names": "'Hu19CD828Z'",
                "construct_frame": "Linker 338-441 (1 base into a codon)",
                "construct_parts": "hinge, signalling",
                "construct_gap": "331 coding bases belong to no domain: 64-114, 337, 442-489, 736-966",
                "construct_known_domain": "CD3 zeta is at 1183-1323, inside CD8a Transmembran domain 967-1509",
            },
        ),
        (
            # The annotation of ide-cel, renamed, its last exon drawn out to the end.
            HU19_COPY,
            {
                "construct_gap": "79-114, 346-393, 451-498, 745-810",
                "construct_known_domain": "CD137SD 1015-1140 does not hold the protein of 4-1BB, nor does the rest",
            },
        ),
    ],
    ids=lambda v: v[2] + ":" + v[1] if isinstance(v, tuple) else "",
)
def test_every_fault_of_a_car_file_is_found(files: Files, expected: dict[str, str]) -> None:
    found = told(files)
    assert set(found) == ENDS | set(expected)
    for check, said in expected.items():
        assert said in found[check]


def test_the_vector_of_ide_cel_carries_the_coordinates_of_cilta_cel() -> None:
    assert read(V_IDE).coding == read(V_CILTA).coding == (3178, 4644)
    found = told(V_IDE)
    assert "stop codons inside the coding sequence" in found["construct_inner_stop"]
    assert "begins with TGC" in found["construct_start"]
    hint = {r.get("suggestion") for r in check_construct(read(V_IDE)) if r["check"] == "construct_start"}
    assert hint == {"the longest open reading frame is 3125-4606"}
    assert "'truncHIV-1_3_LTR', but gene_name 'HIVL-1_5_LTR'" in found["construct_annotation"]
    assert "CMV_immearly_promoter 6625-781" in found["construct_backwards"]
    assert "construct_inner_stop" not in told(V_CILTA)


@pytest.mark.parametrize(
    ("vector", "car"), [(V_CILTA, CILTA_OEZ), (V_IDE, IDE), (V_TISA, TISA)], ids=["cilta", "ide", "tisa"]
)
def test_the_car_lies_in_its_vector_where_the_longest_frame_is(vector: Files, car: Files) -> None:
    whole = read(vector).sequence
    at = whole.find(read(car).sequence)
    orf = longest_orf(whole)
    assert orf is not None
    assert at + 1 == orf[0]


def test_the_frame_of_tisa_cel_ends_whole_in_its_vector() -> None:
    # 1,459 bp of 1,461: the last two letters of the stop codon were lost from the CAR's own file.
    assert read(V_TISA).coding == (6391, 7851)
    assert {"construct_length", "construct_inner_stop", "construct_end"}.isdisjoint(told(V_TISA))


@pytest.mark.parametrize(
    "files", [AXI, TISA, CILTA_WO, CILTA_US, CILTA_OEZ, CILTA_BRAUN, IDE, HU19], ids=lambda f: f[1]
)
def test_translations_are_those_of_the_folder(files: Files) -> None:
    protein = parse_fasta(read_text(path_of(files[0], f"{files[1]}_protein_translated")), "p")[0][1]
    assert [r["verdict"] for r in compare_protein(read(files), protein)] == ["pass"]


def test_proteins_of_the_patents_that_are_others_are_told() -> None:
    def compared(files: Files) -> str:
        protein = parse_fasta(read_text(path_of(files[0], f"{files[1]}_protein")), "p")[0][1]
        return str(compare_protein(read(files), protein)[0]["message"])

    # Two amino acids (TS) before the hinge; and the file of tisa-cel holds a piece of cilta-cel.
    assert "486 amino acids against 488; they part at amino acid 265" in compared(CILTA_WO)
    assert "486 amino acids against 488; they part at amino acid 265" in compared(CILTA_US)
    assert "486 amino acids against 220; they part at amino acid 11" in compared(TISA)
    assert "translates into" in compared(IDE)
    assert "translates into" in compared(HU19)


@cache
def endogenous() -> tuple[Transcript, ...]:
    return tuple(read_transcripts(REPOSITORY / "resources" / "cells" / "endogenous.fasta"))


@pytest.mark.parametrize(
    ("files", "share", "identical", "with_cd8a"),
    [
        (AXI, 0.36, 0.28, 0.36),
        (TISA, 0.23, 0.19, 0.31),
        (CILTA_WO, 0.24, 0.22, 0.31),
        (CILTA_US, 0.24, 0.22, 0.31),
        (CILTA_OEZ, 0.24, 0.22, 0.31),
        (CILTA_BRAUN, 0.24, 0.22, 0.31),
        (IDE, 0.00, 0.00, 0.00),
        (HU19, 0.00, 0.00, 0.00),
    ],
    ids=lambda v: v[1] if isinstance(v, tuple) else "",
)
def test_shares_of_ambiguous_reads_are_those_measured_before(
    files: Files, share: float, identical: float, with_cd8a: float
) -> None:
    # They were measured with a CD8A transcript without its transmembrane exon; the main one raises them.
    without = [t for t in endogenous() if t.name != "CD8A-full"]
    mapped = map_ambiguity(read(files), without, Reference())
    assert mapped.share == pytest.approx(share, abs=0.006)
    assert mapped.identical_share == pytest.approx(identical, abs=0.006)
    assert map_ambiguity(read(files), endogenous(), Reference()).share == pytest.approx(with_cd8a, abs=0.006)


def test_the_genes_behind_the_shares_are_those_measured_before() -> None:
    without = [t for t in endogenous() if t.name != "CD8A-full"]

    def starts(files: Files) -> dict[str, int]:
        mapped = map_ambiguity(read(files), without, Reference())
        genes = [g for g, c in zip(mapped.gene, mapped.classes, strict=True) if c]
        return {g: genes.count(g) for g in set(genes)}

    assert starts(AXI) == {"CD28": 241, "CD247": 254}
    assert starts(TISA) == {"CD247": 254, "TNFRSF9": 45, "CD8A": 22}
