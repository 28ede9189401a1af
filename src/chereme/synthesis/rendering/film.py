"""What a camera does to light: from linear radiance to the 8-bit picture of a webcam."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from PIL.Image import open as open_picture
from scipy.special import ndtri

from chereme.datasets.shards import jpeg_of

Array = NDArray[Any]
Triple = tuple[float, float, float]
_STEPS = 2048  # of the tone curve's table
_BITS = 12
# The normal distribution, cut into that many equally likely parts.
_NORMAL: Array = ndtri((np.arange(1 << _BITS) + 0.5) / (1 << _BITS)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Film:
    """One camera's settings; the defaults are a good one's.

    ``exposure`` multiplies the light; ``white_balance`` are gains of red, green and blue.
    ``contrast`` 0..1 bends the tone curve towards an S, ``shoulder`` 0..1 rolls highlights off.
    ``full_well`` is the number of electrons of white, which sets the photon noise; ``read_noise``
    is in 1/255 of white; ``chroma_noise`` the deviation of blotches of colour, in 1/255, after the
    tone curve. ``vignette`` is the loss of light in the corners. ``blur`` is the deviation of the
    lens's blur in pixels. ``scale`` < 1 records the picture at that size and enlarges it again.
    ``saturation`` multiplies the colours' distance from grey. ``jpeg`` is the quality 1..100, or
    None for no compression; ``sharpen`` the strength of the camera's own sharpening.
    """

    exposure: float = 1.0
    white_balance: Triple = (1.0, 1.0, 1.0)
    contrast: float = 0.15
    shoulder: float = 0.3
    saturation: float = 1.0
    full_well: float = 8000.0
    read_noise: float = 0.5
    chroma_noise: float = 0.3
    vignette: float = 0.0
    blur: float = 0.0
    scale: float = 1.0
    sharpen: float = 0.0
    jpeg: int | None = None

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Film:
        """Cameras from good telephones to poor webcams in poor light."""
        poor = rng.beta(1.3, 2.2)
        cast = rng.normal(0, 0.04 + 0.06 * poor)
        return cls(
            exposure=float(np.exp(rng.normal(0.1, 0.22))),
            white_balance=(float(np.exp(cast)), 1.0, float(np.exp(-cast + rng.normal(0, 0.04)))),
            contrast=float(rng.uniform(0, 0.5)),
            shoulder=float(rng.uniform(0.1, 0.6)),
            saturation=float(np.clip(rng.normal(1.0, 0.15), 0.5, 1.5)),
            full_well=float(10 ** (4.2 - 2.0 * poor)),
            read_noise=float(0.3 + 3.5 * poor * rng.random()),
            chroma_noise=float(0.2 + 3.0 * poor * rng.random()),
            vignette=float(rng.uniform(0, 0.3)),
            blur=float(rng.uniform(0.2, 0.5 + 0.6 * poor)),
            scale=float(rng.uniform(0.55, 1.0)) if rng.random() < 0.3 * poor else 1.0,
            sharpen=float(rng.uniform(0, 1.0)) if rng.random() < 0.5 else 0.0,
            jpeg=int(rng.uniform(95 - 60 * poor, 98)) if rng.random() < 0.85 else None,
        )

    def tone_curve(self, radiance: Array) -> Array:
        """Linear 0..1 and above -> 0..1 as displayed: shoulder, sRGB's curve, contrast."""
        x = np.asarray(radiance, float)
        # Straight up to the knee, then an exponential approach to 1 with the same slope.
        knee = 1.0 - 0.6 * self.shoulder
        top = 1.0 - knee
        rolled = np.where(
            x <= knee, x, 1.0 - top * np.exp(-np.maximum(x - knee, 0) / max(top, 1e-9))
        )
        bent = srgb_encode(np.clip(rolled, 0, 1))
        s: Array = bent + self.contrast * (bent * bent * (3 - 2 * bent) - bent)
        return s


def srgb_encode(linear: Array) -> Array:
    """IEC 61966-2-1: linear 0..1 -> 0..1 for the screen."""
    encoded: Array = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )
    return encoded


def srgb_decode(encoded: Array) -> Array:
    """IEC 61966-2-1: 0..1 for the screen -> linear 0..1."""
    linear: Array = np.where(
        encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4
    )
    return linear


def tone_map(radiance: Array, film: Film, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture ``(H, W, 3)`` uint8 RGB that ``film`` makes of linear ``radiance (H, W, 3)``."""
    image: Array = np.ascontiguousarray(radiance, np.float32)
    height, width = image.shape[:2]
    if film.scale < 1:
        small = (max(round(width * film.scale), 8), max(round(height * film.scale), 8))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    if film.blur > 0.05:
        image = cv2.GaussianBlur(image, (0, 0), film.blur)
    # The table covers radiance to 4 times white, closer where it is dark.
    table = film.tone_curve((np.arange(_STEPS) / (_STEPS - 1)) ** 2 * 4.0).astype(np.float32)
    gains = np.asarray(film.white_balance, np.float32) * np.float32(film.exposure)
    settings = np.array(
        [film.vignette, 1 / film.full_well, film.read_noise / 255, film.chroma_noise / 255,
         film.saturation], np.float32,
    )  # fmt: skip
    seed = np.uint64(rng.integers(1 << 63))
    picture: Array = _expose(image, gains, settings, table, _NORMAL, seed)
    if film.sharpen > 0:
        soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
        picture = cv2.addWeighted(picture, 1 + film.sharpen, soft, -film.sharpen, 0)
    if film.scale < 1:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return compress(picture, film.jpeg) if film.jpeg is not None else picture


def compress(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """``picture (H, W, 3)`` RGB after JPEG compression of ``quality`` 1..100 (4:2:0)."""
    with open_picture(BytesIO(jpeg_of(picture, quality))) as compressed:
        return np.array(compressed)


@njit(cache=True, nogil=True)
def _scrambled(state):  # type: ignore[no-untyped-def]
    """64 random bits for each whole number (Steele et al., SplitMix, 2014)."""
    z = state * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True, fastmath=True)
def _expose(image, gains, settings, table, normal, seed):  # type: ignore[no-untyped-def]
    """``settings``: vignette, 1 / full well, read noise, chroma noise, saturation."""
    rows, columns = image.shape[:2]
    result = np.empty(image.shape, np.uint8)
    rgb = np.empty(3, np.float32)
    shift = np.empty(3, np.float32)
    zero, one, top = np.float32(0), np.float32(1), np.float32(4)
    scale, half = np.float32((len(table) - 1) * 0.5), np.float32(0.5)
    vignette, per_well, chroma, saturation = settings[0], settings[1], settings[3], settings[4]
    read = settings[2] * settings[2]
    mask = np.uint64(len(normal) - 1)
    dim = np.empty(columns, np.float32)
    for column in range(columns):
        x = (column + 0.5) / columns * 2 - 1
        dim[column] = vignette * half * np.float32(x * x)
    for row in range(rows):
        y = (row + 0.5) / rows * 2 - 1
        light_of_row = one - vignette * half * np.float32(y * y)
        for column in range(columns):
            light = light_of_row - dim[column]
            bits = _scrambled(seed + np.uint64(row * columns + column))
            # Blotches of colour are two pixels wide: all four take the bits of the first.
            block = _scrambled(seed + np.uint64((row & ~1) * columns + (column & ~1)))
            for c in range(3):
                # Photons (variance = mean, in electrons) and electronics, then amplified together.
                value = image[row, column, c] * light * gains[c]
                spread = np.sqrt(max(value, zero) * gains[c] * per_well + read)
                value += spread * normal[(bits >> np.uint64(12 * c)) & mask]
                # The table's steps are even in the root.
                rgb[c] = table[int(np.sqrt(min(max(value, zero), top)) * scale + half)]
            grey = (
                np.float32(0.299) * rgb[0] + np.float32(0.587) * rgb[1] + np.float32(0.114) * rgb[2]
            )
            shift[0] = chroma * normal[(block >> np.uint64(36)) & mask]
            shift[2] = chroma * normal[(block >> np.uint64(48)) & mask]
            shift[1] = np.float32(-0.51) * shift[0] - np.float32(0.19) * shift[2]
            for c in range(3):
                value = grey + (rgb[c] - grey) * saturation + shift[c]
                result[row, column, c] = np.uint8(
                    min(max(value, zero), one) * np.float32(255) + half
                )
    return result
