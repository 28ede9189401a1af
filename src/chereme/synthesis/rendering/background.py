"""What is behind a signer: rooms drawn by chance, out of focus, or a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from chereme.errors import InputError
from chereme.synthesis.rendering.film import srgb_decode
from chereme.synthesis.rendering.noise import noise_picture

Array = NDArray[Any]
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_DECODE = srgb_decode(np.arange(256) / 255).astype(np.float32)


def clutter(rng: np.random.Generator, width: int, height: int, blur: float | None = None) -> Array:
    """A room, ``(height, width, 3)`` float32 linear RGB.

    A wall with uneven light and some of: shelves of things, a window, stripes, pictures, plants,
    a curtain, lights out of focus. ``blur`` is the deviation of the defocus in pixels (None: by
    chance, from sharp to a twelfth of the picture). The same ``rng`` state gives the same picture.
    """
    # Drawn on a canvas of fixed scale, so that a room looks the same at every size.
    scale = 320 / max(width, height)
    w, h = max(round(width * scale), 8), max(round(height * scale), 8)
    canvas = _wall(rng, w, h)
    things = (_shelves, _window, _stripes, _frames, _plant, _curtain, _texture)
    for number in rng.permutation(len(things))[: rng.integers(1, 4)]:
        things[number](rng, canvas)
    if rng.random() < 0.2:
        _lamps(rng, canvas)
    np.clip(canvas, 0.0, 3.0, out=canvas)
    # Nothing in a room is of one even colour.
    canvas *= np.exp(0.05 * noise_picture(rng, w, h, w / 6, 5))[..., None]
    if blur is None:
        blur = float(rng.choice([0.0, 1.0]) * rng.uniform(0.3, 1.0) ** 2 * max(width, height) / 12)
    canvas = cv2.GaussianBlur(canvas, (0, 0), 0.7)  # what is drawn has jagged edges
    way = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    picture = np.maximum(cv2.resize(canvas, (width, height), interpolation=way), 0)
    if blur > 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    result: Array = np.ascontiguousarray(picture, np.float32)
    return result


def _colour(
    rng: np.random.Generator, grey: float = 0.6, low: float = 0.02, high: float = 0.8
) -> Array:
    """Linear RGB; ``grey`` 0..1 is how close to grey such colours usually are."""
    level = low * (high / low) ** rng.random()
    warm, green = rng.normal(0.12, 0.25), rng.normal(0, 0.06)
    if rng.random() > grey:
        warm, green = rng.normal(0.1, 0.7), rng.normal(0, 0.25)
    tint = np.exp([warm - 0.5 * green, green, -warm - 0.5 * green])
    colour: Array = np.minimum(level * tint / tint.mean(), 0.95).astype(np.float32)
    return colour


def _wall(rng: np.random.Generator, w: int, h: int) -> Array:
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / max(w, h)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    light = np.exp(rng.normal(0, 0.7) * slope + 0.1 * noise_picture(rng, w, h, w / 2, 2))
    canvas = light[..., None] * _colour(rng, 0.75, 0.06, 0.75)
    if rng.random() < 0.4:  # a corner, or the edge of a wall of another colour
        at, lean = rng.uniform(0.15, 0.85), rng.normal(0, 0.1)
        canvas = np.where((x + lean * y > at)[..., None], canvas, canvas * _colour(rng, 0.8) * 2)
    if rng.random() < 0.3:  # a floor or a table
        canvas = np.where(
            (y > rng.uniform(0.6, 0.95))[..., None], _colour(rng) * light[..., None], canvas
        )
    return np.ascontiguousarray(canvas, np.float32)


def _rectangle(
    canvas: Array, left: float, top: float, right: float, bottom: float, colour: Array
) -> None:
    h, w = canvas.shape[:2]
    canvas[
        max(int(top * h), 0) : max(int(bottom * h), 0),
        max(int(left * w), 0) : max(int(right * w), 0),
    ] = colour


def _shelves(rng: np.random.Generator, canvas: Array) -> None:
    left, right = sorted(rng.uniform(-0.3, 1.3, 2))
    rows = rng.integers(2, 6)
    board = _colour(rng, 0.7)
    _rectangle(canvas, left, 0, right, 1, board * 0.35)
    for row in range(rows):
        bottom = (row + 1) / rows
        x = left
        while x < right:
            wide = rng.uniform(0.012, 0.09)
            tall = rng.uniform(0.4, 0.92) / rows
            if rng.random() < 0.85:
                colour = _colour(rng, 0.35)
                end = min(x + wide, right)
                _rectangle(canvas, x, bottom - tall, end, bottom, colour)
                if rng.random() < 0.4:  # a label
                    _rectangle(
                        canvas, x + wide * 0.2, bottom - tall * 0.7, min(x + wide * 0.8, right),
                        bottom - tall * 0.5, _colour(rng, 0.6),
                    )  # fmt: skip
            x += wide * rng.uniform(1.0, 1.15)
        _rectangle(canvas, left, bottom - 0.02, right, bottom, board)


def _window(rng: np.random.Generator, canvas: Array) -> None:
    left, top = rng.uniform(-0.2, 0.8), rng.uniform(-0.2, 0.4)
    right, bottom = left + rng.uniform(0.2, 0.7), top + rng.uniform(0.3, 0.8)
    frame = _colour(rng, 0.9, 0.2, 0.9)
    sky = np.array([0.8, 0.95, 1.15], np.float32) * np.float32(rng.uniform(0.7, 2.4))
    _rectangle(canvas, left, top, right, bottom, frame)
    panes = rng.integers(1, 4)
    for pane in range(panes):
        a = left + (right - left) * (pane + 0.06) / panes
        b = left + (right - left) * (pane + 0.94) / panes
        _rectangle(canvas, a, top + 0.03, b, bottom - 0.03, sky)
        if rng.random() < 0.5:  # trees or houses outside
            _rectangle(
                canvas, a, bottom - rng.uniform(0.1, 0.3), b, bottom - 0.03,
                _colour(rng, 0.5, 0.1, 0.8),
            )  # fmt: skip


def _stripes(rng: np.random.Generator, canvas: Array) -> None:
    h, w = canvas.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / max(w, h)
    angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
    phase = (x * np.cos(angle) + y * np.sin(angle)) / rng.uniform(0.03, 0.2)
    band = np.clip(np.sin(2 * np.pi * phase) * rng.uniform(1, 8), -1, 1)[..., None] * 0.5 + 0.5
    part = slice(0, h) if rng.random() < 0.5 else slice(int(h * rng.uniform(0.3, 0.7)), h)
    strength = rng.uniform(0.2, 0.9)
    canvas[part] += strength * band[part] * (_colour(rng, 0.5) - canvas[part])


def _frames(rng: np.random.Generator, canvas: Array) -> None:
    h, w = canvas.shape[:2]
    for _ in range(rng.integers(1, 5)):
        left, top = rng.uniform(-0.1, 0.9), rng.uniform(-0.1, 0.8)
        wide, tall = rng.uniform(0.08, 0.35, 2)
        edge = rng.uniform(0.008, 0.025)
        _rectangle(canvas, left, top, left + wide, top + tall, _colour(rng, 0.6))
        _rectangle(
            canvas,
            left + edge,
            top + edge,
            left + wide - edge,
            top + tall - edge,
            _colour(rng, 0.3),
        )
        for _ in range(rng.integers(0, 6)):
            centre = (int((left + rng.random() * wide) * w), int((top + rng.random() * tall) * h))
            axes = (
                int(rng.uniform(1, 0.3 * wide * w + 2)),
                int(rng.uniform(1, 0.3 * tall * h + 2)),
            )
            colour = [float(c) for c in _colour(rng, 0.2)]
            cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)


def _plant(rng: np.random.Generator, canvas: Array) -> None:
    h, w = canvas.shape[:2]
    foot = np.array([rng.uniform(0, 1) * w, rng.uniform(0.5, 1.1) * h])
    green = np.array([0.10, 0.22, 0.05], np.float32) * np.float32(rng.uniform(0.4, 1.6))
    for _ in range(rng.integers(12, 50)):
        angle, reach = rng.normal(-np.pi / 2, 0.9), rng.uniform(0.05, 0.35) * h
        tip = foot + reach * np.array([np.cos(angle), np.sin(angle)])
        colour = [float(c) for c in green * np.exp(rng.normal(0, 0.35, 3))]
        middle = (int((foot[0] + 2 * tip[0]) / 3), int((foot[1] + 2 * tip[1]) / 3))
        axes = (max(int(reach * 0.35), 1), max(int(reach * rng.uniform(0.04, 0.14)), 1))
        cv2.ellipse(canvas, middle, axes, np.degrees(angle), 0, 360, colour, -1, cv2.LINE_AA)


def _curtain(rng: np.random.Generator, canvas: Array) -> None:
    w = canvas.shape[1]
    left, right = sorted(int(x * w) for x in rng.uniform(-0.2, 1.2, 2))
    left, right = max(left, 0), min(right, w)
    if right - left < 4:
        return
    x = np.arange(right - left) / w
    wander = noise_picture(rng, right - left, 1, w / 10)[0] * 0.02
    fold = 0.65 + 0.35 * np.sin(2 * np.pi * (x + wander) / rng.uniform(0.03, 0.1))
    canvas[:, left:right] = (fold[None, :, None] * _colour(rng, 0.5)).astype(np.float32)


def _texture(rng: np.random.Generator, canvas: Array) -> None:
    h, w = canvas.shape[:2]
    size = w * np.exp(rng.uniform(np.log(0.02), np.log(0.4)))
    mask = noise_picture(rng, w, h, size, int(rng.integers(1, 5)))
    mask = np.clip(mask * rng.uniform(0.5, 3) + rng.normal(0, 0.5), 0, 1)[..., None]
    canvas += rng.uniform(0.3, 1.0) * mask * (_colour(rng, 0.4) - canvas)


def _lamps(rng: np.random.Generator, canvas: Array) -> None:
    h, w = canvas.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    radius = rng.uniform(0.01, 0.06) * w
    for _ in range(rng.integers(3, 20)):
        away = np.hypot(x - rng.random() * w, y - rng.random() * h)
        disc = np.clip(radius * rng.uniform(0.7, 1.3) - away + 0.5, 0, 1)
        canvas += disc[..., None] * _colour(rng, 0.4, 0.3, 1.2)


class PictureFolder:
    """Backgrounds from the pictures of a folder and of the folders in it.

    Raises ``InputError`` if ``folder`` is none, or holds no picture.
    """

    def __init__(self, folder: str | Path) -> None:
        root = Path(folder)
        if not root.is_dir():
            raise InputError(f"{root}: expected a folder of pictures, found none")
        self._files = sorted(
            f for f in root.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file()
        )
        if not self._files:
            raise InputError(
                f"{root}: no picture in this folder; expected files ending in "
                f"{' '.join(sorted(SUFFIXES))}"
            )

    def __len__(self) -> int:
        return len(self._files)

    def sample(self, rng: np.random.Generator, width: int, height: int) -> Array:
        """A random part of a random picture, ``(height, width, 3)`` float32 linear RGB.

        Raises ``InputError`` naming the file if it cannot be read as a picture.
        """
        path = self._files[rng.integers(len(self._files))]
        try:
            data = np.fromfile(path, np.uint8)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check access") from error
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        if bgr is None:
            raise InputError(f"{path}: not a picture that can be read; remove or replace it")
        rows, columns = bgr.shape[:2]
        largest = min(columns / width, rows / height)
        zoom = largest * rng.uniform(0.4, 1.0)
        w, h = max(int(width * zoom), 1), max(int(height * zoom), 1)
        left, top = rng.integers(0, columns - w + 1), rng.integers(0, rows - h + 1)
        part = bgr[top : top + h, left : left + w]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        way = cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR
        part = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=way)
        result: Array = _DECODE[part[..., ::-1]]
        return result
