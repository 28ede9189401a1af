"""Hands drawn by rule, and a bundle whose networks are set by hand to read them exactly.

The networks compare each frame with a template of each handshape (a linear classifier), so that a
test knows what must come out, with no training and no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from chereme.hands.normalise import (
    FEATURES_PER_FRAME,
    HAND_FEATURES_PER_FRAME,
    landmark_features,
)
from chereme.hands.skeleton import mirror
from chereme.recognition.bundle import Bundle, write_bundle
from chereme.recognition.config import (
    Crop,
    Decoding,
    LetterConfig,
    Licence,
    Preprocessing,
    Segmentation,
    Still,
)
from chereme.types import VECTOR_SIZE, Handedness, HandTrack, Landmarks
from chereme.video import write_video

RATE = 30.0
WIDTH, HEIGHT = 640, 480
# Which fingers are stretched (thumb, index, middle, ring, little); " " is a hand that hangs down.
FINGERS = {"a": "10000", "b": "01111", "d": "01000", "i": "00001", "l": "11000", "v": "01100"}
ALPHABET = tuple(sorted(FINGERS))
LICENCE = Licence(code="MIT", weights="MIT", data="none")


def draw_hand(letter: str, left: bool = False) -> np.ndarray:
    """``(21, 3)`` pixels of a right (or left) hand that shows ``letter``, palm to the camera."""
    joints = np.zeros((21, 3))
    # A right hand with its palm to the camera has its thumb on the right of the picture.
    angles = (40.0, 75.0, 88.0, 100.0, 114.0)  # of the fingers, degrees, counter-clockwise
    for finger, (angle, reach) in enumerate(zip(angles, (0.45, 1.0, 1.0, 1.0, 1.0), strict=True)):
        along = np.array([np.cos(np.radians(angle)), -np.sin(np.radians(angle)), 0.0])
        stretched = FINGERS.get(letter, "00000")[finger] == "1"
        steps = (reach, 0.4, 0.3, 0.2) if stretched else (reach, 0.3, -0.35, -0.15)
        depth = (0.0, 0.0, 0.0, 0.0) if stretched else (0.0, -0.2, -0.3, -0.1)
        for joint, (step, z) in enumerate(zip(np.cumsum(steps), np.cumsum(depth), strict=True)):
            joints[1 + 4 * finger + joint] = step * along + [0, 0, z]
    if letter == " ":
        joints[:, :2] *= -1
    hand = joints * 90.0 + [WIDTH / 2, HEIGHT * 0.6, 0.0]
    return mirror(hand, WIDTH) if left else hand


def spell(
    text: str,
    *,
    fps: float = RATE,
    letter_seconds: float = 0.3,
    left: bool = False,
    idle_hand: bool = False,
    handedness: Handedness | None = None,
) -> Landmarks:
    """A recording that spells ``text``: " " is a hanging hand, "_" is no hand in the picture.

    With ``idle_hand`` a second hand hangs still in the picture all the time.
    """
    count = round(letter_seconds * fps)
    frames = [letter for letter in text for _ in range(count)]
    hands = 2 if idle_hand else 1
    points = np.full((len(frames), hands, 21, 3), np.nan, dtype=np.float32)
    confidence = np.zeros((len(frames), hands, 21), dtype=np.float32)
    for t, letter in enumerate(frames):
        if letter != "_":
            points[t, -1] = draw_hand(letter, left)
            # A moving hand, even within a letter, so that motion tells it from an idle one.
            points[t, -1, :, 0] += 2.0 * np.sin(t)
            confidence[t, -1] = 1.0
    if idle_hand:
        points[:, 0] = draw_hand(" ", not left) * 0.5
        confidence[:, 0] = 1.0
    side: Handedness = handedness or ("left" if left else "right")
    other: Handedness = "right" if side == "left" else "left"
    return Landmarks(
        landmarks=points,
        confidence=confidence,
        timestamps=np.arange(len(frames)) / fps,
        width=WIDTH,
        height=HEIGHT,
        handedness=(other, side) if idle_hand else (side,),
    )


def templates() -> tuple[np.ndarray, np.ndarray]:
    """Weights ``(F, V)`` and bias ``(V,)``: minus half the squared distance to each template."""
    rows = []
    for letter in (" ", *ALPHABET):
        track = HandTrack(
            landmarks=np.repeat(draw_hand(letter)[None], 2, axis=0),
            confidence=np.ones((2, 21)),
            timestamps=np.arange(2) / RATE,
            width=WIDTH,
            height=HEIGHT,
            handedness="right",
        )
        rows.append(landmark_features(track, RATE)[0][0])
    weights = np.stack(rows, axis=1)
    return weights, -0.5 * (weights**2).sum(axis=0)


def network(
    nodes: Sequence[onnx.NodeProto], ports: dict, constants: dict, outputs: int = 1
) -> bytes:
    """An ONNX file; ``ports`` are ``name: (type, shape)``, inputs first, then the outputs."""
    values = [helper.make_tensor_value_info(name, *port) for name, port in ports.items()]
    graph = helper.make_graph(
        list(nodes),
        "fake",
        values[:-outputs],
        values[-outputs:],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def encoder_network() -> bytes:
    """``frames (T, F)`` -> ``features (T, V)``: closeness to the templates."""
    return products_network(*templates())


def products_network(weights: np.ndarray, bias: np.ndarray) -> bytes:
    """``frames (T, F)`` -> ``features (T, V)``: products with ``weights``, and a ``bias``."""
    return network(
        [
            helper.make_node("MatMul", ["frames", "weights"], ["products"]),
            helper.make_node("Add", ["products", "bias"], ["features"]),
        ],
        {
            "frames": (TensorProto.FLOAT, ["time", weights.shape[0]]),
            "features": (TensorProto.FLOAT, ["time", weights.shape[1]]),
        },
        {"weights": weights.astype(np.float32), "bias": bias.astype(np.float32)},
    )


def sequence_network(stride: int = 1, symbols: int = len(ALPHABET) + 1, members: int = 1) -> bytes:
    """``features (1, T, V)`` -> ``log_probs (M, ceil(T / stride), V)``, of all members the same."""
    return network(
        [
            helper.make_node("Slice", ["features", "from", "to", "axis", "stride"], ["kept"]),
            helper.make_node("LogSoftmax", ["kept"], ["own"], axis=-1),
            helper.make_node("Concat", ["own"] * members, ["log_probs"], axis=0),
        ],
        {
            "features": (TensorProto.FLOAT, [1, "time", symbols]),
            "log_probs": (TensorProto.FLOAT, [members, "out", symbols]),
        },
        {
            "from": np.array([0]),
            "to": np.array([2**31]),
            "axis": np.array([1]),
            "stride": np.array([stride]),
        },
    )


def language_model_network(log_probs: np.ndarray) -> bytes:
    """A model of letter pairs: ``log_probs (V, V)`` of the next symbol given the last; 0 bounds."""
    size = len(log_probs)
    return network(
        [
            helper.make_node("Gather", ["table", "tokens"], ["log_probs"]),
            helper.make_node("Identity", ["hidden"], ["next_hidden"]),
        ],
        {
            "tokens": (TensorProto.INT64, ["batch"]),
            "hidden": (TensorProto.FLOAT, [1, "batch", 1]),
            "log_probs": (TensorProto.FLOAT, ["batch", size]),
            "next_hidden": (TensorProto.FLOAT, [1, "batch", 1]),
        },
        {"table": log_probs.astype(np.float32)},
        outputs=2,
    )


# What the fake RGB bundle goes by: a colour for each symbol, " " is the blank's.
COLOURS = {
    " ": (90, 90, 90), "a": (220, 40, 40), "b": (40, 200, 60), "d": (50, 60, 220),
    "i": (220, 200, 40), "l": (200, 50, 200), "v": (40, 200, 210),
}  # fmt: skip
CROP = Crop(size=16, padding=0.25, smoothing=0.1)


def film(landmarks: Landmarks, text: str, *, left: bool = False) -> Iterator[np.ndarray]:
    """Pictures of what ``spell`` made of ``text``: the thumb's half of the hand's crop has the
    colour of its letter, the other half that of the blank."""
    for t in range(len(landmarks.timestamps)):
        image = np.full((HEIGHT, WIDTH, 3), COLOURS[" "], np.uint8)
        letter = text[t * len(text) // len(landmarks.timestamps)]
        if (landmarks.confidence[t, -1] > 0).any():
            x, y = landmarks.landmarks[t, -1, :, :2].T
            middle, reach = (x.min() + x.max()) / 2, max(np.ptp(x), np.ptp(y))
            columns = (middle - reach, middle) if left else (middle, middle + reach)
            rows = slice(max(0, int(y.mean() - reach)), int(y.mean() + reach))
            image[rows, max(0, int(columns[0])) : int(columns[1])] = COLOURS[letter]
        yield image


def crop_encoder_network(size: int = CROP.size, dtype: int = TensorProto.UINT8) -> bytes:
    """Crops ``(T, 3, S, S)`` -> ``features (T, V)``: closeness of the mean colour of the right
    half, where a right hand's thumb is, to each of ``COLOURS``."""
    weights = np.array([COLOURS[letter] for letter in (" ", *ALPHABET)], np.float32).T
    return network(
        [
            helper.make_node("Slice", ["frames", "from", "to", "axis"], ["half"]),
            helper.make_node("Cast", ["half"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["products"]),
            helper.make_node("Add", ["products", "bias"], ["features"]),
        ],
        {
            "frames": (dtype, ["time", 3, size, size]),
            "features": (TensorProto.FLOAT, ["time", weights.shape[1]]),
        },
        {
            "weights": weights,
            "bias": -0.5 * (weights**2).sum(axis=0),
            "from": np.array([size // 2]),
            "to": np.array([size]),
            "axis": np.array([3]),
        },
    )


def hand_encoder_network() -> bytes:
    """``frames (T, F)`` of landmarks and vectors -> ``features (T, V)``: the letters of which
    ``with_vectors`` made the vectors, whatever the landmarks."""
    weights = np.zeros((HAND_FEATURES_PER_FRAME, len(ALPHABET) + 1), np.float32)
    for number in range(len(ALPHABET)):
        weights[FEATURES_PER_FRAME + number, 1 + number] = 100.0
    bias = np.zeros(len(ALPHABET) + 1, np.float32)
    bias[0] = 50.0
    return products_network(weights, bias)


def seen_hands(points: np.ndarray, rate: float, sides: Sequence[Handedness]) -> Landmarks:
    """What a detector says of ``points (T, H, 21, 3)``, NaN where a hand is away, in a picture of
    1280 x 720 pixels."""
    return Landmarks(
        landmarks=points,
        confidence=np.isfinite(points).all(axis=-1).astype(np.float32),
        timestamps=np.arange(len(points)) / rate,
        width=1280,
        height=720,
        handedness=tuple(sides),
    )


def with_vectors(landmarks: Landmarks, text: str) -> Landmarks:
    """What ``spell`` made of ``text``, with vectors by which each letter is known."""
    frames, hands = landmarks.confidence.shape[:2]
    vectors = np.zeros((frames, hands, VECTOR_SIZE), np.float16)
    for t in range(frames):
        letter = text[t * len(text) // frames]
        if letter in ALPHABET:
            vectors[t, -1, ALPHABET.index(letter)] = 1.0
    return replace(landmarks, vectors=vectors)


def fake_config(**changes: object) -> LetterConfig:
    """The description that belongs to the fake networks."""
    values: dict = {
        "name": "fake",
        "task": "fingerspelling",
        "alphabet": ALPHABET,
        "input": "landmarks",
        "preprocessing": Preprocessing(rate=RATE, features=templates()[0].shape[0]),
        "licence": LICENCE,
        "training_data": ({"name": "none", "licence": "none"},),
        "metrics": ({"test_set": "drawn hands", "letter_accuracy": 1.0},),
        "decoding": Decoding(beam_width=5),
        "segmentation": Segmentation(),
        "still": Still(letters=ALPHABET),
    }
    return LetterConfig(**(values | changes))


def make_bundle(
    directory: Path,
    *,
    stream: str = "landmarks",
    stride: int = 1,
    members: int = 1,
    lm: bytes | None = None,
    lexicon: str | None = None,
    **changes: object,
) -> Bundle:
    """Write the fake bundle to ``directory`` and load it; of "rgb", it reads colours, of "hand"
    vectors."""
    if stream == "rgb":
        changes = {"input": "rgb", "preprocessing": Preprocessing(rate=RATE, crop=CROP)} | changes
    if stream == "hand":
        given = Preprocessing(rate=RATE, features=HAND_FEATURES_PER_FRAME)
        changes = {"input": "hand", "preprocessing": given} | changes
    encoders = {"rgb": crop_encoder_network, "hand": hand_encoder_network}
    files: dict[str, bytes | Path] = {
        "encoder.onnx": encoders[stream]() if stream in encoders else encoder_network(),
        "sequence.onnx": sequence_network(stride, members=members),
        "MODEL_CARD.md": b"# fake\n",
    }
    if lm is not None:
        files["lm.onnx"] = lm
    if lexicon is not None:
        files["lexicon.txt"] = lexicon.encode()
    config = fake_config(temporal_stride=stride, members=members, **changes)
    return write_bundle(directory, config, files)


class FakeDetector:
    """Answers with the hands of prepared landmarks, frame after frame."""

    def __init__(self, landmarks: Landmarks) -> None:
        self.landmarks = landmarks
        self.closed = 0
        self._last = np.inf  # the time of the last frame

    def _answers(self) -> Iterator[list]:
        from chereme.hands.detector import Detection

        found = self.landmarks
        for t, (points, confidence) in enumerate(
            zip(found.landmarks, found.confidence, strict=True)
        ):
            yield [
                Detection(
                    landmarks=points[h],
                    world_landmarks=points[h] / 1000,
                    handedness=found.handedness[h],  # type: ignore[arg-type]
                    score=0.98,
                    vector=None if found.vectors is None else found.vectors[t, h],
                )
                for h in range(len(found.handedness))
                if confidence[h].any()
            ]

    def detect(self, image: np.ndarray, timestamp: float) -> list:
        if timestamp <= self._last:  # another recording; ``reset`` may also mean another shot
            self._next = self._answers()
        self._last = timestamp
        return next(self._next)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


class Detectors:
    """Makes detectors that answer with given landmarks, and counts how often they are asked."""

    def __init__(self, landmarks: Landmarks) -> None:
        self.landmarks, self.asked = landmarks, 0

    def __call__(self, still: bool) -> Any:
        outer = self

        class Counting(FakeDetector):
            def detect(self, image: np.ndarray, timestamp: float) -> list:
                outer.asked += 1
                return super().detect(image, timestamp)

        return Counting(self.landmarks)


def recording(
    path: Path, text: str, *, fps: float = 30.0, left: bool = False, mirror: bool = False
) -> Landmarks:
    """A film of ``text``; the landmarks are those of the hand that it shows."""
    landmarks = spell(text, fps=fps, left=left)
    pictures = film(landmarks, text, left=left)
    write_video(path, (p[:, ::-1] if mirror else p for p in pictures), fps)
    return landmarks


def seen_in_mirror(landmarks: Landmarks) -> Landmarks:
    points = landmarks.landmarks.copy()
    points[..., 0] = WIDTH - points[..., 0]
    other = {"left": "right", "right": "left"}
    sides = tuple(other[side] for side in landmarks.handedness)
    return replace(landmarks, landmarks=points, handedness=sides)  # type: ignore[arg-type]


def without(landmarks: Landmarks, frames: slice) -> Landmarks:
    """The same with no hand in ``frames``."""
    confidence, points = landmarks.confidence.copy(), landmarks.landmarks.copy()
    confidence[frames], points[frames] = 0, np.nan
    return replace(landmarks, confidence=confidence, landmarks=points)


class Spy:
    """A network that remembers what it was given."""

    def __init__(self, session: Any) -> None:
        self.session, self.given = session, []

    def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        (given,) = feeds.values()
        self.given.append(given.copy())
        return self.session.run(outputs, feeds)


def with_sound(film: Path, path: Path, late: float, *, start: float = 0.0) -> Path:
    """``film`` again, beginning ``late`` seconds after a silent sound that starts at ``start``."""
    import av

    rate, size = 48000, 1152
    with av.open(str(film)) as old, av.open(str(path), "w") as new:
        (source,) = old.streams.video
        picture = new.add_stream_from_template(source)
        sound = new.add_stream("mp2", rate=rate, layout="mono")
        packets = []
        for number in range(0, int(rate * (min(abs(late), 3) + 1)), size):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, size), np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = number + round((start - min(late, 0)) * rate)
            packets += sound.encode(frame)
        packets += sound.encode()
        # The coder's own delay, which Matroska states: elsewhere the sound would begin earlier.
        delay = round((start - min(late, 0)) * rate) - packets[0].pts
        delay = 0 if path.suffix == ".mkv" else delay
        for packet in packets:
            packet.pts += delay
            packet.dts += delay
        base = source.time_base
        shift = round((start + max(late, 0)) / base)
        for packet in old.demux(source):
            if packet.size:
                packet.pts += shift
                packet.dts += shift
                packet.stream = picture
                packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            new.mux(packet)
    return path
