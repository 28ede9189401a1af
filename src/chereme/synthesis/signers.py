"""Made-up signers: a hand's shape, a skin, clothes, and habits of spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.synthesis.handshapes import Handshape
from chereme.synthesis.rendering.arm import ArmShape
from chereme.synthesis.rendering.people import Person
from chereme.synthesis.rendering.skin import SkinTone
from chereme.synthesis.style import SpellingStyle

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Signer:
    """One signer, the same in every clip.

    ``handshapes`` has one row for each letter: of several ways to form it, this signer's.
    ``betas (10,)`` is the shape of the hands; ``arm`` and ``person`` are those of somebody whose
    hands are of the usual size: see ``RenderedClip``."""

    name: str
    handshapes: tuple[Handshape, ...]
    betas: Floats
    skin: SkinTone
    person: Person
    arm: ArmShape
    left_handed: bool
    habits: SpellingStyle

    @classmethod
    def sample(cls, name: str, handshapes: Sequence[Handshape], rng: np.random.Generator) -> Signer:
        """Anybody who forms letters as ``handshapes`` say; one in ten is left-handed."""
        ways: dict[str, list[Handshape]] = {}
        for handshape in handshapes:
            ways.setdefault(handshape.letter, []).append(handshape)
        own = tuple(w[int(rng.integers(len(w)))] for w in ways.values())
        betas = rng.normal(0, 0.8, 10)
        skin = SkinTone.sample(rng)
        person = Person.sample(rng, skin)
        arm = ArmShape.sample(rng)
        return cls(
            name,
            own,
            betas,
            skin,
            person,
            arm,
            bool(rng.random() < 0.1),
            replace(SpellingStyle.sample(rng), from_behind=False),
        )

    def style(self, rng: np.random.Generator, letters: int, rate: float) -> SpellingStyle:
        """How this signer spells a text of ``letters`` on this occasion, at ``rate`` frames/s."""
        today = SpellingStyle.sample(rng, letters)
        own = self.habits
        # Slower than the habit for a short text, never much faster.
        seconds = own.letter_seconds * rng.lognormal(0, 0.15)
        return replace(
            today,
            letter_seconds=min(seconds, max(6.0 / max(letters, 1), 0.15)),
            hold_fraction=own.hold_fraction,
            finger_lag=own.finger_lag,
            smoothing=own.smoothing,
            shape_spread=0.6 * own.shape_spread,
            letter_spread=own.letter_spread,
            letter_turn=own.letter_turn,
            sideways_right=own.sideways_right,
            from_behind=False,
            rate=rate,
        )
