"""The whole network of system B: encoder -> hand model -> ST-GCN -> class.

Shapes: B clips, H hands (two: left, right, the left one mirrored to a right one), T frames, K
classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.hand_model import HandTemplate
from chereme.nn.hand_graph import Distances, adjacency
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.nn.st_gcn import StGcn, StGcnConfig
from chereme.systems.hand_aware.decoder import HandDecoder, HandReconstruction
from chereme.systems.hand_aware.encoder import HandEncoder, HandState

Fusion = Literal["concatenate", "mean"]
UNIT = 10.0  # Choice: joints are given on in decimetres, of which a hand is about one


@dataclass(frozen=True)
class HandAwareConfig:
    """A recogniser of isolated signs from hand crops.

    ``template``: "open", or a template file, such as one made of MANO. ``tips``: its fingertips,
    None for the first set. ``components``: P, of theta.

    ``frame``: in which the ST-GCN and ``l_tem`` see the joints. "hand": J_3D as Eq. 2 gives it and
    Eq. 4 and 7 print it, blind to how the hand is turned. "camera": ``c_r J_3D``. Choice: "camera",
    because signs differ in orientation alone.

    ``distances``: of the spatial partition, see ``hand_graph.adjacency``.

    ``fusion``: the paper says no more than that both hands are fused. Choice: "concatenate" their
    features before the classifier, which then knows which hand did what; "mean" is what ST-GCN
    does with several persons.
    """

    classes: int = 100
    hands: int = 2
    rgb: ResNetEncoderConfig = field(default_factory=ResNetEncoderConfig)
    template: str = "open"
    tips: str | None = None
    components: int = 6
    frame: Literal["camera", "hand"] = "camera"
    graph: StGcnConfig = field(default_factory=StGcnConfig)
    distances: Distances = "bfs"
    fusion: Fusion = "concatenate"


class HandAwareOutput(NamedTuple):
    """What is read of clips; what it says of frames outside ``present`` means nothing."""

    logits: Tensor  # (B, K)
    state: HandState  # (B, H, T, ...)
    hands: HandReconstruction  # (B, H, T, ...)
    joints: Tensor  # (B, H, T, 21, 3) from the wrist, decimetres: what the ST-GCN is given
    present: Tensor  # (B, H, T)


class HandAwareRecognizer(nn.Module):
    """Crops of both hands -> class, with the hands' meshes and poses on the way."""

    def __init__(self, config: HandAwareConfig) -> None:
        super().__init__()
        _one_of("frame", config.frame, ("camera", "hand"))
        _one_of("fusion", config.fusion, ("concatenate", "mean"))
        self.config = config
        template = HandTemplate.load(config.template, side="right")
        self.decoder = HandDecoder(template, components=config.components, tips=config.tips)
        betas = self.decoder.layer.num_betas
        self.encoder = HandEncoder(config.rgb, components=config.components, betas=betas)
        self.inference = StGcn(config.graph, adjacency("spatial", distances=config.distances))
        hands = config.hands if config.fusion == "concatenate" else 1
        self.classifier = nn.Linear(hands * self.inference.feature_dim, config.classes)

    def forward(self, crops: Tensor, present: Tensor | None = None) -> HandAwareOutput:
        """Crops ``(B, H, T, 3, S, S)``, RGB from 0 to 1; ``present (B, H, T)`` bool.

        ``present`` is False where there is no hand, and beyond the end of a clip; None: True
        everywhere. What crops hold there is never read.
        """
        if present is None:
            present = crops.new_ones(crops.shape[:3]).bool()
        state = self.encoder(crops, present)
        # In full precision whatever the encoder runs in, which has nearly all the work: in half of
        # it joints are off by millimetres.
        with torch.autocast(crops.device.type, enabled=False):
            hands = self.decoder(state)
            joints = hands.turned if self.config.frame == "camera" else hands.joints
            joints = (joints - joints[..., :1, :]) * UNIT
            logits = self.classify(joints, present)
        return HandAwareOutput(logits, state, hands, joints, present)

    def classify(self, joints: Tensor, present: Tensor) -> Tensor:
        """The inference module: joints ``(B, H, T, 21, 3)`` -> logits ``(B, K)``."""
        fused = fused_features(self.inference, joints, present, self.config.fusion)
        logits: Tensor = self.classifier(fused)
        return logits


def fused_features(inference: StGcn, joints: Tensor, present: Tensor, fusion: Fusion) -> Tensor:
    """Features of all hands together: joints ``(B, H, T, 21, C)`` -> ``(B, H D)`` where they are
    concatenated, else ``(B, D)``. A hand that no frame shows gives zeros."""
    features: Tensor = inference(joints.flatten(0, 1), present.flatten(0, 1))
    each = features.view(*joints.shape[:2], features.shape[-1])
    if fusion == "concatenate":
        return each.flatten(1)
    seen = present.any(2).sum(1, keepdim=True)
    return each.sum(1) / seen.clamp_min(1)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{name}: expected {' or '.join(known)}, got {value!r}")
