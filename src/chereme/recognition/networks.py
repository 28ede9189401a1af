"""Running the two networks of a bundle: from a piece of a track to log-probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chereme.decoding import at_temperature
from chereme.errors import BundleError
from chereme.hands.normalise import landmark_features, vector_rows, with_vectors
from chereme.recognition.bundle import Bundle
from chereme.recognition.config import LetterConfig
from chereme.types import HandTrack

Floats = NDArray[np.floating[Any]]
Encode = Callable[[HandTrack], tuple[Floats, Floats]]
"""The encoder's features ``(T, D)`` of a piece of a track, and their times in seconds ``(T,)``."""

CHUNK = 512  # frames of landmarks given to the encoder at once: bounds its memory


def encode_frames(bundle: Bundle[LetterConfig], frames: NDArray[Any]) -> Floats:
    """The encoder's features ``(T, D)`` of ``frames``; BundleError if they are not as many."""
    features: Floats = bundle.encoder.run(["features"], {"frames": frames})[0]
    if len(features) != len(frames):
        raise BundleError(
            f"{bundle.config.name}: expected features of {len(frames)} frames, got "
            f"{features.shape}; export the bundle again"
        )
    return features


def landmark_encoder(bundle: Bundle[LetterConfig]) -> Encode:
    """The encoder of a bundle that reads landmarks; pieces are of right hands."""

    def encode(piece: HandTrack) -> tuple[Floats, Floats]:
        features, times = landmark_features(piece, bundle.config.preprocessing.rate)
        encoded = [
            encode_frames(bundle, features[i : i + CHUNK]) for i in range(0, len(features), CHUNK)
        ]
        return np.concatenate(encoded), times

    return encode


def hand_encoder(bundle: Bundle[LetterConfig]) -> Encode:
    """The encoder of a bundle that reads landmarks and the hand network's vectors; pieces are of
    right hands."""

    def encode(piece: HandTrack) -> tuple[Floats, Floats]:
        landmarks, times = landmark_features(piece, bundle.config.preprocessing.rate)
        rows = vector_rows(piece, landmarks, times)
        encoded = [
            encode_frames(
                bundle, with_vectors(landmarks[i : i + CHUNK], piece, rows[i : i + CHUNK])
            )
            for i in range(0, len(landmarks), CHUNK)
        ]
        return np.concatenate(encoded), times

    return encode


def log_probs_of(bundle: Bundle[LetterConfig], features: Floats) -> Floats:
    """The ``log_probs (M, T', V)`` of ``features (T, D)``: of each of the M members, T' =
    ceil(T / stride), at the model's temperature."""
    log_probs: Floats = bundle.sequence.run(["log_probs"], {"features": features[None]})[0]
    stride = bundle.config.temporal_stride
    expected = -(-len(features) // stride)
    found = log_probs.shape[1]
    if found != expected or np.isnan(log_probs).any():
        raise BundleError(
            f"{bundle.config.name}: expected {expected} outputs for {len(features)} frames at "
            f"stride {stride}, got {found}"
            f"{' that are no numbers' * bool(np.isnan(log_probs).any())}; export the bundle again"
        )
    temperature = bundle.config.decoding.temperature
    if temperature == 1.0:
        return log_probs
    return np.stack([at_temperature(member, temperature) for member in log_probs])
