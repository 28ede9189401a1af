"""Files of landmarks of a made-up data folder, found anew by a made-up detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chereme.hands.detector import Detection
from tools.photograph_landmarks import again, collections, link

BLACK = "a/black.png"


class Fake:
    """Sees a left hand in the middle of each picture that is not black."""

    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        if not image.any():
            return []
        height, width = image.shape[:2]
        points = np.tile(np.float32([width / 2, height / 4, width / 8]), (21, 1))
        return [Detection(points, np.full((21, 3), 0.5, np.float32), "left", 0.75)]

    def reset(self) -> None: ...
    def close(self) -> None: ...


def picture(path: Path, size: tuple[int, int], grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey,) * 3).save(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    points = np.zeros((2, 21, 3), np.float32)
    wild = {"path": ["letters_wild/a/1.png", f"letters_wild/{BLACK}"], "label": ["a", "a"]}
    for ending in ("", "_ar"):
        wild |= {f"{name}_landmarks{ending}": points for name in ("image", "world")}
        wild[f"detected{ending}"] = np.array([False, True])
        wild[f"handedness{ending}"] = np.array(["", "Right"])
        wild[f"handedness_score{ending}"] = np.float32([0, 0.9])
        wild[f"attempt{ending}"] = np.int8([-1, 3])
    (root / "letters_landmarks").mkdir(parents=True)
    np.savez(root / "letters_landmarks" / "letters_wild_landmarks.npz", **wild)
    picture(root / wild["path"][0], (40, 40), 200)
    picture(root / wild["path"][1], (40, 40), 0)
    crops = {"path": ["a/1.png", "a/gone.png"], "label": ["a", "a"], "landmarks": points}
    people = root / "letters_people"
    picture(people / "ann" / "a" / "1.png", (30, 60), 200)
    np.savez(people / "ann.landmarks.npz", **crops, frame_wh=np.tile([640, 480], (2, 1)))
    (root / "README.md").write_text("of the data")
    return root


def test_finds_hands_anew_in_both_proportions_of_the_wild(data: Path) -> None:
    found = again(dict(collections(data))["wild"], Fake())
    assert found["label"].tolist() == ["a", "a"]
    for ending in ("", "_ar"):
        assert found[f"detected{ending}"].tolist() == [True, False]
        assert found[f"handedness{ending}"].tolist() == ["Left", ""]
        # Fractions of the picture: of its width, its height, its width.
        np.testing.assert_allclose(found[f"image_landmarks{ending}"][0, 0], [0.5, 0.25, 0.125])
        assert (found[f"world_landmarks{ending}"][0] == 0.5).all()
        assert np.isnan(found[f"image_landmarks{ending}"][1]).all()
        assert found[f"handedness_score{ending}"].tolist() == [0.75, 0]


def test_leaves_out_photographs_that_are_not_there(data: Path) -> None:
    found = again(dict(collections(data))["people"], Fake())
    assert found["path"].tolist() == ["a/1.png"]
    assert found["frame_wh"].tolist() == [[30, 60]]
    np.testing.assert_allclose(found["landmarks"][0, 0], [0.5, 0.25, 0.125])


def test_links_what_stays(data: Path, tmp_path: Path) -> None:
    file = dict(collections(data))["people"].file
    link(data, tmp_path / "new", {file})
    link(data, tmp_path / "new", {file})  # again: what is there stays
    new = tmp_path / "new"
    assert (new / "README.md").read_text() == "of the data"
    assert (new / "letters_people" / "ann" / "a" / "1.png").is_file()
    assert (new / "letters_landmarks").is_symlink()
    assert not (new / "letters_people").is_symlink()
    assert not (new / "letters_people" / file.name).exists()
