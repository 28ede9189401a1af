"""Recordings of a drawn person with two hands, and what OpenPose would say of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fake_clips import SIDE, pattern

WIDTH, HEIGHT = 200, 120
SHOULDERS = {"left": (130.0, 30.0), "right": (70.0, 30.0)}  # the signer's own, who faces us
MIDDLES = {"left": (150.0, 70.0), "right": (50.0, 70.0)}
SURE = {"left": 0.6, "right": 0.9}
COLOURS = ((230, 40, 40), (40, 200, 60), (50, 70, 230))


def middle(side: str, frame: int) -> np.ndarray:
    """Of a hand; the right one moves."""
    x, y = MIDDLES[side]
    return np.array([x + (4 * (frame % 3) if side == "right" else 0), y])


def joints(side: str, frame: int) -> np.ndarray:
    """``(21, 2)`` pixels."""
    shape = pattern()[:, :2] * [-1 if side == "left" else 1, 1]
    return shape + middle(side, frame)


def draw(frame: int, colour: tuple[int, int, int], sides: tuple[str, ...]) -> np.ndarray:
    """A picture whose hands are squares, brighter on the side of the thumb."""
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    for side in sides:
        x, y = middle(side, frame).astype(int)
        half = SIDE // 2
        image[y - half : y + half, x - half : x + half] = np.array(colour) // 2
        thumb = slice(x - half, x) if side == "left" else slice(x, x + half)
        image[y - half : y + half, thumb] = colour
    return image


def of_frame(frame: int, sides: tuple[str, ...]) -> dict[str, Any]:
    """OpenPose's JSON of a frame."""
    body = np.zeros((25, 3))
    body[0] = 100, 15, 0.9
    body[1] = 100, 30, 0.9
    body[5], body[2] = (*SHOULDERS["left"], 0.8), (*SHOULDERS["right"], 0.8)
    person: dict[str, Any] = {"pose_keypoints_2d": body, "face_keypoints_2d": np.empty(0)}
    for side in ("left", "right"):
        hand = np.zeros((21, 3))
        if side in sides:
            hand = np.column_stack([joints(side, frame), np.full(21, SURE[side])])
        person[f"hand_{side}_keypoints_2d"] = hand
    return {"people": [{part: values.ravel().tolist() for part, values in person.items()}]}


def write_person(
    clip: Path, keypoints: Path, number: int = 0, sides: str = "both", frames: int = 4
) -> None:
    """A folder of frames, and one of OpenPose's files. ``sides``: "both", "left" or "right" of each
    frame, or "none", with blanks between; one stands for all frames."""
    clip.mkdir(parents=True, exist_ok=True)
    keypoints.mkdir(parents=True, exist_ok=True)
    shown = sides.split() * (frames if " " not in sides else 1)
    for frame, name in enumerate(shown):
        hands = {"both": ("left", "right"), "none": ()}.get(name, (name,))
        picture = draw(frame, COLOURS[number % len(COLOURS)], hands)
        Image.fromarray(picture).save(clip / f"image_{frame + 1:05d}.png")
        text = json.dumps(of_frame(frame, hands))
        (keypoints / f"image_{frame + 1:05d}_keypoints.json").write_text(text)
