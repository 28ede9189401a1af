"""``.pose`` files (pose-format 0.0, 0.1, 0.2): the hands in them, and hands as a new one."""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from chereme._imports import require
from chereme.errors import InputError, LimitError, some
from chereme.formats.files import File
from chereme.formats.landmark_units import (
    MAKE_ANEW,
    Array,
    check_size,
    frame_size,
    mask_missing,
    rate_of,
    sample_of,
    to_pixels,
)
from chereme.types import NUM_JOINTS, Handedness, Landmarks

# The names and limbs that pose-format gives to the hands of MediaPipe Holistic.
POINT_NAMES = ["WRIST", *(f"THUMB_{joint}" for joint in ("CMC", "MCP", "IP", "TIP"))] + [
    f"{finger}_{joint}"
    for finger in ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
    for joint in ("MCP", "PIP", "DIP", "TIP")
]
LIMBS = [(0, 1), (0, 5), (5, 9), (9, 13), (13, 17), (0, 17)] + [
    (base + i, base + i + 1) for base in (1, 5, 9, 13, 17) for i in range(3)
]


SURE = 0.8  # share of the votes for a side, from which it is sure
_MAX_POINTS = 10_000  # of a person; MediaPipe Holistic has 576


class Component(NamedTuple):
    """A part of a body: its name, number of points, and what is known of each ("XYZC")."""

    name: str
    points: int
    format: str


@dataclass(frozen=True, eq=False)
class PoseFile:
    """What a file holds: ``data (T, people, points, D)``, ``confidence (T, people, points)``.

    The points are those of all ``components``, in order. ``fps`` is what the file says.
    """

    width: int
    height: int
    components: tuple[Component, ...]
    fps: float
    data: Array
    confidence: Array


def read_pose(path: File, raw: bytes, fps: float | None) -> Landmarks:
    pose = parse_pose(path, raw)
    frames = len(pose.data)
    if not frames:
        raise InputError(f"{path}: holds no frame; {MAKE_ANEW}")
    components = _hand_components(path, pose.components)
    there = {
        start: np.any(pose.confidence[:, :, start : start + NUM_JOINTS] > 0, axis=(0, 2))
        for _, start, _ in components
    }
    tracks = [
        (person, side, slice(start, start + NUM_JOINTS), dims)
        for person in range(pose.data.shape[1])
        for side, start, dims in components
        if person == 0 or there[start][person]
    ]
    try:
        check_size(frames, len(tracks))
        rate = 1.0 if frames == 1 and fps is None else rate_of(pose.fps, fps)
    except LimitError as error:
        raise LimitError(f"{path}: {error}; split the recording") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error

    xyz = np.zeros((frames, len(tracks), NUM_JOINTS, 3), np.float32)
    scores = np.zeros((frames, len(tracks), NUM_JOINTS), np.float32)
    for number, (person, _, joints, dims) in enumerate(tracks):
        xyz[:, number, :, :dims] = pose.data[:, person, joints, :dims]
        scores[:, number] = pose.confidence[:, person, joints]
    scores = mask_missing(xyz, scores)
    seen = np.any(scores > 0, axis=(0, 2))
    kept = [n for n, (person, *_) in enumerate(tracks) if person == 0 or seen[n]]
    if len(kept) < len(tracks):
        xyz, scores = xyz[:, kept], scores[:, kept]

    some = sample_of(frames)
    data, confidence = pose.data[some], pose.confidence[some]
    others = data[..., :2][(confidence > 0) & np.isfinite(data).all(axis=-1)]
    width, height = frame_size(pose.width, pose.height, xyz)
    to_pixels(xyz, width, height, others)
    sides = tuple(tracks[n][1] for n in kept)
    return Landmarks(xyz, scores, np.arange(frames) / rate, width, height, sides)


def parse_pose(path: File, raw: bytes) -> PoseFile:
    """All of a file. InputError for damage, or another file; what it claims costs no memory."""
    try:
        return _parse(raw)
    except (ValueError, struct.error) as error:
        raise InputError(
            f"{path}: expected a .pose file of version 0.0, 0.1 or 0.2; it is cut off, damaged or "
            f"something else ({error}); {MAKE_ANEW}"
        ) from error


class _Cursor:
    """Reads the numbers and texts of a file one after the other."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.place = raw, 0

    def numbers(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.raw, self.place)
        self.place += struct.calcsize(f"<{form}")
        return found

    def text(self) -> str:
        (length,) = self.numbers("H")
        start, self.place = self.place, self.place + length
        if self.place > len(self.raw):
            raise ValueError("a text ends after the file")
        return self.raw[start : self.place].decode("utf-8")

    def array(self, shape: tuple[int, ...]) -> Array:
        count = math.prod(shape)
        if self.place + 4 * count > len(self.raw):
            raise ValueError(f"expected {shape} numbers, the file ends before")
        found: Array = np.frombuffer(self.raw, "<f4", count, self.place).reshape(shape)
        self.place += 4 * count
        return found

    @property
    def left(self) -> int:
        return len(self.raw) - self.place


def _parse(raw: bytes) -> PoseFile:
    cursor = _Cursor(raw)
    version, width, height, _, count = cursor.numbers("f4H")
    components, total = [], 0
    for _ in range(count):
        name, form = cursor.text(), cursor.text()
        points, limbs, colours = cursor.numbers("3H")
        components.append(Component(name, points, form))
        total += points
        if total > _MAX_POINTS:
            raise ValueError(f"expected at most {_MAX_POINTS:,} points, got {total:,} and more")
        for _ in range(points):
            cursor.text()
        cursor.place += 4 * limbs + 6 * colours
    if not components:
        raise ValueError("expected components, got none")
    dims = max(len(component.format) for component in components) - 1
    if dims < 2 or not total:
        raise ValueError(f"expected points of 2 dimensions or more, got {total} of {dims}")
    read = {0.0: _body_v0_0, 0.1: _body_v0_1, 0.2: _body_v0_2}.get(round(version, 3))
    if read is None:
        raise ValueError(f"got version {version:g}")
    fps, data, confidence = read(cursor, tuple(components), total, dims)
    return PoseFile(width, height, tuple(components), fps, data, confidence)


_Body = tuple[float, Array, Array]


def _body_v0_0(cursor: _Cursor, components: tuple[Component, ...], points: int, dims: int) -> _Body:
    """Frames of any number of people, each with its number; the first is taken, as everywhere."""
    if {len(component.format) for component in components} != {dims + 1}:
        raise ValueError("expected components of one number of dimensions")
    fps, frames = cursor.numbers("2H")
    numbers = []
    nobody = np.zeros((points, dims + 1), np.float32)
    for _ in range(frames):
        (people,) = cursor.numbers("H")
        place = cursor.place + 2
        cursor.place += people * (2 + 4 * points * (dims + 1))
        if cursor.left < 0:
            raise ValueError("the file ends before its frames do")
        flat = np.frombuffer(cursor.raw, "<f4", points * (dims + 1), place) if people else nobody
        numbers.append(flat.reshape(points, dims + 1))
    both = np.stack(numbers)[:, None] if numbers else np.zeros((0, 1, points, dims + 1), np.float32)
    return float(fps), both[..., :-1], both[..., -1]


def _body_v0_1(cursor: _Cursor, components: tuple[Component, ...], points: int, dims: int) -> _Body:
    fps, frames, people = cursor.numbers("3H")
    # Longer recordings than two bytes can count: the length of the file says how many there are.
    frame_bytes = 4 * people * points * (dims + 1)
    found, rest = divmod(cursor.left, frame_bytes) if frame_bytes else (frames, cursor.left)
    if rest or (found != frames and found <= 0xFFFF):
        raise ValueError(f"expected {frames} frames, found the bytes of {found}")
    shape = (found, people, points)
    return float(fps), cursor.array((*shape, dims)), cursor.array(shape)


def _body_v0_2(cursor: _Cursor, components: tuple[Component, ...], points: int, dims: int) -> _Body:
    fps, frames, people = cursor.numbers("fIH")
    shape = (frames, people, points)
    return fps, cursor.array((*shape, dims)), cursor.array(shape)


def _hand_components(
    path: File, components: Sequence[Component]
) -> list[tuple[Handedness, int, int]]:
    """The hands of a header: side, index of the first point, number of dimensions (2 or 3)."""
    found: list[tuple[Handedness, int, int]] = []
    start = 0
    for component in components:
        name = component.name.lower()
        if "hand" in name and "world" not in name and component.points == NUM_JOINTS:
            dims = 3 if component.format[:3].upper() == "XYZ" else 2
            if "left" in name:
                found.append(("left", start, dims))
            elif "right" in name:
                found.append(("right", start, dims))
        start += component.points
    if not found:
        raise InputError(
            f"{path}: expected a hand of {NUM_JOINTS} points (LEFT_HAND_LANDMARKS or "
            f"RIGHT_HAND_LANDMARKS), got {held(components)}; {MAKE_ANEW}"
        )
    return found


def held(components: Sequence[Component]) -> str:
    """What a file has, for messages."""
    return some((f"{c.name} ({c.points} points)" for c in components), 20) or "no component"


def pose_bytes(landmarks: Landmarks) -> bytes:
    if not len(landmarks.timestamps):
        raise InputError(".pose: expected at least one frame, got none; write .npz instead")
    if max(landmarks.width, landmarks.height) > 0xFFFF:
        raise InputError(
            f".pose: expected a frame of at most 65535 x 65535 pixels, got "
            f"{landmarks.width} x {landmarks.height}; write .npz instead"
        )
    pose_format = require("pose_format")
    pose_header = require("pose_format.pose_header")
    body_class = require("pose_format.numpy").NumPyPoseBody

    xyz, confidence, fps = _on_regular_grid(landmarks)
    first = float(landmarks.timestamps[0])
    if abs(first) > 0.5 / fps:
        warnings.warn(
            f".pose: time starts at 0, but the first frame is at {first:.2f} s of the recording; "
            "write .npz to keep the times",
            stacklevel=3,
        )
    tracks = _tracks_of_sides(landmarks)
    components, hands, scores = [], [], []
    for side, colour in (("left", (0, 255, 0)), ("right", (0, 128, 255))):
        components.append(
            pose_header.PoseHeaderComponent(
                f"{side.upper()}_HAND_LANDMARKS",
                POINT_NAMES,
                LIMBS,
                [colour] * len(LIMBS),
                "XYZC",
            )
        )
        hand = np.zeros((len(xyz), NUM_JOINTS, 3), np.float32)
        score = np.zeros((len(xyz), NUM_JOINTS), np.float32)
        for track in tracks[side]:
            free = ~(score > 0).any(axis=1)
            hand[free], score[free] = xyz[free, track], confidence[free, track]
        hands.append(np.where(score[..., None] > 0, hand, 0.0))
        scores.append(score)
    body = body_class(
        fps,
        np.concatenate(hands, axis=1).astype(np.float32)[:, None],
        np.concatenate(scores, axis=1).astype(np.float32)[:, None],
    )
    dimensions = pose_header.PoseHeaderDimensions(landmarks.width, landmarks.height, 0)
    header = pose_header.PoseHeader(pose_header.VERSION, dimensions, components)
    buffer = io.BytesIO()
    pose_format.Pose(header, body).write(buffer)
    return buffer.getvalue()


def _tracks_of_sides(landmarks: Landmarks) -> dict[str, list[int]]:
    """Side -> the tracks that a file with one left and one right hand keeps: the one seen most, and
    others where that one is not seen. Warns of what is lost."""
    seen = np.any(landmarks.confidence > 0, axis=2)
    coverage = seen.sum(axis=0)
    best_first = sorted(range(len(coverage)), key=lambda track: -coverage[track])
    known = [track for track in best_first if landmarks.handedness[track] != "unknown"]
    unknown = [track for track in best_first if landmarks.handedness[track] == "unknown"]
    scores = landmarks.handedness_score or (1.0,) * len(coverage)
    tracks: dict[str, list[int]] = {"left": [], "right": []}
    for track in known + unknown:
        side: str | None = landmarks.handedness[track]
        if side == "unknown":
            side = next((free for free in ("right", "left") if not tracks[free]), None)
            if side and coverage[track]:
                warnings.warn(
                    f".pose: track {track} is of unknown handedness, written as the {side} hand",
                    stacklevel=4,
                )
        lost = int(coverage[track])
        if side:
            lost = int((seen[:, track] & seen[:, tracks[side]].any(axis=1)).sum())
            if lost < coverage[track] or not tracks[side]:
                tracks[side].append(track)
                if scores[track] < SURE and coverage[track]:
                    warnings.warn(
                        f".pose: whether track {track} is the {side} hand is doubtful "
                        f"({scores[track]:.0%} of the frames), which the file cannot say; write "
                        ".npz to keep it",
                        stacklevel=4,
                    )
        if lost:
            warnings.warn(
                f".pose holds one left and one right hand: track {track} "
                f"({landmarks.handedness[track]}, seen in {lost} frames) is left out where another "
                "is seen; write .npz to keep all",
                stacklevel=4,
            )
    return tracks


def _on_regular_grid(landmarks: Landmarks) -> tuple[Array, Array, float]:
    """Landmarks and confidence at constant rate, and that rate in frames a second."""
    xyz, confidence, times = landmarks.landmarks, landmarks.confidence, landmarks.timestamps
    if len(times) < 2:
        return xyz, confidence, 30.0
    fps = (len(times) - 1) / float(times[-1] - times[0])
    grid = times[0] + np.arange(len(times)) / fps
    if np.abs(grid - times).max() <= 0.25 / fps:
        return xyz, confidence, fps
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    before = after - 1
    weight = np.clip((grid - times[before]) / (times[after] - times[before]), 0, 1)[:, None, None]
    both = (confidence[before] > 0) & (confidence[after] > 0)
    # A joint that is missing on one side is taken from the nearer frame, missing or not.
    weight = np.where(both, weight, np.round(weight))
    take_before, take_after = weight < 1, weight > 0
    score = (1 - weight) * confidence[before] + weight * confidence[after]
    hands = np.where(take_before[..., None], (1 - weight[..., None]) * xyz[before], 0) + np.where(
        take_after[..., None], weight[..., None] * xyz[after], 0
    )
    return hands, score, fps
