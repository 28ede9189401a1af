"""Makes the networks of the hand detector, ONNX files, from those of MediaPipe's wheel.

    pip download --no-deps --python-version 3.11 --only-binary :all: mediapipe==0.10.21
    python -m venv networks
    networks/bin/pip install -e . tf2onnx==1.17.0 tensorflow-cpu==2.21.0 onnxslim==0.1.98
    networks/bin/python -m tools.hand_networks mediapipe-0.10.21-*.whl --pictures letters_people

tf2onnx and TensorFlow are for this file alone, in an environment of their own; ONNX Runtime was
1.32.0. What is written, into ``src/chereme/hands/networks``:

``palm.onnx``: ``images`` (N, 192, 192, 3) uint8 RGB -> ``boxes`` (N, 2016, 18), ``scores`` (N,
2016), before the sigmoid.

``landmarks.onnx``: ``regions`` (N, H, W, 3) uint8 RGB, ``places`` (N, 2, 3), maps from a square to
each region, both from -1 to 1 -> of the square, ``landmarks`` (N, 63) in pixels of 224,
``world_landmarks`` (N, 63) metres, ``presence`` (N,), ``handedness`` (N,), ``vector`` (N, 1152),
the pooled features. All but its first convolutions are of int8 (`int8`), for whose
scales ``--pictures`` is a folder of photographs of hands.

``networks.json``: where each is from, and its SHA-256. That of the landmarks differs with the
processor and with the version of Pillow, in the last digits of a scale.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import CheremeError, InputError
from chereme.formats.networks import check_network
from chereme.training.compression import half_weights
from tools.hand_networks.graph import Graph, Sizes
from tools.hand_networks.int8 import (
    correct_joints,
    int8_convolutions,
    mean_joints,
    read_pictures,
)

SOURCES = {
    "palm": (
        "mediapipe/modules/palm_detection/palm_detection_full.tflite",
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    ),
    "landmarks": (
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    ),
}
FOLDER = Path(__file__).parents[2] / "src" / "chereme" / "hands" / "networks"
LEAST = 4096  # numbers; published in half precision, larger weights lose nothing when stored so


def read_sources(wheel: Path) -> dict[str, bytes]:
    """The TensorFlow Lite files in the wheel; InputError unless they are the ones known here."""
    found = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, (path, expected) in SOURCES.items():
                found[name] = archive.read(path)
                if hashlib.sha256(found[name]).hexdigest() != expected:
                    raise InputError(
                        f"{wheel}: expected {path} with the SHA-256 {expected}, got another; take "
                        "the wheel of mediapipe 0.10.21"
                    )
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            f"{wheel}: expected the wheel of mediapipe 0.10.21, it cannot be read as that ({error})"
        ) from error
    return found


# -- the networks ---------------------------------------------------------------------------------
def convert(tflite: bytes) -> Graph:
    """The network as TensorFlow Lite has it: one picture, floats from 0 to 1, channels last."""
    tf2onnx: Any = require("tf2onnx")
    onnxslim: Any = require("onnxslim")
    with tempfile.TemporaryDirectory() as name:
        given, made = Path(name, "network.tflite"), Path(name, "network.onnx")
        given.write_bytes(tflite)
        tf2onnx.convert.from_tflite(str(given), opset=17, output_path=str(made))
        return Graph(onnxslim.slim(str(made)))


def landmarks(graph: Graph) -> tuple[Sizes, Sizes]:
    """Turns ``graph`` into the landmark network, in floats; its inputs and outputs."""
    planes = _take_pictures(graph, "regions")
    # The square is cut out by the network: ONNX Runtime has the loops for it, NumPy has none. Of
    # its ways to see beyond a picture this takes a third of the time of repeating the edge.
    graph.weights["sides"] = np.array([3, 224, 224])
    graph.insert(
        2,
        graph.node("Shape", ["regions"], ["count"], start=0, end=1),
        graph.node("Concat", ["count", "sides"], ["size"], axis=0),
        graph.node("AffineGrid", ["places", "size"], ["grid"], align_corners=0),
        graph.node(
            "GridSample",
            ["values", "grid"],
            [planes],
            mode="linear",
            padding_mode="zeros",
            align_corners=0,
        ),
    )
    (pool,) = graph.of("GlobalAveragePool")
    (squeeze,) = graph.users(pool.output[0])
    graph.replace(squeeze, graph.node("Flatten", [pool.output[0]], ["vector"], axis=1))
    graph.rename({squeeze.output[0]: "vector"})
    for given, name in (("Identity_1", "presence"), ("Identity_2", "handedness")):
        _reshape(graph, graph.maker(given), name, [-1])
    graph.rename({"Identity": "landmarks", "Identity_3": "world_landmarks"})
    outputs: Sizes = {
        "landmarks": ["N", 63],
        "world_landmarks": ["N", 63],
        "presence": ["N"],
        "handedness": ["N"],
        "vector": ["N", 1152],
    }
    return {"regions": ["N", "H", "W", 3], "places": ["N", 2, 3]}, outputs


def palm(graph: Graph) -> tuple[Sizes, Sizes]:
    """Turns ``graph`` into the palm network; its inputs and outputs."""
    graph.rename({"values": _take_pictures(graph, "images")})
    for node in graph.of("Reshape"):
        last = int(graph.weights[node.input[1]][-1])  # 18 of boxes, 1 of scores
        node.input[1] = f"shape_{last}"
        graph.weights[node.input[1]] = np.array([0, -1, 18] if last == 18 else [0, -1])
    for node in graph.of("Concat"):
        graph.replace(node, graph.node("Concat", node.input, node.output, axis=1))
    for node in graph.of("Pad"):
        _in_halves(graph, node)
    for node in graph.of("PRelu"):
        _as_convolutions(graph, node)
    graph.rename({"Identity": "boxes", "Identity_1": "scores"})
    return {"images": ["N", 192, 192, 3]}, {"boxes": ["N", 2016, 18], "scores": ["N", 2016]}


def _take_pictures(graph: Graph, name: str) -> str:
    """Puts uint8 pictures before the first convolution, which divides them by 255: ``name`` ->
    ``values``. Returns what the convolution reads."""
    transpose = graph.nodes[0]
    planes: str = transpose.output[0]
    (first,) = graph.users(planes)
    graph.weights[first.input[1]] = graph.weights[first.input[1]] / np.float32(255)
    graph.replace(
        transpose,
        graph.node("Transpose", [name], ["planes"], perm=[0, 3, 1, 2]),
        graph.node("Cast", ["planes"], ["values"], to=1),
    )
    return planes


def _reshape(graph: Graph, node: Any, name: str, shape: Sequence[int]) -> None:
    node.output[0] = f"{name}_given"
    graph.weights[f"{name}_shape"] = np.array(shape)
    graph.nodes.append(graph.node("Reshape", [node.output[0], f"{name}_shape"], [name]))


def _in_halves(graph: Graph, pad: Any) -> None:
    """pad(x) + convolution, with zeros as the upper half of the channels, by two convolutions:
    ONNX Runtime has no Pad in its layout of channels in blocks, and would leave it and come back.
    """
    (add,) = graph.users(pad.output[0])
    (summand,) = (name for name in add.input if name != pad.output[0])
    convolution = graph.maker(summand)
    half = len(graph.weights[convolution.input[1]]) // 2
    parts = {"low": slice(half), "high": slice(half, None)}
    for part, channels in parts.items():
        inputs = [convolution.input[0]]
        for weight in convolution.input[1:]:
            inputs.append(f"{weight}_{part}")
            graph.weights[inputs[-1]] = graph.weights[weight][channels]
        graph.insert(add, graph.like(convolution, inputs, [f"{summand}_{part}"]))
    graph.replace(
        add,
        graph.node("Add", [pad.input[0], f"{summand}_low"], [f"{summand}_sum"]),
        graph.node("Concat", [f"{summand}_sum", f"{summand}_high"], add.output, axis=1),
    )
    graph.remove(pad, convolution)


def _as_convolutions(graph: Graph, prelu: Any) -> None:
    """prelu(x) = s x + (1 - s) relu(x), a factor for each channel being a convolution of 1 x 1:
    PRelu, too, is outside that layout, and took nearly half of the network's time."""
    given, made = prelu.input[0], prelu.output[0]
    slopes = graph.weights[prelu.input[1]].reshape(-1, 1, 1, 1)
    graph.weights |= {f"{made}_s": slopes, f"{made}_k": 1 - slopes}
    each: dict[str, Any] = {"group": len(slopes), "kernel_shape": [1, 1]}
    graph.replace(
        prelu,
        graph.node("Relu", [given], [f"{made}_relu"]),
        graph.node("Conv", [f"{made}_relu", f"{made}_k"], [f"{made}_more"], **each),
        graph.node("Conv", [given, f"{made}_s"], [f"{made}_less"], **each),
        graph.node("Add", [f"{made}_less", f"{made}_more"], [made]),
    )


# -- the command ----------------------------------------------------------------------------------
def make(wheel: Path, pictures: NDArray[np.uint8], folder: Path) -> None:
    """Writes the networks and ``networks.json`` into ``folder``."""
    sources = read_sources(wheel)
    about = {}
    for name, build in (("palm", palm), ("landmarks", landmarks)):
        graph = convert(sources[name])
        inputs, outputs = build(graph)
        graph.tidy([*inputs, *outputs])
        if name == "landmarks":
            exact = mean_joints(graph, inputs, pictures)
            int8_convolutions(graph, inputs, pictures)
            correct_joints(graph, inputs, pictures, exact)
        content = half_weights(graph.write(inputs, outputs), least=LEAST)
        path = folder / f"{name}.onnx"
        check_network(content, path)
        path.write_bytes(content)
        place, sha256 = SOURCES[name]
        about[path.name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "licence": "Apache-2.0",
            "source": {
                "package": "mediapipe",
                "version": "0.10.21",
                "path": place,
                "sha256": sha256,
            },
        }
        print(f"{path}: {len(content):,} bytes")
    (folder / "networks.json").write_text(json.dumps(about, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("wheel", type=Path, help="of mediapipe 0.10.21")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of pictures of hands")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write")
    given = parser.parse_args(arguments)
    try:
        make(given.wheel, read_pictures(given.pictures), given.folder)
    except CheremeError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
