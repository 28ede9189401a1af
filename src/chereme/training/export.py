"""A trained recogniser -> a bundle of ONNX networks that the serving half runs."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chereme.errors import BundleError, UsageError
from chereme.models.fingerspelling import (
    FingerspellingConfig,
    FingerspellingRecognizer,
    SequenceModel,
)
from chereme.runtime.bundle import Bundle, write_bundle
from chereme.runtime.config import SCHEMA_VERSION, parse_config
from chereme.text import ASL_LETTERS

_TRACED_FRAMES = 48  # any number; it stays free in the exported networks


def load_checkpoint(path: str | Path) -> tuple[FingerspellingRecognizer, float]:
    """The network of a training checkpoint, ready to run, and its frames a second.

    Nothing but tensors and plain values is read: a checkpoint that holds other pickled objects is
    refused with a ``BundleError``, since unpickling them could run code.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BundleError(f"{path}: no such checkpoint") from error
    except Exception as error:  # on bytes that are no checkpoint torch may stumble in any way
        raise BundleError(
            f"{path}: expected a checkpoint of tensors and plain values, as 'chereme train' "
            "writes; it cannot be read as one, or holds objects that could run code "
            f"({_first_line(error)})"
        ) from error
    prefix = "model."
    try:
        described, state = checkpoint["recognizer"], checkpoint["state_dict"]
        model = FingerspellingRecognizer(FingerspellingConfig.from_dict(described["config"]))
        model.load_state_dict(
            {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
        )
        return model.eval(), float(described["rate"])
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, UsageError) as error:
        raise BundleError(
            f"{path}: expected a checkpoint of the fingerspelling recogniser, with the entry "
            f"'recognizer' and weights that fit it, got something else ({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class _Serving(nn.Module):
    """Features of one clip -> log-probabilities of the BiGRU's classifier."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.model(features)[0]
        return logits.log_softmax(-1)


def to_onnx(
    module: nn.Module, example: Tensor, names: tuple[str, str], free: Mapping[int, str]
) -> bytes:
    """``module`` with one input and one output as an ONNX file; ``free`` names its free axes.

    Choice: PyTorch's exporter by tracing (``dynamo=False``). The one by ``torch.export`` fixes the
    number of time steps of a GRU and of max pooling at that of the example (seen with 2.13).
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # It warns that a GRU's check of its input's shape is traced as passed.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            module.eval(),
            (example,),
            buffer,  # type: ignore[arg-type]  # a file object is as good as a path
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_axes={name: dict(free) for name in names},
            dynamo=False,
            opset_version=17,
        )
    return buffer.getvalue()


def onnx_networks(model: FingerspellingRecognizer) -> dict[str, bytes]:
    """``encoder.onnx`` (frames (T, F) -> features (T, D)) and ``sequence.onnx`` (features
    (1, T, D) -> log_probs (1, T', V))."""
    frames = torch.randn(_TRACED_FRAMES, model.config.landmarks.features_per_frame)
    features = torch.randn(1, _TRACED_FRAMES, model.encoder.feature_dim)
    return {
        "encoder.onnx": to_onnx(model.encoder, frames, ("frames", "features"), {0: "time"}),
        "sequence.onnx": to_onnx(
            _Serving(model.sequence), features, ("features", "log_probs"), {1: "time"}
        ),
    }


def export(
    checkpoint: str | Path,
    output: str | Path,
    *,
    lm: str | Path | None = None,
    description: str | Path | None = None,
    model_card: str | Path | None = None,
) -> Bundle:
    """Write the bundle of a checkpoint.

    Args:
        checkpoint: written by ``chereme train``.
        output: folder of the bundle; an older bundle there is replaced.
        lm: ``lm.onnx`` of a trained character language model.
        description: JSON with what training cannot know: name, licence, training_data, metrics,
            decoding, segmentation, still (as in ``chereme.runtime.config.BundleConfig``).
        model_card: Markdown that goes along.
    """
    model, rate = load_checkpoint(checkpoint)
    if model.config.stream != "landmarks":
        raise BundleError(
            f"{checkpoint}: expected a recogniser of the stream landmarks, the one that bundles "
            f"can serve so far, got {model.config.stream!r}"
        )
    described: dict[str, Any] = {
        "name": Path(output).resolve().name,
        "licence": {"code": "MIT", "weights": "not stated", "data": "not stated"},
        "training_data": [],
        "metrics": [],
    }
    if description is not None:
        try:
            described |= json.loads(Path(description).read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise BundleError(f"{description}: expected a JSON object ({error})") from error
    described |= {
        "schema_version": SCHEMA_VERSION,
        "task": "fingerspelling",
        "input": "landmarks",
        "alphabet": list(ASL_LETTERS.symbols),
        "preprocessing": {
            "rate": rate,
            "features": model.config.landmarks.features_per_frame,
        },
        "temporal_stride": model.config.sequence.temporal_stride,
    }
    config = parse_config(described, str(description or "description"))
    files: dict[str, bytes | Path] = dict(onnx_networks(model))
    if lm is not None:
        files["lm.onnx"] = Path(lm)
    if model_card is not None:
        files["MODEL_CARD.md"] = Path(model_card)
    return write_bundle(output, config, files)
