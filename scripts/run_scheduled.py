"""Run the workflow on a trial folder, once, unattended: by hand, by cron or by a systemd timer.

Exit status: 0 all is up to date; 1 a job failed, also one that could not read its
laboratory file, or the workflow did; 2 the configuration, a sheet or a mapping is not
right, or a listed file is missing; 75 another run holds the trial folder and this one
was skipped; 124 time was up; 128 + n stopped by signal n.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from cartrace.planned import read_told
from cartrace.schedule import REPOSITORY, Request, run


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Other options and targets go to Snakemake as they stand.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, required=True, help="config.yaml of the trial folder")
    parser.add_argument("--cores", type=int, help="cores of this machine (default: all)")
    parser.add_argument("--profile", type=Path, help="Snakemake profile folder, such as profiles/slurm")
    parser.add_argument("--timeout-minutes", type=float, help="stop after so many minutes (default: never)")
    parser.add_argument(
        "--grace-seconds", type=float, default=60.0, help="time to stop in before it is killed (default: 60)"
    )
    parser.add_argument(
        "--jobname-prefix", help="beginning of the Slurm job names (default: from the trial folder's path)"
    )
    parser.add_argument("--dry-run", "-n", action="store_true", help="show what would run; write nothing")
    parser.add_argument("--keep", type=int, default=100, help="run logs to keep, 0 for all (default: 100)")
    parser.add_argument(
        "--notify",
        metavar="COMMAND",
        type=_words,
        default=(),
        help="run this after each run, without a shell, the path of the run's record added as last argument",
    )
    parser.add_argument(
        "--snakefile", type=Path, help="another Snakefile, which then checks the trial folder itself"
    )
    arguments, extra = parser.parse_known_args(argv)
    request = Request(
        config=arguments.config,
        cores=arguments.cores,
        profile=arguments.profile,
        timeout_minutes=arguments.timeout_minutes,
        grace_seconds=arguments.grace_seconds,
        jobname_prefix=arguments.jobname_prefix,
        dry_run=arguments.dry_run,
        keep=arguments.keep,
        snakefile=arguments.snakefile or REPOSITORY / "Snakefile",
        extra=tuple(word for word in extra if word != "--"),
        notify=arguments.notify,
    )

    def say(line: str) -> None:
        print(line, flush=True)

    return run(request, say, read_plan=None if arguments.snakefile else read_told)


def _words(command: str) -> tuple[str, ...]:
    """Split a command as a shell would, quotes understood, nothing expanded."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a quote is not closed in {command!r}") from error
    if not words:
        raise argparse.ArgumentTypeError("an empty command")
    return words


if __name__ == "__main__":
    sys.exit(main())
