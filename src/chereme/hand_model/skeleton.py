"""The 21 landmarks of a hand without its skin.

Fitting needs a hand's landmarks thousands of times, but of the mesh only the five fingertips.
``Skeleton`` keeps of a ``HandTemplate`` the joints (its joint regressor applied to the mean shape
and to each shape direction, which is exact as both are linear) and the tip vertices, and gives the
same landmarks as ``HandLayer``.
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
        self.rest_tips, self.tip_dirs = tensor(template.v_template)[ids], shapedirs[ids]
        self.tip_weights = tensor(template.weights)[ids]  # (5, 16)
        # Pose blend shapes move the tips only: joints are not corrected for pose.
        self.pose_dirs = tensor(template.posedirs)[ids]
        self._corrected = bool(self.pose_dirs.any())
        self._order = torch.tensor(MEDIAPIPE_ORDER, device=device)
        self.rest = torch.cat([self.rest_joints, self.rest_tips])[self._order]

    @property
    def shapes(self) -> int:
        """The number of betas."""
        return self.joint_dirs.shape[-1]

    def landmarks(self, pose: Tensor, betas: Tensor, orient: Tensor) -> Tensor:
        """``(N, 21, 3)`` landmarks in metres, MediaPipe order, in the outer frame.

        Args:
            pose: ``(N, 15, 3)`` coordinates in ``axes``, radians (nothing is added to them).
            betas: ``(N, B)``.
            orient: ``(N, 3, 3)`` rotations of the whole hand about its wrist joint.
        """
        joints = self.rest_joints + torch.einsum("jcb,nb->njc", self.joint_dirs, betas)
        tips = self.rest_tips + torch.einsum("vcb,nb->nvc", self.tip_dirs, betas)
        local = axis_angle_to_matrix(torch.einsum("jcd,njd->njc", self.axes, pose))
        if self._corrected:
            eye = torch.eye(3, dtype=pose.dtype, device=pose.device)
            feature = (local - eye).flatten(1)  # (N, 135)
            tips = tips + torch.einsum("vcm,nm->nvc", self.pose_dirs, feature)
        bone, origin = [orient], [joints[:, 0]]
        for joint, parent in list(enumerate(self.parents))[1:]:
            along = joints[:, joint] - joints[:, parent]
            bone.append(bone[parent] @ local[:, joint - 1])
            origin.append(origin[parent] + (bone[parent] @ along[..., None])[..., 0])
        bones, origins = torch.stack(bone, dim=1), torch.stack(origin, dim=1)
        shift = origins - (bones @ joints[..., None])[..., 0]
        turn = torch.einsum("vk,nkce->nvce", self.tip_weights, bones)
        tips = (turn @ tips[..., None])[..., 0] + torch.einsum(
            "vk,nkc->nvc", self.tip_weights, shift
        )
        return torch.cat([origins, tips], dim=1)[:, self._order]
