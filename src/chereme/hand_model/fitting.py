"""Poses, shapes and cameras of a hand model from 21 landmarks.

``fit`` finds for each of N hands the ``hand_pose``, ``betas``, orientation, place and scale that
put the landmarks of a ``HandLayer`` where landmarks were seen, within what joints can do. Poses are
angles of flexion, twist and abduction, so that limits and habits can be stated; the palm gives
first guesses of the orientation, a table of poses those of the fingers; Levenberg-Marquardt with
closed-form derivatives does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from chereme.errors import InputError, UsageError
from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from chereme.hand_model.initial_pose import PALM, starts
from chereme.hand_model.joint_limits import joint_frames
from chereme.hand_model.layer import HandLayer
from chereme.hand_model.least_squares import ANGLES, TURN, Objective, State, minimise
from chereme.hand_model.rotations import matrix_to_axis_angle
from chereme.hand_model.skeleton import Skeleton
from chereme.hands.skeleton import palm_size

# Fingers bend their last joint by about two thirds of the middle one (Rijpkema and Girard 1991).
COUPLING = 2 / 3
_SCOUTING = 8  # steps of each start before the best goes on alone


@dataclass(frozen=True)
class FitOptions:
    """Assumptions of ``fit``; lengths are in hand sizes (``chereme.hands.skeleton.palm_size``).

    Attributes:
        noise: standard deviation of a landmark in the picture.
        depth_weight: how much z counts beside x and y, 0..1: its noise is ``noise / depth_weight``.
            MediaPipe guesses z, hence the default; use 1 for measured 3-D joints.
        robust: landmarks farther off than ``robust`` times the noise lose influence.
        pose_spread: share of each joint's range that counts as one standard deviation of its
            angles about rest; large values trust the landmarks more.
        coupling_spread: standard deviation of the last joint's flexion of a finger about what the
            middle joint's lets expect (``COUPLING``), radians.
        softness: excess over a joint's limit that counts as one standard deviation, radians.
        shape_spread: standard deviation of betas.
        shape_views: the number of hands that tell most about ``betas`` that they share: detectors
            err alike in all pictures of a hand, so that more hands are no more evidence.
        turning, bending, moving: standard deviations of changes from one frame of a sequence to
            the next: of the orientation and of each angle in radians, of place and log scale.
        iterations, tolerance: of the minimiser.
    """

    noise: float = 0.03
    depth_weight: float = 0.25
    robust: float = 4.0
    pose_spread: float = 0.6
    coupling_spread: float = 0.35
    softness: float = 0.02
    shape_spread: float = 1.0
    shape_views: float = 10.0
    turning: float = 0.15
    bending: float = 0.2
    moving: float = 0.1
    iterations: int = 40
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name == "depth_weight":
                if not 0 <= value <= 1:
                    raise UsageError(f"depth_weight: expected 0..1, got {value}")
            elif not value > 0:
                raise UsageError(f"{name}: expected a positive number, got {value}")


@dataclass(frozen=True)
class Fit:
    """N fitted hands; float64 tensors on the layer's device.

    With the layer of the fit (if it takes axis-angle poses),
    ``scale[:, None, None] * layer(betas, hand_pose, global_orient, transl).joints`` are ``joints``.

    Attributes:
        hand_pose: ``(N, 15, 3)`` axis-angle vectors, as the layer takes them.
        betas: ``(N, B)``.
        global_orient: ``(N, 3)`` axis-angle, from the model's axes to those of the landmarks.
        transl: ``(N, 3)`` metres; its z is 0 if the landmarks had no depth.
        scale: ``(N,)`` landmark units per metre (weak perspective).
        angles: ``(N, 15, 3)`` the pose as (flexion, twist, abduction), radians; see ``anatomy``.
        joints: ``(N, 21, 3)`` the fitted landmarks in the frame and units of the given ones.
        error: ``(N,)`` mean distance to the seen landmarks in all given coordinates, in hand sizes;
            NaN for frames of a sequence where none was seen.
        image_error: ``(N,)`` the same in x and y alone.
    """

    hand_pose: Tensor
    betas: Tensor
    global_orient: Tensor
    transl: Tensor
    scale: Tensor
    angles: Tensor
    joints: Tensor
    error: Tensor
    image_error: Tensor


def fit(
    layer: HandLayer,
    landmarks: ArrayLike | Tensor,
    *,
    confidence: ArrayLike | Tensor | None = None,
    scale: float | None = None,
    signer: ArrayLike | None = None,
    sequence: bool = False,
    options: FitOptions | None = None,
) -> Fit:
    """Fit a hand to landmarks. No gradients pass through; the same input gives the same output.

    Args:
        layer: the hand to fit; its side must be that of the landmarks (mirror the landmarks, or
            the template, where it is not).
        landmarks: ``(N, 21, 3)`` or ``(N, 21, 2)``, MediaPipe order, camera axes (x right, y down,
            z away): pixels with z in the same scale, or metres. NaN: not seen.
        confidence: ``(N, 21)`` in 0..1, the weight of each landmark; 0: not seen. None: 1.
        scale: landmark units per metre, where known: 1 for metres. None: found for each hand, as
            for image landmarks; then size and distance cannot be told apart, and ``betas`` keep
            near the mean size.
        signer: ``(N,)`` ids; hands of one signer share their ``betas``. None: each its own.
        sequence: the N hands are one recording in order, at a steady rate of about 30 a second:
            they share ``betas`` and move little from one to the next, which also fills in frames
            without landmarks.
        options: assumptions; None: ``FitOptions()``.

    Raises:
        InputError: shapes or values that are not as above; a hand (or, in a sequence, all of them)
            without three landmarks of the palm: wrist, thumb's first joint, knuckles.
        UsageError: ``signer`` together with ``sequence``.
    """
    options = FitOptions() if options is None else options
    if sequence and signer is not None:
        raise UsageError("signer: a sequence is of one signer already; give one or the other")
    points, weight, depth = _checked(landmarks, confidence, layer, sequence, scale)
    count = len(points)
    groups = np.arange(count)
    if sequence:
        groups = np.zeros(count, dtype=np.int64)
    elif signer is not None:
        ids = np.asarray(signer)
        if ids.shape != (count,):
            raise InputError(f"signer: expected ({count},) ids, got shape {ids.shape}")
        groups = np.unique(ids, return_inverse=True)[1]
    with torch.no_grad():
        return _Problem(layer, options, depth, scale).solve(
            points, weight, torch.from_numpy(groups).to(points.device), sequence
        )


def _checked(
    landmarks: ArrayLike | Tensor,
    confidence: ArrayLike | Tensor | None,
    layer: HandLayer,
    sequence: bool,
    scale: float | None,
) -> tuple[Tensor, Tensor, bool]:
    """Landmarks ``(N, 21, 3)`` without NaN, weights ``(N, 21)``, and whether depth was given."""
    device = layer.tips.device
    points = torch.as_tensor(landmarks, dtype=torch.float64, device=device).detach()
    if (
        points.ndim != 3
        or points.shape[1] != 21
        or points.shape[2] not in (2, 3)
        or not len(points)
    ):
        raise InputError(
            "landmarks: expected (N, 21, 3) or (N, 21, 2) of at least one hand, "
            f"got {tuple(points.shape)}"
        )
    if points.isinf().any():
        raise InputError(
            "landmarks: expected finite numbers, or NaN where unseen, got infinite ones"
        )
    if scale is not None and not 0 < scale < np.inf:
        raise InputError(f"scale: expected positive landmark units per metre, got {scale}")
    weight = torch.ones_like(points[..., 0])
    if confidence is not None:
        weight = torch.as_tensor(confidence, dtype=torch.float64, device=device).detach()
        if weight.shape != points.shape[:2] or not bool(((weight >= 0) & (weight <= 1)).all()):
            raise InputError(
                f"confidence: expected {tuple(points.shape[:2])} numbers in 0..1, "
                f"got {tuple(weight.shape)} with values outside or of another shape"
            )
    weight = torch.where(points.isnan().any(dim=-1), 0.0, weight)
    points = torch.where(weight[..., None] > 0, points, 0.0)
    whole = _has_palm(points, weight)
    if not bool(whole.any() if sequence else whole.all()):
        raise InputError(
            f"landmarks: expected at least three of the palm ({', '.join(map(str, PALM))}) to be "
            f"seen, in more than one place, but hand {int(torch.nonzero(~whole)[0])} has fewer; "
            "leave it out"
        )
    depth = points.shape[2] == 3
    return (points if depth else torch.nn.functional.pad(points, (0, 1))), weight, depth


def _has_palm(points: Tensor, weight: Tensor) -> Tensor:
    seen, palm = (weight[:, PALM] > 0)[..., None], points[:, PALM, :2]
    low = torch.where(seen, palm, torch.inf).amin(dim=1)
    high = torch.where(seen, palm, -torch.inf).amax(dim=1)
    return (seen.sum(dim=(1, 2)) >= 3) & (high > low).any(dim=1)


class _Problem:
    """What all hands of a fit have in common."""

    def __init__(
        self, layer: HandLayer, options: FitOptions, depth: bool, scale: float | None
    ) -> None:
        tips = [int(v) for v in layer.tips]
        axes, limits = joint_frames(layer.template, tips)
        # With the sign of abduction in the axes, pose coordinates are the anatomical angles.
        axes = axes * np.array([1.0, 1.0, -1.0])
        device = layer.tips.device
        self.options = options
        self.depth = options.depth_weight if depth else 0.0
        self.has_depth = depth
        self.scale = scale
        self.skeleton = Skeleton(layer.template, tips, axes, device)
        self.limits = torch.tensor(limits, dtype=torch.float64, device=device)
        self.size = float(palm_size(self.skeleton.rest.cpu().numpy()))  # metres
        mean = np.zeros(45) if layer.flat_hand_mean else layer.template.pose_mean
        self.mean = torch.tensor(mean, dtype=torch.float64, device=device).reshape(15, 3)

    def solve(self, points: Tensor, weight: Tensor, groups: Tensor, sequence: bool) -> Fit:
        seen = _nearest(_has_palm(points, weight))
        guesses = starts(
            self.skeleton, self.limits, points[seen], weight[seen], self.scale, self.depth
        )
        # The unit of length becomes the hand size, the origin the hand's.
        unit, origin = guesses[0].scale * self.size, guesses[0].offset
        if sequence:
            unit, origin = (
                unit.median().expand_as(unit),
                origin.median(dim=0).values.expand_as(origin),
            )
        local = (points - origin[:, None]) / unit[:, None, None]
        objective = self._objective(local, weight, groups)
        steps = self._steps(points.device) if sequence else None
        own = torch.arange(len(points), device=points.device)
        scout = replace(
            objective,
            groups=own,
            shape_weight=self._shape_weight(own),
            free_shape=False,
            robust=3 * self.options.robust,
        )
        states, costs = [], []
        for guess in guesses:
            state = State(
                guess.orient,
                guess.angles,
                (guess.scale / unit).log(),
                (guess.offset - origin) / unit[:, None],
                points.new_zeros(len(points), self.skeleton.shapes),
            )
            state, cost = minimise(scout, state, iterations=_SCOUTING, tolerance=1e-3)
            states.append(state)
            costs.append(cost)
        best = (
            _best_path(states, costs, steps) if steps is not None else torch.stack(costs).argmin(0)
        )
        state = states[0]
        for index, other in enumerate(states[1:], start=1):
            state = state.pick(best == index, other, own)
        state = replace(state, betas=state.betas[: int(groups.max()) + 1])
        state, _ = minimise(
            replace(objective, steps=steps),
            state,
            iterations=self.options.iterations,
            tolerance=self.options.tolerance,
        )
        return self._result(state, groups, unit, origin, points, weight)

    def _steps(self, device: torch.device) -> Tensor:
        o = self.options
        return torch.tensor(
            [o.moving] * 4 + [o.turning] * 3 + [o.bending] * 45, dtype=torch.float64, device=device
        )

    def _precision(self) -> Tensor:
        """``(45, 45)`` of the habits of hands, 1 / radians^2."""
        low, high = self.limits.flatten(0, 1).unbind(-1)
        precision = torch.diag((self.options.pose_spread * (high - low).clamp(min=1e-3)) ** -2)
        for digit in DIGITS[1:]:
            _, pip, dip = (3 * (joint - 1) for joint in DIGIT_JOINTS[digit])
            tie = torch.zeros_like(low)
            tie[dip], tie[pip] = 1.0, -COUPLING
            precision += torch.outer(tie, tie) / self.options.coupling_spread**2
        return precision

    def _shape_weight(self, groups: Tensor) -> Tensor:
        """``(G,)`` of the squared betas of each group."""
        hands = torch.bincount(groups).to(torch.float64)
        return (hands / self.options.shape_views).clamp(min=1) / self.options.shape_spread**2

    def _objective(self, local: Tensor, weight: Tensor, groups: Tensor) -> Objective:
        options, limits = self.options, self.limits
        axes = torch.tensor([1.0, 1.0, self.depth], dtype=local.dtype, device=local.device)
        low, high = limits.unbind(-1)
        return Objective(
            skeleton=self.skeleton,
            landmarks=local,
            weight=weight,
            axes=axes / options.noise,
            groups=groups,
            limits=limits,
            centre=torch.zeros_like(low).clamp(low, high),
            precision=self._precision(),
            softness=options.softness,
            shape_weight=self._shape_weight(groups),
            robust=options.robust,
            free_scale=self.scale is None,
        )

    def _result(
        self,
        state: State,
        groups: Tensor,
        unit: Tensor,
        origin: Tensor,
        points: Tensor,
        weight: Tensor,
    ) -> Fit:
        betas = state.betas[groups]
        scale = state.log_scale.exp() * unit
        offset = state.offset * unit[:, None] + origin
        if not self.has_depth:
            offset = offset * torch.tensor([1.0, 1.0, 0.0]).to(offset)
        posed = self.skeleton.landmarks(state.angles, betas, state.orient)
        joints = scale[:, None, None] * posed + offset[:, None]
        size = torch.as_tensor(palm_size(joints.cpu().numpy()), device=joints.device)
        away, seen = joints - points, (weight > 0).to(weight)

        def mean(distance: Tensor) -> Tensor:
            return (seen * distance).sum(dim=1) / seen.sum(dim=1) / size

        image_error = mean(away[..., :2].norm(dim=-1))
        vector = torch.einsum("jcd,njd->njc", self.skeleton.axes, state.angles)
        return Fit(
            hand_pose=vector - self.mean,
            betas=betas,
            global_orient=matrix_to_axis_angle(state.orient),
            transl=offset / scale[:, None],
            scale=scale,
            angles=state.angles,
            joints=joints,
            error=mean(away.norm(dim=-1)) if self.has_depth else image_error,
            image_error=image_error,
        )


def _nearest(there: Tensor) -> Tensor:
    """``(N,)``: for each index the nearest one where ``there`` holds."""
    index = torch.arange(len(there), device=there.device)
    known = index[there]
    right = torch.searchsorted(known, index).clamp(max=len(known) - 1)
    left = (right - 1).clamp(min=0)
    nearer = (known[right] - index).abs() < (known[left] - index).abs()
    return torch.where(nearer, known[right], known[left])


def _best_path(states: list[State], costs: list[Tensor], steps: Tensor) -> Tensor:
    """The start of each frame ``(N,)`` with the least cost and change together (Viterbi)."""
    cost = torch.stack(costs, dim=1)  # (N, S)
    orient = torch.stack([s.orient for s in states], dim=1)
    angles = torch.stack([s.angles.flatten(1) for s in states], dim=1) / steps[ANGLES]
    turned = orient[1:, :, None] @ orient[:-1, None].transpose(-1, -2)
    change = (matrix_to_axis_angle(turned) / steps[TURN]).square().sum(dim=-1)
    change = change + (angles[1:, :, None] - angles[:-1, None]).square().sum(dim=-1)
    total, came = cost[0], []
    for frame in range(1, len(cost)):
        through = 0.5 * change[frame - 1] + total  # to, from
        came.append(through.argmin(dim=1))
        total = cost[frame] + through.amin(dim=1)
    path = [int(total.argmin())]
    for previous in reversed(came):
        path.append(int(previous[path[-1]]))
    return torch.tensor(path[::-1], device=cost.device)
