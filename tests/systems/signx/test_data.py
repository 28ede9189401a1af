"""Sentences become batches; what cannot be used is counted or refused."""

from __future__ import annotations

import warnings
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chereme.datasets.sentences import Sentence, words_of
from chereme.errors import InputError, UsageError
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.tracks import (
    NO_GLOSS,
    PoseTracks,
    TrackSpec,
    one_track,
    register_track,
    write_tracks,
)
from chereme.systems.signx.data import (
    SentenceClip,
    SentenceData,
    collate_sentences,
    ctc_frames,
)
from chereme.systems.signx.losses import UNKNOWN
from chereme.systems.signx.sentence_mixing import Composition
from chereme.systems.signx.track_augmentation import TrackAugmentation
from chereme.text.glosses import LONGEST, PAD, UNK

HAND = register_track(TrackSpec("test_hand", 2, "a test's hand"))
FACE = register_track(TrackSpec("test_face", 3, "a test's face"))
Given = tuple[str, str, str]  # id, glosses, split


def clip(name: str, frames: int = 12, rate: float = 30.0, track: TrackSpec = HAND) -> PoseTracks:
    rng = np.random.default_rng(sum(map(ord, name)))
    return one_track(track.name, rng.normal(3, 2, (frames, track.width)), rate)


def put(folder: Path, *given: Given, **clips: PoseTracks) -> Path:
    """A manifest of files of tracks, all made but for ids that begin with "lost"."""
    for name, _, _ in given:
        if not name.startswith("lost"):
            write_tracks(clips.get(name, clip(name)), folder / f"{name}.npz")
    rows = [
        Item(folder / f"{name}.npz", label, name, split=split or None)  # type: ignore[arg-type]
        for name, label, split in given
    ]
    write_manifest(rows, folder / "manifest.csv")
    return folder


def ready(root: Path, **options: Any) -> SentenceData:
    data = SentenceData(str(root), **options)
    data.setup()
    return data


FOUR = (("a", "I GO", ""), ("b", "YOU GO", "train"), ("d", "I GO YOU", "dev"), ("t", "GO", "test"))


# -- batches ---------------------------------------------------------------------------------------
def test_batches_are_padded_and_what_is_not_there_is_not_present() -> None:
    hand, face = clip("x", 3), clip("y", 5, track=FACE)
    values = hand.values["test_hand"].copy()
    values[1] = np.nan
    values[2, 0] = np.nan
    hand = one_track("test_hand", values, 30.0)

    def item(name: str, label: str, tracks: PoseTracks, ids: tuple[int, ...]) -> SentenceClip:
        return SentenceClip(
            Sentence(id=name, path=Path(name), glosses=words_of(label)), tracks, ids
        )

    batch = collate_sentences([item("x", "A B C", hand, (4, 5, UNK)), item("y", "B", face, (5,))])
    assert batch.ids == ("x", "y")
    assert batch.words == (("A", "B", "C"), ("B",))
    assert batch.lengths.tolist() == [3, 5]
    assert batch.glosses.tolist() == [[4, 5, UNK], [5, PAD, PAD]]
    assert batch.glosses.dtype == torch.int64
    assert {n: tuple(t.shape) for n, t in batch.tracks.items()} == {
        "test_hand": (2, 5, 2),
        "test_face": (2, 5, 3),
    }
    assert batch.present["test_hand"].tolist() == [[True, False, True, False, False], [False] * 5]
    assert batch.present["test_face"].tolist() == [[False] * 5, [True] * 5]
    assert batch.tracks["test_hand"][0, 2].isnan().tolist() == [True, False]  # not known, no zero
    np.testing.assert_array_equal(batch.tracks["test_face"][1], face.values["test_face"])


def test_frames_of_timed_sentences_know_their_gloss(tmp_path: Path) -> None:
    given = (("a", "I GO", "train"), ("b", "YOU", "train"))
    root = put(tmp_path, *given, a=clip("a", 60), b=clip("b", 30))
    (root / "glosses.csv").write_text("id,gloss,start,end\na,I,0.2,0.6\na,GO,1,1.4\n")
    data = ready(root, validate=False, batch_size=2, rate=10.0, augmentation=TrackAugmentation())
    (batch,) = data.epoch_loader(0)
    assert batch.shown is not None
    timed, other = batch.ids.index("a"), batch.ids.index("b")
    order = [int(n) for n, _ in groupby(batch.shown[timed, : batch.lengths[timed]].tolist())]
    assert order == [NO_GLOSS, 0, NO_GLOSS, 1, NO_GLOSS]
    assert (batch.shown[other] == UNKNOWN).all()
    pieces = ready(root, validate=False, batch_size=2, units="pieces")
    assert next(iter(pieces.epoch_loader(0))).shown is None, "pieces have no times"


def test_an_epoch_repeats_itself_and_its_batches_are_of_like_length(tmp_path: Path) -> None:
    given = [(f"s{n:02d}", "I GO" if n % 2 else "YOU", "train") for n in range(21)]
    clips = {name: clip(name, 5 + n) for n, (name, _, _) in enumerate(given)}
    root = put(tmp_path, *given, **clips)
    changes = TrackAugmentation()
    data = ready(root, batch_size=4, validate=False, augmentation=changes)
    assert data.steps == 5
    batches = data.epoch_batches(2)
    seen = [number for batch in batches for number in batch]
    assert len(seen) == len(set(seen)) == 20
    lengths = [[data.tracks_of(data.sentences["train"][n]).frames for n in b] for b in batches]
    assert all(max(row) - min(row) <= 4 for row in lengths)
    assert max(map(max, lengths)) - min(map(min, lengths)) >= 18
    assert data.epoch_batches(3) != batches
    left_out = {frozenset(range(21)).difference(*data.epoch_batches(epoch)) for epoch in range(6)}
    assert len(left_out) > 1
    whole = list(data.epoch_loader(2))
    later = list(data.epoch_loader(2, skip=3))
    assert [b.ids for b in later] == [b.ids for b in whole[3:]]
    np.testing.assert_array_equal(later[0].tracks["test_hand"], whole[3].tracks["test_hand"])
    unchanged = ready(root, batch_size=4, validate=False)
    assert not torch.equal(
        next(unchanged.epoch_loader(2)).tracks["test_hand"][:, :4],
        whole[0].tracks["test_hand"][:, :4],
    )
    assert [b.ids for b in unchanged.whole("test")] == []


def test_statistics_and_glosses_are_those_of_training(tmp_path: Path) -> None:
    far = one_track("test_hand", np.full((9, 2), 500.0), 30.0)
    root = put(tmp_path, *FOUR, ("e", "NEW I", "dev"), e=far, t=far)
    with pytest.warns(UserWarning, match=r"dev: 1 glosses \(1 different: NEW\)"):
        data = ready(root)
    assert data.vocabulary.tokens == ("GO", "I", "YOU")
    both = np.concatenate([clip(name).values["test_hand"] for name in "ab"])
    mean, std = data.statistics["test_hand"]
    np.testing.assert_allclose(mean, both.mean(0), rtol=1e-5)
    np.testing.assert_allclose(std, both.std(0), rtol=1e-4)
    assert data.ids["dev"] == [(5, 4, 6), (UNK, 5)]
    assert data.counts == {"dev_unknown_glosses": 1}
    assert data.unseen("dev") == 20.0
    assert data.unseen("test") == 0.0
    (batch,) = data.whole("dev")
    assert batch.words == (("I", "GO", "YOU"), ("NEW", "I"))


def test_all_tracks_come_at_one_rate(tmp_path: Path) -> None:
    data = ready(put(tmp_path, *FOUR, a=clip("a", 24, 60.0)))
    assert [data.tracks_of(s).frames for s in data.sentences["train"]] == [12, 12]
    data = ready(tmp_path, rate=None)
    assert [data.tracks_of(s).frames for s in data.sentences["train"]] == [24, 12]


def test_tracks_that_are_not_asked_for_are_left_out(tmp_path: Path) -> None:
    hand, face = clip("a"), clip("a", track=FACE)
    both = PoseTracks(30.0, {**hand.values, **face.values}, {**hand.present, **face.present})
    root = put(tmp_path, *FOUR, a=both)
    assert set(next(ready(root, batch_size=2).epoch_loader(0)).tracks) == {"test_hand", "test_face"}
    with pytest.warns(UserWarning, match=r"3 of 4 sentences have no test_face \(b, d, t\)"):
        data = ready(root, tracks=["test_face"], validate=False)
    assert data.counts == {"without_tracks": 3}
    assert set(next(data.epoch_loader(0)).tracks) == {"test_face"}


# -- made sentences --------------------------------------------------------------------------------
def test_made_sentences_are_of_training_alone(shared_data: Path) -> None:
    options = {"layout": "boston104", "split_by": "folds", "batch_size": 16, "rate": 15.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = ready(shared_data / "boston104", compose=Composition(fraction=1.0), **options)
        plain = ready(shared_data / "boston104", **options)
    whole = list(data.epoch_loader(3))
    batches = list(data.epoch_loader(3, skip=2))
    assert [b.words for b in batches] == [b.words for b in whole[2:]]
    assert torch.equal(batches[0].tracks["boston104"], whole[2].tracks["boston104"])
    said = {words for batch in whole for words in batch.words}
    signed = {s.words for s in data.sentences["train"]}
    assert len(said - signed) > 30
    assert {word for words in said for word in words} <= set(data.vocabulary.tokens)
    for batch in whole:
        for words, ids, frames in zip(batch.words, batch.glosses, batch.lengths, strict=True):
            assert data.vocabulary.decode(ids.tolist()) == words
            assert frames >= 2 * len(words)
    # Batches are of like length, and another epoch has others.
    spreads = [(b.lengths.max() / b.lengths.float().mean()).item() for b in whole]
    assert np.median(spreads) < 1.4
    assert said != {words for batch in data.epoch_loader(4) for words in batch.words}
    assert data.statistics["boston104"][0].tolist() == plain.statistics["boston104"][0].tolist()
    assert [b.words for b in data.whole("dev")] == [b.words for b in plain.whole("dev")]


# -- what cannot be used ---------------------------------------------------------------------------
def test_sentences_that_cannot_be_trained_on_are_counted(tmp_path: Path) -> None:
    long = " ".join(["GO"] * (LONGEST + 1))
    given = (
        *FOUR,
        ("lost", "I GO", "train"),
        ("long", long, "train"),
        ("longtest", long, "test"),
        ("short", "GO GO", "train"),
        ("blind", "I", "train"),
    )
    blind = PoseTracks(
        30.0, {"test_hand": np.full((4, 2), np.nan)}, {"test_hand": np.zeros(4, bool)}
    )
    root = put(tmp_path, *given, short=clip("short", 2), blind=blind)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = ready(root)
    said = "\n".join(str(warning.message) for warning in caught)
    assert "1 of 9 sentences cannot be used (lost)" in said
    assert "1 of 9 sentences have no tracks (blind)" in said
    assert "1 of 4 sentences are longer than 64 glosses and are not trained on (long)" in said
    assert "1 of 3 sentences have fewer frames than CTC needs" in said
    assert "test: 1 sentences are longer than 64 glosses and were cut" in said
    assert data.counts == {
        "not_listed": 1,
        "without_tracks": 1,
        "too_long": 1,
        "too_short_for_ctc": 1,
    }
    assert [s.id for s in data.sentences["train"]] == ["a", "b", "short"]
    # What is read is compared with the whole sentence.
    batches = list(data.whole("test"))
    assert [len(words) for batch in batches for words in batch.words] == [1, LONGEST + 1]
    assert batches[0].glosses.shape == (2, LONGEST)


def test_sentences_of_too_many_pieces_are_not_trained_on_in_part(tmp_path: Path) -> None:
    spelled = " ".join(["fs-ABCDEFGH"] * 8)  # 8 glosses, 72 pieces
    given = (*FOUR, ("s", spelled, "train"), ("v", spelled, "dev"))
    with pytest.warns(UserWarning, match=r"1 of 3 sentences are longer than 64 pieces .* \(s\)"):
        data = ready(put(tmp_path, *given), units="pieces")
    assert data.counts == {"too_long": 1}
    assert [s.id for s in data.sentences["train"]] == ["a", "b"]
    assert [len(ids) for ids in data.ids["dev"]] == [3, LONGEST]


def test_frames_that_ctc_needs() -> None:
    assert [ctc_frames(ids) for ids in ((), (4,), (4, 5, 4), (4, 4, 5, 5))] == [0, 1, 3, 6]


@pytest.mark.parametrize(
    ("given", "options", "error", "said"),
    [
        ([FOUR[0], FOUR[3]], {}, InputError, "split dev, for validation, got none.*validate=false"),
        ([FOUR[2]], {}, InputError, "sentences to train on"),
        (FOUR, {"split_by": "folds", "folds": 2, "fold": 2}, UsageError, "fold: expected 0 to 1"),
        (FOUR, {"layout": "csv"}, UsageError, "layout"),
        (FOUR, {"split_by": "signer"}, UsageError, "split_by"),
        (FOUR, {"batch_size": 0}, UsageError, "batch_size"),
        ([("lost", "GO", "")], {}, InputError, "1 not on disk"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(
    tmp_path: Path, given: Any, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        ready(put(tmp_path, *given), **options)


def test_a_file_of_another_width_or_without_names_is_an_error(tmp_path: Path) -> None:
    root = put(tmp_path, *FOUR)
    arrays = dict(np.load(root / "b.npz"))
    np.savez(root / "b.npz", **arrays | {"track/test_hand": np.zeros((12, 7), np.float32)})
    with pytest.raises(InputError, match=r"b.npz: track 'test_hand': expected \(12, 2\)"):
        ready(root)
    np.savez(root / "b.npz", np.zeros((12, 1959), np.float32))
    with pytest.raises(InputError, match=r"b\.npz"):
        ready(root)


# -- folds -----------------------------------------------------------------------------------------
def test_folds_test_each_sentence_once_and_validate_on_the_next(tmp_path: Path) -> None:
    given = [(f"s{n}", f"I {word}", "") for n, word in enumerate("ABCDEFAB")]
    root = put(tmp_path, *given)
    tested, validated = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fold in range(3):
            data = ready(root, split_by="folds", folds=3, fold=fold)
            ids = {split: [s.id for s in data.sentences[split]] for split in data.sentences}
            assert sorted(chain(*ids.values())) == [name for name, _, _ in given]
            words = {split: {s.words for s in data.sentences[split]} for split in ids}
            assert not words["test"] & (words["train"] | words["dev"])
            tested.append(set(ids["test"]))
            validated.append(set(ids["dev"]))
            whole = ready(root, split_by="folds", folds=3, fold=fold, validate=False)
            assert not whole.sentences["dev"]
            assert {s.id for s in whole.sentences["train"]} == set(ids["train"] + ids["dev"])
    assert sorted(chain(*tested)) == [name for name, _, _ in given]
    assert validated == tested[1:] + tested[:1]


def test_real_sentences_with_twins(shared_data: Path) -> None:
    with pytest.warns(UserWarning, match="are not in the vocabulary"):
        data = ready(shared_data / "boston104", layout="boston104", split_by="twins", batch_size=16)
    assert [len(data.sentences[split]) for split in ("train", "dev", "test")] == [126, 18, 17]
    training = {s.words for s in data.sentences["train"]}
    assert sum(s.words in training for s in data.sentences["test"]) == 11


def test_real_sentences_by_signer(shared_data: Path) -> None:
    with pytest.warns(UserWarning, match="are not in the vocabulary"):
        data = ready(
            shared_data / "boston104",
            layout="boston104",
            split_by="signers",
            fold=1,
            validate=False,
            batch_size=16,
        )
    assert [len(data.sentences[split]) for split in ("train", "dev", "test")] == [108, 0, 53]
    assert {s.signer for s in data.sentences["test"]} == {data.sentences["test"][0].signer}
    assert data.unseen("test") == pytest.approx(8.5, abs=0.05)
    batch = next(data.epoch_loader(0))
    assert batch.tracks["boston104"].shape[::2] == (16, 6)
    assert batch.present["boston104"].sum(1).tolist() == batch.lengths.tolist()
