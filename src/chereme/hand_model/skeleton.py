"""The 21 landmarks of a hand and their derivatives, without its skin.

Fitting needs a hand's landmarks and how they change with pose and shape, thousands of times, but of
the mesh only the five fingertips. ``Skeleton`` keeps of a ``HandTemplate`` the joints (its joint
regressor applied to the mean shape and to each shape direction, which is exact as both are linear)
and the tip vertices, and gives the same landmarks as ``HandLayer`` together with their closed-form
Jacobian: turning a joint moves what hangs on it by axis x lever (the geometric Jacobian of a
kinematic chain), shape moves the rest positions that the posed bones carry along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chereme.hand_model.rotations import axis_angle_to_matrix
from chereme.hand_model.template import HandTemplate
from chereme.hands.skeleton import TIPS

# The 16 model joints followed by the tips (thumb .. little), in MediaPipe order.
MEDIAPIPE_ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)


class Skeleton:
    """Landmarks of a template.

    Args:
        template: any ``HandTemplate``.
        tips: the five fingertip vertices, thumb first.
        axes: ``(15, 3, 3)`` the basis of each joint, in columns, in which pose coordinates are
            written: the axis-angle vector of joint j is ``axes[j] @ pose[j]``.
    """

    def __init__(
        self,
        template: HandTemplate,
        tips: Sequence[int],
        axes: NDArray[np.floating[Any]],
        device: torch.device | None = None,
    ) -> None:
        def tensor(array: NDArray[Any]) -> Tensor:
            return torch.as_tensor(array, dtype=torch.float64, device=device)

        self.axes = tensor(axes)
        self.parents = [int(parent) for parent in template.parents]
        regressor, shapedirs = tensor(template.joint_regressor), tensor(template.shapedirs)
        self.rest_joints = regressor @ tensor(template.v_template)  # (16, 3)
        self.joint_dirs = torch.einsum("jv,vcb->jcb", regressor, shapedirs)
        ids = torch.tensor(tips, device=device)
        order = torch.tensor(MEDIAPIPE_ORDER, device=device)
        eye = torch.eye(len(self.parents), dtype=torch.float64, device=device)
        self.rest = torch.cat([self.rest_joints, tensor(template.v_template)[ids]])[order]
        self.dirs = torch.cat([self.joint_dirs, shapedirs[ids]])[order]
        self.weights = torch.cat([eye, tensor(template.weights)[ids]])[order]  # (21, 16)
        # Pose blend shapes move the tips only: joints are not corrected for pose.
        posedirs = tensor(template.posedirs)[ids]
        self.pose_dirs = torch.cat([posedirs.new_zeros(16, *posedirs.shape[1:]), posedirs])[order]
        self._corrected = bool(posedirs.any())
        self._tips = list(TIPS)
        below = eye.clone()  # below[j, k] = 1 where bone k moves with joint j
        for joint in range(len(self.parents) - 1, 0, -1):
            below[self.parents[joint]] += below[joint]
        self._share = torch.einsum("jk,vk->vjk", below, self.weights)

    @property
    def shapes(self) -> int:
        """The number of betas."""
        return self.dirs.shape[-1]

    def landmarks(self, pose: Tensor, betas: Tensor, orient: Tensor) -> Tensor:
        """``(N, 21, 3)`` landmarks in metres, MediaPipe order, in the outer frame.

        Args:
            pose: ``(N, 15, 3)`` coordinates in ``axes``, radians (nothing is added to them).
            betas: ``(N, B)``.
            orient: ``(N, 3, 3)`` rotations of the whole hand about its wrist joint.
        """
        return self._pose(pose, betas, orient)[0]

    def derivatives(self, pose: Tensor, betas: Tensor, orient: Tensor) -> tuple[Tensor, Tensor]:
        """The landmarks ``(N, 21, 3)`` and their Jacobian ``(N, 21, 3, 48 + B)``; arguments as of
        ``landmarks``.

        Columns: a turn of the whole hand about the wrist (a small rotation vector in the outer
        frame), three coordinates of each of the joints 1..15, the betas.
        """
        posed, carried, bones, origins, local = self._pose(pose, betas, orient)
        # What hangs on each joint, weighted by its skin weights, seen from the joint.
        lever = self._share.sum(-1)[..., None] * (posed[:, :, None] - origins[:, None])
        blended = torch.einsum("vjk,nvkc->nvjc", self._share[self._tips], carried[:, self._tips])
        total = self._share[self._tips].sum(-1)[..., None]
        lever[:, self._tips] = blended - total * origins[:, None]  # (N, 21, 16, 3)
        vector = torch.einsum("jcd,njd->njc", self.axes, pose)
        spin = _left_jacobian(vector) @ self.axes  # in the parent's frame
        eye = torch.eye(3, dtype=pose.dtype, device=pose.device).expand(len(pose), 1, 3, 3)
        axes = torch.cat([eye, bones[:, self.parents[1:]] @ spin], dim=1)  # (N, 16, 3, 3)
        jacobian = posed.new_empty(*posed.shape, 48 + self.shapes)
        turn = jacobian[..., :48].view(*posed.shape, 16, 3)
        for c, (d, e) in enumerate(((1, 2), (2, 0), (0, 1))):  # axis x lever
            torch.mul(axes[:, None, :, d], lever[..., e, None], out=turn[:, :, c])
            turn[:, :, c] -= axes[:, None, :, e] * lever[..., d, None]
        if self._corrected:
            change = _skew(spin.transpose(-1, -2)) @ local[:, :, None]  # (N, 15, 3, 3, 3)
            by_joint = self.pose_dirs[self._tips].reshape(-1, 3, 15, 9)
            moved = torch.einsum("tcjm,njdm->ntcjd", by_joint, change.flatten(-2))
            blend = torch.einsum("tk,nkce->ntce", self.weights[self._tips], bones)
            turn[:, self._tips, :, 1:] += torch.einsum("ntce,ntejd->ntcjd", blend, moved)
        jacobian[..., 48:] = self._by_shape(bones)
        return posed, jacobian

    def _by_shape(self, bones: Tensor) -> Tensor:
        """``(N, 21, 3, B)``: by the betas."""
        shift = [self.joint_dirs[0].expand(len(bones), -1, -1)]
        for joint, parent in list(enumerate(self.parents))[1:]:
            along = self.joint_dirs[joint] - self.joint_dirs[parent]
            shift.append(shift[parent] + bones[:, parent] @ along)
        rigid = torch.stack(shift, dim=1) - bones @ self.joint_dirs
        blend = torch.einsum("vk,nkce->nvce", self.weights, bones)
        return blend @ self.dirs + torch.einsum("vk,nkcb->nvcb", self.weights, rigid)

    def _pose(
        self, pose: Tensor, betas: Tensor, orient: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Linear blend skinning of the 21 points; see the names in the return."""
        joints = self.rest_joints + torch.einsum("jcb,nb->njc", self.joint_dirs, betas)
        points = self.rest + torch.einsum("vcb,nb->nvc", self.dirs, betas)
        local = axis_angle_to_matrix(torch.einsum("jcd,njd->njc", self.axes, pose))
        eye = torch.eye(3, dtype=pose.dtype, device=pose.device)
        if self._corrected:
            feature = (local - eye).flatten(1)  # (N, 135)
            points = points + torch.einsum("vcm,nm->nvc", self.pose_dirs, feature)
        bone, origin = [orient], [joints[:, 0]]
        for joint, parent in list(enumerate(self.parents))[1:]:
            along = joints[:, joint] - joints[:, parent]
            bone.append(bone[parent] @ local[:, joint - 1])
            origin.append(origin[parent] + (bone[parent] @ along[..., None])[..., 0])
        bones, origins = torch.stack(bone, dim=1), torch.stack(origin, dim=1)
        offsets = points[:, :, None] - joints[:, None]  # (N, 21, 16, 3)
        carried = torch.einsum("nkce,nvke->nvkc", bones, offsets) + origins[:, None]
        posed = torch.einsum("vk,nvkc->nvc", self.weights, carried)
        return posed, carried, bones, origins, local


def _skew(vector: Tensor) -> Tensor:
    """``(..., 3)`` -> ``(..., 3, 3)``, the matrix of the cross product with a vector."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1)
    return rows.reshape(*vector.shape, 3)


def _left_jacobian(vector: Tensor) -> Tensor:
    """``(..., 3)`` rotation vectors -> ``(..., 3, 3)``, the left Jacobian of SO(3).

    ``exp(v + dv) = exp(J dv) exp(v)`` to first order, with
    ``J = I + (1 - cos t) / t^2 [v] + (t - sin t) / t^3 [v]^2``, t the angle.
    """
    squared = (vector * vector).sum(-1)[..., None, None]
    small = squared < 1e-6
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    first = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / safe)
    second = torch.where(small, 1 / 6 - squared / 120, (angle - angle.sin()) / (safe * angle))
    matrix = _skew(vector)
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye + first * matrix + second * (matrix @ matrix)
