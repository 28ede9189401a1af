"""Reading clips with a trained recogniser of fingerspelling, and its score."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chereme.decoding import beam_search, greedy
from chereme.decoding.language_model import OnnxLanguageModel
from chereme.decoding.tuning import tune
from chereme.errors import UsageError
from chereme.metrics import accuracy_interval, edit_counts, pool
from chereme.systems.fingerspelling.batches import Batch
from chereme.text import Alphabet

Logits = Callable[[Batch], tuple[Tensor, Tensor]]  # (B, T', V) and lengths (B,)


@dataclass(frozen=True)
class DecodingConfig:
    """How the final score is read (section 3.5 of the paper: beam width 5, a character LM).

    ``lm``: ``lm.onnx`` of a character language model over the same alphabet, or None. Its weights
    are those that are best on the split dev.
    """

    beam_width: int = 5
    lm: str | None = None


def open_language_model(decoding: DecodingConfig, alphabet: Alphabet) -> OnnxLanguageModel | None:
    """The language model that ``decoding`` names, if any; UsageError where there is no such file,
    or it is of another alphabet's width."""
    if decoding.lm is None:
        return None
    if not Path(decoding.lm).is_file():
        raise UsageError(
            f"{decoding.lm}: no such language model; train it as the files in "
            "configs/fingerspelling/lm say, or do without (--model.init_args.decoding=null)"
        )
    lm = OnnxLanguageModel(decoding.lm)
    width = lm.step([lm.start()], [0])[0].shape[1]
    if width != len(alphabet):
        raise UsageError(
            f"{decoding.lm}: expected a language model of {len(alphabet)} symbols, the network's, "
            f"got one of {width}"
        )
    return lm


@dataclass(frozen=True)
class Reading:
    """A clip as a network reads it: ``log_probs (T', V)``, and its true ``text``."""

    id: str
    text: str
    frames: int
    log_probs: NDArray[np.float64]


def read_batch(logits: Logits, batch: Batch) -> list[Reading]:
    """The readings of the clips of one batch."""
    values, lengths = logits(batch)
    log_probs = values.float().log_softmax(-1).double().cpu().numpy()
    rows = zip(
        batch.ids, batch.texts, batch.lengths.tolist(), lengths.tolist(), log_probs, strict=True
    )
    return [Reading(i, text, frames, row[:steps]) for i, text, frames, steps, row in rows]


def best_path(reading: Reading, alphabet: Alphabet) -> str:
    """What is read without a search."""
    return alphabet.decode(greedy(reading.log_probs).symbols)


def letter_scores(pairs: Sequence[tuple[str, str]]) -> dict[str, float | None]:
    """Letter accuracies of (text, reading) pairs in per cent, None where there are no letters."""
    counts = {how: pool(edit_counts(t, r, how) for t, r in pairs) for how in ("htk", "unit")}
    return {
        "letter_accuracy": _rounded(counts["htk"].accuracy),
        "letter_accuracy_unit": _rounded(counts["unit"].accuracy),
    }


def score(
    dev: Sequence[Reading],
    test: Sequence[Reading],
    alphabet: Alphabet,
    decoding: DecodingConfig,
    dropped: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Scores of both splits, by beam search, and beside it without one.

    With a language model its weights are first chosen on ``dev``. ``letter_accuracy`` is with HTK's
    alignment, ``letter_accuracy_unit`` with unit costs; the interval is a 95 % bootstrap over the
    clips. Of clips that the preparation ``dropped``, of which their texts are given by split, no
    letter is read.
    """
    lm = open_language_model(decoding, alphabet)
    alpha = beta = 0.0
    if lm is not None:
        best = tune(
            [r.log_probs for r in dev],
            [alphabet.encode(r.text) for r in dev],
            lm=lm,
            widths=(decoding.beam_width,),
        )[0]
        alpha, beta = best.alpha, best.beta

    def read(reading: Reading) -> str:
        found = beam_search(
            reading.log_probs, width=decoding.beam_width, lm=lm, alpha=alpha, beta=beta
        )[0]
        return alphabet.decode(found.symbols)

    result: dict[str, Any] = {"decoding": {**asdict(decoding), "alpha": alpha, "beta": beta}}
    for name, readings in (("dev", dev), ("test", test)):
        unread = [(text, "") for text in dropped.get(name, ())]
        pairs = [(r.text, read(r)) for r in readings] + unread
        counts = [edit_counts(text, read_as, "htk") for text, read_as in pairs]
        interval = accuracy_interval(counts) if any(c.reference_length for c in counts) else ()
        result[name] = {
            "clips": len(pairs),
            "dropped": len(unread),
            "letters": sum(len(text) for text, _ in pairs),
            **letter_scores(pairs),
            "letter_accuracy_interval": [_rounded(bound) for bound in interval],
            "greedy": letter_scores([(r.text, best_path(r, alphabet)) for r in readings] + unread),
        }
    return result


def milliseconds_a_frame(
    logits: Logits, batches: Iterable[Batch], device: torch.device, clips: int = 8
) -> float | None:
    """Time of the network alone for each frame, clip by clip, after one to warm up; the median.

    None where there are no clips. The paper's Table 6 has 14 ms on an Nvidia RTX 3090.
    """
    times: list[float] = []
    for batch in batches:
        clip = first_clip(batch, device)
        for repeat in range(2 if not times else 1):
            _wait(device)
            start = time.perf_counter()
            logits(clip)
            _wait(device)
            if repeat or times:
                times.append(1e3 * (time.perf_counter() - start) / int(clip.lengths[0]))
        if len(times) >= clips:
            break
    return round(float(np.median(times)), 3) if times else None


def first_clip(batch: Batch, device: torch.device) -> Batch:
    """The first clip alone, without padding."""
    frames, letters = int(batch.lengths[0]), max(1, int(batch.target_lengths[0]))

    def first(values: Tensor | None) -> Any:
        return None if values is None else values[:1, :frames].to(device)

    return Batch(
        batch.ids[:1],
        batch.texts[:1],
        first(batch.crops),
        first(batch.vectors),
        first(batch.present),
        batch.lengths[:1].to(device),
        batch.targets[:1, :letters].to(device),
        batch.target_lengths[:1].to(device),
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _rounded(percent: float) -> float | None:
    return round(percent, 2) if percent == percent else None
