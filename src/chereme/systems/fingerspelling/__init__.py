"""System A: fingerspelling to letters (frame encoder -> 1D-CNN -> BiGRU -> CTC).

One sequence model for every stream: RGB hand crops (the paper's), landmarks, teacher vectors.
"""
