"""The open collections of letters in the layout of the data folder: pictures, landmarks, motions.

Everything is of a right hand in isotropic units (x right, y down, z away from the camera), but for
pictures, and for recordings of landmarks in which nothing says which hand it is (``Recorded.side``
is None). Recordings whose depth was thrown away before they were published are left out
(``DEPTHLESS``): depth is most of what tells closed hands apart, and the landmarks that a recogniser
meets have it.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError
from chereme.hands.skeleton import mirror, palm_size

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
MOVING = ("j", "z")
# Letters whose handshape in the handshape manual also has the letter's orientation (palm view).
UPRIGHT_LETTERS = "abdefiklrstuvwxy"
MOTION_FRAMES = 24
PEOPLE = (
    *("faseehakr", "hackmit", "hawkcodesz", "lolzorus", "longhongvo23", "meyyappan"),
    *("sakshamsood3", "t32rahman", "techyrushi"),
)
DEV_PEOPLE = ("seeeeeeel", "thanakritmos12", "vyshu150")  # never trained on
RECORDED = "letters_landmarks/borisgraudt.npz"
LANDMARK_SETS = {"dvorakman": 1.46, "utkarsh4410": 1.78}  # width / height of the frames
DEPTHLESS = (
    *("13lack13lood", "echosign", "fawziya", "gunsai75", "insitee_set1", "malateegi", "ts42a"),
)
KEPT = "_kept"
"""Ends the name of a signer whose recordings of J and Z are kept back to measure with."""
COLLECTIONS = (
    *("letters_studio/index.csv", "letters_wild/index.csv", "handshapes_261/index.csv"),
    *(RECORDED, "transitions_animation/index.csv"),
    *(f"letters_people/{name}.{end}" for name in PEOPLE for end in ("index.csv", "landmarks.npz")),
    *("digits_people/index.csv", "digits_people/landmarks.npz"),
    *(f"letters_landmarks/people/{name}.npz" for name in LANDMARK_SETS),
    *("motion_jz/jz.npz", "sequences/traduttore_letters.npz", "sequences/traduttore_words.npz"),
)
DEV_COLLECTIONS = tuple(
    f"letters_people_dev/{name}.{end}"
    for name in DEV_PEOPLE
    for end in ("index.csv", "landmarks.npz")
)

# Digits whose handshape is no letter's: hands that spell nothing. Of the others 1 is like D and Z,
# 4 like B.
_SILENT_DIGITS = "3578"
_LETTER_OF = {"0": "o", "2": "v", "6": "w", "9": "f"} | dict.fromkeys(_SILENT_DIGITS, "")
_MOST_OF_BURST = 20  # pictures of a letter of one person: they are one burst of near-copies
_MOST_OF_DIGIT = 60  # of as many people
_WILD_ASPECT = 0.75
_CROP = 1.5  # sides of the hand that crops of people are
_JUMP = 0.05  # of the picture, from frame to frame: another recording begins
_FEWEST_FRAMES = 8
_KEPT_SHARE = 4  # one recording of J and Z in so many is kept back
# Of one or no moving frame (README of the data).
_BROKEN = ("Z_36", "Z_37")
ASPECTS = {"cam": 1.88, "danial": 1.79, "alex": 1.61}
"""Width / height of the pictures of these signers, as the proportions of their palms say it."""
_STILL_FRAMES = (3, 9, 15)  # of 19
_MOST_OF_WHOLE = 4  # whole recordings of a still letter of one person
WEBCAM_RATE = 20.0  # frames a second of webcam recordings that state none
_MOVES = 0.12  # of the fastest frame's speed: where a recorded motion begins and ends
_LEAST_TRAVEL = {"j": 0.5, "z": 1.0}  # palm lengths that the drawing tip covers at least
_DRAWING = {"j": 20, "z": 8}  # tip of the little finger, tip of the index finger

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Picture:
    """A picture of one hand.

    ``label``: a letter or digit, ``''`` for a hand that spells nothing. ``side``: which hand the
    picture shows, None where nothing says it. ``aspect``: what its width is to be multiplied by to
    undo a stretch. ``landmarks (21, 3)``: rough pixels of the picture, None where the hand has to
    be found. ``cut_out``: the ground is black. ``burst``: one of many that are almost the same.
    """

    path: Path
    label: str
    signer: str
    side: str | None = None
    aspect: float = 1.0
    landmarks: Floats | None = None
    cut_out: bool = False
    burst: bool = False

    def read(self) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 RGB, no longer stretched. InputError if it cannot be read."""
        image = cv2.imread(str(self.path))
        if image is None:
            raise InputError(f"{self.path}: expected a photograph, it could not be read")
        if self.aspect != 1.0:
            image = cv2.resize(image, (int(image.shape[1] * self.aspect), image.shape[0]))
        return np.ascontiguousarray(image[..., ::-1])


@dataclass(frozen=True)
class Recorded:
    """Frames of one recording of a letter, ``landmarks (T, 21, 3)``; ``side`` as of pictures."""

    landmarks: Floats
    label: str
    signer: str
    side: str | None = "right"


def collection_file(root: Path, name: str) -> Path:
    """A file of one of the collections in ``root``, by its folder and name. InputError if it is not
    there."""
    path = root / name
    if not path.is_file():
        raise InputError(
            f"{path}: not found; expected the collection {name.partition('/')[0]} in the root "
            "folder, with the others that are needed (docs/training.md)"
        )
    return path


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


# -- pictures ----------------------------------------------------------------------------------
def pictures(root: Path, digits: bool = False) -> Iterator[Picture]:
    """The pictures of all collections that may be trained on; ``digits``: those of digits."""
    shown = DIGITS if digits else LETTERS + _SILENT_DIGITS
    studio, wild = _rough(root, "studio", ""), _rough(root, "wild", "_ar")
    for row in rows_of(root / "letters_studio" / "index.csv"):
        if row["label"] in shown:
            label = row["label"] if digits or row["label"] in LETTERS else ""
            path = root / "letters_studio" / row["path"]
            points = studio.get(path)
            yield Picture(
                path, label, row["signer"], "right", 1.0, points, cut_out=True, burst=True
            )
    if digits:
        return
    for row in rows_of(root / "letters_wild" / "index.csv"):
        # Stretched from 3:4 to a square in the collection. Handedness is partly guessed there.
        path = root / "letters_wild" / row["path"]
        points = wild.get(path)
        if points is not None:
            points = points * [_WILD_ASPECT, 1.0, _WILD_ASPECT]
        yield Picture(path, row["label"], "wild", None, _WILD_ASPECT, points)
    for row in rows_of(root / "handshapes_261" / "index.csv"):
        letters = [c for c in row["fingerspelling"].split(",") if c and c in UPRIGHT_LETTERS]
        if row["angle"] == "1" and letters:
            yield Picture(root / "handshapes_261" / row["path"], letters[0], "manual", "right")
    for name in PEOPLE:
        yield from _people(root / "letters_people", name)
    folder = root / "digits_people"
    for row, points in _spread(folder, "", _MOST_OF_DIGIT):
        if row["label"] in _LETTER_OF:
            label = _LETTER_OF[row["label"]]
            yield Picture(folder / row["path"], label, "digits", landmarks=points, burst=True)


def _rough(root: Path, name: str, ending: str) -> dict[Path, Floats]:
    """Where the hands of a collection are, in pixels of its pictures; nothing where no file of
    landmarks says it."""
    path = root / "letters_landmarks" / f"letters_{name}_landmarks.npz"
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        scale = file["image_size"][:, None, [0, 1, 0]]
        points = file[f"image_landmarks{ending}"].astype(np.float64) * scale
        found = np.isfinite(points).all(axis=(1, 2))
        paths = [root / name for name in file["path"].tolist()]
    known = zip(paths, points, found, strict=True)
    return {path: own for path, own, good in known if good}


def dev_pictures(root: Path) -> Iterator[Picture]:
    """Those of the three people that nothing is trained on."""
    for name in DEV_PEOPLE:
        yield from _people(root / "letters_people_dev", name)


def _people(folder: Path, name: str) -> Iterator[Picture]:
    for row, points in _spread(folder, f"{name}.", _MOST_OF_BURST):
        yield Picture(folder / row["path"], row["label"], name, landmarks=points, burst=True)


def _spread(folder: Path, prefix: str, most: int) -> Iterator[tuple[dict[str, str], Floats | None]]:
    """Rows of an index, at most so many a label, evenly spread; each with its landmarks."""
    with np.load(folder / f"{prefix}landmarks.npz", allow_pickle=False) as file:
        known = dict(zip(file["path"].tolist(), file["landmarks"], strict=True))
    rows: dict[str, list[dict[str, str]]] = {}
    for row in rows_of(folder / f"{prefix}index.csv"):
        rows.setdefault(row["label"], []).append(row)
    for own in rows.values():
        for index in np.unique(np.linspace(0, len(own) - 1, most).round().astype(int)):
            row = own[index]
            points = known.get(row["path"], known.get(row["path"].partition("/")[2]))
            yield row, _in_crop(folder / row["path"], row, points)


def _in_crop(path: Path, row: dict[str, str], points: Floats | None) -> Floats | None:
    """Landmarks in pixels of the crop, of those in fractions of the frame that it was cut from."""
    if points is None or not np.isfinite(points).all():
        return None
    image = cv2.imread(str(path))
    if image is None:
        raise InputError(f"{path}: expected a photograph, it could not be read")
    size = np.array([image.shape[1], image.shape[0]])
    frame = np.array([float(row["frame_w"]), float(row["frame_h"])])
    pixels: Floats = points.astype(np.float64) * [*frame, frame[0]]
    if (size == frame).all():
        return pixels
    start = np.array([float(row["crop_x0"]), float(row["crop_y0"])])
    low, high = pixels[:, :2].min(axis=0), pixels[:, :2].max(axis=0)
    end = np.minimum((low + high) / 2 + _CROP / 2 * (high - low).max(), frame)
    scale = min(1.0, size.max() / (end - start).max())  # large crops were made smaller
    pixels[:, :2] -= start
    pixels *= scale
    return pixels


# -- landmarks ---------------------------------------------------------------------------------
def recordings(root: Path) -> Iterator[Recorded]:
    """Letters of the landmark collections, a few frames each; J and Z are not among them."""
    with np.load(root / RECORDED, allow_pickle=False) as file:
        landmarks, labels = file["landmarks"].astype(np.float64), file["label"]
        landmarks[..., [0, 2]] *= float(file["aspect"])
    for index in range(0, len(landmarks), 3):
        if labels[index] not in MOVING:
            # Mirrored right hand, or a left one: the thumb is on the wrong side.
            one = mirror(landmarks[index : index + 1], None)
            yield Recorded(one, str(labels[index]), "recording")
    for name, aspect in LANDMARK_SETS.items():
        with np.load(root / f"letters_landmarks/people/{name}.npz", allow_pickle=False) as file:
            landmarks, labels = file["landmarks"].astype(np.float64), file["label"]
        for label in sorted(set(labels.tolist()) - set(MOVING)):
            run = landmarks[labels == label]
            cuts = np.flatnonzero(np.abs(np.diff(run[:, 0, :2], axis=0)).max(axis=1) > _JUMP) + 1
            for part in np.split(run, cuts):
                most = max(1, round(2 * _MOST_OF_BURST * len(part) / len(run)))
                chosen = np.unique(np.linspace(0, len(part) - 1, most).round().astype(int))
                yield Recorded(part[chosen] * [aspect, 1.0, aspect], label, name, None)
    for recorded in _sequences(root, "letters", _STILL_FRAMES):
        if recorded.label in LETTERS and recorded.label not in MOVING:
            yield recorded


def whole_recordings(root: Path) -> Iterator[Recorded]:
    """Letters shown to a webcam, each from its first to its last frame at `WEBCAM_RATE`: a few of
    each person and still letter, and the J and Z that `motions` does not keep back."""
    count: Counter[tuple[str, str]] = Counter()
    for recorded in _sequences(root, "letters"):
        key = recorded.signer, recorded.label
        still = recorded.label in LETTERS and recorded.label not in MOVING
        if still and count[key] < _MOST_OF_WHOLE and len(recorded.landmarks) >= _FEWEST_FRAMES:
            count[key] += 1
            yield recorded
    for recorded, moved in _recorded_motions(root):
        if moved.side is not None and not moved.signer.endswith(KEPT):
            yield recorded


def _sequences(
    root: Path, name: str, still_frames: Iterable[int] | None = None
) -> Iterator[Recorded]:
    """Of moving sequences with both hands the frames in which the hand was found, of still letters
    those of ``still_frames``."""
    for one in sequences(root, f"traduttore_{name}"):
        seen = np.asarray(one.hands.any(axis=(-1, -2)))
        every = range(len(seen))
        frames = every if still_frames is None or one.label in MOVING else still_frames
        hand = int(seen[:, 1].sum() >= seen[:, 0].sum())
        chosen = [frame for frame in frames if seen[frame, hand]]
        if chosen:
            aspect = ASPECTS[one.signer]
            run = one.hands[chosen, hand].astype(np.float64) * [aspect, 1.0, aspect]
            who = one.signer if one.sure else f"{one.signer}_unsure"
            yield Recorded(run if hand else mirror(run, None), one.label, who)


class Sequence(NamedTuple):
    """Both hands ``(T, 2, 21, 3)`` of a webcam, left and right, as fractions of the picture, zeros
    where none was found; ``aspect`` of the picture; ``sure``: the signer is known."""

    hands: Floats
    label: str
    signer: str
    aspect: float
    sure: bool


def sequences(root: Path, name: str) -> Iterator[Sequence]:
    """All of a file of ``sequences``, but the traduttore's first frame, which is of another
    moment. ``InputError`` if there is no such file."""
    with np.load(collection_file(root, f"sequences/{name}.npz"), allow_pickle=False) as file:
        hands, labels = file["hands"], file["label"].tolist()
        signers = np.broadcast_to(file["signer"], len(labels)).tolist()
        aspect = float(file["aspect"]) if "aspect" in file else 16 / 9
        sure = file["signer_sure"] if "signer_sure" in file else np.ones(len(labels), bool)
    first = int(name.startswith("traduttore"))
    for own, label, signer, known in zip(hands, labels, signers, sure.tolist(), strict=True):
        yield Sequence(own[first:], label, signer, aspect, known)


def animations(root: Path) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Hold of each letter and of rest ``(21, 3)``, and motions of J and Z ``(T, 21, 3)``."""
    folder = root / "transitions_animation"
    pose_format = require("pose_format")
    holds: dict[str, Floats] = {}
    motions: dict[str, Floats] = {}
    for row in rows_of(folder / "index.csv"):
        wanted = (row["from"] == "rest" and row["kind"] == "transition") or row["to"] in MOVING
        if not wanted and row["to"] != "rest":
            continue
        data = (folder / "poses" / row["file"]).read_bytes()
        points = np.asarray(pose_format.Pose.read(data).body.data.filled(0))[:, 0]
        points = (points.astype(np.float64) + np.array([1.5, 0.8, 1.0])) * 200.0
        if row["to"] in MOVING and row["from"] == "rest":
            motions[row["to"]] = points[-MOTION_FRAMES:]
        holds.setdefault(row["to"], points[-1])
    return holds, motions


# -- motions -----------------------------------------------------------------------------------
def motions(root: Path) -> Iterator[Recorded]:
    """Real J and Z, ``(24, 21, 3)`` each: from where the drawing finger starts to where it stops.

    One recording in four of each signer and letter counts as another signer's, with ``KEPT`` at the
    end of the name. None of the collections states a frame rate, so how long they took is unknown.
    """
    for run in _zigzags(root):
        yield Recorded(run, "z", "recording")
    for _, moved in _recorded_motions(root):
        yield moved


def _recorded_motions(root: Path) -> Iterator[tuple[Recorded, Recorded]]:
    """Recordings of J and Z in which the finger draws, and the part of each in which it does."""
    count: Counter[tuple[str, str]] = Counter()
    for recorded in _drawn_letters(root):
        moved = _moving_part(recorded.landmarks, recorded.label)
        if moved is None:
            continue
        key = recorded.signer, recorded.label
        count[key] += 1
        kept = KEPT if count[key] % _KEPT_SHARE == 0 else ""
        yield recorded, Recorded(moved, recorded.label, recorded.signer + kept, recorded.side)


def _drawn_letters(root: Path) -> Iterator[Recorded]:
    with np.load(root / "motion_jz" / "jz.npz", allow_pickle=False) as file:
        runs = np.split(file["landmarks"].astype(np.float64), np.cumsum(file["length"])[:-1])
        aspect = LANDMARK_SETS["dvorakman"]
        for run, label, key in zip(runs, file["label"].tolist(), file["key"].tolist(), strict=True):
            if key not in _BROKEN:
                yield Recorded(run * [aspect, 1.0, aspect], label, "dvorakman", None)
    for name in ("letters", "words"):
        yield from (found for found in _sequences(root, name) if found.label in MOVING)


def _moving_part(run: Floats, label: str) -> Floats | None:
    """The part of a recording in which the finger draws; None if it is short or hardly moves."""
    if len(run) < _FEWEST_FRAMES:
        return None
    tip = run[:, _DRAWING[label], :2] / np.median(palm_size(run))
    if np.ptp(tip, axis=0).max() < _LEAST_TRAVEL[label]:
        return None
    speed = np.linalg.norm(np.diff(tip, axis=0), axis=1)
    moves = np.flatnonzero(speed > _MOVES * speed.max())
    moved = run[moves[0] : moves[-1] + 2]
    return _resampled(moved, 0, len(moved) - 1) if len(moved) >= _FEWEST_FRAMES else None


def _zigzags(root: Path) -> Iterator[Floats]:
    """Real strokes of Z: windows of the repeated zig-zag in the landmark collection."""
    with np.load(root / RECORDED, allow_pickle=False) as file:
        is_z = file["label"] == "z"
        landmarks = file["landmarks"][is_z].astype(np.float64)
        landmarks[..., [0, 2]] *= float(file["aspect"])
        segment = file["segment"][is_z]
    for value in np.unique(segment):
        run = mirror(landmarks[segment == value], None)
        for start in range(0, len(run) - 13, 6):
            yield _resampled(run, start, start + 13)


def _resampled(run: Floats, start: int, end: int) -> Floats:
    """``MOTION_FRAMES`` frames from frame ``start`` to frame ``end``, both included."""
    source = np.linspace(start, end, MOTION_FRAMES)
    low = np.minimum(source.astype(int), len(run) - 2)
    part = (source - low)[:, None, None]
    between: Floats = run[low] * (1 - part) + run[low + 1] * part
    return between
