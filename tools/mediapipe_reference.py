"""MediaPipe by itself: what it finds, and how fast the loop is that everybody writes with it.

    python tools/mediapipe_reference.py find RECORD.npz --task hand_landmarker.task --root DATA
    python tools/mediapipe_reference.py loop CLIP --task hand_landmarker.task --hands 1

For an environment of its own with mediapipe 1.2, which brings OpenCV; ``find`` needs PyAV too, and
this package's ``src`` on PYTHONPATH. ``task`` is Google's model bundle. ``compare_mediapipe.py``
uses both.

A record is an ``.npz`` with a row a frame, of up to two hands: ``set``, ``path`` below DATA,
``frame`` (its number), ``film`` (hands were followed from frame to frame), ``size`` (width and
height), ``hands`` (how many), ``landmarks (N, 2, 21, 3)`` in fractions of width and height and
``world`` in metres (NaN where none), ``side`` and its ``score``.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FILMS = {"words": "fingerspelling_dev/video", "other videos": "formats"}
PHOTOGRAPHS = {
    "photographs": ["formats/photos"],
    "letters_wild": ["letters_wild"],
    "letters_people": ["letters_people/*/"],
    "letters_studio": ["letters_studio"],
    "digits_people": ["digits_people"],
}
MOST = {"letters_people": 167, "letters_studio": 839, "digits_people": 206}  # of a folder


class Landmarker:
    """MediaPipe's own, with its default thresholds; with ``follows`` in VIDEO mode."""

    def __init__(self, task: Path, *, follows: bool, hands: int = 2) -> None:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision

        mode = vision.RunningMode.VIDEO if follows else vision.RunningMode.IMAGE
        options = vision.HandLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(task)), running_mode=mode, num_hands=hands
        )
        self._engine = vision.HandLandmarker.create_from_options(options)
        self._mediapipe, self._follows, self._calls = mediapipe, follows, 0

    def find(self, image: np.ndarray) -> Any:
        picture = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        self._calls += 1
        if self._follows:
            return self._engine.detect_for_video(picture, 33 * self._calls)
        return self._engine.detect(picture)

    def close(self) -> None:
        self._engine.close()


def sources(root: Path) -> Iterator[tuple[str, Path]]:
    """All videos; photographs evenly spread over the folders of each set."""
    for name, folder in FILMS.items():
        yield from ((name, path) for path in sorted((root / folder).rglob("*.mp4")))
    for name, patterns in PHOTOGRAPHS.items():
        for folder in sorted(path for pattern in patterns for path in root.glob(pattern)):
            files = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".jpeg"))
            most = min(len(files), MOST.get(name, len(files)))
            for number in np.linspace(0, len(files), most, endpoint=False).astype(int):
                yield name, files[number]


def row(result: Any) -> dict[str, Any]:
    """What a record has of one frame's hands."""
    found = {"landmarks": result.hand_landmarks, "world": result.hand_world_landmarks}
    made: dict[str, Any] = {"hands": len(result.handedness), "side": ["", ""], "score": [0.0, 0.0]}
    for key, hands in found.items():
        made[key] = np.full((2, 21, 3), np.nan, np.float32)
        for number, joints in enumerate(hands):
            made[key][number] = [(joint.x, joint.y, joint.z) for joint in joints]
    for number, (likeliest, *_) in enumerate(result.handedness):
        made["side"][number] = likeliest.category_name.lower()
        made["score"][number] = likeliest.score
    return made


def find(record: Path, task: Path, root: Path, noise: int) -> None:
    """Write a record of all ``sources``; videos stand in it twice, as films and as pictures."""
    rng = np.random.default_rng(0)
    from chereme.video import open_video

    rows: dict[str, list[Any]] = {}
    for name, path in sources(root):
        for film in (True, False) if name in FILMS else (False,):
            landmarker = Landmarker(task, follows=film)
            with open_video(path) as reader:
                for number, frame in enumerate(reader):
                    about = {"set": name, "path": str(path.relative_to(root)), "frame": number}
                    about |= {"film": film, "size": frame.image.shape[1::-1]}
                    grain = rng.integers(-noise, noise + 1, frame.image.shape)
                    image = np.clip(frame.image + grain, 0, 255).astype(np.uint8)
                    for key, value in (about | row(landmarker.find(image))).items():
                        rows.setdefault(key, []).append(value)
            landmarker.close()
    np.savez_compressed(record, **{key: np.array(values) for key, values in rows.items()})


def loop(clip: Path, task: Path, hands: int) -> None:
    """Print frames, seconds and CPU seconds of reading a clip, after starting up."""
    import cv2

    landmarker = Landmarker(task, follows=True, hands=hands)
    landmarker.find(np.zeros((64, 64, 3), np.uint8))
    video, frames = cv2.VideoCapture(str(clip)), 0
    start, before = time.perf_counter(), cpu()
    while True:
        there, image = video.read()
        if not there:
            break
        landmarker.find(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        frames += 1
    spent = {"seconds": time.perf_counter() - start, "cpu": cpu() - before}
    print(json.dumps({"frames": frames, **spent}), flush=True)
    landmarker.close()


def cpu() -> float:
    """Seconds of all processors that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("find", "loop"))
    parser.add_argument("path", type=Path, help="the record to write, or the clip")
    parser.add_argument("--task", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=Path("../shared/data"))
    parser.add_argument("--noise", type=int, default=0, help="grey levels that are added or taken")
    parser.add_argument("--hands", type=int, default=1)
    given = parser.parse_args()
    if given.what == "find":
        find(given.path, given.task, given.root, given.noise)
    else:
        loop(given.path, given.task, given.hands)


if __name__ == "__main__":
    main()
