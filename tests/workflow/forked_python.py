"""A ``python`` for the many jobs of one run, whose imports are paid once: most of a small job is those imports.

A process imports the libraries that jobs use and waits; each call of this ``python`` is a fork of it.
Nothing of cartrace is imported before the fork. A caller that is killed takes its fork along, at once,
as it were the job itself. It is for making finished trials only, and for those of the kill tests: what
another test proves of jobs is proved with Python itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLIENT = """#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    order = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(order)
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(9) or 1))
"""

_SERVER = """
import gc, importlib, json, os, runpy, select, signal, socket, sys, threading, traceback
import duckdb, h5py, jinja2, lifelines, openpyxl, pandas, plotly.graph_objects, pyarrow.parquet, pydantic, pysam
import scanpy, scipy.optimize, scipy.sparse, scipy.stats, statsmodels.api, yaml

def end_with(caller):
    poll = select.poll()
    poll.register(caller, 0)  # a caller that is gone is told unasked
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)

def work(caller):
    threading.Thread(target=end_with, args=[caller], daemon=True).start()
    _, files, _, _ = socket.recv_fds(caller, 1, 3)
    arguments, folder, environment = json.load(caller.makefile())
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # As `python SCRIPT ARGUMENTS` has them.
    sys.argv = arguments
    packages = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [os.path.dirname(os.path.abspath(arguments[0])), *filter(None, packages)]
    assert PRELOADED or not any(name.split(".")[0] == "cartrace" for name in sys.modules)
    try:
        runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    caller.sendall(str(code).encode())

PRELOADED = sys.argv[2:]
for name in PRELOADED:
    importlib.import_module(name)
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
def forked_python(*preloaded: str) -> Iterator[Path]:
    """Give a folder for the front of ``PATH``, whose ``python`` works as long as the context lasts.

    ``preloaded`` are modules of cartrace, for a test that edits none.
    """
    # Of its own: the path of a socket has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="python-") as name:
        folder = Path(name, "bin")
        folder.mkdir()
        address = folder / "socket"
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _SERVER, str(address), *preloaded],
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline() == "ready\n"
                program = folder / "python"
                program.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
                program.chmod(0o755)
                # Beside it the interpreter itself, in an environment of links: run_scheduled.py takes
                # `python` from where its own lies.
                (folder / "python3").symlink_to(sys.executable)
                for part in ("pyvenv.cfg", "lib"):
                    Path(name, part).symlink_to(Path(sys.prefix, part))
                yield folder
            finally:
                server.kill()
