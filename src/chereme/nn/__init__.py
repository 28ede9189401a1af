"""Blocks that several systems are made of."""
