"""XML of gate files, read so that it can neither reach other files nor grow without end."""

from __future__ import annotations

import io
from typing import Any
from xml.parsers import expat

from cartrace.problems import InputError, Problem

MAX_BYTES = 256 * 2**20
"""Largest gate file that is read; a workspace of a thousand tubes has about 100 MB."""
_CHUNK = 65_536


class _BeginError(Exception):
    """The root element begins: no document type can follow."""


class _DocumentTypeError(Exception):
    """A document type: XML that could name other files, or grow without end."""


def parse_xml(content: bytes, name: str, expected: str) -> Any:
    """Parse XML without a document type; ``expected`` says in errors what the file should be.

    Returns
    -------
    lxml.etree._Element
        The root.

    Raises
    ------
    InputError
        For a document type, XML that does not parse (with the line), or too much of it.
    """
    from lxml import etree  # type: ignore[import-untyped]

    if len(content) > MAX_BYTES:
        raise refusal(name, f"{len(content)} bytes", f"{expected} of at most {MAX_BYTES} bytes")
    _refuse_document_type(content, name, expected)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        tree = etree.parse(io.BytesIO(content), parser)
    except etree.XMLSyntaxError as error:
        raise refusal(
            name, "XML that does not parse; perhaps the file was cut", expected, error.lineno
        ) from None
    # libxml2 and expat could read one prolog in two ways.
    if tree.docinfo.internalDTD is not None or tree.docinfo.externalDTD is not None:
        raise refusal(name, "a document type in XML", f"{expected}, which has none")
    return tree.getroot()


def _refuse_document_type(content: bytes, name: str, expected: str) -> None:
    """Read as far as the root element; a document type can only stand before it."""

    def doctype(*_: object) -> None:
        raise _DocumentTypeError

    def begin(*_: object) -> None:
        raise _BeginError

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = begin
    try:
        for start in range(0, len(content), _CHUNK):
            parser.Parse(content[start : start + _CHUNK])
    except _BeginError:
        return
    except _DocumentTypeError:
        line = parser.CurrentLineNumber
        raise refusal(name, "a document type in XML", f"{expected}, which has none", line) from None
    except (expat.ExpatError, LookupError, ValueError):
        pass
    raise refusal(name, "no XML", expected)


def refusal(name: str, found: str, allowed: str, line: int | None = None) -> InputError:
    """Return the error of a file that is not what it should be."""
    return InputError([Problem(name, found, allowed, line)])
