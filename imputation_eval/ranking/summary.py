"""From the long table of scores to the tables of a ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imputation_eval._validation import derive_generator
from imputation_eval.metrics import Metric
from imputation_eval.ranking import statistics
from imputation_eval.scoring import TRUTH

_Array = NDArray[np.float64]
ALPHA = 1 - statistics.CONFIDENCE


@dataclass(frozen=True, eq=False)
class Summary:
    """The tables of a ranking, as :class:`~imputation_eval.Ranking` has them."""

    table: pd.DataFrame
    pairwise: pd.DataFrame
    against_references: pd.DataFrame
    rank_probabilities: pd.DataFrame
    per_metric: pd.DataFrame
    agreement: pd.DataFrame


def summarize(
    raw: pd.DataFrame, metrics: tuple[Metric, ...], references: list[str], *, ratio: float, entropy: int
) -> Summary:
    """Rank imputers from their scores.

    Parameters
    ----------
    raw : DataFrame
        As :func:`imputation_eval.scoring.score_imputers` returns it.
    metrics : tuple of Metric
    references : list of str
        Imputers that are shown but neither ranked nor compared.
    ratio : float
        n_test / n_train of the corrected resampled t.
    entropy : int
        Root of the bootstrap's seed.

    Raises
    ------
    ValueError
        If every imputer failed in every repeat.
    """
    names = sorted(raw["imputer"].unique())  # so that nothing depends on the order of the input, ties included
    failures = raw[raw["failure"].notna()].groupby("imputer")["repeat"].nunique().reindex(names, fill_value=0)
    competing = np.array([name not in references for name in names])
    n_repeats = raw["repeat"].nunique()
    if (failures.to_numpy()[competing] == n_repeats).all():
        raise ValueError(f"every imputer failed in every repeat: {failure_reasons(raw, references)}.")
    frame = pd.DataFrame(
        {
            "failures": failures,
            "seconds": raw.drop_duplicates(["imputer", "repeat", "draw"]).groupby("imputer")["seconds"].mean(),
            "reference": ~competing,
        },
        index=pd.Index(names, name="imputer"),
    )
    # Draws are averaged within a repeat, and a repeat in which any draw failed has no value. An imputer with such a gap
    # is not compared: its remaining repeats may be the easy ones.
    by_metric = {metric.name: _by_repeat(raw, metric, names) for metric in metrics}
    contenders = competing & (failures == 0).to_numpy()
    parts = {
        metric.name: _rank(
            by_metric[metric.name],
            contenders,
            frame,
            ratio,
            derive_generator(entropy, "bootstrap", metric.name),
            sign=1 if metric.lower_is_better else -1,
        )
        for metric in metrics
    }
    per_metric = pd.concat({name: table for name, (table, *_) in parts.items()}, names=["metric", "imputer"])
    agreement = _agreement(by_metric, metrics, contenders)
    if len(metrics) == 1:
        return Summary(*parts[metrics[0].name], per_metric, agreement)
    # Mean ranks give the order; whether it is sure, the metrics have to say.
    signed = [(1 if metric.lower_is_better else -1) * by_metric[metric.name] for metric in metrics]
    ranks = np.mean([statistics.rank_among(values, contenders) for values in signed], axis=0)
    rng = derive_generator(entropy, "bootstrap")
    overall = _rank(ranks, contenders, frame, ratio, rng, sign=1, by_metric=signed)
    return Summary(*overall, per_metric, agreement)


def _agreement(
    by_metric: dict[str, _Array], metrics: tuple[Metric, ...], contenders: NDArray[np.bool_]
) -> pd.DataFrame:
    """Rank correlation (Spearman) between metrics of the mean scores of the contenders, better with better."""
    means = pd.DataFrame(
        {m.name: (1 if m.lower_is_better else -1) * by_metric[m.name][:, contenders].mean(axis=0) for m in metrics}
    )
    return means.rank().corr().rename_axis(index="metric", columns="metric")


def failure_reasons(raw: pd.DataFrame, references: list[str]) -> dict[str, str]:
    """Return the commonest reason of each imputer that failed."""
    failed = raw[raw["failure"].notna() & ~raw["imputer"].isin(references)]
    return {str(name): group.mode().iloc[0] for name, group in failed.groupby("imputer")["failure"]}


def _by_repeat(raw: pd.DataFrame, metric: Metric, names: list[str]) -> _Array:
    scores = (
        raw[raw["metric"] == metric.name].groupby(["repeat", "imputer"])["score"].agg(lambda s: s.mean(skipna=False))
    )
    return scores.unstack("imputer").reindex(columns=names).to_numpy(dtype=np.float64)


def _rank(
    values: _Array,
    contenders: NDArray[np.bool_],
    frame: pd.DataFrame,
    ratio: float,
    rng: np.random.Generator,
    *,
    sign: int,
    by_metric: list[_Array] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the table of one metric; comparisons of the contenders, and of the leader with references; rank chances.

    ``values`` is (n_repeats, n_rows). With several metrics these are ranks, and ``by_metric`` is what they come from,
    lower is better.
    """
    names = frame.index.to_numpy()
    intervals = [statistics.corrected_interval(column, ratio) for column in values.T]
    table = pd.DataFrame(intervals, index=frame.index, columns=["score", "ci_low", "ci_high"])
    for column in ("rank", "rank_low", "rank_high"):
        table[column] = pd.array([pd.NA] * len(names), dtype="Int64")
    table["p_best"] = np.where(frame["reference"], np.nan, 0.0)
    table["tied_best"] = False
    table = table.join(frame)
    tested = [sign * values] if by_metric is None else by_metric
    pairwise = against = pd.DataFrame(columns=statistics.PAIRWISE_COLUMNS)
    chances = pd.DataFrame()
    if contenders.any():
        field = sign * values[:, contenders]
        fields = [metric[:, contenders] for metric in tested]
        pairwise = statistics.compare_pairs(field, names[contenders], ratio, by_metric=fields)
        probabilities, low, high = statistics.bootstrap_ranks(fields, ratio, rng)
        means = field.mean(axis=0)
        rank = 1 + (means[:, None] > means).sum(axis=1)
        table.loc[contenders, ["rank", "rank_low", "rank_high"]] = np.column_stack([rank, low, high]).astype(int)
        table.loc[contenders, "p_best"] = probabilities[:, 0]
        places = pd.RangeIndex(1, contenders.sum() + 1, name="rank")
        chances = pd.DataFrame(probabilities, index=frame.index[contenders], columns=places)
        leader = int(np.flatnonzero(contenders)[means.argmin()])  # the first by name among equals
        table["tied_best"] = contenders & ~np.isin(names, significantly_worse(pairwise, names[leader]))
        comparable = (frame["reference"] & (frame["failures"] == 0)).to_numpy() & (names != TRUTH)
        pairs = [(leader, int(reference)) for reference in np.flatnonzero(comparable)]
        against = statistics.compare_pairs(sign * values, names, ratio, by_metric=tested, pairs=pairs)
    table = _place_failed(table, sign)
    return table, pairwise, against, chances.reindex([name for name in table.index if name in chances.index])


def significantly_worse(pairwise: pd.DataFrame, name: str, *, p_value: str = "p_holm") -> list[str]:
    """Return those that are worse than ``name`` after Holm's correction, or before it, by ``p_value``."""
    return list(pairwise[(pairwise["better"] == name) & (pairwise[p_value] < ALPHA)]["worse"])


def _place_failed(table: pd.DataFrame, sign: int) -> pd.DataFrame:
    """Rank the imputers that failed behind all others, the one with most failures last, and sort the table."""
    ranked = table.assign(_key=sign * table["score"], _name=table.index)
    failed = ranked[ranked["rank"].isna() & ~ranked["reference"]].sort_values(["failures", "_key", "_name"])
    last = int(table["rank"].notna().sum())
    for place, name in enumerate(failed.index, start=last + 1):
        ranked.loc[name, ["rank", "rank_low", "rank_high"]] = place
    # References stand below; names decide among equals, so that the order of the input does not.
    return ranked.sort_values(["reference", "rank", "_key", "_name"]).drop(columns=["_key", "_name"])
