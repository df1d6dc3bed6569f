"""A ranking in words and in cells fit to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from imputation_eval.metrics import Metric
from imputation_eval.ranking.summary import failure_reasons, significantly_worse
from imputation_eval.ranking.trials import FEW_ROWS
from imputation_eval.scoring import RANKING_METRICS, TRUTH

if TYPE_CHECKING:
    from imputation_eval.ranking.result import Ranking


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of a ranking as text: rounded, intervals in one cell, references marked."""
    cells = pd.DataFrame(index=table.index)
    cells["rank"] = ["ref." if row.reference else str(row.rank) for row in _rows(table)]
    cells["rank interval"] = ["" if row.reference else _integers(row.rank_low, row.rank_high) for row in _rows(table)]
    cells["score"] = [number(row.score) for row in _rows(table)]
    cells["95 % interval"] = [
        "" if pd.isna(row.ci_low) else f"{number(row.ci_low)} to {number(row.ci_high)}" for row in _rows(table)
    ]
    several = _contends(table).sum() > 1  # the chance of being best of one says nothing
    cells["p best"] = [f"{row.p_best:.2f}" if several and not row.reference else "" for row in _rows(table)]
    cells["tied best"] = ["yes" if row.tied_best else "" for row in _rows(table)]
    cells["failures"] = [str(row.failures) for row in _rows(table)]
    cells["seconds"] = ["" if pd.isna(row.seconds) else f"{row.seconds:.2g}" for row in _rows(table)]
    return cells


def explain(ranking: Ranking) -> str:
    """Say in plain words who won, how surely, and under which assumption; one line a statement."""
    table, settings, winner = ranking.table, ranking.settings, ranking.winner
    metrics = [RANKING_METRICS[name] for name in settings["metrics"]]
    lines = [
        _verdict(table, settings, winner, ranking.pairwise),
        *_disagreement(ranking),
        *_truth(table, metrics),
        *_against_references(ranking.against_references, winner),
        *_failures(table, ranking.raw, settings["n_repeats"]),
        _assumption(settings),
        *_left_out(settings),
        *_few_rows(settings["n_rows"]),
        *[f"Note: {metric.note}." for metric in metrics if metric.note],
    ]
    return "\n".join(lines)


def number(value: Any) -> str:
    """Format a score with three significant digits."""
    return "-" if pd.isna(value) else f"{value:.3g}"


def _contends(table: pd.DataFrame) -> pd.Series:
    return ~table["reference"] & (table["failures"] == 0)


def _rows(table: pd.DataFrame) -> Any:
    return table.itertuples(index=False)


def _integers(low: Any, high: Any) -> str:
    return "" if pd.isna(low) else f"{low}-{high}"


def _verdict(table: pd.DataFrame, settings: Mapping[str, Any], winner: str | None, pairwise: pd.DataFrame) -> str:
    if winner is None:
        return "There is no winner: every imputer failed in at least one repeat."
    n_contenders, n_imputers = int(_contends(table).sum()), int((~table["reference"]).sum())
    names = settings["metrics"]
    what = f"the mean rank over {', '.join(names)}" if len(names) > 1 else names[0]
    row = table.loc[winner]
    score = number(row["score"])
    if not pd.isna(row["ci_low"]):
        score += f" (95 % interval {number(row['ci_low'])} to {number(row['ci_high'])})"
    if n_contenders == 1:
        alone = "imputer" if n_imputers == 1 else f"one of {n_imputers} imputers that never failed"
        return f"{winner!r}, the only {alone}, has {what} {score} over {settings['n_repeats']} repeats."
    field = f"{n_contenders} imputers{' that never failed' if n_contenders < n_imputers else ''}"
    first = (
        f"{winner!r} ranks first of {field} by {what}: {score} over {settings['n_repeats']} repeats; "
        f"its chance of being the best of them is {_chance(row['p_best'])}."
    )
    tied = [str(name) for name in table.index[table["tied_best"]] if name != winner]
    if tied:
        which = " (not worse by every metric)" if len(names) > 1 else ""
        worse_alone = significantly_worse(pairwise, winner, p_value="p_value")
        just = [name for name in tied if name in worse_alone]
        clearly = [name for name in tied if name not in worse_alone]
        if clearly:
            first += f" Statistically tied with it{which}: {_listed(clearly)}.{_fastest(table, [winner, *clearly])}"
        if just:
            first += f" Tied with it only just{which}: {_listed(just)}, significantly worse before Holm's correction."
        return first
    which = " by every metric" if len(names) > 1 else ""
    return (
        f"{first} Every other one of them is significantly worse{which} (corrected resampled t on paired differences, "
        "Holm, 5 %); scores within a repeat are paired, so this can be even where intervals overlap."
    )


def _chance(probability: Any) -> str:
    # The bootstrap can give 1, but no finite number of repeats makes anything certain.
    return "over 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _fastest(table: pd.DataFrame, tied: list[str]) -> str:
    seconds = table.loc[tied, "seconds"]
    if seconds.isna().any() or seconds.min() > seconds.iloc[0] / 2:
        return ""
    name = str(seconds.idxmin())
    return f" Of these {name!r} is the fastest ({seconds[name]:.2g} s against {seconds.iloc[0]:.2g} s)."


def _disagreement(ranking: Ranking) -> list[str]:
    names = ranking.settings["metrics"]
    if len(names) < 2 or len(ranking.rank_probabilities) < 2:
        return []
    leaders = {name: ranking.per_metric.loc[name].index[0] for name in names}
    correlations = ranking.agreement.to_numpy()[np.triu_indices(len(names), 1)]
    lowest = f"the lowest rank correlation between two metrics is {number(correlations.min())}"
    if len(set(leaders.values())) == 1:
        return [f"All metrics put {leaders[names[0]]!r} first; {lowest}."]
    firsts = ", ".join(f"{name} puts {leader!r} first" for name, leader in leaders.items())
    return [
        f"The metrics disagree, which the mean rank hides: {firsts}; {lowest}. Decide by the one that fits the use."
    ]


def _truth(table: pd.DataFrame, metrics: list[Metric]) -> list[str]:
    if TRUTH not in table.index:
        return []
    score = number(table["score"][TRUTH])
    if len(metrics) > 1:
        return [f"Among the ranks of the imputers the truth would stand at {score} (0.5 is before all of them)."]
    if metrics[0].compares == "cells":
        return [f"The truth itself scores {score}."]
    floor, no_floor = "no imputer can be expected to do better", "no floor, an imputer can do better"
    reading = floor if metrics[0].truth_is_floor else no_floor
    return [f"The truth itself, compared with other rows of the truth, scores {score}: {reading}."]


def _left_out(settings: Mapping[str, Any]) -> list[str]:
    if settings["mode"] != "no_truth":
        return []
    covariates, not_scored = settings["covariates"], settings["not_scored"]
    lines = []
    n_others = len(covariates) + len(not_scored) - 1
    used = float(np.mean([len(names) for names in covariates.values()]))
    if used < n_others:
        lines.append(
            f"Columns serve as covariates of another one if they are observed wherever that one is: {used:.2g} of "
            f"{n_others} on average. The fewer there are, the less tells imputers apart; mode 'masked' uses them all."
        )
    with_holes = {name: reason for name, reason in not_scored.items() if not reason.startswith("0 holes")}
    if with_holes:
        lines.append(f"Not scored: {', '.join(f'{name!r} ({reason})' for name, reason in with_holes.items())}.")
    return lines


def _few_rows(n_rows: int) -> list[str]:
    if n_rows >= FEW_ROWS:
        return []
    return [f"Caution: with {n_rows} rows, fewer than {FEW_ROWS}, ranks are mostly noise."]


def _against_references(against_references: pd.DataFrame, winner: str | None) -> list[str]:
    if winner is None:
        return []
    tested = {*against_references["better"], *against_references["worse"]} - {winner}
    doubtful = sorted(tested - set(significantly_worse(against_references, winner)))
    if not doubtful:
        return []
    return [
        f"Beware: {winner!r} is not significantly better than {' or '.join(map(repr, doubtful))}; filling each column "
        "by itself may do as well."
    ]


def _failures(table: pd.DataFrame, raw: pd.DataFrame, n_repeats: int) -> list[str]:
    reasons = failure_reasons(raw, [])
    return [
        f"{name!r} failed in {table['failures'][name]} of {n_repeats} repeats"
        f"{'' if table['reference'][name] else ' and ranks behind those that never failed'}: {reason}"
        for name, reason in reasons.items()
    ]


def _assumption(settings: Mapping[str, Any]) -> str:
    if settings["mode"] == "truth":
        return "Scored against the complete table given as truth, on the rows that have holes."
    if settings["mode"] == "no_truth":
        forecaster = "random forests, fitted on the imputed rows in place of the imputers, which are not at hand,"
        who = forecaster if settings["given"] else "each imputer"
        return (
            f"Scored without a truth: by how well {who} restored each column's observed cells from the rows where it "
            "was imputed. Assumption: once the columns that serve as covariates are known, whether a value is missing "
            "does not depend on the value; otherwise the order can be reversed. There is no floor to compare with."
        )
    mechanism = settings["mechanism"]
    return (
        f"Assumption: {100 * settings['hidden_rate']:.3g} % of the observed cells were hidden by the mechanism "
        f"{mechanism!r}{_MECHANISM_NOTES[mechanism]}. The order holds for the table's own holes only if they arose in "
        "the same way; values that are missing for a reason related to themselves can reverse it."
    )


_MECHANISM_NOTES = {
    "mcar": " (completely at random)",
    "mar": " (depending on another cell of the row, which stays)",
    "mnar": " (large values more often)",
    "observed": " (the patterns of the table's own holes, given to rows at random)",
}
