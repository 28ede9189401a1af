"""Sentences from ELAN files, in which sign linguists keep their annotations.

A tier of glosses is time-aligned, one annotation a sign. Where a tier of sentences (or of
translations) is given, each of its annotations is a sentence of the glosses that begin in it; else
glosses follow each other until a pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from chereme.data.metadata import ClipFiles
from chereme.data.sentences import Gloss, Sentence, SentenceBuilder, SentenceCorpus
from chereme.errors import InputError, UsageError
from chereme.formats.eaf import Annotation, ElanDocument, Tier, read_eaf
from chereme.text.glosses import as_gloss

LONGEST_PAUSE = 1.0  # seconds without a sign in a sentence, where no tier says its bounds


def read(
    path: str | Path,
    glosses: str | Iterable[str],
    *,
    sentences: str | None = None,
    videos: str | Path | None = None,
    language: str | None = None,
    pause: float = LONGEST_PAUSE,
    check_files: bool = True,
) -> SentenceCorpus:
    """Read one ``.eaf`` file, or all of a folder and its subfolders.

    ``glosses``: the tier of glosses, or several, as of both hands: then one of the second is taken
    where none of the first overlaps it, since the two annotate the same two-handed sign. A name is
    that of the tier, or of its linguistic type (all such tiers then; each participant's alone).
    ``sentences``: the tier, or type, that bounds sentences, whose text is kept as the translation.
    ``videos``: the folder of recordings called as the ``.eaf`` files; None: the linked one, or the
    one beside it. ``pause``: seconds without a sign after which another sentence begins, without
    such a tier.

    The signer is the participant of the tier. Dropped and counted: files that cannot be read or
    have no such tier, if there are others, and as :class:`SentenceBuilder`; signs with an empty
    text are no glosses. InputError if nothing can be used; UsageError for no tier, or a pause
    below 0.
    """
    path = Path(path)
    wanted = (glosses,) if isinstance(glosses, str) else tuple(glosses)
    if not wanted or pause < 0:
        raise UsageError(
            f"elan: expected a tier of glosses and a pause from 0, got {wanted}, {pause}"
        )
    files = sorted(path.rglob("*.eaf")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: expected ELAN files (.eaf), got none")
    clips = None if videos is None else ClipFiles(Path(videos))
    builder = SentenceBuilder("ELAN", check_files=check_files)
    for file in files:
        try:
            document = read_eaf(file)
            people = _people(document, wanted, file)
        except InputError as error:
            if len(files) == 1:
                raise
            builder.drop(file.name, "file cannot be read", str(error))
            continue
        own = file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem
        media = document.find_media(file.parent) if clips is None else None
        recording = media or (clips or ClipFiles(file.parent)).find(file.stem)
        for participant, tiers in people.items():
            signs = _merged(tiers)
            bounds = _bounds(document, sentences, participant, file)
            parts = _by_tier(signs, bounds) if sentences else _by_pauses(signs, pause)
            for number, (bound, inside) in enumerate(parts, 1):
                who = f"{participant}/" if len(people) > 1 else ""
                builder.add(
                    Sentence(
                        id=f"{own}/{who}{number}",
                        path=recording,
                        glosses=tuple(Gloss(as_gloss(a.value), a.start, a.end) for a in inside),
                        signer=participant or None,
                        start=bound.start,
                        end=bound.end,
                        language=language,
                        translation=bound.value or None,
                    )
                )
    return builder.build()


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
        there = ", ".join(f"{t.name} (type {t.kind})" for t in document.tiers.values()) or "none"
        raise InputError(
            f"{path}: expected a tier, or a type of tiers, {' or '.join(wanted)}, got {there}"
        )
    return people


def _merged(tiers: Sequence[Tier]) -> list[Annotation]:
    signs: list[Annotation] = []
    for tier in tiers:
        before = list(signs)
        signs += [
            a
            for a in tier.annotations
            if a.value and not any(a.start < b.end and b.start < a.end for b in before)
        ]
    return sorted(signs, key=lambda a: (a.start, a.end))


def _bounds(
    document: ElanDocument, name: str | None, participant: str, path: Path
) -> list[Annotation]:
    if name is None:
        return []
    tiers = _named(document, name)
    if not tiers:
        raise InputError(f"{path}: expected a tier of sentences {name!r}, got none")
    own = [tier for tier in tiers if (tier.participant or "") == participant] or tiers
    return [annotation for tier in own for annotation in tier.annotations]


def _by_tier(
    signs: Sequence[Annotation], bounds: Sequence[Annotation]
) -> list[tuple[Annotation, list[Annotation]]]:
    return [(b, [a for a in signs if b.start <= a.start < b.end]) for b in bounds]


def _by_pauses(
    signs: Sequence[Annotation], pause: float
) -> list[tuple[Annotation, list[Annotation]]]:
    runs: list[list[Annotation]] = []
    for sign in signs:
        if runs and sign.start - max(a.end for a in runs[-1]) <= pause:
            runs[-1].append(sign)
        else:
            runs.append([sign])
    return [(Annotation("", run[0].start, max(a.end for a in run)), run) for run in runs]
