"""Luminex files that the tests write: xPONENT and INTELLIFLEX csv, Bio-Plex Manager XML."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

ANALYTES = ("IL-6", "IFNg")
WELLS = (("A1", "Background0"), ("B1", "Standard1"), ("C1", "Control1"), ("D1", "P-01"))
MEDIAN = (("20", "22.5"), ("9000.5", "4000"), ("500", "600"), ("1250", "NaN"))
COUNT = (("50", "60"), ("51", "61"), ("52", "62"), ("53", "0"))
Block = list[list[str]]


def located(values: Sequence[Sequence[str]], total: str = "300", plate: int = 1) -> Block:
    """A block with a row for each well."""
    return [
        ["Location", "Sample", *ANALYTES, "Total Events"],
        *(
            [f"{n}({plate},{well})", sample, *row, total]
            for n, ((well, sample), row) in enumerate(zip(WELLS, values, strict=True), 1)
        ),
    ]


def named(first: str, rows: Mapping[str, Sequence[str]]) -> Block:
    """A block with a row for each name."""
    return [[first, *ANALYTES], *([name, *row] for name, row in rows.items())]


def blocks(**changed: Block | None) -> dict[str, Block]:
    """The blocks of a small plate; None takes one out."""
    found: dict[str, Block | None] = {
        "Median": located(MEDIAN),
        "Count": located(COUNT),
        "Net MFI": located([["0", "0"]] * 4),
        "Units": [["Analyte:", *ANALYTES], ["BeadID:", "12", "15"], ["Units:", "Bead", "Bead"]],
        "Dilution Factor": [
            ["Location", "Sample", "Dilution Factor"],
            *([f"{n}(1,{well})", sample, "1"] for n, (well, sample) in enumerate(WELLS, 1)),
        ],
        "Audit Logs": [["UserId", "Date", "Message"], ["j.doe", "03/02/2021", "plate read"]],
        "Warnings/Errors": [
            ["Location", "Status", "Message"],
            ["1,D1", "Warning", "Too few beads on 03/02/2021"],
        ],
    }
    return {name: block for name, block in (found | changed).items() if block is not None}


def xponent(
    content: Mapping[str, Block] | None = None,
    *,
    instrument: str = "MAGPIX",
    delimiter: str = ",",
    end: bool = True,
    padded: bool = False,
) -> bytes:
    """The file of xPONENT; ``padded`` as a spreadsheet program saves it."""
    rows: Block = [
        ["Program", "xPONENT", "", instrument],
        ["Build", "4.2.1"],
        ["Date", "03/02/2021", "6:42 PM"],
        [],
        ["SN", "SERIAL77"],
        ["Batch", "doe_20210302"],
        ["Operator", "j.doe"],
        ["ProtocolDescription", 'a "free" text'],
        ["Samples", "4", "Min Events", "50", "Per Bead"],
        [],
        ["Results"],
    ]
    for name, block in (blocks() if content is None else content).items():
        rows += [[], ["DataType:", name], *block]
    if end:
        rows += [[], ["-- CRC --"], ["CRC32: 00000000"]]
    width = max(map(len, rows))
    stream = io.StringIO()
    writer = csv.writer(
        stream,
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if padded else csv.QUOTE_ALL,
        lineterminator="\r\n",
    )
    writer.writerows(row + [""] * (width - len(row)) if padded else row for row in rows)
    return stream.getvalue().encode()


REGIONS = {"12": "IL-6", "15": "IFNg"}


def reading(
    signal: str, *, valid: str = "true", code: str = "0", outlier: str = "None", computed: str = ""
) -> tuple[str, str]:
    """The elements of one analyte in one well: Reading and MWObsConc."""
    none = (
        '<MWObsConc ReadingOK="false" ReadError="Data field has not been set" ReadErrorCode="9" '
        'RecoveryRange="NotInRange" RecoveryRangeCode="9">0.0E+000</MWObsConc>'
    )
    return (
        f'<Reading Valid="{valid}" Code="{code}" OutlierType="{outlier}">{signal}</Reading>',
        computed or none,
    )


def computed(value: str, within: str = "InRange", *, error: str = "") -> str:
    """A concentration that the software computed, or why it did not."""
    ok = "false" if error else "true"
    return (
        f'<MWObsConc ReadingOK="{ok}" ReadError="{error or "OK"}" ReadErrorCode="{4 if error else 0}" '
        f'RecoveryRange="{within}" RecoveryRangeCode="0">{value}</MWObsConc>'
    )


def sample(
    kind: str,
    label: str,
    place: tuple[int, int],
    readings: Sequence[tuple[str, str]],
    *,
    expected: Sequence[str] = (),
    description: str = "",
    dilution: str = "1.0E+000",
) -> str:
    """One sample with one well."""
    analytes = "".join(
        f'<Analyte RegionNumber="{region}"><AnalyteName>{name}</AnalyteName><ExpectedConc>{value}</ExpectedConc></Analyte>'
        for (region, name), value in zip(REGIONS.items(), expected, strict=False)
    )
    read = "\n".join(
        f'<MWAnalyte RegionNumber="{region}"><AnalyteName>{name}</AnalyteName>{"".join(elements)}</MWAnalyte>'
        for (region, name), elements in zip(REGIONS.items(), readings, strict=True)
    )
    return (
        f"<{kind}><Description>{description}</Description><Label>{label}</Label><Dilution>{dilution}</Dilution>"
        f'<Analytes>{analytes}</Analytes>\n<MemberWells><MemberWell RowNo="{place[0]}" ColNo="{place[1]}" WellNumber="1">'
        f"<MWAnalytes>\n{read}\n</MWAnalytes></MemberWell></MemberWells></{kind}>"
    )


def bioplex(
    samples: Mapping[str, Sequence[str]], *, beads: str = "", curves: str = "", before: str = ""
) -> bytes:
    """The document; ``samples`` by the name of their group."""
    groups = "\n".join(f"<{group}>\n" + "\n".join(each) + f"\n</{group}>" for group, each in samples.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}\n'
        '<bpm:BioPlexManager xmlns:bpm="http://www.Bio-Rad.com/XMLschema/2010/Bio-Plex_5" '
        'XmlExportDateTime="2021-03-02T09:00:00Z" XmlExportUser="j.doe" BioPlexManagerVersion="6.2.0">\n'
        '<AuthorName>j.doe</AuthorName><PlateDimensions Columns="12" Rows="8" TotalWells="96" />\n'
        f"<Wells>{beads}</Wells>\n<StandardCurves><Interpolators>{curves}</Interpolators></StandardCurves>\n"
        f"<Samples>\n{groups}\n</Samples>\n</bpm:BioPlexManager>\n"
    ).encode()


def bioplex_plate() -> bytes:
    """A small plate with everything."""
    beads = (
        '<Well RowNo="1" ColNo="1" WellNo="1"><User>j.doe</User><BeadRegions><BeadRegion RegionNumber="12">'
        "<RegionCount>60</RegionCount><Median>62.00</Median></BeadRegion></BeadRegions></Well>"
    )
    curves = (
        '<Interpolator RegionNumber="12" IsValid="true"><AnalyteName>IL-6</AnalyteName>'
        '<ConcentrationUnits>pg/mL</ConcentrationUnits><Regression Type="10">Logistic - 5PL</Regression>'
        "<LogisticWeighting><LogisticWeightingModel>Power Law Variance</LogisticWeightingModel>"
        "<LogisticWeightingCoefficientB>1.80000000000000000E+000</LogisticWeightingCoefficientB></LogisticWeighting>"
        '</Interpolator><Interpolator RegionNumber="15" IsValid="false"><AnalyteName>IFNg</AnalyteName>'
        "<ConcentrationUnits></ConcentrationUnits><EquationErr>Unable to calculate</EquationErr></Interpolator>"
    )
    return bioplex(
        {
            "Blanks": [sample("Blank", "B", (1, 1), [reading("6.2E+001"), reading("3.6E+001")])],
            "Standards": [
                sample(
                    "Standard",
                    "S1",
                    (2, 1),
                    [reading("9.0E+003", computed=computed("9.9E+001")), reading("8.0E+003")],
                    expected=("1.0E+002", "0.0E+000"),
                ),
                sample(
                    "Standard",
                    "S2",
                    (3, 1),
                    [reading("4.0E+001"), reading("3.9E+001", outlier="Manual")],
                    expected=("0.0E+000", "0.0E+000"),
                ),
            ],
            "Controls": [
                sample(
                    "Control",
                    "C1",
                    (4, 1),
                    [reading("5.0E+002"), reading("6.0E+002")],
                    expected=("0.0E+000", "5.0E+001"),
                )
            ],
            "Unknowns": [
                sample(
                    "Unknown",
                    "X1",
                    (8, 12),
                    [
                        reading("1.2E+004", computed=computed("1.4E+002", "AboveRange")),
                        reading("1.0E+001", code="1", computed=computed("0", "NotInRange", error="OOR &lt;")),
                    ],
                    description="P-01 d28",
                )
            ],
        },
        beads=beads,
        curves=curves,
    )
