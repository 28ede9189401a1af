import numpy as np
import pytest
import torch

from chereme.decoding import OnnxLanguageModel
from chereme.errors import BundleError
from chereme.systems.fingerspelling.language_model import (
    CharLM,
    CharLMConfig,
    export_language_model,
)

SIZES = [CharLMConfig(vocabulary=5, embedding=6, hidden=7), CharLMConfig(27, 8, 12, layers=2)]


@pytest.fixture(params=SIZES, ids=["one-layer", "two-layers"])
def model(request):
    torch.manual_seed(0)
    return CharLM(request.param).eval()


def tokens_for(model, rows=3, length=6):
    tokens = torch.randint(1, model.config.vocabulary, (rows, length))
    tokens[:, 0] = 0
    return tokens


def zero_hidden(model, rows=3):
    return torch.zeros(model.config.layers, rows, model.config.hidden)


def test_steps_are_the_whole_sequence(model):
    tokens, hidden = tokens_for(model), zero_hidden(model)
    whole = model(tokens)
    for i in range(tokens.shape[1]):
        log_probs, hidden = model.step(tokens[:, i], hidden)
        torch.testing.assert_close(log_probs, whole[:, i])


def test_answers_are_distributions_and_do_not_see_the_future(model):
    tokens = tokens_for(model)
    whole = model(tokens)
    torch.testing.assert_close(whole.exp().sum(-1), torch.ones(whole.shape[:2]))
    changed = tokens.clone()
    changed[:, 4:] = 1
    torch.testing.assert_close(model(changed)[:, :4], whole[:, :4])


def test_every_parameter_learns(model):
    model.train()(tokens_for(model)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_save_and_load(model, tmp_path):
    model.save(tmp_path / "lm.safetensors")
    loaded = CharLM.load(tmp_path / "lm.safetensors")
    assert loaded.config == model.config
    tokens = tokens_for(model)
    torch.testing.assert_close(loaded(tokens), model(tokens), rtol=0, atol=0)


def test_loading_something_else_is_refused(tmp_path):
    with pytest.raises(BundleError, match="expected a character language model"):
        CharLM.load(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(BundleError, match="expected a character language model"):
        CharLM.load(tmp_path / "text.safetensors")


def test_onnx_gives_the_same_answers_for_any_batch(model, tmp_path):
    export_language_model(model, tmp_path / "lm.onnx")
    onnx = OnnxLanguageModel(tmp_path / "lm.onnx")
    for rows in (1, 2, 5):
        tokens, hidden = tokens_for(model, rows), zero_hidden(model, rows)
        states = [onnx.start()] * rows
        for column in tokens.T:
            expected, hidden = model.step(column, hidden)
            log_probs, states = onnx.step(states, column.tolist())
            np.testing.assert_allclose(log_probs, expected.detach(), rtol=0, atol=1e-5)
