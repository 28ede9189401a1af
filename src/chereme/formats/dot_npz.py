"""``.npz`` landmark files: plain arrays by name, never unpickled."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError, LimitError
from chereme.formats.arrays import ArrayFile
from chereme.formats.files import File
from chereme.formats.landmark_units import (
    MAKE_ANEW,
    check_size,
    frame_size,
    mask_missing,
    rate_of,
    sample_of,
    to_pixels,
)
from chereme.types import NUM_JOINTS, Handedness, Landmarks

_NEEDED = ("landmarks", "width", "height", "handedness")
_NUMBERS = ("landmarks", "confidence", "world_landmarks")
_KNOWN = (*_NEEDED, *_NUMBERS, "timestamps", "fps", "handedness_score", "units")
_MAX_OTHER_BYTES = 64 << 20  # of all arrays but the three with a row for each frame and hand


def read_npz(path: File, raw: bytes, fps: float | None) -> Landmarks:
    try:
        with ArrayFile(raw) as file:
            _check_headers(file)
            return _landmarks_from_arrays(file, fps)
    except LimitError as error:
        raise LimitError(f"{path}: {error}; split the recording") from error
    except InputError as error:
        raise InputError(f"{path}: {error}; {MAKE_ANEW}") from error
    except ValueError as error:
        raise InputError(
            f"{path}: expected an .npz archive of plain arrays; it is cut off, damaged, holds "
            f"pickled objects (never loaded), or is something else ({error}); {MAKE_ANEW}"
        ) from error


def _check_headers(file: ArrayFile) -> None:
    lacking = [key for key in _NEEDED if key not in file.headers]
    if lacking:
        raise InputError(
            f"expected the arrays {', '.join(_NEEDED)}, and timestamps or fps; got "
            f"{', '.join(file.headers) or 'none'}: {', '.join(lacking)} missing"
        )
    shape = file.headers["landmarks"].shape
    if len(shape) != 4 or shape[2:] != (NUM_JOINTS, 3):
        raise InputError(f"landmarks: expected shape (T, H, 21, 3), got {shape}")
    if not shape[0]:
        raise InputError("landmarks: expected at least one frame, got none")
    check_size(frames=shape[0], hands=shape[1])
    wanted = {"landmarks": shape, "confidence": shape[:3], "world_landmarks": shape}
    for name in set(_NUMBERS) & file.headers.keys():
        header = file.headers[name]
        if header.shape != wanted[name]:
            raise InputError(f"{name}: expected shape {wanted[name]}, got {header.shape}")
        if header.dtype.kind not in "biuf":
            raise InputError(f"{name}: expected numbers, got {header.dtype}")
    for name in ("width", "height", "fps", "timestamps", "handedness_score"):
        if name in file.headers and file.headers[name].dtype.kind not in "biuf":
            raise InputError(f"{name}: expected numbers, got {file.headers[name].dtype}")
    others = sum(file.headers[n].bytes for n in set(_KNOWN) & file.headers.keys() - set(_NUMBERS))
    if others > _MAX_OTHER_BYTES:
        raise LimitError(f"expected arrays of at most {_MAX_OTHER_BYTES:,} bytes, got {others:,}")


def _landmarks_from_arrays(file: ArrayFile, fps: float | None) -> Landmarks:
    arrays = {name: file.read(name, np.float32) for name in _NUMBERS if name in file.headers}
    small = {name: file.read(name) for name in _KNOWN if name in file.headers.keys() - arrays}
    xyz = arrays["landmarks"]
    if "confidence" not in arrays:
        arrays["confidence"] = np.ones(xyz.shape[:3], np.float32)
    if fps is None and "timestamps" in small:
        timestamps = np.array(small["timestamps"], np.float64)
    else:
        stated = float(small["fps"].item()) if "fps" in small else None
        timestamps = np.arange(len(xyz)) / rate_of(stated, fps)
    if timestamps.ndim != 1 or not np.isfinite(timestamps).all():
        raise InputError("timestamps: expected finite seconds (T,), got others")
    handedness = tuple(_side(name) for name in np.atleast_1d(small["handedness"]))

    confidence = mask_missing(xyz, arrays["confidence"])
    width, height = frame_size(small["width"].item(), small["height"].item(), xyz)
    if str(small.get("units", "")) != "pixels":
        some = sample_of(len(xyz))
        to_pixels(xyz, width, height, xyz[some, ..., :2][confidence[some] > 0])
    world = arrays.get("world_landmarks")
    if world is not None:
        np.copyto(world, np.nan, where=(confidence == 0)[..., None])
    return Landmarks(xyz, confidence, timestamps, width, height, handedness, world, _scores(small))


def _scores(arrays: dict[str, NDArray[Any]]) -> tuple[float, ...] | None:
    if "handedness_score" not in arrays:
        return None
    scores = np.atleast_1d(np.array(arrays["handedness_score"], np.float64))
    if scores.ndim != 1 or not ((scores >= 0) & (scores <= 1)).all():
        raise InputError("handedness_score: expected shares (H,) from 0 to 1, got others")
    return tuple(map(float, scores))


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
    if landmarks.handedness_score is not None:
        arrays["handedness_score"] = np.array(landmarks.handedness_score, np.float64)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _side(name: Any) -> Handedness:
    text = (name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)).lower()
    return "left" if text in ("left", "l") else "right" if text in ("right", "r") else "unknown"
