"""ONNX Runtime itself keeps a network within its file: what its floor in pyproject.toml is for.

1.23 reads all of these files, and memory; 1.26 still all values of sparse tensors; 1.27 none.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

SECRET = np.arange(64, dtype=np.uint8)


def outside(location: str, offset: int, size: int) -> TensorProto:
    """A tensor of ``size`` bytes that are somewhere else."""
    tensor = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[size])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": offset, "length": size}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def network(form: str, location: str, offset: int) -> bytes:
    """Gives what is found at ``location``."""
    nodes, weights = [helper.make_node("Identity", ["w"], ["out"])], []
    sparse = onnx.SparseTensorProto(dims=[64])
    sparse.values.CopyFrom(outside(location, offset, 8))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(8), "i"))
    if form == "initializer":
        weights = [outside(location, offset, 64)]
    elif form == "constant":
        value = outside(location, offset, 64)
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=value))
    elif form == "sparse constant":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=sparse))
    given = helper.make_tensor_value_info("out", TensorProto.UINT8, [64])
    graph = helper.make_graph(nodes, "hostile", [], [given], weights)
    if form == "sparse initializer":
        graph.sparse_initializer.append(sparse)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


@pytest.mark.parametrize(
    "form", ["initializer", "constant", "sparse initializer", "sparse constant"]
)
@pytest.mark.parametrize("place", ["above", "absolute", "link", "memory"])
def test_nothing_outside_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, place: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "secret").write_bytes(SECRET.tobytes())
    os.symlink("../secret", tmp_path / "here" / "link")
    monkeypatch.chdir(tmp_path / "here")
    location = {
        "above": "../secret",
        "absolute": str(tmp_path / "secret"),
        "link": "link",
        "memory": "*/_ORT_MEM_ADDR_/*",  # the library's own sign for what is in its memory
    }[place]
    content = network(form, location, SECRET.ctypes.data if place == "memory" else 0)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with pytest.raises(Exception, match=r"(?i)external|location|path|address"):
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
