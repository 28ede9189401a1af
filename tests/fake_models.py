"""Tiny networks of each system with random weights, sharp enough to say something, and their
checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chereme.datasets.clips import AS_SERVED
from chereme.decoding.generation import GenerationConfig
from chereme.formats.tracks import TrackSpec, register_track
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.nn.st_gcn import StGcnConfig
from chereme.systems.fingerspelling.encoders import HandEncoderConfig, LandmarkEncoderConfig
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.systems.hand_aware.recognizer import HandAwareConfig, HandAwareRecognizer
from chereme.systems.signbert.encoder import EncoderConfig
from chereme.systems.signbert.export import landmark_examples
from chereme.systems.signbert.gesture import GestureConfig
from chereme.systems.signbert.recognizer import HeadConfig, SignBertConfig, SignBertRecognizer
from chereme.systems.signbert.tokens import HandPoses
from chereme.systems.signx.context import ContextConfig
from chereme.systems.signx.decoder import DecoderConfig
from chereme.systems.signx.diffusion import DiffusionConfig
from chereme.systems.signx.losses import LossConfig
from chereme.systems.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig
from chereme.systems.signx.tracks import TracksConfig
from chereme.systems.signx.video2pose import Video2Gloss, Video2PoseConfig, ViTConfig
from chereme.text.glosses import GlossVocabulary

SIZE = 32  # of crops and pictures
CROP = {"padding": 0.1, "smoothing": 0.05, "bridge": 0.0}
GLOSSES = ("HELLO", "NO", "YES", "WHERE")
WIDTHS = {"fake_hands": 6, "fake_face": 3}
for name, width in WIDTHS.items():
    register_track(TrackSpec(name, width, "numbers"))
VOCABULARY = GlossVocabulary(tuple(f"G{n}" for n in range(8)))
GENERATION = GenerationConfig(repetition_penalty=1.2, max_length=6, beam_size=3)


def _save(path: Path, entry: str, model: nn.Module, about: dict[str, Any]) -> Path:
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    state["distillation.rgb_to_shared.weight"] = torch.zeros(3, 4)  # stays behind
    torch.save({"state_dict": state, entry: about, "epoch": 3}, path)
    return path


def _unsettle(model: nn.Module) -> None:
    """Statistics that are not those of a network without training."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]


def _spread(classifier: nn.Linear, logits: torch.Tensor, by: float = 1.0) -> None:
    """Logits of random clips spread round 0, as those of a network that has learnt."""
    deviation = by * logits.std(0)
    classifier.weight.div_(deviation[:, None])
    classifier.bias.sub_(logits.mean(0)).div_(deviation)


# -- letters --------------------------------------------------------------------------------------
def letters(stream: str = "landmarks", **changes: Any) -> FingerspellingRecognizer:
    """Of the stream landmarks, hand or rgb; ``changes`` of its config."""
    torch.manual_seed({"landmarks": 2, "hand": 23, "rgb": 3}[stream])
    landmarks = LandmarkEncoderConfig(hidden=16, feature_dim=12)
    config = FingerspellingConfig(
        stream=stream,  # type: ignore[arg-type]
        landmarks=landmarks,
        hand=HandEncoderConfig(landmarks, hidden=16, feature_dim=12),
        rgb=ResNetEncoderConfig(depths=(1, 1), widths=(8, 16), image_size=SIZE),
        sequence=SequenceConfig(conv_dim=14, gru_hidden=10),
    )
    model = FingerspellingRecognizer(replace(config, **changes))
    if stream != "rgb":
        encoder: Any = model.encoder
        branches = [encoder] if stream == "landmarks" else [encoder.landmarks, encoder.vectors]
        for branch in branches:
            branch.mean.normal_(0, 0.3)
            branch.std.uniform_(0.2, 0.6)
    _unsettle(model)
    with torch.no_grad():
        model.sequence.classifier.weight.mul_(25 if stream == "landmarks" else 40)  # type: ignore[union-attr, operator]
    return model.eval()


def save_letters(path: Path, model: FingerspellingRecognizer, **about: Any) -> Path:
    crop = {"crop": CROP} if model.config.stream == "rgb" else {}
    described = {"config": asdict(model.config), "rate": 25.0, **crop}
    return _save(path, "recognizer", model, described | about)


# -- isolated signs -------------------------------------------------------------------------------
SMALL_SIGNBERT = EncoderConfig(
    gesture=GestureConfig(widths=(8, 12)), dim=24, layers=2, heads=2, feed_forward=32
)


def signbert(encoder: EncoderConfig = SMALL_SIGNBERT) -> SignBertRecognizer:
    """Reads landmarks."""
    torch.manual_seed(1)
    model = SignBertRecognizer(SignBertConfig(encoder, head=HeadConfig(classes=len(GLOSSES))))
    _unsettle(model)
    model.eval()
    with torch.no_grad():
        model.encoder.gesture.output.weight.mul_(20)  # the hand counts, not its place in time alone
        joints, confidence, mask = landmark_examples(32, 6)
        right = torch.tensor([[False, True]]).expand(32, 2)
        logits = model(HandPoses(joints, confidence, right, mask))
        _spread(model.head.classifier, logits, 0.7)
    return model


def save_signbert(path: Path, model: nn.Module, **about: Any) -> Path:
    described = {
        "kind": "recognizer",
        "config": asdict(model.config),  # type: ignore[call-overload]
        "frames": 8,
        "sampling": "window",
        "rate": 25.0,
        "classes": list(GLOSSES),
    }
    return _save(path, "signbert", model, described | about)


def hand_aware(hands: int = 1, frame: str = "camera") -> HandAwareRecognizer:
    """Reads crops of ``hands`` hands; its answers hang on them."""
    torch.manual_seed(3)
    config = HandAwareConfig(
        classes=len(GLOSSES),
        hands=hands,
        rgb=ResNetEncoderConfig(depths=(1, 1, 1, 1), widths=(6, 8, 10, 12), image_size=SIZE),
        frame=frame,  # type: ignore[arg-type]
        graph=StGcnConfig(channels=(8, 12), strides=(1, 2), kernel=3),
        fusion="mean" if hands == 1 else "concatenate",
    )
    model = HandAwareRecognizer(config).eval()
    with torch.no_grad():
        nn.init.normal_(model.encoder.state.weight, std=0.5)
        _spread(model.classifier, model(torch.rand(16, hands, 4, 3, SIZE, SIZE)).logits)
    return model


def save_hand_aware(path: Path, model: HandAwareRecognizer, **about: Any) -> Path:
    described = {
        "kind": "hands",
        "config": asdict(model.config),
        "size": SIZE,
        "frames": 4,
        "sampling": "spread",
        "rate": 30.0,
        "classes": list(GLOSSES),
        "crop": {"padding": AS_SERVED.padding, "smoothing": AS_SERVED.smoothing, "bridge": 0.2},
    }
    return _save(path, "hand_aware", model, described | about)


# -- continuous signing ---------------------------------------------------------------------------
SIGNX = Pose2GlossConfig(
    tracks=TracksConfig(WIDTHS, 16, 2, latent=24, origins={"fake_hands": 1}, motion=(1, 3)),
    context=ContextConfig(kind="gru", layers=2),
    diffusion=DiffusionConfig(dim=16, halvings=2, heads=2),
    decoder=DecoderConfig(vocabulary=len(VOCABULARY), dim=16, layers=2, heads=2, max_length=6),
    loss=LossConfig(ctc_weight=1.0),
    ctc=True,
    embedding=8,
)


def signx(config: Pose2GlossConfig = SIGNX) -> Pose2Gloss:
    """Reads tracks; its weights are far from where nothing is decided, its statistics its own."""
    torch.manual_seed(0)
    model = Pose2Gloss(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= 2
    for name, width in config.tracks.widths.items():
        mean = 100 * torch.randn(width, generator=generator)
        std = 1 + torch.rand(width, generator=generator)
        model.pose_encoder.track_encoder(name).set_statistics(mean, std)
    return model.eval()


def signx_video() -> Video2Gloss:
    """Reads video."""
    torch.manual_seed(1)
    sizes = ViTConfig(image_size=SIZE, patch_size=8, dim=16, layers=2, heads=2)
    return Video2Gloss(Video2PoseConfig(vit=sizes, dim=16, layers=2, heads=2), signx()).eval()


def save_signx(path: Path, model: Pose2Gloss | Video2Gloss, **about: Any) -> Path:
    pose2gloss = model.pose2gloss if isinstance(model, Video2Gloss) else model
    described: dict[str, Any] = {
        "kind": "pose2gloss",
        "config": asdict(pose2gloss.config),
        "tokens": list(VOCABULARY.tokens),
        "units": "glosses",
        "rate": 20.0,
        "read_with": "decoder",
        "generation": asdict(GENERATION),
        "ctc_beam": 3,
    }
    if isinstance(model, Video2Gloss):
        described |= {"kind": "video2gloss", "video2pose": asdict(model.video2pose.config)}
    return _save(path, "signx", model, described | about)


CHECKPOINTS: dict[str, Callable[[Path], Path]] = {
    "landmarks": lambda path: save_letters(path, letters()),
    "hand": lambda path: save_letters(path, letters("hand")),
    "rgb": lambda path: save_letters(path, letters("rgb")),
    "signbert": lambda path: save_signbert(path, signbert()),
    "hand_aware": lambda path: save_hand_aware(path, hand_aware()),
    "signx": lambda path: save_signx(path, signx()),
    "signx_video": lambda path: save_signx(path, signx_video(), read_with="ctc"),
}
"""Writes a checkpoint of each kind."""
