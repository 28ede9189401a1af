"""Crops of hands."""

from __future__ import annotations

import math

import pytest
import torch

from chereme.errors import InputError
from chereme.systems.signbert.tokens import CropConfig, HandPoses, to_pixels, tokenise

from .conftest import MakePoses


def one_hand(joints: torch.Tensor, confidence: torch.Tensor, right: bool = True) -> HandPoses:
    """``joints (T, 21, 2)`` of one clip."""
    mask = torch.ones(1, len(joints), dtype=torch.bool)
    return HandPoses(
        joints[None, :, None], confidence[None, :, None], torch.tensor([[right]]), mask
    )


def test_a_crop_by_hand() -> None:
    # 21 joints on a line, 100 to 300 along x, 50 to 90 along y: the middle is (200, 70).
    line = torch.linspace(0, 1, 21)
    joints = torch.stack([100 + 200 * line, 50 + 40 * line], -1)[None]
    poses = one_hand(joints, torch.ones(1, 21))
    tokens = tokenise(poses, CropConfig(zoom=1.25))
    # Half the side is 1.25 * 200 / 2 = 125.
    assert tokens.joints[0, 0, 0, 0].tolist() == pytest.approx([-0.8, -0.16])
    assert tokens.joints[0, 0, 0, 20].tolist() == pytest.approx([0.8, 0.16])
    mirrored = tokenise(poses._replace(right=torch.tensor([[False]])), CropConfig(zoom=1.25))
    assert mirrored.joints[0, 0, 0, 0].tolist() == pytest.approx([0.8, -0.16])


def test_a_mirrored_left_hand_is_a_right_hand(make_poses: MakePoses) -> None:
    poses = make_poses((4,), hands=1)
    left = poses._replace(joints=poses.joints * torch.tensor([-1.0, 1.0]) + 640)
    right = poses._replace(right=torch.ones(1, 1, dtype=torch.bool))
    assert not bool(left.right.any())
    assert tokenise(left).joints.allclose(tokenise(right).joints, atol=1e-5)


@pytest.mark.parametrize("around", ["frame", "clip"])
def test_place_and_size_in_the_picture_do_not_matter(around: str, make_poses: MakePoses) -> None:
    poses, config = make_poses((5, 3)), CropConfig(around=around)  # type: ignore[arg-type]
    other = poses._replace(joints=poses.joints * 0.37 - 25)
    assert tokenise(other, config).joints.allclose(tokenise(poses, config).joints, atol=1e-4)
    assert tokenise(other, config).place.allclose(tokenise(poses, config).place, atol=1e-4)


def test_places_by_hand() -> None:
    """A right hand that goes down by two sides of its crop, a left one that is seen once."""
    line = torch.linspace(0, 1, 21)
    right = torch.stack([100 + 80 * line, 50 + 40 * line], -1)
    left = torch.stack([240 + 20 * line, 150 + 40 * line], -1)
    joints = torch.stack([torch.stack([left, right]), torch.stack([left, right + 200])])[None]
    confidence = torch.ones(1, 2, 2, 21)
    confidence[0, 1, 0] = 0
    sides, mask = torch.tensor([[False, True]]), torch.ones(1, 2, dtype=torch.bool)
    tokens = tokenise(HandPoses(joints, confidence, sides, mask), CropConfig(zoom=1.25))
    # Middles (250, 170), (140, 70) and (340, 270), of the mean (243 1/3, 170); half the side of
    # the right crop is 50, of the left one 25. The left hand's x is mirrored.
    x, down = 730 / 3, 100 / 50
    expected = [
        [[-(250 - x) / 25, 0.0], [(140 - x) / 50, -down]],
        [[0.0, 0.0], [(340 - x) / 50, down]],
    ]
    assert tokens.place[0].flatten().tolist() == pytest.approx(
        [value for frame in expected for hand in frame for value in hand], abs=1e-4
    )


def test_only_a_crop_around_the_clip_keeps_the_path(make_poses: MakePoses) -> None:
    poses = make_poses((1,), hands=1)
    moving = poses._replace(
        joints=torch.cat([poses.joints, poses.joints + 500], 1),
        confidence=poses.confidence.repeat(1, 2, 1, 1),
        right=torch.ones(1, 1, dtype=torch.bool),
        mask=poses.mask.repeat(1, 2),
    )
    steady = tokenise(moving, CropConfig("frame")).joints
    assert steady[:, 0].allclose(steady[:, 1], atol=1e-5)
    path = tokenise(moving, CropConfig("clip", zoom=1.0)).joints
    assert path.amin().item() == pytest.approx(-1, abs=1e-5)
    assert path.amax().item() == pytest.approx(1, abs=1e-5)
    assert bool((path[:, 1] > path[:, 0]).all())


def test_what_was_not_seen_has_no_say(make_poses: MakePoses) -> None:
    poses = make_poses((3, 2))
    confidence = poses.confidence.clone()
    confidence[0, 1, 0, 5:9] = 0
    poses = poses._replace(confidence=confidence)
    joints = poses.joints.clone()
    joints[0, 1, 0, 5:9] = math.nan
    joints[1, 2] = 1e6  # padding
    tokens, other = tokenise(poses), tokenise(poses._replace(joints=joints))
    assert torch.equal(tokens.joints, other.joints)
    assert not bool(tokens.seen[0, 1, 0, 5:9].any())
    assert tokens.joints[0, 1, 0, 5:9].abs().max() == 0
    assert not bool(tokens.present[1, 2].any())
    # A place that is no number was not seen, whatever the detector thought of it.
    odd = poses._replace(joints=joints, confidence=torch.ones_like(confidence))
    assert not bool(tokenise(odd).seen[0, 1, 0, 5:9].any())


@pytest.mark.parametrize("seen", [0, 1])
def test_a_hand_of_no_joint_or_of_one(seen: int, make_poses: MakePoses) -> None:
    poses = make_poses((2,))
    confidence = torch.zeros_like(poses.confidence)
    confidence[..., :seen] = 1
    tokens = tokenise(poses._replace(confidence=confidence))
    assert tokens.joints.abs().max() == 0
    assert tokens.place.abs().max() <= 32
    assert bool(tokens.present.any()) == bool(seen)


def test_pixels_of_the_crop() -> None:
    assert to_pixels(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0, 128, 256]


def test_shapes_that_do_not_fit_are_named(make_poses: MakePoses) -> None:
    poses = make_poses((3, 2))
    with pytest.raises(InputError, match=r"joints: expected \(B, T, H, 21, 2\)"):
        tokenise(poses._replace(joints=poses.joints[..., :1]))
    with pytest.raises(InputError, match=r"none of them 0, got \(2, 0, 2, 21, 2\)"):
        tokenise(poses._replace(joints=poses.joints[:, :0]))
    with pytest.raises(InputError, match=r"right: expected \(2, 2\)"):
        tokenise(poses._replace(right=poses.right[:, :1]))
    with pytest.raises(InputError, match=r"mask: expected \(2, 3\)"):
        tokenise(poses._replace(mask=poses.mask[:, :2]))
