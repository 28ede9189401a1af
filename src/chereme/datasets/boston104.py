"""RWTH-BOSTON-104: continuous American Sign Language, as tracks of both hands and the nose.

P. Dreuw et al., *Speech recognition techniques for a sign language recognition system*
(Interspeech 2007): 201 sentences of three signers, 30 frames a second, 312 x 242 pixels, of which
161 are for training. This reads the tracks and gloss segments of these 161 as tables:
``hands_condensed_train.csv`` (video,frame,left-x,left-y,right-x,right-y,nose-x,nose-y),
``train_words.csv`` (video,speaker,word,startframe,endframe; frames from 0, the last one included)
and ``train_sentences.csv`` (video,speaker,frames,glosses).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chereme.datasets.corpus import Unusable
from chereme.datasets.metadata import read_table
from chereme.datasets.registry import Kind, dataset
from chereme.datasets.sentences import Gloss, Sentence, SentenceBuilder, SentenceCorpus
from chereme.errors import InputError
from chereme.formats.manifests import whole_number
from chereme.formats.tracks import PoseTracks, TrackSpec, one_track, register_track

LANGUAGE = "ase"
RATE = 30.0
PUBLISHED = {"train": 161}

HANDS, WORDS, SENTENCES = "hands_condensed_train.csv", "train_words.csv", "train_sentences.csv"
_POINTS = ("left-x", "left-y", "right-x", "right-y", "nose-x", "nose-y")

TRACK = register_track(
    TrackSpec(
        "boston104",
        len(_POINTS),
        "x and y of the signer's left hand, right hand and nose, pixels of a picture of 312 x 242 "
        "(hands may be below it)",
    )
)


@dataset("boston104", Kind.SENTENCES)
def read(root: str | Path) -> SentenceCorpus:
    """RWTH-BOSTON-104: American Sign Language as tracks of hands and nose, 161 sentences.

    Glosses have their times; all sentences have the split train. Those whose words, frames or
    tracks do not fit together are dropped and counted.

    Args:
        root: the folder of the three tables.

    InputError for a table that is lacking or damaged.
    """
    root = Path(root)
    words: dict[str, list[Gloss]] = {}
    for where, row in read_table(root / WORDS, ("video", "word", "startframe", "endframe")):
        start, end = _frame(row, "startframe", where), _frame(row, "endframe", where)
        if end < start:
            raise InputError(f"{where}: expected endframe {start} or more, got {end}")
        gloss = Gloss(row["word"], start / RATE, (end + 1) / RATE)
        words.setdefault(row["video"], []).append(gloss)
    tracks = read_tracks(root)
    builder = SentenceBuilder("RWTH-BOSTON-104")
    for where, row in read_table(root / SENTENCES, ("video", "speaker", "frames", "glosses")):
        video, frames = row["video"], _frame(row, "frames", where)
        glosses = tuple(sorted(words.get(video, ()), key=lambda gloss: gloss.start or 0.0))
        with builder.row(video):
            if " ".join(gloss.text for gloss in glosses) != row["glosses"]:
                raise Unusable("words are not those of the sentence", row["glosses"])
            tracked = tracks[video].frames if video in tracks else 0
            if frames != tracked or any((gloss.end or 0) > frames / RATE for gloss in glosses):
                raise Unusable("frames do not fit", f"{frames} listed, {tracked} tracked")
            builder.add(
                Sentence(
                    id=video,
                    path=root / HANDS,
                    glosses=glosses,
                    signer=row["speaker"],
                    split="train",
                    language=LANGUAGE,
                    frames=frames,
                    tracks=tracks[video],
                )
            )
    return builder.build(PUBLISHED)


def read_tracks(root: str | Path) -> dict[str, PoseTracks]:
    """The track of each sentence, by its id. InputError for a table that is lacking or damaged, or
    frames that do not follow each other."""
    path = Path(root) / HANDS
    rows: dict[str, list[list[float]]] = {}
    for where, row in read_table(path, ("video", "frame", *_POINTS)):
        frames = rows.setdefault(row["video"], [])
        if _frame(row, "frame", where) != len(frames):
            raise InputError(f"{where}: expected frame {len(frames)}, got {row['frame']}")
        try:
            frames.append([float(row[name]) if row[name] else np.nan for name in _POINTS])
        except ValueError as error:
            raise InputError(f"{where}: expected pixels or nothing ({error})") from error
    return {video: one_track(TRACK.name, frames, RATE) for video, frames in rows.items()}


def _frame(row: dict[str, str], column: str, where: str) -> int:
    number = whole_number(row[column])
    if number is None or number < 0:
        raise InputError(f"{where}, column {column}: expected a whole number, got {row[column]!r}")
    return number
