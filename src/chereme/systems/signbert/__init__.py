"""System C, SignBERT: pre-training on hand poses by masking them, then recognition of signs.

Joints -> ``tokens`` -> ``gesture`` and ``encoder`` -> ``decoder`` (pre-training) or a head that
classifies (``recognizer``).
"""
