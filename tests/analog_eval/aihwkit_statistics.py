"""Two small nets, and what aihwkit's torch tile makes of them; writes the statistics that a test compares with.

    .venv-aihwkit/bin/python tests/analog_eval/aihwkit_statistics.py

runs in the environment that ``benchmarks/vs_aihwkit.py`` installs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

STORED = Path(__file__).parent / "data" / "aihwkit.npz"
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TIMES = (0.0, 3600.0, 365 * 86400.0)
# Without compensation drift shows in the means. With converters it is compensated, as it is meant to be used.
CASES = {"drift": {"periphery": "perfect", "compensated": False}, "converters": {"periphery": "default"}}
MEASURED = (("mlp", "drift"), ("mlp", "converters"), ("cnn", "converters"))
N_ROWS, N_OUTPUTS = 3, 4


def build(name):
    if name == "mlp":
        return nn.Sequential(nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, N_OUTPUTS))
    head = [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, N_OUTPUTS)]
    return nn.Sequential(nn.Unflatten(1, (1, 6, 6)), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), *head)


def with_weights(name, arrays):
    """Return the net with the parameters that `arrays` has under its name."""
    net = build(name)
    net.load_state_dict({key: torch.from_numpy(arrays[f"{name}:{key}"]) for key in net.state_dict()})
    return net.eval()


def fixed():
    """Return rows of inputs, and parameters of both nets."""
    rng = np.random.default_rng(20)
    arrays = {"X": rng.uniform(-0.5, 1.0, size=(N_ROWS, 36))}
    for name in ("mlp", "cnn"):
        for key, values in build(name).state_dict().items():
            arrays[f"{name}:{key}"] = rng.normal(size=tuple(values.shape)) / np.sqrt(max(1, values[0].numel()))
    return {key: values.astype(np.float32) for key, values in arrays.items()}


def moments(outputs):
    """Return means and variances over the first axis, with the standard errors of both."""
    n, mean = len(outputs), outputs.mean(axis=0)
    squares = (outputs - mean) ** 2
    variance = squares.sum(axis=0) / (n - 1)
    # The variance of a sample variance, with the fourth moment as it is: clipped and drifted noise is not normal.
    return {
        "mean": mean,
        "mean_se": np.sqrt(variance / n),
        "variance": variance,
        "variance_se": np.sqrt(np.maximum((squares**2).mean(axis=0) - variance**2, 0.0) / n),
    }


@torch.no_grad()
def measured(net, X, n_draws, case):
    """Return aihwkit's outputs, of shape (n_draws, n_times, n_rows, n_outputs)."""
    sys.path.insert(0, str(BENCHMARKS))
    from vs_aihwkit_worker import analog_net, readout

    analog = analog_net(net, aligned=True, **case)
    outputs = np.empty((n_draws, len(TIMES), N_ROWS, N_OUTPUTS))
    for draw in range(n_draws):
        with readout(analog, exact=True):
            analog.program_analog_weights()
        for i, seconds in enumerate(TIMES):
            with readout(analog, exact=True):
                analog.drift_analog_weights(seconds)
            outputs[draw, i] = analog(torch.from_numpy(X)).numpy()
    return outputs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=STORED)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    stored = arrays = fixed()
    for name, case in MEASURED:
        found = moments(measured(with_weights(name, arrays), arrays["X"], arguments.draws, CASES[case]))
        stored |= {f"{name}:{case}:{key}": values.astype(np.float32) for key, values in found.items()}
    arguments.out.parent.mkdir(exist_ok=True)
    np.savez_compressed(arguments.out, **stored)
    print(f"wrote {arguments.out}, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
