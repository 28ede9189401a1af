"""What is exported of the hand-model-aware recogniser: the encoder with the hand model (crops to
joints), and ST-GCN with the classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chereme.errors import BundleError
from chereme.hand_model import HandTemplate
from chereme.hand_model.skeleton import landmark_template
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import CLASSIFIER, ENCODER
from chereme.recognition.sign_crops import encode_crops
from chereme.systems.hand_aware.decoder import HandDecoder, turn
from chereme.systems.hand_aware.recognizer import UNIT, HandAwareRecognizer
from chereme.systems.hand_aware.task import load_hand_aware
from chereme.training.export import ExportSpec, Outputs, Traced, best_glosses, known_of_glosses

_CROPS = 3  # frames of the clips of the example


class CropEncoder(nn.Module):
    """Crops ``(N, 3, S, S)`` uint8 -> joints ``(N, 21, 3)`` as the ST-GCN is given them.

    Of the hand model no more than the landmarks is computed, exactly those of the whole mesh.
    """

    def __init__(self, model: HandAwareRecognizer) -> None:
        super().__init__()
        self.encoder, self.frame = model.encoder, model.config.frame
        template = HandTemplate.load(model.config.template, side="right")
        points = landmark_template(template, template.tip_vertices(model.config.tips))
        self.layer = HandDecoder(points, components=model.config.components).layer

    def forward(self, crops: Tensor) -> Tensor:
        state = self.encoder(crops.float() / 255)
        still = state.theta.new_zeros(state.theta.shape[0], 3)
        joints: Tensor = self.layer(state.betas, state.theta, still).joints
        if self.frame == "camera":
            joints = turn(joints, state.rotation)
        return (joints - joints[:, :1]) * UNIT


class JointClassifier(nn.Module):
    """Joints ``(B, T, H, 21, 3)`` and ``present (B, T, H)`` -> log-probabilities ``(B, K)``."""

    def __init__(self, model: HandAwareRecognizer) -> None:
        super().__init__()
        self.model = model

    def forward(self, joints: Tensor, present: Tensor) -> Tensor:
        logits = self.model.classify(joints.transpose(1, 2), present.transpose(1, 2))
        return logits.log_softmax(-1)


def export_spec(checkpoint: str | Path) -> ExportSpec:
    """What is exported of a checkpoint of ``chereme.systems.hand_aware.task``, of the kind "hands".

    Its networks are compared with the whole recogniser, from crops to log-probabilities.
    """
    loaded = load_hand_aware(checkpoint)
    model, about = loaded.model, loaded.about
    if not isinstance(model, HandAwareRecognizer):
        raise BundleError(
            f"{checkpoint}: expected a recogniser of the kind 'hands', which bundles can serve, "
            f"got {about['kind']!r}"
        )
    config, crop = model.config, dict(about["crop"])
    if "around" in crop:
        raise BundleError(
            f"{checkpoint}: expected crops round hands, got such by the shoulders, which "
            "recognition does not find; prepare the clips without --around, and train again"
        )
    known = {**known_of_glosses(about), "input": "rgb"}
    known["preprocessing"] |= {
        "hands": config.hands,
        "bridge": crop.pop("bridge"),
        "crop": {"size": config.rgb.image_size, **crop},
    }
    # What is exported holds the landmarks of the hand model, which MANO's licence keeps back.
    own = f"hold parts of the hand model {config.template}: see its licence before passing them on"
    terms = "not stated" if config.template == "open" else own
    example = crop_examples(model, 2, _CROPS)
    joints = torch.randn(2, 5, config.hands, 21, 3)
    present = torch.ones(joints.shape[:3], dtype=torch.bool)
    return ExportSpec(
        known=known,
        networks={
            ENCODER: Traced(CropEncoder(model), (example[0][0, 0],)),
            CLASSIFIER: Traced(JointClassifier(model), (joints, present)),
        },
        examples=[example],
        run=_read,
        reference=lambda clips: best_glosses(_whole(model, *clips)),
        defaults={"licence": {"code": "MIT", "weights": terms, "data": "not stated"}},
    )


def _whole(model: HandAwareRecognizer, crops: Tensor, present: Tensor) -> Any:
    with torch.no_grad():
        return model(crops.float() / 255, present).logits.log_softmax(-1).numpy()


def _read(bundle: Bundle[Any], example: tuple[Tensor, Tensor]) -> Outputs:
    crops, present = example
    joints = encode_crops(bundle, crops.flatten(0, 2).numpy())
    by_clip = joints.reshape(*crops.shape[:3], 21, 3).swapaxes(1, 2)
    feed = {"joints": by_clip, "present": present.transpose(1, 2).numpy()}
    return best_glosses(bundle.classifier.run(["log_probs"], feed)[0])


def crop_examples(model: HandAwareRecognizer, clips: int, frames: int) -> tuple[Tensor, Tensor]:
    """Random crops ``(B, H, T, 3, S, S)`` uint8, and which of them show a hand."""
    generator = torch.Generator().manual_seed(1000 * clips + frames)
    size, hands = model.config.rgb.image_size, model.config.hands
    crops = torch.randint(
        256, (clips, hands, frames, 3, size, size), generator=generator, dtype=torch.uint8
    )
    present = torch.ones(clips, hands, frames, dtype=torch.bool)
    present[-1, :, 1::2] = False
    return crops, present
