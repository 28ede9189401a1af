"""System D, SignX: continuous signing -> glosses, from pose tracks or from video.

Stage I: ``tracks`` -> ``context`` (ours) -> latent -> ``diffusion`` -> ``decoder``, put together in
``pose2gloss``, trained with ``losses``, read with ``chereme.decoding.generation``. Stage II:
``video2pose``.
"""

from chereme.decoding.generation import PAPER_GENERATION, Generated, GenerationConfig
from chereme.models.signx.context import ContextConfig
from chereme.models.signx.decoder import (
    DecoderConfig,
    TextDecoder,
    answers,
    mixed_inputs,
)
from chereme.models.signx.diffusion import DiffusionConfig, InverseDiffusion, Noised, noise_levels
from chereme.models.signx.losses import (
    UNKNOWN,
    Coefficients,
    LossConfig,
    Pose2GlossLosses,
    Schedule,
    weights_at,
)
from chereme.models.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig, Pose2GlossOutput
from chereme.models.signx.presets import (
    PRESETS,
    STAGE_1,
    STAGE_2,
    TrainingTable,
    ablations,
    preset,
)
from chereme.models.signx.tracks import WIDTHS, PoseEncoder, TracksConfig
from chereme.models.signx.video2pose import Video2Gloss, Video2Pose, Video2PoseConfig, ViTConfig

__all__ = [
    "PAPER_GENERATION",
    "PRESETS",
    "STAGE_1",
    "STAGE_2",
    "UNKNOWN",
    "WIDTHS",
    "Coefficients",
    "ContextConfig",
    "DecoderConfig",
    "DiffusionConfig",
    "Generated",
    "GenerationConfig",
    "InverseDiffusion",
    "LossConfig",
    "Noised",
    "Pose2Gloss",
    "Pose2GlossConfig",
    "Pose2GlossLosses",
    "Pose2GlossOutput",
    "PoseEncoder",
    "Schedule",
    "TextDecoder",
    "TracksConfig",
    "TrainingTable",
    "ViTConfig",
    "Video2Gloss",
    "Video2Pose",
    "Video2PoseConfig",
    "ablations",
    "answers",
    "mixed_inputs",
    "noise_levels",
    "preset",
    "weights_at",
]
