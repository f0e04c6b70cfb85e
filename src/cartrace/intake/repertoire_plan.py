"""The plan of clones and integration sites: what is read, and which subjects it belongs to.

Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cartrace.intake.library_plan import EMPTY_CONTIGS, LibraryPlan, bam_index, own_file, place
from cartrace.intake.paths import Hashes, digest, path_in, teller, undated
from cartrace.intake.sheets import SAFE_NAME, quote

if TYPE_CHECKING:
    from cartrace import config as configuration
    from cartrace.intake.sheets import Sample, Sheets
    from cartrace.problems import Problem

_FACTS = ("sample_id", "subject_id", "matrix", "infusion", "day", "study_day", "visit")


@dataclass(frozen=True, slots=True)
class ContigPlan:
    """The receptor chains of one library; paths are relative to the trial folder, empty where there is none."""

    library_id: str
    subject: str
    """Key of the subject, which names files."""
    tcr_contigs: str
    bcr_contigs: str
    sha256: str
    facts: Mapping[str, object]
    """What following the subject's clones needs to know of the library."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files, each once."""
        return tuple(dict.fromkeys(filter(None, (self.tcr_contigs, self.bcr_contigs))))

    @property
    def reading(self) -> str:
        """What reading them needs, as JSON."""
        return json.dumps({"tcr_contigs": self.tcr_contigs, "bcr_contigs": self.bcr_contigs})


@dataclass(frozen=True, slots=True)
class SitePlan:
    """One set of integration sites; paths are relative to the trial folder."""

    site_set: str
    subject: str
    path: str
    index: str
    """Index of a BAM; empty without one."""
    specimen: str
    is_bam: bool
    sha256: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RepertoirePlan:
    """What the repertoire stage reads."""

    contigs: Mapping[str, ContigPlan]
    """library_id -> its contigs, in the order of the libraries sheet."""
    sites: Mapping[str, SitePlan]
    """site_set_id -> its sites, in the order of the integration_sites sheet."""
    subjects: Mapping[str, str]
    """Key of a subject, which names files -> subject_id."""
    genes_of_concern: str
    genes_sha256: str

    @property
    def empty(self) -> bool:
        """Whether there is nothing to follow."""
        return not self.contigs and not self.sites

    @property
    def clone_subjects(self) -> list[str]:
        """Keys of the subjects with contigs."""
        return list(dict.fromkeys(item.subject for item in self.contigs.values()))

    @property
    def site_subjects(self) -> list[str]:
        """Keys of the subjects with integration sites."""
        return list(dict.fromkeys(item.subject for item in self.sites.values()))

    @property
    def sources(self) -> list[str]:
        """Return what measurements say of their files: the hash of each, and whose cells a site set is of.

        One JSON object for each library and site set, since Linux takes no single
        argument above 128 kB: all in one would end at about 1,500 libraries.
        """
        return [
            *(json.dumps({"libraries": {name: item.sha256}}) for name, item in self.contigs.items()),
            *(
                json.dumps(
                    {"site_sets": {name: [item.facts["sample_id"], item.facts["cell_type"], item.sha256]}}
                )
                for name, item in self.sites.items()
            ),
        ]

    def contigs_of(self, subject: str) -> list[ContigPlan]:
        """Return the libraries of a subject."""
        return [item for item in self.contigs.values() if item.subject == subject]

    def sites_of(self, subject: str) -> list[SitePlan]:
        """Return the site sets of a subject."""
        return [item for item in self.sites.values() if item.subject == subject]

    def facts_of(self, subject: str, kind: str) -> str:
        """Return what following a subject needs to know of its libraries or site sets, as JSON."""
        items = self.contigs_of(subject) if kind == "contigs" else self.sites_of(subject)
        return json.dumps([dict(item.facts) for item in items])


def plan_repertoire(
    folder: Path,
    config: configuration.Config,
    sheets: Sheets,
    libraries: Mapping[str, LibraryPlan],
    *,
    early: frozenset[str],
    config_file: str,
    hashes: Hashes,
    problems: list[Problem],
) -> RepertoirePlan:
    """Find what belongs to the repertoire stage; every problem is added to ``problems``.

    Parameters
    ----------
    folder
        The trial folder.
    config
        Its configuration.
    sheets
        What the sheets say.
    libraries
        All libraries of the sheet, also those without a count matrix.
    early
        Samples from before the infusion, without the product.
    config_file
        How errors name the configuration.
    hashes
        Hashes of files.
    problems
        Every problem is added to it.
    """
    samples = {s.sample_id: s for s in sheets.samples}
    with_contigs = [
        i for i in libraries.values() if (i.tcr_contigs or i.bcr_contigs) and i.sample_id in samples
    ]
    site_sets = [s for s in sheets.site_sets if s.sample_id in samples]
    named = [i.sample_id for i in with_contigs] + [s.sample_id for s in site_sets]
    keys = subject_keys(samples[sample_id].subject_id for sample_id in named)
    contigs = {
        item.library_id: ContigPlan(
            item.library_id,
            keys[samples[item.sample_id].subject_id],
            item.tcr_contigs,
            item.bcr_contigs,
            item.contigs_sha256,
            {
                "library_id": item.library_id,
                **_facts(samples[item.sample_id], early),
                "sort": item.sort,
                "cells": item.has_cells,
                # No B cell where B-cell receptors were sequenced is a result; where they were not, it is none.
                "tcr": bool(item.tcr_contigs),
                "bcr": bool(item.bcr_contigs),
            },
        )
        for item in with_contigs
    }
    sites = {}
    contents: dict[tuple[str | None, str], str] = {}
    for sites_row in site_sets:
        file = str(config.sheets.integration_sites)
        tell = teller(problems, file, "path", sites_row.row)
        undated(sites_row.path, config, tell)
        # It stands in the command, so in Snakemake's log.
        undated(sites_row.specimen, config, teller(problems, file, "specimen", sites_row.row), "specimen")
        if not sites_row.path or not path_in(
            folder / config.data_dir, sites_row.path, "the data folder", tell
        ):
            continue
        if sites_row.is_bam and not config.repertoire.sites.junctions.vector:
            tell(
                "a BAM",
                "repertoire.sites.junctions.vector in the configuration: the vector's sequences in it",
            )
        path = place(config, sites_row.path)
        if (folder / path).stat().st_size >= EMPTY_CONTIGS:
            content = (hashes.sha256(path, tell), sites_row.specimen)
            other = contents.setdefault(content, sites_row.site_set_id)
            if other != sites_row.site_set_id:
                tell(f"the same content as {quote(other)}", "each content once, or cells count twice")
        index = bam_index(folder, path) if sites_row.is_bam else ""
        sites[sites_row.site_set_id] = SitePlan(
            sites_row.site_set_id,
            keys[samples[sites_row.sample_id].subject_id],
            path,
            index,
            sites_row.specimen,
            sites_row.is_bam,
            digest((p, hashes.sha256(p, tell)) for p in filter(None, (path, index))),
            {
                "site_set": sites_row.site_set_id,
                "cell_type": sites_row.cell_type,
                **_facts(samples[sites_row.sample_id], early),
            },
        )
    genes = config.repertoire.sites.genes_of_concern or ""
    if genes:
        tell = teller(problems, config_file, "repertoire.sites.genes_of_concern")
        genes = own_file(folder, genes, config, tell)
    genes_sha256 = digest([hashes.sha256(genes, tell)]) if genes else ""
    subjects = {key: subject for subject, key in keys.items()}
    return RepertoirePlan(contigs, sites, subjects, genes, genes_sha256)


def subject_keys(subjects: Iterable[str]) -> dict[str, str]:
    """Return for each subject a name that files can have: its id, or letters of it with a digest.

    A subject's key never depends on the other subjects: a new one must not rename the files of an old one. The
    sheets refuse subjects that differ by case or punctuation alone.
    """
    return {
        subject: subject
        if SAFE_NAME.fullmatch(subject)
        # A name that began with a dash would be an option of a command.
        else f"{re.sub(r'[^A-Za-z0-9]+', '-', subject)[:40]}-{digest([subject])[:8]}".lstrip("-")
        for subject in subjects
    }


def _facts(sample: Sample, early: frozenset[str]) -> dict[str, object]:
    return {name: getattr(sample, name) for name in _FACTS} | {"pre_infusion": sample.sample_id in early}
