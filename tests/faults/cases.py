"""The battery: what is spoilt, which program reads it, and what it has to say."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults import spoilers as s
from tests.faults.sound import FILES


@dataclass(frozen=True)
class Case:
    """One bad input."""

    reader: str
    """Key of :data:`tests.faults.sound.FILES`, or sheet, config, mapping: what the plan reads."""
    kind: str
    file: str
    """What is spoilt, relative to the trial folder."""
    spoil: s.Spoil
    names: tuple[str, ...] = ()
    """What the message must hold besides the file."""
    names_file: bool = True

    @property
    def id(self) -> str:
        return f"{self.reader}-{self.file.rpartition('/')[2]}-{self.kind}".replace(" ", "_")


BLOOD = "mappings/blood_counts.yaml"
SHEETS = (
    "subjects products infusions samples files extractions tubes gate_review events observations libraries "
    "integration_sites"
)


def _each_sheet() -> list[Case]:
    kinds: list[tuple[str, s.Spoil, tuple[str, ...]]] = [
        ("empty", s.emptied, ("an empty file",)),
        ("a picture", s.png, ("bytes that are not UTF-8",)),
        ("utf-16", s.utf16, ("bytes that are not UTF-8",)),
        ("cut in the header", s.cut_header, ("row 1",)),
        ("duplicate header", s.header_twice, ("row 1", "the column twice")),
    ]
    return [
        Case("sheet", kind, f"sheets/{name}.tsv", spoil, names)
        for name in SHEETS.split()
        for kind, spoil, names in kinds
    ]


def _in_sheet(kind: str, sheet: str, column: str, value: str, *more: str, row: int = 2) -> Case:
    names = (f"row {row}, column '{column}'", *more)
    return Case("sheet", f"{kind} {column}", f"sheets/{sheet}.tsv", s.cell(row, column, value), names)


VALUES = [
    _in_sheet("NaN", "subjects", "age", "nan"),
    _in_sheet("inf", "subjects", "weight_kg", "inf"),
    _in_sheet("overflow", "infusions", "dose", "1e400"),
    _in_sheet("negative", "infusions", "dose", "-5"),
    _in_sheet("negative", "extractions", "elution_volume_ul", "-1"),
    _in_sheet("NaN", "extractions", "dna_ng_per_ul", "nan"),
    _in_sheet("inf", "tubes", "acquired_volume_ul", "inf"),
    _in_sheet("overflow", "observations", "value", "1e400"),
    _in_sheet("NaN", "observations", "day", "nan"),
    _in_sheet("negative", "events", "dose", "-15"),
    _in_sheet("negative", "libraries", "lymphocytes_per_ul", "-1"),
    _in_sheet("unit mix-up", "libraries", "lymphocytes_per_ul", "1.2"),
    _in_sheet("unit mix-up", "observations", "value", "98.6", "temperature"),
    _in_sheet("unit mix-up", "infusions", "dose", "1e20"),
    _in_sheet("unit mix-up", "tubes", "acquired_volume_ul", "0.05"),
    _in_sheet("unit mix-up", "subjects", "weight_kg", "70000"),
    _in_sheet("unknown word", "observations", "item", "<b>"),
    _in_sheet("unknown id", "observations", "subject_id", "NMO-999"),
    _in_sheet("Snakemake's sign", "files", "path", "{input}.csv", "Snakemake"),
    _in_sheet("Snakemake's sign", "files", "mapping", "mappings/<b>.yaml", "Snakemake"),
    _in_sheet("Snakemake's sign", "libraries", "counts", "cells/{x}.h5", "Snakemake"),
    _in_sheet("right to left", "files", "path", "a\u202evsc.csv", "a control character"),
    _in_sheet("invisible", "samples", "visit", "D\u200b10", "a control character"),
    _in_sheet("control character", "events", "label", "tocilizumab\x1b[2J", "a control character"),
    _in_sheet("long cell", "events", "label", "x" * 1001, "1001 characters"),
    _in_sheet("path out", "files", "plate_map", "../../map.tsv", "leads out", row=13),
    _in_sheet("date in an id", "samples", "sample_id", "2023-01-17"),
    _in_sheet("formula in an id", "subjects", "subject_id", '=HYPERLINK("x")'),
    _in_sheet("script in an id", "samples", "sample_id", "<script>alert(1)</script>"),
    _in_sheet("control character in an id", "samples", "sample_id", "S\x1b[31m1"),
    _in_sheet("shell in an id", "files", "file_id", "a;rm -rf $HOME"),
    _in_sheet("path out", "files", "path", "../../../etc/passwd", "leads out"),
    _in_sheet("absolute path", "files", "path", "/etc/passwd", "leads out"),
    _in_sheet("path out", "files", "mapping", "../mapping.yaml"),
    _in_sheet("control character in a path", "files", "path", "a\x07b.csv"),
    _in_sheet("path out", "libraries", "counts", "../../counts.h5", "leads out"),
    _in_sheet("path out", "integration_sites", "path", "../../sites.tsv", "leads out"),
    _in_sheet("short hash", "gate_review", "gates_sha256", "abc"),
    _in_sheet("script in a word", "gate_review", "verdict", "<img src=x onerror=alert(1)>"),
    _in_sheet("unknown word", "products", "vector", "=1+1"),
    _in_sheet("unknown id", "integration_sites", "sample_id", "../F101"),
    Case(
        "sheet",
        "identifying column",
        "sheets/subjects.tsv",
        s.replaced("cohort", "date_of_birth"),
        ("row 1", "identifying column"),
    ),
    Case("sheet", "absent", "sheets/samples.tsv", s.missing, ("no such file",)),
    Case("sheet", "a folder", "sheets/events.tsv", s.a_folder, ("can't be read",)),
    Case("sheet", "latin-1", "sheets/subjects.tsv", s.latin1, ("bytes that are not UTF-8",)),
    Case("sheet", "zero bytes", "sheets/subjects.tsv", s.zero_bytes, ("row 2",)),
    Case("sheet", "million columns", "sheets/subjects.tsv", s.wide, ("row 1",)),
    Case("sheet", "long cell", "sheets/samples.tsv", s.long_cell, ()),
    Case("sheet", "open quote", "sheets/samples.tsv", s.cell(3, "visit", '"D10'), ("row",)),
    Case("sheet", "link out", FILES["table_csv"], s.link_out, ("leads out", "sheets/files.tsv"), False),
    Case("sheet", "link to itself", FILES["table_csv"], s.link_to_itself, ("sheets/files.tsv",), False),
    Case("sheet", "link to itself", BLOOD, s.link_to_itself, ("sheets/files.tsv",), False),
    Case("sheet", "link out", BLOOD, s.link_out, ("sheets/files.tsv", "leads out"), False),
    Case("sheet", "absent", BLOOD, s.missing, ("sheets/files.tsv", "column 'mapping'")),
    Case("sheet", "link to itself", FILES["panel"], s.link_to_itself, ("sheets/files.tsv",), False),
    Case("sheet", "link out", FILES["matrix_h5"], s.link_out, ("leads out", "sheets/libraries.tsv"), False),
    Case("sheet", "absent", FILES["sites"], s.missing, ("sheets/integration_sites.tsv", "row 2"), False),
]

LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


def _yaml(reader: str, file: str) -> list[Case]:
    return [
        Case(reader, "a picture", file, s.png),
        Case(reader, "latin-1", file, s.latin1),
        Case(reader, "broken", file, s.written("a: [1, 2\nb: }\n")),
        Case(reader, "nested deep", file, s.written("[" * 2_000)),
        Case(reader, "an object", file, s.written("!!python/object/apply:os.system ['touch harmed']\n")),
        Case(reader, "aliases that multiply", file, s.written(LAUGHS)),
        Case(reader, "a list", file, s.written("[1, 2]\n")),
        Case(reader, "key twice", file, s.added("visits: []\nvisits: []\n"), ("twice",)),
    ]


PLANNED = [
    *_yaml("config", "config.yaml"),
    *_yaml("mapping", BLOOD),
    Case("config", "unknown key", "config.yaml", s.added("kinetcs: {}\n"), ("kinetics",)),
    Case(
        "config", "NaN", "config.yaml", s.added("plausibility: {neighbour_fold: .nan}\n"), ("neighbour_fold",)
    ),
    Case(
        "config", "inf", "config.yaml", s.added("plausibility: {neighbour_fold: .inf}\n"), ("neighbour_fold",)
    ),
    Case(
        "config",
        "negative",
        "config.yaml",
        s.added("plausibility: {neighbour_fold: -2}\n"),
        ("neighbour_fold",),
    ),
    Case(
        "config",
        "path out",
        "config.yaml",
        s.replaced("constructs/car.fasta", "../../x.fasta"),
        ("leads out",),
    ),
    Case(
        "config",
        "path out of data",
        "config.yaml",
        s.replaced("data_dir: data", "data_dir: ../.."),
        ("found no file",),
        False,
    ),
    Case(
        "config",
        "sheet path out",
        "config.yaml",
        s.replaced("sheets/tubes.tsv", "../tubes.tsv"),
        ("sheets.tubes",),
        False,
    ),
    *(
        Case(
            "config",
            kind,
            "config.yaml",
            s.added(f"plausibility: {{neighbour_fold: {value}}}\n"),
            ("neighbour_fold",),
        )
        for kind, value in [
            ("huge number", "1" + "0" * 400),
            ("huge hexadecimal", "0x" + "f" * 5_000),
            ("a word", "yes"),
        ]
    ),
    Case("config", "huge number as key", "config.yaml", s.added("1" + "0" * 5_000 + ": 1\n")),
    Case(
        "config", "a number as title", "config.yaml", s.added("report: 0x" + "f" * 5_000 + "\n"), ("report",)
    ),
    Case(
        "config",
        "absolute sheet",
        "config.yaml",
        s.replaced("sheets/tubes.tsv", "/etc/passwd"),
        ("sheets.tubes", "inside the trial folder"),
    ),
    Case(
        "config",
        "braces in data",
        "config.yaml",
        s.replaced("data_dir: data", "data_dir: 'd{x}'"),
        ("data_dir",),
    ),
    Case("mapping", "empty", BLOOD, s.emptied),
    Case("mapping", "no encoding of text", BLOOD, s.added("encoding: zlib\n"), ("encoding",)),
    Case("mapping", "unknown unit", BLOOD, s.replaced("1e9/L", "1e9/furlong"), ("unit",)),
    Case("mapping", "NaN", BLOOD, s.replaced("lloq: 0.1", "lloq: .nan"), ("lloq",)),
    Case("mapping", "negative", BLOOD, s.replaced("lloq: 0.1", "lloq: -1"), ("lloq",)),
    Case("mapping", "broken pattern", "mappings/serology.yaml", s.replaced("^(?P", "^((?P"), ("pattern",)),
    Case(
        "mapping", "PCR NaN", "mappings/car_qpcr_plate.yaml", s.replaced("lod: 10.0", "lod: .nan"), ("lod",)
    ),
    Case("mapping", "panel negative", FILES["panel"], s.replaced("value: 3000", "value: .inf"), ("value",)),
    Case(
        "mapping",
        "panel gate unknown",
        FILES["panel"],
        s.replaced("parent: singlets", "parent: single"),
        ("single",),
    ),
    Case("mapping", "panel empty", FILES["panel"], s.emptied),
    Case("mapping", "panel a picture", FILES["panel"], s.png),
]

_PLATE_KINDS: list[tuple[str, s.Spoil]] = [
    ("empty", s.emptied),
    ("a picture", s.png),
    ("a web page", s.web_page),
    ("cut in half", s.cut(0.5)),
    ("a workbook", s.workbook_under_its_name),
]
# What stands beside a laboratory's file: named by a sheet, a panel, an assay file or the configuration.
BESIDE: dict[str, list[tuple[str, s.Spoil]]] = {
    "plate_map": [
        ("utf-16", s.utf16),
        ("duplicate header", s.header_twice),
        ("cut in the header", s.cut_header),
        ("the well twice", s.replaced("A02", "A01")),
        ("million columns", s.wide),
    ],
    "amplitudes": [
        ("text", s.text_under_its_name),
        ("latin-1", s.latin1),
        ("cut in the header", s.cut_header),
        ("absent", s.missing),
    ],
    "curve": [
        ("latin-1", s.latin1),
        ("edited", s.replaced("slope: -3", "slope: -2")),
        ("NaN", s.replaced("r2: 0.99", "r2: .nan")),
        ("nested deep", s.written("[" * 2_000)),
        ("an object", s.written("!!python/object/apply:os.system ['touch harmed']\n")),
    ],
    "gates": [
        ("text", s.text_under_its_name),
        ("cut in half", s.cut(0.5)),
        ("utf-16 that is none", s.written('<?xml version="1.0" encoding="utf-16"?><a/>')),
        ("entities", s.written('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>')),
        ("nested deep", s.written("<a>" * 100_000)),
        ("a web page", s.web_page),
    ],
    "compensation": [
        ("cut in half", s.cut(0.5)),
        ("latin-1", s.latin1),
        ("duplicate header", s.header_twice),
        ("percent", s.written("B1-A,B2-A\n100,10\n0,100\n")),
        ("no number", s.written("B1-A,B2-A\n1,nan\n0,1\n")),
        ("not to be inverted", s.written("B1-A,B2-A\n1,1\n1,1\n")),
        ("million columns", s.wide),
    ],
    "dilutions": [
        ("utf-16", s.utf16),
        ("duplicate header", s.header_twice),
        ("cut in the header", s.cut_header),
        ("NaN", s.cell(2, "copies", "nan")),
        ("million columns", s.wide),
        ("negative", s.cell(2, "level", "-1")),
        ("overflow", s.cell(2, "copies", "1e400")),
        ("absent", s.missing),
    ],
    "blanks": [
        ("latin-1", s.latin1),
        ("inf", s.cell(2, "copies", "inf")),
        ("named a table of wells", s.written("PAR1" * 100)),
        ("absent", s.missing),
    ],
}

READ = [
    *(
        Case(reader, kind, FILES[reader], spoil)
        for reader in ("pcr", "elisa", "luminex", "elisa_xlsx")
        for kind, spoil in _PLATE_KINDS
    ),
    *(
        Case(reader, kind, FILES[reader], spoil)
        for reader in ("table_csv", "table_tsv", "table_xlsx")
        for kind, spoil in _PLATE_KINDS
        if kind != "cut in half" or reader == "table_xlsx"
    ),
    Case("table_tsv", "utf-16", FILES["table_tsv"], s.utf16, ("encoding",)),
    Case("table_tsv", "latin-1", FILES["table_tsv"], s.latin1, ("row 2", "encoding")),
    Case("table_tsv", "zero bytes", FILES["table_tsv"], s.zero_bytes, ("zero bytes",)),
    Case("table_tsv", "duplicate header", FILES["table_tsv"], s.header_twice, ("patient",)),
    Case("table_tsv", "cut in the header", FILES["table_tsv"], s.cut_header),
    Case("table_tsv", "million columns", FILES["table_tsv"], s.wide),
    Case("table_tsv", "open quote", FILES["table_tsv"], s.cell(3, "visit", '"D14'), ("row",)),
    Case(
        "table_xlsx",
        "bomb",
        FILES["table_xlsx"],
        s.zip_bomb("xl/worksheets/sheet1.xml", 120),
        ("unpacks to",),
    ),
    Case("table_xlsx", "lying bomb", FILES["table_xlsx"], s.lying_zip("xl/worksheets/sheet1.xml", 60)),
    Case("elisa_xlsx", "bomb", FILES["elisa_xlsx"], s.zip_bomb("xl/worksheets/sheet1.xml", 505)),
    *(
        Case(reader, kind, FILES[reader], spoil)
        for reader, kinds in BESIDE.items()
        for kind, spoil in [("empty", s.emptied), ("a picture", s.png), *kinds]
    ),
    *(
        Case(
            "index",
            kind,
            FILES["index"],
            spoil,
            (FILES["bam"], "an index that can't be read"),
            names_file=False,
        )
        for kind, spoil in [("empty", s.emptied), ("a picture", s.png), ("cut in half", s.cut(0.5))]
    ),
    Case(
        "compensation",
        "of other channels",
        FILES["compensation"],
        s.written("B8-A,B9-A\n1,0\n0,1\n"),
        (FILES["fcs"], "no channel 'B8-A'"),
        names_file=False,
    ),
    Case("pcr", "negative Cq", FILES["pcr"], s.replaced("27.", "-27.")),
    Case("elisa", "NaN", FILES["elisa"], s.replaced("2.3303", "NaN")),
    Case("elisa", "overflow", FILES["elisa"], s.replaced("2.3303", "1e400")),
    *(
        Case("fcs", kind, FILES["fcs"], spoil)
        for kind, spoil in [
            ("empty", s.emptied),
            ("a picture", s.png),
            ("cut in half", s.cut(0.5)),
            ("cut in the header", s.cut(0.0005)),
            ("text", s.text_under_its_name),
            ("absent", s.missing),
            ("gzip bomb", s.gzip_bomb(40)),
        ]
    ),
    *(
        Case("matrix_h5", kind, FILES["matrix_h5"], spoil)
        for kind, spoil in [
            ("empty", s.emptied),
            ("a picture", s.png),
            ("cut in half", s.cut(0.5)),
            ("text", s.text_under_its_name),
            ("absent", s.missing),
            ("a folder", s.a_folder),
        ]
    ),
    *(
        Case(
            "matrix_mtx",
            f"{kind} {name}",
            f"{FILES['matrix_mtx']}/{name}.gz",
            spoil,
            (FILES["matrix_mtx"],),
            False,
        )
        for name in ("matrix.mtx", "barcodes.tsv", "features.tsv")
        for kind, spoil in [("cut in half", s.cut(0.5)), ("a picture", s.png)]
    ),
    Case(
        "matrix_mtx",
        "gzip bomb",
        f"{FILES['matrix_mtx']}/matrix.mtx.gz",
        s.gzip_bomb(50),
        (FILES["matrix_mtx"],),
        False,
    ),
    Case(
        "matrix_mtx",
        "gzip bomb",
        f"{FILES['matrix_mtx']}/barcodes.tsv.gz",
        s.gzip_bomb(50),
        (FILES["matrix_mtx"],),
        False,
    ),
    *(
        Case("bam", kind, FILES["bam"], spoil)
        for kind, spoil in [
            ("empty", s.emptied),
            ("a picture", s.png),
            ("cut in half", s.cut(0.5)),
            ("text", s.text_under_its_name),
            ("absent", s.missing),
            ("gzip bomb", s.gzip_bomb(40)),
        ]
    ),
    *(
        Case("contigs", kind, FILES["contigs"], spoil)
        for kind, spoil in [
            ("a picture", s.png),
            ("utf-16", s.utf16),
            ("latin-1", s.latin1),
            ("duplicate header", s.header_twice),
            ("cut in the header", s.cut_header),
            ("packed and cut", s.packed_wrongly),
            ("gzip bomb", s.gzip_bomb(40)),
            ("million columns", s.wide),
            ("long cell", s.long_cell),
            ("negative", s.cell(2, "umis", "-3")),
            ("NaN", s.cell(2, "umis", "nan")),
            ("inf", s.cell(3, "reads", "inf")),
        ]
    ),
    *(
        Case("sites", kind, FILES["sites"], spoil)
        for kind, spoil in [
            ("empty", s.emptied),
            ("a picture", s.png),
            ("utf-16", s.utf16),
            ("latin-1", s.latin1),
            ("duplicate header", s.header_twice),
            ("cut in the header", s.cut_header),
            ("packed and cut", s.packed_wrongly),
            ("gzip bomb", s.gzip_bomb(40)),
            ("million columns", s.wide),
            ("long cell", s.long_cell),
            ("negative", s.cell(2, "estAbund", "-3")),
            ("NaN", s.cell(2, "estAbund", "nan")),
            ("overflow", s.cell(3, "start", "1e400")),
            ("formula", s.cell(3, "chrom", "=cmd|' /C calc'!A0")),
        ]
    ),
    *(
        Case("construct", kind, FILES["construct"], spoil)
        for kind, spoil in [
            ("empty", s.emptied),
            ("a picture", s.png),
            ("utf-16", s.utf16),
            ("text", s.text_under_its_name),
            ("two records", s.added(">b\nACGT\n")),
            ("protein", s.written(">a\nMALPVTALLLPLALLLHAARP\n")),
        ]
    ),
    *(
        Case("annotation", kind, FILES["annotation"], spoil)
        for kind, spoil in [
            ("empty", s.emptied),
            ("a picture", s.png),
            ("text", s.text_under_its_name),
            ("not a place", s.replaced("\t151\t1611", "\t151\tinf")),
        ]
    ),
]

CASES = [*_each_sheet(), *VALUES, *PLANNED, *READ]
