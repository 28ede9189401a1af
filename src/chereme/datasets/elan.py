"""Sentences from ELAN files, in which sign linguists keep their annotations.

A tier of glosses is time-aligned, one annotation a sign. Where a tier of sentences (or of
translations) is given, each of its annotations is a sentence of the glosses that begin in it; else
glosses follow each other until a pause.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from chereme.datasets.metadata import ClipFiles
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.sentences import (
    Gloss,
    Sentence,
    SentenceBuilder,
    SentenceCorpus,
    annotation_files,
)
from chereme.errors import InputError, UsageError
from chereme.formats.eaf import Annotation, ElanDocument, Tier, read_eaf
from chereme.text.glosses import as_gloss

_MOST_SHARED = 20  # sentences that a sign may be in; tiers of several people overlap
LONGEST_PAUSE = 1.0  # seconds without a sign in a sentence, where no tier says its bounds


@dataset("elan", Kind.SENTENCES)
def read(
    root: str | Path,
    glosses: list[str],
    *,
    sentences: str | None = None,
    videos: str | Path | None = None,
    language: str | None = None,
    pause: float = LONGEST_PAUSE,
) -> SentenceCorpus:
    """ELAN files: sentences from the tiers of glosses of .eaf files.

    Of several tiers of glosses, as of both hands, one of the second is taken where none of the
    first overlaps it, since the two annotate the same two-handed sign. The signer is the
    participant of the tier. Times are those of the recording, which ELAN may have moved against the
    annotations (TIME_ORIGIN). Dropped and counted: files that cannot be read or have no such tier,
    if there are others, and as :class:`SentenceBuilder`; signs with an empty text are no glosses.

    Args:
        root: a file, or a folder of them with its subfolders.
        glosses: the tier of glosses, or several; or a linguistic type, for all tiers of it, each
            participant's alone.
        sentences: the tier, or type, that bounds sentences, whose text is kept as the translation.
        videos: the folder of recordings called as the .eaf files; if not given the first linked
            video that is there, or the one beside it.
        language: the sign language, as ase.
        pause: seconds without a sign after which another sentence begins, where no tier bounds
            them.

    InputError if nothing can be used; UsageError for no tier, or a pause below 0.
    """
    root = Path(root)
    if not glosses or pause < 0:
        raise UsageError(
            f"elan: expected a tier of glosses and a pause from 0, got {glosses}, {pause}"
        )
    clips = None if videos is None else ClipFiles(Path(videos))
    builder = SentenceBuilder("ELAN")
    for file in annotation_files(root, ".eaf"):
        own = file.relative_to(root).with_suffix("").as_posix() if root.is_dir() else file.stem
        with builder.file(file, alone=file == root):
            document = read_eaf(file)
            found = _parts(document, glosses, sentences, pause, file)
            media = document.find_media(file.parent) if clips is None else None
            recording = media or (clips or ClipFiles(file.parent)).find(file.stem)
            for sentence in _sentences(document, found, own, recording, language, builder):
                builder.add(sentence)
    return builder.build()


def _sentences(
    document: ElanDocument,
    found: dict[str, list[_Part]],
    own: str,
    recording: Path,
    language: str | None,
    builder: SentenceBuilder,
) -> Iterator[Sentence]:
    origin = document.origin_in(recording)
    for participant, parts in found.items():
        for number, (bound, inside) in enumerate(parts, 1):
            who = f"{participant}/" if len(found) > 1 else ""
            id = f"{own}/{who}{number}"
            if bound.start + origin < 0:
                builder.drop(id, "begins before the recording", f"{bound.start + origin:.3f} s")
                continue
            yield Sentence(
                id=id,
                path=recording,
                glosses=tuple(
                    Gloss(as_gloss(a.value), a.start + origin, a.end + origin) for a in inside
                ),
                signer=participant or None,
                start=bound.start + origin,
                end=bound.end + origin,
                language=language,
                translation=bound.value or None,
            )


_Part = tuple[Annotation, list[Annotation]]
"""A sentence's bounds (and text), and the signs in it."""


def _parts(
    document: ElanDocument, wanted: Sequence[str], sentences: str | None, pause: float, path: Path
) -> dict[str, list[_Part]]:
    """The sentences of each participant."""
    found = {}
    for participant, tiers in _people(document, wanted, path).items():
        signs = _merged(tiers)
        if sentences is None:
            found[participant] = _by_pauses(signs, pause)
        else:
            bounds = _bounds(document, sentences, participant, path)
            found[participant] = _by_tier(signs, bounds, path)
    return found


def _named(document: ElanDocument, name: str) -> list[Tier]:
    if name in document.tiers:
        return [document.tiers[name]]
    return [tier for tier in document.tiers.values() if tier.kind == name]


def _people(document: ElanDocument, wanted: Sequence[str], path: Path) -> dict[str, list[Tier]]:
    """The tiers of glosses of each participant, in the order of ``wanted``."""
    people: dict[str, list[Tier]] = {}
    for name in wanted:
        for tier in _named(document, name):
            people.setdefault(tier.participant or "", []).append(tier)
    if not people:
        present = ", ".join(f"{t.name} (type {t.kind})" for t in document.tiers.values()) or "none"
        raise InputError(
            f"{path}: expected a tier, or a type of tiers, {' or '.join(wanted)}, got {present}"
        )
    return people


def _merged(tiers: Sequence[Tier]) -> list[Annotation]:
    signs: list[Annotation] = []
    for tier in tiers:
        taken = _Spans(signs)
        signs += [a for a in tier.annotations if a.value and not taken.overlap(a)]
        signs.sort(key=lambda a: (a.start, a.end))
    return signs


class _Spans:
    """Which spans of time are taken; ``annotations`` are sorted by start."""

    def __init__(self, annotations: Sequence[Annotation]) -> None:
        self._starts = [a.start for a in annotations]
        self._latest = list(accumulate((a.end for a in annotations), max))

    def overlap(self, annotation: Annotation) -> bool:
        before = bisect_left(self._starts, annotation.end)  # that begin before its end
        return before > 0 and self._latest[before - 1] > annotation.start


def _bounds(document: ElanDocument, name: str, participant: str, path: Path) -> list[Annotation]:
    tiers = _named(document, name)
    if not tiers:
        raise InputError(f"{path}: expected a tier of sentences {name!r}, got none")
    own = [tier for tier in tiers if (tier.participant or "") == participant] or tiers
    return [annotation for tier in own for annotation in tier.annotations]


def _by_tier(signs: Sequence[Annotation], bounds: Sequence[Annotation], path: Path) -> list[_Part]:
    starts = [sign.start for sign in signs]
    places = [(bisect_left(starts, b.start), bisect_left(starts, b.end), b) for b in bounds]
    if sum(last - first for first, last, _ in places) > _MOST_SHARED * max(len(signs), 1):
        raise InputError(
            f"{path}: expected sentences each after the one before, got {len(bounds)} that overlap "
            f"so far that each sign is in more than {_MOST_SHARED}; give another tier"
        )
    return [(bound, list(signs[first:last])) for first, last, bound in places]


def _by_pauses(signs: Sequence[Annotation], pause: float) -> list[_Part]:
    runs: list[_Part] = []
    for sign in signs:
        if runs and sign.start - runs[-1][0].end <= pause:
            bound, run = runs[-1]
            run.append(sign)
            runs[-1] = Annotation("", bound.start, max(bound.end, sign.end)), run
        else:
            runs.append((Annotation("", sign.start, sign.end), [sign]))
    return runs
