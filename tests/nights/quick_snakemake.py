"""Snakemake for the many runs of one test, whose import is paid once: most of a quiet night is that import.

A process imports Snakemake and waits; each run is a fork of it, as the scheduled entry starts it: the same
arguments, folder, environment and output. Its jobs take the python of :mod:`tests.workflow.forked_python`. Parts of
cartrace are imported before the fork, too: nobody edits them here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.workflow.forked_python import _CLIENT, forked_python

PRELOADED = (
    "cartrace.intake.plan",
    "cartrace.cohort.association",
    "cartrace.immunoassay.quantify",
    "cartrace.pcr.quantify",
    "cartrace.report.export",
    "cartrace.report.page",
    "cartrace.safety.toxicity",
    "cartrace.kinetics.course",
)
"""What jobs would import for their own."""

_SERVER = """
import gc, json, os, signal, socket, sys, traceback
import snakemake.cli, snakemake.common

# What each run would import for its own.
snakemake.cli.get_argument_parser()
snakemake.common.parse_uri("Snakefile")
import snakemake.executors.local
import cartrace.intake.plan, cartrace.intake.inbox_match

def work(caller):
    _, files, _, _ = socket.recv_fds(caller, 1, 3)
    arguments, folder, environment = json.load(caller.makefile())
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.environ["PATH"] = sys.argv[2] + os.pathsep + environment["PATH"]
    assert arguments[:2] == ["-m", "snakemake"]
    sys.argv[:] = arguments[1:]
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    try:
        snakemake.cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    caller.sendall(str(code).encode())

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
gc.freeze()
print("ready", flush=True)
while True:
    caller, _ = listener.accept()
    if not os.fork():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            work(caller)
        finally:
            os._exit(0)
    caller.close()
"""


@contextmanager
def quick_snakemake() -> Iterator[Path]:
    """Give a program to call as ``PROGRAM -m snakemake ...``; it works as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="snakemake-") as name, forked_python(*PRELOADED) as programs:
        address, program = Path(name, "socket"), Path(name, "python")
        arguments = [str(address), str(programs)]
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _SERVER, *arguments], stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == "ready\n"
                program.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
                program.chmod(0o755)
                yield program
            finally:
                server.kill()
