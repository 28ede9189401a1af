"""From per-frame log-probabilities to symbols."""

from chereme.decoding.beam import beam_search
from chereme.decoding.ctc import (
    Hypothesis,
    Span,
    align,
    at_temperature,
    ctc_edit_log_likelihoods,
    ctc_log_likelihood,
    ctc_log_likelihoods,
    greedy,
    symbols_or_blank,
    text_probabilities,
)
from chereme.decoding.joint import GlossWeights, JointWeights
from chereme.decoding.language_model import LanguageModel, OnnxLanguageModel
from chereme.decoding.lexicon import Lexicon, LexiconLanguageModel, UniformLanguageModel
from chereme.decoding.ngram import NGramLanguageModel
from chereme.decoding.rescoring import Scorer, likeliest_texts

__all__ = [
    "GlossWeights",
    "Hypothesis",
    "JointWeights",
    "LanguageModel",
    "Lexicon",
    "LexiconLanguageModel",
    "NGramLanguageModel",
    "OnnxLanguageModel",
    "Scorer",
    "Span",
    "UniformLanguageModel",
    "align",
    "at_temperature",
    "beam_search",
    "ctc_edit_log_likelihoods",
    "ctc_log_likelihood",
    "ctc_log_likelihoods",
    "greedy",
    "likeliest_texts",
    "symbols_or_blank",
    "text_probabilities",
]
