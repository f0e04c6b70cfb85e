"""Tables that the stages of plates share."""

from __future__ import annotations

from cartrace.tables import Column, Table


def controls_table(name: str, quantities: str) -> Table:
    """Return the contract of controls over plates, as :func:`cartrace.plates.westgard.charts_of` fills it."""
    return Table(
        name,
        "Controls over the plates (Levey-Jennings), with the Westgard rules that they break.",
        (
            Column("plate", "text", "file_id of the plate in the files sheet.", required=True),
            Column("order", "integer", "Place of the plate in the files sheet, from 1.", required=True),
            Column("assay", "text", "Assay.", required=True),
            Column("target", "text", "Target, or the curve's target.", required=True),
            Column(
                "control",
                "text",
                "Name of the control; slope and intercept for the curve itself.",
                required=True,
            ),
            Column("quantity", "text", f"What is followed: {quantities}.", required=True),
            Column("value", "number", "Value on this plate.", required=True),
            Column("n", "integer", "Plates before this one that give centre and sd.", required=True),
            Column("centre", "number", "Mean of the plates that set the chart."),
            Column("sd", "number", "Their standard deviation."),
            Column(
                "z",
                "number",
                "Normal deviate of the value: (value - centre) / sd, drawn in for the few plates behind centre and sd.",
            ),
            Column("limit_1s", "number", "Distance from the centre at which z is 1."),
            Column("limit_2s", "number", "Distance from the centre at which z is 2."),
            Column("limit_3s", "number", "Distance from the centre at which z is 3."),
            Column("rules", "text", "Westgard rules that this point breaks, joined by ';'."),
            Column(
                "verdict", "text", "pass, warn or fail; note while there are too few plates.", required=True
            ),
        ),
    )
