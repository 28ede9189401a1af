"""A small folder of letter collections, and eyes that know where the hand in its pictures is."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

import fakes
from chereme.datasets.letter_collections import DEV_PEOPLE, LANDMARK_SETS, PEOPLE
from chereme.hands.detector import Detection
from chereme.hands.landmarks import LandmarkHand
from chereme.hands.rectangle import Rectangle
from chereme.hands.skeleton import mirror

COLORS = {1: (250, 10, 10), 4: (10, 250, 10), 6: (10, 10, 250)}  # of the corners in the pictures
# Joints of the hand in coordinates where the squares of the upright picture are (0, 0), (1, 0) and
# (0, 1).
HAND = np.random.default_rng(3).uniform(0, 1, (21, 2))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def corners(width: int, height: int) -> list[tuple[int, int]]:
    return [(width // 4, height // 4), (3 * width // 4, height // 4), (width // 4, 3 * height // 4)]


def picture(path: Path, width: int = 90, height: int = 120, ground: int = 128) -> None:
    """A grey picture with three coloured squares, whose centres can be found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((height, width, 3), ground, dtype=np.uint8)
    for color, (x, y) in zip(COLORS.values(), corners(width, height), strict=True):
        image[y - 8 : y + 9, x - 8 : x + 9] = color[::-1]
    cv2.imwrite(str(path), image)


def hand_in(width: int, height: int) -> np.ndarray:
    """The joints ``(21, 3)`` in the upright picture, in pixels."""
    (x, y), (right, _), (_, down) = corners(width, height)
    points = np.zeros((21, 3))
    points[:, :2] = [x, y] + HAND * [right - x, down - y]
    points[:, 2] = HAND[:, 0] * (right - x)
    return points


class CornerEyes:
    """Detector and network in one: it sees the hand by the three coloured squares, so it follows
    every change of the picture, and knows mirror images by their colours.

    ``side``: of the hand in pictures that are not mirrored; ``calls``: pictures searched without
    and with a place to look at."""

    def __init__(self, side: str = "right") -> None:
        self.side, self.calls = side, [0, 0]

    def __call__(self) -> tuple[CornerEyes, CornerEyes]:
        return self, self

    def _see(self, image: np.ndarray) -> tuple[np.ndarray, str] | None:
        assert image.dtype == np.uint8
        bright = image.astype(int) - image.astype(int).mean(axis=2, keepdims=True)
        places = []
        for color in COLORS.values():
            near = np.abs(bright - (np.array(color) - np.mean(color))).sum(-1) < 130
            if near.sum() < 5:
                return None
            rows, columns = np.nonzero(near)
            places.append((columns.mean(), rows.mean()))
        origin, right, down = np.array(places)
        points = np.zeros((21, 3), dtype=np.float32)
        points[:, :2] = origin + HAND @ np.stack([right - origin, down - origin])
        points[:, 2] = np.linalg.norm(right - origin) * HAND[:, 0]
        mirrored = np.cross([*(right - origin), 0], [*(down - origin), 0])[2] < 0
        sides = {"right": "left", "left": "right"}
        return points, sides[self.side] if mirrored else self.side

    def detect(self, image: np.ndarray, timestamp: float) -> list[Detection]:
        self.calls[0] += 1
        found = self._see(image)
        return [] if found is None else [Detection(found[0], found[0] / 1000, found[1], 0.9)]  # type: ignore[arg-type]

    def find(self, image: np.ndarray, rectangles: list[Rectangle]) -> list[LandmarkHand | None]:
        self.calls[1] += 1
        found = self._see(image)
        if found is None:
            return [None] * len(rectangles)
        points, side = found
        vector = np.full(1152, 0.5 if side == "right" else -0.5, np.float32)
        return [
            LandmarkHand(points, points / 1000, 0.9, float(side == "right"), vector)
            for _ in rectangles
        ]

    def reset(self) -> None: ...

    def close(self) -> None: ...


class BlindEyes(CornerEyes):
    def _see(self, image: np.ndarray) -> None:
        return None


def animation(path: Path, frames: int, seed: int) -> np.ndarray:
    points = np.random.default_rng(seed).normal(0, 0.2, (frames, 1, 21, 3))
    component = PoseHeaderComponent("HAND", [f"j{k}" for k in range(21)], [], [], "XYZC")
    header = PoseHeader(0.2, PoseHeaderDimensions(640, 480, 100), [component])
    body = NumPyPoseBody(25.0, np.ma.masked_array(points), np.ones(points.shape[:3]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Pose(header, body).write(file)
    return points[:, 0]


def write_person(folder: Path, prefix: str, name: str, labels: str, size: int = 1) -> None:
    """An index with one picture a label, of a crop that lies at (100, 50) of a frame of 640 x 480,
    ``size`` times as large there as in the file."""
    points = hand_in(90, 120)[:, :2] * size
    # The crop is 1.5 times as large as the hand, about its middle.
    low, high = points.min(axis=0), points.max(axis=0)
    start = np.round((low + high) / 2 - 0.75 * (high - low).max())
    place = points - start + [100, 50]
    shown = np.zeros((len(labels), 21, 3), np.float32)
    shown[:] = np.concatenate([place / [640, 480], np.zeros((21, 1))], axis=1)
    rows = []
    for number, label in enumerate(labels):
        path = f"{name}{label}/{number}.png"
        picture(folder / path)
        rows.append(
            {"path": path, "label": label, "frame_w": 640, "frame_h": 480}
            | {"crop_x0": 100 - start[0], "crop_y0": 50 - start[1]}
        )
    write_rows(folder / f"{prefix}index.csv", rows)
    np.savez(
        folder / f"{prefix}landmarks.npz",
        path=np.array([row["path"].removeprefix(name) for row in rows]),
        landmarks=shown,
    )


def moving_hands(rng: np.random.Generator, frames: int = 20) -> np.ndarray:
    """``(frames, 21, 3)``: a hand in image fractions that draws a wide zig-zag."""
    hand = fakes.draw_hand("z")[:, :3] / 1000
    phase = np.linspace(0, 4 * np.pi, frames)
    path = np.stack([0.3 * np.sin(phase), 0.1 * phase, 0 * phase], axis=1)
    return np.asarray(hand + path[:, None] + rng.normal(0, 1e-4, (frames, 21, 3)) + 0.1)


def write_collections(root: Path) -> None:
    """A small root folder with all collections."""
    rng = np.random.default_rng(0)
    studio = [("a", "hand1"), ("b", "hand2"), ("3", "hand1"), ("0", "hand1")]
    rows = []
    for label, signer in studio:
        picture(root / "letters_studio" / label / "1.png", ground=0)
        rows.append({"path": f"{label}/1.png", "label": label, "signer": signer})
    write_rows(root / "letters_studio" / "index.csv", rows)
    picture(root / "letters_wild" / "c.png", 120, 120)
    write_rows(root / "letters_wild" / "index.csv", [{"path": "c.png", "label": "c"}])
    rows = []
    for name, angle, letters in (("1", 1, "d,z"), ("2", 2, "d"), ("3", 1, "g"), ("4", 1, "")):
        picture(root / "handshapes_261" / f"{name}.png")
        rows.append({"path": f"{name}.png", "angle": angle, "fingerspelling": letters})
    write_rows(root / "handshapes_261" / "index.csv", rows)
    for name in PEOPLE:
        write_person(root / "letters_people", f"{name}.", f"{name}/", "ay")
    for name in DEV_PEOPLE:
        write_person(root / "letters_people_dev", f"{name}.", f"{name}/", "k")
    write_person(root / "digits_people", "", "", "01459")
    (root / "letters_landmarks" / "people").mkdir(parents=True)
    np.savez(
        root / "letters_landmarks" / "borisgraudt.npz",
        landmarks=rng.uniform(0, 1, (30, 21, 3)).astype(np.float32),
        label=np.array([*"aaaaaaajjj", *"z" * 20]),
        segment=np.array([0] * 7 + [1] * 3 + [2] * 20),
        aspect=np.float32(1.5),
    )
    for name, aspect in LANDMARK_SETS.items():
        right = hand_in(90, 120) / [200 * aspect, 200, 200 * aspect]
        left = mirror(right, 1.0)
        landmarks = np.stack([right] * 10 + [left] * 10)
        np.savez(
            root / "letters_landmarks" / "people" / f"{name}.npz",
            landmarks=landmarks.astype(np.float32),
            label=np.array(["a"] * 20),
        )
    runs = [moving_hands(rng, 30), moving_hands(rng, 5), moving_hands(rng, 20)]
    (root / "motion_jz").mkdir()
    np.savez(
        root / "motion_jz" / "jz.npz",
        landmarks=np.concatenate(runs).astype(np.float32),
        length=np.array([len(run) for run in runs]),
        label=np.array([*"jjz"]),
        key=np.array(["J_0", "J_1", "Z_36"]),
    )
    (root / "sequences").mkdir()
    labels = [*"b-jjjjz"]
    hands = np.zeros((len(labels), 20, 2, 21, 3), np.float32)
    for index, _ in enumerate(labels):
        hands[index, :, 1] = moving_hands(rng)
    hands[0, 10] = 0  # not found
    hands[0] = hands[0, :, ::-1]  # a left hand
    hands[6, 1:, :, :] = hands[6, :1]  # hardly moves
    np.savez(
        root / "sequences" / "traduttore_letters.npz",
        hands=hands,
        label=np.array(labels),
        signer=np.array(["alex"] * 6 + ["cam"]),
        signer_sure=np.array([True] * 7),
    )
    np.savez(
        root / "sequences" / "traduttore_words.npz",
        hands=hands[2:4],
        label=np.array(["hello", "z"]),
        signer=np.array(["danial", "danial"]),
    )
    moves = [
        ("rest", "z", "transition", 48),
        ("rest", "j", "transition", 30),
        ("rest", "a", "transition", 24),
        ("a", "j", "transition", 40),
        ("a", "b", "transition", 24),
        ("a", "rest", "transition", 24),
        ("rest", "q", "hold", 24),
    ]
    folder = root / "transitions_animation"
    for k, (_, _, _, frames) in enumerate(moves):
        animation(folder / "poses" / f"{k}.pose", frames, k)
    write_rows(
        folder / "index.csv",
        [
            {"file": f"{k}.pose", "from": m[0], "to": m[1], "kind": m[2]}
            for k, m in enumerate(moves)
        ],
    )
