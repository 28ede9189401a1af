"""The teacher of rendered hands: the pose and shape of the hand model that they were drawn with.

The truth about a clip is a file beside it, ``<clip>.npz`` for ``<clip>.mp4``, as
`chereme synthesize` writes it. Of it are read, for T frames and H hands in the picture,
``timestamps (T,)``, ``landmarks (T, H, 21, 3)`` pixels, ``global_orient
(T, H, 3)`` and ``hand_pose (T, H, 15, 3)`` axis-angle, and ``betas (H, 10)``. A clip that was
rendered without a video carries the same arrays itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.formats.arrays import plain_arrays
from chereme.hand_model.rotations import axis_angle_to_matrix, matrix_to_rot6d
from chereme.hands.skeleton import mirror, palm_size
from chereme.teachers import Clip, ClipEmbeddings
from chereme.types import FloatArray, HandTrack

_ARRAYS = ("timestamps", "landmarks", "global_orient", "hand_pose", "betas")
# A mirror turns the axes of rotations over, all but the one across it.
_MIRROR = np.array([1.0, -1.0, -1.0])
_REACH = 1.0  # palm lengths between the joints that were found and the true ones, on average


class SyntheticTeacher:
    """Rotations of the 15 joints in 6-D, MANO's order, then the 10 numbers of the shape.

    With ``orientation`` that of the whole hand comes first: G and Q, H and U, K and P are the same
    handshape. The mirrored vectors are those of the mirrored hand model in the mirrored pose, and
    so are those of crops that show a left hand because it was mistaken for a right one.
    """

    name = "synthetic"

    def __init__(self, *, orientation: bool = True) -> None:
        self.orientation = orientation

    @property
    def dim(self) -> int:
        """106, or 100 without the orientation."""
        return 6 * (15 + self.orientation) + 10

    def embed_clip(self, clip: Clip) -> ClipEmbeddings:
        """The vectors of a clip, of the true hand that lies where one was found.

        InputError if there is no truth beside the recording, it tells of other frames, or no true
        hand lies near the one that was found.
        """
        if clip.track is None or clip.recording is None:
            raise InputError(
                f"clip {clip.id}: expected the track of a hand and its recording beside the crops"
            )
        path = clip.recording.with_suffix(".npz")
        truth = _read(path) if clip.truth is None else clip.truth
        frames = _nearest(truth["timestamps"], clip.track.timestamps, path)
        hand = _nearest_hand(truth["landmarks"][frames], clip.track, path)
        angles = np.concatenate(
            [truth["global_orient"][frames, hand, None], truth["hand_pose"][frames, hand]], axis=1
        ).astype(np.float64)
        if not self.orientation:
            angles = angles[:, 1:]
        betas = truth["betas"][hand]
        if clip.track.mirrored:  # the truth is of the pictures as they were recorded
            angles = angles * _MIRROR
        return ClipEmbeddings(_vectors(angles, betas), _vectors(angles * _MIRROR, betas))


def _vectors(angles: FloatArray, betas: FloatArray) -> NDArray[np.float32]:
    rotations = axis_angle_to_matrix(torch.from_numpy(np.ascontiguousarray(angles)))
    poses = matrix_to_rot6d(rotations).flatten(1).numpy()
    shapes = np.broadcast_to(betas, (len(poses), len(betas)))
    vectors: NDArray[np.float32] = np.concatenate([poses, shapes], axis=1).astype(np.float32)
    return vectors


def _read(path: Path) -> dict[str, FloatArray]:
    try:
        arrays = plain_arrays(path)
        truth: dict[str, FloatArray] = {name: arrays[name] for name in _ARRAYS}
        frames, hands = truth["landmarks"].shape[:2]
        shapes = {
            "timestamps": (frames,),
            "global_orient": (frames, hands, 3),
            "hand_pose": (frames, hands, 15, 3),
            "betas": (hands, 10),
        }
        for name, shape in shapes.items():
            if truth[name].shape != shape:
                raise ValueError(f"{name} have shape {truth[name].shape}, not {shape}")
    except (InputError, LookupError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: expected the truth about a rendered clip ({', '.join(_ARRAYS)}), got "
            f"{error!r}; only what 'chereme synthesize' has made has one"
        ) from error
    return truth


def _nearest(times: FloatArray, wanted: FloatArray, path: Path) -> NDArray[np.intp]:
    """The true frame of each frame of the clip."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    frames: NDArray[np.intp] = np.abs(wanted[:, None] - times).argmin(axis=1)
    off = np.abs(times[frames] - wanted)
    if (off > step / 2).any():
        raise InputError(
            f"{path}: expected the truth of each frame, but the nearest to {wanted[off.argmax()]:g}"
            f" s is {off.max():g} s away; it belongs to another video"
        )
    return frames


def _nearest_hand(true: FloatArray, track: HandTrack, path: Path) -> int:
    """Which of the hands ``true (T, H, 21, 3)`` the track follows."""
    seen = track.present
    found = mirror(track.landmarks, track.width) if track.mirrored else track.landmarks
    apart = np.linalg.norm(true[seen, ..., :2] - found[seen, None, :, :2], axis=-1)
    palms = np.median(palm_size(true[seen]), axis=0)
    distances: FloatArray = np.median(apart.mean(axis=-1), axis=0) / palms
    hand = int(distances.argmin())
    if distances[hand] > _REACH:
        raise InputError(
            f"{path}: expected a true hand where one was found, but the nearest is "
            f"{distances[hand]:.1f} palm lengths away; the detector found something else"
        )
    return hand
