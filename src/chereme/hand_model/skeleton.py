"""The 21 landmarks of a hand without its skin.

Fitting needs a hand's landmarks thousands of times, but of the mesh only the five fingertips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chereme.hand_model.layer import FINGERS, HandLayer
from chereme.hand_model.template import JOINTS, HandTemplate


def landmark_template(template: HandTemplate, tips: Sequence[int]) -> HandTemplate:
    """A template of 21 vertices with exactly the landmarks of ``template``, without its skin.

    16 vertices are its joints at rest, each its own joint's regressor, as rest joints are linear in
    the mesh and no pose corrects them; five are the vertices ``tips``, thumb first. It costs a
    small part of the whole mesh.
    """
    tips, regressor = list(tips), template.joint_regressor
    joints = np.eye(JOINTS, JOINTS + FINGERS)
    return replace(
        template,
        v_template=np.concatenate([regressor @ template.v_template, template.v_template[tips]]),
        shapedirs=np.concatenate(
            [np.tensordot(regressor, template.shapedirs, 1), template.shapedirs[tips]]
        ),
        posedirs=np.concatenate(
            [np.zeros((JOINTS, *template.posedirs.shape[1:])), template.posedirs[tips]]
        ),
        joint_regressor=joints,
        weights=np.concatenate([joints[:, :JOINTS], template.weights[tips]]),
        faces=np.array([[0, 1, 2]]),
        tips={"landmarks": tuple(range(JOINTS, JOINTS + FINGERS))},
        extras={},
    )


class Skeleton:
    """Landmarks of a template, float64.

    Args:
        template: any ``HandTemplate``.
        tips: the five fingertip vertices, thumb first.
        axes: ``(15, 3, 3)`` the basis of each joint, in columns, in which pose coordinates are
            written: the axis-angle vector of joint j is ``axes[j] @ pose[j]``.
    """

    def __init__(
        self, template: HandTemplate, tips: Sequence[int], axes: NDArray[np.floating[Any]]
    ) -> None:
        bare = landmark_template(template, tips)
        self._layer = HandLayer(bare, flat_hand_mean=True, dtype=torch.float64)
        self.axes = torch.as_tensor(axes, dtype=torch.float64)
        self.shapes = self._layer.num_betas
        still = self.axes.new_zeros(1, JOINTS - 1, 3)
        self.rest = self.landmarks(still, still.new_zeros(1, self.shapes), torch.eye(3)[None])[0]

    def landmarks(self, pose: Tensor, betas: Tensor, orient: Tensor) -> Tensor:
        """``(N, 21, 3)`` landmarks in metres, MediaPipe order, in the outer frame.

        Args:
            pose: ``(N, 15, 3)`` coordinates in ``axes``, radians.
            betas: ``(N, B)``, or ``(1, B)`` for all.
            orient: ``(N, 3, 3)`` rotations of the whole hand about its wrist joint.
        """
        vectors = torch.einsum("jcd,njd->njc", self.axes, pose)
        joints: Tensor = self._layer(betas, vectors, orient).joints
        return joints
