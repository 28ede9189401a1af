"""The networks of the hand detector, against what TensorFlow Lite makes of the files that they are
from: ``hand_networks.npz``, hands and palms of ``examples/hello.mp4``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import chereme.hands
from chereme.formats.networks import Network, open_network

FOLDER = Path(chereme.hands.__file__).parent / "networks"
ABOUT = json.loads((FOLDER / "networks.json").read_text())
FILES = ["landmarks.onnx", "palm.onnx"]
GOLDEN = dict(np.load(Path(__file__).parent / "hand_networks.npz"))


def opened(name: str) -> Network:
    return open_network((FOLDER / name).read_bytes(), FOLDER / name, threads=1)


def enlarged(pictures: np.ndarray, times: int) -> np.ndarray:
    return pictures.repeat(times, axis=1).repeat(times, axis=2)


def whole(regions: np.ndarray) -> dict[str, np.ndarray]:
    """Squares that are all of their regions."""
    return {
        "regions": regions,
        "places": np.tile(np.eye(2, 3, dtype=np.float32), (len(regions), 1, 1)),
    }


@pytest.fixture(scope="module")
def landmarks() -> dict[str, np.ndarray]:
    network = opened("landmarks.onnx")
    names = [output.name for output in network.get_outputs()]
    return dict(zip(names, network.run(names, whole(enlarged(GOLDEN["hands"], 4))), strict=True))


def test_the_files_are_the_ones_listed_and_small() -> None:
    assert sorted(ABOUT) == sorted(path.name for path in FOLDER.glob("*.onnx")) == FILES
    contents = {name: (FOLDER / name).read_bytes() for name in FILES}
    for name, content in contents.items():
        assert hashlib.sha256(content).hexdigest() == ABOUT[name]["sha256"]
    assert sum(map(len, contents.values())) < 6_000_000


def test_source_licence_and_changes_are_named() -> None:
    assert {entry["licence"] for entry in ABOUT.values()} == {"Apache-2.0"}
    assert {entry["source"]["version"] for entry in ABOUT.values()} == {"0.10.21"}
    assert "Version 2.0, January 2004" in (FOLDER / "LICENSE").read_text()
    notice = (FOLDER / "NOTICE").read_text()
    assert all(name in notice for name in FILES)


def test_interfaces() -> None:
    ports = {
        name: {
            port.name: (port.type, port.shape) for port in [*net.get_inputs(), *net.get_outputs()]
        }
        for name, net in ((name, opened(name)) for name in FILES)
    }
    byte, number = "tensor(uint8)", "tensor(float)"
    assert ports["palm.onnx"] == {
        "images": (byte, ["N", 192, 192, 3]),
        "boxes": (number, ["N", 2016, 18]),
        "scores": (number, ["N", 2016]),
    }
    assert ports["landmarks.onnx"] == {
        "regions": (byte, ["N", "H", "W", 3]),
        "places": (number, ["N", 2, 3]),
        "landmarks": (number, ["N", 63]),
        "world_landmarks": (number, ["N", 63]),
        "presence": (number, ["N"]),
        "handedness": (number, ["N"]),
        "vector": (number, ["N", 1152]),
    }


def test_palms_are_those_of_tensorflow_lite() -> None:
    boxes, scores = opened("palm.onnx").run(
        ["boxes", "scores"], {"images": enlarged(GOLDEN["pictures"], 3)}
    )
    np.testing.assert_allclose(scores, GOLDEN["scores"], atol=1e-3)
    best = np.take_along_axis(boxes, GOLDEN["best"][..., None], axis=1)
    np.testing.assert_allclose(best, GOLDEN["boxes"], atol=1e-2)


def test_landmarks_are_those_of_tensorflow_lite_but_for_8_bits(
    landmarks: dict[str, np.ndarray],
) -> None:
    expected, found = (
        joints.reshape(-1, 21, 3)[..., :2]
        for joints in (GOLDEN["landmarks"], landmarks["landmarks"])
    )
    palms = np.linalg.norm(expected[:, 9] - expected[:, 0], axis=-1)
    away = np.linalg.norm(found - expected, axis=-1).mean(axis=1) / palms
    assert away.max() < 0.03
    for name in ("presence", "handedness", "world_landmarks"):
        np.testing.assert_allclose(landmarks[name], GOLDEN[name], atol=0.02)


def test_landmarks_are_linear_in_the_vector(landmarks: dict[str, np.ndarray]) -> None:
    assert landmarks["vector"].shape == (len(GOLDEN["hands"]), 1152)
    assert (landmarks["vector"] >= 0).all()


def test_a_hand_is_read_the_same_alone_and_among_others(landmarks: dict[str, np.ndarray]) -> None:
    network = opened("landmarks.onnx")
    for number, hand in enumerate(enlarged(GOLDEN["hands"], 4)):
        (alone,) = network.run(["landmarks"], whole(hand[None]))
        np.testing.assert_allclose(alone[0], landmarks["landmarks"][number], atol=1e-2)


def test_no_weights_of_int8_saturate_without_vnni() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(FOLDER / "landmarks.onnx")
    weights = [
        onnx.numpy_helper.to_array(weight).astype(int)
        for weight in model.graph.initializer
        if weight.name.endswith(".weights_whole")
    ]
    assert len(weights) == 41
    for weight in weights:
        if weight.shape[1] > 1:
            assert np.abs(weight.reshape(len(weight), -1, 2).sum(axis=2)).max() <= 128
