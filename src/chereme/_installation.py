"""How this chereme was installed: the command that installs more of it, and its recipes."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from chereme.errors import InputError

PACKAGE = Path(__file__).resolve().parent
RECIPES = "configs"


def clone() -> Path | None:
    """The clone of the repository that this code lies in; None for an installed copy."""
    root = PACKAGE.parents[1]
    return root if (root / "pyproject.toml").is_file() and PACKAGE.parent.name == "src" else None


def install_command(extra: str | None = None) -> str:
    """The command, on one line, that installs chereme again where it came from, with ``extra``.

    For an extra that brings torch to where there is none, what to install before.
    """
    command = _pip("install", *_source(f"[{extra}]" if extra else ""))
    if extra != "train" or importlib.util.find_spec("torch") is not None:
        return command
    return (
        f"{command} (without a GPU, first the CPU build of torch, by the command that PyTorch's "
        "site gives: pip's own choice takes 7 GB)"
    )


def reinstall_command(distribution: str) -> str:
    """The command that puts a version that chereme works with in the place of what is there."""
    if (root := clone()) is not None:  # newer than what is written down when it is installed
        import tomllib

        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        requirements = project["dependencies"]
    else:
        found = _metadata()
        requirements = (found and found.requires) or []
    named = re.compile(rf"{re.escape(distribution)}(?![\w.-])")
    wanted = [r.partition(";")[0] for r in requirements if named.match(r) and "extra ==" not in r]
    return _pip("install", "--force-reinstall", "--no-deps", *(wanted or [distribution])[:1])


def find_recipe(path: str) -> str:
    """``path``; or, where it begins with ``configs`` and is not here, that file of chereme's own.

    Raises ``InputError`` if there is no such file.
    """
    if Path(path).exists():
        return path
    if Path(path).parts[:1] == (RECIPES,) and shipped(path).is_file():
        return str(shipped(path))
    raise InputError(
        f"{path}: no such file; the recipes that come with chereme are in {shipped(RECIPES)}"
    )


def shipped(path: str) -> Path:
    """A recipe or example that comes with chereme, by its path in the repository."""
    return (clone() or PACKAGE) / path


def _metadata() -> importlib.metadata.Distribution | None:
    try:
        return importlib.metadata.distribution("chereme")
    except importlib.metadata.PackageNotFoundError:
        return None


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def _source(extra: str) -> list[str]:
    """What pip is to install: the clone or folder, the archive, or the name."""
    if (root := clone()) is not None:
        return ["-e", f"{root}{extra}"]
    found = _metadata()
    # Written by every installer for what came from no index.
    text = found.read_text("direct_url.json") if found else None
    origin = json.loads(text) if text else {}
    url = origin.get("url", "")
    if vcs := origin.get("vcs_info"):
        return [f"chereme{extra} @ {vcs['vcs']}+{url}@{vcs['commit_id']}"]
    if url.startswith("file:"):
        from urllib.request import url2pathname  # slow to import

        path = Path(url2pathname(urlsplit(url).path))
        if path.exists():
            return [f"{path}{extra}"]
        return [f".{extra}"]  # to be said in a clone: the folder or file is gone
    return [f"chereme{extra} @ {url}" if url else f"chereme{extra}"]
