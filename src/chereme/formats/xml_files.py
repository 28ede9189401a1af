"""XML files of other people's tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from chereme.errors import InputError, LimitError
from chereme.formats.files import read_file

# ELAN files of an hour are a few MB with some 100,000 elements, at most ten deep.
MAX_BYTES = 32 << 20
MAX_ELEMENTS = 1_000_000
MAX_DEPTH = 100


def read_xml(path: str | Path, roots: Sequence[str]) -> ElementTree.Element:
    """The root element, which is called one of ``roots``.

    Raises InputError for a file that cannot be read, defines entities (which may swell, or name
    other files), or is something else; LimitError above 32 MiB, a million elements or 100 levels.
    """
    path = Path(path)
    expected = f"an XML document <{'> or <'.join(roots)}>"
    content = read_file(path, MAX_BYTES)
    try:
        root = _Parser().parse(content)
    except LimitError as error:
        raise LimitError(f"{path}: expected {expected}, {error}") from error
    # An encoding may be unknown, no encoding of text, or have errors of its own.
    except (expat.ExpatError, ValueError, LookupError, AssertionError, InputError) as error:
        raise InputError(
            f"{path}: expected {expected}; it is cut off, damaged or something else ({error}); "
            "export the file again"
        ) from error
    if root.tag not in roots:
        raise InputError(f"{path}: expected {expected}, got <{root.tag}>; is it another format?")
    return root


class _Parser:
    """Builds the tree of a document within the limits."""

    def __init__(self) -> None:
        self._builder = ElementTree.TreeBuilder()
        self._elements = self._depth = 0

    def parse(self, content: bytes) -> ElementTree.Element:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._builder.data
        parser.EntityDeclHandler = self._refuse_entity
        parser.buffer_text = True
        parser.Parse(content, True)
        root: ElementTree.Element = self._builder.close()
        return root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if self._elements > MAX_ELEMENTS or self._depth > MAX_DEPTH:
            raise LimitError(
                f"of at most {MAX_ELEMENTS:,} elements and {MAX_DEPTH} levels, got more; "
                "split the file"
            )
        self._builder.start(name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._builder.end(name)

    def _refuse_entity(self, name: str, *definition: Any) -> NoReturn:
        raise InputError(f"it defines the entity {name!r}, expected none")
