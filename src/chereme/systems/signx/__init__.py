"""System D, SignX: continuous signing -> glosses, from pose tracks or from video.

Stage I: ``tracks`` -> ``context`` (ours) -> latent -> ``diffusion`` -> ``decoder``, put together in
``pose2gloss``, trained with ``losses``, read with ``chereme.decoding.generation``. Stage II:
``video2pose``.
"""
