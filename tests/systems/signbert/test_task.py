"""SignBERT learns: pre-training, recognition, resumption, and what data can be like."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipes import parsed

from chereme.datasets.pose_clips import Entry, PoseClip, PoseCorpus, write_poses
from chereme.errors import InputError, UsageError
from chereme.hands.both import choose_frames
from chereme.synthesis.isolated import IsolatedSigns
from chereme.systems.signbert.data import PoseData
from chereme.systems.signbert.recognizer import SignBertRecognizer
from chereme.systems.signbert.task import PAPER_OPTIMISER, IsolatedTask, load_signbert
from chereme.training.cli import main
from chereme.training.isolated_data import UNKNOWN
from fake_shards import with_dropped

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "signbert"
TINY = {
    "encoder.gesture.widths": "[8,12]",
    "encoder.dim": 24,
    "encoder.heads": 2,
    "encoder.feed_forward": 32,
    "encoder.layers": 2,
    "encoder.dropout": 0.0,
}
Train = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("one_thread")


def dressed(clip: PoseClip, **changes: Any) -> PoseClip:
    return clip._replace(entry=replace(clip.entry, **changes))


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three glosses: 18 clips to train on, of which dev and test are some again."""
    folder = tmp_path_factory.mktemp("signs")
    made = IsolatedSigns(40, glosses=3, signers=10, noise=False)
    clips = [clip for clip in made if clip.entry.split == "train"][:18]
    again = [
        dressed(clip, id=f"{split} {clip.entry.id}", split=split)
        for split in ("dev", "test")
        for clip in clips[:6]
    ]
    write_poses([*clips, *again], folder)
    return folder


@pytest.fixture
def train(signs: Path) -> Train:
    def run(config: str, output: Path, *more: str, epochs: int = 2, poses: Any = None) -> Any:
        own = [f"--model.init_args.config.{name}={size}" for name, size in TINY.items()]
        return main(
            [
                f"--config={CONFIGS / config}",
                f"--output={output}",
                "--trainer.accelerator=cpu",
                "--trainer.enable_progress_bar=false",
                f"--trainer.max_epochs={epochs}",
                *own,
                f"--data.init_args.poses=[{poses or signs}]",
                "--data.init_args.frames=12",
                "--data.init_args.batch_size=6",
                *more,
            ]
        )

    return run


def digest(model: torch.nn.Module) -> str:
    state = model.state_dict()
    return hashlib.sha256(b"".join(state[k].numpy().tobytes() for k in sorted(state))).hexdigest()


def metrics(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "metrics.json").read_text())
    return found


# -- it learns ------------------------------------------------------------------------------------
def test_three_glosses_are_learnt_by_heart(train: Train, tmp_path: Path) -> None:
    train(
        "scratch.yaml",
        tmp_path / "run",
        "--trainer.check_val_every_n_epoch=10",
        "--data.init_args.sampling=spread",
        "--model.init_args.config.head.dropout=0",
        "--model.init_args.optimiser.milestones=[35]",
        "--model.init_args.optimiser.learning_rate=0.003",
        epochs=40,
    )
    found = metrics(tmp_path / "run")
    for split in ("dev", "test"):
        for k in (1, 2, 5):
            assert found[split][f"top{k}"] == found[split][f"top{k}_class"] == 100.0
        assert (found[split]["clips"], found[split]["unknown_glosses"]) == (6, 0)
    assert (found["training_clips"], found["glosses"], found["epochs"]) == (18, 3, 40)
    loaded = load_signbert(tmp_path / "run" / "best.ckpt")
    assert isinstance(loaded.model, SignBertRecognizer)
    assert loaded.about["classes"] == ["sign-0000", "sign-0001", "sign-0002"]
    assert found["parameters"] == sum(p.numel() for p in loaded.model.parameters())


def test_clips_in_which_no_hand_was_seen_count_as_read_wrongly(
    train: Train, signs: Path, tmp_path: Path
) -> None:
    poses = with_dropped(signs, tmp_path / "poses", "sign-0000")
    train("scratch.yaml", tmp_path / "run", poses=poses, epochs=1)
    found = metrics(tmp_path / "run")
    assert (found["dev"]["clips"], found["dev"]["dropped"], found["dev"]["top5"]) == (6, 0, 100.0)
    test = found["test"]
    # Of three glosses the right one is always among the first five.
    assert (test["clips"], test["dropped"], test["top5"]) == (7, 1, 85.71)
    assert test["top5_class"] == pytest.approx(100 * (2 / 3 + 1 + 1) / 3, abs=0.01)


def dev_entries(folder: Path) -> list[Entry]:
    return [entry for entry in PoseCorpus(folder).entries if entry.split == "dev"]


def test_pretraining_lowers_the_loss_and_fine_tuning_begins_with_its_encoder(
    train: Train, signs: Path, tmp_path: Path
) -> None:
    fast = (
        "--model.init_args.optimiser.learning_rate=0.003",
        "--trainer.check_val_every_n_epoch=8",
    )
    train("pretrain.yaml", tmp_path / "short", epochs=1)
    train("pretrain.yaml", tmp_path / "long", *fast, epochs=16)
    before, after = metrics(tmp_path / "short")["dev"], metrics(tmp_path / "long")["dev"]
    assert after["l_rec"] < 0.7 * before["l_rec"]
    assert after["pck20"] > before["pck20"] + 10
    # The masks of dev are always the same ones: a sixth of the tokens and a few joints are hidden.
    assert before["input_pck20"] == after["input_pck20"]
    assert 75 < after["input_pck20"] < 90
    assert (after["clips"], after["signers"]) == (6, len({e.signer for e in dev_entries(signs)}))
    for name in ("pck20", "auc"):
        low, high = after[f"{name}_interval"]
        assert low <= after[name] <= high
    best = tmp_path / "long" / "best.ckpt"
    encoder = load_signbert(best).model.encoder
    cli = train(
        "finetune.yaml",
        tmp_path / "probe",
        f"--model.init_args.initial={best}",
        "--model.init_args.freeze=true",
        epochs=2,
    )
    # The encoder is that of the checkpoint, the statistics of its normalisation too.
    assert digest(cli.model.model.encoder) == digest(encoder)
    fresh = IsolatedTask(initial=str(best)).model.head.classifier.weight
    assert not torch.equal(cli.model.model.head.classifier.weight, fresh[:3])
    assert metrics(tmp_path / "probe")["freeze"] is True
    task = IsolatedTask(initial=str(tmp_path / "probe" / "best.ckpt"))
    assert digest(task.model.encoder) == digest(encoder)
    assert all(p.requires_grad for p in task.parameters())


# -- data as it comes -----------------------------------------------------------------------------
def plain(name: str, label: str, split: str = "train", frames: int = 5, **more: Any) -> PoseClip:
    rng = np.random.default_rng(sum(map(ord, name)))
    joints = rng.uniform(0, 300, (frames, 2, 21, 2)).astype(np.float32)
    entry = Entry(name, label, more.get("signer", name[0]), split, 25.0, frames)
    return PoseClip(entry, joints, np.ones((frames, 2, 21), np.float32))


def hidden(clip: PoseClip) -> PoseClip:
    return clip._replace(joints=clip.joints * np.nan, confidence=clip.confidence * 0)


def data_of(folder: Path, *clips: PoseClip, labelled: bool = True, **more: Any) -> PoseData:
    write_poses(clips, folder)
    data = PoseData([str(folder)], **more)
    data.labelled = labelled
    return data


PAIR = (plain("1", "yes"), plain("2", "no"), plain("3", "yes"), plain("4", "no"))


def test_awkward_clips_do_not_stop_an_epoch(train: Train, tmp_path: Path) -> None:
    """One frame, no hand, one hand alone, no gloss; and in dev a gloss that was never taught."""
    lone = plain("lone", "no")
    lone.confidence[:, 0] = 0
    write_poses(
        [
            *PAIR,
            plain("one frame", "yes", frames=1),
            hidden(plain("no hand", "no")),
            hidden(plain("nor here", "yes", frames=1)),
            lone,
            plain("no gloss", ""),
            plain("d1", "yes", "dev", frames=1),
            hidden(plain("d2", "yes", "dev")),
            plain("d3", "perhaps", "dev"),
        ],
        tmp_path / "data",
    )
    small = {"poses": tmp_path / "data"}
    with pytest.warns(UserWarning, match="left out") as said:
        train("scratch.yaml", tmp_path / "run", "--data.init_args.batch_size=1", **small)
    texts = "\n".join(str(warning.message) for warning in said)
    assert "1 clips have no gloss (an empty label) and are left out" in texts
    assert "dev: 1 clips are of 1 glosses without a training clip (perhaps)" in texts
    assert "dev: 1 of 2 glosses have no clip (no): the accuracy per class is that of" in texts
    found = metrics(tmp_path / "run")
    assert (found["dev"]["unknown_glosses"], found["dev"]["glosses"]) == (1, 2)
    assert found["dev"]["top5"] == pytest.approx(200 / 3, abs=0.01)  # the unknown one is wrong
    assert found["dev"]["top5_class"] == 50.0
    assert found["test"] is None
    train("pretrain.yaml", tmp_path / "pre", "--data.init_args.batch_size=1", **small)
    assert np.isfinite(metrics(tmp_path / "pre")["dev"]["l_rec"])


def test_one_signer_alone_is_said(tmp_path: Path) -> None:
    own = [dressed(clip, signer="me") for clip in (*PAIR, plain("5", "yes", "dev"))]
    with pytest.warns(UserWarning, match=r"one signer \(me\)"):
        data_of(tmp_path, *own).setup()


@pytest.mark.parametrize(
    ("clips", "error", "said"),
    [
        (PAIR, InputError, "split dev, for validation, got none"),
        ([plain("1", "yes", "dev")], InputError, "clips to train on"),
        ([PAIR[0], PAIR[2], plain("5", "yes", "dev")], UsageError, "at least 2 to tell apart"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused_at_once(tmp_path, clips, error, said) -> None:
    with pytest.raises(error, match=said):
        data_of(tmp_path, *clips).setup()


def test_some_clips_are_held_out_of_each_gloss(tmp_path: Path) -> None:
    clips = [plain(f"{n}", "yes" if n < 10 else "no", split="") for n in range(15)]
    data = data_of(tmp_path, *clips, plain("only", "maybe"), hold_out=0.2)
    with pytest.warns(UserWarning, match="maybe"):
        data.setup()
    held = data.entries("dev")
    assert [e.label for e in held] == ["yes"] * 2 + ["no"]
    assert not {e.id for e in held} & {e.id for e in data.entries("train")}
    assert len(data.entries("train")) == 13


def test_shares_are_of_each_gloss_and_within_each_other(tmp_path: Path) -> None:
    clips = [plain(f"{n}", "often" if n < 40 else "rare") for n in range(44)]
    dev = [plain("a", "often", "dev"), plain("b", "rare", "dev")]
    chosen: dict[tuple[float, int], set[str]] = {}
    for fraction in (0.1, 0.25, 1.0):
        for seed in (0, 1):
            data = data_of(tmp_path, *clips, *dev, fraction=fraction, fraction_seed=seed)
            data.setup()
            labels = [entry.label for entry in data.entries("train")]
            assert labels.count("often") == 40 * fraction
            assert labels.count("rare") == max(1, 4 * fraction)
            assert data.classes == ("often", "rare")
            assert len(data.entries("dev")) == 2
            chosen[fraction, seed] = {entry.id for entry in data.entries("train")}
    assert chosen[0.1, 0] < chosen[0.25, 0] < chosen[1.0, 0]
    assert chosen[0.25, 0] != chosen[0.25, 1]


# -- frames and batches ---------------------------------------------------------------------------
def test_frames_are_in_a_row_or_spread_and_from_the_middle_in_tests() -> None:
    rng = np.random.default_rng(0)
    assert choose_frames(5, 8, "window", rng).tolist() == [0, 1, 2, 3, 4]
    assert choose_frames(10, 4, "window", None).tolist() == [3, 4, 5, 6]
    assert choose_frames(8, 4, "spread", None).tolist() == [1, 3, 5, 7]
    drawn = [choose_frames(10, 4, "window", rng) for _ in range(200)]
    assert {int(d[0]) for d in drawn} == set(range(7))
    assert all(np.diff(d).tolist() == [1, 1, 1] for d in drawn)
    spread = np.stack([choose_frames(9, 3, "spread", rng) for _ in range(200)])
    for part in range(3):
        assert set(spread[:, part].tolist()) == {3 * part, 3 * part + 1, 3 * part + 2}


def test_an_epoch_has_every_clip_once_and_repeats_itself(tmp_path: Path) -> None:
    clips = [plain(f"{n}", "yes" if n % 2 else "no", frames=3 + n) for n in range(6)]
    data = data_of(
        tmp_path, *clips, plain("d", "new", "dev"), plain("e", "no", "dev"), batch_size=2, frames=4
    )
    with pytest.warns(UserWarning, match="new"):
        data.setup()
    batches = list(data.epoch_loader(3))
    assert sorted(name for batch in batches for name in batch.ids) == [c.entry.id for c in clips]
    for batch in batches:
        for row, name in enumerate(batch.ids):
            clip = clips[int(name)]
            count = int(batch.poses.mask[row].sum())
            assert count == min(4, clip.entry.frames)
            joints = batch.poses.joints[row, :count].numpy()
            starts = [s for s in range(10) if np.array_equal(clip.joints[s : s + count], joints)]
            assert len(starts) == 1
            assert int(batch.classes[row]) == int(clip.entry.label == "yes")
        assert batch.poses.right.tolist() == [[False, True]] * 2
    later = list(data.epoch_loader(3, skip=1))
    assert [b.ids for b in later] == [b.ids for b in batches[1:]]
    assert torch.equal(later[0].poses.joints, batches[1].poses.joints)
    assert [b.ids for b in data.epoch_loader(4)] != [b.ids for b in batches]
    (watched,) = data.whole("dev")
    assert watched.classes.tolist() == [UNKNOWN, 0]


def test_a_linear_probe_needs_an_encoder() -> None:
    with pytest.raises(UsageError, match="from scratch"):
        IsolatedTask(freeze=True)


# -- the configs ----------------------------------------------------------------------------------
def test_the_papers_optimiser_is_the_default() -> None:
    assert parsed("signbert/pretrain.yaml").model.optimiser == PAPER_OPTIMISER
    assert parsed("signbert/scratch.yaml").model.optimiser == PAPER_OPTIMISER
    parameter = torch.nn.Parameter(torch.ones(1))
    built = PAPER_OPTIMISER.build([parameter], 100)
    optimizer, schedule = built["optimizer"], built["lr_scheduler"]["scheduler"]
    assert type(optimizer) is torch.optim.Adam
    group = optimizer.param_groups[0]
    assert (group["weight_decay"], group["betas"][0]) == (1e-4, 0.9)
    rates = []
    for _ in range(45):
        rates.append(group["lr"])
        optimizer.step()
        schedule.step()
    assert [rates[0], rates[19], rates[20], rates[40]] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
