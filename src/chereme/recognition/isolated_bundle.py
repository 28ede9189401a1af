"""Bundles of models that recognise isolated signs; what all bundles have is in
``chereme.recognition.bundle``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chereme.errors import BundleError
from chereme.formats.networks import open_network
from chereme.recognition.bundle import (
    CLASSIFIER,
    CONFIG,
    ENCODER,
    check_bundle,
    check_ports,
    write_files,
)
from chereme.recognition.config import IsolatedConfig

LANDMARK_PORTS = ("joints", "confidence", "mask")
CROP_PORTS = ("joints", "present")
OUTPUT = "log_probs"


@dataclass(frozen=True)
class IsolatedBundle:
    """A checked model of isolated signs, ready to run. B clips of T frames, both free.

    ``classifier`` of a model that reads landmarks: ``joints (B, T, 2, 21, 2)`` float32 pixels of
    the left and the right hand, x right, y down, ``confidence (B, T, 2, 21)`` float32, 0 where a
    joint was not seen, ``mask (B, T)`` bool, False for padding -> ``log_probs (B, K)``; with
    ``abstention.other`` of the config ``(B, K + 1)``, and the last is that of no sign among the K.

    Of one that reads pictures of H hands, ``encoder``: ``frames (N, 3, S, S)`` uint8 RGB, crops of
    right hands, left ones mirrored -> ``joints (N, 21, 3)``; and ``classifier``: ``joints
    (B, T, H, 21, 3)``, ``present (B, T, H)`` bool, False where there is no hand or no frame ->
    ``log_probs (B, K)``.

    ``sha256`` is the hash of ``config.json``, which holds those of all other files.
    """

    directory: Path
    config: IsolatedConfig
    sha256: str
    classifier: Any
    encoder: Any = None

    @classmethod
    def load(cls, directory: str | Path, *, threads: int | None = None) -> IsolatedBundle:
        """Check and load the bundle in ``directory``; ``threads``: of ONNX Runtime (None: all).

        Raises ``BundleError`` if a file is missing, changed, unlisted, a pickle, or of another
        form, or the model is for another task.
        """
        config, sha256, files = check_bundle(directory)
        where = Path(directory)
        if not isinstance(config, IsolatedConfig):
            raise BundleError(
                f"{where}: expected a model of isolated signs, got {config.name!r}, which is for "
                f"{config.task}; train one with: chereme train FOLDER -o MODEL"
            )
        classifier = open_network(files[CLASSIFIER], where / CLASSIFIER, threads)
        encoder = None
        ports: tuple[str, ...] = LANDMARK_PORTS
        if config.input == "rgb":
            ports = CROP_PORTS
            encoder = open_network(files[ENCODER], where / ENCODER, threads)
            check_ports(encoder, where / ENCODER, ["frames"], "joints")
            _check_crops(encoder.get_inputs()[0], where / ENCODER, config)
        check_ports(classifier, where / CLASSIFIER, list(ports), OUTPUT)
        shape, hands = classifier.get_inputs()[0].shape, config.preprocessing.hands
        if len(shape) != 5 or shape[2] != hands:
            raise BundleError(
                f"{where / CLASSIFIER} wants joints of {shape}, but {CONFIG} says that {hands} "
                "hands are read, as its third size; export the bundle again"
            )
        gives = classifier.get_outputs()[0].shape
        other = config.abstention.other
        if gives[1:] != [len(config.classes) + other]:
            raise BundleError(
                f"{where / CLASSIFIER} gives log-probabilities of {gives}, but {CONFIG} names "
                f"{len(config.classes)} signs{' and others' * other}; export the bundle again"
            )
        return cls(where, config, sha256, classifier, encoder)


def write_isolated(
    directory: str | Path, config: IsolatedConfig, files: Mapping[str, bytes | Path]
) -> IsolatedBundle:
    """Write a model of isolated signs with ``write_files``, and load the result."""
    write_files(directory, config, files)
    return IsolatedBundle.load(directory)


def _check_crops(port: Any, path: Path, config: IsolatedConfig) -> None:
    """The encoder's input is what the config says that it is given."""
    assert config.preprocessing.crop is not None  # the config of a model that reads crops has it
    size = config.preprocessing.crop.size
    if port.type != "tensor(uint8)" or port.shape[1:] != [3, size, size]:
        raise BundleError(
            f"{path} wants frames of {port.shape[1:]}, {port.type}, but {CONFIG} says "
            f"{[3, size, size]}, tensor(uint8); export the bundle again"
        )
