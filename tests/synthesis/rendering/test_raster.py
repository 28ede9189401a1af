"""Filling triangles: each sample once, at the right depth, wherever the near plane is."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.hands.camera import Camera
from chereme.synthesis.rendering import raster


def buffers(n: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    key = np.zeros((height * n, width * n), np.float32)
    owner = np.full(key.shape, raster.NOTHING, np.int32)
    return raster.sample_offsets(n, n * max(width, height)), key, owner


def draw(vertices, faces, camera, n=1, both=False):
    offsets, key, owner = buffers(n, camera.width, camera.height)
    raster.draw_perspective(
        np.asarray(vertices, np.float32),
        np.asarray(faces, np.int32),
        np.full(len(faces), both),
        camera.fx,
        camera.fy,
        camera.cx,
        camera.cy,
        n,
        offsets,
        key,
        owner,
    )
    return key, owner


CAMERA = Camera(50.0, 50.0, 16.0, 16.0, 32, 32)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_fan_covers_each_sample_of_its_polygon_exactly_once(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        # Corners on quarter pixels, so that many samples lie exactly on edges.
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
        corners = np.round((14 * np.stack([np.cos(angles), np.sin(angles)], 1)) * 4) / 4
        points = np.concatenate([[np.round(rng.uniform(-3, 3, 2) * 4) / 4], corners]) + 16
        z = 2.0
        vertices = np.column_stack([(points - 16) / 50 * z, np.full(len(points), z)])
        total = np.zeros((32 * n, 32 * n), int)
        for k in range(7):
            _, owner = draw(vertices, [[0, 1 + k, 1 + (k + 1) % 7]], CAMERA, n, both=True)
            total += owner != raster.NOTHING
        _, whole = draw(vertices, [[0, 1 + k, 1 + (k + 1) % 7] for k in range(7)], CAMERA, n, True)
        centre_inside = all(
            np.cross(corners[(k + 1) % 7] - corners[k], points[0] - 16 - corners[k]) > 0
            for k in range(7)
        )
        np.testing.assert_array_equal(total > 0, whole != raster.NOTHING)
        if centre_inside:
            assert total.max() == 1


def test_top_left_rule_on_a_pixel_aligned_square():
    # Corners on pixel centres: the top and left samples belong to the square, the others do not.
    z, (low, high) = 1.0, (4.5, 9.5)
    corners = np.array([[low, low], [high, low], [high, high], [low, high]])
    vertices = np.column_stack([(corners - 16) / 50 * z, np.full(4, z)])
    _, owner = draw(vertices, [[0, 1, 2], [0, 2, 3]], CAMERA, both=True)
    expected = np.zeros((32, 32), bool)
    expected[4:9, 4:9] = True
    np.testing.assert_array_equal(owner != raster.NOTHING, expected)


def test_depth_of_a_slanted_plane_is_that_of_the_ray():
    # The plane z = 1 + 0.5 x + 0.3 y, as two large triangles.
    x = np.array([[-2, -2], [2, -2], [2, 2], [-2, 2.0]])
    vertices = np.column_stack([x, 3 + 0.5 * x[:, 0] + 0.3 * x[:, 1]])
    key, owner = draw(vertices, [[0, 2, 1], [0, 3, 2]], CAMERA)
    assert (owner != raster.NOTHING).all()
    row, column = np.mgrid[0:32, 0:32] + 0.5
    rx, ry = (column - 16) / 50, (row - 16) / 50
    np.testing.assert_allclose(1 / key, 3 / (1 - 0.5 * rx - 0.3 * ry), rtol=2e-3)


def test_only_the_outside_is_drawn_unless_both_sides_are_asked_for():
    vertices = [[-0.2, -0.2, 1], [0.2, -0.2, 1], [0, 0.2, 1]]
    towards = draw(vertices, [[0, 2, 1]], CAMERA)[1]
    away = draw(vertices, [[0, 1, 2]], CAMERA)[1]
    both = draw(vertices, [[0, 1, 2]], CAMERA, both=True)[1]
    assert (towards >= 0).sum() > 50
    assert (away >= 0).sum() == 0
    np.testing.assert_array_equal(towards, both)


def test_the_near_plane_cuts_a_floor_that_runs_under_the_camera():
    # y = 0.5 from behind the camera to 11 m: every row below the horizon of its far end shows it.
    floor = [[-50, 0.5, -5], [50, 0.5, -5], [50, 0.5, 11], [-50, 0.5, 11]]
    key, owner = draw(floor, [[0, 2, 1], [0, 3, 2]], CAMERA, both=True)
    row = np.arange(32) + 0.5
    z = 0.5 * 50 / np.maximum(row - 16, 1e-9)
    seen = (row > 16) & (z < 11)
    np.testing.assert_array_equal((owner >= 0).all(axis=1), seen)
    assert not (owner[~seen] >= 0).any()
    np.testing.assert_allclose(1 / key[seen, 10], z[seen], rtol=2e-3)


def test_degenerate_faces_and_positions_that_are_no_numbers_draw_nothing():
    vertices = [[0, 0, 1], [0, 0, 1], [0.1, 0.1, 1], [np.nan, 0, 1], [np.inf, 0, 1], [0, 0, -1]]
    faces = [[0, 1, 2], [0, 0, 0], [0, 2, 3], [0, 2, 4], [5, 5, 5]]
    assert (draw(vertices, faces, CAMERA, both=True)[1] == raster.NOTHING).all()


def test_samples_of_a_pixel_lie_in_different_rows_and_columns():
    for n in (2, 3, 4):
        offsets = raster.sample_offsets(n, n) / 256
        x = {round((i + 0.5 + offsets[j]) / n, 4) for i in range(n) for j in range(n)}
        assert len(x) == n * n
        assert min(x) >= 0
        assert max(x) <= 1
