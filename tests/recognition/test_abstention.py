"""A recogniser of signs that gives no answer: the fake network's numbers decide when."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import chereme
import fake_signs
from chereme.errors import UsageError
from chereme.formats.transcripts import write
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import Abstention
from chereme.recognition.isolated import IsolatedRecognizer, load_isolated, probabilities
from fake_signs import OTHER, SCORES, signing

# As likely as LEFT where the left hand is seen.
WITH_OTHERS = {**SCORES, OTHER: (2.0, 1.0, 2.5)}
LEFT = signing("xxxx", "....")


def shares(left: float, right: float, temperature: float = 1.0) -> dict[str, float]:
    """What a network of ``WITH_OTHERS`` says, worked out."""
    logs = {g: np.log(p) for g, p in fake_signs.probabilities(left, right, WITH_OTHERS).items()}
    raw = {gloss: np.exp(log / temperature) for gloss, log in logs.items()}
    return {gloss: value / sum(raw.values()) for gloss, value in raw.items()}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    how = Abstention(temperature=2.0, other=True, min_probability=0.5)
    folder = tmp_path_factory.mktemp("abstaining") / "signs"
    return fake_signs.make_signs(folder, WITH_OTHERS, abstention=how)


def test_below_the_threshold_nothing_is_read_and_the_reason_is_told(bundle) -> None:
    expected = shares(1, 0, temperature=2.0)
    likeliest = max(SCORES, key=lambda gloss: expected[gloss])
    assert expected[likeliest] < 0.5
    result = IsolatedRecognizer(bundle).recognize(LEFT)
    assert (result.text, result.tokens) == ("", ())
    assert dict(result.alternatives) == pytest.approx({g: expected[g] for g in SCORES}, abs=1e-6)
    assert result.info["min_probability"] == 0.5
    (reason,) = result.warnings
    assert f"the likeliest, {likeliest!r}, has a probability of {expected[likeliest]:.2f}" in reason
    assert "below 0.50 (--min-probability)" in reason


@pytest.mark.parametrize(("threshold", "answered"), [(0.0, True), (0.3, True), (0.9, False)])
def test_the_threshold_can_be_changed(bundle, threshold: float, answered: bool) -> None:
    result = IsolatedRecognizer(bundle, min_probability=threshold).recognize(LEFT)
    assert (result.text == "LEFT", result.warnings == ()) == (answered, answered)
    loaded = chereme.load(bundle.directory, min_probability=threshold)
    assert loaded.recognize(LEFT).text == result.text  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_probability(bundle, wrong: float) -> None:
    with pytest.raises(UsageError, match="min_probability: expected 0 to 1"):
        IsolatedRecognizer(bundle, min_probability=wrong)


def test_temperature_by_hand() -> None:
    log_probs = np.log(np.array([[0.8, 0.2], [0.5, 0.5]]))
    # The square root of 4 to 1 is 2 to 1.
    found = probabilities(Abstention(temperature=2.0), log_probs)
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3], [0.5, 0.5]])
    np.testing.assert_allclose(probabilities(Abstention(), log_probs), np.exp(log_probs))


def test_a_model_that_always_answers_is_as_it_was(tmp_path: Path) -> None:
    """A bundle of schema 4, without the key, gives the same numbers and an answer to anything."""
    folder = fake_signs.make_signs(tmp_path / "old").directory
    config = json.loads((folder / "config.json").read_text())
    del config["abstention"]
    config["schema_version"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    old = load_isolated(folder)
    assert old.config.abstention == Abstention()
    result = IsolatedRecognizer(old).recognize(LEFT)
    assert dict(result.alternatives) == pytest.approx(fake_signs.probabilities(1, 0), abs=1e-6)
    assert (result.text, result.warnings) == ("LEFT", ())


def test_of_several_models_the_mean_is_compared_with_the_mean(bundle, tmp_path: Path) -> None:
    sure = Abstention(other=True, min_probability=0.1)
    other = fake_signs.make_signs(tmp_path / "sure", WITH_OTHERS, abstention=sure)
    recognizer = IsolatedRecognizer([bundle, other])
    assert recognizer.min_probability == pytest.approx(0.3)
    one, two = shares(1, 0, 2.0), shares(1, 0)
    found = dict(recognizer.recognize(LEFT).alternatives)
    assert found == pytest.approx({g: (one[g] + two[g]) / 2 for g in SCORES}, abs=1e-6)


@pytest.mark.parametrize(
    ("form", "expected"), [("txt", ""), ("tsv", "start\tend\ttext\tprobability\trank\n")]
)
def test_tables_have_no_row_without_an_answer(bundle, form: str, expected: str) -> None:
    result = IsolatedRecognizer(bundle).recognize(LEFT)
    assert write(result, None, form) == expected


def test_json_still_ranks(bundle) -> None:
    written = json.loads(write(IsolatedRecognizer(bundle).recognize(LEFT), None, "json", top=2))
    assert written["text"] == ""
    assert [row["text"] for row in written["alternatives"]] == ["LEFT", "BOTH"]
    assert "--min-probability" in written["warnings"][0]
