"""Recordings of people whom no model was trained on, and the tables of what is read of people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from recordings import held
from results import markdown

from chereme.errors import UsageError
from chereme.formats.manifests import Item, read_manifest
from chereme.hands.signing import signing_hand, to_right_hand
from chereme.recognition.bundle import Bundle
from chereme.recognition.fingerspelling import Recognizer
from chereme.recognition.registry import resolve
from chereme.recognition.streams import Streams
from chereme.systems.fingerspelling.left_out import STILL_LETTERS, STILLS, Answer, Question, figures

STREAMS = ("landmarks", "rgb", "fused")
EACH = {"people": (STILLS, "pictures", "words"), "letters": (STILLS, "pictures")}  # own tables
PICTURES = 12  # of a letter and person


def recordings(root: Path, rendered: Path | None) -> Iterator[tuple[str, Item]]:
    """By kind: pictures of still letters, real spelling, and ``rendered`` videos."""
    for index in sorted((root / "letters_people_dev").glob("*.index.csv")):
        items = read_manifest(index)
        for letter in STILL_LETTERS:
            of = [item for item in items if item.label == letter]
            yield from (("pictures", item) for item in of[:: -(-len(of) // PICTURES) or 1])
    for folder in (root / "fingerspelling_dev", rendered):
        for item in read_manifest(folder / "manifest.csv") if folder else ():
            yield "rendered videos" if folder == rendered else f"real {item.path.parent.name}", item


def letters_of(root: Path) -> Iterator[Question]:
    """Recordings of one letter, held or moving, by three people."""
    for clip in held(root):
        if track := signing_hand(clip.landmarks):
            person = clip.person.split()[-1]
            yield Question("recorded letters", person, clip.text, to_right_hand(track))


def readers_of(bundles: Sequence[str]) -> dict[str, Recognizer]:
    """By stream, of two bundles, of landmarks and of pictures, or of one of landmarks."""
    loaded = tuple(Bundle.load(resolve(name), "fingerspelling") for name in bundles)
    return {one: Recognizer(Streams(loaded, one)) for one in STREAMS[: 2 * len(loaded) - 1]}


def read_recordings(
    readers: dict[str, Recognizer], root: Path, rendered: Path | None
) -> Iterator[Answer]:
    """Each by each stream, on the whole path."""
    for kind, item in recordings(root, rendered):
        for stream, reader in readers.items():
            with suppress(UsageError):  # landmarks alone say nothing to the stream of pictures
                tokens = reader.recognize(item.path).tokens
                yield Answer.of(kind, item.signer or item.id, stream, item.label, tokens)


# -- tables ----------------------------------------------------------------------------------------
def results(given: Sequence[Answer]) -> tuple[dict[str, Any], str]:
    """The figures of each kind and stream, and the tables that show them."""
    found: dict[str, dict[str, Any]] = {}
    for kind, stream in dict.fromkeys((one.kind, one.stream) for one in given):
        own = [one for one in given if (one.kind, one.stream) == (kind, stream)]
        found.setdefault(kind, {})[stream] = figures(own)
    streams = [s for s in STREAMS if any(s in of for of in found.values())]
    lines = []
    for kind, of in found.items():
        first = next(iter(of.values()))
        cells, errors = [kind, str(len(first["people"])), str(first["items"])], []
        for own in (of.get(stream) for stream in streams):
            show = "{accuracy:.1f} [{interval[0]:.1f}, {interval[1]:.1f}], {least:.1f}"
            cells.append(show.format(**own, least=min(own["people"].values())) if own else "")
            error = own and own["calibration_error"]
            errors.append("" if error is None else f"{error:.3f}")
        lines.append(cells + errors)
    head = ("mean [95 %], least", "people", "items", *streams, *(f"{s}: ECE" for s in streams))
    tables = [markdown(head, lines)]
    for key, kinds in EACH.items():
        columns = {f"{k}, {s}": it[key] for k in kinds for s, it in found.get(k, {}).items()}
        names = sorted({name for column in columns.values() for name in column})
        lines = [
            [name, *(f"{c[name]:.1f}" if name in c else "" for c in columns.values())]
            for name in names
        ]
        tables.append(markdown(("", *columns), lines))
    return found, "\n\n".join(tables)
