"""The whole network: padding, gradients, odd clips."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from chereme.errors import BundleError, UsageError
from chereme.formats.strict import read_as
from chereme.hand_model import HandLayer, HandTemplate
from chereme.nn.positions import temporal_embedding
from chereme.systems.signbert.encoder import SignBertEncoder
from chereme.systems.signbert.gesture import GestureConfig, GestureEmbedding
from chereme.systems.signbert.masking import OPERATIONS
from chereme.systems.signbert.recognizer import (
    HeadConfig,
    SignBertConfig,
    SignBertPretraining,
    SignBertRecognizer,
)
from chereme.systems.signbert.tokens import CropConfig, HandPoses

from .conftest import MakePoses


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def padded(poses: HandPoses, frames: int) -> HandPoses:
    """With that many frames more, full of rubbish, outside the clips."""
    clips, hands = poses.right.shape
    return HandPoses(
        torch.cat([poses.joints, torch.full((clips, frames, hands, 21, 2), 1e4)], 1),
        torch.cat([poses.confidence, torch.ones(clips, frames, hands, 21)], 1),
        poses.right,
        F.pad(poses.mask, (0, frames)),
    )


def test_the_path_is_seen_where_it_is_asked_for(
    small: SignBertConfig, make_poses: MakePoses
) -> None:
    poses = make_poses((5, 3))
    drift = torch.arange(5.0)[None, :, None, None, None] * torch.tensor([40.0, -20.0])
    moved = poses._replace(joints=poses.joints + drift)
    for path in (False, True):
        torch.manual_seed(0)
        encoder = dataclasses.replace(small.encoder, path=path)
        model = SignBertRecognizer(dataclasses.replace(small, encoder=encoder)).eval()
        same = torch.allclose(model(poses), model(moved), atol=1e-4)
        assert same is not path
        assert model(padded(poses, 4)).allclose(model(poses), atol=1e-5)
        far = poses._replace(joints=poses.joints * 2 + 100)
        assert model(far).allclose(model(poses), atol=1e-4)
    tokens = model.encoder.tokens(poses)
    hidden = tokens._replace(seen=torch.zeros_like(tokens.seen))
    nowhere = hidden._replace(place=torch.zeros_like(tokens.place))
    assert torch.equal(model.encoder(hidden), model.encoder(nowhere))


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(
    training: bool, small: SignBertConfig, make_poses: MakePoses
) -> None:
    torch.manual_seed(0)
    model, poses = SignBertRecognizer(small).train(training), make_poses((5, 3))
    more = padded(poses, 4)
    wanted = model.encoder(model.encoder.tokens(poses))
    found = model.encoder(model.encoder.tokens(more))
    assert found[:, :5].allclose(wanted, atol=1e-5)
    assert found[:, 5:].abs().max() == 0
    assert wanted[1, 3:].abs().max() == 0
    assert model(more).allclose(model(poses), atol=1e-5)


def test_statistics_of_normalisation_do_not_see_padding(make_poses: MakePoses) -> None:
    poses = make_poses((4, 2))
    layers = []
    for given in (poses, padded(poses, 3)):
        torch.manual_seed(0)
        encoder = SignBertEncoder().train()
        encoder(encoder.tokens(given))
        layers.append(encoder.gesture.joint_layers[0].norm.running_mean)  # type: ignore[union-attr]
    assert layers[0].abs().max() > 0
    assert layers[0].allclose(layers[1], atol=1e-6)


def test_a_batch_gives_what_each_clip_gives_alone(
    small: SignBertConfig, make_poses: MakePoses
) -> None:
    model, poses = SignBertRecognizer(small).eval(), make_poses((5, 3))
    alone = HandPoses(
        poses.joints[1:, :3], poses.confidence[1:, :3], poses.right[1:], poses.mask[1:, :3]
    )
    assert model(poses)[1].allclose(model(alone)[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["hand_model", "fc1", "fc2"])
def test_pretraining_reaches_every_parameter(
    kind: str, small: SignBertConfig, make_poses: MakePoses
) -> None:
    torch.manual_seed(0)
    decoder = dataclasses.replace(small.decoder, kind=kind)  # type: ignore[arg-type]
    model = SignBertPretraining(dataclasses.replace(small, decoder=decoder))
    out = model(make_poses((6, 4)), generator())
    assert out.decoded.joints.shape == (2, 6, 2, 21, 2)
    assert (out.losses.l_reg > 0).item() == (kind == "hand_model")
    out.losses.total.backward()
    assert_all_reached(model)


def test_recognition_reaches_every_parameter(small: SignBertConfig, make_poses: MakePoses) -> None:
    torch.manual_seed(0)
    model = SignBertRecognizer(small)
    logits = model(make_poses((6, 4)))
    assert logits.shape == (2, 7)
    F.cross_entropy(logits, torch.tensor([1, 4])).backward()
    assert_all_reached(model)


def assert_all_reached(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-9, name
        if name in ("decoder.latent.weight", "chirality.weight"):
            assert bool((parameter.grad.abs().amax(1) > 0).all()), name


def test_both_hands_share_time_and_differ_in_chirality(
    small: SignBertConfig, make_poses: MakePoses
) -> None:
    encoder, poses = SignBertEncoder(small.encoder).eval(), make_poses((4,))
    poses = poses._replace(confidence=torch.zeros_like(poses.confidence))  # no gesture at all
    f_0 = encoder.embed(encoder.tokens(poses))[0]
    left, right = encoder.chirality.weight
    assert (f_0[:, 1] - f_0[:, 0]).allclose((right - left).expand(4, -1), atol=1e-6)
    time = temporal_embedding(4, 16, f_0)
    assert (f_0[:, 0] - f_0[:1, 0]).allclose(time - time[:1], atol=1e-6)
    swapped = encoder.embed(encoder.tokens(poses._replace(right=~poses.right)))[0]
    assert swapped.allclose(f_0.flip(1), atol=1e-6)


def test_sines_and_cosines_by_hand() -> None:
    time = temporal_embedding(3, 4, torch.zeros(1))
    angles = torch.tensor([2.0, 2.0 / 100])  # 10000^(2 i / 4), i = 0, 1
    assert time[2].allclose(torch.cat([angles.sin(), angles.cos()]))


def test_encoder_layers_are_those_of_pytorch(small: SignBertConfig) -> None:
    torch.manual_seed(0)
    ours = SignBertEncoder(small.encoder).layers[0]
    theirs = nn.TransformerEncoderLayer(16, 2, 24, 0.0, batch_first=True).eval()
    names = {
        "self_attn.in_proj_weight": "qkv.weight",
        "self_attn.in_proj_bias": "qkv.bias",
        "self_attn.out_proj": "merge",
        "linear1": "feed_forward.0",
        "linear2": "feed_forward.3",
        "norm1": "attention_norm",
        "norm2": "feed_forward_norm",
    }
    state = theirs.state_dict()
    for theirs_name, our_name in names.items():
        state = {k.replace(theirs_name, our_name): v for k, v in state.items()}
    ours.load_state_dict(state)
    x, inside = torch.randn(2, 5, 16), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    bias = torch.where(inside, 0.0, torch.finfo(torch.float32).min)[:, None, None]
    wanted = theirs(x, src_key_padding_mask=~inside)
    assert ours(x, bias)[inside].allclose(wanted[inside], atol=1e-5)


@pytest.mark.parametrize("around", ["frame", "clip"])
@pytest.mark.parametrize("hands", [1, 2])
def test_one_frame_and_no_hand_at_all(
    around: str, hands: int, small: SignBertConfig, make_poses: MakePoses
) -> None:
    crop = CropConfig(around=around)  # type: ignore[arg-type]
    config = dataclasses.replace(
        small,
        encoder=dataclasses.replace(small.encoder, crop=crop),
        head=HeadConfig(classes=3, hands=hands),
    )
    for seen in (True, False):
        poses = make_poses((1,), hands=hands)
        if not seen:
            nothing = torch.full_like(poses.joints, torch.nan)
            poses = poses._replace(joints=nothing, confidence=torch.zeros_like(poses.confidence))
        for training in (True, False):
            logits = SignBertRecognizer(config).train(training)(poses)
            assert logits.shape == (1, 3)
            assert bool(logits.isfinite().all())
            model = SignBertPretraining(config).train(training)
            losses = model(poses, generator()).losses
            losses.total.backward()
            assert bool(losses.total.isfinite())
            assert (losses.l_rec > 0).item() == seen
            grads = [p.grad for p in model.parameters() if p.grad is not None]
            assert all(bool(g.isfinite().all()) for g in grads)


def test_a_clip_without_frames_spoils_nothing(small: SignBertConfig, make_poses: MakePoses) -> None:
    model, poses = SignBertRecognizer(small).eval(), make_poses((3, 2))
    mask = poses.mask.clone()
    mask[1] = False
    logits = model(poses._replace(mask=mask))
    assert bool(logits.isfinite().all())
    assert logits[0].allclose(model(poses)[0], atol=1e-6)


def test_masked_hands_are_reconstructed(small: SignBertConfig, make_poses: MakePoses) -> None:
    torch.manual_seed(0)
    # One hand that keeps its pose for six frames: what is masked can be read off the other frames.
    layer = HandLayer(HandTemplate.load("open"), flat_hand_mean=False, components=6)
    hands = layer(torch.zeros(1, 10), torch.randn(8, 6), torch.tensor([[0.3, 0.2, 1.4]])).joints
    poses = make_poses((6,) * 8, hands=1)._replace(right=torch.ones(8, 1, dtype=torch.bool))
    poses = poses._replace(joints=hands[:, None, None, :, :2].expand(8, 6, 1, 21, 2))
    model, draw = SignBertPretraining(small), generator()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(80):
        optimizer.zero_grad()
        model(poses, draw).losses.total.backward()
        optimizer.step()
    with torch.no_grad():
        out = model.eval()(poses, draw)
    frame = out.masked.operation == OPERATIONS.index("frame")
    seen, decoded, given = (
        joints[frame]
        for joints in (out.tokens.joints, out.decoded.joints, out.masked.tokens.joints)
    )
    assert (decoded - seen).abs().mean() < 0.5 * (given - seen).abs().mean()


def test_attention_weighs_the_frames_of_the_clip(
    small: SignBertConfig, make_poses: MakePoses
) -> None:
    model, poses = SignBertRecognizer(small).eval(), make_poses((4, 2))
    features = model.encoder(model.encoder.tokens(poses))
    weights = model.head.attention(features, poses.mask)
    assert weights.sum(1).allclose(torch.ones(2))
    assert weights[1, 2:].abs().max() == 0
    # By hand for the short clip: exp(w x_t) over their sum, then the sum of features.
    frames = features[1, :2].flatten(1)
    scores = (frames @ model.head.score.weight[0]).exp()
    pooled = (scores[:, None] * frames).sum(0) / scores.sum()
    wanted = model.head.classifier(pooled)
    assert model(poses)[1].allclose(wanted, atol=1e-5)


def test_fine_tuning_starts_from_the_pretrained_encoder(
    small: SignBertConfig, make_poses: MakePoses
) -> None:
    torch.manual_seed(0)
    pretrained = SignBertPretraining(small)
    model = SignBertRecognizer.from_pretraining(pretrained, HeadConfig(classes=5))
    state, copied = pretrained.encoder.state_dict(), model.encoder.state_dict()
    assert all(torch.equal(state[name], copied[name]) for name in state)
    assert model(make_poses((2,))).shape == (1, 5)
    with torch.no_grad():
        model.encoder.chirality.weight.zero_()
    assert pretrained.encoder.chirality.weight.abs().max() > 0


def test_another_number_of_hands_is_refused(small: SignBertConfig, make_poses: MakePoses) -> None:
    with pytest.raises(UsageError, match="hands: expected clips of 2, got 1"):
        SignBertRecognizer(small)(make_poses((3,), hands=1))


@pytest.mark.parametrize(
    "settings",
    [
        {"symmetric": False},
        {"pooling": "mean"},
        {"seen_channel": False},
        {"partition": "uniform"},
        {"last": "joined"},
    ],
)
def test_variants_of_the_gesture_embedding(settings: dict[str, object]) -> None:
    torch.manual_seed(0)
    module = GestureEmbedding(GestureConfig(widths=(4, 4), **settings), 6).eval()  # type: ignore[arg-type]
    plain = GestureEmbedding(GestureConfig(widths=(4, 4)), 6)
    assert {k: v.shape for k, v in module.state_dict().items()} != {
        k: v.shape for k, v in plain.state_dict().items()
    } or settings == {"pooling": "mean"}
    joints, seen = torch.randn(3, 2, 21, 2), torch.ones(3, 2, 21, dtype=torch.bool)
    mask = torch.ones(3, 2, dtype=torch.bool)
    out = module(joints, seen, mask)
    assert out.shape == (3, 2, 6)
    hidden = module(joints, seen.logical_not(), mask)
    assert out.allclose(hidden) == (settings == {"seen_channel": False})


def test_sizes_that_do_not_fit_are_refused(small: SignBertConfig) -> None:
    for changes, message in (
        ({"dim": 15}, "dim: expected an even multiple of heads, got 15 for 2"),
        ({"layers": 0}, "layers: expected at least 1"),
        ({"gesture": GestureConfig(pooling="sum")}, "pooling"),  # type: ignore[arg-type]
        ({"gesture": GestureConfig(last="sum")}, "last: expected pooled or joined"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError, match=message):
            SignBertEncoder(dataclasses.replace(small.encoder, **changes))  # type: ignore[arg-type]


def test_a_config_survives_json(small: SignBertConfig) -> None:
    text = json.dumps(dataclasses.asdict(small))
    assert read_as(SignBertConfig, json.loads(text)) == small
    with pytest.raises(BundleError, match="depth"):
        read_as(SignBertConfig, {"encoder": {"depth": 3}})
