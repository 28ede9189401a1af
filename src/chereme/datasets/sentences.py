"""Signed sentences: recordings, or parts of them, with the glosses that are signed there.

What the readers of continuous signing return (`boston104`, `signstream`, `phoenix`, `csl_daily`,
`elan`, and manifests here), as :class:`chereme.datasets.corpus.Corpus` is for clips.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from chereme.datasets.corpus import Corpus, Finding
from chereme.errors import InputError
from chereme.formats.files import read_file
from chereme.formats.manifests import Item, Split, read_manifest
from chereme.formats.tables import read_rows
from chereme.formats.tracks import PoseTracks
from chereme.formats.tracks.files import open_tracks
from chereme.text.glosses import LONGEST, as_gloss

GLOSS_TIMES = "glosses.csv"
UNKNOWN_TIME = "no times for its glosses"
TOO_LONG = f"more than {LONGEST} glosses"


@dataclass(frozen=True, slots=True)
class Gloss:
    """A signed gloss; ``start`` and ``end`` in seconds of the recording, None where nobody says."""

    text: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A signed sentence.

    ``path``: the recording (a video, a folder of frames, a file of poses), or the part of it from
    ``start`` to ``end`` seconds. ``translation``: in a spoken language. ``frames``: how many the
    source says there are. ``video``: the recording that a file of poses is of. What is None is not
    stated.
    """

    id: str
    path: Path
    glosses: tuple[Gloss, ...]
    signer: str | None = None
    split: Split | None = None
    start: float | None = None
    end: float | None = None
    language: str | None = None
    translation: str | None = None
    frames: int | None = None
    video: Path | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The glosses as text, in order."""
        return tuple(gloss.text for gloss in self.glosses)

    @property
    def item(self) -> Item:
        """As a row of a manifest; the label is the glosses with spaces between."""
        return Item(
            path=self.path,
            label=" ".join(self.words),
            id=self.id,
            signer=self.signer,
            split=self.split,
            start=self.start,
            end=self.end,
            language=self.language,
            frames=self.frames,
            video=self.video,
        )


def sentence_tracks(sentence: Sentence) -> PoseTracks:
    """The tracks of a sentence whose ``path`` is a file of poses: the part of it that it is.

    Raises InputError for a damaged file, or one that is shorter; UsageError for a recording, of
    which tracks have to be made first.
    """
    clip = open_tracks(sentence.path)
    if sentence.start is None and sentence.end is None:
        return clip
    return clip.part(sentence.start or 0.0, sentence.end)


@dataclass(frozen=True)
class SentenceCorpus:
    """The sentences of a data set, and what became of the others; ``rows``: how many it lists."""

    name: str
    sentences: tuple[Sentence, ...]
    rows: int
    findings: tuple[Finding, ...] = ()
    published: Mapping[str, int] = field(default_factory=dict)

    @property
    def corpus(self) -> Corpus:
        """The same as clips with labels: for its report, its counts, and its manifest."""
        items = tuple(sentence.item for sentence in self.sentences)
        return Corpus(self.name, items, self.rows, self.findings, self.published)

    def split(self, name: str) -> tuple[Sentence, ...]:
        """The sentences of one split: train, dev or test."""
        return tuple(sentence for sentence in self.sentences if sentence.split == name)

    def gloss_counts(self) -> Counter[str]:
        """How often each gloss is signed."""
        return Counter(word for sentence in self.sentences for word in sentence.words)

    def report(self) -> str:
        """n of N sentences, why the others are not there, glosses, and each split, in lines."""
        counts = self.gloss_counts()
        total = f"  {counts.total():,} glosses, {len(counts):,} different"
        first, *others = self.corpus.report().splitlines()
        return "\n".join([first, total, *others])


class SentenceBuilder:
    """Takes the rows of a data set one by one; each becomes a sentence or a finding.

    Dropped: ids that came before, sentences without glosses, and, with ``check_files``, those whose
    recording is not on disk. Kept with a remark: sentences of more than 64 glosses, which is the
    longest that the paper's model reads.
    """

    def __init__(self, name: str, *, check_files: bool = True) -> None:
        self._name = name
        self._check_files = check_files
        self._rows = 0
        self._sentences: dict[str, Sentence] = {}
        self._findings: list[Finding] = []

    def drop(self, id: str, reason: str, detail: str = "") -> None:
        """Count a row that cannot be a sentence."""
        self._rows += 1
        self._findings.append(Finding(id, reason, detail))

    def add(self, sentence: Sentence, remark: str = "", detail: str = "") -> None:
        """Take a sentence, with a ``remark`` on it if there is one, or drop it for a reason."""
        if sentence.id in self._sentences:
            return self.drop(sentence.id, "listed twice", " ".join(sentence.words))
        if not sentence.glosses:
            return self.drop(sentence.id, "no glosses")
        if self._check_files and not os.path.exists(sentence.path):
            return self.drop(sentence.id, "not on disk", str(sentence.path))
        self._rows += 1
        self._sentences[sentence.id] = sentence
        if remark:
            self._findings.append(Finding(sentence.id, remark, detail, dropped=False))
        if len(sentence.glosses) > LONGEST:
            self._findings.append(
                Finding(sentence.id, TOO_LONG, str(len(sentence.glosses)), dropped=False)
            )

    def build(self, published: Mapping[str, int] | None = None) -> SentenceCorpus:
        """The corpus. InputError, with the reasons, if no row could be used."""
        corpus = SentenceCorpus(
            self._name,
            tuple(self._sentences.values()),
            self._rows,
            tuple(self._findings),
            dict(published or {}),
        )
        if not corpus.sentences:
            skipped = ", ".join(f"{n:,} {why}" for why, n in corpus.corpus.skipped().items())
            first = next((f" (the first: {f.id} {f.detail})" for f in self._findings), "")
            raise InputError(
                f"{self._name}: expected at least one sentence, but none of {self._rows:,} rows "
                f"can be used: {skipped or 'the table is empty'}{first}; check the folder of the "
                "recordings and the layout of the annotations"
            )
        return corpus


def words_of(text: str) -> tuple[Gloss, ...]:
    """The glosses of a line of text, which has white space between them, without times."""
    return tuple(Gloss(as_gloss(word)) for word in text.split())


def from_manifest(
    path: str | Path,
    *,
    check_files: bool = True,
    change: Callable[[str], str] = str,
) -> SentenceCorpus:
    """The items of a manifest (:mod:`chereme.formats.manifests`) as sentences: a label is glosses
    with spaces between. ``change`` is applied to each label first. A table ``glosses.csv`` beside
    the manifest (``id,gloss,start,end``) says when they are signed. InputError as the manifest's
    reader, for such a table that is damaged, or if no item can be used."""
    items = read_manifest(path)
    builder = SentenceBuilder(Path(path).stem, check_files=check_files)
    times = read_times(Path(path).with_name(GLOSS_TIMES))
    for item in items:
        glosses = words_of(change(item.label))
        timed = times.get(item.id, [])
        fits = [gloss.text for gloss in timed] == [one.text for one in words_of(item.label)]
        if fits and len(timed) == len(glosses):
            glosses = tuple(
                replace(gloss, text=one.text) for gloss, one in zip(timed, glosses, strict=True)
            )
        builder.add(
            Sentence(
                id=item.id,
                path=item.path,
                glosses=glosses,
                signer=item.signer,
                split=item.split,
                start=item.start,
                end=item.end,
                language=item.language,
                frames=item.frames,
                video=item.video,
            ),
            UNKNOWN_TIME if times and not fits else "",
        )
    return builder.build()


def read_times(path: Path) -> dict[str, list[Gloss]]:
    """The glosses of each sentence by its id, of a table ``id,gloss,start,end`` (seconds), in the
    order of its rows; none where there is no such file."""
    if not path.is_file():
        return {}
    rows = read_rows(path)
    _, header = next(rows, (1, []))
    if header != ["id", "gloss", "start", "end"]:
        raise InputError(f"{path}: expected the columns id,gloss,start,end, got {','.join(header)}")
    found: dict[str, list[Gloss]] = {}
    for line, cells in rows:
        try:
            name, gloss, start, end = cells
            times = float(start), float(end)
        except ValueError as error:
            raise InputError(
                f"{path}, line {line}: expected id,gloss,start,end with seconds, got "
                f"{','.join(cells)}"
            ) from error
        if not 0 <= times[0] <= times[1] < math.inf:
            raise InputError(
                f"{path}, line {line}: expected an end after the start, got {start} to {end} s"
            )
        found.setdefault(name, []).append(Gloss(as_gloss(gloss), *times))
    return found


def read_bars(path: Path, needed: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """The rows of a table with ``|`` between its cells and a header, each with its place.

    UTF-8. InputError if it cannot be read, a ``needed`` column is lacking, or a row has another
    number of cells.
    """
    try:
        text = read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a table in UTF-8 ({error}); check the path") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    header = [name.strip() for name in lines[0][1].split("|")] if lines else []
    if lacking := [name for name in needed if name not in header]:
        raise InputError(
            f"{path}: expected a header with {'|'.join(needed)}, got {'|'.join(header)!r}: "
            f"{', '.join(lacking)} lacking; use the annotations that come with the data set"
        )
    rows = []
    for number, line in lines[1:]:
        cells = line.split("|")
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {number}: expected {len(header)} cells ({'|'.join(header)}), got "
                f"{len(cells)}"
            )
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        rows.append((f"line {number}", row))
    return rows


def split_named(name: str) -> Split:
    """train, dev or test."""
    return cast("Split", name)
