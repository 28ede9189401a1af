"""What the tool makes of a network is the same network, and of other files an error."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chereme.errors import InputError
from tools.hand_networks.__main__ import SOURCES, _as_convolutions, _in_halves, main, read_sources
from tools.hand_networks.graph import Graph, Sizes
from tools.hand_networks.int8 import (
    FLOAT,
    correct_joints,
    int8_convolutions,
    mean_joints,
    read_pictures,
)

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
RANDOM = np.random.default_rng(0)


def graph(*nodes: tuple[str, list[str], list[str], dict[str, Any]], **weights: np.ndarray) -> Graph:
    empty = SimpleNamespace(graph=SimpleNamespace(node=[], initializer=[]))
    made = Graph(empty)
    made.nodes = [made.node(kind, inputs, outputs, **how) for kind, inputs, outputs, how in nodes]
    made.weights = {name: weight.astype(np.float32) for name, weight in weights.items()}
    return made


def run(network: Graph, inputs: Sizes, outputs: Sizes, feed: Mapping[str, np.ndarray]) -> Any:
    session = ort.InferenceSession(
        network.write(inputs, outputs), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feed)[0]


def test_prelu_is_written_as_convolutions() -> None:
    network = graph(
        ("Cast", ["images"], ["x"], {"to": 1}),
        ("Add", ["x", "shift"], ["y"], {}),
        ("PRelu", ["y", "slopes"], ["z"], {}),
        shift=np.full((1, 4, 1, 1), -100),
        slopes=np.array([-1.0, 0.25, 1, 3]).reshape(4, 1, 1),
    )
    sizes: tuple[Sizes, Sizes] = ({"images": ["N", 4, 5, 5]}, {"z": ["N", 4, 5, 5]})
    feed = {"images": RANDOM.integers(0, 255, (2, 4, 5, 5)).astype(np.uint8)}
    expected = run(network, *sizes, feed)
    _as_convolutions(network, network.of("PRelu")[0])
    assert not network.of("PRelu")
    np.testing.assert_allclose(run(network, *sizes, feed), expected, rtol=1e-5)


def test_channels_of_zeros_are_added_without_pad() -> None:
    network = graph(
        ("Cast", ["images"], ["x"], {"to": 1}),
        ("Pad", ["x", "pads"], ["wide"], {}),
        ("Conv", ["x", "w", "b"], ["y"], {"kernel_shape": [1, 1]}),
        ("Add", ["wide", "y"], ["z"], {}),
        w=RANDOM.normal(size=(6, 3, 1, 1)),
        b=RANDOM.normal(size=6),
    )
    network.weights["pads"] = np.array([0, 0, 0, 0, 0, 3, 0, 0])
    sizes: tuple[Sizes, Sizes] = ({"images": ["N", 3, 5, 5]}, {"z": ["N", 6, 5, 5]})
    feed = {"images": RANDOM.integers(0, 255, (2, 3, 5, 5)).astype(np.uint8)}
    expected = run(network, *sizes, feed)
    _in_halves(network, network.of("Pad")[0])
    assert not network.of("Pad")
    np.testing.assert_allclose(run(network, *sizes, feed), expected, rtol=1e-5, atol=1e-3)


def test_int8_is_near_to_float_and_has_no_pair_that_saturates() -> None:
    nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("Transpose", ["regions"], ["planes"], {"perm": [0, 3, 1, 2]}),
        ("Cast", ["planes"], ["values"], {"to": 1}),
        ("AffineGrid", ["places", "size"], ["grid"], {}),
        ("GridSample", ["values", "grid"], ["x0"], {"padding_mode": "border"}),
    ]
    weights = {"low": np.zeros(()), "high": np.full((), 6.0)}
    for number in range(FLOAT + 2):
        channels = 4 if number else 3
        weights[f"w{number}"] = RANDOM.normal(size=(4, channels, 1, 1)) / (2 if number else 200)
        weights[f"b{number}"] = RANDOM.normal(size=4) / 10
        nodes.append(("Conv", [f"x{number}", f"w{number}", f"b{number}"], [f"y{number}"], {}))
        nodes.append(("Clip", [f"y{number}", "low", "high"], [f"x{number + 1}"], {}))
    weights[f"w{FLOAT}"][0] = 1  # of one sign and size: 127 + 127 would saturate
    network = graph(*nodes, **weights)
    network.weights["size"] = np.array([2, 3, 224, 224])
    network.tidy(["regions", "places", f"x{FLOAT + 2}"])
    inputs: Sizes = {"regions": ["N", 224, 224, 3], "places": ["N", 2, 3]}
    outputs: Sizes = {f"x{FLOAT + 2}": ["N", 4, 224, 224]}
    pictures = RANDOM.integers(0, 255, (2, 224, 224, 3)).astype(np.uint8)
    feed = {"regions": pictures, "places": np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1))}
    expected = run(network, inputs, outputs, feed)
    int8_convolutions(network, inputs, pictures)
    assert len(network.of("QuantizeLinear")) == 3
    whole = network.weights[f"conv_{FLOAT}.weights_whole"].reshape(4, 2, 2).astype(int)
    assert np.abs(whole.sum(axis=2)).max() <= 128
    assert np.abs(run(network, inputs, outputs, feed) - expected).max() < 0.05 * expected.max()


def test_the_means_of_the_joints_are_those_of_before() -> None:
    weights = {f"w{k}": RANDOM.normal(size=(3, 63)) for k in (0, 1)}
    weights |= {f"b{k}": RANDOM.normal(size=63) for k in (0, 1)}
    network = graph(
        ("Transpose", ["regions"], ["planes"], {"perm": [0, 3, 1, 2]}),
        ("Cast", ["planes"], ["values"], {"to": 1}),
        ("AffineGrid", ["places", "size"], ["grid"], {}),
        ("GridSample", ["values", "grid"], ["square"], {"padding_mode": "border"}),
        ("GlobalAveragePool", ["square"], ["pooled"], {}),
        ("Flatten", ["pooled"], ["vector"], {}),
        ("Gemm", ["vector", "w0", "b0"], ["landmarks"], {}),
        ("Gemm", ["vector", "w1", "b1"], ["world_landmarks"], {}),
        **weights,
    )
    network.weights["size"] = np.array([20, 3, 224, 224])
    inputs: Sizes = {"regions": ["N", 224, 224, 3], "places": ["N", 2, 3]}
    pictures = RANDOM.integers(0, 255, (20, 224, 224, 3)).astype(np.uint8)
    exact = mean_joints(network, inputs, pictures)
    for name in ("b0", "b1"):
        network.weights[name] = network.weights[name] + np.float32(0.5)
    correct_joints(network, inputs, pictures, exact)
    for name, mean in mean_joints(network, inputs, pictures).items():
        np.testing.assert_allclose(mean, exact[name], atol=1e-3)


def test_other_files_are_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "mediapipe.whl"
    with pytest.raises(InputError, match=r"expected the wheel of mediapipe 0\.10\.21"):
        read_sources(wheel)
    wheel.write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read as that"):
        read_sources(wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(SOURCES["palm"][0], b"another network")
    with pytest.raises(InputError, match="SHA-256 1b14e9"):
        read_sources(wheel)


def test_pictures_have_to_be_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="expected 500 JPEGs of hands or more"):
        read_pictures(tmp_path)
    with pytest.raises(SystemExit):
        main([str(tmp_path / "mediapipe.whl"), "--pictures", str(tmp_path)])
    assert "expected 500 JPEGs" in capsys.readouterr().err
