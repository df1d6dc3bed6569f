"""Shares of a budget: worked by hand, against every combination, dynamic programming and the linear relaxation."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from coreset import allocate_budget

both_objectives = pytest.mark.parametrize("objective", ["max", "sum"])
levels = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 20)), min_size=1, max_size=5)
nodes = st.lists(levels, min_size=1, max_size=4)


def least_bytes(curves) -> int:
    return sum(min(size for size, _ in curve) for curve in curves)


def errors_of(curves, shares) -> list[float]:
    """What each node's bytes buy, which must be those of one of its levels."""
    assert shares.dtype == np.int64
    return [
        min(error for size, error in curve if size == share)
        for curve, share in zip(curves, shares.tolist(), strict=True)
    ]


def with_distinct_errors(curves) -> list[list[tuple[int, float]]]:
    number = itertools.count()
    return [[(size, error + next(number) / 1024) for size, error in curve] for curve in curves]


def all_errors(curves, budget: int) -> list[list[float]]:
    """The errors of every combination within the budget, from the largest to the smallest."""
    return [
        sorted((error for _, error in combination), reverse=True)
        for combination in itertools.product(*curves)
        if sum(size for size, _ in combination) <= budget
    ]


def least_sum(curves, budget: int) -> float:
    """Dynamic programming: the least sum of errors for each number of bytes, node by node."""
    sums = {0: 0.0}
    for curve in curves:
        options = [(used + size, total + error) for used, total in sums.items() for size, error in curve]
        sums = {}
        for used, total in options:
            if used <= budget:
                sums[used] = min(total, sums.get(used, np.inf))
    return min(sums.values())


def relaxed_sum(curves, budget: int) -> float:
    """The least sum when a node may have a mixture of its levels."""
    owners = np.repeat(np.arange(len(curves)), [len(curve) for curve in curves])
    sizes, errors = np.concatenate(curves).T
    one_each = (owners == np.arange(len(curves))[:, None]).astype(float)
    return linprog(errors, A_ub=[sizes], b_ub=[budget], A_eq=one_each, b_eq=np.ones(len(curves))).fun


def largest_hull_step(curve) -> float:
    """The most that the error falls between neighbours on the lower convex hull of a curve."""

    def is_corner(level) -> bool:
        size, error = level
        cheaper = [other for other in curve if other[0] < size]
        dearer = [other for other in curve if other[0] > size]
        beaten = any(s <= size and e <= error and (s, e) != level for s, e in curve)
        under = any((size - s) * (f - e) <= (error - e) * (t - s) for s, e in cheaper for t, f in dearer)
        return not beaten and not under

    corners = sorted({level for level in curve if is_corner(level)})
    return max((before[1] - after[1] for before, after in itertools.pairwise(corners)), default=0)


def by_definition(curves, budget: int) -> list[int]:
    """Of all steps that fit, the one of most error per byte, again and again."""
    at = [min(curve) for curve in curves]
    while True:
        spare = budget - sum(size for size, _ in at)
        steps = [
            ((here[1] - error) / (size - here[0]), node, (size, error))
            for node, here in enumerate(at)
            for size, error in curves[node]
            if error < here[1] and here[0] < size <= here[0] + spare
        ]
        if not steps:
            return [size for size, _ in at]
        _, node, level = max(steps)
        at[node] = level


# By hand


def test_the_worst_node_is_served_first():
    near, far = [(10, 2.0), (20, 1.0), (40, 0.5)], [(10, 9.0), (30, 5.0), (80, 4.0)]
    allocated = {budget: allocate_budget([near, far], budget).tolist() for budget in (20, 39, 40, 90, 99, 100, 1000)}
    assert allocated == {
        20: [10, 10],
        39: [20, 10],  # the far one lacks a byte; the near one is the worst that can be improved
        40: [10, 30],
        90: [10, 80],
        99: [10, 80],
        100: [20, 80],
        1000: [40, 80],
    }


def test_the_sum_takes_the_most_error_per_byte():
    near, far = [(10, 2.0), (20, 1.0), (40, 0.5)], [(10, 9.0), (30, 5.0), (80, 4.0)]
    # Per byte: far 4 / 20, near 1 / 10, near 0.5 / 20, far 1 / 50.
    allocated = [
        allocate_budget([near, far], budget, objective="sum").tolist() for budget in (39, 40, 50, 90, 119, 120)
    ]
    assert allocated == [[20, 10], [10, 30], [20, 30], [40, 30], [40, 30], [40, 80]]


def test_a_level_above_the_hull_is_taken_when_its_corner_does_not_fit():
    steep = [(1, 10.0), (4, 9.0), (10, 0.0)]
    assert [allocate_budget([steep], budget, objective="sum").item() for budget in (3, 4, 9, 10)] == [1, 4, 4, 10]
    assert allocate_budget([steep, [(1, 3.0), (2, 2.9)]], 10, objective="sum").tolist() == [4, 2]


def test_levels_in_any_order_and_useless_ones():
    clean = [(2, 5.0), (4, 3.0), (9, 1.0)]
    untidy = [(9, 1.0), (9, 2.0), (4, 3.0), (2, 8.0), (5, 3.0), (2, 5.0), (12, 1.0), (4, 3.0), (3, 6.0)]
    for objective, budget in itertools.product(["max", "sum"], range(4, 25)):
        expected = allocate_budget([clean, clean], budget, objective=objective)
        np.testing.assert_array_equal(allocate_budget([untidy, clean], budget, objective=objective), expected)


@both_objectives
def test_nodes_with_nothing_to_gain_get_their_least(objective):
    curves = [[(7, 99.0)], [(3, 0.0), (5, 0.0)], [(1, 4.0), (6, 1.0)]]
    assert allocate_budget(curves, 1000, objective=objective).tolist() == [7, 3, 6]


@both_objectives
def test_as_few_nodes_as_possible_send_nothing_of_use(objective):
    curves = [[(1, np.inf), (9, 0.1), (10, 0.0)], [(1, np.inf), (5, 3.0)], [(1, np.inf), (5, 4.0), (6, 3.5)]]
    assert allocate_budget(curves, 6, objective=objective).tolist() == [1, 1, 1]
    assert allocate_budget(curves, 12, objective=objective).tolist() == [1, 5, 6]
    assert allocate_budget(curves, 19, objective=objective).tolist() == [9, 5, 5]


@both_objectives
def test_weights_are_factors_of_the_errors(objective, rng):
    curves = [np.c_[rng.integers(1, 50, 6), 1000 * rng.random(6)] for _ in range(8)]
    weights = rng.uniform(0, 5, 8)
    weights[3] = 0
    scaled = [curve * [1, weight] for curve, weight in zip(curves, weights, strict=True)]
    for budget in range(int(least_bytes(curves)), 300, 7):
        found = allocate_budget(curves, budget, objective=objective, weights=weights)
        np.testing.assert_array_equal(found, allocate_budget(scaled, budget, objective=objective))
        for factor in (1e-300, 2.0**1020):
            again = allocate_budget(curves, budget, objective=objective, weights=weights * factor)
            np.testing.assert_array_equal(again, found)


@both_objectives
def test_infinite_errors_of_weight_zero_count_nothing(objective):
    curves = [[(1, np.inf), (5, 3.0)]] * 2
    assert allocate_budget(curves, 10, objective=objective, weights=[0, 1]).tolist() == [1, 5]
    assert allocate_budget(curves, 10, objective=objective, weights=[0, 0]).tolist() == [1, 1]


# Against independent solutions


@given(nodes, st.integers(0, 40))
def test_no_combination_has_a_smaller_largest_error_nor_has_it_less_often(curves, spare):
    budget = least_bytes(curves) + spare
    shares = allocate_budget(curves, budget)
    assert shares.sum() <= budget
    errors = errors_of(curves, shares)
    best = min((found[0], found.count(found[0])) for found in all_errors(curves, budget))
    assert (max(errors), errors.count(max(errors))) == best


@given(nodes, st.integers(0, 40))
def test_distinct_errors_are_lexicographically_least(curves, spare):
    curves = with_distinct_errors(curves)
    budget = least_bytes(curves) + spare
    errors = errors_of(curves, allocate_budget(curves, budget))
    assert sorted(errors, reverse=True) == min(all_errors(curves, budget))


@given(nodes, st.integers(0, 40))
def test_the_sum_is_within_a_step_of_the_relaxation(curves, spare):
    # Until a first step does not fit, the greedy solution is that of the relaxation, but for a fraction of this step.
    budget = least_bytes(curves) + spare
    shares = allocate_budget(curves, budget, objective="sum")
    assert shares.sum() <= budget
    total = sum(errors_of(curves, shares))
    assert total >= least_sum(curves, budget)
    assert total <= relaxed_sum(curves, budget) + max(map(largest_hull_step, curves)) + 1e-6


@given(st.integers(0, 2**32 - 1))
def test_the_sum_follows_its_definition(seed):
    rng = np.random.default_rng(seed)  # real errors, so that no two steps tie
    sizes, errors = rng.integers(1, 200, (4, 12)), rng.random((4, 12))
    # Two curves fall late, so that steps on their hulls are long and often do not fit.
    sizes[:2], errors[:2] = np.sort(sizes[:2]), np.sort(errors[:2] ** 0.1)[:, ::-1]
    curves = [list(zip(*columns, strict=True)) for columns in zip(sizes.tolist(), errors.tolist(), strict=True)]
    least = least_bytes(curves)
    for budget in range(least, least + 400, 10):
        assert allocate_budget(curves, budget, objective="sum").tolist() == by_definition(curves, budget)


# Properties


@given(nodes)
def test_more_bytes_never_make_it_worse(curves):
    least = least_bytes(curves)
    distinct = with_distinct_errors(curves)
    for objective, those, measure in (
        ("max", curves, max),
        ("sum", curves, sum),
        ("max", distinct, lambda errors: sorted(errors, reverse=True)),
    ):
        served = [
            measure(errors_of(those, allocate_budget(those, least + spare, objective=objective))) for spare in range(45)
        ]
        assert served == sorted(served, reverse=True)


@both_objectives
def test_the_order_of_nodes_does_not_matter(objective, rng):
    curves = [np.c_[rng.integers(1, 100, 9), rng.random(9)] for _ in range(30)]
    order = rng.permutation(30)
    for budget in (700, 900, 1500):
        shares = allocate_budget(curves, budget, objective=objective)
        permuted = allocate_budget([curves[node] for node in order], budget, objective=objective)
        np.testing.assert_array_equal(permuted, shares[order])


@both_objectives
def test_bytes_add_up_beyond_64_bits(objective):
    large = 2**53 - 1
    curves = [[(large - 5, 2.0), (large, 1.0)]] * 2000
    shares = allocate_budget(curves, 2000 * (large - 5) + 5, objective=objective)
    assert shares.tolist() == [large] + [large - 5] * 1999
    with pytest.raises(ValueError, match=f"take {2000 * (large - 5)} bytes"):
        allocate_budget(curves, 2000 * (large - 5) - 1, objective=objective)


@both_objectives
def test_many_nodes(objective, rng):
    sizes = np.cumsum(rng.integers(1, 1000, (10_000, 50)), axis=1)
    curves = np.stack([sizes, rng.pareto(1, (10_000, 1)) / sizes], axis=2)
    budget = int(sizes.sum() / 50)
    shares = allocate_budget(curves, budget, objective=objective)
    assert budget - 1000 < shares.sum() <= budget


# Errors


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"curves": []}, ValueError, "curves is empty"),
        ({"curves": [[(1, 2.0)], []]}, ValueError, "curves[1] has the shape (0,), which must be (n_levels, 2)"),
        ({"curves": [np.empty((0, 2))]}, ValueError, "curves[0] has the shape (0, 2)"),
        ({"curves": [(1, 2.0), (2, 1.0)]}, ValueError, "curves[0] has the shape (2,)"),
        ({"curves": [[(1, 2.0)], [(1, 2.0), (3,)]]}, ValueError, "curves[1] is no table of numbers"),
        ({"curves": [[("few", 2.0)]]}, ValueError, "curves[0] is no table of numbers"),
        ({"curves": [[(10**400, 2.0)]]}, ValueError, "curves[0] is no table of numbers"),
        ({"curves": [[(1, 2.0)], [(1, 2.0), (0, 3.0)]]}, ValueError, "curves[1] has 0.0 among its bytes"),
        ({"curves": [[(1.5, 2.0)]]}, ValueError, "curves[0] has 1.5 among its bytes, which must be integers"),
        ({"curves": [[(np.inf, 2.0)]]}, ValueError, "curves[0] has inf among its bytes"),
        ({"curves": [[(np.nan, 2.0)]]}, ValueError, "curves[0] has nan among its bytes"),
        ({"curves": [[(2**53, 2.0)]]}, ValueError, "curves[0] has 9007199254740992.0 among its bytes"),
        ({"curves": [[(1, 2.0)], [(1, -2.0)]]}, ValueError, "curves[1] has -2.0 among its errors"),
        ({"curves": [[(1, np.nan)]]}, ValueError, "curves[0] has nan among its errors, which must be not negative"),
        (
            {"budget_bytes": 29},
            ValueError,
            "budget_bytes=29 is too small: the cheapest levels of 2 nodes take 30 bytes",
        ),
        ({"budget_bytes": 0}, ValueError, "budget_bytes=0 must be at least 1"),
        ({"budget_bytes": 99.0}, TypeError, "budget_bytes=99.0 must be an integer"),
        ({"objective": "mean"}, ValueError, "objective='mean' must be one of ('max', 'sum')"),
        ({"weights": [1, 2, 3]}, ValueError, "weights has the shape (3,), which must be (2,)"),
        ({"weights": ["heavy", "light"]}, ValueError, "weights is no table of numbers"),
        ({"weights": [1, -2]}, ValueError, "weights[1]=-2.0 must be finite and not negative"),
        ({"weights": [np.nan, 1]}, ValueError, "weights[0]=nan must be finite and not negative"),
    ],
)
def test_bad_arguments_are_named(changes, error, message):
    arguments = {"curves": [[(10, 2.0), (20, 1.0)], [(20, 3.0)]], "budget_bytes": 99, **changes}
    with pytest.raises(error, match=re.escape(message)):
        allocate_budget(arguments.pop("curves"), arguments.pop("budget_bytes"), **arguments)
