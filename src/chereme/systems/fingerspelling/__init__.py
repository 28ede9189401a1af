"""System A: fingerspelling to letters (frame encoder -> 1D-CNN -> BiGRU -> CTC).

One sequence model for every stream: RGB hand crops (the paper's), landmarks, teacher vectors.

- ``encoders``: of a frame (section 3.2.1; the ResNet34 is ``chereme.nn.resnet``); ``temporal``:
  the 1D-CNN; ``sequence``: with the BiGRU and both classifiers (3.2.2); ``recognizer``: the
  whole.
- ``losses``: CTC and KL divergence (3.2.3); ``distillation``: from the teacher's vectors (3.4).
- ``fusion``: late fusion (Table 2); ``language_model``: of characters, for the beam search (3.5).
- ``batches``, ``data``, ``task``: training on shards of crops; ``composed``: on composed
  landmarks.
- ``checkpoints``, ``scoring``, ``export``: reading a run, its score, and its bundle.
"""
