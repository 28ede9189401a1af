"""Files of recordings: what is written is read, others are refused, and whose signs are in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pytest

from chereme.datasets.letter_collections import KEPT, motions, sequences
from chereme.datasets.recordings import RecordedClip, Recordings, shown_letters, signs
from chereme.errors import InputError
from chereme.types import HandTrack


def clip(frames: int, text: str, signer: str, *, vectors: bool = False) -> RecordedClip:
    rng = np.random.default_rng(frames)
    confidence = np.ones((frames, 21))
    confidence[1] = 0.0
    return RecordedClip(
        HandTrack(
            rng.uniform(0, 100, (frames, 21, 3)),
            confidence,
            np.arange(frames) / 20,
            1,
            1,
            "right",
            vectors=rng.uniform(0, 1, (frames, 1152)) if vectors else None,
        ),
        text,
        signer,
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    given = [clip(4, "ab", "one", vectors=True), clip(7, "", "two")]
    Recordings.of(given).save(tmp_path / "own.npz")
    found = Recordings.load(tmp_path / "own.npz")
    assert len(found) == 2
    assert found.report() == "nothing spelled: 1 clips\nspelling: 1 clips"
    for number, own in enumerate(given):
        read = found.clip(number)
        assert (read.text, read.signer) == (own.text, own.signer)
        seen = own.track.present
        np.testing.assert_array_equal(read.track.present, seen)
        np.testing.assert_allclose(read.track.landmarks[seen], own.track.landmarks[seen], rtol=1e-6)
        np.testing.assert_array_equal(read.track.timestamps, own.track.timestamps)
    vectors, none = (found.clip(number).track.vectors for number in range(2))
    np.testing.assert_allclose(vectors, given[0].track.vectors, atol=1e-3)
    assert none is None


def test_no_recordings_are_a_file_too(tmp_path: Path) -> None:
    assert len(Recordings.of([]).save(tmp_path / "none.npz")) == 0
    assert len(Recordings.load(tmp_path / "none.npz")) == 0


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    whole = Recordings.of([clip(4, "ab", "one")])
    (tmp_path / "text.npz").write_text("no arrays")
    replace(whole, times=whole.times[1:]).save(tmp_path / "short.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("missing", "text", "short", "other"):
        with pytest.raises(InputError, match=rf"{name}\.npz: .*chereme prepare recordings"):
            Recordings.load(tmp_path / f"{name}.npz")


def test_signs_of_some_people_are_learned_from_and_those_of_others_are_not(
    shared_data: Path,
) -> None:
    found = list(signs(shared_data))
    assert len(found) > 500
    assert {one.signer for one in found} == {"alex", "danial", "1 person"}
    for one in found[::50]:
        points = one.track.landmarks[one.track.present]
        assert len(one.track.timestamps) in (19, 30)
        assert np.isfinite(points).all()
        assert one.text == ""
    labels = {
        one.label for one in sequences(shared_data, "traduttore_words") if one.signer == "cam"
    }
    assert {"coffee", "-"} <= labels


def test_a_folder_without_the_collections_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sequences/traduttore_words\.npz"):
        list(signs(tmp_path))


def test_letters_are_whole_and_those_kept_to_measure_with_are_not_among_them(
    shared_data: Path,
) -> None:
    found = list(shown_letters(shared_data))
    assert {one.text for one in found} == set(ascii_lowercase)
    each = Counter((one.signer, one.text) for one in found if one.text not in "jz")
    assert set(each.values()) == {4}
    drawn = {one.track.landmarks.astype(np.float32).tobytes() for one in found if one.text in "jz"}
    kept = [one for one in motions(shared_data) if one.signer.endswith(KEPT) and one.side]
    known = {(one.signer.removesuffix(KEPT), one.label) for one in kept}
    assert known == {(one.signer, one.text) for one in found if one.text in "jz"}
    for one in kept:  # the first frame of a kept drawing is a frame of none of those that are whole
        first = one.landmarks[0].astype(np.float32).tobytes()
        assert not any(first in whole for whole in drawn)
