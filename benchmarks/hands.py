"""The hand detector where there are no hands, where hands are hard to see, and on rendered ones.

    python benchmarks/hands.py without --root ../shared/data
    python benchmarks/hands.py hard --root ../shared/data
    python benchmarks/hands.py small --root ../shared/data
    python benchmarks/hands.py rendered --signers 8

In brackets 95 % intervals: other pictures are drawn of those that there are. How the detector
compares with MediaPipe: ``tools/compare_mediapipe.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli
from PIL import Image
from recordings import detector, filmed, handless, words
from results import markdown

from chereme.hands.signing import signing_hand
from chereme.hands.tracking import track_hands
from chereme.metrics.bootstrap import percentiles, resampled_totals
from chereme.recognition.report import palm_fraction
from chereme.synthesis import corpus
from chereme.synthesis.hand_pictures import detection_tile, sheet
from chereme.synthesis.rendering import clutter
from chereme.synthesis.rendering.film import srgb_encode
from chereme.synthesis.stills import render_still
from chereme.types import Frame
from chereme.video import open_video


def rate(hits: Sequence[int], of: Sequence[int], per: int) -> str:
    """``hits`` in ``of``, picture by picture, and the interval."""
    made, all_of = resampled_totals(np.array([hits, of]).T)
    low, high = percentiles(per * made[all_of > 0] / all_of[all_of > 0])
    return f"{per * sum(hits) / sum(of):.1f} [{low:.1f}, {high:.1f}]"


def without(root: Path, rooms: int = 30, stills: int = 12) -> None:
    """False hands in 1,000 pictures: of stills, each picture itself and some frames of a film of
    it, ``stills`` of each; and of these films, by a hand that shakes."""
    rows: dict[str, list[tuple[int, int, int, int]]] = {}
    with detector(still=True) as one, detector() as many:
        for number, (kind, name, picture) in enumerate(handless(root, rooms)):
            film = list(filmed(picture, np.random.default_rng(number)))
            singles = [picture, *(frame.image for frame in film[:: len(film) // stills])]
            in_stills = sum(len(one.detect(image, 0.0)) for image in singles)
            many.reset()
            on_film = sum(len(many.detect(frame.image, frame.timestamp)) for frame in film)
            rows.setdefault(kind, []).append((in_stills, len(singles), on_film, len(film)))
            if in_stills or on_film:
                print(f"{name}: {in_stills} in stills, {on_film} on film", file=sys.stderr)
    rows["all"], lines = [row for some in rows.values() for row in some], []
    for kind, some in rows.items():
        hits, singles, on_film, frames = zip(*some, strict=True)
        cells = [f"{sum(hits)} of {sum(singles):,}", rate(hits, singles, 1000)]
        cells += [f"{sum(on_film)} of {sum(frames):,}", rate(on_film, frames, 1000)]
        lines.append([kind, str(len(some)), *cells])
    head = ("", "pictures", "hands in stills", "in 1,000", "on film", "in 1,000")
    print(markdown(head, lines))


Scene = tuple[np.ndarray, np.ndarray]  # a picture, and where hands are: boxes (N, 2, 2)


def beside(scenes: Sequence[Scene], height: int, rng: np.random.Generator) -> Scene:
    """Photographs of ``height`` pixels, side by side in a room of 1280 x 720."""
    room = clutter(rng, 1280, 720, blur=3.0)
    picture, boxes = (255 * srgb_encode(np.clip(room, 0, 1))).astype(np.uint8), []
    wide = 1280 // len(scenes)
    for number, (image, box) in enumerate(scenes):
        left, top = number * wide + rng.integers(wide - height), rng.integers(720 - height)
        small = cv2.resize(image, (height, height), interpolation=cv2.INTER_AREA)
        picture[top : top + height, left : left + height] = small
        boxes.append(box * height / image.shape[1] + [left, top])
    return picture, np.concatenate(boxes)


def hidden(scene: Scene, part: float, rng: np.random.Generator) -> Scene:
    """``part`` of the hand lies behind something of one colour, which comes from one side."""
    picture, ends = scene[0].copy(), scene[1][0].copy()
    side, axis = rng.integers(2, size=2)
    ends[1 - side, axis] = ends[side, axis] + part * (ends[1 - side, axis] - ends[side, axis])
    (left, top), (right, bottom) = np.clip(np.round(ends), 0, None).astype(int)
    picture[top:bottom, left:right] = rng.integers(0, 256, 3)
    return picture, scene[1]


def damaged(image: np.ndarray, rng: np.random.Generator, noise: float, quality: int) -> np.ndarray:
    grainy = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", grainy, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


WAYS: dict[str, Callable[[Scene, np.random.Generator], Scene]] = {
    "as it is": lambda s, rng: s,
    "a third of the height": lambda s, rng: beside([s], 240, rng),
    "a sixth": lambda s, rng: beside([s], 120, rng),
    "a twelfth": lambda s, rng: beside([s], 60, rng),
    "a quarter hidden": lambda s, rng: hidden(s, 0.25, rng),
    "half hidden": lambda s, rng: hidden(s, 0.5, rng),
    "JPEG of quality 8": lambda s, rng: (damaged(s[0], rng, 0, 8), s[1]),
    "noise": lambda s, rng: (damaged(s[0], rng, 25, 95), s[1]),
    "dark": lambda s, rng: (s[0] // 4, s[1]),
    "blurred": lambda s, rng: (cv2.GaussianBlur(s[0], (0, 0), s[0].shape[0] / 80), s[1]),
}


def hard(root: Path, each: int = 3) -> None:
    """Photographs of one hand in rooms (``letters_wild``), changed: in how many is the hand found,
    and what else, in stills and in films of that one picture. One in ``each`` is used."""
    with np.load(root / "letters_landmarks" / "letters_wild_landmarks.npz") as file:
        found = np.flatnonzero(file["attempt"] == 0)[::each]
        paths, points = file["path"][found], file["image_landmarks"][found, :, :2]
        sizes = file["image_size"][found]
    scenes = []
    for path, joints, size in zip(paths, points, sizes, strict=True):
        with open_video(root / path) as reader:
            box = np.stack([joints.min(axis=0), joints.max(axis=0)]) * size
            scenes.append((next(iter(reader)).image, box[None]))
    made = {
        name: [change(scene, np.random.default_rng(n)) for n, scene in enumerate(scenes)]
        for name, change in WAYS.items()
    }
    fives = range(0, len(scenes) - 4, 2)
    made["five people"] = [beside(scenes[n : n + 5], 240, np.random.default_rng(n)) for n in fives]
    lines = []
    for name, some in made.items():
        cells = []
        for still in (True, False):
            with detector(still=still, max_hands=10 if name == "five people" else 2) as find:
                counts = [hits_in(scene, find, 1 if still else 8) for scene in some]
            hits, others, of = zip(*counts, strict=True)
            cells += [rate(hits, of, 100), str(sum(others))]
        lines.append([name, str(len(some)), *cells])
    head = ("", "pictures", "in stills, %", "other hands", "on film, %", "other hands")
    print(markdown(head, lines))


def hits_in(scene: Scene, find: Any, frames: int) -> tuple[int, int, int]:
    """Hands whose middle is found in their boxes in the last frame, other hands, and all boxes."""
    find.reset()
    for number in range(frames):
        found = find.detect(scene[0], number / 25)
    middles = [hand.landmarks[:, :2].mean(axis=0) for hand in found]
    inside = [[(low <= m).all() and (m <= high).all() for m in middles] for low, high in scene[1]]
    hits = sum(any(one) for one in inside)
    return hits, len(found) - hits, len(scene[1])


# -- signers who are small in the picture ----------------------------------------------------------
def placed(frames: list[Frame], share: float, shake: int) -> Iterator[Frame]:
    """The clip, ``share`` of the height of a picture of 1920 x 1080, low in it and to the right."""
    rng, (height, width, _) = np.random.default_rng(0), frames[0].image.shape
    height, width = round(1080 * share), round(1080 * share * width / height)
    top, left = round((1080 - height) * 0.9), round((1920 - width) * 0.7)
    coarse = rng.integers(60, 120, (135, 240, 3)).astype(np.uint8)
    behind = cv2.resize(cv2.GaussianBlur(coarse, (0, 0), 3), (1920, 1080))
    for frame in frames:
        picture = behind.copy()
        small = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
        picture[top : top + height, left : left + width] = small
        move = tuple(rng.integers(-shake, shake + 1, 2))
        yield Frame(np.ascontiguousarray(np.roll(picture, move, (0, 1))), frame.timestamp)


def seen(frames: Iterable[Frame]) -> tuple[float, float]:
    """Share of the frames with the signing hand; its palm as a share of the longer side."""
    with detector() as find:
        track = signing_hand(track_hands(frames, find))
    return (0.0, np.nan) if track is None else (float(track.present.mean()), palm_fraction([track]))


def small(root: Path) -> None:
    """The example clip and two real words, small before a blurred background: frames in which the
    hand is found, of those in which it is found in the clip alone; the camera is still, or shakes
    by up to 4 pixels each way."""
    films = [list(open_video(path)) for path in words(root)[::2]]
    alone, lines = sum(seen(frames)[0] for frames in films), []
    for share in (0.5, 0.25, 0.1, 0.06):
        found = [[seen(placed(film, share, shake)) for film in films] for shake in (0, 4)]
        palm = np.nanmedian([size for some in found for _, size in some])
        rates = (f"{100 * sum(cover for cover, _ in some) / alone:.0f} %" for some in found)
        lines.append([f"{100 * share:.0f} %", f"{100 * palm:.1f} %", *rates])
    head = ("clip's height", "palm, of the longer side", "still camera", "shaking camera")
    print(markdown(head, lines))


# -- rendered hands --------------------------------------------------------------------------------
# Degrees about the vertical: to the thumb's side and to the little finger's.
VIEWS = {"table": (0.0,), "side": (65.0, -65.0)}
TONES = {"dark": (0, 40), "medium": (40, 55), "light": (55, 100)}  # CIELAB L* of the skin


def rendered(signers: int = 8, seed: int = 1, pictures: Path | None = None) -> None:
    """Each letter by synthetic signers over cluttered backgrounds, as the table of handshapes shows
    it and turned to the side: the share found, by view, skin and letter, and how far landmarks are
    from the model's joints in the median, in hand sizes (wrist to tip of the stretched middle
    finger). ``pictures``: a file for a sheet of those of the first two signers."""
    found: dict[str, list[float]] = {}
    tiles: list[np.ndarray] = []
    with detector(still=True) as find:
        for letter, number, view in product(ascii_lowercase, range(signers), VIEWS):
            signer = corpus.signer(number, seed)
            light = signer.skin.lightness
            tone = next(name for name, (low, high) in TONES.items() if low <= light < high)
            rng = np.random.default_rng([seed, number, ord(letter), len(view)])
            picture = render_still(signer, letter, rng, turn=float(rng.choice(VIEWS[view])))
            result = picture.nearest(find.detect(picture.image, 0.0))
            if number < 2:
                seen = result and result[0].landmarks
                tiles.append(detection_tile(picture.image, picture.landmarks, seen, picture.size))
            far = np.nan if result is None else float(np.median(result[1]))
            for group in ("all", view, f"{tone} skin", letter):
                found.setdefault(group, []).append(far)
    lines = []
    for name, far in found.items():
        share = f"{100 * np.isfinite(far).mean():.1f}"
        lines.append([name, str(len(far)), share, f"{np.nanmedian(far):.3f}"])
    print(markdown(("", "pictures", "found, %", "median distance"), lines))
    if pictures is not None:
        each = len(tiles) // len(ascii_lowercase)
        names = [letter.upper() for letter in ascii_lowercase for _ in range(each)]
        Image.fromarray(sheet(tiles, names, 2 * each)).save(pictures, quality=84, optimize=True)


if __name__ == "__main__":
    auto_cli([without, hard, small, rendered], as_positional=False)
