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
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from chereme.errors import BundleError, InputError, UsageError
from chereme.formats.files import read_file
from chereme.formats.networks import Network, open_network
from chereme.formats.strict import read_json
from chereme.recognition.config import (
    CLASSIFIER,
    DECODER,
    ENCODER,
    LANGUAGE_MODEL,
    LEXICON,
    NGRAMS,
    SEQUENCE,
    TRACKS,
    Config,
    Port,
    parse_config,
)
from chereme.text.alphabet import Alphabet

if TYPE_CHECKING:
    from chereme.decoding import LanguageModel, Lexicon

CONFIG = "config.json"
MODEL_CARD = "MODEL_CARD.md"
KNOWN = (ENCODER, TRACKS, SEQUENCE, DECODER, CLASSIFIER, LANGUAGE_MODEL, NGRAMS, LEXICON)
MAX_BYTES = 1 << 30  # of a file
MAX_CONFIG_BYTES = 16 << 20
IGNORED = (".DS_Store", ".cache", ".git", ".gitattributes", "README.md")
"""What systems, git and model hubs put into any folder; nothing of it is read."""
PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib")

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Bundle(Generic[C]):
    """A checked model, ready to run.

    The networks that its task has, each named as its file; what they take and give is said by the
    config's class, in ``networks``. ``sha256`` is the hash of ``config.json``, which holds the
    hashes of all other files: one number that names the model.
    """

    directory: Path
    config: C
    sha256: str
    encoder: Any = None
    tracks: Any = None
    sequence: Any = None
    decoder: Any = None
    classifier: Any = None
    language_model: LanguageModel | None = None
    lexicon: Lexicon | None = None

    @classmethod
    def load(
        cls, directory: str | Path, task: str | None = None, *, threads: int | None = None
    ) -> Bundle[Any]:
        """Check and load the bundle in ``directory``.

        Args:
            directory: the folder.
            task: that it must be for; None: any.
            threads: of ONNX Runtime; None: all.

        The tracks of a model of continuous signing become known to this process
        (``chereme.formats.tracks``).

        Raises:
            BundleError: a file is missing, changed, unlisted, a pickle, or of another form, the
                model is for another task, or a track means something else here already.
        """
        config, sha256, files = check_bundle(directory)
        where = Path(directory)
        if task not in (None, config.task):
            raise BundleError(
                f"{where}: expected a model for {task} signing, got {config.name!r}, which is for "
                f"{config.task}; chereme.load and chereme recognize open any"
            )
        networks = {
            name: open_network(files[name], where / name, threads) for name in config.networks()
        }
        _check_ports(where, config, networks)
        language_model: LanguageModel | None = None
        if LANGUAGE_MODEL in files:
            language_model = _language_model(where, files, 1 + len(config.alphabet))
        elif NGRAMS in files:
            language_model = _ngrams(where, files[NGRAMS], config)
        lexicon = None
        if LEXICON in files:
            from chereme.recognition.word_lists import parse_lexicon

            lexicon = parse_lexicon(files[LEXICON], where / LEXICON, Alphabet(config.alphabet))
        try:
            config.register()
        except UsageError as error:
            raise BundleError(f"{where / CONFIG}: {error}") from error
        opened: dict[str, Any] = {Path(name).stem: network for name, network in networks.items()}
        return cls(where, config, sha256, **opened, language_model=language_model, lexicon=lexicon)


# -- reading --------------------------------------------------------------------------------------
def read_config(directory: str | Path) -> tuple[Any, str]:
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


def check_bundle(directory: str | Path) -> tuple[Any, str, dict[str, bytes]]:
    """Check every file of a bundle: ``(config, sha256, contents by name)``, or ``BundleError``."""
    where = Path(directory)
    config, sha256 = read_config(where)
    required = (*config.networks(), MODEL_CARD)
    for name in config.files:
        _check_name(where, name, (*required, *config.optional))
    for name in required:
        if name not in config.files:
            raise BundleError(
                f"{where / CONFIG}: 'files' does not list {name}, which each model has"
            )
    for path in sorted(where.iterdir()):
        if path.name not in (CONFIG, *IGNORED, *config.files):
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


def _check_name(where: Path, name: str, allowed: Sequence[str]) -> None:
    """Only known plain names, which lie in the folder itself even when links are followed, or
    with the files of a hub's cache."""
    if Path(name).suffix.lower() in PICKLE_SUFFIXES:
        raise BundleError(
            f"{where / CONFIG} lists {name!r}: pickled files can run code and are refused; "
            "the networks of a bundle are ONNX"
        )
    if name not in allowed:
        raise BundleError(
            f"{where / CONFIG} lists {name!r}: expected only {', '.join(allowed)}, without folders"
        )
    folder = where.resolve()
    inside = [folder]
    if folder.parent.name == "snapshots":  # of a model hub's cache, made of links
        inside.append(folder.parents[1] / "blobs")
    if (where / name).resolve().parent not in inside:
        raise BundleError(f"{where / name} is a link that leaves the bundle; copy the file instead")


def _check_ports(where: Path, config: Config, networks: Mapping[str, Network]) -> None:
    """``BundleError`` unless the networks take and give what the config says, and each other."""
    widths: dict[str, tuple[str, int]] = {}
    for file, ports in config.networks().items():
        opened = (networks[file].get_inputs(), networks[file].get_outputs())
        for expected, found in zip(ports, opened, strict=True):
            if [port.name for port in found] != list(expected):
                raise BundleError(
                    f"{where / file}: expected {', '.join(map(repr, ports.inputs))} to "
                    f"{', '.join(map(repr, ports.outputs))}, got "
                    f"{[port.name for port in found]}; is this another network's file?"
                )
            for port in found:
                if not _fits(port, expected[port.name]):
                    kind, sizes = expected[port.name]
                    shape = [size if isinstance(size, int) else "any" for size in sizes]
                    raise BundleError(
                        f"{where / file}: expected {port.name!r} of {shape}, {kind}, as {CONFIG} "
                        f"says, got {port.shape}, {port.type}; export the bundle again"
                    )
                # A width that the file leaves open is a name.
                width = port.shape[-1]
                other, first = widths.setdefault(port.name, (file, width))
                if isinstance(width, int) and isinstance(first, int) and width != first:
                    raise BundleError(
                        f"{where / file} has {port.name!r} of width {width}, but {other} of "
                        f"{first}; they do not belong together, export the bundle again"
                    )


def _fits(port: Any, expected: Port) -> bool:
    kind, sizes = expected
    return (
        port.type == f"tensor({kind})"
        and len(port.shape) == len(sizes)
        and all(not isinstance(s, int) or s == f for s, f in zip(sizes, port.shape, strict=True))
    )


def _ngrams(where: Path, content: bytes, config: Any) -> LanguageModel:
    from chereme.decoding.ngram import NGramLanguageModel
    from chereme.text.glosses import GlossVocabulary

    said = GlossVocabulary(config.tokens, config.units).said
    try:
        text = content.decode("utf-8")
        return NGramLanguageModel.read_arpa(text, said, str(where / NGRAMS))
    except (UnicodeDecodeError, InputError) as error:
        raise BundleError(f"{error}; export the bundle again") from error


def _language_model(where: Path, files: Mapping[str, bytes], symbols: int) -> LanguageModel:
    from chereme.decoding.language_model import OnnxLanguageModel

    lm = OnnxLanguageModel(where / LANGUAGE_MODEL, files[LANGUAGE_MODEL])
    if lm.symbols != symbols:
        raise BundleError(
            f"{where / LANGUAGE_MODEL} gives {lm.symbols} symbols, but the alphabet and the blank "
            f"are {symbols}; export the bundle again"
        )
    return lm


# -- writing --------------------------------------------------------------------------------------
def write_bundle(directory: str | Path, config: C, files: Mapping[str, bytes | Path]) -> Bundle[C]:
    """Write ``files`` (contents, or paths to copy) and ``config.json`` with their hashes, and load
    the result.

    ``config.files`` is filled in here, and a model card is written if none is given. An existing
    bundle at ``directory`` is replaced, or stays whole if the writing fails; any other content
    there is an error.
    """
    where = Path(directory)
    if where.exists() and not where.is_dir():
        raise BundleError(f"{where}: expected a folder to write the bundle to, found a file")
    present = {path.name for path in where.iterdir()} if where.exists() else set()
    present -= set(IGNORED)
    foreign = sorted(present - {*KNOWN, CONFIG, MODEL_CARD})
    if foreign:
        raise BundleError(
            f"{where} holds other files ({', '.join(foreign[:3])}); give a new or empty folder"
        )
    contents = {n: c if isinstance(c, bytes) else Path(c).read_bytes() for n, c in files.items()}
    contents.setdefault(MODEL_CARD, _card(config).encode())
    for name in contents:
        _check_name(where, name, (*config.networks(), *config.optional, MODEL_CARD))
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
            for name in contents.keys() - present:
                (where / name).unlink(missing_ok=True)
            for path in old.iterdir():
                path.replace(where / path.name)
            raise
    return Bundle.load(where)


def _card(config: Config) -> str:
    """A model card of what the config tells."""
    licence = config.licence
    parts = [
        f"# {config.name}",
        *config.about(),
        f"Licence: code {licence.code}; weights {licence.weights}; data {licence.data}.",
    ]
    for title, entries in (("Training data", config.training_data), ("Metrics", config.metrics)):
        lines = [
            "- " + "; ".join(f"{key}: {value}" for key, value in entry.items()) for entry in entries
        ]
        parts += [f"## {title}", "\n".join(lines) or "Not stated."]
    return "\n\n".join(parts) + "\n"
