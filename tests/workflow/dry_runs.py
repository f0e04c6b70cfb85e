"""Dry-runs of Snakemake whose import is paid once: half of the time of a dry-run is that import.

A process of its own imports Snakemake, parses the package's sources and waits; each dry-run is a
fork of it. Nothing of cartrace is imported before the fork, so that each dry-run sees the package
of its own workplace. There the same bytes have the same syntax tree, and edited ones are parsed.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

_SERVER = """
import ast, gc, json, os, pathlib, sys, traceback
import snakemake.cli, snakemake.common

# What each dry-run would import for its own: plugins, and what opens files.
snakemake.cli.get_argument_parser()
snakemake.common.parse_uri("Snakefile")
# What provenance.sources parses in each dry-run: half of its time.
parse = ast.parse
trees = {}
for folder in ("src", "scripts"):
    for path in pathlib.Path(sys.argv[1], folder).rglob("*.py"):
        source = path.read_bytes()
        trees[source] = parse(source)
ast.parse = lambda source, *given, **named: (
    trees[source] if type(source) is bytes and source in trees else parse(source, *given, **named)
)
# No collector need look again at what is there before the fork, nor run in a process this short.
gc.freeze()
gc.disable()
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        code = 1
        try:
            file = os.open(order["output"], os.O_WRONLY | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.clear()
            os.environ.update(order["environment"])
            sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
            sys.argv = ["snakemake", *order["arguments"]]
            assert not any(name.split(".")[0] == "cartrace" for name in sys.modules)
            snakemake.cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(REPOSITORY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    """End it as its input ends, and wait, so that nobody is told of a process that still runs."""
    with server:
        pass


def snakemake(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Snakemake with the arguments; what it prints is text in ``stdout``."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.NamedTemporaryFile() as file:
        order = {"arguments": arguments, "environment": environment, "output": file.name}
        print(json.dumps(order), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, Path(file.name).read_text())
