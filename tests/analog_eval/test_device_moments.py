"""Means and variances of conductances and weights against the formulas, worked out apart from the code."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from analog_eval import PCM, Hermes, ReRAM, StateIndependent, TabulatedDevice

SHARES = np.linspace(0.0, 1.0, 20)
TIMES = (0.0, 25.0, 3600.0, 365 * 86400.0)
CHUNK = 10_000


def clip(value, low, high):
    return min(max(value, low), high)


def log(u):
    return math.log(u) if u > 0.0 else -math.inf


class PCMLaw:
    """Formulas of one conductance, in units of uS and s, with u its share of the greatest one."""

    g_max, t0, t_read = 25.0, 20.0, 250e-9

    def sd(self, u):
        return 0.26348 + 1.9650 * u - 1.1731 * u**2

    def exponent(self, u):
        return clip(-0.0155 * log(u) + 0.0244, 0.049, 0.1), clip(-0.0125 * log(u) - 0.0059, 0.008, 0.045)

    def share(self, u):
        return np.minimum(0.2, 0.0088 / np.maximum(u**0.65, 1e-3))


class HermesOne:
    g_max, t0, t_read = 10.35, 200.0, 512e-9

    def sd(self, u):
        return 0.15781817 + 2.32443916 * u - 2.16310839 * u**2 + 0.68841818 * u**3

    def exponent(self, u):
        mean = clip(-0.0387 * log(u) - 0.0182, 0.072, 0.13) if u < 0.0945 else 0.0736 - 0.0126 * u - 0.0436 * u**2
        sd = clip(-0.0120 * log(u) - 0.0023, 0.0124, 0.04) if u < 0.3039 else 0.0104 + 0.0116 * u - 0.0165 * u**2
        return mean, sd

    def share(self, u):
        low = np.clip(-0.0078 * np.log(np.maximum(u, 1e-300)) + 0.0038, 0.0179, 0.04)
        return np.where(u < 0.1591, low, 0.0088 + 0.0768 * u - 0.1352 * u**2 + 0.0664 * u**3)


class HermesTwo:
    g_max, t0, t_read = 20.7, 300.0, 512e-9

    def sd(self, u):
        return 0.16603222 + 4.71806468 * u - 8.48101252 * u**2 + 4.68961419 * u**3

    def exponent(self, u):
        sd = clip(-0.0117 * log(u) - 0.0057, 0.0091, 0.04) if u < 0.3055 else 0.0073 + 0.0093 * u - 0.0118 * u**2
        return HermesOne().exponent(u)[0], sd

    def share(self, u):
        low = np.clip(-0.0117 * np.log(np.maximum(u, 1e-300)) - 0.0069, 0.015, 0.04)
        return np.where(u < 0.16, low, 0.0123 + 0.0211 * u - 0.0280 * u**2 + 0.0069 * u**3)


class StateIndependentLaw:
    g_max, t0, t_read = 25.0, 20.0, 250e-9

    def sd(self, u):
        return 0.2

    def exponent(self, u):
        return 0.1, 0.05

    def share(self, u):
        return np.full_like(u, 1.0 / 25.0)


def table(law):
    """A table of a law so fine that lines between its rows are the law."""
    grid = np.unique(np.append(np.geomspace(1e-6, 4.0, 4000), [0.0, 1.0])) * law.g_max
    columns = np.array([[law.sd(u), *law.exponent(u), float(law.share(np.array(u)))] for u in grid / law.g_max])
    # Above the greatest target only the read noise is asked for; the parabola of the deviation would be negative there.
    sd, mean, spread, read = np.maximum(columns, 0.0).T
    return TabulatedDevice(
        conductances=grid, programming=sd, exponent_mean=mean, exponent_sd=spread, read_noise=read, g_max=law.g_max
    )


POWER_LAWS = {
    "PCM": (PCM(), PCMLaw()),
    "Hermes, one": (Hermes(n_unit=1), HermesOne()),
    "Hermes, two": (Hermes(), HermesTwo()),
    "StateIndependent": (StateIndependent(), StateIndependentLaw()),
}


def rectified(mean, sd, power):
    """Return E max(0, N(mean, sd^2))^power for powers 1 and 2."""
    z = mean / sd
    if power == 1:
        return mean * norm.cdf(z) + sd * norm.pdf(z)
    return (mean**2 + sd**2) * norm.cdf(z) + mean * sd * norm.pdf(z)


def decay(law, u, t, power):
    """Return E ((t + t0) / t0)^(-power |N(mean, sd^2)|)."""
    mean, sd = law.exponent(u)
    k = power * math.log((t + law.t0) / law.t0)
    return math.exp(k**2 * sd**2 / 2) * (
        math.exp(-k * mean) * norm.cdf(mean / sd - k * sd) + math.exp(k * mean) * norm.cdf(-mean / sd - k * sd)
    )


def drifted(law, u, t):
    """Return mean and variance of a conductance, not read."""
    first, second = (rectified(u * law.g_max, law.sd(u), p) * decay(law, u, t, p) for p in (1, 2))
    return first, second - first**2


def read(law, u, t):
    """Return mean and variance of a conductance that is read, by a fine grid over the programming noise."""
    xi = np.linspace(-9.0, 9.0, 8001)
    g = np.maximum(0.0, u * law.g_max + law.sd(u) * xi)
    s = math.sqrt(math.log((t + law.t0 + law.t_read) / (2 * law.t_read)))
    spread = law.share(g / law.g_max) * s
    density = norm.pdf(xi) * (xi[1] - xi[0])
    first, second = (float(density @ (g**p * rectified(1.0, spread, p))) * decay(law, u, t, p) for p in (1, 2))
    return first, second - first**2


class Moments:
    """How far mean and variance of many draws are from what they should be, in standard errors."""

    def __init__(self, mean, variance):
        self.mean, self.variance = np.asarray(mean), np.asarray(variance)
        self.n, self.sums = 0, np.zeros((3, len(self.mean)))

    def add(self, draws):
        deviations = draws - self.mean
        squares = deviations**2
        self.n += len(draws)
        self.sums += [deviations.sum(axis=0), squares.sum(axis=0), (squares**2).sum(axis=0)]

    def errors(self):
        first, second, fourth = self.sums / self.n
        of_mean = first / np.sqrt(self.variance / self.n)
        of_variance = (second - self.variance) / np.sqrt((fourth - self.variance**2) / self.n)
        return np.abs([of_mean, of_variance])


def errors(device, law, n_draws, seed=0):
    """Return the errors of both devices' conductances and of the weights read, at every time."""
    zero = {t: (drifted(law, 0.0, t), read(law, 0.0, t)) for t in TIMES}
    checks = {}
    for t in TIMES:
        own = np.array([drifted(law, u, t) for u in SHARES]).T
        # A weight is the difference of two devices, of which the second one's target is 0; its unit is the greatest.
        pairs = np.array([np.add(read(law, u, t), np.multiply(zero[t][1], (-1, 1))) for u in SHARES]).T
        scaled = pairs * [[1 / law.g_max], [1 / law.g_max**2]]
        checks[t] = Moments(*own), Moments(*np.reshape(zero[t][0], (2, 1))), Moments(*scaled)
    rng = np.random.default_rng(seed)
    for _ in range(n_draws // CHUNK):
        programmed = device.program(SHARES, rng, CHUNK)
        for t, (first, second, weights) in checks.items():
            conductances = device.drift(programmed, t)
            first.add(conductances[:, 0])
            second.add(conductances[:, 1, -1:])
            weights.add(device.read(programmed, t))
    return np.concatenate([moments.errors().ravel() for times in checks.values() for moments in times])


@pytest.mark.parametrize("name", POWER_LAWS)
def test_mean_and_variance(name):
    assert errors(*POWER_LAWS[name], 30_000).max() < 4.5


def test_of_a_table():
    assert errors(table(PCMLaw()), PCMLaw(), 30_000).max() < 4.5


@pytest.mark.slow
@pytest.mark.parametrize("name", POWER_LAWS)
def test_mean_and_variance_of_a_million(name):
    assert errors(*POWER_LAWS[name], 1_000_000).max() < 4.0


@pytest.mark.parametrize("scale", ["programming_scale", "drift_scale", "read_scale"])
def test_four_percent_would_be_noticed(scale):
    assert errors(PCM(**{scale: 1.04}), PCMLaw(), 30_000).max() > 4.5


def reram_sd(u, seconds):
    low_to_high = {
        1.0: [0.348, 16.030, -43.853, 45.393, -16.815],
        86400.0: [0.701, 22.086, -50.773, 47.095, -16.458],
        172800.0: [0.782, 20.274, -43.507, 37.062, -11.934],
    }
    return sum(c * u**i for i, c in enumerate(low_to_high[seconds]))


@pytest.mark.parametrize("n_draws", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_reram(n_draws):
    device, rng = ReRAM(), np.random.default_rng(0)
    moments = {}
    for t in (1.0, 86400.0, 172800.0):
        sd = reram_sd(SHARES, t)
        first, second = (rectified(40.0 * SHARES, sd, p) for p in (1, 2))
        moments[t] = Moments(first, second - first**2)
    for _ in range(n_draws // CHUNK):
        programmed = device.program(SHARES, rng, CHUNK)
        for t, check in moments.items():
            check.add(device.drift(programmed, t)[:, 0])
    assert max(check.errors().max() for check in moments.values()) < 4.0
