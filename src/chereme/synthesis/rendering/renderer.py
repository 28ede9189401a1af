"""From meshes to a picture in linear light, with its ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hands.camera import Camera
from chereme.synthesis.rendering import fragments, raster, shade
from chereme.synthesis.rendering.light import Light, Lighting
from chereme.synthesis.rendering.mesh import Mesh, plain_mesh, vertex_normals
from chereme.synthesis.rendering.noise import LATTICE

Array = NDArray[Any]
Background = Array | tuple[float, float, float]
_NOTHING = plain_mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))


@dataclass(frozen=True, slots=True)
class Quality:
    """What a picture costs. ``samples``² tests of visibility a pixel; ``shadow_map`` texels a
    pixel, 0 for no shadows; ``occlusion`` metres within which surfaces darken each other, 0 for
    none."""

    samples: int = 2
    shadow_map: float = 1.25
    occlusion: float = 0.035


@dataclass(frozen=True, slots=True)
class Frame:
    """A rendered picture and what is known of it.

    ``image (H, W, 3)`` float32 linear RGB, 1 = a white surface in full key light, may be brighter;
    ``coverage (H, W)`` float32 0..1, the part of the pixel that meshes cover; ``depth (H, W)``
    float32 metres along z of what covers most of the pixel, inf where nothing does; ``objects
    (H, W)`` int16 its place in the list of meshes, -1 where nothing does.
    """

    image: Array
    coverage: Array
    depth: Array
    objects: Array


def render(
    meshes: Sequence[Mesh],
    camera: Camera,
    lighting: Lighting,
    background: Background = (0.0, 0.0, 0.0),
    quality: Quality = Quality(),
    behind: Array | None = None,
) -> Frame:
    """The picture of ``meshes`` (camera frame) before ``background``.

    ``background`` is linear RGB, ``(H, W, 3)`` or one colour. ``behind (H, W)`` float32 is how far
    what the background shows is, metres along z (inf: nothing); it hides what is farther. The same
    input gives the same output, bit for bit; the work is done in one thread without Python's lock,
    so several threads may each render a frame.
    """
    scene, picture = _Scene(meshes), _Picture(camera, background, behind)
    window = picture.window((scene,))
    if window is None:
        return picture.frame
    drawn = _draw(scene, camera, window, lighting, quality, picture.behind)
    return picture.with_light(window, drawn, drawn.frame.image, drawn.frame.coverage)


def render_moving(
    opening: Sequence[Mesh],
    closing: Sequence[Mesh],
    camera: Camera,
    lighting: Lighting,
    background: Background = (0.0, 0.0, 0.0),
    quality: Quality = Quality(),
    behind: Array | None = None,
    steps: int = 4,
) -> Frame:
    """The picture of meshes that move in straight lines while the shutter is open.

    ``opening`` and ``closing`` are the same meshes, in the same order, at both ends of the
    exposure. The light on them is that of its middle, once; what of them is seen where is the mean
    of ``steps`` times, each with its samples shifted by another part of a pixel, so that one sample
    a pixel and four steps are as smooth as ``render``'s 2 x 2. ``depth`` and ``objects`` are those
    of the middle; ``coverage`` is the mean.
    """
    first, last = _Scene(opening), _Scene(closing)
    middle = first.moved(0.5 * (first.vertices + last.vertices))
    picture = _Picture(camera, background, behind)
    window = picture.window((first, last))
    if window is None:
        return picture.frame
    drawn = _draw(middle, camera, window, lighting, replace(quality, samples=1), picture.behind)
    light = np.zeros_like(drawn.frame.image)
    coverage = np.zeros_like(drawn.frame.coverage)
    for step in range(steps):
        t = (step + 0.5) / steps
        # The golden ratio's multiples spread over the pixel however many steps there are.
        seen = camera.shifted(t - 0.5, (step * 0.6180340) % 1.0 - 0.5)
        now = (1 - t) * first.vertices + t * last.vertices
        key, owner, offsets = _visible(first, now, seen, window, quality.samples, picture.behind)
        drawn.look_up(now, seen, key, owner, offsets, light, coverage)
    share = np.float32(1 / (steps * quality.samples**2))
    return picture.with_light(window, drawn, light * share, coverage * share)


Window = tuple[slice, slice]  # rows and columns of the picture


class _Picture:
    """The background, before anything is drawn over it."""

    def __init__(self, camera: Camera, background: Background, behind: Array | None) -> None:
        shape = (camera.height, camera.width)
        ground = np.asarray(background, np.float32)
        self._camera, self.behind = camera, behind
        image = np.empty((*shape, 3), np.float32)
        image[:] = ground
        self.frame = Frame(
            image,
            np.zeros(shape, np.float32),
            np.full(shape, np.inf, np.float32),
            np.full(shape, -1, np.int16),
        )

    def window(self, scenes: Sequence[_Scene]) -> Window | None:
        """Where all that is to be seen of ``scenes``, and on the way, lies; None: nothing is."""
        c = self._camera
        ends = np.array([raster.extent(s.vertices, c.fx, c.fy, c.cx, c.cy) for s in scenes])
        # Pixels to spare for cameras that are shifted; infinite where there is no end.
        low = np.clip(np.floor(ends[:, :2].min(axis=0)) - 2, 0, (c.width, c.height))
        high = np.clip(np.ceil(ends[:, 2:].max(axis=0)) + 2, 0, (c.width, c.height))
        if (low >= high).any():
            return None
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def with_light(self, window: Window, drawn: _Drawn, light: Array, coverage: Array) -> Frame:
        """What was drawn, over the background."""
        frame = self.frame
        frame.coverage[window] = coverage
        frame.image[window] *= 1.0 - coverage[..., None]
        frame.image[window] += light
        frame.depth[window], frame.objects[window] = drawn.frame.depth, drawn.frame.objects
        return frame


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What ``_draw`` has drawn: ``frame`` is the part of the picture in the window, before black,
    and the rest what it takes to light more of the same scene."""

    frame: Frame
    scene: _Scene
    camera: Camera  # of the window
    lighting: Lighting
    shadow: _ShadowMap | None
    corner: tuple[int, int]

    def look_up(
        self,
        vertices: Array,
        camera: Camera,
        key: Array,
        owner: Array,
        offsets: Array,
        light: Array,
        coverage: Array,
    ) -> None:
        """Add the light of each sample of ``key`` and ``owner``, for which the scene's vertices are
        elsewhere, to ``light (h, w, 3)``, and 1 to ``coverage (h, w)``. What is not to be seen in
        the picture that was drawn is lit now, as it was then."""
        left, top = self.corner
        now, then = _view(camera, left, top), _view(self.camera, 0, 0)
        scene, frame = self.scene, self.frame
        samples = len(key) // len(light)
        flat = light.reshape(-1, 3)
        pixel, face, table = fragments.look_up(
            vertices, now, samples, offsets, key, owner, scene.vertices, scene.normals,
            scene.faces, scene.part, then, frame.depth, frame.objects, frame.image, flat, coverage,
        )  # fmt: skip
        if len(table):
            if self.shadow is not None:
                self.shadow.cast(pixel, frame.depth.shape[1], self.corner, table)
            _light(scene, self.camera, self.lighting, pixel, face, table, flat)


def _view(camera: Camera, left: int, top: int) -> tuple[float, float, float, float]:
    return camera.fx, camera.fy, camera.cx - left, camera.cy - top


def _visible(
    scene: _Scene, vertices: Array, camera: Camera, window: Window, n: int, behind: Array | None
) -> tuple[Array, Array, Array]:
    """``(depths, owner, offsets)`` of the samples in the window, ``n`` a side and pixel."""
    top, left = window[0].start, window[1].start
    height, width = window[0].stop - top, window[1].stop - left
    offsets = raster.sample_offsets(n, n * max(height, width))
    key = np.zeros((height * n, width * n), np.float32)
    if behind is not None:
        key[:] = np.repeat(np.repeat(1.0 / behind[window], n, axis=0), n, axis=1)
    owner = np.full(key.shape, raster.NOTHING, np.int32)
    view = _view(camera, left, top)
    raster.draw_perspective(vertices, scene.faces, scene.two_sided, *view, n, offsets, key, owner)
    fragments.depths(key, owner)
    return key, owner, offsets


def _draw(
    scene: _Scene,
    camera: Camera,
    window: Window,
    lighting: Lighting,
    quality: Quality,
    behind: Array | None,
) -> _Drawn:
    """Draw the part of the picture in ``window``, before black."""
    n = quality.samples
    key, owner, offsets = _visible(scene, scene.vertices, camera, window, n, behind)
    height, width = key.shape[0] // n, key.shape[1] // n
    corner = window[1].start, window[0].start
    view = _view(camera, *corner)
    pixel, face, table = fragments.fragments(
        scene.vertices, scene.normals, scene.faces, scene.part, *view, n, offsets, key, owner
    )
    if quality.occlusion > 0:
        shade.occlude(pixel, table, key, n, *view, quality.occlusion, 0.25 * camera.width, *corner)
    shadow = None
    if quality.shadow_map > 0 and len(table):
        shadow = _ShadowMap(scene, lighting.key, quality.shadow_map, camera, table)
        shadow.cast(pixel, width, corner, table)
    shade.smooth(pixel, table, width, height)
    coverage, depth, objects = fragments.truth(pixel, face, table, scene.part, width * height)
    image = np.zeros((height * width, 3), np.float32)
    _light(scene, camera, lighting, pixel, face, table, image)
    shape = (height, width)
    frame = Frame(
        image.reshape(height, width, 3),
        coverage.reshape(shape),
        depth.reshape(shape),
        objects.reshape(shape),
    )
    own = Camera(*view, width, height)
    return _Drawn(frame, scene, own, lighting, shadow, corner)


def _light(
    scene: _Scene,
    camera: Camera,
    lighting: Lighting,
    pixel: Array,
    face: Array,
    table: Array,
    image: Array,
) -> None:
    """Add the light of the fragments to ``image (H * W, 3)``."""
    lights = (lighting.key, *lighting.others)
    directions = np.array([light.direction for light in lights], np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    up = np.asarray(lighting.up, np.float32)
    shade.shade(
        pixel, face, table, scene.vertices, scene.faces, scene.part, scene.colour,
        scene.gloss, scene.detail, scene.materials, directions,
        np.array([light.colour for light in lights], np.float32),
        np.asarray(lighting.sky, np.float32), np.asarray(lighting.ground, np.float32),
        up / np.linalg.norm(up), LATTICE, camera.fx, image,
    )  # fmt: skip


class _Scene:
    """All meshes in one set of arrays."""

    def __init__(self, meshes: Sequence[Mesh]) -> None:
        meshes = meshes or [_NOTHING]
        starts = np.cumsum([0, *(len(m.vertices) for m in meshes)])
        self.vertices = np.concatenate([m.vertices for m in meshes]).astype(np.float32)
        self.faces = np.concatenate(
            [m.faces + start for m, start in zip(meshes, starts, strict=False)]
        ).astype(np.int32)
        sizes = [len(m.faces) for m in meshes]
        self.part = np.repeat(np.arange(len(meshes), dtype=np.int16), sizes)
        self.two_sided = np.repeat([m.two_sided for m in meshes], sizes)
        self.colour = np.concatenate([m.colour for m in meshes]).astype(np.float32)
        self.gloss = np.concatenate([m.gloss for m in meshes]).astype(np.float32)
        self.detail = np.concatenate(
            [m.vertices if m.detail is None else m.detail for m in meshes]
        ).astype(np.float32)
        self.materials = np.array([astuple(m.material) for m in meshes], np.float32)
        for row, mesh in zip(self.materials, meshes, strict=True):
            if mesh.detail is None:
                row[shade.MOTTLE] = row[shade.RELIEF] = 0.0
        self.normals = vertex_normals(self.vertices, self.faces)

    def moved(self, vertices: Array) -> _Scene:
        """The same meshes with their vertices elsewhere."""
        scene = copy(self)
        scene.vertices = vertices.astype(np.float32)
        scene.normals = vertex_normals(scene.vertices, self.faces)
        return scene


class _ShadowMap:
    """The meshes as the key light sees them; ``table``: the fragments that are to be looked up."""

    def __init__(
        self, scene: _Scene, light: Light, fineness: float, camera: Camera, table: Array
    ) -> None:
        to_light = np.asarray(light.direction, float)
        to_light /= np.linalg.norm(to_light)
        side = np.cross(to_light, (0.0, 0.0, 1.0) if abs(to_light[2]) < 0.9 else (0.0, 1.0, 0.0))
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(to_light, side), to_light])
        # Only what is in the picture receives shadows: the map need not be larger than that, and
        # its texels not finer than the picture's pixels are on what it shows.
        low, high = fragments.bounds(table, axes)
        size = fineness * max(camera.width, camera.height)
        footprint = float(table[:, fragments.DEPTH].mean()) / (camera.fx * fineness)
        texel = max(float((high - low).max()) / size, footprint, 1e-6)
        rows = axes.copy()
        rows[:2] /= texel
        shift = np.array([4 - low[0] / texel, 4 - low[1] / texel, 0.0])
        points = scene.vertices @ rows.T.astype(np.float32) + shift.astype(np.float32)
        extent = np.ceil((high - low) / texel).astype(int) + 8
        depths = np.full((extent[1], extent[0]), -np.inf, np.float32)
        owner = np.empty(depths.shape, np.int32)
        offsets = raster.sample_offsets(1, int(extent.max()))
        raster.draw_parallel(points, scene.faces, scene.two_sided, offsets, depths, owner)
        self._matrix = np.vstack([rows, shift]).astype(np.float32)
        self._depths, self._texel, self._spread = depths, texel, light.spread

    def cast(self, pixel: Array, columns: int, corner: tuple[int, int], table: Array) -> None:
        """Fill the columns LIT and THICK of ``table``; ``pixel`` numbers are those of a part of the
        picture, ``columns`` wide, whose ``corner`` is left, top."""
        shade.cast_shadow(
            pixel, columns, *corner, table, self._matrix, self._depths, self._texel, self._spread
        )
