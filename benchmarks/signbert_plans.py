"""The runs behind SignBERT's tables on what is here: rows, seeds, budgets and the options of
``chereme train``. ``signbert_tables.py`` runs them and writes the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONFIGS = "configs/signbert"
SHARES = (10, 25, 100)  # per cent of the labels
BASE = "table_4/both"  # the paper's own setting
PROBE = f"{BASE}+probe"
SOURCES = ("unlabelled", "signs", "letters")  # of pre-training
TABLE_1 = tuple(f"table_1/m{most}" for most in (3, 5, 7, 9, 11))
TABLE_2 = (BASE, "table_4/joint", "table_4/frame")
LONG = "long/"  # and of Budget.long
LONGER = (f"{LONG}table_4/joint",)
SHORT = "short/"  # rows that are pre-trained for Budget.ablation, to be compared with each other
MASKINGS = tuple(f"{SHORT}{row}" for row in ("table_4/both", "table_4/joint", "table_4/frame"))
DECODERS = tuple(f"{SHORT}{row}" for row in ("table_4/both", "table_5/fc1", "table_5/fc2"))
LAYERS = tuple(f"{SHORT}{row}" for row in ("table_6/n2", "table_6/n4"))
ALL_MASKS = (BASE, "table_4/joint", *LONGER)  # tested with every masking, beside their own
# As long as the paper's setting, from the first pre-training alone.
FULL = ("table_4/joint", "table_4/frame", "table_5/fc1", "table_5/fc2")
# Files that say the same as another: one run is the row of several tables.
SAME = {"table_2/both": BASE, "table_5/hand_model": BASE, "table_6/n3": BASE}
SAME |= {f"table_2/{name}": f"table_4/{name}" for name in ("joint", "frame")}
ABLATION_SHARE = 25
CHECKS = 5  # of the split dev in a run
_CLIPS, _FRAMES = 16, 64  # a step; frames where they are single ones
_RATE = 2e-3  # of recognition


@dataclass(frozen=True)
class Plan:
    """A run: its folder, options of ``chereme train``, and the folders that it begins with;
    ``masks``: the data on which it restores joints from every masking, if it does."""

    name: str
    folder: Path
    options: tuple[str, ...]
    needs: tuple[Path, ...] = ()
    masks: Path | None = None


@dataclass(frozen=True)
class Budget:
    """Equal for all rows that are compared: ``pretraining``, ``ablation`` (of rows that are
    compared with each other alone), ``long`` (of one row, to see what more steps do) and
    ``recognition`` steps of 16 clips, ``single`` steps of 64 frames (Table 1)."""

    pretraining: int = 5130
    ablation: int = 1025
    long: int = 15390
    recognition: int = 400
    single: int = 2400


@dataclass(frozen=True)
class Setting:
    """``data``: folder of the folders of poses; ``clips``: what is trained on in each of them;
    ``output``: where runs go."""

    data: Path
    clips: dict[str, int]
    output: Path
    budget: Budget = Budget()


def plans(setting: Setting, seeds: Sequence[int]) -> list[Plan]:
    """All runs, the weightiest comparison first.

    Recognition begins with the pre-training of its own seed. Of the paper's setting, it also begins
    with the first pre-training whatever its seed: that tells the pre-training's chance apart; and
    so do rows of ablations as long as that. Last are other seeds of what is reconstructed.
    """
    first = seeds[0]
    made = [pretraining(setting, BASE, seed) for seed in seeds]
    for task in ("signs", "letters"):
        made += _recognitions(setting, task, SHARES, ("scratch", BASE), seeds)
    made += _recognitions(setting, "signs", SHARES, (PROBE,), seeds)
    for rows in (DECODERS, MASKINGS):
        made += _ablations(setting, rows, seeds)
    made += [pretraining(setting, row, first) for row in TABLE_1]
    made += _recognitions(setting, "letters", SHARES, (PROBE,), seeds)
    made += _ablations(setting, LAYERS, seeds)
    for task in ("signs", "letters"):
        made += _recognitions(setting, task, SHARES, (BASE,), seeds, first)
    made += [pretraining(setting, row, first) for row in (*LONGER, *FULL)]
    made += _recognitions(setting, "signs", (ABLATION_SHARE,), FULL, seeds, first)
    for seed in seeds:
        made += [pretraining(setting, row, seed) for row in (*TABLE_1, *TABLE_2)]
    return list({plan.folder: plan for plan in made}.values())


def _recognitions(
    setting: Setting,
    task: str,
    shares: Sequence[int],
    starts: Sequence[str],
    seeds: Sequence[int],
    pretrained: int | None = None,
) -> list[Plan]:
    """``pretrained``: with which pre-training every seed begins; None: each with its own."""
    return [
        recognition(setting, task, share, start, seed, pretrained or seed)
        for seed in seeds
        for share in shares
        for start in starts
    ]


def _ablations(setting: Setting, rows: Sequence[str], seeds: Sequence[int]) -> list[Plan]:
    made = [pretraining(setting, row, seed) for seed in seeds for row in rows]
    return made + _recognitions(setting, "signs", (ABLATION_SHARE,), rows, seeds)


def config_of(row: str) -> str:
    """The file of a row, however long it is trained."""
    return f"{CONFIGS}/{row.removeprefix(SHORT).removeprefix(LONG)}.yaml"


def pretraining(setting: Setting, row: str, seed: int) -> Plan:
    """A row's pre-training on all clips of the split train, whatever their labels."""
    folder = setting.output / row / f"seed_{seed}"
    single, budget = row in TABLE_1, setting.budget
    steps = budget.single if single else budget.pretraining
    if row.startswith(SHORT):
        steps = budget.ablation
    elif row.startswith(LONG):
        steps = budget.long
    options = [
        *("--config", f"{CONFIGS}/pretrain.yaml", "--config", f"{CONFIGS}/recipes/small.yaml"),
        *("--config", config_of(row)),
        f"--data.init_args.poses=[{_joined(setting, SOURCES)}]",
        f"--data.init_args.dev=[{_joined(setting, ('signs', 'letters'))}]",
        f"--data.init_args.test=[{_joined(setting, ('true',))}]",
        *([f"--data.init_args.batch_size={_FRAMES}"] if single else []),
        *_steps(
            sum(setting.clips[name] for name in SOURCES),
            _FRAMES if single else _CLIPS,
            steps,
        ),
        *_own(folder, seed),
    ]
    masks = setting.data if row in ALL_MASKS else None
    return Plan(row, folder, tuple(options), masks=masks)


def begun(pretrained: int) -> str:
    """The folder of recognition that began with the pre-training of this seed."""
    return f"from_{pretrained}"


def recognition(
    setting: Setting, task: str, share: int, start: str, seed: int, pretrained: int
) -> Plan:
    """Recognition of ``task``; ``start``: "scratch", a row that was pre-trained, or the same with
    "+probe", a linear probe; ``pretrained``: the seed of that, which the folder says. A seed has
    the same labels, whatever it starts from."""
    name = f"{task}/labels_{share}/{start}"
    row, _, probe = start.partition("+")
    whence = "." if row == "scratch" else begun(pretrained)
    folder = setting.output / name / whence / f"seed_{seed}"
    config = "scratch" if row == "scratch" else "finetune"
    needs: tuple[Path, ...] = ()
    options = [
        *("--config", f"{CONFIGS}/{config}.yaml", "--config", f"{CONFIGS}/recipes/small.yaml")
    ]
    if row != "scratch":
        needs = (setting.output / row / f"seed_{pretrained}",)
        options.append(f"--model.init_args.initial={needs[0]}/best.ckpt")
    options += [
        *(["--model.init_args.freeze=true"] if probe else []),
        f"--model.init_args.optimiser.learning_rate={_RATE}",
        f"--data.init_args.poses=[{_joined(setting, (task,))}]",
        f"--data.init_args.share={share / 100:g}",
        f"--data.init_args.share_seed={seed}",
        *_steps(round(setting.clips[task] * share / 100), _CLIPS, setting.budget.recognition),
        *_own(folder, seed),
    ]
    return Plan(name, folder, tuple(options), needs)


def _joined(setting: Setting, names: Sequence[str]) -> str:
    return ",".join(str(setting.data / name) for name in names)


def _own(folder: Path, seed: int) -> list[str]:
    return [f"--output={folder}", f"--seed_everything={seed}", f"--data.init_args.seed={seed}"]


def _steps(clips: int, batch: int, steps: int) -> list[str]:
    """Options for so many steps, or nearly, and ``CHECKS`` checks, the last at the end."""
    period = steps / CHECKS
    every = math.ceil(period / max(1, clips // batch))  # epochs between checks
    return [
        f"--data.init_args.steps_per_epoch={round(period / every)}",
        f"--trainer.max_epochs={CHECKS * every}",
        f"--trainer.check_val_every_n_epoch={every}",
    ]
