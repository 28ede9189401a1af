"""Pose2Gloss learns: sentences by heart, resumption, checkpoints, and the rows of its configs."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipes import CONFIGS, parsed

from chereme.datasets import boston104
from chereme.decoding import GlossWeights
from chereme.errors import UsageError
from chereme.formats.manifests import Item, write_manifest
from chereme.formats.tracks import PoseTracks, TrackSpec, one_track, register_track, write_tracks
from chereme.metrics import UNRANKED
from chereme.systems.signx.data import SentenceBatch
from chereme.systems.signx.losses import LossConfig, Schedule
from chereme.systems.signx.pose2gloss import Pose2Gloss, Pose2GlossConfig
from chereme.systems.signx.task import PAPER_OPTIMISER, Pose2GlossTask, gloss_figures, load_signx
from chereme.text.glosses import BOS, UNK
from chereme.training.cli import main
from chereme.training.optimiser import OptimiserConfig, warmup_cosine

WHOLE = parsed("signx/boston104.yaml", "signx/rows/whole.yaml").model.model.config
SIGNS = {"I": (1, 0, 0), "YOU": (0, 1, 0), "GO": (0, 0, 1), "ns-fs-MARY": (-1, 0, 0)}
LABELS = ("I GO", "YOU GO", "ns-fs-MARY I GO", "GO YOU", "I YOU", "GO GO")
TRACK = register_track(TrackSpec("test_signs", 3, "where a test's hand is"))
TINY = {
    "tracks.widths": "{test_signs: 3}",
    "tracks.hidden": 24,
    "tracks.heads": 2,
    "tracks.dropout": 0.0,
    "tracks.latent": 24,
    "context.kind": "gru",
    "context.layers": 1,
    "context.dropout": 0.0,
    "diffusion.dim": 8,
    "diffusion.halvings": 1,
    "diffusion.heads": 2,
    "diffusion.dropout": 0.0,
    "decoder.dim": 24,
    "decoder.layers": 1,
    "decoder.heads": 2,
    "decoder.dropout": 0.0,
    "decoder.max_length": 6,
    "embedding": 8,
    "ctc": "true",
    "loss.ctc_weight": 1.0,
}
Train = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("one_thread")


def signed(label: str, hold: int = 4, seed: int = 0) -> PoseTracks:
    """Each sign is held, and between signs the hand rests."""
    rng = np.random.default_rng(seed)
    rows = [row for sign in label.split() for row in [SIGNS[sign]] * hold + [(0, 0, 0)] * 2]
    return one_track(TRACK.name, 10 + np.array(rows) + rng.normal(0, 0.05, (len(rows), 3)), 30.0)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sentences to train on, which are dev too; one of dev and test has an unknown gloss."""
    folder = tmp_path_factory.mktemp("sentences")
    rows = []
    for split in ("train", "dev"):
        for number, label in enumerate(LABELS):
            path = folder / f"{split}{number}.npz"
            write_tracks(signed(label, seed=number), path)
            rows.append(Item(path, label, path.stem, signer=f"s{number % 2}", split=split))
    path = folder / "test.npz"
    write_tracks(signed("I GO", hold=6, seed=9), path)
    rows.append(Item(path, "I RUN", "test", split="test"))
    write_manifest(rows, folder / "manifest.csv")
    return folder


@pytest.fixture
def train(sentences: Path) -> Train:
    def run(output: Path, *more: str, epochs: int = 1) -> Any:
        own = [f"--model.init_args.config.{name}={size}" for name, size in TINY.items()]
        return main(
            [
                f"--config={CONFIGS / 'signx' / 'paper.yaml'}",
                f"--output={output}",
                "--trainer.accelerator=cpu",
                "--trainer.enable_progress_bar=false",
                "--trainer.accumulate_grad_batches=1",
                f"--trainer.max_epochs={epochs}",
                *own,
                f"--data.init_args.root={sentences}",
                "--data.init_args.batch_size=6",
                *more,
            ]
        )

    return run


def digest(model: torch.nn.Module) -> str:
    state = model.state_dict()
    return hashlib.sha256(b"".join(state[k].numpy().tobytes() for k in sorted(state))).hexdigest()


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


# -- it learns -------------------------------------------------------------------------------------
def test_sentences_are_learnt_by_heart(train: Train, tmp_path: Path) -> None:
    train(
        tmp_path,
        "--model.init_args.optimiser.learning_rate=0.01",
        "--model.init_args.generation.repetition_penalty=1",
        "--model.init_args.read_with=decoder",
        "--trainer.check_val_every_n_epoch=60",
        epochs=120,
    )
    found = read(tmp_path / "metrics.json")
    dev, test = found["dev"], found["test"]
    for way in ("beam", "greedy", "ctc", "ctc_greedy", "joint", "ctc_lm", "joint_lm"):
        parts = [dev[way][name] for name in ("wer", "substitutions", "deletions", "insertions")]
        assert parts == [0, 0, 0, 0]
        assert (dev[way]["glosses"], dev[way]["exact"]) == (13, 100.0)
        assert dev[way]["bleu"][0] == dev[way]["bleu"][1] == 100.0
        # The true second gloss was never taught.
        assert test[way]["wer"] == 50.0
        assert test[way]["substitutions"] == 1
    assert (dev["sentences"], test["sentences"], test["unseen_glosses"]) == (6, 1, 50.0)
    assert dev["beam"]["top5"] == 100.0
    assert (dev["gloss_top5"], test["gloss_top5"]) == (100.0, 50.0)
    assert found["warnings"] == {"test_unknown_glosses": 1}
    assert (found["training_sentences"], found["vocabulary"], found["steps"]) == (6, 8, 120)
    assert (found["scored"], found["tracks"]) == ("best.ckpt", [TRACK.name])
    assert "CPU" in found["device"]
    rows = read(tmp_path / "readings.json")["sentences"]
    assert [row["glosses"] for row in rows] == [*LABELS, "I RUN"]
    assert rows[2]["beam"] == rows[2]["ctc"] == "ns-fs-MARY I GO"
    assert (rows[-1]["beam"], rows[-1]["split"], rows[1]["signer"]) == ("I GO", "test", "s1")

    # The checkpoint is whole: glosses, standardisation, and the same reading.
    loaded = load_signx(tmp_path / "best.ckpt")
    assert set(loaded.vocabulary.tokens) == set(SIGNS)
    assert found["parameters"] == sum(p.numel() for p in loaded.model.parameters())
    assert loaded.about["rate"] == 30.0
    assert "I GO </s>" in loaded.about["lm"]  # the n-grams of the training sentences
    # Without a mistake on dev as it is: nothing is added.
    assert loaded.about["weights"] == found["weights"] == asdict(GlossWeights())
    values = np.concatenate([signed(t, seed=i).values[TRACK.name] for i, t in enumerate(LABELS)])
    encoder = loaded.model.pose_encoder.track_encoder(TRACK.name)
    np.testing.assert_allclose(encoder.mean, values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(encoder.std, values.std(0), rtol=1e-3)
    clip = signed("YOU GO", hold=5)
    said = loaded.model.generate(
        {TRACK.name: torch.from_numpy(clip.values[TRACK.name])[None]},
        {TRACK.name: torch.from_numpy(clip.present[TRACK.name])[None]},
    )
    assert loaded.vocabulary.decode(said.glosses[0, 0].tolist()) == ("YOU", "GO")

    # Schedules went from their start to their end (Table 2).
    with next((tmp_path / "logs").glob("*/metrics.csv")).open() as file:
        forced = [float(row["train/forced"]) for row in csv.DictReader(file) if row["train/forced"]]
    assert forced[0] == pytest.approx(0.5 * (1 - 9 / 119), abs=1e-4)  # the tenth step
    assert forced[-1] == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.diff(forced) < 0)


def test_of_sentences_that_show_nobody_no_gloss_is_read(
    train: Train, sentences: Path, tmp_path: Path
) -> None:
    shutil.copytree(sentences, tmp_path / "data")
    nobody = PoseTracks(
        30.0, {TRACK.name: np.full((9, 3), np.nan)}, {TRACK.name: np.zeros(9, bool)}
    )
    write_tracks(nobody, tmp_path / "data" / "nobody.npz")
    with (tmp_path / "data" / "manifest.csv").open("a") as file:
        file.write("nobody.npz,GO YOU I,nobody,,test\n")
    train(tmp_path / "run", f"--data.init_args.root={tmp_path / 'data'}")
    test = read(tmp_path / "run" / "metrics.json")["test"]
    assert (test["sentences"], test["without_tracks"]) == (2, 1)
    assert (test["ctc"]["glosses"], test["ctc"]["deletions"] >= 3) == (5, True)
    rows = read(tmp_path / "run" / "readings.json")["sentences"]
    assert [(row["glosses"], row["ctc"]) for row in rows][-1] == ("GO YOU I", "")


def test_without_dev_the_last_weights_are_scored(train: Train, tmp_path: Path) -> None:
    """And of the model that has neither decoder nor diffusion, CTC is read."""
    losses = ("text_weight", "word_weight", "contrast_weight", "ngram_weight")
    cli = train(
        tmp_path,
        "--model.init_args.config.diffusion.enabled=false",
        *(f"--model.init_args.config.loss.{name}=0" for name in losses),
        "--data.init_args.validate=false",
    )
    found = read(tmp_path / "metrics.json")
    assert (found["scored"], found["dev"]) == ("last.ckpt", None)
    assert set(found["test"]) == {
        "sentences",
        "without_tracks",
        "unseen_glosses",
        "ctc",
        "ctc_greedy",
        "ctc_lm",
    }
    assert not (tmp_path / "best.ckpt").exists()
    assert cli.model.model.diffusion is None
    assert digest(cli.model.model) == digest(load_signx(tmp_path / "last.ckpt").model)


def test_the_better_reading_on_dev_is_the_models(train: Train, tmp_path: Path) -> None:
    """Without any text loss of weight the decoder learns nothing, the CTC head does."""
    train(
        tmp_path,
        "--model.init_args.optimiser.learning_rate=0.01",
        "--model.init_args.config.loss.text_weight=1.0e-9",
        *(
            f"--model.init_args.config.loss.{name}_weight=0"
            for name in ("word", "contrast", "ngram")
        ),
        "--trainer.check_val_every_n_epoch=60",
        epochs=60,
    )
    found = read(tmp_path / "metrics.json")
    assert found["dev"]["ctc"]["wer"] < found["dev"]["beam"]["wer"]
    about = load_signx(tmp_path / "best.ckpt").about
    assert (about["read_with"], about["weights"]) == (found["read_with"], found["weights"])
    # By both: the CTC head has the more to say the less the decoder knows.
    assert found["dev"]["joint"]["wer"] <= found["dev"]["ctc"]["wer"]
    assert found["weights"]["joint"]["ctc_weight"] >= 0.5


# -- Table 2 ---------------------------------------------------------------------------------------
def test_the_rate_rises_falls_and_stays_at_its_floor() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    config = OptimiserConfig(learning_rate=1e-3, schedule="warmup_cosine", warm_up=0.1, floor=0.05)
    built = config.build([parameter], 101)
    optimizer, schedule = built["optimizer"], built["lr_scheduler"]["scheduler"]
    assert built["lr_scheduler"]["interval"] == "step"
    assert optimizer.defaults["betas"] == (0.9, 0.999)
    rates = []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(1e-3 / 11)
    assert np.diff(rates[:11]) == pytest.approx(1e-3 / 11)
    assert max(rates) == rates[10] == 1e-3
    assert rates[55] == pytest.approx(1e-3 * (1 + 0.05) / 2)  # half of the way down
    assert rates[100] == pytest.approx(0.05e-3)
    assert (np.diff(rates[10:]) < 0).all()
    assert warmup_cosine(10**6, 101, 0.1, 0.05) == pytest.approx(0.05)
    assert warmup_cosine(0, 1, 0.0, 0.05) == 0.05


def test_the_papers_config_is_table_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Sizes apart, which take time to build.
    small = [f"--model.init_args.config.{name}=8" for name in ("tracks.hidden", "tracks.latent")]
    small += ["--model.init_args.config.diffusion.dim=8", "--model.init_args.config.decoder.dim=8"]
    cli = parsed("signx/paper.yaml", options=tuple(small))
    task, trainer, data = cli.model, cli.trainer, cli.datamodule
    paper, own = Pose2GlossConfig(), task.model.config
    shrunk = replace(
        paper,
        tracks=replace(paper.tracks, hidden=8, latent=8),
        diffusion=replace(paper.diffusion, dim=8),
        decoder=replace(paper.decoder, dim=8),
    )
    assert own == shrunk
    assert own.loss == LossConfig()
    assert (own.loss.noise_weight, own.loss.teacher_forcing) == (Schedule(1, 0), Schedule(0.5, 0))
    assert task.optimiser == PAPER_OPTIMISER
    assert (task.optimiser.learning_rate, task.optimiser.weight_decay) == (1e-3, 0.01)
    assert (task.optimiser.warm_up, task.optimiser.floor) == (0.1, 0.05)
    assert (trainer.accumulate_grad_batches, trainer.gradient_clip_val) == (4, 7.0)
    assert (trainer.max_epochs, data.batch_size) == (500, 32)
    assert (task.generation.beam_size, task.generation.repetition_penalty) == (5, 2.5)
    assert task.longest == 64


def test_as_many_parameters_learn_in_the_wider_baseline_as_in_the_whole() -> None:
    model = parsed("signx/boston104.yaml", "signx/rows/ctc_large.yaml").model.model
    parts = (model.pose_encoder, model.context, model.match, model.ctc)
    learnt = sum(p.numel() for part in parts for p in part.parameters())
    whole = sum(p.numel() for p in Pose2Gloss(WHOLE).parameters())
    assert learnt == pytest.approx(whole, rel=0.03)


# -- real sentences --------------------------------------------------------------------------------
@pytest.mark.slow
def test_real_sentences_are_learnt_by_heart(shared_data: Path, tmp_path: Path) -> None:
    """Twenty different ones, by the whole model, every loss and diffusion on."""
    root, number, rows = shared_data / "boston104", 20, dict[tuple[str, ...], list[Item]]()
    tracks = boston104.read_tracks(root)
    for sentence in boston104.read(root).sentences:
        if sentence.words in rows or len(rows) == number:
            continue
        path = tmp_path / f"{sentence.id}.npz"
        write_tracks(tracks[sentence.id], path)
        rows[sentence.words] = [
            Item(path, " ".join(sentence.words), f"{split}-{sentence.id}", "ann", split=split)
            for split in ("train", "dev")
        ]
    write_manifest([item for items in rows.values() for item in items], tmp_path / "manifest.csv")
    files = ("boston104", "rows/whole", "overfit")
    main(
        [
            *(f"--config={CONFIGS / 'signx' / file}.yaml" for file in files),
            f"--output={tmp_path / 'run'}",
            f"--data.init_args.root={tmp_path / 'manifest.csv'}",
            "--trainer.enable_progress_bar=false",
            "--trainer.accelerator=cpu",
        ]
    )
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert found["dev"]["sentences"] == found["training_sentences"] == number
    assert found["dev"]["unseen_glosses"] == 0
    for way in ("beam", "greedy", "ctc", "ctc_greedy"):
        assert (found["dev"][way]["wer"], found["dev"][way]["exact"]) == (0.0, 100.0)


# -- bad input -------------------------------------------------------------------------------------
def test_what_is_read_must_be_trained() -> None:
    config = WHOLE
    assert Pose2GlossTask(config).read_with == "decoder"
    assert Pose2GlossTask(config, read_with="ctc").read_with == "ctc"
    silent = parsed("signx/boston104.yaml").model.model.config
    assert Pose2GlossTask(silent).read_with == "ctc"
    with pytest.raises(UsageError, match=r"what is trained \(ctc\), got 'decoder'"):
        Pose2GlossTask(silent, read_with="decoder")
    with pytest.raises(UsageError, match=r"what is trained \(nothing is\)"):
        Pose2GlossTask(replace(silent, ctc=False, loss=replace(silent.loss, ctc_weight=0.0)))


def test_ranks_are_of_the_decoder_after_the_true_glosses(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Pose2GlossTask(WHOLE)
    monkeypatch.setattr(task.model, "latent", lambda *given: (torch.zeros(2, 4, 128), None))
    fed = []

    def says(ids: torch.Tensor, memory: torch.Tensor, mask: None) -> torch.Tensor:
        fed.append(ids)
        return torch.arange(9.0).expand(*ids.shape, 9)  # the last is likeliest

    monkeypatch.setattr(task.model.decoder, "forward", says)
    glosses = torch.tensor([[8, UNK, 4], [7, 0, 0]])
    batch = SentenceBatch(("a", "b"), {}, {}, torch.tensor([4, 4]), glosses, ((), ()))
    assert task.gloss_ranks(batch) == [[1, UNRANKED, 5], [2]]
    assert fed[0].tolist() == [[BOS, 8, UNK], [BOS, 7, 0]]


def test_figures_of_readings() -> None:
    true = [("A", "B", "C"), ("D",)]
    found = gloss_figures(true, [[("A", "X"), ("A", "B", "C")], [("D", "D"), ()]])
    assert [found[n] for n in ("substitutions", "deletions", "insertions")] == [1, 1, 1]
    assert (found["wer"], found["glosses"], found["mean_wer"]) == (75.0, 4, 83.33)
    assert (found["top5"], found["exact"]) == (50.0, 0.0)
    low, high = found["wer_interval"]
    assert low <= 75.0 <= high
    assert "top5" not in gloss_figures(true, [[("A",)], [("D",)]])
