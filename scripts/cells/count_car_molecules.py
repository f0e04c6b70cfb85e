"""Count the CAR molecules of one library from its reads, by cell and by what they prove."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartrace.cells.car_reads import CarMolecules
    from cartrace.cells.constructs import Construct
    from cartrace.cells.settings import Cells


def main(argv: Sequence[str] | None = None) -> int:
    """Read the BAM file of one library; exit status 2 when a file can't be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="library_id of the libraries sheet")
    parser.add_argument(
        "--bam", type=Path, required=True, help="its BAM file with CB and UB, or the folder with one"
    )
    parser.add_argument(
        "--index", type=Path, nargs="?", help="index of the BAM file; without one all of it is read"
    )
    parser.add_argument("--chemistry", choices=("5p", "3p"), required=True, help="which end is read")
    parser.add_argument("--constructs", nargs="+", required=True, help="names of all registered constructs")
    parser.add_argument("--sequences", type=Path, nargs="+", required=True, help="their FASTA files")
    parser.add_argument("--annotations", type=Path, nargs="+", required=True, help="their domains")
    parser.add_argument(
        "--product-constructs", nargs="*", default=[], help="those that the subject's product carries"
    )
    parser.add_argument("--endogenous", type=Path, required=True, help="FASTA of endogenous transcripts")
    parser.add_argument(
        "--loci",
        type=Path,
        nargs="?",
        help="endogenous genes in the BAM's genome (BED or GTF); else those of the settings",
    )
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cells' is used")
    for name in ("molecules", "coverage", "variants", "car-reads", "qc"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"table of {name} to write (Parquet)")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.cells.bam import open_bam
    from cartrace.problems import InputError

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells
        constructs = _constructs(args)
        path = _bam(args.bam)
        with open_bam(path, str(path), args.index) as bam:
            counted = _count(bam, constructs, settings, args)
        _write(counted, args)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    reads = counted.car_reads
    print(
        f"{args.library}: {reads['molecules'].sum()} CAR molecules of {len(reads)} constructs "
        f"from {reads['reads_fetched'].iloc[0]} reads, {len(counted.variants)} variants, {len(counted.qc)} findings"
    )
    return 0


def _bam(path: Path) -> Path:
    """Return the BAM file: the one given, or the one in the folder that count_library wrote."""
    from cartrace.problems import InputError, Problem

    if not path.is_dir():
        return path
    found = sorted(path.rglob("*.bam"))
    if len(found) != 1:
        raise InputError([Problem(str(path), f"{len(found)} BAM files", "one, or the BAM file itself")])
    return found[0]


def _constructs(args: argparse.Namespace) -> list[Construct]:
    """Read the registered constructs."""
    from cartrace.cells.constructs import read_construct
    from cartrace.files import read_text
    from cartrace.problems import InputError, Problem, raise_if_any

    if not len(args.constructs) == len(args.sequences) == len(args.annotations):
        found = f"{len(args.constructs)} names, {len(args.sequences)} sequences, {len(args.annotations)} annotations"
        raise InputError([Problem("--constructs", found, "as many sequences and annotations as names")])
    problems = [
        Problem("--product-constructs", f"'{name}'", f"registered: {', '.join(args.constructs)}")
        for name in args.product_constructs
        if name not in args.constructs
    ]
    found_constructs = []
    for name, fasta, annotation in zip(args.constructs, args.sequences, args.annotations, strict=True):
        try:
            found_constructs.append(
                read_construct(
                    name,
                    read_text(fasta),
                    read_text(annotation),
                    fasta_file=str(fasta),
                    annotation_file=str(annotation),
                )
            )
        except InputError as error:
            problems += error.problems
    raise_if_any(problems)
    return found_constructs


def _count(
    bam: object, constructs: Sequence[Construct], cells: Cells, args: argparse.Namespace
) -> CarMolecules:
    """Find the reads and count."""
    import pysam

    from cartrace.cells.bam import Tally, find_targets, read_car_reads, read_loci
    from cartrace.cells.car_reads import collect, count_car_molecules
    from cartrace.cells.endogenous import read_transcripts
    from cartrace.cells.matching import Matcher, relatives
    from cartrace.cells.settings import CarReads
    from cartrace.files import read_text

    assert isinstance(bam, pysam.AlignmentFile)
    settings = cells.car_reads
    endogenous = relatives(constructs, ((t.name, t.sequence) for t in read_transcripts(args.endogenous)))
    loci, binder_loci = settings.loci, settings.binder_loci
    if args.loci is not None:
        given = read_loci(read_text(args.loci), str(args.loci), loci)
        binder_loci = {gene: place for gene, place in given.items() if gene.startswith("IG")}
        loci = {gene: place for gene, place in given.items() if gene not in binder_loci}
    targets = find_targets(
        dict(zip(bam.references, bam.lengths, strict=True)),
        {c.name: (_names(c, cells), len(c.sequence)) for c in constructs},
        loci=loci,
        binder_loci=binder_loci,
        file=str(args.bam),
        shipped_loci=args.loci is None and loci == CarReads().loci,
    )
    tally = Tally()
    matcher = Matcher(constructs, endogenous, settings)
    evidence = collect(read_car_reads(bam, targets, tally), matcher, args.chemistry)
    return count_car_molecules(
        evidence,
        constructs,
        settings,
        library=args.library,
        chemistry=args.chemistry,
        product=args.product_constructs,
        targets=targets,
        tally=tally,
        from_index=bam.has_index(),
        file=str(args.bam),
    )


def _names(construct: Construct, cells: Cells) -> list[str]:
    """List what the contig of a construct may be called."""
    registered = cells.constructs.get(construct.name)
    features = registered.features if registered else ()
    return [construct.name, construct.record, *construct.contigs, *features]


def _write(counted: CarMolecules, args: argparse.Namespace) -> None:
    from cartrace.cells.tables import CAR_READS, COVERAGE, MOLECULES, VARIANTS
    from cartrace.tables import QC, write_table

    write_table(counted.molecules, args.molecules, MOLECULES)
    write_table(counted.coverage, args.coverage, COVERAGE)
    write_table(counted.variants, args.variants, VARIANTS)
    write_table(counted.car_reads, args.car_reads, CAR_READS)
    write_table(counted.qc, args.qc, QC)


if __name__ == "__main__":
    sys.exit(main())
