"""Differences of paired proportions: intervals that hold the truth also where few rows change sides, or none does.

The models here answer a row with a weight of its own, and noise flips so many of them, so that every outcome of a test
is one level of one sweep.  How often an interval holds the truth is then a sum over all outcomes, with no simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pytest
from scipy.stats import binom, multinomial, norm, t

from analog_eval import ArrayModel, DriftReport, compare, layer_sensitivity, noise_sweep
from analog_eval.evaluation.crossing import half_widths
from analog_eval.noise import WeightNoise


@dataclass(frozen=True)
class Flips(WeightNoise):
    """The level is a place in a list of pairs: so many of the first weights change sign, and so many of the last."""

    pairs: tuple[tuple[int, int], ...]

    clean_level = float("nan")

    def check_level(self, level):
        return float(level)

    def measure(self, weights):
        return None

    def draw(self, shape, rng):
        return None

    def perturb(self, weights, level, units, measured):
        first, last = self.pairs[int(level)]
        noisy = weights.copy()
        noisy[:first] *= -1.0
        noisy[len(noisy) - last :] *= -1.0
        return noisy

    def level_label(self):
        return "pair"


def rowwise(right):
    """Return a model with a weight a row, positive in the rows where it is right."""
    answers = np.where(right, 1.0, -1.0)[:, None]
    return ArrayModel([answers], lambda a, X: a[0][X[:, 0].astype(int), 0], classes=[0, 1])


def swept(n, pairs, share_right=1.0):
    """Return what becomes of a model that is right in the first rows when it loses some of them, and wins others.

    The first level stands for no change, the next ones for the pairs of numbers of rows that are lost and won.
    """
    X, y = np.arange(n)[:, None], np.ones(n, dtype=int)
    model = rowwise(np.arange(n) < round(share_right * n))
    report = noise_sweep(model, X, y, noise=Flips(((0, 0), *pairs)), levels=np.arange(len(pairs) + 1), n_draws=2)
    # Ones alone: a constant guess is always right.
    return DriftReport(**vars(report) | {"chance": float("nan")})


def outcomes(n, p_lost, p_won):
    """Return all outcomes for `n` rows but the least likely ones, the first without any change; their probabilities."""
    most = int(binom.ppf(1 - 1e-9, n, p_lost + p_won))
    pairs = [(i, j) for i in range(most + 1) for j in range(most + 1 - i) if p_won or not j]
    counts = np.array([(i, j, n - i - j) for i, j in pairs])
    return pairs, multinomial.pmf(counts, n, [p_lost, p_won, 1.0 - p_lost - p_won])


class TestCoverage:
    @pytest.mark.parametrize("share_won", [0.0, 0.5])
    @pytest.mark.parametrize(("n", "agreement"), [(40, 0.99), (40, 0.9), (200, 0.99), (200, 0.9), (600, 0.99)])
    def test_of_ratios_and_of_changes(self, n, agreement, share_won):
        p_won = (1.0 - agreement) * share_won
        p_lost = 1.0 - agreement - p_won
        pairs, weights = outcomes(n, p_lost, p_won)
        assert weights.sum() == pytest.approx(1.0, abs=1e-6)
        report = swept(n, pairs, 0.75)
        ratios, truth = report.iso_accuracy().iloc[1:], 1.0 + (p_won - p_lost) / report.clean
        assert weights @ ((ratios["ci_low"] <= truth) & (truth <= ratios["ci_high"])) >= 0.95
        # The first level stands for no change; the second, the same once more, for the outcome without any.
        changes = np.array([report.variation(0.0, float(i)) for i in range(1, len(report.table))])
        assert weights @ ((changes[:, 1] <= p_won - p_lost) & (p_won - p_lost <= changes[:, 2])) >= 0.95

    @pytest.mark.parametrize("n", [40, 100, 200, 300, 400, 600, 1000])
    def test_false_verdicts_are_rare(self, n):
        # Of models that just fail, with 98.99 % of the digital score, at most 1 test in 20 may say that they hold.
        pairs, weights = outcomes(n, 0.0101, 0.0)
        assert weights @ (swept(n, pairs).iso_accuracy(0.99)["verdict"] == "holds").to_numpy()[1:] <= 0.05

    def test_what_loses_nothing_holds_once_there_are_rows_enough(self):
        # Two rows more each way: z * sqrt(4) / (n + 4) is below 1 % from 388 rows on.
        found = [swept(n, [(0, 0)]).iso_accuracy(0.99)["verdict"].iloc[0] for n in (40, 200, 387, 388, 1000)]
        assert found == ["open", "open", "open", "holds", "holds"]


class TestByHand:
    """Two rows more each way: variances of the rows that were seen, and 4 / (n + 4)^2."""

    def test_no_row_changes(self):
        n = 40
        X, y = np.arange(n)[:, None], np.arange(n) % 2
        table = layer_sensitivity(rowwise(y == 1), X, y, level=0.0, n_draws=2)
        half = t.ppf(0.975, n - 1) * 2 / (n + 4)
        assert table["drop"].iloc[0] == 0.0
        np.testing.assert_allclose(table[["ci_low", "ci_high"]].iloc[0], [-half, half])

    @pytest.mark.parametrize("lost", [1, 3])
    def test_models_that_differ_in_few_rows(self, lost):
        n = 40
        X, y = np.arange(n)[:, None], np.ones(n, dtype=int)
        models = {"all": rowwise(np.ones(n)), "few": rowwise(np.arange(n) >= lost)}
        row = compare(models, X, y, levels=0.0, n_draws=2).table.iloc[0]
        share = lost / n
        assert row["difference"] == pytest.approx(share)
        assert row["rows_se"] == pytest.approx(np.sqrt(share * (1 - share) / (n - 1) + 4 / (n + 4) ** 2))
        assert row["verdict"] == ""

    def test_averages_over_levels_are_no_surer_than_one(self):
        n = 40
        X, y = np.arange(n)[:, None], np.ones(n, dtype=int)
        models = {"one": rowwise(np.ones(n)), "other": rowwise(np.ones(n))}
        noise = Flips(((1, 0),) * 5)
        comparison = compare(models, X, y, noise=noise, levels=range(5), n_draws=2)
        np.testing.assert_allclose(comparison.table["rows_se"], 2 / (n + 4))
        np.testing.assert_allclose(comparison.average["rows_se"], 2 / (n + 4))

    def test_weights_count_as_rows(self):
        # Kish: (4 * 1 + 4 * 3)^2 / (4 * 1 + 4 * 9) = 6.4 rows.
        X, y = np.arange(8)[:, None], np.ones(8, dtype=int)
        models = {"one": rowwise(np.ones(8)), "other": rowwise(np.ones(8))}
        table = compare(models, X, y, sample_weight=[1, 3] * 4, levels=0.0, n_draws=2).table
        assert table["rows_se"].iloc[0] == pytest.approx(2 / 10.4)

    def test_levels_at_which_a_score_crosses(self):
        # Levels 0 and 1 lose nothing, level 2 loses 5 of 100 rows; the target is 0.9.
        report = swept(100, [(0, 0), (5, 0), (15, 0)])
        z, hidden = norm.ppf(0.975), 2 * (1 + 0.9**2) / 104**2
        above, below = 0.1 - z * np.sqrt(hidden), 0.05 - z * np.sqrt(0.05 * 0.95 / 99 + hidden)
        assert below < 0.0 < above
        found = report.level_at(0.9)
        assert found.level == pytest.approx(2.5)
        assert found.ci_low == pytest.approx(1.0 + above / (above - below))

    def test_rows_that_are_moved_in_some_draws_only(self):
        # Of ten rows one changes sides in all of four draws, one in two and one in a single one.
        class Lost(Flips):
            def draw(self, shape, rng):
                return next(numbers)

            def perturb(self, weights, level, units, measured):
                noisy = weights.copy()
                noisy[: units if level else 0] *= -1.0
                return noisy

        X, y, sure = np.arange(10)[:, None], np.ones(10, dtype=int), rowwise(np.ones(10))
        numbers = cycle([3, 2, 1, 1])
        report = noise_sweep(sure, X, y, noise=Lost(()), levels=(0.0, 1.0), n_draws=4)
        moved = (1 + 1 + 1 / 4 + 1 / 16) / (1 + 1 + 1 / 2 + 1 / 4)
        np.testing.assert_allclose(report.moved, [1.0, moved])
        # Weights that all are the same, whatever the unit, change nothing.
        numbers = cycle([3, 2, 1, 1])
        weighted = noise_sweep(sure, X, y, sample_weight=[7] * 10, noise=Lost(()), levels=(0.0, 1.0), n_draws=4)
        np.testing.assert_allclose(weighted.moved, [1.0, moved])
        # 10 rows at a mean of 0.825: the variance of the three, and two rows more each way, moved that far.
        target, losses = 0.9, np.array([1.0, 0.5, 0.25, *[0.0] * 7])
        rows = np.var(losses) / 9 + (1 + target**2) * moved**2 * 2 / 14**2
        draws = np.var([0.7, 0.8, 0.9, 0.9], ddof=1) / 4
        half = t.ppf(0.975, 3 * ((rows + draws) / draws) ** 2) * np.sqrt(rows + draws)
        found = half_widths(report.table, report.rows_covariance, target, report.unseen * report.moved**2)
        assert found[1] == pytest.approx(half)
        assert report.level_at(target).level == pytest.approx(0.1 / 0.175)

    def test_single_scores_have_intervals_of_their_own(self):
        row = swept(40, [(0, 0)]).table.iloc[0]
        assert row["rows_se"] == 0.0
        # Wilson's.
        z = t.ppf(0.975, np.inf)
        assert row["ci_low"] == pytest.approx(40 / (40 + z**2))
        assert row["ci_high"] == 1.0

    def test_numbers_have_no_floor(self):
        X, y = np.arange(4)[:, None], np.arange(4.0)
        models = {name: ArrayModel([y[:, None]], lambda a, X: a[0][X[:, 0].astype(int), 0]) for name in "ab"}
        assert compare(models, X, y, metric="mse", levels=0.0, n_draws=2).table["rows_se"].iloc[0] == 0.0
