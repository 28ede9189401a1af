"""The landmark teacher: the same for every position and size of a hand, and of its mirror image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fakes
from chereme.errors import InputError
from chereme.hands.signing import to_right_hand
from chereme.hands.skeleton import mirror
from chereme.teachers import Clip
from chereme.teachers.landmarks import LandmarkTeacher
from chereme.types import HandTrack

LETTERS = "abdilv"


def clip(left: bool = False, scale: float = 0.001) -> Clip:
    points = np.stack([fakes.draw_hand(letter, left) for letter in LETTERS])
    world = (points - points.mean(axis=1, keepdims=True)) * scale
    track = HandTrack(
        landmarks=points.astype(np.float32),
        confidence=np.ones((len(points), 21), np.float32),
        timestamps=np.arange(len(points)) / 30,
        width=fakes.WIDTH,
        height=fakes.HEIGHT,
        handedness="left" if left else "right",
        world_landmarks=world.astype(np.float32),
    )
    crops = np.zeros((len(points), 8, 8, 3), np.uint8)
    return Clip("clip", crops, to_right_hand(track))


def test_a_vector_tells_the_handshape_whatever_the_size() -> None:
    teacher = LandmarkTeacher()
    assert (teacher.name, teacher.dim) == ("landmarks", 228)
    one, two = (teacher.embed_clip(clip(scale=scale)) for scale in (0.001, 0.0007))
    assert one.crop.dtype == np.float32
    assert one.crop.shape == (6, 228)
    np.testing.assert_allclose(one.crop, two.crop, atol=1e-4)
    apart = np.linalg.norm(one.crop[:, None] - one.crop, axis=-1)
    assert (apart[~np.eye(6, dtype=bool)] > 1).all()
    np.testing.assert_array_equal(teacher.embed_clip(clip()).crop, one.crop)


def test_numbers_are_of_one_scale() -> None:
    vectors = LandmarkTeacher().embed_clip(clip()).crop
    assert 0.5 < np.abs(vectors).max() < 5
    # Unit bones and the palm's normal.
    bones = vectors[:, 60:120].reshape(-1, 20, 3)
    np.testing.assert_allclose(np.linalg.norm(bones, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, 120:123], axis=-1), 1, atol=1e-5)


def test_a_left_hand_that_was_mirrored_has_the_vectors_of_the_right_one() -> None:
    right, left = (LandmarkTeacher().embed_clip(clip(left)) for left in (False, True))
    np.testing.assert_allclose(left.crop, right.crop, atol=1e-5)
    assert left.mirrored is not None
    assert right.mirrored is not None
    np.testing.assert_allclose(left.mirrored, right.mirrored, atol=1e-5)


def test_mirrored_vectors_are_those_of_the_mirrored_crop() -> None:
    teacher, shown = LandmarkTeacher(), clip()
    assert shown.track is not None
    assert shown.track.world_landmarks is not None
    flipped = dataclasses.replace(
        shown.track, world_landmarks=mirror(shown.track.world_landmarks, None)
    )
    both = teacher.embed_clip(shown)
    again = teacher.embed_clip(dataclasses.replace(shown, track=flipped))
    assert both.mirrored is not None
    np.testing.assert_array_equal(again.crop, both.mirrored)
    assert again.mirrored is not None
    np.testing.assert_array_equal(again.mirrored, both.crop)
    # x of joints and bones changes its sign, lengths do not change.
    np.testing.assert_allclose(both.mirrored[:, 0:120:3], -both.crop[:, 0:120:3], atol=1e-6)
    np.testing.assert_allclose(both.mirrored[:, 1:120:3], both.crop[:, 1:120:3], atol=1e-6)
    np.testing.assert_allclose(both.mirrored[:, 123:], both.crop[:, 123:], atol=1e-5)


def test_frames_without_a_hand_are_zero() -> None:
    shown = clip()
    assert shown.track is not None
    assert shown.track.world_landmarks is not None
    world = shown.track.world_landmarks.copy()
    world[2] = np.nan
    track = dataclasses.replace(shown.track, world_landmarks=world)
    found = LandmarkTeacher().embed_clip(dataclasses.replace(shown, track=track))
    for vectors in (found.crop, found.mirrored):
        assert vectors is not None
        assert not vectors[2].any()
        assert vectors[[0, 1, 3, 4, 5]].any(axis=1).all()


def test_it_needs_world_landmarks() -> None:
    shown = clip()
    assert shown.track is not None
    for track in (None, dataclasses.replace(shown.track, world_landmarks=None)):
        with pytest.raises(InputError, match="clip clip: expected world landmarks"):
            LandmarkTeacher().embed_clip(dataclasses.replace(shown, track=track))
    with pytest.raises(InputError, match="expected landmarks of 5 frames, got 6"):
        LandmarkTeacher().embed_clip(dataclasses.replace(shown, crops=shown.crops[:5]))
