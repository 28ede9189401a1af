"""SLR500, the isolated part of CSL: Chinese Sign Language, 500 words of 50 signers in a studio.

J. Huang et al., *Attention-based 3D-CNNs for large-vocabulary sign language recognition* (TCSVT
2019): each signer signs each word five times, 125,000 clips. A folder for each word, called by its
number, ``000000`` to ``000499``, holds ``P01_….avi`` and so on, or folders of frames of these
names; P01 is the signer. ``dictionary.txt`` has a number, a tab and a word in each line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.metadata import distinct, first_folder, is_clip, list_folder, numbered_words
from chereme.datasets.registry import Kind, dataset
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, Split

LANGUAGE = "csl"
SIGNERS = 50
TRAIN_SIGNERS = 36
PUBLISHED = {"all": 125000, "train": 90000, "test": 35000}

_FOLDERS = ("color", "color_video", "xf500_color_video", "S500_color_video", "videos")
_SIGNER = re.compile(r"^P(\d+)_")


@dataset("slr500", Kind.SIGNS)
def read(
    root: str | Path,
    *,
    videos: str | Path | None = None,
    metadata: str | Path | None = None,
    test: list[str] | None = None,
    dev: list[str] | None = None,
) -> Corpus:
    """SLR500: Chinese Sign Language in a studio, 500 words of 50 signers.

    What there is of the data set on disk is read, with the signer-independent split of the papers:
    36 signers to train on and 14 to test (90,000 and 35,000 clips). Choice: they do not say which;
    by the readers of others they are the first 36, P01 to P36, or P00 to P35 where there is a P00.
    Depth is not read.

    Dropped and counted: names that do not begin with a signer, folders that hold no clip, words
    that the dictionary lacks.

    Args:
        root: the folder of the data set.
        videos: the folder of the folders of the words; if not given it is looked for by the names
            in use.
        metadata: the dictionary; if not given dictionary.txt in the root folder. Without one,
            labels are the numbers of the words.
        test: signers to test, as P37, in the place of the last 14.
        dev: signers of the split dev, as P36.

    Raises InputError if there is no clip, or the dictionary cannot be read; UsageError for a signer
    in both dev and test.
    """
    tested, held = _numbers("test", test or []), _numbers("dev", dev or [])
    root = Path(root)
    folder = Path(videos) if videos else first_folder(root, _FOLDERS)
    table = Path(metadata) if metadata else root / "dictionary.txt"
    words = distinct(numbered_words(table), 6) if metadata or table.is_file() else None
    classes = [p for p in list_folder(folder) if p.is_dir() and re.fullmatch(r"\d+", p.name)]
    if not classes:
        raise InputError(
            f"{folder}: expected folders 000000, 000001 and so on, one for each word, got none; "
            "give the folder that holds them as videos"
        )
    found = {path: [clip for clip in list_folder(path) if is_clip(clip)] for path in classes}
    numbers = {_signer(clip.name) for clips in found.values() for clip in clips}
    first = 0 if 0 in numbers else 1
    if test is None:
        tested = set(range(first + TRAIN_SIGNERS, first + SIGNERS))
    if both := held & tested:
        raise UsageError(f"dev: expected none of the test signers, got {', '.join(map(str, both))}")

    builder = CorpusBuilder("SLR500")
    for path, clips in found.items():
        if not clips:
            builder.drop(path.name, "no clip in its folder")
        for clip in clips:
            if "depth" in clip.name.lower():
                continue
            id = f"{path.name}/{clip.name if clip.is_dir() else clip.stem}"
            with builder.row(id):
                signer, number = _signer(clip.name), int(path.name)
                if signer is None:
                    raise Unusable("name does not begin with a signer", clip.name)
                if words is not None and number not in words:
                    raise Unusable("word not in the dictionary", path.name)
                split: Split = "test" if signer in tested else "dev" if signer in held else "train"
                label = path.name if words is None else words[number]
                builder.add(Item(clip, label, id, f"P{signer:02d}", split, language=LANGUAGE))
    return builder.build(PUBLISHED)


def _signer(name: str) -> int | None:
    match = _SIGNER.match(name)
    return int(match[1]) if match else None


def _numbers(option: str, signers: Sequence[str]) -> set[int]:
    numbers = [signer.upper().removeprefix("P") for signer in signers]
    if wrong := [s for s, n in zip(signers, numbers, strict=True) if not n.isdecimal()]:
        raise UsageError(f"{option}: expected signers as P01 or 1, got {', '.join(wrong)}")
    return set(map(int, numbers))
