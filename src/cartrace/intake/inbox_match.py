"""Which file of the inbox is what: by the sheets, else by what its name tells.

Nothing is read here: names, configuration and sheets decide, so that each plan comes to the same.
Read while the Snakefile is parsed: standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cartrace.flow.vocabulary import TUBE_KINDS
from cartrace.intake.inbox_rows import InboxPlan, InboxRow
from cartrace.intake.inbox_settings import PLACEHOLDER
from cartrace.problems import Problem, did_you_mean, plain

if TYPE_CHECKING:
    from cartrace.config import Config
    from cartrace.intake.inbox_settings import InboxPattern
    from cartrace.intake.libraries import Library
    from cartrace.intake.sheets import LaboratoryFile, Sample, Sheets
    from cartrace.intake.tubes import Tube

STORE = "inbox"
"""Folder of the data folder in which the files of all inboxes are kept."""
_LONGEST_MATCH = 1.0
"""Seconds of processor time that a pattern may take for one name. House value."""
_MOST_COMPARED = 20_000
"""Pairs of names that are compared for a hint; above it there is none. House value."""

Place = tuple[str, str]
"""Name of an inbox, and path below its folder."""
Owner = tuple[str, str]
"""What a file is: file, library or sites, and its id."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A file of an inbox that is not in the store, or not with its newest content."""

    inbox: str
    name: str
    """Path below the folder, printable and undated; empty for the folder itself."""
    key: str
    """:func:`key_of` the path as it is."""
    status: str
    """waiting, refused, same_content or conflict."""
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """What there is to match: files in the store, and what stands in the inboxes beside them."""

    files: Mapping[str, Collection[str]]
    """Name of an inbox -> paths below its folder, in order."""
    standing: tuple[Standing, ...] = ()


@dataclass(slots=True)
class Matched:
    """The inbox and the sheets together. ``rows`` become final with :meth:`plan`."""

    rows: dict[Place, InboxRow] = field(default_factory=dict)
    awaited: list[InboxRow] = field(default_factory=list)
    owners: dict[Place, tuple[Owner, ...]] = field(default_factory=dict)
    """Of each stored file that is used, unless the plan finds a fault: what it is."""
    places: dict[Owner, list[Place]] = field(default_factory=dict)
    """Stored files of each of them."""
    left_out: set[str] = field(default_factory=set)
    """file_ids of the files sheet that are awaited."""
    tubes_to_come: list[Tube] = field(default_factory=list)
    """Rows of the tubes sheet whose file has not come."""
    by_pattern: frozenset[str] = frozenset()
    """file_ids that a name told."""
    standing: tuple[Standing, ...] = ()
    withheld: dict[Owner, tuple[str, str]] = field(default_factory=dict)
    """Status and detail of what can't be planned."""
    beside: list[InboxRow] = field(default_factory=list)
    """Files that are not of the inbox, but wait for one of it."""
    unused: list[Place] = field(default_factory=list)
    """Stored files that the plan does not use; known with :meth:`plan`."""

    def withhold(self, owner: Owner, problems: Iterable[Problem], status: str = "withheld") -> None:
        """Leave something out of the plan, with the reason."""
        told = "; ".join(f"found {p.found}; allowed: {p.allowed}" for p in problems)
        self.withheld.setdefault(owner, (status, plain(told, 500)))

    def plan(self, used: Collection[Place], sha256_of: Callable[[Place], str]) -> InboxPlan:
        """Return the rows, once it is known what can be planned.

        Parameters
        ----------
        used
            Stored files that the plan names, also beside what is listed: an index of a BAM, a plate map.
        sha256_of
            SHA-256 of a stored file; empty when it can't be read.
        """
        earlier = {(s.inbox, s.key): s for s in self.standing}
        rows: list[InboxRow] = []
        first: dict[str, InboxRow] = {}
        for place, matched in self.rows.items():
            row = replace(matched, sha256=sha256_of(place))
            owners = self.owners.get(place, ())
            reasons = [self.withheld[owner] for owner in owners if owner in self.withheld]
            if owners and len(reasons) == len(owners):
                row = replace(row, status=reasons[0][0], detail=reasons[0][1])
            elif row.status == "unmatched" and place in used:
                row = replace(row, status="used", matched_by="sheet", detail="", hint="")
            if row.status == "used":
                first.setdefault(row.sha256, row)
            rows.append(row)
        stands = bool(earlier)
        for n, place in enumerate(self.rows):
            row = rows[n]
            if row.status == "unmatched" and row.sha256 in first:
                detail = f"the same content as {first[row.sha256].name}, which is used"
                row = replace(row, status="same_content", detail=detail, hint="")
            if row.status != "used":
                self.unused.append(place)
            if stands and (stand := earlier.pop((place[0], key_of(place)), None)):
                kept = f"what came before stays in the store, {row.status}: {row.detail}"
                if row.status == "used":
                    kept = "the earlier content stays in use"
                detail = plain(f"{stand.detail}; {kept}", 500)
                row = replace(row, status=stand.status, detail=detail, hint=stand.hint)
            rows[n] = row
        rows += [InboxRow(s.inbox, s.name, s.status, "", "", "", s.detail, s.hint) for s in earlier.values()]
        rows += self.awaited + self.beside
        rows.sort()
        digest = hashlib.sha256(repr(rows).encode()).hexdigest()
        return InboxPlan(tuple(rows), digest)


def key_of(place: Place) -> str:
    """Return what stands for a path where it may not appear itself."""
    return hashlib.sha256("/".join(place).encode(errors="surrogateescape")).hexdigest()[:24]


def inbox_place(path: str, config: Config) -> Place | None:
    """Return the inbox and the path in it that a path of the data folder names, if it names one."""
    parts = os.path.normpath(path).split("/", 2) if path else []
    if config.inbox and len(parts) == 3 and parts[0] == STORE and parts[1] in config.inbox.folders:
        return parts[1], parts[2]
    return None


def match(sheets: Sheets, config: Config, stored: Stored) -> Sheets:
    """Add to the sheets what the names of stored files tell, and leave out what has not come.

    Parameters
    ----------
    sheets
        As they were read.
    config
        The configuration, with an inbox.
    stored
        What has come.

    Returns
    -------
    Sheets
        Its ``inbox`` tells what became of each file.
    """
    found = Matched(standing=stored.standing)
    there = _There(stored, config)
    sheets = _without_awaited(sheets, config, there, found)
    _match_names(sheets, config, stored, found)
    files, tubes = _of_patterns(sheets, config, stored, found)
    sheets = replace(sheets, files=(*sheets.files, *files), tubes=(*sheets.tubes, *tubes), inbox=found)
    return _without_awaited_tubes(sheets, config, found)


class _There:
    """Says which inbox paths have come: a file, or a folder of which no file stands outside the store."""

    def __init__(self, stored: Stored, config: Config) -> None:
        self._config = config
        self._files = {(name, path) for name, paths in stored.files.items() for path in paths}
        self._folders = {(name, above) for name, path in self._files for above in _above(path)}
        self._standing = {(s.inbox, s.name) for s in stored.standing}
        self._unfinished = {
            (s.inbox, above)
            for s in stored.standing
            if s.status in ("waiting", "refused")
            for above in _above(s.name)
        }
        self._keys = {(s.inbox, s.key) for s in stored.standing}

    def missing(self, paths: Iterable[str]) -> list[Place]:
        """Return those of some paths of the data folder that are of an inbox and have not come."""
        places = [place for path in paths if (place := inbox_place(path, self._config))]
        return [
            p for p in places if p not in self._files and (p not in self._folders or p in self._unfinished)
        ]

    def told(self, place: Place) -> bool:
        """Whether a row of its own says why this path has not come."""
        return (place[0], key_of(place)) in self._keys


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _paths_of(item: LaboratoryFile, config: Config) -> list[str]:
    """Return the paths in the data folder that a row of the files sheet names."""
    below = os.path.normpath(config.data_dir) + "/"
    plate_map = os.path.normpath(item.plate_map) if item.plate_map else ""
    inside = [plate_map.removeprefix(below)] if plate_map.startswith(below) else []
    return [item.path, *filter(None, [item.amplitudes]), *inside]


def _paths_of_library(item: Library) -> list[str]:
    single = (item.counts, item.raw_counts, item.metrics, item.bam, item.tcr_contigs, item.bcr_contigs)
    return [path for path in (*single, *item.fastq) if path]


def _without_awaited(sheets: Sheets, config: Config, there: _There, found: Matched) -> Sheets:
    """Leave out rows of the sheets whose files have not come; note what the others name."""

    def keep(owner: Owner, paths: list[str], sheet: str | None, row: int | None) -> bool:
        missing = there.missing(paths)
        for inbox, name in missing:
            if not there.told((inbox, name)):
                detail = f"a row of {sheet} names it (row {row}), and it has not come"
                found.awaited.append(
                    InboxRow(inbox, plain(name), "awaited", "sheet", owner[1], "", detail, "")
                )
        if not missing:
            for path in paths:
                if place := inbox_place(path, config):
                    found.places.setdefault(owner, []).append(place)
        return not missing

    names = config.sheets
    files = [f for f in sheets.files if keep(("file", f.file_id), _paths_of(f, config), names.files, f.row)]
    left_out = found.left_out = {f.file_id for f in sheets.files} - {f.file_id for f in files}
    found.tubes_to_come = [t for t in sheets.tubes if t.file_id in left_out]
    kept = replace(
        sheets,
        files=tuple(files),
        tubes=tuple(t for t in sheets.tubes if t.file_id not in left_out),
        reviews=tuple(r for r in sheets.reviews if r.file_id not in left_out),
        libraries=tuple(
            item
            for item in sheets.libraries
            if keep(("library", item.library_id), _paths_of_library(item), names.libraries, item.row)
        ),
        site_sets=tuple(
            item
            for item in sheets.site_sets
            if keep(("sites", item.site_set_id), [item.path], names.integration_sites, item.row)
        ),
    )
    # Of two with the same content, the one that is not of the inbox counts: it comes first.
    return replace(
        kept,
        libraries=tuple(sorted(kept.libraries, key=lambda i: ("library", i.library_id) in found.places)),
        site_sets=tuple(sorted(kept.site_sets, key=lambda i: ("sites", i.site_set_id) in found.places)),
    )


def _match_names(sheets: Sheets, config: Config, stored: Stored, found: Matched) -> None:
    """Note for each stored file whether a row of a sheet names it, or a folder that holds it."""
    owners: dict[Place, list[Owner]] = {}
    for owner, places in found.places.items():
        for place in places:
            owners.setdefault(place, []).append(owner)
    for inbox, paths in stored.files.items():
        for path in paths:
            named = next((owners[inbox, p] for p in (path, *_above(path)) if (inbox, p) in owners), [])
            status, matched_by, ids = ("used", "sheet", ", ".join(dict.fromkeys(i for _, i in named)))
            if not named:
                status, matched_by = "unmatched", ""
            row = InboxRow(inbox, plain(path), status, matched_by, ids, "", "", "")
            found.rows[inbox, path] = row
            if named:
                found.owners[inbox, path] = tuple(named)


@dataclass(frozen=True, slots=True)
class _Unmatched(Exception):  # noqa: N818 - says what the file is
    """Why the name of a file does not tell what it is."""

    detail: str
    hint: str = ""


def _of_patterns(
    sheets: Sheets, config: Config, stored: Stored, found: Matched
) -> tuple[list[LaboratoryFile], list[Tube]]:
    """Make a row of the files sheet, and of a tube one of the tubes sheet, of each file whose name tells it."""
    from cartrace.intake.sheets import LaboratoryFile, quote

    assert config.inbox is not None
    fits: dict[Place, tuple[InboxPattern, dict[str, str]]] = {}  # as _Fits
    for inbox, paths in stored.files.items():
        patterns = [(re.compile(p.name), p) for p in config.inbox.folders[inbox].patterns]
        free = [path for path in paths if found.rows[inbox, path].status == "unmatched"]
        unknown: list[str] = []
        slow: list[str] = []
        for path in free:
            told = []
            for regex, p in patterns:
                try:
                    hit = None if p.name in slow else _fullmatch(regex, path)
                except TimeoutError:
                    slow.append(p.name)
                    continue
                if hit:
                    told.append((p, hit.groupdict("")))
            if len(told) == 1:
                fits[inbox, path] = told[0]
            elif told:
                names = ", ".join(quote(p.name) for p, _ in told)
                _tell(found, (inbox, path), _Unmatched(f"{len(told)} patterns fit its name", plain(names)))
            else:
                unknown.append(path)
        awaited = [row.name for row in found.awaited if row.inbox == inbox]
        compared = awaited if len(awaited) * len(unknown) <= _MOST_COMPARED else []
        for path in unknown:
            near = did_you_mean(path, compared) if compared else ""
            why = _Unmatched(
                "no row of a sheet names it, and no pattern fits its name",
                f"{near} is awaited" if near else "",
            )
            if slow and not near:
                hint = f"the pattern {quote(slow[0])} without a repeat inside a repeat: it took too long and was left out"
                why = _Unmatched(why.detail, plain(hint))
            _tell(found, (inbox, path), why)
    read = _Names(sheets, config, fits, found.left_out)
    files, tubes = [], []
    for place, (pattern, groups) in fits.items():
        file_id = read.file_id(place)
        try:
            read.check(groups)
            subjects = read.subjects(pattern, groups)
            tube = read.tube(file_id, groups) if pattern.reader == "fcs_tube" else None
        except _Unmatched as why:
            _tell(found, place, why)
            continue
        item = LaboratoryFile(
            file_id,
            f"{STORE}/{place[0]}/{place[1]}",
            pattern.reader,
            os.path.normpath(pattern.mapping),
            subjects,
            None,
            _filled(pattern.plate_map, groups),
        )
        files.append(item)
        tubes += [tube] if tube else []
        found.rows[place] = replace(found.rows[place], status="used", matched_by="pattern", file_id=file_id)
        found.owners[place] = (("file", file_id),)
        found.places[("file", file_id)] = [*found.places.get(("file", file_id), []), place]
    files = _each_id_once(sheets, files, found)
    _match_plate_maps(files, config, found)
    ids = {item.file_id for item in files}
    found.by_pattern = frozenset(ids)
    return files, [tube for tube in tubes if tube.file_id in ids]


def _match_plate_maps(files: Iterable[LaboratoryFile], config: Config, found: Matched) -> None:
    """Note which stored files are plate maps of files that their names tell."""
    for item in files:
        for path in _paths_of(item, config)[1:] if item.plate_map else ():
            place = inbox_place(path, config)
            if place is None or place not in found.rows:
                continue  # the plan withholds a plate whose map is not there
            row = found.rows[place]
            own = found.owners.get(place, ())
            if row.status == "unmatched" or ("file", row.file_id.split(", ")[0]) in own:
                ids = ", ".join(filter(None, (row.file_id, item.file_id)))
                found.rows[place] = replace(
                    row,
                    status="used",
                    matched_by=row.matched_by or "pattern",
                    file_id=ids,
                    detail="",
                    hint="",
                )
                found.owners[place] = (*own, ("file", item.file_id))


def _tell(found: Matched, place: Place, why: _Unmatched) -> None:
    row = found.rows[place]
    found.rows[place] = replace(row, detail=plain(why.detail, 500), hint=plain(why.hint))


def _each_id_once(sheets: Sheets, files: list[LaboratoryFile], found: Matched) -> list[LaboratoryFile]:
    """Withhold files whose names tell one id: nobody can say which of them counts."""
    from cartrace.intake.sheets import quote

    listed = {i.casefold() for i in (*(f.file_id for f in sheets.files), *found.left_out)}
    times = Counter(item.file_id.casefold() for item in files)
    kept = []
    for item in files:
        place = (item.path.split("/", 2)[1], item.path.split("/", 2)[2])
        if item.file_id.casefold() in listed:
            why = f"the id {quote(item.file_id)}, which a row of the files sheet gives to another file"
        elif times[item.file_id.casefold()] > 1:
            why = f"the id {quote(item.file_id)}, which the names of {times[item.file_id.casefold()]} files tell"
        else:
            kept.append(item)
            continue
        detail = f"found {why}; allowed: each id once"
        found.rows[place] = replace(found.rows[place], status="withheld", detail=plain(detail, 500))
        del found.owners[place]
    return kept


def _fullmatch(regex: re.Pattern[str], path: str) -> re.Match[str] | None:
    """Match a whole name, in a second of processor time at most: ``(a+)+b`` takes years for some names.

    Raises
    ------
    TimeoutError
        When the second is over. Only in the main thread, where the plan is made, can it be told.
    """

    def stop(*_: object) -> None:
        raise TimeoutError

    try:
        earlier = signal.signal(signal.SIGVTALRM, stop)
    except ValueError:
        return regex.fullmatch(path)
    signal.setitimer(signal.ITIMER_VIRTUAL, _LONGEST_MATCH)
    try:
        return regex.fullmatch(path)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier)


_Fits = Mapping[Place, "tuple[InboxPattern, dict[str, str]]"]
"""The one pattern that fits the name of each file, and its named groups."""


def _filled(template: str, groups: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda hit: groups[hit[1]], template)


class _Names:
    """What the named groups of patterns mean in this trial."""

    def __init__(self, sheets: Sheets, config: Config, fits: _Fits, left_out: Collection[str]) -> None:
        self._config = config
        self._samples = {s.sample_id: s for s in sheets.samples}
        self._subjects = {s.subject_id for s in sheets.subjects}
        self._visits: dict[tuple[str, str], list[Sample]] = {}
        for sample in sheets.samples:
            key = (sample.subject_id, (sample.visit or "").casefold())
            self._visits.setdefault(key, []).append(sample)
        self._batches = {t.batch for t in sheets.tubes if t.batch}
        self._tubes = {t.file_id: t for t in sheets.tubes}
        self._ids = self._file_ids([*(f.file_id for f in sheets.files), *left_out], fits)

    @staticmethod
    def _file_ids(listed: Iterable[str], fits: _Fits) -> dict[Place, str]:
        """Name each file: by its group, by its stem where no other has that, else by a digest of its path.

        A file's id depends on others only where they share its stem, so that a new file renames no old one.
        """
        stems = {place: place[1].rpartition("/")[2].rpartition(".") for place in fits}
        stem_of = {place: stem or name for place, (stem, _, name) in stems.items()}
        taken = Counter(stem_of[place].casefold() for place, (_, g) in fits.items() if not g.get("file_id"))
        taken.update(file_id.casefold() for file_id in listed)
        taken.update(g["file_id"].casefold() for _, g in fits.values() if g.get("file_id"))

        def id_of(place: Place) -> str:
            named, stem = fits[place][1].get("file_id", ""), stem_of[place]
            if _is_id(named):
                return named
            if not named and _is_id(stem) and taken[stem.casefold()] == 1:
                return stem
            return f"{place[0][:50]}_{key_of(place)[:8]}"

        return {place: id_of(place) for place in fits}

    def file_id(self, place: Place) -> str:
        return self._ids[place]

    def check(self, groups: Mapping[str, str]) -> None:
        """Refuse the id of a sample or a subject that the sheets don't know."""
        from cartrace.intake.sheets import nearest, quote

        names = self._config.sheets
        known: tuple[tuple[str, Collection[str], str | None], ...] = (
            ("sample_id", self._samples, names.samples),
            ("subject_id", self._subjects, names.subjects),
        )
        for group, ids, sheet in known:
            value = groups.get(group, "")
            if value and sheet is not None and value not in ids:
                near = nearest(value, ids)
                what = group.removesuffix("_id")
                raise _Unmatched(
                    f"its name tells the unknown {what} {quote(value)}",
                    f"{near}, as {sheet} writes it" if near else "",
                )

    def subjects(self, pattern: InboxPattern, groups: Mapping[str, str]) -> tuple[str, ...]:
        named = tuple(s.strip() for s in _filled(pattern.subjects, groups).split(",") if s.strip())
        for subject in named:
            self.check({"subject_id": subject})
        return named

    def tube(self, file_id: str, groups: Mapping[str, str]) -> Tube | None:
        """Return the row of the tubes sheet that a name stands for; None where the sheet has one."""
        from cartrace.intake.sheets import id_fault, look_alike, quote
        from cartrace.intake.tubes import named_tube

        if self._config.sheets.samples is None:
            raise _Unmatched("a flow tube, and no samples sheet", "sheets.samples in the configuration")
        if file_id in self._tubes:
            return None
        kind = groups.get("kind", "").casefold() or "sample"
        if kind not in TUBE_KINDS:
            raise _Unmatched(
                f"its name tells the unknown kind {quote(kind)}", f"one of {', '.join(TUBE_KINDS)}"
            )
        sample = self._sample(groups, needed=kind == "sample")
        marker, batch = groups.get("marker", ""), groups.get("batch", "")
        if kind == "sample" and sample is None:
            raise _Unmatched(
                "its name does not tell its sample",
                "the group sample_id, or subject_id and visit; or a row in tubes",
            )
        if kind in ("fmo", "isotype") and not (marker and batch):
            raise _Unmatched(
                f"its name does not tell marker and batch of the {kind} tube", "groups, or a row of tubes"
            )
        if kind not in ("fmo", "isotype"):
            marker = ""
        if batch and (fault := id_fault(batch)):
            raise _Unmatched(f"its name tells the batch {quote(batch)}", fault)
        if batch and batch not in self._batches:
            alike = next((b for b in sorted(self._batches) if look_alike(b) == look_alike(batch)), "")
            if alike:
                raise _Unmatched(
                    f"its name tells the batch {quote(batch)}", f"{alike}: one spelling of a name"
                )
            self._batches.add(batch)
        sample_id = sample.sample_id if sample else None
        return named_tube(file_id, kind, sample_id, marker or None, batch or None)

    def _sample(self, groups: Mapping[str, str], *, needed: bool) -> Sample | None:
        """Return the sample that a name tells; a control needs none, so several are none."""
        from cartrace.intake.sheets import quote

        if groups.get("sample_id"):
            return self._samples[groups["sample_id"]]
        subject, visit = groups.get("subject_id", ""), groups.get("visit", "")
        if not (subject and visit):
            return None
        matrix = groups.get("matrix", "").casefold()
        hits = [
            s
            for s in self._visits.get((subject, visit.casefold()), [])
            if not matrix or s.matrix.casefold() == matrix
        ]
        if len(hits) == 1:
            return hits[0]
        of_matrix = f" of {quote(matrix)}" if matrix else ""
        if hits and not needed:
            return None
        if hits:
            ids = ", ".join(s.sample_id for s in hits)
            raise _Unmatched(
                f"{len(hits)} samples{of_matrix} of {quote(subject)} at the visit {quote(visit)}",
                f"one of {ids}",
            )
        visits = [s.visit for s in self._samples.values() if s.subject_id == subject and s.visit]
        near = did_you_mean(visit, visits)
        raise _Unmatched(
            f"no sample{of_matrix} of {quote(subject)} at the visit {quote(visit)}",
            f"the visit {near}" if near else "",
        )


def _is_id(text: str) -> bool:
    from cartrace.intake.sheets import names_files

    return names_files(text)


def _without_awaited_tubes(sheets: Sheets, config: Config, found: Matched) -> Sheets:
    """Leave out rows of tubes and reviews whose file may still come, where names can tell tubes."""
    from cartrace.intake.sheets import nearest

    assert config.inbox is not None
    inboxes = [
        name
        for name, folder in config.inbox.folders.items()
        if any(pattern.reader == "fcs_tube" for pattern in folder.patterns)
    ]
    if not inboxes:
        return sheets
    known = {f.file_id for f in sheets.files}
    acquired = [f.file_id for f in sheets.files if f.reader == "fcs_tube"]
    for sheet, items in ((config.sheets.tubes, sheets.tubes), (config.sheets.gate_review, sheets.reviews)):
        for item in items:
            if item.file_id and item.file_id not in known:
                near = nearest(item.file_id, acquired)
                detail = f"a row of {sheet} tells of it (row {item.row}), and it has not come"
                hint = f"is it {near}?" if near else ""
                found.awaited.append(
                    InboxRow(inboxes[0], "", "awaited", "sheet", plain(item.file_id), "", detail, hint)
                )
    found.tubes_to_come += [t for t in sheets.tubes if t.file_id not in known]
    return replace(
        sheets,
        tubes=tuple(t for t in sheets.tubes if t.file_id in known),
        reviews=tuple(r for r in sheets.reviews if r.file_id in known),
    )
