"""Published measures of adult hands, in millimetres, and what the open hand makes of them.

Sources (facts only; the page ``docs/open_hand.md`` gives them in full):

- Bone lengths and the soft tissue beyond the last bone: Buryanov & Kotiuk, "Proportions of hand
  segments", Int. J. Morphol. 28(3), 2010 (radiographs; mean and SD, both sexes).
- Proportions of fingers: Binvignat et al., "Biometric aspects of the hand in Chilean individuals",
  Int. J. Morphol. (1,196 hands).
- Hand length and breadth, by sex: Greiner, "Hand anthropometry of U.S. Army personnel",
  Natick TR-92/011, 1991.
- Ranges of motion: American Academy of Orthopaedic Surgeons' values as tabulated in hand clinics.
"""

from __future__ import annotations

from dataclasses import dataclass

# digit -> (metacarpal, proximal, middle, distal phalanx): mean and SD. The thumb has no middle one.
BONES: dict[str, tuple[tuple[float, float], ...]] = {
    "thumb": ((46.22, 3.94), (31.57, 3.13), (21.67, 1.60)),
    "index": ((68.12, 6.27), (39.78, 4.94), (22.38, 2.51), (15.82, 2.26)),
    "middle": ((64.60, 5.38), (44.63, 3.81), (26.33, 3.00), (17.40, 1.85)),
    "ring": ((58.00, 5.06), (41.37, 3.87), (25.65, 3.29), (17.30, 2.22)),
    "little": ((53.69, 4.36), (32.74, 2.77), (18.11, 2.54), (15.96, 2.45)),
}
TIP_TISSUE = {"thumb": 5.67, "index": 3.84, "middle": 3.95, "ring": 3.95, "little": 3.73}
# Choice: radiographs give an index finger of 0.895 of the middle one, with an SD twice that of its
# neighbours; calipers on 1,196 hands give 0.906 (Binvignat et al.). This hand lies between.
INDEX_CORRECTION = 1.015
# A joint turns about the centre of the head of the bone nearer to the wrist, which lies this far
# from the end of that bone. Choice: half the depth of the head in lateral radiographs.
HEAD_RADIUS = {"metacarpal": 6.5, "proximal": 4.0, "middle": 3.0}

# (male mean, male SD, female mean, female SD)
HAND_LENGTH = (194.0, 9.9, 180.5, 9.7)
HAND_BREADTH = (90.4, 4.2, 79.4, 3.8)


@dataclass(frozen=True)
class DigitLengths:
    """Distances between joint centres, millimetres: three bones, the last one to the skin."""

    proximal: float
    middle: float
    distal: float


def digit_lengths(digit: str) -> DigitLengths:
    """Joint-centre distances of the mean adult hand.

    For a finger: metacarpophalangeal to proximal interphalangeal to distal interphalangeal joint to
    the end of the fingertip; for the thumb: carpometacarpal to metacarpophalangeal to
    interphalangeal joint to the end.
    """
    correction = INDEX_CORRECTION if digit == "index" else 1.0
    bones = [mean * correction for mean, _ in BONES[digit]]
    tip = TIP_TISSUE[digit]
    head = HEAD_RADIUS
    if digit == "thumb":
        metacarpal, proximal, distal = bones
        # Choice: the saddle joint, whose two axes lie on either side of the joint's surface, turns
        # about a point 1.5 mm beyond the end of the metacarpal.
        return DigitLengths(
            metacarpal - head["metacarpal"] + 1.5,
            proximal + head["metacarpal"] - head["proximal"],
            distal + head["proximal"] + tip,
        )
    _, proximal, middle, distal = bones
    return DigitLengths(
        proximal + head["metacarpal"] - head["proximal"],
        middle + head["proximal"] - head["middle"],
        distal + head["middle"] + tip,
    )
