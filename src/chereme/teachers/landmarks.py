"""The teacher that works everywhere: the pose of the hand as its detected joints tell it.

It stands in for a hand model where there is none: the detector's world landmarks, which are joints
in space, in metres and in the camera's axes, described as for the landmark networks (handshape and
orientation; see `chereme.hands.normalise.shape_features`).

Choice: the description itself rather than a network's embedding of it. It is the same in every
version, no part of it is learnt from labels, so that a student learns poses from it and not letters
by a detour, and its numbers are of one scale (unit vectors, and lengths in palms).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.hands.normalise import shape_features
from chereme.hands.skeleton import mirror
from chereme.teachers import Clip, ClipEmbeddings
from chereme.types import NUM_JOINTS, FloatArray


class LandmarkTeacher:
    """Handshape and orientation of the world landmarks of each frame; zeros where there are none.

    The mirrored vectors are those of the mirrored joints.
    """

    name = "landmarks"

    @property
    def dim(self) -> int:
        """228: 20 joints and 20 bones in space, the palm's normal, 105 distances."""
        return int(shape_features(np.zeros((1, NUM_JOINTS, 3))).shape[1])

    def embed_clip(self, clip: Clip) -> ClipEmbeddings:
        """The vectors of a clip; InputError if it comes without world landmarks."""
        world = None if clip.track is None else clip.track.world_landmarks
        if world is None:
            raise InputError(
                f"clip {clip.id}: expected world landmarks, as the package's detector gives, "
                "got none; use that detector or another teacher"
            )
        if len(world) != len(clip.crops):
            raise InputError(
                f"clip {clip.id}: expected landmarks of {len(clip.crops)} frames, got {len(world)}"
            )
        world = world.astype(np.float64)
        return ClipEmbeddings(self._embed(world), self._embed(mirror(world, None)))

    def _embed(self, world: FloatArray) -> NDArray[np.float32]:
        seen = np.isfinite(world).all(axis=(1, 2))
        vectors = np.zeros((len(world), self.dim), np.float32)
        vectors[seen] = shape_features(world[seen])
        return vectors
