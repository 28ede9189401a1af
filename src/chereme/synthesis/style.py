"""How a signer spells: speed, habits, the view of the camera, and the detector that watched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SpellingStyle:
    """How one signer spells in one clip. Times in seconds, angles in degrees, lengths in palms."""

    letter_seconds: float = 0.3
    hold_fraction: float = 0.4
    finger_lag: float = 0.02
    smoothing: float = 0.02
    shape_spread: float = 2.0  # habit: constant offset of each joint
    letter_spread: float = 1.5  # and once more for each letter
    tightness_spread: float = 0.1  # share by which fingers bend more or less than the exemplars'
    view_turn: float = 12.0  # camera round the hand: pitch, and half as much again of yaw
    view_roll: float = 8.0
    letter_turn: float = 8.0  # yaw of each letter, more for those often shown from the side
    sideways_right: bool = True  # G, H, P, Q point to the picture's right (palm to the signer)
    from_behind: bool = False  # seen as the signer sees it
    drift: float = 0.12
    first_hold: float = 0.0
    last_hold: float = 0.0
    held: float = 0.0  # of one letter, for longer than within a word
    held_at: float = 0.0  # which: 0 = the first, 1 = the last
    before_stroke: float = 0.0  # J and Z are held so long as I and D before they move
    sway: float = 0.0  # wander of a hand that is held: palms in a second
    rise: bool = True
    sink: bool = True
    rest: float = 0.0  # before it rises and after it sank, longer than a moment
    cut_start: bool = False  # the recording begins while the hand rises
    cut_end: bool = False  # and ends while it sinks
    jitter: float = 0.012
    rate: float = 30.0
    stretch: float = 1.0  # width of the picture against its true one
    depth: bool = True
    dropout: float = 0.01

    @classmethod
    def sample(
        cls, rng: np.random.Generator, letters: int = 1, holds: float = 0.0
    ) -> SpellingStyle:
        """A random style: from half a letter to about nine letters a second.

        ``letters`` is the length of the text: slow spelling of long words would make clips that
        cost much and teach little. ``holds`` is how often one of them is held for 0.5 to 5 s."""
        seconds = float(np.clip(rng.lognormal(np.log(0.28), 0.45), 0.11, 0.9))
        if rng.random() < 0.07:
            seconds = rng.uniform(0.6, 2.0)
        seconds = min(seconds, max(6.0 / max(letters, 1), 0.15))
        return cls(
            letter_seconds=seconds,
            hold_fraction=rng.uniform(0.1, 0.7) if seconds > 0.18 else rng.uniform(0.05, 0.4),
            finger_lag=rng.uniform(0.0, 0.1) * seconds,
            smoothing=rng.uniform(0.02, 0.12) * seconds,
            shape_spread=rng.uniform(0, 4),
            letter_spread=rng.uniform(0, 3),
            view_turn=rng.uniform(4, 22),
            view_roll=rng.uniform(3, 15),
            letter_turn=rng.uniform(2, 14),
            sideways_right=rng.random() < 0.65,
            from_behind=rng.random() < 0.04,
            drift=rng.uniform(0.0, 0.3),
            first_hold=rng.uniform(0.1, 0.9) if rng.random() < 0.5 else 0.0,
            last_hold=rng.uniform(0.0, 0.5) if rng.random() < 0.5 else 0.0,
            held=float(np.exp(rng.uniform(*np.log([0.5, 5.0])))) if rng.random() < holds else 0.0,
            held_at=rng.uniform(),
            before_stroke=rng.uniform(0.0, 2.0) if rng.random() < 0.25 else 0.0,
            sway=rng.uniform(0.0, 0.12),
            rise=rng.random() < 0.6,
            sink=rng.random() < 0.6,
            rest=rng.uniform(0.0, 1.2) if rng.random() < 0.3 else 0.0,
            cut_start=rng.random() < 0.4,
            cut_end=rng.random() < 0.4,
            jitter=rng.uniform(0.003, 0.025),
            rate=float(rng.choice([15, 20, 24, 25, 30, 30, 30, 50, 60])),
            stretch=rng.uniform(0.8, 1.35) if rng.random() < 0.35 else 1.0,
            depth=rng.random() > 0.08,
            dropout=rng.choice([0.0, 0.01, 0.05, 0.15]),
        )
