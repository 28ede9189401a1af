import pytest
from hypothesis import given
from hypothesis import strategies as st

from chereme.errors import InputError, UsageError
from chereme.text import ASL_LETTERS, CHICAGO, Alphabet


def test_letters_are_in_order_after_the_blank():
    assert len(ASL_LETTERS) == 27
    assert ASL_LETTERS.encode("az") == [1, 26]
    assert ASL_LETTERS.decode([3, 1, 20]) == "cat"


def test_chicago_order_is_that_of_the_published_models():
    assert len(CHICAGO) == 32
    assert "".join(CHICAGO.symbols) == " '&.@acbedgfihkjmlonqpsrutwvyxz"
    assert CHICAGO.encode(" ac b") == [1, 6, 7, 1, 8]


@pytest.mark.parametrize("alphabet", [ASL_LETTERS, CHICAGO])
def test_every_normalised_label_can_be_spelled_and_read_back(alphabet):
    @given(st.text())
    def check(label):
        text = alphabet.normalise(label)
        assert alphabet.normalise(text) == text
        assert alphabet.decode(alphabet.encode(text)) == text

    check()


def test_normalise():
    assert ASL_LETTERS.normalise(" Zoë \t O'Brien ") == "zoeobrien"
    assert CHICAGO.normalise(" Zoë \t O'Brien ") == "zoe o'brien"
    assert CHICAGO.normalise("- a -") == "a"


def test_symbols_with_accents():
    swedish = Alphabet(tuple("abcdefghijklmnopqrstuvwxyz\N{LATIN SMALL LETTER O WITH DIAERESIS}ß"))
    for label in ("Bjo\N{COMBINING DIAERESIS}rn", "Bj\N{LATIN SMALL LETTER O WITH DIAERESIS}rn"):
        assert swedish.normalise(label) == "bj\N{LATIN SMALL LETTER O WITH DIAERESIS}rn"
        assert ASL_LETTERS.normalise(label) == "bjorn"
    assert swedish.normalise("Stra\N{LATIN SMALL LETTER SHARP S}e") == "straße"
    assert ASL_LETTERS.normalise("Straße") == "strasse"


def test_what_the_alphabet_does_not_have():
    assert ASL_LETTERS.unknown(" Zoë \t O'Brien 2's") == "'2"
    assert ASL_LETTERS.as_written(" Zoë \t O'Brien 2's") == "zoeo'brien2's"
    assert CHICAGO.unknown("Zoë O'Brien") == ""
    assert CHICAGO.as_written("a  -  B") == "a - b"
    assert (
        ASL_LETTERS.unknown("\N{CJK UNIFIED IDEOGRAPH-4F60}!!") == "\N{CJK UNIFIED IDEOGRAPH-4F60}!"
    )


def test_unknown_symbols_are_named():
    with pytest.raises(InputError, match=r"'é'"):
        ASL_LETTERS.encode("café")
    for wrong in ([0], [27], [-1]):
        with pytest.raises(InputError, match=r"1\.\.26"):
            ASL_LETTERS.decode(wrong)


@pytest.mark.parametrize("symbols", [(), ("a", "a"), ("A",), ("ab",), ("",)])
def test_broken_alphabets_are_refused(symbols):
    with pytest.raises(UsageError, match="alphabet"):
        Alphabet(symbols)
