"""A graph of ONNX that can be changed: its nodes in order, and its weights as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from chereme._imports import require

Sizes = dict[str, list[int | str]]  # by name of an input or output; a size left open is a name
OPSET, IR_VERSION = 20, 9  # AffineGrid came with 20


class Graph:
    """``nodes`` of ONNX in the order in which they run, and ``weights`` by name."""

    def __init__(self, model: Any) -> None:
        self._onnx: Any = require("onnx", extra="train")
        self.nodes: list[Any] = list(model.graph.node)
        self.weights: dict[str, NDArray[Any]] = {
            weight.name: self._onnx.numpy_helper.to_array(weight)
            for weight in model.graph.initializer
        }

    def of(self, kind: str) -> list[Any]:
        """The nodes of an operator."""
        return [node for node in self.nodes if node.op_type == kind]

    def maker(self, name: str) -> Any:
        """The node that puts out ``name``."""
        (found,) = (node for node in self.nodes if name in node.output)
        return found

    def users(self, name: str) -> list[Any]:
        """The nodes that read ``name``."""
        return [node for node in self.nodes if name in node.input]

    def node(self, kind: str, inputs: Iterable[str], outputs: Iterable[str], **options: Any) -> Any:
        """A new node, which is not in the graph yet."""
        return self._onnx.helper.make_node(kind, list(inputs), list(outputs), **options)

    def like(self, node: Any, inputs: Iterable[str], outputs: Iterable[str]) -> Any:
        """A new node with the options of another."""
        read = self._onnx.helper.get_attribute_value
        options = {option.name: read(option) for option in node.attribute}
        return self.node(node.op_type, inputs, outputs, **options)

    def insert(self, before: Any, *nodes: Any) -> None:
        """Puts nodes before one of the graph, or before the one at a place."""
        place = before if isinstance(before, int) else self._place(before)
        self.nodes[place:place] = nodes

    def replace(self, old: Any, *nodes: Any) -> None:
        """Puts nodes in the place of one."""
        place = self._place(old)
        self.nodes[place : place + 1] = nodes

    def remove(self, *nodes: Any) -> None:
        """Takes nodes out."""
        for node in nodes:
            del self.nodes[self._place(node)]

    def _place(self, node: Any) -> int:
        (place,) = (place for place, other in enumerate(self.nodes) if other is node)
        return place

    def rename(self, names: Mapping[str, str]) -> None:
        """Gives weights and what nodes read and put out other names."""
        for node in self.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        self.weights = {names.get(name, name): weight for name, weight in self.weights.items()}

    def tidy(self, kept: Iterable[str]) -> None:
        """Names nodes by operator and number, and all but what is ``kept`` by its node."""
        names = {name: name for name in kept}
        counts: Counter[str] = Counter()
        for node in self.nodes:
            node.name = f"{node.op_type.lower()}_{counts[node.op_type]}"
            counts[node.op_type] += 1
            for place, name in enumerate(node.input):
                if name in self.weights:
                    names.setdefault(name, f"{node.name}.{place}")
            for name in node.output:
                names.setdefault(name, node.name)
        self.rename(names)

    def write(self, inputs: Sizes, outputs: Sizes) -> bytes:
        """The ONNX file, with the weights that are read; ``places`` and outputs are floats, other
        inputs uint8."""
        helper, types = self._onnx.helper, self._onnx.TensorProto
        read = {name for node in self.nodes for name in node.input}
        model = helper.make_model(
            helper.make_graph(
                self.nodes,
                "hand",
                [
                    helper.make_tensor_value_info(
                        name, types.FLOAT if name == "places" else types.UINT8, sizes
                    )
                    for name, sizes in inputs.items()
                ],
                [
                    helper.make_tensor_value_info(name, types.FLOAT, sizes)
                    for name, sizes in outputs.items()
                ],
                [
                    self._onnx.numpy_helper.from_array(weight, name)
                    for name, weight in self.weights.items()
                    if name in read
                ],
            ),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="chereme",
        )
        self._onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content
