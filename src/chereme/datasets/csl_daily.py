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

import re
from pathlib import Path

from chereme.datasets.corpus import Unusable
from chereme.datasets.metadata import ClipFiles, first_file, first_folder, read_table, split_of
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.sentences import Gloss, Sentence, SentenceBuilder, SentenceCorpus, words_of
from chereme.errors import InputError
from chereme.formats.inert_pickle import read_plain
from chereme.formats.manifests import whole_number
from chereme.text.glosses import as_gloss

LANGUAGE = "csl"
RATE = 30.0
PUBLISHED = {"train": 18401, "dev": 1077, "test": 1176}

_FRAMES = ("sentence/frames_512x512", "frames_512x512", "sentence", "videos")
_SIGNER = re.compile(r"^S\d+_(P\d+)_T\d+$")


@dataset("csl-daily", Kind.SENTENCES)
def read(root: str | Path, *, videos: str | Path | None = None) -> SentenceCorpus:
    """CSL-Daily: Chinese Sign Language of everyday life, 20,654 sentences.

    The clips of the official split that are on disk are read. Glosses have no times. Dropped and
    counted: as :class:`SentenceBuilder`, clips without annotation or without a split (each happens
    in the published lists).

    Args:
        root: the folder with sentence_label and sentence.
        videos: the folder of the clips (videos, frames or poses by their names); if not given it is
            looked for in the root folder.

    InputError if the lists are lacking or of another layout.
    """
    root = Path(root)
    places = ("sentence_label/split_1.txt", "split_1.txt")
    table = first_file(root, *places, hint="the folder of the data set")
    clips = ClipFiles(Path(videos) if videos else first_folder(root, _FRAMES))
    rows = _annotations(table.parent)
    splits = {row["name"]: row for _, row in read_table(table, ("name", "split"), bars=True)}
    builder = SentenceBuilder("CSL-Daily")
    for name in dict.fromkeys((*splits, *rows)):
        with builder.row(name):
            path = clips.find(name)
            if name not in rows:
                raise Unusable("no annotation")
            glosses, translation, frames = rows[name]
            signer = _SIGNER.match(name)
            builder.add(
                Sentence(
                    id=name,
                    path=path,
                    glosses=glosses,
                    signer=signer[1] if signer else None,
                    split=split_of(splits.get(name, {}), "split"),
                    language=LANGUAGE,
                    translation=translation,
                    frames=frames,
                )
            )
    return builder.build(PUBLISHED)


_Row = tuple[tuple[Gloss, ...], str | None, int | None]


def _annotations(labels: Path) -> dict[str, _Row]:
    """Glosses, translation and number of frames by the name of the clip."""
    names = ("video_map.txt", "csl2020ct_v2.pkl")
    found = first_file(labels, *names, hint="the folder of the data set")
    if found.suffix == ".txt":
        return {
            row["name"]: (
                words_of(row["gloss"]),
                row.get("char", "").replace(" ", "") or None,
                whole_number(row.get("length") or "x"),
            )
            for _, row in read_table(found, ("name", "gloss"), bars=True)
        }
    try:
        return {
            str(row["name"]): (
                tuple(Gloss(as_gloss(str(word))) for word in row["label_gloss"]),
                "".join(map(str, row.get("label_char", ()))) or None,
                whole_number(str(row.get("length", "x"))),
            )
            for row in read_plain(found)["info"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{found}: expected info with name and label_gloss of each clip ({error!r}); use the "
            "file that comes with the data set, or video_map.txt"
        ) from error
