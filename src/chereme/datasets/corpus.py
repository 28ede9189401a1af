"""A data set as its reader found it: the clips that can be used, and what became of the others.

A reader gives its rows one by one to a :class:`CorpusBuilder` and returns its :class:`Corpus`. That
is written as a manifest (:mod:`chereme.formats.manifests`), which every trainer and
``chereme evaluate`` reads.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from chereme.datasets.checks import shared_signers
from chereme.errors import InputError
from chereme.formats.manifests import Item, write_manifest
from chereme.text.alphabet import Alphabet
from chereme.video.folders import numbered_pictures

SPLITS = ("train", "dev", "test")
# Choice: one frame in ten may be lacking. About five frames show a letter, so that the label holds.
LEAST_FRAMES = 0.9


class Unusable(InputError):
    """Why a row of a data set, or the recording that it names, is no clip.

    ``reason`` is one of a few fixed phrases, to count by; ``detail`` says the rest.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail

    def __reduce__(self) -> tuple[type[Unusable], tuple[str, str]]:
        return type(self), (self.reason, self.detail)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one row of a data set. ``dropped``: the corpus does not have its clip.

    ``id`` is the clip's, or names the line of a row without one; ``reason`` is one of a few fixed
    phrases, to count by; ``detail`` says which frames, which characters and so on.
    """

    id: str
    reason: str
    detail: str = ""
    dropped: bool = True


@dataclass(frozen=True)
class Corpus:
    """The clips of a data set; ``rows`` is how many its table has, used or not.

    ``items[i].path`` is a video file or a folder of numbered frames, ``items[i].frames`` the number
    of frames there (or, where nothing was counted, what the table says). ``published`` is the
    number of clips that the authors of the data set give, by split or as ``all``: scores of a part
    of them are not comparable.
    """

    name: str
    items: tuple[Item, ...]
    rows: int
    findings: tuple[Finding, ...] = ()
    published: Mapping[str, int] = field(default_factory=dict)

    unit = "clip"

    def skipped(self) -> dict[str, int]:
        """How many rows were dropped, by reason, the most frequent first."""
        return dict(Counter(f.reason for f in self.findings if f.dropped).most_common())

    def remarks(self) -> dict[str, int]:
        """How many clips were kept in spite of something, by what it is."""
        return dict(Counter(f.reason for f in self.findings if not f.dropped).most_common())

    def split(self, name: str) -> tuple[Item, ...]:
        """The items of one split: train, dev or test."""
        return tuple(item for item in self.items if item.split == name)

    def report(self) -> str:
        """The corpus in lines of text: n of N clips, why the others are not there, each split."""
        lines = [
            f"{self.name}: {len(self.items):,} of {self.rows:,} {self.unit}s"
            f"{self._published('all')}"
        ]
        if skipped := self.skipped():
            lines.append(f"  dropped {sum(skipped.values()):,}: {_counts(skipped)}")
        if remarks := self.remarks():
            lines.append(f"  kept, with a remark: {_counts(remarks)}")
        for name in SPLITS:
            items = self.split(name)
            if items or name in self.published:
                line = f"  {name}: {len(items):,} {self.unit}s{self._published(name)}"
                signers = {item.signer for item in items} - {None}
                unknown = sum(item.signer is None for item in items)
                line += f", {len(signers):,} signers" if signers else ""
                line += f", {unknown:,} {self.unit}s of unknown signer" if unknown else ""
                lines.append(line)
        if shared := shared_signers(self.items):
            named = ", ".join(f"{signer} ({' '.join(splits)})" for signer, splits in shared.items())
            lines.append(f"  signers in more than one split: {named}")
        return "\n".join(lines)

    def first_finding(self) -> str:
        """The first of the findings, for messages; empty if there is none."""
        return next((f" (the first: {f.id} {f.detail})" for f in self.findings), "")

    def _published(self, name: str) -> str:
        return f" ({self.published[name]:,} published)" if name in self.published else ""

    def write(self, manifest: str | Path) -> None:
        """Write the manifest and, beside it, ``<name>.findings.csv`` with every finding."""
        manifest = Path(manifest)
        write_manifest(self.items, manifest)
        with manifest.with_suffix(".findings.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "dropped", "reason", "detail"])
            writer.writerows([f.id, f.dropped, f.reason, f.detail] for f in self.findings)


def _counts(by_reason: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in by_reason.items())


class CorpusBuilder:
    """Takes the rows of a data set one by one; each becomes an item or a finding, never nothing.

    Labels are brought to the symbols of ``alphabet`` (case and accents folded, white space merged);
    one with any other character is dropped, since leaving a letter out would teach a wrong
    spelling. Without an alphabet labels stay as they are. ``allow_empty`` keeps clips in which
    nothing is signed.

    Every clip is looked up on disk. One of which less than ``LEAST_FRAMES`` of the pictures lie
    there is dropped; one that lacks fewer is kept, with the missing numbers in a finding. Pictures
    are counted, not opened.
    """

    corpus: type[Corpus] = Corpus

    def __init__(
        self, name: str, alphabet: Alphabet | None = None, *, allow_empty: bool = False
    ) -> None:
        self._name, self._alphabet, self._allow_empty = name, alphabet, allow_empty
        self._rows = 0
        self._items: dict[str, Item] = {}
        self._findings: list[Finding] = []

    def drop(self, id: str, reason: str, detail: str = "") -> None:
        """Count a row that cannot be an item."""
        self._rows += 1
        self._findings.append(Finding(id, reason, detail))

    @contextmanager
    def row(self, id: str) -> Iterator[None]:
        """A block that reads the row ``id``: if it raises :class:`Unusable`, the row is dropped."""
        try:
            yield
        except Unusable as error:
            self.drop(id, error.reason, error.detail)

    def add(self, item: Item, *, first_number: int | None = None, remark: str = "") -> None:
        """Take a row as an item, with a ``remark`` if there is one, or drop it.

        ``item.frames`` is what the table says. ``first_number`` is the number of a clip's first
        picture where the data set says so; else each folder may begin where it likes.
        """
        with self.row(item.id):
            if item.id in self._items:
                raise Unusable("listed twice", f"labelled {item.label!r} here")
            remarks = [(remark, "")] if remark else []
            item = self._checked(item, first_number, remarks)
            self._rows += 1
            self._items[item.id] = item
            self._findings.extend(Finding(item.id, *own, dropped=False) for own in remarks)

    def _checked(
        self, item: Item, first_number: int | None, remarks: list[tuple[str, str]]
    ) -> Item:
        """``item`` as it is kept. Unusable if it cannot be."""
        return _with_frames(self._with_label(item, remarks), first_number, remarks)

    def _with_label(self, item: Item, remarks: list[tuple[str, str]]) -> Item:
        written = item.label
        if self._alphabet is not None:
            if unknown := self._alphabet.unknown(written):
                raise Unusable("character not in the alphabet", f"{unknown} in {written!r}")
            item = replace(item, label=self._alphabet.normalise(written))
        if not item.label and not self._allow_empty:
            raise Unusable("no label")
        # Choice: spaces at the ends or doubled are slips of the table, and nobody signs them. The
        # field's own scores count them as letters.
        if item.label and written != " ".join(written.split()):
            remarks.append(("white space merged in the label", repr(written)))
        return item

    def build(self, published: Mapping[str, int] | None = None) -> Corpus:
        """The corpus. Raises InputError, with the reasons, if no row could be used."""
        corpus = self.corpus(
            self._name,
            tuple(self._items.values()),
            self._rows,
            tuple(self._findings),
            dict(published or {}),
        )
        if not corpus.items:
            raise InputError(
                f"{self._name}: expected at least one {corpus.unit}, but none of {self._rows:,} "
                f"rows can be used: {_counts(corpus.skipped()) or 'the table is empty'}"
                f"{corpus.first_finding()}; check the folder of the recordings and the columns of "
                "the table"
            )
        return corpus


def on_disk(item: Item) -> None:
    """Unusable if the recording of ``item`` is not there."""
    if not os.path.exists(item.path):
        raise Unusable("not on disk", str(item.path))


def _with_frames(item: Item, first_number: int | None, remarks: list[tuple[str, str]]) -> Item:
    on_disk(item)
    # Where a part of a recording is meant, the count of the whole says nothing about it.
    if not item.path.is_dir() or item.start is not None or item.end is not None:
        return item
    try:
        numbers = [number for number, _ in numbered_pictures(item.path)[0]]
    except InputError as error:
        raise Unusable("no series of frames in its folder", str(error)) from error
    missing, extra = _compare(numbers, item.frames, first_number)
    listed = len(numbers) - len(extra) + len(missing)
    lacking = f"{len(missing)} of {listed}: {_ranges(missing)}"
    if len(numbers) < LEAST_FRAMES * listed:
        raise Unusable("too many frames missing", lacking)
    if missing:
        remarks.append(("frames missing", lacking))
    if extra:
        remarks.append(("more frames than listed", f"{len(extra)}: {_ranges(extra)}"))
    return replace(item, frames=len(numbers))


def _compare(
    numbers: Sequence[int], frames: int | None, first: int | None
) -> tuple[list[int], list[int]]:
    """The missing and the extra ones among the rising ``numbers`` of the pictures of a clip."""
    first = numbers[0] if first is None else first
    expected = range(first, numbers[-1] + 1 if frames is None else first + frames)
    present = set(numbers)
    return [n for n in expected if n not in present], [n for n in numbers if n not in expected]


def _ranges(numbers: Sequence[int]) -> str:
    """Rising numbers in words: ``3-5, 9``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
