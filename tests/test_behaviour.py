"""``tools/behaviour.py compare`` names what two records differ in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[1] / "tools" / "behaviour.py"
LOG_PROBS = [-0.1 * number for number in range(60)]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "0 differ in 0 places"),
        ({"values": [value + 1e-9 for value in LOG_PROBS]}, "0 differ in 0 places"),
        ({"values": [*LOG_PROBS[:-1], 0.0]}, "a/values: 1 of 60 numbers differ, by up to 5.9"),
        ({"values": LOG_PROBS[:-1]}, "a/values: 60 against 59 entries"),
        ({"text": "hellp"}, "a/text: 'hello' against 'hellp'"),
        ({"answered": 1}, "a/answered: True against 1"),
        ({"loss": 2.50001}, "a/loss: 2.5 against 2.50001"),
        ({"error": "InputError"}, "a/error: only in the second"),
    ],
)
def test_records_are_compared(tmp_path: Path, changed: dict[str, object], told: str) -> None:
    case = {"text": "hello", "loss": 2.5, "answered": True, "values": LOG_PROBS}
    for name, found in (("before", case), ("after", case | changed)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"cases": {"a": found}}))
    command = [sys.executable, TOOL, "compare", "before.json", "after.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert told in done.stdout, done.stdout + done.stderr
    assert done.returncode == ("0 differ" not in told)
