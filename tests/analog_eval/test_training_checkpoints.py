"""Runs that were killed go on as if they had not been, bit by bit; files of other runs are refused."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from analog_eval import Periphery  # noqa: E402
from analog_eval.training import (  # noqa: E402
    AddNormal,
    Clip,
    Distillation,
    DropConnect,
    InputRanges,
    harden,
    remap_channels,
)

KILLED = """
import os
import torch
torch.set_num_threads(1)
from test_training_checkpoints import arguments
from torch.nn import functional
from analog_eval.training import harden

n_batches = 0

def loss(outputs, y):
    global n_batches
    n_batches += 1
    if n_batches == {dies_at}:
        os._exit(9)  # nothing is cleaned up, as after a kill
    return functional.cross_entropy(outputs, y, reduction="none")

harden(**arguments(), loss=loss, checkpoint="run.pt")
"""


def loss(outputs, y):
    return nn.functional.cross_entropy(outputs, y, reduction="none")


loss.__qualname__ = "loss"


def model():
    torch.manual_seed(0)
    layers = [nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Dropout(0.2), nn.Linear(9, 3)]
    return remap_channels(nn.Sequential(*layers))


def arguments():
    """Everything that has a state: momenta, norms, dropout, scales, ranges, a held-out share, what was best so far."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 6))
    return {
        "model": model(),
        "X": X,
        "y": (X[:, 0] > 0).astype(int) + (X[:, 1] > 0),
        "sample_weight": rng.gamma(1.0, size=60),
        "recipe": AddNormal(0.1) + DropConnect(0.05),
        "clip": Clip(2.0),
        "periphery": Periphery.standard(),
        "input_ranges": InputRanges(learning_rate=0.1),
        "distillation": Distillation(),
        "learning_rate": 0.02,
        "epochs": 6,
        "batch_size": 12,
        "validation": 0.2,
        "random_state": 7,
        "progress": False,
    }


def assert_same(a, b):
    assert a.history.equals(b.history)
    assert a.best_epoch == b.best_epoch
    assert a.seed == b.seed
    assert a.input_scales == b.input_scales
    states = a.model.state_dict(), b.model.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(values, states[1][name]) for name, values in states[0].items())


@pytest.fixture
def one_thread():
    """Sums are rounded by the number of threads, and Adam makes steps of what rounding leaves of a gradient of zero."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("dies_at", [3, 47, 66])
def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path, monkeypatch, dies_at):
    """Four batches and six looks at held-out rows an epoch; the run dies in the middle of one, or before the first."""
    script = KILLED.format(dies_at=dies_at)
    path = [str(Path(__file__).parent), *sys.path]
    code = f"import sys; sys.path[:] = {path!r}\n{script}"
    dead = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=100)
    assert dead.returncode == 9, dead.stderr.decode()
    assert (tmp_path / "run.pt").exists() == (dies_at > 10)
    monkeypatch.chdir(tmp_path)
    seen = []

    def loss(outputs, y):
        seen.append(len(y))
        return nn.functional.cross_entropy(outputs, y, reduction="none")

    loss.__qualname__ = "loss"
    resumed = harden(**arguments(), loss=loss, checkpoint="run.pt")
    if dies_at > 10:
        assert len(seen) < 6 * 10
    assert_same(resumed, harden(**arguments(), loss=loss))


class Interrupted(Exception):
    pass


def interrupted_after(n_batches):
    left = [n_batches]

    def loss(outputs, y):
        left[0] -= 1
        if left[0] < 0:
            raise Interrupted
        return nn.functional.cross_entropy(outputs, y, reduction="none")

    loss.__qualname__ = "loss"
    return loss


def test_a_seed_that_was_not_given_is_kept(tmp_path):
    path, options = tmp_path / "run.pt", arguments() | {"random_state": None}
    with pytest.raises(Interrupted):
        harden(**options, loss=interrupted_after(33), checkpoint=path)
    resumed = harden(**options, loss=loss, checkpoint=path)
    assert_same(resumed, harden(**(options | {"random_state": resumed.seed}), loss=loss))


def test_a_run_that_was_done_is_only_read(tmp_path):
    path = tmp_path / "run.pt"
    done = harden(**arguments(), loss=loss, checkpoint=path)
    assert_same(done, harden(**arguments(), loss=loss, checkpoint=str(path)))
    read = harden(**arguments(), loss=interrupted_after(0), checkpoint=path)
    assert_same(done, read)


def test_patience_is_kept(tmp_path):
    path, options = tmp_path / "run.pt", arguments() | {"patience": 3, "learning_rate": 5.0}
    with pytest.raises(Interrupted):
        harden(**options, loss=interrupted_after(27), checkpoint=path)
    assert_same(harden(**options, loss=loss, checkpoint=path), harden(**options, loss=loss))


def test_a_write_that_was_cut_short_spoils_nothing(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        harden(**arguments(), loss=interrupted_after(33), checkpoint=path)
    before = path.read_bytes()

    def cut_short(content, file):
        file.write(b"half of a")
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", cut_short)
        with pytest.raises(OSError, match="no space left"):
            harden(**arguments(), loss=loss, checkpoint=path)
    assert path.read_bytes() == before
    assert_same(harden(**arguments(), loss=loss, checkpoint=path), harden(**arguments(), loss=loss))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"recipe": AddNormal(0.2)}, "recipe"),
        ({"clip": None}, "clip"),
        ({"distillation": None}, "distillation"),
        ({"epochs": 7}, "epochs"),
        ({"batch_size": 13}, "batch_size"),
        ({"learning_rate": 0.01}, "learning_rate"),
        ({"schedule": "constant"}, "schedule"),
        ({"random_state": 8}, "random_state"),
        ({"loss": "cross_entropy"}, "loss"),
    ],
)
def test_files_of_other_runs_are_refused(tmp_path, change, name):
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        harden(**arguments(), loss=interrupted_after(17), checkpoint=path)
    with pytest.raises(ValueError, match=f"is of another run: {name} was .*, now it is"):
        harden(**({"loss": loss} | arguments() | change), checkpoint=path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"sample_weight": None}, "the rows to train on"),
        ({"validation": 0.3}, "the rows to train on"),
        ({"model": nn.Linear(6, 3)}, "the model's weights"),
    ],
)
def test_files_of_other_rows_are_refused_without_fingerprints(tmp_path, change, what):
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        harden(**arguments(), loss=interrupted_after(17), checkpoint=path)
    with pytest.raises(ValueError, match=rf"is of another run: {what} differ\. Delete"):
        harden(**({"loss": loss} | arguments() | change), checkpoint=path)


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_what_is_no_checkpoint_is_refused(tmp_path, capsys):
    path = tmp_path / "run.pt"
    for content in ("garbage", {"version": 3}, {"version": 3, "settings": Evil(), "state": {}}):
        torch.save(content, path)
        with pytest.raises(ValueError, match="is no checkpoint of hardening"):
            harden(**arguments(), checkpoint=path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is no checkpoint of hardening: it is empty"):
        harden(**arguments(), checkpoint=path)
    path.write_bytes(b"half of a")
    with pytest.raises(ValueError, match="is no checkpoint of hardening"):
        harden(**arguments(), checkpoint=path)
    torch.save({"version": 2, "settings": {}, "state": {}}, path)
    with pytest.raises(ValueError, match="is of version 2, but this is version 3"):
        harden(**arguments(), checkpoint=path)
    assert "must not run" not in capsys.readouterr().out


def change_module(content):
    content["module"].popitem()


def change_epoch(content):
    content["progress"]["epoch"] = "two"


def change_weight(content):
    content["module"]["0.product.weight"][0, 0] += 1e-6


@pytest.mark.parametrize(
    "damage",
    [
        change_module,
        change_epoch,
        change_weight,
        lambda content: content["progress"].pop("best"),
        lambda content: content["progress"].update(epoch=-5),
        lambda content: content.update(optimizer={}),
        lambda content: content.update(module=None),
        lambda content: content.update(settings=3),
        lambda content: content["settings"].update(random_state="-1"),
        lambda content: content.pop("digest"),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        harden(**arguments(), loss=interrupted_after(17), checkpoint=path)
    content = torch.load(path, weights_only=True)
    damage(content)
    torch.save(content, path)
    for seed in (7, None):
        with pytest.raises(ValueError, match=r"checkpoint='.*run\.pt' is no checkpoint of hardening"):
            harden(**(arguments() | {"random_state": seed}), loss=loss, checkpoint=path)


def sgd(**options):
    return lambda parameters: torch.optim.SGD(parameters, **options)


def test_settings_of_the_optimizer_may_be_numpys(tmp_path):
    path, options = tmp_path / "run.pt", arguments() | {"learning_rate": None, "model": nn.Linear(6, 3)}
    options["optimizer"] = sgd(lr=np.float64(0.1), momentum=np.float32(0.5))
    with pytest.raises(Interrupted):
        harden(**options, loss=interrupted_after(17), checkpoint=path)
    assert_same(harden(**options, loss=loss, checkpoint=path), harden(**options, loss=loss))


def test_a_loader_that_leaves_out_rows_goes_on_the_same(tmp_path):
    """Its mean weight is that of a random part of the rows, the same one when the run goes on."""
    given = arguments() | {"validation": None, "model": nn.Linear(6, 3), "random_state": None}
    parts = [torch.from_numpy(given.pop(name)) for name in ("X", "y", "sample_weight")]
    dataset = torch.utils.data.TensorDataset(*parts)
    given["X"] = torch.utils.data.DataLoader(dataset, batch_size=25, shuffle=True, drop_last=True)
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        harden(**given, loss=interrupted_after(5), checkpoint=path)
    torch.rand(7)
    resumed = harden(**given, loss=loss, checkpoint=path)
    assert_same(resumed, harden(**(given | {"random_state": resumed.seed}), loss=loss))


def loader_with_generators(given):
    """Anew in every process: a loader with a generator, whose sampler, which leaves out rows, has another."""
    rows = torch.utils.data.TensorDataset(*(torch.from_numpy(given[name]) for name in ("X", "y", "sample_weight")))
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    sampler = torch.utils.data.RandomSampler(rows, num_samples=50, generator=generators[0])
    return torch.utils.data.DataLoader(rows, batch_size=25, sampler=sampler, generator=generators[1])


@pytest.mark.parametrize("again", [True, False])
def test_a_loader_with_generators_of_its_own_goes_on_the_same(tmp_path, again):
    """Whether it is made anew, as after a kill, or is the one whose epoch was interrupted."""
    given = arguments()
    loader = loader_with_generators(given)
    options = {name: value for name, value in given.items() if name not in ("X", "y", "sample_weight", "validation")}
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        harden(X=loader, **options, loss=interrupted_after(5), checkpoint=path)
    resumed = harden(X=loader_with_generators(given) if again else loader, **options, loss=loss, checkpoint=path)
    assert_same(resumed, harden(X=loader_with_generators(given), **options, loss=loss))


def test_functions_that_make_other_optimizers_are_told_apart(tmp_path):
    path, options = tmp_path / "run.pt", arguments() | {"learning_rate": None}
    with pytest.raises(Interrupted):
        harden(**options, optimizer=sgd(lr=0.1), loss=interrupted_after(17), checkpoint=path)
    with pytest.raises(ValueError, match=r"is of another run: optimizer settings was SGD .*0\.1.*, now it is .*0\.5"):
        harden(**options, optimizer=sgd(lr=0.5), loss=loss, checkpoint=path)


class Counting(nn.Module):
    """Has what ``state_dict`` leaves out, a buffer that grows, and what is no tensor."""

    def __init__(self, extra=()):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros(()), persistent=False)
        self.register_buffer("sizes", None, persistent=False)
        self.extra = {"calls": 0, "more": extra}

    def forward(self, x):
        if self.training:
            self.calls += 1.0
            self.extra["calls"] += 1
            size = torch.tensor([len(x)])
            self.sizes = size if self.sizes is None else torch.cat([self.sizes, size])
        return self.layer(x) * (1.0 + 0.1 * self.calls)

    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state):
        self.extra = copy.deepcopy(state)


def test_all_that_a_module_holds_is_kept(tmp_path):
    torch.manual_seed(0)
    path, options = tmp_path / "run.pt", arguments() | {"model": Counting(), "validation": None}
    with pytest.raises(Interrupted):
        harden(**options, loss=interrupted_after(12), checkpoint=path)
    resumed, whole = harden(**options, loss=loss, checkpoint=path), harden(**options, loss=loss)
    assert torch.equal(resumed.model.layer.weight, whole.model.layer.weight)
    assert torch.equal(resumed.model.sizes, whole.model.sizes)
    assert float(resumed.model.calls) == float(whole.model.calls) == 6 * 5
    assert resumed.model.extra == whole.model.extra == {"calls": 6 * 5, "more": ()}
    assert options["model"].extra["calls"] == 0


def test_the_best_epoch_has_its_own_buffers_and_extra_state():
    torch.manual_seed(0)
    result = harden(**(arguments() | {"model": Counting(), "learning_rate": 50.0}), loss=loss)
    assert result.best_epoch < 6
    assert float(result.model.calls) == result.model.extra["calls"] == result.best_epoch * 4


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    path = tmp_path / "run.pt"
    with pytest.raises(ValueError, match=r"checkpoint='.*run\.pt' cannot hold the state of this module or optimizer"):
        harden(**(arguments() | {"model": Counting(extra=Path("here"))}), loss=loss, checkpoint=path)
    assert list(tmp_path.iterdir()) == []
