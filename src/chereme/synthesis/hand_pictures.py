"""Pictures of hand meshes for people: a portrait, a mesh over a video frame, a contact sheet.

For reports and documentation. All pictures are ``(H, W, 3)`` uint8 RGB; meshes are those of
``HandLayer``, metres. Videos to learn from are made by ``chereme.synthesis`` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.errors import InputError
from chereme.hand_model.template import HandTemplate
from chereme.hands.camera import Camera
from chereme.recognition.caption import dejavu
from chereme.synthesis.rendering.arm import Arm, ArmShape
from chereme.synthesis.rendering.film import Film, srgb_decode
from chereme.synthesis.rendering.light import Light, Lighting
from chereme.synthesis.rendering.mesh import SKIN, Material, Mesh
from chereme.synthesis.rendering.renderer import Frame, Quality, render
from chereme.synthesis.rendering.skin import SkinTone
from chereme.synthesis.rendering.subdivision import Subdivision

Floats = NDArray[np.floating[Any]]
Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
View = Literal["camera", "palm", "behind", "left", "right", "above"]

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
_DISTANCE = 1.2  # metres from the camera to the hand: little distortion, as portraits have
_MARGIN = 1.15  # of a picture that is fitted to its hand
# Where the camera's x, y and z of each view lie in the vertices' axes.
_VIEWS = {
    "camera": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "palm": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
    "behind": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
    "left": [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
    "right": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
    "above": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
}
# Columns side (to the thumb), forward (to the fingers), normal (out of the palm) of a right hand.
_PALM = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
_LEFT = np.array([-1.0, 1.0, 1.0])


def mesh_picture(
    vertices: Floats,
    template: HandTemplate,
    *,
    size: tuple[int, int] = (320, 320),
    view: View = "camera",
    span: float | None = None,
    ground: Colour | Image = GROUND,
    skin: SkinTone = SKIN_TONE,
    elbow: Floats | None = None,
) -> Image:
    """A studio portrait of one posed hand, in the middle of the picture.

    Args:
        vertices: ``(V, 3)`` metres, of ``HandLayer``.
        template: the hand that was posed; right or left.
        size: width and height in pixels.
        view: "camera": from where the camera of the vertices' frame stands (x right, y down, z
            away); "behind", "left", "right", "above": from there, for the viewer of "camera".
            "palm": onto the palm with the fingers up, for a hand in the model's own frame.
        span: metres that the shorter side of the picture shows; None: as much as the hand needs.
        ground: an RGB colour, or a picture of that size.
        skin: its tone; palms, nails and creases are painted where the template knows them.
        elbow: ``(3,)`` from the wrist to the elbow, in the vertices' frame, for a forearm in a
            sleeve; None: the hand alone.

    Raises:
        InputError: vertices that are not the template's or not finite, an unknown view, a ground
            of another size, or an elbow that is no direction.
    """
    points = _checked(vertices, template)
    hand = _skinned(points, template, skin)
    if elbow is None:
        meshes = [_subdivision(template).mesh(hand)]
    else:
        meshes = _with_arm(hand, template, skin, np.asarray(elbow, float))
    if view not in _VIEWS:
        raise InputError(f"view: expected {', '.join(_VIEWS)}, got {view!r}")
    turn = np.array(_VIEWS[view], float)
    if view == "palm" and template.side == "left":
        turn[:2] *= -1  # the left hand's fingers point to +x
    seen = points @ turn.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    middle = (low + high) / 2
    width, height = size
    metres = np.divide((high - low)[:2], size) * _MARGIN  # a pixel
    a_pixel = metres.max() if span is None else span / min(size)
    focal = float(_DISTANCE / a_pixel)
    camera = Camera(focal, focal, width / 2, height / 2, width, height)
    shift = np.array([0.0, 0.0, _DISTANCE]) - middle
    frame = render([m.transformed(turn, shift) for m in meshes], camera, _STUDIO, quality=_FINE)
    if np.ndim(ground) == 1:
        ground = np.full((height, width, 3), ground, np.uint8)
    return _over(_picture("ground", ground, size), frame, 1.0)


def mesh_overlay(
    frame: Image,
    vertices: Floats,
    template: HandTemplate,
    camera: Camera,
    *,
    colour: Colour = CLAY,
    opacity: float = 0.65,
) -> Image:
    """``frame`` with a posed hand drawn half transparent over it.

    Args:
        frame: ``(H, W, 3)`` uint8 RGB; it is not changed.
        vertices: ``(V, 3)`` metres in the camera's frame (x right, y down, z away).
        template: the hand that was posed.
        camera: the pinhole camera of the frame, of the frame's size.
        colour: RGB of the mesh.
        opacity: 0 (nothing is drawn) .. 1 (the mesh hides the frame).

    Raises:
        InputError: vertices that are not the template's or not finite, a frame that is not uint8
            RGB or not of the camera's size, or an opacity out of range.
    """
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity: expected 0..1, got {opacity}")
    points = _checked(vertices, template)
    below = _picture("frame", frame, (camera.width, camera.height))
    paint = np.broadcast_to(srgb_decode(np.array(colour) / 255), points.shape)
    gloss = np.full(len(points), 0.3)
    mesh = _subdivision(template).mesh(Mesh(points, template.faces, paint, gloss, Material()))
    return _over(below, render([mesh], camera, _STUDIO, quality=_FINE), opacity)


def sheet(
    tiles: Sequence[Image],
    labels: Sequence[str],
    columns: int,
    *,
    gap: int = 10,
    text: int = 15,
    paper: Colour = PAPER,
) -> Image:
    """A contact sheet: ``tiles`` row by row, each with its label below.

    Args:
        tiles: pictures ``(H, W, 3)`` uint8 of one size.
        labels: as many; the first line is set large, the second small. A line too long for its
            tile ends in an ellipsis. Without any text no room is left for it.
        columns: tiles in a row.
        gap: pixels between the tiles and round the sheet.
        text: height of the small letters' font in pixels.
        paper: RGB of the ground.

    Raises:
        InputError: no tiles, tiles of different sizes, another number of labels, a label of more
            than two lines, or fewer than one column.
    """
    if not tiles or len(tiles) != len(labels):
        raise InputError(
            f"sheet: expected one label for each tile, got {len(tiles)} tiles, {len(labels)} labels"
        )
    if columns < 1:
        raise InputError(f"sheet: expected at least 1 column, got {columns}")
    height, width = tiles[0].shape[:2]
    pictures = [_picture(f"tile {i}", tile, (width, height)) for i, tile in enumerate(tiles)]
    lines = [label.split("\n") for label in labels]
    most = max(map(len, lines)) if any(labels) else 0
    if most > 2:
        raise InputError(f"sheet: expected labels of at most two lines, got {most}")
    large = round(1.5 * text)
    caption = [0, round(1.35 * large), round(1.35 * (large + text))][most]
    rows, columns = -(-len(tiles) // columns), min(columns, len(tiles))
    step = np.array([width + gap, height + caption + gap])
    image_module, draw_module = require("PIL.Image"), require("PIL.ImageDraw")
    page = image_module.new("RGB", tuple((step * [columns, rows] + gap).tolist()), paper)
    draw = draw_module.Draw(page)
    fonts = dejavu("DejaVuSans-Bold.ttf", large), dejavu("DejaVuSans.ttf", text)
    for index, (picture, label) in enumerate(zip(pictures, lines, strict=True)):
        x, y = (step * [index % columns, index // columns] + gap).tolist()
        page.paste(image_module.fromarray(picture), (x, y))
        baseline = y + height
        for line, font, ink in zip(label, fonts, (INK, QUIET), strict=False):
            baseline += round(1.2 * font.size)
            draw.text((x + 2, baseline), _fitting(line, font, width - 2), ink, font, anchor="ls")
    return np.array(page)


def _checked(vertices: Floats, template: HandTemplate) -> Floats:
    points = np.asarray(vertices, float)
    if points.shape != template.v_template.shape:
        raise InputError(
            f"vertices: expected {template.v_template.shape} of hand {template.name!r}, "
            f"got {points.shape}"
        )
    if not np.isfinite(points).all():
        raise InputError("vertices: expected finite metres, got NaN or infinity")
    return points


def _picture(name: str, picture: Any, size: tuple[int, int]) -> Image:
    image = np.asarray(picture)
    if image.dtype != np.uint8 or image.shape != (size[1], size[0], 3):
        raise InputError(
            f"{name}: expected uint8 {(size[1], size[0], 3)}, got {image.dtype} {image.shape}"
        )
    return image


def _over(below: Image, frame: Frame, opacity: float) -> Image:
    """The rendered meshes over a picture; where they do not reach, it stays as it is."""
    share = frame.coverage[..., None]
    colour = _TONES.tone_curve(frame.image / np.maximum(share, 1e-6))
    mixed = below + opacity * share * (255 * colour - below)
    return np.round(np.clip(mixed, 0, 255)).astype(np.uint8)


@lru_cache(maxsize=4)
def _subdivision(template: HandTemplate) -> Subdivision:
    return Subdivision(template.faces, len(template.v_template))


def _skinned(points: Floats, template: HandTemplate, skin: SkinTone) -> Mesh:
    none = np.zeros(len(points))
    palmar, nail, crease, flush = (
        template.extras.get(name, none) for name in ("palmar", "nail", "crease", "flush")
    )
    colour, gloss = skin.albedo(palmar, nail, crease, flush), skin.glosses(palmar, nail)
    return Mesh(points, template.faces, colour, gloss, SKIN, template.v_template)


def _with_arm(hand: Mesh, template: HandTemplate, skin: SkinTone, elbow: Floats) -> list[Mesh]:
    """The palm's place and turn follow from the vertices that no finger moves (Kabsch 1976)."""
    share = template.weights[:, 0] ** 8
    share = share / share.sum()
    rest, posed = share @ template.v_template, share @ hand.vertices
    spread = (share * (hand.vertices - posed).T) @ (template.v_template - rest)
    left, _, right = np.linalg.svd(spread)
    turn = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    wrist = turn @ (template.joint_regressor[0] @ template.v_template - rest) + posed
    frame = turn @ (_PALM if template.side == "right" else _LEFT[:, None] * _PALM)
    if elbow.shape != (3,) or not np.linalg.norm(elbow) > 0:
        raise InputError(f"elbow: expected a direction (3,) other than zero, got {elbow}")
    shape = ArmShape(sleeve=0.42)
    towards = elbow / np.linalg.norm(elbow)
    arm = Arm(shape, skin, (0.045, 0.06, 0.085), hand, wrist, frame)
    bare, sleeve = arm.place(hand.vertices, wrist, frame, wrist + shape.length * towards)
    return [Subdivision(bare.faces, len(bare.vertices)).mesh(bare), sleeve]


def _fitting(text: str, font: Any, room: float) -> str:
    """``text``, or as much of its beginning as is at most ``room`` pixels wide."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"
