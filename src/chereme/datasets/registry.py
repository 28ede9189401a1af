"""The data sets that ``chereme prepare`` knows by name: each is one file that registers itself.

A reader is a function, or a class, with the decorator :func:`dataset`. Its parameters become the
options of ``chereme prepare NAME``; its docstring, texts under ``Args:`` included, is the help.
The :class:`Kind` says what a reader returns, and which function prepares that.

Names, kinds and summaries are found in the text of the files, so that nothing is imported (torch, a
renderer) but what the named data set needs.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from chereme._imports import require
from chereme.errors import UsageError

PACKAGES = ("chereme.datasets", "chereme.synthesis")
"""Where files that register a data set lie."""

Reader = TypeVar("Reader", bound=Callable[..., Any])


class _Preparation(NamedTuple):
    """``title`` of the kind in the help; ``function``: ``module:name`` of what prepares it, as
    ``function(read, output, **options)``; ``output``: a new folder, one that work goes on in, or a
    file."""

    title: str
    function: str
    output: Literal["new folder", "resumed folder", "file"] = "resumed folder"


class Kind(Enum):
    """What a reader returns, and so what ``chereme prepare`` makes of it."""

    SPELLING = _Preparation("Fingerspelling", "chereme.datasets.prepare_crops:prepare_crops")
    """A `Corpus` of clips of letters: crops of the signing hand, in shards."""
    SIGNS = _Preparation("Isolated signs", "chereme.datasets.prepare_signs:prepare_signs")
    """A `Corpus` of clips of one sign each: the joints of both hands, in a folder of poses; or
    crops, whole frames or keypoints, in shards."""
    SENTENCES = _Preparation("Continuous signing", "chereme.datasets.sentences:prepare_sentences")
    """A `SentenceCorpus`: a manifest, the times of its glosses, and the tracks that it has."""
    JOINTS = _Preparation("Hands with known joints", "chereme.datasets.pose_clips:prepare_joints")
    """A `Corpus` of joint sequences: as they are, in a folder of poses."""
    SYNTHETIC_CROPS = _Preparation("Synthetic", "chereme.datasets.prepare_crops:prepare_generated")
    """A `ClipGenerator`: its crops, in shards."""
    SYNTHETIC_POSES = _Preparation(
        "Synthetic", "chereme.datasets.pose_clips:write_poses", "new folder"
    )
    """Clips of poses, in a folder of poses."""
    SYNTHETIC_VIDEOS = _Preparation(
        "Synthetic", "chereme.synthesis.signing_film:FilmedSigning.write"
    )
    """A `FilmedSigning`: videos with their tracks, and a manifest."""
    EXEMPLARS = _Preparation("Synthetic", "chereme.datasets.exemplars:Exemplars.save", "file")
    """`Exemplars`: one file."""
    RECORDINGS = _Preparation("Synthetic", "chereme.datasets.recordings:Recordings.save", "file")
    """`Recordings`: one file."""
    WORDS = _Preparation("Words", "chereme.datasets.lexicon:LikelyWords.save", "file")
    """`LikelyWords`: one text file."""

    @property
    def title(self) -> str:
        """Heading of these data sets in the help."""
        return self.value.title

    @property
    def output(self) -> str:
        """A "new folder", a "resumed folder", or a "file"."""
        return self.value.output

    @property
    def prepare(self) -> Callable[..., Any]:
        """The function that prepares what a reader of this kind returns."""
        module, _, name = self.value.function.partition(":")
        function: Callable[..., Any] = attrgetter(name)(require(module, extra="train"))
        return function


@dataclass(frozen=True)
class Listed:
    """A data set by its ``name``, before its ``module`` is imported; ``summary``: one line."""

    name: str
    kind: Kind
    module: str
    summary: str


_READERS: dict[str, Callable[..., Any]] = {}


def dataset(name: str, kind: Kind) -> Callable[[Reader], Reader]:
    """Register the reader of a data set, for ``chereme prepare NAME``. Both are literals in the
    text of the file, which is read before it is imported."""

    def register(reader: Reader) -> Reader:
        _READERS[name] = reader
        return reader

    return register


def listed() -> dict[str, Listed]:
    """All data sets by name, in the order of their kinds. No reader is imported."""
    found = [entry for package in PACKAGES for path in _files(package) for entry in _in_file(*path)]
    order = list(Kind)
    return {
        own.name: own for own in sorted(found, key=lambda own: (order.index(own.kind), own.name))
    }


def reader_of(name: str) -> Callable[..., Any]:
    """The reader of a data set. UsageError for a name that no file registers."""
    known = listed()
    if name not in known:
        raise UsageError(f"dataset: expected {', '.join(known)}, got {name!r}")
    require(known[name].module, extra="train")
    return _READERS[name]


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """The modules of a package, each with its file."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    for module in pkgutil.iter_modules(spec.submodule_search_locations):
        if not module.ispkg:
            yield f"{package}.{module.name}", Path(module.module_finder.path) / f"{module.name}.py"  # type: ignore[union-attr]


@cache
def _in_file(module: str, path: Path) -> tuple[Listed, ...]:
    """The data sets that a file registers."""
    text = path.read_text(encoding="utf-8")
    if "\n@dataset(" not in text:
        return ()
    found = []
    for node in ast.parse(text).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        for call in node.decorator_list:
            match call:
                case ast.Call(
                    func=ast.Name("dataset"),
                    args=[ast.Constant(str(name)), ast.Attribute(ast.Name("Kind"), kind)],
                ):
                    summary = inspect.cleandoc(ast.get_docstring(node) or "").partition("\n\n")[0]
                    found.append(Listed(name, Kind[kind], module, " ".join(summary.split())))
    return tuple(found)
