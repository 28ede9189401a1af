from __future__ import annotations

import numpy as np
import pytest

from chereme.hands import palm as module
from chereme.hands.palm import ANCHORS, PalmDetector
from chereme.hands.search_regions import View, whole


class Anchored:
    """In the place of the network: the anchors that ``boxes`` names see something."""

    def __init__(self, seen: dict[int, tuple[float, list[float]]]) -> None:
        self.seen = seen

    def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert outputs == ["boxes", "scores"]
        assert feed["images"].shape == (1, 192, 192, 3)
        boxes = np.zeros((1, 2016, 18), np.float32)
        scores = np.full((1, 2016), -9, np.float32)
        for anchor, (logit, values) in self.seen.items():
            scores[0, anchor] = logit
            boxes[0, anchor, : len(values)] = values
        return [boxes, scores]


def detector(seen: dict[int, tuple[float, list[float]]]) -> PalmDetector:
    found = PalmDetector.__new__(PalmDetector)
    found._network = Anchored(seen)
    return found


def test_the_anchors_are_two_in_each_of_24_x_24_and_six_in_each_of_12_x_12() -> None:
    assert ANCHORS.shape == (2016, 2)
    np.testing.assert_allclose(ANCHORS[:3] * 24, [[0.5, 0.5], [0.5, 0.5], [1.5, 0.5]])
    np.testing.assert_allclose(ANCHORS[48] * 24, [0.5, 1.5])
    np.testing.assert_allclose(ANCHORS[1151] * 24, [23.5, 23.5])
    np.testing.assert_allclose(ANCHORS[1152:1159] * 12, [[0.5, 0.5]] * 6 + [[1.5, 0.5]])
    np.testing.assert_allclose(ANCHORS[-1] * 12, [11.5, 11.5])


def test_what_an_anchor_sees_lies_relative_to_it_in_the_frame() -> None:
    """A view of 384 pixels: two pixels of the frame for one of the network's."""
    anchor = 2 * (24 * 10 + 5)  # at (44, 84) of 192
    palms = detector({anchor: (2.0, [4, -4, 20, 20, -6, 10])})
    (palm,) = palms.find(np.zeros((400, 500, 3), np.uint8), View(100, 10, 484, 394))
    np.testing.assert_allclose(palm.box, [100 + 2 * 38, 10 + 2 * 70, 100 + 2 * 58, 10 + 2 * 90])
    np.testing.assert_allclose(palm.points[0], [100 + 2 * 38, 10 + 2 * 94])
    np.testing.assert_allclose(palm.points[1:], [[100 + 2 * 44, 10 + 2 * 84]] * 6)
    assert palm.score == pytest.approx(1 / (1 + np.exp(-2)))


def test_boxes_of_one_palm_become_their_mean_by_score() -> None:
    anchor = 2 * (24 * 10 + 5)
    seen = {
        anchor: (np.log(3), [0, 0, 20, 20]),  # 0.75
        anchor + 1: (np.log(9), [4, 0, 20, 20]),  # 0.9, over half of it together
        1152 + 6 * (12 * 9 + 9): (0.1, [0, 0, 20, 20]),  # elsewhere
        0: (-0.01, [0, 0, 20, 20]),  # too unsure
    }
    first, second = detector(seen).find(np.zeros((192, 192, 3), np.uint8), whole(192, 192))
    assert first.score == pytest.approx(0.9)
    assert first.box[0] == pytest.approx(44 - 10 + 4 * 0.9 / 1.65)
    assert first.box[1] == pytest.approx(84 - 10)
    assert second.score == pytest.approx(1 / (1 + np.exp(-0.1)))


def test_boxes_that_overlap_little_are_two_palms() -> None:
    anchor = 2 * (24 * 10 + 5)
    # Two squares of 20 that are 11 apart: 9 / 31 of both.
    seen = {anchor: (2.0, [0, 0, 20, 20]), anchor + 1: (1.0, [11, 0, 20, 20])}
    assert len(detector(seen).find(np.zeros((192, 192, 3), np.uint8), whole(192, 192))) == 2
    assert 9 / 31 < module.SAME_PALM < 10 / 30
    seen[anchor + 1] = (1.0, [10, 0, 20, 20])
    assert len(detector(seen).find(np.zeros((192, 192, 3), np.uint8), whole(192, 192))) == 1


def test_no_palm_in_pictures_of_nothing() -> None:
    rng = np.random.default_rng(0)
    palms = PalmDetector()
    for picture in (
        np.zeros((90, 120, 3)),
        np.full((90, 120, 3), 255),
        rng.uniform(0, 255, (90, 120, 3)),
    ):
        assert palms.find(picture.astype(np.uint8), whole(120, 90)) == []
