"""``chereme prepare``: what training reads, from collections of recordings.

Each data set is a command, whose options are the parameters of its reader and of what prepares it
(`chereme.datasets.registry`), with the help of their docstrings.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from chereme._imports import require
from chereme.cli import options
from chereme.cli.console import ProgressBar, say
from chereme.formats.outputs import check_output_folder, new_file


def _listed() -> Mapping[str, Any]:
    return require("chereme.datasets.registry", extra="train").listed()  # type: ignore[no-any-return]


class PrepareGroup(TyperGroup):
    """A command for each data set. Only the one that is asked for is imported."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_listed())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Name and summary alone, which the list of commands shows."""
        known = _listed().get(cmd_name)
        if known is None:
            return None
        return TyperCommand(cmd_name, help=known.summary, rich_help_panel=known.kind.title)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _command(_listed()[str(name)]), rest


app = typer.Typer(cls=PrepareGroup, no_args_is_help=True)


@app.callback()
def prepare() -> None:
    """Prepare a data set for training.

    Fingerspelling becomes crops of the signing hand with its landmarks, in WebDataset tars;
    isolated signs become the joints of both hands, or crops, frames or keypoints; sentences become
    a manifest. A run that was
    stopped goes on where it was. What became of each clip is in status.csv.

    Options of a data set: chereme prepare DATASET --help
    """


def _command(known: Any) -> TyperCommand:
    """The command of one data set."""
    registry = require("chereme.datasets.registry", extra="train")
    read, write = registry.reader_of(known.name), known.kind.prepare

    def run(**values: Any) -> None:
        output, overwrite = values.pop("output"), values.pop("overwrite")
        with (
            _opened(output, known.kind.output, overwrite) as place,
            ProgressBar(known.name, unit="clips") as progress,
        ):
            arguments = _arguments(values, progress)
            found = read(**_taken_by(read, arguments))
            result = write(found, place, **_taken_by(write, arguments, 2))
        for line in result.report().splitlines() if hasattr(result, "report") else ():
            say(line)
        say(f"{output}: " + (f"{result:,} clips" if isinstance(result, int) else "written"))

    parameters = {own.name: own for own in (*_parameters(read), *_parameters(write, 2))}
    parameters |= {"output": _OUTPUT, "overwrite": _OVERWRITE}
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        sorted(parameters.values(), key=lambda own: own.default is not own.empty)
    )
    run.__annotations__ = {own.name: own.annotation for own in parameters.values()}
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(help=_help(read))(run)
    return typer.main.get_command(single)  # type: ignore[return-value]


def _help(function: Callable[..., Any]) -> str:
    """What a docstring says before its arguments, without marks of code, a line a paragraph."""
    text = re.sub(r"(?::\w+:)?`+([^`]+)`+", r"\1", inspect.getdoc(function) or "")
    paragraphs = text.partition("\nArgs:")[0].split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _opened(output: Path, kind: str, overwrite: bool) -> AbstractContextManager[Path]:
    """Where to write ``output``; OutputError where nothing can be."""
    if kind == "file":
        return new_file(output, overwrite=overwrite)
    check_output_folder(output, overwrite=overwrite, resumed=kind == "resumed folder")
    return nullcontext(output)


# -- from parameters to options ----------------------------------------------------------------
def _option(name: str, hint: Any, help: str, *flags: str, default: Any = None) -> inspect.Parameter:
    annotation = Annotated[hint, typer.Option(*flags, help=help)]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


_OUTPUT = _option(
    "output", Path, "Folder or file to write.", "--output", "-o", default=inspect.Parameter.empty
)
_OVERWRITE = inspect.Parameter(
    "overwrite", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=options.Overwrite
)


class TeacherName(Enum):
    """Whose vectors can go with the clips."""

    landmarks = "landmarks"
    hand_network = "hand_network"
    synthetic = "synthetic"
    hamer = "hamer"
    hamer_vit = "hamer-vit"
    precomputed = "precomputed"


# Parameters that are several options, and those that no option is for.
_SEVERAL: dict[str, tuple[inspect.Parameter, ...]] = {
    "limits": tuple(
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in (
            ("max_pixels", options.MaxPixels),
            ("max_seconds", options.MaxSeconds),
            ("max_frames", options.MaxFrames),
        )
    ),
    "teachers": (
        _option("teacher", list[TeacherName] | None, "Whose vectors go with the clips; may recur."),
        _option("checkpoint", Path | None, "For teacher hamer: its hamer.ckpt."),
        _option("vectors", list[Path] | None, "For precomputed: a folder of <clip id>.npy."),
    ),
    "progress": (),
}


def _parameters(function: Callable[..., Any], skip: int = 0) -> Iterator[inspect.Parameter]:
    """The options that the parameters of a function are, but for the first ``skip``."""
    hints = get_type_hints(function)
    document = require("docstring_parser", extra="train").parse(inspect.getdoc(function) or "")
    texts = {own.arg_name: " ".join((own.description or "").split()) for own in document.params}
    for name, own in list(inspect.signature(function).parameters.items())[skip:]:
        hint = _option_type(name, hints[name])
        if name in _SEVERAL:
            yield from _SEVERAL[name]
        elif hint is not None and own.default is not True:  # what is so cannot be asked for
            flags = (f"--{name.replace('_', '-')}",) if hint is bool else ()
            text = texts.get(name, "")
            yield _option(name, hint, text[:1].upper() + text[1:], *flags, default=own.default)


def _option_type(name: str, hint: Any) -> Any:
    """The type of an option as Typer wants it; None: no option can give such a value."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        some = [member for member in inner if member is not type(None)]
        text_or_path = Path if set(some) == {str, Path} else None
        found: Any = _option_type(name, some[0]) if len(some) == 1 else text_or_path
        return found | None if found is not None and len(some) < len(inner) else found
    if origin is list:
        found = _option_type(name, inner[0])
        return found if found is None else list[found]
    if origin is Literal:
        text = isinstance(inner[0], str)
        return Enum(name, {value: value for value in inner}) if text else type(inner[0])
    return hint if hint in (str, int, float, bool, Path) else None


def _arguments(values: dict[str, Any], progress: Any) -> dict[str, Any]:
    """What options said, as parameters take it."""
    arguments = {name: _plain(value) for name, value in values.items()}
    arguments["progress"] = progress
    if "max_pixels" in arguments:
        arguments["limits"] = options.limits(
            *(arguments.pop(name) for name in ("max_pixels", "max_seconds", "max_frames"))
        )
    if "teacher" in arguments:
        teachers = require("chereme.teachers.opening", extra="train")
        names, files = (
            arguments.pop("teacher") or (),
            (arguments.pop("checkpoint"), arguments.pop("vectors") or ()),
        )
        arguments["teachers"] = teachers.open_teachers(names, *files)
    return arguments


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _taken_by(
    function: Callable[..., Any], values: Mapping[str, Any], skip: int = 0
) -> dict[str, Any]:
    names = list(inspect.signature(function).parameters)[skip:]
    return {name: value for name, value in values.items() if name in names}
