"""Training on composed clips: it learns, repeats itself, and goes on where it was cut off."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch

from chereme.datasets.exemplars import Exemplars
from chereme.datasets.recordings import RecordedClip, Recordings
from chereme.datasets.words import ACOUSTIC_SHARES, TextSampler, is_held_out
from chereme.decoding import greedy
from chereme.errors import InputError, UsageError
from chereme.hands.normalise import (
    FEATURES_PER_FRAME,
    HAND_FEATURES_PER_FRAME,
    landmark_features,
)
from chereme.synthesis.spelling import SpelledClip, Speller
from chereme.synthesis.style import SpellingStyle
from chereme.systems.fingerspelling import composed as composed_clips
from chereme.systems.fingerspelling.checkpoints import load_checkpoint
from chereme.systems.fingerspelling.composed import (
    ClipMix,
    ComposedClips,
    ComposedData,
    collate_composed,
    compose_clip,
    held_out_clips,
)
from chereme.systems.fingerspelling.encoders import LandmarkEncoderConfig
from chereme.systems.fingerspelling.losses import LossConfig, fingerspelling_losses
from chereme.systems.fingerspelling.recognizer import FingerspellingConfig, FingerspellingRecognizer
from chereme.systems.fingerspelling.sequence import SequenceConfig
from chereme.systems.fingerspelling.task import RecognizerTask
from chereme.text import ASL_LETTERS
from chereme.training.cli import main

SIZES = {
    "landmarks.hidden": 16,
    "landmarks.feature_dim": 12,
    "sequence.conv_dim": 12,
    "sequence.gru_hidden": 8,
    "sequence.gru_layers": 1,
}
HAND_SIZES = {"landmarks.hidden": 16, "landmarks.feature_dim": 12, "hidden": 16, "feature_dim": 12}
SMALL = [
    "--trainer.enable_progress_bar=false",
    "--trainer.log_every_n_steps=1",
    *(f"--model.init_args.config.{name}={size}" for name, size in SIZES.items()),
    "--data.init_args.batch_size=4",
    "--data.init_args.dev_clips=4",
    "--data.init_args.workers=0",
    "--data.init_args.recordings=null",
]


@pytest.fixture(autouse=True, scope="module")
def small_and_single_threaded():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        fewer = partialmethod(ComposedData.some_frames, clips=10)
        patch.setattr(ComposedData, "some_frames", fewer)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def file(exemplars: Exemplars, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exemplars") / "exemplars.npz"
    exemplars.save(path)
    return path


@pytest.fixture
def train(file: Path, request: pytest.FixtureRequest):
    configs = request.config.rootpath / "configs" / "fingerspelling"

    def run(output: Path, *more: str, steps: int = 4, epochs: int = 2, config: str = "landmarks"):
        return main(
            [
                f"--config={configs / config}.yaml",
                f"--output={output}",
                *SMALL,
                f"--data.init_args.exemplars={file}",
                f"--data.init_args.steps_per_epoch={steps}",
                f"--trainer.max_epochs={epochs}",
                *more,
            ]
        )

    return run


def digest(model: torch.nn.Module) -> str:
    state = model.state_dict()
    return hashlib.sha256(b"".join(state[k].numpy().tobytes() for k in sorted(state))).hexdigest()


def test_loss_falls_and_the_results_are_written(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []  # for each frame, since batches differ in length
    step = RecognizerTask.training_step

    def recorded(self, batch, index):
        loss = step(self, batch, index)
        losses.append(loss.item() / batch.lengths.float().mean().item())
        return loss

    monkeypatch.setattr(RecognizerTask, "training_step", recorded)
    cli = train(tmp_path / "run", steps=30, epochs=1)
    assert len(losses) == 30
    assert np.isfinite(losses).all()
    assert np.mean(losses[-6:]) < 0.85 * np.mean(losses[:6])
    assert -10 < float(cli.trainer.callback_metrics["dev/letter_accuracy"]) <= 100
    assert {"train/total", "train/l_seq", "train/l_vis", "train/l_kd"} <= set(
        cli.trainer.callback_metrics
    )
    assert (tmp_path / "run" / "last.ckpt").is_file()
    written, rate, *_ = load_checkpoint(tmp_path / "run" / "last.ckpt")
    assert (digest(written), rate) == (digest(cli.model.model), 30.0)
    encoder = cli.model.model.encoder
    assert encoder.mean.abs().max() > 0.1  # the statistics were measured


def test_hands_are_learned_from_landmarks_and_vectors(
    train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = composed_clips.compose_clip

    def with_vectors(*args: object) -> SpelledClip:
        clip = compose(*args)  # type: ignore[arg-type]
        vectors = np.full((len(clip.track.timestamps), 1152), 2.0, np.float16)
        return replace(clip, track=replace(clip.track, vectors=vectors))

    monkeypatch.setattr(composed_clips, "compose_clip", with_vectors)
    sizes = [f"--model.init_args.config.hand.{n}={s}" for n, s in HAND_SIZES.items()]
    cli = train(tmp_path / "run", *sizes, config="hand", epochs=1)
    written, *_ = load_checkpoint(tmp_path / "run" / "last.ckpt")
    assert digest(written) == digest(cli.model.model)
    assert written.config.stream == "hand"
    encoder = written.encoder
    assert encoder.landmarks.mean.abs().max() > 0.1
    torch.testing.assert_close(encoder.vectors.mean, torch.full((1152,), 2.0))
    for batch in cli.datamodule.epoch_loader(0):
        width = batch.vectors.shape[-1]
        assert (batch.vectors.dtype, width) == (torch.float32, HAND_FEATURES_PER_FRAME)
        seen = batch.vectors[batch.present]
        assert (seen[:, FEATURES_PER_FRAME - 1] == 1).all()
        assert (seen[:, FEATURES_PER_FRAME:] == 2.0).all()
        assert not batch.vectors[~batch.present].any()


def test_unknown_held_out_signer(train, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"one, two.*got nobody"):
        train(tmp_path, "--data.init_args.held_out=[nobody]")


def test_missing_exemplars(train, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="chereme prepare exemplars"):
        train(tmp_path, f"--data.init_args.exemplars={tmp_path / 'none.npz'}")


def test_recognisers_of_something_else(train, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected landmarks or hand, .* got 'pose'"):
        train(tmp_path, "--model.init_args.config.stream=pose")


# -- data -----------------------------------------------------------------------------------------
def composed(exemplars: Exemplars, **changes: int) -> ComposedClips:
    options = {"steps": 3, "batch_size": 4, "seed": 1, "epoch": 0} | changes
    return ComposedClips(Speller(exemplars), rate=30.0, **options)


def test_batches_are_padded() -> None:
    rng = np.random.default_rng(0)
    width = FEATURES_PER_FRAME
    clips = [(rng.normal(size=(n, width)).astype(np.float32), t) for n, t in ((3, "ab"), (5, ""))]
    batch = collate_composed(clips)
    assert batch.vectors.shape == (2, 5, width)
    assert not batch.vectors[0, 3:].any()
    np.testing.assert_array_equal(batch.vectors[1].numpy(), clips[1][0])
    assert batch.lengths.tolist() == [3, 5]
    assert batch.targets.tolist() == [[1, 2], [0, 0]]
    assert batch.target_lengths.tolist() == [2, 0]
    assert collate_composed(clips[1:]).targets.tolist() == [[0]]  # nothing but idle hands


def test_batches_repeat_and_differ_by_epoch_seed_and_process(exemplars: Exemplars) -> None:
    changes = ({}, {}, {"epoch": 1}, {"seed": 2}, {"rank": 1})
    one, again, *others = (list(composed(exemplars, **change)) for change in changes)
    assert len(one) == 3
    for a, b in zip(one, again, strict=True):
        assert a.texts == b.texts
        assert torch.equal(a.vectors, b.vectors)
    texts = [tuple(t for batch in run for t in batch.texts) for run in (one, *others)]
    assert len(set(texts)) == 4


def test_batches_are_of_similar_length(exemplars: Exemplars) -> None:
    batches = list(composed(exemplars, steps=6))
    lengths = torch.cat([batch.lengths for batch in batches]).float()
    within = torch.stack([batch.lengths.float().std() for batch in batches]).mean()
    assert within < 0.6 * lengths.std()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_share_the_steps(exemplars: Exemplars, workers: int) -> None:
    loader = torch.utils.data.DataLoader(
        composed(exemplars, steps=5), batch_size=None, num_workers=workers
    )
    texts = [tuple(batch.texts) for batch in loader]
    assert len(texts) == len(set(texts)) == 5


def test_words_of_dev_are_held_out(exemplars: Exemplars) -> None:
    some = np.isin(exemplars.label, list("jqxz"), invert=True)
    few = Exemplars(
        *(getattr(exemplars, n)[some] for n in ("landmarks", "label", "signer", "picture")),
        exemplars.motion_landmarks,
        exemplars.motion_label,
        exemplars.motion_signer,
    )
    clips, again = (held_out_clips(few, 30, 30.0) for _ in range(2))
    assert len(clips) == 30
    assert [text for _, text in clips] == [text for _, text in again]
    for (features, text), (same, _) in zip(clips, again, strict=True):
        assert not set(text) & set("jqxz")
        assert features.shape[1] == FEATURES_PER_FRAME
        np.testing.assert_array_equal(features, same)
    words = [text for _, text in clips if len(text) > 3]
    assert sum(map(is_held_out, words)) > len(words) / 3  # strings of letters have no split


def test_words_of_dev_need_most_letters(exemplars: Exemplars) -> None:
    only = np.flatnonzero(exemplars.label == "q")
    few = Exemplars(
        *(getattr(exemplars, n)[only] for n in ("landmarks", "label", "signer", "picture")),
        exemplars.motion_landmarks[:0],
        exemplars.motion_label[:0],
        exemplars.motion_signer[:0],
    )
    with pytest.raises(InputError, match="most letters, got 'q'"):
        held_out_clips(few, 10, 30.0)


def test_held_out_signers_are_kept_apart(file: Path, exemplars: Exemplars) -> None:
    data = ComposedData(str(file), held_out=["two"], dev_clips=2)
    data.setup()
    assert data.speller._hands.signers == ["one"]
    assert len(data.dev) == 2
    frames = data.some_frames(clips=3)
    assert frames.shape[1] == FEATURES_PER_FRAME
    assert (frames[:, -1] == 1).all()


def test_movements_that_are_kept_to_measure_with_are_not_trained_on(
    exemplars: Exemplars, tmp_path: Path
) -> None:
    path = tmp_path / "exemplars.npz"
    replace(exemplars, motion_signer=np.array(["one", "one_kept"])).save(path)
    data = ComposedData(str(path), dev_clips=1)
    data.setup()
    assert sorted(data.speller._motions) == ["j"]


def test_kinds_of_clips(exemplars: Exemplars) -> None:
    speller, rng = Speller(exemplars), np.random.default_rng(0)
    texts = TextSampler(shares=ACOUSTIC_SHARES, split="train", max_length=12)
    clips = [compose_clip(speller, texts, rng, ClipMix()) for _ in range(600)]
    idle = np.mean([clip.text == "" for clip in clips])
    assert 0.04 < idle < 0.1
    seconds = [end - start for clip in clips for _, start, end in clip.spans]
    assert 0.04 < np.mean([any(e - s > 1.5 for _, s, e in clip.spans) for clip in clips]) < 0.3
    assert max(seconds) > 3
    alone = ClipMix(still=0, idle=0, alone=1)
    letters = [compose_clip(speller, texts, rng, alone).text for _ in range(600)]
    assert {len(letter) for letter in letters} == {1}
    share = np.mean([letter in "jz" for letter in letters])
    assert share == pytest.approx(4 / 28, abs=0.04)


def test_recordings_are_shown_as_often_as_asked_for(exemplars: Exemplars, tmp_path: Path) -> None:
    track = Speller(exemplars).idle(np.random.default_rng(0)).track
    given = [
        RecordedClip(track, t, who) for t, who in (("abc", "one"), ("xyz", "two"), ("", "two"))
    ]
    Recordings.of(given).save(tmp_path / "recordings.npz")
    exemplars.save(tmp_path / "exemplars.npz")
    files = str(tmp_path / "exemplars.npz"), str(tmp_path / "recordings.npz")
    data = ComposedData(*files, held_out=["one"], steps_per_epoch=2, dev_clips=1, workers=0)
    data.setup()
    mix, rng = ClipMix(spelled=0.3, silent=0.2), np.random.default_rng(0)
    drawn = [data.replayed.draw(mix, rng) for _ in range(400)]
    texts = [None if clip is None else clip.text for clip in drawn]
    assert set(texts) == {None, "xyz", ""}  # nothing of who is held out
    assert np.mean([text == "xyz" for text in texts]) == pytest.approx(0.3, abs=0.07)
    assert np.mean([text == "" for text in texts]) == pytest.approx(0.2, abs=0.07)
    batches = [text for batch in data.epoch_loader(0) for text in batch.texts]
    assert "xyz" in batches
    assert data.facts()["data"]["recordings"] == files[1]


# -- the network learns what it is shown ----------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["unpooled", "default"])
def test_a_small_network_learns_a_few_clips_by_heart(exemplars: Exemplars, kernels: str) -> None:
    lightning.seed_everything(0, verbose=False)
    speller, rng = Speller(exemplars), np.random.default_rng(0)
    style = SpellingStyle(letter_seconds=0.3, rise=False, sink=False)
    texts = ["hello", "jazz", "quick", "fox", "book", "a"]
    clips = [
        (landmark_features(speller.spell(text, rng, style).track, 30.0)[0], text) for text in texts
    ]
    batch = collate_composed([*clips, (landmark_features(speller.idle(rng).track, 30.0)[0], "")])
    config = FingerspellingConfig(
        landmarks=LandmarkEncoderConfig(hidden=48, feature_dim=32, dropout=0.0),
        sequence=SequenceConfig(
            kernels=kernels, conv_dim=32, gru_hidden=32, gru_layers=1, dropout=0.0
        ),
    )
    model = FingerspellingRecognizer(config)
    model.encoder.set_statistics(torch.cat([torch.from_numpy(f) for f, _ in clips]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(220):
        sequence, visual, lengths = model(batch.vectors, batch.lengths)
        loss = fingerspelling_losses(
            sequence,
            visual,
            lengths,
            batch.targets,
            batch.target_lengths,
            LossConfig(kd_weight=1.0),
        ).total
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    model.eval()
    read = []
    for features, _ in clips:
        logits = model(torch.from_numpy(features)[None])[0][0]
        symbols = greedy(logits.log_softmax(-1).detach().double().numpy()).symbols
        read.append(ASL_LETTERS.decode(symbols))
    assert read == texts
