"""ELAN annotation files (EAF 2.x, 3.0), read with all their tiers.

Format: "EAF Annotation Format 3.0 and ELAN" and its schema EAFv3.0.xsd (Max Planck Institute for
Psycholinguistics). :mod:`chereme.formats.eaf_writing` writes them,
:mod:`chereme.formats.eaf_tiers` adds tiers to them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np

from chereme.errors import InputError
from chereme.formats.paths import FileFinder, nfc
from chereme.formats.xml_files import read_xml

_DEEPEST = 100  # tiers that depend on each other; a loop of references is deeper


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
    ``is_video``: neither its MIME type nor its suffix says that it is sound.
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
            media.append(LinkedMedia(places, mime != "audio" and not sound, origin))
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
