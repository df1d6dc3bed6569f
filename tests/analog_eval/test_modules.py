"""Torch modules: the stand-in answers as the module would, and the module stays as it is."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from analog_eval import ArrayModel, GaussianNoise, inject_noise, noise_sweep
from analog_eval.adapters import adapt, target_indices
from analog_eval.injection import NoisyTensors

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


from analog_eval.adapters.modules import stand_in  # noqa: E402
from analog_eval.normalization import TopKBatchNorm1d  # noqa: E402

from .module_nets import Tied, convolutional  # noqa: E402


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.lstm(x.view(len(x), 2, 4))[0][:, -1])


class Rows(nn.Module):
    """A function of all rows at once."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def across_rows(kind):
    """Return a layer for four channels by which the answer for a row depends on the others."""
    match kind:
        case "statistics":
            return nn.BatchNorm1d(4, track_running_stats=False)
        case "top":
            return TopKBatchNorm1d(4, k=10, track_running_stats=False)
        case "mean":
            return Rows(lambda x: x - x.mean(0))
        case "attention":
            return Rows(lambda x: torch.softmax(x @ x.T, dim=1) @ x)
        case "past":
            return Rows(lambda x: x.cumsum(0))
        case _:
            return Rows(lambda x: x.flip(0).cumsum(0).flip(0))


class Hidden(nn.Module):
    """A module that reaches its kernel through a list and a bound method, past what torch has registered."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)
        self.kernels, self.call = [self.layer.weight], self.layer.forward

    def forward(self, x):
        return self.call(x) + functional.linear(x, self.kernels[0])


class Counting(nn.Module):
    """A module that writes to a buffer and to its input in every call, and draws random numbers."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return self.layer(x.mul_(0.5)) * self.calls + torch.rand(3)


NETS = {
    "perceptron": lambda: nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)),
    "convolutional": convolutional,
    "normalized": lambda: nn.Sequential(
        nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.LayerNorm(6), nn.Linear(6, 3)
    ),
    "tied": lambda: Tied(same_object=True),
    "tied by memory": lambda: Tied(same_object=False),
    "recurrent": Recurrent,
    "hidden": Hidden,
    "transformer": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.TransformerEncoderLayer(4, 2, 16, batch_first=True), nn.Flatten(), nn.Linear(8, 3)
    ),
    "in place": lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 3)),
    "double": lambda: nn.Sequential(nn.Linear(8, 3)).double(),
}


@pytest.fixture(params=NETS)
def net(request):
    torch.manual_seed(0)
    module = NETS[request.param]()
    for name, values in (*module.named_parameters(), *module.named_buffers()):
        if values.ndim == 1:
            nn.init.uniform_(values, *((0.5, 2.0) if "var" in name else (-1.0, 1.0)))
    return module


@pytest.fixture
def rows(rng):
    return rng.normal(size=(40, 8))


def everything(module):
    """Identity and bytes of all state, the mode of every part, gradients, and torch's random state."""
    tensors = [(name, id(t), t.detach().numpy().tobytes(), t.grad) for name, t in module.named_parameters()]
    buffers = [(name, id(b), b.numpy().tobytes()) for name, b in module.named_buffers()]
    return tensors, buffers, [part.training for part in module.modules()], torch.get_rng_state().tolist()


def written(module, arrays):
    """A copy of the module, in eval mode, into which arrays were written by name."""
    twin = copy.deepcopy(module).eval()
    own = dict(twin.named_parameters(remove_duplicate=False)) | dict(twin.named_buffers())
    with torch.no_grad():
        for name, values in adapt(module).pack(arrays).items():
            own[name].copy_(torch.from_numpy(values))
        if isinstance(twin, Tied):
            twin.up.weight.copy_(twin.down.weight)
    return twin


class TestPredictions:
    @pytest.mark.parametrize("targets", ["weights", "state"])
    def test_are_those_of_a_copy_with_the_same_weights(self, net, rows, targets):
        adapter = adapt(net)
        noisy = NoisyTensors(adapter, GaussianNoise("std"), targets, 0)
        inputs = adapter.transform(rows)
        predict = adapter.predictor(inputs)
        for arrays in (noisy.clean, noisy.at(0.3, noisy.draw()), noisy.at(0.3, noisy.draw()), noisy.clean):
            with torch.no_grad():
                expected = written(net, arrays)(inputs.clone()).numpy()
            np.testing.assert_array_equal(predict(arrays), expected)
        assert (expected != predict(noisy.at(0.3, noisy.draw()))).any()

    def test_batches_make_no_difference(self, net, rows, monkeypatch):
        adapter = adapt(net)
        inputs, arrays = adapter.transform(rows), [tensor.values for tensor in adapter.tensors]
        whole = adapter.outputs(arrays, inputs)
        monkeypatch.setitem(stand_in._BATCH_BYTES, "cpu", 512)
        sizes = []
        net.register_forward_pre_hook(lambda module, arguments: sizes.append(len(arguments[0])))
        pieces = adapt(net).outputs(arrays, inputs)
        assert max(sizes) < 40
        assert sum(sizes) >= 40
        np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-5)

    def test_batches_are_as_large_as_memory_allows(self, monkeypatch):
        # Every row of 8 floats makes one of 100 and one of 5, so 420 bytes; the kernels count once, not by the row.
        module = nn.Sequential(nn.Linear(8, 100), nn.Linear(100, 5))
        monkeypatch.setitem(stand_in._BATCH_BYTES, "cpu", 4200)
        sizes = []
        module.register_forward_pre_hook(lambda module, arguments: sizes.append(len(arguments[0])))
        adapter = adapt(module)
        adapter.outputs([t.values for t in adapter.tensors], adapter.transform(np.zeros((25, 8))))
        assert sizes[-3:] == [10, 10, 5]

    @pytest.mark.parametrize("kind", ["statistics", "top", "mean", "attention", "past", "future"])
    def test_rows_that_see_each_other_stay_together(self, kind, rows, monkeypatch):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(8, 4), across_rows(kind), nn.Linear(4, 3)).eval()
        inputs = torch.tensor(rows, dtype=torch.float32)
        with torch.no_grad():
            whole, half = module(inputs), torch.cat([module(part) for part in inputs.split(20)])
        assert (whole - half).abs().max() > 1e-3
        monkeypatch.setitem(stand_in._BATCH_BYTES, "cpu", 1)
        adapter = adapt(module)
        got = adapter.outputs([t.values for t in adapter.tensors], adapter.transform(rows))
        np.testing.assert_allclose(got, whole, atol=1e-6)

    @pytest.mark.parametrize("kind", ["mean", "attention", "past", "future", None])
    def test_rows_that_see_each_other_are_found_in_spite_of_random_numbers(self, kind, rows, monkeypatch):
        torch.manual_seed(0)
        sizes = []
        drop = Rows(lambda x: functional.dropout(x, 0.2, training=True))
        module = nn.Sequential(nn.Linear(8, 4), nn.Identity() if kind is None else across_rows(kind), drop)
        module.register_forward_pre_hook(lambda module, arguments: sizes.append(len(arguments[0])))
        monkeypatch.setitem(stand_in._BATCH_BYTES, "cpu", 1)
        adapter = adapt(module)
        adapter.outputs([t.values for t in adapter.tensors], adapter.transform(rows))
        assert sizes[3:] == ([1] * 40 if kind is None else [40])

    @pytest.mark.parametrize("norm", [nn.InstanceNorm1d, nn.GroupNorm])
    def test_normalizations_of_single_rows_keep_to_the_memory(self, norm, rows, monkeypatch):
        sizes = []
        own = nn.InstanceNorm1d(2) if norm is nn.InstanceNorm1d else nn.GroupNorm(1, 2)
        module = nn.Sequential(nn.Unflatten(1, (2, 4)), own, nn.Flatten(), nn.Linear(8, 3))
        module.register_forward_pre_hook(lambda module, arguments: sizes.append(len(arguments[0])))
        monkeypatch.setitem(stand_in._BATCH_BYTES, "cpu", 1000)
        adapter = adapt(module)
        adapter.outputs([t.values for t in adapter.tensors], adapter.transform(rows))
        assert max(sizes) < 10

    def test_a_module_that_writes_and_draws_answers_the_same_every_time(self, rows):
        module = Counting()
        report = noise_sweep(module, rows, np.arange(40) % 3, levels=(0.0,), n_draws=4, random_state=0)
        assert (report.draws["score"] == report.clean).all()
        adapter = adapt(module)
        predict = adapter.predictor(adapter.transform(rows))
        np.testing.assert_array_equal(*(predict([t.values for t in adapter.tensors]) for _ in range(2)))

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_stays_half(self, rows, dtype):
        module = nn.Sequential(nn.Linear(8, 3)).to(getattr(torch, dtype))
        report = noise_sweep(module, rows, np.arange(40) % 3, levels=(0.5,), n_draws=2, random_state=0)
        assert np.isfinite(report.table["mean"]).all()
        before = module[0].weight.clone()
        with inject_noise(module, GaussianNoise("std"), 0.5, random_state=0):
            assert module[0].weight.dtype == getattr(torch, dtype)
            assert not torch.equal(module[0].weight, before)
        assert torch.equal(module[0].weight, before)


class TestTheModuleStaysAsItIs:
    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
    def test_after_a_sweep(self, net, rows, error, training):
        calls = []

        def metric(y_true, y_pred):
            calls.append(1)
            if error is not None and len(calls) == 3:
                raise error
            return float((y_true == y_pred).mean())

        net.train(training)
        next(iter(net.modules())).training = not training
        before, X = everything(net), rows.copy()
        if error is None:
            noise_sweep(net, rows, np.arange(40) % 3, n_draws=2, targets="state", metric=metric)
        else:
            with pytest.raises(error):
                noise_sweep(net, rows, np.arange(40) % 3, n_draws=2, targets="state", metric=metric)
        assert everything(net) == before
        assert np.array_equal(rows, X)

    def test_when_it_is_interrupted_inside(self, rows):
        module, stop = Counting(), []

        def interrupt(part, arguments):
            stop.append(1)
            if len(stop) == 9:
                raise KeyboardInterrupt

        module.layer.register_forward_pre_hook(interrupt)
        before = everything(module)
        with pytest.raises(KeyboardInterrupt):
            noise_sweep(module, rows, np.arange(40) % 3)
        assert everything(module) == before
        assert torch.is_grad_enabled()

    def test_tensors_that_are_rows_and_their_gradients(self, rows):
        X = torch.tensor(rows, dtype=torch.float32, requires_grad=True)
        module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 3))
        before = X.detach().clone()
        noise_sweep(module, X, torch.arange(40) % 3, n_draws=2)
        assert torch.equal(X, before)
        assert X.grad is None

    def test_train_mode_is_evaluated_in_eval_mode(self, rows):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
        y = np.arange(40) % 3
        tables = [noise_sweep(module.train(mode), rows, y, n_draws=3, random_state=0).table for mode in (True, False)]
        pd.testing.assert_frame_equal(*tables)


class TestSweeps:
    def test_agree_with_scikit_learn(self, logistic, linear, cancer, diabetes):
        """The same kernel, of the same shape, gets the same noise, and so the same score in every draw."""
        for model, (X, y), truth in ((logistic, cancer, np.int64), (linear, diabetes, np.float64)):
            module = nn.Linear(X.shape[1], 1).double()
            with torch.no_grad():
                module.weight.copy_(torch.tensor(np.atleast_2d(model.coef_)))
                module.bias.copy_(torch.tensor(model.intercept_))
            arrays = ArrayModel([np.atleast_2d(model.coef_)], lambda a, X, b=model.intercept_: (X @ a[0].T + b).ravel())
            other = model if truth is np.int64 else arrays
            one = noise_sweep(other, X, y, n_draws=10, random_state=0)
            two = noise_sweep(module, X, y.astype(truth), n_draws=10, random_state=0)
            assert one.metric == two.metric
            np.testing.assert_allclose(one.draws["score"], two.draws["score"], rtol=1e-9)
            np.testing.assert_allclose(one.table, two.table, rtol=1e-9)

    def test_any_metric(self, rows):
        torch.manual_seed(0)
        module, y = nn.Linear(8, 2), np.arange(40) % 2
        logits = module(torch.tensor(rows, dtype=torch.float32)).detach().numpy().astype(float)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        arguments = {"n_draws": 2, "random_state": 0}
        assert noise_sweep(module, rows, y, metric="roc_auc", **arguments).clean == pytest.approx(
            roc_auc_score(y, shares[:, 1]), abs=1e-6
        )
        likelihood = noise_sweep(module, rows, y, metric="neg_log_loss", **arguments)
        assert likelihood.clean == pytest.approx(-log_loss(y, shares), abs=1e-6)
        softened = noise_sweep(nn.Sequential(module, nn.Softmax(1)), rows, y, metric="neg_log_loss", **arguments)
        np.testing.assert_allclose(softened.table["mean"], likelihood.table["mean"], rtol=1e-4)

    def test_weights_of_rows(self, rows):
        torch.manual_seed(0)
        module, y, weights = nn.Linear(8, 2), np.arange(40) % 2, np.arange(40) % 3
        weighted = noise_sweep(module, rows, y, sample_weight=torch.tensor(weights), n_draws=2, random_state=0)
        repeated = noise_sweep(module, rows.repeat(weights, axis=0), y.repeat(weights), n_draws=2, random_state=0)
        np.testing.assert_allclose(weighted.table["mean"], repeated.table["mean"])


class TestInjection:
    @pytest.mark.parametrize("targets", ["weights", "parameters", "state"])
    def test_noisy_inside_identical_after(self, net, targets):
        before = everything(net)
        chosen = {adapt(net).tensors[i].name for i in target_indices(adapt(net).tensors, targets)}
        with inject_noise(net, GaussianNoise("absmax"), 0.1, targets=targets, random_state=0) as inside:
            assert inside is net
            now = everything(net)
            changed = {a[0] for a, b in zip(now[0] + now[1], before[0] + before[1], strict=True) if a[2] != b[2]}
            assert changed - {"up.weight"} == chosen
            assert [entry[:2] for entry in now[0]] == [entry[:2] for entry in before[0]]
        assert everything(net) == before

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_identical_after_an_exception(self, net, error):
        before = everything(net)
        with pytest.raises(error), inject_noise(net, GaussianNoise("absmax"), 0.1, targets="state"):
            raise error
        assert everything(net) == before

    def test_it_is_the_first_draw_of_a_sweep(self, rows):
        torch.manual_seed(0)
        module, y = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)), np.arange(40) % 3
        report = noise_sweep(module, rows, y, levels=(0.5,), n_draws=2, random_state=8)
        with inject_noise(module, GaussianNoise("std"), 0.5, random_state=8), torch.no_grad():
            labels = module(torch.tensor(rows, dtype=torch.float32)).argmax(1).numpy()
        assert (labels == y).mean() == pytest.approx(report.draws["score"][0])

    def test_blocks_nest(self):
        module = nn.Linear(3, 2)
        absolute, clean = GaussianNoise("absolute"), module.weight.clone()
        with inject_noise(module, absolute, 0.5, random_state=1):
            once = module.weight.clone()
            with inject_noise(module, absolute, 0.5, random_state=2):
                twice = module.weight.clone()
            assert torch.equal(module.weight, once)
        assert torch.equal(module.weight, clean)
        with inject_noise(module, absolute, 0.5, random_state=2):
            torch.testing.assert_close(twice - once, module.weight - clean)

    def test_gradients_at_noisy_weights_reach_the_module(self):
        module, x = nn.Linear(3, 1, bias=False), torch.ones(1, 3)
        clean = module.weight.detach().clone()
        with inject_noise(module, GaussianNoise("absmax"), 0.5, random_state=0):
            noisy = module.weight.detach().clone()
            (module(x) ** 2).sum().backward()
        torch.testing.assert_close(module.weight.grad, 2 * noisy.sum() * x)
        assert torch.equal(module.weight, clean)
        with inject_noise(module, GaussianNoise("absmax"), 0.5, random_state=0):
            loss = (module(x.requires_grad_()) ** 2).sum()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(rows):
    torch.manual_seed(0)
    module, y = nn.Linear(8, 3), np.arange(40) % 3
    on_cpu = noise_sweep(module, rows, y, n_draws=3, random_state=0)
    before = torch.cuda.get_rng_state()
    on_gpu = noise_sweep(module.cuda(), torch.tensor(rows).cuda(), torch.tensor(y).cuda(), n_draws=3, random_state=0)
    np.testing.assert_allclose(on_gpu.table["mean"], on_cpu.table["mean"], atol=0.03)
    assert torch.equal(torch.cuda.get_rng_state(), before)
