"""The plan of single-cell libraries: which files belong to each, and what its jobs need to know.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.intake.paths import RESULTS, Hashes, Tell, digest, path_in, teller, undated
from cartrace.intake.sheets import FILE_NAME, names_files, quote
from cartrace.problems import Problem, did_you_mean

if TYPE_CHECKING:
    from cartrace import config as configuration
    from cartrace.cells.settings import Construct
    from cartrace.intake.libraries import Library
    from cartrace.intake.sheets import Sheets

_READING = (
    "library_id",
    "chemistry",
    "sort",
    "counts",
    "raw_counts",
    "metrics",
    "tcr_contigs",
    "bcr_contigs",
    "car_features",
    "tag_features",
    "sha256",
)
_MATRIX_FILES = (".mtx", ".mtx.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
_MOST_FILES = 20
"""Files of a matrix folder; a larger one is no matrix folder."""
EMPTY_CONTIGS = 1000
"""Bytes below which a file of contigs, or of sites, can be a header alone."""


@dataclass(frozen=True, slots=True)
class ConstructPlan:
    """One registered construct; paths are relative to the trial folder."""

    name: str
    sequence: str
    annotation: str
    sha256: str


@dataclass(frozen=True, slots=True)
class LibraryPlan:
    """One library; paths are relative to the trial folder, empty where there is none."""

    library_id: str
    sample_id: str
    chemistry: str
    sort: str
    counts: str
    raw_counts: str
    metrics: str
    tcr_contigs: str
    bcr_contigs: str
    car_features: tuple[str, ...]
    tag_features: tuple[str, ...]
    files: tuple[str, ...]
    """Files that reading the library takes, in order."""
    sha256: str
    """Digest of the content of ``files``."""
    contigs_sha256: str
    """Digest of the content of the contig files alone; empty without them."""
    bam: str
    bam_index: str
    bam_sha256: str
    """Digest of the reads and their index; empty without reads."""
    fastq: tuple[str, ...]
    fastq_sha256: str
    constructs: tuple[str, ...]
    """Registered constructs that the subject's product carries."""
    pre_infusion: bool
    before: tuple[str, ...]
    """Libraries of the same subject from before its first infusion; none of a library that is one itself."""
    flow_percent: float | None

    @property
    def has_cells(self) -> bool:
        """Whether there are cells to count; of a library without, only the contigs are read."""
        return bool(self.counts or self.fastq)

    @property
    def reading(self) -> str:
        """What reading the library needs, as JSON."""
        return json.dumps({name: getattr(self, name) for name in _READING})


def plan_constructs(
    folder: Path, config: configuration.Config, config_file: str, hashes: Hashes, problems: list[Problem]
) -> dict[str, ConstructPlan]:
    """Find the files of each registered construct; every problem is added to ``problems``."""
    plans = {}
    for name, construct in config.cells.constructs.items():
        if not names_files(name):
            problems.append(Problem(config_file, quote(name), FILE_NAME, column="cells.constructs"))
            continue
        found = {}
        for column in ("sequence", "annotation"):
            tell = teller(problems, config_file, f"cells.constructs.{name}.{column}")
            found[column] = own_file(folder, getattr(construct, column), config, tell)
        hashed = [
            hashes.sha256(path, teller(problems, config_file, f"cells.constructs.{name}"))
            for path in found.values()
            if path
        ]
        plans[name] = ConstructPlan(name, found["sequence"], found["annotation"], digest(hashed))
    return plans


def plan_reference(
    folder: Path, config: configuration.Config, config_file: str, hashes: Hashes, problems: list[Problem]
) -> str:
    """Find the files of ``cells.reference`` and return the digest of their content."""
    digests = []
    for column in ("endogenous", "genome", "annotation", "whitelist"):
        text = getattr(config.cells.reference, column)
        if text:
            tell = teller(problems, config_file, f"cells.reference.{column}")
            if own_file(folder, text, config, tell):
                digests.append((column, hashes.sha256(text, tell)))
    return digest(digests)


def plan_libraries(
    folder: Path,
    config: configuration.Config,
    sheets: Sheets,
    *,
    early: frozenset[str],
    hashes: Hashes,
    problems: list[Problem],
) -> dict[str, LibraryPlan]:
    """Find the files of each library and what its jobs need; every problem is added to ``problems``.

    ``early`` has the samples from before the infusion, without the product.
    """
    samples = {s.sample_id: s for s in sheets.samples}
    subject_of = {i: s.subject_id for i, s in samples.items()}
    plans: dict[str, LibraryPlan] = {}
    contents: dict[str, str] = {}
    contig_files: dict[str, str] = {}
    for library in sheets.libraries:
        files = _Files(folder, config, library, hashes, problems)
        counts, raw = files.matrix("counts"), files.matrix("raw_counts")
        single = {column: files.one(column) for column in ("metrics", "tcr_contigs", "bcr_contigs")}
        read = [*counts, *raw, *filter(None, single.values())]
        bam = files.one("bam")
        index = bam_index(folder, bam)
        fastq = files.several("fastq")
        if fastq and not (config.cells.reference.genome and config.cells.reference.annotation):
            files.tell("fastq")(
                "reads to count, and no genome",
                "cells.reference.genome and cells.reference.annotation in the configuration",
            )
        sha256 = files.digest(read)
        # Two libraries of one content would count every cell twice.
        content = files.content(counts or fastq)
        if (counts or fastq) and content in contents:
            files.tell("counts" if counts else "fastq")(
                f"the same content as {quote(contents[content])}", "each content once, or cells count twice"
            )
        contents.setdefault(content, library.library_id)
        contigs = tuple(dict.fromkeys(filter(None, (single["tcr_contigs"], single["bcr_contigs"]))))
        for path in contigs:
            # Files without a contig are all alike.
            if (folder / path).stat().st_size < EMPTY_CONTIGS:
                continue
            other = contig_files.setdefault(files.content([path]), library.library_id)
            if other != library.library_id:
                column = "tcr_contigs" if path == single["tcr_contigs"] else "bcr_contigs"
                files.tell(column)(
                    f"the same content as {quote(other)}", "each content once, or clones count twice"
                )
        constructs = _constructs(library, sheets, config, problems)
        pre_infusion = library.sample_id in early
        subject = subject_of.get(library.sample_id)
        before = (
            ()
            if pre_infusion
            else tuple(
                other.library_id
                for other in sheets.libraries
                if other.sample_id in early
                and subject_of.get(other.sample_id) == subject
                and (other.counts or other.fastq)
            )
        )
        plans[library.library_id] = LibraryPlan(
            library.library_id,
            library.sample_id,
            library.chemistry,
            library.sort,
            place(config, library.counts) if counts else "",
            place(config, library.raw_counts) if raw else "",
            single["metrics"],
            single["tcr_contigs"],
            single["bcr_contigs"],
            library.car_features or _features(constructs, config.cells.constructs),
            library.tag_features,
            tuple(read),
            sha256,
            files.digest(contigs) if contigs else "",
            bam,
            index,
            files.digest([bam, *filter(None, [index])]) if bam else "",
            fastq,
            files.digest(fastq) if fastq else "",
            constructs,
            pre_infusion,
            before,
            library.car_flow_percent,
        )
    return plans


def libraries_digest(libraries: Iterable[Library]) -> str:
    """Digest of the content of the libraries sheet; the order of rows and columns does not count."""
    named = [{k: v for k, v in asdict(item).items() if k != "row"} for item in libraries]
    return digest([sorted(named, key=repr)])


class _Files:
    """The files of one library, checked: inside the data folder, undated, hashed."""

    def __init__(
        self,
        folder: Path,
        config: configuration.Config,
        library: Library,
        hashes: Hashes,
        problems: list[Problem],
    ) -> None:
        self._folder = folder
        self._config = config
        self._library = library
        self._hashes = hashes
        self._problems = problems

    def tell(self, column: str) -> Tell:
        return teller(self._problems, str(self._config.sheets.libraries), column, self._library.row)

    def one(self, column: str) -> str:
        return self._path(getattr(self._library, column), column)

    def several(self, column: str) -> tuple[str, ...]:
        return tuple(filter(None, (self._path(text, column) for text in getattr(self._library, column))))

    def matrix(self, column: str) -> list[str]:
        """Return the files of a matrix: the file itself, or the matrix files of a folder, in order."""
        text = getattr(self._library, column)
        if not text:
            return []
        root = self._folder / self._config.data_dir
        tell = self.tell(column)
        if not text.isprintable() or not (root / text).is_dir():
            path = self._path(text, column)
            return [path] if path else []
        undated(text, self._config, tell, "folder")
        inside = path_in(root, text, "the data folder", tell, "folder")
        if inside is None:
            return []
        names = sorted(p.name for p in inside.iterdir() if p.name.endswith(_MATRIX_FILES))
        if not names or len(names) > _MOST_FILES:
            tell(f"a folder with {len(names)} matrix files", "matrix, barcodes and features (mtx, tsv)")
            return []
        return list(filter(None, (self._path(f"{text.rstrip('/')}/{name}", column) for name in names)))

    def digest(self, paths: Iterable[str]) -> str:
        return digest((path, self._hashes.sha256(path, self.tell("counts"))) for path in paths)

    def content(self, paths: Iterable[str]) -> str:
        """Return a digest that is the same for copies under other names."""
        return digest(self._hashes.sha256(path, self.tell("counts")) for path in paths)

    def _path(self, text: str, column: str) -> str:
        if not text:
            return ""
        tell = self.tell(column)
        undated(text, self._config, tell)
        found = path_in(self._folder / self._config.data_dir, text, "the data folder", tell)
        return place(self._config, text) if found else ""


def place(config: configuration.Config, text: str) -> str:
    """Return a path of the data folder as a path of the trial folder."""
    return f"{config.data_dir.rstrip('/')}/{text}"


def own_file(folder: Path, text: str, config: configuration.Config, tell: Tell) -> str:
    """Return a path of the trial folder that the workflow does not write itself, or tell and return nothing."""
    undated(text, config, tell)
    if Path(os.path.normpath(text)).parts[:1] == (RESULTS,):
        tell(f"{quote(text)}, which the workflow writes", "a copy of it outside results/")
        return ""
    return text if path_in(folder, text, "the trial folder", tell) else ""


def bam_index(folder: Path, bam: str) -> str:
    """Return the index beside a BAM: x.bam.bai, x.bai or x.bam.csi; nothing when there is none."""
    if not bam:
        return ""
    stem = bam.removesuffix(".bam")
    names = (f"{bam}.bai", f"{stem}.bai", f"{bam}.csi", f"{stem}.csi")
    root = (folder / bam).parent.resolve()
    return next((n for n in names if (folder / n).is_file() and (folder / n).resolve().parent == root), "")


def _constructs(
    library: Library, sheets: Sheets, config: configuration.Config, problems: list[Problem]
) -> tuple[str, ...]:
    """Return the registered constructs of the product that the library's infusion gave."""
    sample = next((s for s in sheets.samples if s.sample_id == library.sample_id), None)
    if sample is None:
        return ()
    given = {(i.subject_id, i.infusion): i.product for i in sheets.infusions}
    product = given.get((sample.subject_id, sample.infusion))
    names = [c for p in sheets.products if p.product == product and (c := p.construct)]
    registered = config.cells.constructs
    problems.extend(
        Problem(
            str(config.sheets.products),
            f"the construct {quote(name)} of {quote(str(product))}, which has a single-cell library",
            f"a construct of cells.constructs: {', '.join(registered)}",
            column="construct",
            suggestion=did_you_mean(name, registered),
        )
        for name in names
        if registered and name not in registered
    )
    return tuple(name for name in names if name in registered)


def _features(names: Iterable[str], constructs: dict[str, Construct]) -> tuple[str, ...]:
    return tuple(feature for name in names for feature in constructs[name].features or (name,))
