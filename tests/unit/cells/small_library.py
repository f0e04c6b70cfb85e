"""A small genome with made-up genes and a CAR, and 10x reads of it with known molecules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cartrace.cells.constructs import reverse_complement
from cartrace.simulate.construct import fasta_text, made_up_construct, made_up_endogenous

READ = 90
INTRON = "GTAAGT" + "ACCTGATTGCAATCGG" * 12 + "TTTTCTTTTCAG"


@dataclass
class SmallLibrary:
    """Reads to write, and the molecules behind them by (barcode, gene)."""

    chemistry: str
    molecules: Counter[tuple[str, str]] = field(default_factory=Counter)
    barcode_lines: list[str] = field(default_factory=list)
    read_lines: list[str] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(5))

    def add(self, barcode: str, gene: str, transcript: str, start: int) -> None:
        """Add one molecule with one read, which begins at ``start`` (from 0) of the transcript."""
        umi = "".join(self.random.choices("ACGT", k=12))
        piece = transcript[start : start + READ]
        letters = reverse_complement(piece) if self.chemistry == "5p" else piece
        name = f"@r{len(self.read_lines)}"
        self.barcode_lines.append(f"{name}\n{barcode}{umi}\n+\n{'I' * 28}\n")
        self.read_lines.append(f"{name}\n{letters}\n+\n{'I' * READ}\n")
        self.molecules[barcode, gene] += 1

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both FASTQ files."""
        for name, lines in (("R1", self.barcode_lines), ("R2", self.read_lines)):
            (folder / f"{name}.fastq").write_text("".join(lines))
        return folder / "R1.fastq", folder / "R2.fastq"


def barcodes(number: int) -> list[str]:
    """Return barcodes that are far from each other."""
    random = Random(9)
    return ["".join(random.choices("ACGT", k=16)) for _ in range(number)]


def write_genome(folder: Path) -> tuple[Path, Path]:
    """Write the endogenous genes as a genome with one intron each, every second gene on the minus strand."""
    random = Random(3)
    contig, gtf = "", []
    for i, (gene, transcript) in enumerate(made_up_endogenous().items()):
        cut = len(transcript) // 3
        locus = transcript[:cut] + INTRON + transcript[cut:]
        exons = [(0, cut), (cut + len(INTRON), len(locus))]
        strand = "+-"[i % 2]
        if strand == "-":
            exons = [(len(locus) - b, len(locus) - a) for a, b in exons][::-1]
            locus = reverse_complement(locus)
        contig += "".join(random.choices("ACGT", k=500))
        ids = f'gene_id "G{i}"; gene_name "{gene}"; transcript_id "T{i}";'
        gtf += [
            f"chrA\tx\texon\t{len(contig) + a + 1}\t{len(contig) + b}\t.\t{strand}\t.\t{ids}\n"
            for a, b in exons
        ]
        contig += locus
    contig += "".join(random.choices("ACGT", k=500))
    (folder / "genome.fa").write_text(fasta_text({"chrA": contig}))
    (folder / "genes.gtf").write_text("".join(gtf))
    return folder / "genome.fa", folder / "genes.gtf"


def library(chemistry: str, cells: list[str], car_cells: int) -> SmallLibrary:
    """Put molecules of CD247, ACTB and (in the first cells) of the CAR into cells, evenly along the transcripts."""
    genes = made_up_endogenous()
    car = made_up_construct()
    made = SmallLibrary(chemistry)
    for n, cell in enumerate(cells):
        for gene, every in (("CD247", 25), ("CD8A", 40), ("ACTB", 60)):
            transcript = genes[gene]
            for start in range(n % every, len(transcript) - READ + 1, every):
                made.add(cell, gene, transcript, start)
        if n < car_cells:
            for start in range(n * 7, len(car.sequence) - READ + 1, 60):
                made.add(cell, car.name, car.sequence, start)
    return made
