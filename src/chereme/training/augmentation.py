"""Augmentation of clips of hand crops: one random change for the whole clip, never frame by frame.

Paper: *Seeing in 2D, Thinking in 3D*, section 4.2: "random cropping and horizontal flipping". The
rest is ours, after VAC (temporal rescale) and common practice.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from chereme.errors import UsageError

Crops = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """How much clips are changed; the defaults are ours, see ``PAPER`` for the paper's.

    ``crop``: the least part of the side of the crop that is kept, the window's place and size are
    random. Choice: the paper names no size; VAC cuts 224 of 256, which is 0.875.

    ``flip``: fraction of the clips that are mirrored. Choice: every hand comes as a right hand, so
    a mirrored clip shows a left hand that was taken for a right one. A left hand spells the same
    letters with the mirrored shapes (no letter is the mirror image of another), so the text stays;
    teacher vectors become those of the mirrored crops. The paper flips half of the clips. Where
    handedness is mostly right this costs accuracy on it, so ours flips few.

    ``tempo``: clips are made longer or shorter by up to this part (VAC: 0.2), but never so short
    that CTC could not spell the text any more.

    ``rotation`` in degrees, to either side; small, since G and Q differ by little else.
    ``colour``: spread of gain, of brightness and contrast, and half of it of each channel.
    ``blur`` and ``noise``: the largest standard deviations, in pixels and in grey levels.
    ``erase``: fraction of the clips in which one rectangle of up to a third of the side is covered.
    """

    crop: float = 0.85
    flip: float = 0.1
    tempo: float = 0.2
    rotation: float = 10.0
    colour: float = 0.2
    blur: float = 1.0
    noise: float = 6.0
    erase: float = 0.2

    def __post_init__(self) -> None:
        shares = {"crop": self.crop, "flip": self.flip, "tempo": self.tempo, "erase": self.erase}
        wrong = {name: value for name, value in shares.items() if not 0 <= value <= 1}
        spreads = {name: getattr(self, name) for name in ("rotation", "colour", "blur", "noise")}
        wrong |= {name: value for name, value in spreads.items() if not value >= 0}
        if wrong or self.crop == 0 or self.tempo == 1:
            raise UsageError(
                "augmentation: expected crop above 0 up to 1, tempo below 1, flip and erase from 0 "
                f"to 1 and no spread below 0, got {wrong or self}"
            )


PAPER = Augmentation(
    crop=0.875, flip=0.5, tempo=0.0, rotation=0.0, colour=0.0, blur=0.0, noise=0.0, erase=0.0
)
NONE = Augmentation(
    crop=1.0, flip=0.0, tempo=0.0, rotation=0.0, colour=0.0, blur=0.0, noise=0.0, erase=0.0
)


def frames_at(frames: int, tempo: float, *, least: int = 1) -> NDArray[np.int64]:
    """Which of ``frames`` to show so that a clip lasts ``tempo`` times as long.

    Frames are repeated or left out evenly; ``least`` of them remain at least, unless the clip
    itself is shorter.
    """
    count = max(round(frames * tempo), min(least, frames), 1)
    shown: NDArray[np.int64] = ((np.arange(count) + 0.5) * frames / count).astype(np.int64)
    return shown


def draw_tempo(rng: np.random.Generator, spread: float) -> float:
    """A factor of the clip's length, within 1 - ``spread`` and 1 + ``spread``."""
    return float(rng.uniform(1 - spread, 1 + spread))


def resize(crops: Crops, size: int) -> Crops:
    """``(T, S, S, 3)`` -> ``(T, size, size, 3)``, shrunk without aliasing."""
    if crops.shape[1:3] == (size, size):
        return crops
    how = cv2.INTER_AREA if crops.shape[1] > size else cv2.INTER_LINEAR
    out = np.empty((len(crops), size, size, 3), np.uint8)
    for frame, small in zip(crops, out, strict=True):
        cv2.resize(frame, (size, size), dst=small, interpolation=how)
    return out


def augment_crops(
    crops: Crops, size: int, rng: np.random.Generator, how: Augmentation, *, flip: bool
) -> Crops:
    """Changed crops ``(T, size, size, 3)`` of ``crops (T, S, S, 3)``, uint8 RGB.

    Whether to flip is the caller's to say, since teacher vectors must follow. The number of random
    numbers that are drawn depends on ``how`` alone, not on the clip.
    """
    out = resize(_window(crops, rng, how.crop), size)
    if flip:
        out = np.ascontiguousarray(out[:, :, ::-1])
    if how.rotation:
        out = _rotated(out, float(rng.uniform(-how.rotation, how.rotation)))
    if how.blur:
        out = _blurred(out, float(rng.uniform(0, how.blur)))
    if how.colour:
        out = _recoloured(out, rng, how.colour)
    if how.noise:
        out = _noisy(out, rng, float(rng.uniform(0, how.noise)))
    if how.erase:
        out = _erased(out, rng, how.erase)
    return out


def _window(crops: Crops, rng: np.random.Generator, least: float) -> Crops:
    part, across, down = rng.uniform(least, 1), rng.random(), rng.random()
    whole = crops.shape[1]
    side = max(1, round(whole * part))
    x, y = round((whole - side) * across), round((whole - side) * down)
    return np.ascontiguousarray(crops[:, y : y + side, x : x + side])


def _rotated(crops: Crops, degrees: float) -> Crops:
    size = crops.shape[1]
    centre = (size - 1) / 2  # OpenCV has the centres of pixels at whole numbers
    matrix = cv2.getRotationMatrix2D((centre, centre), degrees, 1.0)
    out = np.empty_like(crops)
    for frame, turned in zip(crops, out, strict=True):
        cv2.warpAffine(frame, matrix, (size, size), dst=turned, borderMode=cv2.BORDER_REPLICATE)
    return out


def _blurred(crops: Crops, sigma: float) -> Crops:
    if sigma < 0.3:  # a kernel of one pixel
        return crops
    out = np.empty_like(crops)
    for frame, soft in zip(crops, out, strict=True):
        cv2.GaussianBlur(frame, (0, 0), sigma, dst=soft)
    return out


def _recoloured(crops: Crops, rng: np.random.Generator, spread: float) -> Crops:
    """Gain, contrast and brightness of all, gain of each channel, and saturation."""
    contrast, saturation = np.exp(rng.normal(0, spread, 2))
    brightness = rng.normal(0, spread) * 64
    gains = np.exp(rng.normal(0, spread / 2, 3))
    levels = np.arange(256.0)
    table = np.empty((1, 256, 3), np.uint8)
    for channel, gain in enumerate(gains):
        value = (levels - 128) * contrast + 128 + brightness
        table[0, :, channel] = np.clip(value * gain, 0, 255)
    flat = np.asarray(cv2.LUT(crops.reshape(-1, crops.shape[2], 3), table))
    grey = cv2.cvtColor(cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    mixed = cv2.addWeighted(flat, saturation, grey, 1 - saturation, 0)
    return np.asarray(mixed, dtype=np.uint8).reshape(crops.shape)


def _noisy(crops: Crops, rng: np.random.Generator, sigma: float) -> Crops:
    """Gaussian noise; each frame has the same, moved to another place, which is quicker to make."""
    size = crops.shape[1]
    noise = np.rint(rng.standard_normal((size, size, 3), dtype=np.float32) * sigma)
    twice = np.tile(noise.astype(np.int16), (2, 2, 1))
    out = np.empty_like(crops)
    places = rng.integers(0, size, (len(crops), 2))
    for frame, changed, (y, x) in zip(crops, out, places, strict=True):
        cv2.add(frame, twice[y : y + size, x : x + size], dst=changed, dtype=cv2.CV_8U)
    return out


def _erased(crops: Crops, rng: np.random.Generator, share: float) -> Crops:
    whether, width, height, across, down = rng.random(5)
    colour = rng.integers(0, 256, 3, dtype=np.uint8)
    if whether >= share:
        return crops
    size = crops.shape[1]
    sides = [max(1, round(size * (0.1 + 0.23 * part))) for part in (width, height)]
    x, y = (int((size - side) * at) for side, at in zip(sides, (across, down), strict=True))
    out = crops.copy()
    out[:, y : y + sides[1], x : x + sides[0]] = colour
    return out
