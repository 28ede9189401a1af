"""A character language model: which letter comes next in what people fingerspell."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from chereme.errors import BundleError


@dataclass(frozen=True)
class CharLMConfig:
    """Sizes of `CharLM`. ``vocabulary`` = the boundary of texts (index 0) and the symbols."""

    vocabulary: int = 27
    embedding: int = 64
    hidden: int = 256
    layers: int = 1
    dropout: float = 0.1


class CharLM(nn.Module):
    """Embedding, GRU, linear. Index 0 begins a text as input and ends it as output."""

    def __init__(self, config: CharLMConfig = CharLMConfig()) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.embedding)
        self.gru = nn.GRU(config.embedding, config.hidden, config.layers, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.hidden, config.vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """``tokens (B, N)``, the first of each row 0, to ln p of the next: ``(B, N, V)``."""
        features, _ = self.gru(self.dropout(self.embedding(tokens)))
        logits: Tensor = self.output(self.dropout(features))
        return logits.log_softmax(-1)

    def step(self, tokens: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """One symbol: ``tokens (B,)``, ``hidden (L, B, H)`` to ``log_probs (B, V)``, new hidden."""
        features, hidden = self.gru(self.embedding(tokens)[:, None], hidden)
        return self.output(features[:, 0]).log_softmax(-1), hidden

    def save(self, path: str | Path) -> None:
        """Write weights and sizes as safetensors."""
        save_file(self.state_dict(), str(path), {"config": json.dumps(asdict(self.config))})

    @staticmethod
    def load(path: str | Path) -> CharLM:
        """The model in a file written by `save`; BundleError if it is something else."""
        try:
            with safe_open(str(path), "pt") as file:
                config = CharLMConfig(**json.loads(file.metadata()["config"]))
                model = CharLM(config)
                model.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        except Exception as error:  # safetensors, json, torch: each has its own
            raise BundleError(
                f"{path}: expected a character language model in safetensors ({error}); "
                "train one with configs/fingerspelling/lm.yaml"
            ) from error
        return model.eval()


class _Step(nn.Module):
    """`CharLM.step` as a module, for the exporter."""

    def __init__(self, model: CharLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.step(tokens, hidden)


def export_language_model(model: CharLM, path: str | Path) -> None:
    """Write one step as ONNX, for `chereme.decoding.OnnxLanguageModel`; the batch size is free."""
    config = model.config
    batch = torch.export.Dim("batch", min=1, max=4096)
    example = (torch.zeros(2, dtype=torch.long), torch.zeros(config.layers, 2, config.hidden))
    torch.onnx.export(
        _Step(model).eval(),
        example,
        str(path),
        input_names=["tokens", "hidden"],
        output_names=["log_probs", "next_hidden"],
        dynamic_shapes={"tokens": {0: batch}, "hidden": {1: batch}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )
