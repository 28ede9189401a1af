"""What each part of a recogniser of continuous signing takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chereme.decoding import beam_search
from chereme.formats.tracks import PAPER_RATE, PoseTracks
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.recognition.sign_frames import BLOCK
from chereme.text.glosses import BOS, UNK
from chereme.video.letterbox import letterbox

RUNS, SECONDS = 7, 5.0  # a part is measured so often, or for so long
FRAME = (720, 1280)  # height and width of the frames that pictures are made of
SAID = 8  # glosses of a sentence that the decoder is asked for


@dataclass(frozen=True, slots=True)
class Measured:
    """``milliseconds`` a frame of each part, in a window of ``frames`` frames at ``rate``."""

    frames: int
    rate: float
    milliseconds: dict[str, float]


def measure_window(recognizer: ContinuousRecognizer) -> Measured:
    """The median times of the networks on a window of random input, and of the search in what they
    say of it, each over the number of its frames.

    Of video: ``picture`` (the square picture of a 720p frame), ``encoder`` (the ViT) and ``tracks``
    (what joins the frames). ``sequence``: from tracks to what is read. ``ctc``: the search in that.
    ``decoder``: all of a sentence of 8 glosses, with the beam.
    """
    bundle, reader = recognizer.bundle, recognizer.reader
    config, rng = bundle.config, np.random.default_rng(0)
    rate = config.preprocessing.rate or PAPER_RATE
    frames, _ = config.windows.frames(rate)
    parts: dict[str, float] = {}
    if (size := config.preprocessing.picture) is not None:
        image = rng.integers(0, 256, (*FRAME, 3), np.uint8)
        parts["picture"] = _median(lambda: letterbox(image, size))
        block = rng.integers(0, 256, (BLOCK, 3, size, size), np.uint8)
        given = {"frames": block}
        parts["encoder"] = _median(lambda: bundle.encoder.run(None, given)) / BLOCK
        width = bundle.encoder.run(None, given)[0].shape[1]
        features = rng.normal(size=(1, frames, width)).astype(np.float32)
        seen = {"features": features, "lengths": np.array([frames])}
        parts["tracks"] = _median(lambda: bundle.tracks.run(None, seen)) / frames
    values = {
        track.name: rng.normal(size=(frames, track.width)).astype(np.float32)
        for track in config.tracks
    }
    there = dict.fromkeys(values, np.ones(frames, bool))
    onnx_inputs = reader.onnx_inputs(PoseTracks(rate, values, there))
    parts["sequence"] = _median(lambda: reader.hear(onnx_inputs)) / frames
    emissions = reader.hear(onnx_inputs)
    log_probs = emissions.log_probs
    if log_probs is not None:
        beam = recognizer.options.ctc_beam
        parts["ctc"] = _median(lambda: beam_search(log_probs, width=beam)) / frames
    if "decoder" in config.readers:
        width = recognizer.options.generation.beam_size

        def say() -> None:
            for length in range(1, SAID + 2):
                ids = np.full((width if length > 1 else 1, length), UNK)
                ids[:, 0] = BOS
                reader.logits(ids, emissions)

        parts["decoder"] = _median(say) / frames
    return Measured(frames, rate, parts)


def _median(run: Callable[[], Any]) -> float:
    run()
    times: list[float] = []
    while len(times) < RUNS and sum(times) < SECONDS:
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))
