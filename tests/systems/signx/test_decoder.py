"""The text decoder, teacher forcing, and what it is asked to say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from chereme.errors import InputError, UsageError
from chereme.systems.signx.decoder import (
    DecoderConfig,
    TextDecoder,
    answers,
    check_glosses,
    mixed_inputs,
)
from chereme.text.glosses import BOS, EOS

CONFIG = DecoderConfig(vocabulary=9, dim=16, layers=2, heads=2, dropout=0.0, max_length=8)
GLOSSES = torch.tensor([[4, 5, 6], [7, 0, 0], [0, 0, 0]])


@pytest.fixture
def decoder() -> TextDecoder:
    torch.manual_seed(0)
    return TextDecoder(CONFIG, 12).eval()


@pytest.fixture
def memory(decoder: TextDecoder) -> Tensor:
    return decoder.read(torch.randn(3, 5, 12, generator=torch.Generator().manual_seed(0)))


MASK = torch.arange(5)[None] < torch.tensor([5, 3, 4])[:, None]


def test_what_it_is_to_say() -> None:
    assert answers(GLOSSES).tolist() == [[4, 5, 6, EOS], [7, EOS, 0, 0], [EOS, 0, 0, 0]]


def test_it_sees_only_what_was_said_before(decoder: TextDecoder, memory: Tensor) -> None:
    ids = torch.tensor([[BOS, 4, 5, 6]] * 3)
    out = decoder(ids, memory, MASK)
    for place in range(1, 4):
        changed = ids.clone()
        changed[:, place] = 8
        other = decoder(changed, memory, MASK)
        assert other[:, :place].allclose(out[:, :place], atol=1e-6)
        assert not other[:, place].allclose(out[:, place], atol=1e-3)


def test_it_sees_the_frames_of_the_clip_and_their_order(
    decoder: TextDecoder, memory: Tensor
) -> None:
    ids = torch.tensor([[BOS, 4]] * 3)
    out = decoder(ids, memory, MASK)
    beyond = memory.where(MASK.unsqueeze(-1), 1e4)
    assert decoder(ids, beyond, MASK).allclose(out, atol=1e-5)
    latent = torch.randn(1, 5, 12)
    seen = [decoder(ids[:1], decoder.read(x), MASK[:1]) for x in (latent, latent.flip(1))]
    assert not seen[0].allclose(seen[1], atol=1e-4)


def test_the_codebook_is_what_is_said_and_heard(decoder: TextDecoder, memory: Tensor) -> None:
    before = decoder(torch.tensor([[BOS, 4]] * 3), memory, MASK)
    with torch.no_grad():
        decoder.codebook.weight[7] += torch.randn(16)
    after = decoder(torch.tensor([[BOS, 4]] * 3), memory, MASK)
    changed = (before - after).abs().amax((0, 1)) > 1e-4
    assert changed.nonzero().flatten().tolist() == [7]
    val_outputs = decoder(torch.tensor([[BOS, 7]] * 3), memory, MASK)
    assert not val_outputs[:, 1].allclose(after[:, 1], atol=1e-3)


def test_teacher_forcing_by_hand(decoder: TextDecoder, memory: Tensor) -> None:
    forced = mixed_inputs(decoder, GLOSSES, memory, MASK, 1.0)
    assert forced.tolist() == [[BOS, 4, 5, 6], [BOS, 7, 0, 0], [BOS, 0, 0, 0]]
    # Never: as in recognition, each place is fed with what was said at the place before.
    free = mixed_inputs(decoder, GLOSSES, memory, MASK, 0.0)
    said = decoder(free, memory, MASK)[..., EOS:].argmax(-1) + EOS
    assert (free[:, 0] == BOS).all()
    assert free[:, 1:].equal(said[:, :-1])
    # Half: each place is one or the other.
    generator = torch.Generator().manual_seed(1)
    glosses, memory, mask = torch.randint(3, 9, (99, 8)), memory[:1].repeat(99, 1, 1), MASK[:1]
    mixed = mixed_inputs(decoder, glosses, memory, mask, 0.3, generator)
    said = (decoder(mixed, memory, mask)[..., EOS:].argmax(-1) + EOS)[:, :-1]
    assert ((mixed[:, 1:] == glosses) | (mixed[:, 1:] == said)).all()
    share = (mixed[:, 1:] == glosses)[glosses != said].float().mean()
    assert abs(share.item() - 0.3) < 0.06
    assert GLOSSES.tolist() == [[4, 5, 6], [7, 0, 0], [0, 0, 0]]


def test_teacher_forcing_at_once_by_hand(decoder: TextDecoder, memory: Tensor) -> None:
    forced = mixed_inputs(decoder, GLOSSES, memory, MASK, 1.0, at_once=True)
    said = (decoder(forced, memory, MASK)[..., EOS:].argmax(-1) + EOS)[:, :-1]
    free = mixed_inputs(decoder, GLOSSES, memory, MASK, 0.0, at_once=True)
    assert (free[:, 0] == BOS).all()
    assert free[:, 1:].equal(said)
    generator = torch.Generator().manual_seed(1)
    glosses, memory, mask = torch.randint(3, 9, (99, 8)), memory[:1].repeat(99, 1, 1), MASK[:1]
    mixed = mixed_inputs(decoder, glosses, memory, mask, 0.3, generator, at_once=True)
    forced = mixed_inputs(decoder, glosses, memory, mask, 1.0)
    said = (decoder(forced, memory, mask)[..., EOS:].argmax(-1) + EOS)[:, :-1]
    assert ((mixed[:, 1:] == glosses) | (mixed[:, 1:] == said)).all()
    share = (mixed[:, 1:] == glosses)[glosses != said].float().mean()
    assert abs(share.item() - 0.3) < 0.06


@pytest.mark.parametrize(
    ("glosses", "message"),
    [
        (torch.full((1, 9), 4), "expected at most 8 a sentence, got 9; cut the recording"),
        (torch.tensor([[1, 4]]), "expected ids from 3 to 8, and 0 after the end, without 1 and 2"),
        (torch.tensor([[9]]), r"which the decoder adds; got \[9\]"),
        (torch.tensor([[-1]]), r"got \[-1\]"),
    ],
)
def test_glosses_that_do_not_fit_are_refused(glosses: Tensor, message: str) -> None:
    check_glosses(GLOSSES, CONFIG)
    with pytest.raises(InputError, match=message):
        check_glosses(glosses, CONFIG)


def test_a_vocabulary_of_marks_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="vocabulary: expected more than the 3 marks"):
        TextDecoder(replace(CONFIG, vocabulary=3), 12)
