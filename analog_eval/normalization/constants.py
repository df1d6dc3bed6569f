"""What the mean of the greatest deviations has to be multiplied by to estimate a standard deviation."""

from __future__ import annotations

from functools import lru_cache
from math import log, pi, sqrt

import numpy as np
from scipy.integrate import quad
from scipy.special import betainc, erf

__all__ = ["calibrated_constant", "published_constant"]


def published_constant(n: int) -> float:
    r"""Return :math:`C(n) = \frac{1 + \sqrt{\pi \ln 4}}{2 \sqrt{2 \ln n}}`, which does not depend on k.

    Hoffer, Banner, Golan and Soudry, "Norm matters: efficient and accurate normalization schemes in deep networks",
    NeurIPS 2018 (arXiv 1803.01814), for the greatest deviation alone (the L-infinity norm).

    Parameters
    ----------
    n : int
        Number of values, at least 2.

    Returns
    -------
    float

    Examples
    --------
    >>> round(published_constant(16384), 4)
    0.3503
    """
    return (1.0 + sqrt(pi * log(4.0))) / (2.0 * sqrt(2.0 * log(n)))


@lru_cache(maxsize=1024)
def calibrated_constant(n: int, k: int) -> float:
    r"""Return one over the expected mean of the `k` greatest of `n` absolute standard normal numbers.

    A number z is among the k greatest if fewer than k of the others exceed it, so that the expectation is
    :math:`\frac{n}{k} \int_0^\infty 2 z \varphi(z) I_{F(z)}(n - k, k)\,dz` with
    :math:`F(z) = \mathrm{erf}(z / \sqrt 2)` and the regularized incomplete beta function I (ours).

    Parameters
    ----------
    n : int
        Number of values.
    k : int
        How many of them, 1 to n.

    Returns
    -------
    float

    Examples
    --------
    All of them: the L1 constant sqrt(pi / 2).

    >>> round(calibrated_constant(100, 100), 6)
    1.253314
    """
    if k == n:
        return sqrt(pi / 2.0)

    def density(z: float) -> float:
        return float(z * np.exp(-0.5 * z * z) * betainc(n - k, k, erf(z / sqrt(2.0))))

    # Split at the k-th greatest deviation, around which the beta function rises.
    edge = sqrt(2.0 * log(max(2.0, n / k)))
    total = sum(quad(density, low, high, epsabs=0.0, epsrel=1e-10)[0] for low, high in ((0.0, edge), (edge, 40.0)))
    return k / (n * sqrt(2.0 / pi) * total)
