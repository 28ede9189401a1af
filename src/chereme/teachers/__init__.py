"""Teachers: frozen models, or their stored output, whose vectors a student learns to predict.

A teacher turns each picture of a clip into a vector. `chereme.teachers.hamer` and
`chereme.teachers.hand_network` compute them from the pictures, `chereme.teachers.landmarks` from
the joints that were found in them; `chereme.teachers.synthetic` takes them from the truth about
rendered hands, and `chereme.teachers.precomputed` reads what another program computed. All follow
`Teacher`, so what makes or reads shards needs not know which it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from chereme.types import FloatArray, HandTrack


@dataclass(frozen=True, slots=True)
class Clip:
    """What teachers are given: the clip's ``id`` and its ``crops (T, S, S, 3)`` uint8 RGB.

    The crops show the signing hand as a right hand: those of left hands are mirrored before.
    ``track`` is the hand that they show, found in the T frames of the ``recording`` and
    mirrored as the crops are; teachers of pictures do without. A frame in which it was not seen
    has a black crop, and its vectors mean nothing. ``truth`` is known of hands that were rendered:
    see `chereme.teachers.synthetic`; None where it lies in a file beside the recording.
    ``landmarks (T, 21, 3)``: of the hand, in pixels of the crops, NaN where it was not seen.
    ``hamer_crops (T, 256, 256, 3)``: the same frames as HaMeR cuts them (`hamer_crop`), if asked
    for.
    """

    id: str
    crops: NDArray[np.uint8]
    track: HandTrack | None = None
    recording: Path | None = None
    truth: Mapping[str, FloatArray] | None = None
    landmarks: FloatArray | None = None
    hamer_crops: NDArray[np.uint8] | None = None


class ClipEmbeddings(NamedTuple):
    """A teacher's vectors of one clip, float32, one row a frame.

    ``mirrored`` belongs to the same crops flipped left-right. Flipping is an augmentation of the
    student's clips, and a hand model does not say the same of a hand and of its mirror image: a
    flipped clip has to meet its own vectors. None where the teacher has none; such clips must not
    be flipped.
    """

    crop: NDArray[np.float32]  # (T, D)
    mirrored: NDArray[np.float32] | None  # (T, D)


class Teacher(Protocol):
    """What the preparation of data needs of a teacher."""

    @property
    def name(self) -> str:
        """Short, without spaces: names the vectors in shards and reports."""

    @property
    def dim(self) -> int:
        """Length D of a vector."""

    def embed_clip(self, clip: Clip) -> ClipEmbeddings:
        """The vectors of all frames of one clip; InputError if the clip cannot be embedded."""
