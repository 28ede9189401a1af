import json
import math
from collections import Counter

import numpy as np
import pytest
import torch

from chereme.datasets.greek import GREEK
from chereme.datasets.words import load_words
from chereme.decoding import OnnxLanguageModel
from chereme.decoding.language_model import text_log_probabilities
from chereme.errors import InputError, UsageError
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


GREEK_LABELS = """path,label,split
a,Καλός,train
b,ΆΝΝΑ,train
c,Καλός,
d,Άννα,dev
e,12,dev
f,Ωμέγα,test
"""


def test_labels_of_a_corpus_are_learnt(config, tmp_path):
    """Greek, by the corpus's own file: of the splits train and none, scored on dev."""
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(GREEK_LABELS, encoding="utf-8")
    report = train(
        config,
        tmp_path / "run",
        f"--config={config.parent / 'lm' / 'greek.yaml'}",
        f"--output={tmp_path / 'run'}",
        f"--data.init_args.labels=[{manifest}]",
        "--trainer.max_epochs=8",
        *SMALL[1:],
    )
    assert report["labels"] == {"manifests": [str(manifest)], "train": 3, "dev": 1}
    assert report["alphabet"] == "".join(GREEK.symbols)
    assert not {"words", "held_out_perplexity_by_source"} & report.keys()
    lm = OnnxLanguageModel(tmp_path / "run" / "lm.onnx")
    learnt, unseen, test = text_log_probabilities(
        lm, [GREEK.encode(GREEK.normalise(text)) for text in ("Καλός", "Καλνά", "Ωμέγα")]
    )
    assert learnt > unseen + 3
    assert learnt > test + 5


def test_labels_are_drawn_as_often_as_they_are_there(tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(GREEK_LABELS, encoding="utf-8")
    data = LanguageModelData("greek", labels=[str(manifest)], batch_size=600, batches=1)
    ((tokens, _),) = data.epoch_loader(0)
    texts = Counter(GREEK.decode(row[row > 0].tolist()) for row in tokens)
    assert set(texts) == {"καλοσ", "αννα"}
    assert texts["καλοσ"] / 600 == pytest.approx(2 / 3, abs=0.06)
    assert data.validation_texts() == [GREEK.encode("αννα")]


def test_the_best_of_validation_is_written(trained):
    _, folder = trained
    best = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
    for name, weights in CharLM.load(folder / "lm.safetensors").state_dict().items():
        assert torch.equal(weights, best[f"model.{name}"])


def test_labels_that_are_not_there(tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,label,split\na,abc,test\n", encoding="utf-8")
    data = LanguageModelData("greek", labels=[str(manifest)])
    with pytest.raises(InputError, match=r"manifest\.csv: expected labels of the split train"):
        next(iter(data.epoch_loader(0)))
    with pytest.raises(UsageError, match=r"the words of english are spelled.*labels of a corpus"):
        next(iter(LanguageModelData("greek").epoch_loader(0)))


def test_vocabulary_must_fit_the_alphabet(config, tmp_path):
    with pytest.raises(UsageError, match="expected 4"):
        train(config, tmp_path, "--data.init_args.alphabet=abc")
