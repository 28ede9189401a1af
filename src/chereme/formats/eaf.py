"""ELAN annotation files: read with all their tiers (EAF 2.x, 3.0), and written (EAF 3.0) beside the
video, with the tiers ``words`` and ``letters`` or the tier ``glosses``.

Format: "EAF Annotation Format 3.0 and ELAN" and its schema EAFv3.0.xsd (Max Planck Institute for
Psycholinguistics). Written with the standard library, so that rendering needs no file and no clock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np

from chereme.errors import InputError
from chereme.formats.paths import FileFinder, nfc
from chereme.formats.words import split_words, to_milliseconds
from chereme.formats.xml_files import read_xml
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

_KINDS = {"words": "word", "letters": "letter", "glosses": "gloss"}  # linguistic types of tiers
_PARENTS = {"letters": "words"}

_DEEPEST = 100  # tiers that depend on each other; a loop of references is deeper

_Tiers = dict[str, list[tuple[str, tuple[int, int]]]]  # text, start and end in ms

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

    return _document(tiers, transcript.warnings, source, directory)


def render_gloss_eaf(
    glosses: Sequence[tuple[str, float, float]],
    warnings: Sequence[str],
    source: str | Path | None,
    directory: Path | None,
) -> str:
    """An EAF 3.0 document with the time-aligned tier ``glosses``: text, start and end in seconds of
    each, in order. The other arguments as of `render_eaf`."""
    times = to_milliseconds([(start, end) for _, start, end in glosses], shortest=1)
    tier = list(zip([text for text, _, _ in glosses], times, strict=True))
    return _document({"glosses": tier}, warnings, source, directory)


def _document(
    tiers: _Tiers, warnings: Sequence[str], source: str | Path | None, directory: Path | None
) -> str:
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
    for warning in warnings:
        _add(header, "PROPERTY", warning, NAME="warning")
    count = sum(map(len, tiers.values()))
    _add(header, "PROPERTY", str(count), NAME="lastUsedAnnotationId")
    _add_annotations(root, tiers)
    shared = {"GRAPHIC_REFERENCES": "false", "TIME_ALIGNABLE": "true"}
    for name in tiers:
        inside = {"CONSTRAINTS": "Included_In"} if name in _PARENTS else {}
        _add(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=_KINDS[name], **inside, **shared)
    for stereotype, description in _CONSTRAINTS.items():
        _add(root, "CONSTRAINT", DESCRIPTION=description, STEREOTYPE=stereotype)
    ElementTree.indent(root, "    ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_annotations(root: ElementTree.Element, tiers: _Tiers) -> None:
    # Each annotation has its own two slots: shared ones would make ELAN move neighbours along.
    times = [time for entries in tiers.values() for _, span in entries for time in span]
    ascending = sorted(range(len(times)), key=times.__getitem__)
    slot_names = {slot: f"ts{rank}" for rank, slot in enumerate(ascending, start=1)}
    order = _add(root, "TIME_ORDER")
    for slot in ascending:
        _add(order, "TIME_SLOT", TIME_SLOT_ID=slot_names[slot], TIME_VALUE=str(times[slot]))

    number = 0
    for name, entries in tiers.items():
        attributes = {"LINGUISTIC_TYPE_REF": _KINDS[name], "TIER_ID": name}
        if name in _PARENTS:
            attributes["PARENT_REF"] = _PARENTS[name]
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


# -- reading ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Annotation:
    """A stretch of a tier, ``start`` to ``end`` seconds of the media; ``value`` may be empty."""

    value: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier and its annotations, by time. ``kind`` is its linguistic type; ``parent`` the name of
    the tier that it depends on, ``participant`` who is annotated, None where not stated."""

    name: str
    annotations: tuple[Annotation, ...]
    kind: str = ""
    parent: str | None = None
    participant: str | None = None


@dataclass(frozen=True, slots=True)
class LinkedMedia:
    """A recording that an ELAN file links: where it may lie, each place as it is written.

    ``origin``: seconds of the recording at which the time line of the annotations has its 0.
    ``is_video``: as its MIME type says, or its suffix where that says neither.
    """

    places: tuple[str, ...]
    is_video: bool
    origin: float = 0.0

    def find(self, folder: Path) -> Path | None:
        """The recording where the file says, from ``folder``, or in it by its name alone."""
        finder = FileFinder(folder)
        local = [path for place in self.places for path in _local(place)]
        names = [PurePosixPath(path.replace("\\", "/")).name for path in local]
        for name in (*local, *filter(None, names)):
            if os.path.isfile(path := finder.find(name)):
                return path
        return None

    @property
    def stems(self) -> set[str]:
        """What the recording is called, without folder and suffix."""
        names = [path.replace("\\", "/") for place in self.places for path in _local(place)]
        return {nfc(PurePosixPath(name).stem) for name in names}


def _local(place: str) -> list[str]:
    """A link as paths of this machine: ELAN writes URLs with and without percent signs."""
    path = place
    if place.lower().startswith("file:"):
        bare = place[len("file:") :].lstrip("/")
        path = bare if re.match("[A-Za-z]:|[.]", bare) else f"/{bare}"
    return list(dict.fromkeys((path, unquote(path))))


@dataclass(frozen=True, slots=True)
class ElanDocument:
    """``tiers`` by name, in the order of the file, with times of the annotations' own time line;
    ``media``: the linked recordings, of which any may be lacking on this machine."""

    tiers: Mapping[str, Tier]
    media: tuple[LinkedMedia, ...] = ()

    @property
    def videos(self) -> tuple[LinkedMedia, ...]:
        """The linked videos, in order."""
        return tuple(media for media in self.media if media.is_video)

    def find_media(self, folder: Path) -> Path | None:
        """The first linked video that exists, see `LinkedMedia.find`; None if there is none."""
        return next((path for video in self.videos if (path := video.find(folder))), None)

    def origin_in(self, recording: Path) -> float:
        """Seconds of ``recording`` at which the annotations have their 0: those of the linked video
        of that name, else of the first."""
        same = [video for video in self.videos if nfc(recording.stem) in video.stems]
        return next((video.origin for video in (*same, *self.videos)), 0.0)


def read_eaf(path: str | Path) -> ElanDocument:
    """Read all tiers of an ELAN file.

    Annotations without times of their own have those of their parent: one to one (symbolic
    association), or as equal parts of it (symbolic subdivision), as ELAN shows them. Time slots
    without a value lie evenly between those beside them that have one.

    Raises InputError for a file that is damaged or no ELAN file, and for references to what it does
    not have.
    """
    path = Path(path)
    root = read_xml(path, ["ANNOTATION_DOCUMENT"])
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise InputError(
            f"{path}: expected TIME_UNITS milliseconds, got {units!r}; save it in ELAN"
        )
    media = () if header is None else _media(path, header)
    reader = _Annotations(path, _slots(path, root), list(root.iter("TIER")))
    tiers: dict[str, Tier] = {}
    for tier in root.iter("TIER"):
        name = tier.get("TIER_ID") or ""
        if name in tiers:
            raise InputError(f"{path}: expected each tier once, got {name!r} twice")
        found = [reader.annotation(a) for a in tier.iterfind("ANNOTATION/*")]
        tiers[name] = Tier(
            name,
            tuple(sorted(found, key=lambda a: (a.start, a.end))),
            tier.get("LINGUISTIC_TYPE_REF", ""),
            tier.get("PARENT_REF"),
            tier.get("PARTICIPANT") or None,
        )
    return ElanDocument(tiers, media)


_SOUNDS = (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".aif", ".aiff", ".wma", ".au")
_LATEST = 10**10  # ms; more than a hundred days


def _media(path: Path, header: ElementTree.Element) -> tuple[LinkedMedia, ...]:
    media, sources = [], []
    for descriptor in header.iter("MEDIA_DESCRIPTOR"):
        origin = _milliseconds(path, "TIME_ORIGIN", descriptor.get("TIME_ORIGIN") or "0")
        urls = (descriptor.get("RELATIVE_MEDIA_URL"), descriptor.get("MEDIA_URL"))
        places = tuple(place for place in urls if place)
        if places:
            mime = descriptor.get("MIME_TYPE", "").lower().partition("/")[0]
            sound = places[-1].lower().endswith(_SOUNDS)
            is_video = mime == "video" or (mime != "audio" and not sound)
            media.append(LinkedMedia(places, is_video, origin))
        # Sound cut out of a video has its time line. Of use where the video itself is not linked.
        if source := descriptor.get("EXTRACTED_FROM"):
            sources.append(LinkedMedia((source,), not source.lower().endswith(_SOUNDS), origin))
    return (*media, *sources)


def _slots(path: Path, root: ElementTree.Element) -> dict[str, float]:
    """Time slots in seconds."""
    names: list[str] = []
    known: list[int] = []
    times: list[float] = []
    for number, slot in enumerate(root.iterfind("TIME_ORDER/TIME_SLOT")):
        names.append(slot.get("TIME_SLOT_ID", ""))
        if (value := slot.get("TIME_VALUE", "")).isdecimal():
            known.append(number)
            times.append(_milliseconds(path, "TIME_VALUE", value))
    if not known:
        return dict.fromkeys(names, 0.0)
    filled = np.interp(np.arange(len(names)), known, times)
    return dict(zip(names, map(float, filled), strict=True))


def _milliseconds(path: Path, name: str, text: str) -> float:
    """Seconds. Python refuses to read numbers of thousands of digits, so the length goes first."""
    digits = text.strip().removeprefix("-")
    if not digits.isdecimal() or len(digits) > 11 or int(digits) > _LATEST:
        raise InputError(
            f"{path}: {name}: expected milliseconds, a whole number up to {_LATEST:,}, got "
            f"{text[:40]!r}; correct it in ELAN"
        )
    return int(text) / 1000


class _Annotations:
    """The annotations of a file, which refer to time slots and to each other."""

    def __init__(self, path: Path, slots: Mapping[str, float], tiers: list[ElementTree.Element]):
        self._path = path
        self._slots = slots
        self._elements: dict[str, ElementTree.Element] = {}
        self._parts: dict[str, tuple[int, int]] = {}  # which part of its parent, of how many
        self._spans: dict[str, tuple[float, float]] = {}
        for tier in tiers:
            parts: dict[str, dict[str, str | None]] = {}  # of each parent, and what goes before
            for element in tier.iterfind("ANNOTATION/*"):
                name = element.get("ANNOTATION_ID", "")
                self._elements[name] = element
                if element.tag == "REF_ANNOTATION":
                    siblings = parts.setdefault(element.get("ANNOTATION_REF", ""), {})
                    siblings[name] = element.get("PREVIOUS_ANNOTATION")
            for siblings in parts.values():
                for place, name in enumerate(_in_order(siblings)):
                    self._parts[name] = (place, len(siblings))

    def annotation(self, element: ElementTree.Element) -> Annotation:
        start, end = self._span(element, 0)
        return Annotation((element.findtext("ANNOTATION_VALUE") or "").strip(), start, end)

    def _span(self, element: ElementTree.Element, depth: int) -> tuple[float, float]:
        if element.tag == "ALIGNABLE_ANNOTATION":
            ends = [element.get(f"TIME_SLOT_REF{end}", "") for end in (1, 2)]
            if lacking := [name for name in ends if name not in self._slots]:
                raise self._broken(element, f"the time slot {lacking[0]!r}")
            return self._slots[ends[0]], self._slots[ends[1]]
        name = element.get("ANNOTATION_ID", "")
        parent = self._elements.get(element.get("ANNOTATION_REF", ""))
        if parent is None or depth > _DEEPEST:
            raise self._broken(element, f"the annotation {element.get('ANNOTATION_REF')!r}")
        if name not in self._spans:
            start, end = self._span(parent, depth + 1)
            place, parts = self._parts[name]
            length = (end - start) / parts
            self._spans[name] = (start + place * length, start + (place + 1) * length)
        return self._spans[name]

    def _broken(self, element: ElementTree.Element, what: str) -> InputError:
        return InputError(
            f"{self._path}: annotation {element.get('ANNOTATION_ID')!r} refers to {what}, which is "
            "not in the file (or to itself); open it in ELAN and save it again"
        )


def _in_order(before: Mapping[str, str | None]) -> list[str]:
    """Names, each after the one that it says goes before it; as listed where none is said."""
    after: dict[str, list[str]] = {}
    first: list[str] = []
    for name, previous in before.items():
        known = previous is not None and previous in before
        (after.setdefault(previous or "", []) if known else first).append(name)
    order: list[str] = []
    waiting = first[::-1]
    while waiting:
        order.append(waiting.pop())
        waiting += after.get(order[-1], [])[::-1]
    ordered = set(order)
    return order + [name for name in before if name not in ordered]
