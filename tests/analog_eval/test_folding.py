"""Batch normalizations folded into the products next to them: exact, or told why not."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from analog_eval.normalization import (  # noqa: E402
    Folded,
    L1BatchNorm1d,
    convert_batchnorm,
    fold_batchnorm,
)

from .normalized_nets import SHAPES, images_net, inputs, randomized  # noqa: E402


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.second, self.norm2 = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)

    def forward(self, x):
        y = torch.relu(self.norm1(self.first(x)))
        return torch.relu(self.norm2(self.second(y)) + x)


def assert_folds(net, x, n_norms):
    """All norms are gone and outputs agree: to 1e-6 of their size in single precision, to 1e-12 in double."""
    for dtype, bound in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        net, x = net.to(dtype).eval(), x.to(dtype)
        before = copy.deepcopy(net.state_dict())
        folded = fold_batchnorm(net)
        expected = net(x)
        assert (folded(x) - expected).abs().max() <= bound * max(1.0, expected.abs().max())
        assert sum(isinstance(part, Folded) for part in folded.modules()) == n_norms
        assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in folded.modules())
        assert all(torch.equal(net.state_dict()[name], values) for name, values in before.items())


class TestFolding:
    @pytest.mark.parametrize("to", ["l2", "l1", "topk"])
    def test_after_products(self, to):
        net = randomized(convert_batchnorm(images_net(), to))
        assert_folds(net, torch.randn(5, 1, 6, 6), 3)
        assert_folds(
            randomized(convert_batchnorm(nn.Sequential(Residual(), Residual()), to)), torch.randn(3, 2, 5, 5), 4
        )

    @pytest.mark.parametrize(
        ("product", "shape"),
        [
            (nn.Linear(4, 3), (9, 4)),
            (nn.Linear(4, 3, bias=False), (9, 4)),
            (nn.Conv1d(4, 6, 3, groups=2), (9, 4, 7)),
            (nn.Conv2d(4, 4, 3, groups=4, stride=2, bias=False), (9, 4, 7, 7)),
            (nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"), (9, 4, 7, 7)),
            (nn.Conv2d(4, 3, 3, padding="valid", dilation=2), (9, 4, 7, 7)),
        ],
    )
    def test_before_products(self, product, shape):
        norm = nn.BatchNorm2d(4) if len(shape) == 4 else L1BatchNorm1d(4)
        assert_folds(randomized(nn.Sequential(nn.Identity(), norm, product, nn.Tanh())), torch.randn(shape), 1)

    @pytest.mark.parametrize("viewed", [False, True])
    def test_before_a_product_whose_input_is_written_to(self, viewed):
        class Skipped(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm, self.layer = nn.BatchNorm1d(3), nn.Linear(3, 3)

            def forward(self, x):
                x = x + 0.0
                z = self.norm(x.view(-1, 3) if viewed else x)
                skip = nn.functional.relu(x, inplace=True)
                return self.layer(z) + skip

        assert_folds(randomized(Skipped()), torch.randn(5, 3), 1)

    def test_without_affine_part(self):
        net = nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2, affine=False), nn.Flatten())
        assert_folds(randomized(net), torch.randn(4, 1, 3, 3, 3), 1)

    def test_it_is_idempotent_and_in_eval_mode(self):
        net = randomized(images_net()).train()
        once = fold_batchnorm(net)
        assert net.training
        assert not any(part.training for part in once.modules())
        x = torch.randn(5, 1, 6, 6)
        assert torch.equal(fold_batchnorm(once)(x), once(x))

    def test_zero_padding_is_exact_without_a_shift_only(self):
        net = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, padding=1))
        nn.init.uniform_(net[0].running_var, 0.5, 2.0)
        assert_folds(net, torch.randn(3, 2, 5, 5), 1)
        randomized(net)
        with pytest.raises(ValueError, match=r"0 \(BatchNorm2d\): the convolution after it pads with zeros"):
            fold_batchnorm(net)

    @pytest.mark.parametrize(
        ("layers", "match"),
        [
            (lambda: [nn.Linear(3, 3), nn.ReLU(), nn.BatchNorm1d(3)], r"2 \(BatchNorm1d\): no Linear or convolution"),
            (lambda: [nn.BatchNorm1d(3, track_running_stats=False), nn.Linear(3, 3)], "no running statistics"),
            (lambda: [nn.Linear(3, 3), *[nn.BatchNorm1d(3)] * 2], r"1 \(BatchNorm1d\): it is used 2 times"),
            (lambda: [nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), nn.BatchNorm1d(3)], "no Linear"),
        ],
    )
    def test_what_cannot_be_folded_is_told_or_left(self, layers, match):
        net = nn.Sequential(*layers()).double().eval()
        with pytest.raises(ValueError, match=match):
            fold_batchnorm(net)
        x = inputs((6, 3))
        torch.testing.assert_close(fold_batchnorm(net, strict=False)(x), net(x))

    def test_a_product_that_others_see(self):
        class Forked(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

            def forward(self, x):
                y = self.layer(x)
                return self.norm(y) + y

        with pytest.raises(ValueError, match="norm"):
            fold_batchnorm(Forked())

    @pytest.mark.parametrize(
        "read",
        [
            lambda net, x: nn.functional.linear(x, net.layer.weight),
            lambda net, x: x * net.layer.weight.abs().sum(),
            lambda net, x: x + net.layer.bias,
            lambda net, x: net.other[0](x),
            lambda net, x: x * net.norm.running_var,
            lambda net, x: x * net.norm.running_var.sqrt(),
            lambda net, x: x * net.tensors[0].abs().sum(),
            lambda net, x: x @ net.norm.weight.diag(),
        ],
    )
    def test_tensors_that_are_read_elsewhere(self, read):
        class Reading(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)
                # A list hides the layer from torch, but neither its call nor its kernel.
                self.other, self.tensors = [self.layer], [self.layer.weight]

            def forward(self, x):
                return self.norm(self.layer(x)) + read(self, x)

        net = randomized(Reading()).eval()
        with pytest.raises(ValueError, match="cannot fold norm"):
            fold_batchnorm(net)
        x = torch.randn(5, 3)
        assert torch.equal(fold_batchnorm(net, strict=False)(x), net(x))

    def test_types_and_shapes_may_be_read(self):
        class Asking(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

            def forward(self, x):
                return self.norm(self.layer(x.to(self.layer.weight.dtype))) / self.layer.weight.shape[0]

        assert_folds(randomized(Asking()), torch.randn(5, 3), 1)

    def test_parts_that_cannot_be_traced_are_passed_by(self):
        class Clip(nn.Module):
            def forward(self, x):
                return x if x.sum() > 0 else -x

        assert_folds(randomized(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), Clip())), torch.randn(5, 3), 1)

    def test_a_norm_that_does_more_than_its_class_says(self):
        class Doubling(nn.BatchNorm1d):
            def forward(self, x):
                return 2.0 * super().forward(x)

        hooked, patched, plain = nn.BatchNorm1d(3), nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        hooked.register_forward_hook(lambda module, inputs, output: 2.0 * output)
        patched.forward = lambda x: 2.0 * x
        watched = nn.BatchNorm1d(3)
        watched.register_full_backward_hook(lambda module, inputs, outputs: None)
        layer = nn.Linear(3, 3)
        layer.forward = lambda x: 2.0 * x
        product = nn.Sequential(layer, plain)
        for net in (
            *(nn.Sequential(nn.Linear(3, 3), norm) for norm in (Doubling(3), hooked, patched, watched)),
            product,
        ):
            randomized(net).eval()
            with pytest.raises(ValueError, match=r"cannot fold 1 .*(a forward or a hook of its own|no Linear or)"):
                fold_batchnorm(net)
            x = torch.randn(5, 3)
            assert torch.equal(fold_batchnorm(net, strict=False)(x), net(x))

    def test_a_norm_alone(self):
        with pytest.raises(ValueError, match=r"the module \(L1BatchNorm1d\): no product is next"):
            fold_batchnorm(L1BatchNorm1d(3))

    def test_what_cannot_be_traced(self):
        class Branching(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 3)

            def forward(self, x):
                return self.layer(x) if x.sum() > 0 else x

        with pytest.raises(TypeError, match=r"torch\.fx cannot trace Branching"):
            fold_batchnorm(Branching())
        with pytest.raises(TypeError, match=r"module must be a torch\.nn\.Module, got str"):
            fold_batchnorm("net")

    def test_inputs_for_which_it_would_be_wrong_are_errors(self):
        net = randomized(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))).eval()
        net(torch.ones(2, 3, 3))
        with pytest.raises(ValueError, match="folded for inputs of 2 dimensions, got 3"):
            fold_batchnorm(net)(torch.ones(2, 3, 3))

    def test_a_tied_kernel_keeps_its_other_use(self):
        net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
        net[2].weight = net[0].weight
        assert_folds(randomized(net), torch.randn(5, 3), 1)
