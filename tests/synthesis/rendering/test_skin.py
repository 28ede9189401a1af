"""Skin and people."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")
from chereme.hands.camera import Camera
from chereme.synthesis.rendering import Light, Lighting, Person, SkinTone, render
from chereme.synthesis.rendering.skin import lab_to_linear


def test_lab_conversion_on_known_colours():
    # CIELAB (D65) of sRGB white, black, mid grey and red.
    lab = np.array([[100, 0, 0], [0, 0, 0], [53.585, 0, 0], [53.24, 80.09, 67.2]])
    linear = [[1, 1, 1], [0, 0, 0], [0.2159, 0.2159, 0.2159], [1, 0, 0]]
    np.testing.assert_allclose(lab_to_linear(lab), linear, atol=4e-3)


@pytest.mark.parametrize("lightness", [24.0, 40.0, 55.0, 70.0])
def test_palms_are_lighter_and_nails_palest_and_creases_darker(lightness):
    tone = SkinTone(lightness)
    back, palm = tone.albedo(), tone.albedo(palmar=1.0)
    assert palm.mean() >= back.mean() * 0.97
    assert tone.albedo(palmar=1.0, crease=1.0).mean() < palm.mean()
    flushed = tone.albedo(flush=1.0)
    assert flushed[0] / flushed[1] > back[0] / back[1]
    assert (np.diff(back) < 0).all()  # red > green > blue
    assert tone.glosses(nail=1.0) > tone.glosses(palmar=1.0)
    many = tone.albedo(np.linspace(0, 1, 7), np.zeros(7), np.zeros(7), np.zeros(7))
    np.testing.assert_allclose(many[[0, -1]], [back, palm])


def test_palm_stands_out_most_on_dark_skin():
    contrast = [
        SkinTone(level).albedo(palmar=1.0).mean() / SkinTone(level).albedo().mean()
        for level in (25, 40, 55, 68)
    ]
    assert contrast == sorted(contrast, reverse=True)
    assert contrast[0] > 2


def test_tones_are_spread_over_all_lightnesses():
    rng = np.random.default_rng(0)
    levels = np.array([SkinTone.sample(rng).lightness for _ in range(400)])
    counts, _ = np.histogram(levels, bins=4, range=(24, 70))
    assert counts.min() > 70


def test_person_stands_where_asked_and_shows_a_face_and_clothes():
    rng = np.random.default_rng(1)
    light = Lighting(Light((-0.3, -0.5, -1.0)))
    camera = Camera.from_field_of_view(96, 96, 45)
    seen = []
    for _ in range(6):
        person = Person.sample(rng, SkinTone(60))
        meshes = person.place(np.array([0.0, 0.1, 1.0]))
        head = meshes[1]
        assert head.vertices[:, 1].max() < 0.1  # above the pit of the neck
        frame = render(meshes, camera, light)
        assert frame.objects[40, 48] == 1
        assert 0.2 < frame.coverage.mean() < 0.7
        seen.append(frame.image.mean())
    assert np.std(seen) > 0.01


@pytest.mark.parametrize("hanging", [(True, False), (False, True), (False, False)])
def test_only_the_arms_that_hang_are_drawn_at_their_side(hanging):
    person, neck = Person(SkinTone(50), size=1.1), np.array([0.1, 0.1, 1.0])
    bare = len(person.place(neck, hanging=(False, False)))
    arms = person.place(neck, hanging=hanging)[bare:]
    assert len(arms) == sum(hanging)
    for arm, side in zip(
        arms, [s for s, h in zip((-1, 1), hanging, strict=True) if h], strict=True
    ):
        assert np.sign(arm.vertices[:, 0].mean() - neck[0]) == side
        away = np.linalg.norm(arm.vertices - person.shoulder(neck, side), axis=1)
        assert away.min() < 0.06
        assert np.ptp(arm.vertices[:, 1]) > 0.5


def test_lights_are_sampled():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lighting = Lighting.sample(rng)
        assert min(lighting.sky) > 0
        assert max(lighting.key.colour) > max(lighting.ground) * 0.3
