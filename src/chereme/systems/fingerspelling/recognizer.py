"""The whole network of system A: frame encoder -> 1D-CNN -> BiGRU -> CTC classifiers.

Shapes: B clips, T frames, T' = ceil(T / temporal_stride) steps, V symbols with the blank at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.nn.masking import length_mask
from chereme.nn.resnet import ResNetEncoder, ResNetEncoderConfig
from chereme.systems.fingerspelling.encoders import (
    EarlyFusion,
    HandEncoder,
    HandEncoderConfig,
    LandmarkEncoder,
    LandmarkEncoderConfig,
    VectorEncoder,
    VectorEncoderConfig,
)
from chereme.systems.fingerspelling.sequence import SequenceConfig, SequenceModel

Stream: TypeAlias = Literal["landmarks", "hand", "rgb", "pose", "rgb+pose"]
Frames: TypeAlias = Tensor | Sequence[Tensor]


@dataclass(frozen=True)
class FingerspellingConfig:
    """A recogniser: which stream it reads, its encoder, its sequence model.

    ``stream``: "landmarks" (235 numbers a frame), "hand" (these and the hand network's 1,152),
    "rgb" (hand crops; the paper's), "pose" (teacher vectors as the sole stream, Table 1),
    "rgb+pose" (early fusion, Table 2). Only the settings of the encoders of that stream matter.
    """

    stream: Stream = "landmarks"
    landmarks: LandmarkEncoderConfig = field(default_factory=LandmarkEncoderConfig)
    hand: HandEncoderConfig = field(default_factory=HandEncoderConfig)
    rgb: ResNetEncoderConfig = field(default_factory=ResNetEncoderConfig)
    pose: VectorEncoderConfig = field(default_factory=VectorEncoderConfig)
    sequence: SequenceConfig = field(default_factory=SequenceConfig)

    @property
    def features_per_frame(self) -> int:
        """Numbers of each frame of a stream that is made of a hand's track."""
        if self.stream == "hand":
            return self.hand.landmarks.features_per_frame + self.hand.vector_size
        return self.landmarks.features_per_frame


def build_encoder(
    config: FingerspellingConfig,
) -> LandmarkEncoder | HandEncoder | ResNetEncoder | VectorEncoder | EarlyFusion:
    """The encoder of the stream."""
    if config.stream == "landmarks":
        return LandmarkEncoder(config.landmarks)
    if config.stream == "hand":
        return HandEncoder(config.hand)
    if config.stream == "rgb":
        return ResNetEncoder(config.rgb)
    if config.stream == "pose":
        return VectorEncoder(config.pose)
    if config.stream == "rgb+pose":
        return EarlyFusion([ResNetEncoder(config.rgb), VectorEncoder(config.pose)])
    raise UsageError(
        f"stream: expected landmarks, hand, rgb, pose or rgb+pose, got {config.stream!r}"
    )


class FingerspellingRecognizer(nn.Module):
    """Frames and ``lengths (B,)`` -> logits of both heads.

    Frames are features of landmarks or hands ``(B, T, F)``, crops ``(B, T, 3, S, S)``, teacher
    vectors ``(B, T, D)``, or for early fusion crops and vectors.
    """

    def __init__(self, config: FingerspellingConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config)
        self.sequence = SequenceModel(config.sequence, self.encoder.feature_dim)

    def encode(
        self, frames: Frames, lengths: Tensor | None = None, present: Tensor | None = None
    ) -> Tensor:
        """Features ``(B, T, D)``, zero beyond ``lengths`` and outside ``present (B, T)``.

        ``present`` is False where no hand was found; None means everywhere.
        """
        mask = present
        if lengths is not None:
            first = frames if isinstance(frames, Tensor) else frames[0]
            inside = length_mask(lengths, first.shape[1])
            mask = inside if present is None else inside & present
        features: Tensor = self.encoder(frames, mask)
        return features

    def forward(
        self, frames: Frames, lengths: Tensor | None = None, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """See ``SequenceModel.forward``, and ``encode`` for ``present``."""
        features = self.encode(frames, lengths, present)
        out: tuple[Tensor, Tensor, Tensor | None] = self.sequence(features, lengths)
        return out
