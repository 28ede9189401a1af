"""SLR500, the isolated part of CSL: Chinese Sign Language, 500 words of 50 signers in a studio.

J. Huang et al., *Attention-based 3D-CNNs for large-vocabulary sign language recognition* (TCSVT
2019): each signer signs each word five times, 125,000 clips. A folder for each word, called by its
number, ``000000`` to ``000499``, holds ``P01_….avi`` and so on, or folders of frames of these
names; P01 is the signer. ``dictionary.txt`` has a number, a tab and a word in each line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from chereme.datasets.corpus import Corpus, CorpusBuilder
from chereme.datasets.metadata import distinct, first_folder, is_clip, read_text
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, Split

LANGUAGE = "csl"
CLASSES = 500
SIGNERS = 50
TRAIN_SIGNERS = 36
PUBLISHED = {"all": 125000, "train": 90000, "test": 35000}

_FOLDERS = ("color", "color_video", "xf500_color_video", "S500_color_video", "videos")
_SIGNER = re.compile(r"^P(\d+)_")


def read(
    root: str | Path,
    *,
    clips: str | Path | None = None,
    dictionary: str | Path | None = None,
    test_signers: Iterable[int] | None = None,
    dev_signers: Iterable[int] = (),
    check_frames: bool = True,
    least_frames: float = 0.9,
) -> Corpus:
    """Read what there is of the data set on disk, with the signer-independent split of the papers.

    ``clips`` is the folder that holds the folders of the words; None looks for it in ``root`` by
    the names in use. ``dictionary`` None is ``dictionary.txt`` in ``root``; without one, labels are
    the numbers of the words. Depth is not read. ``check_frames`` and ``least_frames`` as in
    :class:`CorpusBuilder`.

    The papers train on 36 signers and test on the other 14 (90,000 and 35,000 clips). Choice: they
    do not say which; by the readers of others they are the first 36, P01 to P36, or P00 to P35
    where there is a P00. ``test_signers`` and ``dev_signers`` say it otherwise.

    Dropped and counted: names that do not begin with a signer, folders that hold no clip, words
    that the dictionary lacks. Raises InputError if there is no clip, or the dictionary cannot be
    read; UsageError for a signer in both dev and test.
    """
    root = Path(root)
    folder = first_folder(root, _FOLDERS) if clips is None else Path(clips)
    words = _words(root, dictionary)
    classes = sorted(
        path for path in _listed(folder) if path.is_dir() and re.fullmatch(r"\d+", path.name)
    )
    if not classes:
        raise InputError(
            f"{folder}: expected folders 000000, 000001 and so on, one for each word, got none; "
            "give the folder that holds them as clips"
        )
    found = {path: [clip for clip in _listed(path) if is_clip(clip)] for path in classes}
    numbers = {_signer(clip.name) for listed in found.values() for clip in listed}
    first = 0 if 0 in numbers else 1
    dev = set(dev_signers)
    test = (
        set(range(first + TRAIN_SIGNERS, first + SIGNERS))
        if test_signers is None
        else set(test_signers)
    )
    if both := dev & test:
        raise UsageError(
            f"dev_signers: expected none of the test signers, got {', '.join(map(str, both))}"
        )

    builder = CorpusBuilder("SLR500", None, check_frames=check_frames, least_frames=least_frames)
    for path, listed in found.items():
        if not listed:
            builder.drop(path.name, "no clip in its folder")
        for clip in listed:
            id = f"{path.name}/{clip.name if clip.is_dir() else clip.stem}"
            signer = _signer(clip.name)
            if "depth" in clip.name.lower():
                continue
            if signer is None:
                builder.drop(id, "name does not begin with a signer", clip.name)
            elif words is not None and int(path.name) not in words:
                builder.drop(id, "word not in the dictionary", path.name)
            else:
                split: Split = "test" if signer in test else "dev" if signer in dev else "train"
                builder.add(
                    Item(
                        path=clip,
                        label=path.name if words is None else words[int(path.name)],
                        id=id,
                        signer=f"P{signer:02d}",
                        split=split,
                        language=LANGUAGE,
                    )
                )
    return builder.build(PUBLISHED)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be listed ({error.strerror}); check the path"
        ) from error


def _signer(name: str) -> int | None:
    match = _SIGNER.match(name)
    return int(match[1]) if match else None


def _words(root: Path, dictionary: str | Path | None) -> dict[int, str] | None:
    path = root / "dictionary.txt" if dictionary is None else Path(dictionary)
    if dictionary is None and not path.is_file():
        return None
    words: dict[str, str] = {}
    for line, text in enumerate(read_text(path).splitlines(), 1):
        if not text.strip():
            continue
        number, *word = text.strip().split(maxsplit=1)
        if not number.isdecimal() or not word:
            raise InputError(
                f"{path}, line {line}: expected a number, a tab and a word, got {text!r}; use the "
                "dictionary that comes with the data set"
            )
        words[f"{int(number):06d}"] = word[0].strip()
    return {int(number): word for number, word in distinct(words).items()}
