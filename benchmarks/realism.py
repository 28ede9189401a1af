"""Are the rendered hands hands? What the real MediaPipe makes of them, letter by letter.

    python benchmarks/realism.py --signers 12 --sheet runs/realism.png

Each letter is rendered for many synthetic signers over cluttered backgrounds, as the table of
handshapes shows it to the camera and turned to the side, and given to the hand detector of the
package. Printed are, of each letter, the median distance of its landmarks from the model's joints,
in hand sizes (wrist to tip of the stretched middle finger), and the share of pictures in which a
hand is found, by view and skin. ``--sheet`` writes a picture of all letters with joints and
landmarks.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jsonargparse import auto_cli

from chereme.hands.detector import MediaPipeDetector
from chereme.hands.draw import draw_hand
from chereme.synthesis import corpus
from chereme.synthesis.stills import Still, render_still

# Degrees about the vertical: to the thumb's side and to the little finger's.
VIEWS = {"table": (0.0,), "side": (65.0, -65.0)}
TONES = {"dark": (0, 40), "medium": (40, 55), "light": (55, 100)}  # CIELAB L* of the skin


def main(
    signers: int = 8,
    seed: int = 1,
    letters: str = "abcdefghijklmnopqrstuvwxyz",
    sheet: Path | None = None,
) -> None:
    found: dict[str, list[bool]] = {}  # by view and tone
    medians, rows = dict[str, float](), []
    with MediaPipeDetector(still=True, max_hands=2) as detector:
        for letter in letters:
            errors, shown = [], []
            for number, (view, turns) in product(range(signers), VIEWS.items()):
                signer = corpus.signer(number, seed)
                light = signer.skin.lightness
                tone = next(n for n, (low, high) in TONES.items() if low <= light < high)
                rng = np.random.default_rng([seed, number, ord(letter), len(view)])
                picture = render_still(signer, letter, rng, turn=float(rng.choice(turns)))
                result = picture.nearest(detector.detect(picture.image, 0.0))
                for group in (view, f"{tone} skin"):
                    found.setdefault(group, []).append(result is not None)
                if result is not None:
                    errors.append(result[1])
                if number < 2:
                    shown.append(tile(picture, result, letter))
            rows.append(np.hstack(shown))
            medians[letter] = round(float(np.median(errors)), 3) if errors else np.nan
    print(json.dumps({"median_error": medians, "of letters": np.nanmedian([*medians.values()])}))
    print(json.dumps({name: round(float(np.mean(hits)), 3) for name, hits in found.items()}))
    if sheet is not None:
        half = (len(rows) + 1) // 2
        rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
        columns = [np.vstack(rows[:half]), np.vstack(rows[half:])]
        cv2.imwrite(str(sheet), np.hstack(columns)[..., ::-1])


def tile(picture: Still, result: Any, letter: str) -> np.ndarray:
    """The part of the picture round the hand, with what was found; framed where nothing was."""
    shown = picture.image if result is None else draw_hand(picture.image, result[0].landmarks)
    shown = shown.copy()
    for x, y in picture.landmarks[:, :2]:
        cv2.circle(shown, (int(x), int(y)), 1, (255, 255, 255), -1)
    side, (x, y) = int(1.5 * picture.size), picture.landmarks[:, :2].mean(axis=0)
    part = cv2.getRectSubPix(shown, (side, side), (float(x), float(y)))
    part = cv2.resize(part, (150, 150), interpolation=cv2.INTER_AREA)
    cv2.putText(part, letter, (5, 20), 0, 0.6, (255, 255, 255), 2, cv2.LINE_AA)
    if result is None:
        cv2.rectangle(part, (0, 0), (149, 149), (255, 0, 0), 3)
    return np.asarray(part)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
