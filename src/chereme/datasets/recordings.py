"""Recordings: hands followed through whole clips, with the text that each of them spells.

A file (.npz) holds the frames of N clips one after the other: ``landmarks (M, 21, 3)`` float32 of a
right hand in pixels of square shape (x right, y down, z away), NaN where no hand was seen;
``vectors (M, 1152)`` float16 of the hand network, zeros where there is no picture; ``times (M,)``
seconds in the clip; ``length (N,)`` frames; ``text (N,)``, '' where nothing is spelled; ``signer
(N,)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.letter_collections import collection_file
from chereme.errors import InputError
from chereme.formats.arrays import plain_arrays
from chereme.hands.skeleton import mirror
from chereme.types import NUM_JOINTS, VECTOR_SIZE, HandTrack

Floats = NDArray[np.floating[Any]]
_FIELDS = ("landmarks", "vectors", "times", "length", "text", "signer")
# People whose signs are trained on; those of others are there to measure with.
_SIGNERS = {"traduttore_words": ("alex", "danial"), "libras_signs": ("1 person",)}
RATE = 20.0  # frames a second of webcam recordings that state none


@dataclass(frozen=True)
class RecordedClip:
    """One clip: a right hand's ``track``, what it spells, and whose hand it is."""

    track: HandTrack
    text: str
    signer: str


@dataclass(frozen=True)
class Recordings:
    """The content of a file of recordings; see the module's text for shapes."""

    landmarks: NDArray[np.float32]
    vectors: NDArray[np.float16]
    times: Floats
    length: NDArray[np.int64]
    text: NDArray[np.str_]
    signer: NDArray[np.str_]

    @classmethod
    def of(cls, clips: Iterable[RecordedClip]) -> Recordings:
        """From clips, in their order."""
        every = list(clips)
        landmarks = [np.zeros((0, NUM_JOINTS, 3), np.float32)]
        vectors = [np.zeros((0, VECTOR_SIZE), np.float16)]
        for track in (clip.track for clip in every):
            seen = track.present[:, None, None]
            landmarks.append(np.where(seen, track.landmarks, np.nan).astype(np.float32))
            none = np.zeros((len(seen), VECTOR_SIZE))
            vectors.append((none if track.vectors is None else track.vectors).astype(np.float16))
        times = [clip.track.timestamps for clip in every]
        return cls(
            np.concatenate(landmarks),
            np.concatenate(vectors),
            np.concatenate([np.zeros(0), *times]),
            np.array([len(own) for own in times], np.int64),
            np.array([clip.text for clip in every], np.str_),
            np.array([clip.signer for clip in every], np.str_),
        )

    @classmethod
    def load(cls, path: str | Path) -> Recordings:
        """Read a file; ``InputError`` if it is missing, damaged or something else."""
        try:
            arrays = plain_arrays(path)
            found = cls(**{name: arrays[name] for name in _FIELDS})
            frames = int(found.length.sum())
            shapes = {
                "landmarks": (frames, NUM_JOINTS, 3),
                "vectors": (frames, VECTOR_SIZE),
                "times": (frames,),
                "text": found.length.shape,
                "signer": found.length.shape,
            }
            for name, shape in shapes.items():
                if arrays[name].shape != shape:
                    raise ValueError(f"{name} are {arrays[name].shape}, not {shape}")
        except (InputError, KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: expected a file of recordings (.npz), got {error!r}; make one with "
                "'chereme prepare recordings --root DATA -o recordings.npz'"
            ) from error
        return found

    def save(self, path: str | Path) -> Recordings:
        """Write a file, and return what was written."""
        with Path(path).open("wb") as file:  # given a name, numpy would add .npz to one without
            np.savez_compressed(file, **{name: getattr(self, name) for name in _FIELDS})
        return self

    def __len__(self) -> int:
        return len(self.length)

    def report(self) -> str:
        """Clips and seconds, of spelling and of other hands, as lines of text."""
        count = Counter("spelling" if text else "nothing spelled" for text in self.text.tolist())
        return "\n".join(f"{kind}: {number:,} clips" for kind, number in sorted(count.items()))

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum(self.length) - self.length

    def clip(self, index: int) -> RecordedClip:
        """The clip of that number; it has vectors if any of its frames has."""
        part = slice(self._starts[index], self._starts[index] + self.length[index])
        seen = np.asarray(np.isfinite(self.landmarks[part]).all(axis=(1, 2)))
        vectors = self.vectors[part]
        track = HandTrack(
            self.landmarks[part],
            np.repeat(seen[:, None], NUM_JOINTS, axis=1).astype(np.float32),
            self.times[part],
            1,
            1,
            "right",
            vectors=vectors if vectors.any() else None,
        )
        return RecordedClip(track, str(self.text[index]), str(self.signer[index]))


class Sequence(NamedTuple):
    """Both hands ``(T, 2, 21, 3)`` of a webcam, as fractions of the picture, zeros where none."""

    hands: Floats
    label: str
    signer: str
    aspect: float


def sequences(root: Path, name: str) -> Iterator[Sequence]:
    """All of a file of ``sequences``, but the traduttore's first frame, which is of another
    moment. ``InputError`` if there is no such file."""
    with np.load(collection_file(root, f"sequences/{name}.npz")) as file:
        hands, label = file["hands"], file["label"].tolist()
        signer = np.broadcast_to(file["signer"], len(label)).tolist()
        aspect = float(file["aspect"]) if "aspect" in file else 16 / 9
    first = int(name.startswith("traduttore"))
    for frames, word, who in zip(hands, label, signer, strict=True):
        yield Sequence(frames[first:], word, who, aspect)


def signs(root: Path) -> Iterator[RecordedClip]:
    """Real signs that are no letters, and hands at rest: each hand by itself, where it was seen in
    half of the frames at least."""
    for name, people in _SIGNERS.items():
        for one in sequences(root, name):
            if one.signer not in people or (len(one.label) == 1 and one.label != "-"):
                continue
            for side, hand in enumerate(one.hands.swapaxes(0, 1)):
                seen = hand.any(axis=(1, 2))
                if 2 * seen.sum() < len(seen):
                    continue
                points = hand.astype(np.float64) * [one.aspect, 1.0, one.aspect]
                track = HandTrack(
                    points if side else mirror(points, None),
                    np.repeat(seen[:, None], NUM_JOINTS, axis=1).astype(np.float32),
                    np.arange(len(points)) / RATE,
                    1,
                    1,
                    "right",
                )
                yield RecordedClip(track, "", one.signer)
