"""Programs nets into aihwkit's torch tile; ``vs_aihwkit.py`` runs it in an environment of its own.

Reads one request a line from standard input, JSON that names a stored net, a periphery, an arm, times, a number of
programmings and a seed, and answers each with a line of accuracies and CPU seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from aihwkit.inference import GlobalDriftCompensation, PCMLikeNoiseModel
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.simulator.configs import TorchInferenceRPUConfig


class OwnDevices(PCMLikeNoiseModel):
    """The same formulas, but each device of a pair keeps what it was programmed to, and drifts from there.

    The original knows the difference of a pair only: at every time it takes the noisy weight for a target, which
    leaves one device of each pair at zero and lets the greatest noisy weight stand for g_max.
    """

    def apply_programming_noise(self, weights: torch.Tensor) -> tuple[torch.Tensor, list[Any]]:
        """Return the programmed weights, and each device's conductance and exponent with their unit."""
        targets, unit = self.g_converter.convert_to_conductances(weights)
        devices = [
            (self.apply_programming_noise_to_conductance(g), self.generate_drift_coefficients(g)) for g in targets
        ]
        return self.g_converter.convert_back_to_weights([g for g, _ in devices], unit), [*devices, unit]

    def apply_drift_noise(self, weights: torch.Tensor, parameters: list[Any], t_inference: float) -> torch.Tensor:
        """Return what is read of the devices; the weights tell too little of them."""
        *devices, unit = parameters
        drifted = [self.apply_drift_noise_to_conductance(g, nu, t_inference) for g, nu in devices]
        return self.g_converter.convert_back_to_weights(drifted, unit)


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    data = torch.load(folder / "data.pt")
    for line in sys.stdin:
        request = json.loads(line)
        net = torch.load(folder / f"{request['net']}.pt", weights_only=False)
        analog = analog_net(net, aligned=request["aligned"], periphery=request["periphery"])
        torch.manual_seed(request["seed"])
        started = time.process_time()
        scores = accuracies(analog, data["X"], data["y"], request)
        print(json.dumps({"scores": scores, "seconds": time.process_time() - started}), flush=True)


def analog_net(net: torch.nn.Module, *, aligned: bool, periphery: str, compensated: bool = True) -> torch.nn.Module:
    config = TorchInferenceRPUConfig()
    # The greatest weight of a tile is 1 within it, as in its own presets.
    config.mapping.weight_scaling_omega = 1.0
    config.forward.is_perfect = periphery == "perfect"
    config.noise_model = OwnDevices() if aligned else PCMLikeNoiseModel()
    config.drift_compensation = GlobalDriftCompensation() if compensated else None
    return convert_to_analog(net, config).eval()


@torch.no_grad()
def accuracies(net: torch.nn.Module, X: torch.Tensor, y: torch.Tensor, request: dict[str, Any]) -> list[list[float]]:
    """One row a programming, one column a time."""
    scores = []
    for _ in range(request["n"]):
        with readout(net, exact=request["aligned"]):
            net.program_analog_weights()
        scores.append([])
        for seconds in request["times"]:
            with readout(net, exact=request["aligned"]):
                net.drift_analog_weights(seconds)
            scores[-1].append(float((net(X).argmax(dim=1) == y).float().mean()))
    return scores


@contextmanager
def readout(net: torch.nn.Module, *, exact: bool) -> Iterator[None]:
    """Let what the drift compensation reads circumvent the converters, if `exact`."""
    settings = [tile.rpu_config.forward for tile in net.analog_tiles()]
    perfect = [one.is_perfect for one in settings]
    for one in settings:
        one.is_perfect = one.is_perfect or exact
    yield
    for one, before in zip(settings, perfect, strict=True):
        one.is_perfect = before


if __name__ == "__main__":
    main()
