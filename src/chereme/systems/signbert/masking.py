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


@dataclass(frozen=True)
class MaskingConfig:
    """``share``: of the tokens of each clip that are chosen. ``operations``: of which each chosen
    token meets one, all equally likely (Tables 2 and 4 leave some out).

    ``max_joints``: M; 1 to M joints are touched in masked joint modelling. Choice: 5, as the paper
    names none for its recognisers (Table 1: 3 to 11 on single frames).

    ``disturbance``: the most that a disturbed joint moves along x and along y, in crop units (half
    the crop's side). Choice: 0.25, 32 of 256 pixels, uniform. The paper gives none; in its Table 1
    the mean share of wrong joints from 20 to 40 pixels is 0.80 of that at 20 for any M, and such a
    disturbance of half of the masked joints makes it 0.78.

    ``zero_or_disturb``: whether that is drawn for each joint (choice) or once for a token.
    """

    share: float = 0.5
    operations: tuple[Operation, ...] = OPERATIONS
    max_joints: int = 5
    disturbance: float = 0.25
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
        if self.zero_or_disturb not in ("joint", "token"):
            raise UsageError(
                f"zero_or_disturb: expected joint or token, got {self.zero_or_disturb!r}"
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

    count = (uniform(*shape[:3], 1) * config.max_joints).floor() + 1  # m
    touched = _first(uniform(*shape), tokens.seen, count.clamp_max(config.max_joints))
    touched = touched & (operation == OPERATIONS.index("joint"))[..., None]
    each = shape if config.zero_or_disturb == "joint" else (*shape[:3], 1)
    zero = uniform(*each) < 0.5
    moved = tokens.joints + (2 * uniform(*shape, 2) - 1) * config.disturbance
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
