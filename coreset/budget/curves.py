"""What error a shard's message would have with several numbers of bytes, roughly: a node's curve in MECBD."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ..construction import Rows, with_scale
from ..quantizers import UniformQuantizer
from ..targets import NUMERIC
from .building import Builder, checked_base
from .candidates import published_quantizers
from .forecasts import Task
from .published import PUBLISHED, plan_by_max_distance

_MOST_ROWS = 512
_BITS = (1, 2, 3, 4, 6, 8, 12, 16)


def error_curve(
    rows: Rows, sizes: NDArray[np.int64], *, base: BaseEstimator | None, planner: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Least sum of a proxy for the error of the points and the codec's largest error, in units of the data.

    The proxies are those of the paper's planners, over at most 512 rows; other planners take that of "max-distance",
    with uniform levels of 1 to 16 bits. The paper adds the product of both errors, which depends on the data's unit.

    Parameters
    ----------
    rows : Rows
    sizes : ndarray of shape (n_levels,)
        Bytes of a message.
    base, planner
        As in `plan_budget`.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_levels,)
        Infinite where no point fits.

    References
    ----------
    Lu et al., "Joint Coreset Construction and Quantization for Distributed Machine Learning", IFIP Networking 2020
    (arXiv 2204.06652).
    """
    quantizers = published_quantizers() if planner in PUBLISHED else [UniformQuantizer(bits) for bits in _BITS]
    measured = with_scale(rows) if rows.target_type == NUMERIC else rows
    if len(rows) > _MOST_ROWS:
        measured = measured.take(np.sort(rng.permutation(len(rows))[:_MOST_ROWS]))
    task = Task(Builder(rows, None, checked_base(base), 0), measured, quantizers, int(sizes[-1]), rng)
    return np.array([_least_error(dataclasses.replace(task, budget=int(size)), planner) for size in sizes])


def _least_error(task: Task, planner: str) -> float:
    forecasts = PUBLISHED.get(planner, plan_by_max_distance)(task).forecasts
    return min((f.cell_error + f.quantization_error for f in forecasts if f.fits), default=float("inf"))
