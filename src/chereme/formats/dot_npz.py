"""``.npz`` landmark files: plain arrays by name, never unpickled."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError, LimitError
from chereme.formats.landmark_units import (
    MAKE_ANEW,
    frame_size,
    is_rate,
    mask_missing,
    to_pixels,
)
from chereme.types import NUM_JOINTS, Handedness, Landmarks

MAX_UNPACKED_BYTES = 2 << 30  # of an .npz; four hours of two hands at 30 frames/s are 0.5 GiB


def read_npz(path: Path, raw: bytes, fps: float | None) -> Landmarks:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise LimitError(
                f"{path}: expected arrays of at most {MAX_UNPACKED_BYTES:,} bytes, got "
                f"{unpacked:,} when unpacked; split the recording"
            )
        with np.load(io.BytesIO(raw), allow_pickle=False) as loaded:
            arrays = {key: loaded[key] for key in loaded.files}
    except LimitError:
        raise
    except Exception as error:  # zip, zlib, numpy header and pickle errors have no common class
        raise InputError(
            f"{path}: expected an .npz archive of plain arrays; it is cut off, damaged, holds "
            f"pickled objects (never loaded), or is something else ({error}); {MAKE_ANEW}"
        ) from error
    needed = ("landmarks", "width", "height", "handedness")
    lacking = [key for key in needed if key not in arrays]
    if lacking:
        raise InputError(
            f"{path}: expected the arrays {', '.join(needed)}, and timestamps or fps; got "
            f"{', '.join(arrays) or 'none'}: {', '.join(lacking)} missing; {MAKE_ANEW}"
        )
    shape = arrays["landmarks"].shape
    if len(shape) != 4 or shape[2:] != (NUM_JOINTS, 3):
        raise InputError(f"{path}: landmarks: expected shape (T, H, 21, 3), got {shape}")
    try:
        return _landmarks_from_arrays(arrays, fps)
    except (InputError, ValueError, TypeError) as error:
        raise InputError(f"{path}: {error}; {MAKE_ANEW}") from error


def _landmarks_from_arrays(arrays: dict[str, NDArray[Any]], fps: float | None) -> Landmarks:
    xyz = np.array(arrays["landmarks"], np.float32)
    if not len(xyz):
        raise InputError("landmarks: expected at least one frame, got none")
    confidence = np.array(arrays.get("confidence", np.ones(xyz.shape[:3])), np.float32)
    if confidence.shape != xyz.shape[:3]:
        raise InputError(f"confidence: expected shape {xyz.shape[:3]}, got {confidence.shape}")
    if "timestamps" in arrays:
        timestamps = np.array(arrays["timestamps"], np.float64)
    else:
        stated = float(arrays["fps"].item()) if "fps" in arrays else None
        rate = stated if stated is not None and is_rate(stated) else fps
        if rate is None:
            raise InputError(
                "expected timestamps (T,) in seconds or a positive fps, got neither; give the "
                "rate with --rate, in Python with read_landmarks(path, fps=...)"
            )
        timestamps = np.arange(len(xyz)) / rate
    if not np.isfinite(timestamps).all():
        raise InputError("timestamps: expected finite seconds, got NaN or infinity")
    handedness = tuple(_side(name) for name in np.atleast_1d(arrays["handedness"]))

    confidence = mask_missing(xyz, confidence)
    width, height = frame_size(arrays["width"].item(), arrays["height"].item(), xyz)
    if str(arrays.get("units", "")) != "pixels":
        to_pixels(xyz, width, height, xyz[..., :2][confidence > 0])
    world = arrays.get("world_landmarks")
    if world is not None:
        world = np.array(world, np.float32)
        if world.shape == xyz.shape:  # Landmarks refuses the rest
            world[confidence == 0] = np.nan
    return Landmarks(xyz, confidence, timestamps, width, height, handedness, world)


def npz_bytes(landmarks: Landmarks) -> bytes:
    arrays: dict[str, Any] = {
        "landmarks": landmarks.landmarks,
        "confidence": landmarks.confidence,
        "timestamps": landmarks.timestamps,
        "width": landmarks.width,
        "height": landmarks.height,
        "handedness": np.array(landmarks.handedness, dtype="U7"),
        "units": "pixels",
    }
    if landmarks.world_landmarks is not None:
        arrays["world_landmarks"] = landmarks.world_landmarks
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _side(name: Any) -> Handedness:
    text = (name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)).lower()
    return "left" if text in ("left", "l") else "right" if text in ("right", "r") else "unknown"
