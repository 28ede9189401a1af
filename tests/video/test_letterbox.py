import numpy as np
import pytest

from chereme.errors import InputError
from chereme.video.letterbox import letterbox


def test_a_square_of_the_size_is_left_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    np.testing.assert_array_equal(letterbox(image, 8), image)


def test_shrinking_averages_over_areas():
    board = (np.indices((64, 128)).sum(axis=0) % 2 * 200).astype(np.uint8)
    picture = letterbox(np.repeat(board[..., None], 3, axis=2), 31)
    inside = picture.any(axis=(1, 2))
    assert np.flatnonzero(inside).tolist() == list(range(7, 23))
    np.testing.assert_allclose(picture[inside], 100, atol=12)


def test_an_upright_frame_has_bars_left_and_right():
    picture = letterbox(np.full((30, 10, 3), 200, np.uint8), 16)
    # 16 x 5.33 pixels: 5 columns, between 5 and 6 black ones.
    np.testing.assert_array_equal(picture[..., 0].any(0), [False] * 5 + [True] * 5 + [False] * 6)
    assert (picture[:, 5:10] == 200).all()


def test_a_small_frame_is_enlarged_and_a_line_keeps_a_pixel():
    assert (letterbox(np.full((2, 2, 3), 7, np.uint8), 9) == 7).all()
    assert letterbox(np.full((1, 500, 3), 7, np.uint8), 10).any((1, 2)).sum() == 1


@pytest.mark.parametrize(
    ("image", "size"),
    [
        (np.zeros((4, 4), np.uint8), 4),
        (np.zeros((4, 4, 3), np.float32), 4),
        (np.zeros((0, 4, 3), np.uint8), 4),
        (np.zeros((4, 4, 3), np.uint8), 0),
    ],
)
def test_broken_input_is_refused(image, size):
    with pytest.raises(InputError, match="square picture: expected"):
        letterbox(image, size)
