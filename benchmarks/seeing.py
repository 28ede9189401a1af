"""Recordings on their side, and signers who are small in the picture.

    python benchmarks/seeing.py --root ../shared/data [--each 10]

First table: what becomes of recordings that stand upright, and of such as lie on their side. The
example clip and the real words on video are turned as pictures and their hands found anew; of the
others, and of words composed from the hands of people that training never saw, the landmarks are
turned, and judged as if they came from pictures. Second table: the example clip and two real words,
made small in a picture of 1920 x 1080 pixels before a blurred background; the camera is still or
shakes by up to 4 pixels. In how many of the frames is the hand found, if those in which it is found
in the clip alone are 100 %?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, product
from pathlib import Path

import cv2
import numpy as np
from jsonargparse import auto_cli
from recordings import held, real, signs, spelled
from results import markdown

import chereme
from chereme.hands.detector import MediaPipeDetector
from chereme.hands.signing import signing_hand
from chereme.hands.tracking import track_hands
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.hand_landmarks import detect_hands, turned
from chereme.recognition.orientation import is_turned, likely_turn, may_be_turned
from chereme.recognition.report import palm_fraction
from chereme.types import Frame, Landmarks
from chereme.video import open_video

EXAMPLE = Path(__file__).parents[1] / "examples" / "hello.mp4"
SIDES = (90, 180, 270)
VERDICTS = ("turned upright", "turned wrongly", "warned about", "neither")
WIDTH, HEIGHT = 1920, 1080
SHARES = (0.5, 0.25, 0.1, 0.06)  # of the height that the clip takes
SHAKES = (0, 4)  # pixels, each way, anew in each frame
PLACE = (0.9, 0.7)  # of the clip, down and across: 0 to 1


def words(root: Path) -> list[Path]:
    """Real spelling on video."""
    return [EXAMPLE, *sorted((root / "fingerspelling_dev" / "video").glob("*.mp4"))]


def verdict(recognizer: Recognizer, landmarks: Landmarks, needed: int) -> str:
    """What the recogniser makes of them, which ``needed`` degrees clockwise would set upright."""
    degrees = likely_turn(signing_hand(landmarks))
    if not degrees:
        return "neither"
    as_it_is = recognizer.recognize(landmarks).tokens
    when_turned = recognizer.recognize(turned(landmarks, degrees)).tokens
    if is_turned(as_it_is, when_turned):
        return "turned upright" if degrees == needed else "turned wrongly"
    return "warned about" if may_be_turned(as_it_is, when_turned) else "neither"


def recordings(root: Path, each: int) -> Iterator[tuple[str, Landmarks, int]]:
    """Group, landmarks, and the degrees that would set them upright."""
    for clip in chain(real(root), signs(root), held(root), spelled(root, each)):
        yield f"{clip.group}, upright", clip.landmarks, 0
    for path, side in product(words(root), SIDES):
        found = detect_hands(path, rotate=side).landmarks
        yield "words on video, on their side", found, 360 - side
    for clip, side in product(spelled(root, each), SIDES):
        if clip.group == "composed":
            yield "composed, on their side", turned(clip.landmarks, side), 360 - side


def placed(frames: list[Frame], share: float, shake: int) -> Iterator[Frame]:
    """The clip, ``share`` of the height of a large picture."""
    rng = np.random.default_rng(0)
    height = round(HEIGHT * share)
    width = round(height * frames[0].image.shape[1] / frames[0].image.shape[0])
    top, left = round((HEIGHT - height) * PLACE[0]), round((WIDTH - width) * PLACE[1])
    coarse = rng.integers(60, 120, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
    behind = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), 3), (WIDTH, HEIGHT))
    for frame in frames:
        picture = behind.copy()
        small = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
        picture[top : top + height, left : left + width] = small
        move = tuple(rng.integers(-shake, shake + 1, 2))
        yield Frame(np.ascontiguousarray(np.roll(picture, move, (0, 1))), frame.timestamp)


def seen(frames: Iterable[Frame]) -> tuple[float, float]:
    """Share of the frames with the signing hand; its palm as a share of the longer side."""
    with MediaPipeDetector() as detector:
        track = signing_hand(track_hands(frames, detector))
    return (0.0, np.nan) if track is None else (float(track.present.mean()), palm_fraction([track]))


def main(root: Path, each: int = 10) -> None:
    """Args:
    each: composed words a person.
    """
    recognizer = chereme.load(rotate=0)
    counts: dict[str, Counter[str]] = {}
    for group, landmarks, needed in recordings(root, each):
        counts.setdefault(group, Counter())[verdict(recognizer, landmarks, needed)] += 1
    lines = [
        [group, str(count.total()), *(str(count[name]) for name in VERDICTS)]
        for group, count in counts.items()
    ]
    print(markdown(("", "recordings", *VERDICTS), lines))
    films = [list(open_video(path)) for path in words(root)[::2]]
    alone, lines = sum(seen(frames)[0] for frames in films), []
    for share in SHARES:
        found, palms = [], []
        for shake in SHAKES:
            coverage, sizes = zip(*(seen(placed(f, share, shake)) for f in films), strict=True)
            found.append(f"{100 * sum(coverage) / alone:.0f} %")
            palms += sizes
        lines.append([f"{100 * share:.0f} %", f"{100 * np.nanmedian(palms):.1f} %", *found])
    head = ("clip's height", "palm, of the longer side", "still camera", "shaking camera")
    print("\n" + markdown(head, lines))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
