"""The recognisers of whole frames whose predictions are fused with those of hands (section
"Inference" of the paper), and that of detected hands which it is compared with.

Shapes: B clips, H hands, T frames, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from chereme.nn.hand_graph import Distances, adjacency
from chereme.nn.keypoint_layouts import keypoint_layout
from chereme.nn.resnet import IMAGENET_MEAN, IMAGENET_STD
from chereme.nn.resnet3d import ResNet3d, ResNet3dConfig
from chereme.nn.st_gcn import StGcn, StGcnConfig
from chereme.systems.hand_aware.recognizer import Fusion, fused_features

_CHANNELS = 3  # x, y, confidence


@dataclass(frozen=True)
class KeypointConfig:
    """ST-GCN on the keypoints of body, face and hands. ``layout``: see ``keypoint_layout``."""

    classes: int = 100
    layout: str = "openpose_137"
    graph: StGcnConfig = field(default_factory=StGcnConfig)
    distances: Distances = "bfs"


class KeypointRecognizer(nn.Module):
    """Keypoints of a whole person -> class."""

    source: Tensor  # of each vertex among the detector's keypoints

    def __init__(self, config: KeypointConfig) -> None:
        super().__init__()
        self.config = config
        self.layout = keypoint_layout(config.layout)
        self.register_buffer("source", torch.tensor(self.layout.source), persistent=False)
        subsets = adjacency(
            "spatial",
            edges=self.layout.edges,
            joints=len(self.layout.names),
            centre=self.layout.centre,
            distances=config.distances,
        )
        self.graph = StGcn(config.graph, subsets, _CHANNELS)
        self.classifier = nn.Linear(self.graph.feature_dim, config.classes)

    def forward(self, keypoints: Tensor, confidence: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits ``(B, K)``.

        Args:
            keypoints: ``(B, T, N, 2)``, all that the detector gives, as parts of the picture's
                width and height, 0 to 1.
            confidence: ``(B, T, N)`` 0 to 1; what is 0 has no place, and is zeros as for ST-GCN.
            mask: ``(B, T)`` False beyond the end of a clip. Frames in which nothing is seen are
                left out too.
        """
        sure = confidence.index_select(-1, self.source)
        seen = sure > 0
        place = keypoints.index_select(-2, self.source) - 0.5
        joints = torch.cat([place, sure[..., None]], -1).where(seen[..., None], 0.0)
        shown = seen.any(-1) if mask is None else seen.any(-1) & mask
        return cast(Tensor, self.classifier(self.graph(joints, shown)))


@dataclass(frozen=True)
class HandKeypointConfig:
    """The inference module of system B alone, on detected joints; see ``HandAwareConfig``."""

    classes: int = 100
    hands: int = 2
    graph: StGcnConfig = field(default_factory=StGcnConfig)
    distances: Distances = "bfs"
    fusion: Fusion = "concatenate"


class HandKeypointRecognizer(nn.Module):
    """Detected 2-D joints of hands -> class: the first row of Table 2 ("OP")."""

    def __init__(self, config: HandKeypointConfig) -> None:
        super().__init__()
        self.config = config
        subsets = adjacency("spatial", distances=config.distances)
        self.graph = StGcn(config.graph, subsets, _CHANNELS)
        hands = config.hands if config.fusion == "concatenate" else 1
        self.classifier = nn.Linear(hands * self.graph.feature_dim, config.classes)

    def forward(self, landmarks: Tensor, confidence: Tensor, present: Tensor) -> Tensor:
        """Logits ``(B, K)``.

        Args:
            landmarks: ``(B, H, T, 21, 2)`` crop units; read from the wrist on.
            confidence: ``(B, H, T, 21)`` 0 to 1; what is 0 has no place.
            present: ``(B, H, T)`` frames that show that hand.
        """
        seen = confidence[..., None] > 0
        place = landmarks.where(seen, 0.0)  # the wrist too: what is not seen may be NaN
        joints = torch.cat([place - place[..., :1, :], confidence[..., None]], -1)
        joints = joints.where(seen, 0.0)
        fused = fused_features(self.graph, joints, present, self.config.fusion)
        return cast(Tensor, self.classifier(fused))


@dataclass(frozen=True)
class RgbConfig:
    """3-D ResNet50 on whole frames."""

    classes: int = 100
    resnet: ResNet3dConfig = field(default_factory=ResNet3dConfig)


class RgbRecognizer(nn.Module):
    """Whole frames -> class."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: RgbConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)
        self.resnet = ResNet3d(config.resnet)
        self.classifier = nn.Linear(self.resnet.feature_dim, config.classes)

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Tensor:
        """Frames ``(B, T, 3, H, W)``, RGB from 0 to 1, those inside ``mask (B, T)`` -> logits
        ``(B, K)``."""
        features = self.resnet((frames - self.mean) / self.std, mask)
        return cast(Tensor, self.classifier(features))
