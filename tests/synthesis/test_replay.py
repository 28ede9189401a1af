"""Recordings shown again: faster or slower and from aside, but the same hand and the same text."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.datasets.recordings import RecordedClip
from chereme.hands.normalise import shape_features
from chereme.synthesis.replay import replay
from chereme.types import HandTrack

SPREAD = np.ones(1152, np.float32)


@pytest.fixture
def clip(exemplars) -> RecordedClip:
    hand = exemplars.landmarks[exemplars.label == "b"][:1].astype(np.float64)
    points = np.repeat(hand, 30, axis=0) + np.arange(30)[:, None, None] * [0.05, 0.0, 0.0]
    confidence = np.ones((30, 21))
    confidence[4] = 0.0
    points[4] = np.nan
    vectors = np.full((30, 1152), 2.0, np.float16)
    vectors[:, ::2] = 0.0
    times = np.arange(30) / 25
    return RecordedClip(
        HandTrack(points, confidence, times, 1, 1, "right", vectors=vectors), "b", "one"
    )


def test_a_replay_is_the_same_hand(clip: RecordedClip) -> None:
    seconds = []
    for seed in range(20):
        again = replay(clip, SPREAD, np.random.default_rng(seed))
        track, seen = again.track, again.track.present
        assert again.text == "b"
        assert not seen[4]
        assert np.isfinite(track.landmarks[seen]).all()
        seconds.append(track.timestamps[-1])
        # Distances between joints stay nearly those of the hand: it is turned a little.
        distances = [shape_features(t.landmarks[[0]])[0, -105:] for t in (clip.track, track)]
        assert np.abs(distances[0] - distances[1]).mean() < 0.3
        assert track.vectors is not None
        assert not track.vectors[~seen].any()
        assert not track.vectors[:, ::2].any()  # zeros stay zeros
        assert (track.vectors[seen, 1::2] > 0).mean() > 0.95
    assert min(seconds) < 29 / 25 < max(seconds)


def test_the_same_seed_gives_the_same_and_no_vectors_stay_none(clip: RecordedClip) -> None:
    one, same = (replay(clip, SPREAD, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one.track.landmarks, same.track.landmarks)
    np.testing.assert_array_equal(one.track.vectors, same.track.vectors)
    bare = RecordedClip(
        HandTrack(
            clip.track.landmarks, clip.track.confidence, clip.track.timestamps, 1, 1, "right"
        ),
        "b",
        "one",
    )
    assert replay(bare, SPREAD, np.random.default_rng(1)).track.vectors is None
