"""Clips made of the letters of all people: ``chereme prepare photographs`` with more of them.

    python tools/people_photographs.py DATA FOLDER --exemplars runs/exemplars.npz \\
        runs/exemplars_dev.npz --clips 1600 --dev hand5 --test hand4 vyshu150

Where the hands of the pictures are is what ``chereme prepare exemplars`` found, so that the sets of
``letters_people`` and ``letters_people_dev`` (the second file) take part, and letters that all
others contradict do not. The vectors of the hand network go with the clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from chereme.datasets.exemplars import Exemplars
from chereme.datasets.letter_collections import LETTERS, MOVING, Picture, dev_pictures, pictures
from chereme.datasets.prepare_crops import prepare_generated
from chereme.hands.skeleton import palm_size
from chereme.synthesis.photographs import Photograph, PhotographClips
from chereme.teachers.hand_network import HandNetworkTeacher

_SIZE, _RATE = 128, 10.0  # pixels of a crop; frames a second, as recipes/tiny reads


def seen(shown: Sequence[Picture], exemplars: Exemplars) -> Iterator[tuple[Picture, int]]:
    """Each picture of which there are exemplars, with the number of the first of them."""
    numbers, first = np.unique(exemplars.picture, return_index=True)
    for number, index in zip(numbers.tolist(), first.tolist(), strict=True):
        if number < len(shown):  # recordings of landmarks come after all pictures
            yield shown[number], index


def of_people(shown: Sequence[Picture], exemplars: Exemplars) -> Iterator[Photograph]:
    """The photographs of still letters; of digits nobody knows who is who."""
    for picture, index in seen(shown, exemplars):
        letter, joints = picture.label, exemplars.landmarks[index].astype(np.float64)
        if letter in MOVING or letter not in LETTERS or not letter or picture.signer == "digits":
            continue
        # Those of left hands are mirrored about the left edge of their picture.
        flip = float(joints[:, 0].mean()) < 0
        joints[:, 0] += picture.read().shape[1] if flip else 0
        ground = 0 if picture.cut_out else 255 if picture.signer == "manual" else None
        # hand1_a_bot_seg_1_cropped.jpeg
        light = "".join(picture.path.name.split("_")[2:3]) if picture.cut_out else ""
        world = (joints - joints.mean(0)) * 0.09 / palm_size(joints)  # metres
        yield Photograph(
            picture.path, letter, picture.signer, joints, world, picture.aspect, flip, ground, light
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--exemplars", type=Path, nargs="+", required=True)
    parser.add_argument("--clips", type=int, default=1600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dev", nargs="*", default=[])
    parser.add_argument("--test", nargs="*", default=[])
    given = parser.parse_args(arguments)
    found: list[Photograph] = []
    for path, read in zip(given.exemplars, (pictures, dev_pictures), strict=False):
        found += of_people(list(read(given.data)), Exemplars.load(path))

    class PeopleClips(PhotographClips):
        photos = tuple(found)  # type: ignore[assignment]

    clips = PeopleClips(
        given.data, given.clips, given.seed, _RATE, _SIZE, dev=given.dev, test=given.test
    )
    made = prepare_generated(clips, given.folder, [HandNetworkTeacher()])
    print(f"{given.folder}: {made:,} clips of {len({p.signer for p in found})} signers")


if __name__ == "__main__":
    main()
