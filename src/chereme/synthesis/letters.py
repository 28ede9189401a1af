"""Letters and digits of fingerspelling as isolated signs, one a clip, composed from exemplars.

A clip is what a hand detector sees of a hand that comes from rest or is there already, shows one
letter, and goes again (`chereme.synthesis.spelling`); J and Z are movements. Some clips are a
picture: one frame, or the same for a while. The other hand may be in sight, and idle.

0, 2, 6 and 9 are the handshapes of O, V, W and F, and which is meant context alone can tell. Their
clips are composed from the exemplars of both, and ``DIGIT_FRACTION`` of them have the digit for
their gloss, whatever the exemplar: what is learnt of such a hand is this share, and not of which
collection it reminds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chereme.datasets.exemplars import DIGITS, LETTERS, MOVING, Exemplars, concat_exemplars
from chereme.datasets.pose_clips import Entry, PoseClip
from chereme.datasets.registry import Kind, dataset
from chereme.errors import UsageError
from chereme.hands.both import SIDES
from chereme.synthesis.spelling import SpelledClip, Speller
from chereme.synthesis.style import SpellingStyle

Part = Literal["train", "dev", "test"]
Floats = NDArray[np.floating[Any]]

LOOK_ALIKES = {"0": "o", "2": "v", "6": "w", "9": "f"}
DIGIT_FRACTION = 0.25  # of the clips of a handshape that is a letter and a digit
_RATES = (15.0, 20.0, 24.0, 25.0, 30.0, 30.0, 30.0)
_STILLS = 0.25  # share of the clips of letters without movement that are one frame, or one for long
_OTHER_HAND = 0.25  # share of the clips in which the other hand is in sight
_PALMS = (12.0, 160.0)  # pixels of a palm
_TENTH = 10


@dataclass(frozen=True)
class LetterClips:
    """``clips`` clips to train on, of all signers but ``dev`` and ``test``, and of each of these a
    tenth as many, composed from that signer's hands alone.

    Handshapes are equally frequent in each part, as far as its exemplars go. The same ``seed``
    gives the same clips.

    Raises ``UsageError`` for signers that have no exemplars, or where nobody is left to train on.
    """

    exemplars: Exemplars
    clips: int
    dev: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        known = set(self.exemplars.signer.tolist())
        kept = {*self.dev, *self.test}
        if unknown := sorted(kept - known):
            raise UsageError(
                f"signers: expected some of {', '.join(sorted(known))}, got {', '.join(unknown)}"
            )
        if not known - kept:
            raise UsageError("signers: expected one to train on at least, got none")
        if self.clips < _TENTH:
            raise UsageError(f"clips: expected at least {_TENTH}, got {self.clips}")

    @cached_property
    def _parts(self) -> list[_Hands]:
        shapes = _shapes(self.exemplars)
        known = set(self.exemplars.label.tolist())
        digits = {letter: digit for digit, letter in LOOK_ALIKES.items() if digit in known}
        kept = (*self.dev, *self.test)
        parts = [_Hands(shapes.select(without=kept), digits, "", "train", self.clips)]
        tenth = self.clips // _TENTH
        for name in kept:
            part: Part = "dev" if name in self.dev else "test"
            parts.append(_Hands(shapes.select(only=(name,)), digits, name, part, tenth))
        return parts

    def __len__(self) -> int:
        return self.clips + self.clips // _TENTH * len((*self.dev, *self.test))

    def __iter__(self) -> Iterator[PoseClip]:
        for number, hands in enumerate(self._parts):
            for index in range(hands.clips):
                yield hands.clip(index, self.seed, number)


def _shapes(exemplars: Exemplars) -> Exemplars:
    """``exemplars`` with one label for each handshape: of look-alikes that of the letter.

    Where there are digits, hands that spell nothing are but those whose shape is no digit's."""
    label, keep = exemplars.label.copy(), np.ones(len(exemplars.label), bool)
    if np.isin(label, list(DIGITS)).any():
        keep = (label != "") | (exemplars.signer == "animation")
    for digit, letter in LOOK_ALIKES.items():
        label[label == digit] = letter
    return replace(
        exemplars,
        landmarks=exemplars.landmarks[keep],
        label=label[keep],
        signer=exemplars.signer[keep],
        picture=exemplars.picture[keep],
        vectors=exemplars.vectors[keep],
    )


class _Hands:
    """The hands of one or several signers, and the clips that are made of them; ``digits``: that a
    letter looks like."""

    def __init__(
        self, exemplars: Exemplars, digits: Mapping[str, str], signer: str, part: Part, clips: int
    ) -> None:
        self.speller, self.digits = Speller(exemplars), digits
        self.signer, self.part, self.clips = signer, part, clips
        self.shapes = [c for c in LETTERS + DIGITS if c in self.speller.letters]

    def clip(self, index: int, seed: int, number: int) -> PoseClip:
        """The clip ``index`` of the part ``number``."""
        turn, place = divmod(index, len(self.shapes))
        order = np.random.default_rng([seed, number, 0, turn]).permutation(len(self.shapes))
        shape = self.shapes[int(order[place])]
        rng = np.random.default_rng([seed, number, 1, index])
        style = _style(rng)
        spelled = self.speller.spell(shape, rng, style)
        joints, confidence = self._seen(spelled, style, rng)
        name = f"letter-{seed}-{self.signer or self.part}-{index:06d}"
        gloss = self.digits.get(shape, shape) if rng.random() < DIGIT_FRACTION else shape
        entry = Entry(name, gloss, self.signer, self.part, style.rate, len(joints))
        return PoseClip(entry, joints, confidence)

    def _seen(
        self, spelled: SpelledClip, style: SpellingStyle, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the detector found of both hands, in pixels; a right hand spells."""
        track = spelled.track
        points, sure = track.landmarks[..., :2], track.confidence
        letter, start, end = spelled.spans[0]
        if letter not in MOVING and rng.random() < _STILLS:
            at = rng.uniform(start + 0.5 * (end - start), end)  # it has taken its shape by then
            frame = np.clip(round(at * style.rate), 0, len(points) - 1)
            count = 1 if rng.random() < 0.4 else int(rng.integers(2, 25))
            points, sure = np.repeat(points[[frame]], count, 0), np.ones((count, 21))
        frames = len(points)
        joints = np.full((frames, len(SIDES), 21, 2), np.nan)
        confidence = np.zeros((frames, len(SIDES), 21), np.float32)
        right = SIDES.index("right")
        joints[:, right], confidence[:, right] = points, sure
        if rng.random() < _OTHER_HAND:
            left, found = self._idle(frames, style, rng)
            joints[:, 1 - right], confidence[:, 1 - right] = left, found[:, None]
        palm = np.exp(rng.uniform(*np.log(_PALMS)))
        return (joints * palm + rng.uniform(200, 800, 2)).astype(np.float32), confidence

    def _idle(
        self, frames: int, style: SpellingStyle, rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """The other hand, in palms from where the spelling one began, and when it was seen."""
        calm = replace(style, dropout=0.0)
        track = self.speller.idle(rng, calm).track
        shown = np.resize(track.landmarks[..., :2] * [-1.0, 1.0], (frames, 21, 2))
        if len(track.landmarks) < frames:  # it stays as it was in the end
            shown[len(track.landmarks) :] = shown[len(track.landmarks) - 1]
        found = np.ones(frames)
        if rng.random() < 0.4:  # it comes late, or goes early
            gone = rng.integers(frames + 1)
            found[slice(gone) if rng.random() < 0.5 else slice(frames - gone, None)] = 0.0
        away = np.array([rng.uniform(2.0, 6.0), rng.uniform(-1.0, 6.0)])
        return shown + away, found


def _style(rng: np.random.Generator) -> SpellingStyle:
    """How one letter is shown: mostly held for longer than within a word."""
    style = SpellingStyle.sample(rng)
    return replace(
        style,
        rate=float(rng.choice(_RATES)),
        letter_seconds=float(np.clip(rng.lognormal(np.log(0.45), 0.5), 0.15, 1.2)),
        hold_fraction=rng.uniform(0.3, 0.9),
        first_hold=rng.uniform(0.0, 1.0) if rng.random() < 0.6 else 0.0,
    )


@dataset("letters", Kind.SYNTHETIC_POSES)
def letter_clips(
    exemplars: list[Path],
    clips: int,
    *,
    dev: list[str] | None = None,
    test: list[str] | None = None,
    seed: int = 0,
) -> LetterClips:
    """Letters and digits as isolated signs, composed from exemplars of hands.

    Args:
        exemplars: a file of chereme prepare exemplars; may be given more than once.
        clips: how many to train on; of each signer who is not, there are a tenth as many.
        dev: signers of the split dev, as hand1.
        test: signers of the split test, likewise.
        seed: the same seed gives the same files.
    """
    hands = concat_exemplars([Exemplars.load(file) for file in exemplars])
    return LetterClips(hands, clips, tuple(dev or ()), tuple(test or ()), seed)
