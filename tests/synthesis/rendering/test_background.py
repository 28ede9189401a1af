"""Rooms drawn by chance, and folders of pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.errors import InputError
from chereme.synthesis.rendering import PictureFolder, clutter
from chereme.synthesis.rendering.noise import LATTICE, noise_at, noise_picture, value_noise


def test_rooms_differ_by_seed_and_only_by_seed():
    rooms = [clutter(np.random.default_rng(seed), 96, 64) for seed in range(30)]
    again = clutter(np.random.default_rng(7), 96, 64)
    np.testing.assert_array_equal(again, rooms[7])
    for room in rooms:
        assert room.shape == (64, 96, 3)
        assert room.dtype == np.float32
        assert np.isfinite(room).all()
        assert room.min() >= 0
        assert room.max() < 6
    means = np.array([room.mean(axis=(0, 1)) for room in rooms])
    assert means.std(axis=0).min() > 0.05
    textures = np.array([np.abs(np.diff(room, axis=1)).mean() for room in rooms])
    assert textures.max() > 8 * textures.min()  # from sharp clutter to a plain wall out of focus


def test_a_room_is_the_same_room_at_another_size():
    small, large = (clutter(np.random.default_rng(3), size, size, blur=0) for size in (64, 256))
    shrunk = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.95


def test_blur_can_be_given():
    sharp, soft = (clutter(np.random.default_rng(4), 96, 96, blur=b) for b in (0.0, 6.0))
    assert np.abs(np.diff(soft, axis=1)).mean() < 0.5 * np.abs(np.diff(sharp, axis=1)).mean()


def test_folder_gives_parts_of_its_pictures(tmp_path, rng):
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "red.png"), np.full((50, 80, 3), (0, 0, 255), np.uint8))
    cv2.imwrite(str(tmp_path / "deep" / "grey.JPG"), np.full((300, 200, 3), 188, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    folder = PictureFolder(tmp_path)
    assert len(folder) == 2
    seen = {
        tuple(folder.sample(rng, 32, 24).mean(axis=(0, 1)).round(1).tolist()) for _ in range(20)
    }
    assert seen == {(1.0, 0.0, 0.0), (0.5, 0.5, 0.5)}  # linear light
    assert folder.sample(rng, 32, 24).shape == (24, 32, 3)


def test_folder_picks_different_parts(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    folder = PictureFolder(tmp_path)
    one, same, other = (folder.sample(np.random.default_rng(s), 40, 40) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).mean() > 0.05


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(InputError, match="no picture in this folder"):
        PictureFolder(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        PictureFolder(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"no picture at all"])
def test_broken_pictures_are_named(tmp_path, rng, content):
    (tmp_path / "broken.jpg").write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.jpg: not a picture"):
        PictureFolder(tmp_path).sample(rng, 8, 8)


def test_noise_in_space_has_the_gradient_that_it_says(rng):
    for point in rng.uniform(-40, 40, (50, 3)):
        value, *gradient = value_noise(LATTICE, *point)
        assert -1 <= value <= 1
        for axis in range(3):
            step = np.eye(3)[axis] * 1e-5
            ends = noise_at(LATTICE, np.stack([point - step, point + step]))
            assert (ends[1] - ends[0]) / 2e-5 == pytest.approx(gradient[axis], abs=1e-3)


def test_noise_pictures_are_smooth_at_their_size(rng):
    coarse = noise_picture(rng, 200, 100, 40.0)
    assert coarse.shape == (100, 200)
    assert abs(coarse.mean()) < 0.8
    assert 0.4 < coarse.std() < 1.6
    assert np.abs(np.diff(coarse, axis=1)).mean() < 0.1
