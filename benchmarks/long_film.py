"""A film cut together from many clips, read as a whole and clip by clip.

    python benchmarks/long_film.py --clips ../shared/data/fingerspelling_dev/video/*.mp4
    python benchmarks/long_film.py --clips CLIP... --takes 48 --stream fused

Takes are clips in random order, at three places of the picture, every other one mirrored; between
them a cut, an empty room or a black picture. Printed are the letters of the film that are not those
of the clips alone, the same pictures (edit distance, take by take), and how far apart the times of
equal letters are.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import chereme
from chereme.metrics import edit_counts
from chereme.types import Token
from chereme.video import open_video, write_video

WIDTH, HEIGHT = 852, 480
RATE = 30.0  # of pauses; takes keep the times of their clips
PAUSES = (("cut", 0.0), ("empty", 1.5), ("cut", 0.0), ("black", 0.7))  # and seconds
PLACES = (0.0, 0.5, 1.0)  # of the width that a narrow clip leaves free


@dataclass(frozen=True)
class Take:
    """Pictures of the film: ``clip``, and a pause of some seconds from ``start + length`` on."""

    clip: Path
    place: float
    mirrored: bool
    start: float = 0.0
    length: float = 0.0
    pause: tuple[str, float] = PAUSES[0]

    def alone(self) -> Take:
        return Take(self.clip, self.place, self.mirrored)

    def pictures(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Pictures ``(HEIGHT, WIDTH, 3)``, and when each is shown in the film."""
        room = np.full((HEIGHT, WIDTH, 3), (96, 104, 112), np.uint8)
        room[:, :: WIDTH // 6] = (70, 74, 80)
        with open_video(self.clip) as reader:
            first = None
            for frame in reader:
                first = frame.timestamp if first is None else first
                image = frame.image[:, ::-1] if self.mirrored else frame.image
                scale = min(HEIGHT / image.shape[0], WIDTH / image.shape[1])
                size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
                picture = room.copy()
                left, top = round(self.place * (WIDTH - size[0])), HEIGHT - size[1]
                small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                picture[top:, left : left + size[0]] = small
                yield self.start + frame.timestamp - first, picture
        kind, seconds = self.pause
        for number in range(round(seconds * RATE)):
            shown = self.start + self.length + number / RATE
            yield shown, room if kind == "empty" else 0 * room


@cache
def length(clip: Path) -> float:
    """Seconds until the frame after the last would be shown."""
    with open_video(clip) as reader:
        times = [frame.timestamp for frame in reader]
    return times[-1] - times[0] + float(np.median(np.diff(times)))


def plan(clips: Sequence[Path], takes: int, seed: int) -> list[Take]:
    """The takes of a film, in order."""
    rng = np.random.default_rng(seed)
    order: list[Path] = []
    while len(order) < takes:
        order += [clips[i] for i in rng.permutation(len(clips))]
    made, now = list[Take](), 0.0
    for number, clip in enumerate(order[:takes]):
        place, mirrored = float(rng.choice(PLACES)), bool(rng.random() < 0.5)
        pause = PAUSES[number % len(PAUSES)]
        made.append(Take(clip, place, mirrored, now, length(clip), pause))
        now += length(clip) + pause[1]
    return made


def read(recognizer: Any, takes: Sequence[Take]) -> list[Token]:
    """The letters of a film of these takes."""
    shown = [time for take in takes for time, _ in take.pictures()]
    images = (image for take in takes for _, image in take.pictures())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        # So good that the film and a clip alone hold nearly the same pictures.
        write_video(path, images, RATE, timestamps=shown, quality=5)
        transcript = recognizer.recognize(path)
    return [token for token in transcript.tokens if token.text != " "]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    others = {"takes": 24, "seed": 0, "model": "fingerspelling", "stream": "auto"}
    for name, default in others.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = parser.parse_args()
    recognizer = chereme.load(given.model, stream=given.stream)
    takes = plan(given.clips, given.takes, given.seed)
    film = read(recognizer, takes)
    alone = {take.alone(): read(recognizer, [take.alone()]) for take in takes}
    letters = differ = 0
    apart: list[float] = []
    for take in takes:
        # What is read in the pause after a take counts against it.
        end = take.start + take.length + take.pause[1]
        found = [one for one in film if take.start <= (one.start + one.end) / 2 < end]
        expected = alone[take.alone()]
        words = ["".join(token.text for token in tokens) for tokens in (expected, found)]
        letters += len(words[0])
        differ += edit_counts(*words, "unit").edits
        for one, other in zip(expected, found, strict=True) if words[0] == words[1] else ():
            apart += [abs(other.start - take.start - one.start)]
            apart += [abs(other.end - take.start - one.end)]
        side = "left" if take.mirrored else "right"
        print(f"{take.start:8.2f}  {take.clip.stem:<12} {side:<6} {words[0]:<12} {words[1]}")
    print(f"{differ} of {letters} letters differ, in {end:.1f} seconds")
    if apart:
        print("times apart, median, 95 %, most:", np.quantile(apart, (0.5, 0.95, 1)).round(4))


if __name__ == "__main__":
    main()
