"""Speed and memory of gating beside FlowKit's Session.

A tube of 16 channels is simulated, 13 of them with spillover, and written as FCS. Five nested gates
(singlets by a polygon, time by a rectangle, lymphocytes by a polygon, CD3 and CAR by rectangles on
compensated logicle scales) are applied by ``cartrace.flow.engine`` and by ``flowkit.Session``, each
in fresh processes, from opening the file to the membership of every event. FlowKit runs without and
with cache_events; the faster one counts. Membership has to be identical.

Seconds are wall time after the imports, the best of the repeats, and the processor time of that run;
memory is the peak of the whole process. One row per size is appended to benchmarks/flow_results.tsv.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from record import append_row

OUTPUT = Path(__file__).with_name("flow_results.tsv")
DYES = [f"FL{i}-A" for i in range(1, 14)]
NAMES = ["FSC-A", "FSC-H", "SSC-A", *DYES]


def simulate(path: Path, n: int) -> None:
    """Write a tube: two of three events are lymphocytes, of those half are T cells, of those a tenth CAR+."""
    rng = np.random.default_rng(5)
    spill = np.eye(len(DYES))
    for i in range(len(DYES) - 1):
        spill[i, i + 1], spill[i + 1, i] = 0.15, 0.04
    text = {
        "$BYTEORD": "1,2,3,4",
        "$DATATYPE": "F",
        "$MODE": "L",
        "$NEXTDATA": "0",
        "$PAR": str(len(NAMES)),
        "$TOT": str(n),
        "$SPILLOVER": ",".join([str(len(DYES)), *DYES, *(f"{v:g}" for v in spill.ravel())]),
        "$BEGINANALYSIS": "0",
        "$ENDANALYSIS": "0",
        "$BEGINSTEXT": "0",
        "$ENDSTEXT": "0",
    }
    for i, name in enumerate(NAMES, 1):
        text |= {f"$P{i}N": name, f"$P{i}B": "32", f"$P{i}R": "262144", f"$P{i}E": "0,0"}
    start = 4096
    text |= {"$BEGINDATA": str(start), "$ENDDATA": str(start + 4 * n * len(NAMES) - 1)}
    words = ("/" + "/".join(part for pair in text.items() for part in pair) + "/").encode()
    # The header has 8 digits for an offset; a longer one is 0 there and stands in TEXT.
    stop = start + 4 * n * len(NAMES) - 1
    shown = (start, stop) if stop < 10**8 else (0, 0)
    header = f"FCS3.1    {58:>8}{57 + len(words):>8}{shown[0]:>8}{shown[1]:>8}{0:>8}{0:>8}".encode()
    with path.open("wb") as file:
        file.write((header + words).ljust(start))
        for first in range(0, n, 250_000):
            m = min(250_000, n - first)
            lymphocyte = rng.random(m) < 2 / 3
            t_cell = lymphocyte & (rng.random(m) < 0.5)
            positive = rng.random((m, len(DYES))) < 0.3
            positive[:, 0], positive[:, 1] = t_cell, t_cell & (rng.random(m) < 0.1)
            dyes = rng.normal(0, 60, positive.shape) + positive * rng.lognormal(8.5, 0.4, positive.shape)
            area = np.where(lymphocyte, 60e3, 130e3) * rng.lognormal(0, 0.12, m)
            height = area * rng.normal(0.8, 0.04, m) * np.where(rng.random(m) < 0.06, 0.55, 1)
            side = np.where(lymphocyte, 20e3, 90e3) * rng.lognormal(0, 0.25, m)
            columns = np.column_stack([area, height, side, dyes @ spill])
            file.write(columns.astype("<f4").tobytes())


def strategy() -> Any:
    """Five gates, each within the one before."""
    import flowkit
    from flowkit import Dimension, gates

    gating = flowkit.GatingStrategy()
    gating.add_transform("logicle", flowkit.transforms.LogicleTransform(262144, 0.5, 4.5, 0))
    area, height, side = (Dimension(c) for c in NAMES[:3])
    nested = [
        gates.PolygonGate("singlets", [area, height], [(0, 0), (262144, 1.7e5), (262144, 2.6e5), (0, 2e4)]),
        gates.RectangleGate("on scale", [Dimension("SSC-A", range_min=0, range_max=250e3)]),
        gates.PolygonGate(
            "lymphocytes",
            [area, side],
            [(30e3, 2e3), (100e3, 2e3), (110e3, 50e3), (60e3, 60e3), (30e3, 40e3)],
        ),
        gates.RectangleGate("CD3+", [Dimension("FL1-A", "FCS", "logicle", range_min=0.5)]),
        gates.RectangleGate(
            "CAR+",
            [
                Dimension("FL2-A", "FCS", "logicle", range_min=0.5),
                Dimension("FL3-A", "FCS", "logicle", range_max=0.9),
            ],
        ),
    ]
    above: tuple[str, ...] = ("root",)
    for gate in nested:
        gating.add_gate(gate, above)
        above = (*above, gate.gate_name)
    return gating


def measure(who: str, path: Path, target: Path) -> None:
    """Gate the tube once in this process; print seconds and memory, write the memberships."""
    gating = strategy()
    import flowkit

    from cartrace.flow.engine import Strategy, apply_strategy
    from cartrace.flow.fcs import read_fcs

    before = _peak()
    start, started = perf_counter(), process_time()
    if who == "cartrace":
        data = read_fcs(path, path.name)
        members = list(apply_strategy(data, Strategy(gating, data.spillover)).values())
    else:
        session = flowkit.Session(gating, flowkit.Sample(path, sample_id="tube", subsample=1))
        if who == "flowkit":
            session.analyze_samples(use_mp=False)
            membership = partial(session.get_gate_membership, "tube")
        else:
            # FlowKit 1.3.2: a Session with one sample does not hand cache_events on.
            found = gating.gate_sample(session.get_sample("tube"), cache_events=True)
            membership = found.get_gate_membership
        members = [membership(name, above) for name, above in gating.get_gate_ids()]
    seconds, processor = perf_counter() - start, process_time() - started
    np.save(target, np.packbits(members, axis=1))
    print(
        json.dumps(
            {
                "s": seconds,
                "cpu_s": processor,
                "mib": _peak(),
                "imports_mib": before,
                "events": [int(m.sum()) for m in members],
            }
        )
    )


def _peak() -> float:
    """Return the peak of memory of this process, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(n: int, repeats: int, folder: Path) -> dict[str, str]:
    """Measure one size."""
    path = folder / "tube.fcs"
    simulate(path, n)
    best: dict[str, dict[str, Any]] = {}
    for _ in range(repeats):
        for who in ("cartrace", "flowkit", "flowkit_cached"):
            done = subprocess.run(
                [sys.executable, __file__, "--measure", who, str(path), str(folder / f"{who}.npy")],
                capture_output=True,
                text=True,
                check=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            if who not in best or found["s"] < best[who]["s"]:
                best[who] = found
    ours, theirs, cached = (np.load(folder / f"{w}.npy") for w in ("cartrace", "flowkit", "flowkit_cached"))
    assert np.array_equal(ours, theirs), "membership differs from FlowKit's"
    assert np.array_equal(ours, cached), "membership differs from FlowKit's with cache_events"
    fastest = min(("flowkit", "flowkit_cached"), key=lambda w: best[w]["s"])
    row = {"events": str(n), "inside": ",".join(map(str, best["cartrace"]["events"]))}
    for who, found in best.items():
        row |= {f"{who}_s": f"{found['s']:.2f}", f"{who}_cpu_s": f"{found['cpu_s']:.2f}"}
        row |= {f"{who}_peak_mib": f"{found['mib']:.0f}"}
    return {
        **row,
        "imports_mib": f"{best['cartrace']['imports_mib']:.0f}",
        "ratio": f"{best[fastest]['s'] / best['cartrace']['s']:.1f}",
        "cpu_ratio": f"{best[fastest]['cpu_s'] / best['cartrace']['cpu_s']:.1f}",
    }


def main() -> None:
    """Measure once and append a row per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], Path(args.measure[1]), Path(args.measure[2]))
        return
    for n in args.events:
        with tempfile.TemporaryDirectory() as scratch:
            measured = compare(n, args.repeats, Path(scratch))
        append_row(
            OUTPUT,
            measured,
            "src/cartrace/flow/engine.py",
            "src/cartrace/flow/fcs.py",
            "benchmarks/flow.py",
        )


if __name__ == "__main__":
    main()
