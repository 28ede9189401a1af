"""Letters read where nobody spells, letters lost where somebody does, and recordings on their side.

    python benchmarks/inventions.py letters --root ../shared/data
    python benchmarks/inventions.py sides --root ../shared/data

Rooms, objects and faces without hands, as photographs and as films by a hand that shakes, signs,
two-handed alphabets and idle hands must give no letters, or a warning that this is hardly spelling;
words composed of strangers' hands, letters held and real spelling must lose none, without warning.
A line a collection: letters a minute before and after judgement (``recognition.plausibility``),
correct letters lost by it, and the share of clips with letters that a warning marks; apart, people
whose clips the thresholds were chosen on.

``sides``: what becomes of recordings, upright and on their side. Words on video are turned as
pictures; of the others the landmarks are turned, and judged as if they came from pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from jsonargparse import auto_cli
from recordings import Clip, empty, held, real, signs, spelled, words
from results import markdown

import chereme
from chereme.hands.signing import signing_hand
from chereme.metrics import edit_counts
from chereme.recognition import letter_reading, plausibility
from chereme.recognition.ctc_letters import Segment
from chereme.recognition.hand_landmarks import detect_hands, turned
from chereme.recognition.orientation import is_turned, likely_turn, may_be_turned
from chereme.types import Landmarks, Token, Transcript

CHOSEN = ("traduttore alex", "traduttore danial", "libras")
STRANGERS = Path("runs/exemplars_dev.npz")  # of chereme prepare exemplars
SIDES = (90, 180, 270)
VERDICTS = ("turned upright", "turned wrongly", "warned about", "neither")
Read = tuple[Clip, list[Token], Transcript]  # letters before judgement, and what is read with it


def read(recognizer: Any, clip: Clip) -> Read:
    before: list[Token] = []

    def judge(segments: Sequence[Segment], *of: Any, **settings: Any) -> Any:
        before.extend(token for segment in segments for token in segment.tokens)
        return plausibility.judge(segments, *of, **settings)

    with patch.object(letter_reading, "judge", judge):
        return clip, before, recognizer.recognize(clip.landmarks)


def line(name: str, rows: list[Read]) -> list[str]:
    """One row of the table. Of stills there are letters, but no minutes."""
    minutes = sum(float(clip.landmarks.timestamps[-1]) for clip, _, _ in rows) / 60
    letters, right = [0, 0], [0, 0]
    for clip, before, after in rows:
        for number, tokens in enumerate((before, after.tokens)):
            counts = edit_counts(clip.text, "".join(token.text for token in tokens))
            right[number] += len(clip.text) - counts.substitutions - counts.deletions
            letters[number] += len(tokens)
    spoken = [after for _, _, after in rows if after.text]
    warned = sum(plausibility.DOUBT in after.warnings for after in spoken)
    rates = [f"{count / minutes:.0f}" if minutes else str(count) for count in letters]
    lost = f"{right[0] - right[1]} of {right[0]}" if any(clip.text for clip, _, _ in rows) else ""
    return [name, str(len(rows)), *rates, lost, f"{warned} of {len(spoken)}"]


JUDGED = ("", "clips", "letters a minute before", "after", "right letters lost", "warned")


def judged(recognizer: Any, root: Path, strangers: Path, each: int = 10) -> list[list[str]]:
    groups: dict[str, list[Read]] = {}
    clips = (empty(root, each), real(root), signs(root), held(root), spelled(strangers, each))
    for clip in chain(*clips):
        chosen = clip.person in CHOSEN and clip.group in ("signs", "held letters")
        name = clip.group + (" (chosen on)" if chosen else "")
        groups.setdefault(name, []).append(read(recognizer, clip))
    return [line(name, rows) for name, rows in groups.items()]


def letters(root: Path, strangers: Path = STRANGERS, model: str = "fingerspelling") -> None:
    print(markdown(JUDGED, judged(chereme.load(model, rotate=0), root, strangers)))


def verdict(recognizer: Any, landmarks: Landmarks, needed: int) -> str:
    """What the recogniser makes of them, which ``needed`` degrees clockwise would set upright."""
    degrees = likely_turn(signing_hand(landmarks))
    if not degrees:
        return "neither"
    as_it_is = recognizer.recognize(landmarks).tokens
    when_turned = recognizer.recognize(turned(landmarks, degrees)).tokens
    if is_turned(as_it_is, when_turned):
        return "turned upright" if degrees == needed else "turned wrongly"
    return "warned about" if may_be_turned(as_it_is, when_turned) else "neither"


def recordings(root: Path, strangers: Path, each: int) -> Iterator[tuple[str, Landmarks, int]]:
    """Group, landmarks, and the degrees that would set them upright."""
    for clip in chain(real(root), signs(root), held(root), spelled(strangers, each)):
        yield f"{clip.group}, upright", clip.landmarks, 0
    for path, side in product(words(root), SIDES):
        found = detect_hands(path, rotate=side).landmarks
        yield "words on video, on their side", found, 360 - side
    for clip, side in product(spelled(strangers, each), SIDES):
        if clip.group == "composed":
            yield "composed, on their side", turned(clip.landmarks, side), 360 - side


def sides(root: Path, strangers: Path = STRANGERS, each: int = 10) -> None:
    """Args:
    each: composed words a person.
    """
    recognizer, counts = chereme.load(rotate=0), dict[str, Counter[str]]()
    for group, landmarks, needed in recordings(root, strangers, each):
        counts.setdefault(group, Counter())[verdict(recognizer, landmarks, needed)] += 1
    lines = [
        [group, str(count.total()), *(str(count[name]) for name in VERDICTS)]
        for group, count in counts.items()
    ]
    print(markdown(("", "recordings", *VERDICTS), lines))


if __name__ == "__main__":
    auto_cli([letters, sides], as_positional=False)
