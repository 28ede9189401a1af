"""The hand model in the decoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import parsed

from chereme.errors import UsageError
from chereme.hand_model import HandLayer, HandTemplate
from chereme.hand_model.camera import weak_perspective
from chereme.hand_model.skeleton import landmark_template
from chereme.systems.signbert.decoder import DecoderConfig, HandModelDecoder, build_decoder
from fake_hands import random_template


def test_the_overlay_has_mano_and_the_fingertips_of_the_paper(tmp_path: Path) -> None:
    random_template(pose_mean=np.zeros(45)).save(tmp_path / "mano.safetensors")
    option = f"--model.init_args.config.decoder.template={tmp_path / 'mano.safetensors'}"
    config = parsed("signbert/pretrain.yaml", "signbert/mano.yaml", options=(option,)).model
    decoder = build_decoder(config.model.config.decoder, 4)
    joints = decoder(torch.zeros(1, 4)).hand.joints[0]
    template = HandTemplate.load(str(tmp_path / "mano.safetensors"))
    still = HandLayer(template, flat_hand_mean=False, components=25)
    vertices = still(torch.zeros(1, 10), torch.zeros(1, 25), torch.zeros(1, 3)).vertices[0]
    torch.testing.assert_close(
        joints[[4, 8, 12, 16, 20]], vertices[[734, 333, 443, 555, 678]], rtol=1e-4, atol=1e-5
    )


@pytest.fixture(scope="module")
def template() -> HandTemplate:
    return HandTemplate.load("open")


def test_joints_are_those_of_the_whole_hand_seen_by_the_camera(template: HandTemplate) -> None:
    torch.manual_seed(0)
    decoder = build_decoder(DecoderConfig(tips="end", components=25), 12)
    out = decoder(3 * torch.randn(2, 3, 1, 12))
    hand = out.hand
    assert hand is not None
    assert hand.hand_pose.shape == (2, 3, 1, 25)
    assert hand.betas.shape == (2, 3, 1, 10)
    assert hand.hand_pose.abs().mean() > 0.05  # a pose, not the mean one
    layer = HandLayer(template, flat_hand_mean=False, components=25, tips="end")
    whole = layer(hand.betas.reshape(6, 10), hand.hand_pose.reshape(6, 25), torch.zeros(6, 3))
    assert hand.joints.reshape(6, 21, 3).allclose(whole.joints, atol=1e-6)
    turned = torch.einsum("nij,nvj->nvi", hand.rotation.reshape(6, 3, 3), whole.joints)
    picture = weak_perspective(turned, hand.scale.reshape(6), hand.offset.reshape(6, 2))
    assert out.joints.shape == (2, 3, 1, 21, 2)
    assert out.joints.reshape(6, 21, 2).allclose(picture, atol=1e-5)


def test_landmarks_without_the_skin_are_the_same_for_any_pose_of_the_whole_hand() -> None:
    torch.manual_seed(1)
    for template in (HandTemplate.load("open"), HandTemplate.load("open", side="left")):
        short = landmark_template(template, template.tips["pad"])
        assert short.v_template.shape == (21, 3)
        settings = {"flat_hand_mean": True, "dtype": torch.float64}
        inputs = torch.randn(4, 10), torch.randn(4, 45), torch.randn(4, 3)
        found = HandLayer(short, **settings)(*inputs)  # type: ignore[arg-type]
        wanted = HandLayer(template, tips="pad", **settings)(*inputs)  # type: ignore[arg-type]
        assert found.joints.allclose(wanted.joints, atol=1e-12)
        assert found.joints16.allclose(wanted.joints16, atol=1e-12)


def test_the_camera_turns_and_never_mirrors_or_shrinks_to_nothing() -> None:
    torch.manual_seed(2)
    decoder = build_decoder(DecoderConfig(), 8)
    hand = decoder(30 * torch.randn(50, 8)).hand
    assert hand is not None
    product = hand.rotation @ hand.rotation.transpose(-1, -2)
    assert product.allclose(torch.eye(3).expand(50, 3, 3), atol=1e-5)
    assert torch.linalg.det(hand.rotation).allclose(torch.ones(50), atol=1e-5)
    assert bool((hand.scale > 0).all())


def test_training_starts_with_an_upright_right_hand_that_fills_the_crop() -> None:
    decoder = build_decoder(DecoderConfig(), 8)
    joints = decoder(torch.zeros(1, 8)).joints[0]
    assert joints[12, 1] < joints[9, 1] < joints[0, 1]  # up the picture, y counts down
    assert joints[5, 0] > joints[17, 0]  # palm to the camera: the index is right of the little
    assert 0.8 < (joints.amax(0) - joints.amin(0)).max() < 2
    assert joints.abs().max() < 1


@pytest.mark.parametrize(("kind", "count"), [("fc1", 9 * 42), ("fc2", 9 * 5 + 6 * 42)])
def test_decoders_without_a_hand_model(kind: str, count: int) -> None:
    decoder = build_decoder(DecoderConfig(kind=kind, hidden=5), 8)  # type: ignore[arg-type]
    assert sum(p.numel() for p in decoder.parameters()) == count
    out = decoder(torch.randn(2, 3, 2, 8))
    assert out.joints.shape == (2, 3, 2, 21, 2)
    assert out.hand is None


def test_the_template_is_not_part_of_what_is_saved() -> None:
    decoder = build_decoder(DecoderConfig(components=6), 8)
    assert isinstance(decoder, HandModelDecoder)
    assert {k: tuple(v.shape) for k, v in decoder.state_dict().items()} == {
        "latent.weight": (6 + 10 + 9, 8),
        "latent.bias": (25,),
    }


def test_what_a_decoder_cannot_be_made_of(template: HandTemplate, tmp_path: object) -> None:
    with pytest.raises(UsageError, match="kind of decoder: expected hand_model, fc1 or fc2"):
        build_decoder(DecoderConfig(kind="fc3"), 8)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'open' has pad, end; got 'nails'"):
        build_decoder(DecoderConfig(tips="nails"), 8)
    path = f"{tmp_path}/left.safetensors"
    template.mirrored().save(path)
    with pytest.raises(UsageError, match="expected a right hand"):
        build_decoder(DecoderConfig(template=path), 8)
