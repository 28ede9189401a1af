"""Checkpoints of the fingerspelling recogniser, and training that begins with the weights of one.

What a checkpoint holds beside what Lightning writes is plain values and tensors:

    "state_dict": the recogniser's weights under ``model.``; others (projections, teachers) stay
    "recognizer": {
        "config": dataclasses.asdict(FingerspellingConfig),
        "rate": frames a second of the clips that it was trained on, float,
        "alphabet": list of its symbols without the blank; absent: the letters a to z,
        "crop": {"padding": float, "smoothing": float, "bridge": float},  # of the stream rgb alone
        "distillation": dataclasses.asdict(DistillationConfig),  # of students alone, with
        "teacher": the name of the vectors that they learned
    }

``crop`` says how the crops were made that the network was validated on: ``padding`` and
``smoothing`` are those of ``chereme.hands.crop.hand_box``, ``bridge`` is the longest gap, in
seconds, that ``chereme.hands.signing.bridge_gaps`` filled before (0: none). Their side is
``config["rgb"]["image_size"]``. A network that sees the middle share m (0 to 1) of crops made with
the padding p writes the padding ((1 + 2 p) m - 1) / 2: that of its own box, cut at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from chereme.errors import BundleError, some
from chereme.formats.strict import read_as
from chereme.nn.checkpoint_files import load_tensors
from chereme.systems.fingerspelling.distillation import DistillationConfig, PoseDistillation
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.text import ASL_LETTERS, Alphabet
from chereme.training.checkpoints import read_checkpoint

CROP = ("padding", "smoothing", "bridge")


class Checkpoint(NamedTuple):
    """A network, ready to run, and what else serving must know of it; see the top of the module.

    ``crop`` is None for other streams than rgb.
    """

    model: FingerspellingRecognizer
    rate: float
    alphabet: Alphabet
    crop: Mapping[str, float] | None


def load_checkpoint(path: str | Path) -> Checkpoint:
    """The network of a checkpoint, and what it was trained for.

    Nothing but tensors and plain values is read. BundleError for anything else.
    """
    with read_checkpoint(path, "recognizer", "the fingerspelling recogniser") as (about, state):
        model = FingerspellingRecognizer(read_as(FingerspellingConfig, about["config"]))
        model.load_state_dict(state)
        alphabet = Alphabet(tuple(about.get("alphabet", ASL_LETTERS.symbols)))
        rgb = model.config.stream == "rgb"
        crop = {name: float(about["crop"][name]) for name in CROP} if rgb else None
        rate = float(about["rate"])
    return Checkpoint(model.eval(), rate, alphabet, crop)


def load_distillation(path: str | Path) -> tuple[PoseDistillation, str]:
    """The projections that a student was trained with, which export drops, and the name of its
    teacher. BundleError where the checkpoint is of no student."""
    with read_checkpoint(path, "recognizer", "a student of the fingerspelling recogniser") as (
        about,
        _,
    ):
        config = read_as(DistillationConfig, about["distillation"])
        encoder = FingerspellingRecognizer(read_as(FingerspellingConfig, about["config"])).encoder
        distillation = PoseDistillation(config, encoder.feature_dim)
        state = load_tensors(path)["state_dict"]
        begins = "distillation."
        own = {k.removeprefix(begins): v for k, v in state.items() if k.startswith(begins)}
        distillation.load_state_dict(own)
        teacher = str(about["teacher"])
    return distillation.eval(), teacher


def load_pretrained(model: FingerspellingRecognizer, path: str | Path) -> None:
    """Set the weights of ``model`` to those of the checkpoint of another run, to fine-tune them.

    Of a run of another stream, the weights after the encoder are taken: a network that reads crops
    can begin with what another has learned from vectors. Classifiers of another alphabet's width
    keep the weights they have, with a warning.

    Raises:
        BundleError: the file is no such checkpoint, or one of another network; weights that are
            missing, of another shape, or unknown are named.
    """
    pretrained = load_checkpoint(path).model
    found, own = pretrained.state_dict(), model.state_dict()
    if pretrained.config.stream != model.config.stream:
        found = {k: v for k, v in found.items() if k.startswith("sequence.")}
        found |= {k: v for k, v in own.items() if k.startswith("encoder.")}
    misshapen = {name for name in found.keys() & own if found[name].shape != own[name].shape}
    classifiers = {name for name in misshapen if "classifier." in name}
    problems = {
        "missing": own.keys() - found.keys(),
        "of another shape": misshapen - classifiers,
        "unknown": found.keys() - own.keys(),
    }
    if any(problems.values()):
        named = "; ".join(
            f"{kind}: {some(sorted(names), 8)}" for kind, names in problems.items() if names
        )
        raise BundleError(
            f"{path}: expected the weights of the network that is to be trained (its stream and "
            f"sizes), got {named}"
        )
    if classifiers:
        warnings.warn(
            f"{path}: is of another number of symbols: training starts from random weights of "
            f"{some(sorted(classifiers), 8)}",
            stacklevel=2,
        )
    model.load_state_dict(own | {k: v for k, v in found.items() if k not in classifiers})
