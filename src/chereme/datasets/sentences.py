"""Signed sentences: recordings, or parts of them, with the glosses that are signed there.

What the readers of continuous signing return (`boston104`, `signstream`, `phoenix`, `csl_daily`,
`elan`, and manifests here), as :class:`chereme.datasets.corpus.Corpus` is for clips.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import cast
from urllib.parse import quote

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable, on_disk
from chereme.datasets.preparation import alone_in
from chereme.errors import InputError
from chereme.formats.manifests import Item, read_manifest
from chereme.formats.tables import read_rows
from chereme.formats.tracks import PoseTracks, write_tracks
from chereme.formats.tracks.files import open_tracks
from chereme.text.glosses import LONGEST, as_gloss

GLOSS_TIMES = "glosses.csv"
UNKNOWN_TIME = "no times for its glosses"
_TIMES = ("id", "gloss", "start", "end")
TOO_LONG = f"more than {LONGEST} glosses"


@dataclass(frozen=True, slots=True)
class Gloss:
    """A signed gloss; ``start`` and ``end`` in seconds of the recording, None where nobody says."""

    text: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence(Item):
    """A signed sentence; its ``label`` is the glosses with spaces between.

    ``path``: the recording (a video, a folder of frames, a file of poses), or the part of it from
    ``start`` to ``end`` seconds. ``translation``: in a spoken language. ``tracks``: its poses,
    where the data set is of these; ``path`` is then the table that they are from.
    """

    label: str = field(init=False)
    glosses: tuple[Gloss, ...]
    translation: str | None = None
    tracks: PoseTracks | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", " ".join(self.words))

    @property
    def words(self) -> tuple[str, ...]:
        """The glosses as text, in order."""
        return tuple(gloss.text for gloss in self.glosses)


def sentence_tracks(sentence: Sentence) -> PoseTracks:
    """The tracks of a sentence: its own, or the part of the file of poses ``path`` that it is.

    Raises InputError for a damaged file, or one that is shorter; UsageError for a recording, of
    which tracks have to be made first.
    """
    if sentence.tracks is not None:
        return sentence.tracks
    clip = open_tracks(sentence.path)
    if sentence.start is None and sentence.end is None:
        return clip
    return clip.part(sentence.start or 0.0, sentence.end)


class SentenceCorpus(Corpus):
    """The sentences of a data set, and what became of the others."""

    unit = "sentence"

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """The items."""
        return cast("tuple[Sentence, ...]", self.items)

    def gloss_counts(self) -> Counter[str]:
        """How often each gloss is signed."""
        return Counter(word for sentence in self.sentences for word in sentence.words)

    def report(self) -> str:
        """n of N sentences, why the others are not there, glosses, and each split, in lines."""
        counts = self.gloss_counts()
        total = f"  {counts.total():,} glosses, {len(counts):,} different"
        first, *others = super().report().splitlines()
        return "\n".join([first, total, *others])


class SentenceBuilder(CorpusBuilder):
    """Takes the rows of a data set one by one; each becomes a sentence or a finding.

    Dropped: ids that came before, sentences without glosses, and those whose recording is not on
    disk. Kept with a remark: sentences of more than 64 glosses, which is the longest that the
    paper's model reads.
    """

    corpus = SentenceCorpus

    def _checked(
        self, item: Item, first_number: int | None, remarks: list[tuple[str, str]]
    ) -> Item:
        sentence = cast("Sentence", item)
        if not sentence.glosses:
            raise Unusable("no glosses")
        on_disk(sentence)
        if len(sentence.glosses) > LONGEST:
            remarks.append((TOO_LONG, str(len(sentence.glosses))))
        return sentence

    @contextmanager
    def file(self, path: Path, alone: bool) -> Iterator[None]:
        """A block that reads a file of annotations: one that cannot be read is dropped, or, if it
        is ``alone``, the error of the reader."""
        try:
            yield
        except InputError as error:
            if alone:
                raise
            self.drop(path.name, "file cannot be read", str(error))

    def build(self, published: Mapping[str, int] | None = None) -> SentenceCorpus:
        """The corpus. InputError, with the reasons, if no row could be used."""
        return cast("SentenceCorpus", super().build(published))


def annotation_files(root: Path, suffix: str) -> list[Path]:
    """The files with this suffix in a folder and its subfolders, or the file ``root`` itself.
    InputError if there is none."""
    files = sorted(root.rglob(f"*{suffix}")) if root.is_dir() else [root]
    if not files:
        raise InputError(f"{root}: expected files of annotations ({suffix}), got none")
    return files


def words_of(text: str) -> tuple[Gloss, ...]:
    """The glosses of a line of text, which has white space between them, without times."""
    return tuple(Gloss(as_gloss(word)) for word in text.split())


def from_manifest(path: str | Path) -> SentenceCorpus:
    """The items of a manifest (:mod:`chereme.formats.manifests`) as sentences: a label is glosses
    with spaces between. A table ``glosses.csv`` beside the manifest (``id,gloss,start,end``) says
    when they are signed. InputError as the manifest's reader, for such a table that is damaged, or
    if no item can be used."""
    builder = SentenceBuilder(Path(path).stem)
    times = read_times(Path(path).with_name(GLOSS_TIMES))
    for item in read_manifest(path):
        glosses, timed = words_of(item.label), tuple(times.get(item.id, ()))
        fits = [gloss.text for gloss in timed] == [gloss.text for gloss in glosses]
        glosses = timed if fits else glosses
        about = {own.name: getattr(item, own.name) for own in fields(Item) if own.name != "label"}
        builder.add(
            Sentence(glosses=glosses, **about), remark=UNKNOWN_TIME if times and not fits else ""
        )
    return builder.build()


def write_times(sentences: Iterable[Sentence], path: Path) -> None:
    """Write when the glosses are signed, of the sentences that know it of all: `read_times`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_TIMES)
        for sentence in sentences:
            if all(gloss.start is not None for gloss in sentence.glosses):
                for gloss in sentence.glosses:
                    writer.writerow(
                        (sentence.id, gloss.text, f"{gloss.start:.3f}", f"{gloss.end:.3f}")
                    )


def read_times(path: Path) -> dict[str, list[Gloss]]:
    """The glosses of each sentence by its id, of a table ``id,gloss,start,end`` (seconds), in the
    order of its rows; none where there is no such file."""
    if not path.is_file():
        return {}
    rows = read_rows(path)
    _, header = next(rows, (1, []))
    if tuple(header) != _TIMES:
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


def prepare_sentences(corpus: SentenceCorpus, folder: str | Path) -> SentenceCorpus:
    """Write the manifest of ``corpus``, the times of its glosses, and the tracks that it has of
    sentences; what is written then.

    ``manifest.csv`` lists recordings where they are, or ``tracks/<id>.npz``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        items = tuple(_with_tracks(sentence, folder) for sentence in corpus.sentences)
        written = replace(corpus, items=items)
        written.write(folder / "manifest.csv")
        if any(gloss.start is not None for own in items for gloss in own.glosses):
            write_times(items, folder / GLOSS_TIMES)
    return written


def _with_tracks(sentence: Sentence, folder: Path) -> Sentence:
    if sentence.tracks is None:
        return sentence
    path = folder / "tracks" / f"{quote(sentence.id, safe='')}.npz"
    path.parent.mkdir(exist_ok=True)
    write_tracks(sentence.tracks, path)
    return replace(sentence, path=path)
