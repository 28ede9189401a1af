"""A bundle of isolated signs whose network is set by hand, and recordings that it reads exactly.

A sign is told by the hands that are seen: its scores are linear in the share of the joints that are
seen of the left and of the right hand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

import fakes
from chereme.recognition.bundle import Bundle, write_bundle
from chereme.recognition.config import ClipPreprocessing, IsolatedConfig
from chereme.types import Landmarks

RATE, FRAMES = 25.0, 8
# Of each gloss: what the left hand, the right hand, and no hand at all speak for.
OTHER = "OTHER"
SCORES = {"BOTH": (3.0, 2.0, -1.0), "LEFT": (4.0, -4.0, 0.5), "RIGHT": (-4.0, 3.0, 1.0)}


def classifier_network(scores: dict[str, tuple[float, float, float]], hands: int = 2) -> bytes:
    """``joints``, ``confidence``, ``mask`` -> ``log_probs (B, K)``.

    Joints must be numbers: a NaN in any of them would make every answer NaN.
    """
    table = np.array(list(scores.values()), np.float32)
    nodes = [
        helper.make_node("Sign", ["confidence"], ["seen"]),
        helper.make_node("ReduceMean", ["seen"], ["hands"], axes=[1, 3], keepdims=0),
        helper.make_node("MatMul", ["hands", "weights"], ["products"]),
        helper.make_node("Mul", ["joints", "nothing"], ["zeros"]),
        helper.make_node("ReduceMean", ["zeros"], ["zero"], axes=[1, 2, 3, 4], keepdims=0),
        helper.make_node("Unsqueeze", ["zero", "last"], ["zero_column"]),
        helper.make_node("Add", ["products", "zero_column"], ["numbers"]),
        helper.make_node("Add", ["numbers", "bias"], ["scores"]),
        helper.make_node("LogSoftmax", ["scores"], ["log_probs"], axis=-1),
    ]
    return fakes.network(
        nodes,
        {
            "joints": (TensorProto.FLOAT, ["clips", "frames", hands, 21, 2]),
            "confidence": (TensorProto.FLOAT, ["clips", "frames", hands, 21]),
            "mask": (TensorProto.BOOL, ["clips", "frames"]),
            "log_probs": (TensorProto.FLOAT, ["clips", len(scores)]),
        },
        {
            "weights": table[:, :hands].T,
            "bias": table[:, 2],
            "nothing": np.float32(0),
            "last": np.array([1]),
        },
    )


def signs_config(**changes: object) -> IsolatedConfig:
    """The description that belongs to the fake network."""
    values: dict = {
        "name": "fake signs",
        "task": "isolated",
        "classes": tuple(SCORES),
        "input": "landmarks",
        "preprocessing": ClipPreprocessing(rate=RATE, frames=FRAMES, sampling="spread"),
        "licence": fakes.LICENCE,
        "training_data": ({"name": "none", "licence": "none"},),
        "metrics": ({"test_set": "drawn hands", "top1": 100.0},),
    }
    return IsolatedConfig(**(values | changes))


def make_signs(
    folder: Path, scores: dict[str, tuple[float, float, float]] = SCORES, **changes: object
) -> Bundle:
    """Write the fake bundle to ``folder`` and load it; ``scores``: of its glosses, in order, and
    then of OTHER signs where it knows of them."""
    classes = tuple(gloss for gloss in scores if gloss != OTHER)
    config = signs_config(**{"classes": classes, **changes})
    return write_bundle(folder, config, {"classifier.onnx": classifier_network(scores)})


def probabilities(
    left: float, right: float, scores: dict[str, tuple[float, float, float]] = SCORES
) -> dict[str, float]:
    """What the fake network says where these shares of the frames show the hands."""
    raw = {
        gloss: np.exp(lefts * left + rights * right + b)
        for gloss, (lefts, rights, b) in scores.items()
    }
    return {gloss: float(value / sum(raw.values())) for gloss, value in raw.items()}


def signing(left: str, right: str, rate: float = RATE) -> Landmarks:
    """A recording: "x" for each frame that shows the hand, "." for each that does not."""
    shown = np.array([[mark == "x" for mark in marks] for marks in (left, right)]).T
    points = np.stack([fakes.draw_hand("b", left=True), fakes.draw_hand("b")])
    points = np.where(shown[..., None, None], points, np.nan).astype(np.float32)
    confidence = np.repeat(shown[..., None], 21, axis=2).astype(np.float32)
    times = np.arange(len(shown)) / rate
    return Landmarks(points, confidence, times, fakes.WIDTH, fakes.HEIGHT, ("left", "right"))


def wandering(frames: int, seed: int = 0, rate: float = 25.0) -> Landmarks:
    """Two hands that move, each of which is away now and then; some joints are missing."""
    rng = np.random.default_rng(seed)
    hands = np.stack([fakes.draw_hand("b", left=True), fakes.draw_hand("l")])
    points = hands + rng.normal(0, 15, (frames, 2, 21, 3)) + rng.normal(0, 40, (frames, 2, 1, 3))
    confidence = rng.uniform(0.3, 1, (frames, 2, 21))
    confidence[rng.random((frames, 2)) < 0.2] = 0
    confidence[rng.random((frames, 2, 21)) < 0.1] = 0
    confidence[[0, -1], 0, 0] = 1.0
    points = np.where(confidence[..., None] > 0, points, np.nan).astype(np.float32)
    times = np.arange(frames) / rate
    return Landmarks(
        points, confidence.astype(np.float32), times, fakes.WIDTH, fakes.HEIGHT, ("left", "right")
    )
