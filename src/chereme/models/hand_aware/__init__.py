"""System B: isolated signs through a model of the hand (crops -> MANO or open hand -> ST-GCN).

With it, the recognisers of whole frames that the paper fuses it with.
"""

from chereme.models.hand_aware.decoder import HandDecoder, HandReconstruction, crop_units
from chereme.models.hand_aware.encoder import HandEncoder, HandState, camera_rotation
from chereme.models.hand_aware.layouts import LAYOUTS, KeypointLayout, keypoint_layout
from chereme.models.hand_aware.losses import HandAwareLosses, LossConfig, hand_aware_losses
from chereme.models.hand_aware.partners import (
    HandKeypointConfig,
    HandKeypointRecognizer,
    KeypointConfig,
    KeypointRecognizer,
    RgbConfig,
    RgbRecognizer,
)
from chereme.models.hand_aware.presets import PAPER_LOSSES, PRESETS, OptimiserConfig, preset
from chereme.models.hand_aware.recognizer import (
    HandAwareConfig,
    HandAwareOutput,
    HandAwareRecognizer,
    late_fusion,
)

__all__ = [
    "LAYOUTS",
    "PAPER_LOSSES",
    "PRESETS",
    "HandAwareConfig",
    "HandAwareLosses",
    "HandAwareOutput",
    "HandAwareRecognizer",
    "HandDecoder",
    "HandEncoder",
    "HandKeypointConfig",
    "HandKeypointRecognizer",
    "HandReconstruction",
    "HandState",
    "KeypointConfig",
    "KeypointLayout",
    "KeypointRecognizer",
    "LossConfig",
    "OptimiserConfig",
    "RgbConfig",
    "RgbRecognizer",
    "camera_rotation",
    "crop_units",
    "hand_aware_losses",
    "keypoint_layout",
    "late_fusion",
    "preset",
]
