"""``.pose`` files (pose-format 0.0, 0.1, 0.2): the hands in them, and hands as a new one."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from chereme._imports import require
from chereme.errors import InputError
from chereme.formats.landmark_units import (
    MAKE_ANEW,
    Array,
    frame_size,
    is_rate,
    mask_missing,
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


def read_pose(path: Path, raw: bytes, fps: float | None) -> Landmarks:
    header, body = parse_pose(path, raw)
    data = np.asarray(body.data.data, dtype=np.float32)  # (T, people, points, dims)
    confidence = np.asarray(body.confidence, dtype=np.float32)  # (T, people, points)
    if not len(data):
        raise InputError(f"{path}: holds no frame; {MAKE_ANEW}")

    components = _hand_components(path, header)
    xyz = np.zeros((len(data), 0, NUM_JOINTS, 3), np.float32)
    scores = np.zeros((len(data), 0, NUM_JOINTS), np.float32)
    sides: list[Handedness] = []
    for person in range(data.shape[1]):
        for side, start, dims in components:
            joints = slice(start, start + NUM_JOINTS)
            hand = np.zeros((len(data), 1, NUM_JOINTS, 3), np.float32)
            hand[..., :dims] = data[:, person, None, joints, :dims]
            score = mask_missing(hand, confidence[:, person, None, joints])
            if person == 0 or score.any():
                xyz = np.concatenate([xyz, hand], axis=1)
                scores = np.concatenate([scores, score], axis=1)
                sides.append(side)

    some = slice(None, None, 1 + len(data) // 100)  # enough to see the unit, little to hold
    others = data[some, ..., :2][(confidence[some] > 0) & np.isfinite(data[some]).all(axis=-1)]
    width, height = frame_size(header.dimensions.width, header.dimensions.height, xyz)
    to_pixels(xyz, width, height, others)
    rate = body.fps if is_rate(body.fps) else fps
    if rate is None and len(data) > 1:
        raise InputError(
            f"{path}: expected a frame rate in the file, got {body.fps}; give it with --rate, "
            "in Python with read_landmarks(path, fps=...)"
        )
    timestamps = np.arange(len(data)) / (rate or 1.0)
    return Landmarks(xyz, scores, timestamps, width, height, tuple(sides))


def parse_pose(path: Path, raw: bytes) -> tuple[Any, Any]:
    """Header and body of a file as pose-format has them. InputError for damage, or another file."""
    pose_format = require("pose_format")
    buffer = require("pose_format.utils.reader").BufferReader(raw)
    body_class = require("pose_format.numpy").NumPyPoseBody
    try:
        header = pose_format.PoseHeader.read(buffer)
        start = buffer.read_offset
        body = body_class.read(header, buffer)
        if round(header.version, 3) == 0.1:
            _check_length_v0_1(raw, start, header, len(body.data))
    except Exception as error:  # damage shows as any of a dozen exceptions in the library
        raise InputError(
            f"{path}: expected a .pose file of version 0.0, 0.1 or 0.2; it is cut off, damaged or "
            f"something else ({error}); {MAKE_ANEW}"
        ) from error
    return header, body


def _check_length_v0_1(raw: bytes, start: int, header: Any, frames: int) -> None:
    """The library takes the number of frames from the file's length, so a cut shifts all values."""
    _, declared, people = struct.unpack_from("<HHH", raw, start)
    frame_bytes = 4 * people * header.total_points() * (header.num_dims() + 1)
    too_many_to_declare = frames > 0xFFFF
    if (len(raw) - start - 6) % frame_bytes or (declared != frames and not too_many_to_declare):
        raise ValueError(f"expected {declared} frames, found the bytes of {frames}")


def _hand_components(path: Path, header: Any) -> list[tuple[Handedness, int, int]]:
    """The hands of a header: side, index of the first point, number of dimensions (2 or 3)."""
    found: list[tuple[Handedness, int, int]] = []
    start = 0
    for component in header.components:
        name, points = component.name.lower(), len(component.points)
        if "hand" in name and "world" not in name and points == NUM_JOINTS:
            dims = 3 if component.format[:3].upper() == "XYZ" else 2
            if "left" in name:
                found.append(("left", start, dims))
            elif "right" in name:
                found.append(("right", start, dims))
        start += points
    if not found:
        held = ", ".join(f"{c.name} ({len(c.points)} points)" for c in header.components)
        raise InputError(
            f"{path}: expected a hand of {NUM_JOINTS} points (LEFT_HAND_LANDMARKS or "
            f"RIGHT_HAND_LANDMARKS), got {held or 'no component'}; {MAKE_ANEW}"
        )
    return found


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
    tracks = _one_track_a_side(landmarks)
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
        track = tracks.get(side)
        hand = np.zeros((len(xyz), NUM_JOINTS, 3)) if track is None else xyz[:, track]
        score = np.zeros((len(xyz), NUM_JOINTS)) if track is None else confidence[:, track]
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


def _one_track_a_side(landmarks: Landmarks) -> dict[str, int]:
    """Side -> index of the track that a file with one left and one right hand keeps."""
    coverage = (landmarks.confidence > 0).any(axis=2).sum(axis=0)
    best_first = sorted(range(len(coverage)), key=lambda track: -coverage[track])
    known = [track for track in best_first if landmarks.handedness[track] != "unknown"]
    unknown = [track for track in best_first if landmarks.handedness[track] == "unknown"]
    tracks: dict[str, int] = {}
    for track in known + unknown:
        side: str | None = landmarks.handedness[track]
        if side == "unknown":
            side = next((free for free in ("right", "left") if free not in tracks), None)
            if side and coverage[track]:
                warnings.warn(
                    f".pose: track {track} is of unknown handedness, written as the {side} hand",
                    stacklevel=4,
                )
        if side and side not in tracks:
            tracks[side] = track
        elif coverage[track]:
            warnings.warn(
                f".pose holds one left and one right hand: track {track} "
                f"({landmarks.handedness[track]}, seen in {coverage[track]} frames) is left out; "
                "write .npz to keep all",
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
