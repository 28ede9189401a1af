"""The list of words that comes with a model: what people are likely to spell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from chereme.datasets.registry import Kind, dataset
from chereme.datasets.words import Shares, Split, load_words
from chereme.errors import UsageError


@dataclass(frozen=True)
class LikelyWords:
    """Words in the letters of ASL, the likeliest first."""

    words: tuple[str, ...]

    def save(self, path: str | Path) -> None:
        """Write them one a line, as bundles hold them."""
        Path(path).write_text("".join(f"{word}\n" for word in self.words), encoding="utf-8")


@dataset("lexicon", Kind.WORDS)
def likely_words(words: int = 40_000, split: Split = "all") -> LikelyWords:
    """Words and names that people spell, the likeliest first.

    The list of words of a model (chereme export --lexicon), from the same sources in the same
    shares as what its letter language model is trained on.

    Args:
        words: how many, at most.
        split: "train" leaves out the words that composed texts are tested on.
    """
    if words < 1:
        raise UsageError(f"words: expected 1 or more, got {words}")
    shares, found = asdict(Shares()), dict[str, float]()
    for source, of_source in load_words(split=split).items():
        probabilities = np.diff(of_source.cumulative, prepend=0.0) * shares[source]
        for word, probability in zip(of_source.words, probabilities.tolist(), strict=True):
            found[word] = found.get(word, 0.0) + probability
    ranked = sorted(found, key=lambda word: (-found[word], word))
    return LikelyWords(tuple(ranked[:words]))
