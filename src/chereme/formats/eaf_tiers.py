"""Adding tiers to an ELAN file, in which every other byte stays as it is.

The new elements are written into the text of the file: whoever made it, its comments, line ends,
vocabularies and everything that this program knows nothing of stay.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from chereme.errors import InputError, UsageError
from chereme.formats.eaf import ElanDocument, read_eaf
from chereme.formats.eaf_writing import (
    KINDS,
    ElanStyle,
    NewTier,
    constraint,
    is_alignable,
    linguistic_type,
    make_tiers,
    tier_elements,
    tier_names,
)
from chereme.formats.outputs import check_output, new_file
from chereme.formats.paths import nfc
from chereme.formats.words import split_words
from chereme.types import Transcript, Unit

# The children of a document in the order of the schema, as far as new ones are among them.
_ORDER = ("HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT")
_LAST_USED = "lastUsedAnnotationId"
_NUMBERED = re.compile("(a|ts)([0-9]{1,9})")
_ENCODING = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def check_tiers(path: str | Path, unit: Unit, style: ElanStyle) -> None:
    """Whether :func:`add_tiers` can do its work.

    Raises InputError for what is no ELAN file, UsageError if a tier of one of the names is there
    already, OutputError if the file cannot be replaced.
    """
    path = Path(path)
    document = read_eaf(path)
    _check_names(path, document, tier_names(unit, style))
    _Text.read(path)
    check_output(path, overwrite=True)


def add_tiers(
    path: str | Path, transcript: Transcript, style: ElanStyle, source: str | Path
) -> list[str]:
    """Add to the ELAN file ``path`` what was read of ``source``; what the user is to know of it.

    Times are those of the file's own time line (the TIME_ORIGIN of the linked video). Linguistic
    types that fit are used, others come under a number. The file is read anew here, so that
    nothing is lost that was saved in the meantime, and replaced at once.

    Raises as :func:`check_tiers`.
    """
    path, source = Path(path), Path(source)
    before = read_eaf(path)
    _check_names(path, before, tier_names(transcript.unit, style))
    origin = before.origin_in(source)
    tiers = make_tiers(transcript, style, origin)
    with new_file(path, overwrite=True) as part:
        part.write_bytes(_Text.read(path).with_tiers(tiers, style.participant))
        after = read_eaf(part)
        kept = {name: tier for name, tier in after.tiers.items() if name in before.tiers}
        if kept != before.tiers or len(after.tiers) != len(before.tiers) + len(tiers):
            raise InputError(
                f"{path}: tiers cannot be added without a change to others, and were not; open it "
                "in ELAN and save it again"
            )
    warnings = []
    if not any(nfc(source.stem) in video.stems for video in before.videos):
        warnings.append(f"{path} links no video of this name: are these its annotations?")
    read = sum(len(word.tokens) for word in split_words(transcript))
    if left := read - len(next(t for t in tiers if t.kind in ("letter", "gloss")).entries):
        what = "letters" if transcript.unit == "letter" else "glosses"
        warnings.append(
            f"{left} of {read} {what} are not in {path}, whose time line begins at {origin:g} s of "
            "the recording"
        )
    return warnings


def _check_names(path: Path, document: ElanDocument, names: dict[str, str]) -> None:
    if there := [name for name in names.values() if name in document.tiers]:
        raise UsageError(
            f"{path} has a tier {there[0]!r} already, which stays as it is: give another name with "
            "--tier NAME"
        )


@dataclass(slots=True)
class _Text:
    """The text of an ELAN file (UTF-8) and where in it new elements go, as bytes from its start.

    ``ends``: of the last element of each kind. ``slots``: the time of each slot (None: it has none)
    and its end. ``last_used``: from where to where the number of the last annotation stands.
    """

    content: bytes
    encoding: str
    ends: dict[str, int] = field(default_factory=dict)
    slots: list[tuple[int | None, int]] = field(default_factory=list)
    time_order: tuple[int, int] = (0, 0)
    last_used: tuple[int, int] | None = None
    last: dict[str, int] = field(default_factory=lambda: {"a": 0, "ts": 0})
    types: dict[str, dict[str, str]] = field(default_factory=dict)
    stereotypes: set[str] = field(default_factory=set)
    _open: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> _Text:
        """Raises InputError for a file whose encoding Python cannot write back."""
        raw = path.read_bytes()
        encoding = _encoding_of(raw)
        try:
            text = raw.decode(encoding)
            if text.encode(encoding) != raw:
                raise ValueError("it is not the same when it is written back")
        except (ValueError, LookupError) as error:
            raise InputError(
                f"{path}: expected text in the encoding {encoding} ({error}); open it in ELAN and "
                "save it again"
            ) from error
        found = cls(text.encode("utf-8"), encoding)
        parser = expat.ParserCreate("UTF-8")
        parser.StartElementHandler = lambda name, about: found._begin(
            name, about, parser.CurrentByteIndex
        )
        parser.EndElementHandler = lambda name: found._end(name, parser.CurrentByteIndex)
        parser.Parse(found.content, True)
        if "HEADER" not in found.ends or "TIME_ORDER" not in found.ends:
            raise InputError(
                f"{path}: expected the elements HEADER and TIME_ORDER, which every ELAN file has; "
                "open it in ELAN and save it again"
            )
        return found

    def _begin(self, name: str, about: dict[str, str], at: int) -> None:
        self._open.append((name, at, about))
        for value in about.values():
            if match := _NUMBERED.fullmatch(value):
                self.last[match[1]] = max(self.last[match[1]], int(match[2]))
        if name == "LINGUISTIC_TYPE":
            self.types[about.get("LINGUISTIC_TYPE_ID", "")] = about
        elif name == "CONSTRAINT":
            self.stereotypes.add(about.get("STEREOTYPE", ""))

    def _end(self, name: str, at: int) -> None:
        """``at``: of the end tag, or behind a tag that is both."""
        _, began, about = self._open.pop()
        end = at
        if match := re.compile(rb"</%b\s*>" % re.escape(name.encode())).match(self.content, at):
            end = match.end()
            if name == "PROPERTY" and about.get("NAME") == _LAST_USED:
                self.last_used = (self.content.index(b">", began) + 1, at)
                if (number := self.content[slice(*self.last_used)].strip()).isdigit():
                    self.last["a"] = max(self.last["a"], int(number[-9:]))
        if len(self._open) == 1:
            self.ends[name] = end
            if name == "TIME_ORDER":
                self.time_order = (began, at)
        elif name == "TIME_SLOT":
            value = about.get("TIME_VALUE", "")
            self.slots.append((int(value) if value.isdecimal() else None, end))

    def with_tiers(self, tiers: Sequence[NewTier], participant: str | None) -> bytes:
        """The file with these tiers, their types and their stereotypes."""
        types, new_types = self._types_for([tier.kind for tier in tiers])
        wanted = dict.fromkeys(s for tier in tiers if (s := KINDS[tier.kind]) is not None)
        slots, elements = tier_elements(
            tiers,
            participant,
            types=types,
            first_slot=self.last["ts"] + 1,
            first_annotation=self.last["a"] + 1,
        )
        changes: list[tuple[int, int, bytes]] = []  # from, to, what comes in their place
        for tag, added in (
            ("TIER", elements),
            ("LINGUISTIC_TYPE", new_types),
            ("CONSTRAINT", [constraint(s) for s in wanted if s not in self.stereotypes]),
        ):
            place = max(self.ends.get(before, 0) for before in _ORDER[: _ORDER.index(tag) + 1])
            changes.append((place, place, b"".join(self._rendered(e, 1) for e in added)))
        changes = self._slot_changes(slots) + changes
        if self.last_used is not None:
            number = self.last["a"] + sum(len(tier.entries) for tier in tiers)
            changes.append((*self.last_used, str(number).encode()))
        pieces, done = [], 0
        for begin, end, new in sorted(changes, key=lambda change: change[0]):
            pieces += [self.content[done:begin], new]
            done = end
        text = b"".join([*pieces, self.content[done:]]).decode("utf-8")
        return text.encode(self.encoding, "xmlcharrefreplace")

    def _types_for(self, kinds: Sequence[str]) -> tuple[dict[str, str], list[ElementTree.Element]]:
        """The name of the type of each kind, and the elements of those that are new."""
        names: dict[str, str] = {}
        new = []
        for kind in kinds:
            name, number = kind, 1
            while name in self.types and not _fits(self.types[name], kind):
                number += 1
                name = f"{kind}-{number}"
            names[kind] = name
            if name not in self.types:
                new.append(linguistic_type(kind, name))
        return names, new

    def _slot_changes(
        self, slots: Sequence[tuple[int, ElementTree.Element]]
    ) -> list[tuple[int, int, bytes]]:
        began, end = self.time_order
        texts = [(time, self._rendered(slot, 2)) for time, slot in slots]
        if end == self.ends["TIME_ORDER"]:  # an empty one, of a single tag
            inside = b"".join(text for _, text in texts)
            new = b"<TIME_ORDER>" + inside + self._new_line(1) + b"</TIME_ORDER>"
            return [(began, end, new)]
        # Slots of no time of their own have theirs by the order, so nothing may come among them.
        ordered = all(time is not None for time, _ in self.slots)
        first = self.content.index(b">", began) + 1
        last = self.slots[-1][1] if self.slots else first
        changes, place = [], 0
        for time, text in texts:
            while place < len(self.slots) and (self.slots[place][0] or 0) <= time:
                place += 1
            at = (self.slots[place - 1][1] if place else first) if ordered else last
            changes.append((at, at, text))
        return changes

    def _rendered(self, element: ElementTree.Element, level: int) -> bytes:
        ElementTree.indent(element, "    ", level)
        text = ElementTree.tostring(element, encoding="unicode")
        new_line = self._new_line(0).decode()
        return self._new_line(level) + text.replace("\n", new_line).encode()

    def _new_line(self, level: int) -> bytes:
        return (b"\r\n" if b"\r\n" in self.content else b"\n") + b"    " * level


def _fits(about: dict[str, str], kind: str) -> bool:
    """Whether a linguistic type of the file may be that of tiers of this kind."""
    return (
        about.get("CONSTRAINTS") == KINDS[kind]
        and about.get("TIME_ALIGNABLE", "true") == is_alignable(kind)
        and not {"CONTROLLED_VOCABULARY_REF", "LEXICON_REF"} & set(about)
    )


def _encoding_of(raw: bytes) -> str:
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if raw.startswith(mark):
            return name
    declared = _ENCODING.match(raw.removeprefix(codecs.BOM_UTF8))
    return declared[1].decode() if declared else "utf-8"
