"""First guesses for fitting a hand: where the palm looks, and roughly how each finger bends.

A flat palm in a weak-perspective picture has two readings, tilted one way or the other; depth
gives a third. Each reading is a start. For each start each finger takes the best
of a table of poses within the limits of its joints, which needs no depth either.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from chereme.hand_model.skeleton import Skeleton

PALM = (0, 1, 5, 9, 13, 17)  # landmarks that no finger joint moves
_MAX_TILT = 0.999  # sine; a palm seen exactly from its edge has lost the sense of its breadth
# Positions between the lowest (0) and highest (1) angle of each joint that the table combines; the
# last joint of a finger bends with the middle one (Choice: two thirds of its share).
_FINGER_GRID = ((0.3, 0.5, 0.75, 1.0), (0.1, 0.4, 0.7, 0.95), (0.0, 0.5, 1.0))
_THUMB_GRID = ((0.1, 0.5, 0.9), (0.1, 0.5, 0.9), (0.25, 0.55, 0.9), (0.25, 0.5, 0.9))


@dataclass(frozen=True)
class Start:
    """A first guess for N hands: ``orient (N, 3, 3)``, ``angles (N, 15, 3)`` (flexion, twist,
    abduction), ``scale (N,)`` in landmark units per metre, ``offset (N, 3)`` in landmark units."""

    orient: Tensor
    angles: Tensor
    scale: Tensor
    offset: Tensor


def starts(
    skeleton: Skeleton,
    limits: Tensor,
    landmarks: Tensor,
    weight: Tensor,
    depth: float,
) -> list[Start]:
    """Guesses for ``landmarks (N, 21, 3)`` seen with ``weight (N, 21)`` >= 0.

    At least three of ``PALM`` must be seen. ``depth`` is the weight of z beside x and y. Unseen
    landmarks must be finite. All starts of a hand have one scale.
    """
    orients, size = _palm_readings(skeleton, landmarks, weight)
    table, posed = _finger_table(skeleton, limits)
    found = []
    for orient in orients:
        shown = size[:, None, None] * (skeleton.rest[list(PALM)] @ orient.transpose(1, 2))
        palm = weight[:, PALM]
        share = (palm / palm.sum(dim=1, keepdim=True))[..., None]
        offset = (share * (landmarks[:, PALM] - shown)).sum(dim=1)
        local = (landmarks - offset[:, None]) / size[:, None, None]
        angles = _fingers(table, posed, local, weight, orient, depth)
        found.append(Start(orient, angles, size, offset))
    return found


def _palm_readings(
    skeleton: Skeleton, landmarks: Tensor, weight: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Orientations ``(N, 3, 3)`` of the palm and its scale ``(N,)``.

    With the palm's plane as (u, v), a weak-perspective picture is an affine map, whose larger
    singular value is the scale and whose smaller one is the scale times the cosine of the tilt
    about the other's direction; the sense of the tilt is lost.
    """
    palm = weight[:, PALM]
    share = (palm / palm.sum(dim=1, keepdim=True))[..., None]
    rest = skeleton.rest[list(PALM)]
    seen = landmarks[:, PALM]
    seen = (seen - (share * seen).sum(dim=1, keepdim=True)) * share.sqrt()
    centred = rest - rest.mean(dim=0)
    plane = torch.linalg.svd(centred, full_matrices=False).Vh
    plane = torch.stack([plane[0], plane[1], torch.linalg.cross(plane[0], plane[1])])
    model = (rest - (share * rest).sum(dim=1, keepdim=True)) * share.sqrt()  # (N, 6, 3)
    flat = model @ plane[:2].T
    affine = torch.linalg.lstsq(flat, seen[..., :2], driver="gelsd").solution.transpose(1, 2)
    left, stretch, right = torch.linalg.svd(affine)
    size = stretch[:, 0]
    sine = (1 - (stretch[:, 1] / stretch[:, 0]) ** 2).clamp(0, _MAX_TILT**2).sqrt()
    keep = torch.stack([torch.ones_like(sine), (1 - sine**2).sqrt()], dim=-1)
    top = left @ (keep[..., None] * right)  # (N, 2, 2)
    orients = []
    for sign in (1.0, -1.0):
        columns = torch.cat([top, (sign * sine[:, None] * right[:, 1])[:, None]], dim=1)
        normal = torch.linalg.cross(columns[..., 0], columns[..., 1])
        orients.append(torch.cat([columns, normal[..., None]], dim=-1) @ plane)
    # Least-squares rotation (Umeyama 1991, Eq. 39-43).
    u, _, vh = torch.linalg.svd(seen.transpose(1, 2) @ model)
    proper = torch.ones_like(seen[:, 0])
    proper[:, 2] = torch.det(u @ vh)
    orients.append((u * proper[:, None]) @ vh)
    return orients, size


def _finger_table(skeleton: Skeleton, limits: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Poses ``(K, 15, 3)`` that differ in all fingers at once, and each finger's four landmarks
    ``(K, 4, 3)`` in them, thumb first."""
    fingers = [
        [(mcp, 0.5, spread), (pip, 0.5, 0.5), (pip * 2 / 3, 0.5, 0.5)]
        for mcp, pip, spread in product(*_FINGER_GRID)
    ]
    thumbs = [
        [(cmc, 0.5, spread), (mcp, 0.5, 0.5), (ip, 0.5, 0.5)]
        for cmc, spread, mcp, ip in product(*_THUMB_GRID)
    ]
    count = max(len(fingers), len(thumbs))
    parts = torch.full((count, 15, 3), 0.5, dtype=limits.dtype)
    for digit in DIGITS:
        grid = thumbs if digit == "thumb" else fingers
        rows = [grid[k % len(grid)] for k in range(count)]
        parts[:, np.array(DIGIT_JOINTS[digit]) - 1] = torch.tensor(rows, dtype=limits.dtype)
    angles = limits[..., 0] + parts.to(limits.device) * (limits[..., 1] - limits[..., 0])
    eye = torch.eye(3, dtype=limits.dtype, device=limits.device).expand(count, 3, 3)
    posed = skeleton.landmarks(angles, angles.new_zeros(1, skeleton.shapes), eye)
    return angles, [posed[:, 1 + 4 * finger : 5 + 4 * finger] for finger in range(5)]


def _fingers(
    table: Tensor,
    posed: list[Tensor],
    local: Tensor,
    weight: Tensor,
    orient: Tensor,
    depth: float,
) -> Tensor:
    """For each hand and finger the row of ``table`` whose landmarks lie nearest: ``(N, 15, 3)``."""
    axes = torch.tensor([1.0, 1.0, depth], dtype=local.dtype, device=local.device)
    angles = table.new_zeros(len(local), 15, 3)
    for finger, digit in enumerate(DIGITS):
        joints = torch.tensor(DIGIT_JOINTS[digit], device=local.device) - 1
        part = slice(1 + 4 * finger, 5 + 4 * finger)
        shown = torch.einsum("nce,kve->nkvc", orient, posed[finger])
        squared = ((shown - local[:, None, part]) * axes).square().sum(dim=-1)
        best = (squared * weight[:, None, part]).sum(dim=-1).argmin(dim=1)
        angles[:, joints] = table[best][:, joints]
    return angles
