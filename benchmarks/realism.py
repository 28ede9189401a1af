"""Are the rendered hands hands? What the real MediaPipe makes of them, letter by letter.

Each letter is rendered for many made-up signers over cluttered backgrounds, as the table of
handshapes shows it to the camera and turned to the side, and given to the hand detector of the
package. Printed for each letter: the share of pictures in which a hand is found, and the median
distance of its landmarks from the model's joints, in hand sizes (wrist to tip of the stretched
middle finger). ``--sheet`` writes a picture of all letters with joints and landmarks.

    python benchmarks/realism.py --signers 12 --sheet runs/realism.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from chereme.hands.detector import MediaPipeDetector
from chereme.hands.draw import draw_hand
from chereme.synthesis import corpus
from chereme.synthesis.stills import Still, render_still

# Degrees about the vertical: to the thumb's side and to the little finger's.
VIEWS = {"table": (0.0,), "side": (65.0, -65.0)}
TONES = {"dark": (0, 40), "medium": (40, 55), "light": (55, 100)}  # CIELAB L* of the skin


def still(number: int, letter: str, view: str, seed: int) -> Still:
    rng = np.random.default_rng([seed, number, ord(letter), len(view)])
    turn = float(rng.choice(VIEWS[view]))
    return render_still(corpus.signer(number, seed), letter, rng, turn=turn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--letters", default="abcdefghijklmnopqrstuvwxyz")
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    tiles = []
    by_tone: dict[str, list[bool]] = {name: [] for name in TONES}
    with MediaPipeDetector(still=True, max_hands=2) as detector:
        for letter in arguments.letters:
            found: dict[str, list[bool]] = {v: [] for v in VIEWS}
            errors, shown = [], []
            for number in range(arguments.signers):
                lightness = corpus.signer(number, arguments.seed).skin.lightness
                tone = next(n for n, (low, high) in TONES.items() if low <= lightness < high)
                for view in VIEWS:
                    picture = still(number, letter, view, arguments.seed)
                    result = picture.nearest(detector.detect(picture.image, 0.0))
                    found[view].append(result is not None)
                    by_tone[tone].append(result is not None)
                    if result is not None:
                        errors.append(result[1])
                    if number < 2:
                        shown.append(_tile(picture, result, letter))
            tiles.append(np.hstack(shown))
            rows[letter] = {
                **{f"found_{v}": float(np.mean(f)) for v, f in found.items()},
                "median_error": float(np.median(errors)) if errors else None,
                "pictures": sum(map(len, found.values())),
            }
            print(letter, json.dumps(rows[letter]), flush=True)
    total = {
        **{f"found_{v}": float(np.mean([r[f"found_{v}"] for r in rows.values()])) for v in VIEWS},
        "median_error": float(np.median([r["median_error"] for r in rows.values()])),
        "pictures": sum(r["pictures"] for r in rows.values()),
        "found_by_skin": {n: round(float(np.mean(f)), 3) for n, f in by_tone.items() if f},
    }
    print(json.dumps({"all": total}))
    if arguments.sheet:
        half = (len(tiles) + 1) // 2
        blank = [np.zeros_like(tiles[0])] * (2 * half - len(tiles))
        columns = [np.vstack(tiles[:half]), np.vstack(tiles[half:] + blank)]
        cv2.imwrite(str(arguments.sheet), np.hstack(columns)[..., ::-1])


def _tile(picture: Still, result: Any, letter: str) -> np.ndarray:
    """The part of the picture round the hand, with what was found."""
    shown = picture.image
    if result is not None:
        shown = draw_hand(shown, result[0].landmarks)
    shown = shown.copy()
    for x, y in picture.landmarks[:, :2]:
        cv2.circle(shown, (int(x), int(y)), 1, (255, 255, 255), -1)
    side = int(1.5 * picture.size)
    x, y = picture.landmarks[:, :2].mean(axis=0)
    part = cv2.getRectSubPix(shown, (side, side), (float(x), float(y)))
    part = cv2.resize(part, (150, 150), interpolation=cv2.INTER_AREA)
    cv2.putText(part, letter, (5, 20), 0, 0.6, (255, 255, 255), 2, cv2.LINE_AA)
    if result is None:
        cv2.rectangle(part, (0, 0), (149, 149), (255, 0, 0), 3)
    return np.asarray(part)


if __name__ == "__main__":
    main()
