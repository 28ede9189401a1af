"""Against the numbers that the published code of ST-GCN gives for the same hand."""

import math

import numpy as np
import pytest
import torch

from chereme.errors import UsageError
from chereme.nn.hand_graph import (
    CLUSTERS,
    EDGES,
    PALM_EDGES,
    SYMMETRIC_EDGES,
    GraphConvolution,
    adjacency,
    normalised,
)


def test_the_hand_has_twenty_bones_and_a_palm_of_mediapipe_has_one_more_edge() -> None:
    assert len(EDGES) == 20
    assert {(0, 1), (0, 5), (0, 9), (0, 13), (0, 17), (1, 2), (19, 20)} <= set(EDGES)
    palm = {(0, 1), (0, 5), (0, 17), (5, 9), (9, 13), (13, 17)}
    chains = {(a, b) for a, b in EDGES if a != 0}
    assert set(PALM_EDGES) == palm | chains
    assert len(PALM_EDGES) == 21


def test_symmetric_edges_join_the_same_rank_of_neighbouring_fingers() -> None:
    assert {(4, 8), (8, 12), (12, 16), (16, 20), (1, 5), (6, 10)} <= set(SYMMETRIC_EDGES)
    assert len(SYMMETRIC_EDGES) == 16
    assert not set(SYMMETRIC_EDGES) & set(EDGES)


def test_clusters_hold_every_joint_once() -> None:
    assert sorted(joint for cluster in CLUSTERS for joint in cluster) == list(range(21))


@pytest.mark.parametrize(
    ("distances", "counts"), [("upstream", [21, 30, 10]), ("bfs", [21, 20, 20])]
)
def test_the_spatial_partition_has_the_published_and_the_corrected_subsets(
    distances: str, counts: list[int]
) -> None:
    subsets = adjacency("spatial", distances=distances)  # type: ignore[arg-type]
    assert [int(n) for n in subsets.sum((1, 2))] == counts
    graph = normalised(subsets)
    assert graph.sum((0, 1)).allclose(torch.ones(21))
    found = [graph[0, 0, 0], graph[1, 1, 0], graph[2, 0, 1], graph[0, 4, 4]]
    assert torch.stack(found).allclose(torch.tensor([1 / 6, 1 / 6, 1 / 3, 1 / 2]))


def test_upstream_puts_what_is_far_from_the_wrist_into_one_subset() -> None:
    # Joint 3 is nearer the wrist than 4: the corrected partition knows, the published does not.
    assert adjacency(distances="bfs")[:, 3, 4].tolist() == [0, 0, 1]
    assert adjacency(distances="upstream")[:, 3, 4].tolist() == [0, 1, 0]


def test_all_partitions_hold_the_same_neighbours() -> None:
    whole = adjacency("uniform", symmetric=SYMMETRIC_EDGES)
    assert whole.shape == (1, 21, 21)
    for partition, count in (("distance", 2), ("spatial", 4)):
        subsets = adjacency(partition, symmetric=SYMMETRIC_EDGES)  # type: ignore[arg-type]
        assert len(subsets) == count
        assert torch.equal(subsets.sum(0), whole[0])


def test_symmetric_connections_are_the_last_spatial_subset() -> None:
    subsets = adjacency(symmetric=SYMMETRIC_EDGES)
    assert torch.equal(subsets[:3], adjacency())
    assert {(int(a), int(b)) for a, b in subsets[3].nonzero() if a < b} == set(SYMMETRIC_EDGES)


def test_normalisations_of_a_path_by_hand() -> None:
    # 0 - 1 - 2: degrees with self connections 2, 3, 2.
    subsets = adjacency("uniform", edges=[(0, 1), (1, 2)], joints=3)
    assert normalised(subsets)[0, 0, 1] == pytest.approx(1 / 3)
    assert normalised(subsets)[0, 1, 0] == pytest.approx(1 / 2)
    low, high = 2.001, 3.001
    assert normalised(subsets, "symmetric")[0, 0, 1] == pytest.approx(1 / math.sqrt(low * high))
    assert normalised(subsets, "printed")[0, 0, 1] == pytest.approx(math.sqrt(low / high))
    assert normalised(subsets, "printed")[0, 1, 0] == pytest.approx(math.sqrt(high / low))


def test_equation_4_of_the_hand_model_aware_paper_as_it_is_printed() -> None:
    """``Z = sum_k D_k^-1/2 (A_k o M) D_k^1/2 J W_k`` with ``D_k^ii = sum_j T_k^ij``, in numpy."""
    rng = np.random.default_rng(0)
    subsets = adjacency("spatial")
    layer = GraphConvolution(3, 5, subsets, normalisation="printed", learnable=True)
    assert layer.mask is not None
    with torch.no_grad():
        layer.weights.bias.zero_()
        layer.mask.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, subsets.shape)))
    joints, weight = rng.normal(size=(21, 3)), layer.weights.weight.detach().view(3, 5, 3).numpy()
    wanted = np.zeros((21, 5))
    for k in range(3):
        masked = (subsets[k] * layer.mask.detach()[k]).numpy().T  # rows are targets, as printed
        degrees = np.diag(masked.sum(axis=1) + 1e-3)
        left, right = np.linalg.inv(np.sqrt(degrees)), np.sqrt(degrees)
        wanted += left @ masked @ right @ joints @ weight[k].T
    found = layer(torch.from_numpy(joints).float())
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-4, atol=1e-5)
    # The third subset of a fingertip is the joint before it, which takes in one joint itself.
    assert normalised(subsets, "printed")[2, 3, 4] == pytest.approx(1.0)
    # The wrist takes in none there: what it sends to a knuckle hardly counts.
    assert normalised(subsets, "printed")[2, 0, 5] == pytest.approx(math.sqrt(1e-3), rel=1e-3)


def test_a_joint_without_sources_stays_finite() -> None:
    for kind in ("column", "symmetric", "printed"):
        assert normalised(torch.zeros(2, 3, 3), kind).abs().max() == 0  # type: ignore[arg-type]


def test_a_convolution_by_hand() -> None:
    subsets = adjacency("distance", edges=[(0, 1)], joints=2)
    layer = GraphConvolution(1, 1, subsets)
    with torch.no_grad():
        layer.weights.weight.copy_(torch.tensor([[2.0], [10.0]]))  # itself, neighbours
        layer.weights.bias.copy_(torch.tensor([0.0, 4.0]))
    # Of the mean over two joints: (2 * 1 + 10 * 3 + 4) / 2 and (2 * 3 + 10 * 1 + 4) / 2.
    assert layer(torch.tensor([[1.0], [3.0]])).flatten().tolist() == [18.0, 10.0]


def test_a_convolution_adds_up_subsets_and_sources() -> None:
    torch.manual_seed(0)
    subsets = adjacency()
    layer = GraphConvolution(4, 6, subsets)
    x, graph = torch.randn(2, 3, 21, 4), normalised(subsets)
    weight, bias = layer.weights.weight.view(3, 6, 4), layer.weights.bias.view(3, 6)
    wanted = sum(graph[k].T @ (x @ weight[k].T + bias[k]) for k in range(3))
    assert layer(x).allclose(wanted, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["column", "symmetric", "printed"])
def test_every_connection_can_be_weighed(kind: str) -> None:
    subsets = adjacency()
    layer = GraphConvolution(
        2,
        3,
        subsets,
        normalisation=kind,  # type: ignore[arg-type]
        learnable=True,
    )
    x = torch.randn(4, 5, 21, 2)
    assert layer(x).shape == (4, 5, 21, 3)
    layer(x).square().sum().backward()
    assert layer.mask is not None
    assert layer.mask.grad is not None
    assert torch.equal(layer.mask.grad != 0, subsets != 0)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="partition"):
        adjacency("star")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="distances"):
        adjacency(distances="far")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="normalisation"):
        normalised(adjacency(), "row")  # type: ignore[arg-type]
