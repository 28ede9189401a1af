"""Recordings of a drawn 'hand', and a detector that finds it by its colours.

The hand is a square whose half on the thumb's side is green and whose other half is red: a right
hand, palm to the camera, has its thumb on the right of the picture.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import fakes
from chereme.hands.detector import Detection
from chereme.hands.skeleton import mirror

WIDTH, HEIGHT, SIDE = 160, 120, 40


def pattern() -> np.ndarray:
    """``(21, 3)`` joints of a right hand round its middle, within a square of 0.8 sides."""
    joints = fakes.draw_hand("b")
    low, high = joints.min(axis=0), joints.max(axis=0)
    scale = 0.8 * SIDE / (high - low)[:2].max()
    return (joints - (low + high) / 2) * scale


def place(frame: int) -> tuple[int, int]:
    """Where the middle of the hand is: it goes round."""
    return 80 + round(15 * np.cos(frame / 3)), 60 + round(15 * np.sin(frame / 3))


def draw(frame: int, left: bool = False, hand: bool = True) -> np.ndarray:
    """A picture ``(H, W, 3)`` RGB; ``left`` is the mirror image of the right hand's."""
    image = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    x, y = place(frame)
    if hand:
        half = SIDE // 2
        image[y - half : y + half, x - half : x] = 220, 40, 40
        image[y - half : y + half, x : x + half] = 40, 220, 40
    return np.ascontiguousarray(image[:, ::-1]) if left else image


def write_frames(
    folder: Path, count: int = 8, *, left: bool = False, without: Sequence[int] = ()
) -> Path:
    """A folder of frames 0001.png and so on; those of ``without`` show no hand."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(count):
        picture = draw(frame, left, frame not in without)
        Image.fromarray(picture).save(folder / f"{frame + 1:04d}.png")
    return folder


@dataclass(frozen=True)
class ColourDetectors:
    """Makes detectors; a picture takes ``delay`` seconds, and one all white ends the process."""

    delay: float = 0.0

    def __call__(self, still: bool) -> ColourDetector:
        return ColourDetector(self.delay)


class ColourDetector:
    """Finds at most one hand, at the middle of what is coloured."""

    def __init__(self, delay: float) -> None:
        self.delay = delay

    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        time.sleep(self.delay)
        if image.min() > 250:
            os._exit(1)
        red, green = image[..., 0] > 130, image[..., 1] > 130
        rows, columns = np.nonzero(red | green)
        if len(rows) < SIDE:
            return []
        middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5, 0.0])
        left = np.nonzero(red)[1].mean() > np.nonzero(green)[1].mean()
        joints = mirror(pattern(), None) if left else pattern()
        return [
            Detection(
                landmarks=(joints + middle).astype(np.float32),
                world_landmarks=(joints / 1000).astype(np.float32),
                handedness="left" if left else "right",
                score=0.98,
            )
        ]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass
