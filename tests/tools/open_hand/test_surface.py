"""Distance fields against solids whose distances are known."""

from __future__ import annotations

import numpy as np

from tools.open_hand.surface import (
    REST,
    Ellipsoid,
    Group,
    Limb,
    Web,
    gradient,
    project,
    smooth_min,
)

CENTRE = np.array([1.0, 2.0, 3.0])
POINTS = np.random.default_rng(0).normal(0, 12, (300, 3))
TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def moved(shift: np.ndarray) -> np.ndarray:
    """Motions in which bone 3 turns by 90 degrees about z and shifts."""
    motions = REST.copy()
    motions[3, :3, :3], motions[3, :3, 3] = TURN, shift
    return motions


def test_smooth_min_is_min_far_away_and_a_quarter_width_deeper_between() -> None:
    a, b = np.array([0.0, 5.0, 1.0]), np.array([5.0, 0.0, 1.0])
    np.testing.assert_allclose(smooth_min(a, b, 4.0), [0.0, 0.0, 1.0 - 4.0 / 4])


def test_a_sphere_has_its_distance() -> None:
    ball = Ellipsoid(0, CENTRE, np.eye(3), np.full(3, 7.0))
    expected = np.linalg.norm(POINTS - CENTRE, axis=1) - 7.0
    np.testing.assert_allclose(ball.distance(POINTS, REST), expected, atol=1e-9)


def test_a_limb_of_one_section_is_a_capsule() -> None:
    stations = np.array([[0.0, 4.0, 4.0, 4.0], [10.0, 4.0, 4.0, 4.0], [20.0, 4.0, 4.0, 4.0]])
    limb = Limb(0, CENTRE, np.eye(3), stations, (4.0, 4.0))
    nearest = CENTRE + np.clip(POINTS[:, 1] - CENTRE[1], 0, 20)[:, None] * np.array([0, 1, 0])
    expected = np.linalg.norm(POINTS - nearest, axis=1) - 4.0
    np.testing.assert_allclose(limb.distance(POINTS, REST), expected, atol=1e-9)


def test_a_limb_is_deeper_on_its_palm_side() -> None:
    stations = np.array([[0.0, 5.0, 3.0, 6.0], [5.0, 5.0, 3.0, 6.0], [10.0, 5.0, 3.0, 6.0]])
    limb = Limb(0, np.zeros(3), np.eye(3), stations, (5.0, 5.0))
    skin = np.array([[0.0, 5.0, 6.0], [0.0, 5.0, -3.0], [5.0, 5.0, 1.5]])
    np.testing.assert_allclose(limb.distance(skin, REST), 0, atol=1e-9)


def test_a_triangular_web_is_a_rounded_plate() -> None:
    corners = (np.zeros(3), np.array([10.0, 0, 0]), np.array([0, 10.0, 0]))
    web = Web(corners, ({0: 1.0},) * 3, 2.0)
    points = np.array([[2.0, 2.0, 5.0], [2.0, 2.0, -3.0], [-4.0, 5.0, 0.0], [13.0, 0.0, 4.0]])
    np.testing.assert_allclose(web.distance(points, REST), [3.0, 1.0, 2.0, 3.0], atol=1e-9)


def test_pieces_follow_their_bones() -> None:
    """The field of a moved piece at moved points is the field at rest."""
    shift = np.array([5.0, -2.0, 1.0])
    stations = np.array([[0.0, 5.0, 3.0, 6.0], [5.0, 4.0, 3.0, 5.0], [10.0, 3.0, 3.0, 4.0]])
    pieces = [
        Ellipsoid(3, CENTRE, np.eye(3), np.array([3.0, 5.0, 7.0])),
        Limb(3, CENTRE, np.eye(3), stations, (3.0, 2.0)),
        Web((CENTRE, CENTRE + 5.0), ({3: 1.0}, {3: 1.0}), 2.0),
    ]
    carried = POINTS @ TURN.T + shift
    for piece in [*pieces, Group(pieces, 3.0)]:
        np.testing.assert_allclose(
            piece.distance(carried, moved(shift)), piece.distance(POINTS, REST), atol=1e-9
        )


def test_points_are_projected_onto_the_surface_along_normals() -> None:
    egg = Ellipsoid(0, CENTRE, np.eye(3), np.array([8.0, 6.0, 5.0]))
    near = project(egg, CENTRE + np.array([[9.0, 1.0, 0.0], [1.0, 6.5, 2.0]]), steps=6)
    np.testing.assert_allclose((((near - CENTRE) / [8.0, 6.0, 5.0]) ** 2).sum(1), 1, atol=1e-6)
    slope = gradient(egg, near)
    outward = (near - CENTRE) / np.array([64.0, 36.0, 25.0])
    cosine = (slope * outward).sum(1) / np.linalg.norm(slope, axis=1)
    np.testing.assert_allclose(cosine / np.linalg.norm(outward, axis=1), 1, atol=1e-3)
