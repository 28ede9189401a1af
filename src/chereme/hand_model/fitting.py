"""Poses, shape and cameras of a hand model from the landmarks of a detector.

``fit`` finds for N views of one signer's hand the poses, the shape and the weak-perspective cameras
that put the landmarks of a ``HandLayer`` where landmarks were seen, within what joints can do.
Poses are angles of flexion, twist and abduction, so that limits and habits can be stated; the palm
gives first guesses of the orientation, a table of poses those of the fingers, and L-BFGS does the
rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chereme.errors import InputError
from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from chereme.hand_model.initial_pose import PALM, starts
from chereme.hand_model.joint_limits import joint_frames
from chereme.hand_model.layer import HandLayer
from chereme.hand_model.rotations import axis_angle_to_matrix
from chereme.hand_model.skeleton import Skeleton
from chereme.hands.skeleton import palm_size
from chereme.types import FloatArray

# Standard deviations. Lengths are in hand sizes (``chereme.hands.skeleton.palm_size``).
_NOISE = 0.03  # of a landmark in the picture
_DEPTH_WEIGHT = 0.25  # of z beside x and y: detectors guess it
_ROBUST = 4.0  # landmarks farther off than so many times their noise lose influence
_POSE_SPREAD = 0.6  # of an angle about rest, in parts of its joint's range
_SOFTNESS = 0.02  # of an angle's excess over its joint's limit, radians
# Fingers bend their last joint by about two thirds of the middle one (Rijpkema and Girard 1991).
_COUPLING, _COUPLING_SPREAD = 2 / 3, 0.35  # the latter radians
# The number of views that tell most about a shape: detectors err alike in all pictures of a hand,
# so that more are no more evidence.
_SHAPE_VIEWS = 10.0

# The unknowns of a hand: log scale, offset, turn of the whole hand, angles of its joints.
_OFFSET, _TURN, _ANGLES = slice(1, 4), slice(4, 7), slice(7, 52)
# By how much the minimiser thinks of changing scale, place and turn, and an angle at most.
_UNIT, _ANGLE_UNIT = 0.03, 0.1
_SCOUTING, _STEPS = 60, 300  # most steps of all starts, and of the best start of each hand


@dataclass(frozen=True)
class Fit:
    """N fitted hands of one signer; float64 tensors.

    In the picture, ``scale[:, None, None] * layer(betas[None], hand_pose, orient).joints[..., :2]
    + offset[:, None]`` are the landmarks, for a layer whose mean hand is flat.

    Attributes:
        hand_pose: ``(N, 15, 3)`` axis-angle vectors.
        betas: ``(B,)``.
        orient: ``(N, 3, 3)`` rotations from the model's axes to those of the landmarks.
        scale: ``(N,)`` landmark units a metre (weak perspective).
        offset: ``(N, 2)`` where the model's origin lands, in landmark units.
    """

    hand_pose: Tensor
    betas: Tensor
    orient: Tensor
    scale: Tensor
    offset: Tensor


def fit(layer: HandLayer, landmarks: FloatArray, confidence: FloatArray) -> Fit:
    """Fit a hand to landmarks. The same input gives the same output.

    Size and distance cannot be told apart in a picture: ``betas`` keep near the mean size.

    Args:
        layer: the hand to fit, of the side of the landmarks.
        landmarks: ``(N, 21, 3)``, MediaPipe order, pixels with z in the same scale, camera axes (x
            right, y down, z away).
        confidence: ``(N, 21)`` in 0..1, the weight of each landmark; 0: not seen.

    Raises:
        InputError: a hand without three landmarks of the palm: wrist, thumb's first joint,
            knuckles.
    """
    weight = torch.as_tensor(confidence, dtype=torch.float64)
    points = torch.as_tensor(landmarks, dtype=torch.float64)
    points = torch.where(weight[..., None] > 0, points, 0.0)
    whole = (weight[:, PALM] > 0).sum(dim=1) >= 3
    if not whole.all():
        raise InputError(
            f"landmarks: expected at least three of the palm ({', '.join(map(str, PALM))}) to be "
            f"seen, but hand {int(torch.nonzero(~whole)[0])} has fewer; leave it out"
        )
    problem = _Problem(layer)
    guesses = starts(problem.skeleton, problem.limits, points, weight, _DEPTH_WEIGHT)
    # The unit of length becomes the hand size, the origin the hand's.
    unit, origin = (guesses[0].scale * problem.size)[:, None], guesses[0].offset
    seen = (points - origin[:, None]) / unit[..., None]
    still = torch.zeros_like(origin)
    own = torch.cat(
        [
            torch.cat(
                [still[:, :1], (guess.offset - origin) / unit, still, guess.angles.flatten(1)], 1
            )
            for guess in guesses
        ]
    )
    orient = torch.cat([guess.orient for guess in guesses])
    betas = torch.zeros(problem.skeleton.shapes, dtype=torch.float64)

    # All starts at once, of the mean shape and with more patience with outliers.
    several = seen.repeat(len(guesses), 1, 1), weight.repeat(len(guesses), 1)

    def scouted(own: Tensor) -> Tensor:
        return problem.losses(own, betas, orient, *several, 3 * _ROBUST)

    (own,) = _minimised(
        lambda own: scouted(own * problem.units).sum(), _SCOUTING, own / problem.units
    )
    best = scouted(own * problem.units).view(len(guesses), -1).argmin(0)
    best = best * len(points) + torch.arange(len(points))
    own, orient = own[best], orient[best]
    prior = max(len(points) / _SHAPE_VIEWS, 1.0)

    def total(own: Tensor, betas: Tensor) -> Tensor:
        losses = problem.losses(own * problem.units, betas, orient, seen, weight, _ROBUST)
        return losses.sum() + 0.5 * prior * betas.square().sum()

    own, betas = _minimised(total, _STEPS, own, betas)
    own = own * problem.units
    angles = own[:, _ANGLES].reshape(-1, 15, 3)
    return Fit(
        hand_pose=torch.einsum("jcd,njd->njc", problem.skeleton.axes, angles),
        betas=betas,
        orient=axis_angle_to_matrix(own[:, _TURN]) @ orient,
        scale=own[:, 0].exp() * guesses[0].scale,
        offset=(own[:, _OFFSET] * unit + origin)[:, :2],
    )


class _Problem:
    """What is minimised. ``own (N, 52)`` are the unknowns of hands that have been turned by
    ``orient (N, 3, 3)``, whose landmarks in hand sizes are ``exp(log scale) * points + offset``.
    ``units (52,)``: by how much the minimiser thinks of changing each."""

    def __init__(self, layer: HandLayer) -> None:
        tips = layer.tips.tolist()
        axes, limits = joint_frames(layer.template, tips)
        # With the sign of abduction in the axes, pose coordinates are the anatomical angles.
        self.skeleton = Skeleton(layer.template, tips, axes * np.array([1.0, 1.0, -1.0]))
        self.limits = torch.as_tensor(limits)
        self.size = float(palm_size(self.skeleton.rest.numpy()))  # metres
        self._low, self._high = self.limits.flatten(0, 1).unbind(-1)
        self._rest = torch.zeros_like(self._low).clamp(self._low, self._high)
        spread = _POSE_SPREAD * (self._high - self._low).clamp(min=1e-3)
        self.units = torch.cat(
            [spread.new_full((7,), _UNIT), (spread**-2 + _ANGLE_UNIT**-2) ** -0.5]
        )
        self._precision = torch.diag(spread**-2)  # of the habits of hands, 1 / radians^2
        for digit in DIGITS[1:]:
            _, pip, dip = (3 * (joint - 1) for joint in DIGIT_JOINTS[digit])
            tie = torch.zeros_like(spread)
            tie[dip], tie[pip] = 1.0, -_COUPLING
            self._precision += torch.outer(tie, tie) / _COUPLING_SPREAD**2

    def losses(
        self,
        own: Tensor,
        betas: Tensor,
        orient: Tensor,
        seen: Tensor,
        weight: Tensor,
        robust: float,
    ) -> Tensor:
        """Of each hand, but for that of the betas: ``(N,)``.

        Half the sum of ``c^2 log(1 + |r|^2 / c^2)`` of each landmark (Cauchy's loss, r its distance
        in standard deviations, c ``robust``), and of the squared distances of the angles from rest
        and beyond their limits, in standard deviations too.
        """
        angles = own[:, _ANGLES]
        turned = axis_angle_to_matrix(own[:, _TURN]) @ orient
        posed = self.skeleton.landmarks(angles.reshape(-1, 15, 3), betas[None], turned)
        shown = (own[:, 0].exp() / self.size)[:, None, None] * posed + own[:, None, _OFFSET]
        noise = _NOISE / seen.new_tensor([1.0, 1.0, _DEPTH_WEIGHT])
        squared = ((shown - seen) / (noise * robust)).square().sum(-1)
        away, beyond = angles - self._rest, angles - angles.clamp(self._low, self._high)
        of_landmarks = (weight * robust**2 * squared.log1p()).sum(1)
        of_pose = ((away @ self._precision) * away).sum(1) + (beyond / _SOFTNESS).square().sum(1)
        return 0.5 * (of_landmarks + of_pose)


def _minimised(loss: Callable[..., Tensor], steps: int, *start: Tensor) -> list[Tensor]:
    """The arguments for which ``loss`` is least, searched from ``start`` on."""
    found = [values.clone().requires_grad_() for values in start]
    minimiser = torch.optim.LBFGS(
        found, max_iter=steps, history_size=20, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        minimiser.zero_grad()
        value = loss(*found)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        minimiser.step(closure)  # type: ignore[no-untyped-call]
    return [values.detach() for values in found]
