import numpy as np
import pytest

from chereme.decoding import OnnxLanguageModel, beam_search
from chereme.decoding.language_model import text_log_probabilities
from chereme.errors import BundleError


@pytest.fixture(scope="module")
def counter_lm(tmp_path_factory):
    """A hand-made graph: the hidden state sums the tokens, and its symbol gets the probability."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["tokens"], ["as_float"], to=types.FLOAT),
        helper.make_node("Unsqueeze", ["as_float", "axes"], ["added"]),
        helper.make_node("Add", ["hidden", "added"], ["next_hidden"]),
        helper.make_node("Squeeze", ["next_hidden", "first"], ["sum"]),
        helper.make_node("Mul", ["sum", "direction"], ["scores"]),
        helper.make_node("LogSoftmax", ["scores"], ["log_probs"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "lm",
        [
            helper.make_tensor_value_info("tokens", types.INT64, ["batch"]),
            helper.make_tensor_value_info("hidden", types.FLOAT, [1, "batch", 1]),
        ],
        [
            helper.make_tensor_value_info("log_probs", types.FLOAT, ["batch", 4]),
            helper.make_tensor_value_info("next_hidden", types.FLOAT, [1, "batch", 1]),
        ],
        [
            onnx.numpy_helper.from_array(np.array([0, 2]), "axes"),
            onnx.numpy_helper.from_array(np.array([0]), "first"),
            onnx.numpy_helper.from_array(np.array([[0, 1, 2, 3]], np.float32), "direction"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path_factory.mktemp("lm") / "lm.onnx"
    onnx.save(model, path)
    return path


def log_softmax(sum_of_tokens):
    scores = np.arange(4) * sum_of_tokens
    return scores - np.log(np.exp(scores).sum())


def test_states_of_a_batch_are_kept_apart(counter_lm):
    lm = OnnxLanguageModel(counter_lm)
    log_probs, (one, two) = lm.step([lm.start(), lm.start()], [1, 2])
    np.testing.assert_allclose(log_probs, [log_softmax(1), log_softmax(2)], atol=1e-6)
    log_probs, _ = lm.step([two, one, two], [0, 0, 1])
    np.testing.assert_allclose(
        log_probs, [log_softmax(2), log_softmax(1), log_softmax(3)], atol=1e-6
    )


def test_beam_search_scores_by_it(counter_lm, golden, oracle):
    found = beam_search(golden, width=10_000, lm=OnnxLanguageModel(counter_lm), alpha=0.5)
    exact = oracle(golden)
    for hypothesis in found:
        sums = np.cumsum([0, *hypothesis.symbols])
        steps = zip(sums, [*hypothesis.symbols, 0], strict=True)
        log_lm = sum(log_softmax(total)[then] for total, then in steps)
        assert hypothesis.log_lm == pytest.approx(log_lm, abs=1e-4)
        expected = exact[hypothesis.symbols] + 0.5 * log_lm
        assert hypothesis.score == pytest.approx(expected, abs=1e-4)


def test_broken_files(tmp_path):
    onnx = pytest.importorskip("onnx")
    with pytest.raises(BundleError, match=r"absent\.onnx: expected a language model"):
        OnnxLanguageModel(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("not a graph")
    with pytest.raises(BundleError, match="expected a language model"):
        OnnxLanguageModel(tmp_path / "text.onnx")

    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["frames"], ["features"])],
        "encoder",
        [value("frames", onnx.TensorProto.FLOAT, [1])],
        [value("features", onnx.TensorProto.FLOAT, [1])],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "e.onnx")
    with pytest.raises(BundleError, match="another network's file"):
        OnnxLanguageModel(tmp_path / "e.onnx")


def test_whole_texts_with_their_ends(bigrams):
    lm = bigrams(4)
    texts = [(), (1,), (3, 2, 2, 1), (2, 3)]
    found = text_log_probabilities(lm, texts)
    np.testing.assert_allclose(found, [lm.score(text) for text in texts], atol=1e-12)
    assert lm.calls == [4, 3, 2, 1, 1]  # one call a position, of the texts that reach it
    assert text_log_probabilities(lm, []).shape == (0,)
