"""A film cut together from many clips, read as a whole and clip by clip.

    python benchmarks/long_film.py --clips ../shared/data/fingerspelling_dev/video/*.mp4
    python benchmarks/long_film.py --clips CLIP... --takes 48 --stream fused

Each take is one of the clips, at one of three places of the picture, every other one mirrored (its
signer is left-handed then), in random order. Between takes there is a cut, an empty room or a black
picture. Printed are the letters of the film that are not those of the clips alone (edit distance,
take by take, every letter given to the take whose time it lies in), and how far apart the times of
letters are where the letters are the same. The clips alone are the very pictures of the film.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from chereme.metrics import edit_counts
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.streams import load_streams
from chereme.types import Token, Transcript
from chereme.video import open_video, write_video

WIDTH, HEIGHT = 852, 480
RATE = 30.0  # of pauses; takes keep the times of their clips
PAUSES = ("cut", "empty", "cut", "black")
EMPTY, BLACK = 1.5, 0.7  # seconds
PLACES = (0.0, 0.5, 1.0)  # of the width that a narrow clip leaves free


@dataclass(frozen=True)
class Take:
    """Some pictures of the film: ``clip`` (None for a pause) shown at ``start`` up to ``end``."""

    clip: Path | None
    place: float
    mirrored: bool
    pause: str
    start: float
    end: float


def plan(clips: Sequence[Path], takes: int, seed: int) -> list[Take]:
    """The takes of a film and the pauses between, in order."""
    rng = np.random.default_rng(seed)
    lengths = {clip: length(clip) for clip in clips}
    order: list[Path] = []
    while len(order) < takes:
        order += [clips[i] for i in rng.permutation(len(clips))]
    made: list[Take] = []
    now = 0.0
    for number, clip in enumerate(order[:takes]):
        end = now + lengths[clip]
        made.append(Take(clip, float(rng.choice(PLACES)), bool(rng.random() < 0.5), "", now, end))
        now, pause = end, PAUSES[number % len(PAUSES)]
        if pause != "cut":
            end = now + (EMPTY if pause == "empty" else BLACK)
            made.append(Take(None, 0.0, False, pause, now, end))
            now = end
    return made


def length(clip: Path) -> float:
    """Seconds until the frame after the last would be shown."""
    with open_video(clip) as reader:
        times = [frame.timestamp for frame in reader]
    return times[-1] - times[0] + float(np.median(np.diff(times)))


def pictures(take: Take) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Pictures ``(HEIGHT, WIDTH, 3)`` of a take, and when each is shown in the film."""
    room = np.full((HEIGHT, WIDTH, 3), (96, 104, 112), np.uint8)
    room[:, :: WIDTH // 6] = (70, 74, 80)
    if take.clip is None:
        for number in range(round((take.end - take.start) * RATE)):
            yield take.start + number / RATE, room if take.pause == "empty" else 0 * room
        return
    with open_video(take.clip) as reader:
        first = None
        for frame in reader:
            first = frame.timestamp if first is None else first
            image = frame.image[:, ::-1] if take.mirrored else frame.image
            scale = min(HEIGHT / image.shape[0], WIDTH / image.shape[1])
            size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            picture = room.copy()
            left, top = round(take.place * (WIDTH - size[0])), HEIGHT - size[1]
            picture[top:, left : left + size[0]] = small
            yield take.start + frame.timestamp - first, picture


def film(path: Path, takes: Sequence[Take]) -> None:
    """Write the takes one after the other."""
    shown = [time for take in takes for time, _ in pictures(take)]
    images = (image for take in takes for _, image in pictures(take))
    # So good that the film and a clip alone hold nearly the same pictures.
    write_video(path, images, RATE, timestamps=shown, quality=5)


def letters_in(transcript: Transcript, start: float, end: float) -> list[Token]:
    """The letters whose middle lies there."""
    return [
        token
        for token in transcript.tokens
        if token.text != " " and start <= (token.start + token.end) / 2 < end
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    parser.add_argument("--takes", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="fingerspelling")
    parser.add_argument("--stream", default="auto")
    given = parser.parse_args()
    recognizer = Recognizer(load_streams(given.model, given.stream))
    made = plan(given.clips, given.takes, given.seed)
    alone: dict[tuple[Path, float, bool], Transcript] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        film(path, made)
        read = recognizer.recognize(path)
        for take in made:
            key = (take.clip, take.place, take.mirrored)
            if take.clip is not None and key not in alone:
                film(path, [Take(*key, "", 0.0, take.end - take.start)])
                alone[key] = recognizer.recognize(path)
    letters = differ = 0
    apart: list[float] = []
    for take, following in zip(made, [*made[1:], None], strict=True):
        if take.clip is None:
            continue
        # What is read in the pause after a take counts against it.
        end = following.end if following is not None and following.clip is None else take.end
        found = letters_in(read, take.start, end)
        expected = [t for t in alone[take.clip, take.place, take.mirrored].tokens if t.text != " "]
        words = ["".join(token.text for token in tokens) for tokens in (expected, found)]
        letters += len(words[0])
        differ += edit_counts(words[0], words[1], "unit").edits
        for one, other in zip(expected, found, strict=True) if words[0] == words[1] else ():
            apart.append(abs(other.start - take.start - one.start))
            apart.append(abs(other.end - take.start - one.end))
        side = "left" if take.mirrored else "right"
        print(f"{take.start:8.2f}  {take.clip.stem:<12} {side:<6} {words[0]:<12} {words[1]}")
    quantiles = np.quantile(apart, (0.5, 0.95, 1)).round(4).tolist() if apart else None
    result = {
        **{"takes": given.takes, "seconds": round(made[-1].end, 1), "stream": read.info["stream"]},
        **{"letters": letters, "differ": differ, "share": round(differ / max(1, letters), 4)},
        "times_apart, median, 95 %, most": quantiles,
        "warnings": list(read.warnings),
    }
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
