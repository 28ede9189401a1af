"""The whole of SignBERT: pre-training (sections 3.2 and 3.3) and recognition (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.systems.signbert.decoder import Decoded, DecoderConfig, build_decoder
from chereme.systems.signbert.encoder import EncoderConfig, SignBertEncoder
from chereme.systems.signbert.losses import LossConfig, PretrainingLosses, pretraining_losses
from chereme.systems.signbert.masking import Masked, MaskingConfig, mask_tokens
from chereme.systems.signbert.tokens import HandPoses, Tokens


@dataclass(frozen=True)
class HeadConfig:
    """``classes``; ``hands``: H of the clips, whose features are laid side by side."""

    classes: int = 100
    hands: int = 2
    dropout: float = 0.1


@dataclass(frozen=True)
class SignBertConfig:
    """A SignBERT: pre-training uses all but ``head``, recognition ``encoder`` and ``head``."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    head: HeadConfig = field(default_factory=HeadConfig)


class PretrainingOutput(NamedTuple):
    """``tokens``: before masking; ``masked``: what was seen and asked for; ``decoded``: answers."""

    losses: PretrainingLosses
    tokens: Tokens
    masked: Masked
    decoded: Decoded


class SignBertPretraining(nn.Module):
    """Masks hand poses and reconstructs them."""

    def __init__(self, config: SignBertConfig = SignBertConfig()) -> None:
        super().__init__()
        self.config = config
        self.encoder = SignBertEncoder(config.encoder)
        self.decoder = build_decoder(config.decoder, config.encoder.dim)

    def forward(self, poses: HandPoses, generator: torch.Generator) -> PretrainingOutput:
        """Losses of a batch; ``generator`` draws the masks, and nothing else."""
        tokens = self.encoder.tokens(poses)
        masked = mask_tokens(tokens, self.config.masking, generator)
        decoded: Decoded = self.decoder(self.encoder(masked.tokens))
        losses = pretraining_losses(decoded, tokens, masked.chosen, self.config.loss)
        return PretrainingOutput(losses, tokens, masked, decoded)


class PredictionHead(nn.Module):
    """Features weighted by temporal attention, summed, classified (section 3.1).

    Choice: a frame is the features of its hands side by side; one linear layer and a softmax over
    the frames of the clip weigh it ("a simple attention mechanism").
    """

    def __init__(self, config: HeadConfig, dim: int) -> None:
        super().__init__()
        self.config = config
        width = config.hands * dim
        # No bias: it would add the same to all frames, which a softmax does not notice.
        self.score = nn.Linear(width, 1, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(width, config.classes)

    def attention(self, features: Tensor, mask: Tensor) -> Tensor:
        """``(B, T, H, D)`` and ``mask (B, T)`` -> the weight of each frame ``(B, T)``, 0
        outside the clip."""
        score: Tensor = self.score(features.flatten(2)).squeeze(-1)
        score = score.where(mask, torch.finfo(score.dtype).min)
        return score.softmax(-1).where(mask, 0.0)

    def pool(self, features: Tensor, mask: Tensor) -> Tensor:
        """``(B, T, H, D)`` and ``mask (B, T)`` -> what is classified ``(B, H D)``."""
        weights = self.attention(features, mask)
        return (weights.unsqueeze(-1) * features.flatten(2)).sum(1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """``(B, T, H, D)`` and ``mask (B, T)`` -> logits ``(B, classes)``."""
        logits: Tensor = self.classifier(self.dropout(self.pool(features, mask)))
        return logits


class SignBertRecognizer(nn.Module):
    """Hand poses of a clip -> logits of signs."""

    def __init__(self, config: SignBertConfig = SignBertConfig()) -> None:
        super().__init__()
        self.config = config
        self.encoder = SignBertEncoder(config.encoder)
        self.head = PredictionHead(config.head, config.encoder.dim)

    @staticmethod
    def from_pretraining(pretrained: SignBertPretraining, head: HeadConfig) -> SignBertRecognizer:
        """A recogniser with a copy of the encoder of ``pretrained`` and a fresh head."""
        config = pretrained.config
        model = SignBertRecognizer(
            SignBertConfig(config.encoder, config.decoder, config.masking, config.loss, head)
        )
        model.encoder.load_state_dict(pretrained.encoder.state_dict())
        return model

    def forward(self, poses: HandPoses) -> Tensor:
        """Logits ``(B, classes)``.

        Raises:
            UsageError: clips of another number of hands than the head's.
            InputError: shapes that do not fit together.
        """
        logits: Tensor = self.head(*self._encode(poses))
        return logits

    def pool(self, poses: HandPoses) -> Tensor:
        """What the last layer is given of each clip ``(B, H D)``; raises as ``forward`` does."""
        return self.head.pool(*self._encode(poses))

    def _encode(self, poses: HandPoses) -> tuple[Tensor, Tensor]:
        tokens = self.encoder.tokens(poses)
        hands = tokens.joints.shape[2]
        if hands != self.config.head.hands:
            raise UsageError(f"hands: expected clips of {self.config.head.hands}, got {hands}")
        return self.encoder(tokens), tokens.mask
