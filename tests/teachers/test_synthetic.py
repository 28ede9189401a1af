"""The synthetic teacher: what a clip was rendered with, of the hand that is shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import fakes
from chereme.errors import InputError
from chereme.hand_model import HandLayer, HandTemplate
from chereme.hand_model.rotations import rot6d_to_matrix
from chereme.hands.signing import to_right_hand
from chereme.teachers import Clip
from chereme.teachers.synthetic import SyntheticTeacher
from chereme.types import HandTrack

FRAMES = 4


def truth(folder: Path, **changes: Any) -> tuple[Path, dict[str, np.ndarray]]:
    """A left hand, idle, and the signing right hand; two pictures' worth of pixels apart."""
    rng = np.random.default_rng(0)
    signing = np.stack([fakes.draw_hand(letter) for letter in "abdv"])
    idle = signing[:1].repeat(FRAMES, 0) + np.array([-200.0, 0.0, 0.0])
    arrays = {
        "timestamps": np.arange(FRAMES) / 25,
        "landmarks": np.stack([idle, signing], axis=1),
        "global_orient": rng.normal(0, 1, (FRAMES, 2, 3)),
        "hand_pose": rng.normal(0, 0.5, (FRAMES, 2, 15, 3)),
        "betas": rng.normal(size=(2, 10)),
    } | changes
    np.savez(folder / "clip.npz", **arrays)  # type: ignore[arg-type]
    return folder / "clip.mp4", arrays


def shown(recording: Path, points: np.ndarray, left: bool = False, times: Any = None) -> Clip:
    track = HandTrack(
        landmarks=(points + 3.0).astype(np.float32),  # a detector is not exact
        confidence=np.ones((len(points), 21), np.float32),
        timestamps=np.arange(len(points)) / 25 if times is None else times,
        width=fakes.WIDTH,
        height=fakes.HEIGHT,
        handedness="left" if left else "right",
    )
    crops = np.zeros((len(points), 8, 8, 3), np.uint8)
    return Clip("clip", crops, to_right_hand(track), recording)


def rotations(vectors: np.ndarray) -> np.ndarray:
    """The first 16 rotations ``(T, 16, 3, 3)`` of vectors."""
    sixes = torch.from_numpy(vectors[:, :96].reshape(-1, 16, 6))
    return rot6d_to_matrix(sixes).numpy()


def test_vectors_are_the_pose_and_shape(tmp_path: Path) -> None:
    path, arrays = truth(tmp_path)
    teacher = SyntheticTeacher()
    found = teacher.embed_clip(shown(path, arrays["landmarks"][:, 1]))
    assert (teacher.name, teacher.dim) == ("synthetic", 106)
    assert found.crop.shape == (FRAMES, 106)
    angles = np.concatenate([arrays["global_orient"][:, 1, None], arrays["hand_pose"][:, 1]], 1)
    expected = Rotation.from_rotvec(angles.reshape(-1, 3)).as_matrix().reshape(-1, 16, 3, 3)
    np.testing.assert_allclose(rotations(found.crop), expected, atol=1e-6)
    np.testing.assert_allclose(found.crop[:, 96:], arrays["betas"][[1] * FRAMES], atol=1e-6)

    pose = SyntheticTeacher(orientation=False)
    assert pose.dim == 100
    np.testing.assert_array_equal(
        pose.embed_clip(shown(path, arrays["landmarks"][:, 1])).crop, found.crop[:, 6:]
    )


def test_mirrored_vectors_are_the_pose_of_the_mirror_image(tmp_path: Path) -> None:
    """By the hand model itself: the mirrored template in that pose is the mirrored hand."""
    path, arrays = truth(tmp_path)
    found = SyntheticTeacher().embed_clip(shown(path, arrays["landmarks"][:, 1]))
    assert found.mirrored is not None
    template = HandTemplate.load("open")
    hands = []
    for side, vectors in ((template, found.crop), (template.mirrored(), found.mirrored)):
        matrices = torch.from_numpy(rotations(vectors)).float()
        betas = torch.from_numpy(vectors[:, 96:])
        layer = HandLayer(side, flat_hand_mean=True)
        hands.append(layer(betas, matrices[:, 1:], matrices[:, 0]).joints.numpy())
    np.testing.assert_allclose(hands[1], hands[0] * [-1, 1, 1], atol=1e-5)
    assert np.abs(hands[1] - hands[0]).max() > 0.01


def test_a_left_hand_is_taught_as_its_mirrored_crop_shows_it(tmp_path: Path) -> None:
    path, arrays = truth(tmp_path)
    idle = arrays["landmarks"][:, 0]
    as_left = SyntheticTeacher().embed_clip(shown(path, idle, left=True))
    # Taken for a right hand its crops are not mirrored, and show what was recorded.
    as_right = SyntheticTeacher().embed_clip(shown(path, idle))
    assert as_left.mirrored is not None
    np.testing.assert_allclose(as_left.mirrored, as_right.crop, atol=1e-6)
    expected = Rotation.from_rotvec(arrays["global_orient"][:, 0]).as_matrix()
    np.testing.assert_allclose(rotations(as_right.crop)[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(as_left.crop[:, 96:], arrays["betas"][[0] * FRAMES], atol=1e-6)


def test_frames_are_matched_by_their_times(tmp_path: Path) -> None:
    path, arrays = truth(tmp_path)
    whole = SyntheticTeacher().embed_clip(shown(path, arrays["landmarks"][:, 1]))
    kept = [0, 2, 3]  # a frame was lost
    points = arrays["landmarks"][kept, 1]
    part = SyntheticTeacher().embed_clip(shown(path, points, times=np.array(kept) / 25 + 0.004))
    np.testing.assert_array_equal(part.crop, whole.crop[kept])


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path, arrays = truth(tmp_path)
    points = arrays["landmarks"][:, 1]
    teacher = SyntheticTeacher()
    with pytest.raises(InputError, match=r"nearest is .* palm lengths away"):
        teacher.embed_clip(shown(path, points + np.array([0.0, 300.0, 0.0])))
    with pytest.raises(InputError, match="belongs to another video"):
        teacher.embed_clip(shown(path, points, times=np.arange(FRAMES) / 25 + 1))
    with pytest.raises(InputError, match="expected the track of a hand"):
        teacher.embed_clip(dataclasses.replace(shown(path, points), track=None))
    with pytest.raises(InputError, match=r"other\.npz: expected the truth"):
        teacher.embed_clip(shown(path.with_name("other.mp4"), points))
    truth(tmp_path, hand_pose=np.zeros((FRAMES, 2, 45)))
    with pytest.raises(InputError, match=r"clip\.npz: expected the truth.*hand_pose have shape"):
        teacher.embed_clip(shown(path, points))
    (tmp_path / "clip.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"clip\.npz: expected the truth"):
        teacher.embed_clip(shown(path, points))
