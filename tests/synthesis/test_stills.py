"""Rendered photographs: true landmarks, the right detection, exemplars of the real detector."""

from __future__ import annotations

import numpy as np
import pytest

from chereme.datasets.exemplars import Exemplars, concat_exemplars
from chereme.hands.detector import Detection, OnnxHandDetector
from chereme.synthesis.corpus import signer
from chereme.synthesis.stills import Still, render_still, rendered_exemplars


def detection(points: np.ndarray) -> Detection:
    return Detection(points.astype(np.float32), np.zeros((21, 3), np.float32), "right", 0.9)


def test_a_still_shows_the_letter_within_its_picture() -> None:
    still = render_still(signer(0, 3), "b", np.random.default_rng(1))
    height, width = still.image.shape[:2]
    x, y = still.landmarks[:, 0], still.landmarks[:, 1]
    assert np.all((x > 0) & (x < width) & (y > 0) & (y < height))
    # The stretched hand of a B is as long as ``size`` says.
    assert np.hypot(x[12] - x[0], y[12] - y[0]) == pytest.approx(still.size, rel=0.2)
    again = render_still(signer(0, 3), "b", np.random.default_rng(1))
    np.testing.assert_array_equal(still.image, again.image)


def test_the_nearest_detection_is_the_hand() -> None:
    truth = np.random.default_rng(0).uniform(100, 200, (21, 3))
    still = Still(np.zeros((300, 300, 3), np.uint8), truth, 100.0, "right")
    near, far = (detection(truth + np.array(d)) for d in ((3, 4, 50), (40, 0, 0)))
    found = still.nearest([far, near])
    assert found is not None
    assert found[0] is near
    np.testing.assert_allclose(found[1], 0.05, rtol=1e-5)  # z does not count
    assert still.nearest([far]) is None
    assert still.nearest([]) is None


def test_joining_keeps_pictures_apart(exemplars: Exemplars) -> None:
    both = concat_exemplars([exemplars, exemplars])
    count = len(exemplars.label)
    assert len(both.label) == 2 * count
    assert not set(both.picture[:count].tolist()) & set(both.picture[count:].tolist())
    np.testing.assert_array_equal(both.landmarks[count:], exemplars.landmarks)
    assert len(both.motion_label) == 2 * len(exemplars.motion_label)


@pytest.mark.slow
def test_exemplars_of_the_real_detector() -> None:
    with OnnxHandDetector(still=True, max_hands=2) as detector:
        found = rendered_exemplars(1, detector, seed=2)
    assert len(found.label) > 38  # of 48 pictures
    assert set(found.signer.tolist()) == {"synthetic-0"}
    assert found.landmarks.shape[1:] == (21, 3)
    upright = found.landmarks[found.label == "b"]
    assert np.all(upright[:, 12, 1] < upright[:, 0, 1])
