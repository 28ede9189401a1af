"""Keypoints of OpenPose and MMPose: every number where its detector says that it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chereme.errors import InputError
from chereme.formats.keypoints import LAYOUTS, SEEN, read_keypoints
from chereme.nn.keypoint_layouts import LAYOUTS as NAMES
from chereme.nn.keypoint_layouts import keypoint_layout

PARTS = {
    "pose_keypoints_2d": 25,
    "face_keypoints_2d": 70,
    "hand_left_keypoints_2d": 21,
    "hand_right_keypoints_2d": 21,
}


def person(sure: float, first: float = 0.0) -> dict[str, list[float]]:
    """Point n, counted through all parts, lies at (first + n, 200 - n)."""
    made: dict[str, list[float]] = {}
    number = 0
    for part, count in PARTS.items():
        made[part] = []
        for n in range(number, number + count):
            made[part] += [first + n, 200.0 - n, sure]
        number += count
    return made


def write_frame(folder: Path, number: int, *people: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    text = json.dumps({"version": 1.3, "people": list(people)})
    (folder / f"clip_{number:012d}_keypoints.json").write_text(text)


def test_openpose_frames_are_read_by_their_numbers(tmp_path: Path) -> None:
    write_frame(tmp_path / "clip", 3, person(0.5))
    write_frame(tmp_path / "clip", 5, person(0.2, first=500), person(0.8, first=300))
    found = read_keypoints(tmp_path / "clip")
    assert found.layout == "openpose_137"
    assert found.points.shape == (3, 137, 3)
    np.testing.assert_allclose(found.points[0, 40], [40, 160, 0.5])
    assert not found.points[1].any()  # the frame that lacks
    np.testing.assert_allclose(found.points[2, :2], [[300, 200, 0.8], [301, 199, 0.8]])
    several = [{"people": [person(0.5)]}, {"people": []}]
    (tmp_path / "all.json").write_text(json.dumps(several))
    np.testing.assert_array_equal(read_keypoints(tmp_path / "all.json").points[0], found.points[0])


def test_openpose_without_a_face_has_none(tmp_path: Path) -> None:
    write_frame(tmp_path / "clip", 0, {**person(0.5), "face_keypoints_2d": []})
    points = read_keypoints(tmp_path / "clip").points[0]
    assert not points[25:95].any()
    np.testing.assert_allclose(points[95], [95, 105, 0.5])


@pytest.mark.parametrize(("size", "name"), LAYOUTS.items())
def test_hands_are_where_the_layout_says(tmp_path: Path, size: int, name: str) -> None:
    layout = keypoint_layout(name)
    assert layout.size == size
    assert set(LAYOUTS.values()) == set(NAMES)
    points = np.random.default_rng(0).uniform(2, 90, (4, size, 3))
    points[..., 2] = 0.5
    points[1, -21:, 2] = SEEN / 2  # a right hand that nobody sees
    points[2, size - 42 + 8, 2] = 0.0
    np.save(tmp_path / "a.npy", points)
    found = read_keypoints(tmp_path / "a.npy")
    hands = found.hands(np.arange(4) / 25, 100, 100)
    tip = [layout.source[layout.names.index(f"{s}_hand_index_tip")] for s in ("left", "right")]
    for side, place in enumerate(tip):
        np.testing.assert_allclose(hands.landmarks[0, side, 8, :2], points[0, place, :2], rtol=1e-6)
    assert hands.handedness == ("left", "right")
    assert (hands.confidence[1] > 0).any(1).tolist() == [True, False]
    assert hands.confidence[2, 0, 8] == 0
    assert np.isnan(hands.landmarks[2, 0, 8]).all()
    assert hands.confidence[0, 0, 8] == pytest.approx(0.5)


def test_places_are_parts_of_the_frame(tmp_path: Path) -> None:
    points = np.full((1, 133, 3), [160.0, 60.0, 0.5])
    points[0, 1] = [np.nan, 0, 0.9]
    points[0, 2, 2] = 1.2
    np.savez(tmp_path / "a.npz", keypoints=points[..., :2], keypoint_scores=points[..., 2])
    places = read_keypoints(tmp_path / "a.npz").fractions(320, 240)
    np.testing.assert_allclose(places[0, [0, 1, 2]], [[0.5, 0.25, 0.5], [0, 0, 0], [0.5, 0.25, 1]])
    np.save(tmp_path / "b.npy", np.full((1, 137, 3), 0.5))  # --keypoint_scale 3
    np.testing.assert_allclose(read_keypoints(tmp_path / "b.npy").fractions(320, 240), 0.5)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", np.zeros((2, 21, 3)), "137 or 133 or 543, 3"),
        ("a.npy", np.zeros((0, 137, 3)), "137 or 133 or 543, 3"),
        ("a.npy", np.array([{}], object), "a plain array"),
        ("a.json", "[1]", "frame 0: expected OpenPose's list of people"),
        ("a.json", "{", "expected OpenPose's JSON"),
        ("a.json", '[{"people": [{"pose_keypoints_2d": [1, 2]}]}]', "75 numbers in pose_keypoints"),
        ("a.txt", "", "a folder of OpenPose's JSON files"),
        ("folder", None, "_keypoints.json, got none"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: Any, said: str) -> None:
    path = tmp_path / name
    if content is None:
        path.mkdir()
    elif isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=said):
        read_keypoints(path)
