"""The file of a paper's tables: its studies, their rows, and the runs of these.

    configs: configs/signbert           # folder of the files that rows name
    page: docs/results_signbert.md      # where the tables are put
    studies:
      here:
        output: runs/signbert/here      # runs go to OUTPUT/ROW/seed_K
        repeats: {seed: [1, 2, 3]}
        prepare: {PATH: COMMAND}        # what makes PATH where it is not there, of each repeat
        configs: [FILE, "{row}"]        # of rows that name none
        options: {model: {...}, data: {...}, trainer: {...}, seed_everything: "{seed}"}
        items: signs                    # letters (with tests, alphabet), signs or sentences
        group: signer                   # of sentences: what a bootstrap draws, signer or glosses
        sets: {photographs: ^hand}      # patterns of keys of items
        measure: accuracy               # or error
        rows:
          NAME: {label:, configs: [FILE, ...], options:, paper:, after: [ROW, ROW@1], against: ROW,
                 fuse: [ROW, ROW], each: {share: [10, 25]}}
    tables:
      NAME: {study:, rows: [ROW, table_1/*, ...], each: {share: {10: "10 %"}}, heads: [...],
             columns: [{head:, paper: true}, {head:, metric: test.top1, interval: true},
                       {head:, set: all, show: rate | items | interval | kinds | gain, over: ROW},
                       {head:, runs: true}]}

A row's files are given to ``chereme train`` in their order, then the options of the study and of
the row. ``{name}`` stands for a value of ``each`` or of ``repeats``, ``{after0}`` for the folder of
the first of the runs that a row begins ``after`` (of its own repeat, or with @ of that one). Rows
that ``fuse`` others train nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """A row of a table, and how it is run."""

    name: str
    label: str = ""
    configs: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    paper: str = ""
    after: tuple[str, ...] = ()
    against: str = ""
    fuse: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """A row with one seed or fold. ``needs``: folders of runs that it begins with; ``parts``: those
    of the networks that are read, its own or those of a fusion; ``options``: of chereme train."""

    folder: Path
    options: tuple[str, ...]
    needs: tuple[Path, ...]
    parts: tuple[Path, ...]

    @property
    def finished(self) -> bool:
        return all((part / "metrics.json").is_file() for part in self.parts)

    @property
    def command(self) -> str:
        return f"chereme train {shlex.join(self.options)}"


@dataclass(frozen=True)
class Study:
    """Rows that are compared with each other; ``folder`` is that of their configs."""

    name: str
    folder: str
    output: Path
    rows: Mapping[str, Row]
    options: Mapping[str, Any] = field(default_factory=dict)
    repeats: Mapping[str, list[int]] = field(default_factory=dict)
    prepare: Mapping[str, str] = field(default_factory=dict)
    items: str = "signs"
    tests: Sequence[str] = ()
    alphabet: str = "asl"
    group: str = "glosses"
    sets: Mapping[str, str] = field(default_factory=dict)
    measure: str = "accuracy"
    digits: int = 2

    @cached_property
    def _runs(self) -> dict[str, dict[int, Run]]:
        return {name: dict(self._made(row)) for name, row in self.rows.items()}

    def runs(self, row: str) -> dict[int, Run]:
        """By repeat."""
        return self._runs[row]

    def _folder(self, row: str, repeat: int) -> Path:
        row, _, fixed = row.partition("@")
        own = f"{self.repeat}_{fixed or repeat}" if self.repeat else ""
        return self.output / row / own

    @property
    def repeat(self) -> str:
        return next(iter(self.repeats), "")

    def _made(self, row: Row) -> Iterator[tuple[int, Run]]:
        for repeat in self.repeats.get(self.repeat, [0]):
            own = self._folder(row.name, repeat)
            needs = tuple(self._folder(name, repeat) for name in row.after + row.fuse)
            given: dict[str, Any] = {self.repeat: repeat, "output": own}
            given |= {f"after{number}": folder for number, folder in enumerate(needs)}
            options = filled(arguments(self.options, row.options), given)
            files = [f"--config={self.folder}/{name}.yaml" for name in row.configs]
            if row.fuse:
                yield repeat, Run(own, (), needs, needs)
            else:
                yield repeat, Run(own, (*files, f"--output={own}", *options), needs, (own,))

    def matching(self, patterns: list[str]) -> Iterator[Row]:
        """The rows of these names, "table_1/*", in this order."""
        for pattern in patterns:
            yield from (row for name, row in self.rows.items() if fnmatchcase(name, pattern))

    def linked(self, row: Row) -> str:
        """The label, with a link to the file that makes the row what it is, where one does."""
        last = row.configs[-1] if row.configs else "recipes/"
        if last.startswith("recipes/"):
            return row.label or row.name
        return f"[{row.label or row.name}](../{self.folder}/{last}.yaml)"


def filled(value: Any, given: Mapping[str, Any]) -> Any:
    """``value`` with ``{name}`` replaced in all its texts."""
    if isinstance(value, str):
        for name, text in given.items():
            value = value.replace(f"{{{name}}}", str(text))
        return value
    if isinstance(value, Mapping):
        return {filled(key, given): filled(one, given) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(filled(one, given) for one in value)
    return value


def arguments(*options: Mapping[str, Any]) -> tuple[str, ...]:
    """Of ``chereme train``, later ones in the place of earlier ones."""
    found: dict[str, str] = {}
    for some in options:
        for part, values in some.items():
            if not isinstance(values, Mapping):
                found[f"--{part}"] = written(values)
                continue
            prefix = "trainer" if part == "trainer" else f"{part}.init_args"
            for key, value in values.items():
                found[f"--{prefix}.{key}"] = written(value)
    return tuple(f"{name}={value}" for name, value in found.items())


def written(value: Any) -> str:
    """As YAML on one line."""
    if isinstance(value, str):
        return value
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("...\n").strip()


@dataclass(frozen=True)
class Tables:
    """All of a file: its studies, and what its tables show."""

    page: Path
    studies: Mapping[str, Study]
    tables: Mapping[str, Mapping[str, Any]]

    @staticmethod
    def load(name: str) -> Tables:
        """``benchmarks/NAME.yaml``."""
        text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        values = yaml.safe_load(text)
        studies = {key: _study(key, values["configs"], it) for key, it in values["studies"].items()}
        return Tables(Path(values["page"]), studies, values["tables"])


def _study(study: str, folder: str, values: Mapping[str, Any]) -> Study:
    rows = {}
    for pattern, about in values["rows"].items():
        each = about.get("each", {})
        for chosen in product(*each.values()):
            given = dict(zip(each, chosen, strict=True))
            own = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in filled(about, given).items()
                if key != "each"
            }
            name = filled(pattern, given)
            if not own.get("fuse"):
                files = own.pop("configs", values.get("configs", ()))
                own["configs"] = tuple(filled(file, {"row": name}) for file in files)
            rows[name] = Row(name, **own)
    others = {key: it for key, it in values.items() if key not in ("configs", "output", "rows")}
    return Study(study, folder, Path(values["output"]), rows, **others)
