"""The public function: a trained copy of a module that holds up under weight noise."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal

import pandas as pd
from torch import nn

from analog_eval.adapters.modules.tensors import unwrapped
from analog_eval.noise import RandomState, one_seed
from analog_eval.periphery import Periphery
from analog_eval.training.batches import training_data
from analog_eval.training.checkpoints import Checkpoint
from analog_eval.training.clipping import Clip
from analog_eval.training.converters import InputRanges
from analog_eval.training.loop import Progress, Trainer
from analog_eval.training.losses import Distillation, Loss
from analog_eval.training.plan import OptimizerFactory, Plan
from analog_eval.training.recipes import AddNormal, Recipe
from analog_eval.training.remapping import Remapped, remap_channels
from analog_eval.training.states import fingerprint, put_state

__all__ = ["Hardened", "harden"]


@dataclass(frozen=True, eq=False, repr=False)
class Hardened:
    """What `harden` returns.

    Parameters
    ----------
    model : torch.nn.Module
        The trained copy, with the weights of the best epoch, in the mode in which the original was; what compiled or
        distributed that is left off.
    history : DataFrame of shape (n_epochs, n_columns)
        A row an epoch (index ``epoch``): ``train_loss``, the mean loss at the noisy weights, and ``learning_rate``;
        with validation rows also ``clean_loss`` and ``noisy_loss``, for cross-entropy ``clean_accuracy`` and
        ``noisy_accuracy``, and a row 0, the model as it was given.
    best_epoch : int
        Epoch of the weights: that of the greatest noisy accuracy, among equals that of the least noisy loss (for other
        losses that of the least noisy loss); the last one without validation rows.
    seed : int
        From which all random numbers derive.
    input_scales : dict of str to float
        Learned input scales by the name of the kernel, which `drift_sweep` takes for ``calibration``; empty without.
    recipe : Recipe or None
        Noise that it was trained with.
    notes : tuple of str, default=()
        What a reader should know, such as kernels that are also used outside of products through the periphery.

    Examples
    --------
    >>> import torch
    >>> result = harden(torch.nn.Linear(2, 1), torch.eye(2), [0.5, 1.0], loss="mse", epochs=3, random_state=0)
    >>> result.history.columns.tolist(), result.best_epoch
    (['train_loss', 'learning_rate'], 3)
    """

    model: nn.Module
    history: pd.DataFrame
    best_epoch: int
    seed: int
    input_scales: dict[str, float]
    recipe: Recipe | None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        best, ranked = self.history.loc[self.best_epoch], ("noisy_accuracy", "noisy_loss")
        parts = {"model": type(self.model).__name__, "epochs": self.history.index[-1], "best_epoch": self.best_epoch}
        parts |= {name: f"{best[name]:.4g}" for name in ranked if name in best}
        parts |= {"recipe": self.recipe, "seed": self.seed}
        first = f"Hardened({', '.join(f'{name}={value}' for name, value in parts.items())})"
        return "\n".join([first, *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        lines = "<br>".join(map(escape, repr(self).splitlines()))
        return f"<p><b>{lines}</b></p>{self.history.to_html(max_rows=20, float_format='{:.4g}'.format)}"

    def remapped(self) -> Hardened:
        """Return the same with `remap_channels` of the model, and input scales by the names that kernels have there.

        Returns
        -------
        Hardened

        Raises
        ------
        ValueError
            If no layer can be scaled.

        Examples
        --------
        >>> import torch
        >>> from analog_eval import Periphery
        >>> options = dict(periphery=Periphery(), input_ranges=InputRanges(), loss="mse", epochs=1)
        >>> result = harden(torch.nn.Linear(2, 1), torch.eye(2), [0.5, 1.0], **options)
        >>> list(result.input_scales), list(result.remapped().input_scales)
        (['weight'], ['product.weight'])
        """
        model = remap_channels(self.model)
        paths = [path and f"{path}." for path, part in model.named_modules() if isinstance(part, Remapped)]
        names = {f"{path}weight": f"{path}product.weight" for path in paths}
        scales = {names.get(name, name): scale for name, scale in self.input_scales.items()}
        return replace(self, model=model, input_scales=scales)


def harden(
    model: nn.Module,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    recipe: Recipe | None = AddNormal(),  # noqa: B008 (frozen: sharing it is safe)
    clip: Clip | None = None,
    periphery: Periphery | None = None,
    input_ranges: InputRanges | None = None,
    loss: Loss = "cross_entropy",
    distillation: Distillation | None = None,
    optimizer: OptimizerFactory | None = None,
    learning_rate: float | None = None,
    schedule: Literal["cosine", "constant"] = "cosine",
    epochs: int = 20,
    batch_size: int = 64,
    validation: Any = None,
    patience: int | None = None,
    n_draws: int = 5,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
    random_state: RandomState = None,
) -> Hardened:
    r"""Train a copy of a torch module so that it holds up under noise of its weights.

    In every mini-batch the kernels get fresh noise, forward and backward; the step is taken from the clean weights with
    the gradients at the noisy ones.

    Parameters
    ----------
    model : torch.nn.Module
        A module, best one that is trained already; it is never changed.  Its copy trains in train mode, all of it if
        the module is in eval mode: batch normalizations move, frozen ones too.  In a module in train mode those parts
        that are in eval mode stay in it.
    X : array-like or Tensor of shape (n_rows, ...), or iterable of batches
        Rows to train on.  Without `y`: a ``DataLoader``, or anything that can be iterated anew in every epoch, whose
        batches are ``(X, y)`` or ``(X, y, sample_weight)``; see Notes for its random numbers.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Class numbers or targets.
    sample_weight : array-like of shape (n_rows,), optional
        How many rows each one stands for, such as the weights of a summary, in any unit.
    recipe : Recipe or None, default=AddNormal(0.06)
        Noise of the kernels: `AddNormal`, `Multiplicative`, `ProgrammingNoise`, `DropConnect`, `Simulated`, or a sum of
        these; None: none, which is ordinary training.
    clip : Clip, optional
        Whether kernels are clipped after every step.
    periphery : Periphery, optional
        What surrounds the crossbars, in training and for the noisy scores of validation: products of linear layers and
        of convolutions in one and two dimensions go through it; all others are exact, and kernels that are used both
        ways are named in ``notes``.  Default: nothing.
    input_ranges : InputRanges, optional
        Whether every layer learns the input scale of its converters.  Default: the scale is what `periphery` says.
    loss : {"cross_entropy", "mse"} or callable, default="cross_entropy"
        ``cross_entropy`` takes scores of the classes 0 to n - 1, or one logit a row for the classes 0 and 1; a function
        ``f(outputs, y)`` returns the losses of the rows, of shape (n_rows,), or without weights their mean.
    distillation : Distillation, optional
        Whether to learn from what `model` itself answers, too.
    optimizer : callable, optional
        From parameters to a torch optimizer, other than LBFGS; default: Adam.
    learning_rate : float, optional
        Of the default optimizer; default: 0.001.
    schedule : {"cosine", "constant"}, default="cosine"
        ``cosine``: learning rates fall along half a cosine, from epoch to epoch, to nearly 0.
    epochs : int, default=20
        Times that all rows are gone through.
    batch_size : int, default=64
        Most rows of a batch: batches are as equal as they can be.  A loader makes its own.
    validation : float or tuple, optional
        Rows to choose the best epoch by, ``(X, y)`` or ``(X, y, sample_weight)``, or the share of the rows that is held
        out for that.
    patience : int, optional
        Stop after so many epochs without a better one; needs `validation`.
    n_draws : int, default=5
        Noisy copies that are validated, the same noise in every epoch.
    checkpoint : str or path, optional
        File that is written after every epoch.  If it is there already the run goes on from it, with the same result as
        if it had never stopped; a file of a run with other arguments is an error.
        What a loader yields is not among them: it is taken to be the same.
    progress : bool, default=True
        Show how far training is, on standard error.
    random_state : None, int, RandomState or Generator, default=None
        Source of noise, orders and everything that the module draws itself.  On a CPU the same int gives the same
        weights, bit by bit, on one machine with as many threads.

    Returns
    -------
    Hardened
        With ``model``, ``history`` and ``best_epoch``.

    Raises
    ------
    TypeError
        If an argument is of a wrong kind.
    ValueError
        If rows disagree in number, an argument is out of range, the module has no kernel or nothing to train, no
        product of it goes through `periphery`, `input_ranges` has no periphery or one whose scale is set, a weight or a
        loss is NaN or infinite, or `checkpoint` is damaged, belongs to another run or cannot hold this one's state.

    Notes
    -----
    With weights :math:`w_i` of mean :math:`\bar w` over all rows, the loss of a batch B is :math:`\sum_{i \in B} w_i
    l_i / (|B| \bar w)`.  Its expectation over batches is the weighted mean over all rows, and a batch of all rows gives
    the very gradient of rows repeated :math:`w_i` times.  Rows of weight 0 are left out.  Batch normalizations do not
    see weights.

    Noise on kernels only, as with ``targets="weights"`` in `noise_sweep`; tied kernels get it once.  For noise relative
    to the largest weight of a channel, on the crossbar too, see `remap_channels`.

    In every epoch torch's global random numbers, and each ``torch.Generator`` that is an attribute of a loader, of its
    samplers or of its data set, start from a seed that derives from `random_state` and the epoch; afterwards they are
    where they were.  So a loader that shuffles follows `random_state` instead of the seed of its own ``generator``, and
    goes on from a checkpoint in the order that it would have had.  Nothing else of a loader is seen: random numbers of
    NumPy and Python (other than in worker processes of a ``DataLoader``, which torch seeds), what a sampler or data
    set remembers from pass to pass, or workers that persist.  Where batches depend on these, neither an equal
    `random_state` nor a checkpoint makes runs equal.

    A periphery works on what a recipe has made of the weights: `Simulated` devices that have drifted are compensated
    before the converters, but on a chip after them, where after a year noise of outputs weighs twice as much.  Layers
    whose activations are computed a second time in the backward pass (``torch.utils.checkpoint``) cannot be trained
    through a periphery, whose noise would not be the same.

    After Rasch et al., arXiv 2302.08469 (noise fresh in every batch, forward and backward, steps from clean weights,
    clipping, converters, learned input ranges).  Rounding passes gradients on as they are, and clipping those of what
    it leaves as it is.  The weighting of batches is ours.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from analog_eval import GaussianNoise, noise_sweep
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    >>> options = dict(learning_rate=0.01, random_state=0)
    >>> plain = harden(net, X[:1200], y[:1200], recipe=None, **options).model
    >>> hard = harden(net, X[:1200], y[:1200], recipe=AddNormal(0.1), clip=Clip(2.0), **options).model
    >>> noise = dict(noise=GaussianNoise("absmax"), levels=(0.2,), random_state=0)
    >>> scores = [noise_sweep(m, X[1200:], y[1200:], **noise).table["mean"].item() for m in (plain, hard)]
    >>> scores[1] > scores[0] + 0.03
    True

    Through coarse converters, whose input scales are learned and then measured with:

    >>> from analog_eval import Periphery, drift_sweep
    >>> coarse = Periphery(in_bits=3, out_bits=6)
    >>> learned = harden(net, X[:1200], y[:1200], periphery=coarse, input_ranges=InputRanges(), **options)
    >>> sorted(learned.input_scales)
    ['0.weight', '2.weight']
    >>> settings = dict(times="1d", periphery=coarse, n_draws=5, random_state=0)
    >>> cases = (hard, X[:1200]), (learned.model, learned.input_scales)  # by the greatest inputs, and learned
    >>> reports = [drift_sweep(m, X[1200:], y[1200:], calibration=scales, **settings) for m, scales in cases]
    >>> scores = [report.table["mean"].item() for report in reports]
    >>> scores[1] > scores[0] + 0.03
    True
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    plan = Plan(
        recipe,
        clip,
        periphery,
        input_ranges,
        loss,
        distillation,
        optimizer,
        learning_rate,
        schedule,
        epochs,
        batch_size,
        patience,
        n_draws,
    )
    if patience is not None and validation is None:
        raise ValueError(f"patience={patience} needs validation rows: give validation, such as 0.2")
    file = None if checkpoint is None else Checkpoint(checkpoint)
    seed = one_seed(file.seed if random_state is None and file is not None else random_state)
    digital = unwrapped(model)
    batches, held_out = training_data(digital, X, y, sample_weight, validation, batch_size, seed)
    trainer = Trainer(_copied(digital), digital, batches, held_out, plan, seed)
    state = Progress()
    if file is None:
        trainer.run(state, show=progress)
    else:
        # The first that differs is told, and with another seed the rows that are held out are others, too.
        settings = {
            "random_state": str(seed),
            **plan.settings(),
            "model": fingerprint(digital.state_dict()),
            "optimizer settings": trainer.optimizer_settings(),
            "rows": batches.digest(),
            "validation": "none" if held_out is None else held_out.digest(),
        }
        file.restore(trainer, state, settings)
        trainer.run(state, lambda: file.write(trainer, state, settings), show=progress)
    return _finished(trainer, digital, state, plan, seed)


def _finished(trainer: Trainer, digital: nn.Module, state: Progress, plan: Plan, seed: int) -> Hardened:
    twin = trainer.module
    put_state(twin, state.best)
    trainer.optimizer.zero_grad()
    for part, own in zip(digital.modules(), twin.modules(), strict=True):
        own.training = part.training
    history = pd.DataFrame(state.history).astype({"epoch": int}).set_index("epoch")
    notes = () if trainer.converters is None else trainer.converters.notes
    return Hardened(twin, history, state.best_epoch, seed, state.best_scales, plan.recipe, notes)


def _copied(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise TypeError(f"model: {type(module).__name__} cannot be copied: {error}") from error
