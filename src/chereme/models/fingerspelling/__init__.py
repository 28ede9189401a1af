"""System A: fingerspelling to letters (frame encoder -> 1D-CNN -> BiGRU -> CTC).

Here with a landmark encoder in place of the ResNet34: the pose-only stream of the paper.
"""

from chereme.models.fingerspelling.losses import (
    FingerspellingLosses,
    fingerspelling_losses,
    infeasible,
)
from chereme.models.fingerspelling.recognizer import (
    FingerspellingConfig,
    FingerspellingRecognizer,
    LandmarkEncoder,
    SequenceModel,
)

__all__ = [
    "FingerspellingConfig",
    "FingerspellingLosses",
    "FingerspellingRecognizer",
    "LandmarkEncoder",
    "SequenceModel",
    "fingerspelling_losses",
    "infeasible",
]
