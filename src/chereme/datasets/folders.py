"""Anybody's own recordings: clips that a manifest lists, or that lie in a folder for each sign."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from chereme.datasets.corpus import Corpus, CorpusBuilder
from chereme.datasets.metadata import is_clip, list_folder
from chereme.datasets.registry import Kind, dataset
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import SPLIT_NAMES, Item, Split, read_manifest
from chereme.formats.paths import nfc
from chereme.video.folders import PICTURES, SYSTEM_FOLDERS


@dataset("folder", Kind.SPELLING)
def read(root: str | Path) -> Corpus:
    """Your own recordings of fingerspelling, listed in a manifest.

    Splits are those of the manifest; none are made up. An empty label is a clip in which nothing is
    signed. Labels stay as they are; frames of video files are not counted.

    Args:
        root: the manifest, or the folder of manifest.csv.

    Raises InputError for a manifest that cannot be read, or in which no row can be used.
    """
    manifest = Path(root) / "manifest.csv" if Path(root).is_dir() else Path(root)
    builder = CorpusBuilder(manifest.stem, allow_empty=True)
    for item in read_manifest(manifest):
        builder.add(item)
    return builder.build()


@dataset("signs", Kind.SIGNS)
def read_signs(
    root: str | Path, *, signer: str | None = None, language: str | None = None
) -> Corpus:
    """Your own recordings of isolated signs: a folder for each sign, or a manifest.

    Args:
        root: a folder of folders called by their gloss, with its clips in it; or a manifest, or the
            folder of manifest.csv.
        signer: a regular expression whose only group is the signer in SIGN/CLIP, as '/([^_]+)_'.
        language: the sign language, as ase.

    UsageError for ``signer`` or ``language`` beside a manifest, whose columns say it.
    """
    root = Path(root)
    if root.is_dir() and not (root / "manifest.csv").is_file():
        return read_tree(root, signer=signer, language=language)
    if signer or language:
        raise UsageError(
            f"signs: --signer and --language are for folders without a manifest; {root} has one, "
            "whose columns signer and language say it"
        )
    return read(root)


def read_tree(
    root: str | Path, *, signer: str | None = None, language: str | None = None
) -> Corpus:
    """Read ``<gloss>/<clip>``: a folder for each sign, called by its gloss, with its clips.

    A clip is a video file, a folder of numbered frames, a file of landmarks (``.pose``, ``.npz``),
    or a photograph, which is a clip of one frame; other files are not looked at. Pictures that are
    called by numbers alone are no photographs, but frames without a folder for their clip.

    Where the folders in ``root`` are called as splits are
    (``chereme.formats.manifests.SPLIT_NAMES``), and nothing else, the folders of the signs are in
    these and the clips have this split; otherwise they have none (see
    :mod:`chereme.datasets.splits`). A single folder around all of this is passed through. Hidden
    folders, and those that systems make (``__MACOSX``), are not looked at.

    ``signer`` as in `read_signs`; clips in which it is not found have no signer.

    Dropped and counted: folders of signs without any clip, and folders in them without frames.
    Raises InputError if there is no clip, or the folders are of another layout; UsageError for an
    expression that cannot be used.
    """
    root = Path(root)
    pattern = _signer_pattern(signer)
    builder = CorpusBuilder(root.resolve().name)
    times: Counter[str] = Counter()
    for split, gloss in _sign_folders(_inside(root)):
        clips = sorted(path for path in gloss.iterdir() if is_sign_clip(path))
        frames = [path for path in clips if path.stem.isdecimal() and _is_picture(path)]
        # Which clips such pictures are the frames of, nobody can tell.
        loose = len(frames) > 1
        clips = [path for path in clips if path not in frames] if loose else clips
        if not clips:
            detail = "its frames need a folder for each clip" if loose else ""
            builder.drop(gloss.relative_to(root).as_posix(), "no clip in its folder", detail)
        for clip in clips:
            id = nfc(clip.relative_to(root).as_posix())
            times[id] += 1  # two names that differ in their Unicode form alone
            match = pattern.search(nfc(f"{gloss.name}/{clip.name}")) if pattern else None
            builder.add(
                Item(
                    path=clip,
                    label=nfc(gloss.name),
                    id=id if times[id] == 1 else f"{id} ({times[id]})",
                    signer=match[1] if match else None,
                    split=split,
                    language=language,
                )
            )
    return builder.build()


_NO_SIGNS = ("images", "labels", "annotations", "masks")  # of collections for object detection


def _folders(folder: Path) -> list[Path]:
    """The visible folders in a folder."""
    return [
        path
        for path in list_folder(folder)
        if path.is_dir()
        and not path.name.startswith(".")
        and path.name.lower() not in SYSTEM_FOLDERS
    ]


def is_sign_clip(path: Path) -> bool:
    """Whether ``path``, in the folder of a sign, is taken for a clip of it, see `read_tree`."""
    return (is_clip(path) and path.name.lower() not in SYSTEM_FOLDERS) or _is_picture(path)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def _holds_files(folder: Path) -> bool:
    """Whether there are clips, or pictures, in a folder itself."""
    return any(not path.is_dir() and is_sign_clip(path) for path in folder.iterdir())


def _inside(folder: Path) -> Path:
    """``folder``, or what a single folder in it is wrapped around: folders that hold more."""
    for _ in range(_DEEPEST):
        tops = _folders(folder)
        if len(tops) != 1 or _holds_files(folder) or _holds_files(tops[0]):
            break
        # Folders of frames are clips, so that the one folder may be a sign.
        inner = _folders(tops[0])
        if tops[0].name.lower() in SPLIT_NAMES and not _are_splits(inner):
            break  # the one split that there is
        frames = all(_holds_files(path) and not _holds_videos(path) for path in inner)
        named = tops[0].name.lower() in _WRAPPERS or _are_splits(inner)
        if not inner or (frames and not named):
            break
        folder = tops[0]
    return folder


_DEEPEST = 4
_WRAPPERS = ("images", "videos", "clips", "data", "dataset")


def _holds_videos(folder: Path) -> bool:
    return any(not path.is_dir() and is_clip(path) for path in folder.iterdir())


def _are_splits(folders: Sequence[Path]) -> bool:
    return bool(folders) and all(folder.name.lower() in SPLIT_NAMES for folder in folders)


def _sign_folders(root: Path) -> Iterator[tuple[Split | None, Path]]:
    """The folder of each sign, with its split where the folders say so."""
    tops = _folders(root)
    named = [top for top in tops if top.name.lower() in SPLIT_NAMES]
    others = [top.name for top in tops if top not in named]
    # A sign may be called test. Several such folders, with none but folders in them, are splits.
    splits = len(named) > 1 and not any(map(_holds_files, named))
    if splits and others:
        raise InputError(
            f"{root}: expected folders of splits ({', '.join(top.name for top in named)}) or of "
            f"signs, got both ({', '.join(others[:5])}); put the folders of the signs into those "
            "of the splits"
        )
    if others or (len(tops) == 1 and _holds_files(tops[0])) or not tops:
        yield from ((None, top) for top in tops)
        return
    for top in tops:
        inner = _inside(top)
        signs = _folders(inner)
        if _holds_files(inner) or all(sign.name.lower() in _NO_SIGNS for sign in signs):
            found = ", ".join(sign.name for sign in signs) or "no folder"
            raise InputError(
                f"{top}: expected a folder for each sign in the folder of a split, got {found}; "
                "put the clips of each sign into a folder with its name"
            )
        yield from ((SPLIT_NAMES[top.name.lower()], sign) for sign in signs)


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
