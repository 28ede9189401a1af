"""From the decoder's logits to sentences: greedy, beam search, sampling (Table 2).

Shapes: B sentences, N hypotheses of each, V ids. Everything is batched; nothing here knows the
network, only ``step``: ids ``(B, N, l)`` from BOS on -> logits ``(B, N, V)`` of the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from chereme.errors import UsageError
from chereme.text.glosses import BOS, EOS, LONGEST, PAD

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class GenerationConfig:
    """The values are those of Table 2 for inference.

    Choice: all of the following, as the paper names them only. ``temperature`` divides the logits.
    ``repetition_penalty`` multiplies the log-probabilities of glosses that were said before (as
    transformers does in its beam search; Keskar et al. 2019 divide logits, whose zero means
    nothing). A sentence's score is the sum of these over its number of ids, the end counted, to the
    power of ``length_penalty``. ``top_k`` and ``top_p`` limit what is sampled, and nothing else.
    ``max_length``: glosses, after which only the end can follow.
    """

    method: Literal["beam", "greedy", "sample"] = "beam"
    beam_size: int = 5
    length_penalty: float = 0.7
    repetition_penalty: float = 2.5
    temperature: float = 0.7
    top_k: int = 50
    top_p: float = 0.92
    max_length: int = LONGEST


PAPER_GENERATION = GenerationConfig()


class Generated(NamedTuple):
    """``glosses (B, N, L)``: best first, padded, without marks; ``lengths (B, N)``; ``scores (B,
    N)``, -inf where there are fewer hypotheses."""

    glosses: Tensor
    lengths: Tensor
    scores: Tensor


def check_generation(config: GenerationConfig) -> None:
    """UsageError for values that mean nothing."""
    if config.method not in ("beam", "greedy", "sample"):
        raise UsageError(f"method: expected beam, greedy or sample, got {config.method!r}")
    positive = ("beam_size", "temperature", "repetition_penalty", "top_k", "top_p", "max_length")
    for name in positive:
        if not getattr(config, name) > 0:
            raise UsageError(f"{name}: expected more than 0, got {getattr(config, name)}")


def step_log_probs(logits: Tensor, ids: Tensor, config: GenerationConfig) -> Tensor:
    """Log-probabilities ``(..., V)`` of what may follow ``ids (..., l)``, penalised for repetition;
    -inf for padding and beginnings, and for all but the end after ``max_length`` glosses."""
    logits = logits.float() / config.temperature
    # Made of comparisons, as marks are ids that never change.
    place = torch.arange(logits.shape[-1], device=logits.device)
    log_probs = logits.masked_fill((place == PAD) | (place == BOS), -torch.inf).log_softmax(-1)
    said = torch.zeros_like(log_probs, dtype=torch.bool).scatter(-1, ids, True)
    penalised = torch.where(said, log_probs * config.repetition_penalty, log_probs)
    if ids.shape[-1] > config.max_length:
        penalised = penalised.masked_fill(place != EOS, -torch.inf)
    return penalised


def keep_likely(log_probs: Tensor, top_k: int, top_p: float) -> Tensor:
    """-inf for all but the ``top_k`` likeliest and, of those, the fewest that together have
    ``top_p`` of the probability (Fan et al. 2018; Holtzman et al. 2020)."""
    ordered, order = log_probs.sort(-1, descending=True)
    rank = torch.arange(log_probs.shape[-1], device=log_probs.device)
    ordered = ordered.masked_fill(rank >= top_k, -torch.inf)
    p = ordered.softmax(-1)
    ordered = ordered.masked_fill(p.cumsum(-1) - p >= top_p, -torch.inf)
    return torch.full_like(log_probs, -torch.inf).scatter(-1, order, ordered)


@torch.no_grad()
def generate(
    step: Step,
    sentences: int,
    config: GenerationConfig = PAPER_GENERATION,
    *,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> Generated:
    """Sentences of ``method``: ``beam_size`` of each with "beam", else one.

    Raises:
        UsageError: values that mean nothing.
    """
    check_generation(config)
    start = torch.full((sentences, 1, 1), BOS, device=device)
    if config.method == "beam":
        return _beam(step, start, config)
    return _walk(step, start, config, generator)


def _walk(
    step: Step, ids: Tensor, config: GenerationConfig, generator: torch.Generator | None
) -> Generated:
    """One id after the other: the likeliest, or one that is drawn."""
    score = torch.zeros(ids.shape[:2], device=ids.device)
    ended = torch.zeros_like(ids[..., 0], dtype=torch.bool)
    while not bool(ended.all()):
        log_probs = step_log_probs(step(ids), ids, config)
        if config.method == "greedy":
            chosen = log_probs.argmax(-1)
        else:
            p = keep_likely(log_probs, config.top_k, config.top_p).softmax(-1)
            chosen = torch.multinomial(p.flatten(0, 1), 1, generator=generator).view(ids.shape[:2])
        score = score + log_probs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1).where(~ended, 0.0)
        ids = torch.cat([ids, chosen.where(~ended, PAD).unsqueeze(-1)], -1)
        ended = ended | (chosen == EOS)
    count = (ids[..., 1:] != PAD).sum(-1)  # the end counted
    glosses = ids[..., 1:-1].masked_fill(ids[..., 1:-1] == EOS, PAD)
    return Generated(glosses, count - 1, score / count**config.length_penalty)


def _beam(step: Step, ids: Tensor, config: GenerationConfig) -> Generated:
    """Every live beginning may end at every step; the best ``beam_size`` of these are kept."""
    width, longest = config.beam_size, config.max_length
    count, device = len(ids), ids.device
    scores = torch.zeros(count, 1, device=device)
    glosses = torch.full((count, width, longest), PAD, device=device)
    lengths = torch.zeros(count, width, dtype=torch.long, device=device)
    best = torch.full((count, width), -torch.inf, device=device)
    for said in range(longest + 1):
        log_probs = step_log_probs(step(ids), ids, config)
        total = scores.unsqueeze(-1) + log_probs
        ended = total[..., EOS] / (said + 1) ** config.length_penalty
        padded = torch.nn.functional.pad(ids[..., 1:], (0, longest - said), value=PAD)
        best, kept = torch.cat([best, ended], 1).topk(width)
        pool = torch.cat([glosses, padded], 1)
        glosses = pool.gather(1, kept.unsqueeze(-1).expand(-1, -1, longest))
        lengths = torch.cat([lengths, torch.full_like(ids[..., 0], said)], 1).gather(1, kept)
        if said == longest:
            break
        total = total.index_fill(-1, torch.tensor([EOS], device=device), -torch.inf)
        vocabulary = total.shape[-1]
        flat = total.flatten(1)
        scores, place = flat.topk(min(width, flat.shape[1]))
        parent = (place // vocabulary).unsqueeze(-1).expand(-1, -1, ids.shape[-1])
        ids = torch.cat([ids.gather(1, parent), (place % vocabulary).unsqueeze(-1)], -1)
        # Scores only fall: no beginning can end better than this.
        most = max((said + 2) ** config.length_penalty, (longest + 1) ** config.length_penalty)
        if bool((scores[:, 0] / most <= best[:, -1]).all()):
            break
    found = lengths.masked_fill(best == -torch.inf, 0)
    glosses = glosses.masked_fill((best == -torch.inf).unsqueeze(-1), PAD)
    return Generated(glosses[..., : int(found.max())], found, best)
