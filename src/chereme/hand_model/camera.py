"""Cameras: from points in space to points in a picture, and HaMeR's way between crop and picture.

Points are in the camera's frame, metres: x right, y down, z away from it. Pixels count x right and
y down, and the picture spans [0, width) x [0, height). All functions take any leading dimensions,
broadcast over them, and are differentiable.
"""

from __future__ import annotations

import torch
from torch import Tensor

from chereme.errors import InputError

HAMER_FOCAL = 5000.0  # focal length in pixels of HaMeR's crop
HAMER_CROP = 256.0  # its side in pixels
_EPSILON = 1e-9  # HaMeR's


def weak_perspective(points: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """``scale * (x, y) + offset``: all points as if at one distance.

    Papers B and C, Eq. 5: ``c_s Pi(c_r J_3D) + c_o``, for points that ``c_r`` has turned.

    Args:
        points: ``(..., N, 3)``.
        scale: ``(...)``, picture units a metre.
        offset: ``(..., 2)``, where the origin lands, in picture units.

    Returns:
        ``(..., N, 2)``.
    """
    _check("points", points, 3)
    _check("offset", offset, 2)
    return scale[..., None, None] * points[..., :2] + offset[..., None, :]


def perspective(points: Tensor, focal: Tensor, centre: Tensor) -> Tensor:
    """``(fx x / z + cx, fy y / z + cy)``; meaningless for points that are not in front (z > 0).

    Args:
        points: ``(..., N, 3)``.
        focal: ``(..., 2)`` focal lengths in pixels.
        centre: ``(..., 2)`` the principal point in pixels.

    Returns:
        ``(..., N, 2)`` pixels.
    """
    _check("points", points, 3)
    _check("focal", focal, 2)
    _check("centre", centre, 2)
    return focal[..., None, :] * (points[..., :2] / points[..., 2:]) + centre[..., None, :]


def crop_translation(
    camera: Tensor, *, focal: float = HAMER_FOCAL, crop: float = HAMER_CROP
) -> Tensor:
    """HaMeR's camera ``(..., 3)``, (s, tx, ty), -> the hand's translation ``(..., 3)``, metres.

    Seen from there with ``focal``, the crop's middle being the principal point, the hand lies in
    the crop as ``s (x + tx)``, ``s (y + ty)`` put it, the crop spanning [-1, 1].
    """
    _check("camera", camera, 3)
    scale, shift = camera[..., :1], camera[..., 1:]
    return torch.cat([shift, 2 * focal / (crop * scale + _EPSILON)], dim=-1)


def full_focal(
    image_size: Tensor, *, focal: float = HAMER_FOCAL, crop: float = HAMER_CROP
) -> Tensor:
    """Focal length ``(...)`` in pixels that HaMeR gives a picture of size ``(..., 2)``
    (width, height): that of the crop, scaled to the longer side."""
    _check("image_size", image_size, 2)
    return image_size.amax(-1) * (focal / crop)


def full_translation(
    camera: Tensor,
    box_centre: Tensor,
    box_size: Tensor,
    image_size: Tensor,
    *,
    left: Tensor | None = None,
) -> Tensor:
    """HaMeR's camera of a crop -> the hand's translation in front of the whole picture's camera.

    Project with ``full_focal(image_size)`` and the picture's middle as the principal point.

    Args:
        camera: ``(..., 3)``: (s, tx, ty) of the crop.
        box_centre: ``(..., 2)`` the crop's middle, pixels of the picture as it was taken.
        box_size: ``(...)`` the crop's side, pixels of the picture.
        image_size: ``(..., 2)`` width and height of the picture.
        left: ``(...)`` bool: a left hand, which HaMeR saw mirrored. Its camera's tx is negated
            here; x of its points is to be negated too, unless they come from a left hand's layer.

    Returns:
        ``(..., 3)`` metres.
    """
    _check("camera", camera, 3)
    _check("box_centre", box_centre, 2)
    scale, shift = camera[..., 0], camera[..., 1:]
    if left is not None:
        mirrored = shift * shift.new_tensor([-1.0, 1.0])
        shift = torch.where(left[..., None], mirrored, shift)
    size = box_size * scale + _EPSILON  # pixels a metre, times 2
    depth = 2 * full_focal(image_size) / size
    shift = shift + 2 * (box_centre - image_size / 2) / size[..., None]
    return torch.cat([shift, depth.unsqueeze(-1).expand(*shift.shape[:-1], 1)], dim=-1)


def _check(name: str, tensor: Tensor, size: int) -> None:
    if tensor.ndim == 0 or tensor.shape[-1] != size:
        raise InputError(f"{name}: expected (..., {size}), got {tuple(tensor.shape)}")
