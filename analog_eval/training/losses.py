"""What training makes small: a loss a row, weighted, and agreement with the digital model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.nn import functional

from analog_eval.training.recipes import check_number

__all__ = ["Criterion", "Distillation", "Loss"]

# A name, or a function from outputs and labels to the losses of the rows.
Loss: TypeAlias = str | Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Distillation:
    """Learn from the digital model's answers, too.

    Parameters
    ----------
    temperature : float, default=2.0
        What logits are divided by before they become probabilities, > 0; above 1 also small ones count.
    share : float, default=0.5
        Share of the loss that is agreement with the digital model, from 0 to 1; the labels have the rest.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    After Hinton et al., arXiv 1503.02531: the divergence of Kullback and Leibler of both models' probabilities, times
    the square of the temperature, so that gradients do not depend on it.  With losses other than cross-entropy it is
    the mean squared difference of outputs.  The digital model is `model` as it was given, in eval mode and without
    noise.

    Examples
    --------
    >>> Distillation(share=0.9)
    Distillation(temperature=2.0, share=0.9)
    """

    temperature: float = 2.0
    share: float = 0.5

    def __post_init__(self) -> None:
        check_number(self.temperature, "temperature")
        if self.temperature == 0.0:
            raise ValueError("temperature=0 must be > 0")
        check_number(self.share, "share")
        if self.share > 1.0:
            raise ValueError(f"share={self.share} must be from 0 to 1")


class Criterion:
    """A loss with everything that belongs to it.

    Parameters
    ----------
    loss : {"cross_entropy", "mse"} or callable
        See `analog_eval.training.harden`.
    distillation : Distillation or None
        Whether to learn from the digital model, too.
    """

    def __init__(self, loss: Loss, distillation: Distillation | None = None) -> None:
        if not callable(loss) and loss not in tuple(_LOSSES):
            names = ", ".join(map(repr, _LOSSES))
            raise ValueError(f"loss={loss!r} is not one of {names}, nor a function f(outputs, y)")
        if distillation is not None and not isinstance(distillation, Distillation):
            raise TypeError(f"distillation must be a Distillation or None, got {distillation!r}")
        self._loss = loss if callable(loss) else _LOSSES[loss]
        self.classifies, self.distillation = loss == "cross_entropy", distillation

    def rows(self, outputs: torch.Tensor, y: torch.Tensor, *, weighted: bool) -> torch.Tensor:
        """Return the loss of each row, of shape (n_rows,)."""
        if not isinstance(outputs, torch.Tensor):
            raise TypeError(f"the model answers with {type(outputs).__name__}, not a tensor")
        if outputs.ndim == 0 or len(outputs) != len(y):
            raise ValueError(f"the model answers with shape {tuple(outputs.shape)} for {len(y)} rows")
        losses: Any = self._loss(outputs, y)
        if not isinstance(losses, torch.Tensor):
            raise TypeError(f"loss must return a tensor, got {type(losses).__name__}")
        if losses.ndim == 0 and not weighted:
            return losses.expand(len(y))
        if losses.shape != (len(y),):
            raise ValueError(
                f"loss returns shape {tuple(losses.shape)} for {len(y)} rows; "
                "it should be (n_rows,), so that rows can have weights"
            )
        return losses

    def training_rows(
        self, outputs: torch.Tensor, y: torch.Tensor, taught: torch.Tensor | None, *, weighted: bool
    ) -> torch.Tensor:
        """Return the loss of each row with what distillation adds; `taught` is what the digital model answers."""
        losses = self.rows(outputs, y, weighted=weighted)
        if self.distillation is None or taught is None:
            return losses
        share, temperature = self.distillation.share, self.distillation.temperature
        apart = _divergence(outputs, taught, temperature) if self.classifies else _squares(outputs, taught)
        return (1.0 - share) * losses + share * apart

    @staticmethod
    def hits(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return which rows are classified rightly, of shape (n_rows,)."""
        labels = outputs.argmax(dim=1) if _has_scores(outputs) else (outputs.reshape(len(y)) > 0.0).long()
        return labels == _class_numbers(y)


def _cross_entropy(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    labels, n_classes = _class_numbers(y), outputs.shape[1] if _has_scores(outputs) else 2
    if outputs.ndim > 2:
        raise ValueError(f"the model answers with shape {tuple(outputs.shape)}; scores of classes have (n_rows, n)")
    outside = labels[(labels < 0) | (labels >= n_classes)]
    if len(outside):
        raise ValueError(f"y holds class {int(outside[0])}, but the model's outputs tell 0 to {n_classes - 1}")
    if _has_scores(outputs):
        return functional.cross_entropy(outputs, labels, reduction="none")
    logits = outputs.reshape(len(y))
    return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")


def _mean_squares(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    flat = [values.reshape(len(y), -1) for values in (outputs, y)]
    if flat[0].shape != flat[1].shape:
        raise ValueError(f"y has shape {tuple(y.shape)}, but the model answers with {tuple(outputs.shape)}")
    return _squares(flat[0], flat[1].to(outputs.dtype))


_LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cross_entropy": _cross_entropy,
    "mse": _mean_squares,
}


def _has_scores(outputs: torch.Tensor) -> bool:
    return outputs.ndim == 2 and outputs.shape[1] > 1


def _class_numbers(y: torch.Tensor) -> torch.Tensor:
    """Return labels as int64 of shape (n_rows,)."""
    flat = y.reshape(len(y), -1)
    if flat.shape[1] != 1:
        raise ValueError(f"y has shape {tuple(y.shape)}, but cross-entropy takes class numbers of shape (n_rows,)")
    labels = flat[:, 0].long()
    if y.is_floating_point() and not torch.equal(labels.to(y.dtype), flat[:, 0]):
        raise ValueError("y holds numbers that are no class numbers; give loss='mse' for a regression")
    return labels


def _divergence(outputs: torch.Tensor, taught: torch.Tensor, temperature: float) -> torch.Tensor:
    logs = [functional.log_softmax(_logits(values) / temperature, dim=1) for values in (outputs, taught)]
    return functional.kl_div(logs[0], logs[1], reduction="none", log_target=True).sum(dim=1) * temperature**2


def _logits(outputs: torch.Tensor) -> torch.Tensor:
    """Return the scores of all classes; one logit is the second of two, beside a score of 0."""
    if _has_scores(outputs):
        return outputs
    logit = outputs.reshape(-1, 1)
    return torch.cat([torch.zeros_like(logit), logit], dim=1)


def _squares(outputs: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    return (outputs - taught).square().reshape(len(outputs), -1).mean(dim=1)
