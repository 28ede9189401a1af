"""The camera's electronics: statistics of noise, curves, damage by compression."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.synthesis.rendering import Film, tone_map
from chereme.synthesis.rendering.film import compress, srgb_decode, srgb_encode

# A film that changes nothing but to encode for the screen.
IDEAL = Film(contrast=0, shoulder=0, full_well=1e12, read_noise=0, chroma_noise=0)


def test_ideal_film_is_srgb(rng):
    light = np.linspace(0, 1, 256)[None, :, None].repeat(8, 0).repeat(3, 2)
    picture = tone_map(light, IDEAL, rng)
    assert np.abs(picture - 255 * srgb_encode(light)).max() < 1.0
    x = np.linspace(0, 1, 1000)
    np.testing.assert_allclose(srgb_decode(srgb_encode(x)), x, atol=1e-6)


def test_photon_noise_grows_with_the_root_of_the_light(rng):
    film = Film(contrast=0, shoulder=0, full_well=2000, read_noise=0, chroma_noise=0)
    for level in (0.05, 0.2, 0.5):
        light = srgb_decode(tone_map(np.full((200, 200, 3), level), film, rng) / 255)
        assert light.mean() == pytest.approx(level, rel=0.02)
        assert light.std() == pytest.approx(np.sqrt(level / 2000), rel=0.08)


def test_read_noise_is_there_in_the_dark_and_independent_between_pixels(rng):
    film = Film(contrast=0, shoulder=0, full_well=1e12, read_noise=4, chroma_noise=0)
    light = srgb_decode(tone_map(np.full((200, 200, 3), 0.2), film, rng) / 255)
    assert light.std() == pytest.approx(4 / 255, rel=0.08)
    red = light[..., 0] - light[..., 0].mean()
    assert abs((red[:, 1:] * red[:, :-1]).mean()) < 0.03 * red.var()


def test_noise_is_normal_and_new_in_every_picture(rng):
    film = Film(contrast=0, shoulder=0, full_well=1e12, read_noise=8, chroma_noise=0)
    pictures = [tone_map(np.full((200, 200, 3), 0.2), film, rng) for _ in range(2)]
    one, other = ((srgb_decode(p / 255) - 0.2).ravel() for p in pictures)
    one, other = one / one.std(), other / other.std()
    assert abs((one**4).mean() - 3) < 0.15
    assert abs((one**3).mean()) < 0.1
    assert abs((one * other).mean()) < 0.02
    red, green, blue = one.reshape(-1, 3).T
    assert max(abs((red * green).mean()), abs((green * blue).mean())) < 0.02


def test_chroma_noise_keeps_the_brightness(rng):
    film = Film(contrast=0, shoulder=0, full_well=1e12, read_noise=0, chroma_noise=6)
    picture = tone_map(np.full((100, 100, 3), 0.2), film, rng).astype(float)
    grey = picture @ [0.299, 0.587, 0.114]
    assert picture[..., 0].std() == pytest.approx(6, rel=0.1)
    assert grey.std() < 0.6


def test_gain_amplifies_the_noise_with_the_light(rng):
    dim = Film(contrast=0, shoulder=0, full_well=2000, read_noise=0, chroma_noise=0, exposure=4)
    light = srgb_decode(tone_map(np.full((200, 200, 3), 0.1), dim, rng) / 255)
    assert light.mean() == pytest.approx(0.4, rel=0.02)
    assert light.std() == pytest.approx(np.sqrt(0.4 * 4 / 2000), rel=0.08)


def test_tone_curve_rises_from_black_to_white():
    for film in (Film(), Film(contrast=0.5, shoulder=0.6), Film(contrast=0, shoulder=0)):
        curve = film.tone_curve(np.linspace(0, 4, 500))
        assert (np.diff(curve) >= 0).all()
        assert curve[0] == 0
        assert curve[-1] == pytest.approx(1, abs=0.01)


def test_vignette_dims_the_corners(rng):
    film = Film(contrast=0, shoulder=0, full_well=1e12, read_noise=0, chroma_noise=0, vignette=0.5)
    light = srgb_decode(tone_map(np.full((101, 101, 3), 0.4), film, rng) / 255)
    assert light[50, 50, 0] == pytest.approx(0.4, abs=0.01)
    assert light[0, 0, 0] == pytest.approx(0.2, abs=0.01)


def test_white_balance_tints(rng):
    film = Film(
        white_balance=(1.5, 1.0, 0.5), contrast=0, shoulder=0, full_well=1e12, read_noise=0,
        chroma_noise=0,
    )  # fmt: skip
    light = srgb_decode(tone_map(np.full((8, 8, 3), 0.4), film, rng) / 255)
    np.testing.assert_allclose(light.mean(axis=(0, 1)), [0.6, 0.4, 0.2], atol=0.01)


def test_compression_and_scaling_lose_detail(rng):
    picture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    fine = np.abs(compress(picture, 95).astype(int) - picture).mean()
    coarse = np.abs(compress(picture, 10).astype(int) - picture).mean()
    assert fine < coarse
    light = srgb_decode(picture / 255)
    small = tone_map(light, Film(**{**_settings(IDEAL), "scale": 0.5}), rng)
    assert small.shape == picture.shape
    assert (
        np.diff(small.astype(int), axis=1).std() < 0.6 * np.diff(picture.astype(int), axis=1).std()
    )


def test_same_seed_same_picture(rng):
    light = rng.random((32, 32, 3))
    for seed in range(12):
        film = Film.sample(np.random.default_rng(seed))
        a, b = (tone_map(light, film, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.uint8


def test_radiance_out_of_range_does_no_harm(rng):
    light = np.array([[[-1.0, 0, 1e6]] * 16] * 16)
    picture = tone_map(light, IDEAL, rng)
    np.testing.assert_array_equal(picture[4, 4], [0, 0, 255])


def _settings(film: Film) -> dict:
    return {name: getattr(film, name) for name in Film.__dataclass_fields__}
