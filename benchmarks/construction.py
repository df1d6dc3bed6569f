"""Construction and codecs against the bare matrix product, on one core; writes ``results/construction.json``.

Times are the least CPU seconds of some runs with one BLAS thread; those of constructions are divided by those of the
n x d x k product of the same run, so that they compare over machines. Scenario names are permanent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from data import mixture
from harness import Run, Setting, cpu_seconds
from threadpoolctl import threadpool_limits

from coreset import (
    RobustCoreset,
    RoundingQuantizer,
    SensitivityCoreset,
    UniformCoreset,
    UniformQuantizer,
    distortion,
)

SETTINGS = {
    "seeds": Setting(5, 1, "data sets a scenario"),
    "repeats": Setting(3, 1, "timed runs of each construction"),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    with threadpool_limits(1):
        run.finish({"construction": construction(run.given.seeds, run.given.repeats), "codecs": codecs()})


def construction(n_seeds: int, repeats: int) -> list[dict[str, Any]]:
    """4,000 points of 100,000 x 50 rows in 100 clusters: distortion and time of each method."""
    rows = []
    for kind in ("balanced", "imbalanced", "far"):
        for seed in range(n_seeds):
            X = mixture(kind, np.random.default_rng(seed))
            product = cpu_seconds(lambda X=X: X @ X[:100].T, repeats)
            for name, estimator in methods(seed).items():
                seconds = cpu_seconds(lambda X=X, estimator=estimator: estimator.fit(X), repeats)
                power = getattr(estimator, "power", 2)
                rows.append(
                    {
                        "scenario": f"mixture-{kind}",
                        "method": name,
                        "seed": seed,
                        "distortion": distortion(X, estimator.coreset_, 100, power=power, random_state=seed),
                        "seconds": seconds,
                        "products": seconds / product,
                    }
                )
                print(f"{kind:11s} {name:20s} seed {seed}: distortion {rows[-1]['distortion']:.4f}, {seconds:.2f} s")
    return rows


def methods(seed: int) -> dict[str, Any]:
    return {
        "RobustCoreset": RobustCoreset(4000, random_state=seed),
        "RobustCoreset power=1": RobustCoreset(4000, power=1, random_state=seed),
        "SensitivityCoreset": SensitivityCoreset(4000, random_state=seed),
        "UniformCoreset": UniformCoreset(4000, random_state=seed),
    }


def codecs() -> list[dict[str, Any]]:
    """Megabytes of float64 a second, encoding and decoding."""
    points = np.random.default_rng(0).normal(size=(4000, 256))
    rows = []
    for codec in (UniformQuantizer(2), UniformQuantizer(8), RoundingQuantizer(6), RoundingQuantizer(23, "paper")):
        data = codec.encode(points)
        encode = cpu_seconds(lambda codec=codec: codec.encode(points), repeats=5)
        decode = cpu_seconds(lambda codec=codec, data=data: codec.decode(data, points.shape), repeats=5)
        megabytes = points.nbytes / 1e6
        rows.append({"codec": repr(codec), "encode_MB_s": megabytes / encode, "decode_MB_s": megabytes / decode})
        print(f"{codec!r}: {rows[-1]['encode_MB_s']:.0f} MB/s encoding, {rows[-1]['decode_MB_s']:.0f} MB/s decoding")
    return rows


if __name__ == "__main__":
    main()
