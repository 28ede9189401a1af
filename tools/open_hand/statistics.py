"""``python -m tools.open_hand.statistics [FILE]``: how long the bones of a hand are.

Prints means and standard deviations over ``betas ~ N(0, 1)`` beside published anthropometry, as a
Markdown table. FILE is any hand template, so the same table of a converted MANO file is made with
``chereme hand-model convert MANO_RIGHT.pkl -o mano_right.safetensors`` and then this command.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.hand_model.anatomy import DIGIT_JOINTS, DIGITS
from chereme.hand_model.template import HandTemplate
from tools.open_hand.anthropometry import BONES, HAND_LENGTH, TIP_TISSUE

Floats = NDArray[np.floating[Any]]

_SEGMENTS = {
    "thumb": ("metacarpal", "proximal", "distal"),
    "finger": ("proximal", "middle", "distal"),
}


@dataclass(frozen=True)
class Measure:
    """One distance over a population, millimetres, and what is published for the like."""

    name: str
    mean: float
    sd: float
    published: str


def _points(template: HandTemplate, tips: str, betas: Floats) -> tuple[Floats, Floats]:
    """Joints ``(N, 16, 3)`` and fingertips ``(N, 5, 3)`` at rest, millimetres."""
    count = betas.shape[1]
    joint_dirs = np.einsum("jv,vcb->jcb", template.joint_regressor, template.shapedirs[..., :count])
    joints = template.joint_regressor @ template.v_template + np.einsum(
        "jcb,nb->njc", joint_dirs, betas
    )
    ids = list(template.tips[tips])
    ends = template.v_template[ids] + np.einsum(
        "vcb,nb->nvc", template.shapedirs[ids][..., :count], betas
    )
    return 1e3 * joints, 1e3 * ends


def measure(template: HandTemplate, *, count: int = 4000, seed: int = 0) -> list[Measure]:
    """Distances between joints (and fingertips: the outermost vertices) over sampled shapes."""
    tips = "end" if "end" in template.tips else next(iter(template.tips))
    betas = np.random.default_rng(seed).standard_normal((count, template.shapedirs.shape[2]))
    joints, ends = _points(template, tips, betas)
    rows = []

    def add(name: str, a: Floats, b: Floats, published: str = "") -> None:
        length = np.linalg.norm(a - b, axis=-1)
        rows.append(Measure(name, float(length.mean()), float(length.std()), published))

    for place, digit in enumerate(DIGITS):
        chain = [joints[:, j] for j in DIGIT_JOINTS[digit]] + [ends[:, place]]
        names = _SEGMENTS["thumb" if digit == "thumb" else "finger"]
        bones = BONES[digit] if digit == "thumb" else BONES[digit][1:]
        for name, a, b, (mean, sd) in zip(names, chain[:-1], chain[1:], bones, strict=True):
            tissue = f" + {TIP_TISSUE[digit]:.1f}" if name == "distal" else ""
            add(f"{digit} {name}", a, b, f"bone {mean:.1f}{tissue} ± {sd:.1f}")
    for digit in DIGITS:
        add(f"wrist to {digit} base", joints[:, 0], joints[:, DIGIT_JOINTS[digit][0]])
    add("index to little knuckle", joints[:, 1], joints[:, 7])
    for place, digit in enumerate(DIGITS):
        m, m_sd, f, f_sd = HAND_LENGTH
        published = f"from the crease: men {m:.0f} ± {m_sd:.0f}, women {f:.0f} ± {f_sd:.0f}"
        add(
            f"reach: wrist to {digit} tip",
            joints[:, 0],
            ends[:, place],
            published if digit == "middle" else "",
        )
    add("reach: thumb tip to little tip", ends[:, 0], ends[:, 4])
    return rows


def table(rows: list[Measure]) -> str:
    """Markdown."""
    lines = ["| distance, mm | model, mean ± SD | published |", "|---|---|---|"]
    lines += [f"| {r.name} | {r.mean:.1f} ± {r.sd:.1f} | {r.published} |" for r in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", default="open", metavar="FILE")
    print(table(measure(HandTemplate.load(parser.parse_args().file))))


if __name__ == "__main__":
    main()
