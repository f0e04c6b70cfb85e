"""Speed and memory of counting CAR molecules from a BAM file, beside full scans of it.

A BAM file of a human-sized genome is written: T-cell reads with Cell Ranger's tags all over the chromosomes, CAR reads
on a contig of their own, reads of CD8A, CD28, TNFRSF9, CD247 and CSF2RA at their places in GRCh38, and 1 % unmapped.
Fresh processes then

- cartrace: count CAR molecules through the index, from opening the file to the last table;
- blocks: fetch the same stretches with pysam and only count the reads: the bare cost of the blocks;
- fields: the same, taking cell, UMI and sequence of each read: the least that any counter has to do;
- scan: read the whole file with pysam and look at the contig of each read;
- scan_tags: the same, taking CB, UB and GN of each read, as counters without an index do.

``no_contig`` asks for a construct that has no contig in the file, so that unmapped reads and the immunoglobulin loci
are searched too. Seconds are wall time after the imports, the best of the repeats. One row is appended to
benchmarks/car_reads_results.tsv.
"""

from __future__ import annotations

import argparse
import json
import resource
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from record import append_row

OUTPUT = Path(__file__).with_name("car_reads_results.tsv")
LENGTHS = {
    "chr1": 248956422,
    "chr2": 242193529,
    "chr3": 198295559,
    "chr6": 170805979,
    "chr14": 107043718,
    "chr22": 50818468,
    "chrX": 156040895,
}
READ = 90
CELLS = 10_000
BLOCK = 200_000
SCANS = ("scan", "scan_tags")


def simulate(path: Path, n: int, car_reads: int) -> None:
    """Write the file: background by numpy, the rest by cartrace's own simulation, merged by samtools."""
    import pysam

    from cartrace.cells.settings import CarReads
    from cartrace.simulate.cell_reads import (
        Planted,
        ReadModel,
        made_up_barcodes,
        reverse_complement,
        simulate_reads,
    )
    from cartrace.simulate.construct import made_up_construct, made_up_endogenous

    car, genes = made_up_construct(), made_up_endogenous()
    contigs = LENGTHS | {car.name: len(car.sequence)}
    header = pysam.AlignmentHeader.from_dict(
        {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": k, "LN": v} for k, v in contigs.items()]}
    )
    background, special = path.with_name("background.bam"), path.with_name("special.bam")
    loci = {g: place.partition(":") for g, place in CarReads().loci.items()}
    firsts = {g: (contig, int(span.partition("-")[0])) for g, (contig, _, span) in loci.items()}
    _write_background(background, header, n)
    rng = np.random.default_rng(2)
    cells = made_up_barcodes(CELLS, rng)
    # About four reads a molecule.
    molecules = car_reads // 8
    planted = [Planted(cells[int(i)], car.name, 1) for i in rng.integers(CELLS // 2, size=molecules)]
    planted += [
        Planted(cells[int(i)], list(firsts)[int(g)], 1)
        for i, g in zip(
            rng.integers(CELLS, size=molecules), rng.integers(len(firsts), size=molecules), strict=True
        )
    ]
    reads = simulate_reads(planted, genes | {car.name: car.sequence}, ReadModel(), seed=3)
    segments = []
    for read in reads:
        contig, first = firsts.get(read.transcript, (car.name, 0))
        segment = pysam.AlignedSegment(header)
        segment.query_name, segment.flag, segment.mapping_quality = read.name, 16, 255
        segment.reference_id, segment.reference_start = list(contigs).index(contig), first + read.start
        segment.query_sequence = reverse_complement(read.sequence)
        segment.query_qualities_str = "F" * len(read.sequence)
        segment.cigarstring = f"{len(read.sequence)}M"
        tags = [
            ("CB", read.cell),
            ("UB", read.true_umi),
            ("CR", read.cell[:-2]),
            ("UR", read.umi),
            ("NH", 1),
            ("nM", 0),
        ]
        segment.set_tags([*tags, ("GX", read.transcript), ("GN", read.transcript)])
        segments.append(segment)
    segments.sort(key=lambda s: (s.reference_id, s.reference_start))
    with pysam.AlignmentFile(str(special), "wb", header=header) as file:
        for segment in segments:
            file.write(segment)
    pysam.merge("-f", "-l", "1", "-@", "2", str(path), str(background), str(special))
    background.unlink()
    pysam.index("-@", "2", str(path))


def _write_background(path: Path, header: Any, n: int) -> None:
    """Write ``n`` reads of random genes, the last hundredth unmapped, as records of one length."""
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    text = str(header).encode()
    names = list(header.references)
    start = b"BAM\1" + struct.pack("<i", len(text)) + text + struct.pack("<i", len(names))
    for name, length in zip(names, header.lengths, strict=True):
        start += struct.pack("<i", len(name) + 1) + name.encode() + b"\0" + struct.pack("<i", length)
    tags = b"CBZ" + b"A" * 16 + b"-1\0UBZ" + b"A" * 12 + b"\0CRZ" + b"A" * 16 + b"\0URZ" + b"A" * 12 + b"\0"
    tags += (
        b"CYZ"
        + b"F" * 16
        + b"\0UYZ"
        + b"F" * 12
        + b"\0NHC\1nMC\0xfC\x19GXZENSG00000000000\0GNZGENE00000\0REAE"
    )
    name = b"read00000000\0"
    body = struct.pack("<iiBBHHHiiii", 0, 0, len(name), 255, 0, 1, 16, READ, -1, -1, 0)
    body += name + struct.pack("<I", READ << 4) + b"\0" * (READ // 2) + bytes([37]) * READ + tags
    record = np.frombuffer(struct.pack("<i", len(body)) + body, dtype=np.uint8)
    sequence_at = 36 + len(name) + 4
    tags_at = sequence_at + READ // 2 + READ
    barcodes = letters[rng.integers(4, size=(CELLS, 16))]
    mapped = n - n // 100
    shares = np.array([LENGTHS[c] for c in LENGTHS], dtype=float)
    counts = np.floor(shares / shares.sum() * mapped).astype(int)
    counts[0] += mapped - counts.sum()
    command = ["view", "-b", "-1", "-@", "2", "-o", str(path), "-"]
    samtools = subprocess.Popen(["samtools", *command], stdin=subprocess.PIPE)
    assert samtools.stdin is not None
    samtools.stdin.write(start)
    done = 0
    for tid, (contig, count) in enumerate([*zip(LENGTHS, counts.tolist(), strict=True), ("*", n // 100)]):
        positions = np.sort(
            rng.integers(1_000, LENGTHS.get(contig, 2_000) - 200, size=count).astype(np.int64)
        )
        for at in range(0, count, BLOCK):
            here = positions[at : at + BLOCK]
            block = np.tile(record, (len(here), 1))
            if contig == "*":
                block[:, 4:12] = np.frombuffer(struct.pack("<ii", -1, -1), dtype=np.uint8)
                block[:, 18:20] = np.frombuffer(struct.pack("<H", 4), dtype=np.uint8)
                block[:, 13] = 0
            else:
                block[:, 4:8] = np.frombuffer(struct.pack("<i", tid), dtype=np.uint8)
                block[:, 8:12] = here.astype("<i4").view(np.uint8).reshape(-1, 4)
            bins = np.where(here >> 14 == (here + READ - 1) >> 14, 4681 + (here >> 14), 585 + (here >> 17))
            block[:, 14:16] = bins.astype("<u2").view(np.uint8).reshape(-1, 2)
            number = np.char.mod("%08d", np.arange(done, done + len(here)) % 10**8).astype("S8")
            block[:, 40:48] = number.view(np.uint8).reshape(-1, 8)
            # Four bits a base: 1, 2, 4, 8 are A, C, G, T. Genes repeat, as they do in cells.
            genes = rng.integers(5_000, size=len(here))
            pairs = np.array([a << 4 | b for a in (1, 2, 4, 8) for b in (1, 2, 4, 8)], dtype=np.uint8)
            known = pairs[np.random.default_rng(9).integers(16, size=(5_000, READ // 2))]
            block[:, sequence_at : sequence_at + READ // 2] = known[genes]
            cells = barcodes[rng.integers(CELLS, size=len(here))]
            umis = letters[rng.integers(4, size=(len(here), 12))]
            for offset, what in ((3, cells), (25, umis), (41, cells), (61, umis)):
                block[:, tags_at + offset : tags_at + offset + what.shape[1]] = what
            samtools.stdin.write(block.tobytes())
            done += len(here)
    samtools.stdin.close()
    if samtools.wait():
        raise SystemExit("samtools failed")


@dataclass(frozen=True)
class _Car:
    name: str
    sequence: str
    domains: tuple[Any, ...]
    coding: tuple[int, int] | None = None


def measure(who: str, path: Path, contig: bool) -> None:
    """Do one thing in this process; print seconds, memory and what was found."""
    import pysam

    from cartrace.cells.bam import Tally, find_targets, open_bam, read_car_reads
    from cartrace.cells.car_reads import collect, count_car_molecules
    from cartrace.cells.matching import Matcher, relatives
    from cartrace.cells.settings import CarReads
    from cartrace.simulate.construct import made_up_construct, made_up_endogenous

    settings = CarReads()
    made = made_up_construct()
    asked = [
        _Car("absent" if not contig else made.name, made.sequence + ("" if contig else "A"), made.domains)
    ]
    endogenous = made_up_endogenous()
    start, started = perf_counter(), process_time()
    found = 0
    if who in SCANS:
        with pysam.AlignmentFile(str(path)) as bam:
            wanted = bam.get_tid(made.name)
            for read in bam.fetch(until_eof=True):
                if who == "scan_tags":
                    for tag in ("CB", "UB", "GN"):
                        if read.has_tag(tag):
                            read.get_tag(tag)
                found += read.reference_id == wanted
    else:
        with open_bam(path, path.name) as bam:
            targets = find_targets(
                dict(zip(bam.references, bam.lengths, strict=True)),
                {c.name: ((c.name,), len(c.sequence)) for c in asked},
                loci=settings.loci,
                binder_loci=settings.binder_loci,
                file=path.name,
                shipped_loci=True,
            )
            assert not targets.gaps
            if who == "cartrace":
                tally = Tally()
                matcher = Matcher(asked, relatives(asked, endogenous.items()), settings)
                evidence = collect(read_car_reads(bam, targets, tally), matcher, "5p")
                counted = count_car_molecules(
                    evidence,
                    asked,
                    settings,
                    library="L",
                    chemistry="5p",
                    product=[asked[0].name],
                    targets=targets,
                    tally=tally,
                    from_index=True,
                    file=path.name,
                )
                found = int(counted.car_reads["molecules"].sum())
            else:
                streams: list[tuple[Any, ...]] = [(s.contig, s.start, s.end) for s in targets.stretches]
                for where in [*streams, *([("*",)] if targets.unmapped else [])]:
                    for read in bam.fetch(*where):
                        if who == "fields":
                            fields = read.get_tag("CB"), read.get_tag("UB"), read.query_sequence
                            assert fields
                        found += 1
    seconds, processor = perf_counter() - start, process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"s": seconds, "cpu_s": processor, "mib": peak, "found": found}))


def compare(path: Path, repeats: int, scans: bool) -> dict[str, str]:
    """Measure everything on one file."""
    row: dict[str, str] = {}
    best: dict[str, dict[str, float]] = {}
    tasks = [(w, c) for c in ("contig", "no_contig") for w in ("cartrace", "blocks", "fields")]
    tasks += [(w, "contig") for w in SCANS] if scans else []
    for who, contig in tasks:
        for _ in range(1 if who in SCANS else repeats):
            done = subprocess.run(
                [sys.executable, __file__, "--measure", who, str(path), contig],
                capture_output=True,
                text=True,
                check=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            name = who if who in SCANS else f"{contig}_{who}"
            if name not in best or found["s"] < best[name]["s"]:
                best[name] = found
    for name, found in best.items():
        row |= {f"{name}_s": f"{found['s']:.3g}", f"{name}_cpu_s": f"{found['cpu_s']:.3g}"}
        row |= {f"{name}_found": f"{found['found']:.0f}"}
    row["cartrace_peak_mib"] = f"{best['contig_cartrace']['mib']:.0f}"
    for contig in ("contig", "no_contig"):
        for unit, suffix in (("s", ""), ("cpu_s", "_cpu")):
            own = best[f"{contig}_cartrace"][unit]
            for bare in ("blocks", "fields"):
                row[f"{contig}_times_{bare}{suffix}"] = f"{own / best[f'{contig}_{bare}'][unit]:.2f}"
            for scan in SCANS if scans else ():
                row[f"{contig}_faster_than_{scan}{suffix}"] = f"{best[scan][unit] / own:.0f}"
    return row


def main() -> None:
    """Measure once and append a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=20_000_000)
    parser.add_argument(
        "--car-reads", type=int, default=20_000, help="on the CAR contig and the loci together"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-scans", action="store_true", help="leave the minutes of the full scans out")
    parser.add_argument("--folder", type=Path, help="keep the BAM file here, and use it when it is there")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], Path(args.measure[1]), args.measure[2] == "contig")
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = (args.folder or Path(scratch)) / f"reads_{args.reads}_{args.car_reads}.bam"
        if not path.exists():
            simulate(path, args.reads, args.car_reads)
        size = f"{path.stat().st_size / 2**20:.0f}"
        measured = compare(path, args.repeats, not args.no_scans)
    append_row(
        OUTPUT,
        {"reads": str(args.reads), "mib": size, **measured},
        "src/cartrace/cells/bam.py",
        "src/cartrace/cells/car_reads.py",
        "src/cartrace/cells/matching.py",
        "src/cartrace/cells/molecules.py",
        "benchmarks/car_reads.py",
    )


if __name__ == "__main__":
    main()
