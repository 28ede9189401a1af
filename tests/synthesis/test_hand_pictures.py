"""Pictures of hands show what they are given, from where they say, and leave the rest alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("numba")
from chereme.errors import InputError
from chereme.hand_model import HandLayer, HandTemplate
from chereme.hand_model.anatomy import angles_to_hand_pose
from chereme.hands.camera import Camera
from chereme.synthesis.hand_pictures import GROUND, INK, PAPER, mesh_overlay, mesh_picture, sheet

HAND = HandTemplate.load("open")
# Palm to the camera, fingers up.
UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
THUMB_TIP, MIDDLE_TIP = 4, 12
DOWN = np.array([0.0, 1.0, 0.0])


def posed(template: HandTemplate, bend: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints in the model's frame, the four fingers bent at the knuckles (degrees)."""
    angles = np.zeros((15, 3))
    angles[[0, 3, 6, 9], 0] = np.radians(bend)
    pose = angles_to_hand_pose(angles, template.extras["joint_axes"])
    layer = HandLayer(template, flat_hand_mean=True, dtype=torch.float64)
    out = layer(torch.zeros(1, 10), torch.from_numpy(pose[None]), torch.zeros(1, 3))
    return out.vertices[0].numpy(), out.joints[0].numpy()


FLAT, BENT = posed(HAND), posed(HAND, 85)


def drawn(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture.astype(int) - GROUND).max(axis=-1) > 12


def extreme(mask: np.ndarray, side: str) -> tuple[float, float]:
    """Column and row of the outermost pixel of the hand on that side."""
    rows, columns = np.nonzero(mask)
    key = {"left": -columns, "right": columns, "top": -rows, "bottom": rows}[side]
    outer = key == key.max()
    return float(columns[outer].mean()), float(rows[outer].mean())


@pytest.mark.parametrize(
    ("view", "side", "hand", "joint", "axes"),
    [
        ("camera", "right", FLAT, THUMB_TIP, ("x", "y")),
        ("behind", "left", FLAT, THUMB_TIP, ("-x", "y")),
        ("right", "left", BENT, MIDDLE_TIP, ("z", "y")),
        ("left", "right", BENT, MIDDLE_TIP, ("-z", "y")),
        ("above", "bottom", BENT, MIDDLE_TIP, ("x", "-z")),
    ],
)
def test_views(view: Any, side: str, hand: Any, joint: int, axes: tuple[str, str]) -> None:
    """The fingertip that sticks out on a side is where it is to be, to scale."""
    vertices, joints = (points @ UPRIGHT.T for points in hand)
    picture = mesh_picture(vertices, HAND, size=(300, 200), view=view, span=0.25)
    assert picture.shape == (200, 300, 3)
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    offset = dict(zip("xyz", joints[joint] - middle, strict=True))
    offset |= {f"-{name}": -value for name, value in offset.items()}
    expected = np.array([150, 100]) + np.array([offset[a] for a in axes]) * 200 / 0.25
    # A fingertip's landmark is in the pad, some millimetres before its end.
    assert np.abs(extreme(drawn(picture), side) - expected).max() < 14


def test_the_palm_of_either_hand() -> None:
    """The left hand is the right one's mirror image; the thumbs point outwards."""
    right = drawn(mesh_picture(FLAT[0], HAND, view="palm"))
    left = HAND.mirrored()
    other = drawn(mesh_picture(posed(left)[0], left, view="palm"))
    assert np.mean(right != other[:, ::-1]) < 0.01
    assert extreme(right, "right")[1] > extreme(right, "left")[1]  # thumb, little finger


def test_a_picture_is_fitted_to_its_hand() -> None:
    mask = drawn(mesh_picture(FLAT[0] + [3.0, 2.0, -1.0], HAND, view="palm", size=(200, 260)))
    rows, columns = np.nonzero(mask)
    assert 0 < rows.min() < rows.max() < 259
    assert 0 < columns.min() < columns.max() < 199
    assert np.ptp(rows) > 0.8 * 260


def test_the_forearm_goes_to_the_elbow() -> None:
    """Of a hand that points to the left, too: the wrist is found in the vertices."""
    upright = FLAT[0] @ UPRIGHT.T
    alone = drawn(mesh_picture(upright, HAND, span=0.3))
    with_arm = drawn(mesh_picture(upright, HAND, span=0.3, elbow=DOWN))
    assert not alone[-1].any()
    assert with_arm[-1].any()
    assert not with_arm[:, -1].any()
    assert np.mean(alone & ~with_arm) < 0.001
    turned = upright @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    aside = drawn(mesh_picture(turned, HAND, span=0.3, elbow=np.array([1.0, 0.0, 0.0])))
    assert aside[:, -1].any()
    assert not aside[-1].any()


def test_a_given_ground_stays_as_it_is() -> None:
    ground = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    picture = mesh_picture(FLAT[0], HAND, view="palm", size=(120, 90), ground=ground, span=0.25)
    hand = drawn(mesh_picture(FLAT[0], HAND, view="palm", size=(120, 90), span=0.25))
    changed = (picture != ground).any(axis=-1)
    assert 0.1 < changed.mean() < 0.5
    assert np.mean(hand & ~changed) < 0.005
    np.testing.assert_array_equal(picture[0], ground[0])


def test_a_template_without_picture_attributes() -> None:
    """As MANO's."""
    bare = replace(HAND, extras={})
    picture = mesh_picture(FLAT[0], bare, view="palm", elbow=np.array([1.0, 0.0, 0.0]))
    assert drawn(picture).mean() > 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vertices": FLAT[0][:-1]}, r"vertices: expected \(\d+, 3\) of hand 'open', got"),
        ({"vertices": FLAT[0] * np.nan}, "finite metres"),
        ({"view": "below"}, "view: expected camera, palm, .*, got 'below'"),
        ({"elbow": np.zeros(3)}, r"elbow: expected a direction \(3,\) other than zero"),
        ({"ground": np.zeros((10, 10, 3), np.uint8)}, r"ground: expected uint8 \(320, 320, 3\)"),
    ],
)
def test_a_picture_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mesh_picture(**{"vertices": FLAT[0], "template": HAND, **options})


# -- overlay ------------------------------------------------------------------------------------
CAMERA = Camera(300.0, 300.0, 90.0, 60.0, 160, 120)
FRAME = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
BEFORE_CAMERA = FLAT[0] @ UPRIGHT.T + [0.0, 0.0, 0.7]


def test_an_overlay_lies_where_the_camera_sees_the_hand() -> None:
    before = FRAME.copy()
    covered = (mesh_overlay(FRAME, BEFORE_CAMERA, HAND, CAMERA, opacity=1) != FRAME).any(-1)
    np.testing.assert_array_equal(FRAME, before)
    points = CAMERA.project(BEFORE_CAMERA)
    columns, rows = np.nonzero(covered.any(0))[0], np.nonzero(covered.any(1))[0]
    low, high = points.min(axis=0), points.max(axis=0)
    edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(edges, [*low, *high], atol=2.0)
    joints = CAMERA.project(FLAT[1] @ UPRIGHT.T + [0.0, 0.0, 0.7]).astype(int)
    assert covered[joints[:, 1], joints[:, 0]].all()


def test_opacity_mixes_frame_and_mesh() -> None:
    none, half, full = (
        mesh_overlay(FRAME, BEFORE_CAMERA, HAND, CAMERA, opacity=share).astype(float)
        for share in (0.0, 0.5, 1.0)
    )
    np.testing.assert_array_equal(none, FRAME)
    np.testing.assert_allclose(half, (none + full) / 2, atol=1.01)


def test_a_hand_behind_the_camera_is_not_drawn() -> None:
    away = BEFORE_CAMERA - [0.0, 0.0, 2.0]
    np.testing.assert_array_equal(mesh_overlay(FRAME, away, HAND, CAMERA), FRAME)


@pytest.mark.parametrize(
    ("frame", "opacity", "message"),
    [
        (FRAME[:-1], 0.5, r"frame: expected uint8 \(120, 160, 3\), got uint8 \(119, 160, 3\)"),
        (FRAME / 255, 0.5, "frame: expected uint8 .* got float64"),
        (FRAME, 1.5, "opacity: expected 0..1, got 1.5"),
    ],
)
def test_an_overlay_refuses(frame: np.ndarray, opacity: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mesh_overlay(frame, BEFORE_CAMERA, HAND, CAMERA, opacity=opacity)


# -- sheet --------------------------------------------------------------------------------------
TILES = [np.full((40, 60, 3), 40 * i, np.uint8) for i in range(5)]


def test_a_sheet_without_text() -> None:
    page = sheet(TILES, [""] * 5, 3, gap=4)
    assert page.shape == (2 * 40 + 3 * 4, 3 * 60 + 4 * 4, 3)
    np.testing.assert_array_equal(page[48:88, 68:128], TILES[4])
    assert (page[48:88, 132:192] == PAPER).all()
    assert sheet(TILES[:2], ["", ""], 9, gap=4).shape == (48, 2 * 60 + 3 * 4, 3)


def test_labels_stand_below_their_tiles_and_are_cut_to_fit() -> None:
    page = sheet(TILES[:3], ["Ω\nnear", "B", "a label that is far too long"], 3, gap=8, text=12)
    below = (np.abs(page[48:].astype(int) - INK) < 60).all(axis=-1)
    for left in (8, 76, 144):
        assert below[:, left : left + 60].any()
        assert not below[:, left - 8 : left].any()
    assert not below[:, 204:].any()
    np.testing.assert_array_equal(page[8:48, 76:136], TILES[1])


@pytest.mark.parametrize(
    ("tiles", "labels", "columns", "message"),
    [
        ([], [], 1, "got 0 tiles, 0 labels"),
        (TILES, ["a"], 2, "got 5 tiles, 1 labels"),
        (TILES[:1], ["a"], 0, "at least 1 column, got 0"),
        (TILES[:1], ["a\nb\nc"], 1, "at most two lines, got 3"),
        ([TILES[0], TILES[1][1:]], ["a", "b"], 1, r"tile 1: expected uint8 \(40, 60, 3\)"),
    ],
)
def test_a_sheet_refuses(tiles: Any, labels: Any, columns: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sheet(tiles, labels, columns)
