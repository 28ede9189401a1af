"""System D, SignX: continuous signing -> glosses, from pose tracks or from video.

- ``tracks``: Eq. 1 to 3; ``diffusion``: Eq. 4 and inverse diffusion; ``decoder``: text decoder
  with its codebook, and CTC (ours); ``context``: between frames (ours); ``pose2gloss``: stage I,
  all of these.
- ``video2pose``: Eq. 5 to 7 and 13, stage II.
- ``losses``: Eq. 8 to 12, their weights and schedules (Table 2).
- ``data``, ``task``: training of stage I; ``video_data``, ``video_task``: of stage II;
  ``sentence_task``: of both; ``track_augmentation``, ``sentence_mixing``: more sentences from those
  that there are.
- ``batch_decoder``, ``track_errors``: what validation reads and measures; ``export``: the bundle.
"""
