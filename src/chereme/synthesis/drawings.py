"""Handshapes as line drawings: an SVG of a few tones and the outlines of what covers what.

Drawings scale, take the colours of the page that shows them, and are small: a picture is rendered,
and its tones and edges are traced.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, minimum_filter
from skimage.measure import approximate_polygon, find_contours

from chereme.hands.skeleton import TIPS
from chereme.synthesis.corpus import open_hand
from chereme.synthesis.hand_pictures import DISTANCE, SPAN, portrait
from chereme.synthesis.handshapes import Handshape, posed

Floats = NDArray[np.floating[Any]]

SIZE = (240, 270)  # width and height of a drawing, in its own units
TONES = {"dark": 0.27, "middle": 0.36, "light": 0.46}  # from which light (linear) on
# What a page may set, and what is taken where it does not: tones, lines, the arrow of a movement.
COLOURS = {
    "shade": "#98a0ae",
    "dark": "#b4bac5",
    "middle": "#d0d5dc",
    "light": "#eaecf0",
    "line": "#454b57",
    "motion": "#1f6f8b",
}
_MARGIN = 10  # round the hand
_CLOSEST = 1.5  # times its size in ``SIZE``: small handshapes stay smaller than large ones
_SMOOTH = 1.3  # pixels by which tones run into each other
_STEP = 0.005  # metres: what lies so much farther than what is next to it gets a line
_COARSE = 0.45  # pixels by which a traced line may be off
_SMALLEST = 10  # pixels²: smaller spots are left out
# Of J and Z: the fingertip that draws, and its path from there with the head of an arrow, in the
# drawing's units; a right hand as others see it.
_STROKES = {
    "j": (TIPS[4], "m-2 14c0 40-4 72 22 72 20 0 24-16 24-34m-11 13l11-13 11 13"),
    "z": (TIPS[1], "m0-12h-58l58 50h-58m12-12l-12 12 12 12"),
}


def handshape_drawings(handshapes: Iterable[Handshape]) -> str:
    """An SVG document with a ``<symbol>`` for each letter, ``id`` the letter: the first of its
    forms. Of J and Z an arrow shows the movement."""
    first: dict[str, Handshape] = {}
    for handshape in handshapes:
        first.setdefault(handshape.letter, handshape)
    hands = posed(list(first.values()), open_hand())
    symbols = [
        _symbol(handshape, vertices, joints)
        for handshape, vertices, joints in zip(
            first.values(), hands.vertices.numpy(), hands.joints.numpy(), strict=True
        )
    ]
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg">', *symbols, "</svg>", ""])


def _symbol(handshape: Handshape, vertices: Floats, joints: Floats) -> str:
    template, letter = open_hand().template, handshape.letter
    frame = portrait(vertices, template, handshape.elbow(), size=SIZE, span=SPAN, plain=True)
    covered = frame.coverage > 0.5
    light = _blurred(frame.image.mean(axis=-1)) / np.maximum(_blurred(frame.coverage), 1e-6)
    light = np.where(covered, light, 0.0)
    depth = np.where(covered, frame.depth, 9.0)
    behind = covered & (depth - minimum_filter(depth, 3) > _STEP)
    edge = f'{_paint("stroke", "line")} stroke-width="1.5"'
    paths = [_path(_traced(frame.coverage, 0.5), f"{_paint('fill', 'shade')} {edge}")]
    for name, level in TONES.items():
        paths.append(_path(_traced(light, level), _paint("fill", name)))
    paths.append(
        _path(_traced(gaussian_filter(behind.astype(float), 0.7), 0.4), _paint("fill", "line"))
    )
    places = _places(np.concatenate([vertices, joints]), vertices)
    if letter in _STROKES:
        tip, stroke = _STROKES[letter]
        x, y = places[len(vertices) + tip]
        round_ends = 'stroke-linecap="round" stroke-linejoin="round"'
        pen = f'fill="none" {_paint("stroke", "motion")} stroke-width="4" {round_ends}'
        paths.append(_path(f"M{x:.0f} {y:.0f}{stroke}", pen))
    middle = np.array(SIZE) / 2
    away = np.abs(places - middle).max(axis=0) + _MARGIN
    half = middle * max(*(away / middle), 1 / _CLOSEST)
    box = " ".join(f"{number:.0f}" for number in (*(middle - half), *(2 * half)))
    return f'<symbol id={quoteattr(letter)} viewBox="{box}">{"".join(paths)}</symbol>'


def _places(points: Floats, vertices: Floats) -> Floats:
    """Where ``points (N, 3)`` are in the drawing of the hand of these ``vertices``: ``(N, 2)``."""
    from_middle = points - (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    scale = DISTANCE * min(SIZE) / SPAN / (from_middle[:, 2:] + DISTANCE)
    places: Floats = np.array(SIZE) / 2 + scale * from_middle[:, :2]
    return places


def _blurred(field: Floats) -> Floats:
    blurred: Floats = gaussian_filter(field, _SMOOTH)
    return blurred


def _path(shape: str, paint: str) -> str:
    return f'<path d="{shape}" {paint}/>'


def _paint(attribute: str, name: str) -> str:
    """A colour that the page may set as the CSS property ``--hand-<name>``."""
    return f'{attribute}="var(--hand-{name},{COLOURS[name]})"'


def _traced(field: Floats, level: float) -> str:
    """Where ``field (H, W)`` is above ``level``, as the outlines of an SVG path."""
    outlines = []
    for contour in find_contours(np.pad(field, 1), level):
        # Rows and columns of pixel centres, moved by the rim, to x and y.
        x, y = contour[:, 1] - 0.5, contour[:, 0] - 0.5
        if abs(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2 < _SMALLEST:
            continue
        corners = np.round(approximate_polygon(np.stack([x, y], 1), _COARSE)).astype(int)
        steps = np.diff(corners, axis=0)
        steps = steps[steps.any(axis=1)]
        numbers = "".join(f"{n:+d}" for n in steps[:-1].ravel()).replace("+", " ")
        outlines.append(f"M{corners[0, 0]} {corners[0, 1]}l{numbers.strip()}z")
    return "".join(outlines)
