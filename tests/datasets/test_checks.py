from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from chereme.datasets.checks import (
    ctc_fit,
    letters_lost,
    shared_signers,
    steps_needed,
)
from chereme.decoding.ctc import ctc_log_likelihood
from chereme.errors import UsageError
from chereme.formats.manifests import Item
from chereme.formats.tables import read_rows
from chereme.text.alphabet import ASL_LETTERS, CHICAGO


def item(label="", frames=None, signer=None, split=None, id="i"):
    return Item(Path("x"), label, id, signer, split, frames=frames)


def test_signers_in_two_splits_are_named():
    items = [
        item(signer="a", split="train"),
        item(signer="b", split="test"),
        item(signer="b", split="train"),
        item(signer="c", split="dev"),
        item(signer="c", split="dev"),
        item(signer="d"),
        item(split="test"),
        item(split="train"),
    ]
    assert shared_signers(items) == {"b": ("train", "test")}
    assert shared_signers(items[:2]) == {}


@pytest.mark.parametrize("label", ["".join(w) for n in range(6) for w in product("ab", repeat=n)])
def test_steps_needed_is_where_ctc_begins_to_be_possible(label):
    symbols = [" ab".index(letter) for letter in label]
    needed = steps_needed(label)
    uniform = np.full((8 + len(label), 3), -np.log(3))
    assert np.isfinite(ctc_log_likelihood(uniform[:needed], symbols))
    if needed:
        assert ctc_log_likelihood(uniform[: needed - 1], symbols) == -np.inf


def test_letters_lost_is_the_smallest_number_that_can_go():
    for n in range(6):
        for word in map("".join, product("abc", repeat=n)):
            for steps in range(2 * n + 1):
                least = next(
                    k
                    for k in range(n + 1)
                    if any(steps_needed("".join(w)) <= steps for w in combinations(word, n - k))
                )
                assert letters_lost(word, steps) == least, (word, steps)


def test_clips_too_short_for_their_labels():
    items = [
        item("jello", 12, id="fits"),  # 6 steps of 12 / 2
        item("jello", 11, id="fits too"),  # ceil
        item("jello", 10, id="short"),
        item("aa", 4, id="double"),
        item("", 1, id="idle"),
        item("abc", None, id="uncounted"),
    ]
    fit = ctc_fit(items, 2)
    assert fit.too_short == ("short", "double")
    assert (fit.clips, fit.uncounted, fit.letters, fit.letters_lost) == (5, 1, 17, 2)
    assert fit.best_letter_accuracy == pytest.approx(100 * 15 / 17)
    assert fit.warning() == (
        "2 of 5 clips (40.0 %) are too short for their labels at a temporal stride of 2: CTC "
        "cannot spell them, and letter accuracy cannot exceed 88.24 %; use a smaller stride"
    )
    assert ctc_fit(items, 1).warning() is None
    assert ctc_fit([item("abc")], 4).best_letter_accuracy == 100


def test_what_the_model_has_no_symbol_for_needs_no_step():
    assert ctc_fit([item("to me", 8)], 2).too_short == ("i",)
    assert ctc_fit([item("to me", 8)], 2, ASL_LETTERS).too_short == ()


def test_a_stride_below_one_is_refused():
    with pytest.raises(UsageError, match="stride: expected 1 or more, got 0"):
        ctc_fit([], 0)


@pytest.fixture(scope="module")
def official(shared_data):
    """The test clips of ChicagoFSWild and ChicagoFSWild+, of which there are the labels only."""
    rows = read_rows(shared_data / "labels/chicagofswild_plus" / "test.csv")
    return [
        Item(Path(name), CHICAGO.normalise(label), name, frames=int(count))
        for _, (name, label, count) in rows
    ]


@pytest.mark.parametrize(("stride", "share"), [(1, 0.0), (2, 0.7), (4, 14.6)])
def test_official_test_clips_too_short_for_ctc(official, stride, share):
    fit = ctc_fit(official, stride)
    assert fit.clips == 2583
    assert round(100 * len(fit.too_short) / fit.clips, 1) == share


@pytest.mark.parametrize(
    ("plus", "clips", "share", "bound"), [(False, 868, 10.1, 1.99), (True, 1715, 16.9, 4.86)]
)
def test_what_stride_four_costs_on_each_test_set(official, plus, clips, share, bound):
    fit = ctc_fit([i for i in official if i.id.startswith("Batch") == plus], 4)
    assert fit.clips == clips
    assert round(100 * len(fit.too_short) / clips, 1) == share
    assert bound <= 100 - fit.best_letter_accuracy < bound + 0.6
