"""System A: fingerspelling to letters (frame encoder -> 1D-CNN -> BiGRU -> CTC).

One sequence model for every stream: RGB hand crops (the paper's), landmarks, teacher vectors.
"""

from chereme.models.fingerspelling.distillation import (
    DistillationConfig,
    DistillationLosses,
    PoseDistillation,
)
from chereme.models.fingerspelling.encoders import (
    LandmarkEncoder,
    LandmarkEncoderConfig,
    ResNetEncoder,
    ResNetEncoderConfig,
    VectorEncoder,
    VectorEncoderConfig,
)
from chereme.models.fingerspelling.fusion import EarlyFusion, LateFusion
from chereme.models.fingerspelling.losses import (
    FingerspellingLosses,
    LossConfig,
    fingerspelling_losses,
    infeasible,
)
from chereme.models.fingerspelling.presets import PRESETS, TableRow, preset, table_2
from chereme.models.fingerspelling.recognizer import (
    FingerspellingConfig,
    FingerspellingRecognizer,
)
from chereme.models.fingerspelling.resnet_weights import load_resnet_weights
from chereme.models.fingerspelling.sequence import SequenceConfig, SequenceModel
from chereme.models.fingerspelling.temporal import KERNELS, steps_after, temporal_stride

__all__ = [
    "KERNELS",
    "PRESETS",
    "DistillationConfig",
    "DistillationLosses",
    "EarlyFusion",
    "FingerspellingConfig",
    "FingerspellingLosses",
    "FingerspellingRecognizer",
    "LandmarkEncoder",
    "LandmarkEncoderConfig",
    "LateFusion",
    "LossConfig",
    "PoseDistillation",
    "ResNetEncoder",
    "ResNetEncoderConfig",
    "SequenceConfig",
    "SequenceModel",
    "TableRow",
    "VectorEncoder",
    "VectorEncoderConfig",
    "fingerspelling_losses",
    "infeasible",
    "load_resnet_weights",
    "preset",
    "steps_after",
    "table_2",
    "temporal_stride",
]
