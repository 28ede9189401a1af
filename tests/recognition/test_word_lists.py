"""Lists of words that a user gives, and those of bundles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fakes
from chereme.decoding import LexiconLanguageModel, UniformLanguageModel
from chereme.decoding.language_model import text_log_probabilities
from chereme.errors import BundleError, UsageError
from chereme.recognition.bundle import Bundle
from chereme.recognition.word_lists import (
    FLATNESS,
    LONGEST,
    expected_words,
    parse_lexicon,
    read_words,
)
from chereme.text import ASL_LETTERS, Alphabet


def probabilities(lexicon, *words: str, alphabet: Alphabet = ASL_LETTERS) -> np.ndarray:
    """Of each word in the list alone: what it has more than where it is not expected."""
    size = len(alphabet)
    lm = LexiconLanguageModel(UniformLanguageModel(size), [(lexicon, 0.5)], another=0.0)
    texts = [alphabet.encode(word) for word in words]
    uniform = np.array([0.5 * size ** -(len(text) + 1.0) for text in texts])
    return 2 * (np.exp(text_log_probabilities(lm, texts)) - uniform)


def test_words_in_any_writing_are_spelled_in_the_alphabet() -> None:
    lexicon = expected_words(["Zoë O'Brien", "ANNA", "anna", "Jean-Luc"], ASL_LETTERS)
    assert len(lexicon) == 3
    found = probabilities(lexicon, "zoeobrien", "anna", "jeanluc", "ann")
    np.testing.assert_allclose(found, [1 / 3, 1 / 3, 1 / 3, 0], atol=1e-12)
    greek = Alphabet(("α", "ν"))
    assert len(expected_words(["Άννα"], greek)) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected 1 to 200,000 words, got 0"),
        ("anna", "expected a list of words, got the text 'anna'"),
        (["anna", "r2d2"], "got 'r2d2' with '2'; write it as it is spelled"),
        (["Άννα"], "got 'Άννα' with 'α'"),
        (["--"], "got '--' with no letters"),
        (["a" * (LONGEST + 1)], "at most 100 letters in a word, got 101"),
    ],
)
def test_words_that_cannot_be_expected(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        expected_words(words, ASL_LETTERS)


def test_files_of_words(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(b"\xef\xbb\xbfAnna\r\n\r\n  Zo\xc3\xab \r\nBo")
    assert read_words(path) == ["Anna", "Zoë", "Bo"]
    path.write_bytes(b"Anna\nBo\nZo\xeb\n")
    with pytest.raises(UsageError, match=r"names\.txt: expected a text file in UTF-8.* line 3"):
        read_words(path)
    with pytest.raises(UsageError, match=r"words: .*absent\.txt"):
        read_words(tmp_path / "absent.txt")
    path.write_bytes(b"a" * (5 << 20))
    with pytest.raises(UsageError, match="expected at most 4,194,304 bytes"):
        read_words(path)


def test_the_first_words_of_a_bundle_are_likelier(tmp_path: Path) -> None:
    text = "".join(f"{word}\n" for word in ("lab", "bad", "vail"))
    weights = 1 / (FLATNESS + np.arange(3))
    alphabet = Alphabet(fakes.ALPHABET)
    found = parse_lexicon(text.encode(), "lexicon.txt", alphabet)
    np.testing.assert_allclose(
        probabilities(found, "lab", "bad", "vail", "va", alphabet=alphabet),
        [*weights / weights.sum(), 0],
        atol=1e-9,
    )
    bundle = fakes.make_bundle(tmp_path / "b", lexicon=text)
    assert bundle.lexicon is not None
    assert len(bundle.lexicon) == 3
    assert "lexicon.txt" in bundle.config.files
    assert fakes.make_bundle(tmp_path / "without").lexicon is None
    (tmp_path / "b" / "lexicon.txt").write_text("bad\n")
    with pytest.raises(BundleError, match=r"lexicon\.txt has changed"):
        Bundle.load(tmp_path / "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "1 to 200,000 different words, got 0 lines"),
        (b"bad\nlab\nbad\n", "got 3 lines with 2"),
        (b"bad\n\nlab\n", "words of 1 to 100 letters"),
        (b"bad\nLab\n", "expected words of the alphabet .*'L'"),
        (b"bad\r\n\xff", "expected words of the alphabet"),
    ],
)
def test_damaged_lists_of_bundles(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=rf"lexicon\.txt: expected .*{message}|{message}"):
        parse_lexicon(content, "lexicon.txt", Alphabet(fakes.ALPHABET))
    if content != b"bad\r\n\xff":
        with pytest.raises(BundleError, match=message):
            fakes.make_bundle(tmp_path / "b", lexicon=content.decode())
