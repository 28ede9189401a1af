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
from chereme.hands.camera import Camera
from chereme.synthesis.hand_pictures import (
    GROUND,
    INK,
    PAPER,
    TILE,
    detection_tile,
    mesh_overlay,
    mesh_picture,
    sheet,
)

HAND = HandTemplate.load("open")
# Palm to the camera, fingers up.
UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
THUMB_TIP = 4
DOWN = np.array([0.0, 1.0, 0.0])


def test_a_detection_is_shown_round_the_hand() -> None:
    image = np.full((400, 600, 3), 90, np.uint8)
    rows, columns = np.divmod(np.arange(21), 5)
    joints = np.stack([400 + 20 * columns, 150 + 20 * rows, 0 * rows], 1).astype(float)
    found = detection_tile(image, joints, joints + np.array([30, 0, 0]), 100.0)
    missed = detection_tile(image, joints, None, 100.0)
    assert found.shape == missed.shape == (TILE, TILE, 3)
    assert (missed[0] == [255, 0, 0]).all()
    assert (missed[8:-8, 8:-8, 0] == missed[8:-8, 8:-8, 1]).all()  # grey and white, no bones
    assert (found[8:-8, 8:-8].max(-1) - found[8:-8, 8:-8].min(-1)).max() > 60  # coloured ones
    # The first joint lies 1.5 hands to a tile from the middle.
    x, y = TILE / 2 + (joints[0] - joints.mean(0))[:2] * TILE / 150
    assert missed[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].max() > 150
    assert (image == 90).all()


def posed(template: HandTemplate) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints of the flat hand in the model's frame."""
    layer = HandLayer(template, flat_hand_mean=True, dtype=torch.float64)
    out = layer(torch.zeros(1, 10), torch.zeros(1, 45), torch.zeros(1, 3))
    return out.vertices[0].numpy(), out.joints[0].numpy()


FLAT = posed(HAND)


def drawn(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture.astype(int) - GROUND).max(axis=-1) > 12


def extreme(mask: np.ndarray, side: str) -> tuple[float, float]:
    """Column and row of the outermost pixel of the hand on that side."""
    rows, columns = np.nonzero(mask)
    key = {"left": -columns, "right": columns, "top": -rows, "bottom": rows}[side]
    outer = key == key.max()
    return float(columns[outer].mean()), float(rows[outer].mean())


def portrait(vertices: np.ndarray, template: HandTemplate = HAND, elbow: Any = DOWN) -> np.ndarray:
    return mesh_picture(vertices, template, np.asarray(elbow), size=(300, 200), span=0.25)


def test_a_hand_is_shown_where_it_is_and_to_scale() -> None:
    """The thumb's tip sticks out to the right; a left hand is the mirror image."""
    vertices, joints = (points @ UPRIGHT.T for points in FLAT)
    picture = portrait(vertices)
    assert picture.shape == (200, 300, 3)
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    expected = np.array([150, 100]) + (joints[THUMB_TIP] - middle)[:2] * 200 / 0.25
    # A fingertip's landmark is in the pad, some millimetres before its end.
    assert np.abs(extreme(drawn(picture), "right") - expected).max() < 14
    left = HAND.mirrored()
    mirror = np.diag([-1.0, 1.0, 1.0])
    other = drawn(portrait(posed(left)[0] @ (mirror @ UPRIGHT @ mirror).T, left))
    assert np.mean(drawn(picture) != other[:, ::-1]) < 0.01


def test_the_forearm_goes_to_the_elbow() -> None:
    """Of a hand that points to the left, too: the wrist is found in the vertices."""
    upright = FLAT[0] @ UPRIGHT.T
    down = drawn(portrait(upright))
    assert down[-1].any()
    assert not down[:, -1].any()
    turned = upright @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    aside = drawn(portrait(turned, elbow=[1.0, 0.0, 0.0]))
    assert aside[:, -1].any()
    assert not aside[-1].any()


def test_a_template_without_picture_attributes() -> None:
    """As MANO's."""
    bare = replace(HAND, extras={})
    assert drawn(portrait(FLAT[0] @ UPRIGHT.T, bare)).mean() > 0.1


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
    ("frame", "vertices", "message"),
    [
        (FRAME[:-1], BEFORE_CAMERA, r"frame: expected uint8 \(120, 160, 3\), got uint8 \(119, "),
        (FRAME / 255, BEFORE_CAMERA, "frame: expected uint8 .* got float64"),
        (FRAME, BEFORE_CAMERA[:-1], r"vertices: expected \(\d+, 3\) of hand 'open', got"),
    ],
)
def test_an_overlay_refuses(frame: np.ndarray, vertices: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mesh_overlay(frame, vertices, HAND, CAMERA)


# -- sheet --------------------------------------------------------------------------------------
TILES = [np.full((40, 60, 3), 40 * i, np.uint8) for i in range(5)]


def test_a_sheet() -> None:
    """Labels stand below their tiles and are cut to fit."""
    page = sheet(TILES, ["Ω\nnear", "B", "a label that is far too long", "", ""], 3, gap=8)
    caption = (page.shape[0] - 3 * 8) // 2 - 40
    assert page.shape[1] == 3 * 60 + 4 * 8
    np.testing.assert_array_equal(page[8:48, 76:136], TILES[1])
    second = 48 + caption + 8
    np.testing.assert_array_equal(page[second : second + 40, 76:136], TILES[4])
    assert (page[second:, 144:] == PAPER).all()
    below = (np.abs(page[48:second].astype(int) - INK) < 60).all(axis=-1)
    for left in (8, 76, 144):
        assert below[:, left : left + 60].any()
        assert not below[:, left - 8 : left].any()
    assert not below[:, 204:].any()
