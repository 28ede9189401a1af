import numpy as np
import pytest

from chereme.hands import search_regions
from chereme.hands.search_regions import View


def coordinates(width: int, height: int) -> np.ndarray:
    """A picture whose red is x and green is y."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, 7)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    "view",
    [
        View(0, 0, 200, 120),
        View(30, 20, 120, 110),
        View(-50, -50, 250, 170),
        View(-50, -50, 250, 170, replicate=True),
        View(150, 60, 260, 170),
    ],
)
def test_every_pixel_of_a_view_maps_back_to_its_own_pixel(view: View) -> None:
    image = coordinates(200, 120)
    side = max(view.right - view.left, view.bottom - view.top)
    seen = view.sample(image, side)
    assert seen.image.shape == (side, side, 3)
    rows, columns = np.mgrid[:side, :side]
    frame = seen.to_frame(np.stack([(columns + 0.5) / side, (rows + 0.5) / side], axis=-1))
    x, y = np.floor(frame[..., 0]).astype(int), np.floor(frame[..., 1]).astype(int)
    in_view = (x >= view.left) & (x < view.right) & (y >= view.top) & (y < view.bottom)
    inside = in_view & (x >= 0) & (x < 200) & (y >= 0) & (y < 120)
    np.testing.assert_array_equal(
        seen.image[inside][:, :2], np.stack([x[inside], y[inside]], axis=-1)
    )
    if view.replicate:
        expected = np.stack([x.clip(0, 199), y.clip(0, 119)], axis=-1)
        np.testing.assert_array_equal(seen.image[in_view][:, :2], expected[in_view])
    else:
        assert not seen.image[~inside].any()


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (719, 1281), (2003, 2003)])
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_shrunken_view_maps_back_to_within_a_pixel_of_it(
    width: int, height: int, share: float
) -> None:
    """The picture's corners, found again in what is seen, are the corners of the frame."""
    view = search_regions.bordered(width, height, share)
    seen = view.sample(np.full((height, width, 3), 255, np.uint8), 192)
    white = np.argwhere(seen.image[..., 0] > 0)
    (top, left), (bottom, right) = white.min(axis=0), white.max(axis=0) + 1
    corners = np.array([[left, top], [right, bottom]]) / 192
    np.testing.assert_allclose(
        seen.to_frame(corners), [[0, 0], [width, height]], atol=1.01 * seen.pixel
    )


@pytest.mark.parametrize("view", [View(0, 0, 90, 40), View(-20, -30, 61, 17), View(33, 5, 70, 30)])
def test_a_view_is_mixed_of_the_four_pixels_next_to_each_place(view: View) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    seen = view.sample(image, 31)
    frame = np.pad(image.astype(float), ((99, 99), (99, 99), (0, 0)))
    x, y = (np.rint(32 * (start + np.arange(31) * seen.pixel)) / 32 + 99 for start in seen.origin)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right_share, low_share = (x - left)[:, None], (y - top)[:, None, None]
    upper, lower = (
        (1 - right_share) * frame[rows][:, left] + right_share * frame[rows][:, left + 1]
        for rows in (top, top + 1)
    )
    mixed = (1 - low_share) * upper + low_share * lower
    np.testing.assert_array_equal(seen.image, np.floor(mixed + 0.5))


@pytest.mark.parametrize(("width", "height"), [(700, 2), (2, 700), (1, 1)])
def test_a_narrow_frame_may_lie_between_the_pixels_of_a_view(width: int, height: int) -> None:
    seen = search_regions.whole(width, height).sample(np.full((height, width, 3), 9, np.uint8), 192)
    assert seen.image.shape == (192, 192, 3)
    assert seen.image.max() <= 9


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (512, 512), (1920, 800)])
def test_every_hand_is_whole_in_some_tile(width: int, height: int) -> None:
    squares = search_regions.tiles(width, height)
    side = max(width, height) // 2
    assert all(square.right - square.left <= side for square in squares)
    assert all(
        square.left >= 0 and square.top >= 0 and square.right <= width and square.bottom <= height
        for square in squares
    )
    hand = side // 4
    for x in range(0, width - hand + 1, 16):
        for y in range(0, height - hand + 1, 16):
            assert any(
                square.left <= x
                and square.top <= y
                and x + hand <= square.right
                and y + hand <= square.bottom
                for square in squares
            )


def test_holds_knows_which_edges_hide_something() -> None:
    image = np.zeros((720, 1280, 3), np.uint8)
    view = View(0, 100, 640, 720)
    near_left = np.array([[2.0, 300.0], [60.0, 400.0]])
    assert view.holds(near_left, image, 20)  # the frame ends there as well
    assert not view.holds(near_left + np.array([570, 0]), image, 20)
    assert not view.holds(near_left - np.array([0, 190]), image, 20)
    assert view.holds(near_left + np.array([100, 300]), image, 20)


def test_around_is_a_square_about_the_points() -> None:
    view = search_regions.around(np.array([[100.0, 50.0], [140.0, 150.0]]), factor=4.0)
    assert (view.left, view.top, view.right, view.bottom) == (-80, -100, 321, 301)


def picture_with_a_patch(left: int, top: int, size: int = 60) -> np.ndarray:
    """A grey picture with noise, and a bright patch in it."""
    rng = np.random.default_rng(left + 7 * top)
    image = np.full((1080, 1920, 3), 90.0) + rng.normal(0, 3, (1080, 1920, 1))
    image[top : top + size, left : left + size] += 80
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("left", "top"), [(30, 20), (1700, 900), (900, 500)])
def test_the_view_of_what_moves_is_about_it_and_inside_the_frame(left: int, top: int) -> None:
    moving = search_regions.MovingPart()
    assert moving.view(picture_with_a_patch(left, top)) is None  # nothing to compare with
    view = moving.view(picture_with_a_patch(left + 40, top + 20))
    assert view is not None
    edges = [view.left, view.top, -view.right, -view.bottom]
    shown = [left, top, -(left + 100), -(top + 80)]
    assert all(np.less_equal(edges, shown))
    assert all(np.less_equal([0, 0, -1920, -1080], edges))
    assert view.right - view.left == view.bottom - view.top <= 1920 / 4
    # A hand that stops is looked at a little longer.
    assert moving.view(picture_with_a_patch(left + 40, top + 20)) is not None
    moving.forget()
    assert moving.view(picture_with_a_patch(left, top)) is None


def test_where_nothing_or_everything_moves_there_is_no_part_that_does() -> None:
    still, whole = search_regions.MovingPart(), search_regions.MovingPart()
    for number in range(4):
        assert still.view(picture_with_a_patch(800, 400)) is None
        assert whole.view(np.roll(coordinates(1920, 1080), 50 * number, axis=1)) is None
        smaller = coordinates(320, 200)  # a change of the frame's size is no motion
    assert still.view(smaller) is None
