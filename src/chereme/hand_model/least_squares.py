"""Levenberg-Marquardt for many hands at once: the objective of ``fitting`` and its minimiser.

Each hand has a block of unknowns of its own (turn, angles, scale, offset); betas may be shared by a
group of hands, and the frames of a sequence are tied to their neighbours. The normal equations are
thus an arrow: the blocks, and a border for the betas of each group that a Schur complement takes
out. Unconnected blocks are solved in one batch, a sequence as one banded system.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from chereme.hand_model.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from chereme.hand_model.skeleton import Skeleton

# The unknowns of a hand's block.
SCALE, OFFSET, TURN, ANGLES = 0, slice(1, 4), slice(4, 7), slice(7, 52)
BLOCK = 52
_CHUNK = 64  # hands whose derivatives stay in the processor's cache
_DAMPING = (1e-3, 1e-9, 1e9)  # first, least, most
_TINY = 1e-9  # keeps unknowns in place that nothing depends on, such as the depth in a picture


@dataclass(frozen=True)
class State:
    """Unknowns of N hands in G groups: ``orient (N, 3, 3)``, ``angles (N, 15, 3)`` (flexion, twist,
    abduction), ``log_scale (N,)``, ``offset (N, 3)``, ``betas (G, B)``. Landmarks are
    ``exp(log_scale) * points + offset``."""

    orient: Tensor
    angles: Tensor
    log_scale: Tensor
    offset: Tensor
    betas: Tensor

    def take(self, groups: Tensor, hands: Tensor) -> State:
        """The part of the groups and hands chosen by masks or indices."""
        return State(
            self.orient[hands],
            self.angles[hands],
            self.log_scale[hands],
            self.offset[hands],
            self.betas[groups],
        )

    def put(self, hands: Tensor, groups: Tensor, part: State) -> State:
        """This state with ``part`` at those indices."""
        return State(
            self.orient.index_put((hands,), part.orient),
            self.angles.index_put((hands,), part.angles),
            self.log_scale.index_put((hands,), part.log_scale),
            self.offset.index_put((hands,), part.offset),
            self.betas.index_put((groups,), part.betas),
        )

    def pick(self, better: Tensor, other: State, groups: Tensor) -> State:
        """``other`` for the groups where ``better (G,)``, else self."""

        def choose(new: Tensor, old: Tensor, where: Tensor) -> Tensor:
            return torch.where(where.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        hands = better[groups]
        return State(
            choose(other.orient, self.orient, hands),
            choose(other.angles, self.angles, hands),
            choose(other.log_scale, self.log_scale, hands),
            choose(other.offset, self.offset, hands),
            choose(other.betas, self.betas, better),
        )


@dataclass(frozen=True)
class Objective:
    """What is minimised, half the sum of:

    - ``c^2 log(1 + |r|^2 / c^2)`` of each landmark (Cauchy's loss, ``c = robust``), times
      ``weight (N, 21)``; r is the distance to ``landmarks (N, 21, 3)`` times ``axes (3,)``;
    - ``d^T precision d`` of the angles' distances ``d (45,)`` to ``centre (15, 3)``, and the
      squares of what exceeds ``limits (15, 3, 2)``, over ``softness``;
    - ``shape_weight (G,) |betas|^2`` of each group;
    - in a sequence, the squared changes from frame to frame over ``steps (52,)``.

    ``groups (N,)`` says whose betas a hand has.
    """

    skeleton: Skeleton
    landmarks: Tensor
    weight: Tensor
    axes: Tensor
    groups: Tensor
    limits: Tensor
    centre: Tensor
    precision: Tensor
    softness: float
    shape_weight: Tensor
    robust: float
    free_scale: bool
    free_shape: bool = True
    steps: Tensor | None = None

    def take(self, groups: Tensor, hands: Tensor) -> Objective:
        """The part of the groups and hands chosen by masks."""
        numbers = groups.cumsum(0) - 1
        return replace(
            self,
            landmarks=self.landmarks[hands],
            weight=self.weight[hands],
            groups=numbers[self.groups[hands]],
            shape_weight=self.shape_weight[groups],
        )


@dataclass(frozen=True)
class _Equations:
    """Cost ``(G,)`` and normal equations: blocks ``(N, 52, 52)``, border ``(N, 52, B)``, corners
    ``(G, B, B)``, and the gradients of the two kinds of unknowns."""

    cost: Tensor
    blocks: Tensor
    border: Tensor
    corner: Tensor
    gradient: Tensor
    shape_gradient: Tensor

    def take(self, groups: Tensor, hands: Tensor) -> _Equations:
        return _Equations(
            self.cost[groups],
            self.blocks[hands],
            self.border[hands],
            self.corner[groups],
            self.gradient[hands],
            self.shape_gradient[groups],
        )

    def pick(self, better: Tensor, other: _Equations, groups: Tensor) -> _Equations:
        hands = better[groups]
        return _Equations(
            torch.where(better, other.cost, self.cost),
            torch.where(hands[:, None, None], other.blocks, self.blocks),
            torch.where(hands[:, None, None], other.border, self.border),
            torch.where(better[:, None, None], other.corner, self.corner),
            torch.where(hands[:, None], other.gradient, self.gradient),
            torch.where(better[:, None], other.shape_gradient, self.shape_gradient),
        )


def minimise(
    objective: Objective, state: State, *, iterations: int, tolerance: float
) -> tuple[State, Tensor]:
    """At most ``iterations`` steps of each group, until a step gains less than the share
    ``tolerance`` of the cost. Returns the state and its cost ``(G,)``."""
    first, least, most = _DAMPING
    damping = torch.full_like(state.betas[:, 0], first)
    equations = _linearise(objective, state)
    cost = equations.cost
    groups = torch.arange(len(cost), device=cost.device)  # still at work
    hands = torch.arange(len(state.orient), device=cost.device)
    whole = state
    for _ in range(iterations):
        trial = _step(objective, state, equations, damping)
        there = _linearise(objective, trial)
        better = there.cost < equations.cost
        gain = (equations.cost - there.cost) / equations.cost.clamp(min=1e-12)
        settled = torch.where(better, gain < tolerance, damping > 1e3)
        state = state.pick(better, trial, objective.groups)
        equations = equations.pick(better, there, objective.groups)
        damping = torch.where(better, damping * 0.2, damping * 8).clamp(least, most)
        if bool(settled.any()):
            whole = whole.put(hands, groups, state)
            cost = cost.index_put((groups,), equations.cost)
            if bool(settled.all()):
                break
            on, left = ~settled, ~settled[objective.groups]
            objective, state = objective.take(on, left), state.take(on, left)
            equations, damping = equations.take(on, left), damping[on]
            groups, hands = groups[on], hands[left]
    return whole.put(hands, groups, state), cost.index_put((groups,), equations.cost)


def _linearise(objective: Objective, state: State) -> _Equations:
    groups, betas = objective.groups, state.betas[objective.groups]
    chunks = torch.split(torch.arange(len(groups), device=groups.device), _CHUNK)
    parts = [_by_landmarks(objective, state, betas, rows) for rows in chunks]
    loss, normal, slope = (torch.cat(part) for part in zip(*parts, strict=True))
    blocks, border = normal[:, :BLOCK, :BLOCK].clone(), normal[:, :BLOCK, BLOCK:]
    gradient = slope[:, :BLOCK].clone()

    away = (state.angles - objective.centre).flatten(1)
    pull = away @ objective.precision
    low, high = objective.limits.unbind(-1)
    beyond = (state.angles - state.angles.clamp(low, high)) / objective.softness
    beyond = beyond.flatten(1)
    loss = loss + (away * pull).sum(dim=1) + beyond.square().sum(dim=1)
    gradient[:, ANGLES] += pull + beyond / objective.softness
    blocks[:, ANGLES, ANGLES] += objective.precision
    blocks.diagonal(dim1=1, dim2=2)[:, ANGLES] += (beyond != 0) / objective.softness**2
    if objective.steps is not None:
        loss[1:] += _tie(objective.steps, state, blocks, gradient)

    def total(values: Tensor) -> Tensor:
        out = values.new_zeros(len(state.betas), *values.shape[1:])
        return out.index_add_(0, groups, values)

    prior = objective.shape_weight[:, None]
    corner = total(normal[:, BLOCK:, BLOCK:])
    corner.diagonal(dim1=1, dim2=2).add_(prior)
    return _Equations(
        0.5 * (total(loss) + (prior * state.betas.square()).sum(dim=1)),
        blocks,
        border,
        corner,
        gradient,
        total(slope[:, BLOCK:]) + prior * state.betas,
    )


def _by_landmarks(
    objective: Objective, state: State, betas: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The landmarks' loss ``(n,)``, and the normal matrix and gradient of all of a hand's unknowns,
    its betas last."""
    points, by_hand = objective.skeleton.derivatives(
        state.angles[rows], betas[rows], state.orient[rows]
    )
    scale = state.log_scale[rows].exp()[:, None, None]
    shown = scale * points
    by_scale = shown[..., None] * float(objective.free_scale)
    away = shown + state.offset[rows, None] - objective.landmarks[rows]
    squared = (away * objective.axes).square().sum(dim=-1) / objective.robust**2  # (n, 21)
    weight = objective.weight[rows]
    loss = (weight * objective.robust**2 * squared.log1p()).sum(dim=1)
    # Iteratively reweighted least squares: the loss's slope is the weight of the square.
    root = (weight / (1 + squared)).sqrt()[..., None] * objective.axes  # (n, 21, 3)
    eye = torch.eye(3, dtype=points.dtype, device=points.device).expand(len(points), 21, 3, 3)
    jacobian = torch.cat([by_scale, eye, by_hand.mul_(scale[..., None])], dim=-1)
    jacobian = jacobian.mul_(root[..., None]).flatten(1, 2)  # (n, 63, 52 + B)
    if not objective.free_shape:
        jacobian[..., BLOCK:] = 0
    transposed = jacobian.transpose(1, 2)
    slope = (transposed @ (root * away).flatten(1)[..., None])[..., 0]
    return loss, transposed @ jacobian, slope


def _tie(steps: Tensor, state: State, blocks: Tensor, gradient: Tensor) -> Tensor:
    """Adds the changes between frames to the equations in place; returns their loss ``(N - 1,)``.

    The change of orientation is a rotation vector, whose slope is taken to be one."""
    turned = matrix_to_axis_angle(state.orient[1:] @ state.orient[:-1].transpose(1, 2))
    placed = torch.cat([state.log_scale[:, None], state.offset], dim=1).diff(dim=0)
    change = torch.cat([placed, turned, state.angles.flatten(1).diff(dim=0)], dim=1)
    stiff = steps**-2
    pull = change * stiff
    gradient[1:] += pull
    gradient[:-1] -= pull
    diagonal = blocks.diagonal(dim1=1, dim2=2)
    diagonal[1:] += stiff
    diagonal[:-1] += stiff
    return (change * pull).sum(dim=1)


def _step(objective: Objective, state: State, equations: _Equations, damping: Tensor) -> State:
    groups, count = objective.groups, len(state.betas)
    blocks = equations.blocks.clone()
    diagonal = blocks.diagonal(dim1=1, dim2=2)
    diagonal += damping[groups, None] * diagonal + _TINY
    sides = torch.cat([equations.gradient[..., None], equations.border], dim=2)
    if objective.steps is None:
        solved = torch.cholesky_solve(sides, torch.linalg.cholesky(blocks))
    else:
        solved = _solve_sequence(blocks, objective.steps, sides)
    corner = equations.corner.clone()
    corner.diagonal(dim1=1, dim2=2).mul_(1 + damping[:, None])
    reduced = equations.border.transpose(1, 2) @ solved  # (N, B, 1 + B)
    taken = reduced.new_zeros(count, *reduced.shape[1:]).index_add_(0, groups, reduced)
    right = equations.shape_gradient - taken[..., 0]
    shape = torch.linalg.solve(corner - taken[..., 1:], right)
    step = solved[..., 0] - (solved[..., 1:] @ shape[groups][..., None])[..., 0]
    # A step of more than a radian leaves the region where the equations say anything.
    step = step * (1.0 / step[:, TURN.start :].abs().amax(dim=1, keepdim=True).clamp(min=1.0))
    return State(
        axis_angle_to_matrix(-step[:, TURN]) @ state.orient,
        state.angles - step[:, ANGLES].reshape(-1, 15, 3),
        state.log_scale - step[:, SCALE],
        state.offset - step[:, OFFSET],
        state.betas - shape,
    )


def _solve_sequence(blocks: Tensor, steps: Tensor, sides: Tensor) -> Tensor:
    """Solves with ``blocks (N, 52, 52)`` on the diagonal and ``-1 / steps^2`` between neighbours.

    The couplings are diagonal, so that the whole matrix is banded, one block wide."""
    count, size = blocks.shape[:2]
    band = np.zeros((size + 1, count, size))  # lower form: band[i - j, j]
    dense = blocks.cpu().numpy()
    for below in range(size):
        rows = np.arange(below, size)
        band[below][:, : size - below] = dense[:, rows, rows - below]
    band[size, :-1] = -(steps.cpu().numpy() ** -2.0)
    right = sides.reshape(count * size, -1).cpu().numpy()
    solved = solveh_banded(band.reshape(size + 1, -1), right, lower=True)
    return torch.from_numpy(solved).reshape(sides.shape).to(sides)
