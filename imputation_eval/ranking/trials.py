"""From a user's tables to a trial: the checks, the warnings, and which kind of trial it is."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import pandas as pd

from imputation_eval._validation import check_no_empty_column, check_table, warn_user
from imputation_eval.encoding import TableEncoder, column_roles
from imputation_eval.imputers.contract import count_changed, index_difference
from imputation_eval.scoring import MIN_ROWS, ComparisonTrial, ForecastTrial, choose_metrics
from imputation_eval.truthless import ENERGY_ISCORE, plan_tasks

MODES = ("masked", "truth", "no_truth")
FEW_ROWS = 100


def check_mode(mode: str, truth: pd.DataFrame | None) -> None:
    """Raise a ValueError unless ``truth`` is given where, and only where, it is used."""
    if mode not in MODES:
        raise ValueError(f"mode={mode!r} is not available; available: {list(MODES)}.")
    if mode == "truth" and truth is None:
        raise ValueError("mode='truth' needs truth=, the complete table.")
    if mode != "truth" and truth is not None:
        raise ValueError(f"truth= is used by mode='truth' only, but mode={mode!r}.")


def masked_trial(
    df: pd.DataFrame,
    *,
    metrics: str | Iterable[str] | None,
    mechanism: str,
    missing_rate: float,
    categorical: str | list[Hashable],
    max_rows: int,
    **rest: Any,
) -> ComparisonTrial:
    """Observed cells of ``df`` are hidden anew in each repeat."""
    _check_size(df)
    return ComparisonTrial(
        table=df,
        truth=df,
        encoder=_encoder(df, "df", categorical),
        metrics=choose_metrics("nds" if metrics is None else metrics, max_rows),
        mechanism=mechanism,
        missing_rate=missing_rate,
        max_rows=max_rows,
        **rest,
    )


def truth_trial(
    df: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    metrics: str | Iterable[str] | None,
    categorical: str | list[Hashable],
    max_rows: int,
    **rest: Any,
) -> ComparisonTrial:
    """The holes of ``df`` are compared with ``truth``."""
    _check_size(df)
    _check_truth(df, check_table(truth, "truth"), categorical)
    return ComparisonTrial(
        table=df,
        truth=truth,
        encoder=_encoder(truth, "truth", categorical),
        metrics=choose_metrics("nds" if metrics is None else metrics, max_rows),
        mechanism=None,
        missing_rate=None,
        max_rows=max_rows,
        **rest,
    )


def truthless_trial(
    df: pd.DataFrame,
    *,
    metrics: str | Iterable[str] | None,
    categorical: str | list[Hashable],
    max_rows: int,
    **rest: Any,
) -> ForecastTrial:
    """The holes of ``df`` stay unknown."""
    _check_size(df)
    encoder = _encoder(df, "df", categorical)
    tasks, skipped = plan_tasks(df, encoder)
    return ForecastTrial(
        table=df,
        encoder=encoder,
        metrics=choose_metrics(ENERGY_ISCORE.name if metrics is None else metrics, max_rows, truth=False),
        tasks=tuple(tasks),
        skipped=skipped,
        max_rows=max_rows,
        **rest,
    )


def _check_size(df: pd.DataFrame) -> None:
    check_table(df, "df")
    if len(df) < MIN_ROWS:
        raise ValueError(f"df has {len(df)} rows, at least {MIN_ROWS} are needed.")
    check_no_empty_column(df, "df")


def _encoder(table: pd.DataFrame, name: str, categorical: str | list[Hashable]) -> TableEncoder:
    if len(table) < FEW_ROWS:
        warn_user(f"{name} has only {len(table)} rows; below {FEW_ROWS} ranks are mostly noise.")
    _warn_of_duplicates(table, name)
    encoder = TableEncoder(categorical=categorical).fit(table)
    _warn_of_identifiers(table, name, encoder)
    return encoder


def _warn_of_duplicates(table: pd.DataFrame, name: str) -> None:
    try:
        duplicated = table.dropna().duplicated().sum() / len(table)  # rows with holes look alike more easily
    except TypeError:  # unhashable cells: the encoder names the column
        return
    if duplicated > 0.2:
        warn_user(
            f"{duplicated:.0%} of the rows of {name} repeat another row; reference and candidate then share rows, "
            "which favours imputers that copy."
        )


def _warn_of_identifiers(table: pd.DataFrame, name: str, encoder: TableEncoder) -> None:
    nominal = [column for column, role in encoder.roles_.items() if role == "nominal"]
    unique = [column for column in nominal if 2 * table[column].nunique() > table[column].count()]
    if unique:
        warn_user(
            f"columns of {name} have hardly a level that comes twice: {unique}. Drop identifiers, which nothing can "
            "restore, and merge rare levels."
        )


def _check_truth(df: pd.DataFrame, truth: pd.DataFrame, categorical: str | list[Hashable]) -> None:
    if list(truth.columns) != list(df.columns):
        raise ValueError(f"truth has columns {list(truth.columns)} but df has {list(df.columns)}.")
    if not truth.index.equals(df.index):
        raise ValueError(f"truth and df differ in their index: {index_difference(truth.index, df.index)}.")
    if not df.isna().to_numpy().any():
        raise ValueError("df has no holes, so there is nothing to compare with truth.")
    roles, true_roles = column_roles(df, categorical), column_roles(truth, categorical)
    for name in df.columns:
        if roles[name] != true_roles[name]:
            raise ValueError(
                f"column {name!r} is {roles[name]} in df ({df[name].dtype}) but {true_roles[name]} in truth "
                f"({truth[name].dtype}); give both the same kind of values."
            )
    lacking = [name for name in df.columns if (df[name].notna() & truth[name].isna()).any()]
    if lacking:
        raise ValueError(f"truth lacks cells that df has, in the columns {lacking}.")
    changed = {name: n for name in df.columns if (n := count_changed(df[name], truth[name]))}
    if changed:
        raise ValueError(f"truth differs from df in observed cells (column: cells): {changed}.")
