"""ELAN annotation files (EAF 3.0): tiers ``words`` and ``letters`` beside the video.

Format: "EAF Annotation Format 3.0 and ELAN" and its schema EAFv3.0.xsd (Max Planck Institute for
Psycholinguistics). Written with the standard library, so that rendering needs no file and no clock.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

from chereme.formats.words import split_words, to_milliseconds
from chereme.types import Transcript

# Choice: the schema demands a date. A constant one keeps equal transcripts equal files.
_DATE = "1970-01-01T00:00:00+00:00"

MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".wmv": "video/x-ms-wmv",
    ".3gp": "video/3gpp",
    ".ogv": "video/ogg",
}

# ELAN's stereotypes and their descriptions, all written into every file as ELAN does.
_CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps "
    "allowed within this interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to "
    "the same parent are ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps "
    "are allowed",
}

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_eaf(transcript: Transcript, source: str | Path | None, directory: Path | None) -> str:
    """An EAF 3.0 document as text.

    ``words`` is time-aligned; ``letters`` is its child of stereotype Included_In: letters have
    their own times inside the word, gaps are allowed. ``source`` is linked if its name is a
    video's, by absolute URL and by the path from ``directory`` (None: the video's own folder),
    where the file will lie. The transcript's warnings become properties of the header.
    """
    words = split_words(transcript)
    letters = [token for word in words for token in word.tokens]
    letter_times = to_milliseconds([(t.start, t.end) for t in letters], shortest=1)
    word_times, first = [], 0
    for word in words:
        last = first + len(word.tokens) - 1
        word_times.append((letter_times[first][0], letter_times[last][1]))
        first = last + 1
    tiers = {
        "words": list(zip([word.text for word in words], word_times, strict=True)),
        "letters": list(zip([token.text for token in letters], letter_times, strict=True)),
    }

    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "chereme",
            "DATE": _DATE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = _add(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if source is not None and Path(source).suffix.lower() in MIME_TYPES:
        _add_media(header, Path(source), directory)
    for warning in transcript.warnings:
        _add(header, "PROPERTY", warning, NAME="warning")
    count = sum(map(len, tiers.values()))
    _add(header, "PROPERTY", str(count), NAME="lastUsedAnnotationId")
    _add_annotations(root, tiers)
    shared = {"GRAPHIC_REFERENCES": "false", "TIME_ALIGNABLE": "true"}
    _add(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="word", **shared)
    _add(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="letter", CONSTRAINTS="Included_In", **shared)
    for stereotype, description in _CONSTRAINTS.items():
        _add(root, "CONSTRAINT", DESCRIPTION=description, STEREOTYPE=stereotype)
    ElementTree.indent(root, "    ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_annotations(
    root: ElementTree.Element, tiers: dict[str, list[tuple[str, tuple[int, int]]]]
) -> None:
    # Each annotation has its own two slots: shared ones would make ELAN move neighbours along.
    times = [time for entries in tiers.values() for _, span in entries for time in span]
    ascending = sorted(range(len(times)), key=times.__getitem__)
    slot_names = {slot: f"ts{rank}" for rank, slot in enumerate(ascending, start=1)}
    order = _add(root, "TIME_ORDER")
    for slot in ascending:
        _add(order, "TIME_SLOT", TIME_SLOT_ID=slot_names[slot], TIME_VALUE=str(times[slot]))

    number = 0
    for name, entries in tiers.items():
        attributes = {"LINGUISTIC_TYPE_REF": name.removesuffix("s"), "TIER_ID": name}
        if name == "letters":
            attributes["PARENT_REF"] = "words"
        tier = _add(root, "TIER", **attributes)
        for value, _ in entries:
            annotation = _add(
                _add(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{number + 1}",
                TIME_SLOT_REF1=slot_names[2 * number],
                TIME_SLOT_REF2=slot_names[2 * number + 1],
            )
            _add(annotation, "ANNOTATION_VALUE", value)
            number += 1


def _add_media(header: ElementTree.Element, video: Path, directory: Path | None) -> None:
    # ELAN writes and reads plain paths after file://, without percent signs.
    absolute = Path(os.path.abspath(video))
    attributes = {
        "MEDIA_URL": "file:///" + absolute.as_posix().lstrip("/"),
        "MIME_TYPE": MIME_TYPES[video.suffix.lower()],
    }
    try:
        relative = Path(os.path.relpath(absolute, directory or absolute.parent)).as_posix()
        attributes["RELATIVE_MEDIA_URL"] = (
            relative if relative.startswith("../") else f"./{relative}"
        )
    except ValueError:  # on another drive of Windows there is no relative path
        pass
    _add(header, "MEDIA_DESCRIPTOR", **attributes)


def _add(
    parent: ElementTree.Element, tag: str, text: str | None = None, **attributes: str
) -> ElementTree.Element:
    clean = {name: _NOT_IN_XML.sub("", value) for name, value in attributes.items()}
    element = ElementTree.SubElement(parent, tag, clean)
    if text is not None:
        element.text = _NOT_IN_XML.sub("", text)
    return element
