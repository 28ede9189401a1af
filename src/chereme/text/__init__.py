"""Alphabets and vocabularies."""

from chereme.text.alphabet import ASL_LETTERS, BLANK, CHICAGO, Alphabet

__all__ = ["ASL_LETTERS", "BLANK", "CHICAGO", "Alphabet"]
