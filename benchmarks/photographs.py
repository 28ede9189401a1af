"""Letters in photographs: as single pictures, as videos of one held picture, and as spelled words.

    python benchmarks/photographs.py --root DATA --model runs/without-wild
    python benchmarks/photographs.py --root DATA --stream rgb --signers [hand4,hand5]

DATA holds ``letters_wild`` (photographs of webcams and phones), or with ``--signers`` is read
``letters_studio`` (hands cut out on black, up to the edge: half as much black is
put round them, since MediaPipe finds no hand without a margin). Everything goes through the real
path: picture or encoded video -> MediaPipe -> recogniser. Honest only for a model that was trained
without these photographs. The wild collection has stretched its pictures to squares; they are used
as stored and with the proportions restored.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli

import chereme
from chereme.datasets.exemplars import LETTERS, MOVING
from chereme.metrics import accuracy_interval, edit_counts, pool
from chereme.video import write_video

RATE = 30.0
WORDS = ("hello", "cat", "dog", "bus", "king", "quick", "box", "fur", "lamp", "view", "wax", "gym")


def photographs(root: Path, signers: list[str]) -> dict[str, list[Path]]:
    """Paths of the photographs of each static letter: of the wild, or of signers of the studio."""
    folder = root / ("letters_studio" if signers else "letters_wild")
    paths: dict[str, list[Path]] = {}
    with (folder / "index.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            wanted = not signers or row["signer"] in signers
            if wanted and row["label"] in LETTERS and row["label"] not in MOVING:
                paths.setdefault(row["label"], []).append(folder / row["path"])
    return paths


def load(path: Path, restored: bool) -> np.ndarray:
    """``(H, W, 3)`` RGB, 3:4 if ``restored``, as large as stored."""
    image = cv2.imread(str(path))[..., ::-1]
    if path.parent.parent.name == "letters_studio":
        rim = [image.shape[0] // 2] * 4
        return cv2.copyMakeBorder(image, *rim, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    width = int(image.shape[1] * 0.75) if restored else image.shape[1]
    return np.ascontiguousarray(cv2.resize(image, (width, image.shape[0])))


def spelled(images: list[np.ndarray], hold: float, pause: float) -> Iterator[np.ndarray]:
    """Frames, 640x480, of pictures held one after the other, with nothing to see in between."""
    blank = np.full((480, 640, 3), 127, dtype=np.uint8)
    for number, image in enumerate(images):
        if number:
            yield from [blank] * int(pause * RATE)
        canvas, scale = blank.copy(), min(480 / image.shape[0], 640 / image.shape[1])
        small = cv2.resize(image, (int(image.shape[1] * scale), int(image.shape[0] * scale)))
        top, left = (480 - small.shape[0]) // 2, (640 - small.shape[1]) // 2
        canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
        yield from [canvas] * int(hold * RATE)


def score(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Letter accuracy, exact matches and the commonest mistakes."""
    counts = [edit_counts(truth, read) for truth, read in pairs]
    low, high = accuracy_interval(counts)
    wrong = Counter(f"{truth}>{read or '-'}" for truth, read in pairs if truth != read)
    return {
        "n": len(pairs),
        "exact": round(100 * float(np.mean([t == r for t, r in pairs])), 2),
        "letter_accuracy": round(pool(counts).accuracy, 2),
        "interval": [round(low, 2), round(high, 2)],
        "mistakes": dict(wrong.most_common(12)),
    }


def main(
    root: Path,
    model: str = "fingerspelling",
    stream: str = "auto",
    signers: list[str] | None = None,
    videos: int = 5,
    pictures: int | None = None,
) -> None:
    """Args:
    root: folder of the collections.
    signers: of letters_studio.
    videos: held stills of each letter.
    pictures: of each letter, for a trial; None: all.
    """
    recognizer = chereme.load(model, stream=stream)
    paths, rng = photographs(root, signers or []), np.random.default_rng(0)
    report: dict[str, Any] = {"model": recognizer.streams.for_recordings.name}
    with tempfile.TemporaryDirectory() as folder:
        picture, video = Path(folder) / "picture.png", Path(folder) / "video.mp4"

        def film(images: list[np.ndarray], hold: float, pause: float) -> str:
            write_video(video, spelled(images, hold, pause), RATE)
            return recognizer.recognize(video).text

        for restored in (False,) if signers else (False, True):
            pairs = []
            for letter, files in paths.items():
                for file in files[:pictures]:
                    cv2.imwrite(str(picture), load(file, restored)[..., ::-1])
                    pairs.append((letter, recognizer.recognize(picture).text))
            report["pictures, " + ("restored" if restored else "as stored")] = score(pairs)
        report["videos of one held picture"] = score(
            [
                (letter, film([load(files[index], True)], 1.0, 0.0))
                for letter, files in paths.items()
                for index in rng.permutation(len(files))[:videos]
            ]
        )
        pairs = []
        for word in WORDS[: pictures and 2]:
            images = [load(paths[c][rng.integers(len(paths[c]))], True) for c in word]
            pairs.append((word, film(images, 0.7, 0.3)))
        report["words of held pictures"] = score(pairs)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
