"""Run a trial anew from its inputs, beside it: `python rerun.py TRIAL COPY CORES REPOSITORY`.

The Python that runs this is the one that is tried: a test starts it with each in turn. Jobs are forks of
it (tests/workflow/forked_python.py), which spares imports only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from forked_python import forked_python

MADE = ("results", "logs", "benchmarks", ".snakemake", ".cartrace.lock")


def main(trial: str, copy: str, cores: str, repository: str) -> int:
    """Copy the inputs and run; return the exit status of the run."""
    source, target, repo = (Path(path).resolve() for path in (trial, copy, repository))
    shutil.copytree(source, target, ignore=lambda folder, _: MADE if Path(folder) == source else ())
    with forked_python() as programs:
        command = [programs / "python3", repo / "scripts/run_scheduled.py", "--cores", cores]
        command += ["--config", target / "config.yaml", "--profile", repo / "profiles/default"]
        environment = os.environ | {"PYTHONPATH": str(repo / "src")}
        return subprocess.run([str(word) for word in command], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
