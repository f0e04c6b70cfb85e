"""FASTQ to counts: command lines of STAR and of kallisto with bustools, and running them.

Never a mode for reads with several homes: they make 10 to 70 % of CAR- T cells CAR+ (docs/constructs.md). kallisto
and bustools are the programs in kb-python's wheel, called directly: its wrapper takes 20 s where they take 3.

Programs run in an empty folder in which their inputs lie under plain names, so that no path of the machine and no
file name of the laboratory gets into their output (STAR writes its command line into the header of its BAM).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.cells.references import GenomeSize, star_bin_bits, star_index_bases, star_sparsity
from cartrace.problems import InputError, Problem, plain, raise_if_any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartrace.cells.settings import Reference

TSO = 13
"""Bases of the template switch oligo between UMI and transcript in 5' libraries (TTTCTTATATGGG) [recalled]."""
LEAST_SORT_MEMORY = 2_000_000_000
"""Bytes for sorting; STAR gives up with exit status 102 on tiny genomes when it is left to guess from the genome."""
DEBIAN = {"STAR": "rna-star", "kallisto": "kallisto", "bustools": "bustools"}
KALLISTO_WORD = 31
BAM = "Aligned.sortedByCoord.out.bam"
"""As STAR calls it."""


def program(name: str) -> Path:
    """Find a program: on the PATH; kallisto and bustools first in kb-python's wheel, which is not imported.

    Raises
    ------
    InputError
        With the Debian package that brings it.
    """
    if name in {"kallisto", "bustools"}:
        spec = importlib.util.find_spec("kb_python")
        system = {"linux": "linux", "darwin": "mac"}.get(sys.platform, "windows")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            bundled = Path(folder) / "bins" / system / name / name
            if os.access(bundled, os.X_OK):
                return bundled
    found = shutil.which(name)
    if found is None:
        raise InputError(
            [
                Problem(
                    f"program {name}", "not installed", f"the Debian package {DEBIAN[name]} (apt-get install)"
                )
            ]
        )
    return Path(found)


@dataclass(frozen=True, slots=True)
class Reads:
    """FASTQ files of one library, lane by lane: barcodes (R1) and transcripts (R2)."""

    barcodes: tuple[Path, ...]
    transcripts: tuple[Path, ...]

    @property
    def zipped(self) -> bool:
        """Whether they are gzip files."""
        return self.barcodes[0].suffix == ".gz"

    def check(self) -> None:
        """Refuse files that are missing, unequal in number, or partly zipped."""
        every = (*self.barcodes, *self.transcripts)
        problems = [
            Problem(str(p), "no file that can be read", "a FASTQ file") for p in every if not p.is_file()
        ]
        if len(self.barcodes) != len(self.transcripts):
            found = f"{len(self.barcodes)} files of R1, {len(self.transcripts)} of R2"
            problems.append(Problem("FASTQ files", found, "as many"))
        if len(set(every)) < len(every):
            problems.append(Problem("FASTQ files", "a file that is named twice", "every file once"))
        if len({p.suffix == ".gz" for p in every}) > 1:
            problems.append(Problem("FASTQ files", "zipped and plain files", "one or the other"))
        raise_if_any(problems)


def star_index_command(
    size: GenomeSize, settings: Reference, *, threads: int, memory: int | None
) -> list[str]:
    """Return the arguments that build an index in ``index`` from ``genome.fa`` and ``genes.gtf``."""
    command = [
        "--runMode", "genomeGenerate",
        "--genomeDir", "index",
        "--genomeFastaFiles", "genome.fa",
        "--sjdbGTFfile", "genes.gtf",
        "--sjdbOverhang", str(settings.read_length - 1),
        "--genomeSAindexNbases", str(star_index_bases(size)),
        "--genomeChrBinNbits", str(star_bin_bits(size, settings.read_length)),
        "--genomeSAsparseD", str(star_sparsity(size, memory)),
        "--runThreadN", str(threads),
    ]  # fmt: skip
    return command + (["--limitGenomeGenerateRAM", str(memory)] if memory is not None else [])


def starsolo_command(
    reads: Reads, settings: Reference, *, chemistry: str, threads: int, index_bytes: int, whitelist: bool
) -> list[str]:
    """Return the arguments that count ``reads`` with ``index``.

    As Cell Ranger 4 and later count [STAR manual, STARsolo]; 5' libraries after STAR issues 768 and 1366: read 2
    alone is antisense, and in a paired library read 1 loses barcode, UMI and template switch oligo.
    """
    barcode, umi = settings.barcode_length, settings.umi_length
    names = _link_names(reads)
    r1, r2 = (",".join(n for n, _ in names[kind]) for kind in ("R1", "R2"))
    paired = chemistry == "5p" and settings.paired
    return [
        "--genomeDir", "index",
        "--readFilesIn", *((r1, r2) if paired else (r2, r1)),
        *(["--readFilesCommand", "gzip", "-dc"] if reads.zipped else []),
        "--soloType", "CB_UMI_Simple",
        "--soloCBwhitelist", "whitelist.txt" if whitelist else "None",
        "--soloCBstart", "1", "--soloCBlen", str(barcode),
        "--soloUMIstart", str(barcode + 1), "--soloUMIlen", str(umi),
        "--soloBarcodeReadLength", "0",
        *(["--soloBarcodeMate", "1", "--clip5pNbases", str(barcode + umi + TSO), "0"] if paired else []),
        "--soloStrand", "Reverse" if chemistry == "5p" and not paired else "Forward",
        "--soloFeatures", "Gene",
        "--soloCBmatchWLtype", "1MM_multi_Nbase_pseudocounts" if whitelist else "Exact",
        "--soloUMIdedup", "1MM_CR",
        "--soloUMIfiltering", "MultiGeneUMI_CR",
        "--soloMultiMappers", "Unique",
        "--soloCellFilter", "EmptyDrops_CR",
        *([] if paired else ["--clipAdapterType", "CellRanger4"]),
        "--outFilterScoreMin", "30",
        "--outSAMtype", "BAM", "SortedByCoordinate",
        "--outSAMattributes", "NH", "HI", "AS", "nM", "GX", "GN", "CR", "UR", "CB", "UB",
        # Names of reads tell instrument and run, some the day.
        "--outSAMreadID", "Number",
        # Reads without a home stay: the CAR may be found among them.
        "--outSAMunmapped", "Within",
        "--limitBAMsortRAM", str(max(LEAST_SORT_MEMORY, index_bytes)),
        "--runThreadN", str(threads),
    ]  # fmt: skip


def kallisto_index_command(*, threads: int) -> list[str]:
    """Return the arguments that build ``index.idx`` from ``transcripts.fa``."""
    return ["index", "-i", "index.idx", "-k", str(KALLISTO_WORD), "-t", str(threads), "transcripts.fa"]


def kallisto_commands(
    reads: Reads, settings: Reference, *, chemistry: str, threads: int, memory_mb: int, whitelist: bool
) -> list[tuple[str, list[str]]]:
    """Return (program, arguments) of every step from ``reads`` to ``counts_unfiltered`` and ``counts_filtered``.

    Without a whitelist barcodes are counted as they were read. What bustools takes for cells (the barcodes above
    the knee) is counted again alone. The genes of a molecule are those that all its reads share; a molecule that
    fits several genes is counted for none.
    """
    barcode, umi = settings.barcode_length, settings.umi_length
    paired = chemistry == "5p" and settings.paired
    first = f"0,{barcode + umi + TSO},0," if paired else ""
    names = _link_names(reads)
    files = [n for pair in zip(names["R1"], names["R2"], strict=True) for n, _ in pair]
    strand = "--rf-stranded" if chemistry == "5p" and not paired else "--fr-stranded"
    memory = ["-t", str(threads), "-m", f"{max(memory_mb // 2, 100)}M"]
    # Not --umi-gene: bustools 0.45.1 never ends with it on kb-python's own test library.
    count = ["--genecounts", "-g", "t2g.txt", "-e", "bus/matrix.ec", "-t", "bus/transcripts.txt"]
    technology = f"0,0,{barcode}:0,{barcode},{barcode + umi}:{first}1,0,0"
    bus = ["bus", "-i", "index.idx", "-o", "bus", "-t", str(threads), strand, "-x", technology]
    steps: list[tuple[str, list[str]]] = [
        ("kallisto", [*bus, *(["--paired"] if paired else []), *files]),
        ("bustools", ["sort", *memory, "-o", "sorted.bus", "bus/output.bus"]),
    ]
    last = "sorted.bus"
    if whitelist:
        last = "all.bus"
        steps += [
            ("bustools", ["correct", "-w", "whitelist.txt", "-o", "corrected.bus", "sorted.bus"]),
            ("bustools", ["sort", *memory, "-o", last, "corrected.bus"]),
        ]
    return [
        *steps,
        ("bustools", ["count", *count, "-o", "counts_unfiltered/cells_x_genes", last]),
        ("bustools", ["allowlist", "-o", "cells.txt", last]),
        ("bustools", ["correct", "--nocorrect", "-w", "cells.txt", "-o", "cells.bus", last]),
        ("bustools", ["sort", *memory, "-o", "cells_sorted.bus", "cells.bus"]),
        ("bustools", ["count", *count, "-o", "counts_filtered/cells_x_genes", "cells_sorted.bus"]),
    ]


def _link_names(reads: Reads) -> dict[str, list[tuple[str, Path]]]:
    """Return the plain names under which the reads lie in the folder of the program."""
    end = ".fastq.gz" if reads.zipped else ".fastq"
    return {
        kind: [(f"{kind}_{i}{end}", p) for i, p in enumerate(paths, 1)]
        for kind, paths in (("R1", reads.barcodes), ("R2", reads.transcripts))
    }


def link_reads(reads: Reads, folder: Path) -> None:
    """Put links to the reads into ``folder``, under plain names."""
    for links in _link_names(reads).values():
        for name, path in links:
            (folder / name).symlink_to(path.resolve())


def run(name: str, arguments: Sequence[str], folder: Path, *, path: Path | None = None) -> str:
    """Run a program in ``folder`` and return what it said.

    Raises
    ------
    InputError
        When it is missing or does not exit with 0: with its exit status and its last words, without paths.
    """
    where = path or program(name)
    # STAR writes the name by which it is called into its BAM: without the path.
    done = subprocess.run(
        [name, *arguments],
        executable=where,
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode != 0:
        words = [line.strip() for line in said.replace(str(folder), "").splitlines() if line.strip()]
        last = plain(" / ".join(words[-4:]), 400) or "nothing said"
        hint = _HINTS.get((name, done.returncode), "exit status 0")
        raise InputError([Problem(f"program {name}", f"exit status {done.returncode}: {last}", hint)])
    return said


_HINTS = {
    ("STAR", 102): "more memory for sorting the BAM",
    ("STAR", 104): "a reference that is whole and that this version of STAR built",
    ("STAR", 105): "a genome and annotation that agree",
    ("STAR", -9): "more memory (killed)",
    ("kallisto", -9): "more memory (killed)",
}


class whole_folder:  # noqa: N801 - reads as a verb in `with whole_folder(path) as temporary`
    """Give a folder beside ``path`` to work in, and rename it when all went well."""

    def __init__(self, path: str | Path) -> None:
        """Remember the final path."""
        self.path = Path(path)

    def __enter__(self) -> Path:
        """Make the temporary folder."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.temporary = Path(
            tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent)
        )
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Rename on success; leave nothing behind otherwise."""
        if kind is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)
            return
        # mkdtemp makes folders private; a shared results folder wants the umask.
        umask = os.umask(0)
        os.umask(umask)
        self.temporary.chmod(0o777 & ~umask)
        if self.path.is_dir():
            shutil.rmtree(self.path)
        self.temporary.replace(self.path)


def keep(folder: Path, wanted: Sequence[str]) -> None:
    """Remove what lies in ``folder`` and is not wanted: logs with dates and paths, links, temporary files."""
    for entry in folder.iterdir():
        if entry.name in wanted:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def index_bam(folder: Path) -> None:
    """Index the BAM of STAR; one that is empty or cut off raises."""
    import pysam
    from pysam.utils import SamtoolsError

    bam = folder / BAM
    if not bam.is_file() or bam.stat().st_size == 0:
        raise InputError([Problem("program STAR", "an empty BAM", "a BAM; more memory for sorting it")])
    try:
        pysam.index(str(bam))
    except SamtoolsError:
        raise InputError([Problem("program STAR", "a BAM that can't be indexed", "a whole BAM")]) from None


def name_genes(folder: Path) -> None:
    """Write the names of the genes beside their ids, as kb-python does (cells_x_genes.genes.names.txt)."""
    names = {}
    for line in (folder / "t2g.txt").read_text().splitlines():
        _, gene, name = line.split("\t")[:3]
        names[gene] = name
    for made in ("counts_unfiltered", "counts_filtered"):
        genes = (folder / made / "cells_x_genes.genes.txt").read_text().split()
        (folder / made / "cells_x_genes.genes.names.txt").write_text("".join(f"{names[g]}\n" for g in genes))
