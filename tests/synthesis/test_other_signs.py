"""Made-up clips of other signs: of all kinds, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.datasets.pose_clips import PoseClip
from chereme.synthesis.other_signs import other_signs


@pytest.fixture(scope="module")
def clips() -> list[PoseClip]:
    return list(other_signs(40, seed=3))


def test_clips_have_hands_and_no_label(clips: list[PoseClip]) -> None:
    assert 38 <= len(clips) <= 40
    assert {(clip.entry.label, clip.entry.split) for clip in clips} == {("", "train")}
    assert len({clip.entry.id for clip in clips}) == len(clips)
    for clip in clips:
        assert clip.present.any()
        assert np.isfinite(clip.joints[clip.confidence > 0]).all()
        assert clip.entry.frames == len(clip.joints) == len(clip.confidence)


def test_some_are_a_single_picture(clips: list[PoseClip]) -> None:
    still = [
        np.nanmax(np.ptp(clip.joints, axis=0), initial=0.0) == 0.0
        for clip in clips
        if clip.present.all(0).any()
    ]
    assert 0.1 < np.mean(still) < 0.6


def test_the_same_seed_gives_the_same_clips(clips: list[PoseClip]) -> None:
    for one, again in zip(clips[:5], other_signs(40, seed=3), strict=False):
        assert one.entry == again.entry
        np.testing.assert_array_equal(one.joints, again.joints)
    other = next(iter(other_signs(40, seed=4)))
    assert other.entry.frames != clips[0].entry.frames or not np.array_equal(
        other.joints, clips[0].joints, equal_nan=True
    )
