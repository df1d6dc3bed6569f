"""What a sweep of a torch module costs beside its bare arithmetic; writes ``results/analog_torch_speed.json``.

A trained perceptron 64-128-64-10, 540 rows of digits, noise on the three kernels, accuracy; one thread. The bare loops
add the same kind of noise and do the same products by hand, with no checks, no statistics and no common random numbers;
one draws NumPy's normals in double precision as the package does, the other torch's in single precision. The deep
copies are what one would write first: a copy of the module for every draw. Times are the least of some rounds in which
all take turns; ratios are taken within a round, and the median of the rounds counts.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from harness import Run, Setting
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn import functional

from analog_eval import noise_sweep

SIZES = (64, 128, 64, 10)
N_TEST = 540
LEVEL = 0.2
GRID = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4)
SETTINGS = {"draws": Setting(100), "rounds": Setting(25, 3)}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    n_draws = run.given.draws
    torch.set_num_threads(1)
    model, X, y = trained()
    with threadpool_limits(1):
        rows = [
            measure(name, contestants(model, X, y, levels, n_draws), run.given.rounds)
            for name, levels in (("one level", (LEVEL,)), ("six levels", GRID))
        ]
    run.finish({"sizes": SIZES, "n_rows": len(y), "n_draws": n_draws, "rows": rows})


def trained() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A perceptron that learnt the other rows, and the test rows."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    torch.manual_seed(0)
    layers = [layer for i, o in pairwise(SIZES) for layer in (nn.Linear(i, o), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(model(torch.from_numpy(X[:-N_TEST])), torch.from_numpy(y[:-N_TEST])).backward()
        optimizer.step()
    return model, X[-N_TEST:], y[-N_TEST:]


def contestants(
    model: nn.Module, X: np.ndarray, y: np.ndarray, levels: tuple[float, ...], n_draws: int
) -> dict[str, Callable[[], Any]]:
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    rng = np.random.default_rng(0)

    def double(shape: torch.Size) -> np.ndarray:
        return rng.standard_normal(shape)

    def loop(answer: Callable[..., torch.Tensor], draw: Callable[..., Any], add: Callable[..., torch.Tensor]) -> Any:
        with torch.no_grad():
            kernels = {name: p.detach() for name, p in model.named_parameters() if p.ndim == 2}
            spreads = {name: float(kernel.std()) for name, kernel in kernels.items()}
            scores = np.empty((n_draws, len(levels)))
            for d in range(n_draws):
                units = {name: draw(kernel.shape) for name, kernel in kernels.items()}
                for i, level in enumerate(levels):
                    noisy = {name: add(k, level * spreads[name], units[name]) for name, k in kernels.items()}
                    scores[d, i] = (answer(noisy).argmax(dim=1) == labels).float().mean()
        return scores

    def bare(noisy: dict[str, torch.Tensor]) -> torch.Tensor:
        x = inputs
        for i in (0, 2, 4):
            x = functional.linear(x, noisy[f"{i}.weight"], model[i].bias)
            x = functional.relu(x) if i < 4 else x
        return x

    def copied(noisy: dict[str, torch.Tensor]) -> torch.Tensor:
        twin = copy.deepcopy(model)
        for name, kernel in noisy.items():
            twin.get_parameter(name).copy_(kernel)
        return twin(inputs)

    def functional_call(noisy: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(model, noisy, (inputs,))

    def add_double(kernel: torch.Tensor, sigma: float, units: np.ndarray) -> torch.Tensor:
        noisy = units * sigma
        noisy += kernel.numpy()
        return torch.from_numpy(noisy.astype(np.float32))

    def add_single(kernel: torch.Tensor, sigma: float, units: torch.Tensor) -> torch.Tensor:
        return torch.add(kernel, units, alpha=sigma)

    def sweep() -> Any:
        return noise_sweep(model, X, y, levels=levels, n_draws=n_draws, random_state=0, progress=False)

    return {
        "noise_sweep": sweep,
        "bare loop": lambda: loop(bare, double, add_double),
        "bare loop, torch's normals": lambda: loop(bare, torch.randn, add_single),
        "functional_call": lambda: loop(functional_call, double, add_double),
        "deep copies": lambda: loop(copied, double, add_double),
        "deep copies, torch's normals": lambda: loop(copied, torch.randn, add_single),
    }


def measure(name: str, calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Any]:
    """Seconds of every contestant, and the sweep's time over each one's."""
    seconds: dict[str, list[float]] = {contestant: [] for contestant in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for contestant, call in calls.items():
            started = time.process_time()
            call()
            seconds[contestant].append(time.process_time() - started)
    own = np.array(seconds["noise_sweep"])
    ratios = {contestant: float(np.median(own / np.array(s))) for contestant, s in seconds.items()}
    print(name)
    for contestant, values in seconds.items():
        print(f"  {contestant:30s} {1e3 * min(values):7.1f} ms, sweep over it {ratios[contestant]:.2f}")
    return {
        "case": name,
        "seconds": {contestant: round(min(values), 5) for contestant, values in seconds.items()},
        "sweep_over": {contestant: round(ratio, 3) for contestant, ratio in ratios.items()},
    }


if __name__ == "__main__":
    main()
