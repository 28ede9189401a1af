"""Model bundles: a folder with ``config.json``, ONNX networks and a model card, every file hashed.

Nothing in a bundle can run code: the networks are ONNX with their weights inside, read once into
memory, compared with their SHA-256, and only then given to ONNX Runtime.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chereme.errors import BundleError, InputError
from chereme.formats.files import read_file
from chereme.formats.networks import open_network
from chereme.recognition.config import (
    BundleConfig,
    Config,
    ContinuousConfig,
    Preprocessing,
    parse_config,
    read_json,
)
from chereme.text.alphabet import Alphabet

if TYPE_CHECKING:
    from chereme.decoding.language_model import OnnxLanguageModel

CONFIG = "config.json"
ENCODER = "encoder.onnx"
SEQUENCE = "sequence.onnx"
LANGUAGE_MODEL = "lm.onnx"
CLASSIFIER = "classifier.onnx"
TRACKS = "tracks.onnx"
DECODER = "decoder.onnx"
MODEL_CARD = "MODEL_CARD.md"
KNOWN = (ENCODER, TRACKS, SEQUENCE, DECODER, LANGUAGE_MODEL, CLASSIFIER, MODEL_CARD)
MAX_BYTES = 1 << 30  # of a file
MAX_CONFIG_BYTES = 16 << 20
PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib")


@dataclass(frozen=True)
class Bundle:
    """A checked model that reads letters, ready to run.

    ``encoder``: ``frames`` -> ``features (T, D)``, frame by frame, so that it may be called on
    pieces; frames are ``(T, F)`` float32 of landmarks, or crops ``(T, 3, S, S)`` uint8 RGB.
    ``sequence``: ``features (1, T, D)`` -> ``log_probs (1, T', V)`` with
    ``T' = ceil(T / temporal_stride)``. ``sha256`` is the hash of ``config.json``, which holds
    the hashes of all other files: one number that names the model.
    """

    directory: Path
    config: BundleConfig
    sha256: str
    encoder: Any
    sequence: Any
    language_model: OnnxLanguageModel | None

    @classmethod
    def load(cls, directory: str | Path, *, threads: int | None = None) -> Bundle:
        """Check and load the bundle in ``directory``; ``threads``: of ONNX Runtime (None: all).

        Raises ``BundleError`` if a file is missing, changed, unlisted, a pickle, or of another
        form.
        """
        config, sha256, files = check_bundle(directory)
        where = Path(directory)
        if not isinstance(config, BundleConfig):
            raise BundleError(
                f"{where}: expected a model that reads letters, got one for {config.task} signing; "
                "open it with chereme.load, or give it to chereme recognize alone"
            )
        vocabulary = len(Alphabet(config.alphabet))
        encoder = open_network(files[ENCODER], where / ENCODER, threads)
        sequence = open_network(files[SEQUENCE], where / SEQUENCE, threads)
        check_ports(encoder, where / ENCODER, ["frames"], "features")
        check_ports(sequence, where / SEQUENCE, ["features"], "log_probs")
        _check_frames(encoder.get_inputs()[0], where / ENCODER, config.preprocessing)
        made, taken = encoder.get_outputs()[0].shape[-1], sequence.get_inputs()[0].shape[-1]
        # A width that the file leaves open is a name.
        if isinstance(made, int) and isinstance(taken, int) and made != taken:
            raise BundleError(
                f"{where / ENCODER} gives {made} features a frame, but {SEQUENCE} takes {taken}; "
                "they do not belong together, export the bundle again"
            )
        gives = sequence.get_outputs()[0].shape[-1]
        if gives != vocabulary:
            raise BundleError(
                f"{where / SEQUENCE} gives {gives} symbols, but the alphabet and the blank are "
                f"{vocabulary}; export the bundle again"
            )
        return cls(
            directory=where,
            config=config,
            sha256=sha256,
            encoder=encoder,
            sequence=sequence,
            language_model=_language_model(where, files, vocabulary),
        )

    @property
    def alphabet(self) -> Alphabet:
        """The symbols of the model; index 0 is the blank."""
        return Alphabet(self.config.alphabet)


def files_of(config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the files beside ``config.json`` that a model must have, and that it may."""
    if isinstance(config, BundleConfig):
        return (ENCODER, SEQUENCE, MODEL_CARD), (LANGUAGE_MODEL,)
    if isinstance(config, ContinuousConfig):
        video = [ENCODER, TRACKS] if config.input == "rgb" else []
        decoder = [DECODER] if "decoder" in config.readers else []
        return (*video, SEQUENCE, *decoder, MODEL_CARD), ()
    # One of landmarks is a single network; of pictures, one more makes joints of each crop.
    return (*([ENCODER] if config.input == "rgb" else []), CLASSIFIER, MODEL_CARD), ()


def read_config(directory: str | Path) -> tuple[Config, str]:
    """The description and the SHA-256 of a bundle, without checking its other files."""
    where = Path(directory)
    if where.suffix.lower() in PICKLE_SUFFIXES:
        raise BundleError(
            f"{where} is a checkpoint, not a bundle: pickled files can run code and are never "
            "loaded for recognition; turn it into a bundle with: chereme export"
        )
    if not where.is_dir():
        kind = "a file" if where.exists() else "nothing"
        raise BundleError(f"{where}: expected the folder of a model bundle, found {kind}")
    path = where / CONFIG
    if not path.is_file():
        raise BundleError(f"{where} has no {CONFIG}: expected a folder written by chereme export")
    raw = _read(path, MAX_CONFIG_BYTES)
    return parse_config(read_json(raw, str(path)), str(path)), hashlib.sha256(raw).hexdigest()


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        return read_file(path, max_bytes)
    except InputError as error:
        raise BundleError(f"{error}; fetch the bundle again") from error


def check_bundle(directory: str | Path) -> tuple[Config, str, dict[str, bytes]]:
    """Check every file of a bundle: ``(config, sha256, contents by name)``, or ``BundleError``."""
    where = Path(directory)
    config, sha256 = read_config(where)
    required, optional = files_of(config)
    for name in config.files:
        _check_name(where, name, (*required, *optional))
    for name in required:
        if name not in config.files:
            raise BundleError(
                f"{where / CONFIG}: 'files' does not list {name}, which each model has"
            )
    for path in sorted(where.iterdir()):
        if path.name != CONFIG and path.name not in config.files:
            raise BundleError(
                f"{path} is not listed in {CONFIG}: a bundle holds only the files that it hashes; "
                "remove it, or fetch the bundle again"
            )
    contents = {}
    for name, expected in config.files.items():
        path = where / name
        if not path.is_file():
            raise BundleError(f"{path} is missing, but {CONFIG} lists it; fetch the bundle again")
        content = _read(path, MAX_BYTES)
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise BundleError(
                f"{path} has changed: expected SHA-256 {expected}, got {found}; "
                "fetch the bundle again, and do not use this one"
            )
        contents[name] = content
    return config, sha256, contents


def write_bundle(
    directory: str | Path, config: BundleConfig, files: Mapping[str, bytes | Path]
) -> Bundle:
    """Write a model that reads letters with :func:`write_files`, and load the result."""
    write_files(directory, config, files)
    return Bundle.load(directory)


def write_files(directory: str | Path, config: Config, files: Mapping[str, bytes | Path]) -> None:
    """Write ``files`` (contents, or paths to copy) and ``config.json`` with their hashes.

    ``config.files`` is filled in here, and a short model card is written if none is given. An
    existing bundle at ``directory`` is replaced, or stays whole if the writing fails; any other
    content there is an error.
    """
    where = Path(directory)
    if where.exists() and not where.is_dir():
        raise BundleError(f"{where}: expected a folder to write the bundle to, found a file")
    present = [path.name for path in where.iterdir()] if where.exists() else []
    foreign = sorted(set(present) - {*KNOWN, CONFIG})
    if foreign:
        raise BundleError(
            f"{where} holds other files ({', '.join(foreign[:3])}); give a new or empty folder"
        )
    contents = {n: c if isinstance(c, bytes) else Path(c).read_bytes() for n, c in files.items()}
    contents.setdefault(MODEL_CARD, _short_card(config).encode())
    required, optional = files_of(config)
    for name in contents:
        _check_name(where, name, (*required, *optional))
    hashes = {
        name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())
    }
    text = json.dumps(replace(config, files=hashes).to_dict(), indent=2, ensure_ascii=False)
    contents[CONFIG] = (text + "\n").encode()
    where.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=where.parent) as beside:
        new, old = Path(beside) / "new", Path(beside) / "old"
        new.mkdir()
        old.mkdir()
        for name, content in contents.items():
            (new / name).write_bytes(content)
        try:
            for name in present:
                (where / name).replace(old / name)
            for name in contents:
                (new / name).replace(where / name)
        except BaseException:
            for name in contents.keys() - set(present):
                (where / name).unlink(missing_ok=True)
            for path in old.iterdir():
                path.replace(where / path.name)
            raise


def _short_card(config: Config) -> str:
    """What the config tells of the model, for a reader."""
    licence = config.licence
    lines = [
        f"# {config.name}",
        "",
        f"Task: {config.task}, from {config.input}.",
        "",
        f"Licence: code {licence.code}; weights {licence.weights}; data {licence.data}.",
    ]
    for title, entries in (("Training data", config.training_data), ("Metrics", config.metrics)):
        lines += ["", f"## {title}", ""]
        lines += [
            "- " + "; ".join(f"{key}: {value}" for key, value in entry.items()) for entry in entries
        ] or ["Not stated."]
    return "\n".join(lines) + "\n"


def _check_name(where: Path, name: str, allowed: Sequence[str]) -> None:
    """Only known plain names, which lie in the folder itself even when links are followed."""
    if Path(name).suffix.lower() in PICKLE_SUFFIXES:
        raise BundleError(
            f"{where / CONFIG} lists {name!r}: pickled files can run code and are refused; "
            "the networks of a bundle are ONNX"
        )
    if name not in allowed:
        raise BundleError(
            f"{where / CONFIG} lists {name!r}: expected only {', '.join(allowed)}, without folders"
        )
    if (where / name).resolve().parent != where.resolve():
        raise BundleError(f"{where / name} is a link that leaves the bundle; copy the file instead")


def check_ports(session: Any, path: Path, sources: list[str], *targets: str) -> None:
    """``BundleError`` unless a network's inputs and outputs have these names."""
    inputs = [port.name for port in session.get_inputs()]
    outputs = [port.name for port in session.get_outputs()]
    if inputs != sources or outputs != list(targets):
        raise BundleError(
            f"{path}: expected input {', '.join(map(repr, sources))} and output "
            f"{', '.join(map(repr, targets))}, got {inputs} and {outputs}; is this another "
            "network's file?"
        )


def _check_frames(port: Any, path: Path, preprocessing: Preprocessing) -> None:
    """The encoder's input is what the config says that it is given."""
    crop = preprocessing.crop
    kind = "tensor(float)" if crop is None else "tensor(uint8)"
    shape = [preprocessing.features] if crop is None else [3, crop.size, crop.size]
    if port.type != kind or port.shape[1:] != shape:
        raise BundleError(
            f"{path} wants frames of {port.shape[1:]}, {port.type}, but {CONFIG} says {shape}, "
            f"{kind}; export the bundle again"
        )


def _language_model(
    where: Path, files: Mapping[str, bytes], vocabulary: int
) -> OnnxLanguageModel | None:
    if LANGUAGE_MODEL not in files:
        return None
    from chereme.decoding.language_model import OnnxLanguageModel

    lm = OnnxLanguageModel(where / LANGUAGE_MODEL, files[LANGUAGE_MODEL])
    if lm.symbols != vocabulary:
        raise BundleError(
            f"{where / LANGUAGE_MODEL} gives {lm.symbols} symbols, but the alphabet and the blank "
            f"are {vocabulary}; export the bundle again"
        )
    return lm
