"""SoftMax Pro: the text export of a document, with its plates and its groups.

Blocks end with ``~End``. A plate holds the numbers (raw by wavelength, or reduced),
a group holds names, concentrations or dilutions, and what the software computed.
What a column of a group means is told by the table of formulas below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cartrace.immunoassay.plate import Plate, VendorCurve
from cartrace.immunoassay.readers.grid import (
    LETTERS,
    OVERFLOW,
    Read,
    Reading,
    choose_read,
    difference,
    number_or_word,
    one_of,
)
from cartrace.immunoassay.readers.plate_wells import plate_wells
from cartrace.plates.plate import Remark, well_name
from cartrace.plates.source import Row, Source, TableReader, fold, show
from cartrace.problems import plain

NAME = "softmax_pro"
LOOKED_FOR = "a text that begins with ##BLOCKS="

_BLOCKS = re.compile(r"##BLOCKS=\s*(\d+)\s*")
_WELL = re.compile(r"[A-Pa-p]\d{1,2}")
_MASKED = frozenset({"masked", "mask", "#masked"})
_NO_CONCENTRATION = frozenset({"range?", "nan", "inf", "-inf", "err", "error", "masked", "mask", "#masked"})
_INTERPOLATED = re.compile(r"InterpX\(\s*[^,]+,\s*'?([^,)']+?)'?\s*\)", re.IGNORECASE)
_AGGREGATE = re.compile(r"(Average|Stdev|Cv)\s*\(", re.IGNORECASE)
_DILUTION = re.compile(r"dilut|factor", re.IGNORECASE)
_NOMINAL = re.compile(r"conc|standard|value|expected|nominal|known", re.IGNORECASE)
_TASKS = (
    (r"neg\w*[\s_]*(ctrl|control)?s?", "negative_control"),
    (r"pos\w*[\s_]*(ctrl|control)?s?", "positive_control"),
    (r"(std|standard)s?", "standard"),
    (r"(blank|blk)s?", "blank"),
    (r"(control|ctrl|ctl|qc)s?", "control"),
    (r"(sample|unknown|unk|unkn)s?", "unknown"),
)
_WAVELENGTHS = {"absorbance": 14, "fluorescence": 15, "luminescence": 14}
"""Mode of reading -> place of the number of wavelengths in the line ``Plate:`` (fluorescence has one cell more)."""
_AGREE = 0.9
"""Share of the groups' values that a read of the plate must agree with to be what the software used."""


def recognise(source: Source) -> bool:
    """Say whether the text begins with the number of blocks."""
    return not source.is_zip and bool(source.lines) and _BLOCKS.fullmatch(source.lines[0]) is not None


@dataclass(frozen=True, slots=True)
class _Block:
    kind: str
    """Plate, Group or Note."""
    name: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class _Member:
    """One well as a group lists it."""

    well: str
    plate: str
    group: str
    task: str | None
    sample: str
    value: float | None
    decimals: int
    omitted: bool
    signal_status: str
    nominal: float | None
    unit: str
    dilution: float | None
    concentration: float | None
    status: str
    row: int


def read(source: Source) -> Plate:
    """Read the plate and its groups.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    blocks = _blocks(source)
    plate = _the_plate(source, [b for b in blocks if b.kind == "Plate"])
    reads = _reads(source, plate)
    several = sum(b.kind == "Plate" for b in blocks) > 1
    remarks: list[Remark] = []
    members = []
    for block in blocks:
        if block.kind == "Group":
            members += _members(source, block, plate.name if several else "", remarks)
    source.check()
    chosen, told = _signal(source, reads, members)
    records = _records(source, chosen, members)
    if len({m.group for m in members if m.task == "standard"}) > 1:
        remarks.append(
            Remark(
                "standards",
                "several groups of standards: all are one curve unless a layout gives them targets",
                verdict="warn",
            )
        )
    units = {m.unit for m in members if m.unit}
    return Plate(
        NAME,
        plate_wells(source, records),
        curves=_curve(source, blocks),
        units={"": units.pop()} if len(units) == 1 else {},
        software="SoftMax Pro",
        remarks=(*told, *remarks),
    )


def _blocks(source: Source) -> list[_Block]:
    """Return the blocks; their number must be that of the first line."""
    opening = _BLOCKS.fullmatch(source.lines[0])
    assert opening is not None
    found: list[_Block] = []
    rows: list[Row] = []
    for number, line in enumerate(source.lines[1:], 2):
        if line.strip() != "~End":
            rows.append(Row(number, tuple(line.split("\t"))))
            continue
        rows = rows[next((i for i, r in enumerate(rows) if not r.is_blank), len(rows)) :]
        if not rows:
            source.problem("a block without a line", "Plate:, Group: or Note:", number)
            continue
        kind, _, name = rows[0].texts()[0].partition(":")
        if kind not in {"Plate", "Group", "Note"}:
            source.problem(f"a block {show(kind)}", "Plate:, Group: or Note:", rows[0].number)
        if kind == "Plate":
            name = (*rows[0].texts(), "")[1]
        found.append(_Block(kind, name.strip(), rows))
        rows = []
    if len(found) != int(opening[1]):
        source.problem(
            f"{len(found)} blocks that end with ~End",
            f"{int(opening[1])}, as the first line says; perhaps the file was cut",
            1,
        )
    source.check()
    return found


def _the_plate(source: Source, plates: Sequence[_Block]) -> _Block:
    if not plates:
        raise source.refusal("no block Plate:", "an export with the plate section")
    names = [p.name for p in plates]
    if len(set(names)) < len(names):
        raise source.refusal("two plates of one name", "a name for each plate")
    return plates[one_of(source, names, "plates")]


# -- the plate ---------------------------------------------------------------------------------


def _reads(source: Source, block: _Block) -> list[Read]:
    """Return the raw reads by wavelength, their difference where there are two, and the reduced read."""
    head = block.rows[0]
    cells = [*head.texts(), *[""] * 40]
    form, kind, mode, row = cells[3], cells[4], cells[5].casefold(), head.number
    if kind != "Endpoint":
        raise source.refusal(f"a read of the type {show(kind)}", "Endpoint", row)
    if mode not in _WAVELENGTHS:
        raise source.refusal(f"the mode {show(cells[5])}", "Absorbance, Fluorescence or Luminescence", row)
    at = _WAVELENGTHS[mode]
    data = cells[at - 8]
    if form not in {"PlateFormat", "TimeFormat"} or data not in {"Raw", "Reduced"}:
        raise source.refusal(
            f"the format {show(form)} of {show(data)} data", "PlateFormat or TimeFormat, Raw or Reduced", row
        )
    names = cells[at + 1].split() or [mode]
    if len(names) != (int(cells[at]) if cells[at].isdecimal() else 1):
        raise source.refusal(f"the wavelengths {show(cells[at + 1])}", f"{cells[at]} of them", row)
    shape = (cells[at + 3], cells[at + 4], cells[20] if mode == "absorbance" else cells[at + 15])
    columns, wells, rows = (int(n) if n.isdecimal() else 0 for n in shape)
    chunks = _chunks(block.rows[1:])
    parse = _plate_format if form == "PlateFormat" else _time_format
    tables = [t for chunk in chunks for t in parse(source, chunk, chunks[0][0])]
    source.check()
    raw = names if data == "Raw" else []
    if len(tables) not in ({len(raw), len(raw) + 1} if raw else {1}):
        raise source.refusal(
            f"{len(tables)} tables of numbers", f"one for each of {len(raw)} wavelengths, or reduced", row
        )
    for table in tables:
        expected = wells if form == "TimeFormat" else columns * rows
        if expected and len(table) != expected:
            raise source.refusal(
                f"{len(table)} wells in a table",
                f"{expected}, as the line Plate: says; perhaps it was cut",
                row,
            )
    kept = [{w: r for w, r in t.items() if r.signal is not None or r.status} for t in tables]
    reads = [
        Read(f"{n} ({i})" if names.count(n) > 1 else n, t)
        for i, (n, t) in enumerate(zip(raw, kept, strict=False), 1)
    ]
    if len(kept) > len(raw):
        reads.append(Read("reduced", kept[-1], aliases=("-".join(names),) if len(names) == 2 else ()))
    return reads


def _chunks(rows: Sequence[Row]) -> list[list[Row]]:
    """Split rows at lines without any cell; a row of wells that were not read still has its tabs."""
    found: list[list[Row]] = [[]]
    for row in rows:
        if len(row.cells) > 1:
            found[-1].append(row)
        elif found[-1]:
            found.append([])
    return [c for c in found if c] or [[Row(rows[0].number if rows else 1, ())]]


def _plate_format(source: Source, chunk: Sequence[Row], header: Row) -> Iterator[dict[str, Reading]]:
    """Yield the tables of a chunk: beside each other, divided by an empty column."""
    header, rows = chunk[0], chunk[1:]
    labels = header.texts()
    runs: list[list[int]] = [[]]
    for i, label in enumerate(labels[2:], 2):
        if label.isdecimal():
            runs[-1].append(i)
        elif label:
            source.problem(show(label), "numbers of columns", header.number)
        elif runs[-1]:
            runs.append([])
    for row in rows:
        if len(row.cells) != len(labels):
            source.problem(f"{len(row.cells)} cells", f"{len(labels)}, as in row {header.number}", row.number)
    if len(rows) > len(LETTERS):
        source.problem(f"{len(rows)} rows", f"at most {len(LETTERS)}", header.number)
    source.check()
    for run in filter(None, runs):
        numbers = [int(labels[i]) for i in run]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            source.problem("columns out of order", "1, 2, 3, ...", header.number)
        yield {
            f"{LETTERS[n]}{int(labels[i]):02d}": _reading(source, row, i, labels[i])
            for n, row in enumerate(rows)
            for i in run
        }


def _time_format(source: Source, chunk: Sequence[Row], first: Row) -> Iterator[dict[str, Reading]]:
    """Yield the table of a chunk: one row of values under the names of the wells, which later chunks may leave out."""
    has_names = any(_WELL.fullmatch(t) for t in chunk[0].texts())
    header, rows = (chunk[0], chunk[1:]) if has_names else (first, chunk)
    labels = header.texts()
    if len(rows) != 1:
        raise source.refusal(
            f"{len(rows)} rows of values under the names of the wells", "one (Endpoint)", header.number
        )
    wells = [(i, t) for i, t in enumerate(labels) if t and i >= 2]
    names = [well_name(t) for _, t in wells]
    if not all(_WELL.fullmatch(t) for _, t in wells) or len(set(names)) < len(names):
        source.problem("names that are no wells, or a well twice", "A1, A2, ...", header.number)
    if len(rows[0].cells) != len(labels):
        source.problem(
            f"{len(rows[0].cells)} cells", f"{len(labels)}, as in row {header.number}", rows[0].number
        )
    source.check()
    yield {well_name(t): _reading(source, rows[0], i, t) for i, t in wells}


def _reading(source: Source, row: Row, place: int, column: str) -> Reading:
    text = row.texts()[place]
    signal, status = number_or_word(source, text, row.number, column, OVERFLOW | _MASKED)
    return Reading(signal, status, row.number, column)


# -- the groups --------------------------------------------------------------------------------


def _members(source: Source, block: _Block, plate: str, remarks: list[Remark]) -> list[_Member]:
    """Return the wells of a group; only those of ``plate`` when the document has several plates."""
    below = block.rows[1:]
    end = next((i for i, r in enumerate(below) if len(r.cells) < 2), len(below))
    for row in below[end:]:
        if row.texts()[0] in {"Group Column", "Group Summaries"}:
            break
        if len(row.cells) > 1:
            source.problem("a row below a blank one", "the wells of a group without blank rows", row.number)
    if end == 0:
        return []
    table = TableReader(source, below[0], below[1:end])
    table.same_width()
    roles = _roles(table, below[end:])
    if "well" not in roles or "value" not in roles:
        # A group of summaries; one that lists wells without their values can't be checked.
        remarks.append(
            Remark(
                "group_not_read",
                f"the group {show(block.name)} has no columns of wells and values (!WellIDs, !WellValues)",
                block.rows[0].number,
                verdict="warn",
            )
        )
        return []
    if plate and "plate" not in roles:
        source.problem(
            "a group that doesn't say on which plate its wells are",
            "a column !WellPlateName, since the document has several plates",
            below[0].number,
        )
        return []
    task = next((t for form, t in _TASKS if re.fullmatch(rf"{form}([\s_#-]*\d+)?", fold(block.name))), None)
    found = []
    sample, described = "", ""
    for row in table.rows:
        texts = [*row.texts(), *[""] * len(table.names)]
        if name := _cell(texts, roles, "sample"):
            sample, described = name, _cell(texts, roles, "descriptor")
        elif any(texts[i] for i in (*roles.get("aggregate", ()), *roles.get("descriptor", ()))):
            source.problem(
                "a row without a sample that has a mean or a description of its own",
                "the sample, or a replicate of the one above",
                row.number,
                "Sample",
            )
        if not sample:
            source.problem("no sample", "a sample in the first row of its wells", row.number, "Sample")
        if plate and _cell(texts, roles, "plate") != plate:
            continue
        found.append(
            _member(
                table,
                row,
                roles,
                remarks,
                group=block.name,
                task=task,
                sample=sample,
                described=described,
            )
        )
    return found


def _cell(texts: Sequence[str], roles: Mapping[str, Sequence[int]], role: str) -> str:
    return texts[roles[role][0]] if roles.get(role) else ""


def _roles(table: TableReader, below: Sequence[Row]) -> dict[str, tuple[int, ...]]:
    """Return role -> places of its columns, from the formulas below the group or, without them, the headers."""
    formulas: list[tuple[str, str]] = []
    start = next(
        (i for i, r in enumerate(below) if r.texts()[:3] == ["Group Column", "Formula Name", "Formula"]), None
    )
    if start is not None:
        for row in below[start + 1 :]:
            if len(row.cells) < 3:
                break
            number, name, formula = row.texts()[:3]
            if number != str(len(formulas) + 1):
                table.source.problem(show(number), f"column {len(formulas) + 1}", row.number, "Group Column")
            formulas.append((name, formula))
    named = [n for n in table.names if n]
    if formulas and len(formulas) != len(named):
        table.source.problem(
            f"{len(named)} columns and {len(formulas)} formulas",
            "a formula for each column",
            table.header.number,
        )
        formulas = []
    found: dict[str, list[int]] = {}
    places = [i for i, n in enumerate(table.names) if n]
    for place, (name, formula) in zip(places, formulas or [(n, "") for n in named], strict=True):
        if formulas and not fold(table.names[place]).startswith(fold(name)):
            table.source.problem(
                show(table.names[place]), f"{show(name)}, as the formulas below name it", table.header.number
            )
        if role := _role(name, formula, [n for n, f in formulas if fold(f) == "!wellvalues"]):
            found.setdefault(role, []).append(place)
    return {role: tuple(at) for role, at in found.items()}


def _role(name: str, formula: str, values: Sequence[str]) -> str:
    known = {
        "!samplenames": "sample",
        "!wellids": "well",
        "!wellvalues": "value",
        "!sampledescriptor": "descriptor",
        "!wellplatename": "plate",
        "!platename": "plate",
    }
    by_name = {
        "sample": "sample",
        "well": "well",
        "wells": "well",
        "value": "value",
        "values": "value",
        "od": "value",
        "standard value": "descriptor",
        "dilution factor": "descriptor",
        "wellplatename": "plate",
        "r": "status",
    }
    if not formula:
        return by_name.get(fold(name), "")
    if (role := known.get(fold(formula))) is not None:
        return role
    read_off = _INTERPOLATED.fullmatch(formula.strip())
    if read_off and fold(read_off[1]) in {fold(v) for v in values}:
        return "concentration"
    if _AGGREGATE.match(formula):
        return "aggregate"
    return "status" if fold(name) == "r" else ""


def _member(
    table: TableReader,
    row: Row,
    roles: Mapping[str, Sequence[int]],
    remarks: list[Remark],
    *,
    group: str,
    task: str | None,
    sample: str,
    described: str,
) -> _Member:
    source, texts = table.source, [*row.texts(), *[""] * len(table.names)]
    well = _cell(texts, roles, "well")
    if not _WELL.fullmatch(well):
        source.problem(show(well) if well else "no well", "a well such as A1", row.number, "Wells")
    printed = _cell(texts, roles, "value")
    column = table.names[roles["value"][0]]
    value, status = number_or_word(source, printed, row.number, column, OVERFLOW | _MASKED)
    header = table.names[roles["descriptor"][0]] if roles.get("descriptor") else ""
    number = table.parse(row, header, described, lowest=0) if header else None
    is_dilution = _DILUTION.search(header) is not None
    is_nominal = not is_dilution and task != "unknown" and _NOMINAL.search(header) is not None
    if number is not None and not (is_dilution or is_nominal):
        told = (
            f"the column {show(header)} of the group {show(group)} is neither a concentration nor a dilution"
        )
        if told not in {r.message for r in remarks}:
            remarks.append(Remark("column_not_read", told, row.number, header, verdict="warn"))
    computed = _cell(texts, roles, "concentration")
    out = computed if fold(computed) in _NO_CONCENTRATION else ""
    concentration = None
    if computed and not out:
        concentration = table.parse(row, table.names[roles["concentration"][0]], computed)
    return _Member(
        well=well_name(well),
        plate=_cell(texts, roles, "plate"),
        group=group,
        task=task,
        sample=sample,
        value=value,
        decimals=_decimals(printed, source.options.decimal),
        omitted=fold(printed) in _MASKED,
        signal_status=status,
        nominal=number if is_nominal else None,
        unit=_unit(header) if is_nominal and task == "standard" else "",
        dilution=number if is_dilution else None,
        concentration=concentration,
        status="; ".join(t for t in (status, out, _cell(texts, roles, "status")) if t),
        row=row.number,
    )


def _unit(header: str) -> str:
    """Return the unit at the end of a header: SoftMax writes it behind the column's name.

    >>> _unit("Standard Value ng/mL"), _unit("Concentration")
    ('ng/mL', '')
    """
    match = re.search(r"\S+/\S+$", header)
    return plain(match[0].strip("()[]")) if match else ""


def _decimals(text: str, mark: str) -> int:
    """Return how many decimals a number was printed with (negative where digits before the mark were rounded)."""
    mantissa, _, exponent = text.casefold().partition("e")
    power = int(exponent) if re.fullmatch(r"[+-]?\d{1,3}", exponent) else 0
    return len(mantissa.partition(mark)[2]) - power


# -- both together -----------------------------------------------------------------------------


def _signal(source: Source, reads: list[Read], members: Sequence[_Member]) -> tuple[Read, list[Remark]]:
    """Return the read that counts: the one asked for, or the one whose numbers the groups print.

    Raises
    ------
    InputError
        When the groups print other numbers than the plate does in some wells: one of
        the two was changed.
    """
    known = [m for m in members if m.value is not None]
    offered = [*reads]
    if len(reads) == 2 and "reduced" not in {r.name for r in reads}:
        offered.append(difference(*reads))
    wanted = source.options.wavelength
    if wanted:
        chosen = choose_read(source, offered, wanted)
        share = _agreement(chosen, known)
        if known and share < _AGREE:
            return chosen, [
                Remark(
                    "other_read",
                    f"wavelength {show(wanted)} of the assay file is not what the groups print; "
                    "the software's own concentrations rest on another read",
                    verdict="warn",
                )
            ]
    elif not known:
        chosen = choose_read(source, reads, "")
    else:
        chosen = max(offered, key=lambda r: _agreement(r, known))
        share = _agreement(chosen, known)
        if share < 1 - _AGREE:
            wells = {m.well: Reading(m.value, "", m.row, "") for m in known}
            note = (
                "the groups print none of the reads of the plate; their values, as printed, are the signals"
            )
            return Read("groups", wells), [Remark("other_read", note)]
    for m in known:
        if not _agrees(chosen, m):
            reading = chosen.wells.get(m.well)
            on_plate = "nothing" if reading is None or reading.signal is None else f"{reading.signal:.6g}"
            source.problem(
                f"{m.value:g} in the group and {on_plate} on the plate for {m.well}",
                "the same number, rounded",
                m.row,
            )
    source.check()
    return chosen, []


def _agreement(read: Read, known: Sequence[_Member]) -> float:
    return sum(_agrees(read, m) for m in known) / len(known) if known else 1.0


def _agrees(read: Read, member: _Member) -> bool:
    reading = read.wells.get(member.well)
    if reading is None or reading.signal is None or member.value is None:
        return False
    return abs(reading.signal - member.value) <= 0.5 * 10.0**-member.decimals * (1 + 1e-6) + 1e-9


def _records(source: Source, chosen: Read, members: Sequence[_Member]) -> list[dict[str, object]]:
    """Return one record for each well that was read: with its group, or without one."""
    unknown_groups: dict[str, set[str]] = {}
    for m in members:
        if m.task == "unknown":
            unknown_groups.setdefault(m.sample, set()).add(m.group)
    records: list[dict[str, object]] = []
    for m in members:
        reading = chosen.wells.get(m.well)
        # SoftMax counts samples from 01 in each group, so a number alone names several.
        apart = m.task != "unknown" or len(unknown_groups[m.sample]) > 1
        records.append(
            {
                "well": m.well,
                "sample_name": f"{m.group} {m.sample}" if apart and m.sample.isdecimal() else m.sample,
                "task": m.task,
                "omitted": m.omitted,
                "signal": None if reading is None or m.omitted else reading.signal,
                "nominal": m.nominal,
                "dilution": m.dilution,
                "vendor_concentration": m.concentration,
                "vendor_status": m.status or (reading.status if reading else "") or None,
                "source_row": m.row,
            }
        )
    grouped = {m.well for m in members}
    records += [
        {
            "well": well,
            "omitted": fold(reading.status) in _MASKED,
            "signal": reading.signal,
            "vendor_status": reading.status or None,
            "source_row": reading.row,
            "source_column": reading.column,
        }
        for well, reading in chosen.wells.items()
        if well not in grouped
    ]
    return records


def _curve(source: Source, blocks: Sequence[_Block]) -> dict[str, VendorCurve]:
    """Return r2 of the curve, which summaries print; the export holds neither model nor parameters."""
    found = set()
    for block in blocks:
        for row in block.rows if block.kind != "Plate" else ():
            texts = row.texts()
            if len(texts) >= 4 and re.fullmatch(r"RSquared\([^()]+\)", texts[3]):
                value, _ = number_or_word(source, texts[2], row.number, texts[0])
                found.add(value)
    source.check()
    numbers = found - {None}
    return {"": VendorCurve("", {}, r2=numbers.pop())} if len(numbers) == 1 else {}
