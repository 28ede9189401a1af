"""Open recordings of isolated signs, as MediaPipe found both hands in them.

They are the files of ``sequences`` of the data folder: fourteen American signs by three people, who
recorded them for a coffee shop; fifteen by a team whose members are not labelled, and who count as
one; three Brazilian ones by one person. All are MIT-licensed, so that weights may be trained.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from chereme.datasets.corpus import Corpus, CorpusBuilder, Unusable
from chereme.datasets.letter_collections import (
    ASPECTS,
    WEBCAM_RATE,
    Sequence,
    collection_file,
    sequences,
)
from chereme.datasets.metadata import one_of
from chereme.datasets.pose_clips import Entry, JointSequence, PoseClip
from chereme.datasets.registry import Kind, dataset
from chereme.errors import InputError
from chereme.formats.manifests import Split
from chereme.hands.both import sign_span

Language = Literal["american", "brazilian", "all"]

# By file: how its clips and, where it names none, its signer are called; whether single letters are
# spelled in it; the language.
_FILES = {
    "traduttore_words": ("traduttore", "", True, "american"),
    "kelhuynh_signs": ("kelhuynh", "team", False, "american"),
    "libras_signs": ("libras", "libras", True, "brazilian"),
}
_NOTHING = ("-", "noinput")
_ONE_NAME = {"thanks": "thank-you"}
_HEIGHT = 480.0  # pixels; the recordings are parts of the picture


@dataset("recorded-signs", Kind.JOINTS)
def read(root: str | Path, language: Language = "american", *, leave_out: str = "") -> Corpus:
    """Open recordings of signs: 24 American signs by three people and a team, 3 Brazilian ones.

    Clips last from the first frame in which a hand was found to the last. Dropped and counted:
    recordings of letters, of nothing, in which no hand was found, and those of the signer that is
    left out of signs that nobody else signs.

    Args:
        root: the data folder.
        language: american, brazilian or all.
        leave_out: a signer (alex, cam, danial, team, libras) whose clips are the split test.

    Raises InputError if a file is not there, or nobody of that name signs; UsageError for another
    language.
    """
    one_of("language", language, ("american", "brazilian", "all"))
    root = Path(root)
    found: list[tuple[str, Path, bool, Sequence]] = []
    for name, (group, who, letters, spoken) in _FILES.items():
        if language in (spoken, "all"):
            path = collection_file(root, f"sequences/{name}.npz")
            for number, one in enumerate(sequences(root, name)):
                one = one._replace(label=_ONE_NAME.get(one.label, one.label))
                own = one._replace(signer=who or one.signer)
                found.append((f"{group}-{number:04d}", path, letters, own))
    known = {one.signer for *_, one in found}
    if leave_out and leave_out not in known:
        raise InputError(f"leave_out: expected {', '.join(sorted(known))}, got {leave_out!r}")
    elsewhere = {one.label for *_, one in found if one.signer != leave_out}
    builder = CorpusBuilder("Recorded signs")
    for id, path, letters, one in found:
        with builder.row(id):
            if one.label in _NOTHING or (letters and len(one.label) == 1):
                raise Unusable("no sign", one.label)
            if one.label not in elsewhere:
                raise Unusable("signed by nobody else", one.label)
            clip = recorded_clip(id, one)
            if clip is None:
                raise Unusable("no hand seen")
            split: Split = "test" if one.signer == leave_out else "train"
            builder.add(
                JointSequence(
                    path=path,
                    id=id,
                    label=one.label,
                    signer=one.signer,
                    split=split,
                    frames=clip.entry.frames,
                    clip=clip._replace(entry=replace(clip.entry, split=split)),
                )
            )
    return builder.build()


def recorded_clip(id: str, one: Sequence) -> PoseClip | None:
    """The frames of a recording from the first to the last hand; None where there is none.

    Pixels of a picture of 480 lines and the signer's aspect, as palms say it; 20 frames a second,
    since nothing says how many.
    """
    seen = np.repeat((one.hands != 0).any((-2, -1))[..., None], one.hands.shape[2], axis=2)
    cut = sign_span(seen.astype(np.float32))
    if cut is None:
        return None
    scale = [_HEIGHT * ASPECTS.get(one.signer, one.aspect), _HEIGHT]
    joints = np.where(seen[..., None], one.hands[..., :2] * scale, np.nan).astype(np.float32)
    entry = Entry(id, one.label, one.signer, "", WEBCAM_RATE, cut.stop - cut.start)
    return PoseClip(entry, joints[cut], seen[cut].astype(np.float32))
