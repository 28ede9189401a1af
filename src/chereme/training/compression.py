"""Smaller and quicker networks of a bundle: int8 encoders, and weights in half precision."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.datasets.shards import Sample, read_shard
from chereme.errors import InputError, UsageError
from chereme.training.augmentation import resize
from chereme.video.folders import PICTURES

MOST_CLIPS = 64
CALIBRATED = 512  # frames
_BATCH = 8

Crops = NDArray[np.uint8]


# -- crops to calibrate and to compare with -------------------------------------------------------
def read_crops(path: str | Path, size: int) -> list[Crops]:
    """Clips of crops ``(T, size, size, 3)`` uint8 RGB, at most 64, without the absent frames.

    ``path``: a folder of shards (each gives as many) or one of them; a folder of pictures, which
    are one clip in the order of their names; or an ``.npy`` of one, ``(T, S, S, 3)`` uint8.
    Other sizes are resized. InputError for anything else.
    """
    path = Path(path)
    tars = [path] if path.suffix == ".tar" else sorted(path.glob("*.tar"))
    if tars:
        each = -(-MOST_CLIPS // len(tars))
        samples = (sample for tar in tars for sample in islice(read_shard(tar), each))
        clips = [_seen(sample) for sample in islice(samples, MOST_CLIPS)]
    elif path.suffix == ".npy":
        clips = [_array(path)]
    else:
        clips = [_pictures(path)] if path.is_dir() else []
    clips = [resize(clip, size) for clip in clips if len(clip)]
    if not clips:
        raise InputError(
            f"{path}: expected crops of hands: a folder of shards or of pictures, or an .npy of "
            "(T, S, S, 3) uint8, found none"
        )
    return clips


def _seen(sample: Sample) -> Crops:
    frames = np.flatnonzero(sample.present).tolist()
    return sample.decode(frames) if frames else np.zeros((0, sample.size, sample.size, 3), np.uint8)


def _array(path: Path) -> Crops:
    try:
        crops = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: expected an .npy of crops, it cannot be read ({error})"
        ) from error
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[3] != 3:
        raise InputError(
            f"{path}: expected crops (T, S, S, 3) of uint8, got {crops.shape} of {crops.dtype}"
        )
    return np.asarray(crops)


def _pictures(folder: Path) -> Crops:
    from chereme.video import open_video

    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)
    pictures = []
    for file in files:
        with open_video(file) as reader:
            pictures.append(next(reader).image)
    shapes = {picture.shape for picture in pictures}
    if len(shapes) > 1 or any(height != width for height, width, _ in shapes):
        raise InputError(
            f"{folder}: expected square crops of one size, got {sorted(shapes)[:3]}; cut them first"
        )
    return np.stack(pictures) if pictures else np.zeros((0, 1, 1, 3), np.uint8)


def as_frames(crops: Crops) -> Crops:
    """``(T, S, S, 3)`` -> ``(T, 3, S, S)``, as the encoder takes them."""
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2))


# -- networks -------------------------------------------------------------------------------------
def int8_convolutions(encoder: bytes, clips: Sequence[Crops]) -> bytes:
    """``encoder.onnx`` of crops with int8 weights and uint8 activations, calibrated on ``clips``.

    Static, quantise-dequantise pairs, a scale for each channel of the weights. Dynamic quantisation
    is none of the ways: ONNX Runtime has no quick convolution for it. The pooled features stay
    float: the sequence network is not quantised, and 256 levels would be all that it sees.

    Choice: weights of 7 bits (``reduce_range``). With 8, processors without VNNI add two products
    into 16 bits and saturate, so that a bundle would read other letters on other machines.
    """
    quantization: Any = require("onnxruntime.quantization", extra="train")
    if not clips:
        raise UsageError("int8: expected crops to calibrate with as well; give them with --crops")
    frames = np.concatenate(clips)
    chosen = as_frames(
        frames[np.linspace(0, len(frames) - 1, min(CALIBRATED, len(frames))).astype(int)]
    )

    class Batches(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = self._cut()

        def _cut(self) -> Iterator[dict[str, Crops]]:
            for i in range(0, len(chosen), _BATCH):
                yield {"frames": chosen[i : i + _BATCH]}

        def get_next(self) -> dict[str, Crops] | None:
            return next(self.batches, None)

    return _quantised(
        encoder,
        quantization.quantize_static,
        calibration_data_reader=Batches(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Add", "Relu", "MaxPool"],
        activation_type=quantization.QuantType.QUInt8,
        calibrate_method=quantization.CalibrationMethod.MinMax,
    )


def int8_products(network: bytes) -> bytes:
    """An ONNX file whose products with weights (Transformers' linear layers) are of int8 weights,
    a scale for each column, and of uint8 activations whose scale is found as they come: nothing has
    to be calibrated. 7 bits of the weights are used, for the reason of `int8_convolutions`.
    """
    quantization: Any = require("onnxruntime.quantization", extra="train")
    return _quantised(network, quantization.quantize_dynamic, op_types_to_quantize=["MatMul"])


def _quantised(network: bytes, quantise: Callable[..., None], **how: Any) -> bytes:
    quantization: Any = require("onnxruntime.quantization", extra="train")
    shape: Any = require("onnxruntime.quantization.shape_inference", extra="train")
    with tempfile.TemporaryDirectory() as name:
        given, prepared, made = (str(Path(name, f"{step}.onnx")) for step in ("a", "b", "c"))
        Path(given).write_bytes(network)
        shape.quant_pre_process(given, prepared, skip_symbolic_shape=True)
        quantise(
            prepared,
            made,
            per_channel=True,
            reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
            **how,
        )
        return Path(made).read_bytes()


def half_weights(network: bytes, *, least: int = 1024) -> bytes:
    """An ONNX file whose weights of ``least`` numbers or more are stored in half precision.

    They are turned into float32 when it is loaded, so it computes as before, on rounded weights.
    """
    onnx: Any = require("onnx", extra="train")
    model = onnx.load_from_string(network)
    casts = []
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < least:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    content: bytes = model.SerializeToString()
    return content
