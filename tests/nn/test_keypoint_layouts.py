"""Graphs of whole-body keypoints against facts of the detectors."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from chereme.errors import UsageError
from chereme.nn.keypoint_layouts import LAYOUTS, keypoint_layout


def neighbours(layout) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in layout.names}
    for a, b in layout.edges:
        found[layout.names[a]].add(layout.names[b])
        found[layout.names[b]].add(layout.names[a])
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_hang_together(name) -> None:
    layout = keypoint_layout(name)
    count = len(layout.names)
    assert len(set(layout.names)) == len(layout.source) == len(layout.mirror) == count
    assert list(layout.source) == sorted(set(layout.source))
    assert layout.source[-1] == layout.size - 1
    assert len({frozenset(edge) for edge in layout.edges}) == len(layout.edges)
    reached, new, near = (
        {layout.names[layout.centre]},
        [layout.names[layout.centre]],
        neighbours(layout),
    )
    while new:
        new = [n for name in new for n in near[name] - reached]
        reached.update(new)
    assert reached == set(layout.names)


@pytest.mark.parametrize("name", LAYOUTS)
def test_mirror_images(name) -> None:
    layout = keypoint_layout(name)
    assert all(layout.mirror[other] == own for own, other in enumerate(layout.mirror))
    edges = {frozenset(edge) for edge in layout.edges}
    assert {frozenset(layout.mirror[v] for v in edge) for edge in edges} == edges
    sides = {"left": "right", "right": "left"}
    for own, other in enumerate(layout.mirror):
        side, _, rest = layout.names[own].partition("_")
        if side in sides:
            assert layout.names[other] == f"{sides[side]}_{rest}"


def test_sizes_and_places() -> None:
    openpose, mmpose, holistic = map(keypoint_layout, LAYOUTS)
    assert (openpose.size, mmpose.size, holistic.size) == (137, 133, 543)
    assert openpose.source == tuple(range(137))
    assert mmpose.source == tuple(range(133))
    assert len(holistic.names) == 33 + 128 + 42
    # 25 of the body, 70 of the face, 21 of each hand; 17 + 6, 68, 21, 21; 33, 468, 21, 21.
    for layout, left in ((openpose, 95), (mmpose, 91), (holistic, 501)):
        at = dict(zip(layout.names, layout.source, strict=True))
        assert at["left_hand_wrist"] == left
        assert at["right_hand_index_tip"] == left + 21 + 8
        assert layout.names[: layout.source.index(4)][0] == "nose"
        near = neighbours(layout)
        assert "left_wrist" in near["left_hand_wrist"]
        assert near["left_hand_wrist"] >= {"left_hand_thumb_cmc", "left_hand_little_mcp"}
    assert openpose.names[openpose.centre] == "neck"
    assert [openpose.names[i] for i in (4, 8, 19, 24)] == [
        "right_wrist", "mid_hip", "left_big_toe", "right_heel",
    ]  # fmt: skip
    assert [mmpose.names[i] for i in (9, 17, 22)] == ["left_wrist", "left_big_toe", "right_heel"]
    assert [holistic.names[i] for i in (11, 16, 21)] == [
        "left_shoulder", "right_wrist", "left_thumb",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "face"), [("openpose_137", 25), ("mmpose_133", 23)])
def test_faces_of_68_are_mirrored_as_coco_wholebody_swaps_them(name, face) -> None:
    layout = keypoint_layout(name)
    swaps = {0: 16, 8: 8, 17: 26, 21: 22, 30: 30, 31: 35, 36: 45, 40: 47, 41: 46, 48: 54}
    swaps |= {51: 51, 55: 59, 57: 57, 60: 64, 62: 62, 65: 67, 66: 66}
    for own, other in swaps.items():
        assert layout.mirror[face + own] == face + other
    edges = {frozenset(edge) for edge in layout.edges}
    for a, b in ((0, 1), (19, 20), (41, 36), (59, 48), (67, 60), (27, 28)):
        assert frozenset((face + a, face + b)) in edges
    assert frozenset((face + 16, face + 17)) not in edges


def test_holistic_has_the_lines_that_mediapipe_draws() -> None:
    found = importlib.util.find_spec("mediapipe")
    if found is None or found.origin is None:
        pytest.skip("MediaPipe is not installed")
    tables = {}
    for name in ("face_mesh_connections", "pose_connections"):
        path = Path(found.origin).parent / "python" / "solutions" / f"{name}.py"
        if not path.is_file():
            pytest.skip("this MediaPipe has no legacy solutions")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        tables[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tables[name])
    layout = keypoint_layout("mediapipe_holistic")
    ours = {frozenset((layout.source[a], layout.source[b])) for a, b in layout.edges}
    contours = {
        frozenset((33 + a, 33 + b)) for a, b in tables["face_mesh_connections"].FACEMESH_CONTOURS
    }
    assert {v - 33 for v in layout.source if 33 <= v < 501} == {v - 33 for e in contours for v in e}
    added = {edge for edge in ours if all(33 <= v < 501 for v in edge)} - contours
    assert contours <= ours
    assert len(added) == 2 + 4  # lips to lips and chin; eye to brow, on each side
    pose = {frozenset(edge) for edge in tables["pose_connections"].POSE_CONNECTIONS}
    body = {edge for edge in ours if max(edge) < 33}
    assert body - pose == {frozenset((0, other)) for other in (9, 10, 11, 12)}
    assert pose <= body


def test_unknown_layouts_are_told() -> None:
    with pytest.raises(UsageError, match="openpose_137, mmpose_133, mediapipe_holistic"):
        keypoint_layout("kinect")
