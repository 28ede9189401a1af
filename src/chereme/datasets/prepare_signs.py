"""Clips of isolated signs -> what the recognisers of signs read: joints of both hands, crops of
hands, whole frames, or keypoints of the person."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

from chereme.datasets.corpus import Corpus
from chereme.datasets.engine import Engine, Where
from chereme.datasets.pose_clips import prepare_poses
from chereme.datasets.preparation import Preparation, Progress
from chereme.datasets.prepare_crops import prepare_samples
from chereme.datasets.shards import LIMIT, SIZE
from chereme.datasets.sign_clips import SignSamples, SignSettings, sign_samples
from chereme.errors import InputError, UsageError
from chereme.hands.detector import own_detector
from chereme.recognition.hand_landmarks import MakeDetector
from chereme.video import Limits
from chereme.video.reader import FOLDER_RATE


def prepare_signs(
    corpus: Corpus,
    folder: str | Path,
    *,
    into: Literal["joints", "crops", "frames", "keypoints"] = "joints",
    hands: Literal["both", "one"] = "both",
    keypoints: str | Path | None = None,
    layout: Literal["openpose_137", "mmpose_133", "mediapipe_holistic"] = "openpose_137",
    around: Literal["hand", "shoulders"] = "hand",
    fit: Literal["cut", "whole"] = "cut",
    confidence: Literal["steadiness", "detector"] = "steadiness",
    size: int = SIZE,
    rate: float | None = None,
    workers: int = 1,
    engine: Where = "local",
    retry: bool = False,
    tar_bytes: int = LIMIT,
    limits: Limits | None = None,
    make_detector: MakeDetector = own_detector,
    progress: Progress | None = None,
) -> Preparation:
    """Prepare the clips of ``corpus`` in ``folder``, or what is not done of them yet.

    Args:
        into: joints: of both hands, in a folder of poses; in shards crops of hands, squares of
            whole frames, or keypoints of the person without pictures.
        hands: of crops: both, or the one that signs.
        keypoints: a folder with the keypoints that OpenPose or MMPose found in each recording,
            called as the clip or its recording; hands are then theirs, with their confidence, and
            crops and frames have the keypoints too. Without it the package's detector looks for
            hands, and keypoints are those of hands alone.
        layout: which keypoints these are.
        around: of crops: boxes that follow the hand, or all of a clip of one size by the distance
            between the shoulders, which needs keypoints.
        fit: of whole frames: the square in their middle, or all of them between black bars.
        confidence: of joints that the package's detector finds, which says nothing of single ones:
            by how steadily they move, or 1.
        size: pixels of a side of crops and frames.
        rate: frames a second of folders of frames (default 30), and for joints of landmark files in
            the place of what they say.
        workers: processes that read clips. What is written does not depend on their number.
        engine: where these are: on this machine, or on those of a Ray cluster.
        retry: try clips again that an earlier run dropped; joints do always.
        tar_bytes: bytes of a tar at most.
        limits: the largest recordings and files of landmarks to accept.
        make_detector: another hand detector; with several workers one that can be pickled.
        progress: called with the clips that are done with, and those that are to be.

    UsageError if ``folder`` was prepared with other settings, or for ``around`` without keypoints;
    InputError if no clip can be used, or another process is at work in the folder.
    """
    given = None if keypoints is None else Path(keypoints)
    if given is not None and not given.is_dir():
        raise InputError(
            f"{given}: expected a folder with the keypoints of each recording, got none"
        )
    if around == "shoulders" and (given is None or into != "crops"):
        raise UsageError(
            "around: boxes by the shoulders are of crops, and need keypoints of the body; give "
            "--into crops and --keypoints, or leave --around out"
        )
    if into == "joints":
        return prepare_poses(
            corpus,
            folder,
            rate=rate,
            keypoints=None if given is None else (given, layout),
            confidence=confidence,
            workers=workers,
            engine=engine,
            limits=limits,
            make_detector=make_detector,
            progress=progress,
        )
    settings = SignSettings(
        size=size,
        rate=FOLDER_RATE if rate is None else rate,
        into=into,
        hands=hands,
        around=around,
        fit=fit,
        layout=layout if given is not None or into == "keypoints" else None,
        confidence=confidence,
    )
    look = partial(sign_samples, settings=settings, keypoints=given, limits=limits)
    return prepare_samples(
        corpus,
        Path(folder),
        settings,
        settings.vectors,
        Engine[SignSamples](look, make_detector, workers, engine),
        lambda clip: clip,
        retry=retry,
        tar_bytes=tar_bytes,
        progress=progress,
    )
