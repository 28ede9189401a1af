"""The inputs of a model of isolated signs that reads pictures: joints that its encoder makes of
crops of the hands, cut in a second reading of the recording (``chereme.recognition.crops``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chereme.hands.both import SIDES, both_hands, choose_frames
from chereme.hands.crop import hand_box
from chereme.hands.signing import bridge_gaps, signing_hand, to_right_hand
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import IsolatedConfig
from chereme.recognition.crops import BLOCK, encode_again
from chereme.recognition.report import Hand
from chereme.recognition.stages import Stages
from chereme.types import NUM_JOINTS, Handedness, HandTrack, Landmarks
from chereme.video.reader import Recording


class HandJoints(NamedTuple):
    """``joints (T, H, 21, 3)`` of the frames that are read, 0 where ``present (T, H)`` is False."""

    joints: NDArray[np.float32]
    present: NDArray[np.bool_]


def hands_of(seen: Landmarks, hand: Hand, count: int) -> list[HandTrack | None]:
    """The hands that a model reads, as they were seen: the left and the right one, or of one alone
    that which signs; None for a hand that is not there."""
    if count == 1:
        return [signing_hand(seen, hand)]
    joints, confidence = both_hands(seen, hand)
    sides: tuple[Handedness, ...] = ("left", "right")
    return [
        HandTrack(
            # Boxes of crops ask for x and y alone.
            landmarks=np.pad(joints[:, side], ((0, 0), (0, 0), (0, 1))),
            confidence=confidence[:, side],
            timestamps=seen.timestamps,
            width=seen.width,
            height=seen.height,
            handedness=sides[side],
        )
        for side in range(len(SIDES))
    ]


def read_joints(
    bundle: Bundle[IsolatedConfig],
    source: Recording,
    seen: Landmarks,
    hand: Hand,
    stages: Stages,
    reading: Mapping[str, Any],
) -> HandJoints:
    """Read ``source`` again, cut out the hands that were ``seen`` in the frames that the model
    reads, and let its encoder make joints of them.

    ``reading``: the option ``mirrored`` that ``detect_hands`` was given, and those with which the
    source was read, as in ``HandLandmarks.reading``; ``stages``: where the seconds of "crop" and
    "network" are added.
    """
    preprocessing = bundle.config.preprocessing
    assert preprocessing.crop is not None  # the config of a model that reads crops has it
    times = seen.timestamps
    chosen = choose_frames(len(times), preprocessing.frames, preprocessing.sampling, None)
    joints = np.zeros((len(times), preprocessing.hands, NUM_JOINTS, 3), np.float32)
    present = np.zeros((len(times), preprocessing.hands), bool)
    for number, track in enumerate(hands_of(seen, hand, preprocessing.hands)):
        if track is None:
            continue
        bridged = bridge_gaps(track, preprocessing.bridge)
        wanted = np.zeros(len(times), bool)
        wanted[chosen] = bridged.present[chosen]
        if not wanted.any():
            continue
        present[:, number] = wanted
        as_shown = np.zeros((len(times), 2), bool)
        as_shown[:, int(to_right_hand(track).mirrored)] = wanted
        cutting = preprocessing.crop
        encoded = encode_again(
            source,
            times,
            hand_box(bridged, padding=cutting.padding, smoothing=cutting.smoothing),
            as_shown,
            cutting.size,
            partial(encode_crops, bundle),
            stages,
            **reading,
        )
        joints[wanted, number] = np.concatenate(encoded)
    return HandJoints(joints[chosen], present[chosen])


def encode_crops(bundle: Bundle[IsolatedConfig], crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The joints ``(N, 21, 3)`` of crops of right hands ``(N, 3, S, S)``, a few at a time."""
    made = [
        bundle.encoder.run(["joints"], {"frames": crops[i : i + BLOCK]})[0]
        for i in range(0, len(crops), BLOCK)
    ]
    joints: NDArray[np.float32] = np.concatenate(made)
    return joints
