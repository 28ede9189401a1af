"""Poses, shapes and cameras of a hand model from 21 landmarks.

``fit`` finds for each of N hands the ``hand_pose``, ``betas``, orientation, place and scale that
put the landmarks of a ``HandLayer`` where landmarks were seen, within what joints can do. Poses are
angles of flexion, twist and abduction, so that limits and habits can be stated; the palm gives
first guesses of the orientation, a table of poses those of the fingers; Levenberg-Marquardt on the
derivatives of `torch.func` does the rest. The normal equations are an arrow: a block for each hand,
and a border for the betas that hands may share, which a Schur complement takes out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from chereme.errors import InputError, UsageError
from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from chereme.hand_model.initial_pose import PALM, starts
from chereme.hand_model.joint_limits import joint_frames
from chereme.hand_model.layer import HandLayer
from chereme.hand_model.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from chereme.hand_model.skeleton import Skeleton
from chereme.hands.skeleton import palm_size

# Fingers bend their last joint by about two thirds of the middle one (Rijpkema and Girard 1991).
COUPLING = 2 / 3
_SCOUTING = 8  # steps of each start before the best goes on alone
# The unknowns of a hand: log scale, offset, turn of the whole hand, angles of its joints.
_OFFSET, _TURN, _ANGLES, _OWN = slice(1, 4), slice(4, 7), slice(7, 52), 52
_DAMPING = (1e-3, 1e-9, 1e9)  # first, least, most
_CHUNK = 64  # hands whose derivatives stay in the cache of a processor
_TINY = 1e-9  # keeps unknowns in place that nothing depends on, such as the depth in a picture


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
        error: ``(N,)`` mean distance to the seen landmarks in all given coordinates, in hand sizes.
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
        options: assumptions; None: ``FitOptions()``.

    Raises:
        InputError: shapes or values that are not as above; a hand without three landmarks of the
            palm: wrist, thumb's first joint, knuckles.
    """
    options = FitOptions() if options is None else options
    points, weight, depth = _checked(landmarks, confidence, layer, scale)
    groups = np.arange(len(points))
    if signer is not None:
        ids = np.asarray(signer)
        if ids.shape != groups.shape:
            raise InputError(f"signer: expected {groups.shape} ids, got shape {ids.shape}")
        groups = np.unique(ids, return_inverse=True)[1]
    with torch.no_grad():
        problem = _Problem(layer, options, depth, scale)
        return problem.solve(points, weight, torch.from_numpy(groups).to(points.device))


def _checked(
    landmarks: ArrayLike | Tensor,
    confidence: ArrayLike | Tensor | None,
    layer: HandLayer,
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
    if not whole.all():
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


@dataclass(frozen=True)
class _State:
    """N hands in G groups: ``orient (N, 3, 3)``, ``own (N, 52)`` without a turn, ``betas (G, B)``.
    Landmarks are ``exp(log scale) * points + offset``."""

    orient: Tensor
    own: Tensor
    betas: Tensor

    def where(self, better: Tensor, other: _State, groups: Tensor) -> _State:
        """``other`` for the groups where ``better (G,)``, else self."""
        hands = better[groups]
        return _State(
            torch.where(hands[:, None, None], other.orient, self.orient),
            torch.where(hands[:, None], other.own, self.own),
            torch.where(better[:, None], other.betas, self.betas),
        )


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
        self.precision = self._precision()

    def solve(self, points: Tensor, weight: Tensor, groups: Tensor) -> Fit:
        guesses = starts(self.skeleton, self.limits, points, weight, self.scale, self.depth)
        # The unit of length becomes the hand size, the origin the hand's.
        unit, origin = guesses[0].scale * self.size, guesses[0].offset
        local = (points - origin[:, None]) / unit[:, None, None]
        own = torch.arange(len(points), device=points.device)
        betas = points.new_zeros(len(points), self.skeleton.shapes)
        states, costs = [], []
        for guess in guesses:
            log_scale, offset = (guess.scale / unit).log(), (guess.offset - origin) / unit[:, None]
            parts = [log_scale[:, None], offset, torch.zeros_like(offset), guess.angles.flatten(1)]
            state = _State(guess.orient, torch.cat(parts, 1), betas)
            state, cost = self._minimise(state, local, weight, own, scouting=True)
            states.append(state)
            costs.append(cost)
        best, state = torch.stack(costs).argmin(0), states[0]
        for index, other in enumerate(states[1:], start=1):
            state = state.where(best == index, other, own)
        state = _State(state.orient, state.own, betas[: int(groups.max()) + 1])
        state, _ = self._minimise(state, local, weight, groups)
        return self._result(state, groups, unit, origin, points, weight)

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

    def _points(self, values: Tensor, orient: Tensor) -> Tensor:
        """``(N, 21, 3)`` of unknowns ``values (N, 52 + B)``, in the units of the fit."""
        turned = axis_angle_to_matrix(values[:, _TURN]) @ orient
        angles = values[:, _ANGLES].reshape(-1, 15, 3)
        posed = self.skeleton.landmarks(angles, values[:, _OWN:], turned)
        return values[:, 0].exp()[:, None, None] * posed + values[:, None, _OFFSET]

    def _minimise(
        self, state: _State, seen: Tensor, weight: Tensor, groups: Tensor, scouting: bool = False
    ) -> tuple[_State, Tensor]:
        """Levenberg-Marquardt until a step of each group gains less than ``tolerance`` of its cost.

        Minimised is half the sum of ``c^2 log(1 + |r|^2 / c^2)`` of each landmark (Cauchy's loss,
        r its distance in standard deviations), of the angles' distances from rest, of what exceeds
        the limits, and of the squared betas. ``scouting``: a few steps, of the mean shape, with
        more patience with outliers. Returns the state and its cost ``(G,)``.
        """
        o, device = self.options, seen.device
        robust = o.robust * (3 if scouting else 1)
        axes = torch.tensor([1.0, 1.0, self.depth], dtype=seen.dtype, device=device) / o.noise
        low, high = self.limits.flatten(0, 1).unbind(-1)
        rest = torch.zeros_like(low).clamp(low, high)
        hands = torch.bincount(groups).to(seen)
        prior = ((hands / o.shape_views).clamp(min=1) / o.shape_spread**2)[:, None]

        def total(values: Tensor) -> Tensor:
            out = values.new_zeros(len(state.betas), *values.shape[1:])
            return out.index_add_(0, groups, values)

        def cost(at: _State) -> Tensor:
            shown = self._points(torch.cat([at.own, at.betas[groups]], 1), at.orient)
            squared = ((shown - seen) * axes).square().sum(-1) / robust**2
            away = at.own[:, _ANGLES] - rest
            beyond = away + rest - (away + rest).clamp(low, high)
            loss = (weight * robust**2 * squared.log1p()).sum(1)
            loss = loss + ((away @ self.precision) * away).sum(1)
            loss = loss + (beyond / o.softness).square().sum(1)
            return 0.5 * (total(loss) + (prior * at.betas.square()).sum(1))

        def one(values: Tensor, orient: Tensor) -> Tensor:
            return self._points(values[None], orient[None])[0]

        derivative = torch.func.vmap(torch.func.jacfwd(one), chunk_size=_CHUNK)

        def step(at: _State, damping: Tensor) -> _State:
            values = torch.cat([at.own, at.betas[groups]], 1)
            away = self._points(values, at.orient) - seen
            # Iteratively reweighted least squares: the loss's slope is the weight of the square.
            squared = (away * axes).square().sum(-1) / robust**2
            root = (weight / (1 + squared)).sqrt()[..., None] * axes
            jacobian = (derivative(values, at.orient) * root[..., None]).flatten(1, 2)
            if self.scale is not None:
                jacobian[..., 0] = 0
            if scouting:
                jacobian[..., _OWN:] = 0
            normal = jacobian.mT @ jacobian
            slope = (jacobian.mT @ (root * away).flatten(1)[..., None])[..., 0]
            blocks, border = normal[:, :_OWN, :_OWN], normal[:, :_OWN, _OWN:]
            angles = at.own[:, _ANGLES]
            beyond = angles - angles.clamp(low, high)
            slope[:, _ANGLES] += (angles - rest) @ self.precision + beyond / o.softness**2
            blocks[:, _ANGLES, _ANGLES] += self.precision
            diagonal = blocks.diagonal(dim1=1, dim2=2)
            diagonal[:, _ANGLES] += (beyond != 0) / o.softness**2
            diagonal += damping[groups, None] * diagonal + _TINY
            sides = torch.cat([slope[:, :_OWN, None], border], 2)
            solved = torch.cholesky_solve(sides, torch.linalg.cholesky(blocks))
            taken = total(border.mT @ solved)  # (G, B, 1 + B)
            corner = total(normal[:, _OWN:, _OWN:])
            corner.diagonal(dim1=1, dim2=2).add_(prior).mul_(1 + damping[:, None])
            right = total(slope[:, _OWN:]) + prior * at.betas - taken[..., 0]
            shape = torch.linalg.solve(corner - taken[..., 1:], right)
            change = solved[..., 0] - (solved[..., 1:] @ shape[groups][..., None])[..., 0]
            # A step of more than a radian leaves the region where the equations say anything.
            change = change / change[:, _TURN.start :].abs().amax(1, keepdim=True).clamp(min=1.0)
            own = at.own - change
            orient = axis_angle_to_matrix(own[:, _TURN]) @ at.orient
            own[:, _TURN] = 0.0
            return _State(orient, own, at.betas - shape)

        damping = torch.full_like(prior[:, 0], _DAMPING[0])
        now, done = cost(state), torch.zeros_like(damping, dtype=torch.bool)
        for _ in range(_SCOUTING if scouting else o.iterations):
            trial = step(state, damping)
            then = cost(trial)
            better = (then < now) & ~done
            gain = (now - then) / now.clamp(min=1e-12)
            tolerance = 1e-3 if scouting else o.tolerance
            done |= torch.where(better, gain < tolerance, damping > 1e3)
            state, now = state.where(better, trial, groups), torch.where(better, then, now)
            damping = torch.where(better, damping * 0.2, damping * 8).clamp(*_DAMPING[1:])
            if bool(done.all()):
                break
        return state, now

    def _result(
        self,
        state: _State,
        groups: Tensor,
        unit: Tensor,
        origin: Tensor,
        points: Tensor,
        weight: Tensor,
    ) -> Fit:
        betas = state.betas[groups]
        scale = state.own[:, 0].exp() * unit
        offset = state.own[:, _OFFSET] * unit[:, None] + origin
        angles = state.own[:, _ANGLES].reshape(-1, 15, 3)
        if not self.has_depth:
            offset = offset * torch.tensor([1.0, 1.0, 0.0]).to(offset)
        posed = self.skeleton.landmarks(angles, betas, state.orient)
        joints = scale[:, None, None] * posed + offset[:, None]
        size = torch.as_tensor(palm_size(joints.cpu().numpy()), device=joints.device)
        away, seen = joints - points, (weight > 0).to(weight)

        def mean(distance: Tensor) -> Tensor:
            return (seen * distance).sum(dim=1) / seen.sum(dim=1) / size

        image_error = mean(away[..., :2].norm(dim=-1))
        vector = torch.einsum("jcd,njd->njc", self.skeleton.axes, angles)
        return Fit(
            hand_pose=vector - self.mean,
            betas=betas,
            global_orient=matrix_to_axis_angle(state.orient),
            transl=offset / scale[:, None],
            scale=scale,
            angles=angles,
            joints=joints,
            error=mean(away.norm(dim=-1)) if self.has_depth else image_error,
            image_error=image_error,
        )
