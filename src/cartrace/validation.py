"""Faults that pydantic finds, told as :class:`cartrace.problems.Problem`.

The configuration and the mapping files are both checked by models; one wording
serves both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cartrace.problems import InputError, Problem, did_you_mean, redact_dates

_DATE = re.compile(r"datetime\.\w+\([^()]*\)")
Model = TypeVar("Model", bound=BaseModel)


def validated(raw: Any, model: type[Model], file: str, keys: str) -> Model:
    """Check what a YAML file holds; ``keys`` says in errors what a file without any should have.

    Raises
    ------
    InputError
        With every unknown key (and the nearest known one) and every bad value.
    """
    if not isinstance(raw, Mapping):
        raise InputError([Problem(file, "no keys", f"a YAML mapping with {keys}")])
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        raise InputError([problem_of(e, file, model) for e in error.errors()]) from None


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # more digits than Python writes: 0xfff... in YAML
        return "a number of thousands of digits"


def problem_of(fault: Any, file: str, model: type[BaseModel]) -> Problem:
    """Turn one entry of ``ValidationError.errors()`` into a problem.

    An unknown key is told with the keys that ``model`` allows at its place, and
    with the nearest of them.
    """
    location = [_undated(str(part)) for part in fault["loc"]]
    dotted = ".".join(location) or "(top)"
    if fault["type"] == "extra_forbidden":
        allowed = keys_at(location[:-1], model)
        return Problem(
            file=file,
            column=dotted,
            found=f"unknown key '{location[-1]}'",
            allowed=", ".join(allowed) or "no keys",
            suggestion=did_you_mean(location[-1], allowed),
        )
    if fault["type"] == "missing":
        found = "nothing"
    elif isinstance(fault.get("input"), Mapping):
        found = "a mapping that does not fit together" if fault["type"] == "value_error" else "a mapping"
    else:
        found = _undated(_shown(fault.get("input")))[:200]
    message = _undated(fault["msg"].removeprefix("Value error, "))
    return Problem(file=file, column=dotted, found=found, allowed=message)


def _undated(text: str) -> str:
    """Return text without dates; YAML makes objects of what looks like one."""
    return redact_dates(_DATE.sub("<date>", text))


def keys_at(location: list[str], model: type[BaseModel]) -> list[str]:
    """Return the keys that ``model`` allows at ``location``; steps through lists and free keys count not."""
    place: Any = model
    for part in location:
        field = place.model_fields.get(part)
        if field is not None:
            place = _model_in(field.annotation) or place
    return list(place.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in getattr(annotation, "__args__", ()))
    return next(filter(None, found), None)
