"""docs/json.md names every field of the JSON that commands print, and no other.

A field is a path such as ``info.hands[].coverage``; ``*`` in the page stands for any key, at its
end for all that lies below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import fake_signing
from chereme.cli import app
from chereme.formats.tracks import write_tracks
from fake_signing import sign

ROOT = Path(__file__).resolve().parents[1]
HELLO = ROOT / "examples" / "hello.mp4"
WEIGHTS = ROOT / "src" / "chereme" / "weights"
TASKS = {"Fingerspelling": "letters", "Isolated signs": "signs", "Continuous signing": "sentences"}
# What no run here gives: it is of damage, or of models that do not come with chereme.
RARE = {
    "[].problem",
    "preprocessing.crop.*",
    "preprocessing.crop.size",
    "preprocessing.crop.padding",
    "preprocessing.crop.smoothing",
    "abstention.temperature",
    "abstention.other",
    "abstention.min_probability",
}


def documented() -> dict[tuple[str, str], set[str]]:
    """The fields of the page by heading and task; every task has those of tables for all."""
    fields: dict[tuple[str, str], set[str]] = {}
    heading, tasks = "", list(TASKS.values())
    for line in (ROOT / "docs" / "json.md").read_text().splitlines():
        if line.startswith("#"):
            heading, tasks = line.lstrip("# "), list(TASKS.values())
        elif line.endswith((":", " also:")) and " | " not in line:
            tasks = [task for name, task in TASKS.items() if name.lower() in line.lower()]
            tasks = tasks or list(TASKS.values())
        elif line.startswith("`") and " | " in line:
            names = re.findall(r"`([^`]+)`", line.split(" | ")[0])
            for task in tasks:
                fields.setdefault((heading, task), set()).update(names)
    return fields


def paths(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all values but objects and lists; of empty ones with ``[]`` or ``.*``.

    Of an empty one all that the page says of what it holds counts as given.
    """
    if value in ({}, []):
        yield f"{path}.*" if value == {} else f"{path}[]"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{path}[]")
    else:
        yield path


def matches(field: str, path: str) -> bool:
    """Whether the page means ``path`` by ``field``, or what the empty value there may hold."""
    deep = field.endswith(".*")
    parts = (re.escape(part) for part in field.removesuffix(".*").split("*"))
    if re.fullmatch("[^.]+".join(parts) + (r"\..+" if deep else ""), path):
        return True
    return path.endswith(("[]", ".*")) and field.startswith(path.removesuffix("*"))


def run(*arguments: object) -> list[Any]:
    """The objects that a command prints, one a line, or in one over several lines."""
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    try:
        return [json.loads(done.stdout)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[Any]]]:
    """For each task, options that name a model and inputs, and a manifest ``<task>.csv``."""
    folder = tmp_path_factory.mktemp("json")
    fake_signing.make_signing(folder / "tracks")
    fake_signing.make_signing(folder / "video", input="rgb")
    write_tracks(sign("JOHN BUY"), folder / "one.npz")
    film = fake_signing.write_film(folder / "film", "JOHN HOUSE")
    labels = {"letters": (HELLO, "hello", "he3"), "signs": (HELLO, "l", "thanks")}
    for task, (path, *rows) in (
        labels | {"sentences": (folder / "one.npz", "JOHN BUY", "JOHN ANN")}
    ).items():
        lines = [f"{path},{label},{label},signer {label}" for label in rows]
        (folder / f"{task}.csv").write_text("\n".join(["path,label,id,signer", *lines]))
    return {
        "folder": [[folder]],
        "letters": [[HELLO], [HELLO, "--stream", "landmarks"]],
        "signs": [[HELLO, "--model", "fingerspelled_letters"]],
        "sentences": [
            [folder / "one.npz", "--model", folder / "tracks"],
            [folder / "one.npz", "--model", folder / "tracks", "--greedy"],
            [film, "--model", folder / "video"],
        ],
    }


def check(heading: str, task: str, objects: list[Any], *others: str) -> None:
    fields = set().union(*(documented()[name, task] for name in (heading, *others)))
    found = {path for value in objects for path in paths(value)}
    unknown = {path for path in found if not any(matches(field, path) for field in fields)}
    assert not unknown, f"docs/json.md lacks {sorted(unknown)}"
    given = {field for field in fields if any(matches(field, path) for path in found)}
    given |= {field for field in fields if any(path.startswith(f"{field}.") for path in found)}
    unused = fields - given - RARE
    assert not unused, f"docs/json.md has {sorted(unused)}, which no command gives"


@pytest.mark.parametrize("task", TASKS.values())
def test_recognize(inputs: dict[str, list[list[Any]]], task: str) -> None:
    given = [one for options in inputs[task] for one in run("recognize", *options, "-f", "json")]
    check("recognize", task, given, "info")


@pytest.mark.parametrize("task", TASKS.values())
def test_evaluate(inputs: dict[str, list[list[Any]]], task: str, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    _, *model = inputs[task][0]
    manifest = inputs["folder"][0][0] / f"{task}.csv"
    given = run("evaluate", "--data", manifest, *model, "-f", "json", "--predictions", lines)
    check("evaluate", task, given)
    read = [json.loads(line) for line in lines.read_text().splitlines()]
    check("evaluate --predictions", task, read)


def test_live(tmp_path: Path) -> None:
    run_saved = CliRunner().invoke(app, ["live", str(HELLO), "--save", str(tmp_path / "said.json")])
    assert run_saved.exit_code == 0, run_saved.output
    check("live", "letters", [json.loads((tmp_path / "said.json").read_text())])


@pytest.mark.parametrize("task", TASKS.values())
def test_bench(inputs: dict[str, list[list[Any]]], task: str) -> None:
    _, *model = inputs[task][-1]
    given = run("bench", "--frames", 4, *model, "-f", "json")
    if task == "letters":
        given += run("bench", HELLO, "--live", "--minutes", 0, "-f", "json")
    check("bench", task, given)


def test_models() -> None:
    check("models", "letters", run("models", "--format", "json"))


@pytest.mark.parametrize("task", TASKS.values())
def test_config(inputs: dict[str, list[list[Any]]], task: str) -> None:
    signing = inputs["folder"][0][0]
    folders = {
        "letters": [WEIGHTS / "fingerspelling", WEIGHTS / "fingerspelling_rgb"],
        "signs": [WEIGHTS / "fingerspelled_letters"],
        "sentences": [signing / "tracks", signing / "video"],
    }
    configs = [json.loads((folder / "config.json").read_text()) for folder in folders[task]]
    check("config.json", task, configs)
