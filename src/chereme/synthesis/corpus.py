"""Videos of made-up signing with their truth: one clip, or a corpus of signer-disjoint parts.

A clip is three files: the video; a ``.json`` transcript, as ``chereme recognize`` writes it, with
the times of the letters; and an ``.npz``, a landmark file (of a detector that makes no mistakes)
that also holds the parameters of the hand model, see ``RenderedClip.truth``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from chereme.datasets.engine import generate
from chereme.datasets.preparation import alone_in
from chereme.datasets.words import ACOUSTIC_SHARES, TextSampler, is_held_out
from chereme.errors import UsageError
from chereme.formats.dot_npz import npz_bytes
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.outputs import write_file
from chereme.formats.transcripts import save, write
from chereme.hand_model import HandLayer, HandTemplate
from chereme.synthesis.handshapes import bundled, to_exemplars
from chereme.synthesis.rendered_clips import SUBSTEPS, RenderedClip
from chereme.synthesis.rendering.background import PictureFolder
from chereme.synthesis.scenes import Scene
from chereme.synthesis.signers import Signer
from chereme.synthesis.spelling import Motion, Speller
from chereme.types import Token, Transcript
from chereme.video import write_video
from chereme.video.reader import check_rate

Part = Literal["train", "dev", "test"]
_RATES = (24.0, 25.0, 30.0, 30.0)
_IDLE = (0.7, 3.0)  # seconds, at least, of a hand that spells nothing
_SIGNERS = 1 << 20  # keeps the seeds of signers apart from those of clips


@dataclass(frozen=True)
class Pictures:
    """What the videos are like: ``width`` x ``height`` pixels, backgrounds from the pictures of a
    folder (None: drawn), and the H.264 rate factor, or None for a random one for each clip."""

    width: int = 640
    height: int = 480
    backgrounds: Path | None = None
    quality: int | None = None

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 64 or self.width % 2 or self.height % 2:
            raise UsageError(
                f"size: expected even numbers of at least 64 pixels, got {self.width}x{self.height}"
            )


@cache
def open_hand() -> HandLayer:
    """The open hand, whose poses are absolute."""
    return HandLayer(HandTemplate.load("open"), flat_hand_mean=True)


def signer(number: int, seed: int) -> Signer:
    """The signer of that number in the population of ``seed``."""
    rng = np.random.default_rng([seed, _SIGNERS + number])
    return Signer.sample(f"synthetic-{seed}-{number:04d}", bundled("asl"), rng)


def compose(
    text: str, who: Signer, rng: np.random.Generator, pictures: Pictures, rate: float | None = None
) -> RenderedClip:
    """Plan a clip in which ``who`` spells ``text``: letters, digits and spaces; '': nothing."""
    folder = None if pictures.backgrounds is None else PictureFolder(pictures.backgrounds)
    scene = Scene.sample(rng, pictures.width, pictures.height, folder)
    style = who.style(rng, len(text), rate or float(rng.choice(_RATES)))
    speller = Speller(to_exemplars(who.handshapes, open_hand()), mixing=0.0)
    if text:
        motion = speller.perform(text, rng, style, substeps=SUBSTEPS)
    else:
        motion = speller.rest(rng, style, seconds=rng.uniform(*_IDLE), substeps=SUBSTEPS)
    other = None
    if scene.other:
        other = speller.rest(rng, style, seconds=motion.times[-1], calm=True, substeps=SUBSTEPS)
    return RenderedClip(
        motion, who, scene, open_hand(), other=other, seed=int(rng.integers(1 << 31))
    )


def save_clip(rendered: RenderedClip, path: Path, quality: int) -> None:
    """Write the three files of a clip, the video last: where it is, the others are too."""
    transcript = write(transcript_of(rendered.motion), path, "json")
    save(transcript, path.with_suffix(".json"), overwrite=True)
    write_file(path.with_suffix(".npz"), _truth_bytes(rendered), overwrite=True)
    write_video(path, rendered.frames(), rendered.rate, quality=quality)


def transcript_of(motion: Motion) -> Transcript:
    """What is spelled, letter by letter; sure, since it was made so."""
    tokens: list[Token] = []
    spans = iter(motion.spans)
    for letter in motion.text.strip():
        if letter == " ":
            end = tokens[-1].end
            tokens.append(Token(" ", end, end, 1.0))
        else:
            _, start, stop = next(spans)
            tokens.append(Token(letter, max(start, 0.0), stop, 1.0))
    return Transcript(motion.text.strip(), tuple(tokens), {"synthetic": True})


def _truth_bytes(rendered: RenderedClip) -> bytes:
    with np.load(io.BytesIO(npz_bytes(rendered.landmarks))) as file:
        arrays = {**file, **rendered.truth}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def write_clip(text: str, output: Path, *, seed: int = 0, pictures: Pictures = Pictures()) -> None:
    """A video of a signer who spells ``text``, with its transcript and truth beside it."""
    rng = np.random.default_rng(seed)
    quality = 26 if pictures.quality is None else pictures.quality
    save_clip(compose(text.lower(), signer(0, seed), rng, pictures), output, quality)


def parts(signers: int) -> list[Part]:
    """The part that each of so many signers belongs to: about 80, 10 and 10 in a hundred."""
    if signers < 3:
        raise UsageError(f"signers: expected at least 3, one for each part, got {signers}")
    few = max(1, round(signers / 10))
    return [*["train"] * (signers - 2 * few), *["dev"] * few, *["test"] * few]  # type: ignore[list-item]


def check_corpus(clips: int, signers: int, rate: float | None = None) -> None:
    """Raises ``UsageError`` for fewer clips than signers, and for an impossible ``rate``, frames a
    second; None: each clip has its own."""
    if clips < signers:
        raise UsageError(f"clips: expected at least one for each of {signers} signers, got {clips}")
    check_rate(rate)


def write_corpus(
    count: int,
    folder: Path,
    *,
    signers: int | None = None,
    seed: int = 0,
    pictures: Pictures = Pictures(),
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Item]:
    """``count`` clips of single words in ``folder``, and ``manifest.csv``.

    No signer, and no word, is in two parts. The same seed gives the same files, whatever the
    number of workers; clips that are there already are not made again, so a run that was stopped
    goes on. ``signers``: by default one for each twenty clips, at least ten.

    Raises ``UsageError`` for fewer clips than signers.
    """
    signers = max(10, count // 20) if signers is None else signers
    check_corpus(count, signers)
    part_of = parts(signers)
    items = []
    for index in range(count):
        part = part_of[index % signers]
        path = folder / part / f"{index:06d}.mp4"
        text = word(index, seed, part)
        who = f"synthetic-{seed}-{index % signers:04d}"
        items.append(Item(path, text, f"{part}/{index:06d}", who, part, language="ase"))
    missing = [i for i, item in enumerate(items) if not item.path.exists()]
    done = count - len(missing)
    jobs = [(i, items[i].label, items[i].path, i % signers, seed, pictures) for i in missing]
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        for finished in generate(_job, jobs, workers):
            done += finished
            if progress is not None:
                progress(done, count)
        write_manifest(items, folder / "manifest.csv")
    return items


def word(index: int, seed: int, part: Part) -> str:
    split: Literal["train", "held_out"] = "train" if part == "train" else "held_out"
    texts = TextSampler(shares=ACOUSTIC_SHARES, split=split, max_length=12)
    rng = np.random.default_rng([seed, index, 1])
    while True:
        text = texts.sample(rng)
        if is_held_out(text) != (part != "train"):
            continue  # strings of random letters are drawn whatever the split
        # Of the words kept from training, half are for dev and half for test.
        if part == "train" or (sum(map(ord, text)) % 2 == 0) == (part == "dev"):
            return text


def _job(job: tuple[int, str, Path, int, int, Pictures]) -> int:
    index, text, path, number, seed, pictures = job
    rng = np.random.default_rng([seed, index])
    rendered = compose(text, signer(number, seed), rng, pictures)
    quality = int(rng.integers(20, 36)) if pictures.quality is None else pictures.quality
    save_clip(rendered, path, quality)
    return 1
