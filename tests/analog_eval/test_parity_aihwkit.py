"""Outputs of two small nets on drifting devices, beside what aihwkit's torch tile made of the same nets.

The stored statistics are of 5,000 programmings by aihwkit 1.1.0, each device of a pair drifting on its own and drift
read out exactly (see ``benchmarks/vs_aihwkit.py``). Compared are means and variances of outputs, 216 numbers in all:
were all differences chance, one of them would be beyond four joint standard errors in one of 70 choices of seeds, or
less often, since many numbers come from the same programming.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analog_eval import PCM, Periphery, drift_sweep

pytest.importorskip("torch")

from . import aihwkit_statistics as theirs

BOUND = 4.0
ENVIRONMENT = Path(__file__).parents[2] / ".venv-aihwkit" / "bin" / "python"


@pytest.fixture(scope="module")
def stored():
    with np.load(theirs.STORED) as arrays:
        return dict(arrays)


def drifted(arrays, device, n_draws=4000):
    """Return outputs of the perceptron without compensation or converters, multiplied out by hand."""
    rng = np.random.default_rng(0)
    first, second = (device.program(arrays[f"mlp:{name}"], rng, n_draws) for name in ("0.weight", "2.weight"))
    outputs = np.empty((n_draws, len(theirs.TIMES), theirs.N_ROWS, theirs.N_OUTPUTS))
    for i, seconds in enumerate(theirs.TIMES):
        hidden = arrays["X"] @ device.read(first, seconds).transpose(0, 2, 1) + arrays["mlp:0.bias"]
        outputs[:, i] = np.maximum(hidden, 0.0) @ device.read(second, seconds).transpose(0, 2, 1) + arrays["mlp:2.bias"]
    return outputs


def swept(arrays, net, periphery, n_draws=200):
    """Return outputs of a whole sweep with compensation, which a metric sees as predictions."""
    seen = []

    def keep(y_true, y_pred):
        seen.append(y_pred)
        return 0.0

    drift_sweep(
        theirs.with_weights(net, arrays),
        arrays["X"],
        np.zeros((theirs.N_ROWS, theirs.N_OUTPUTS)),
        periphery=periphery,
        times=theirs.TIMES,
        n_draws=n_draws,
        metric=keep,
        progress=False,
        random_state=0,
    )
    # The first prediction is the digital one.
    return np.array(seen[1:], dtype=np.float64).reshape(n_draws, len(theirs.TIMES), theirs.N_ROWS, theirs.N_OUTPUTS)


def greatest_difference(ours, arrays, net, case):
    """Return the greatest difference of means, and of variances, in joint standard errors."""
    aihwkit = {key: arrays[f"{net}:{case}:{key}"] for key in ours}
    return [
        np.abs((ours[key] - aihwkit[key]) / np.hypot(ours[f"{key}_se"], aihwkit[f"{key}_se"])).max()
        for key in ("mean", "variance")
    ]


def test_drift(stored):
    assert max(greatest_difference(theirs.moments(drifted(stored, PCM())), stored, "mlp", "drift")) < BOUND


@pytest.mark.parametrize("net", ["mlp", "cnn"])
def test_converters(stored, net):
    outputs = swept(stored, net, Periphery())
    assert max(greatest_difference(theirs.moments(outputs), stored, net, "converters")) < BOUND


@pytest.mark.parametrize(
    "wrong", [{"drift_scale": 1.03}, {"programming_scale": 1.1}, {"read_scale": 1.15}, {"g_min": 1.0}]
)
def test_it_tells_a_wrong_device(stored, wrong):
    outputs = drifted(stored, PCM(**wrong))
    assert max(greatest_difference(theirs.moments(outputs), stored, "mlp", "drift")) > BOUND


@pytest.mark.parametrize("wrong", [{"in_bits": 4}, {"out_bits": 6}])
def test_it_tells_a_wrong_converter(stored, wrong):
    outputs = swept(stored, "mlp", Periphery(**wrong))
    assert max(greatest_difference(theirs.moments(outputs), stored, "mlp", "converters")) > BOUND


@pytest.mark.slow
def test_the_stored_statistics(stored, tmp_path):
    own = importlib.util.find_spec("aihwkit") is not None
    if not own and not ENVIRONMENT.exists():
        pytest.skip("aihwkit is not installed; benchmarks/vs_aihwkit.py installs it into .venv-aihwkit")
    path = tmp_path / "fresh.npz"
    command = [sys.executable if own else ENVIRONMENT, theirs.__file__, "--draws", "500", "--seed", "1", "--out", path]
    subprocess.run([str(part) for part in command], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    with np.load(path) as fresh:
        assert all(np.array_equal(fresh[name], stored[name]) for name in stored if name.count(":") < 2)
        for net, case in theirs.MEASURED:
            again = {name.split(":")[2]: fresh[name] for name in fresh if name.startswith(f"{net}:{case}:")}
            assert max(greatest_difference(again, stored, net, case)) < BOUND
