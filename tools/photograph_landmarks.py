"""The landmarks that come with photographs of letters and digits, found anew by the hand detector.

    python tools/photograph_landmarks.py DATA FOLDER [--collection wild ...]

FOLDER is a data folder like DATA for ``chereme prepare photographs`` and the benchmarks: the
collections as links, and the files of landmarks with what the detector of this package finds in
each photograph. Of ``letters_people`` it sees the crops; places are fractions of these, then.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chereme.hands.detector import Detection, HandDetector, OnnxHandDetector

WILD_ASPECT = 0.75  # the collection stores its pictures stretched to squares


class Collection(NamedTuple):
    """A file of landmarks, and the folder that its paths begin in; ``aspects``: by the ending of
    its arrays what widths are multiplied by."""

    file: Path
    pictures: Path
    aspects: dict[str, float]


def collections(data: Path) -> Iterator[tuple[str, Collection]]:
    """By name, as in the data folder's layout."""
    letters = data / "letters_landmarks"
    wild = {"": 1.0, "_ar": WILD_ASPECT}
    yield "studio", Collection(letters / "letters_studio_landmarks.npz", data, {"": 1.0})
    yield "wild", Collection(letters / "letters_wild_landmarks.npz", data, wild)
    manual = data / "handshapes_261"
    yield "manual", Collection(manual / "handshapes_261_landmarks.npz", manual, {"": 1.0})
    digits = data / "digits_people"
    yield "digits", Collection(digits / "landmarks.npz", digits, {"": 1.0})
    for name in ("people", "people_dev"):
        folder = data / f"letters_{name}"
        for file in sorted(folder.glob("*.landmarks.npz")):
            yield name, Collection(file, folder / file.name.split(".")[0], {"": 1.0})


def find(detector: HandDetector, path: Path, aspect: float) -> tuple[Detection | None, Any]:
    """The hand in a picture, and the picture's width and height when its width is multiplied by
    ``aspect``."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    image = image.resize((round(image.width * aspect), image.height)) if aspect != 1 else image
    hands = detector.detect(np.asarray(image), 0.0)
    return max(hands, key=lambda hand: hand.score, default=None), image.size


def again(collection: Collection, detector: HandDetector) -> dict[str, NDArray[Any]]:
    """The arrays of a collection with landmarks found anew; NaN where no hand is. Photographs that
    are not there are left out."""
    with np.load(collection.file, allow_pickle=False) as file:
        arrays = dict(file)
    paths = [collection.pictures / str(path) for path in arrays["path"]]
    if "frame_wh" in arrays:  # one entry a photograph, and the name of the landmarks differs
        there = np.array([path.is_file() for path in paths])
        arrays = {name: array[there] for name, array in arrays.items()}
        paths = [path for path in paths if path.is_file()]
    for ending, aspect in collection.aspects.items():
        for index, path in enumerate(paths):
            hand, size = find(detector, path, aspect)
            width, height = size
            points = np.full((21, 3), np.nan, np.float32)
            world = points
            if hand is not None:
                points = hand.landmarks / np.array([width, height, width], np.float32)
                world = hand.world_landmarks
            if "frame_wh" in arrays:
                arrays["landmarks"][index], arrays["frame_wh"][index] = points, size
                continue
            arrays[f"image_landmarks{ending}"][index] = points
            arrays[f"world_landmarks{ending}"][index] = world
            arrays[f"detected{ending}"][index] = hand is not None
            arrays[f"handedness{ending}"][index] = hand.handedness.title() if hand else ""
            arrays[f"handedness_score{ending}"][index] = hand.score if hand else 0.0
            arrays[f"attempt{ending}"][index] = -1  # of what found the old ones
    return arrays


def link(data: Path, folder: Path, files: set[Path]) -> None:
    """``folder`` as ``data``, by links, but for ``files`` below it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in data.iterdir():
        place = folder / path.name
        if any(path in file.parents for file in files):
            link(path, place, files)
        elif path not in files and not place.exists():
            place.symlink_to(path.resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--collection", action="append", help="only this one; may be repeated")
    options = parser.parse_args()
    chosen = [
        collection
        for name, collection in collections(options.data)
        if options.collection is None or name in options.collection
    ]
    link(options.data, options.folder, {collection.file for collection in chosen})
    with OnnxHandDetector(still=True, max_hands=1) as detector:
        for collection in chosen:
            arrays = again(collection, detector)
            place = options.folder / collection.file.relative_to(options.data)
            np.savez_compressed(place, **arrays)
            points = arrays.get("landmarks", arrays.get("image_landmarks"))
            assert points is not None
            share = np.isfinite(points).all(axis=(1, 2)).mean()
            print(f"{place}: a hand in {share:.1%} of {len(points)} photographs", flush=True)


if __name__ == "__main__":
    main()
