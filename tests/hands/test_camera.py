"""The pinhole camera."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.hands.camera import Camera


def test_field_of_view_reaches_the_edges_of_the_longer_side():
    camera = Camera.from_field_of_view(640, 480, 60)
    edge = np.tan(np.radians(30))
    np.testing.assert_allclose(camera.project(np.array([edge, 0, 1.0])), [640, 240])
    np.testing.assert_allclose(camera.project(np.array([-2 * edge, 0, 2.0])), [0, 240])


def test_a_window_sees_the_same_points_at_its_own_pixels():
    camera = Camera(500, 520, 310, 250, 640, 480)
    part = camera.window(100, 50, 200, 128)
    point = np.array([0.1, -0.2, 1.5])
    np.testing.assert_allclose(part.project(point), camera.project(point) - [100, 50])
    assert (part.width, part.height) == (200, 128)
