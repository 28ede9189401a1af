"""Linear blend skinning of a parametric hand (MANO: Romero et al. 2017; SMPL: Loper et al. 2015).

Shapes: B hands, V vertices, J = 16 model joints, 21 landmarks in MediaPipe order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from chereme.errors import InputError, UsageError
from chereme.hand_model.rotations import axis_angle_to_matrix
from chereme.hand_model.template import JOINTS, POSE, HandTemplate

FINGERS = 5
BONES = 3  # of a finger that turn
# The layer works level by level, all five fingers at once: wrist, five first joints (index, middle,
# little, ring, thumb), five second joints, five third joints; then the fingertips, thumb first.
_BY_LEVEL = (0, *(1 + BONES * f + level for level in range(BONES) for f in range(FINGERS)))
_LEVEL_OF = {joint: place for place, joint in enumerate(_BY_LEVEL)}
# Place among these of each landmark in MediaPipe order.
_THUMB, _INDEX, _MIDDLE, _RING, _LITTLE = 13, 1, 4, 10, 7
_LANDMARKS = (
    0,
    *(
        place
        for tip, first in enumerate((_THUMB, _INDEX, _MIDDLE, _RING, _LITTLE))
        for place in (*(_LEVEL_OF[first + bone] for bone in range(BONES)), JOINTS + tip)
    ),
)
# Hands whose intermediate results stay in the processor's cache; more are done in turns.
_CHUNK = 128


class HandOutput(NamedTuple):
    """Posed hands, metres, in the model's frame turned by ``global_orient`` and moved by
    ``transl``."""

    vertices: Tensor  # (B, V, 3)
    joints: Tensor  # (B, 21, 3), MediaPipe order
    joints16: Tensor  # (B, 16, 3), MANO order


class HandLayer(nn.Module):
    """Shape and pose parameters -> mesh and joints; batched, differentiable.

    Args:
        template: the hand.
        flat_hand_mean: True: ``hand_pose`` is absolute, zero is the flat hand (as HaMeR's).
            False: the template's mean pose is added to axis-angle and PCA poses (smplx's default).
            Files of poses are of either kind and do not say which, so there is no default.
        components: number of principal components (1..45) of PCA poses; None: no PCA poses.
        tips: which of the template's named sets of fingertip vertices makes the landmarks
            4, 8, 12, 16, 20; None: its first.
        dtype: floating type of the buffers; None: torch's default. A layer that is to work in
            double precision is made in it: ``.double()`` cannot bring back what was rounded.

    Raises:
        UsageError: ``components`` or ``tips`` that the template has not.
    """

    faces: Tensor  # (F, 3)
    tips: Tensor  # (5,) vertices, thumb first
    rest: Tensor  # (3 V,) x of all vertices, then y, then z: the flat hand of no betas
    blend: Tensor  # (B + 135, 3 V)
    rest_joints: Tensor  # (48,)
    joint_blend: Tensor  # (B, 48)
    skin_weights: Tensor  # (16, V)
    mean_pose: Tensor  # (45,)
    pca: Tensor  # (n, 45), where there are PCA poses
    bottom: Tensor  # the last row of a 4 x 4 transform
    by_level: Tensor  # MANO's joint at each place of the layer's own order
    by_joint: Tensor  # place of each of MANO's joints
    landmarks: Tensor  # place of each landmark, fingertips after the joints

    def __init__(
        self,
        template: HandTemplate,
        *,
        flat_hand_mean: bool,
        components: int | None = None,
        tips: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if components is not None and not 1 <= components <= POSE:
            raise UsageError(f"components: expected 1..{POSE} or None, got {components}")
        self.template = template
        self.components = components
        self.flat_hand_mean = flat_hand_mean
        self.num_betas = template.shapedirs.shape[2]
        self.num_vertices = len(template.v_template)
        self._corrects = bool(template.posedirs.any())
        self._register(template, template.tip_vertices(tips), dtype or torch.get_default_dtype())

    def _register(self, template: HandTemplate, tips: tuple[int, ...], dtype: torch.dtype) -> None:
        """Buffers in the layouts that the computation wants.

        They are not part of the state dict: a checkpoint must not carry a template's data, which
        MANO's licence forbids to pass on.
        """

        def keep(name: str, array: object, kind: torch.dtype = dtype) -> None:
            self.register_buffer(name, torch.tensor(array, dtype=kind), persistent=False)

        # All blend shapes as one matrix on (betas, R_1..R_15), coordinates before vertices:
        # posedirs act on R - I, and the part of I is put into the mesh at rest.
        vertices, joints = self.num_vertices, JOINTS - 1
        mesh, directions = template.v_template, template.shapedirs
        if self._corrects:
            identity = np.tile(np.eye(3).reshape(-1), joints)
            mesh = mesh - template.posedirs @ identity
            by_joint = template.posedirs.reshape(vertices, 3, joints, 9)
            by_level = by_joint[:, :, [j - 1 for j in _BY_LEVEL[1:]]].reshape(vertices, 3, -1)
            directions = np.concatenate([directions, by_level], 2)
        keep("rest", mesh.T.reshape(-1))
        keep("blend", directions.transpose(2, 1, 0).reshape(-1, 3 * vertices))
        # Joints of the shaped hand straight from betas: J = regressor (template + shapedirs betas).
        regressor = template.joint_regressor[list(_BY_LEVEL)]
        keep("rest_joints", (regressor @ template.v_template).reshape(-1))
        joint_blend = (regressor @ template.shapedirs.reshape(vertices, -1)).reshape(JOINTS * 3, -1)
        keep("joint_blend", joint_blend.T)
        keep("skin_weights", template.weights[:, list(_BY_LEVEL)].T)
        mean = 0 * template.pose_mean if self.flat_hand_mean else template.pose_mean
        keep("mean_pose", mean)
        if self.components is not None:
            keep("pca", template.components[: self.components])
        keep("by_level", _BY_LEVEL, torch.int64)
        keep("by_joint", [_LEVEL_OF[j] for j in range(JOINTS)], torch.int64)
        keep("landmarks", _LANDMARKS, torch.int64)
        keep("tips", tips, torch.int64)
        keep("faces", template.faces.copy(), torch.int64)
        keep("bottom", [[[0.0, 0.0, 0.0, 1.0]]])

    def forward(
        self,
        betas: Tensor,
        hand_pose: Tensor,
        global_orient: Tensor,
        transl: Tensor | None = None,
    ) -> HandOutput:
        """Pose hands. Arguments with a batch of one go with all hands of the others.

        Args:
            betas: ``(B, 10)`` shape parameters, as many as the template has.
            hand_pose: axis-angle ``(B, 45)`` or ``(B, 15, 3)``, PCA coefficients ``(B, n)`` where
                the layer has n components, or rotation matrices ``(B, 15, 3, 3)``, which are
                absolute: no mean is added to them. Joints in MANO order.
            global_orient: the wrist's rotation, axis-angle ``(B, 3)`` or matrices ``(B, 3, 3)``;
                it turns the hand about the wrist joint.
            transl: ``(B, 3)`` metres, added to all points.

        Raises:
            InputError: an argument of another shape.
        """
        device = self.rest.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            # Half precision would move vertices by tenths of a millimetre.
            with torch.autocast(device, enabled=False):
                return self._pose(betas, hand_pose, global_orient, transl)
        return self._pose(betas, hand_pose, global_orient, transl)

    def _pose(
        self, betas: Tensor, hand_pose: Tensor, global_orient: Tensor, transl: Tensor | None
    ) -> HandOutput:
        given = [betas, hand_pose, global_orient, *([] if transl is None else [transl])]
        betas, pose, orient, *shift = (tensor.to(self.rest) for tensor in given)
        if betas.shape[1:] != (self.num_betas,):
            raise InputError(f"betas: expected (B, {self.num_betas}), got {tuple(betas.shape)}")
        if shift and shift[0].shape[1:] != (3,):
            raise InputError(f"transl: expected (B, 3), got {tuple(shift[0].shape)}")
        betas, pose, orient, *shift = _same_batch(betas, pose, orient, *shift)
        rotations = self._rotations(pose, orient)
        transforms, joints = self._skeleton(betas, rotations)
        coefficients = betas
        if self._corrects:
            coefficients = torch.cat([betas, rotations[1:].transpose(0, 1).flatten(1)], 1)
        chunks = zip(_chunks(coefficients), _chunks(transforms, 1), strict=True)
        skinned = [self._skin(*chunk) for chunk in chunks]
        if shift:
            pairs = zip(skinned, _chunks(shift[0]), strict=True)
            skinned = [points + by.unsqueeze(2) for points, by in pairs]
            joints = joints + shift[0]
        vertices = torch.cat([points.transpose(1, 2) for points in skinned])
        points = torch.cat([joints.transpose(0, 1), vertices.index_select(1, self.tips)], 1)
        return HandOutput(
            vertices, points.index_select(1, self.landmarks), points.index_select(1, self.by_joint)
        )

    def _rotations(self, pose: Tensor, orient: Tensor) -> Tensor:
        """Rotation matrices ``(16, B, 3, 3)``, by level."""
        if orient.shape[1:] not in ((3,), (3, 3)):
            raise InputError(
                "global_orient: expected (B, 3) axis-angle or (B, 3, 3) matrices, got "
                f"{tuple(orient.shape)}"
            )
        if pose.shape[1:] == (JOINTS - 1, 3, 3):
            if orient.ndim == 2:
                orient = axis_angle_to_matrix(orient)
        else:
            pose = self._axis_angles(pose)
            if orient.ndim == 3:
                pose = axis_angle_to_matrix(pose.view(-1, JOINTS - 1, 3))
        both = torch.cat([orient.flatten(1), pose.flatten(1)], 1)
        both = both.view(-1, JOINTS, *orient.shape[1:]).transpose(0, 1)
        by_level = both.index_select(0, self.by_level)
        return by_level if orient.ndim == 3 else axis_angle_to_matrix(by_level)

    def _axis_angles(self, pose: Tensor) -> Tensor:
        """``hand_pose`` in any form but matrices -> ``(B, 45)``."""
        if self.components is not None and pose.shape[1:] == (self.components,):
            pose = pose @ self.pca
        elif pose.shape[1:] in ((POSE,), (JOINTS - 1, 3)):
            pose = pose.reshape(-1, POSE)
        else:
            pca = "" if self.components is None else f", (B, {self.components}) PCA coefficients"
            raise InputError(
                f"hand_pose: expected (B, {POSE}) or (B, {JOINTS - 1}, 3) axis-angle{pca}, or "
                f"(B, {JOINTS - 1}, 3, 3) matrices, got {tuple(pose.shape)}"
            )
        return pose if self.flat_hand_mean else pose + self.mean_pose

    def _skeleton(self, betas: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Where each joint takes the points at rest, as 3 x 4 matrices ``(16, B, 3, 4)``, and the
        posed joints ``(16, B, 3)``; both by level."""
        batch = betas.shape[0]  # not len(), which an export would take for a constant
        rest = torch.addmm(self.rest_joints, betas, self.joint_blend)
        rest = rest.view(batch, JOINTS, 3).transpose(0, 1).reshape(-1, 3, 1)
        rotations = rotations.reshape(-1, 3, 3)
        # Each joint turns points about its own place at rest: p -> R p + (J - R J).
        shift = torch.baddbmm(rest, rotations, rest, alpha=-1)
        local = torch.cat([rotations, shift], 2)
        wrist, bones = local[:batch], local[batch:]
        bones = torch.cat([bones, self.bottom.expand(bones.shape[0], 1, 4)], 1)
        levels = [wrist]
        parent = wrist.expand(FINGERS, batch, 3, 4).reshape(-1, 3, 4)
        for bone in bones.view(BONES, -1, 4, 4).unbind():
            parent = parent.bmm(bone)
            levels.append(parent)
        transforms = torch.cat(levels)
        joints = torch.baddbmm(transforms[:, :, 3:], transforms[:, :, :3], rest)
        return transforms.view(JOINTS, batch, 3, 4), joints.view(JOINTS, batch, 3)

    def _skin(self, coefficients: Tensor, transforms: Tensor) -> Tensor:
        """Blend and skin some hands -> vertices ``(B, 3, V)``."""
        shaped = torch.addmm(self.rest, coefficients, self.blend)
        shaped = shaped.view(-1, 3, 1, self.num_vertices)
        # The transform of every vertex is the mean of the joints', by its weights.
        blended = transforms.reshape(JOINTS, -1).T @ self.skin_weights
        x, y, z, shift = blended.view(-1, 3, 4, self.num_vertices).unbind(2)
        x = torch.addcmul(shift, x, shaped[:, 0])
        x = torch.addcmul(x, y, shaped[:, 1])
        return torch.addcmul(x, z, shaped[:, 2])


def _chunks(x: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The hands of ``x`` in turns; in an export, whose number of hands is free, all at once."""
    if torch.onnx.is_in_onnx_export():
        return (x,)
    return torch.split(x, _CHUNK, dim)


def _same_batch(*tensors: Tensor) -> list[Tensor]:
    """Tensors of batch 1 or B, all expanded to B."""
    sizes = [len(tensor) for tensor in tensors]
    batch = max(sizes) if 0 not in sizes else 0
    if any(size not in (1, batch) for size in sizes):
        raise InputError(
            "a batch of hands: expected one size (or 1) for betas, hand_pose, global_orient and "
            f"transl, got {sizes}"
        )
    return [t if len(t) == batch else t.expand(batch, *t.shape[1:]) for t in tensors]
