"""Reads mutated files of one kind: KIND BASES FOLDER FIRST COUNT. Run by test_fuzz.py.

Prints what became of them; ends with a traceback at the first that is not read or refused as it
should be. The number that is being read stands in the last line of ``FOLDER/log``.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chereme.datasets import elan, folders
from chereme.errors import CheremeError
from chereme.formats.manifests import missing_files, read_manifest
from chereme.recognition.bundle import Bundle
from chereme.recognition.evaluation import evaluate
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import detect_hands
from chereme.video import Limits, open_video
from mutations import mutated

SECONDS = 30  # for one file; a hang is far longer, a busy machine not as slow
LIMITS = Limits(max_seconds=600)


class NoHands:
    def __init__(self, still: bool) -> None:
        pass

    def detect(self, image: np.ndarray, timestamp: float) -> list[Any]:
        return []

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def read_video(path: Path, number: int, bases: Path) -> None:
    if number % 20 == 0:
        detect_hands(path, limits=LIMITS, make_detector=NoHands)
        return
    with open_video(path, limits=LIMITS) as video:
        for _ in video:
            pass


def read_hands(path: Path, number: int, bases: Path) -> None:
    Recognizer(Bundle.load(bases / "bundle", threads=1)).recognize(path)


def read_elan(path: Path, number: int, bases: Path) -> None:
    elan.read(path, ["words", "letters"], sentences=None if number % 2 else "words")


def read_table(path: Path, number: int, bases: Path) -> None:
    items = read_manifest(path)
    missing_files(items)
    if number % 10 == 0 and items:
        evaluate(Recognizer(Bundle.load(bases / "bundle", threads=1)), items[:20])
    folders.read(path)


def read_bundle(path: Path, number: int, bases: Path) -> None:
    """The file in the place of the one of its name, with its hash, as a hostile bundle has it."""
    folder = path.parent / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bases / "bundle", folder)
    (folder / path.name).write_bytes(path.read_bytes())
    if path.suffix == ".onnx":
        config = json.loads((folder / "config.json").read_bytes())
        config["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / "config.json").write_text(json.dumps(config))
    Recognizer(Bundle.load(folder, threads=1)).recognize(bases / "hands.npz")


READERS: dict[str, tuple[Callable[[Path, int, Path], None], tuple[str, ...]]] = {
    "mp4": (read_video, ("film.mp4",)),
    "webm": (read_video, ("film.webm",)),
    "pose": (read_hands, ("hands.pose",)),
    "npz": (read_hands, ("hands.npz",)),
    "eaf": (read_elan, ("marks.eaf",)),
    "manifest": (read_table, ("table.csv",)),
    "config": (read_bundle, ("bundle/config.json",)),
    "onnx": (read_bundle, ("bundle/encoder.onnx", "bundle/sequence.onnx")),
}


def main(kind: str, bases: Path, folder: Path, first: int, count: int) -> None:
    read, names = READERS[kind]
    warnings.simplefilter("ignore", UserWarning)
    np.seterr(all="ignore")
    ends: Counter[str] = Counter()
    with (folder / "log").open("w") as log:
        for number in range(first, first + count):
            base = bases / names[number % len(names)]
            path = folder / "file" / base.name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(mutated(base.read_bytes(), base.suffix, number))
            print(number, file=log, flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            try:
                read(path, number, bases)
                ends["read"] += 1
            except CheremeError as error:
                ends[type(error).__name__] += 1
                if not str(error).isprintable() and "\n" not in str(error):
                    ends["unprintable"] += 1
            faulthandler.cancel_dump_traceback_later()
    shutil.rmtree(folder / "file")
    # Not ru_maxrss: a child inherits in it the peak of the process that started it.
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
    print(json.dumps({"ends": ends, "peak": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
