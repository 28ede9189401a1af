"""Continuous signing drawn by rule, and bundles whose networks are set by hand to read it exactly.

The track ``fake_signing`` has a number for each id of the vocabulary: 1 for the gloss that is
signed in a frame, or for id 0, nothing. On video, the colour of the frame is the gloss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from onnx import TensorProto, helper

from chereme.decoding.generation import GenerationConfig
from chereme.formats.tracks import PoseTracks, TrackSpec, one_track, register_track
from chereme.hands.detector import Detection
from chereme.recognition.bundle import Bundle, write_bundle
from chereme.recognition.config import ContinuousConfig, SigningPreprocessing, Windows
from chereme.text.glosses import EOS, GlossVocabulary
from chereme.types import Frame
from fakes import LICENCE, draw_hand, network

RATE = 10.0
SIZE = 16
VOCABULARY = GlossVocabulary(("JOHN", "BUY", "HOUSE"))
V = len(VOCABULARY)
TRACK = register_track(TrackSpec("fake_signing", V, "one number for each id"))
OTHER = register_track(TrackSpec("fake_other", 2, "two numbers that say nothing"))
COLOURS = {"JOHN": (250, 0, 0), "BUY": (0, 250, 0), "HOUSE": (0, 0, 250), "": (0, 0, 0)}
SIGN, PAUSE = 6, 4  # frames
SENTENCE = "JOHN BUY HOUSE"
LONG = "JOHN BUY HOUSE BUY JOHN HOUSE HOUSE JOHN BUY JOHN JOHN BUY HOUSE JOHN"


def frames_of(text: str) -> list[str]:
    """The gloss of each frame, or nothing: a pause before each and at the end."""
    signed = [frame for gloss in text.split() for frame in [""] * PAUSE + [gloss] * SIGN]
    return signed + [""] * PAUSE


def sign(text: str, rate: float = RATE) -> PoseTracks:
    """A clip of glosses."""
    ids = [VOCABULARY.encode([gloss])[0] if gloss else 0 for gloss in frames_of(text)]
    return one_track("fake_signing", np.eye(V)[ids], rate)


def span(place: int) -> tuple[float, float]:
    """The seconds of the gloss number ``place`` of a clip, whose frames stand for half of the time
    before and after them."""
    start = (place * (SIGN + PAUSE) + PAUSE - 0.5) / RATE
    return start, start + SIGN / RATE


def film(text: str, size: int = SIZE) -> Iterable[Frame]:
    """The same as frames, made one after the other."""
    for number, gloss in enumerate(frames_of(text)):
        yield Frame(np.full((size, size, 3), COLOURS[gloss], np.uint8), number / RATE)


def write_film(folder: Path, text: str) -> Path:
    """The same as a folder of frames."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(film(text)):
        cv2.imwrite(str(folder / f"{number:04d}.png"), frame.image[..., ::-1])
    return folder


def config(**changes: Any) -> ContinuousConfig:
    """Of a model that reads the fake track with its CTC head."""
    values: dict[str, Any] = {
        "name": "fake",
        "task": "continuous",
        "tokens": VOCABULARY.tokens,
        "units": "glosses",
        "input": "tracks",
        "tracks": (TRACK,),
        "readers": ("ctc",),
        "read_with": "ctc",
        "preprocessing": SigningPreprocessing(rate=RATE),
        "licence": LICENCE,
        "training_data": (),
        "metrics": (),
        "generation": GenerationConfig(repetition_penalty=1.0),
        "windows": Windows(6.0, 2.0),
    }
    if changes.get("input") == "rgb":
        values["preprocessing"] = SigningPreprocessing(rate=RATE, picture=SIZE)
    return ContinuousConfig(**values | changes)


def sequence_network(tracks: Iterable[TrackSpec] = (TRACK,)) -> bytes:
    """Log-probabilities are those of the fake track; where it is not present, nothing is signed."""
    tracks = list(tracks)
    ports: dict[str, Any] = {
        f"track_{one.name}": (TensorProto.FLOAT, ["clips", "frames", one.width]) for one in tracks
    }
    ports |= {f"present_{one.name}": (TensorProto.BOOL, ["clips", "frames"]) for one in tracks}
    ports |= {
        "lengths": (TensorProto.INT64, ["clips"]),
        "log_probs": (TensorProto.FLOAT, ["clips", "frames", V]),
    }
    name = next(one.name for one in tracks if one.name in ("fake_signing", "mediapipe"))
    nodes = [
        helper.make_node("Unsqueeze", [f"present_{name}", "last"], ["there"]),
        helper.make_node("Where", ["there", "shown", "nothing"], ["seen"]),
        helper.make_node("Mul", ["seen", "scale"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["log_probs"], axis=-1),
    ]
    # Of mediapipe: JOHN is signed while there is a hand.
    john = np.eye(V, dtype=np.float32)[VOCABULARY.encode(["JOHN"])]
    source = (
        helper.make_node("Identity", ["track_fake_signing"], ["shown"])
        if name == "fake_signing"
        else helper.make_node("Identity", ["john"], ["shown"])
    )
    constants = {
        "last": np.array([2]),
        "nothing": np.eye(V, dtype=np.float32)[:1],
        "scale": np.array(20.0, np.float32),
        "john": john,
    }
    return network([source, *nodes], ports, constants)


def video_networks() -> dict[str, bytes]:
    """``encoder.onnx``: the mean colour; ``tracks.onnx``: the fake track of that."""
    encoder = network(
        [
            helper.make_node("Cast", ["frames"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["numbers"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("Div", ["means", "white"], ["features"]),
        ],
        {
            "frames": (TensorProto.UINT8, ["frames", 3, SIZE, SIZE]),
            "features": (TensorProto.FLOAT, ["frames", 3]),
        },
        {"white": np.array(250.0, np.float32)},
    )
    weights = np.zeros((3, V), np.float32)
    for gloss, colour in COLOURS.items():
        if gloss:
            weights[np.argmax(colour), VOCABULARY.encode([gloss])[0]] = 1
    tracks = network(
        [
            helper.make_node("MatMul", ["features", "weights"], ["signed"]),
            helper.make_node("Add", ["signed", "else"], ["track_fake_signing"]),
        ],
        {
            "features": (TensorProto.FLOAT, ["clips", "frames", 3]),
            "lengths": (TensorProto.INT64, ["clips"]),
            "track_fake_signing": (TensorProto.FLOAT, ["clips", "frames", V]),
        },
        {"weights": weights, "else": 0.5 * np.eye(V, dtype=np.float32)[0]},
    )
    return {"encoder.onnx": encoder, "tracks.onnx": tracks}


def make_signing(folder: Path, **changes: Any) -> Bundle:
    """A bundle of tracks, or of video with ``input="rgb"``, in ``folder``."""
    wanted = config(**changes)
    files = {"sequence.onnx": sequence_network(wanted.tracks)}
    if wanted.input == "rgb":
        files |= video_networks()
    return write_bundle(folder, wanted, files)


class Sequence:
    """``sequence.onnx`` in Python, with a memory that is the track; counts what it is given."""

    def __init__(self) -> None:
        self.frames: list[int] = []

    def run(self, names: list[str], given: Mapping[str, Any]) -> list[Any]:
        track = np.nan_to_num(given["track_fake_signing"])
        self.frames.append(track.shape[1])
        logits = 20 * track
        log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return [{"memory": track, "log_probs": log_probs}[name] for name in names]


class Decoder:
    """``decoder.onnx`` in Python: says what is signed in the memory, ``times`` over."""

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def run(self, names: list[str], given: Mapping[str, Any]) -> list[Any]:
        best = given["memory"][0].argmax(-1)
        first = np.ones(len(best), bool)
        first[1:] = best[1:] != best[:-1]
        said = [*best[first & (best > 0)].tolist() * self.times, EOS]
        logits = np.zeros((*given["ids"].shape, V), np.float32)
        for place in range(logits.shape[1]):
            logits[:, place, said[min(place, len(said) - 1)]] = 20
        return [logits]


def with_decoder(times: int = 1, **changes: Any) -> Bundle:
    """A model in memory that has a text decoder as well."""
    changes = {"readers": ("decoder", "ctc"), "read_with": "decoder"} | changes
    return Bundle(Path("none"), config(**changes), "0", sequence=Sequence(), decoder=Decoder(times))


class Hands:
    """Makes detectors that find a right hand in each frame that is not black, and counts looks;
    ``resets``: after how many looks."""

    def __init__(self) -> None:
        self.looks = self.closed = 0
        self.resets: list[int] = []
        self.stills: list[bool] = []

    def __call__(self, still: bool) -> Hands:
        self.stills.append(still)
        return self

    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        self.looks += 1
        if not image.any():
            return []
        joints = draw_hand("b").astype(np.float32)
        return [Detection(joints, joints / 1000, "right", 0.98)]

    def reset(self) -> None:
        self.resets.append(self.looks)

    def close(self) -> None:
        self.closed += 1
