import json
import math

import numpy as np
import pytest
import torch

from chereme.datasets.words import load_words
from chereme.decoding import OnnxLanguageModel
from chereme.errors import UsageError
from chereme.systems.fingerspelling.language_model import CharLM, CharLMConfig
from chereme.systems.fingerspelling.language_model_task import (
    LanguageModelData,
    collate,
    log_loss,
    perplexity,
)
from chereme.text import ASL_LETTERS
from chereme.training.cli import main

CONFIG = "configs/fingerspelling/lm.yaml"
SMALL = [
    "--trainer.max_epochs=2",
    "--trainer.enable_progress_bar=false",
    "--model.init_args.model.embedding=8",
    "--model.init_args.model.hidden=16",
    "--data.init_args.batches=30",
    "--data.init_args.batch_size=16",
    "--data.init_args.held_out=100",
]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The networks are too small to share out; more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def config(request):
    return request.config.rootpath / CONFIG


def train(config, output, *more):
    main(["--config", str(config), "--output", str(output), *SMALL, *more])
    return json.loads((output / "report.json").read_text())


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    return train(config, folder), folder


def test_collate():
    tokens, targets = collate([[3, 1], [2]])
    assert tokens.tolist() == [[0, 3, 1], [0, 2, 0]]
    assert targets.tolist() == [[3, 1, 0], [2, 0, -100]]


def test_loss_is_the_mean_over_symbols_and_ends():
    torch.manual_seed(0)
    model = CharLM(CharLMConfig(5, 4, 6)).eval()
    texts = [[3, 1, 4], [2]]
    total = 0.0
    for text in texts:
        hidden = torch.zeros(1, 1, 6)
        for last, then in zip([0, *text], [*text, 0], strict=True):
            log_probs, hidden = model.step(torch.tensor([last]), hidden)
            total -= log_probs[0, then].item()
    assert log_loss(model, collate(texts)).item() == pytest.approx(total / 6, rel=1e-5)
    assert perplexity(model, texts, batch_size=1) == pytest.approx(math.exp(total / 6), rel=1e-5)


def test_validation_words_are_never_trained_on():
    data = LanguageModelData(batch_size=50, batches=20, held_out=200)
    seen = set()
    for tokens, targets in data.epoch_loader(0):
        seen |= {tuple(row[row > 0].tolist()) for row in targets}
        assert (tokens[:, 1:][targets[:, :-1] > 0] == targets[:, :-1][targets[:, :-1] > 0]).all()
    held_out = {w for words in load_words(split="held_out").values() for w in words.words}
    validation = {ASL_LETTERS.decode(text) for text in data.held_out_texts(200)}
    assert validation <= held_out
    # Words of four letters or more; shorter ones may come up as strings of random letters.
    assert not {w for w in validation if len(w) > 3} & {ASL_LETTERS.decode(t) for t in seen}


def test_epochs_differ_and_repeat_with_the_seed(monkeypatch):
    def batches(epoch, rank=0, skip=0):
        data = LanguageModelData(batch_size=4, batches=2)
        monkeypatch.setattr(LanguageModelData, "world", (2, rank))
        return [batch[0].tolist() for batch in data.epoch_loader(epoch, skip)]

    assert batches(0) == batches(0)
    assert batches(0, skip=1) == batches(0)[1:]
    assert len({str(batches(*how)) for how in ((0, 0), (1, 0), (0, 1))}) == 3


def test_training_learns_and_leaves_a_model_that_can_be_served(trained):
    report, folder = trained
    assert report["held_out_perplexity"] < 22  # uniform: 27
    model = CharLM.load(folder / "lm.safetensors")
    onnx = OnnxLanguageModel(folder / "lm.onnx")
    log_probs, _ = onnx.step([onnx.start()], [0])
    expected = model(torch.zeros(1, 1, dtype=torch.long))[0].detach()
    np.testing.assert_allclose(log_probs, expected, atol=1e-5)


@pytest.mark.slow
def test_same_seed_same_weights(trained, config, tmp_path):
    again = train(config, tmp_path)
    key = "lm.safetensors"
    assert again["sha256"][key] == trained[0]["sha256"][key]


def test_vocabulary_must_fit_the_alphabet(config, tmp_path):
    with pytest.raises(UsageError, match="expected 4"):
        train(config, tmp_path, "--data.init_args.alphabet=abc")
