"""What a server is, and how much it gives to whom."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chereme.errors import UsageError
from chereme.recognition.bundle import read_config
from chereme.recognition.registry import MODELS, resolve
from chereme.video import Limits

TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,128}")
"""What a token may be: it stands in headers and in addresses as it is."""
CORES = os.cpu_count() or 1
MAX_FPS = 60
"""Frames a second of a recording or of a stream."""
# Below this nothing is read: the libraries alone take some 1.3 GB of addresses.
LEAST_MEMORY = 2 << 30


@dataclass(frozen=True, slots=True)
class Settings:
    """A server.

    ``models``: by the names that clients know, the default first, what ``chereme.load`` is given.
    ``token``: what clients must show, or None. ``hosts``: names under which the server is reached,
    beside ``localhost`` and every address in numbers.

    Caps: ``max_bytes`` of an upload, ``max_seconds`` and ``max_pixels`` of a recording;
    ``job_seconds`` that reading it may take; ``memory``, bytes of addresses of the process that
    reads (held on Linux alone); ``readers`` of uploads that work at once, and ``sessions`` of live
    streams, each with so many ``threads``.
    """

    models: Mapping[str, str]
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    max_bytes: int = 64 << 20
    max_seconds: float = 120.0
    max_pixels: int = 4096 * 2304
    job_seconds: float = 180.0
    memory: int = 4 << 30
    readers: int = max(CORES // 2, 1)
    sessions: int = max(CORES // 2, 1)
    threads: int = min(CORES, 4)

    def __post_init__(self) -> None:
        if self.token is not None and not TOKEN.fullmatch(self.token):
            raise UsageError(
                "--token: expected 16 to 128 letters, digits, and . _ ~ -, got something else; "
                "leave it out, and one is made"
            )
        least = {"max_bytes": 1, "max_seconds": 1, "max_pixels": 1, "job_seconds": 1}
        least |= {"memory": LEAST_MEMORY, "readers": 1, "sessions": 0, "threads": 1}
        for name, value in least.items():
            if not getattr(self, name) >= value:  # NaN fails this too
                raise UsageError(
                    f"--{name.replace('_', '-')}: expected at least {value:,}, got "
                    f"{getattr(self, name):,}"
                )

    @property
    def limits(self) -> Limits:
        """What a recording may be."""
        return Limits(
            max_pixels=self.max_pixels,
            max_still_pixels=max(self.max_pixels, Limits.max_still_pixels),
            max_seconds=self.max_seconds,
            max_frames=math.ceil(MAX_FPS * self.max_seconds),
        )

    @property
    def waiting(self) -> int:
        """Uploads that have come and are read, or wait to be."""
        return 4 * self.readers


def is_loopback(host: str) -> bool:
    """Whether what listens on ``host`` is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token_for(host: str, token: str | None) -> str | None:
    """The token that a server on ``host`` asks for: that which was given, or a new one where
    others reach it."""
    return token if token is not None or is_loopback(host) else secrets.token_urlsafe(24)


def served_models(names: Iterable[str]) -> dict[str, str]:
    """What to load, by the name that clients give: bundled models, or bundles given by their
    folder, which go by the name in their config; of none, the models that come with chereme.

    Raises as ``chereme.recognition.registry.resolve``, and ``UsageError`` for two of one name.
    """
    found: dict[str, str] = {}
    for name in list(names) or dict.fromkeys(model.family for model in MODELS.values()):
        folder = resolve(name)
        known = name if name in MODELS else read_config(folder)[0].name
        if known in found:
            raise UsageError(f"model: expected different ones, got {known!r} twice; leave out one")
        found[known] = name if name in MODELS else str(folder.resolve())
    return found
