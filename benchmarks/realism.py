"""Are the rendered hands hands? What the real MediaPipe makes of them, letter by letter.

    python benchmarks/realism.py --signers 12

Each letter is rendered for many synthetic signers over cluttered backgrounds, as the table of
handshapes shows it to the camera and turned to the side, and given to the hand detector of the
package. Printed for each letter: the share of pictures in which a hand is found, and the median
distance of its landmarks from the model's joints, in hand sizes (wrist to tip of the stretched
middle finger).
"""

from __future__ import annotations

import json

import numpy as np
from jsonargparse import auto_cli

from chereme.hands.detector import MediaPipeDetector
from chereme.synthesis import corpus
from chereme.synthesis.stills import render_still

# Degrees about the vertical: to the thumb's side and to the little finger's.
VIEWS = {"table": (0.0,), "side": (65.0, -65.0)}
TONES = {"dark": (0, 40), "medium": (40, 55), "light": (55, 100)}  # CIELAB L* of the skin


def main(signers: int = 8, seed: int = 1, letters: str = "abcdefghijklmnopqrstuvwxyz") -> None:
    found: dict[str, list[bool]] = {}  # by letter and view, and by tone
    medians, pictures = [], 0
    with MediaPipeDetector(still=True, max_hands=2) as detector:
        for letter in letters:
            errors = []
            for number in range(signers):
                signer = corpus.signer(number, seed)
                lightness = signer.skin.lightness
                tone = next(n for n, (low, high) in TONES.items() if low <= lightness < high)
                for view, turns in VIEWS.items():
                    rng = np.random.default_rng([seed, number, ord(letter), len(view)])
                    turn = float(rng.choice(turns))
                    picture = render_still(signer, letter, rng, turn=turn)
                    result = picture.nearest(detector.detect(picture.image, 0.0))
                    pictures += 1
                    for group in (f"{letter}, {view}", view, f"{tone} skin"):
                        found.setdefault(group, []).append(result is not None)
                    if result is not None:
                        errors.append(result[1])
            medians.append(float(np.median(errors)) if errors else np.nan)
            views = {view: float(np.mean(found[f"{letter}, {view}"])) for view in VIEWS}
            print(letter, json.dumps({**views, "median_error": medians[-1]}), flush=True)
    groups = [*VIEWS, *(f"{tone} skin" for tone in TONES)]
    total = {name: round(float(np.mean(found[name])), 3) for name in groups if name in found}
    total |= {"median_error": round(float(np.nanmedian(medians)), 3), "pictures": pictures}
    print(json.dumps({"all": total}))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
