"""The settings of the search: what the user asked for, else what was tuned with each model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chereme.decoding import LanguageModel, Lexicon, LexiconLanguageModel, UniformLanguageModel
from chereme.errors import UsageError
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import LANGUAGE_MODEL, LEXICON, LetterConfig
from chereme.recognition.ctc_letters import Search
from chereme.recognition.streams import Readers

# Texts that each network puts forward where two decide together, unless a width was asked for.
N_BEST = 10
# Choice: the probability that a text is one of the words that the user expects. It is shared out
# among them: the fewer they are, the more each is expected. Of 0.3, 0.5 and 0.8 the last read most
# of 19 words right that 12 strangers spelled, and strings of letters as well as the others.
EXPECTED_SHARE = 0.8
# Of the list of words where a model has no letter language model, and so no weight of its own.
WORD_ALPHA = 0.5


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What the user asked for; None takes the values tuned with the model. ``words``: those that
    are expected."""

    beam_width: int | None = None
    alpha: float | None = None
    beta: float | None = None
    greedy: bool = False
    lm: bool = True
    words: Lexicon | None = None

    def __post_init__(self) -> None:
        if self.beam_width is not None and self.beam_width < 1:
            raise UsageError(f"beam width: expected 1 or more, got {self.beam_width}")
        if self.words is not None and (self.greedy or not self.lm):
            raise UsageError(
                "words are expected by the language model, which is not asked: leave out the "
                f"words, or {'greedy' if self.greedy else 'no-lm'}"
            )


def searches_of(readers: Readers, options: SearchOptions) -> list[Search]:
    """How each of the bundles searches."""
    together = _together(readers)
    language_models: dict[object, LanguageModel] = {}
    searches = []
    for bundle in readers.bundles:
        tuned = bundle.config.decoding
        lm, alpha, beta = None, 0.0, 0.0
        if options.lm and not options.greedy:
            # Two bundles may hold the same one: then it is asked once.
            files = bundle.config.files
            key = (files.get(LANGUAGE_MODEL), files.get(LEXICON), tuned.word_share)
            lm = language_models.get(key) or _language_model(bundle, options.words)
        if lm is not None:
            language_models[key] = lm
            alpha, beta = tuned.alpha, tuned.beta
            if bundle.language_model is None:
                # All letters are as likely, and what they cost is given back.
                alpha = options.alpha or WORD_ALPHA
                beta = alpha * float(np.log(1 + len(bundle.config.alphabet)))
        width = max(N_BEST, tuned.beam_width) if together else tuned.beam_width
        searches.append(
            Search(
                greedy=options.greedy,
                beam_width=width if options.beam_width is None else options.beam_width,
                # Without a language model its weight, and the length bonus tuned with it, mean
                # nothing.
                alpha=_first(options.alpha, alpha) if lm else 0.0,
                beta=_first(options.beta, beta),
                min_probability=tuned.min_probability,
                language_model=lm,
                words=sum(len(one) for one in (bundle.lexicon, options.words) if one and lm),
            )
        )
    return searches


def _language_model(bundle: Bundle[LetterConfig], expected: Lexicon | None) -> LanguageModel | None:
    """The bundle's, with its list of words and those that the user expects, if there are any."""
    lists, left = [], 1.0
    if expected is not None:
        lists, left = [(expected, EXPECTED_SHARE)], 1 - EXPECTED_SHARE
    if bundle.lexicon is not None:
        lists.append((bundle.lexicon, left * bundle.config.decoding.word_share))
    if not lists:
        return bundle.language_model
    base = bundle.language_model or UniformLanguageModel(1 + len(bundle.config.alphabet))
    return LexiconLanguageModel(base, lists)


def decoding_info(readers: Readers, options: SearchOptions) -> dict[str, Any]:
    """The settings as they are reported: of two bundles, those of each with its weight."""
    settings = [_settings(search) for search in searches_of(readers, options)]
    if len(settings) == 1:
        return settings[0] | ({"method": "rescoring"} if _together(readers) else {})
    rows = zip(readers.bundles, readers.weights, settings, strict=True)
    return {
        "method": "rescoring",
        "streams": {b.config.stream: {"weight": weight, **setting} for b, weight, setting in rows},
    }


def _together(readers: Readers) -> bool:
    """Whether several networks read."""
    return sum(bundle.config.members for bundle in readers.bundles) > 1


def _settings(search: Search) -> dict[str, Any]:
    if search.greedy:
        return {"method": "greedy"}
    return {
        "method": "beam",
        "beam_width": search.beam_width,
        "alpha": search.alpha,
        "beta": search.beta,
        "lm": search.language_model is not None,
        "words": search.words,
    }


def _first(value: float | None, default: float) -> float:
    return default if value is None else value
