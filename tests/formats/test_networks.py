"""What a network from a stranger may be: whole in itself, without loops, of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chereme.errors import BundleError, UsageError
from chereme.formats.networks import check_network, open_network
from chereme.recognition.registry import WEIGHTS
from child import NEEDS_PROC, run_child

PATH = Path("some.onnx")
LARGE = 1 << 31  # numbers: 8 GB


def port(name: str, shape: Sequence[int | str] = ("N",), kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def graph(nodes, weights=(), **more) -> onnx.GraphProto:
    return helper.make_graph(nodes, "g", [port("x")], [port("y", ["M"])], list(weights), **more)


def model(nodes, weights=(), **more) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph(nodes, weights), opset_imports=opsets, ir_version=8, **more)


def adding() -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.ones(1, np.float32), "w")
    return model([helper.make_node("Add", ["x", "w"], ["y"])], [weight])


def run(content: bytes) -> list[np.ndarray]:
    return open_network(content, PATH, 1).run(None, {"x": np.ones(2, np.float32)})


@pytest.mark.parametrize(
    "path", sorted(WEIGHTS.glob("*/*.onnx")), ids=lambda p: "-".join(p.parts[-2:])
)
def test_the_bundled_networks_pass(path: Path) -> None:
    check_network(path.read_bytes(), path)


def test_a_plain_network_runs() -> None:
    content = adding().SerializeToString()
    np.testing.assert_array_equal(run(content)[0], [2, 2])
    # Fields that a later version of the format may bring mean nothing to this one.
    np.testing.assert_array_equal(run(content + b"\xa2\x06\x03new")[0], [2, 2])
    with pytest.raises(UsageError, match="threads"):
        open_network(content, PATH, 0)


def elsewhere(tensor: onnx.TensorProto) -> onnx.TensorProto:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def tensor() -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(1, np.float32), "w")


def add_of(name: str) -> onnx.NodeProto:
    return helper.make_node("Add", ["x", name], ["y"])


def in_weights(external: onnx.TensorProto) -> onnx.ModelProto:
    return model([add_of("w")], [external])


def in_attribute(external: onnx.TensorProto) -> onnx.ModelProto:
    return model([helper.make_node("Constant", [], ["w"], value=external), add_of("w")])


def in_attribute_list(external: onnx.TensorProto) -> onnx.ModelProto:
    node = add_of("x")
    node.attribute.add(name="odd", type=onnx.AttributeProto.TENSORS, tensors=[external])
    return model([node])


def branch(external: onnx.TensorProto) -> onnx.ModelProto:
    inner = helper.make_graph([add_of("w")], "b", [], [port("y")], [external])
    true = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    return model([node], [true])


def in_function(external: onnx.TensorProto) -> onnx.ModelProto:
    nodes = [helper.make_node("Constant", [], ["w"], value=external), add_of("w")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    function = helper.make_function("mine", "F", ["x"], ["y"], nodes, opsets[:1])
    call = helper.make_node("F", ["x"], ["y"], domain="mine")
    return helper.make_model(graph([call]), opset_imports=opsets, functions=[function])


def in_sparse_weights(external: onnx.TensorProto) -> onnx.ModelProto:
    places = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    sparse = helper.make_sparse_tensor(external, places, [1])
    return helper.make_model(graph([add_of("w")], sparse_initializer=[sparse]))


def in_training(external: onnx.TensorProto) -> onnx.ModelProto:
    made = adding()
    made.training_info.add().algorithm.CopyFrom(graph([add_of("w")], [external]))
    return made


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (in_weights, "keeps its weights in another file"),
        (in_attribute, "keeps its weights in another file"),
        (in_attribute_list, "keeps its weights in another file"),
        (branch, "a loop or on a condition"),
        (in_function, "defines functions"),
        (in_sparse_weights, "sparse weights"),
        (in_training, "training program"),
    ],
)
def test_weights_elsewhere_wherever_they_may_stand(
    make: Callable[[onnx.TensorProto], onnx.ModelProto], said: str
) -> None:
    with pytest.raises(BundleError, match=rf"some\.onnx .*{said}.*refused"):
        check_network(make(elsewhere(tensor())).SerializeToString(), PATH)


def test_half_of_what_external_weights_need_is_refused_too() -> None:
    location, keys = tensor(), tensor()
    location.data_location = TensorProto.EXTERNAL
    keys.external_data.add(key="offset", value="0")
    for external in (location, keys):
        with pytest.raises(BundleError, match="keeps its weights in another file"):
            check_network(in_weights(external).SerializeToString(), PATH)


KEY = b"\x0a\x08location"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (KEY, b"\x0a\x88\x00location"),  # length 8, written in two bytes
        (KEY, b"\x8a\x00\x08location"),  # the tag, written in two
        (KEY, b"\x0a\x88\x80\x80\x80\x00location"),
    ],
)
def test_numbers_that_are_written_longer_hide_nothing(old: bytes, new: bytes) -> None:
    """The network is the one of the reports: it was looked for as a string of bytes."""
    external = elsewhere(tensor()).SerializeToString()
    assert external.count(old) == 1
    entry = external.index(old) - 1  # the length of the entry goes before its key
    grown = bytearray(external.replace(old, new))
    grown[entry] += len(new) - len(old)
    weights = b"\x2a" + bytes([len(grown)]) + bytes(grown)
    node = add_of("w").SerializeToString()
    body = b"\x0a" + bytes([len(node)]) + node + weights
    content = b"\x08\x08\x3a" + bytes([len(body)]) + body
    with pytest.raises(BundleError, match="keeps its weights in another file"):
        check_network(content, PATH)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x08\x88\x00" + b"\x3a\x00", "shortest way"),
        (b"\x08\x08\xba\x00\x00", "shortest way"),  # the tag of the graph
        (b"\x08\x08\x3a\x80\x00", "shortest way"),
        (b"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "shortest way|ends after"),
        (b"\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "without end"),
        (b"\x08" + b"\xff" * 40, "without end"),
        (b"\x08\x08\x3a\x05\x00", "ends after"),
        (b"\x08\x08\x3b\x3c\x3a\x00", "type 3"),  # a group
        (b"\x08\x08\x3a\x00\x3c", "type 4"),
        (b"\x08\x08\x3a\x00\x06", "field 0"),
        (b"\x08\x08\x38\x01", "is no message"),
        (b"\x08\x08\x3a\x00\x3a\x00", "expected one graph, got 2"),  # others would merge them
        (b"\x08\x08", "expected one graph, got 0"),
        (b"\x08\x08" * 1_100_000, "1,000,000 fields"),
        (b"", "something else"),
        (b"PK\x03\x04", "a pickle"),
    ],
)
def test_what_no_exporter_writes(content: bytes, said: str) -> None:
    with pytest.raises(BundleError, match=rf"some\.onnx: expected an ONNX network.*({said})"):
        check_network(content, PATH)


def test_endless_loops_are_refused() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["still_on"]),
            helper.make_node("Identity", ["x_in"], ["x_out"]),
        ],
        "body",
        [port("n", [], TensorProto.INT64), port("on", [], TensorProto.BOOL), port("x_in")],
        [port("still_on", [], TensorProto.BOOL), port("x_out")],
    )
    true = helper.make_tensor("t", TensorProto.BOOL, [], [True])
    loop = helper.make_node("Loop", ["", "t", "x"], ["y"], body=body)
    with pytest.raises(BundleError, match="runs in a loop or on a condition"):
        open_network(model([loop], [true]).SerializeToString(), PATH, 1)


@pytest.mark.parametrize("domain", ["com.microsoft", "ai.onnx.ml", "mine"])
def test_operators_of_other_kinds_are_refused(domain: str) -> None:
    node = helper.make_node("EPContext", ["x"], ["y"], domain=domain, ep_cache_context="secret")
    with pytest.raises(BundleError, match=f"uses operators of '{domain}'"):
        check_network(model([node]).SerializeToString(), PATH)


def test_a_file_that_begins_like_the_other_format_of_the_runtime() -> None:
    """``ORTM`` at the fifth byte: ONNX Runtime would take it for its own format."""
    content = adding().SerializeToString()
    disguised = content[:2] + b"\x12\x04ORTM" + content[2:]
    assert disguised[4:8] == b"ORTM"
    np.testing.assert_array_equal(run(disguised)[0], [2, 2])


def test_a_network_that_fails_is_told_of() -> None:
    place = numpy_helper.from_array(np.array([7], np.int64), "i")
    content = model([helper.make_node("Gather", ["x", "i"], ["y"])], [place])
    with pytest.raises(BundleError, match=r"some\.onnx: the network failed"):
        run(content.SerializeToString())


@pytest.mark.parametrize("shape", [[], ["N", "M"]])
def test_outputs_without_their_sizes_are_refused(shape: list) -> None:
    content = adding()
    content.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, shape))
    with pytest.raises(BundleError, match=r"(say their sizes|cannot load)"):
        run(content.SerializeToString())


def test_outputs_are_numbers_of_the_declared_sizes() -> None:
    whole = model([helper.make_node("Shape", ["x"], ["y"])])
    whole.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(BundleError, match=r"expected 'y' as numbers of .*got int64 of \(1,\)"):
        run(whole.SerializeToString())


OPEN = """
import numpy as np
from pathlib import Path
from chereme.formats.networks import open_network
network = open_network(Path(sys.argv[1]).read_bytes(), Path("some.onnx"), 1)
print(network.run(None, {"x": np.ones(2, np.float32)}))
"""
MEGABYTES = 2500  # stands in docs/limits.md


def zeros() -> onnx.ModelProto:
    size = numpy_helper.from_array(np.array([5 * LARGE], np.int64), "s")
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["c"]),
        helper.make_node("ReduceSum", ["c"], ["w"]),
        add_of("w"),
    ]
    return model(nodes, [size])


def expanded() -> onnx.ModelProto:
    size = numpy_helper.from_array(np.array([LARGE, 1], np.int64), "s")
    nodes = [helper.make_node("Expand", ["x", "s"], ["w"]), helper.make_node("Sign", ["w"], ["y"])]
    return model(nodes, [size])


def doubled() -> onnx.ModelProto:
    names = ["x", *(f"x{n}" for n in range(30))]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairwise(names)]
    return model([*nodes, helper.make_node("Sign", [names[-1]], ["y"])])


@NEEDS_PROC
@pytest.mark.parametrize("make", [zeros, expanded, doubled])
def test_what_a_network_asks_for_has_an_end(tmp_path: Path, make: Callable) -> None:
    (tmp_path / "n.onnx").write_bytes(make().SerializeToString())
    ended = run_child(OPEN, tmp_path / "n.onnx")
    assert ended.output.startswith("BundleError: some.onnx: ")
    assert ended.peak < MEGABYTES
