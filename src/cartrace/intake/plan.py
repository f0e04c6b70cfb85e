"""What there is to do in a trial folder, known before the first job runs.

:func:`load_plan` checks configuration, sheets, mappings and laboratory files
and reports every problem at once. The Snakefile calls it while it is parsed, so
this module writes nothing and imports nothing heavy.

Laboratory files are known by content. Hashing a terabyte at each dry-run would
be slow, so a manifest remembers the hash of each path, size and time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cartrace import config as configuration
from cartrace.files import write_whole
from cartrace.flow.panel import Panel, read_panel
from cartrace.immunoassay.assay import Assay as Immunoassay
from cartrace.immunoassay.assay import read_assay as read_immunoassay
from cartrace.intake.inbox import read_stored, source_folders, stored_path
from cartrace.intake.inbox_rows import InboxPlan, InboxRow
from cartrace.intake.library_plan import (
    ConstructPlan,
    LibraryPlan,
    libraries_digest,
    plan_constructs,
    plan_libraries,
    plan_reference,
)
from cartrace.intake.mapping import Mapping as TableMapping
from cartrace.intake.mapping import read_mapping
from cartrace.intake.paths import MANIFEST, RESULTS, Hashes, Tell, digest, path_in, stamp, teller, undated
from cartrace.intake.repertoire_plan import RepertoirePlan, plan_repertoire
from cartrace.intake.sheets import (
    FILE_NAME,
    PLATE_COLUMNS,
    LaboratoryFile,
    Sheets,
    names_files,
    quote,
    read_sheets,
)
from cartrace.intake.tube_controls import Control, before_infusion, controls_of, tube_faults, tube_json
from cartrace.pcr.assay import Assay, read_assay
from cartrace.pcr.vocabulary import AMPLITUDE_FILE
from cartrace.problems import InputError, Problem, did_you_mean, holds_date, plain, raise_if_any

if TYPE_CHECKING:
    from cartrace.intake.inbox_match import Matched
    from cartrace.intake.observations import Observation
    from cartrace.intake.sheets import Event, Sample
    from cartrace.intake.tubes import GateReview, Tube

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One laboratory file that is to be read.

    All paths are relative to the trial folder. ``clock_digest`` is empty unless
    the table holds dates; it then stands for the infusions of the subjects in
    that file, so that a new subject does not rerun other files.
    """

    file_id: str
    path: str
    sha256: str
    reader: str
    mapping: str
    clock_digest: str
    plate_map: str = ""
    amplitudes: tuple[str, ...] = ()
    """Droplet amplitudes beside a digital PCR plate, one file for each well, in order."""
    curves: tuple[str, ...] = ()
    """Stored standard curves that the plate's assay names, in order."""
    extra_sha256: str = ""
    """Digest of plate map, amplitudes, curves, gate file, compensation and controls; empty without them."""
    gate_file: str = ""
    """Drawn gates of the tube's panel: Gating-ML or a FlowJo workspace."""
    compensation: str = ""
    """Spillover matrix (csv) of the tube's panel."""
    controls: tuple[str, ...] = ()
    """Files that are controls of a flow tube, in order: file_id, all of them in the plan."""
    tube: str = ""
    """What gating needs of the tubes sheet, as JSON: ``kind``, ``marker``, ``data_set``, ``unreadable``
    (pairs of marker and reason) and ``controls`` (``file_id``, ``kind``, ``marker``, ``data_set``); the
    kind of a control may be pre_infusion."""


@dataclass(frozen=True, slots=True)
class LimitPlan:
    """The data behind one entry of ``pcr.detection_limits``; paths are relative to the trial folder."""

    name: str
    dilutions: str
    blanks: str | None
    sha256: str
    """Digest of the content of both files."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked trial folder."""

    config: configuration.Config
    files: dict[str, FilePlan]
    sheet_paths: dict[str, str]
    """The sheets that ``check_sheets`` reads; not those of extractions, tubes, gate reviews, libraries
    and integration sites."""
    sheets_digest: str
    stats: dict[str, tuple[int, int, str]]
    """Size, modification time (ns) and SHA-256 of each file that was hashed."""
    extractions_digest: str
    limits: dict[str, LimitPlan]
    tubes_digest: str
    """Digest of the content of the tubes and the gate review sheet."""
    constructs: dict[str, ConstructPlan]
    reference_sha256: str
    """Digest of what constructs are compared with and reads are counted on (``cells.reference``)."""
    libraries: dict[str, LibraryPlan]
    """The single-cell libraries with a count matrix or reads, in the order of their sheet."""
    libraries_digest: str
    """Digest of the content of the libraries sheet."""
    repertoire: RepertoirePlan
    """Receptor chains and integration sites."""
    inbox: InboxPlan
    """What became of the files of the inbox; without rows where there is none."""

    @property
    def tables(self) -> dict[str, FilePlan]:
        """The laboratory tables, in the order of the files sheet."""
        return {i: f for i, f in self.files.items() if f.reader == "laboratory_table"}

    @property
    def plates(self) -> dict[str, FilePlan]:
        """The PCR plates, in the order of the files sheet."""
        return {i: f for i, f in self.files.items() if f.reader == "pcr_plate"}

    @property
    def tubes(self) -> dict[str, FilePlan]:
        """The flow tubes, samples and controls, in the order of the files sheet."""
        return {i: f for i, f in self.files.items() if f.reader == "fcs_tube"}

    @property
    def immunoassays(self) -> dict[str, FilePlan]:
        """The immunoassay plates, in the order of the files sheet."""
        return {i: f for i, f in self.files.items() if f.reader == "immunoassay_plate"}

    @property
    def with_reads(self) -> frozenset[str]:
        """Libraries whose CAR molecules come from reads; of the others the feature's counts are used."""
        # The pseudoaligner writes no BAM.
        counted_with_reads = self.config.cells.reference.counter == "starsolo"
        return frozenset(
            name
            for name, library in self.libraries.items()
            if self.constructs and (library.bam or (library.fastq and counted_with_reads))
        )

    def controls_of(self, library_id: str) -> frozenset[str]:
        """Libraries from before the infusion whose CAR evidence is of the same kind: molecules or counts."""
        before = frozenset(self.libraries[library_id].before)
        return before & self.with_reads if library_id in self.with_reads else before - self.with_reads

    @property
    def subjects_from_tables(self) -> bool:
        """Whether the subjects are those found in the tables (no subjects or infusions sheet)."""
        return "subjects" not in self.sheet_paths or "infusions" not in self.sheet_paths

    def settings(self, *keys: str) -> str:
        """JSON of the parts of the configuration that ``keys`` name; of the whole without a key.

        A key is a section, or a path with dots: ``kinetics.post_infusion_visits``.
        The JSON is itself a configuration: the other parts have their defaults.

        Raises
        ------
        KeyError
            For a key that does not exist.
        """
        # Where laboratories leave files is no setting of a result, and a path of the machine.
        whole = self.config.model_dump(mode="json", exclude=None if keys else {"inbox"})
        chosen: dict[str, Any] = {} if keys else whole
        for key in keys:
            *parents, last = key.split(".")
            source, target = whole, chosen
            for part in parents:
                source, target = source[part], target.setdefault(part, {})
            target[last] = source[last]
        return json.dumps(chosen, sort_keys=True)


def load_plan(config_raw: Mapping[str, Any], folder: Path, config_file: str = "config.yaml") -> Plan:
    """Check a trial folder and return the plan.

    Parameters
    ----------
    config_raw
        The configuration as read.
    folder
        The trial folder.
    config_file
        How errors name the configuration.

    Raises
    ------
    InputError
        With every problem of configuration, sheets, mappings and files.
    """
    config, problems = configuration.check(config_raw, config_file)
    stored = None
    if config.inbox is not None:
        problems += source_folders(config, folder, config_file)[1]
        stored = read_stored(config, folder, problems)
    sheets, more = read_sheets(folder, config, inbox=stored)
    problems += more
    hashes = Hashes(folder)
    clock_digest = _clock_digests(sheets)
    data_folder = os.path.realpath(folder / config.data_dir)
    files: dict[str, FilePlan] = {}
    mappings: dict[tuple[str, str], TableMapping | _AssayPlan | _PanelPlan | Immunoassay | None] = {}
    data_sets = {tube.file_id: tube.data_set or 1 for tube in sheets.tubes}
    paths: dict[tuple[str, str, int], LaboratoryFile] = {}
    contents: dict[tuple[str, str, int], LaboratoryFile] = {}
    mappings |= _pattern_mappings(folder, config, config_file, problems)

    def planned(item: LaboratoryFile, own: list[Problem]) -> FilePlan | None:
        """Return the plan of a file; its problems go to ``own``, those of its mapping to ``problems``."""
        tell = teller(own, config.sheets.files, "path", item.row)
        # A file of the inbox that no row names was found in the store.
        listed = item.row is not None
        found = _data_path(item.path, folder, config, tell) if listed else None
        if item.mapping and (item.reader, item.mapping) not in mappings:
            read = _MAPPINGS.get(item.reader, _mapping)
            mappings[item.reader, item.mapping] = read(item, folder, config, problems)
        mapping = mappings.get((item.reader, item.mapping))
        plate_map = _plate_map(item, folder, config, own)
        amplitudes = _amplitudes(item, folder, config, own)
        if listed and found is None:
            return None
        # One workbook may hold several tables: each mapping reads its own sheet. One FCS file may hold
        # several data sets.
        part = (item.mapping, data_sets.get(item.file_id, 1))
        real = (str(found.resolve()) if found else f"{data_folder}/{item.path}", *part)
        if real in paths:
            tell("the file again", f"each file once for a mapping; it is also {paths[real].file_id}")
            return None
        paths[real] = item
        relative = f"{config.data_dir.rstrip('/')}/{item.path}"
        sha256 = hashes.sha256(relative, tell)
        if sha256 is None:
            return None
        content = (sha256, *part)
        if content in contents:
            tell(
                f"the same content as {quote(contents[content].file_id)}",
                "each content once, or every result would count twice",
            )
        contents.setdefault(content, item)
        dated = isinstance(mapping, TableMapping) and mapping.uses_clock
        curves = mapping.curves if isinstance(mapping, _AssayPlan) else ()
        gate_file, compensation = (
            (mapping.gate_file, mapping.compensation) if isinstance(mapping, _PanelPlan) else ("", "")
        )
        extra = [*filter(None, (plate_map, gate_file, compensation)), *amplitudes, *curves]
        return FilePlan(
            item.file_id,
            relative,
            sha256,
            item.reader,
            item.mapping,
            clock_digest(item.subjects) if dated else "",
            plate_map,
            amplitudes,
            curves,
            digest((name, hashes.sha256(name, tell)) for name in extra) if extra else "",
            gate_file,
            compensation,
        )

    of_inbox = sheets.inbox.places if sheets.inbox else {}
    # Of two with the same content, the one that is not of the inbox counts: it comes first.
    for item in sorted(sheets.files, key=lambda f: ("file", f.file_id) in of_inbox):
        owner = ("file", item.file_id)
        own: list[Problem] = [] if owner in of_inbox else problems
        plan = planned(item, own)
        if sheets.inbox and own is not problems and own:
            alike = own[0].found.startswith("the same content")
            sheets.inbox.withhold(owner, own, "same_content" if alike else "withheld")
        elif plan is not None:
            files[item.file_id] = plan
    files = {item.file_id: files[item.file_id] for item in sheets.files if item.file_id in files}
    panels = {name: plan.panel for (_, name), plan in mappings.items() if isinstance(plan, _PanelPlan)}
    files |= _flow_tubes(files, panels, sheets, config, problems)
    limits = _limits(folder, config, config_file, hashes, problems)
    constructs = plan_constructs(folder, config, config_file, hashes, problems)
    reference = plan_reference(folder, config, config_file, hashes, problems)
    # The product carries the CAR, though its sample's day is 0.
    early = before_infusion(
        (s for s in sheets.samples if s.matrix != "infusion_product"), config.kinetics.post_infusion_visits
    )
    while True:
        told: list[Problem] = []
        libraries = plan_libraries(folder, config, sheets, early=early, hashes=hashes, problems=told)
        repertoire = plan_repertoire(
            folder,
            config,
            sheets,
            libraries,
            early=early,
            config_file=config_file,
            hashes=hashes,
            problems=told,
        )
        kept = _without_faulty(sheets, config, told)
        if kept is sheets:
            break
        sheets = kept
    raise_if_any(problems + told)
    inbox, stats = _inbox(sheets, config, hashes)
    named = config.sheets.model_dump(
        exclude={"extractions", "tubes", "gate_review", "libraries", "integration_sites"}
    )
    return Plan(
        config,
        files,
        {name: path for name, path in named.items() if path is not None},
        _sheets_digest(sheets),
        stats,
        digest(sorted((asdict(e) for e in sheets.extractions), key=repr)),
        limits,
        _tubes_digest(sheets),
        constructs,
        reference,
        {name: library for name, library in libraries.items() if library.has_cells},
        libraries_digest(sheets.libraries),
        repertoire,
        inbox,
    )


def manifest_of(plan: Plan) -> dict[str, str]:
    """Return the manifest: the SHA-256 of each file that was hashed, by its stamp."""
    hashed = [(path, *stat) for path, stat in plan.stats.items()]
    return {stamp(path, size, at): sha256 for path, size, at, sha256 in [*hashed, *plan.inbox.stats]}


def write_manifest(plan: Plan, folder: Path) -> Path:
    """Write the manifest of ``plan`` into the trial folder, whole or not at all."""
    path = folder / MANIFEST
    write_whole(path, json.dumps(manifest_of(plan), indent=1) + "\n")
    return path


def _pattern_mappings(
    folder: Path, config: configuration.Config, config_file: str, problems: list[Problem]
) -> dict[tuple[str, str], TableMapping | _AssayPlan | _PanelPlan | Immunoassay | None]:
    """Read the mappings that the patterns of the inbox name, also those whose files have not come."""
    mappings: dict[tuple[str, str], TableMapping | _AssayPlan | _PanelPlan | Immunoassay | None] = {}
    for name, inbox in config.inbox.folders.items() if config.inbox else ():
        for number, pattern in enumerate(inbox.patterns):
            key = (pattern.reader, os.path.normpath(pattern.mapping))
            if key in mappings:
                continue
            own: list[Problem] = []
            item = LaboratoryFile("", "", *key, subjects=(), row=None)
            mappings[key] = _MAPPINGS[pattern.reader](item, folder, config, own)
            column = f"inbox.folders.{name}.patterns.{number}.mapping"
            problems.extend(
                replace(p, file=config_file, column=column) if p.file == config.sheets.files else p
                for p in own
            )
    return mappings


def _without_faulty(sheets: Sheets, config: configuration.Config, told: list[Problem]) -> Sheets:
    """Leave out the libraries and sets of sites of the inbox that have problems, which are taken from ``told``."""
    inbox = sheets.inbox
    if inbox is None or not told:
        return sheets
    rows = {
        (str(config.sheets.libraries), item.row): ("library", item.library_id) for item in sheets.libraries
    } | {(str(config.sheets.integration_sites), s.row): ("sites", s.site_set_id) for s in sheets.site_sets}
    faulty: dict[tuple[str, str], list[Problem]] = {}
    for problem in told:
        owner = rows.get((problem.file, problem.row or 0))
        if owner in inbox.places:
            faulty.setdefault(owner, []).append(problem)
    for owner, problems in faulty.items():
        inbox.withhold(owner, problems)
    if not faulty:
        return sheets
    return replace(
        sheets,
        libraries=tuple(i for i in sheets.libraries if ("library", i.library_id) not in faulty),
        site_sets=tuple(i for i in sheets.site_sets if ("sites", i.site_set_id) not in faulty),
    )


def _inbox(
    sheets: Sheets, config: configuration.Config, hashes: Hashes
) -> tuple[InboxPlan, dict[str, tuple[int, int, str]]]:
    """Return the inbox of the plan, and what was hashed of the files that the plan uses."""
    used = dict(hashes.stats)
    if sheets.inbox is None:
        return InboxPlan(), used
    paths = {place: stored_path(config, place) for place in sheets.inbox.rows}

    def sha256_of(place: tuple[str, str]) -> str:
        return hashes.sha256(paths[place], lambda *_: None) or ""

    plan = sheets.inbox.plan({place for place, path in paths.items() if path in used}, sha256_of)
    unused = {paths[place] for place in sheets.inbox.unused}
    beside = [(path, *stat) for path, stat in hashes.stats.items() if path in unused]
    tubes = [t for t in sheets.tubes if t.row is None]
    return (
        replace(
            plan,
            stats=tuple(beside),
            tubes=tuple(json.dumps([t.file_id, t.kind, t.sample_id, t.marker, t.batch]) for t in tubes),
        ),
        {path: stat for path, stat in used.items() if path not in unused},
    )


def _mapping(
    item: LaboratoryFile, folder: Path, config: configuration.Config, problems: list[Problem]
) -> TableMapping | None:
    """Read the mapping of a laboratory table."""
    return _read_with(read_mapping, item, folder, config, problems)


def _read_with(
    read: Callable[[Path, str], _Read],
    item: LaboratoryFile,
    folder: Path,
    config: configuration.Config,
    problems: list[Problem],
) -> _Read | None:
    """Read the mapping of a file, or tell why it can't be read and return None."""
    tell = teller(problems, config.sheets.files, "mapping", item.row)
    path = path_in(folder, item.mapping, "the trial folder", tell)
    if path is None:
        return None
    try:
        return read(path, item.mapping)
    except InputError as error:
        problems.extend(error.problems)
        return None


@dataclass(frozen=True, slots=True)
class _AssayPlan:
    assay: Assay
    curves: tuple[str, ...]


def _assay(
    item: LaboratoryFile, folder: Path, config: configuration.Config, problems: list[Problem]
) -> _AssayPlan | None:
    """Read the assay file, and check what it names outside itself: curves, limits, samples."""
    assay = _read_with(read_assay, item, folder, config, problems)
    if assay is None:
        return None
    if assay.uses_samples and config.sheets.samples is None:
        in_samples = teller(problems, item.mapping, "samples.pattern")
        in_samples(
            "names that stand for a sample_id, and no samples sheet",
            "sheets.samples in the configuration, or a pattern with the group subject",
        )
    curves = []
    for key, target in assay.targets.items():
        place = f"targets.{key}"
        if target.curve.file:
            in_assay = teller(problems, item.mapping, f"{place}.curve.file")
            undated(target.curve.file, config, in_assay)
            if path_in(folder, target.curve.file, "the trial folder", in_assay):
                curves.append(target.curve.file)
        name = target.limits.estimated
        estimates = config.pcr.detection_limits
        in_limits = teller(problems, item.mapping, f"{place}.limits.estimated")
        if name and name not in estimates:
            allowed = f"a name in pcr.detection_limits: {', '.join(estimates) or 'there is none'}"
            in_limits(f"unknown {quote(name)}", allowed, did_you_mean(name, estimates))
        elif name and estimates[name].target != key:
            found = f"{quote(name)}, which pcr.detection_limits gives for {quote(estimates[name].target)}"
            in_limits(found, f"limits of the target {quote(key)}")
    return _AssayPlan(assay, tuple(sorted(set(curves))))


@dataclass(frozen=True, slots=True)
class _PanelPlan:
    panel: Panel
    gate_file: str
    compensation: str


def _panel(
    item: LaboratoryFile, folder: Path, config: configuration.Config, problems: list[Problem]
) -> _PanelPlan | None:
    """Read the panel file, and find the gates and the matrix that it names."""
    panel = _read_with(read_panel, item, folder, config, problems)
    if panel is None:
        return None

    def found(column: str, text: str) -> str:
        in_panel = teller(problems, item.mapping, column)
        undated(text, config, in_panel)
        if Path(os.path.normpath(text)).parts[:1] == (RESULTS,):
            in_panel(f"{quote(text)}, which the workflow writes", "a copy of it outside results/")
        elif text and path_in(folder, text, "the trial folder", in_panel):
            return text
        return ""

    gates = ""
    if panel.drawn:
        gates = found("drawn.gating_ml" if panel.drawn.gating_ml else "drawn.flowjo", panel.drawn.file)
    return _PanelPlan(panel, gates, found("compensation.file", panel.compensation.file))


def _immunoassay(
    item: LaboratoryFile, folder: Path, config: configuration.Config, problems: list[Problem]
) -> Immunoassay | None:
    """Read the assay file of an immunoassay."""
    assay = _read_with(read_immunoassay, item, folder, config, problems)
    if assay is None:
        return None
    if assay.uses_samples and config.sheets.samples is None:
        teller(problems, item.mapping, "samples.pattern")(
            "names that stand for a sample_id, and no samples sheet",
            "sheets.samples in the configuration, or a pattern with the group subject",
        )
    return assay


_MAPPINGS: dict[str, Callable[..., TableMapping | _AssayPlan | _PanelPlan | Immunoassay | None]] = {
    "laboratory_table": _mapping,
    "pcr_plate": _assay,
    "fcs_tube": _panel,
    "immunoassay_plate": _immunoassay,
}


def _flow_tubes(
    files: dict[str, FilePlan],
    panels: Mapping[str, Panel],
    sheets: Sheets,
    config: configuration.Config,
    problems: list[Problem],
) -> dict[str, FilePlan]:
    """Return the flow tubes with their controls and what gating needs of the tubes sheet."""
    panel_of = {f.file_id: f.mapping for f in sheets.files if f.reader == "fcs_tube"}
    by_panel: dict[str, list[Tube]] = {name: [] for name in panels}
    for tube in sheets.tubes:
        by_panel.get(panel_of.get(tube.file_id, ""), []).append(tube)
    samples = {s.sample_id: s for s in sheets.samples}
    early = before_infusion(sheets.samples, config.kinetics.post_infusion_visits)
    plans = {}
    for mapping, listed in by_panel.items():
        tubes = listed
        if sheets.inbox:
            panel = (mapping, panels[mapping])
            tubes = _plannable_tubes(listed, files, sheets.inbox, panel=panel, samples=samples, early=early)
        controls_by_tube = controls_of(tubes, samples, early)
        for tube in tubes:
            controls = controls_by_tube[tube.file_id]
            faults = tube_faults(tube, controls, panels[mapping], mapping, early)
            problems.extend(replace(fault, file=str(config.sheets.tubes)) for fault in faults)
            if tube.file_id not in files:
                continue  # its file has told why
            plan = files[tube.file_id]
            beside = [(f.path, f.sha256) for _, c in controls if (f := files.get(c.file_id))]
            plans[tube.file_id] = replace(
                plan,
                controls=tuple(c.file_id for _, c in controls),
                tube=tube_json(tube, controls),
                extra_sha256=digest([plan.extra_sha256, *beside]) if beside else plan.extra_sha256,
            )
    return plans


def _plannable_tubes(
    tubes: list[Tube],
    files: dict[str, FilePlan],
    inbox: Matched,
    *,
    panel: tuple[str, Panel],
    samples: Mapping[str, Sample],
    early: frozenset[str],
) -> list[Tube]:
    """Withhold the tubes of one panel that can't be gated because of the inbox; take them out of ``files``.

    Those are tubes of the inbox with a fault, and others whose controls have not come or are withheld.
    """

    def faults_of(tube: Tube, controls: Sequence[Control]) -> list[Problem]:
        return list(tube_faults(tube, controls, panel[1], panel[0], early))

    ever = controls_of([*tubes, *inbox.tubes_to_come], samples, early)
    kept = [t for t in tubes if ("file", t.file_id) not in inbox.withheld]
    while True:
        controls = controls_of(kept, samples, early)
        withheld = set()
        for tube in kept:
            owner = ("file", tube.file_id)
            faults = faults_of(tube, controls[tube.file_id])
            if not faults or (owner not in inbox.places and faults_of(tube, ever[tube.file_id])):
                continue
            withheld.add(tube.file_id)
            inbox.withhold(owner, faults)
            plan = files.pop(tube.file_id, None)
            if owner not in inbox.places and plan is not None:
                told = ("withheld", "", tube.file_id, plan.sha256, inbox.withheld[owner][1])
                inbox.beside.append(InboxRow("", plain(plan.path), *told, "a control that is to come"))
        if not withheld:
            return kept
        kept = [t for t in kept if t.file_id not in withheld]


def _limits(
    folder: Path,
    config: configuration.Config,
    config_file: str,
    hashes: Hashes,
    problems: list[Problem],
) -> dict[str, LimitPlan]:
    """Find the data behind each entry of ``pcr.detection_limits``."""
    plans = {}
    for name, entry in config.pcr.detection_limits.items():
        place = f"pcr.detection_limits.{name}"
        if not names_files(name):
            problems.append(Problem(config_file, quote(name), FILE_NAME, column="pcr.detection_limits"))
            continue
        digests = []
        for column, text in (("dilutions", entry.dilutions), ("blanks", entry.blanks)):
            if text is None:
                continue
            tell = teller(problems, config_file, f"{place}.{column}")
            undated(text, config, tell)
            if Path(os.path.normpath(text)).parts[:1] == (RESULTS,):
                tell(
                    f"{quote(text)}, which the workflow makes out of these limits",
                    "a copy of it outside results/, which stays as it is",
                )
            elif path_in(folder, text, "the trial folder", tell):
                digests.append((column, hashes.sha256(text, tell)))
        plans[name] = LimitPlan(name, entry.dilutions, entry.blanks, digest(digests))
    return plans


def _data_path(text: str, folder: Path, config: configuration.Config, tell: Tell) -> Path | None:
    if not text or not text.isprintable():
        return None  # the sheet has told it
    undated(text, config, tell)
    return path_in(folder / config.data_dir, text, "the data folder", tell)


def _plate_map(
    item: LaboratoryFile, folder: Path, config: configuration.Config, problems: list[Problem]
) -> str:
    """Return the plate map of a plate, or an empty string."""
    if (
        item.reader not in PLATE_COLUMNS["plate_map"]
        or not item.plate_map
        or not item.plate_map.isprintable()
    ):
        return ""
    tell = teller(problems, config.sheets.files, "plate_map", item.row)
    undated(item.plate_map, config, tell)
    found = path_in(folder, item.plate_map, "the trial folder", tell)
    return item.plate_map if found else ""


def _amplitudes(
    item: LaboratoryFile, folder: Path, config: configuration.Config, problems: list[Problem]
) -> tuple[str, ...]:
    """Return the amplitude files of a plate, in order: one for each well, all in the data folder."""
    if item.reader != "pcr_plate" or not item.amplitudes or not item.amplitudes.isprintable():
        return ()
    tell = teller(problems, config.sheets.files, "amplitudes", item.row)
    root = folder / config.data_dir
    undated(item.amplitudes, config, tell, "folder")
    inside = path_in(root, item.amplitudes, "the data folder", tell, "folder")
    if inside is None:
        return ()
    wells: dict[str, str] = {}
    for path in sorted(inside.glob("*_Amplitude.csv")):
        named = AMPLITUDE_FILE.search(path.name)
        if named is None:
            tell(
                f"the file {quote(path.name)}",
                "files that end _WELL_Amplitude.csv, as x_A01_Amplitude.csv",
            )
            continue
        well = f"{named[1].upper()}{int(named[2]):02d}"
        if well in wells:
            tell(
                f"two files for the well {well}: {quote(wells[well])} and {quote(path.name)}",
                "one for each well; the droplets of another plate belong to another folder",
            )
            continue
        wells[well] = path.name
        path_in(root, f"{item.amplitudes.rstrip('/')}/{path.name}", "the data folder", tell)
    # One word for all of them: a folder holds up to 384.
    dated = [name for name in wells.values() if holds_date(name)]
    undated(dated[0] if dated else "", config, tell)
    if not wells:
        tell(f"the folder {quote(item.amplitudes)} without them", "files that end _WELL_Amplitude.csv")
    place = f"{config.data_dir.rstrip('/')}/{item.amplitudes.rstrip('/')}"
    return tuple(f"{place}/{name}" for name in sorted(wells.values()))


def _sheets_digest(sheets: Sheets) -> str:
    """Digest of the content in order of the keys; spaces, column order and row order do not count."""
    return digest(
        [
            sorted((asdict(s) for s in sheets.subjects), key=lambda s: str(s["subject_id"])),
            sorted((asdict(p) for p in sheets.products), key=lambda p: str(p["product"])),
            sorted((asdict(i) for i in sheets.infusions), key=lambda i: (i["subject_id"], i["infusion"])),
            sorted((asdict(s) for s in sheets.samples), key=lambda s: str(s["sample_id"])),
            _flat(sheets.events),
            _flat(sheets.observations),
        ]
    )


def _flat(items: Sequence[Event] | Sequence[Observation]) -> list[object]:
    """Return names and sorted values of rows of plain values; in text, since there are many and that is quick."""
    names = [field.name for field in fields(items[0])] if items else []
    return [names, sorted(map(repr, map(attrgetter(*names), items))) if items else []]


def _tubes_digest(sheets: Sheets) -> str:
    """Digest of the content; the order of rows and columns does not count."""

    def rows(items: Iterable[Tube] | Iterable[GateReview]) -> list[dict[str, Any]]:
        named = [asdict(item) for item in items]
        return sorted(({k: v for k, v in r.items() if k != "row"} for r in named), key=repr)

    return digest([rows(sheets.tubes), rows(sheets.reviews)])


def _clock_digests(sheets: Sheets) -> Callable[[tuple[str, ...]], str]:
    """Return a function that gives the digest of the clocks of some subjects, or of all where none is named.

    Clocks are looked up by subject: with a file for each subject, a search would grow with their square.
    """
    tables: tuple[dict[str, list[tuple[object, ...]]], ...] = ({}, {}, {})
    for s, d in sheets.first_dates.items():
        tables[0].setdefault(s, []).append((s, d.isoformat()))
    for i in sheets.infusions:
        tables[1].setdefault(i.subject_id, []).append((i.subject_id, i.infusion, i.study_day))
    for m in sheets.samples:
        tables[2].setdefault(m.subject_id, []).append((m.sample_id, m.subject_id, m.matrix, m.study_day))

    @cache
    def of(subjects: tuple[str, ...]) -> str:
        chosen = set(subjects)
        return digest(
            sorted(row for subject in chosen or table for row in table.get(subject, ())) for table in tables
        )

    return of
