"""What the text decoder says, and when the CTC head knows better."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from chereme.decoding import GlossWeights, JointWeights, NGramLanguageModel
from chereme.formats.tracks import one_track
from chereme.recognition.config import Windows
from chereme.recognition.continuous import ContinuousRecognizer
from chereme.text.glosses import BOS, EOS
from fake_signing import LONG, RATE, SENTENCE, VOCABULARY, V, sign, span, with_decoder

JOHN, BUY, HOUSE = VOCABULARY.encode(SENTENCE.split())


class Says:
    """``decoder.onnx`` that says ``logits (L, V)``, whatever it sees or said before."""

    def __init__(self, logits):
        self.logits = logits

    def run(self, names, given):
        clips, places = given["ids"].shape
        found = self.logits[np.minimum(np.arange(places), len(self.logits) - 1)]
        return [np.repeat(found[None], clips, 0)]


def test_the_decoder_takes_its_times_from_the_ctc_head() -> None:
    recognizer = ContinuousRecognizer(with_decoder())
    result = recognizer.recognize(sign(SENTENCE))
    assert (result.text, result.warnings) == (SENTENCE, ())
    assert [(g.start, g.end) for g in result.tokens] == [
        pytest.approx(span(place)) for place in range(3)
    ]
    assert all(g.probability > 0.99 for g in result.tokens)
    assert len(result.alternatives) == 5
    assert result.alternatives[0] == (SENTENCE, None)
    assert result.info["search"]["beam_size"] == 5
    narrow = ContinuousRecognizer(with_decoder(), beam_width=2)
    assert len(narrow.recognize(sign(SENTENCE)).alternatives) == 2
    greedy = ContinuousRecognizer(with_decoder(), greedy=True).recognize(sign(SENTENCE))
    assert (greedy.text, greedy.info["search"]) == (SENTENCE, "greedy")


def test_without_a_ctc_head_there_are_no_times_and_a_warning_of_the_cuts() -> None:
    recognizer = ContinuousRecognizer(with_decoder(readers=("decoder",)))
    result = recognizer.recognize(sign(SENTENCE))
    assert (result.text, result.warnings) == (SENTENCE, ())
    assert not any(token.is_timed for token in result.tokens)
    # Pieces of 60 frames that end in a pause.
    longer = recognizer.recognize(sign(LONG))
    assert longer.text == LONG
    assert longer.info["windows"] == 3
    assert "read in 3 segments, as this model has no CTC head" in longer.warnings[0]


@pytest.mark.parametrize("times", [0, 2, 12])
def test_a_decoder_that_says_too_little_or_too_much_gives_way_to_the_ctc_head(times: int) -> None:
    result = ContinuousRecognizer(with_decoder(times=times)).recognize(sign(SENTENCE))
    assert (result.text, len(result.warnings)) == (SENTENCE, 1)
    assert "do not fit the frames: read with the CTC head instead" in result.warnings[0]


def test_a_decoder_of_no_finite_number_gives_way_to_the_ctc_head() -> None:
    broken = replace(with_decoder(), decoder=Says(np.full((1, V), np.nan, np.float32)))
    result = ContinuousRecognizer(broken).recognize(sign(SENTENCE))
    assert (result.text, len(result.warnings)) == (SENTENCE, 1)
    alone = replace(with_decoder(readers=("decoder",)), decoder=broken.decoder)
    assert ContinuousRecognizer(alone).recognize(sign(SENTENCE)).text == ""


def test_a_ctc_head_that_fits_nothing_of_the_decoder_reads_itself() -> None:
    """It sees a mark, which no decoder says, in too few frames for what the decoder says."""
    marks = one_track("fake_signing", np.eye(V)[[0, BOS, 0]], RATE)
    model = replace(
        with_decoder(), decoder=Says(20 * np.eye(V, dtype=np.float32)[[JOHN] * 9 + [EOS]])
    )
    result = ContinuousRecognizer(model).recognize(marks)
    assert "read with the CTC head instead" in result.warnings[0]
    assert len(result.tokens) <= 1


@pytest.mark.parametrize(("more", "text"), [(0.5, "JOHN HOUSE HOUSE"), (0.3, SENTENCE)])
def test_of_decoder_and_ctc_head_the_surer_one_is_believed(more: float, text: str) -> None:
    """In the one frame of the second sign the CTC head gives BUY 0.6 and HOUSE 0.4, 0.405 less in
    ln p; the decoder gives HOUSE ``more`` than BUY."""
    clip = sign(SENTENCE)
    track = clip.values["fake_signing"].copy()
    track[15:20] = np.eye(V)[0]
    track[14, HOUSE] = 1 - np.log(0.6 / 0.4) / 20
    logits = np.zeros((4, V), np.float32)
    logits[[0, 2, 3], [JOHN, HOUSE, EOS]] = 20
    logits[1, [BUY, HOUSE]] = 20, 20 + more
    model = replace(with_decoder(), decoder=Says(logits))
    result = ContinuousRecognizer(model).recognize(one_track("fake_signing", track, RATE))
    assert (result.text, result.warnings) == (text, ())
    assert [one[0] for one in result.alternatives[:2]] == [
        text,
        *{SENTENCE, "JOHN HOUSE HOUSE"} - {text},
    ]


ARPA = """\\data\\
ngram 1=6
ngram 2=1

\\1-grams:
-99\t<s>\t0
-0.5\t</s>
-1\t<unk>
-0.5\tJOHN\t-0.3
-2.0\tBUY\t0
-0.7\tHOUSE\t0

\\2-grams:
-0.1\tJOHN HOUSE

\\end\\
"""


@pytest.mark.parametrize("reader", ["ctc", "decoder"])
def test_a_language_model_decides_what_the_networks_leave_open(reader: Any) -> None:
    """Of the second sign neither head knows more than that it is rather BUY than HOUSE."""
    track = sign(SENTENCE).values["fake_signing"].copy()
    track[15:20] = np.eye(V)[0]
    track[14, HOUSE] = 0.99
    logits = np.zeros((4, V), np.float32)
    logits[[0, 2, 3], [JOHN, HOUSE, EOS]] = 20
    logits[1, [BUY, HOUSE]] = 20, 19.9
    weights = GlossWeights(1.0, 0.0, JointWeights(0.5, 1.0, 0.0))
    lm = NGramLanguageModel.read_arpa(ARPA, VOCABULARY.said)
    model = replace(with_decoder(weights=weights), decoder=Says(logits), language_model=lm)
    clip = one_track("fake_signing", track, RATE)
    with_lm = ContinuousRecognizer(model, read_with=reader).recognize(clip)
    assert with_lm.text == "JOHN HOUSE HOUSE"
    without = ContinuousRecognizer(model, read_with=reader, lm=False).recognize(clip)
    assert without.text == SENTENCE
    assert [one.info["search"]["lm"] for one in (with_lm, without)] == [True, False]
    assert without.info["search"]["weights"]["joint"] == asdict(JointWeights())
    greedy = ContinuousRecognizer(model, read_with=reader, greedy=True).recognize(clip)
    assert (greedy.text, greedy.info["search"]) == (SENTENCE, "greedy")


def test_without_a_ctc_head_more_than_64_glosses_are_cut_and_told() -> None:
    model = with_decoder(readers=("decoder",), windows=Windows(100.0, 2.0))
    result = ContinuousRecognizer(model).recognize(sign("JOHN BUY " * 40))
    assert len(result.tokens) == 64
    assert result.warnings == (
        "the reading was cut off at 64 glosses, the most that the model gives of a segment",
    )
    whole = with_decoder(windows=Windows(100.0, 2.0))
    assert len(ContinuousRecognizer(whole).recognize(sign("JOHN BUY " * 40)).tokens) == 80
