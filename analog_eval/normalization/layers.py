r"""Batch normalization whose scale is not a standard deviation but a mean of absolute deviations.

With :math:`c = x - \bar x` for the n values of a channel in the batch, the output is :math:`\gamma c / (s + \epsilon) +
\beta`, where

- L1: :math:`s = \sqrt{\pi / 2}\,\mathrm{mean}|c|`;
- TopK: :math:`s = C \cdot` mean of the K greatest :math:`|c|`.

Both estimate the standard deviation of normal values, without squares or roots.  Formulas: Hoffer, Banner, Golan and
Soudry, NeurIPS 2018 (arXiv 1803.01814); proposed against weight noise by Fagbohungbe and Qian, arXiv 2205.04886.
"""

from __future__ import annotations

from abc import abstractmethod
from math import pi, sqrt
from typing import Any

import torch
from torch import nn

from analog_eval.normalization.constants import calibrated_constant, published_constant

__all__ = [
    "L1BatchNorm1d",
    "L1BatchNorm2d",
    "ScaleNorm",
    "TopKBatchNorm1d",
    "TopKBatchNorm2d",
    "scale_of_variance",
]


class ScaleNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization by any scale; the part that all of them share.

    Arguments, train and eval mode, momentum and the names of parameters and buffers are those of torch's batch
    normalizations, but for the running scale: ``running_scale`` takes the place of ``running_var``, in units of the
    input, and is averaged as it is.  Statistics are computed in single precision at least, whatever the input is.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, **options)
        self.register_buffer("running_scale", self._buffers.pop("running_var"))

    @abstractmethod
    def scale(self, centered: torch.Tensor) -> torch.Tensor:
        """Return each channel's scale, of shape (n_channels,), from deviations of shape (n_rows, n_channels, ...)."""

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the running scale to 1 and the number of batches to 0."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.num_batches_tracked.zero_()
            # Called by torch's own constructor too, when the buffer still has its old name.
            self._buffers.get("running_scale", self._buffers.get("running_var")).fill_(1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalized `x`, of its shape and type.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_channels) or (n_rows, n_channels, ...)
            Batch.

        Returns
        -------
        Tensor

        Raises
        ------
        ValueError
            If `x` has a wrong number of dimensions, or too few values a channel in train mode.
        """
        self._check_input_dim(x)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.training or self.running_mean is None:
            centered, scale = self._batch_statistics(values)
        else:
            centered, scale = values - _by_channel(self.running_mean, x.ndim), self.running_scale
        factor = 1.0 / (scale + self.eps)
        if self.weight is not None:
            factor = factor * self.weight
        y = centered * _by_channel(factor, x.ndim)
        if self.bias is not None:
            y = y + _by_channel(self.bias, x.ndim)
        return y.to(x.dtype)

    def _batch_statistics(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if values.numel() // values.shape[1] < 2:
            raise ValueError(f"expected more than 1 value per channel when training, got input size {values.shape}")
        mean = values.mean(dim=[d for d in range(values.ndim) if d != 1])
        centered = values - _by_channel(mean, values.ndim)
        scale = self.scale(centered)
        if self.training and self.track_running_stats and self.running_mean is not None:
            self._track(mean, scale)
        return centered, scale

    @torch.no_grad()
    def _track(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, batch in ((self.running_mean, mean), (self.running_scale, scale)):
            running.copy_((1.0 - share) * running.to(batch.dtype) + share * batch)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        # The state of a plain batch normalization is taken too.
        name, other = f"{prefix}running_scale", f"{prefix}running_var"
        if other in state_dict and name not in state_dict and self.running_scale is not None:
            state_dict[name] = scale_of_variance(state_dict.pop(other), self.eps, self.eps)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


class _L1Norm(ScaleNorm):
    def scale(self, centered: torch.Tensor) -> torch.Tensor:
        """Return sqrt(pi / 2) times the mean absolute deviation of each channel, of shape (n_channels,)."""
        return sqrt(pi / 2.0) * centered.abs().mean(dim=[d for d in range(centered.ndim) if d != 1])


class _TopKNorm(ScaleNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        k: int = 10,
        calibrated: bool = False,
        **options: Any,
    ) -> None:
        if isinstance(k, bool) or not isinstance(k, int):
            raise TypeError(f"k must be an int, got {k!r}")
        if k < 1:
            raise ValueError(f"k={k} must be >= 1")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, **options)
        self.k, self.calibrated = k, bool(calibrated)

    def scale(self, centered: torch.Tensor) -> torch.Tensor:
        """Return C times the mean of the k greatest absolute deviations of each channel, of shape (n_channels,)."""
        deviations = centered.abs().movedim(1, 0).flatten(1)
        n = deviations.shape[1]
        if self.k > n:
            raise ValueError(f"k={self.k} is more than the {n} values that a channel has in this batch")
        constant = calibrated_constant(n, self.k) if self.calibrated else published_constant(n)
        return constant * deviations.topk(self.k, dim=1, sorted=False).values.mean(dim=1)

    def extra_repr(self) -> str:
        """Return the arguments, for ``print``."""
        return f"{super().extra_repr()}, k={self.k}, calibrated={self.calibrated}"


class L1BatchNorm1d(_L1Norm, nn.BatchNorm1d):
    r"""Batch normalization by the mean absolute deviation, for inputs of shape (n, channels) or (n, channels, length).

    :math:`y = \gamma \frac{x - \bar x}{\sqrt{\pi / 2}\,\mathrm{mean}|x - \bar x| + \epsilon} + \beta`, a drop-in for
    ``torch.nn.BatchNorm1d``, whose saved state it loads.

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float, default=1e-5
        Added to the scale, so in units of the input.
    momentum : float or None, default=0.1
        Share of the newest batch in the running statistics; None averages all batches.
    affine : bool, default=True
        Whether there are a gain and a shift to learn.
    track_running_stats : bool, default=True
        Whether eval mode uses running statistics, not those of the batch.
    device, dtype : optional
        Of parameters and buffers.
    **options
        What else the class of torch takes, such as ``bias=False`` in its newer releases.

    Notes
    -----
    Formula: Hoffer et al., arXiv 1803.01814; against weight noise: Fagbohungbe and Qian, arXiv 2205.04886.

    Examples
    --------
    >>> import torch
    >>> norm = L1BatchNorm1d(1, affine=False, eps=0.0)
    >>> norm(torch.tensor([[0.0], [4.0]])).ravel() * (torch.pi / 2) ** 0.5
    tensor([-1.,  1.])
    """


class L1BatchNorm2d(_L1Norm, nn.BatchNorm2d):
    """`L1BatchNorm1d` for inputs of shape (n, channels, height, width).

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, device, dtype
        See `L1BatchNorm1d`.

    Examples
    --------
    >>> import torch
    >>> L1BatchNorm2d(3)(torch.randn(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """


class TopKBatchNorm1d(_TopKNorm, nn.BatchNorm1d):
    r"""Batch normalization by the mean of the K greatest absolute deviations.

    :math:`y = \gamma \frac{x - \bar x}{C\,\mathrm{mean\ of\ top\ K}\,|x - \bar x| + \epsilon} + \beta`, for inputs of
    shape (n, channels) or (n, channels, length).

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, device, dtype
        See `L1BatchNorm1d`.
    k : int, default=10
        How many deviations; at most the number of values that a channel has in a batch.
    calibrated : bool, default=False
        False: the published constant :math:`C(n) = (1 + \sqrt{\pi \ln 4}) / (2 \sqrt{2 \ln n})`, which overestimates
        the standard deviation of normal values, by 28 % for k=10 and n=16384.  True: the constant that makes the
        expected scale of n normal values their standard deviation (ours).

    Notes
    -----
    The scale depends on the number of values in a batch, so train and recalibrate with batches of one size; with
    ``calibrated=True`` that matters less.  Formula: Hoffer et al., arXiv 1803.01814; against weight noise: Fagbohungbe
    and Qian, arXiv 2205.04886.

    Examples
    --------
    >>> import torch
    >>> norm = TopKBatchNorm1d(1, k=1, affine=False, eps=0.0, calibrated=True)
    >>> x = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
    >>> bool(0.7 < norm(x).std() < 1.4)
    True
    """


class TopKBatchNorm2d(_TopKNorm, nn.BatchNorm2d):
    """`TopKBatchNorm1d` for inputs of shape (n, channels, height, width).

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, device, dtype
        See `L1BatchNorm1d`.
    k, calibrated
        See `TopKBatchNorm1d`.

    Examples
    --------
    >>> import torch
    >>> TopKBatchNorm2d(3, k=5)(torch.randn(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """


def scale_of_variance(variance: torch.Tensor, eps: float, own_eps: float) -> torch.Tensor:
    """Return the running scale that normalizes, with `own_eps` added, as `variance` does with `eps` added."""
    return (torch.sqrt(variance + eps) - own_eps).clamp(min=0.0)


def _by_channel(values: torch.Tensor, ndim: int) -> torch.Tensor:
    return values.view(-1, *[1] * (ndim - 2))
