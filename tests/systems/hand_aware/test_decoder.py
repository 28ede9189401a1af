"""The decoder gives what the hand model gives, and projects it as Eq. 5."""

from __future__ import annotations

import pytest
import torch

from chereme.hand_model import HandLayer, HandTemplate
from chereme.nn.resnet import ResNetEncoderConfig
from chereme.systems.hand_aware.decoder import HandDecoder, crop_units
from chereme.systems.hand_aware.encoder import HandEncoder, HandState, camera_rotation


@pytest.fixture(scope="module")
def template() -> HandTemplate:
    return HandTemplate.load("open")


def random_state(*leading: int, components: int = 6) -> HandState:
    torch.manual_seed(0)
    return HandState(
        torch.randn(*leading, components),
        torch.randn(*leading, 10),
        camera_rotation(torch.randn(*leading, 6)),
        torch.randn(*leading, 2),
        torch.rand(*leading) + 5,
    )


@pytest.mark.parametrize("components", [6, 45])
@pytest.mark.parametrize("tips", [None, "end"])
def test_mesh_and_joints_are_the_hand_models(template, components, tips) -> None:
    state = random_state(2, 3, components=components)
    hands = HandDecoder(template, components=components, tips=tips)(state)
    layer = HandLayer(template, flat_hand_mean=False, components=components, tips=tips)
    vertices = len(template.v_template)
    assert hands.vertices.shape == (2, 3, vertices, 3)
    for b in range(2):
        for t in range(3):
            own = layer(state.betas[b, t][None], state.theta[b, t][None], torch.zeros(1, 3))
            torch.testing.assert_close(hands.vertices[b, t], own.vertices[0])
            torch.testing.assert_close(hands.joints[b, t], own.joints[0])


def test_projection_is_turned_scaled_and_shifted(template) -> None:
    state = random_state(4)
    hands = HandDecoder(template)(state)
    for n in range(4):
        for joint in (0, 7, 20):
            turned = state.rotation[n] @ hands.joints[n, joint]
            torch.testing.assert_close(hands.turned[n, joint], turned)
            expected = state.scale[n] * turned[:2] + state.offset[n]
            torch.testing.assert_close(hands.projected[n, joint], expected)


def test_it_has_nothing_to_learn_and_nothing_to_save(template) -> None:
    decoder = HandDecoder(template)
    assert not list(decoder.parameters())
    assert not decoder.state_dict()  # a template's licence may forbid to pass it on


def test_the_mean_hand_fits_into_the_crop(template) -> None:
    sizes = ResNetEncoderConfig(depths=(1,), widths=(4,), image_size=32)
    encoder = HandEncoder(sizes, components=6, betas=10)
    start = encoder(torch.zeros(1, 3, 32, 32), torch.tensor([False]))
    projected = HandDecoder(template)(start).projected[0]
    assert projected.abs().max() < 1
    assert projected[:, 1].max() - projected[:, 1].min() > 1  # and fills half of it


def test_crop_units_span_the_crop() -> None:
    corners = torch.tensor([[0.0, 0.0], [256.0, 128.0]])
    expected = torch.tensor([[-1.0, -1.0], [1.0, 0.0]])
    torch.testing.assert_close(crop_units(corners, 256), expected)
