"""Changed clips show the same sign: another view, hand, tempo, or the mirror."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.pose_clips import Entry, PoseClip, write_poses
from chereme.errors import UsageError
from chereme.systems.signbert.augmentation import PoseAugmentation
from chereme.systems.signbert.data import PoseData

NONE = PoseAugmentation(
    trim=0.0, rotation=0.0, stretch=0.0, bones=0.0, jitter=0.0, lost=0.0, mirror=0.0
)


def only(**changes: float) -> PoseAugmentation:
    return PoseAugmentation(**{**vars(NONE), **changes})


def clip(name: str = "one", frames: int = 20, split: str = "train") -> PoseClip:
    rng = np.random.default_rng(3)
    joints = rng.uniform(0, 300, (frames, 2, 21, 2)).astype(np.float32)
    confidence = rng.uniform(0.2, 1, (frames, 2, 21)).astype(np.float32)
    confidence[3:4, 0], joints[3:4, 0] = 0.0, np.nan
    return PoseClip(Entry(name, name[:1], "s", split, 25.0, frames), joints, confidence)


def seen_joints(found: PoseClip) -> np.ndarray:
    return found.joints[found.confidence > 0]


def test_without_a_change_it_stays() -> None:
    given = clip()
    found = NONE.changed(NONE.trimmed(given, np.random.default_rng(0)), np.random.default_rng(0))
    np.testing.assert_array_equal(found.confidence, given.confidence)
    np.testing.assert_allclose(seen_joints(found), seen_joints(given), rtol=1e-6)


def test_ends_are_trimmed_and_a_frame_remains() -> None:
    rng = np.random.default_rng(1)
    given = clip()
    lengths = set()
    for _ in range(50):
        found = only(trim=0.25).trimmed(given, rng)
        frames = found.entry.frames
        lengths.add(frames)
        starts = [n for n in range(6) if np.array_equal(given.confidence[n], found.confidence[0])]
        assert len(starts) == 1
        assert found.joints.shape[0] == found.confidence.shape[0] == frames
    assert min(lengths) == 12
    assert max(lengths) == 20
    for _ in range(20):
        assert only(trim=0.49).trimmed(clip(frames=1), rng).entry.frames == 1


def test_a_turn_keeps_distances_and_a_stretch_the_area_of_directions() -> None:
    given = clip()
    turned = only(rotation=30.0).changed(given, np.random.default_rng(2))

    def distances(joints: np.ndarray) -> np.ndarray:
        return np.linalg.norm(joints[0, 1, 1:] - joints[0, 1, :-1], axis=-1)

    np.testing.assert_allclose(distances(turned.joints), distances(given.joints), rtol=1e-4)
    assert np.abs(turned.joints[0] - given.joints[0]).max() > 5
    stretched = only(stretch=0.3).changed(given, np.random.default_rng(2))
    # One linear map for all joints of all frames, symmetric, with 1 as one of its factors.
    a, b = seen_joints(given).astype(float), seen_joints(stretched).astype(float)
    matrix = np.linalg.lstsq(a, b, rcond=None)[0]
    np.testing.assert_allclose(a @ matrix, b, atol=1e-2)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-4)
    factors = np.linalg.eigvalsh(matrix)
    assert np.isclose(factors, 1, atol=1e-4).sum() == 1


def test_another_hand_is_the_same_in_all_frames_and_on_both_sides() -> None:
    given = clip()
    change = only(bones=0.05).changed(given, np.random.default_rng(2)).joints - given.joints
    np.testing.assert_allclose(change[5:], change[5:6].repeat(15, 0), atol=1e-3)
    np.testing.assert_allclose(change[5, 0] * [-1, 1], change[5, 1], atol=1e-3)
    extent = 280  # of a hand: its joints are anywhere within 300
    assert change[5].std() == pytest.approx(0.05 * extent, rel=0.3)
    shaken = only(jitter=0.05).changed(given, np.random.default_rng(2)).joints - given.joints
    assert np.nanstd(shaken - shaken[5:6]) > 0.05 * extent


def test_the_mirror_is_the_other_hand() -> None:
    given = clip()
    found = only(mirror=1.0).changed(given, np.random.default_rng(0))
    np.testing.assert_allclose(found.joints[:, 1, :, 0], -given.joints[:, 0, :, 0])
    np.testing.assert_allclose(found.joints[:, 1, :, 1], given.joints[:, 0, :, 1])
    np.testing.assert_array_equal(found.confidence[:, ::-1], given.confidence)


def test_frames_are_lost_in_a_row_and_never_all() -> None:
    rng = np.random.default_rng(0)
    given = clip()
    given.confidence[3, 0] = 0.5
    given.joints[3, 0] = 1.0
    for _ in range(30):
        lost = ~(only(lost=0.5).changed(given, rng).confidence > 0).any(axis=-1)
        assert lost.sum(axis=0).max() <= 10
        for hand in lost.T:
            assert np.count_nonzero(np.diff(hand.astype(int)) == 1) + hand[0] <= 1
        one = only(lost=0.99).changed(clip(frames=2), rng)
        assert one.present.any()
    hidden = clip()._replace(confidence=np.zeros((20, 2, 21), np.float32))
    found = PoseAugmentation().changed(hidden._replace(joints=hidden.joints * np.nan), rng)
    assert not found.present.any()


@pytest.mark.parametrize("wrong", [{"trim": 0.5}, {"lost": -0.1}, {"mirror": 1.1}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="augmentation: expected"):
        PoseAugmentation(**wrong)


def test_training_clips_alone_are_changed_and_another_way_each_epoch(tmp_path: Path) -> None:
    names = ("a1", "b1", "a2", "b2")
    clips = [clip(name) for name in names]
    write_poses([*clips, clip("a3", split="test")], tmp_path)
    data = PoseData([str(tmp_path)], dev=[], batch_size=4, augmentation=PoseAugmentation())
    data.setup()
    assert not data.entries("dev")
    assert data.classes == ("a", "b")

    def first(epoch: int) -> np.ndarray:
        (batch,) = data.epoch_loader(epoch)
        return batch.poses.joints[list(batch.ids).index("a1")].numpy()

    assert first(0).shape != first(1).shape or not np.array_equal(first(0), first(1))
    np.testing.assert_array_equal(first(0), first(0))
    (whole,) = data.whole("test")
    np.testing.assert_array_equal(whole.poses.joints[0, 4:], clips[0].joints[4:])
