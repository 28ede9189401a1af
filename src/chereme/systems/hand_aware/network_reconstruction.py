"""The hand meshes that system B makes of crops on its way to a gloss (Figure 3 of the paper)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from chereme.systems.hand_aware.decoder import turn
from chereme.systems.hand_aware.recognizer import HandAwareRecognizer
from chereme.systems.hand_aware.reconstruction import Reconstruction
from chereme.training.augmentation import resize
from chereme.types import FloatArray

_BATCH = 16  # crops that are encoded at once


class NetworkReconstruction:
    """A `Reconstructor`: the encoder and the decoder of a recogniser, frame by frame.

    It looks at the crops alone; detected landmarks do not matter. The recogniser is put into
    evaluation mode.
    """

    def __init__(self, recognizer: HandAwareRecognizer) -> None:
        self.recognizer = recognizer.eval()
        self._side = recognizer.config.rgb.image_size

    def __call__(
        self, crops: NDArray[np.uint8], landmarks: FloatArray, confidence: FloatArray
    ) -> Reconstruction:
        """See `Reconstructor`. Only ``crops (N, S, S, 3)`` is read."""
        decoder = self.recognizer.decoder
        device = decoder.layer.tips.device
        parts = []
        for first in range(0, len(crops), _BATCH):
            some = np.ascontiguousarray(crops[first : first + _BATCH])
            batch = torch.from_numpy(resize(some, self._side)).to(device)
            with torch.no_grad():
                state = self.recognizer.encoder(batch.permute(0, 3, 1, 2).float() / 255)
                hands = decoder(state)
                vertices = turn(hands.vertices, state.rotation)
            found = (vertices, hands.turned, state.scale, state.offset)
            parts.append([values.cpu().numpy() for values in found])
        meshes, joints, scale, offset = (np.concatenate(part) for part in zip(*parts, strict=True))
        half = crops.shape[1] / 2  # a crop unit, in pixels; the crop spans [-1, 1]
        template = decoder.layer.template
        return Reconstruction(template, meshes, joints, half * scale, half * (offset + 1))
