"""How fast this machine reads: the networks by themselves, and the stages of a whole clip."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from chereme._installation import shipped
from chereme.recognition.hand_landmarks import Progress
from chereme.recognition.recognizer import BaseRecognizer
from chereme.types import Transcript
from chereme.video import open_video
from chereme.video.letterbox import resized

WIDTH, HEIGHT, FPS = 1280, 720, 30.0
RUNS, SECONDS = 7, 5.0  # a part is measured so often, or for so long
STAGES = {"detection": "detect", "crop": "crop", "network": "network", "beam": "search"}
"""Stages as they are reported, and as a recogniser calls them."""


def profile_parts(recognizer: BaseRecognizer) -> dict[str, dict[str, float]]:
    """Of each part that the recogniser can run by itself, on random input: the median milliseconds
    of a run, the ``frames`` in it, and milliseconds a frame."""
    found = {}
    for name, (run, frames) in recognizer.parts(np.random.default_rng(0)).items():
        ms = _median(run)
        found[name] = {"ms": round(ms, 4), "frames": frames, "ms_per_frame": round(ms / frames, 4)}
    return found


def profile_clip(
    recognizer: BaseRecognizer, clip: Path, progress: Progress | None = None
) -> tuple[dict[str, Any], Transcript]:
    """Milliseconds a frame of each stage of one clip, after a few frames to warm up; and its
    transcript.

    ``decode`` is measured alone; the others as they run together, where decoding and detection
    overlap.
    """
    recognizer.recognize(clip, end=0.3)
    began = time.perf_counter()
    with open_video(clip) as reader:
        frames = sum(1 for _ in reader)
    decode = time.perf_counter() - began
    transcript = recognizer.recognize(clip, progress=progress)
    info = transcript.info
    timings = info["timings"]
    seconds = {
        "decode": decode,
        **{name: timings[stage] for name, stage in STAGES.items() if stage in timings},
        "whole": timings["total"],
    }
    result = {
        "frames": frames,
        "width": info["width"],
        "height": info["height"],
        "stages": {
            stage: {
                "ms": round(1000 * spent / frames, 3),
                "fps": round(frames / spent, 1) if spent > 0 else None,
            }
            for stage, spent in seconds.items()
        },
    }
    return result | {key: info[key] for key in ("hand_coverage",) if key in info}, transcript


def example_frames() -> list[np.ndarray]:
    """The pictures ``(480, 640, 3)`` uint8 RGB of the example clip that comes with chereme."""
    with open_video(shipped("examples/hello.mp4")) as reader:
        return [frame.image for frame in reader]


def enlarged_example(frames: int) -> Iterator[np.ndarray]:
    """So many pictures of 720p: the example clip, to and fro, in a grey border."""
    pictures = example_frames()
    for picture in islice(cycle(chain(pictures, reversed(pictures))), frames):
        yield enlarged(picture)


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture of the example in a grey border of 720p."""
    height, width, _ = picture.shape
    width = width * HEIGHT // height
    left = (WIDTH - width) // 2
    film = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    film[:, left : left + width] = resized(picture, width, HEIGHT)
    return film


def threads(network: int | None) -> dict[str, int | None]:
    """The threads of the networks, and the processors of this machine."""
    return {"network": network or os.cpu_count(), "processors": os.cpu_count()}


def _median(run: Callable[[], Any]) -> float:
    run()
    times: list[float] = []
    while len(times) < RUNS and sum(times) < SECONDS:
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))
