"""Pictures of hand meshes for people: a portrait, a mesh over a video frame, a contact sheet.

For reports and documentation. All pictures are ``(H, W, 3)`` uint8 RGB; meshes are those of
``HandLayer``, metres. Videos to learn from are made by ``chereme.synthesis`` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError
from chereme.hand_model.template import HandTemplate
from chereme.hands.camera import Camera
from chereme.hands.draw import draw_hand
from chereme.recognition.caption import font
from chereme.synthesis.rendering.arm import Arm, ArmShape
from chereme.synthesis.rendering.film import Film, srgb_decode
from chereme.synthesis.rendering.light import Light, Lighting
from chereme.synthesis.rendering.mesh import PLAIN, SKIN, Mesh, plain_mesh
from chereme.synthesis.rendering.renderer import Frame, Quality, render
from chereme.synthesis.rendering.skin import SkinTone
from chereme.synthesis.rendering.subdivision import Subdivision

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

GROUND: Colour = (233, 231, 227)
PAPER: Colour = (250, 249, 247)
INK: Colour = (38, 40, 46)
QUIET: Colour = (112, 114, 122)
CLAY: Colour = (120, 176, 232)  # of an overlay: a blue that no skin has

SKIN_TONE = SkinTone(62)

_STUDIO = Lighting(
    Light((-0.55, -0.75, -0.8), (0.78, 0.75, 0.71), spread=0.3),  # a large soft lamp, upper left
    (
        Light((0.9, 0.1, -0.6), (0.13, 0.14, 0.16)),  # fill
        Light((0.6, -0.6, 0.9), (0.22, 0.22, 0.23)),  # rim, from behind
    ),
    sky=(0.46, 0.46, 0.47),
    ground=(0.3, 0.29, 0.28),
)
_TONES = Film(contrast=0.25, shoulder=0.45)
_FINE = Quality(samples=3, shadow_map=2.0)
TILE = 110  # pixels of a detection
_ROUND = 1.5  # and what it shows, in sizes of the hand
SPAN = 0.21  # metres that a picture of a handshape shows
DISTANCE = 1.2  # metres from the camera to the hand: little distortion, as portraits have
_LARGE, _SMALL = 22, 15  # pixels of the two lines of a label
# Columns side (to the thumb), forward (to the fingers), normal (out of the palm) of a right hand.
_PALM = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
_LEFT = np.array([-1.0, 1.0, 1.0])


def mesh_picture(
    vertices: Floats,
    template: HandTemplate,
    elbow: Floats,
    *,
    size: tuple[int, int],
    span: float,
) -> Image:
    """A studio portrait of one posed hand with a forearm in a sleeve, in the middle of the picture.

    Args:
        vertices: ``(V, 3)`` metres, of ``HandLayer``, camera axes (x right, y down, z away).
        template: the hand that was posed; right or left. Palms, nails and creases are painted where
            it knows them.
        elbow: ``(3,)`` direction from the wrist to the elbow.
        size: width and height in pixels.
        span: metres that the shorter side of the picture shows.
    """
    frame = portrait(vertices, template, elbow, size=size, span=span)
    return _over(np.full((size[1], size[0], 3), GROUND, np.uint8), frame, 1.0)


def portrait(
    vertices: Floats,
    template: HandTemplate,
    elbow: Floats,
    *,
    size: tuple[int, int],
    span: float,
    plain: bool = False,
) -> Frame:
    """What :func:`mesh_picture` shows, before nothing: its light, coverage and depth. The hand's
    middle is ``DISTANCE`` metres from the camera. ``plain``: of clay, without the skin's colours
    and lines."""
    meshes = _with_arm(_skinned(vertices, template), template, elbow)
    if plain:
        meshes = [m.replace(colour=np.full_like(m.colour, 0.5), material=PLAIN) for m in meshes]
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    width, height = size
    focal = DISTANCE * min(size) / span
    camera = Camera(focal, focal, width / 2, height / 2, width, height)
    shift = np.array([0.0, 0.0, DISTANCE]) - middle
    return render([m.transformed(shift=shift) for m in meshes], camera, _STUDIO, quality=_FINE)


def mesh_overlay(
    frame: Image,
    vertices: Floats,
    template: HandTemplate,
    camera: Camera,
    *,
    opacity: float = 0.65,
) -> Image:
    """``frame`` with a posed hand drawn half transparent over it.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB; it is not changed.
        vertices: ``(V, 3)`` metres in the camera's frame (x right, y down, z away).
        template: the hand that was posed.
        camera: the pinhole camera of the frame, of the frame's size.
        opacity: 0 (nothing is drawn) .. 1 (the mesh hides the frame).

    Raises:
        InputError: vertices that are not the template's, or a frame that is not uint8 RGB or not
            of the camera's size.
    """
    if vertices.shape != template.v_template.shape:
        raise InputError(
            f"vertices: expected {template.v_template.shape} of hand {template.name!r}, "
            f"got {vertices.shape}"
        )
    if frame.dtype != np.uint8 or frame.shape != (camera.height, camera.width, 3):
        raise InputError(
            f"frame: expected uint8 {(camera.height, camera.width, 3)}, got {frame.dtype} "
            f"{frame.shape}"
        )
    hand = plain_mesh(vertices, template.faces, srgb_decode(np.array(CLAY) / 255), 0.3)
    mesh = _subdivision(template).mesh(hand.replace(detail=None))
    return _over(frame, render([mesh], camera, _STUDIO, quality=_FINE), opacity)


def detection_tile(image: Image, joints: Floats, landmarks: Floats | None, size: float) -> Image:
    """The part of ``image`` round a hand of ``size`` pixels, ``TILE`` pixels wide and high.

    Its true ``joints (21, 3)`` are white, the ``landmarks (21, 3)`` that a detector found are
    bones, both in pixels of the image; framed in red where it found none.
    """
    cv2 = require("cv2", "train")
    drawn = image.copy() if landmarks is None else draw_hand(image, landmarks).copy()
    for x, y in joints[:, :2].astype(int).tolist():
        cv2.circle(drawn, (x, y), 1, (255, 255, 255), -1)
    side, middle = int(_ROUND * size), joints[:, :2].mean(axis=0)
    part = cv2.getRectSubPix(drawn, (side, side), middle.tolist())
    part = cv2.resize(part, (TILE, TILE), interpolation=cv2.INTER_AREA)
    if landmarks is None:
        cv2.rectangle(part, (0, 0), (TILE - 1, TILE - 1), (255, 0, 0), 3)
    tile: Image = part
    return tile


def sheet(tiles: Sequence[Image], labels: Sequence[str], columns: int, *, gap: int = 10) -> Image:
    """A contact sheet: ``tiles`` row by row, each with its label below.

    Args:
        tiles: pictures ``(H, W, 3)`` uint8 of one size.
        labels: as many; the first line is set large, the second small. A line too long for its
            tile ends in an ellipsis.
        columns: tiles in a row.
        gap: pixels between the tiles and round the sheet.
    """
    height, width = tiles[0].shape[:2]
    caption = round(1.35 * (_LARGE + _SMALL))
    rows, columns = -(-len(tiles) // columns), min(columns, len(tiles))
    step = np.array([width + gap, height + caption + gap])
    image_module, draw_module = require("PIL.Image"), require("PIL.ImageDraw")
    page = image_module.new("RGB", tuple((step * [columns, rows] + gap).tolist()), PAPER)
    draw = draw_module.Draw(page)
    fonts = font(_LARGE), font(_SMALL)
    for index, (picture, label) in enumerate(zip(tiles, labels, strict=True)):
        x, y = (step * [index % columns, index // columns] + gap).tolist()
        page.paste(image_module.fromarray(picture), (x, y))
        baseline = y + height
        for line, face, ink in zip(label.split("\n"), fonts, (INK, QUIET), strict=False):
            baseline += round(1.2 * face.size)
            draw.text((x + 2, baseline), _fitting(line, face, width - 2), ink, face, anchor="ls")
    return np.array(page)


def _over(below: Image, frame: Frame, opacity: float) -> Image:
    """The rendered meshes over a picture; where they do not reach, it stays as it is."""
    share = frame.coverage[..., None]
    colour = _TONES.tone_curve(frame.image / np.maximum(share, 1e-6))
    mixed = below + opacity * share * (255 * colour - below)
    return np.round(np.clip(mixed, 0, 255)).astype(np.uint8)


@lru_cache(maxsize=4)
def _subdivision(template: HandTemplate) -> Subdivision:
    return Subdivision(template.faces, len(template.v_template))


def _skinned(points: Floats, template: HandTemplate) -> Mesh:
    none = np.zeros(len(points))
    palmar, nail, crease, flush = (
        template.extras.get(name, none) for name in ("palmar", "nail", "crease", "flush")
    )
    colour = SKIN_TONE.albedo(palmar, nail, crease, flush)
    gloss = SKIN_TONE.glosses(palmar, nail)
    return Mesh(points, template.faces, colour, gloss, SKIN, template.v_template)


def _with_arm(hand: Mesh, template: HandTemplate, elbow: Floats) -> list[Mesh]:
    """The palm's place and turn follow from the vertices that no finger moves (Kabsch 1976)."""
    share = template.weights[:, 0] ** 8
    share = share / share.sum()
    rest, posed = share @ template.v_template, share @ hand.vertices
    spread = (share * (hand.vertices - posed).T) @ (template.v_template - rest)
    left, _, right = np.linalg.svd(spread)
    turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    wrist = turn @ (template.joint_regressor[0] @ template.v_template - rest) + posed
    frame = turn @ (_PALM if template.side == "right" else _LEFT[:, None] * _PALM)
    shape = ArmShape(sleeve=0.42)
    towards = elbow / np.linalg.norm(elbow)
    arm = Arm(shape, SKIN_TONE, (0.045, 0.06, 0.085), hand, wrist, frame)
    bare, sleeve = arm.place(hand.vertices, wrist, frame, wrist + shape.length * towards)
    return [Subdivision(bare.faces, len(bare.vertices)).mesh(bare), sleeve]


def _fitting(text: str, face: Any, room: float) -> str:
    """``text``, or as much of its beginning as is at most ``room`` pixels wide."""
    if face.getlength(text) <= room:
        return text
    while text and face.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"
