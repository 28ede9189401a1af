"""The networks of the hand detector, and how they are opened. NOTICE says where they are from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from chereme.errors import BundleError
from chereme.formats.networks import Network, open_network

NAMES = ("palm", "landmarks")


def read_hand_network(name: str) -> tuple[Path, bytes]:
    """The file of the network ``name``, one of ``NAMES``, and what is in it.

    Raises BundleError if it is not the one that this version was made with.
    """
    folder = Path(__file__).parent
    path = folder / f"{name}.onnx"
    try:
        content = path.read_bytes()
        expected = json.loads((folder / "networks.json").read_text())[path.name]["sha256"]
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error}); install chereme again") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise BundleError(
            f"{path}: expected the SHA-256 {expected}, got another: the file is damaged or was "
            "changed; install chereme again"
        )
    return path, content


def open_hand_network(name: str, threads: int | None) -> Network:
    """The network ``name`` on ``threads`` (None: all). Raises as `read_hand_network`."""
    path, content = read_hand_network(name)
    return open_network(content, path, threads)
