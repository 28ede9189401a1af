"""Encoding the frames of a batch in chunks, so that long clips fit into little memory; and keeping
the memory that there is."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from chereme.nn.masking import scatter_masked
from chereme.nn.resnet import ResNetEncoder


class ChunkedResNet(nn.Module):
    """A ``ResNetEncoder`` that keeps no activations of frames while it is trained.

    ``frames`` crops at a time go through it, and once more in the backward pass (gradient
    checkpointing), which takes a third longer. Results are the same but for batch normalisation,
    whose statistics while training are those of a chunk (unless they are frozen).
    """

    def __init__(self, encoder: ResNetEncoder, frames: int) -> None:
        super().__init__()
        self.encoder, self.frames = encoder, frames

    def forward(self, crops: Tensor, mask: Tensor) -> Tensor:
        """``crops (B, T, 3, S, S)``, ``mask (B, T)`` -> features ``(B, T, D)``, 0 outside it."""
        packed = crops[mask]
        if not (self.training and torch.is_grad_enabled()) or len(packed) <= self.frames:
            return scatter_masked(self.encoder(packed), mask)

        def contexts() -> tuple[Any, Any]:
            return nullcontext(), _kept_statistics(self.encoder)

        parts = [
            checkpoint(self.encoder, part, use_reentrant=False, context_fn=contexts)
            for part in torch.split(packed, self.frames)
        ]
        return scatter_masked(torch.cat(parts), mask)


@contextmanager
def _kept_statistics(module: nn.Module) -> Iterator[None]:
    """Batches that pass here do not count for running statistics: they have been counted."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def keep_freed_memory() -> None:
    """Have this process keep the memory of tensors that are gone, for those to come.

    Otherwise glibc hands large ones back to the system, which clears every page of the next: on a
    CPU, a quarter of a step. Does nothing where the C library is another.
    """
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        return
    trim_threshold, mmap_max = -1, -4  # names of malloc.h, which has them as numbers only
    libc = ctypes.CDLL(None)
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, -1)
