"""``chereme prepare``: each data set by its command, of which a part is there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from chereme.cli import app
from chereme.datasets.exemplars import Exemplars
from chereme.datasets.pose_clips import PoseCorpus
from chereme.datasets.registry import Kind, listed, reader_of
from chereme.datasets.sentences import SentenceCorpus, from_manifest, sentence_tracks
from chereme.datasets.shards import read_shards
from chereme.datasets.status import read_status
from chereme.errors import UsageError
from chereme.formats.manifests import read_manifest
from chereme.formats.poses import write_landmarks
from chereme.types import Landmarks


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def clip(path: Path, frames: int = 4, hand: bool = True) -> None:
    """A right hand that keeps still."""
    path.parent.mkdir(parents=True, exist_ok=True)
    points = np.random.default_rng(0).uniform(50, 400, (1, 1, 21, 3)).astype(np.float32)
    seen = np.full((frames, 1, 21), 0.9 if hand else 0.0, np.float32)
    points = np.where(seen[..., None] > 0, points, np.nan).astype(np.float32)
    write_landmarks(Landmarks(points, seen, np.arange(frames) / 25, 640, 480, ("right",)), path)


def wlasl(root: Path) -> list[object]:
    def of(video: str, split: str) -> dict[str, object]:
        about = {"frame_start": 1, "frame_end": -1, "fps": 25, "signer_id": 7, "url": "a.mp4"}
        return {**about, "video_id": video, "split": split}

    words = [[of("1", "train"), of("2", "val"), of("3", "test")], *[[of("4", "train")]] * 99]
    rows = [{"gloss": f"word {i}", "instances": found} for i, found in enumerate(words)]
    (root / "WLASL_v0.3.json").write_text(json.dumps(rows))
    clip(root / "videos" / "1.npz")
    clip(root / "videos" / "2.npz", hand=False)
    return ["--classes", 100]


def msasl(root: Path) -> list[object]:
    for split, label in (("train", 0), ("val", 0), ("test", 1)):
        row = {
            **{"label": label, "text": f"word {label}", "signer_id": 3},
            **{"url": "youtu.be/J7tP98oDxqE", "start_time": 0.0, "end_time": 2.0},
        }
        (root / f"MSASL_{split}.json").write_text(json.dumps([row]))
    (root / "MSASL_classes.json").write_text(json.dumps([f"word {i}" for i in range(1000)]))
    clip(root / "cut" / "train-00000.npz")
    clip(root / "cut" / "val-00000.npz", hand=False)
    return ["--classes", 200, "--names", "{split}-{row:05d}", "--videos", root / "cut"]


def slr500(root: Path) -> list[object]:
    (root / "dictionary.txt").write_text("000000\tword 0\n")
    clip(root / "color" / "000000" / "P01_1.npz")
    clip(root / "color" / "000000" / "P02_1.npz", hand=False)
    (root / "color" / "000001").mkdir()
    return ["--dev", "P02"]


def nmfs_csl(root: Path) -> list[object]:
    (root / "uni_trainlist01.csv").write_text("0001/a,0\n0001/b,0\n0001/c,1\n")
    (root / "words.csv").write_text("label,word,kind\n0,word 0,normal\n1,word 1,confusing\n")
    clip(root / "jpg_video" / "0001" / "a.npz")
    clip(root / "jpg_video" / "0001" / "b.npz", hand=False)
    return ["--subset", "normal"]


def signs(root: Path) -> list[object]:
    clip(root / "word 0" / "ann_1.npz")
    clip(root / "word 0" / "bob_1.npz", hand=False)
    (root / "word 1").mkdir()
    return ["--signer", "/([a-z]+)_"]


@pytest.mark.parametrize(
    ("name", "layout", "said"),
    [
        ("wlasl", wlasl, "WLASL100: 1 of 102 clips prepared (2,038 published)"),
        ("msasl", msasl, "MS-ASL200: 1 of 3 clips prepared (9,719 published)"),
        ("slr500", slr500, "SLR500: 1 of 3 clips prepared (125,000 published)"),
        ("nmfs-csl", nmfs_csl, "NMFs-CSL, normal words: 1 of 2 clips prepared"),
        ("signs", signs, "data: 1 of 3 clips prepared"),
    ],
)
def test_what_there_is_of_a_data_set_is_prepared(
    tmp_path: Path, name: str, layout: Callable[[Path], list[object]], said: str
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    more = layout(root)
    for _ in range(2):  # it may be run again
        result = run("prepare", name, "--root", root, "-o", tmp_path / "out", *more)
        assert result.exit_code == 0, result.stderr
        assert said in result.stderr
        assert "1 no hand seen" in result.stderr
        (entry,) = PoseCorpus(tmp_path / "out").entries
        assert (entry.label, entry.frames) == ("word 0", 4)
        rows = read_status(tmp_path / "out")
        assert [(row.status, row.reason) for row in rows if row.stage == "preparation"] == [
            ("done", ""),
            ("dropped", "no hand seen"),
        ]


def test_a_data_set_without_a_clip_is_an_error(tmp_path: Path) -> None:
    clip(tmp_path / "data" / "word" / "one.npz", hand=False)
    result = run("prepare", "signs", "--root", tmp_path / "data", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "0 of 1 clips prepared" in result.stderr
    assert "nothing was prepared" in result.stderr


def test_signs_are_folders_or_a_manifest(tmp_path: Path) -> None:
    read = reader_of("signs")
    for name in ("hello/ann_1.mp4", "hello/bob_1.npz", "bye/ann_1.pose"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = read(tmp_path, signer=r"/([^_]+)_", language="ase").items
    assert [(item.id, item.label, item.signer, item.language) for item in found] == [
        ("bye/ann_1.pose", "bye", "ann", "ase"),
        ("hello/ann_1.mp4", "hello", "ann", "ase"),
        ("hello/bob_1.npz", "hello", "bob", "ase"),
    ]
    (tmp_path / "manifest.csv").write_text("path,label\nhello/ann_1.mp4,HELLO\n")
    for root in (tmp_path, tmp_path / "manifest.csv"):
        assert [item.label for item in read(root).items] == ["HELLO"]
        assert reader_of("folder")(root).items == read(root).items
    with pytest.raises(UsageError, match="whose columns signer and language say it"):
        read(tmp_path, signer="(a)")


# -- sentences and joints --------------------------------------------------------------------------
def test_sentences_become_a_manifest_with_their_tracks_and_times(tmp_path: Path) -> None:
    root, out = tmp_path / "data", tmp_path / "out"
    root.mkdir()
    (root / "train_words.csv").write_text(
        "video,speaker,word,startframe,endframe\n7,ann,JOHN,0,1\n7,ann,GO,2,2\n8,ann,GO,0,0\n"
    )
    (root / "train_sentences.csv").write_text(
        "video,speaker,frames,glosses\n7,ann,3,JOHN GO\n8,ann,9,GO\n"
    )
    rows = "".join(f"7,{n},1,2,3,4,5,{n}\n" for n in range(3))
    header = "video,frame,left-x,left-y,right-x,right-y,nose-x,nose-y"
    (root / "hands_condensed_train.csv").write_text(f"{header}\n{rows}")
    for _ in range(2):  # it may be run again
        result = run("prepare", "boston104", "--root", root, "-o", out)
        assert result.exit_code == 0, result.stderr
        assert "RWTH-BOSTON-104: 1 of 2 sentences" in result.stderr
    (found,) = from_manifest(out / "manifest.csv").sentences
    assert (found.id, found.words, found.signer) == ("7", ("JOHN", "GO"), "ann")
    assert [gloss.end for gloss in found.glosses] == pytest.approx([2 / 30, 3 / 30], abs=1e-3)
    assert sentence_tracks(found).values["boston104"][:, 5].tolist() == [0, 1, 2]
    assert "frames do not fit" in (out / "manifest.findings.csv").read_text()


def test_sentences_without_times_or_tracks(tmp_path: Path) -> None:
    table = tmp_path / "data" / "annotations/manual/PHOENIX-2014-T.dev.corpus.csv"
    table.parent.mkdir(parents=True)
    table.write_text("name|video|start|end|speaker|orth|translation\na|a/*.png|-1|-1|S1|WETTER|x\n")
    clip(tmp_path / "poses" / "a.npz")
    options = ("--root", tmp_path / "data", "--videos", tmp_path / "poses", "-o", tmp_path / "out")
    result = run("prepare", "phoenix", *options)
    assert result.exit_code == 0, result.stderr
    (item,) = read_manifest(tmp_path / "out" / "manifest.csv")
    assert (item.label, item.split) == ("WETTER", "dev")
    assert item.path.resolve() == tmp_path / "poses" / "a.npz"
    assert not (tmp_path / "out" / "glosses.csv").exists()


def test_known_joints_become_poses(tmp_path: Path) -> None:
    numbers = " ".join(f"{j} {10 * j} 500" for j in range(21))
    lines = "".join(f"{n}.png {numbers}\n" for n in range(10))
    (tmp_path / "a.txt").write_text(lines + "bad.png 1 2\n")
    options = ("--root", tmp_path / "a.txt", "--train-fraction", 0.5, "-o", tmp_path / "out")
    result = run("prepare", "hands17", *options)
    assert result.exit_code == 0, result.stderr
    assert "HANDS17: 2 of 3 clips prepared" in result.stderr
    corpus = PoseCorpus(tmp_path / "out")
    assert [(e.id, e.split, e.frames) for e in corpus.entries] == [
        ("a/train/00000", "train", 5),
        ("a/test/00000", "test", 5),
    ]
    assert corpus[0].present.tolist() == [[False, True]] * 5
    assert corpus[0].joints[0, 1, 0] == pytest.approx((315.944855, 245.287079))


# -- what is made up -------------------------------------------------------------------------------
def test_letters_of_exemplars(exemplars: Exemplars, tmp_path: Path) -> None:
    exemplars.save(tmp_path / "hands.npz")
    options = ("--clips", 20, "--test", "two", "--seed", 4, "-o", tmp_path / "poses")
    result = run("prepare", "letters", "--exemplars", tmp_path / "hands.npz", *options)
    assert result.exit_code == 0, result.stderr
    assert "22 clips" in result.stderr
    entries = PoseCorpus(tmp_path / "poses").entries
    assert [entry.split for entry in entries] == ["train"] * 20 + ["test"] * 2
    assert {entry.label for entry in entries} <= {*"abcdefghijklmnopqrstuvwxyz"}


def test_made_up_signs(tmp_path: Path) -> None:
    options = ("--clips", 4, "--glosses", 3, "--signers", 3, "-o", tmp_path / "poses")
    result = run("prepare", "isolated", *options)
    assert result.exit_code == 0, result.stderr
    entries = PoseCorpus(tmp_path / "poses").entries
    assert {entry.id for entry in entries} <= {f"isolated-0-00000{n}" for n in range(4)}
    assert "--noise" not in run("prepare", "isolated", "--help").stdout  # it cannot be undone
    (tmp_path / "poses" / ".lock").touch()
    again = run("prepare", "isolated", *options)  # begins anew, so nothing is gone on with
    assert (again.exit_code, "is no empty folder" in again.stderr) == (1, True)
    assert f"{len(entries)} clips" in result.stderr


def test_rendered_crops(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("-o", out, "--clips", 3, "--signers", 3, "--rate", 4, "--size", 32)
    result = run("prepare", "rendered", *options, "--teacher", "landmarks")
    assert (result.exit_code, f"{out}: 3 clips" in result.stderr) == (0, True), result.stderr
    assert [s.rate for s in read_shards(out, "train")] == [4]


def test_videos_of_sentences(tmp_path: Path) -> None:
    out = tmp_path / "signing"
    options = ("--clips", 3, "--signers", 3, "--size", 48, "--rate", 10, "--seed", 4)
    result = run("prepare", "signing", "-o", out, *options)
    assert result.exit_code == 0, result.output
    assert "3 clips" in result.stderr
    sentences: SentenceCorpus = from_manifest(out / "manifest.csv")
    assert sorted(s.split or "" for s in sentences.items) == ["dev", "test", "train"]
    assert {sentence_tracks(s).rate for s in sentences.sentences} == {10.0}
    assert all(s.video is not None and s.video.exists() for s in sentences.items)


# -- options ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wsasl",), "No such command 'wsasl'"),
        (("wlasl", "--root", ".", "--teacher", "landmarks"), "No such option: --teacher"),
        (("wlasl", "--root", ".", "--subset", "normal"), "No such option: --subset"),
        (
            ("wlasl", "--root", ".", "--classes", "5"),
            "classes: expected 100, 300, 1000, 2000, got 5",
        ),
        (("slr500", "--root", ".", "--test", "ann"), "test: expected signers as P01 or 1, got ann"),
        (("nmfs-csl", "--root", ".", "--subset", "odd"), "'odd' is not one of"),
        (("greek", "--root", "."), "Missing option '--fold'"),
        (("signs",), "Missing option '--root'"),
        (("elan", "--root", "."), "Missing option '--glosses'"),
        (("letters", "--clips", "20"), "Missing option '--exemplars'"),
        (("exemplars", "--root", ".", "--digits", "--rendered", "3"), "have no digits"),
        (("rendered",), "Missing option '--clips'"),
        (("rendered", "--clips", "10", "--size", "7"), "size: expected at least 8 pixels, got 7"),
        (("photographs", "--root", ".", "--clips", "0"), "clips: expected at least 1, got 0"),
        (("signing", "--clips", "3"), "at least one for each of 10 signers"),
        (("signing", "--clips", "10", "--size", "47"), "even number"),
        (("folder", "--root", ".", "--teacher", "hamer"), "hamer-vit goes with --checkpoint"),
    ],
)
def test_options_that_cannot_be(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = run("prepare", *arguments, "-o", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    said = " ".join(result.stderr.replace("\u2502", " ").split())
    assert message in said


@pytest.mark.parametrize("name", listed())
def test_every_option_of_a_data_set_is_explained(name: str) -> None:
    result = run("prepare", name, "--help")
    assert result.exit_code == 0, result.output
    known = listed()[name]
    assert known.summary.endswith(".")
    assert known.summary in " ".join(result.stdout.split())
    assert " fold " not in result.stdout or name == "greek"
    command = app_command(name)
    lacking = [own.name for own in command.params if not (own.help or own.name == "help")]
    assert not lacking


def app_command(name: str) -> object:
    from chereme.cli.prepare import _command

    return _command(listed()[name])


def test_the_list_of_data_sets_imports_none_of_them() -> None:
    code = (
        "import sys; from chereme.cli import app;"
        "app(['prepare', '--help'], standalone_mode=False);"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'torch', 'scipy', 'numpy'}));"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "chicagofswild" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "[]"


def test_kinds_of_data_sets() -> None:
    kinds = {name: known.kind for name, known in listed().items()}
    assert kinds["wlasl"] is Kind.SIGNS
    assert kinds["signstream"] is kinds["csl-daily"] is kinds["elan"] is Kind.SENTENCES
    with pytest.raises(UsageError, match=r"expected chicagofswild, .* got 'wsasl'"):
        reader_of("wsasl")
