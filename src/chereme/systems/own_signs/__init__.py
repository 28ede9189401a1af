"""Recognisers of the signs that a user records."""
