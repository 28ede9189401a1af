"""Letters in photographs: as single pictures, as videos of one held picture, and as spelled words.

    python benchmarks/photographs.py --root DATA --model runs/without-wild
    python benchmarks/photographs.py --root DATA --stream rgb --signers hand4 hand5

DATA holds ``letters_wild`` (photographs of webcams and phones), or with ``--signers`` is read
``letters_studio`` (hands cut out on black, up to the edge: half as much black is
put round them, since MediaPipe finds no hand without a margin). Everything goes through the real
path: picture or encoded video -> MediaPipe -> recogniser. Honest only for a model that was trained
without these photographs. The wild collection has stretched its pictures to squares; they are used
as stored and with the proportions restored.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import chereme
from chereme.datasets.exemplars import LETTERS, MOVING
from chereme.metrics import accuracy_interval, edit_counts, pool
from chereme.video import write_video

RATE = 30.0
STUDIO = "letters_studio"
WORDS = ("hello", "cat", "dog", "bus", "king", "quick", "box", "fur", "lamp", "view", "wax", "gym")


def photographs(root: Path, signers: list[str]) -> dict[str, list[Path]]:
    """Paths of the photographs of each static letter: of the wild, or of signers of the studio."""
    folder = root / (STUDIO if signers else "letters_wild")
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
    if path.parent.parent.name == STUDIO:
        rim = image.shape[0] // 2
        return cv2.copyMakeBorder(image, rim, rim, rim, rim, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    width = int(image.shape[1] * 0.75) if restored else image.shape[1]
    return np.ascontiguousarray(cv2.resize(image, (width, image.shape[0])))


def on_canvas(image: np.ndarray) -> np.ndarray:
    """The photograph in the middle of a grey 640x480 frame."""
    canvas = np.full((480, 640, 3), 127, dtype=np.uint8)
    scale = min(480 / image.shape[0], 640 / image.shape[1])
    small = cv2.resize(image, (int(image.shape[1] * scale), int(image.shape[0] * scale)))
    top, left = (480 - small.shape[0]) // 2, (640 - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def spelled(images: list[np.ndarray], hold: float, pause: float) -> Iterator[np.ndarray]:
    """Frames of pictures held one after the other, with nothing to see in between."""
    blank = np.full((480, 640, 3), 127, dtype=np.uint8)
    for number, image in enumerate(images):
        if number:
            yield from [blank] * int(pause * RATE)
        yield from [on_canvas(image)] * int(hold * RATE)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", default="fingerspelling")
    parser.add_argument("--stream", default="auto", choices=["auto", "landmarks", "rgb", "fused"])
    parser.add_argument("--signers", nargs="+", default=[], help="of letters_studio")
    parser.add_argument("--videos", type=int, default=5, help="held stills of each letter")
    options = parser.parse_args()
    recognizer = chereme.load(options.model, stream=options.stream)
    paths = photographs(options.root, options.signers)
    rng = np.random.default_rng(0)
    report: dict[str, Any] = {"model": recognizer.streams.for_recordings.name}
    with tempfile.TemporaryDirectory() as folder:
        picture, video = Path(folder) / "picture.png", Path(folder) / "video.mp4"
        for restored in (False,) if options.signers else (False, True):
            pairs = []
            for letter, files in paths.items():
                for file in files:
                    cv2.imwrite(str(picture), load(file, restored)[..., ::-1])
                    pairs.append((letter, recognizer.recognize(picture).text))
            report["pictures, " + ("restored" if restored else "as stored")] = score(pairs)
        pairs = []
        for letter, files in paths.items():
            for index in rng.permutation(len(files))[: options.videos]:
                write_video(video, spelled([load(files[index], True)], 1.0, 0.0), RATE)
                pairs.append((letter, recognizer.recognize(video).text))
        report["videos of one held picture"] = score(pairs)
        pairs = []
        for word in WORDS:
            images = [load(paths[c][rng.integers(len(paths[c]))], True) for c in word]
            write_video(video, spelled(images, 0.7, 0.3), RATE)
            pairs.append((word, recognizer.recognize(video).text))
        report["words of held pictures"] = score(pairs)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
