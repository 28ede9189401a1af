"""Data sets by name, and what each may be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from chereme.datasets.catalogue import DATASETS, into, open_corpus
from chereme.errors import UsageError


def sign(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for clip in ("hello/ann_1.mp4", "hello/bob_1.npz", "bye/ann_1.pose"):
        sign(tmp_path / clip)
    return tmp_path


def test_signs_are_folders_or_a_manifest(tree: Path) -> None:
    corpus = open_corpus("signs", tree, signer=r"/([^_]+)_", language="ase", fold=None, whole=False)
    assert [(item.id, item.label, item.signer, item.language) for item in corpus.items] == [
        ("bye/ann_1.pose", "bye", "ann", "ase"),
        ("hello/ann_1.mp4", "hello", "ann", "ase"),
        ("hello/bob_1.npz", "hello", "bob", "ase"),
    ]
    (tree / "manifest.csv").write_text("path,label\nhello/ann_1.mp4,HELLO\n")
    for root in (tree, tree / "manifest.csv"):
        assert [item.label for item in open_corpus("signs", root).items] == ["HELLO"]
        assert open_corpus("folder", root).items == open_corpus("signs", root).items
    with pytest.raises(UsageError, match="whose columns signer and language say it"):
        open_corpus("signs", tree, signer="(a)")


def test_what_is_asked_reaches_the_reader(tmp_path: Path) -> None:
    for clip in ("000000/P00_1.avi", "000000/P05_1.avi", "000000/P40_1.avi"):
        sign(tmp_path / "else" / clip)
    words = tmp_path / "words.txt"
    words.write_text("000000\tlove\n")
    corpus = open_corpus(
        "slr500", tmp_path, videos=tmp_path / "else", metadata=words, test=["P00"], dev=["5"]
    )
    assert [(item.label, item.signer, item.split) for item in corpus.items] == [
        ("love", "P00", "test"),
        ("love", "P05", "dev"),
        ("love", "P40", "train"),
    ]
    with pytest.raises(UsageError, match="test: expected signers as P01 or 1, got ann"):
        open_corpus("slr500", tmp_path, test=["P01", "ann"])
    with pytest.raises(UsageError, match="classes: expected 100, 200, 500, 1000, got 300"):
        open_corpus("msasl", tmp_path, classes=300)
    with pytest.raises(UsageError, match="subset: expected all, confusing or normal"):
        open_corpus("nmfs-csl", tmp_path, subset="odd")


def test_options_of_other_data_sets_are_refused(tree: Path) -> None:
    for name, known in DATASETS.items():
        given = next(o for o in ("fold", "classes", "signer") if o not in known.options)
        more = {"fold": 1} if name == "greek" else {}
        with pytest.raises(UsageError, match=rf"{name}: --{given} is for other data sets"):
            open_corpus(name, tree, **{given: 3}, **more)
    with pytest.raises(UsageError, match="greek: expected --fold 1 to 7"):
        open_corpus("greek", tree)
    with pytest.raises(UsageError, match=r"expected chicagofswild, .* got 'wsasl'"):
        into("wsasl")
    assert {name for name in DATASETS if into(name) == "poses"} == {
        *("wlasl", "msasl", "slr500", "nmfs-csl", "signs")
    }
