"""Build the counting reference: genome and genes with the CAR constructs, indexed for STAR or for kallisto."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartrace.cells.references import Contig, GenomeSize
    from cartrace.cells.settings import Reference


def main(argv: Sequence[str] | None = None) -> int:
    """Build one reference; exit status 2 when an input can't be used or a program fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genome", type=Path, required=True, help="genome (FASTA or .gz)")
    parser.add_argument("--annotation", type=Path, required=True, help="its genes (GTF or .gz)")
    parser.add_argument("--constructs", nargs="*", default=[], help="names of the constructs")
    parser.add_argument("--sequences", type=Path, nargs="*", default=[], help="their FASTA files, in order")
    parser.add_argument(
        "--regions", type=Path, nargs="*", default=[], help="their regions (Parquet of check_construct)"
    )
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cells' is used")
    parser.add_argument("--threads", type=int, default=1, help="threads of the program")
    parser.add_argument("--memory-mb", type=int, help="memory that it may take")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.cells.counting import kallisto_index_command, keep, program, run, whole_folder
    from cartrace.problems import InputError

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells.reference
        contigs = _contigs(args.constructs, args.sequences, args.regions, settings)
        program("STAR" if settings.counter == "starsolo" else "kallisto")
        with whole_folder(args.out) as folder:
            size = _write(folder, args.genome, args.annotation, contigs)
            if settings.counter == "starsolo":
                _index_star(folder, size, settings, args.threads, args.memory_mb)
                keep(folder, ("index",))
            else:
                _write_transcripts(folder, args.annotation, contigs)
                run("kallisto", kallisto_index_command(threads=args.threads), folder)
                keep(folder, ("index.idx", "t2g.txt"))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    counted = ", ".join(f"{c.name} on {len(c.segments)} stretches" for c in contigs) or "no construct"
    print(f"{settings.counter}: {size.bases} bases in {size.contigs} contigs; {counted}")
    return 0


def _contigs(
    names: Sequence[str], sequences: Sequence[Path], regions: Sequence[Path], settings: Reference
) -> list[Contig]:
    from cartrace.cells.constructs import parse_fasta
    from cartrace.cells.references import check_names, contig_of, provable_positions
    from cartrace.cells.tables import REGIONS
    from cartrace.files import read_text
    from cartrace.problems import InputError, Problem
    from cartrace.tables import read_table

    if not len(names) == len(sequences) == len(regions):
        found = f"{len(names)} constructs, {len(sequences)} sequences, {len(regions)} regions"
        raise InputError([Problem("--constructs", found, "as many of each")])
    contigs = []
    for name, file, table in zip(names, sequences, regions, strict=True):
        ((_, letters), *_) = parse_fasta(read_text(file), str(file))
        rows = read_table(table, REGIONS)
        rows = rows[rows["chemistry"] == rows["chemistry"].min()].to_dict("records")
        length = min(settings.read_length, len(letters))
        provable = provable_positions(rows, len(letters), length)
        contigs.append(contig_of(name, letters, provable))
    check_names(contigs)
    return contigs


def _write(folder: Path, genome: Path, annotation: Path, contigs: Sequence[Contig]) -> GenomeSize:
    from cartrace.cells.endogenous import open_text
    from cartrace.cells.references import write_annotation, write_genome

    with open_text(genome) as lines, (folder / "genome.fa").open("w") as out:
        size, names = write_genome(lines, contigs, out, str(genome))
    with open_text(annotation) as lines, (folder / "genes.gtf").open("w") as out:
        write_annotation(lines, contigs, names, out, str(annotation))
    return size


def _write_transcripts(folder: Path, annotation: Path, contigs: Sequence[Contig]) -> None:
    import pysam

    from cartrace.cells.endogenous import open_text
    from cartrace.cells.references import transcripts_of, write_transcripts

    with (
        pysam.FastaFile(str(folder / "genome.fa")) as genome,
        open_text(annotation) as lines,
        (folder / "transcripts.fa").open("w") as fasta,
        (folder / "t2g.txt").open("w") as t2g,
    ):
        known = set(genome.references)
        fetch = lambda contig: genome.fetch(contig) if contig in known else ""  # noqa: E731
        write_transcripts(transcripts_of(lines, fetch, str(annotation)), contigs, fasta, t2g)


def _index_star(
    folder: Path, size: GenomeSize, settings: Reference, threads: int, memory_mb: int | None
) -> None:
    from cartrace.cells.counting import run, star_index_command

    memory = memory_mb * 1_000_000 if memory_mb else None
    (folder / "index").mkdir()
    run("STAR", star_index_command(size, settings, threads=threads, memory=memory), folder)
    # Holds times and paths of this machine.
    (folder / "index" / "Log.out").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
