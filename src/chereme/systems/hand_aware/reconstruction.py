"""Hand meshes in the pictures that they were found in, and the mesh that fits detected joints.

A reconstruction is what system B's decoder makes of crops (Hu et al., AAAI 2021, Eq. 1 to 5), and
what a fit of the hand model makes of a detector's landmarks: a mesh, its joints, and the
weak-perspective camera that puts both into the crop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from chereme.hand_model.fitting import fit
from chereme.hand_model.layer import HandLayer
from chereme.hand_model.template import HandTemplate
from chereme.hands.skeleton import mirror, palm_size
from chereme.types import FloatArray

Floats = NDArray[np.floating[Any]]
_MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """N hands, each in a crop of its own.

    A point (x, y, z) of the camera's axes (x right, y down, z away; metres, from the hand's own
    origin) shows at ``scale (x, y) + offset``, pixels of the crop.
    """

    template: HandTemplate  # of which side the hands are
    vertices: Floats  # (N, V, 3) metres
    joints: Floats  # (N, 21, 3) metres, MediaPipe order
    scale: Floats  # (N,) pixels a metre
    offset: Floats  # (N, 2) pixels

    def __len__(self) -> int:
        return len(self.scale)

    @property
    def projected(self) -> Floats:
        """The joints in the crop, ``(N, 21, 2)`` pixels."""
        return self._projected(self.joints)

    @property
    def outline(self) -> Floats:
        """The vertices in the crop, ``(N, V, 2)`` pixels."""
        return self._projected(self.vertices)

    def _projected(self, points: Floats) -> Floats:
        shown: Floats = self.scale[:, None, None] * points[..., :2] + self.offset[:, None]
        return shown

    def mirrored(self, size: int) -> Reconstruction:
        """The other hand, in the crops of that side, ``size`` pixels, flipped left-right."""
        return replace(
            self,
            template=_other(self.template),
            vertices=self.vertices * _MIRROR,
            joints=self.joints * _MIRROR,
            offset=mirror(self.offset, size),
        )


@lru_cache(maxsize=4)
def _other(template: HandTemplate) -> HandTemplate:
    return template.mirrored()


def reprojection_error(projected: Floats, landmarks: Floats, confidence: Floats) -> Floats:
    """How far joints lie from those that were detected, in the picture: ``(N,)`` palm lengths.

    The mean over the detected joints, in parts of ``chereme.hands.skeleton.palm_size`` of the
    landmarks; NaN where none was detected, or not all that the palm is measured by.

    Args:
        projected: ``(N, 21, 2)`` pixels.
        landmarks: ``(N, 21, 3)`` pixels, z in the same scale.
        confidence: ``(N, 21)``, 0 where a joint was not detected.
    """
    seen = (confidence > 0) & np.isfinite(landmarks).all(-1)
    distance = np.linalg.norm(projected - landmarks[..., :2], axis=-1)
    count = seen.sum(axis=1)
    mean = np.where(seen, distance, 0.0).sum(axis=1) / np.maximum(count, 1)
    error: Floats = np.where(count > 0, mean, np.nan) / palm_size(landmarks)
    return error


class Reconstructor(Protocol):
    """Whatever makes meshes of hands."""

    def __call__(
        self, crops: NDArray[np.uint8], landmarks: FloatArray, confidence: FloatArray
    ) -> Reconstruction:
        """Hands of consecutive frames of one signer, all shown as right hands.

        Args:
            crops: ``(N, S, S, 3)`` RGB.
            landmarks: ``(N, 21, 3)`` that were detected, pixels of the crop.
            confidence: ``(N, 21)`` in 0..1.
        """


class LandmarkFit:
    """The hand model, fitted to the detected joints alone (`chereme.hand_model.fitting`).

    Args:
        template: "open", or a file of ``chereme hand-model convert``.
    """

    def __init__(self, template: str | Path = "open") -> None:
        hand = HandTemplate.load(template, side="right")
        self.layer = HandLayer(hand, flat_hand_mean=True, dtype=torch.float64)

    def __call__(
        self, crops: NDArray[np.uint8], landmarks: FloatArray, confidence: FloatArray
    ) -> Reconstruction:
        # Choice: one signer's hands share their shape, but poses are not smoothed over time, so
        # that each mesh is answerable to its own frame.
        found = fit(self.layer, landmarks, confidence)
        hand = self.layer(found.betas[None], found.hand_pose, found.orient)
        return Reconstruction(
            self.layer.template,
            hand.vertices.numpy().astype(np.float32),
            hand.joints.numpy().astype(np.float32),
            found.scale.numpy(),
            found.offset.numpy(),
        )
