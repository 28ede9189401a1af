"""What is exported of a fingerspelling recogniser: its encoder and its sequence model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chereme.decoding import greedy
from chereme.errors import BundleError, UsageError
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import ENCODER, LANGUAGE_MODEL, LEXICON, SEQUENCE
from chereme.recognition.networks import encode_frames, log_probs_of
from chereme.systems.fingerspelling.checkpoints import Checkpoint, load_checkpoint
from chereme.systems.fingerspelling.recognizer import FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceModel
from chereme.text import Alphabet
from chereme.training.compression import Crops, as_frames, int8_convolutions, read_crops
from chereme.training.export import ExportSpec, Outputs, Traced

TOLERANCE = 0.01  # of log-probabilities; classifiers of letters are sharp
_FRAMES = 48  # of an example; any number is free in the exported networks
_BLOCK = 16  # frames given to an encoder at once: crops of a long clip would fill the memory


class LogProbs(nn.Module):
    """Features of one clip, those of M recognisers side by side (1, T, M D) -> log-probabilities of
    the BiGRU's classifier of each (M, T', V)."""

    def __init__(self, *models: SequenceModel) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    def forward(self, features: Tensor) -> Tensor:
        own = features.chunk(len(self.models), dim=-1)
        logits = [model(part)[0] for model, part in zip(self.models, own, strict=True)]
        return torch.cat(logits).log_softmax(-1)


class _Encoders(nn.Module):
    """Frames (T, ...) -> the features of M recognisers side by side (T, M D). Of crops
    (T, 3, S, S) uint8 the scale of the colours is part of the network."""

    def __init__(self, *encoders: nn.Module, crops: bool) -> None:
        super().__init__()
        self.encoders, self.crops = nn.ModuleList(encoders), crops

    def forward(self, frames: Tensor) -> Tensor:
        frames = frames.float() / 255 if self.crops else frames
        return torch.cat([encoder(frames) for encoder in self.encoders], dim=-1)


def export_spec(
    checkpoint: str | Path,
    *,
    others: Sequence[str | Path] = (),
    crops: str | Path | None = None,
    lm: str | Path | None = None,
    lexicon: str | Path | None = None,
) -> ExportSpec:
    """What is exported of a checkpoint of the stream landmarks, hand or rgb.

    Args:
        checkpoint: of ``chereme.systems.fingerspelling.checkpoints``.
        others: of other trainings of the same recogniser, which read together with it.
        crops: of an RGB model, to compare on and to calibrate int8 with, see
            ``chereme.training.compression.read_crops``.
        lm: ``lm.onnx`` of a trained character language model.
        lexicon: words that are likely to be spelled, as ``chereme prepare lexicon`` writes them.
    """
    loaded = load_checkpoint(checkpoint)
    config = loaded.model.config
    if config.stream not in ("landmarks", "hand", "rgb"):
        raise BundleError(
            f"{checkpoint}: expected a recogniser of the stream landmarks, hand or rgb, which "
            f"bundles can serve, got {config.stream!r}"
        )
    if config.stream != "rgb" and crops is not None:
        raise UsageError(f"{checkpoint}: crops are of RGB models, got one of {config.stream}")
    symbols = len(loaded.alphabet)
    if config.sequence.num_symbols != symbols:
        raise BundleError(
            f"{checkpoint}: the network gives {config.sequence.num_symbols} symbols, but the "
            f"alphabet and the blank are {symbols}; train it with its own alphabet"
        )
    members = [loaded, *(load_checkpoint(other) for other in others)]
    first = _known(loaded) | {"features": loaded.model.encoder.feature_dim}
    for path, other in zip(others, members[1:], strict=True):
        own = _known(other) | {"features": other.model.encoder.feature_dim}
        if own != first:
            differs = next(key for key in first if own[key] != first[key])
            raise BundleError(
                f"{path}: expected another training of what {checkpoint} is of, got another "
                f"{differs}: {own[differs]} and not {first[differs]}"
            )
    clips = read_crops(crops, config.rgb.image_size) if crops is not None else []
    return spec_of_model(loaded, clips, others=members[1:], lm=lm, lexicon=lexicon)


def _known(loaded: Checkpoint) -> dict[str, Any]:
    """Of the config, what a checkpoint tells."""
    config = loaded.model.config
    known: dict[str, Any] = {
        "task": "fingerspelling",
        "input": config.stream,
        "alphabet": list(loaded.alphabet.symbols),
        "preprocessing": {"rate": loaded.rate},
        "temporal_stride": config.sequence.temporal_stride,
    }
    if loaded.crop is None:
        known["preprocessing"]["features"] = config.features_per_frame
    else:
        cut = {name: loaded.crop[name] for name in ("padding", "smoothing")}
        known["preprocessing"]["crop"] = {"size": config.rgb.image_size, **cut}
        known["segmentation"] = {"bridge": loaded.crop["bridge"]}
    return known


def spec_of_model(
    loaded: Checkpoint,
    clips: Sequence[Crops] = (),
    *,
    others: Sequence[Checkpoint] = (),
    lm: str | Path | None = None,
    lexicon: str | Path | None = None,
) -> ExportSpec:
    """`export_spec` of a network that is loaded already; ``clips`` are ``(T, S, S, 3)``."""
    model, config = loaded.model, loaded.model.config
    models = [model, *(other.model for other in others)]
    rgb = config.stream == "rgb"
    features = torch.randn(1, _FRAMES, len(models) * model.encoder.feature_dim)
    return ExportSpec(
        known=_known(loaded) | {"members": len(models)},
        networks={
            ENCODER: Traced(
                _Encoders(*(one.encoder for one in models), crops=rgb),
                (example_frames(model, 2 if rgb else _FRAMES),),
            ),
            SEQUENCE: Traced(LogProbs(*(one.sequence for one in models)), (features,)),
        },
        examples=[as_frames(c) for c in clips] or [example_frames(model, _FRAMES).numpy()],
        run=read_letters,
        compared_on="clips of crops, letters without a search" if clips else "random clips",
        tolerance=TOLERANCE,
        int8={ENCODER: partial(int8_convolutions, clips=clips)} if rgb else {},
        half=(ENCODER, SEQUENCE) if config.stream == "hand" else (SEQUENCE,),
        files={
            name: Path(file)
            for name, file in {LANGUAGE_MODEL: lm, LEXICON: lexicon}.items()
            if file is not None
        },
    )


def example_frames(model: FingerspellingRecognizer, count: int) -> Tensor:
    """``count`` random frames as the encoder of a bundle takes them."""
    generator = torch.Generator().manual_seed(count)
    if model.config.stream == "rgb":
        shape = (count, 3, model.config.rgb.image_size, model.config.rgb.image_size)
        return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return torch.randn(count, model.config.features_per_frame, generator=generator)


def read_letters(bundle: Bundle[Any], frames: NDArray[Any]) -> Outputs:
    """Log-probabilities and letters, without a search, of ``frames (T, ...)`` of a clip."""
    blocks = range(0, len(frames), _BLOCK)
    features = np.concatenate([encode_frames(bundle, frames[i : i + _BLOCK]) for i in blocks])
    log_probs = log_probs_of(bundle, features)
    alphabet = Alphabet(bundle.config.alphabet)
    texts = [alphabet.decode(greedy(member).symbols) for member in log_probs]
    return Outputs([log_probs], "".join(texts))
