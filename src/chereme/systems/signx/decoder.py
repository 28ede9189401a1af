"""Latent -> glosses: the text decoder with its codebook, and a CTC head (ours, an option).

Shapes: B sentences, T frames, L glosses, V size of the vocabulary. Ids are those of
`chereme.text.glosses`: ``PAD`` 0, which is CTC's blank as well, ``BOS`` 1, ``EOS`` 2, ``UNK`` 3,
then glosses. Sentences ``(B, L)`` are glosses alone, padded at the end; the decoder adds beginnings
and ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chereme.errors import InputError, UsageError
from chereme.nn.positions import temporal_embedding
from chereme.systems.signx.layers import Block
from chereme.text.glosses import BOS, EOS, LONGEST, PAD, UNK


@dataclass(frozen=True)
class DecoderConfig:
    """``vocabulary``: V, with the four marks; ``max_length``: glosses of a sentence (Table 2).

    Choice: the sizes, of which the paper gives none.
    """

    vocabulary: int = 2004
    dim: int = 512
    layers: int = 4
    heads: int = 8
    dropout: float = 0.1
    max_length: int = LONGEST


def check_glosses(glosses: Tensor, config: DecoderConfig) -> None:
    """InputError unless ``glosses (B, L)`` are ids of glosses and `PAD`, and not too many."""
    if glosses.shape[1] > config.max_length:
        raise InputError(
            f"glosses: expected at most {config.max_length} a sentence, got {glosses.shape[1]}; "
            "cut the recording into sentences or raise max_length"
        )
    marks = (glosses == BOS) | (glosses == EOS)
    if bool((marks | (glosses < 0) | (glosses >= config.vocabulary)).any()):
        found = sorted(set(glosses.flatten().tolist()))
        raise InputError(
            f"glosses: expected ids from {UNK} to {config.vocabulary - 1}, and {PAD} after the "
            f"end, without {BOS} and {EOS}, which the decoder adds; got {found}"
        )


def answers(glosses: Tensor) -> Tensor:
    """Sentences ``(B, L)`` -> what the decoder is to say ``(B, L + 1)``: the glosses and an end."""
    ended = F.pad(glosses, (0, 1), value=PAD)
    count = (glosses != PAD).sum(1, keepdim=True)
    return ended.scatter(1, count, EOS)


class TextDecoder(nn.Module):
    """A Transformer decoder that attends to the latent of all frames.

    Choice: the codebook, of which the paper says no more than the word, is the table of gloss
    vectors: they are what the decoder is fed with, what its state is compared with to choose the
    next gloss, and the embeddings of Eq. 10 and 11.
    """

    def __init__(self, config: DecoderConfig, latent: int) -> None:
        super().__init__()
        if config.vocabulary <= UNK:
            raise UsageError(
                f"vocabulary: expected more than the {UNK} marks, got {config.vocabulary}"
            )
        self.config = config
        self.codebook = nn.Embedding(config.vocabulary, config.dim)
        nn.init.normal_(self.codebook.weight, std=config.dim**-0.5)
        self.memory = nn.Linear(latent, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            Block(config.dim, config.heads, config.dropout, cross=True)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))

    def read(self, latent: Tensor) -> Tensor:
        """``(B, T, D)`` -> what is attended to, ``(B, T, dim)``, with the places of frames."""
        memory: Tensor = self.memory(latent)
        return memory + temporal_embedding(memory.shape[1], self.config.dim, memory)

    def forward(self, ids: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Logits of the id after each of ``ids (B, L)``, which begin with BOS: ``(B, L, V)``.

        ``memory (B, T, dim)`` of `read`, ``mask (B, T)`` its frames.
        """
        steps = ids.shape[1]
        x = self.codebook(ids) * self.config.dim**0.5
        x = self.dropout(x + temporal_embedding(steps, self.config.dim, x))
        place = torch.arange(steps, device=ids.device)
        before = (place[:, None] >= place[None]).unsqueeze(0)
        for layer in self.layers:
            x = layer(x, before, memory, mask.unsqueeze(1))
        return F.linear(self.norm(x), self.codebook.weight, self.bias)


@torch.no_grad()
def mixed_inputs(
    decoder: TextDecoder,
    glosses: Tensor,
    memory: Tensor,
    mask: Tensor,
    ratio: float,
    generator: torch.Generator | None = None,
    *,
    at_once: bool = False,
) -> Tensor:
    """What the decoder is fed with, ``(B, L + 1)``: BOS, then at each place the true gloss, with
    probability ``ratio`` (teacher forcing), or what it says itself after the inputs before.

    Choice: drawn for each place. At ratio 0 it is fed as in recognition. ``at_once``: what it says
    itself after the true glosses before, all places in one pass (Mihaylova and Martins 2019)
    instead of one pass each.
    """
    inputs = F.pad(glosses, (1, 0), value=BOS)
    if ratio >= 1:
        return inputs
    forced = torch.rand(inputs.shape, generator=generator, device=inputs.device) < ratio
    if at_once:
        forced[:, 0] = True
        said = decoder(inputs, memory, mask)[..., EOS:].argmax(-1) + EOS
        return inputs.where(forced, F.pad(said[:, :-1], (1, 0), value=BOS))
    for place in range(1, inputs.shape[1]):
        # Neither padding nor a beginning, which recognition never says either.
        said = decoder(inputs[:, :place], memory, mask)[:, -1, EOS:].argmax(-1) + EOS
        inputs[:, place] = inputs[:, place].where(forced[:, place], said)
    return inputs


class CtcHead(nn.Module):
    """Logits ``(B, T, V)`` of each frame of the latent, blank 0: ours, not the paper's."""

    def __init__(self, vocabulary: int, latent: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(latent, vocabulary)

    def forward(self, latent: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(latent))
        return logits
