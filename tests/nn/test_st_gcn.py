"""ST-GCN against golden numbers of its graph and an implementation of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chereme.errors import UsageError
from chereme.nn.hand_graph import adjacency
from chereme.nn.st_gcn import StGcn, StGcnConfig

TINY = StGcnConfig(channels=(6, 6, 8), strides=(1, 1, 2), kernel=3)


def made(config: StGcnConfig = TINY, *, seed: int = 0) -> StGcn:
    torch.manual_seed(seed)
    network = StGcn(config, adjacency("spatial"))
    for parameter in network.parameters():  # no ones and zeros that hide a mistake
        torch.nn.init.normal_(parameter, std=0.3)
    for layer in network.layers:
        torch.nn.init.uniform_(layer.graph.mask, 0.5, 1.5)
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            buffer.normal_(std=0.3)
    return network


# -- the graph ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("distances", "sizes"), [("upstream", [21, 30, 10]), ("bfs", [21, 20, 20])]
)
def test_partition_of_the_hand_has_the_published_sizes(distances, sizes) -> None:
    network = StGcn(TINY, adjacency("spatial", distances=distances))
    for layer in network.layers:
        assert [int(k.count_nonzero()) for k in layer.graph.subsets] == sizes


def test_column_normalisation_has_the_published_values() -> None:
    network = StGcn(TINY, adjacency("spatial", distances="upstream"))
    a = network.layers[0].graph.subsets
    torch.testing.assert_close(a.sum((0, 1)), torch.ones(21))
    values = torch.stack([a[0, 0, 0], a[1, 1, 0], a[2, 0, 1], a[0, 4, 4]])
    torch.testing.assert_close(values, torch.tensor([1 / 6, 1 / 6, 1 / 3, 1 / 2]))


def test_masks_start_at_one_and_belong_to_each_layer() -> None:
    network = StGcn(TINY, adjacency("spatial"))
    masks = [layer.graph.mask for layer in network.layers]
    assert all(torch.equal(mask, torch.ones(3, 21, 21)) for mask in masks)
    assert len({id(mask) for mask in masks}) == 3
    assert len(StGcnConfig().channels) == 10


# -- the network ----------------------------------------------------------------------------------
def printed(a: Tensor) -> Tensor:
    """Eq. 4 of paper B, one subset at a time; the published network has sources in rows."""
    out = []
    for subset in a.transpose(1, 2):
        degree = subset.sum(1)
        degree = degree + 1e-3  # ST-GCN's alpha
        out.append((torch.diag(degree**-0.5) @ subset @ torch.diag(degree**0.5)).T)
    return torch.stack(out)


def column(a: Tensor) -> Tensor:
    return torch.stack([subset @ torch.diag(1 / a.sum((0, 1))) for subset in a])


def reference(network: StGcn, x: Tensor) -> Tensor:
    """The published network in its own layout ``(N, C, T, V)``, at inference."""

    def norm(module, y):
        return F.batch_norm(
            y, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps
        )

    n, t, v, c = x.shape
    y = norm(network.input_norm, x.permute(0, 2, 3, 1).reshape(n, v * c, t))
    y = y.reshape(n, v, c, t).permute(0, 2, 3, 1)
    plain = adjacency("spatial")
    for number, layer in enumerate(network.layers):
        mask = layer.graph.mask
        if network.config.normalisation == "column":
            graph = column(plain) * mask
        else:
            graph = printed(plain * mask)
        weight, bias = layer.graph.weights.weight, layer.graph.weights.bias
        z = F.conv2d(y, weight[:, :, None, None], bias)
        z = z.view(n, 3, -1, *z.shape[2:])
        z = norm(layer.graph_norm, torch.einsum("nkctv,kvw->nctw", z, graph)).relu()
        stride = network.config.strides[number]
        pad = network.config.kernel // 2
        z = F.conv2d(z, layer.temporal.weight, layer.temporal.bias, (stride, 1), (pad, 0))
        z = norm(layer.temporal_norm, z)
        if layer.project is not None:
            z = z + norm(layer.project_norm, layer.project(y))
        elif number:
            z = z + y
        y = z.relu()
    return y.mean((2, 3))


@pytest.mark.parametrize("normalisation", ["column", "printed"])
@pytest.mark.parametrize("frames", [1, 6, 7])
def test_agrees_with_the_published_network(normalisation, frames) -> None:
    config = StGcnConfig(TINY.channels, TINY.strides, 3, normalisation=normalisation)
    network, x = made(config).eval(), torch.randn(2, frames, 21, 3)
    torch.testing.assert_close(network(x), reference(network, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_nothing(training: bool) -> None:
    network, other = made().train(training), made().train(training)
    x = torch.randn(2, 5, 21, 3)
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    padded = torch.full((2, 9, 21, 3), torch.nan)
    padded[:, :5] = x.where(mask[..., None, None], torch.inf)
    longer = F.pad(mask, (0, 4))
    torch.testing.assert_close(network(x, mask), other(padded, longer))
    for (name, one), two in zip(network.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(one, two, msg=name)
    if not training:  # nor does the rest of the batch
        torch.testing.assert_close(network(x, mask)[1:], network(x[1:, :3]))


def test_a_missing_frame_is_not_read_and_takes_its_time() -> None:
    network, x = made().eval(), torch.randn(1, 6, 21, 3)
    gap = torch.tensor([[True, True, False, True, True, True]])
    out = network(x, gap)
    x[0, 2] = torch.nan
    torch.testing.assert_close(network(x, gap), out)
    assert not torch.allclose(network(x[gap][None]), out)


def test_a_sequence_of_no_frames_gives_zeros() -> None:
    network, x = made(), torch.randn(2, 4, 21, 3)
    mask = torch.tensor([[True] * 4, [False] * 4])
    for training in (True, False):
        out = network.train(training)(x, mask)
        assert torch.isfinite(out).all()
        assert out[0].any()
        assert not out[1].any()


def test_every_parameter_learns() -> None:
    network = made().train()
    (network(torch.randn(3, 6, 21, 3)) * torch.randn(8)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_wrong_shapes_and_sizes_are_told() -> None:
    with pytest.raises(UsageError, match="one for each of 3"):
        made(StGcnConfig(channels=(4, 4, 4), strides=(1, 2)))
    with pytest.raises(UsageError, match="odd"):
        made(StGcnConfig(channels=(4,), strides=(1,), kernel=4))
