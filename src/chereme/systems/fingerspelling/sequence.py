"""Frame features -> 1D-CNN -> BiGRU -> CTC classifier, with an auxiliary one after the CNN.

Sections 3.2.1 to 3.2.3 of the paper; one model for all streams. Shapes: B clips, T frames,
T' = ceil(T / temporal_stride) steps, V symbols with the blank at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from chereme.errors import UsageError
from chereme.systems.fingerspelling.temporal import TemporalConv, temporal_stride


@dataclass(frozen=True)
class SequenceConfig:
    """Sizes of `SequenceModel`.

    The defaults are those of the landmark stream. Choice: the paper stacks four BiGRU layers of
    512 on appearance; landmarks carry less and the model has to stay under 8 MB, so two layers of
    160 in each direction.

    ``kernels``: pattern of the 1D-CNN, or its name (``chereme.systems.fingerspelling.KERNELS``).
    ``gru_hidden_is``: the paper's "hidden dimensionality of 512" may be that of each direction, or
    of both together (its v and s both have d dimensions). Choice: of each direction.
    ``shared_classifier``: one classifier after the 1D-CNN and after the BiGRU (needs equal widths).
    ``normalised_classifier``: columns of length 1 and no bias, see `NormLinear`.
    """

    num_symbols: int = 27
    kernels: str = "default"
    conv_dim: int = 160
    gru_hidden: int = 160
    gru_hidden_is: Literal["per_direction", "total"] = "per_direction"
    gru_layers: int = 2
    dropout: float = 0.25
    shared_classifier: bool = False
    normalised_classifier: bool = False

    @property
    def temporal_stride(self) -> int:
        """Frames for each step of the output, as the poolings imply."""
        return temporal_stride(self.kernels)

    @property
    def hidden_per_direction(self) -> int:
        """Units of the GRU in each direction."""
        if self.gru_hidden_is == "per_direction":
            return self.gru_hidden
        if self.gru_hidden % 2:
            raise UsageError(f"gru_hidden: expected an even total, got {self.gru_hidden}")
        return self.gru_hidden // 2


class NormLinear(nn.Module):
    """Linear layer without bias whose weights of each class have length 1 (VAC's classifier)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x @ F.normalize(self.weight, dim=0)


class SequenceModel(nn.Module):
    """Frame features ``(B, T, D)`` -> logits ``(B, T', V)`` of both classifiers."""

    def __init__(self, config: SequenceConfig, feature_dim: int) -> None:
        super().__init__()
        self.conv = TemporalConv(config.kernels, feature_dim, config.conv_dim)
        self.gru = nn.GRU(
            config.conv_dim,
            config.hidden_per_direction,
            config.gru_layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.gru_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(config.dropout)
        classifier = NormLinear if config.normalised_classifier else nn.Linear
        width = 2 * config.hidden_per_direction
        self.visual_classifier = classifier(config.conv_dim, config.num_symbols)
        if config.shared_classifier:
            if width != config.conv_dim:
                raise UsageError(
                    "shared_classifier: expected conv_dim equal to both directions of the GRU "
                    f"together, got {config.conv_dim} and {width}"
                )
            self.classifier = self.visual_classifier
        else:
            self.classifier = classifier(width, config.num_symbols)

    def forward(
        self, features: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits after the BiGRU and after the 1D-CNN, ``(B, T', V)`` each, and lengths ``(B,)``.

        Without ``lengths`` all clips fill the whole time axis (as at inference, one at a time).
        """
        visual, lengths = self.conv(features, lengths)
        if lengths is None:
            hidden, _ = self.gru(visual)
        else:
            packed = pack_padded_sequence(
                visual, lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            hidden, _ = pad_packed_sequence(
                self.gru(packed)[0], batch_first=True, total_length=visual.shape[1]
            )
        sequence_logits = self.classifier(self.dropout(hidden))
        visual_logits = self.visual_classifier(self.dropout(visual))
        return sequence_logits, visual_logits, lengths
