"""Clips and batches of clips as the recognisers of hand crops and teacher vectors read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from chereme.datasets.checks import steps_needed
from chereme.datasets.shards import Sample
from chereme.errors import InputError
from chereme.text import Alphabet
from chereme.training.augmentation import (
    Augmentation,
    augment_crops,
    draw_tempo,
    frames_at,
    resize,
)

TrackStream: TypeAlias = Literal["landmarks", "hand"]
"""A stream that is made of tracks of hands, see ``chereme.hands.normalise``."""


@dataclass(frozen=True)
class Inputs:
    """What a network reads of a clip.

    ``image_size``: side of its crops in pixels, None where it reads none. ``vector_dim``: width of
    the teacher's vectors, as input or to distil from, None without. ``stride``: frames a step.
    ``symbols``: width of its output, blank included. ``track``: the vectors are features
    of a hand's track, of no teacher.
    """

    image_size: int | None
    vector_dim: int | None
    stride: int
    symbols: int
    track: TrackStream | None = None


@dataclass
class Batch:
    """B clips, padded to T frames: padding is False in ``present`` and zero everywhere else.

    ``crops (B, T, 3, S, S)`` uint8 RGB and ``vectors (B, T, D)`` float32 are None where the network
    reads none. ``present (B, T)``: frames in which the hand was seen. ``targets (B, L)``: symbols,
    blank 0 as padding.
    """

    ids: list[str]
    texts: list[str]
    crops: Tensor | None
    vectors: Tensor | None
    present: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor


@dataclass(frozen=True)
class Clip:
    """One clip of a batch, see ``Batch``; ``crops (T, S, S, 3)``."""

    id: str
    text: str
    crops: NDArray[np.uint8] | None
    vectors: NDArray[np.float32] | None
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class ClipTransform:
    """Turns samples of shards into clips.

    ``teacher``: name of the vectors in the shards, where the network wants any. ``rate``: frames a
    second that clips are brought to by repeating and leaving out, None for frames as they are.
    """

    inputs: Inputs
    alphabet: Alphabet
    teacher: str | None = None
    rate: float | None = None

    def text(self, sample: Sample) -> str:
        """The label in the symbols of the alphabet."""
        return self.alphabet.normalise(sample.label)

    def pace(self, sample: Sample) -> float:
        """Frames of the clip for each frame of the sample."""
        return 1.0 if self.rate is None else self.rate / sample.rate

    def make(
        self,
        sample: Sample,
        how: Augmentation | None = None,
        rng: np.random.Generator | None = None,
    ) -> Clip:
        """The clip of ``sample``, changed at random where ``how`` and ``rng`` are given.

        A clip that needs vectors and has none of its mirrored crops is never flipped.

        Raises:
            InputError: the sample lacks the teacher's vectors, or these are of another width or not
                finite where a hand is.
        """
        vectors = self._vectors(sample, mirrored=False)
        pace, flip, text = self.pace(sample), False, self.text(sample)
        if how is not None and rng is not None:
            pace *= draw_tempo(rng, how.tempo)
            mirrored = self._vectors(sample, mirrored=True)
            flip = bool(rng.random() < how.flip) and (vectors is None) == (mirrored is None)
            vectors = mirrored if flip else vectors
        least = (steps_needed(text) - 1) * self.inputs.stride + 1
        shown = frames_at(len(sample.jpegs), pace, least=least)
        crops = None
        if self.inputs.image_size is not None:
            size = self.inputs.image_size
            # Each frame is decoded and changed once, however often it is shown.
            kept, again = np.unique(shown, return_inverse=True)
            crops = sample.decode(kept)
            if how is None or rng is None:
                crops = resize(crops, size)[again]
            else:
                crops = augment_crops(crops, size, rng, how, flip=flip)[again]
        return Clip(
            sample.id,
            text,
            crops,
            None if vectors is None else vectors[shown],
            sample.present[shown],
        )

    def _vectors(self, sample: Sample, *, mirrored: bool) -> NDArray[np.float32] | None:
        dim = self.inputs.vector_dim
        if dim is None:
            return None
        assert self.teacher is not None
        have = sample.teacher_mirrored if mirrored else sample.teacher
        if self.teacher not in have:
            if mirrored:
                return None
            raise InputError(
                f"clip {sample.id}: expected vectors of the teacher {self.teacher!r}, its shard "
                f"has those of {', '.join(sorted(have)) or 'none'}; prepare it with that teacher"
            )
        vectors = np.asarray(have[self.teacher], np.float32)
        if vectors.shape != (len(sample.jpegs), dim):
            raise InputError(
                f"clip {sample.id}: expected vectors of the teacher {self.teacher!r} of shape "
                f"{(len(sample.jpegs), dim)}, got {vectors.shape}; set the width in the config"
            )
        # What stands where no hand is, is never read; zero, so that no NaN spreads from there.
        vectors = np.where(sample.present[:, None], vectors, np.float32(0))
        if not np.isfinite(vectors).all():
            raise InputError(
                f"clip {sample.id}: expected finite vectors of the teacher {self.teacher!r}, got "
                "NaN or infinity; prepare it again"
            )
        return vectors


def collate(clips: Sequence[Clip], alphabet: Alphabet) -> Batch:
    """The batch of some clips."""
    targets = [torch.tensor(alphabet.encode(clip.text), dtype=torch.long) for clip in clips]
    longest = max(1, *(len(target) for target in targets))
    padded = torch.zeros(len(clips), longest, dtype=torch.long)
    for row, target in zip(padded, targets, strict=True):
        row[: len(target)] = target

    def together(name: str) -> Tensor | None:
        arrays = [getattr(clip, name) for clip in clips]
        if any(array is None for array in arrays):
            return None
        return pad_sequence([torch.from_numpy(array) for array in arrays], batch_first=True)

    crops = together("crops")
    present = together("present")
    assert present is not None
    return Batch(
        [clip.id for clip in clips],
        [clip.text for clip in clips],
        None if crops is None else crops.permute(0, 1, 4, 2, 3),
        together("vectors"),
        present,
        torch.tensor([len(clip.present) for clip in clips]),
        padded,
        torch.tensor([len(target) for target in targets]),
    )
