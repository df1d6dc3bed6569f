"""Every metric by its name, and several of them on one pair of samples."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import RandomStateLike, as_entropy, check_integer, derive_generator
from imputation_eval.dissimilarity import nds_score
from imputation_eval.encoding import encode_pair
from imputation_eval.metrics.cells import ACCURACY, MAE, RMSE
from imputation_eval.metrics.classifier import CLASSIFIER_AUC
from imputation_eval.metrics.divergence import KNN_KL
from imputation_eval.metrics.energy import ENERGY, SLICED_ENERGY
from imputation_eval.metrics.kernel import MMD, MMD_FOURIER
from imputation_eval.metrics.marginal import (
    CORRELATION_DIFFERENCE,
    MARGINAL_KS,
    MARGINAL_TOTAL_VARIATION,
    MARGINAL_WASSERSTEIN,
)
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.samples import Sample
from imputation_eval.metrics.transport import SINKHORN, SLICED_WASSERSTEIN, WASSERSTEIN
from imputation_eval.neighborhoods import Reference

_Array = NDArray[np.float64]
_LEAST_ROWS = 12  # what the neighbourhoods of the NDS need, with room

KNOWN_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("nds", nds_score, quadratic=True, prepare=Reference),
        ENERGY,
        SLICED_ENERGY,
        MMD,
        MMD_FOURIER,
        WASSERSTEIN,
        SLICED_WASSERSTEIN,
        SINKHORN,
        KNN_KL,
        CLASSIFIER_AUC,
        MARGINAL_WASSERSTEIN,
        MARGINAL_KS,
        MARGINAL_TOTAL_VARIATION,
        CORRELATION_DIFFERENCE,
        RMSE,
        MAE,
        ACCURACY,
    )
}


def compare_samples(
    reference: Sample,
    candidate: Sample,
    *,
    metrics: str | Iterable[str] = ("nds", "sliced_energy"),
    max_rows: int = 5000,
    random_state: RandomStateLike = None,
) -> pd.DataFrame:
    """Several metrics of one pair of samples, which is checked and encoded once.

    Parameters
    ----------
    reference : array of shape (n, n_features) or DataFrame
        Rows of the true distribution, at least 12. Arrays are taken as they are; DataFrames are encoded by
        :class:`~imputation_eval.TableEncoder`, fitted on `reference`.
    candidate : array of shape (m, n_features) or DataFrame
        Other rows, to judge; at least 12.
    metrics : str or iterable of str
        Names as :func:`~imputation_eval.rank_imputers` takes them, of metrics between samples.
    max_rows : int >= 12
        Metrics whose time grows with the square of the rows are given a random subsample of at most so many rows a
        side, the same for all of them. The others are given all rows, however many.
    random_state : None, int, RandomState or Generator
        Seed of everything. A metric's value does not depend on which others are asked for.

    Returns
    -------
    DataFrame
        Index: the names. Columns: `value`, `lower_is_better`, `n_reference` and `n_candidate` (rows that were compared)
        and `note`, a caveat.

    Raises
    ------
    ValueError
        If a name is unknown, or is that of an error of single cells, a sample has too few rows, contains NaN or
        infinity, or the columns differ.
    TypeError
        If one sample is a DataFrame and the other is not, or an argument has the wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> from imputation_eval import compare_samples
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(500, 3)), rng.normal(1, 1, size=(500, 3))
    >>> table = compare_samples(x, y, metrics=["nds", "sliced_wasserstein", "marginal_ks"], random_state=0)
    >>> table["value"].round(1).to_dict()
    {'nds': 0.4, 'sliced_wasserstein': 1.0, 'marginal_ks': 0.4}
    """
    chosen = [metrics] if isinstance(metrics, str) else list(metrics)
    unknown = [name for name in chosen if name not in KNOWN_METRICS]
    if unknown:
        raise ValueError(f"metrics has unknown names: {unknown}; available: {list(KNOWN_METRICS)}.")
    of_cells = [name for name in chosen if KNOWN_METRICS[name].compares == "cells"]
    if of_cells:
        raise ValueError(f"metrics has {of_cells}, which are of single hidden cells and not of samples.")
    max_rows = check_integer(max_rows, "max_rows", minimum=_LEAST_ROWS)
    x, y = encode_pair(reference, candidate, ("reference", "candidate"))
    if min(len(x), len(y)) < _LEAST_ROWS:
        raise ValueError(f"reference has {len(x)} rows and candidate {len(y)}, both need at least {_LEAST_ROWS}.")
    entropy = as_entropy(random_state)
    orders = [derive_generator(entropy, "rows", side).permutation(len(s)) for side, s in enumerate((x, y))]
    rows = []
    for metric in (KNOWN_METRICS[name] for name in chosen):
        most = min(metric.max_rows or max_rows, max_rows) if metric.quadratic else None
        a, b = (s if most is None else s[order[:most]] for s, order in zip((x, y), orders, strict=True))
        value = metric.between(a, b, derive_generator(entropy, "metric", metric.name))
        rows.append((value, metric.lower_is_better, len(a), len(b), metric.note))
    columns = ["value", "lower_is_better", "n_reference", "n_candidate", "note"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(chosen, name="metric"))
