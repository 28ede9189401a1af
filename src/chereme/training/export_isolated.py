"""A trained recogniser of isolated signs -> a bundle that the serving half runs.

The checkpoint is one of ``chereme.systems.signbert.task`` of the kind "recognizer", or one of
``chereme.systems.hand_aware.task`` of the kind "hands"; these modules say what they hold. Of
SignBERT cropping and mirroring of the hands are part of the network. Of the hand-model-aware
recogniser, the encoder and the hand model are one network (crops to joints), ST-GCN and classifier
the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import onnxruntime
import torch
from torch import Tensor, nn

from chereme.errors import BundleError
from chereme.hand_model import HandTemplate
from chereme.nn.checkpoint_files import load_tensors
from chereme.recognition.bundle import CLASSIFIER, ENCODER, MODEL_CARD
from chereme.recognition.config import SCHEMA_VERSION, Abstention, IsolatedConfig, parse_config
from chereme.recognition.isolated_bundle import CROP_PORTS, LANDMARK_PORTS, OUTPUT, write_isolated
from chereme.systems.fingerspelling.export import to_onnx
from chereme.systems.hand_aware.decoder import HandDecoder, turn
from chereme.systems.hand_aware.recognizer import UNIT, HandAwareRecognizer
from chereme.systems.hand_aware.task import load_hand_aware
from chereme.systems.signbert.decoder import landmark_template
from chereme.systems.signbert.distances import ClassDistances
from chereme.systems.signbert.recognizer import SignBertRecognizer
from chereme.systems.signbert.task import load_signbert
from chereme.systems.signbert.tokens import HandPoses

TOLERANCE = 1e-3  # of log-probabilities: what the exported networks may differ from PyTorch's
_SHAPES = ((1, 1), (3, 7), (2, 32))  # clips and frames of the batches that both are compared on
_CROPS = 3  # frames of the clips that networks of pictures are compared on


class Networks(NamedTuple):
    """ONNX files by name, and the largest ``difference`` of any log-probability to PyTorch's."""

    files: dict[str, bytes]
    difference: float


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


class CropEncoder(nn.Module):
    """Crops ``(N, 3, S, S)`` uint8 -> joints ``(N, 21, 3)`` as the ST-GCN is given them.

    Of the hand model no more than the landmarks is computed, exactly those of the whole mesh.
    """

    def __init__(self, model: HandAwareRecognizer) -> None:
        super().__init__()
        self.encoder, self.frame = model.encoder, model.config.frame
        template = HandTemplate.load(model.config.template, side="right")
        points = landmark_template(template, model.config.tips)
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


def kind_of(checkpoint: str | Path) -> str | None:
    """ "signbert" or "hand_aware" where a file says to be the checkpoint of such a recogniser."""
    try:
        found = load_tensors(checkpoint, mmap=True)
        return next((kind for kind in ("signbert", "hand_aware") if kind in found), None)
    except (BundleError, LookupError, TypeError):
        return None


def export_isolated(
    checkpoint: str | Path,
    folder: str | Path,
    *,
    description: str | Path | Mapping[str, Any] | None = None,
    model_card: str | Path | None = None,
    distances: ClassDistances | None = None,
) -> Path:
    """Write the bundle of a checkpoint, after comparing its networks with PyTorch's; where it is.

    Args:
        checkpoint: written by ``chereme.systems.signbert.task``, of the kind "recognizer", or by
            ``chereme.systems.hand_aware.task``, of the kind "hands".
        folder: of the bundle; an older bundle there is replaced.
        description: what training cannot know, as a mapping or a JSON file: name, licence,
            training_data, metrics, abstention (as in
            ``chereme.recognition.config.IsolatedConfig``).
        model_card: Markdown that goes along; None: one is written from what is known.
        distances: of a recogniser of SignBERT that was trained on other signs as well.

    Raises:
        BundleError: another checkpoint or description, or the networks give other
            log-probabilities than PyTorch's, by over 0.001.
    """
    if kind_of(checkpoint) == "hand_aware":
        crops = load_hand_aware(checkpoint)
        if not isinstance(crops.model, HandAwareRecognizer):
            raise BundleError(
                f"{checkpoint}: expected a recogniser of the kind 'hands', which bundles can "
                f"serve, got {crops.about['kind']!r}"
            )
        config = _config(crops.about, Path(folder), description, crops.model)
        networks = crop_networks(crops.model)
    else:
        loaded = load_signbert(checkpoint)
        if not isinstance(loaded.model, SignBertRecognizer):
            raise BundleError(
                f"{checkpoint}: expected a recogniser, got a pre-training, which knows no signs; "
                "fine-tune it first: chereme train --config configs/signbert/finetune.yaml"
            )
        config = _config(loaded.about, Path(folder), description)
        networks = landmark_networks(loaded.model, distances)
    if not networks.difference <= TOLERANCE:
        raise BundleError(
            f"{checkpoint}: the exported network gives other log-probabilities than PyTorch's, by "
            f"up to {networks.difference:.3g}; this should not happen, please report it"
        )
    compared = {
        "test_set": "ONNX Runtime against PyTorch: random clips",
        "log_probability_difference": round(networks.difference, 7),
    }
    config = replace(config, metrics=(*config.metrics, compared))
    card = _card(config).encode() if model_card is None else Path(model_card)
    return write_isolated(folder, config, {**networks.files, MODEL_CARD: card}).directory


def landmark_networks(
    model: SignBertRecognizer, distances: ClassDistances | None = None
) -> Networks:
    """``classifier.onnx`` of SignBERT."""
    served = LandmarkClassifier(model, distances).eval()
    ports = (*LANDMARK_PORTS, OUTPUT)
    free = {0: "clips", 1: "frames"}
    network = to_onnx(served, landmark_examples(2, 5), ports, free, {0: "clips"})
    session = _session(network)
    differences = []
    for clips, frames in _SHAPES:
        given = landmark_examples(clips, frames)
        named = {n: tensor.numpy() for n, tensor in zip(LANDMARK_PORTS, given, strict=True)}
        found = torch.from_numpy(session.run([OUTPUT], named)[0])
        with torch.no_grad():
            differences.append((found - served(*given)).abs().max())
    # Of NaN torch's maximum is NaN.
    return Networks({CLASSIFIER: network}, float(torch.stack(differences).max()))


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


def crop_networks(model: HandAwareRecognizer) -> Networks:
    """``encoder.onnx`` and ``classifier.onnx`` of the hand-model-aware recogniser, compared with
    the whole of it, from crops to log-probabilities."""
    config = model.config
    crops, present = crop_examples(model, 2, _CROPS)
    encoder = to_onnx(CropEncoder(model), crops[0, 0], ("frames", "joints"), {0: "frames"})
    joints = torch.randn(2, 5, config.hands, 21, 3)
    free = {0: "clips", 1: "frames"}
    classifier = to_onnx(
        JointClassifier(model),
        (joints, torch.ones(joints.shape[:3], dtype=torch.bool)),
        (*CROP_PORTS, OUTPUT),
        free,
        {0: "clips"},
    )
    with torch.no_grad():
        expected = model(crops.float() / 255, present).logits.log_softmax(-1)
    made = _session(encoder).run(None, {"frames": crops.flatten(0, 2).numpy()})[0]
    by_clip = torch.from_numpy(made).view(*crops.shape[:3], 21, 3).transpose(1, 2)
    given = {"joints": by_clip.numpy(), "present": present.transpose(1, 2).numpy()}
    found = torch.from_numpy(_session(classifier).run([OUTPUT], given)[0])
    return Networks(
        {ENCODER: encoder, CLASSIFIER: classifier}, float((found - expected).abs().max())
    )


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


def _session(network: bytes) -> Any:
    return onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])


def _config(
    about: Mapping[str, Any],
    folder: Path,
    description: str | Path | Mapping[str, Any] | None,
    model: HandAwareRecognizer | None = None,
) -> IsolatedConfig:
    """``model``: where pictures are read."""
    template = "open" if model is None else model.config.template
    # What is exported holds the landmarks of the hand model, which MANO's licence keeps back.
    own = f"hold parts of the hand model {template}: see its licence before passing them on"
    described: dict[str, Any] = {
        "name": folder.resolve().name,
        "licence": {
            "code": "MIT",
            "weights": "not stated" if template == "open" else own,
            "data": "not stated",
        },
        "training_data": [],
        "metrics": [],
    }
    if isinstance(description, Mapping):
        described |= description
    elif description is not None:
        try:
            described |= json.loads(Path(description).read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise BundleError(f"{description}: expected a JSON object ({error})") from error
    preprocessing = {name: about[name] for name in ("rate", "frames", "sampling")}
    if model is not None:
        crop = dict(about["crop"])
        preprocessing |= {
            "hands": model.config.hands,
            "bridge": crop.pop("bridge"),
            "crop": {"size": model.config.rgb.image_size, **crop},
        }
    described |= {
        "schema_version": SCHEMA_VERSION,
        "task": "isolated",
        "input": "landmarks" if model is None else "rgb",
        "classes": list(about["classes"]),
        "preprocessing": preprocessing,
        "abstention": {
            **described.get("abstention", {}),
            "other": bool(about.get("other", False)),
        },
    }
    where = str(description) if isinstance(description, str | Path) else "description"
    config = parse_config(described, where)
    assert isinstance(config, IsolatedConfig)  # as its task says
    return config


def _card(config: IsolatedConfig) -> str:
    """A model card of what is known."""
    given, licence = config.preprocessing, config.licence
    how = {
        "window": f"{given.frames} frames in a row, from the middle of the clip",
        "spread": f"{given.frames} frames, evenly spread over the clip",
    }[given.sampling]
    what = "the landmarks of both hands"
    if config.input == "rgb":
        what = "pictures of " + ("both hands" if given.hands == 2 else "the hand that signs")
    lines = [
        f"# {config.name}",
        "",
        f"Recognises single signs, one a clip, from {what}: it ranks its "
        f"{len(config.classes)} glosses. Face and body are not read. {_others(config.abstention)}",
        "",
        f"It reads {how}, or all of a shorter one. The clips it was trained on have about "
        f"{given.rate:g} frames a second.",
        "",
        f"Licence: code {licence.code}; weights {licence.weights}; data {licence.data}.",
        "",
        "## Glosses",
        "",
        ", ".join(config.classes),
    ]
    for title, entries in (("Training data", config.training_data), ("Metrics", config.metrics)):
        lines += ["", f"## {title}", ""]
        lines += [
            "- " + "; ".join(f"{key}: {value}" for key, value in entry.items()) for entry in entries
        ] or ["Not stated."]
    return "\n".join(lines) + "\n"


def _others(abstention: Abstention) -> str:
    """What becomes of signs that the model does not know."""
    if not abstention.min_probability:
        return "A clip of any other sign is ranked as if it were one of these."
    return (
        f"There is no answer where no gloss has a probability of {abstention.min_probability:.2f} "
        "(--min-probability), as is meant for clips of other signs. Not all of these are found out."
    )
