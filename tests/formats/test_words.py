from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chereme.errors import UsageError
from chereme.formats.words import split_words, to_milliseconds
from chereme.types import Token, Transcript


def transcript(text, tokens):
    spans = ((t, 0.1 * i, 0.1 * i + 0.1, 0.9) for i, t in enumerate(tokens))
    return Transcript(text, tuple(Token(*span) for span in spans))


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("", [], []),
        ("aab", ["a", "a", "b"], ["aab"]),
        ("to me", ["t", "o", " ", "m", "e"], ["to", "me"]),
        ("to me", ["t", "o", "m", "e"], ["to", "me"]),
        ("to", ["t", "o", " "], ["to"]),
        ("HOUSE GO", ["HOUSE", "GO"], ["HOUSE", "GO"]),
        ("GO NEW YORK", ["GO", "NEW YORK"], ["GO", "NEW YORK"]),
    ],
)
def test_words_follow_the_spaces_of_the_text(text, tokens, expected):
    words = split_words(transcript(text, tokens))
    assert [word.text for word in words] == expected
    kept = [token.text for word in words for token in word.tokens]
    assert kept == [token for token in tokens if token.strip()]


@pytest.mark.parametrize(
    ("text", "tokens"), [("ab", []), ("ab", ["a"]), ("ab", ["b"]), ("a", ["a", "b"]), ("", ["a"])]
)
def test_tokens_that_do_not_spell_the_text_are_refused(text, tokens):
    with pytest.raises(UsageError, match="expected tokens that spell"):
        split_words(transcript(text, tokens))


def test_milliseconds_by_hand():
    assert to_milliseconds([], 500) == []
    assert to_milliseconds([(0.1, 0.2)], 500) == [(100, 600)]  # stretched
    assert to_milliseconds([(0.1, 0.2), (0.4, 1.4)], 500) == [(100, 400), (400, 1400)]  # no room
    assert to_milliseconds([(0.0, 0.9), (0.5, 1.0)], 1) == [(0, 500), (500, 1000)]  # overlap
    assert to_milliseconds([(0.5, 0.5), (0.5, 0.5)], 1) == [(500, 501), (501, 502)]  # no length


times = st.floats(0, 1e5, allow_nan=False)


@given(st.lists(st.tuples(times, times), max_size=20), st.integers(1, 1000))
def test_milliseconds_always_rise(spans, shortest):
    edges = [edge for span in to_milliseconds(spans, shortest) for edge in span]
    assert len(edges) == 2 * len(spans)
    assert all(a <= b for a, b in pairwise(edges))
    assert all(a < b for a, b in zip(edges[::2], edges[1::2], strict=True))
