"""Colour of what is seen: occlusion, shadow, and the light that the fragments send back."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from chereme.synthesis.rendering.fragments import (
    B0,
    B1,
    DEPTH,
    FAST,
    LIT,
    NX,
    NY,
    NZ,
    OPEN,
    THICK,
    WEIGHT,
    X,
    Y,
)
from chereme.synthesis.rendering.noise import value_noise

AO_TAPS = 8
AO_STRENGTH = 2.6  # Choice: by eye, so that fingers stand out from the palm as in photographs
SHADOW_TAPS = 16


def _sunflower(count: int, power: float) -> NDArray[np.float64]:
    """``(count, 2)`` points in the unit disc, evenly spread for a power of 0.5."""
    turns = np.arange(count) * np.pi * (3 - np.sqrt(5))
    radii = ((np.arange(count) + 0.5) / count) ** power
    points: NDArray[np.float64] = radii[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    return points


# Closer together near the middle, where what stands close hides most.
AO_DISC = _sunflower(AO_TAPS, 1.0)
TAPS = _sunflower(SHADOW_TAPS, 0.5)
# Columns of the materials' table, in the order of ``mesh.Material``'s fields.
SCATTER, MOTTLE, MOTTLE_SIZE, RELIEF, RELIEF_SIZE, RIDGED, SHEEN = range(7)


@njit(cache=True, nogil=True)
def _phase(column, row):  # type: ignore[no-untyped-def]
    """0..1, as different as can be between near pixels (Jimenez' interleaved gradient noise)."""
    inner = 0.06711056 * column + 0.00583715 * row
    inner = 52.9829189 * (inner - np.floor(inner))
    return inner - np.floor(inner)


@njit(cache=True, nogil=True, fastmath=FAST)
def occlude(  # type: ignore[no-untyped-def]
    pixel, table, depths, n, fx, fy, cx, cy, radius, widest, left, top
) -> None:
    """Fill the column OPEN: 1 where nothing within ``radius`` metres hides the sky, less where it
    does. From the depths round the pixel (inf: nothing there), at most ``widest`` pixels away,
    after McGuire et al., Scalable Ambient Obscurance (2012). ``left``, ``top``: the first pixel's
    place in the whole picture.
    """
    height, width = depths.shape
    columns = width // n
    per_x, per_y = 1.0 / (n * fx), 1.0 / (n * fy)
    per_radius = 1.0 / (radius * radius)
    for index in range(len(pixel)):
        line = table[index]
        row = pixel[index] // columns
        column = pixel[index] - row * columns
        z, px, py = line[DEPTH], line[X], line[Y]
        reach = min(radius * fx / z, widest) * n
        turn = _phase(left + column, top + row) * 6.2832
        cosine, sine = reach * np.cos(turn), reach * np.sin(turn)
        middle_x, middle_y = (column + 0.5) * n, (row + 0.5) * n
        hidden = 0.0
        for tap in range(AO_TAPS):
            sx = int(middle_x + cosine * AO_DISC[tap, 0] - sine * AO_DISC[tap, 1])
            sy = int(middle_y + cosine * AO_DISC[tap, 1] + sine * AO_DISC[tap, 0])
            if sx < 0 or sy < 0 or sx >= width or sy >= height:
                continue
            there = depths[sy, sx]
            if abs(there - z) > radius:
                continue
            vx = (sx + 0.5 - n * cx) * per_x * there - px
            vy = (sy + 0.5 - n * cy) * per_y * there - py
            vz = there - z
            squared = vx * vx + vy * vy + vz * vz
            near = 1.0 - squared * per_radius
            rise = vx * line[NX] + vy * line[NY] + vz * line[NZ]
            if near > 0 and rise > 0:
                # Faces are flat and samples coarse: a rise below the bias is no obstacle.
                hidden += near * max(rise / np.sqrt(squared + 1e-12) - 0.1, 0.0)
        line[OPEN] = max(1.0 - AO_STRENGTH * hidden / AO_TAPS, 0.08)


@njit(cache=True, nogil=True, fastmath=FAST)
def cast_shadow(  # type: ignore[no-untyped-def]
    pixel, columns, left, top, table, to_light, depths, texel, spread
) -> None:
    """Fill the columns LIT (1 = the key light reaches it) and THICK (metres of body before it).

    ``to_light (4, 3)``: rows give x, y in texels and the key of a point of the camera frame with
    columns x, y, z; the last row is added. ``depths`` are the keys of the shadow map (metres along
    the light, larger = nearer to it), ``texel`` metres. The soft edge is as wide as the distance to
    what casts it and the ``spread`` of the light make it (Fernando, Percentage-Closer Soft Shadows,
    2005).
    """
    height, width = depths.shape
    search = max(0.04 * spread / texel, 1.5)
    for index in range(len(pixel)):
        line = table[index]
        # Off the surface by more than the map is coarse, or it would shade itself.
        x = line[X] + line[NX] * texel
        y = line[Y] + line[NY] * texel
        z = line[DEPTH] + line[NZ] * texel
        lx = to_light[0, 0] * x + to_light[0, 1] * y + to_light[0, 2] * z + to_light[3, 0]
        ly = to_light[1, 0] * x + to_light[1, 1] * y + to_light[1, 2] * z + to_light[3, 1]
        lk = to_light[2, 0] * x + to_light[2, 1] * y + to_light[2, 2] * z + to_light[3, 2]
        # The keys of the surface's own plane rise by this much a texel.
        nx = to_light[0, 0] * line[NX] + to_light[0, 1] * line[NY] + to_light[0, 2] * line[NZ]
        ny = to_light[1, 0] * line[NX] + to_light[1, 1] * line[NY] + to_light[1, 2] * line[NZ]
        nk = to_light[2, 0] * line[NX] + to_light[2, 1] * line[NY] + to_light[2, 2] * line[NZ]
        steep = -texel * texel / max(nk, 0.2)
        rise_x, rise_y = nx * steep, ny * steep
        lk += 0.001 + 0.5 * texel
        turn = _phase(left + pixel[index] % columns, top + pixel[index] // columns)
        cosine, sine = np.cos(turn * 6.2832), np.sin(turn * 6.2832)
        blockers, ahead = 0, 0.0
        for tap in range(1, SHADOW_TAPS, 2):
            dx = search * (cosine * TAPS[tap, 0] - sine * TAPS[tap, 1])
            dy = search * (cosine * TAPS[tap, 1] + sine * TAPS[tap, 0])
            sx, sy = int(lx + dx), int(ly + dy)
            if 0 <= sx < width and 0 <= sy < height:
                over = depths[sy, sx] - lk - rise_x * dx - rise_y * dy
                if over > 0:
                    blockers += 1
                    ahead += over
        line[LIT], line[THICK] = 1.0, 0.0
        if blockers == 0:
            continue
        ahead /= blockers
        soft = min(max(ahead * spread / texel, 1.2), 2 * search)
        dark = 0
        for tap in range(SHADOW_TAPS):
            dx = soft * (cosine * TAPS[tap, 0] - sine * TAPS[tap, 1])
            dy = soft * (cosine * TAPS[tap, 1] + sine * TAPS[tap, 0])
            sx, sy = int(lx + dx), int(ly + dy)
            if (
                0 <= sx < width
                and 0 <= sy < height
                and depths[sy, sx] > lk + rise_x * dx + rise_y * dy
            ):
                dark += 1
        line[LIT] = 1.0 - dark / SHADOW_TAPS
        line[THICK] = ahead


@njit(cache=True, nogil=True, fastmath=FAST)
def smooth(pixel, table, width, height) -> None:  # type: ignore[no-untyped-def]
    """Make ``table``'s columns OPEN and LIT the mean of the 4x4 pixels round each at like depth.

    The taps of near pixels were turned differently, so this takes the grain out.
    """
    first = np.full(width * height, -1, np.int32)
    for index in range(len(pixel) - 1, -1, -1):
        first[pixel[index]] = index
    result = np.empty((len(pixel), 2), np.float32)
    for index in range(len(pixel)):
        row, column = pixel[index] // width, pixel[index] % width
        z = table[index, DEPTH]
        opened, lit, count = table[index, OPEN], table[index, LIT], 1
        for y in range(max(row - 1, 0), min(row + 3, height)):
            for x in range(max(column - 1, 0), min(column + 3, width)):
                other = first[y * width + x]
                if other >= 0 and other != index and abs(table[other, DEPTH] - z) < 0.006:
                    opened += table[other, OPEN]
                    lit += table[other, LIT]
                    count += 1
        result[index, 0], result[index, 1] = opened / count, lit / count
    table[:, OPEN], table[:, LIT] = result[:, 0], result[:, 1]


@njit(cache=True, nogil=True, fastmath=FAST)
def _roughened(line, corners, vertices, detail, material, lattice, footprint):  # type: ignore[no-untyped-def]
    """(mottling -1..1, normal) of the surface's fine structure at a fragment."""
    a, b, c = corners[0], corners[1], corners[2]
    b0, b1 = line[B0], line[B1]
    b2 = 1.0 - b0 - b1
    qx = b0 * detail[a, 0] + b1 * detail[b, 0] + b2 * detail[c, 0]
    qy = b0 * detail[a, 1] + b1 * detail[b, 1] + b2 * detail[c, 1]
    qz = b0 * detail[a, 2] + b1 * detail[b, 2] + b2 * detail[c, 2]
    nx, ny, nz = line[NX], line[NY], line[NZ]
    blotch = 0.0
    shown = min(max(0.5 * material[MOTTLE_SIZE] / footprint - 0.5, 0.0), 1.0)
    if material[MOTTLE] > 0 and shown > 0:
        s = 1.0 / material[MOTTLE_SIZE]
        coarse = value_noise(lattice, qx * s, qy * s, qz * s)[0]
        fine = value_noise(lattice, qx * s * 2.7 + 7, qy * s * 2.7, qz * s * 2.7)[0]
        blotch = material[MOTTLE] * shown * (0.65 * coarse + 0.45 * fine)
    shown = min(max(0.5 * material[RELIEF_SIZE] / footprint - 0.5, 0.0), 1.0)
    if material[RELIEF] > 0 and shown > 0:
        s = 1.0 / material[RELIEF_SIZE]
        # The lattice is turned (rows of an orthonormal matrix), or its axes would show.
        x = s * (0.36 * qx + 0.48 * qy - 0.8 * qz)
        y = s * (0.6 * qy - 0.8 * qx)
        z = s * (0.48 * qx + 0.64 * qy + 0.6 * qz)
        value, dx, dy, dz = value_noise(lattice, x, y, z)
        _, fx, fy, fz = value_noise(lattice, 2.3 * x, 2.3 * z, 2.3 * y)
        if material[RIDGED] > 0:
            side = -2.0 * min(max(4.0 * value, -1.0), 1.0)
            dx, dy, dz = dx * side, dy * side, dz * side
        dx, dy, dz = dx + 0.7 * fx, dy + 0.7 * fz, dz + 0.7 * fy
        gx = 0.36 * dx - 0.8 * dy + 0.48 * dz
        gy = 0.48 * dx + 0.6 * dy + 0.64 * dz
        gz = -0.8 * dx + 0.6 * dz
        # The slope along the face's edges in the rest pose is that along the same edges now.
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        vx, vy, vz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        du = (
            gx * (detail[b, 0] - detail[a, 0])
            + gy * (detail[b, 1] - detail[a, 1])
            + gz * (detail[b, 2] - detail[a, 2])
        )
        dv = (
            gx * (detail[c, 0] - detail[a, 0])
            + gy * (detail[c, 1] - detail[a, 1])
            + gz * (detail[c, 2] - detail[a, 2])
        )
        uu = ux * ux + uy * uy + uz * uz
        uv = ux * vx + uy * vy + uz * vz
        vv = vx * vx + vy * vy + vz * vz
        size = material[RELIEF] * shown / max(uu * vv - uv * uv, 1e-20)
        ku, kv = (du * vv - dv * uv) * size, (dv * uu - du * uv) * size
        nx -= ku * ux + kv * vx
        ny -= ku * uy + kv * vy
        nz -= ku * uz + kv * vz
        length = 1.0 / np.sqrt(max(nx * nx + ny * ny + nz * nz, 1e-12))
        nx, ny, nz = nx * length, ny * length, nz * length
    return blotch, nx, ny, nz


@njit(cache=True, nogil=True, fastmath=FAST)
def _blurred_lambert(cosine, width):  # type: ignore[no-untyped-def]
    """max(cosine, 0) blurred by a box of half-width ``width``: light that spreads in the skin."""
    if cosine >= width:
        return cosine
    if cosine <= -width:
        return 0.0
    return (cosine + width) ** 2 / (4.0 * width)


@njit(cache=True, nogil=True, fastmath=FAST)
def shade(  # type: ignore[no-untyped-def]
    pixel, face, table, vertices, faces, part, colour, gloss, detail, materials,
    directions, lights, sky, ground, up, lattice, fx, image,
) -> None:  # fmt: skip
    """Add weight x radiance of each fragment to ``image (H * W, 3)``.

    Diffuse light is Lambert's, blurred by scattering; highlights are GGX with Schlick's Fresnel
    term; the light from all round is a hemisphere, dimmed by occlusion with colour (Jimenez et al.,
    Practical Real-Time Strategies for Accurate Indirect Occlusion, 2016).
    """
    rgb = np.empty(3)
    # Of the blur of light under the skin, in cosines, and of its reach through it, in metres.
    spread = (0.34, 0.14, 0.08)
    reach = (0.0060, 0.0022, 0.0015)
    for index in range(len(pixel)):
        line = table[index]
        corners = faces[face[index]]
        a, b, c = corners[0], corners[1], corners[2]
        b0, b1 = line[B0], line[B1]
        b2 = 1.0 - b0 - b1
        material = materials[part[face[index]]]
        opened, lit = line[OPEN], line[LIT]
        z = line[DEPTH]
        blotch, nx, ny, nz = _roughened(line, corners, vertices, detail, material, lattice, z / fx)
        shiny = b0 * gloss[a] + b1 * gloss[b] + b2 * gloss[c]
        rough = 0.8 - 0.62 * shiny
        alpha = rough * rough
        alpha2 = alpha * alpha
        mirror = 0.02 + 0.03 * shiny
        away = 1.0 / np.sqrt(line[X] ** 2 + line[Y] ** 2 + z * z)
        vx, vy, vz = -line[X] * away, -line[Y] * away, -z * away
        nv = max(nx * vx + ny * vy + nz * vz, 0.02)
        scatter, sheen = material[SCATTER], material[SHEEN]
        for channel in range(3):
            albedo = b0 * colour[a, channel] + b1 * colour[b, channel] + b2 * colour[c, channel]
            # Blood makes most of the blotches: they are stronger in green and blue.
            tint = blotch * (1.0 if scatter == 0 else 0.55 + 0.25 * min(channel, 1))
            rgb[channel] = min(max(albedo * (1.0 + tint), 0.0), 1.0)
        fresnel = mirror + (1.0 - mirror) * (1.0 - nv) ** 5 * (0.15 + 0.5 * shiny)
        facing = 0.5 + 0.5 * (nx * up[0] + ny * up[1] + nz * up[2])
        reflected = 0.5 + 0.5 * (
            (2 * nv * nx - vx) * up[0] + (2 * nv * ny - vy) * up[1] + (2 * nv * nz - vz) * up[2]
        )
        for channel in range(3):
            around = ground[channel] + (sky[channel] - ground[channel]) * facing
            mirrored = ground[channel] + (sky[channel] - ground[channel]) * reflected
            albedo = rgb[channel]
            bounced = opened * (
                (opened * (2.0404 * albedo - 0.3324) + (-4.7951 * albedo + 0.6417)) * opened
                + (2.7552 * albedo + 0.6903)
            )
            value = (1.0 - fresnel) * albedo * around * max(bounced, opened)
            value += fresnel * mirrored * opened
            image[pixel[index], channel] += line[WEIGHT] * value
        for light in range(len(directions)):
            lx, ly, lz = directions[light, 0], directions[light, 1], directions[light, 2]
            nl = nx * lx + ny * ly + nz * lz
            # The others have no shadow map: at least the crevices are dark.
            reaching = lit if light == 0 else 0.3 + 0.7 * opened
            highlight = 0.0
            if nl > 0:
                hx, hy, hz = lx + vx, ly + vy, lz + vz
                length = 1.0 / np.sqrt(max(hx * hx + hy * hy + hz * hz, 1e-9))
                nh = (nx * hx + ny * hy + nz * hz) * length
                vh = max((vx * hx + vy * hy + vz * hz) * length, 0.0)
                lobe = nh * nh * (alpha2 - 1.0) + 1.0
                k = alpha * 0.5
                seen = 0.25 / ((nl * (1 - k) + k) * (nv * (1 - k) + k))
                schlick = mirror + (1.0 - mirror) * (1.0 - vh) ** 5
                highlight = min(alpha2 / (lobe * lobe) * seen * schlick * nl, 4.0) * reaching
            rim = sheen * 0.25 * (1.0 - nv) ** 3 * max(nl + 0.3, 0.0) * reaching
            for channel in range(3):
                if scatter > 0:
                    diffuse = _blurred_lambert(nl, scatter * spread[channel])
                    if light == 0:
                        if 0 < lit < 1:  # red light comes some way into the shadow
                            reaching = lit ** (1.0 - scatter * (0.45, 0.1, 0.0)[channel])
                        diffuse *= reaching
                        through = max(0.3 - nl, 0.0) * scatter * 0.4
                        if line[THICK] > 0:
                            diffuse += through * np.exp(-(line[THICK] + 0.001) / reach[channel])
                    else:
                        diffuse *= reaching
                else:
                    diffuse = max(nl, 0.0) * reaching
                value = (1.0 - mirror) * rgb[channel] * (diffuse + rim) + highlight
                image[pixel[index], channel] += line[WEIGHT] * value * lights[light, channel]
