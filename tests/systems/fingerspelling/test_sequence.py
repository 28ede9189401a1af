"""Options of the sequence model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chereme.errors import UsageError
from chereme.systems.fingerspelling.sequence import NormLinear, SequenceConfig, SequenceModel

VAC_LIKE = {"conv_dim": 8, "gru_hidden": 8, "gru_hidden_is": "total", "gru_layers": 1}


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("hidden_is", "units"), [("per_direction", 8), ("total", 4)])
def test_hidden_of_each_direction_or_in_all(hidden_is: str, units: int) -> None:
    config = SequenceConfig(conv_dim=6, gru_hidden=8, gru_hidden_is=hidden_is, gru_layers=2)
    model = SequenceModel(config, 5)
    layers = [3 * units * (inputs + units + 2) for inputs in (6, 2 * units)]
    assert parameters(model.gru) == 2 * sum(layers)
    assert model.classifier.weight.shape == (27, 2 * units)


def test_an_odd_total_has_no_half() -> None:
    with pytest.raises(UsageError, match="gru_hidden: expected an even total, got 9"):
        SequenceModel(SequenceConfig(gru_hidden=9, gru_hidden_is="total"), 5)


def test_shared_classifier_is_one() -> None:
    model = SequenceModel(SequenceConfig(**VAC_LIKE, shared_classifier=True), 5)
    assert model.classifier is model.visual_classifier
    apart = SequenceModel(SequenceConfig(**VAC_LIKE), 5)
    assert parameters(apart) - parameters(model) == 8 * 27 + 27
    with pytest.raises(UsageError, match="got 8 and 16"):
        SequenceModel(
            SequenceConfig(conv_dim=8, gru_hidden=8, gru_layers=1, shared_classifier=True), 5
        )


def test_normalised_classifier_measures_angles() -> None:
    torch.manual_seed(0)
    layer, x = NormLinear(4, 3), torch.randn(2, 5, 4)
    assert dict(layer.named_parameters()).keys() == {"weight"}
    logits = layer(x)
    cosines = torch.cosine_similarity(x[..., None], layer.weight, dim=-2)
    torch.testing.assert_close(logits, cosines * x.norm(dim=-1, keepdim=True))
    with torch.no_grad():
        layer.weight *= torch.tensor([2.0, 0.1, 7.0])  # lengths say nothing
    torch.testing.assert_close(layer(x), logits)
    model = SequenceModel(SequenceConfig(**VAC_LIKE, normalised_classifier=True), 5)
    assert isinstance(model.classifier, NormLinear)
    assert isinstance(model.visual_classifier, NormLinear)


def test_one_layer_has_no_dropout_between_layers() -> None:
    assert SequenceModel(SequenceConfig(gru_layers=1), 5).gru.dropout == 0.0
    assert SequenceModel(SequenceConfig(gru_layers=2, dropout=0.3), 5).gru.dropout == 0.3


@pytest.mark.parametrize("layers", [1, 2])
def test_classifiers_read_the_gru_and_the_cnn(layers: int) -> None:
    torch.manual_seed(1)
    config = SequenceConfig(conv_dim=6, gru_hidden=4, gru_layers=layers)
    model, features = SequenceModel(config, 5).eval(), torch.randn(2, 9, 5)
    visual, _ = model.conv(features, None)
    sequence_logits, visual_logits, _ = model(features)
    torch.testing.assert_close(visual_logits, model.visual_classifier(visual))
    torch.testing.assert_close(sequence_logits, model.classifier(model.gru(visual)[0]))
