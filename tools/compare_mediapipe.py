"""The hand detector beside MediaPipe: does it find the same hands, and how fast is it?

    python tools/mediapipe_reference.py find RECORD --task hand_landmarker.task    # elsewhere
    python tools/compare_mediapipe.py hands --record RECORD --looks one|all
    python tools/compare_mediapipe.py speed --task hand_landmarker.task --mediapipe OTHER/bin/python

``hands``: distances are means over the 21 joints, in palm lengths (``hands.skeleton.palm_size``),
in brackets 95 % intervals: recordings drawn anew.

``speed``: the plain loop of OpenCV and MediaPipe finds up to one hand or two in VIDEO mode and does
nothing with them; ours reads the letters. Clips are real words on video, to and fro; in "spelling"
only the parts where a hand is up. Each run is a process of its own on two processors; what is
compared takes turns, and the quickest of the rounds counts. Starting up is told apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, groupby, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jsonargparse import auto_cli

from chereme.hands.detector import PRESENCE, Detection, OnnxHandDetector, SearchTiming
from chereme.hands.skeleton import palm_size
from chereme.metrics.bootstrap import percentiles, resampled_totals
from chereme.video import open_video, write_video

DATA = Path("../shared/data")
LOOP = Path(__file__).with_name("mediapipe_reference.py")
SIZES = {"720p": (1280, 720), "480p": (854, 480)}
PARTS = {"words": slice(None), "spelling": slice(12, 32)}  # frames of each
ONE_HAND = "loop, one hand"
STREAMS = ("landmarks", "fused")


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *lines))


# -- the same hands? -------------------------------------------------------------------------------
class Seen(NamedTuple):
    """A frame: how many hands MediaPipe and ours have in it; of those that both have the distance,
    and whether the side is the same."""

    set: str
    path: str
    frame: int
    theirs: int
    ours: int
    distances: list[float]
    same_side: list[bool]


class OneLook(OnnxHandDetector):
    """Looks at the whole picture alone, for up to two hands in each frame, and is as soon content
    with a hand, as MediaPipe is."""

    def __init__(self, still: bool) -> None:
        super().__init__(still=still, timing=SearchTiming(second_hand=0.0))
        self._presence = PRESENCE

    def _search_still(self, image: np.ndarray) -> list[Detection]:
        return self._look(image, None)

    def _recover(self, image: np.ndarray, now: float) -> list[Detection]:
        return self._look(image, None)


class Recorded:
    """The hands of another record of the same frames, in the place of a detector."""

    def __init__(self, record: Any) -> None:
        self._record, self._row = record, 0

    def reset(self) -> None:
        pass

    def detect(self, image: np.ndarray, now: float) -> list[Detection]:
        row, size = self._row, np.array(image.shape)[[1, 0, 1]]
        self._row += 1
        return [
            Detection(points * size, world, side, score)
            for points, world, side, score in zip(
                *(self._record[key][row] for key in ("landmarks", "world", "side", "score")),
                strict=True,
            )
            if side
        ]


def seen_in(record: Any, root: Path, looks: str, again: Any = None) -> Iterator[Seen]:
    kind = OneLook if looks == "one" else OnnxHandDetector
    detectors = {film: kind(still=not film) for film in (True, False)}
    if again is not None:
        detectors = dict.fromkeys(detectors, Recorded(again))
    films = {path for path, film in zip(record["path"], record["film"], strict=True) if film}
    keys = zip(record["set"], record["path"], record["film"], strict=True)
    for (name, path, film), rows in groupby(enumerate(keys), key=lambda row: row[1]):
        label = f"{name}, followed" if film else f"{name}, each frame" if path in films else name
        detector = detectors[bool(film)]
        detector.reset()
        with open_video(root / path) as reader:
            for (row, _), frame in zip(rows, reader, strict=True):
                found = detector.detect(frame.image, frame.timestamp)
                width, height = record["size"][row]
                true = record["landmarks"][row][: record["hands"][row]] * [width, height, width]
                pairs = matched(true, found, 1.0)
                sides = [found[j].handedness == record["side"][row][i] for i, j, _ in pairs]
                apart = [distance for *_, distance in pairs]
                number = int(record["frame"][row])
                yield Seen(label, path, number, len(true), len(found), apart, sides)


def matched(
    true: np.ndarray, found: Sequence[Detection], most: float
) -> list[tuple[int, int, float]]:
    """Hands ``true (N, 21, 3)`` and detections, by number, the nearest first, up to ``most``."""
    apart = sorted(
        (float(np.linalg.norm((hand.landmarks - one)[:, :2], axis=1).mean() / palm_size(one)), i, j)
        for i, one in enumerate(true)
        for j, hand in enumerate(found)
    )
    pairs: list[tuple[int, int, float]] = []
    for distance, i, j in apart:
        if distance <= most and all(i != a and j != b for a, b, _ in pairs):
            pairs.append((i, j, distance))
    return pairs


def share(hits: Sequence[float], of: Sequence[float], groups: Sequence[str]) -> str:
    """Per cent of ``hits`` in ``of``, with the interval."""
    made = resampled_totals(np.array([hits, of], float).T, groups=groups)
    low, high = percentiles(100 * made[0][made[1] > 0] / made[1][made[1] > 0])
    return f"{100 * sum(hits) / sum(of):.2f} [{low:.2f}, {high:.2f}]"


def quantile(values: Sequence[float], groups: Sequence[str], q: float) -> str:
    """In per cent, with the interval."""
    order = np.argsort(values)
    ranked = 100 * np.array(values)[order]
    names, group = np.unique(np.array(groups)[order], return_inverse=True)
    times = np.random.default_rng(0).multinomial(len(names), [1 / len(names)] * len(names), 1000)
    weights = times[:, group].cumsum(axis=1)
    at = [min(int(np.searchsorted(w, q * w[-1])), len(ranked) - 1) for w in weights if w[-1]]
    low, high = percentiles(ranked[at])
    return f"{np.quantile(ranked, q):.2f} [{low:.2f}, {high:.2f}]"


def line(name: str, seen: Sequence[Seen]) -> list[str]:
    paths = [one.path for one in seen]
    theirs, ours = (np.array([one[key] > 0 for one in seen]) for key in (3, 4))
    apart = [(distance, one.path) for one in seen for distance in one.distances]
    sides = [sum(one.same_side) for one in seen], [len(one.same_side) for one in seen]
    counts = (len(seen), theirs.sum(), ours.sum(), (theirs & ~ours).sum(), (ours & ~theirs).sum())
    return [
        name,
        *map(str, counts),
        share((theirs == ours).tolist(), [1] * len(seen), paths),
        str(len(apart)),
        share(*sides, paths),
        *(quantile(*zip(*apart, strict=True), q) for q in (0.5, 0.99)),
    ]


def hands(
    record: Path,
    looks: Literal["one", "all"] = "one",
    again: Path | None = None,
    root: Path = DATA,
    worst: int = 30,
) -> None:
    """Set by set: frames with hands, those in which only one of both has any, and how far apart.

    Args:
        record: of MediaPipe.
        looks: at the whole picture alone, as MediaPipe, or at all views that the detector tries.
        again: another record, in the place of ours: of frames with ``--noise``, say.
        worst: frames to name.
    """
    other = None if again is None else dict(np.load(again))
    seen = list(seen_in(dict(np.load(record)), root, looks, other))
    sets: dict[str, list[Seen]] = {}
    for one in seen:
        sets.setdefault(one.set, []).append(one)
    sets["all"] = seen
    head = ("", "frames", "with hands: MediaPipe", "ours", "lost", "more", "agree, %", "pairs")
    lines = [line(name, some) for name, some in sets.items()]
    print(table((*head, "same side, %", "apart, median, %", "99 %"), lines))
    apart = [(distance, one) for one in seen for distance in one.distances]
    for distance, one in sorted(apart, reverse=True, key=lambda pair: pair[0])[:worst]:
        print(f"{100 * distance:.1f} % apart: {one.set}, {one.path}, frame {one.frame}")
    for one in (one for one in seen if bool(one.theirs) != bool(one.ours)):
        print(f"{one.theirs} hands, ours {one.ours}: {one.set}, {one.path}, frame {one.frame}")


# -- how fast? -------------------------------------------------------------------------------------
def ours(clip: Path, stream: str) -> None:
    """Print what the loop prints, of reading the letters of a clip."""
    import chereme

    recognizer = chereme.load(stream=stream)
    recognizer.recognize(clip, end=0.1)
    start, before = time.perf_counter(), sum(os.times()[:2])
    info = recognizer.recognize(clip).info
    spent = {"seconds": time.perf_counter() - start, "cpu": sum(os.times()[:2]) - before}
    print(json.dumps({"frames": info["frames"], **spent}))


def pictures(root: Path, part: slice, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Words on video, one after the other, each to and fro."""
    from PIL import Image

    for path in cycle(sorted((root / "fingerspelling_dev" / "video").glob("*.mp4"))):
        with open_video(path) as reader:
            images = [Image.fromarray(frame.image) for frame in reader][part]
        frames = [np.array(image.resize(size, reducing_gap=2.0)) for image in images]
        yield from chain(frames, reversed(frames))


def speed(
    task: Path,
    mediapipe: Path,
    root: Path = DATA,
    frames: int = 600,
    rounds: int = 3,
    sizes: tuple[str, ...] = tuple(SIZES),
    parts: tuple[str, ...] = tuple(PARTS),
) -> None:
    """Frames a second and CPU milliseconds a frame, of clips of 720p and 480p.

    Args:
        task: MediaPipe's model bundle.
        mediapipe: a Python that has mediapipe and OpenCV.
        frames: of a clip.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    lines = []
    for size, part in ((size, part) for size in sizes for part in parts):
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            write_video(clip, islice(pictures(root, PARTS[part], SIZES[size]), frames), 30.0)
            theirs = [mediapipe, LOOP, "loop", clip, "--task", task, "--hands"]
            own = [sys.executable, __file__, "ours", "--clip", clip, "--stream"]
            commands = {ONE_HAND: [*theirs, 1], "loop, two hands": [*theirs, 2]}
            commands |= {f"ours, {stream}": [*own, stream] for stream in STREAMS}
            runs: dict[str, list[dict[str, float]]] = {}
            for name, command in (pair for _ in range(rounds) for pair in commands.items()):
                began, words = time.perf_counter(), [str(word) for word in command]
                done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
                run = json.loads(done.stdout.splitlines()[-1])
                run["start"] = time.perf_counter() - began - run["seconds"]
                runs.setdefault(name, []).append(run)
        least = {
            name: {key: min(run[key] for run in some) for key in some[0]}
            for name, some in runs.items()
        }
        for name, one in least.items():
            ratio = least[ONE_HAND]["seconds"] / one["seconds"]
            rate, cpu = one["frames"] / one["seconds"], 1e3 * one["cpu"] / one["frames"]
            rest = (f"{rate:.1f}", f"{ratio:.2f}", f"{cpu:.1f}", f"{one['start']:.1f} s")
            lines.append([f"{size}, {part}", name, *rest])
            print(*lines[-1], file=sys.stderr, flush=True)
    head = (
        "clip",
        "",
        "frames a second",
        "times the one-hand loop",
        "CPU ms a frame",
        "start and end",
    )
    print(table(head, lines))


if __name__ == "__main__":
    auto_cli([hands, speed, ours], as_positional=False)
