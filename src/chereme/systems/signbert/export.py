"""What is exported of SignBERT's recogniser: one network, which crops and mirrors hands itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chereme.errors import BundleError
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import CLASSIFIER
from chereme.systems.signbert.distances import ClassDistances
from chereme.systems.signbert.recognizer import SignBertRecognizer
from chereme.systems.signbert.task import load_signbert
from chereme.systems.signbert.tokens import HandPoses
from chereme.training.export import ExportSpec, Outputs, Traced, best_glosses, known_of_glosses

_SHAPES = ((1, 1), (3, 7), (2, 32))  # clips and frames of the examples


class LandmarkClassifier(nn.Module):
    """Joints of both hands, as a bundle's network takes them -> log-probabilities ``(B, K)``."""

    def __init__(self, model: SignBertRecognizer, distances: ClassDistances | None = None) -> None:
        super().__init__()
        self.model, self.distances = model, distances

    def forward(self, joints: Tensor, confidence: Tensor, mask: Tensor) -> Tensor:
        # Not len(), which tracing would take for a constant.
        right = torch.tensor([False, True], device=joints.device).expand(joints.shape[0], 2)
        pooled = self.model.pool(HandPoses(joints, confidence, right, mask))
        logits: Tensor = self.model.head.classifier(pooled)
        if self.distances is not None:
            logits = self.distances.widen(logits, pooled)
        return logits.log_softmax(-1)


def export_spec(checkpoint: str | Path, *, distances: ClassDistances | None = None) -> ExportSpec:
    """What is exported of a checkpoint of ``chereme.systems.signbert.task``, of a recogniser.

    ``distances``: of one that was trained on other signs as well.
    """
    loaded = load_signbert(checkpoint)
    if not isinstance(loaded.model, SignBertRecognizer):
        raise BundleError(
            f"{checkpoint}: expected a recogniser, got a pre-training, which knows no signs; "
            "fine-tune it first: chereme train --config configs/signbert/finetune.yaml"
        )
    classifier = LandmarkClassifier(loaded.model, distances)
    return ExportSpec(
        known={**known_of_glosses(loaded.about), "input": "landmarks"},
        networks={CLASSIFIER: Traced(classifier, landmark_examples(2, 5))},
        examples=[landmark_examples(*shape) for shape in _SHAPES],
        run=_read,
    )


def _read(bundle: Bundle[Any], example: tuple[Tensor, ...]) -> Outputs:
    named = zip(("joints", "confidence", "mask"), example, strict=True)
    feed = {name: tensor.numpy() for name, tensor in named}
    return best_glosses(bundle.classifier.run(["log_probs"], feed)[0])


def landmark_examples(clips: int, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random inputs of the network, with hands and joints that were not seen and padding."""
    generator = torch.Generator().manual_seed(1000 * clips + frames)
    joints = 400 * torch.rand(clips, frames, 2, 21, 2, generator=generator)
    confidence = torch.rand(clips, frames, 2, 21, generator=generator)
    confidence = confidence.where(confidence > 0.2, 0.0)
    confidence[:, 1::3, 0] = 0.0
    mask = torch.ones(clips, frames, dtype=torch.bool)
    mask[1:, frames // 2 + 1 :] = False
    return joints.where(confidence[..., None] > 0, 0.0), confidence, mask
