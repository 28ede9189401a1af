from __future__ import annotations

import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from chereme.errors import BundleError
from chereme.formats import inert_pickle
from chereme.teachers.checkpoint import read_tensors
from chereme.teachers.hamer import Hamer, HamerConfig, HamerTeacher

Weights = dict[str, Tensor]
UNREAD = 12_345  # numbers in each tensor that the teacher has no use for


class Hostile:
    """Its pickle asks to call ``function(argument)`` where it is loaded."""

    def __init__(self, function: Callable[[str], object], argument: str) -> None:
        self.call = function, (argument,)

    def __reduce__(self) -> Any:
        return self.call


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module with classes as configuration libraries have them, gone after pickling."""
    source = """
class CfgNode(dict):
    def __init__(self, values):
        super().__init__(values)
        self.frozen = True
class ListConfig(list):
    pass
class Metadata:
    __slots__ = ("node",)
    def __init__(self, node):
        self.node = node
    def __getstate__(self):
        return None, {"node": self.node}
    def __setstate__(self, state):
        raise AssertionError("foreign code ran")
class Node:
    def __new__(cls, value):
        return super().__new__(cls)
    def __getnewargs__(self):
        return (1,)
"""
    module = types.ModuleType("foreign_configuration")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source, module.__dict__)
    return module


@pytest.fixture
def released(
    tmp_path: Path, weights: Weights, foreign: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A checkpoint in the layout of ``hamer.ckpt``; if anything in it runs, ``ran`` appears."""
    state = OrderedDict((name, tensor.float()) for name, tensor in weights.items())
    qkv = "backbone.blocks.0.attn.qkv.weight"
    state[qkv] = state[qkv].t().contiguous().t()
    state["discriminator.D_conv1.weight"] = torch.ones(UNREAD)
    state["mano.faces_tensor"] = torch.ones(UNREAD // 2, dtype=torch.long)
    state["initialized"] = torch.tensor(True)
    state._metadata = OrderedDict(version=1)  # type: ignore[attr-defined]
    command = f"{sys.executable} -c \"open(r'{tmp_path / 'ran'}', 'w')\""
    settings = foreign.CfgNode(
        {
            "MODEL": foreign.CfgNode({"IMAGE_SIZE": 256, "BBOX_SHAPE": foreign.ListConfig([192])}),
            "META": foreign.Metadata(foreign.Node(1)),
            "OTHER": [{1, 2}, defaultdict(list, a=[1]), np.float64(2.0), np.ones(2), Path("x")],
        }
    )
    content = {
        "epoch": 35,
        "hyper_parameters": {"first": Hostile(os.system, command), "cfg": settings},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(UNREAD)}}}],
        "callbacks": {Hostile(eval, f"open(r'{tmp_path / 'ran'}', 'w')"): None},
        "state_dict": state,
    }
    path = tmp_path / "hamer.ckpt"
    torch.save(content, path)
    monkeypatch.delitem(sys.modules, foreign.__name__)
    return path


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The zip file with each entry passed through ``change``; None leaves it out."""
    copy = path.with_name("copy.ckpt")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            if (data := change(name, old.read(name))) is not None:
                new.writestr(name, data)
    return copy


def test_the_released_layout_loads_and_nothing_in_it_runs(
    released: Path, tiny: HamerConfig, weights: Weights
) -> None:
    ran = released.with_name("ran")
    with pytest.raises(ModuleNotFoundError, match="foreign_configuration"):
        torch.load(released, weights_only=False)
    assert ran.exists(), "the checkpoint of this test is not hostile"
    ran.unlink()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(released, weights_only=True)

    model = Hamer.from_checkpoint(released, tiny)
    assert not ran.exists()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, weights[name].float(), rtol=0, atol=0)

    half = Hamer.from_checkpoint(released, tiny, dtype=torch.bfloat16)
    teacher = HamerTeacher(half, level="vit", batch_size=3)
    assert {p.dtype for p in teacher.parameters()} == {torch.bfloat16}
    assert (teacher.name, teacher.dim, teacher.batch_size) == ("hamer-vit", 64, 3)
    assert teacher.embed(np.zeros((1, 256, 256, 3), np.uint8)).shape == (1, 64)


def test_a_pickle_cannot_change_what_stands_in_for_its_own(
    released: Path, tiny: HamerConfig
) -> None:
    """``BUILD`` with attributes in slots sets them on any object that lets it."""
    slots = b"N}X\x08\x00\x00\x00__init__cos\nsystem\ns\x86b"
    before = [dict(vars(c)) for c in (inert_pickle.Note, inert_pickle.Name)]
    for name in (b"torch._utils\n_rebuild_tensor_v2\n", b"collections\nOrderedDict\n"):
        program = b"\x80\x02c" + name + slots + b"."
        file = rewritten(released, lambda n, d, p=program: p if n.endswith("data.pkl") else d)
        with pytest.raises(BundleError, match="something that it has not made itself"):
            read_tensors(file, {})
    assert before == [dict(vars(c)) for c in (inert_pickle.Note, inert_pickle.Name)]
    Hamer.from_checkpoint(released, tiny)


def test_only_what_the_teacher_needs_is_read(released: Path, tiny: HamerConfig) -> None:
    sizes = (4 * UNREAD, 8 * (UNREAD // 2))
    dropped = []

    def leave_out(name: str, data: bytes) -> bytes | None:
        if len(data) not in sizes:
            return data
        dropped.append(name)
        return None

    Hamer.from_checkpoint(rewritten(released, leave_out), tiny)
    assert len(dropped) == 3


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_every_missing_tensor_and_wrong_shape_is_named(
    tmp_path: Path, tiny: HamerConfig, weights: Weights, kind: str
) -> None:
    lost = [
        "backbone.last_norm.bias",
        "mano_head.transformer.pos_embedding",
        "backbone.patch_embed.proj.bias",
    ]
    state = {name: tensor for name, tensor in weights.items() if name not in lost}
    state["backbone.pos_embed"] = torch.zeros(1, 192, 64)
    path = tmp_path / f"bad.{kind}"
    torch.save({"state_dict": state}, path) if kind == "torch" else save_file(state, path)
    with pytest.raises(BundleError) as raised:
        Hamer.from_checkpoint(path, tiny)
    message = str(raised.value)
    assert str(path) in message
    assert f"3 of the {len(weights)} tensors expected are missing" in message
    assert all(name in message for name in lost)
    assert "backbone.pos_embed: expected shape (1, 193, 64), got (1, 192, 64)" in message
    assert "backbone.blocks" not in message


def test_other_files_with_these_tensors(
    tmp_path: Path, tiny: HamerConfig, weights: Weights
) -> None:
    torch.save(weights, tmp_path / "plain.pt")
    save_file(weights, tmp_path / "teacher.safetensors")
    for file in tmp_path.iterdir():
        model = Hamer.from_checkpoint(file, tiny, dtype=torch.float64)
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, weights[name])


def test_views_and_kinds_of_numbers(tmp_path: Path) -> None:
    block = torch.arange(24.0).view(4, 6)
    tensors = {
        "transposed": block.t(),
        "part": block[1:3, 2:5],
        "expanded": block[0, :1].expand(3, 5),
        "scalar": block[2, 2],
        "none": torch.zeros(0, 3),
        "half": block.half(),
        "brain": block.bfloat16(),
        "double": block.double() / 3,
    }
    torch.save(tensors, tmp_path / "views.pt")
    read = read_tensors(tmp_path / "views.pt", {n: t.shape for n, t in tensors.items()})
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor.float())


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, released: Path, weights: Weights) -> None:
    def refused(path: Path, reason: str) -> None:
        with pytest.raises(BundleError, match=reason) as raised:
            read_tensors(path, {name: tensor.shape for name, tensor in weights.items()})
        assert str(path) in str(raised.value)

    refused(tmp_path / "absent.ckpt", "no such file")
    refused(tmp_path, "no such file")
    legacy = tmp_path / "legacy.ckpt"
    torch.save({"state_dict": weights}, legacy, _use_new_zipfile_serialization=False)
    refused(legacy, "PyTorch 1.6 or later")
    (tmp_path / "half.ckpt").write_bytes(released.read_bytes()[: released.stat().st_size // 2])
    refused(tmp_path / "half.ckpt", "not complete")
    (tmp_path / "half.safetensors").write_bytes(b"\x80\x00\x00\x00\x00\x00\x00\x00{")
    refused(tmp_path / "half.safetensors", "cannot be read")
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    refused(tmp_path / "arrays.npz", "one data.pkl was expected, it has 0")
    torch.save([1, 2], tmp_path / "list.pt")
    refused(tmp_path / "list.pt", "a dict of tensors was expected")

    def is_storage(name: str) -> bool:
        return "/data/" in name

    cut = rewritten(released, lambda n, d: d[:-4] if is_storage(n) else d)
    refused(cut, r"expected \d+ bytes, got \d+")
    gone = rewritten(released, lambda n, d: None if is_storage(n) else d)
    refused(gone, "no item named")
    short = rewritten(released, lambda n, d: d[:50] if n.endswith("data.pkl") else d)
    refused(short, "cannot be read")
    flipped = bytearray(released.read_bytes())
    with zipfile.ZipFile(released) as archive:
        entries = [entry for entry in archive.infolist() if is_storage(entry.filename)]
    for entry in entries:  # the data follow the header, the name and what aligns them
        lengths = np.frombuffer(flipped, "<u2", 2, entry.header_offset + 26)
        flipped[entry.header_offset + 30 + int(lengths.sum())] ^= 1
    (tmp_path / "flipped.ckpt").write_bytes(flipped)
    refused(tmp_path / "flipped.ckpt", "Bad CRC-32")
    whole = {name: torch.ones(tensor.shape, dtype=torch.long) for name, tensor in weights.items()}
    torch.save(whole, tmp_path / "whole.pt")
    refused(tmp_path / "whole.pt", "expected floating-point numbers")
