"""Convolutions of int8: which ones of the landmark network, and with which scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError
from tools.hand_networks.graph import Graph, Sizes

# Choice: the two blocks at the beginning stay float. The depthwise convolutions in them alone make
# the median distance 1.1 % of a palm instead of 0.4 %, and float is nearly as quick there.
FLOAT = 6
PICTURES = 500
SIDE = 224
_BATCH = 20
_MOST = 127
# Without the instructions of VNNI, processors add the products of two neighbours, uint8 x int8,
# into 16 bits, and saturate. Two weights whose sum is at most so large cannot: 128 x 255 < 2^15.
_MOST_OF_TWO = 128

Range = tuple[float, float]


def read_pictures(folder: Path) -> NDArray[np.uint8]:
    """``(500, 224, 224, 3)`` from the JPEGs below ``folder``: of crops of one and a half times the
    hand, squares of twice, as the network is given them."""
    image: Any = require("PIL.Image")
    files = sorted(folder.rglob("*.jpg"))
    if len(files) < PICTURES:
        raise InputError(
            f"{folder}: expected {PICTURES} JPEGs of hands or more, to find the scales of int8 "
            f"with, got {len(files)}"
        )
    squares = []
    for place in np.linspace(0, len(files) - 1, PICTURES).astype(int):
        with image.open(files[place]) as picture:
            scale = SIDE * 0.75 / max(picture.size)
            small = picture.convert("RGB").resize(
                [round(side * scale) for side in picture.size], image.Resampling.BILINEAR
            )
        square = image.new("RGB", (SIDE, SIDE))
        square.paste(small, [(SIDE - side) // 2 for side in small.size])
        squares.append(np.asarray(square))
    return np.stack(squares)


def int8_convolutions(graph: Graph, inputs: Sizes, pictures: NDArray[np.uint8]) -> None:
    """Makes all convolutions but the first six int8: of uint8 activations, and of weights with a
    scale for each channel. What is added stays float, and so does all behind the convolutions.

    The float ones are one stretch that begins with the network: one between others would be made
    int8 by ONNX Runtime itself, with one scale for all channels.
    """
    chosen = graph.of("Conv")[FLOAT:]
    ends = {node.output[0]: _end(graph, node) for node in chosen}
    ranges = _ranges(graph, inputs, pictures, {*ends.values(), *(node.input[0] for node in chosen)})
    rounded: dict[str, str] = {}
    for node in chosen:
        given, end = node.input[0], ends[node.output[0]]
        if given not in rounded:
            rounded[given] = f"{given}_rounded"
            graph.insert(node, *_rounding(graph, given, rounded[given], ranges[given]))
        _set_whole_weights(graph, node, graph.weights[f"{rounded[given]}_scale"])
        if end != node.output[0]:  # a Clip, which the range of uint8 is as well
            graph.remove(graph.maker(end))
        names = [f"{node.name}.{what}" for what in ("weights", "bias")]
        graph.replace(
            node,
            *(_dequantised(graph, name) for name in names),
            graph.like(node, [rounded[given], *names], [f"{end}_exact"]),
            *_rounding(graph, f"{end}_exact", end, ranges[end]),
        )
        rounded[end] = end


def mean_joints(graph: Graph, inputs: Sizes, pictures: NDArray[np.uint8]) -> Mapping[str, Any]:
    """The mean of each output that is joints."""
    sizes: Sizes = {name: ["N", 63] for name in ("landmarks", "world_landmarks")}
    batches = zip(*_run(graph, inputs, sizes, pictures), strict=True)
    return {
        name: np.concatenate(values).mean(axis=0)
        for name, values in zip(sizes, batches, strict=True)
    }


def correct_joints(
    graph: Graph, inputs: Sizes, pictures: NDArray[np.uint8], exact: Mapping[str, Any]
) -> None:
    """Makes the means of the joints ``exact`` again, those of before int8.

    They are more than half of what rounding does to the joints of the world, which small errors
    of the features move most.
    """
    for name, mean in mean_joints(graph, inputs, pictures).items():
        bias = graph.maker(name).input[2]
        graph.weights[bias] = graph.weights[bias] + (exact[name] - mean).astype(np.float32)


def _end(graph: Graph, node: Any) -> str:
    users = graph.users(node.output[0])
    clipped = len(users) == 1 and users[0].op_type == "Clip"
    end: str = (users[0] if clipped else node).output[0]
    return end


def _ranges(
    graph: Graph, inputs: Sizes, pictures: NDArray[np.uint8], names: set[str]
) -> Mapping[str, Range]:
    """The least and the greatest number under each of ``names``, zero being between them."""
    sizes: Sizes = {name: ["N", "channels", "rows", "columns"] for name in sorted(names)}
    batches = _run(graph, inputs, sizes, pictures)
    found = [[(value.min(), value.max()) for value in values] for values in batches]
    least, greatest = np.moveaxis(np.array(found), 2, 0)
    lows, highs = np.minimum(least.min(axis=0), 0), np.maximum(greatest.max(axis=0), 0)
    return {name: (lows[i], highs[i]) for i, name in enumerate(sizes)}


def _run(
    graph: Graph, inputs: Sizes, sizes: Sizes, pictures: NDArray[np.uint8]
) -> Iterator[list[NDArray[Any]]]:
    """What is under the names of ``sizes``, of one batch of pictures after the other."""
    ort: Any = require("onnxruntime")
    session = ort.InferenceSession(graph.write(inputs, sizes), providers=["CPUExecutionProvider"])
    whole = np.tile(np.eye(2, 3, dtype=np.float32), (_BATCH, 1, 1))
    for start in range(0, len(pictures), _BATCH):
        regions = pictures[start : start + _BATCH]
        yield session.run(list(sizes), {"regions": regions, "places": whole[: len(regions)]})


def _rounding(graph: Graph, given: str, made: str, span: Range) -> list[Any]:
    """``given`` -> ``made``, which is one of 256 numbers."""
    step = np.float32((span[1] - span[0]) / 255)
    graph.weights |= {f"{made}_scale": np.array(step)}
    graph.weights |= {f"{made}_zero": np.array(np.round(-span[0] / step), np.uint8)}
    how = [f"{made}_scale", f"{made}_zero"]
    return [
        graph.node("QuantizeLinear", [given, *how], [f"{made}_whole"]),
        graph.node("DequantizeLinear", [f"{made}_whole", *how], [made]),
    ]


def _set_whole_weights(graph: Graph, node: Any, step: NDArray[np.float32]) -> None:
    """Puts weights of int8 and a bias of int32, in the scale of the products, into the graph."""
    values, bias = (graph.weights[name] for name in node.input[1:])
    scales = np.abs(values).reshape(len(values), -1).max(axis=1) / _MOST
    # The bias of a channel without weights must fit, too.
    scales = np.maximum(scales, np.abs(bias) / (step * 2.0**30)).astype(np.float32)
    whole = _rounded(values, scales)
    if values.shape[1] > 1:  # depthwise ones are not computed in pairs
        while (over := np.abs(whole.reshape(len(whole), -1, 2).sum(2)).max(1) > _MOST_OF_TWO).any():
            scales = np.where(over, scales * np.float32(1.02), scales)
            whole = _rounded(values, scales)
    name = node.name
    graph.weights |= {
        f"{name}.weights_whole": whole.astype(np.int8),
        f"{name}.weights_scale": scales,
        f"{name}.weights_zero": np.zeros(len(scales), np.int8),
        f"{name}.bias_whole": np.round(bias / (scales.astype(np.float64) * step)).astype(np.int32),
        f"{name}.bias_scale": scales * step,
        f"{name}.bias_zero": np.zeros(len(scales), np.int32),
    }


def _rounded(values: NDArray[np.float32], scales: NDArray[Any]) -> NDArray[Any]:
    whole: NDArray[Any] = np.round(values / scales.reshape(-1, 1, 1, 1))
    return whole.clip(-_MOST, _MOST)


def _dequantised(graph: Graph, name: str) -> Any:
    parts = [f"{name}_{part}" for part in ("whole", "scale", "zero")]
    return graph.node("DequantizeLinear", parts, [name], axis=0)
