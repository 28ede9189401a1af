"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import chereme  # noqa: F401  before a test imports onnxruntime: it says that nothing is sent

if TYPE_CHECKING:
    from chereme.datasets.exemplars import Exemplars

# How fast examples are drawn says how busy the machine is, nothing of what is tested.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

SHARED = Path(__file__).resolve().parents[2] / "shared"
SHARED_DATA = SHARED / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the checkout; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(
            "real recordings not found: expected a folder ../shared/data beside the checkout"
        )
    return SHARED_DATA


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Small inputs of public reports; the test is skipped where they are absent."""
    if not (SHARED / "cases").is_dir():
        pytest.skip("cases not found: expected a folder ../shared/cases beside the checkout")
    return SHARED / "cases"


def curled_hand(letter: str, habit: float = 0.0, rng: np.random.Generator | None = None) -> Any:
    """An upright right hand, palm to the camera: the bits of the letter's number curl its fingers.

    All 26 handshapes differ by at least one finger bent by 70 degrees a joint. ``habit`` (degrees)
    is the spread of the angles of another signer's hand.
    """
    from chereme.synthesis.articulation import Articulation

    angles = np.zeros((1, 5, 4, 2))
    angles[0, :, 0, 0] = np.radians([45.0, 15.0, 0.0, -12.0, -24.0])  # the palm fans out
    number = ord(letter) - ord("a") + 1
    for finger in range(5):
        if number >> finger & 1:
            angles[0, finger, 1:, 1] = np.radians(70.0)
    if rng is not None:
        angles[:, :, 1:] += np.radians(rng.normal(0, habit, (1, 5, 3, 2)))
    lengths = np.array([[[0.4, 0.4, 0.3, 0.25], *[[1.0, 0.4, 0.25, 0.2]] * 4]])
    upright = np.array([[1.0, 0.0, 0.0, 0.0]])
    return Articulation(upright, angles, lengths, np.zeros((1, 3)))


@pytest.fixture(scope="session")
def exemplars() -> Exemplars:
    """Handshapes drawn by rule: 26 letters and a silent hand, of two signers, two pictures each."""
    from scipy.spatial.transform import Rotation

    from chereme.datasets.exemplars import Exemplars
    from chereme.synthesis.articulation import decode

    rng = np.random.default_rng(7)
    rows = []
    for signer in ("one", "two"):
        for letter in "abcdefghijklmnopqrstuvwxyz_":
            for _ in range(2):
                number = "z" if letter == "_" else letter
                hand = curled_hand(number, 1.0, rng)
                if letter == "_":  # hanging
                    hand = hand.replace(orientation=np.array([[0.0, 0.0, 0.0, 1.0]]))
                rows.append((decode(hand)[0] * 90, letter.strip("_"), signer, len(rows)))
    s = np.linspace(0, 1, 24)
    hook, stroke = curled_hand("j"), curled_hand("z")
    turn = Rotation.from_rotvec(np.outer(s, [0, -np.pi / 2, 0]))
    hook = hook[[0] * 24].replace(
        orientation=(turn * Rotation.from_quat(hook.orientation)).as_quat(),
        wrist=np.stack([0 * s, np.sin(np.pi * s), 0 * s], 1),
    )
    corners = np.interp(s, [0, 0.3, 0.7, 1], [0, 1, 0, 1]), np.interp(s, [0.3, 0.7], [0, 1])
    stroke = stroke[[0] * 24].replace(wrist=np.stack([*corners, 0 * s], 1))
    landmarks, label, signer, picture = zip(*rows, strict=True)
    return Exemplars(
        np.stack(landmarks).astype(np.float32),
        np.array(label),
        np.array(signer),
        np.array(picture),
        np.stack([decode(hook), decode(stroke)]).astype(np.float32),
        np.array(["j", "z"]),
        np.array(["one", "one"]),
    )
