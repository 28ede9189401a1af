"""Views of the hand in a picture, with eyes that know the answer and with the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_letters import BlindEyes, CornerEyes, hand_in, picture

import fakes
from chereme.datasets.hand_views import View, _agreeing, own_eyes, views
from chereme.datasets.letter_collections import Picture
from chereme.hands.skeleton import mirror, palm_size


def view(landmarks: np.ndarray) -> View:
    return View(landmarks, np.zeros(1152, np.float16), 1.0)


def test_agreeing_views() -> None:
    hand, size = fakes.draw_hand("v"), palm_size(fakes.draw_hand("v"))
    near, far = hand + np.array([0.2 * size, 0, 0]), hand + np.array([0.8 * size, 0, 0])
    deep = hand + np.array([0, 0, 3 * size])  # depth is too uncertain to judge by
    for given, kept in (
        ([], []),
        ([hand], []),
        ([hand, near], [0, 1]),
        ([hand, far], []),
        ([hand, near, far, hand], [0, 1, 3]),
        ([hand, deep], [0, 1]),
    ):
        several = [view(one) for one in given]
        assert [id(v) for v in _agreeing(several)] == [id(several[k]) for k in kept]


@pytest.fixture
def photo(tmp_path: Path) -> Picture:
    picture(tmp_path / "a.png", ground=0)
    return Picture(tmp_path / "a.png", "a", "one", "right", cut_out=True)


def test_landmarks_come_back_to_the_picture(photo: Picture) -> None:
    (found,) = views([photo], CornerEyes(), variants=12, workers=1)
    assert len(found) > 12
    errors = [np.abs(v.landmarks - hand_in(90, 120)).max() for v in found]
    assert np.median(errors) < 2.0  # pixels of 90 x 120
    # Half of the views are of the mirror image, where the network sees a left hand.
    flipped = [float(v.vector[0]) < 0 for v in found]
    assert 0.3 < np.mean(flipped) < 0.7
    assert all(v.right == 1.0 for v in found)


def test_given_landmarks_save_the_search(photo: Picture) -> None:
    eyes = CornerEyes()
    views([photo], eyes, workers=1)
    assert eyes.calls == [1, 6]
    eyes = CornerEyes()
    rough = Picture(photo.path, "a", "one", "right", landmarks=hand_in(90, 120), burst=True)
    (found,) = views([rough], eyes, workers=1)
    assert eyes.calls == [0, 2 + 3]
    assert len(found) in (2, 3)


def test_nothing_is_found_where_there_is_no_hand(photo: Picture) -> None:
    assert views([photo, photo], BlindEyes(), workers=1) == [[], []]


def test_sides(photo: Picture) -> None:
    """Where nothing says which hand it is most pictures of a person do."""
    asked = Picture(photo.path, "a", "one", None)
    (right,) = views([asked], CornerEyes("right"), workers=1)
    (left,) = views([asked], CornerEyes("left"), workers=1)
    told = Picture(photo.path, "a", "one", "right")
    (known,) = views([told], CornerEyes("left"), workers=1)
    for one, other, same in zip(right, left, known, strict=True):
        np.testing.assert_allclose(mirror(one.landmarks, None), other.landmarks, atol=1e-3)
        np.testing.assert_allclose(same.landmarks, one.landmarks, atol=1e-3)


def test_the_seed_decides(photo: Picture) -> None:
    def landmarks(seed: int) -> np.ndarray:
        return np.stack(
            [v.landmarks for v in views([photo], CornerEyes(), workers=1, seed=seed)[0]]
        )

    np.testing.assert_array_equal(landmarks(1), landmarks(1))
    one, other = landmarks(1), landmarks(2)
    assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.slow
def test_the_real_networks_in_several_processes(shared_data: Path) -> None:
    index = shared_data / "letters_people" / "hawkcodesz"
    several = [
        Picture(path, path.parent.name, "one", burst=True)
        for path in sorted(index.glob("*/*_0.jpg"))
    ][:4]
    assert several
    steps: list[tuple[int, int | None]] = []
    found = views(several, own_eyes, workers=2, progress=lambda *step: steps.append(step))
    assert steps == [(k + 1, len(several)) for k in range(len(several))]
    assert sum(map(bool, found)) >= len(several) - 1
    alone = views(several, own_eyes, workers=1)
    for one, other in zip(found, alone, strict=True):
        for ours, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(ours.landmarks, theirs.landmarks)
            np.testing.assert_array_equal(ours.vector, theirs.vector)
