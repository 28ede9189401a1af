"""A trained recogniser -> a bundle of ONNX networks that the serving half runs."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chereme.errors import BundleError, UsageError
from chereme.recognition.bundle import ENCODER, SEQUENCE, Bundle, write_bundle
from chereme.recognition.config import SCHEMA_VERSION, BundleConfig, parse_config
from chereme.systems.fingerspelling.checkpoints import Checkpoint, load_checkpoint
from chereme.systems.fingerspelling.recognizer import FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceModel
from chereme.training.compression import as_frames, half_weights, int8_encoder, read_crops
from chereme.training.parity import LogProbs, compare, in_blocks, log_probs_of

TOLERANCE = 0.01  # of log-probabilities: what the exported networks may differ from PyTorch's
_TRACED_FRAMES = 48  # any number; it stays free in the exported networks
_TRACED_CROPS = 2


class _Serving(nn.Module):
    """Features of one clip -> log-probabilities of the BiGRU's classifier."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.model(features)[0]
        return logits.log_softmax(-1)


def to_onnx(
    module: nn.Module,
    example: Tensor | tuple[Tensor, ...],
    names: tuple[str, ...],
    free: Mapping[int, str],
    free_of_output: Mapping[int, str] | None = None,
) -> bytes:
    """``module`` with one output as an ONNX file.

    Args:
        module: the network.
        example: its input, or several.
        names: of the inputs, then of the output.
        free: the free axes of every input, by their names.
        free_of_output: those of the output; None: the same.
    """
    *inputs, output = names
    given = example if isinstance(example, tuple) else (example,)
    free_after = free if free_of_output is None else free_of_output
    return trace_to_onnx(module, given, dict.fromkeys(inputs, free), {output: free_after})


def trace_to_onnx(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Mapping[str, Mapping[int, str]],
    outputs: Mapping[str, Mapping[int, str]],
) -> bytes:
    """``module`` as an ONNX file.

    Args:
        module: the network.
        example: its inputs.
        inputs: their names, and of each its free axes by their names.
        outputs: the same of what it gives.

    Choice: PyTorch's exporter by tracing (``dynamo=False``). The one by ``torch.export`` fixes the
    number of time steps of a GRU and of max pooling at that of the example (seen with 2.13).
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # It warns that checks of an input's shape are traced as passed, and of a first axis of a
        # GRU other than 1, which is the batch of its usual layout; here that is free.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", "Exporting a model to ONNX with a batch_size")
        warnings.filterwarnings("ignore", "Constant folding")
        torch.onnx.export(
            module.eval(),
            example,
            buffer,  # type: ignore[arg-type]  # a file object is as good as a path
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(free) for name, free in {**inputs, **outputs}.items() if free},
            dynamo=False,
            opset_version=17,
        )
    return buffer.getvalue()


class _CropEncoder(nn.Module):
    """Crops (T, 3, S, S) uint8 -> features: the scale of the colours is part of the network."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, crops: Tensor) -> Tensor:
        features: Tensor = self.encoder(crops.float() / 255)
        return features


def example_frames(model: FingerspellingRecognizer, count: int) -> Tensor:
    """``count`` random frames as the encoder of a bundle takes them."""
    if model.config.stream == "rgb":
        size = model.config.rgb.image_size
        return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
    return torch.randn(count, model.config.landmarks.features_per_frame)


def serving_encoder(model: FingerspellingRecognizer) -> nn.Module:
    """The encoder of ``model`` on frames as a bundle's takes them."""
    return _CropEncoder(model.encoder) if model.config.stream == "rgb" else model.encoder


def torch_log_probs(model: FingerspellingRecognizer) -> LogProbs:
    """What ``model`` itself gives for frames as a bundle's encoder takes them."""
    encoder = serving_encoder(model).eval()

    def run(frames: NDArray[Any]) -> NDArray[np.floating[Any]]:
        with torch.no_grad():
            features = in_blocks(lambda part: encoder(torch.from_numpy(part)).numpy(), frames)
            logits = model.sequence(torch.from_numpy(features)[None])[0][0]
        found: NDArray[np.floating[Any]] = logits.log_softmax(-1).numpy()
        return found

    return run


def onnx_networks(model: FingerspellingRecognizer) -> dict[str, bytes]:
    """``encoder.onnx`` and ``sequence.onnx``, as ``chereme.recognition.bundle.Bundle`` has them."""
    frames = example_frames(
        model, _TRACED_CROPS if model.config.stream == "rgb" else _TRACED_FRAMES
    )
    features = torch.randn(1, _TRACED_FRAMES, model.encoder.feature_dim)
    return {
        ENCODER: to_onnx(serving_encoder(model), frames, ("frames", "features"), {0: "time"}),
        SEQUENCE: to_onnx(
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
    crops: str | Path | None = None,
    int8: bool = False,
    half: bool = False,
) -> Bundle:
    """Write the bundle of a checkpoint, after comparing its networks with PyTorch's.

    Args:
        checkpoint: written by ``chereme train``, of the stream landmarks or rgb.
        output: folder of the bundle; an older bundle there is replaced.
        lm: ``lm.onnx`` of a trained character language model.
        description: JSON with what training cannot know: name, licence, training_data, metrics,
            decoding, segmentation, still (as in ``chereme.recognition.config.BundleConfig``).
        model_card: Markdown that goes along.
        crops: of an RGB model, to compare on and to calibrate int8 with, see
            ``chereme.training.compression.read_crops``; what came of it is added to the metrics.
        int8: quantise the encoder of an RGB model; needs ``crops``.
        half: store the weights of the sequence network in half precision.

    Raises BundleError if the networks give other log-probabilities than PyTorch's, by over 0.01;
    what int8 and half precision change is stated in the metrics and refused in no case.
    """
    loaded = load_checkpoint(checkpoint)
    model = loaded.model
    stream = model.config.stream
    if stream not in ("landmarks", "rgb"):
        raise BundleError(
            f"{checkpoint}: expected a recogniser of the stream landmarks or rgb, which bundles "
            f"can serve, got {stream!r}"
        )
    if stream != "rgb" and (int8 or crops is not None):
        raise UsageError(f"{checkpoint}: int8 and crops are of RGB models, got one of {stream}")
    if int8 and crops is None:
        raise UsageError("int8: expected crops to calibrate with as well; give them with --crops")
    config = _config(loaded, Path(output), description)
    clips = read_crops(crops, model.config.rgb.image_size) if crops is not None else []
    networks = onnx_networks(model)
    frames = [as_frames(clip) for clip in clips]
    examples = frames or [example_frames(model, _TRACED_FRAMES).numpy()]
    exact = compare(torch_log_probs(model), log_probs_of(networks), examples, loaded.alphabet)
    if exact.difference > TOLERANCE:
        raise BundleError(
            f"{checkpoint}: the exported networks give other log-probabilities than PyTorch's, by "
            f"up to {exact.difference:.3g}; this should not happen, please report it"
        )
    stored = dict(networks)
    if int8:
        stored[ENCODER] = int8_encoder(networks[ENCODER], clips)
    if half:
        stored[SEQUENCE] = half_weights(networks[SEQUENCE])
    if frames:
        metrics = [exact.as_metric("ONNX Runtime against PyTorch")]
        if int8 or half:
            kept = [*["int8 encoder"] * int8, *["half-precision weights"] * half]
            changed = compare(log_probs_of(networks), log_probs_of(stored), frames, loaded.alphabet)
            metrics.append(changed.as_metric(f"{' and '.join(kept)} against float32"))
        config = replace(config, metrics=(*config.metrics, *metrics))
    files: dict[str, bytes | Path] = dict(stored)
    if lm is not None:
        files["lm.onnx"] = Path(lm)
    if model_card is not None:
        files["MODEL_CARD.md"] = Path(model_card)
    return write_bundle(output, config, files)


def _config(loaded: Checkpoint, output: Path, description: str | Path | None) -> BundleConfig:
    described: dict[str, Any] = {
        "name": output.resolve().name,
        "licence": {"code": "MIT", "weights": "not stated", "data": "not stated"},
        "training_data": [],
        "metrics": [],
    }
    if description is not None:
        try:
            described |= json.loads(Path(description).read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise BundleError(f"{description}: expected a JSON object ({error})") from error
    model = loaded.model.config
    preprocessing: dict[str, Any] = {"rate": loaded.rate}
    if loaded.crop is None:
        preprocessing["features"] = model.landmarks.features_per_frame
    else:
        kept = {name: loaded.crop[name] for name in ("padding", "smoothing")}
        preprocessing["crop"] = {"size": model.rgb.image_size, **kept}
        segmentation = described.get("segmentation", {})
        if isinstance(segmentation, dict):  # else it is refused below
            described["segmentation"] = segmentation | {"bridge": loaded.crop["bridge"]}
    described |= {
        "schema_version": SCHEMA_VERSION,
        "task": "fingerspelling",
        "input": model.stream,
        "alphabet": list(loaded.alphabet.symbols),
        "preprocessing": preprocessing,
        "temporal_stride": model.sequence.temporal_stride,
    }
    config = parse_config(described, str(description or "description"))
    assert isinstance(config, BundleConfig)  # as its task says
    return config
