"""``chereme prepare signing``."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.datasets.sentences import from_manifest, sentence_tracks


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_videos_with_tracks_are_written(tmp_path: Path) -> None:
    out = tmp_path / "signing"
    asked = ("--clips", "3", "--signers", "3", "--size", "48", "--rate", "10", "--seed", "4")
    result = run("prepare", "signing", "-o", str(out), *asked)
    assert result.exit_code == 0, result.output
    assert "3 clips" in result.output
    sentences = from_manifest(out / "manifest.csv").sentences
    assert sorted(s.split or "" for s in sentences) == ["dev", "test", "train"]
    assert {sentence_tracks(s).rate for s in sentences} == {10.0}
    assert all(s.video is not None and s.video.exists() for s in sentences)


def test_what_it_does_not_know_is_refused(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    for options, said in (
        ((), "--clips"),
        (("--clips", "3"), "at least one for each of 10 signers"),
        (("--clips", "10", "--teacher", "landmarks"), "--teacher is for other data sets"),
        (("--clips", "10", "--root", "data"), "--root is for other data sets"),
        (("--clips", "10", "--size", "47"), "even number"),
    ):
        result = run("prepare", "signing", "-o", out, *options)
        assert result.exit_code == 2, result.output
        assert said in " ".join(result.output.split())
