"""Masked modelling of hand poses: which tokens to reconstruct, and what the network sees of them
(section 3.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from chereme.errors import UsageError
from chereme.systems.signbert.tokens import JOINTS, Tokens

Operation = Literal["joint", "frame", "identity"]
OPERATIONS: tuple[Operation, ...] = ("joint", "frame", "identity")
_VALUES = {
    "count": ("draws", "up_to"),
    "noise": ("normal", "uniform"),
    "zero_or_disturb": ("joint", "token"),
}


@dataclass(frozen=True)
class MaskingConfig:
    """``share``: of the tokens of each clip that are chosen. ``operations``: of which each chosen
    token meets one, all equally likely (Tables 2 and 4 leave some out).

    ``max_joints``: M. Choice: 5, as the paper names none for its recognisers (Table 1: 3 to 11 on
    single frames; row "joint" of Table 2 fits 8 and every chosen token).

    ``count``: how many joints masked joint modelling touches. Deviation: "draws", M joints drawn
    with replacement, so that fewer may be met. The text of the paper has "up_to", 1 to M different
    ones, which misses the inputs of its Table 1 by up to 11 points; the other is within 0.7 of all
    ten (tests/systems/signbert/test_masking.py).

    ``noise``, ``disturbance``: how a disturbed joint moves along x and along y, in crop units (half
    the crop's side). Choice: "normal" with a standard deviation of 20 of 256 pixels. "uniform" up
    to ``disturbance`` fits Table 1 to 0.9 points at 30 pixels. The paper gives neither.

    ``zero_or_disturb``: whether that is drawn for each joint (choice) or once for a token.
    """

    share: float = 0.5
    operations: tuple[Operation, ...] = OPERATIONS
    max_joints: int = 5
    count: Literal["draws", "up_to"] = "draws"
    noise: Literal["normal", "uniform"] = "normal"
    disturbance: float = 20 / 128
    zero_or_disturb: Literal["joint", "token"] = "joint"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"share: expected more than 0, at most 1, got {self.share}")
        if not self.operations or not set(self.operations) <= set(OPERATIONS):
            raise UsageError(
                f"operations: expected some of {', '.join(OPERATIONS)}, got {self.operations}"
            )
        if not 1 <= self.max_joints <= JOINTS:
            raise UsageError(f"max_joints: expected 1..{JOINTS}, got {self.max_joints}")
        for name, values in _VALUES.items():
            if getattr(self, name) not in values:
                raise UsageError(
                    f"{name}: expected {' or '.join(values)}, got {getattr(self, name)!r}"
                )


class Masked(NamedTuple):
    """``tokens``: what the network sees. ``chosen (B, T, H)`` bool: what it is asked for.
    ``operation (B, T, H)``: index in ``OPERATIONS`` for chosen tokens, else -1."""

    tokens: Tokens
    chosen: Tensor
    operation: Tensor


def mask_tokens(tokens: Tokens, config: MaskingConfig, generator: torch.Generator) -> Masked:
    """Choose tokens, and mask joints or all of them in some.

    Of each clip the share of the tokens in which a hand was seen is chosen, rounded up, so that a
    clip of one frame is not left out. Masked joints are taken from the seen ones. All random
    numbers come from ``generator``, drawn on its device: the same masks on any other.
    """
    shape = tokens.seen.shape

    def uniform(*size: int) -> Tensor:
        drawn = torch.rand(size, generator=generator, device=generator.device)
        return drawn.to(tokens.joints)

    present = tokens.present
    wanted = (present.flatten(1).sum(1, keepdim=True) * config.share).ceil()
    chosen = _first(uniform(*shape[:3]).flatten(1), present.flatten(1), wanted).view(shape[:3])

    kinds = torch.tensor([OPERATIONS.index(name) for name in config.operations])
    drawn = (uniform(*shape[:3]) * len(kinds)).long().clamp_max(len(kinds) - 1)
    operation = kinds.to(drawn.device)[drawn].where(chosen, -1)

    if config.count == "draws":
        touched = _drawn(uniform(*shape[:3], config.max_joints), tokens.seen)
    else:
        count = (uniform(*shape[:3], 1) * config.max_joints).floor() + 1  # m
        touched = _first(uniform(*shape), tokens.seen, count.clamp_max(config.max_joints))
    touched = touched & (operation == OPERATIONS.index("joint"))[..., None]
    each = shape if config.zero_or_disturb == "joint" else (*shape[:3], 1)
    zero = uniform(*each) < 0.5
    if config.noise == "normal":
        way = torch.randn(*shape, 2, generator=generator, device=generator.device)
    else:
        way = 2 * uniform(*shape, 2) - 1
    moved = tokens.joints + way.to(tokens.joints) * config.disturbance
    joints = moved.where((touched & ~zero)[..., None], tokens.joints)

    hidden = (touched & zero) | (operation == OPERATIONS.index("frame"))[..., None]
    seen = tokens.seen & ~hidden
    return Masked(
        tokens._replace(joints=joints.where(seen[..., None], 0.0), seen=seen), chosen, operation
    )


def _first(order: Tensor, allowed: Tensor, count: Tensor) -> Tensor:
    """Along the last axis, the ``count`` allowed places that come first in a random ``order``."""
    rank = order.masked_fill(~allowed, math.inf).argsort(-1).argsort(-1)
    return allowed & (rank < count)


def _drawn(numbers: Tensor, allowed: Tensor) -> Tensor:
    """The allowed places ``(..., J)`` that any of the ``numbers (..., M)`` of [0, 1) falls on."""
    place = allowed.cumsum(-1) - 1
    count = allowed.sum(-1, keepdim=True)
    hit = (numbers * count).long().minimum(count - 1)
    return allowed & (place.unsqueeze(-1) == hit.unsqueeze(-2)).any(-1)
