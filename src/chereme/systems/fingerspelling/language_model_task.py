"""Training of the character language model: data, task, and the whole run with its export."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from chereme.datasets.words import SOURCES, Shares, TextSampler, load_words, read_labels
from chereme.errors import UsageError
from chereme.nn.checkpoint_files import load_tensors
from chereme.systems.fingerspelling.data import alphabet_of
from chereme.systems.fingerspelling.language_model import (
    CharLM,
    CharLMConfig,
    export_language_model,
)
from chereme.training.data import DataModule
from chereme.training.optimiser import OptimiserConfig
from chereme.training.task import Task

IGNORED = -100  # target of padding


Batch = tuple[Tensor, Tensor]  # tokens (B, N) and targets (B, N)


def collate(texts: Sequence[Sequence[int]]) -> Batch:
    """Encoded texts as ``tokens (B, N)``, begun by 0, and ``targets (B, N)``, ended by 0."""
    length = max(map(len, texts)) + 1
    tokens = torch.zeros(len(texts), length, dtype=torch.long)
    targets = torch.full((len(texts), length), IGNORED)
    for row, text in enumerate(texts):
        symbols = torch.tensor(text, dtype=torch.long)
        tokens[row, 1 : len(text) + 1] = symbols
        targets[row, : len(text)] = symbols
        targets[row, len(text)] = 0
    return tokens, targets


def log_loss(model: CharLM, batch: Batch) -> Tensor:
    """Mean -ln p of a symbol, the end of the text included."""
    tokens, targets = batch
    return F.nll_loss(model(tokens).flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


def perplexity(model: CharLM, texts: Sequence[Sequence[int]], batch_size: int = 512) -> float:
    """exp of the mean -ln p of a symbol of ``texts``, each text's end included."""
    model.eval()
    total = count = 0.0
    with torch.no_grad():
        for start in range(0, len(texts), batch_size):
            part = texts[start : start + batch_size]
            symbols = sum(map(len, part)) + len(part)
            total += float(log_loss(model, collate(part))) * symbols
            count += symbols
    return math.exp(total / count)


class LanguageModelData(DataModule):
    """Texts of the word lists, or labels of a corpus.

    Choice: the paper does not say what its language model learns from. Word lists know more texts
    than a corpus has labels; labels are of every language, and of what is spelled there.

    Args:
        alphabet: as of `ShardData`.
        shares: of the word lists; validation is on words that training never sees.
        labels: manifests whose labels are learnt in the place of the lists: those of the split
            train. Validation is on those of dev; those of test are not looked at.
        batches: of an epoch; others in each epoch and in each process.
        max_length: of words of the lists.
        held_out: words of the lists that are validated on.
        batch_size, seed: see `DataModule`.
    """

    collate = staticmethod(collate)

    def __init__(
        self,
        alphabet: str = "asl",
        shares: Shares = Shares(),  # noqa: B008
        labels: list[str] | None = None,
        batch_size: int = 256,
        batches: int = 250,
        max_length: int = 15,
        held_out: int = 3000,
        seed: int = 1,
    ) -> None:
        super().__init__(batch_size, batches, 0, seed)
        self.alphabet, self.labels = alphabet_of(alphabet), labels
        self.shares, self.batches = shares, batches
        self.max_length, self.held_out = max_length, held_out

    @property
    def steps(self) -> int:
        return self.batches

    def epoch_loader(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        draw = self._draw()
        rng = np.random.default_rng([self.seed, epoch, self.world[1]])
        for number in range(self.batches):
            texts = [self.alphabet.encode(draw(rng)) for _ in range(self.batch_size)]
            if number >= skip:
                yield collate(texts)

    def _draw(self) -> Callable[[np.random.Generator], str]:
        """Draws a text to train on."""
        if self.labels is None:
            words = TextSampler(
                self.alphabet, self.shares, split="train", max_length=self.max_length
            )
            return words.sample
        texts = read_labels(self.labels, "train", self.alphabet)
        return lambda rng: texts[rng.integers(len(texts))]

    def val_dataloader(self) -> DataLoader[Any]:
        texts: Any = self.validation_texts()
        return DataLoader(texts, 500, collate_fn=collate)

    def validation_texts(self) -> list[list[int]]:
        """Encoded texts that are not trained on: words of the lists, or the labels of dev."""
        if self.labels is None:
            return self.held_out_texts(self.held_out)
        dev = read_labels(self.labels, "dev", self.alphabet)
        return [self.alphabet.encode(text) for text in dev]

    def facts(self) -> dict[str, Any]:
        if self.labels is not None:
            splits: tuple[Literal["train", "dev"], ...] = ("train", "dev")
            counts = {s: len(read_labels(self.labels, s, self.alphabet)) for s in splits}
            return {"labels": {"manifests": self.labels, **counts}}
        train = load_words(self.alphabet, "train", self.max_length)
        held_out = load_words(self.alphabet, "held_out", self.max_length)
        counts_of = {
            s: {"train": len(train[s].words), "held_out": len(held_out[s].words)} for s in SOURCES
        }
        return {"words": counts_of}

    def held_out_texts(self, count: int, source: str | None = None) -> list[list[int]]:
        """``count`` encoded held-out words, drawn by the shares or from one of the `SOURCES`."""
        words_only = {k: v for k, v in asdict(self.shares).items() if k in SOURCES}
        shares = words_only if source is None else {k: float(k == source) for k in SOURCES}
        sampler = TextSampler(
            self.alphabet,
            Shares(**shares, full_names=0.0, letters=0.0),
            split="held_out",
            max_length=self.max_length,
        )
        rng = np.random.default_rng([self.seed, 2**31])
        return [self.alphabet.encode(sampler.sample(rng)) for _ in range(count)]


class LanguageModelTask(Task):
    """`CharLM` trained by maximum likelihood.

    Args:
        model: the network.
        optimiser: None: AdamW, one cycle of the learning rate.
        save_every: batches after which ``last.ckpt`` is written within an epoch; 0: after epochs.
    """

    entry, monitor, mode = "language_model", "val_loss", "min"

    def __init__(
        self,
        model: CharLMConfig = CharLMConfig(),  # noqa: B008
        optimiser: OptimiserConfig | None = None,
        save_every: int = 0,
    ) -> None:
        super().__init__(optimiser or OptimiserConfig(learning_rate=4e-3, warm_up=0.1), save_every)
        self.model = CharLM(model)

    def checkpoint_entry(self) -> dict[str, Any]:
        return {"config": asdict(self.model.config), "alphabet": list(self.data.alphabet.symbols)}

    def setup(self, stage: str) -> None:
        data = self.data
        if len(data.alphabet) != self.model.config.vocabulary:
            raise UsageError(
                f"model.vocabulary: expected {len(data.alphabet)} (the boundary and the "
                f"{len(data.alphabet) - 1} symbols of data.alphabet), "
                f"got {self.model.config.vocabulary}"
            )

    def training_step(self, batch: Batch, index: int) -> Tensor:
        loss = log_loss(self.model, batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        symbols = int((batch[1] != IGNORED).sum())
        self.log("val_loss", log_loss(self.model, batch), batch_size=symbols, prog_bar=True)

    def finish(self, output: Path, cli: Any) -> None:
        """Write ``lm.onnx``, ``lm.safetensors`` and ``report.json`` to the folder ``output``.

        Written are the weights that are best on the texts of validation. The report has the
        perplexity per symbol of these (the end of each included), of words of the lists also by
        source, with seed, versions and hashes.
        """
        model, data = self.model, cli.datamodule
        best = output / "best.ckpt"
        if best.is_file():
            self.load_state_dict(load_tensors(best)["state_dict"])
        model.eval()
        model.save(output / "lm.safetensors")
        export_language_model(model, output / "lm.onnx")
        by_source = {
            source: perplexity(model, data.held_out_texts(data.held_out, source))
            for source in (SOURCES if data.labels is None else ())
        }
        report = {
            "alphabet": "".join(data.alphabet.symbols),
            "held_out_perplexity": perplexity(model, data.validation_texts()),
            **({"held_out_perplexity_by_source": by_source} if by_source else {}),
            **data.facts(),
            "parameters": sum(p.numel() for p in model.parameters()),
            "steps": self.trainer.global_step,
            "texts": self.trainer.global_step * data.batch_size,
            "seed": cli.config.get("seed_everything"),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "lightning": lightning.__version__,
            },
            "sha256": {
                name: hashlib.sha256((output / name).read_bytes()).hexdigest()
                for name in ("lm.onnx", "lm.safetensors")
            },
        }
        (output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
