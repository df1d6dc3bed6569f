"""What a planner's measure costs in accuracy: messages ranked by it and by models; writes ``results/yardstick.json``.

For each table, budget and seed the largest coreset that fits is built for every context quantizer of a few bits. Each
message is measured by energy distances from the training rows to its points, to its scatter, and by the mean of both
squares, which is what `BudgetedCoreset` goes by, and by the distance of fresh rows to the nearest point. Its accuracy
is the mean of three models trained on the points and on the scatter, relative to training on all rows. ``regret`` is
by how much the message that a measure prefers is behind the best one.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
from budget import MODELS, SCATTERED_ROWS, TABLES, Split, split
from harness import Run, Setting
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from coreset import ContextQuantizer, Coreset, RobustCoreset, decode, encode
from coreset.budget.building import Builder
from coreset.budget.energy import EnergyYardstick
from coreset.budget.filling import fill
from coreset.construction import check_rows
from coreset.nearest import nearest

BUDGETS = {
    "digits": (0.0025, 0.01, 0.03),
    "breast-cancer": (0.005, 0.01, 0.03),
    "segments": (0.005, 0.01, 0.03),
    "mnist": (0.0005, 0.0025),
}
MEASURES = ("points and scatter", "points", "scatter", "distance to the nearest")
BITS = (1, 2, 3, 4)
SETTINGS = {
    "seeds": Setting(2, 1),
    "only": Setting(tuple(BUDGETS), ("breast-cancer",), "tables", more={"choices": tuple(BUDGETS)}),
}


def main() -> None:
    run, cases = Run(__file__, __doc__, SETTINGS), []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # searches are cut short on purpose
        for name in run.given.only:
            for seed in range(run.given.seeds):
                part = split(TABLES[name](), seed)
                for share in BUDGETS[name]:
                    cases.append({"table": name, "seed": seed, "share": share, **case(part, share, seed)})
                    print(json.dumps({**cases[-1], "messages": len(cases[-1]["messages"])}), flush=True)
    results = {
        "mean_regret": {name: round(float(np.mean([one["regret"][name] for one in cases])), 5) for name in MEASURES},
        "cases": cases,
    }
    print(results["mean_regret"])
    run.finish(results)


def case(part: Split, share: float, seed: int) -> dict[str, Any]:
    """Messages of one budget, and what each measure loses by its choice among them."""
    whole = np.array(part.scores(lambda model: clone(model).fit(part.X, part.y)))
    rows = check_rows(BaseEstimator(), part.X, part.y, None)
    builder = Builder(rows, None, RobustCoreset(), seed)
    yardstick = EnergyYardstick(rows.X, rows.weights, np.asarray(rows.labels))
    messages = []
    for codec in (ContextQuantizer(bits, scope) for bits in BITS for scope in ("column", "table")):
        budget = int(share * part.raw_bytes)
        filled = fill(builder, codec, budget, builder.bound.most_points(codec, budget))
        if filled is not None:
            received = decode(encode(filled.coreset, filled.quantizer))
            messages.append(
                {
                    "codec": repr(codec),
                    "n_points": len(received),
                    "accuracy": round(float(np.mean(relative(part, received, whole, seed))), 5),
                    **measured(yardstick, received, part),
                }
            )
    best = max(one["accuracy"] for one in messages)
    regret = {name: round(best - min(messages, key=lambda one: one[name])["accuracy"], 5) for name in MEASURES}
    return {"n_models": len(MODELS), "best": best, "regret": regret, "messages": messages}


def measured(yardstick: EnergyYardstick, received: Coreset, part: Split) -> dict[str, float]:
    """Errors by each measure."""
    both = yardstick.squared_error(received)
    points = yardstick.squared_error(Coreset(received.points, received.weights, labels=received.labels))
    squares = (both, points, 2 * both - points, float(nearest(part.test_X, received.points)[1].mean()))
    return {name: round(float(np.sqrt(max(square, 0.0))), 5) for name, square in zip(MEASURES, squares, strict=True)}


def relative(part: Split, received: Coreset, whole: np.ndarray, seed: int) -> np.ndarray:
    """Accuracies of models trained on points and on their scatter, over those of models trained on all rows."""
    copies = int(np.clip(SCATTERED_ROWS / len(received) // 2 * 2, 2, 16))
    trained = [received.train]
    if received.offset > 0:
        trained.append(received.scatter(copies, random_state=seed).train)
    return np.array([part.scores(train) for train in trained]) / whole


if __name__ == "__main__":
    main()
