"""The score of a run: both alignments, search and language model, size and time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from chereme.errors import UsageError
from chereme.systems.fingerspelling.batches import ClipTransform, Inputs, collate
from chereme.systems.fingerspelling.language_model import (
    CharLM,
    CharLMConfig,
    export_language_model,
)
from chereme.systems.fingerspelling.scoring import (
    DecodingConfig,
    Reading,
    first_clip,
    letter_scores,
    milliseconds_a_frame,
    open_language_model,
    read_batch,
    score,
)
from chereme.text import Alphabet

ABC = Alphabet(("a", "b", "c"))


def reading(text: str, path: str, sure: float = 0.9) -> Reading:
    """Of a network that sees ``path``, '-' for the blank, with some certainty at each step."""
    probabilities = np.full((len(path), 4), (1 - sure) / 3)
    for row, symbol in zip(probabilities, path, strict=True):
        row["-abc".index(symbol)] = sure
    return Reading(text, text, len(path), np.log(probabilities))


def test_alignments_differ_where_they_should() -> None:
    """The golden case of HTK's costs: four edits where unit costs have three."""
    found = letter_scores([("bcc", "aab")])
    assert found["letter_accuracy_unit"] == 0.0
    assert found["letter_accuracy"] == -33.33
    assert letter_scores([("", "")]) == {"letter_accuracy": None, "letter_accuracy_unit": None}


def test_score_of_both_splits() -> None:
    dev, test = [reading("ab", "a-b")], [reading("ab", "ab-"), reading("aa", "aa-")]
    found = score(dev, test, ABC, DecodingConfig())
    assert found["dev"]["letter_accuracy"] == 100.0
    assert found["test"]["letter_accuracy"] == 75.0  # 'aa' without a blank is one a
    assert found["test"]["greedy"] == {"letter_accuracy": 75.0, "letter_accuracy_unit": 75.0}
    assert (found["test"]["clips"], found["test"]["letters"]) == (2, 4)
    low, high = found["test"]["letter_accuracy_interval"]
    assert low <= 75.0 <= high
    unread = score(dev, test, ABC, DecodingConfig(), {"test": ["cab", "c"]})
    assert unread["dev"] == found["dev"]
    assert (unread["test"]["clips"], unread["test"]["dropped"]) == (4, 2)
    assert unread["test"]["letter_accuracy"] == unread["test"]["greedy"]["letter_accuracy"] == 37.5
    assert found["decoding"] == {"beam_width": 5, "lm": None, "alpha": 0.0, "beta": 0.0}


def test_the_search_sums_over_paths() -> None:
    """The best path is blank twice; 'a' has three paths and wins."""
    steps = np.log([[0.5, 0.45, 0.025, 0.025]] * 2)
    found = score([reading("a", "a")], [Reading("x", "a", 2, steps)], ABC, DecodingConfig())
    assert found["test"]["letter_accuracy"] == 100.0
    assert found["test"]["greedy"]["letter_accuracy"] == 0.0


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that says: b follows a, and the text ends."""
    torch.manual_seed(0)
    model = CharLM(CharLMConfig(vocabulary=4, embedding=4, hidden=8, layers=1, dropout=0.0))
    texts = torch.tensor([[0, 1, 2]] * 8), torch.tensor([[1, 2, 0]] * 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        log_probs = model(texts[0]).flatten(0, 1)
        torch.nn.functional.nll_loss(log_probs, texts[1].flatten()).backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("lm") / "lm.onnx"
    export_language_model(model, path)
    return path


def test_the_language_model_is_weighed_on_dev(lm: Path) -> None:
    unsure = [
        Reading(f"{i}", "ab", 3, np.log([[0.02, 0.94, 0.02, 0.02], [0.94, 0.02, 0.02, 0.02], row]))
        for i, row in enumerate([[0.1, 0.1, 0.38, 0.42], [0.1, 0.1, 0.36, 0.44]])
    ]
    without = score(unsure[:1], unsure[1:], ABC, DecodingConfig())
    assert without["test"]["letter_accuracy"] == 50.0  # 'ac'
    found = score(unsure[:1], unsure[1:], ABC, DecodingConfig(lm=str(lm)))
    assert found["decoding"]["alpha"] > 0
    assert found["test"]["letter_accuracy"] == 100.0


def test_a_language_model_of_other_symbols(lm: Path) -> None:
    with pytest.raises(UsageError, match=r"lm\.onnx: expected .* of 3 symbols.*got one of 4"):
        score([], [], Alphabet(("a", "b")), DecodingConfig(lm=str(lm)))


def test_a_language_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lm\.onnx: no such language model; train it"):
        open_language_model(DecodingConfig(lm=str(tmp_path / "lm.onnx")), ABC)


def test_reading_a_batch_and_its_time(make_clip) -> None:
    maker = ClipTransform(Inputs(8, None, 1, 4), ABC)
    batch = collate([maker.make(make_clip(n, t)) for n, t in (("x", "ab"), ("y", "c"))], ABC)
    seen: list[tuple[int, ...]] = []

    def logits(given):
        seen.append(tuple(given.crops.shape))
        steps = torch.arange(given.crops.shape[1]).float()[None, :, None]
        return (steps * torch.ones(len(given.ids), 1, 4)), given.lengths

    read = read_batch(logits, batch)
    assert [(r.id, r.text, r.frames, r.log_probs.shape) for r in read] == [
        ("x", "ab", 12, (12, 4)),
        ("y", "c", 6, (6, 4)),
    ]
    np.testing.assert_allclose(np.exp(read[1].log_probs).sum(1), 1)
    seen.clear()
    assert milliseconds_a_frame(logits, [batch], torch.device("cpu")) >= 0
    assert seen == [(1, 12, 3, 8, 8)] * 2  # once to warm up
    assert milliseconds_a_frame(logits, [], torch.device("cpu")) is None
    alone = first_clip(batch, torch.device("cpu"))
    assert (alone.ids, alone.targets.tolist()) == (["x"], [[1, 2]])
