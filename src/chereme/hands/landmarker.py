"""MediaPipe's HandLandmarker: where its model bundle is found, and a quiet wrapper around it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import BundleError, InputError, UsageError

TASK_VARIABLE = "CHEREME_HAND_LANDMARKER"
CACHE_VARIABLE = "CHEREME_CACHE"
TASK_NAME = "hand_landmarker.task"
# Name inside the bundle -> path inside the installed mediapipe package.
WHEEL_MODELS = {
    "hand_detector.tflite": "modules/palm_detection/palm_detection_full.tflite",
    "hand_landmarks_detector.tflite": "modules/hand_landmark/hand_landmark_full.tflite",
}
ADVICE = (
    f"download hand_landmarker.task from Google's MediaPipe model page and set {TASK_VARIABLE} to "
    "its path, or pip install 'mediapipe==0.10.21', the last version whose wheel carries the models"
)


def cache_folder() -> Path:
    """Where chereme keeps what it can build again: ``CHEREME_CACHE`` or the platform's place."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "chereme"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "chereme"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chereme"


def find_hand_landmarker(path: str | Path | None = None) -> Path:
    """The bundle ``hand_landmarker.task`` for MediaPipe Tasks.

    Looked for in this order: ``path``; the variable ``CHEREME_HAND_LANDMARKER``; the cache folder;
    built there from the installed mediapipe wheel. Raises ``InputError`` if a path that was given
    is no such bundle, ``BundleError`` if there is none and the wheel has no models.
    """
    if path is not None:
        return _checked(Path(path), "the given path")
    if given := os.environ.get(TASK_VARIABLE):
        return _checked(Path(given), TASK_VARIABLE)
    cached = cache_folder() / TASK_NAME
    # A damaged file in the cache is built again: it is ours, not the user's.
    if not _is_bundle(cached):
        _build(cached)
    return cached


def _is_bundle(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as bundle:
            return set(WHEEL_MODELS) <= set(bundle.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _checked(path: Path, origin: str) -> Path:
    if not path.is_file():
        raise InputError(
            f"hand landmarker: expected a file at {path} ({origin}), found none; {ADVICE}"
        )
    if not _is_bundle(path):
        raise InputError(
            f"hand landmarker: expected {path} ({origin}) to be a MediaPipe Tasks bundle with "
            f"{' and '.join(WHEEL_MODELS)} inside, got something else; {ADVICE}"
        )
    return path


def _build(target: Path) -> None:
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or spec.origin is None:
        raise BundleError(f"hand landmarker: mediapipe is not installed; {ADVICE}")
    package = Path(spec.origin).parent
    missing = [inside for inside in WHEEL_MODELS.values() if not (package / inside).is_file()]
    if missing:
        raise BundleError(
            f"hand landmarker: the installed mediapipe ({package}) carries no {missing[0]}, as all "
            f"versions from 0.10.30 on; {ADVICE}"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=TASK_NAME, suffix=".part")
    except OSError as error:
        raise BundleError(
            f"hand landmarker: cannot write to the cache folder {target.parent} ({error}); "
            f"set {CACHE_VARIABLE} to a folder that can be written"
        ) from error
    try:
        # Stored, not compressed: MediaPipe maps the models straight from the file.
        with (
            os.fdopen(handle, "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as bundle,
        ):
            for inside, origin in WHEEL_MODELS.items():
                bundle.write(package / origin, inside)
        os.chmod(name, 0o644)  # a temporary file is its maker's alone, a cache may be shared
        os.replace(name, target)  # atomic: another process never sees half a bundle
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """Keep C++ libraries off stderr (file descriptor 2): ours is for progress and warnings."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@dataclass(frozen=True, slots=True)
class RawHand:
    """A hand as MediaPipe gives it.

    ``landmarks (21, 3)`` are fractions of the picture's width (x, z) and height (y),
    ``world_landmarks (21, 3)`` metres; ``handedness`` is the anatomical hand, with its score.
    """

    landmarks: NDArray[np.float32]
    world_landmarks: NDArray[np.float32]
    handedness: Literal["left", "right"]
    score: float


_user: int | None = None  # the process that MediaPipe works in


def _check_process() -> None:
    """MediaPipe's threads do not come along when a process forks: it would abort in the copy."""
    global _user
    if _user is None:
        _user = os.getpid()
    elif _user != os.getpid():
        raise UsageError(
            "this process was forked from one that has looked for hands already, and MediaPipe "
            "does not work in both: start processes with multiprocessing.get_context('spawn'), or "
            "before the first recognition"
        )


class Landmarker:
    """One MediaPipe ``HandLandmarker``. Made on first use, since making one takes 0.2 s.

    With ``follows`` it works in VIDEO mode: hands are followed from call to call and searched for
    only while fewer than ``max_hands`` are followed. Otherwise each picture is searched anew.
    ``presence`` is the probability of a hand from which on one is reported. ``follows_hands``: it
    found some in the last picture, and will look there in the next. Each takes 80 MB of memory.
    """

    def __init__(self, task: Path, *, max_hands: int, follows: bool, presence: float = 0.5) -> None:
        self._task = task
        self._max_hands = max_hands
        self._follows = follows
        self._presence = presence
        self._engine: Any = None
        self._mediapipe: Any = None
        self._calls = 0
        self._stale = False
        self.follows_hands = False

    def find(self, image: NDArray[np.uint8]) -> list[RawHand]:
        """Hands in ``image (H, W, 3)`` uint8 RGB.

        Raises ``UsageError`` in a process that was forked from one which has looked for hands.
        """
        _check_process()
        if self._engine is None:
            self._make()
        if self._stale:
            # A black picture makes MediaPipe let go of the hands that it follows.
            self._run(np.zeros((64, 64, 3), np.uint8))
            self._stale = False
        result = self._run(image)
        self.follows_hands = self._follows and bool(result.hand_landmarks)
        return [
            RawHand(
                landmarks=np.array([(p.x, p.y, p.z) for p in points], np.float32),
                world_landmarks=np.array([(p.x, p.y, p.z) for p in world], np.float32),
                handedness="left" if side[0].category_name == "Left" else "right",
                score=float(side[0].score),
            )
            for points, world, side in zip(
                result.hand_landmarks, result.hand_world_landmarks, result.handedness, strict=True
            )
        ]

    def forget(self) -> None:
        """Let go of the hands followed so far: the next picture has nothing to do with the last."""
        self._stale = self._stale or self.follows_hands
        self.follows_hands = False

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _run(self, image: NDArray[np.uint8]) -> Any:
        picture = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        self._calls += 1
        if not self._follows:
            return self._engine.detect(picture)
        # VIDEO mode asks for rising milliseconds and uses them for nothing else: count calls.
        return self._engine.detect_for_video(picture, self._calls)

    def _make(self) -> None:
        os.environ.setdefault("GLOG_minloglevel", "3")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with silenced_stderr():
            self._mediapipe = require("mediapipe")
            vision = require("mediapipe.tasks.python.vision")
            tasks = require("mediapipe.tasks.python")
            mode = vision.RunningMode.VIDEO if self._follows else vision.RunningMode.IMAGE
            try:
                self._engine = vision.HandLandmarker.create_from_options(
                    vision.HandLandmarkerOptions(
                        base_options=tasks.BaseOptions(model_asset_path=str(self._task)),
                        running_mode=mode,
                        num_hands=self._max_hands,
                        min_hand_presence_confidence=self._presence,
                    )
                )
            except (RuntimeError, ValueError) as error:
                raise BundleError(
                    f"hand landmarker: MediaPipe cannot use {self._task} ({error}); {ADVICE}"
                ) from error
            # The first run logs as well.
            self._run(np.zeros((64, 64, 3), np.uint8))
