"""Rows of pictures: the crop as it was, the joints on it, the mesh where its camera puts it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("numba")
from chereme.hand_model import HandLayer, HandTemplate
from chereme.hands.draw import draw_hand
from chereme.synthesis.hand_pictures import PAPER
from chereme.systems.hand_aware.reconstruction import Reconstruction
from chereme.systems.hand_aware.reconstruction_plot import GAP, mesh_in_crop, reconstruction_row

SIZE = 192
HAND = HandTemplate.load("open")
UPRIGHT = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
CROP = np.random.default_rng(0).integers(60, 200, (SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def hands() -> Reconstruction:
    """Two flat hands, fingers up, of which the second is smaller and in the lower right corner."""
    layer = HandLayer(HAND, flat_hand_mean=True, dtype=torch.float64)
    still = torch.zeros(1, 3, dtype=torch.float64)
    out = layer(torch.zeros(1, 10, dtype=torch.float64), torch.zeros(1, 45).double(), still)
    return Reconstruction(
        HAND,
        np.repeat(out.vertices.numpy() @ UPRIGHT.T, 2, axis=0),
        np.repeat(out.joints.numpy() @ UPRIGHT.T, 2, axis=0),
        np.array([800.0, 400.0]),
        np.array([[96.0, 80.0], [140.0, 140.0]]),
    )


def covered(crop: np.ndarray, hands: Reconstruction, index: int) -> np.ndarray:
    """Pixels whose colour is that of the mesh: a blue that the grey crop has nowhere."""
    colour = mesh_in_crop(crop, hands, index).astype(int)
    mesh: np.ndarray = colour[..., 2] - colour[..., 0] > 30
    return mesh


GREY = np.repeat(CROP[..., :1], 3, axis=2)


@pytest.mark.parametrize("index", [0, 1])
def test_the_mesh_lies_in_the_crop_where_its_camera_puts_it(
    hands: Reconstruction, index: int
) -> None:
    mesh = covered(GREY, hands, index)
    joints = np.floor(hands.projected[index]).astype(int)
    assert ((joints >= 0) & (joints < SIZE)).all()
    assert mesh[joints[:, 1], joints[:, 0]].all()
    rows, columns = np.nonzero(mesh)
    outline = hands.outline[index].clip(0, SIZE)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(edges, [*outline.min(0), *outline.max(0)], atol=2.0)
    # Nothing but the hand: its area is a small part of the box around it.
    assert mesh.sum() < 0.7 * np.prod(np.ptp(outline, axis=0))


def test_a_mirrored_hand_covers_the_mirror_image(hands: Reconstruction) -> None:
    flipped = np.ascontiguousarray(GREY[:, ::-1])
    mesh, other = covered(GREY, hands, 1), covered(flipped, hands.mirrored(SIZE), 1)
    assert np.mean(mesh[:, ::-1] != other) < 0.002


def test_the_mesh_is_shaded_and_the_crop_behind_it_faded(hands: Reconstruction) -> None:
    picture, mesh = mesh_in_crop(GREY, hands), covered(GREY, hands, 0)
    assert picture[mesh].std(axis=0).min() > 10
    behind = ~mesh
    # Edges are mixed; the median is not theirs.
    ratio = picture[behind].astype(float).std() / GREY[behind].astype(float).std()
    assert 0.3 < ratio < 0.6


def test_a_row(hands: Reconstruction) -> None:
    before = CROP.copy()
    landmarks = np.pad(hands.projected[0], ((0, 0), (0, 1)))
    row = reconstruction_row(CROP, landmarks, np.ones(21), hands)
    assert row.shape == (SIZE, 3 * SIZE + 2 * GAP, 3)
    assert row.dtype == np.uint8
    step = SIZE + GAP
    np.testing.assert_array_equal(row[:, :SIZE], before)
    np.testing.assert_array_equal(CROP, before)
    np.testing.assert_array_equal(row[:, step : step + SIZE], draw_hand(CROP, landmarks))
    np.testing.assert_array_equal(row[:, 2 * step :], mesh_in_crop(CROP, hands))
    assert (row[:, SIZE:step] == PAPER).all()


def test_a_row_without_a_hand(hands: Reconstruction) -> None:
    row = reconstruction_row(GREY, np.full((21, 3), np.nan), np.zeros(21), None)
    step = SIZE + GAP
    np.testing.assert_array_equal(row[:, step : step + SIZE], GREY)
    away = ~covered(GREY, hands, 0)
    away &= np.roll(away, 2, 0) & np.roll(away, -2, 0) & np.roll(away, 2, 1) & np.roll(away, -2, 1)
    faded = row[:, 2 * step :]
    np.testing.assert_array_equal(faded[away], mesh_in_crop(GREY, hands)[away])
    assert (faded != mesh_in_crop(GREY, hands)).any()
