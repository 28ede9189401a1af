"""CSL-Daily: Chinese Sign Language sentences of everyday life, in a studio.

H. Zhou et al., *Improving sign language translation with monolingual data by sign
back-translation* (CVPR 2021): 20,654 clips of 10 signers; 18,401, 1,077 and 1,176 for training,
development and test. ``sentence_label/video_map.txt`` has ``index|name|length|gloss|char|word|
postag``, ``sentence_label/split_1.txt`` has ``name|split``. The same annotations come as
``csl2020ct_v2.pkl``, of which only lists, dictionaries, texts and numbers are read, never objects.
A name is ``S000020_P0004_T00``: sentence, signer, take. Pictures are in
``sentence/frames_512x512/<name>``.
"""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

from chereme.datasets.metadata import ClipFiles, escapes, first_folder
from chereme.datasets.sentences import (
    Gloss,
    Sentence,
    SentenceBuilder,
    SentenceCorpus,
    read_bars,
    split_named,
    words_of,
)
from chereme.errors import InputError
from chereme.formats.manifests import whole_number
from chereme.text.glosses import as_gloss

LANGUAGE = "csl"
RATE = 30.0
PUBLISHED = {"train": 18401, "dev": 1077, "test": 1176}

_FRAMES = ("sentence/frames_512x512", "frames_512x512", "sentence", "videos")
_LABELS = ("sentence_label", "")
_SIGNER = re.compile(r"^S\d+_(P\d+)_T\d+$")


def read(
    root: str | Path, *, videos: str | Path | None = None, check_files: bool = True
) -> SentenceCorpus:
    """Read the clips of the official split that are on disk.

    ``root``: the folder with ``sentence_label`` and ``sentence``. ``videos``: the folder of the
    clips (videos, frames or poses by their names); None looks for it in ``root``. Glosses have no
    times. Dropped and counted: as :class:`SentenceBuilder`, clips without annotation or without a
    split (each happens in the published lists). InputError if the lists are lacking or of another
    layout.
    """
    root = Path(root)
    labels = next((root / n for n in _LABELS if (root / n / "split_1.txt").is_file()), None)
    if labels is None:
        raise InputError(
            f"{root}: expected sentence_label/split_1.txt, got none; give the data set's folder"
        )
    clips = ClipFiles(first_folder(root, _FRAMES) if videos is None else Path(videos))
    rows = _annotations(labels)
    splits = {row["name"]: row["split"] for _, row in read_bars(labels / "split_1.txt", _SPLIT)}
    builder = SentenceBuilder("CSL-Daily", check_files=check_files)
    for name in [*splits, *(name for name in rows if name not in splits)]:
        if escapes(name):
            builder.drop(name, "file name leaves the folder of the clips")
        elif name not in rows:
            builder.drop(name, "no annotation")
        elif splits.get(name) not in PUBLISHED:
            builder.drop(name, "split is not train, dev or test", splits.get(name, ""))
        else:
            glosses, translation, frames = rows[name]
            signer = _SIGNER.match(name)
            builder.add(
                Sentence(
                    id=name,
                    path=clips.find(name),
                    glosses=glosses,
                    signer=signer[1] if signer else None,
                    split=split_named(splits[name]),
                    language=LANGUAGE,
                    translation=translation,
                    frames=frames,
                )
            )
    return builder.build(PUBLISHED)


_SPLIT = ("name", "split")
_Row = tuple[tuple[Gloss, ...], str | None, int | None]


def _annotations(labels: Path) -> dict[str, _Row]:
    """Glosses, translation and number of frames by the name of the clip."""
    table, packed = labels / "video_map.txt", labels / "csl2020ct_v2.pkl"
    if table.is_file():
        return {
            row["name"]: (
                words_of(row["gloss"]),
                row.get("char", "").replace(" ", "") or None,
                whole_number(row.get("length") or "x"),
            )
            for _, row in read_bars(table, ("name", "gloss"))
        }
    if not packed.is_file():
        raise InputError(f"{labels}: expected video_map.txt or csl2020ct_v2.pkl, got neither")
    content = _plain_pickle(packed)
    try:
        return {
            str(row["name"]): (
                tuple(Gloss(as_gloss(str(word))) for word in row["label_gloss"]),
                "".join(map(str, row.get("label_char", ()))) or None,
                whole_number(str(row.get("length", "x"))),
            )
            for row in content["info"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{packed}: expected info with name and label_gloss of each clip ({error!r}); use the "
            "file that comes with the data set, or video_map.txt"
        ) from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it holds an object {module}.{name}, which is never loaded")


def _plain_pickle(path: Path) -> Any:
    try:
        return _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except Exception as error:  # damage shows as any of a dozen exceptions
        raise InputError(
            f"{path}: expected a pickle of lists, dictionaries, texts and numbers ({error})"
        ) from error
