"""The landmark network, and the whole detector against MediaPipe's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chereme.errors import BundleError
from chereme.hands import landmarks, networks
from chereme.hands.detector import OnnxHandDetector
from chereme.hands.landmarks import LandmarkNetwork
from chereme.hands.rectangle import Rectangle, of_landmarks
from chereme.hands.skeleton import palm_size
from chereme.video import open_video

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello.mp4"
SIDE = landmarks.SIDE


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    with open_video(EXAMPLE) as video:
        return [frame.image for frame in video]


@pytest.fixture(scope="module")
def network() -> LandmarkNetwork:
    return LandmarkNetwork()


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of the joints in the picture, in palm lengths."""
    distance = np.linalg.norm((one - other)[:, :2], axis=1).mean()
    return float(distance / palm_size(other))


def test_the_detector_sees_what_mediapipe_sees(frames: list[np.ndarray]) -> None:
    """Of frames of the example, made with MediaPipe 1.2.3 in the mode for pictures."""
    golden = np.load(Path(__file__).with_name("mediapipe_hello.npz"))
    distances = []
    with OnnxHandDetector(still=True) as detector:
        for number, frame in enumerate(golden["frame"]):
            (hand,) = detector.detect(frames[frame], 0.0)
            expected = golden["landmarks"][number]
            distances.append(apart(hand.landmarks, expected))
            size = palm_size(expected)
            np.testing.assert_allclose(hand.landmarks[:, 2], expected[:, 2], atol=0.06 * size)
            np.testing.assert_allclose(hand.world_landmarks, golden["world"][number], atol=0.015)
            assert (hand.handedness == "right") == golden["right"][number]
            assert hand.score == pytest.approx(golden["score"][number], abs=0.02)
    assert np.median(distances) < 0.01
    assert max(distances) < 0.03


def test_several_hands_in_a_batch_are_as_one_by_one(
    frames: list[np.ndarray], network: LandmarkNetwork
) -> None:
    """Of unlike sizes, one of them over the edge of the picture."""
    image = frames[5]
    with OnnxHandDetector(still=True) as detector:
        (hand,) = detector.detect(image, 0.0)
    square = of_landmarks(hand.landmarks)
    near = Rectangle(square.x + 9, square.y, 0.8 * square.side, square.angle + 0.2)
    edge = Rectangle(3.0, 5.0, 150.0, 0.4)
    together = network.find(image, [square, edge, near])
    for found, one in zip(together, (square, edge, near), strict=True):
        (alone,) = network.find(image, [one])
        assert found is not None
        assert alone is not None
        # The last bits of a place decide how int8 rounds; most where there is no hand.
        assert found.presence == pytest.approx(alone.presence, abs=0.05)
        if one is not edge:
            assert found.presence > 0.9
            assert apart(found.landmarks, alone.landmarks) < 0.01


def test_a_square_beyond_the_frame_or_without_size_has_nothing(
    frames: list[np.ndarray], network: LandmarkNetwork
) -> None:
    places = [
        Rectangle(-500, 10, 100, 0),
        Rectangle(10, 10, 0, 0),
        Rectangle(np.nan, 10, 50, 0),
    ]
    assert network.find(frames[0], places) == [None, None, None]
    assert network.find(frames[0], []) == []


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0])
@pytest.mark.parametrize("step", [1, 3])
def test_the_network_sees_the_square_as_it_lies(
    monkeypatch: pytest.MonkeyPatch, angle: float, step: int
) -> None:
    """Of a picture whose red is x and green is y, sampled where MediaPipe samples."""
    monkeypatch.setattr(landmarks, "MAX_REGION", 110 if step == 3 else 1024)
    y, x = np.mgrid[:240, :250]
    image = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    square = Rectangle(120.0, 118.0, 120.0 if angle else 220.0, angle)
    feed = landmarks._stacked([landmarks._region(image, square)])
    region, place = feed["regions"][0], feed["places"][0].astype(float)
    pixel = (np.arange(SIDE) * 2 + 1) / SIDE - 1  # as ONNX's AffineGrid without aligned corners
    across, down = np.meshgrid(pixel, pixel)
    rows, columns = region.shape[:2]
    u = (place[0, 0] * across + place[0, 1] * down + place[0, 2] + 1) * columns / 2 - 0.5
    v = (place[1, 0] * across + place[1, 1] * down + place[1, 2] + 1) * rows / 2 - 0.5
    inside = (u >= 0) & (u <= columns - 1) & (v >= 0) & (v <= rows - 1)
    assert inside.mean() > 0.9
    near = region[
        np.rint(v).astype(int).clip(0, rows - 1), np.rint(u).astype(int).clip(0, columns - 1)
    ]
    i = np.stack([*np.meshgrid(np.arange(SIDE), np.arange(SIDE)), np.zeros((SIDE, SIDE))], axis=-1)
    expected = square.to_frame(i / SIDE)[..., :2]
    off = np.abs(near[..., :2] - expected)[inside]
    used = max(1, region.shape[0] and round(250 / max(rows, columns)) if step == 3 else 1)
    assert off.max() <= used / 2 + 1e-3


def test_a_network_that_was_changed_is_not_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(networks.__file__).parent
    (tmp_path / "networks.json").write_bytes((folder / "networks.json").read_bytes())
    (tmp_path / "palm.onnx").write_bytes((folder / "palm.onnx").read_bytes()[:-1] + b"x")
    monkeypatch.setattr(networks, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(BundleError, match=r"palm\.onnx: expected the SHA-256"):
        networks.open_hand_network("palm", 1)
    with pytest.raises(BundleError, match=r"landmarks\.onnx: cannot be read .* install chereme"):
        networks.open_hand_network("landmarks", 1)
