"""Cameras against closed forms, and crop against whole picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chereme.errors import InputError
from chereme.hand_model.camera import (
    crop_translation,
    full_focal,
    full_translation,
    perspective,
    weak_perspective,
)

DOUBLE = torch.float64


def tensor(*values: object) -> Tensor:
    return torch.tensor(values if len(values) > 1 else values[0], dtype=DOUBLE)


CAMERA = tensor([[0.9, 0.02, -0.05], [3.0, -0.1, 0.04]])
POINTS = 0.05 * torch.randn(2, 9, 3, dtype=DOUBLE, generator=torch.manual_seed(0))
CENTRE = tensor([[300.0, 200.0], [1000.0, 650.0]])
SIZE = tensor([180.0, 420.0])
PICTURE = tensor([[1280.0, 720.0], [1280.0, 720.0]])
FLIP = tensor([-1.0, 1.0, 1.0])


def test_weak_perspective() -> None:
    points = tensor([[[1.0, 2.0, 3.0], [-1.0, 0.5, 9.0]]])
    found = weak_perspective(points, tensor([10.0]), tensor([[5.0, 6.0]]))
    assert found.tolist() == [[[15.0, 26.0], [-5.0, 11.0]]]


def test_perspective() -> None:
    points = tensor([[[1.0, 2.0, 4.0], [-1.0, 0.5, 0.5]]])
    found = perspective(points, tensor([[8.0, 16.0]]), tensor([[3.0, 1.0]]))
    assert found.tolist() == [[[5.0, 9.0], [-13.0, 17.0]]]


def test_crop_translation() -> None:
    found = crop_translation(CAMERA)
    assert torch.equal(found[:, :2], CAMERA[:, 1:])
    assert found[:, 2].tolist() == pytest.approx([10000 / 230.4, 10000 / 768])


def test_weak_perspective_is_the_limit_of_the_crops_camera() -> None:
    """The crop spans [-1, 1]; 43 m away, a hand's depth changes pixels by little."""
    shifted = POINTS + crop_translation(CAMERA)[:, None]
    focal, middle = tensor([5000.0, 5000.0]), tensor([128.0, 128.0])
    pixels = perspective(shifted, focal, middle)
    scale = CAMERA[:, 0]
    expected = 128 * (1 + weak_perspective(POINTS, scale, scale[:, None] * CAMERA[:, 1:]))
    torch.testing.assert_close(pixels, expected, atol=1.0, rtol=0)
    flat = POINTS * tensor([1.0, 1.0, 0.0])
    at_depth = perspective(flat + crop_translation(CAMERA)[:, None], focal, middle)
    torch.testing.assert_close(at_depth, expected, atol=1e-8, rtol=0)


def in_picture(points: Tensor, left: Tensor | None = None) -> Tensor:
    translation = full_translation(CAMERA, CENTRE, SIZE, PICTURE, left=left)
    focal = full_focal(PICTURE)[:, None].expand(2, 2)
    return perspective(points + translation[:, None], focal, PICTURE / 2)


def test_full_translation_of_hamer() -> None:
    found = full_translation(CAMERA, CENTRE, SIZE, PICTURE)
    focal = 5000 / 256 * 1280
    assert full_focal(PICTURE).tolist() == [focal, focal]
    for row, (s, tx, ty), (cx, cy), side in zip(
        found.tolist(), CAMERA.tolist(), CENTRE.tolist(), SIZE.tolist(), strict=True
    ):
        b = side * s
        assert row == pytest.approx(
            [tx + 2 * (cx - 640) / b, ty + 2 * (cy - 360) / b, 2 * focal / b], rel=1e-10
        )


def test_picture_and_crop_agree() -> None:
    """What lies at the hand's own depth lands on the same spot by either camera."""
    flat = POINTS * tensor([1.0, 1.0, 0.0])
    scale = CAMERA[:, 0]
    in_crop = weak_perspective(flat, scale, scale[:, None] * CAMERA[:, 1:])
    expected = CENTRE[:, None] + in_crop * SIZE[:, None, None] / 2
    torch.testing.assert_close(in_picture(flat), expected, atol=1e-6, rtol=0)


def test_left_hands_are_flipped_within_their_crop() -> None:
    flat = POINTS * tensor([1.0, 1.0, 0.0])
    right = in_picture(flat)
    left = in_picture(flat * FLIP, torch.tensor([True, False]))
    expected = 2 * CENTRE[:, None, 0] - right[:, :, 0]
    torch.testing.assert_close(left[0, :, 0], expected[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(left[..., 1], right[..., 1])
    assert not torch.allclose(left[1, :, 0], expected[1])  # this one is said to be a right hand


def test_one_picture_for_many_crops() -> None:
    found = full_translation(CAMERA, CENTRE, SIZE, PICTURE[0])
    torch.testing.assert_close(found, full_translation(CAMERA, CENTRE, SIZE, PICTURE))


def test_gradients() -> None:
    camera, points = CAMERA.clone().requires_grad_(), POINTS.clone().requires_grad_()

    def project(camera: Tensor, points: Tensor) -> Tensor:
        translation = full_translation(
            camera, CENTRE, SIZE, PICTURE, left=torch.tensor([True, False])
        )
        crop = perspective(
            points + crop_translation(camera)[:, None], tensor([50.0, 50.0]), tensor([1.0, 1.0])
        )
        full = perspective(points + translation[:, None], tensor([9.0, 9.0]), PICTURE / 2)
        return crop + full + weak_perspective(points, camera[:, 0], camera[:, 1:])

    assert torch.autograd.gradcheck(project, (camera, points))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: weak_perspective(CENTRE, SIZE, CENTRE), r"points: expected \(..., 3\), got"),
        (lambda: weak_perspective(POINTS, SIZE, CAMERA), r"offset: expected \(..., 2\), got"),
        (lambda: perspective(POINTS, SIZE[0], CENTRE), r"focal: expected \(..., 2\), got \(\)"),
        (lambda: perspective(POINTS, CENTRE, CAMERA), r"centre: expected \(..., 2\), got \(2, 3\)"),
        (lambda: crop_translation(CENTRE), r"camera: expected \(..., 3\), got \(2, 2\)"),
        (lambda: full_focal(CAMERA), r"image_size: expected \(..., 2\), got"),
        (
            lambda: full_translation(CAMERA, CAMERA, SIZE, PICTURE),
            r"box_centre: expected \(..., 2\), got",
        ),
    ],
)
def test_wrong_shapes(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
