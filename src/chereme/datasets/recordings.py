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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.letter_collections import WEBCAM_RATE, sequences, whole_recordings
from chereme.formats.arrays import expected_archive, plain_arrays, write_arrays
from chereme.hands.skeleton import mirror
from chereme.types import NUM_JOINTS, VECTOR_SIZE, HandTrack

Floats = NDArray[np.floating[Any]]
_FIELDS = ("landmarks", "vectors", "times", "length", "text", "signer")
# People whose signs are trained on; those of others are there to measure with.
_SIGNERS = {"traduttore_words": ("alex", "danial"), "libras_signs": ("1 person",)}


@dataclass(frozen=True)
class RecordedClip:
    """One clip: a right hand's ``track``, what it spells, and whose hand it is."""

    track: HandTrack
    text: str
    signer: str


def right_hand(landmarks: Floats, times: Floats, vectors: Floats | None = None) -> HandTrack:
    """The track of a right hand that is seen where ``landmarks (T, 21, 3)`` are numbers; ``times
    (T,)`` seconds, ``vectors (T, 1152)``."""
    seen = np.asarray(np.isfinite(landmarks).all(axis=2), np.float32)
    return HandTrack(landmarks, seen, times, 1, 1, "right", vectors=vectors)


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
        command = "chereme prepare recordings --root DATA -o recordings.npz"
        with expected_archive(path, "a file of recordings", command):
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
        return found

    def save(self, path: str | Path) -> Recordings:
        """Write a file, and return what was written."""
        write_arrays(path, {name: getattr(self, name) for name in _FIELDS})
        return self

    def __len__(self) -> int:
        return len(self.length)

    def report(self) -> str:
        """How many clips of spelling there are, and of other hands, as lines of text."""
        count = Counter("spelling" if text else "nothing spelled" for text in self.text.tolist())
        return "\n".join(f"{kind}: {number:,} clips" for kind, number in sorted(count.items()))

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum(self.length) - self.length

    def clip(self, index: int) -> RecordedClip:
        """The clip of that number; it has vectors if any of its frames has."""
        part = slice(self._starts[index], self._starts[index] + self.length[index])
        vectors = self.vectors[part] if self.vectors[part].any() else None
        track = right_hand(self.landmarks[part], self.times[part], vectors)
        return RecordedClip(track, str(self.text[index]), str(self.signer[index]))


def signs(root: Path) -> Iterator[RecordedClip]:
    """Real signs that are no letters, and hands at rest: each hand by itself, where it was seen in
    half of the frames at least."""
    for name, people in _SIGNERS.items():
        for one in sequences(root, name):
            if one.signer not in people or (len(one.label) == 1 and one.label != "-"):
                continue
            for side, hand in enumerate(one.hands.swapaxes(0, 1)):
                seen = hand.any(axis=(1, 2), keepdims=True)
                if 2 * seen.sum() < len(seen):
                    continue
                points = np.where(seen, hand * [one.aspect, 1.0, one.aspect], np.nan)
                times = np.arange(len(points)) / WEBCAM_RATE
                track = right_hand(points if side else mirror(points, None), times)
                yield RecordedClip(track, "", one.signer)


def shown_letters(root: Path) -> Iterator[RecordedClip]:
    """Real letters by themselves, held or drawn, as a webcam saw them."""
    for one in whole_recordings(root):
        times = np.arange(len(one.landmarks)) / WEBCAM_RATE
        yield RecordedClip(right_hand(one.landmarks, times), one.label, one.signer)
