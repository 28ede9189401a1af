from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.filters import gaussian

from chereme.errors import InputError
from chereme.teachers.hamer_crop import hamer_box, hamer_crop, hamer_crop_of
from chereme.types import HandTrack


def as_hamer(image: np.ndarray, cx: float, cy: float, side: float, left: bool) -> np.ndarray:
    """HaMeR's cut as described: blur all, mirror all, three points, warp. Whole-number centres."""
    factor = side / 256 / 2
    picture: np.ndarray = image
    if factor > 1.1:
        picture = gaussian(
            image.astype(float), (factor - 1) / 2, channel_axis=2, preserve_range=True
        )
    if left:
        picture, cx = picture[:, ::-1], image.shape[1] - cx - 1
    source = [[cx, cy], [cx, cy + side / 2], [cx + side / 2, cy]]
    target = [[128, 128], [128, 256], [256, 128]]
    matrix = cv2.getAffineTransform(np.array(source, np.float32), np.array(target, np.float32))
    return cv2.warpAffine(np.ascontiguousarray(picture), matrix, (256, 256), flags=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Smooth noise with edges, 1100 x 900."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (60, 75, 3), dtype=np.uint8)
    picture = cv2.resize(small, (1100, 900), interpolation=cv2.INTER_CUBIC)
    picture[300:500, 200:700] = 255 - picture[300:500, 200:700]
    return picture


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("side", [100.0, 256.0, 540.5, 600.0, 1000.0, 1700.0])
@pytest.mark.parametrize("centre", [(480.25, 430.5), (30.0, 850.75)])
def test_the_cut_is_hamers(
    image: np.ndarray, centre: tuple[float, float], side: float, left: bool
) -> None:
    ours = hamer_crop(image, centre[0] + 0.5, centre[1] + 0.5, side, mirrored=left)
    theirs = as_hamer(image, *centre, side, left)
    difference = np.abs(ours - theirs.astype(float))
    assert difference.mean() < 0.5
    # cv2 takes positions to 1/32 pixel, and at an edge rounding may fall to either side.
    assert difference.max() < 255 / 8
    assert ours.dtype == np.uint8


def test_beyond_the_frame_it_is_black(image: np.ndarray) -> None:
    assert not hamer_crop(image, -500, -500, 300, mirrored=False).any()


def test_the_square_is_hamers() -> None:
    tall = np.array([[10.0, 20.0], [40.0, 120.0], [20.0, 60.0], [30.0, 50.0]])
    assert hamer_box(tall) == pytest.approx((25, 70, 200))  # height 100 > 4/3 * 30
    wide = tall[:, ::-1]
    assert hamer_box(wide) == pytest.approx((70, 25, 2 * 100 * 4 / 3))
    assert hamer_box(wide, rescale=2.5)[2] == pytest.approx(2.5 * 100 * 4 / 3)


@pytest.mark.parametrize("left", [False, True])
def test_the_hand_of_a_track_is_where_hamer_expects_it(left: bool) -> None:
    """A wide left hand, mirrored: within the middle 192 columns, and about the middle."""
    points = np.zeros((1, 21, 3))
    points[0, :, 0] = np.linspace(60, 160, 21)  # of the mirrored frame, 400 wide
    points[0, :, 1] = np.linspace(90, 110, 21)
    image = np.zeros((300, 400, 3), np.uint8)
    image[90:110, 240:340] = 255  # where it is in the frame
    if not left:
        image = np.ascontiguousarray(image[:, ::-1])
    track = HandTrack(
        landmarks=points.astype(np.float32),
        confidence=np.ones((1, 21), np.float32),
        timestamps=np.zeros(1),
        width=400,
        height=300,
        handedness="left" if left else "right",
        mirrored=left,
    )
    shown = np.flatnonzero(hamer_crop_of(image, track, 0)[128, :, 0] > 127)
    # 100 of the square's 2 x 100 x 4 / 3 pixels.
    assert len(shown) == pytest.approx(256 * 100 / (2 * 100 * 4 / 3), abs=1)
    assert (shown[0] + shown[-1]) / 2 == pytest.approx(128, abs=1)
    assert 32 <= shown[0] <= shown[-1] < 224


@pytest.mark.parametrize("points", [np.zeros((3, 2)), np.zeros((5, 3)), np.full((5, 2), np.nan)])
def test_no_square_without_a_hand(points: np.ndarray) -> None:
    with pytest.raises(InputError, match="at least 4 finite points"):
        hamer_box(points)


@pytest.mark.parametrize("box", [(0, 0, 0), (0, np.nan, 5), (0, 0, -3)])
def test_impossible_squares_are_refused(box: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="side > 0"):
        hamer_crop(np.zeros((9, 9, 3), np.uint8), *box, mirrored=False)
