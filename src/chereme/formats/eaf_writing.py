"""ELAN annotation files (EAF 3.0), written beside the video: tiers of words, letters or glosses.

Format: "EAF Annotation Format 3.0 and ELAN" and its schema EAFv3.0.xsd (Max Planck Institute for
Psycholinguistics).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from chereme.formats.words import split_words, to_milliseconds
from chereme.types import Transcript, Unit

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
CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps "
    "allowed within this interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to "
    "the same parent are ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps "
    "are allowed",
}

# Linguistic types and their stereotypes: letters have their own times inside the word, and gaps.
KINDS = {
    "word": None,
    "letter": "Included_In",
    "gloss": None,
    "probability": "Symbolic_Association",
}

# What XML cannot hold, and control characters that it could.
_UNWANTED = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Probability = Literal["none", "value", "tier"]


@dataclass(frozen=True, slots=True)
class ElanStyle:
    """How what was read is annotated.

    ``tier`` is the name of the tier of words or glosses; those below it are called
    ``<tier>-letters`` and ``<tier>-probability``. None: ``words``, ``letters``, ``glosses``,
    ``probability``. ``participant``: who is annotated. ``probability`` of each letter or gloss:
    left out, behind it in the annotation's value, or in a tier of its own.
    """

    tier: str | None = None
    participant: str | None = None
    probability: Probability = "none"


@dataclass(frozen=True, slots=True)
class NewTier:
    """A tier to write: values with start and end in ms, or with the number of the annotation of
    ``parent`` that they belong to (of a kind that has no times)."""

    name: str
    kind: str
    entries: Sequence[tuple[str, tuple[int, int] | int]]
    parent: str | None = None


def tier_names(unit: Unit, style: ElanStyle) -> dict[str, str]:
    """The name of the tier of each kind, for letters or for glosses."""
    spelled = unit == "letter"
    top = style.tier or ("words" if spelled else "glosses")
    below = f"{style.tier}-" if style.tier else ""
    names = {"word": top, "letter": f"{below}letters"} if spelled else {"gloss": top}
    return names | ({"probability": f"{below}probability"} if style.probability == "tier" else {})


def make_tiers(transcript: Transcript, style: ElanStyle, origin: float = 0.0) -> list[NewTier]:
    """The tiers of a transcript, with times from ``origin`` (seconds of the recording) on.

    What ends before is left out. Raises UsageError if the tokens do not spell the text.
    """
    names = tier_names(transcript.unit, style)
    words = [
        (word.text, kept)
        for word in split_words(transcript)
        if (kept := [token for token in word.tokens if token.end > origin or origin == 0.0])
    ]
    tokens = [token for _, kept in words for token in kept]
    times = to_milliseconds([(t.start - origin, t.end - origin) for t in tokens], shortest=1)
    values = [
        f"{token.text} {token.probability:.2f}" if style.probability == "value" else token.text
        for token in tokens
    ]
    signs = list(zip(values, times, strict=True))
    tiers: list[NewTier] = []
    if transcript.unit == "letter":
        spans, first = [], 0
        for _, kept in words:
            last = first + len(kept) - 1
            spans.append((times[first][0], times[last][1]))
            first = last + 1
        texts = [text for text, _ in words]
        tiers += [
            NewTier(names["word"], "word", list(zip(texts, spans, strict=True))),
            NewTier(names["letter"], "letter", signs, parent=names["word"]),
        ]
    else:
        tiers.append(NewTier(names["gloss"], "gloss", signs))
    if "probability" in names:
        shares = [(f"{token.probability:.4f}", number) for number, token in enumerate(tokens)]
        tiers.append(NewTier(names["probability"], "probability", shares, parent=tiers[-1].name))
    return tiers


def render_eaf(
    transcript: Transcript, style: ElanStyle, source: str | Path | None, directory: Path | None
) -> str:
    """An EAF 3.0 document as text, dated now.

    ``source`` is linked if its name is a video's, by absolute URL and by the path from
    ``directory`` (None: the video's own folder), where the file will lie. Warnings become
    properties of the header.
    """
    tiers = make_tiers(transcript, style)
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "chereme",
            "DATE": datetime.now().astimezone().isoformat(timespec="seconds"),
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
    count = sum(len(tier.entries) for tier in tiers)
    _add(header, "PROPERTY", str(count), NAME="lastUsedAnnotationId")
    slots, elements = tier_elements(tiers, style.participant)
    _add(root, "TIME_ORDER").extend(slot for _, slot in slots)
    root.extend(elements)
    root.extend(linguistic_type(tier.kind) for tier in tiers)
    root.extend(constraint(stereotype) for stereotype in CONSTRAINTS)
    ElementTree.indent(root, "    ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def tier_elements(
    tiers: Sequence[NewTier],
    participant: str | None,
    *,
    types: Mapping[str, str] | None = None,
    first_slot: int = 1,
    first_annotation: int = 1,
) -> tuple[list[tuple[int, ElementTree.Element]], list[ElementTree.Element]]:
    """The elements TIME_SLOT with their times in ms, rising, and TIER.

    ``types``: the linguistic type of each kind, where it is not called as the kind. Slots and
    annotations are numbered from the numbers that are given.
    """
    # Each annotation has its own two slots: shared ones would make ELAN move neighbours along.
    times = [
        time
        for tier in tiers
        for _, span in tier.entries
        if not isinstance(span, int)
        for time in span
    ]
    ascending = sorted(range(len(times)), key=times.__getitem__)
    slot_names = {slot: f"ts{rank}" for rank, slot in enumerate(ascending, start=first_slot)}
    slots = [
        (
            times[slot],
            _element("TIME_SLOT", TIME_SLOT_ID=slot_names[slot], TIME_VALUE=str(times[slot])),
        )
        for slot in ascending
    ]
    elements: list[ElementTree.Element] = []
    slot, number = 0, first_annotation
    firsts: dict[str, int] = {}  # number of the first annotation of each tier
    for tier in tiers:
        firsts[tier.name] = number
        attributes = {"LINGUISTIC_TYPE_REF": (types or {}).get(tier.kind, tier.kind)}
        if participant:
            attributes["PARTICIPANT"] = participant
        attributes["TIER_ID"] = tier.name
        if tier.parent is not None:
            attributes["PARENT_REF"] = tier.parent
        element = _element("TIER", **attributes)
        for value, span in tier.entries:
            place = {"ANNOTATION_ID": f"a{number}"}
            if isinstance(span, int):
                tag = "REF_ANNOTATION"
                place["ANNOTATION_REF"] = f"a{firsts[tier.parent or ''] + span}"
            else:
                tag = "ALIGNABLE_ANNOTATION"
                place |= {
                    "TIME_SLOT_REF1": slot_names[slot],
                    "TIME_SLOT_REF2": slot_names[slot + 1],
                }
                slot += 2
            _add(_add(_add(element, "ANNOTATION"), tag, **place), "ANNOTATION_VALUE", value)
            number += 1
        elements.append(element)
    return slots, elements


def linguistic_type(kind: str, name: str | None = None) -> ElementTree.Element:
    """The element of the type of tiers of this ``kind``, called ``name``."""
    stereotype = KINDS[kind]
    inside = {} if stereotype is None else {"CONSTRAINTS": stereotype}
    return _element(
        "LINGUISTIC_TYPE",
        LINGUISTIC_TYPE_ID=name or kind,
        **inside,
        GRAPHIC_REFERENCES="false",
        TIME_ALIGNABLE=is_alignable(kind),
    )


def is_alignable(kind: str) -> str:
    """Whether annotations of this kind have times of their own, as the files say it."""
    return "false" if KINDS[kind] == "Symbolic_Association" else "true"


def constraint(stereotype: str) -> ElementTree.Element:
    return _element("CONSTRAINT", DESCRIPTION=CONSTRAINTS[stereotype], STEREOTYPE=stereotype)


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
    element = _element(tag, text, **attributes)
    parent.append(element)
    return element


def _element(tag: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    clean = {name: _UNWANTED.sub("", value) for name, value in attributes.items()}
    element = ElementTree.Element(tag, clean)
    if text is not None:
        element.text = _UNWANTED.sub("", text)
    return element
