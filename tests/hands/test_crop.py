from collections.abc import Callable

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.hands.crop import crop, hand_box
from chereme.hands.signing import to_right_hand
from chereme.types import HandTrack

MakeHand = Callable[..., np.ndarray]


def make_track(landmarks: np.ndarray, seen: np.ndarray, side: str = "right") -> HandTrack:
    return HandTrack(
        landmarks=np.where(seen[:, None, None], landmarks, np.nan),
        confidence=np.repeat(seen[:, None], 21, axis=1).astype(np.float32),
        timestamps=np.arange(len(seen)) / 30,
        width=1280,
        height=720,
        handedness=side,  # type: ignore[arg-type]
    )


def ramp(width: int, height: int) -> np.ndarray:
    """Red rises by one per pixel of x, green per pixel of y, measured at pixel centres."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, 100)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [40, 80, 20, 160])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_of_a_ramp_is_the_ramp_under_the_affine_map(size: int, mirrored: bool) -> None:
    left, top, side = 60.5, 50.25, 80.0
    picture = crop(ramp(250, 200), np.array([left, top, left + side, top + side]), size, mirrored)
    centres = (np.arange(size) + 0.5) * side / size - 0.5  # pixel centres in the source
    columns = left + (centres[::-1] if mirrored else centres)
    # 8-bit rounding and cv2's 1/32-pixel interpolation leave less than one grey level.
    np.testing.assert_allclose(picture[..., 0], np.tile(columns, (size, 1)), atol=0.8)
    np.testing.assert_allclose(picture[..., 1], np.tile(top + centres, (size, 1)).T, atol=0.8)


def test_the_whole_image_at_its_own_size_is_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = np.array([0.0, 0.0, 64.0, 64.0])
    np.testing.assert_array_equal(crop(image, whole, 64), image)
    np.testing.assert_array_equal(crop(image, whole, 64, mirrored=True), image[:, ::-1])


def test_shrinking_does_not_alias() -> None:
    """A one-pixel checkerboard is grey from afar; without a filter it would be black or white."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture = crop(np.repeat(board[..., None], 3, axis=-1), np.array([4, 4, 252, 252.0]), 31)
    assert abs(picture.astype(float) - 127.5).max() < 12


def test_beyond_the_frame_it_is_black() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    picture = crop(image, np.array([-50.0, -50.0, 50.0, 50.0]), 100)
    assert not picture[:49].any()
    assert not picture[:, :49].any()
    assert (picture[51:, 51:] == 200).all()
    assert not crop(image, np.array([400.0, 400.0, 500.0, 500.0]), 10).any()


@pytest.mark.parametrize("box", [[0, 0, 0, 5], [np.nan, 0, 5, 5], [5, 5, 0, 0]])
def test_impossible_boxes_are_refused(box: list[float]) -> None:
    with pytest.raises(InputError, match="left < right"):
        crop(np.zeros((9, 9, 3), np.uint8), np.array(box, float), 8)


def test_a_box_is_the_padded_square_about_the_landmarks(hand: MakeHand) -> None:
    landmarks = np.stack([hand(300, 400)] * 5)
    boxes = hand_box(make_track(landmarks, np.ones(5, bool)), padding=0.25)
    low, high = landmarks[0, :, :2].min(axis=0), landmarks[0, :, :2].max(axis=0)
    centre, side = (low + high) / 2, (high - low).max() * 1.5
    expected = np.concatenate([centre - side / 2, centre + side / 2])
    np.testing.assert_allclose(boxes, np.tile(expected, (5, 1)), rtol=1e-6)


def test_boxes_go_straight_through_gaps_and_smoothing_keeps_steady_motion(hand: MakeHand) -> None:
    landmarks = np.stack([hand(300 + 4 * number, 400) for number in range(40)])
    seen = np.ones(40, bool)
    seen[[5, 6, 7, 20]] = False
    boxes = hand_box(make_track(landmarks, seen))
    np.testing.assert_allclose(np.diff(boxes, axis=0), np.tile([4, 0, 4, 0], (39, 1)), atol=1e-3)


def test_smoothing_calms_a_trembling_box(hand: MakeHand) -> None:
    rng = np.random.default_rng(5)
    landmarks = np.stack([hand(300 + rng.normal(0, 5), 400) for _ in range(60)])
    track = make_track(landmarks, np.ones(60, bool))
    raw, smooth = (np.diff(hand_box(track, smoothing=s)[:, 0]).std() for s in (0.0, 0.1))
    assert smooth < 0.25 * raw


def test_no_joint_of_a_quick_hand_leaves_its_box(hand: MakeHand) -> None:
    across = 500 + 350 * np.sin(np.arange(60) / 2)
    landmarks = np.stack([hand(x, 400) for x in across])
    boxes = hand_box(make_track(landmarks, np.ones(60, bool)))
    assert (landmarks[..., :2] > boxes[:, None, :2]).all()
    assert (landmarks[..., :2] < boxes[:, None, 2:]).all()
    np.testing.assert_allclose(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def test_boxes_of_a_mirrored_hand_are_where_it_was_seen(hand: MakeHand) -> None:
    track = make_track(np.stack([hand(300, 400)] * 3), np.ones(3, bool), "left")
    np.testing.assert_allclose(hand_box(to_right_hand(track)), hand_box(track))


def test_a_hand_never_seen_has_no_box(hand: MakeHand) -> None:
    track = make_track(np.stack([hand(300, 400)] * 3), np.zeros(3, bool))
    assert np.isnan(hand_box(track)).all()
