import numpy as np
import pytest

from chereme.hands.cuts import CutFinder


def room(seed: int, height: int = 90, width: int = 160) -> np.ndarray:
    """Furniture: rectangles of any colour."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    for _ in range(12):
        top, left = rng.integers(0, height), rng.integers(0, width)
        picture[top : top + height // 3, left : left + width // 4] = rng.integers(0, 256, 3)
    return picture


def cuts(pictures: list[np.ndarray]) -> list[int]:
    finder = CutFinder()
    return [number for number, picture in enumerate(pictures) if finder.is_cut(picture)]


def noisy(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)


def test_another_room_and_a_black_picture_are_cuts() -> None:
    rng = np.random.default_rng(0)
    shots = [room(1)] * 20 + [room(2)] * 15 + [0 * room(0)] * 12 + [room(3)] * 20
    assert cuts([noisy(shot, rng) for shot in shots]) == [20, 35, 47]


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_what_moves_in_a_picture_is_none(share: float) -> None:
    """A person that moves, or appears: no more than ``share`` of the picture."""
    pictures = []
    for number in range(40):
        picture = room(4)
        left = min(3 * number, 90)
        if number >= 15:
            picture[:, left : left + int(share * 160)] = (220, 180, 150)
        pictures.append(picture)
    assert cuts(pictures) == []


def test_slow_changes_noise_and_flicker_are_none() -> None:
    fading = [(room(5) * (1 - number / 60)).astype(np.uint8) for number in range(60)]
    assert cuts(fading) == []
    assert cuts([room(6 + number % 2) for number in range(30)]) == []
    rng = np.random.default_rng(0)
    assert cuts([rng.integers(0, 256, (90, 160, 3), np.uint8) for _ in range(30)]) == []


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (17, 31)])
def test_pictures_of_any_size(size: tuple[int, int]) -> None:
    black, white = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    assert cuts([black, black, white, white]) == [2]
