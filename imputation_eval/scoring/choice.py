"""Which metrics there are, and which of them fit a comparison."""

from __future__ import annotations

from collections.abc import Iterable

from imputation_eval.metrics import KNOWN_METRICS, Metric
from imputation_eval.truthless import ENERGY_ISCORE

RANKING_METRICS = {**KNOWN_METRICS, ENERGY_ISCORE.name: ENERGY_ISCORE}


def choose_metrics(names: str | Iterable[str], max_rows: int, *, truth: bool = True) -> tuple[Metric, ...]:
    """Look up metrics by name.

    Parameters
    ----------
    names : str or iterable of str
    max_rows : int
        Most rows that are scored; a metric has to take half of them.
    truth : bool
        Whether there is a truth to compare with; "energy_iscore" is for where there is none.

    Raises
    ------
    TypeError
        If `names` is neither.
    ValueError
        If one is unknown, named twice, or does not fit.
    """
    chosen = [names] if isinstance(names, str) else list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(name, str) for name in chosen):
        raise TypeError(f"metrics should be a name or several names, got {names!r}.")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"metrics={chosen} should name at least one metric, and none twice.")
    unknown = [name for name in chosen if name not in RANKING_METRICS]
    if unknown:
        raise ValueError(f"metrics has unknown names: {unknown}; available: {list(RANKING_METRICS)}.")
    if truth and ENERGY_ISCORE.name in chosen:
        raise ValueError(f"metrics={chosen}: {ENERGY_ISCORE.name!r} is for mode='no_truth', where no truth is known.")
    for name in chosen:
        limit = RANKING_METRICS[name].max_rows
        if limit is not None and max_rows // 2 > limit:
            raise ValueError(f"max_rows={max_rows} gives halves of {max_rows // 2} rows, but {name!r} takes {limit}.")
    return tuple(RANKING_METRICS[name] for name in chosen)
