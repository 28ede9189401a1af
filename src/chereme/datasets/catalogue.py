"""The data sets that ``chereme prepare`` knows by name: who reads them, and what can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from chereme.datasets import chicagofswild, folders, greek, msasl, nmfs_csl, slr500, wlasl
from chereme.datasets.corpus import Corpus
from chereme.errors import UsageError


@dataclass(frozen=True)
class DataSet:
    """``read(root, **options)`` gives the corpus. ``into``: "crops" of the signing hand in shards,
    or "poses", the joints of both hands. ``options``: the names that ``read`` takes."""

    read: Callable[..., Corpus]
    into: Literal["crops", "poses"]
    options: frozenset[str] = frozenset()


def _folder(root: Path) -> Corpus:
    return folders.read(root / "manifest.csv" if root.is_dir() else root)


def _greek(root: Path, fold: int | None = None) -> Corpus:
    if fold is None:
        raise UsageError("greek: expected --fold 1 to 7, which says who is tested")
    return greek.read(root, fold)


def _signs(root: Path, signer: str | None = None, language: str | None = None) -> Corpus:
    """A folder for each sign, or a manifest."""
    if root.is_dir() and not (root / "manifest.csv").is_file():
        return folders.read_tree(root, signer=signer, language=language)
    if signer or language:
        raise UsageError(
            f"signs: --signer and --language are for folders without a manifest; {root} has one, "
            "whose columns signer and language say it"
        )
    return _folder(root)


def _wlasl(root: Path, whole: bool = False, **options: Any) -> Corpus:
    return wlasl.read(root, cut=not whole, **options)


def _msasl(root: Path, names: str | None = None, **options: Any) -> Corpus:
    return msasl.read(root, clips=names, **options)


def _slr500(
    root: Path,
    videos: Path | None = None,
    metadata: Path | None = None,
    test: list[str] | None = None,
    dev: list[str] | None = None,
) -> Corpus:
    return slr500.read(
        root,
        clips=videos,
        dictionary=metadata,
        test_signers=None if test is None else _numbers("test", test),
        dev_signers=_numbers("dev", dev or []),
    )


def _numbers(option: str, signers: list[str]) -> list[int]:
    numbers = [signer.upper().removeprefix("P") for signer in signers]
    if wrong := [s for s, n in zip(signers, numbers, strict=True) if not n.isdecimal()]:
        raise UsageError(f"{option}: expected signers as P01 or 1, got {', '.join(wrong)}")
    return [int(number) for number in numbers]


def _nmfs_csl(
    root: Path,
    subset: Any = "all",
    videos: Path | None = None,
    metadata: Path | None = None,
) -> Corpus:
    return nmfs_csl.read(root, subset, clips=videos, words=metadata)


DATASETS: Mapping[str, DataSet] = {
    "chicagofswild": DataSet(partial(chicagofswild.read, name="ChicagoFSWild"), "crops"),
    "chicagofswildplus": DataSet(partial(chicagofswild.read, name="ChicagoFSWildPlus"), "crops"),
    "greek": DataSet(_greek, "crops", frozenset({"fold"})),
    "folder": DataSet(_folder, "crops"),
    "wlasl": DataSet(_wlasl, "poses", frozenset({"classes", "metadata", "videos", "whole"})),
    "msasl": DataSet(_msasl, "poses", frozenset({"classes", "videos", "names"})),
    "slr500": DataSet(_slr500, "poses", frozenset({"videos", "metadata", "test", "dev"})),
    "nmfs-csl": DataSet(_nmfs_csl, "poses", frozenset({"subset", "videos", "metadata"})),
    "signs": DataSet(_signs, "poses", frozenset({"signer", "language"})),
}


def into(dataset: str) -> Literal["crops", "poses"]:
    """What a data set is prepared into. UsageError for a name that is not in ``DATASETS``."""
    return _known(dataset).into


def _known(dataset: str) -> DataSet:
    if dataset not in DATASETS:
        raise UsageError(
            f"dataset: expected {', '.join(DATASETS)}; rendered, photographs or exemplars, which "
            f"are made; got {dataset!r}"
        )
    return DATASETS[dataset]


def open_corpus(dataset: str, root: str | Path, **options: Any) -> Corpus:
    """Read a data set by its name, one of ``DATASETS``.

    ``root`` is its folder; of ``folder`` and ``signs`` also a manifest, or the folder with a
    ``manifest.csv``. ``options`` are those of the table; those that are None or False do not count.

    Raises:
        UsageError: another name, or an option of another data set.
        InputError: as the readers.
    """
    known = _known(dataset)
    given = {name: value for name, value in options.items() if value not in (None, False)}
    if others := [f"--{name}" for name in given if name not in known.options]:
        own = ", ".join(f"--{name}" for name in sorted(known.options)) or "none"
        raise UsageError(
            f"{dataset}: {', '.join(others)} is for other data sets (its own options: {own})"
        )
    return known.read(Path(root), **given)
