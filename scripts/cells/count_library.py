"""Count one library from FASTQ files, with STARsolo (counts and BAM) or with kallisto and bustools (counts)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartrace.cells.counting import Reads
    from cartrace.cells.settings import Reference


def main(argv: Sequence[str] | None = None) -> int:
    """Count one library; exit status 2 when an input can't be used or a program fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="library_id of the libraries sheet")
    parser.add_argument("--reference", type=Path, required=True, help="folder of build_reference")
    parser.add_argument(
        "--r1", type=Path, nargs="+", required=True, help="FASTQ files with barcodes, by lane"
    )
    parser.add_argument(
        "--r2", type=Path, nargs="+", required=True, help="FASTQ files with transcripts, by lane"
    )
    parser.add_argument("--chemistry", choices=("5p", "3p"), required=True, help="which end is read")
    parser.add_argument("--whitelist", type=Path, help="barcodes of the kit (txt or txt.gz)")
    parser.add_argument("--settings", default="{}", help="configuration as JSON; section 'cells' is used")
    parser.add_argument("--threads", type=int, default=1, help="threads of the program")
    parser.add_argument("--memory-mb", type=int, default=2000, help="memory to sort with (bustools)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args(argv)

    from cartrace import config as configuration
    from cartrace.cells.counting import Reads, keep, link_reads, whole_folder
    from cartrace.cells.endogenous import open_text
    from cartrace.problems import InputError

    try:
        settings = configuration.load(json.loads(args.settings), "--settings").cells.reference
        reads = Reads(tuple(args.r1), tuple(args.r2))
        reads.check()
        with whole_folder(args.out) as folder:
            link_reads(reads, folder)
            if args.whitelist:
                with open_text(args.whitelist) as lines, (folder / "whitelist.txt").open("w") as out:
                    out.writelines(
                        f"{line.split()[0].removesuffix('-1')}\n" for line in lines if line.strip()
                    )
            count = _count_star if settings.counter == "starsolo" else _count_kallisto
            wanted = count(folder, args, reads, settings)
            keep(folder, wanted)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.library}: counted by {settings.counter}")
    return 0


def _count_star(folder: Path, args: argparse.Namespace, reads: Reads, settings: Reference) -> tuple[str, ...]:
    from cartrace.cells.counting import BAM, index_bam, run, starsolo_command

    index = _part(args.reference, "index")
    (folder / "index").symlink_to(index.resolve(), target_is_directory=True)
    index_bytes = sum(p.stat().st_size for p in index.iterdir())
    command = starsolo_command(
        reads,
        settings,
        chemistry=args.chemistry,
        threads=args.threads,
        index_bytes=index_bytes,
        whitelist=args.whitelist is not None,
    )
    run("STAR", command, folder)
    index_bam(folder)
    return ("Solo.out", BAM, f"{BAM}.bai")


def _count_kallisto(
    folder: Path, args: argparse.Namespace, reads: Reads, settings: Reference
) -> tuple[str, ...]:
    from cartrace.cells.counting import kallisto_commands, name_genes, run

    for name in ("index.idx", "t2g.txt"):
        (folder / name).symlink_to(_part(args.reference, name).resolve())
    for made in ("counts_unfiltered", "counts_filtered"):
        (folder / made).mkdir()
    for name, arguments in kallisto_commands(
        reads,
        settings,
        chemistry=args.chemistry,
        threads=args.threads,
        memory_mb=args.memory_mb,
        whitelist=args.whitelist is not None,
    ):
        run(name, arguments, folder)
    name_genes(folder)
    return ("counts_unfiltered", "counts_filtered")


def _part(reference: Path, name: str) -> Path:
    from cartrace.problems import InputError, Problem

    part = reference / name
    if not part.exists():
        raise InputError(
            [Problem(str(reference), f"no {name}", "a folder that build_reference made for this counter")]
        )
    return part


if __name__ == "__main__":
    sys.exit(main())
