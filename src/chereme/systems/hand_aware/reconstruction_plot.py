"""Pictures of reconstructed hands: the crop, the detected joints, and the mesh, side by side.

As Figure 3 of *Hand-Model-Aware Sign Language Recognition* (Hu et al., AAAI 2021) shows them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hands.camera import Camera
from chereme.hands.draw import draw_hand
from chereme.synthesis.hand_pictures import GROUND, PAPER, mesh_overlay
from chereme.systems.hand_aware.reconstruction import Reconstruction
from chereme.types import FloatArray

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]

GAP = 6  # pixels between the pictures of a row
_FADED = 0.45  # share of the crop behind a mesh
_OPACITY = 1.0
# Metres from the camera to the hand: so far off that a pinhole camera shows it as weak perspective
# does. A point 10 cm before or behind the middle is out of place by 1/500 of its distance from it.
_DISTANCE = 50.0


def reconstruction_row(
    crop: Image,
    landmarks: FloatArray,
    confidence: FloatArray,
    reconstruction: Reconstruction | None,
    index: int = 0,
) -> Image:
    """One frame of one hand: its crop, with the detected joints, and with the mesh.

    Args:
        crop: ``(S, S, 3)`` uint8 RGB; it is not changed.
        landmarks, confidence: ``(21, 3)`` pixels of the crop and ``(21,)``; joints of confidence 0
            are left out.
        reconstruction: the mesh; None: there is none, the third picture is the faded crop.
        index: of the hand in it.

    Returns:
        ``(S, 3 S + 2 GAP, 3)`` uint8 RGB.
    """
    gap = np.full((len(crop), GAP, 3), PAPER, np.uint8)
    joints = draw_hand(crop, landmarks, confidence)
    mesh = _faded(crop) if reconstruction is None else mesh_in_crop(crop, reconstruction, index)
    row: Image = np.concatenate([crop, gap, joints, gap, mesh], axis=1)
    return row


def mesh_in_crop(crop: Image, reconstruction: Reconstruction, index: int = 0) -> Image:
    """The mesh of one hand over its faded crop ``(S, S, 3)``, where its camera puts it."""
    size = len(crop)
    focal = float(reconstruction.scale[index]) * _DISTANCE
    centre = reconstruction.offset[index]
    camera = Camera(focal, focal, float(centre[0]), float(centre[1]), size, size)
    vertices = reconstruction.vertices[index] + [0.0, 0.0, _DISTANCE]
    return mesh_overlay(_faded(crop), vertices, reconstruction.template, camera, opacity=_OPACITY)


def _faded(crop: Image) -> Image:
    ground = np.array(GROUND, float)
    faded: Image = np.round(ground + _FADED * (crop - ground)).astype(np.uint8)
    return faded
