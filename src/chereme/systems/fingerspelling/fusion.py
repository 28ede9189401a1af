"""Two streams at once: the fusions that Table 2 of the paper compares distillation with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from chereme.errors import UsageError

if TYPE_CHECKING:
    from chereme.systems.fingerspelling.recognizer import FingerspellingRecognizer, Frames


class LateFusion(nn.Module):
    """The mean of the logits of recognisers that were trained separately (Table 2 'Late')."""

    def __init__(self, models: Sequence[FingerspellingRecognizer]) -> None:
        super().__init__()
        described = {
            (m.config.sequence.temporal_stride, m.config.sequence.num_symbols) for m in models
        }
        if len(described) != 1:
            raise UsageError(
                "late fusion: expected recognisers of one temporal stride and one number of "
                f"symbols, got {', '.join(map(str, sorted(described)))}"
            )
        self.models = nn.ModuleList(models)

    def forward(
        self,
        frames: Sequence[Frames],
        lengths: Tensor | None = None,
        present: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """As the recognisers' ``forward``; ``frames``: those of each recogniser, in their order."""
        outputs = [
            model(stream, lengths, present)
            for model, stream in zip(self.models, frames, strict=True)
        ]
        sequence, visual = (torch.stack([o[k] for o in outputs]).mean(0) for k in (0, 1))
        return sequence, visual, outputs[0][2]
