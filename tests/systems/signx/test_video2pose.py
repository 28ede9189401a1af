"""Stage II: frames -> tracks -> glosses, before a Pose2Gloss that is frozen."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chereme.decoding.generation import GenerationConfig
from chereme.errors import BundleError, InputError, UsageError
from chereme.formats.strict import read_as
from chereme.systems.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig
from chereme.systems.signx.video2pose import Video2Gloss, Video2Pose, Video2PoseConfig, ViTConfig

from .conftest import WIDTHS, MakeBatch

SMALL = Video2PoseConfig(
    vit=ViTConfig(image_size=16, patch_size=8, dim=8, layers=1, heads=2),
    dim=16,
    layers=1,
    heads=2,
    dropout=0.0,
)
STATISTICS = {"hands": (2.0, 3.0), "face": (-1.0, 0.5), "depth": (0.0, 1.0)}


@pytest.fixture
def model(small: Pose2GlossConfig) -> Video2Gloss:
    torch.manual_seed(0)
    pose2gloss = Pose2Gloss(small)
    for name, (mean, std) in STATISTICS.items():
        width = WIDTHS[name]
        encoder = pose2gloss.pose_encoder.track_encoder(name)
        encoder.set_statistics(torch.full((width,), mean), torch.full((width,), std))
    return Video2Gloss(SMALL, pose2gloss)


def video(*lengths: int) -> tuple[Tensor, Tensor]:
    frames = torch.rand(len(lengths), max(lengths), 3, 16, 16, generator=generator())
    return frames, torch.tensor(lengths)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_equations_5_to_7_by_hand(model: Video2Gloss) -> None:
    frames, _ = video(3)
    net = model.video2pose.eval()
    tokens = net.vit(pixel_values=2 * frames[0] - 1).last_hidden_state
    assert tokens.shape == (3, 5, 8)  # a class token and four patches
    v = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)
    assert net.frame_features(frames[0]).allclose(v, atol=1e-5)
    angle = torch.arange(3)[:, None] * 10_000.0 ** (-2 * torch.arange(8)[None] / 16)
    x = net.enter(v) + torch.cat([angle.sin(), angle.cos()], 1)
    x = net.norm(net.layers[0](x[None], torch.ones(1, 1, 3, dtype=torch.bool)))
    predicted = model(frames)
    for name, (mean, std) in STATISTICS.items():
        wanted = net.projections[name](x) * std + mean  # in the units of the track
        assert predicted[name].allclose(wanted, atol=1e-5)


def test_equation_13_by_hand(model: Video2Gloss, make_batch: MakeBatch) -> None:
    batch = make_batch()
    predicted = {name: torch.randn_like(track) for name, track in batch.tracks.items()}
    batch.tracks["face"][0, 0, 1] = torch.nan  # not known
    total = 0.0
    for name, (_, std) in STATISTICS.items():
        there = batch.present[name]
        difference = (predicted[name] - batch.tracks[name])[there] / std
        difference = difference[difference.isfinite()]
        total += difference.square().mean().item()
    spoilt = {
        name: track.where(batch.present[name].unsqueeze(-1), torch.nan)
        for name, track in batch.tracks.items()
    }
    found = model.reconstruction_loss(predicted, spoilt, batch.present)
    assert found.item() == pytest.approx(total, rel=1e-5)
    some = {"face": batch.tracks["face"]}
    with pytest.raises(InputError, match="expected any of hands, face, depth, got 'feet'"):
        model.reconstruction_loss(predicted, {"feet": some["face"]}, batch.present)
    nowhere = {"face": torch.zeros_like(batch.present["face"])}
    assert model.reconstruction_loss(predicted, some, nowhere).item() == 0.0


def test_padding_changes_nothing(model: Video2Gloss) -> None:
    model.eval()
    frames, lengths = video(5, 3)
    spoilt = frames.clone()
    spoilt[1, 3:] = torch.nan
    out = model.video2pose(spoilt, torch.arange(5)[None] < lengths[:, None])
    alone = model.video2pose(frames[1:, :3])
    for name in WIDTHS:
        assert out[name][1, :3].allclose(alone[name][0], atol=1e-5)
        assert out[name][1, 3:].abs().max() == 0
    few = Video2Pose(replace(SMALL, frames_at_once=2), WIDTHS).eval()
    few.load_state_dict(model.video2pose.state_dict())
    assert few(frames)["face"].allclose(model.video2pose(frames)["face"], atol=1e-5)


def test_pose2gloss_is_frozen_and_all_else_is_reached(
    model: Video2Gloss, make_batch: MakeBatch
) -> None:
    model.train()
    assert not model.pose2gloss.training
    assert model.video2pose.training
    batch = make_batch()
    frames, lengths = video(6, 4)
    model.reconstruction_loss(model(frames, lengths), batch.tracks, batch.present).backward()
    assert all(p.grad is None and not p.requires_grad for p in model.pose2gloss.parameters())
    for name, parameter in model.video2pose.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("k_proj.bias") and not name.endswith("key.bias"):  # softmax ignores it
            assert parameter.grad.abs().max() > 1e-9, name


def test_poses_are_learnt_from_pictures(small: Pose2GlossConfig) -> None:
    """A bright bar whose height and brightness are the pose."""
    torch.manual_seed(0)
    model = Video2Gloss(SMALL, Pose2Gloss(small))
    place = torch.rand(4, 5, 4, generator=generator())
    frames = place.new_zeros(4, 5, 3, 16, 16)
    for number in range(4):
        frames[..., number * 4 : number * 4 + 4, :] = place[..., number, None, None, None]
    tracks = {"hands": 2 * place - 1}
    present = {"hands": torch.ones(4, 5, dtype=torch.bool)}
    optimizer = torch.optim.AdamW(model.video2pose.parameters(), lr=1e-2)
    values = []
    for _ in range(80):
        loss = model.reconstruction_loss(model(frames), tracks, present)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.1 * values[0]


def test_video_is_read_as_its_tracks_are(model: Video2Gloss) -> None:
    model.eval()
    frames, lengths = video(5, 3)
    config = GenerationConfig(max_length=3)
    found = model.generate(frames, lengths, config)
    tracks = model(frames, lengths)
    present = {name: torch.ones(2, 5, dtype=torch.bool) for name in tracks}
    wanted = model.pose2gloss.generate(tracks, present, lengths, config)
    np.testing.assert_array_equal(found.glosses, wanted.glosses)
    np.testing.assert_array_equal(found.scores, wanted.scores)


def test_weights_of_a_vit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = Video2Pose(SMALL, WIDTHS)
    source.vit.save_pretrained(tmp_path / "vit")  # type: ignore[operator]
    loaded = Video2Pose(replace(SMALL, weights=str(tmp_path / "vit")), WIDTHS)
    state, copied = source.vit.state_dict(), loaded.vit.state_dict()
    assert all(state[name].equal(copied[name]) for name in state)
    wider = replace(SMALL, vit=replace(SMALL.vit, dim=12), weights=str(tmp_path / "vit"))
    with pytest.raises(BundleError, match="expected a ViT of"):
        Video2Pose(wider, WIDTHS)
    with pytest.warns(UserWarning, match="training starts from random weights"):
        Video2Pose(replace(SMALL, weights=str(tmp_path / "none")), WIDTHS)


def test_what_does_not_fit_is_refused(model: Video2Gloss) -> None:
    with pytest.raises(UsageError, match="video2pose: expected an even dim"):
        Video2Pose(replace(SMALL, dim=15), WIDTHS)


def test_a_config_survives_json() -> None:
    text = json.dumps(dataclasses.asdict(SMALL))
    assert read_as(Video2PoseConfig, json.loads(text)) == SMALL


def test_patches_side_by_side_by_hand() -> None:
    torch.manual_seed(0)
    net = Video2Pose(replace(SMALL, patch_width=3), WIDTHS).eval()
    frames, _ = video(2)
    tokens = net.vit(pixel_values=2 * frames[0] - 1).last_hidden_state
    assert net.patch is not None
    parts = [net.patch(tokens[:, 1 + number]) for number in range(4)]
    v = torch.cat([tokens[:, 0], *parts], 1)
    assert v.shape == (2, 8 + 4 * 3)
    assert net.frame_features(frames[0]).allclose(v, atol=1e-5)
    with pytest.raises(UsageError, match="patch_width"):
        Video2Pose(replace(SMALL, patch_width=-1), WIDTHS)


def test_positions_begin_as_waves_of_row_and_column() -> None:
    vit = Video2Pose(replace(SMALL, vit=replace(SMALL.vit, dim=10)), WIDTHS).vit
    first = 0.2 * torch.tensor(
        [
            # sines of the column at the rates 1 and 0.01, cosines; of the row; and what is left
            [0, 0, 1, 1, 0, 0, 1, 1, 0, 0],
            [np.sin(1), np.sin(0.01), np.cos(1), np.cos(0.01), 0, 0, 1, 1, 0, 0],
        ],
        dtype=torch.float,
    )
    positions = vit.get_parameter("embeddings.position_embeddings")
    assert positions[0, 1:3].allclose(first, atol=1e-6)


def test_what_was_never_known_is_never_said(model: Video2Gloss) -> None:
    known = torch.ones(WIDTHS["face"], dtype=torch.bool)
    known[1] = False
    model.set_known("face", known)
    frames, lengths = video(4, 3)
    tracks = model.eval()(frames, lengths)
    assert tracks["face"][..., 1].isnan().all()
    assert tracks["face"][..., known].isfinite().all()
    assert tracks["hands"].isfinite().all()
    truth = {"face": torch.zeros_like(tracks["face"])}
    truth["face"][..., 1] = torch.nan
    model.train()
    present = {"face": torch.ones(2, 4, dtype=torch.bool)}
    model.reconstruction_loss(model(frames, lengths), truth, present).backward()
    gradients = [p.grad for p in model.video2pose.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_stem_of_convolutions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    stem = replace(SMALL, vit=replace(SMALL.vit, stem="convolutions"))
    net = Video2Pose(stem, WIDTHS).eval()
    projection = net.vit.get_submodule("embeddings.patch_embeddings.projection")
    frames, _ = video(2)
    x = 2 * frames[0] - 1
    for number, width in ((0, 2), (2, 4), (4, 8)):
        convolution = projection[number]  # type: ignore[index]
        assert convolution.stride == (2, 2)
        x = nn.functional.gelu(convolution(x))
        assert x.shape[1] == width
    assert x.shape[2:] == (2, 2)  # patches of 8 pixels
    made = net.vit.get_submodule("embeddings.patch_embeddings")(2 * frames[0] - 1)
    wanted = projection[6](x).flatten(2).transpose(1, 2)  # type: ignore[index]
    assert made.allclose(wanted, atol=1e-5)
    assert net(frames)["face"].shape == (1, 2, WIDTHS["face"])
    with pytest.raises(UsageError, match="power of 2"):
        Video2Pose(replace(stem, vit=replace(stem.vit, patch_size=4, dim=6)), WIDTHS)
    with pytest.raises(UsageError, match="expected patches"):
        Video2Pose(replace(stem, weights="google/vit"), WIDTHS)
