"""XML files of other people's tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from chereme.errors import InputError
from chereme.formats.files import read_file

MAX_BYTES = 256 << 20  # ELAN files of an hour are a few MB


def read_xml(path: str | Path, roots: Sequence[str]) -> ElementTree.Element:
    """The root element, which is called one of ``roots``.

    External entities are not followed, and expat stops documents that swell by their own ones.
    Raises InputError for a file that cannot be read or is something else; LimitError above 256 MiB.
    """
    path = Path(path)
    expected = f"an XML document <{'> or <'.join(roots)}>"
    try:
        root = ElementTree.fromstring(read_file(path, MAX_BYTES))
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(
            f"{path}: expected {expected}; it is cut off, damaged or something else ({error}); "
            "export the file again"
        ) from error
    if root.tag not in roots:
        raise InputError(f"{path}: expected {expected}, got <{root.tag}>; is it another format?")
    return root
