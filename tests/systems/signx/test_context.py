"""What frames know of each other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from chereme.errors import UsageError
from chereme.systems.signx.context import Context, ContextConfig


def inside(*lengths: int) -> Tensor:
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("kind", ["none", "gru", "transformer"])
def test_a_clip_in_a_batch_is_what_it_is_alone(kind: str) -> None:
    torch.manual_seed(0)
    config = ContextConfig(kind=kind, layers=2, heads=2)  # type: ignore[arg-type]
    context = Context(config, 8).eval()
    x = torch.randn(3, 6, 8)
    x[1, 4:] = torch.nan
    x[2] = torch.nan
    out = context(x, inside(6, 4, 0))
    assert out[1, :4].allclose(context(x[1:2, :4], inside(4))[0], atol=1e-5)
    assert out[1, 4:].abs().max() == 0
    assert out[2].abs().max() == 0
    assert out[0].equal(x[0]) == (kind == "none")


def test_the_gru_is_pytorchs_bidirectional_one() -> None:
    torch.manual_seed(0)
    context = Context(ContextConfig(kind="gru", layers=1), 8).eval()
    theirs = nn.GRU(8, 4, batch_first=True, bidirectional=True)
    ours = context.layers[0].state_dict()
    theirs.load_state_dict(
        {
            name.split(".")[1] + ("_reverse" if "back" in name else ""): value
            for name, value in ours.items()
        }
    )
    x = torch.randn(2, 5, 8)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
    wanted, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    assert context(x, inside(5, 3)).allclose(wanted, atol=1e-6)


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="context: expected none, gru or transformer, got 'lstm'"):
        Context(ContextConfig(kind="lstm"), 8)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="context: expected at least 1 layer of an even width"):
        Context(ContextConfig(kind="gru"), 7)
