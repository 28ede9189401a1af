"""RWTH-PHOENIX-Weather: German Sign Language of weather forecasts on television.

- PHOENIX-2014 (O. Koller, J. Forster and H. Ney, CVIU 2015): ``annotations/manual/
  train.corpus.csv`` and so on, ``id|folder|signer|annotation``; 5,672, 540 and 629 sentences.
- PHOENIX-2014T (N. C. Camgoz et al., CVPR 2018): ``annotations/manual/
  PHOENIX-2014-T.train.corpus.csv`` and so on,
  ``name|video|start|end|speaker|orth|translation``; 7,096, 519 and 642 sentences.

Frames are pictures in ``features/fullFrame-210x260px/<split>/<folder>``, at 25 a second. Times in
the tables are placeholders (-1): glosses have none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from chereme.datasets.corpus import Unusable
from chereme.datasets.metadata import ClipFiles, escapes, one_of, read_table
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.sentences import Sentence, SentenceBuilder, SentenceCorpus, words_of
from chereme.errors import InputError
from chereme.formats.manifests import Split

LANGUAGE = "gsg"
RATE = 25.0
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
Version = Literal["2014", "2014T"]
PUBLISHED = {
    "2014": {"train": 5672, "dev": 540, "test": 629},
    "2014T": {"train": 7096, "dev": 519, "test": 642},
}
_COLUMNS = {
    "2014": ("id", "folder", "signer", "annotation"),
    "2014T": ("name", "video", "speaker", "orth"),
}
_FILES = {"2014": "{}.corpus.csv", "2014T": "PHOENIX-2014-T.{}.corpus.csv"}
_UNDER = ("", "annotations/manual", "annotation")
_FEATURES = ("features/fullFrame-256x256px", "features/fullFrame-210x260px")


@dataset("phoenix", Kind.SENTENCES)
def read(
    root: str | Path, version: Version = "2014T", *, videos: str | Path | None = None
) -> SentenceCorpus:
    """RWTH-PHOENIX-Weather 2014 and 2014T: German Sign Language of weather forecasts.

    Splits that are there are read. Glosses are as they are written. Dropped and counted: as
    :class:`SentenceBuilder`, and folders that lead out of ``videos``.

    Args:
        root: the folder with annotations and features.
        version: of the data set.
        videos: a folder with a file or folder for each id (videos, frames, poses), or with train,
            dev and test that have them, in the place of features.

    InputError if no table is there, or one is of another layout; UsageError for another version.
    """
    one_of("version", version, PUBLISHED)
    root, base = Path(root), None if videos is None else Path(videos)
    id_column, folder_column, signer_column, gloss_column = _COLUMNS[version]
    builder, found = SentenceBuilder(f"PHOENIX-{version}"), 0
    for split in SPLITS:
        name = _FILES[version].format(split)
        table = next((path for sub in _UNDER if (path := root / sub / name).is_file()), None)
        if table is None:
            continue
        found += 1
        clips = ClipFiles(_folder(root, base, split))
        for where, row in read_table(table, _COLUMNS[version], bars=True):
            id = row[id_column] or where
            with builder.row(id):
                builder.add(
                    Sentence(
                        id=id,
                        path=_recording(clips, id, row[folder_column] if base is None else id),
                        glosses=words_of(row[gloss_column]),
                        # One file of 2014 says Signer04, another signer04, of the same person.
                        signer=row[signer_column].capitalize() or None,
                        split=split,
                        language=LANGUAGE,
                        translation=row.get("translation") or None,
                    )
                )
    if not found:
        raise InputError(
            f"{root}: expected annotations/manual/{_FILES[version].format('train')}, got none of "
            "its splits; give the folder that has annotations and features"
        )
    return builder.build(PUBLISHED[version])


def _recording(clips: ClipFiles, id: str, folder: str) -> Path:
    """The pictures in the folder that the table names, or the clip that is called as the id."""
    found = clips.find(id)
    if escapes(folder):
        raise Unusable("file name leaves the folder of the clips", folder)
    path = clips.folder / folder
    if path.suffix in (".png", ".jpg") and "*" in path.name:
        path = path.parent
    return path if path.exists() else found


def _folder(root: Path, videos: Path | None, split: str) -> Path:
    places = [videos] if videos else [root / name for name in _FEATURES]
    found = [place / split for place in places if (place / split).is_dir()]
    return found[0] if found else places[-1] if videos else places[-1] / split
