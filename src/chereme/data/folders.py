"""Anybody's own recordings: folders of frames or video files that a manifest lists."""

from __future__ import annotations

from pathlib import Path

from chereme.data.corpus import Corpus, CorpusBuilder
from chereme.formats.manifests import read_manifest
from chereme.text.alphabet import Alphabet


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
