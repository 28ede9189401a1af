"""Anybody's own recordings: clips that a manifest lists, or that lie in a folder for each sign."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from chereme.data.corpus import Corpus, CorpusBuilder
from chereme.data.metadata import is_clip
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, Split, read_manifest
from chereme.text.alphabet import Alphabet

_SPLITS = {"train": "train", "dev": "dev", "val": "dev", "test": "test"}


def read(
    manifest: str | Path,
    *,
    alphabet: Alphabet | None = None,
    check_frames: bool = True,
    least_frames: float = 0.9,
) -> Corpus:
    """Read what a manifest lists, looking at what there is of it on disk.

    Splits are those of the manifest; none are made up. An empty label is a clip in which nothing is
    signed. With an ``alphabet``, labels are brought to its symbols and those with other characters
    are dropped; without, they stay as they are. ``check_frames`` and ``least_frames`` as in
    :class:`CorpusBuilder`; frames of video files are not counted.

    Raises InputError for a manifest that cannot be read, or in which no row can be used.
    """
    manifest = Path(manifest)
    builder = CorpusBuilder(
        manifest.stem,
        alphabet,
        allow_empty=True,
        check_frames=check_frames,
        least_frames=least_frames,
    )
    for item in read_manifest(manifest):
        builder.add(item)
    return builder.build()


def read_tree(
    root: str | Path,
    *,
    signer: str | None = None,
    language: str | None = None,
    check_frames: bool = True,
    least_frames: float = 0.9,
) -> Corpus:
    """Read ``<gloss>/<clip>``: a folder for each sign, called by its gloss, with its clips.

    A clip is a video file, a folder of numbered frames, or a file of landmarks (``.pose``,
    ``.npz``); other files are not looked at. Where the folders in ``root`` are called train, dev
    (or val) and test, and nothing else, the folders of the signs are in these and the clips have
    this split; otherwise they have none (see :mod:`chereme.data.splits`). ``signer`` is a regular
    expression that is searched for in ``<gloss>/<clip>``, whose only group is the name of the
    signer, as ``/([^_]+)_``; clips in which it is not found have no signer. ``check_frames`` and
    ``least_frames`` as in :class:`CorpusBuilder`.

    Dropped and counted: folders of signs without any clip, and folders in them without frames.
    Raises InputError if there is no clip; UsageError for an expression that cannot be used.
    """
    root = Path(root)
    pattern = _signer_pattern(signer)
    tops = _folders(root)
    splits = tops and all(top.name.lower() in _SPLITS for top in tops)
    builder = CorpusBuilder(
        root.resolve().name, None, check_frames=check_frames, least_frames=least_frames
    )
    for top, gloss in (
        [(t, g) for t in tops for g in _folders(t)] if splits else [(None, top) for top in tops]
    ):
        clips = sorted(path for path in gloss.iterdir() if is_clip(path))
        if not clips:
            builder.drop(gloss.relative_to(root).as_posix(), "no clip in its folder")
        for clip in clips:
            id = clip.relative_to(root).as_posix()
            match = pattern.search(f"{gloss.name}/{clip.name}") if pattern else None
            builder.add(
                Item(
                    path=clip,
                    label=gloss.name,
                    id=id,
                    signer=match[1] if match else None,
                    split=cast("Split", _SPLITS[top.name.lower()]) if top else None,
                    language=language,
                )
            )
    return builder.build()


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"{folder}: expected a folder with a folder for each sign, and it cannot be listed "
            f"({error.strerror}); check the path"
        ) from error


def _signer_pattern(signer: str | None) -> re.Pattern[str] | None:
    if signer is None:
        return None
    try:
        pattern = re.compile(signer)
    except re.error as error:
        raise UsageError(f"signer: expected a regular expression, got {signer!r} ({error})") from (
            error
        )
    if pattern.groups != 1:
        raise UsageError(
            f"signer: expected an expression with one group, the signer's name, got {signer!r} "
            f"with {pattern.groups}"
        )
    return pattern
