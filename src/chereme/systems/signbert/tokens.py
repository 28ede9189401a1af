"""Visual tokens: the 2-D pose of one hand in one frame, cropped (sections 3.1 and 4.2).

Shapes: B clips, T frames, H hands. Missing is a mask: a joint that was not seen has confidence 0
and may hold anything, NaN too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from chereme.errors import InputError
from chereme.hands.skeleton import PARENTS

JOINTS = len(PARENTS)
_SMALLEST = 1e-6  # of a crop's side: a hand of one seen joint has no extent
_FAR = 32.0  # half sides of a crop: nobody's arms are longer


@dataclass(frozen=True)
class CropConfig:
    """How a hand is cut out of the picture.

    Choice: the paper crops with the help of the shoulders and does not say how. ``around`` "frame":
    the crop follows the hand, in the middle of the joints seen in each frame, its side fixed for
    the clip (``zoom`` times the mean extent of the hand in it), as shoulders would fix it:
    handshape and orientation remain, the path does not. "clip": one crop around the whole path.
    """

    around: Literal["frame", "clip"] = "frame"
    zoom: float = 1.25


class HandPoses(NamedTuple):
    """What a detector found.

    ``joints (B, T, H, 21, 2)`` in any unit, x right, y down (pixels, of frames or of crops that do
    not follow the hand); ``confidence (B, T, H, 21)``, 0 where a joint was not seen;
    ``right (B, H)`` bool, True for the signer's right hand; ``mask (B, T)`` bool, True inside each
    clip.
    """

    joints: Tensor
    confidence: Tensor
    right: Tensor
    mask: Tensor


class Tokens(NamedTuple):
    """``HandPoses`` in crop units: the crop spans [-1, 1], left hands are mirrored to right ones.

    ``seen (B, T, H, 21)`` bool; ``joints`` are 0 where it is False. ``place (B, T, H, 2)``: the
    middle of each hand from the mean of all hands of the clip, in the same unit and mirrored
    likewise, up to 32, 0 where no hand is seen: the path, which cropping takes away. ``half
    (B, 1, H)``: of each crop's side, in the unit of ``HandPoses``.
    """

    joints: Tensor
    seen: Tensor
    confidence: Tensor
    right: Tensor
    mask: Tensor
    place: Tensor
    half: Tensor

    @property
    def present(self) -> Tensor:
        """``(B, T, H)`` bool: any joint of the hand was seen."""
        return self.seen.any(-1)


def check_poses(poses: HandPoses) -> None:
    """InputError unless the shapes fit together."""
    shape = tuple(poses.joints.shape)
    if len(shape) != 5 or shape[3:] != (JOINTS, 2) or 0 in shape:
        raise InputError(f"joints: expected (B, T, H, {JOINTS}, 2), none of them 0, got {shape}")
    clips, frames, hands = shape[:3]
    expected = {
        "confidence": (clips, frames, hands, JOINTS),
        "right": (clips, hands),
        "mask": (clips, frames),
    }
    for name, wanted in expected.items():
        found = tuple(getattr(poses, name).shape)
        if found != wanted:
            raise InputError(f"{name}: expected {wanted} with joints {shape}, got {found}")


def tokenise(poses: HandPoses, config: CropConfig = CropConfig()) -> Tokens:
    """Crop every hand and mirror the left ones.

    It is part of the network that is exported, so that training and serving cannot differ in it.

    Raises:
        InputError: shapes that do not fit together.
    """
    check_poses(poses)
    finite = poses.joints.isfinite().all(-1)
    seen = (poses.confidence > 0) & finite & poses.mask[:, :, None, None]
    known = seen.unsqueeze(-1)
    far = torch.finfo(poses.joints.dtype).max
    low = poses.joints.where(known, far).amin(3)  # (B, T, H, 2)
    high = poses.joints.where(known, -far).amax(3)
    present = seen.any(-1, keepdim=True)
    middle = (0.5 * (low + high)).where(present, 0.0)
    hands = present.sum((1, 2), keepdim=True).clamp_min(1)
    path = (middle - middle.sum((1, 2), keepdim=True) / hands).where(present, 0.0)
    if config.around == "clip":
        low, high = low.amin(1, keepdim=True), high.amax(1, keepdim=True)
        present = present.any(1, keepdim=True)
    extent = (high - low).amax(-1, keepdim=True).where(present, 0.0)  # (B, T or 1, H, 1)
    count = present.sum(1, keepdim=True).clamp_min(1)
    half = (0.5 * config.zoom) * extent.sum(1, keepdim=True) / count
    centre = (0.5 * (low + high)).where(present, 0.0)
    half = half.clamp_min(_SMALLEST)
    joints = (poses.joints - centre.unsqueeze(3)) / half.unsqueeze(3)
    side = torch.where(poses.right, 1.0, -1.0).to(joints.dtype)[:, None, :, None]
    joints = torch.stack([joints[..., 0] * side, joints[..., 1]], dim=-1)
    place = (path / half).clamp(-_FAR, _FAR)
    place = torch.stack([place[..., 0] * side[..., 0], place[..., 1]], dim=-1)
    return Tokens(
        joints.where(known, 0.0),
        seen,
        poses.confidence.where(seen, 0.0),
        poses.right,
        poses.mask,
        place,
        half.squeeze(-1),
    )


def to_pixels(joints: Tensor, size: int = 256) -> Tensor:
    """Joints in crop units -> pixels of a crop of that size (the paper's are 256 x 256)."""
    return (joints + 1) * (size / 2)
