"""Whole pictures against closed forms."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.hands.camera import Camera
from chereme.synthesis.rendering import (
    Light,
    Lighting,
    Mesh,
    Quality,
    SkinTone,
    render,
    render_moving,
)
from chereme.synthesis.rendering.mesh import SKIN, plain_mesh
from chereme.synthesis.rendering.shapes import ellipsoid, square

CAMERA = Camera(300.0, 300.0, 64.0, 64.0, 128, 128)
BARE = Quality(shadow_map=0, occlusion=0)


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_sphere_covers_its_outline(sphere, even_light, samples):
    frame = render([sphere], CAMERA, even_light, quality=Quality(samples, 0, 0))
    # The outline of a sphere of radius r at distance d is a cone of sin(angle) = r / d.
    expected = np.pi * (300 * np.tan(np.arcsin(0.1))) ** 2
    assert frame.coverage.sum() == pytest.approx(expected, rel=0.004)
    edge = (frame.coverage > 0) & (frame.coverage < 1)
    assert edge.any() == (samples > 1)
    assert set(np.unique(frame.objects)) == {-1, 0}
    assert np.isinf(frame.depth[frame.objects < 0]).all()
    assert frame.depth.min() == pytest.approx(0.9, abs=1e-4)


def test_brightness_of_a_lit_sphere_is_lamberts(sphere):
    light = Lighting(Light((-1.0, -2.0, -2.0), (1.0, 0.5, 0.25)), (), (0, 0, 0), (0, 0, 0))
    frame = render([sphere], CAMERA, light, quality=BARE)
    row, column = np.mgrid[0:128, 0:128]
    ray = np.stack([(column + 0.5 - 64) / 300, (row + 0.5 - 64) / 300, np.ones_like(row)], -1)
    half = ray[..., 2] / (ray**2).sum(-1)
    root = half**2 - (1 - 0.01) / (ray**2).sum(-1)
    inside = root > 1e-4  # not the very rim
    point = ray * (half - np.sqrt(np.maximum(root, 0)))[..., None]
    normal = (point - [0, 0, 1]) / 0.1
    cosine = normal @ (np.array([-1, -2, -2]) / 3)
    # Not the rim, where the normal turns within a pixel.
    facing = -(normal * ray).sum(-1) / np.linalg.norm(ray, axis=-1)
    lit = inside & (cosine > 0.1) & (facing > 0.25)
    # A matt surface also has a faint, wide highlight: at most a few percent.
    np.testing.assert_allclose(frame.image[lit, 0], cosine[lit], atol=0.045)
    np.testing.assert_allclose(frame.image[lit, 1], frame.image[lit, 0] * 0.5, atol=1e-4)
    assert frame.image[inside & (cosine < -0.05)].max() < 1e-3


def test_white_furnace(sphere, even_light):
    """In even light a white body sends back what it gets, never more: it all but disappears."""
    for gloss in (0.0, 0.5, 1.0):
        body = sphere.replace(gloss=np.full(len(sphere.vertices), gloss))
        frame = render([body], CAMERA, even_light, (1.0, 1.0, 1.0), quality=BARE)
        assert frame.image.max() <= 1.0 + 1e-4
        assert frame.image.min() > 0.98


@pytest.mark.parametrize("gloss", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("tone", [25.0, 68.0])
def test_skin_sends_back_no_more_than_it_gets(gloss, tone):
    """The mean over the sphere of directions of a light, seen from the front, is below 1."""
    vertices, faces = ellipsoid((0.1, 0.1, 0.1), 40, 60)
    colour = np.broadcast_to(SkinTone(tone).albedo(), vertices.shape)
    body = Mesh(
        vertices + np.array([0, 0, 1.0]), faces, colour, np.full(len(vertices), gloss), SKIN
    )
    camera = Camera(100.0, 100.0, 16.0, 16.0, 32, 32)
    rng, total = np.random.default_rng(0), 0.0
    for direction in rng.normal(size=(150, 3)):
        light = Lighting(Light(tuple(direction)), (), (0, 0, 0), (0, 0, 0))
        frame = render([body], camera, light, quality=BARE)
        # A white matt surface sends back a quarter on average (the mean of max(cos, 0)).
        total += frame.image[16, 16].mean() * 4 / 150
    albedo = float(SkinTone(tone).albedo().mean())
    assert albedo * 0.75 < total < albedo + 0.12


def test_attributes_are_interpolated_in_space_not_on_the_screen(even_light):
    # A board leaning away: its colour is linear along the board, so not along the picture.
    z = np.array([1.0, 1.0, 4.0, 4.0])
    vertices = np.array([[-0.4, 0.5, 1], [0.4, 0.5, 1], [0.4, -0.5, 4], [-0.4, -0.5, 4.0]])
    share = (z - 1) / 3
    colour = np.repeat(share[:, None], 3, axis=1)
    mesh = Mesh(vertices, np.array([[0, 2, 1], [0, 3, 2]]), colour, np.zeros(4), two_sided=True)
    camera = Camera(60.0, 60.0, 32.0, 32.0, 64, 64)
    frame = render([mesh], camera, even_light, quality=Quality(1, 0, 0))
    row = np.flatnonzero(frame.coverage[:, 32] == 1)
    # The ray of the row meets the plane y = 0.5 - (z - 1) / 3.
    slope = (row + 0.5 - 32) / 60
    depth = (0.5 + 1 / 3) / (slope + 1 / 3)
    np.testing.assert_allclose(frame.depth[row, 32], depth, rtol=3e-3)
    # 0.02 is the reflection of the surface itself, near grazing a little more.
    np.testing.assert_allclose(frame.image[row, 32, 0], (depth - 1) / 3, atol=0.05)


def test_shadow_falls_where_the_light_throws_it(lamp):
    wall, wall_faces = square(
        np.array([0, 0, 1.0]), np.array([0.3, 0, 0]), np.array([0, 0.3, 0]), 8
    )
    card, card_faces = square(
        np.array([-0.05, -0.05, 0.9]), np.array([0.05, 0, 0]), np.array([0, 0.05, 0])
    )
    meshes = [plain_mesh(wall, wall_faces), plain_mesh(card, card_faces, two_sided=True)]
    camera = Camera(200.0, 200.0, 64.0, 64.0, 128, 128)
    frame = render(meshes, camera, lamp, quality=Quality(occlusion=0))
    # Light from (-1, -1, -1): at 0.1 m behind, the shadow lies 0.1 m to the right and below.
    lit = render(meshes[:1], camera, lamp, quality=BARE).image[..., 0]
    # Seen: the wall, not the card.
    with np.errstate(invalid="ignore"):
        ratio = np.where(frame.objects == 0, frame.image[..., 0] / lit, np.nan)

    def at(x: float, y: float) -> tuple[int, int]:
        u, v = camera.project(np.array([x, y, 1.0]))
        return int(v), int(u)

    assert ratio[at(0.05, 0.05)] < 0.05
    for x, y in ((0.03, 0.03), (0.07, 0.03), (0.03, 0.07), (0.07, 0.07)):
        assert ratio[at(x, y)] < 0.1
    for x, y in (
        (0.05, 0.12),
        (0.12, 0.05),
        (-0.02, 0.05),
        (0.05, -0.02),
        (-0.2, 0.2),
        (0.2, -0.2),
    ):
        assert ratio[at(x, y)] > 0.9
    dark = (1 - ratio[(frame.objects == 0)]).sum()
    assert dark == pytest.approx(0.1**2 * 200**2, rel=0.1)


def test_a_wider_light_softens_the_edge_and_keeps_the_place():
    wall, wall_faces = square(
        np.array([0, 0, 1.0]), np.array([0.3, 0, 0]), np.array([0, 0.3, 0]), 8
    )
    card, card_faces = square(
        np.array([-0.1, 0, 0.9]), np.array([0.05, 0, 0]), np.array([0, 0.3, 0])
    )
    meshes = [plain_mesh(wall, wall_faces), plain_mesh(card, card_faces, two_sided=True)]
    camera = Camera(300.0, 300.0, 64.0, 64.0, 128, 128)
    widths, centres = [], []
    for spread in (0.01, 0.25):
        light = Lighting(Light((-1, 0, -1), spread=spread), (), (0, 0, 0), (0, 0, 0))
        frame = render(meshes, camera, light, quality=Quality(occlusion=0))
        level = frame.image[50:78, 70:110, 0].mean(axis=0)  # to the right of the card
        level = level / level.max()
        widths.append(np.sum((level > 0.1) & (level < 0.9)))
        # The right edge of the shadow lies 0.05 m right of the middle.
        centres.append(70 + np.argmax(level > 0.5))
    assert widths[1] > widths[0] + 4
    assert centres[0] == pytest.approx(64 + 0.05 * 300, abs=1.5)
    assert centres[1] == pytest.approx(centres[0], abs=2.5)


def test_occlusion_darkens_a_corner_and_not_an_open_wall(even_light):
    wall, faces = square(np.array([0, 0, 1.0]), np.array([0.3, 0, 0]), np.array([0, 0.3, 0]), 8)
    open_wall = render([plain_mesh(wall, faces)], CAMERA, even_light)
    bare = render([plain_mesh(wall, faces)], CAMERA, even_light, quality=BARE)
    np.testing.assert_allclose(open_wall.image, bare.image, atol=0.02)
    book = []
    for side in (-1, 1):  # an open book, its spine 1 m away and its pages upright
        page, page_faces = square(
            np.array([0.1 * side, 0, 0.9]),
            np.array([0.1, 0, 0.1 * -side]),
            np.array([0, 0.3, 0]),
            8,
        )
        book.append(plain_mesh(page, page_faces))
    ratio = (
        render(book, CAMERA, even_light).image
        / render(book, CAMERA, even_light, quality=BARE).image
    )
    assert ratio[64, 62:66].max() < 0.87
    assert ratio[64, [38, 90]].min() > 0.97  # 8 cm from the spine


def test_same_input_same_bits_in_any_thread(sphere, lamp):
    expected = render([sphere], CAMERA, lamp, (0.1, 0.2, 0.3))
    with ThreadPoolExecutor(2) as pool:
        frames = list(pool.map(lambda _: render([sphere], CAMERA, lamp, (0.1, 0.2, 0.3)), range(4)))
    for frame in frames:
        np.testing.assert_array_equal(frame.image, expected.image)
        np.testing.assert_array_equal(frame.depth, expected.depth)


def test_background_shows_where_nothing_covers_it(sphere, even_light, rng):
    background = rng.random((128, 128, 3)).astype(np.float32)
    frame = render([sphere], CAMERA, even_light, background)
    clear = frame.coverage == 0
    np.testing.assert_array_equal(frame.image[clear], background[clear])
    empty = render([], CAMERA, even_light, background)
    np.testing.assert_array_equal(empty.image, background)
    assert empty.coverage.max() == 0


def test_the_place_in_the_picture_does_not_matter(sphere, lamp):
    """A part of a larger picture is the same, up to the grain of shadow and occlusion."""
    whole = render([sphere], CAMERA, lamp, quality=Quality(shadow_map=0))
    part = render([sphere], CAMERA.window(20, 30, 80, 80), lamp, quality=Quality(shadow_map=0))
    np.testing.assert_allclose(part.coverage, whole.coverage[30:110, 20:100], atol=1e-6)
    np.testing.assert_allclose(part.depth, whole.depth[30:110, 20:100], rtol=1e-6)
    np.testing.assert_allclose(part.image, whole.image[30:110, 20:100], atol=0.02)


def test_what_stands_before_the_meshes_in_the_background_hides_them(sphere, even_light):
    behind = np.full((128, 128), np.inf, np.float32)
    behind[:, :64] = 0.5  # before the sphere, the right half of the picture far behind it
    behind[:64, 64:] = 3.0
    background = np.full((128, 128, 3), 0.25, np.float32)
    plain = render([sphere], CAMERA, even_light, background)
    for frame in (
        render([sphere], CAMERA, even_light, background, behind=behind),
        render_moving([sphere], [sphere], CAMERA, even_light, background, behind=behind),
    ):
        assert frame.coverage[:, :63].max() == 0
        np.testing.assert_array_equal(frame.image[:, :63], background[:, :63])
        np.testing.assert_allclose(frame.coverage[:, 65:], plain.coverage[:, 65:], atol=0.5)
        assert frame.coverage[64, 70] == 1


def test_nothing_in_view_is_no_error(sphere, lamp):
    behind = sphere.transformed(shift=np.array([0, 0, -2.0]))
    assert render([behind], CAMERA, lamp).coverage.max() == 0


def test_nearer_mesh_hides_the_other_whatever_their_order(sphere, even_light):
    far = sphere.transformed(shift=np.array([0.05, 0, 0.5]))
    one = render([sphere, far], CAMERA, even_light)
    other = render([far, sphere], CAMERA, even_light)
    assert one.objects[64, 64] == 0
    assert other.objects[64, 64] == 1
    np.testing.assert_array_equal(one.depth, other.depth)


def test_motion_smears_along_the_way_and_keeps_the_light(sphere, even_light):
    small = plain_mesh(*ellipsoid((0.02, 0.02, 0.02), 30, 40), (1.0, 1.0, 1.0), 0.0)
    start = small.transformed(shift=np.array([-0.05, 0, 1.0]))
    end = small.transformed(shift=np.array([0.05, 0, 1.0]))
    still = render([start], CAMERA, even_light, quality=BARE)
    moved = render_moving([start], [end], CAMERA, even_light, quality=BARE, steps=16)
    assert moved.coverage.sum() == pytest.approx(still.coverage.sum(), rel=0.02)
    columns = np.flatnonzero(moved.coverage.max(axis=0) > 0.02)
    rows = np.flatnonzero(moved.coverage.max(axis=1) > 0.02)
    assert len(columns) == pytest.approx(2 * 6 + 30 * 15 / 16, abs=3)
    assert len(rows) == pytest.approx(2 * 6, abs=2)
    # Standing still, one sample and steps² shifts are as smooth as samples².
    calm = render_moving([start], [start], CAMERA, even_light, quality=Quality(1, 0, 0), steps=4)
    assert np.abs(calm.coverage - still.coverage).max() <= 0.5
    assert len(np.unique(calm.coverage.round(3))) == 5


def test_a_moving_picture_is_about_the_mean_of_many(rng):
    """Light is taken from the middle of the exposure: what was hidden then is lit as well."""
    light = Lighting(Light((-0.5, -0.7, -0.6), spread=0.05), (), (0.3, 0.3, 0.3), (0.2, 0.2, 0.2))
    front = plain_mesh(*ellipsoid((0.03, 0.05, 0.03), 30, 40), (0.8, 0.3, 0.2), 0.3)
    front = front.transformed(shift=np.array([0.0, 0.0, 0.8]))
    wall, faces = square(np.array([0, 0, 1.0]), np.array([0.3, 0, 0]), np.array([0, 0.3, 0]), 8)
    back = plain_mesh(wall, faces, (0.3, 0.5, 0.7), 0.1)
    shift = np.array([0.03, 0.01, 0.0])
    start, end = front.transformed(shift=-shift), front.transformed(shift=shift)
    moved = render_moving([back, start], [back, end], CAMERA, light, steps=12)
    stills = [
        render([back, front.transformed(shift=s * shift)], CAMERA, light).image
        for s in (np.arange(12) + 0.5) / 6 - 1
    ]
    mean = np.mean(stills, axis=0)
    assert np.abs(moved.image - mean).mean() < 0.01 * mean.mean() + 0.005
    assert np.quantile(np.abs(moved.image - mean), 0.98) < 0.06
    assert (moved.coverage == 1).all()


def test_a_finer_grid_of_samples_comes_closer_to_the_truth(even_light):
    # A thin needle, slanted: its area is known.
    corners = np.array([[-0.15, -0.1, 1], [0.15, 0.1, 1], [0.15, 0.106, 1], [-0.15, -0.094, 1.0]])
    needle = plain_mesh(corners, np.array([[0, 2, 1], [0, 3, 2]]), two_sided=True)
    errors = []
    for n in (1, 4):
        cover = render([needle], CAMERA, even_light, quality=Quality(n, 0, 0)).coverage
        along = cover[:, 25:103].sum(axis=0)  # in each column 1.8 pixels
        errors.append(np.abs(along - 1.8).mean())
    assert errors[1] < 0.3 * errors[0]
    assert errors[1] < 0.12
