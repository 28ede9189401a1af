"""The container: nothing in it is root's to run, it gets what is installed alone, and its commands
are there. ``hadolint``, where it is installed, reads the Dockerfile too."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main
import yaml

from chereme.cli import app

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["chereme"]


def instructions() -> list[tuple[str, str]]:
    """Of the last stage of the Dockerfile: the only one that is run."""
    text = re.sub(r"^#.*\n|\\\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found = [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]
    last = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def check_command(words: list[str]) -> dict[str, object]:
    """The options of a command as chereme understands them; nothing is run."""
    group = typer.main.get_command(app)
    with group.make_context("chereme", list(words), resilient_parsing=True) as context:
        _, command, rest = group.resolve_command(context, list(words))
        return command.make_context(words[0], rest, parent=context).params


def test_hadolint_finds_nothing() -> None:
    if shutil.which("hadolint") is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_not_roots() -> None:
    found = dict(instructions())
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", found["USER"])
    # Made as root, before: so the user can change none of it.
    names = [name for name, _ in instructions()]
    assert not {"COPY", "ADD", "RUN"} & set(names[names.index("USER") :])
    assert "--chown" not in "".join(value for _, value in instructions())
    assert json.loads(found["ENTRYPOINT"]) == ["chereme"]


def test_what_runs_is_there() -> None:
    found = dict(instructions())
    options = check_command(json.loads(found["CMD"]))
    assert options["host"] == "0.0.0.0"
    assert str(options["port"]) == found["EXPOSE"]
    assert f"127.0.0.1:{options['port']}/healthz" in found["HEALTHCHECK"]
    assert check_command(COMPOSE["command"])["port"] == options["port"]


def test_the_service_is_closed() -> None:
    assert COMPOSE["read_only"] is True
    assert COMPOSE["cap_drop"] == ["ALL"]
    assert COMPOSE["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["ports"])
    # Compose refuses to start without one.
    assert COMPOSE["environment"]["CHEREME_TOKEN"].startswith("${CHEREME_TOKEN:?")
    assert not {"privileged", "volumes", "network_mode", "devices"} & COMPOSE.keys()


def test_the_uploads_that_may_come_have_room() -> None:
    service = pytest.importorskip("chereme.web.service")
    most = service.UPLOADS * service.Settings(models={}).max_bytes
    (size,) = re.findall(r"/tmp:size=(\d+)m", COMPOSE["tmpfs"][0])
    assert int(size) << 20 > most


def test_the_image_gets_the_wheel_that_a_clone_gives(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    context = tmp_path / "context"
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], context / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
    files, given = (
        {
            file.distribution_path
            for file in wheel.WheelBuilder(str(folder)).recurse_included_files()
        }
        for folder in (ROOT, context)
    )
    assert "chereme/weights/fingerspelling/encoder.onnx" in files
    assert given == files
