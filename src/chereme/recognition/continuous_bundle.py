"""Bundles of models that read continuous signing; what all bundles have is in
``chereme.recognition.bundle``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chereme.errors import BundleError, UsageError
from chereme.formats.networks import open_network
from chereme.formats.tracks import register_track
from chereme.recognition.bundle import (
    CONFIG,
    DECODER,
    ENCODER,
    SEQUENCE,
    TRACKS,
    check_bundle,
    check_ports,
    write_files,
)
from chereme.recognition.config import ContinuousConfig
from chereme.text.glosses import GlossVocabulary

OUTPUTS = {"decoder": "memory", "ctc": "log_probs"}
"""What ``sequence.onnx`` gives for each of the readers."""


def track_ports(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """What the networks call the numbers of tracks, and the frames in which they are present."""
    every = list(names)
    return [f"track_{name}" for name in every], [f"present_{name}" for name in every]


@dataclass(frozen=True)
class ContinuousBundle:
    """A checked model of continuous signing, ready to run. B clips of T frames, V ids, all free.

    ``sequence``: for each track ``track_<name> (B, T, W)`` float32, NaN where a number is not
    known, and ``present_<name> (B, T)`` bool, all False for a track that is missing, and ``lengths
    (B,)`` int64 in frames -> ``memory (B, T, D)``, if there is a decoder, and ``log_probs (B, T,
    V)``, if there is a CTC head.

    ``decoder``: ``ids (N, L)`` int64 from BOS on, ``memory (N or 1, T, D)``, ``lengths (N or 1,)``
    -> ``logits (N, L, V)`` of what follows each of them.

    Of a model that reads video, ``encoder``: ``frames (N, 3, S, S)`` uint8 RGB, whole frames as
    ``chereme.video.letterbox`` makes them -> ``features (N, F)``; and ``tracks``: ``features
    (B, T, F)``, ``lengths (B,)`` -> ``track_<name> (B, T, W)``.

    ``sha256`` is the hash of ``config.json``, which holds those of all other files.
    """

    directory: Path
    config: ContinuousConfig
    sha256: str
    sequence: Any
    decoder: Any = None
    encoder: Any = None
    tracks: Any = None

    @classmethod
    def load(cls, directory: str | Path, *, threads: int | None = None) -> ContinuousBundle:
        """Check and load the bundle in ``directory``; ``threads``: of ONNX Runtime (None: all).

        Its tracks become known to this process (``chereme.formats.tracks``). Raises ``BundleError``
        if a file is missing, changed, unlisted, a pickle, or of another form, the model is for
        another task, or a track of it means something else here already.
        """
        config, sha256, files = check_bundle(directory)
        where = Path(directory)
        if not isinstance(config, ContinuousConfig):
            raise BundleError(
                f"{where}: expected a model of continuous signing, got {config.name!r}, which is "
                f"for {config.task}; export one from a checkpoint of SignX: chereme export"
            )
        try:
            for track in config.tracks:
                register_track(track)
        except UsageError as error:
            raise BundleError(f"{where / CONFIG}: {error}") from error
        opened = {
            name: open_network(content, where / name, threads)
            for name, content in files.items()
            if name.endswith(".onnx")
        }
        bundle = cls(
            where,
            config,
            sha256,
            opened[SEQUENCE],
            opened.get(DECODER),
            opened.get(ENCODER),
            opened.get(TRACKS),
        )
        bundle._check()
        return bundle

    @property
    def vocabulary(self) -> GlossVocabulary:
        """The glosses, or their pieces, by id."""
        return GlossVocabulary(self.config.tokens, self.config.units)

    def _check(self) -> None:
        """``BundleError`` unless the networks take and give what the config says."""
        config, where = self.config, self.directory
        widths = {track.name: track.width for track in config.tracks}
        numbers, frames = track_ports(widths)
        ports = dict(zip(numbers, widths.values(), strict=True))
        gives = [OUTPUTS[reader] for reader in ("decoder", "ctc") if reader in config.readers]
        check_ports(self.sequence, where / SEQUENCE, [*numbers, *frames, "lengths"], *gives)
        found = {port.name: port.shape[-1] for port in self.sequence.get_inputs()}
        _same(where / SEQUENCE, {name: found[name] for name in ports}, ports)
        size = len(self.vocabulary)
        spoken = {port.name: port.shape[-1] for port in self.sequence.get_outputs()}
        if "ctc" in config.readers:
            _same(where / SEQUENCE, {"log_probs": spoken["log_probs"]}, {"log_probs": size})
        if self.decoder is not None:
            sources = ["ids", "memory", "lengths"]
            check_ports(self.decoder, where / DECODER, sources, "logits")
            logits = self.decoder.get_outputs()[0].shape[-1]
            _same(where / DECODER, {"logits": logits}, {"logits": size})
        if self.encoder is not None:
            check_ports(self.encoder, where / ENCODER, ["frames"], "features")
            check_ports(self.tracks, where / TRACKS, ["features", "lengths"], *numbers)
            made = {port.name: port.shape[-1] for port in self.tracks.get_outputs()}
            _same(where / TRACKS, made, ports)
            port, side = self.encoder.get_inputs()[0], config.preprocessing.picture
            if port.type != "tensor(uint8)" or port.shape[1:] != [3, side, side]:
                raise BundleError(
                    f"{where / ENCODER} wants frames of {port.shape[1:]}, {port.type}, but "
                    f"{CONFIG} says {[3, side, side]}, tensor(uint8); export the bundle again"
                )


def _same(path: Path, found: Mapping[str, Any], expected: Mapping[str, int]) -> None:
    # A width that the file leaves open is a name.
    wrong = [n for n, width in expected.items() if isinstance(found[n], int) and found[n] != width]
    if wrong:
        name = wrong[0]
        raise BundleError(
            f"{path} has {name} of width {found[name]}, but {CONFIG} says {expected[name]}; "
            "export the bundle again"
        )


def write_continuous(
    directory: str | Path, config: ContinuousConfig, files: Mapping[str, bytes | Path]
) -> ContinuousBundle:
    """Write a model of continuous signing with ``write_files``, and load the result."""
    write_files(directory, config, files)
    return ContinuousBundle.load(directory)
