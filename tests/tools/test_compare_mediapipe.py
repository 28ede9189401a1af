"""Hands are matched with MediaPipe's one to one, and a record has what was found."""

from __future__ import annotations

import re
from types import SimpleNamespace as Made

import numpy as np
import pytest

from chereme.hands.skeleton import palm_size
from fakes import draw_hand
from tools.compare_mediapipe import Seen, line, matched, quantile
from tools.mediapipe_reference import row

HAND = draw_hand("a").astype(np.float64)
PALM = float(palm_size(HAND))


def moved(palms: float) -> np.ndarray:
    return HAND + np.array([palms * PALM, 0, 0])


def test_each_hand_is_matched_once_with_the_nearest() -> None:
    found = [Made(landmarks=moved(shift)) for shift in (0.3, 3.1, 9.0)]
    pairs = matched(np.stack([moved(0), moved(0.25), moved(3)]), found, 1.0)
    assert [(i, j) for i, j, _ in pairs] == [(1, 0), (2, 1)]
    assert [distance for *_, distance in pairs] == pytest.approx([0.05, 0.1])


def test_depth_does_not_count_as_distance() -> None:
    ((_, _, distance),) = matched(HAND[None], [Made(landmarks=HAND + np.array([0, 0, 50]))], 1.0)
    assert distance == 0


def test_a_line_counts_frames_and_hands() -> None:
    seen = [
        Seen("words", "a.mp4", 0, 1, 1, [0.01], [True]),
        Seen("words", "a.mp4", 1, 1, 0, [], []),
        Seen("words", "b.mp4", 0, 0, 2, [], []),
        Seen("words", "b.mp4", 1, 2, 2, [0.02, 0.03], [True, False]),
    ]
    name, *counts, agree, pairs, side, median, _ = line("words", seen)
    assert (name, counts, pairs) == ("words", ["4", "3", "3", "1", "1"], "3")
    assert agree == "50.00 [50.00, 50.00]"  # one of two in either recording
    assert side.startswith("66.67 [50.00, 100.00")
    assert median.startswith("2.00 [1.00, ")


def test_a_quantile_is_of_all_values_whatever_their_recording() -> None:
    values = np.random.default_rng(0).permutation(1000) / 1000
    groups = [str(number % 20) for number in range(1000)]
    middle, low, high = map(float, re.findall(r"[\d.]+", quantile(values, groups, 0.5)))
    assert middle == pytest.approx(49.95, abs=0.01)
    assert 40 < low < middle < high < 60


def test_a_row_of_a_record_has_room_for_two_hands() -> None:
    joints = [Made(x=number / 21, y=0.5, z=-0.1) for number in range(21)]
    right = [Made(category_name="Right", score=0.9)]
    made = row(Made(hand_landmarks=[joints], hand_world_landmarks=[joints], handedness=[right]))
    assert (made["hands"], made["side"], made["score"]) == (1, ["right", ""], [0.9, 0.0])
    assert made["landmarks"][0, 20] == pytest.approx([20 / 21, 0.5, -0.1])
    assert np.isnan(made["landmarks"][1]).all()
    assert made["world"].shape == (2, 21, 3)
