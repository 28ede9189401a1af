import math

import numpy as np
import pytest

from chereme.hands import rectangle
from chereme.hands.rectangle import Rectangle, of_landmarks, of_palm, overlap

from .conftest import OPEN_HAND


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    """Clockwise as one sees it: x right, y down."""
    cos, sin = math.cos(angle), math.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def test_the_corners_of_a_square() -> None:
    square = Rectangle(100, 50, 20, math.pi / 2)  # a quarter clockwise: up is to the right
    corners = np.array([[0, 0, 0.5], [1, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0]], float)
    np.testing.assert_allclose(
        square.to_frame(corners),
        [[110, 40, 10], [110, 60, 0], [100, 50, 0], [110, 50, 0]],
        atol=1e-12,
    )
    np.testing.assert_allclose(square.turned(np.array([0.0, -1, 3])), [1, 0, 3], atol=1e-12)
    assert Rectangle(0, 0, 2, math.pi / 4).bounds() == pytest.approx(
        (-math.sqrt(2), -math.sqrt(2), math.sqrt(2), math.sqrt(2))
    )


def test_the_square_of_an_upright_hand_by_hand() -> None:
    """Of the steady joints x goes from -0.38 to 0.75 and y from -1.5 to 0 palm lengths."""
    hand = OPEN_HAND.copy()
    hand[5], hand[13] = [0.3, -0.9], [-0.4, -0.95]  # so that the knuckles' mean is right above
    hand[9] = [0.05, -1.0]
    square = of_landmarks(100 * hand + [200, 300])
    steady = hand[list(rectangle.STEADY)]
    assert square.angle == pytest.approx(0.0, abs=1e-12)
    assert square.side == pytest.approx(200 * np.ptp(steady, axis=0).max())
    low, high = 100 * steady.min(axis=0), 100 * steady.max(axis=0)
    assert square.x == pytest.approx(200 + (low[0] + high[0]) / 2)
    assert square.y == pytest.approx(300 + (low[1] + high[1]) / 2 - 0.1 * (high[1] - low[1]))


@pytest.mark.parametrize("angle", [0.3, -1.2, 2.9])
def test_a_hand_that_is_turned_moved_and_grown_has_its_square_with_it(angle: float) -> None:
    before = of_landmarks(50 * OPEN_HAND)
    moved = np.array([400, 300])
    after = of_landmarks(turned(100 * OPEN_HAND, angle) + moved)
    place = turned(2 * np.array([before.x, before.y]), angle) + moved
    assert (after.x, after.y) == pytest.approx(tuple(place))
    assert after.side == pytest.approx(2 * before.side)
    assert math.remainder(after.angle - before.angle - angle, 2 * math.pi) == pytest.approx(0)


def test_the_square_of_a_palm() -> None:
    points = np.zeros((7, 2))
    points[0], points[2] = [50, 80], [50, 40]  # the hand points up
    square = of_palm(np.array([30.0, 30, 70, 90]), points)
    turn = 90 % (2 * math.pi) - math.pi / 2  # as MediaPipe Tasks
    assert square.angle == pytest.approx(turn)
    assert square.side == pytest.approx(2.6 * 60)
    assert square.x == pytest.approx(50 + 30 * math.sin(turn))
    assert square.y == pytest.approx(60 - 30 * math.cos(turn))


def test_overlap() -> None:
    one = Rectangle(10, 10, 10, 0.7)
    assert overlap(one, one) == pytest.approx(1)
    assert overlap(one, Rectangle(15, 10, 10, 0)) == pytest.approx(50 / 150)
    assert overlap(one, Rectangle(10, 10, 5, 0)) == pytest.approx(25 / 100)
    assert overlap(one, Rectangle(20, 10, 10, 0)) == 0
    assert overlap(one, Rectangle(100, 100, 10, 0)) == 0
