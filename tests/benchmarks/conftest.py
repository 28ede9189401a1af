"""Fixtures of all trainings."""

from fake_shards import coloured_shards, make_clip, one_thread

__all__ = ["coloured_shards", "make_clip", "one_thread"]
