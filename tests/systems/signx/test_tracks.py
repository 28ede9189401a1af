"""Eq. 1 to 3, and that what is missing is never read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from chereme.errors import InputError, UsageError
from chereme.systems.signx.layers import Attention, Block
from chereme.systems.signx.tracks import WIDTHS as PAPER_WIDTHS
from chereme.systems.signx.tracks import (
    DimensionMatch,
    PoseEncoder,
    TrackEncoder,
    TrackFusion,
    TracksConfig,
)

from .conftest import WIDTHS, MakeBatch

CONFIG = TracksConfig(widths=dict(WIDTHS), hidden=8, heads=2, dropout=0.0, latent=12)


def torch_attention(ours: Attention, dim: int, heads: int) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(dim, heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
    theirs.out_proj.load_state_dict(ours.merge.state_dict())
    return theirs


def test_the_papers_tracks() -> None:
    assert sum(PAPER_WIDTHS.values()) == 1959
    assert TracksConfig().widths == PAPER_WIDTHS
    assert TracksConfig().latent == 2048


def test_equation_1_by_hand() -> None:
    torch.manual_seed(0)
    encoder = TrackEncoder(3, 8, 0.0)
    encoder.set_statistics(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 0.0, 4.0]))
    first, norm, _, _, last = encoder.layers
    x = torch.randn(5, 3)
    x[1, 2] = torch.nan  # not known: 0 and a flag
    scaled = (x - torch.tensor([1.0, 2.0, 3.0])) / torch.tensor([2.0, 1.0, 4.0])
    scaled[1, 2] = 0.0
    flags = torch.zeros(5, 3)
    flags[1, 2] = 1.0
    hidden = F.gelu(norm(torch.cat([scaled, flags], 1) @ first.weight.T + first.bias))
    assert encoder(x).allclose(hidden @ last.weight.T + last.bias, atol=1e-6)


def test_places_from_an_origin_and_motion_by_hand() -> None:
    encoder = TrackEncoder(4, 8, 0.0, origin=1, motion=(1, 2))
    mean, std = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([2.0, 1.0, 4.0, 5.0])
    encoder.set_statistics(mean, std)
    read: list[torch.Tensor] = []
    encoder.layers[0].register_forward_pre_hook(lambda _, given: read.append(given[0]))
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    x[0, 3, 2] = torch.nan  # x of the origin
    encoder(x)
    scaled, away, by_one, by_two, flags = read[0].split(4, -1)
    z = ((x - mean) / std).nan_to_num(0.0)
    assert scaled.allclose(z, atol=1e-6)
    assert flags.nonzero().tolist() == [[0, 3, 2]]
    # The second place is the origin; what is seen from it is in the units of each number.
    seen_from = ((x - mean) - (x - mean)[..., [2, 3, 2, 3]]) / std
    assert away[..., 2:].eq(0).all()
    assert away.allclose(seen_from.nan_to_num(0.0), atol=1e-6)
    assert away[0, 3, 0] == 0
    assert away[0, 3, 1] != 0
    for found, frames in ((by_one, 1), (by_two, 2)):
        wanted = torch.zeros(2, 5, 4)
        wanted[:, frames:-frames] = z[:, 2 * frames :] - z[:, : -2 * frames]
        wanted[0, 3 - frames, 2] = 0.0  # one of both is not known
        if 3 + frames < 5:
            wanted[0, 3 + frames, 2] = 0.0
        assert found.allclose(wanted, atol=1e-6)


def test_motion_beyond_the_end_of_a_clip_is_none() -> None:
    torch.manual_seed(0)
    config = TracksConfig(
        widths={"hand": 4}, hidden=8, heads=2, dropout=0.0, origins={"hand": 0}, motion=(1, 2)
    )
    encoder, track = PoseEncoder(config), torch.randn(1, 6, 4)
    short = torch.ones(1, 4, dtype=torch.bool)
    alone = encoder({"hand": track[:, :4]}, {"hand": short}, short)
    there = F.pad(short, (0, 2))
    padded = encoder({"hand": track}, {"hand": torch.ones(1, 6, dtype=torch.bool)}, there)
    assert padded[:, :4].allclose(alone, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"origins": {"hand": 2}}, "expected the number of one of 2 places.* got 2"),
        ({"origins": {"face": 0}}, r"origins: expected any of \['hand'\], got \['face'\]"),
        ({"motion": (0,)}, r"motion: expected numbers of frames from 1 on, got \[0\]"),
    ],
)
def test_origins_and_motion_that_mean_nothing(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PoseEncoder(TracksConfig(widths={"hand": 4}, hidden=8, heads=2, **options))


def test_statistics_of_another_width_are_refused() -> None:
    encoder = TrackEncoder(3, 8, 0.0)
    with pytest.raises(InputError, match=r"std: expected \(3,\) finite numbers, got \(4,\)"):
        encoder.set_statistics(torch.zeros(3), torch.ones(4))
    with pytest.raises(InputError, match="mean: expected"):
        encoder.set_statistics(torch.full((3,), torch.nan), torch.ones(3))


def test_equation_2_by_hand() -> None:
    """The attention of one frame over the tracks that are there is PyTorch's over these alone."""
    torch.manual_seed(0)
    fusion = TrackFusion(8, 2)
    nn.init.normal_(fusion.missing)
    encoded = torch.randn(1, 3, 3, 8)
    seen = torch.tensor([[[True, True, True], [True, False, True], [False, False, False]]])
    found = fusion(encoded, seen)[0]
    theirs = torch_attention(fusion.attention, 8, 2)
    for frame in (0, 1):
        tokens = encoded[0, frame][seen[0, frame]].unsqueeze(0)
        attended = theirs(tokens, tokens, tokens)[0]
        wanted = fusion.norm(tokens + attended).mean(1)[0]
        assert found[frame].allclose(wanted, atol=1e-5)
    assert found[2].equal(fusion.missing)


def test_equation_3_by_hand() -> None:
    torch.manual_seed(0)
    fused = torch.randn(2, 3, 8)
    for config in (CONFIG, replace(CONFIG, match="pad")):
        match = DimensionMatch(config)
        if match.linear is None:
            z = torch.cat([fused, torch.zeros(2, 3, 4)], -1)
        else:
            z = fused @ match.linear.weight.T + match.linear.bias
        wanted = (z - z.mean(-1, keepdim=True)) / z.var(-1, correction=0, keepdim=True).sqrt()
        assert match(fused).allclose(wanted, atol=1e-3)
    assert DimensionMatch(TracksConfig(hidden=16, heads=2))(torch.randn(1, 1, 16)).shape[-1] == 2048


def test_what_a_missing_track_holds_changes_nothing(make_batch: MakeBatch) -> None:
    torch.manual_seed(0)
    encoder, batch = PoseEncoder(CONFIG), make_batch()
    mask = torch.ones(2, 6, dtype=torch.bool)
    wanted = encoder(batch.tracks, batch.present, mask)
    spoilt = {
        name: track.where(batch.present[name].unsqueeze(-1), torch.nan)
        for name, track in batch.tracks.items()
    }
    assert encoder(spoilt, batch.present, mask).equal(wanted)
    # The zeros that stand in for it are not data either: another mean moves them, and no more.
    encoder.track_encoder("hands").mean.fill_(5.0)
    gone = ~batch.present["hands"]
    moved = encoder(batch.tracks, batch.present, mask)
    assert moved[gone].allclose(wanted[gone], atol=1e-6)
    assert not moved[~gone].allclose(wanted[~gone], atol=1e-2)


def test_an_absent_track_is_a_missing_one_and_order_is_by_name(make_batch: MakeBatch) -> None:
    torch.manual_seed(0)
    encoder, batch = PoseEncoder(CONFIG), make_batch()
    mask = torch.ones(2, 6, dtype=torch.bool)
    names = ["depth", "hands"]
    some = {name: batch.tracks[name] for name in names}
    masked = dict(batch.present, face=torch.zeros_like(batch.present["face"]))
    wanted = encoder(batch.tracks, masked, mask)
    assert encoder(some, batch.present, mask).allclose(wanted, atol=1e-6)


def test_tracks_are_hidden_in_training_and_never_all(make_batch: MakeBatch) -> None:
    torch.manual_seed(0)
    encoder = PoseEncoder(replace(CONFIG, drop_track=0.7))
    seen = torch.ones(200, 4, 3, dtype=torch.bool)
    kept = encoder._hide(seen)
    assert kept.any(-1).all()
    assert (kept == kept[:, :1]).all()  # for the whole clip
    # All three are drawn to be hidden with 0.343, and then none is.
    assert abs(kept[:, 0].float().mean().item() - (0.3 + 0.343)) < 0.08
    assert encoder.eval()._hide(seen).equal(seen)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hands": torch.zeros(2, 6, 5)}, r"track 'hands': expected \(2, 6, 4\), got \(2, 6, 5\)"),
        ({"feet": torch.zeros(2, 6, 4)}, "expected any of hands, face, depth, got 'feet'"),
        ({"face": torch.zeros(2, 5, 3)}, r"track 'face': expected \(2, 6, 3\)"),
    ],
)
def test_tracks_that_do_not_fit_are_refused(
    change: dict[str, torch.Tensor], message: str, make_batch: MakeBatch
) -> None:
    batch = make_batch()
    mask = torch.ones(2, 6, dtype=torch.bool)
    with pytest.raises(InputError, match=message):
        PoseEncoder(CONFIG)(dict(batch.tracks, **change), batch.present, mask)


def test_presence_that_does_not_fit_is_refused(make_batch: MakeBatch) -> None:
    batch, encoder = make_batch(), PoseEncoder(CONFIG)
    mask = torch.ones(2, 6, dtype=torch.bool)
    numbers = dict(batch.present, face=torch.ones(2, 6))
    with pytest.raises(InputError, match=r"present 'face': expected \(2, 6\) of bool"):
        encoder(batch.tracks, numbers, mask)
    with pytest.raises(InputError, match="present: expected the frames of track 'hands'"):
        encoder(batch.tracks, {"face": batch.present["face"]}, mask)
    with pytest.raises(InputError, match="expected any of hands, face, depth, got none"):
        encoder({}, {}, mask)
    with pytest.raises(InputError, match="got 'feet'"):
        encoder.track_encoder("feet")


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="widths: expected names"):
        PoseEncoder(replace(CONFIG, widths={}))
    with pytest.raises(UsageError, match="heads: expected a divisor of the width 8, got 3"):
        PoseEncoder(replace(CONFIG, heads=3))
    with pytest.raises(UsageError, match="latent: expected at least hidden = 8"):
        DimensionMatch(replace(CONFIG, match="pad", latent=6))
    with pytest.raises(UsageError, match="match: expected linear or pad"):
        DimensionMatch(replace(CONFIG, match="copy"))  # type: ignore[arg-type]


def test_a_block_with_memory_is_pytorchs_decoder_layer() -> None:
    torch.manual_seed(0)
    ours = Block(8, 2, 0.0, cross=True)
    theirs = nn.TransformerDecoderLayer(
        8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True
    ).eval()
    theirs.self_attn = torch_attention(ours.self_attention, 8, 2)
    assert ours.cross_attention is not None
    theirs.multihead_attn = torch_attention(ours.cross_attention, 8, 2)
    theirs.linear1.load_state_dict(ours.feed_forward[0].state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward[3].state_dict())
    x, memory = torch.randn(2, 4, 8), torch.randn(2, 5, 8)
    before = torch.ones(4, 4).tril().bool()
    inside = torch.arange(5)[None] < torch.tensor([5, 3])[:, None]
    wanted = theirs(x, memory, tgt_mask=~before, memory_key_padding_mask=~inside)
    assert ours(x, before[None], memory, inside[:, None]).allclose(wanted, atol=1e-5)
