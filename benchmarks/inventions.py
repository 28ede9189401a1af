"""Letters read where nobody spells, and letters lost where somebody does.

    python benchmarks/inventions.py --root ../shared/data

Rooms, objects and faces without hands, as photographs and as films by a hand that shakes, real
signs, two-handed alphabets and idle hands must give no letters, or a warning that this is unlikely
to be fingerspelling; words composed from the hands of people that training never saw,
letters held by others and real recordings of spelling must lose none and raise no such warning. A
line a collection: letters a minute before and after judgement (``recognition.plausibility``),
correct letters lost by it, and the share of the clips with letters that a warning marks. People
whose clips the thresholds were chosen on stand on lines of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from unittest.mock import patch

from jsonargparse import auto_cli
from recordings import Clip, empty, held, real, signs, spelled
from results import markdown

import chereme
from chereme.metrics import edit_counts
from chereme.recognition import fingerspelling, plausibility
from chereme.recognition.ctc_letters import Segment
from chereme.types import Token, Transcript

CHOSEN = (
    *("traduttore alex", "traduttore danial", "libras", "hawkcodesz", "t32rahman"),
    *("meyyappan", "longhongvo23", "hackmit", "lolzorus"),
)
Read = tuple[Clip, list[Token], Transcript]  # letters before judgement, and what is read with it


def read(recognizer: Any, clip: Clip) -> Read:
    before: list[Token] = []

    def judge(segments: Sequence[Segment], *of: Any, **settings: Any) -> Any:
        before.extend(token for segment in segments for token in segment.tokens)
        return plausibility.judge(segments, *of, **settings)

    with patch.object(fingerspelling, "judge", judge):
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


def main(root: Path, model: str = "fingerspelling", each: int = 10) -> None:
    """Args:
    each: composed words a person, and rooms.
    """
    recognizer = chereme.load(model, rotate=0)
    groups: dict[str, list[Read]] = {}
    clips = (empty(each), real(root), signs(root), held(root), spelled(root, each))
    for clip in chain(*clips):
        chosen = clip.person in CHOSEN and clip.group in ("signs", "held letters", "composed")
        name = clip.group + (" (chosen on)" if chosen else "")
        groups.setdefault(name, []).append(read(recognizer, clip))
    head = ("", "clips", "letters a minute before", "after", "right letters lost", "warned")
    print(markdown(head, [line(name, rows) for name, rows in groups.items()]))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
