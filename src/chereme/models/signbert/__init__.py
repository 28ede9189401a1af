"""System C, SignBERT: pre-training on hand poses by masking them, then recognition of signs.

Joints -> ``tokens`` -> ``gesture`` and ``encoder`` -> ``decoder`` (pre-training) or a head that
classifies (``recognizer``).
"""

from chereme.models.signbert.decoder import (
    Decoded,
    DecoderConfig,
    HandModelDecoder,
    HandParameters,
    JointDecoder,
    build_decoder,
    landmark_template,
)
from chereme.models.signbert.encoder import EncoderConfig, SignBertEncoder
from chereme.models.signbert.gesture import GestureConfig, GestureEmbedding
from chereme.models.signbert.losses import LossConfig, PretrainingLosses, pretraining_losses
from chereme.models.signbert.masking import OPERATIONS, Masked, MaskingConfig, mask_tokens
from chereme.models.signbert.presets import FRAMES, PAPER_OPTIMISER, ablations
from chereme.models.signbert.recognizer import (
    HeadConfig,
    PredictionHead,
    PretrainingOutput,
    SignBertConfig,
    SignBertPretraining,
    SignBertRecognizer,
)
from chereme.models.signbert.tokens import CropConfig, HandPoses, Tokens, to_pixels, tokenise

__all__ = [
    "FRAMES",
    "OPERATIONS",
    "PAPER_OPTIMISER",
    "CropConfig",
    "Decoded",
    "DecoderConfig",
    "EncoderConfig",
    "GestureConfig",
    "GestureEmbedding",
    "HandModelDecoder",
    "HandParameters",
    "HandPoses",
    "HeadConfig",
    "JointDecoder",
    "LossConfig",
    "Masked",
    "MaskingConfig",
    "PredictionHead",
    "PretrainingLosses",
    "PretrainingOutput",
    "SignBertConfig",
    "SignBertEncoder",
    "SignBertPretraining",
    "SignBertRecognizer",
    "Tokens",
    "ablations",
    "build_decoder",
    "landmark_template",
    "mask_tokens",
    "pretraining_losses",
    "to_pixels",
    "tokenise",
]
