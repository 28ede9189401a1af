"""The list of words of a model: the likeliest of all sources together."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chereme.cli import app
from chereme.datasets.lexicon import likely_words
from chereme.datasets.words import TextSampler, is_held_out
from chereme.errors import UsageError
from chereme.recognition.word_lists import parse_lexicon
from chereme.text import ASL_LETTERS


def test_what_is_drawn_most_comes_first() -> None:
    ranked = likely_words(words=40_000).words
    assert len(ranked) == len(set(ranked)) == 40_000
    place = {word: rank for rank, word in enumerate(ranked)}
    rng, sampler = np.random.default_rng(0), TextSampler()
    texts = Counter(sampler.sample(rng) for _ in range(20_000))
    often = [word for word, count in texts.most_common(100) if len(word) > 1]
    assert np.mean([place[word] for word in often]) < 1000
    # Of the texts that people spell it has most; the others are rare names, full names, strings.
    assert sum(n for word, n in texts.items() if word in place) / texts.total() > 0.6


def test_words_to_be_tested_on_can_be_left_out() -> None:
    assert not any(map(is_held_out, likely_words(words=5_000, split="train").words))
    assert any(map(is_held_out, likely_words(words=5_000).words))
    with pytest.raises(UsageError, match="expected 1 or more, got 0"):
        likely_words(words=0)


def test_the_file_is_that_of_bundles(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    result = CliRunner().invoke(app, ["prepare", "lexicon", "-o", str(path), "--words", "300"])
    assert result.exit_code == 0, result.output
    assert path.read_text().split() == list(likely_words(words=300).words)
    assert len(parse_lexicon(path.read_bytes(), path, ASL_LETTERS)) == 300
