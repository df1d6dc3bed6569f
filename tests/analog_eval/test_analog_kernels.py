"""Kernels that are multiplied elsewhere: which products they see, and that convolutions are those of torch."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from analog_eval.adapters import AnalogKernel, adapt

torch = pytest.importorskip("torch")
nn = torch.nn


class Elsewhere:
    """Exact products, counted."""

    def __init__(self, values):
        self.n_calls, values = 0, np.asarray(values)

        def multiply(rows, orient):
            self.n_calls += 1
            assert rows.ndim == 2
            return rows @ orient(values).T

        self.kernel = AnalogKernel.of(values, multiply)


class TestArrays:
    @pytest.mark.parametrize("shape", [(3, 5), (4, 4), (1, 4), (4, 1), (1, 1)])
    def test_products_on_either_side(self, rng, shape):
        values = rng.normal(size=shape)
        rows, columns = rng.normal(size=(6, shape[0])), rng.normal(size=(shape[1], 6))
        there = Elsewhere(values)
        for got, expected in (
            (rows @ there.kernel, rows @ values),
            (columns.T @ there.kernel.T, columns.T @ values.T),
            (there.kernel @ columns, values @ columns),
            (np.dot(rows, there.kernel), rows @ values),
            (np.matmul(rows[0], there.kernel.view()), rows[0] @ values),
            (there.kernel.transpose() @ rows[0], values.T @ rows[0]),
            (rows.reshape(2, 3, -1) @ there.kernel, (rows @ values).reshape(2, 3, -1)),
        ):
            assert type(got) is np.ndarray
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
        assert there.n_calls == 7

    def test_a_vector(self, rng):
        values, rows = rng.normal(size=5), rng.normal(size=(3, 5))
        there = Elsewhere(values)
        np.testing.assert_allclose(rows @ there.kernel, rows @ values, rtol=1e-12)
        assert there.n_calls == 1
        # On the left it is digital.
        np.testing.assert_allclose(there.kernel @ rows.T, values @ rows.T, rtol=1e-12)
        assert there.n_calls == 1

    def test_memory_is_free_as_soon_as_nobody_holds_it(self, rng):
        gc.disable()
        try:
            kernel = AnalogKernel.of(rng.normal(size=(4, 3)), lambda rows, orient: rows)
            watch = weakref.ref(kernel)
            view = kernel.T
            del kernel
            assert watch() is not None
            del view
            assert watch() is None
        finally:
            gc.enable()

    def test_all_else_is_plain(self, rng):
        values, rows = rng.normal(size=(4, 4)), rng.normal(size=(3, 4))
        there = Elsewhere(values)
        kernel = there.kernel
        for got, expected in (
            (rows @ kernel[:, :2], rows @ values[:, :2]),
            (rows @ (2.0 * kernel), rows @ (2.0 * values)),
            (rows @ kernel.copy(), rows @ values),
            (rows @ np.asarray(kernel), rows @ values),
            (rows.dot(kernel), rows @ values),
            (kernel @ kernel, values @ values),
            (np.einsum("ij,jk->ik", rows, kernel), rows @ values),
            (np.abs(kernel).sum(), np.abs(values).sum()),
        ):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
        assert there.n_calls == 0

    def test_types_and_shapes_are_those_of_numpy(self, rng):
        values = rng.normal(size=(4, 2)).astype(np.float32)
        there = Elsewhere(values)
        assert (np.ones((3, 4), np.float32) @ there.kernel).dtype == np.float32
        assert (np.ones((3, 4)) @ there.kernel).dtype == np.float64
        with pytest.raises(ValueError, match="matmul"):
            np.ones((3, 5)) @ there.kernel


def both(module, X):
    """Return the module's outputs by torch's products and by ours, and how many of ours there were."""
    adapter = adapt(module.double())
    inputs = adapter.transform(X)
    plain = [tensor.values for tensor in adapter.tensors]
    theres = {i: Elsewhere(values) for i, values in enumerate(plain) if adapter.tensors[i].role == "kernel"}
    ours = [theres[i].kernel if i in theres else values for i, values in enumerate(plain)]
    return adapter.outputs(plain, inputs), adapter.outputs(ours, inputs), [t.n_calls for t in theres.values()]


class TestModules:
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"stride": 2, "padding": 1},
            {"dilation": 2, "padding": 3, "bias": False},
            {"groups": 2},
            {"groups": 4, "out_channels": 8, "padding": "same"},
            {"kernel_size": 4, "padding": "same", "dilation": 2},
            {"padding": "valid", "stride": 3},
            {"padding": 2, "padding_mode": "circular"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("n_axes", [1, 2])
    def test_convolutions(self, rng, n_axes, settings):
        torch.manual_seed(0)
        convolution = (nn.Conv1d, nn.Conv2d)[n_axes - 1](
            **({"in_channels": 4, "out_channels": 6, "kernel_size": 3} | settings)
        )
        X = rng.normal(size=(5, 4, 11, 12)[: n_axes + 2])
        theirs, ours, calls = both(nn.Sequential(convolution, nn.Flatten()), X)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
        assert calls == [settings.get("groups", 1)]

    def test_two_axes_of_different_kinds(self, rng):
        settings = {"kernel_size": (2, 3), "stride": (1, 2), "padding": (0, 1), "dilation": (2, 1)}
        theirs, ours, _ = both(nn.Sequential(nn.Conv2d(3, 5, **settings), nn.Flatten()), rng.normal(size=(4, 3, 9, 8)))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)

    def test_many_images_in_parts(self, rng, monkeypatch):
        monkeypatch.setattr("analog_eval.adapters.modules.products._PATCHES", 2000)
        theirs, ours, calls = both(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten()), rng.normal(size=(9, 2, 6, 6)))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
        # 648 numbers an image, so three at a time.
        assert calls == [3]

    def test_an_image_alone(self, rng):
        from analog_eval.adapters.modules.products import AnalogProducts, by_analog_kernel

        weight = torch.from_numpy(rng.normal(size=(3, 2, 3)))
        image = torch.from_numpy(rng.normal(size=(2, 8)))
        expected = nn.functional.conv1d(image, weight)
        with AnalogProducts({id(weight): by_analog_kernel(Elsewhere(weight.numpy()).kernel)}):
            torch.testing.assert_close(nn.functional.conv1d(image, weight), expected)

    def test_functions_and_tied_weights(self, rng):
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
                self.second.weight = self.first.weight

            def forward(self, x):
                return nn.functional.linear(self.second(self.first(x)), self.first.weight)

        theirs, ours, calls = both(Tied(), rng.normal(size=(5, 6)))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        assert calls == [3]

    def test_what_is_no_such_product_stays(self, rng):
        class Turned(nn.Module):
            def __init__(self):
                super().__init__()
                self.linear, self.turned = nn.Linear(4, 4), nn.Parameter(torch.randn(4, 2))

            def forward(self, x):
                return self.linear(x) @ self.turned

        theirs, ours, calls = both(Turned(), rng.normal(size=(5, 4)))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        # Tensors of the module itself come first.
        assert calls == [0, 1]
