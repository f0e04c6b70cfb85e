"""How planning, cohort jobs and the report grow with the number of patients.

Two parts, one row of benchmarks/scale_PART_results.tsv each:

``plan``     what Snakemake and the checks of the trial folder cost before any job runs. The folder is a
             simulated trial of 100 repeated under new ids, its files copied with a changed last byte, so that
             there is about one laboratory file a patient. Its results are empty files that Snakemake believes
             (``--touch``), so nothing here says anything about a result.
``results``  a simulated trial of laboratory tables, run for real: time and peak memory of the jobs over the
             whole cohort from Snakemake's own benchmark files, size of the report, time until its pages are drawn.
             ``--trial`` takes a folder that has been run already.

Each number comes from a process of its own. Seconds marked ``cpu`` are processor time: on a busy machine
only they can be compared.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from record import append_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).resolve().parents[1]
BASE = 100
"""Subjects that are simulated for the plan; more are copies of these."""
IDS = ("subject_id", "subjects", "sample_id", "sample", "file_id", "path")
SNAKEMAKE = (
    *("-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", "config.yaml"),
    *("--workflow-profile", str(REPOSITORY / "profiles/default"), "--cores", "2"),
)
TOUCH = """
import sys
from snakemake.executors import touch
touch.Executor.SLEEPING_TIME = 0  # a tenth of a second for each job
from snakemake.cli import main
sys.exit(main(sys.argv[1:]))
"""
TABLES_ONLY = ("--without-tubes", "--without-libraries", "--without-plates", "--without-immunoassays")


def measured(folder: Path, *arguments: str) -> tuple[str, float, float, float]:
    """Run Python with ``arguments`` in a folder: what it said, wall s, CPU s, peak MiB."""
    with tempfile.TemporaryFile("w+") as said:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        said.seek(0)
        text = said.read()
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{' '.join(arguments[:4])} failed:\n{text[-2000:]}")
    return text, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def simulate(folder: Path, subjects: int, *options: str) -> None:
    """Write a simulated trial without planted errors."""
    program = REPOSITORY / "scripts/simulate/simulate_trial.py"
    size = ["--output", str(folder), "--subjects", str(subjects)]
    subprocess.run([sys.executable, str(program), *size, "--without-errors", *options], check=True)


def repeat(folder: Path, times: int) -> None:
    """Repeat the patients of a trial folder with their samples and files; the copies can be planned, not read."""
    for sheet in sorted((folder / "sheets").glob("*.tsv")):
        rows = read_rows(sheet)
        owned = [name for name in IDS if name in rows[0]]
        if owned:
            write_rows(sheet, [copy_of(row, owned, n) for n in range(times) for row in rows])
    originals = [p for p in sorted((folder / "data").rglob("*")) if p.is_file()]
    for n in range(1, times):
        for file in originals:
            path = folder / "data" / f"R{n}-{file.relative_to(folder / 'data')}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read_bytes() + f"\n{n}".encode())


def copy_of(row: dict[str, str], owned: Sequence[str], n: int) -> dict[str, str]:
    """Return a row under the ids of copy ``n``; copy 0 is the original."""
    if not n:
        return row
    # The subjects of a file are divided by commas.
    named = {
        name: ",".join(f"R{n}-{part}" for part in row[name].split(",") if part) for name in owned if row[name]
    }
    return {**row, **named, **({"amplitudes": f"R{n}-{row['amplitudes']}"} if row.get("amplitudes") else {})}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a sheet."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Write a sheet."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def planned(text: str) -> Counter[str]:
    """Return the jobs of each rule from the table of a dry-run, without its total."""
    table = text.rpartition("Job stats:")[2]
    return Counter(
        {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE) if rule != "total"}
    )


def outputs(text: str) -> Iterator[str]:
    """Yield every output that a dry-run tells."""
    for line in re.findall(r"^    output: (.+)$", text, re.MULTILINE):
        yield from line.split(", ")


def measure_plan(folder: Path) -> dict[str, str]:
    """Time the plan, the dry-run from nothing, the rerun with nothing to do, and a new plate."""
    row: dict[str, str] = {"files": str(len(read_rows(folder / "sheets/files.tsv")))}

    def note(name: str, *arguments: str) -> str:
        text, wall, cpu, peak = measured(folder, *arguments)
        print(f"{name}: {wall:.1f} s, {cpu:.1f} s cpu, {peak:.0f} MiB", flush=True)
        row.update({f"{name}_s": f"{wall:.1f}", f"{name}_cpu_s": f"{cpu:.1f}", f"{name}_mib": f"{peak:.0f}"})
        return text

    manifest = str(REPOSITORY / "scripts/intake/write_manifest.py")
    note("hash", manifest)
    note("plan", manifest)
    text = note("dry_run", *SNAKEMAKE, "--dry-run")
    row["jobs"] = str(planned(text).total())
    for name in outputs(text):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    note("touch", "-c", TOUCH, *SNAKEMAKE[2:], "--touch", "--forceall", "--quiet")
    # Dry: a source file that someone edits meanwhile must not start a thousand jobs on empty files.
    said = note("no_op", *SNAKEMAKE, "--dry-run")
    if "Nothing to be done" not in said or "missing provenance" in said:
        raise RuntimeError(f"the rerun had something to do, or did not know: {said[-500:]}")
    # The unattended entry with all it does: the first such run makes the identities of the results. Should an
    # edited source start jobs after all, they fail on the empty files, and the measurement with them.
    program, profile = REPOSITORY / "scripts/run_scheduled.py", REPOSITORY / "profiles/default"
    entry = [str(program), "--config", "config.yaml", "--cores", "2", "--profile", str(profile)]
    measured(folder, *entry)
    note("scheduled_no_op", *entry)
    new_plate(folder)
    jobs = planned(note("new_plate", *SNAKEMAKE, "--dry-run"))
    row["new_plate_jobs"] = str(jobs.total())
    row["new_plate_repeated"] = ";".join(f"{rule} {n}" for rule, n in sorted(jobs.items()) if n > 1) or "none"
    return row


def new_plate(folder: Path) -> None:
    """Add a plate: the first one again, with other content under another name."""
    sheet = folder / "sheets/files.tsv"
    rows = read_rows(sheet)
    plate = next(row for row in rows if row["reader"] == "pcr_plate" and not row["amplitudes"])
    old = folder / "data" / plate["path"]
    new = old.with_name(f"new_{old.name}")
    new.write_bytes(old.read_bytes() + b"\nnew")
    path = str(new.relative_to(folder / "data"))
    write_rows(sheet, [*rows, {**plate, "file_id": "new_plate", "path": path}])


def measure_results(folder: Path) -> dict[str, str]:
    """Return time and memory of the jobs of a trial that was run, and what its report weighs."""
    row = {"files": str(len(read_rows(folder / "sheets/files.tsv")))}
    used: dict[str, tuple[float, float, float]] = {}
    for file in sorted((folder / "benchmarks").rglob("*.tsv")):
        told = read_rows(file)[-1]
        # Jobs of one file stand in a folder of their rule; the others are the cohort's.
        if file.parent.parent == folder / "benchmarks":
            used[file.stem] = tuple(number(told[name]) for name in ("s", "cpu_time", "max_rss"))  # type: ignore[assignment]
    row["cohort_jobs"] = str(len(used))
    row["cohort_s"] = f"{sum(s for s, _, _ in used.values()):.1f}"
    row["cohort_cpu_s"] = f"{sum(cpu for _, cpu, _ in used.values()):.1f}"
    row["cohort_mib"] = f"{max(peak for _, _, peak in used.values()):.0f}"
    longest = sorted(used.items(), key=lambda item: -item[1][1])[:8]
    row["longest"] = "; ".join(f"{rule} {cpu:.1f} s cpu {peak:.0f} MiB" for rule, (_, cpu, peak) in longest)
    report = folder / "results/report.html"
    row["report_mb"] = f"{report.stat().st_size / 1e6:.1f}"
    return row | opening_times(report)


def number(text: str) -> float:
    """Read a number of Snakemake's benchmark; a job shorter than its clock has none."""
    return float(text) if text not in {"NA", "-", ""} else 0.0


def tree_cpu_seconds(root: int) -> float:
    """Return the processor time of a process and all below it, from /proc."""
    parents, ticks = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(told[1])
        ticks[int(entry.name)] = int(told[11]) + int(told[12])
    tree = {root}
    # A child may have a lower number than its parent once numbers are given anew.
    while more := {p for p, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(ticks.get(p, 0) for p in tree) / os.sysconf("SC_CLK_TCK")


def opening_times(report: Path) -> dict[str, str]:
    """Open pages of a report in a headless browser: seconds until each is drawn, and CPU seconds until then."""
    sys.path.insert(0, str(REPOSITORY / "tests/unit/report"))
    from browser import BROWSER

    if BROWSER is None:
        return {"page_cohort_s": "no browser"}
    return {
        f"page_{page}_{name}": seconds
        for page in ("cohort", "safety", "quality")
        for name, seconds in zip(
            ("s", "cpu_s"), opening_time(f"{report.resolve().as_uri()}#/{page}"), strict=True
        )
    }


def opening_time(address: str) -> tuple[str, str]:
    """Return seconds by the clock, and of the processors, until a page of the report is drawn."""
    from browser import Chromium

    browser = Chromium()
    try:
        page = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        session = browser.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        browser.ask("Page.enable", session)
        before, start = tree_cpu_seconds(browser._process.pid), time.monotonic()
        browser.ask("Page.navigate", session, url=address)
        drawn = "Boolean(document.body && document.body.dataset.ready)"
        while time.monotonic() < start + 120:
            if browser.ask("Runtime.evaluate", session, expression=drawn)["result"]["value"]:
                used = tree_cpu_seconds(browser._process.pid) - before
                return f"{time.monotonic() - start:.2f}", f"{used:.2f}"
            time.sleep(0.05)
        return "over 120", ""
    finally:
        browser.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one size, append one row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("plan", "results"), help="what to measure")
    parser.add_argument(
        "--subjects", type=int, default=BASE, help=f"patients; above {BASE} a multiple of it for the plan"
    )
    parser.add_argument("--trial", type=Path, help="results: a trial of so many patients that has been run")
    parser.add_argument("--output", type=Path, help="file to append to (default: scale_PART_results.tsv)")
    arguments = parser.parse_args(argv)
    size = arguments.subjects
    if arguments.part == "plan" and size > BASE and size % BASE:
        parser.error(f"--subjects: a multiple of {BASE}")
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "trial"
        if arguments.part == "plan":
            simulate(folder, min(size, BASE), "--without-tubes", "--without-libraries")
            repeat(folder, max(1, size // BASE))
            row = measure_plan(folder)
        else:
            if arguments.trial is None:
                simulate(folder, size, *TABLES_ONLY)
                measured(folder, *SNAKEMAKE, "--quiet")
            row = measure_results(arguments.trial or folder)
    told = {"part": arguments.part, "subjects": str(size), **row}
    target = arguments.output or Path(__file__).with_name(f"scale_{arguments.part}_results.tsv")
    append_row(target, told, "src", "scripts", "workflow", "Snakefile")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
