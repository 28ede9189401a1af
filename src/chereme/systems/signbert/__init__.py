"""System C, SignBERT: pre-training on hand poses by masking them, then recognition of signs.

- ``tokens``: a hand pose as a token (sections 3.1, 4.2); ``gesture`` and ``encoder``: embeddings
  and Transformer (Eq. 1); ``decoder``: the hand-model-aware decoder (Eq. 2 to 5).
- ``masking``: section 3.2; ``losses``: Eq. 6 to 8; ``recognizer``: pre-training, and the head of
  fine-tuning (3.4).
- ``data``, ``augmentation``, ``task``, ``export``: training on pose clips, and the bundle.
- ``reconstruction_scores``: Tables 1 and 2; ``distances``: how far a clip is from what was
  learnt.
"""
