"""Sharing a byte budget among nodes, each of which tells what error how many bytes buy."""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..nearest import Floats
from ..validation import check_count

OBJECTIVES = ("max", "sum")
_MOST_BYTES = 2**53  # below it every integer is a double

# From a level of a node to a higher one: minus its rate, bytes, node, position of the one level and of the other.
# Tuples sort as they are to be taken: the highest rate first, of equal rates the fewest bytes.
_Step = tuple[float, int, int, int, int]
_Ints = NDArray[np.int64]


def allocate_budget(
    curves: Sequence[ArrayLike], budget_bytes: int, *, objective: str = "max", weights: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Share a byte budget among nodes so that their largest error, or the sum of their errors, is small.

    Every node starts at its cheapest level. With ``objective="max"``, the node of the largest error gets its next
    better level, again and again; one that can have none within what is left keeps what it has. This solves MECBD of
    arXiv 2204.06652 exactly, as the bisection of OBA-MECBD does, and spends what that leaves over: no allocation has a
    smaller largest error, nor fewer nodes that have it. Unless nodes share an error, the same holds for the second
    largest given the largest, and so on.

    With ``objective="sum"``, a multiple-choice knapsack, the step of most error per byte among all that still fit is
    taken, again and again, from any level of a node to any better one. The sum exceeds the least possible one, even
    that of the linear relaxation, by no more than the error falls between two neighbours on the lower convex hull of
    one curve.

    In both, more bytes never make the objective larger, and of steps that count the same the cheaper one comes first.

    Parameters
    ----------
    curves : sequence of array-like of shape (n_levels, 2)
        For each node its levels in any order, at least one: bytes, which are integers from 1 to ``2**53 - 1``, and the
        error that so many bytes leave. An error is not negative; infinity is that of a node that sends nothing of use,
        and as few nodes as possible are left with it. Levels that are no better than a cheaper one are never chosen.
    budget_bytes : int
        The most bytes of all nodes together.
    objective : {"max", "sum"}, default="max"
    weights : array-like of shape (n_nodes,), optional
        Factors of the errors, finite and not negative; ones by default. A node of weight 0 gets its cheapest level.

    Returns
    -------
    ndarray of shape (n_nodes,), int64
        For each node the bytes of the level that it gets. Bytes that would improve no node are given to none.

    Raises
    ------
    ValueError
        When the budget is too small for the cheapest levels, naming what they take, or a value is bad.
    TypeError
        When the budget is no integer.

    References
    ----------
    Lu, He, Wang, Liu, Mahdavi, Narayanan, Chan and Pasteris, "Joint Coreset Construction and Quantization for
    Distributed Machine Learning", IFIP Networking 2020 (arXiv 2204.06652); Sinha and Zoltners, "The Multiple-Choice
    Knapsack Problem", Operations Research 27(3), 1979.

    Examples
    --------
    >>> from coreset import allocate_budget
    >>> near = [(100, 2.0), (200, 1.0), (400, 0.5)]
    >>> far = [(100, 9.0), (300, 5.0), (800, 4.0)]
    >>> allocate_budget([near, far], 900)
    array([100, 800])
    >>> allocate_budget([near, far], 900, objective="sum")
    array([400, 300])
    """
    budget = check_count("budget_bytes", budget_bytes)
    if objective not in OBJECTIVES:
        raise ValueError(f"objective={objective!r} must be one of {OBJECTIVES}")
    nodes, sizes, errors = _checked_levels(curves)
    factors = _checked_weights(weights, len(curves))[nodes]
    errors = np.where(factors > 0, errors, 0) * factors  # an infinite one, too, counts nothing at weight 0
    nodes, sizes, errors = _staircases(nodes, sizes, errors)
    starts = np.searchsorted(nodes, np.arange(len(curves)))
    least = sum(sizes[starts].tolist())
    if budget < least:
        raise ValueError(
            f"budget_bytes={budget} is too small: the cheapest levels of {len(curves)} nodes take {least} bytes"
        )
    before, after, rates = (_next_levels if objective == "max" else _hull_steps)(nodes, sizes, errors)
    costs = sizes[after] - sizes[before]
    columns = (-rates, costs, nodes[after], before, after)
    order = np.lexsort(columns[1::-1])
    steps = zip(*(column[order].tolist() for column in columns), strict=True)
    chosen = _spend(steps, starts.tolist(), sizes.tolist(), errors.tolist(), budget - least)
    return sizes[chosen]


def _checked_levels(curves: Sequence[ArrayLike]) -> tuple[_Ints, _Ints, Floats]:
    """Node, bytes and error of every level of every curve."""
    if len(curves) == 0:
        raise ValueError("curves is empty, so there is no node to share the budget")
    tables = [_table(f"curves[{node}]", curve) for node, curve in enumerate(curves)]
    nodes = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    sizes, errors = np.concatenate(tables).T
    for name, values, good, wanted in (
        ("bytes", sizes, (sizes >= 1) & (sizes < _MOST_BYTES) & (sizes == np.floor(sizes)), "integers in 1..2**53 - 1"),
        ("errors", errors, errors >= 0, "not negative, nor NaN"),
    ):
        if not good.all():
            bad = np.argmin(good)
            raise ValueError(f"curves[{nodes[bad]}] has {values[bad]} among its {name}, which must be {wanted}")
    return nodes, sizes.astype(np.int64), errors


def _table(name: str, curve: ArrayLike) -> Floats:
    table = _numbers(name, curve)
    if table.ndim != 2 or table.shape[1] != 2 or len(table) == 0:
        raise ValueError(f"{name} has the shape {table.shape}, which must be (n_levels, 2), n_levels >= 1")
    return table


def _numbers(name: str, values: ArrayLike) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} is no table of numbers: {error}") from error


def _checked_weights(weights: ArrayLike | None, n_nodes: int) -> Floats:
    """Weights over a power of two, which changes no order, so that no product with an error overflows."""
    if weights is None:
        return np.ones(n_nodes)
    factors = _numbers("weights", weights)
    if factors.shape != (n_nodes,):
        raise ValueError(f"weights has the shape {factors.shape}, which must be ({n_nodes},), one for each of curves")
    good = np.isfinite(factors) & (factors >= 0)
    if not good.all():
        bad = np.argmin(good)
        raise ValueError(f"weights[{bad}]={factors[bad]} must be finite and not negative")
    return np.ldexp(factors, -np.frexp(factors.max())[1])


def _staircases(nodes: _Ints, sizes: _Ints, errors: Floats) -> tuple[_Ints, _Ints, Floats]:
    """The levels, by node and bytes, that are better than all cheaper ones of their node."""
    order = np.lexsort((errors, sizes, nodes))
    nodes, sizes, errors = nodes[order], sizes[order], errors[order]
    # Ranks, lower by more than their range from node to node, so that a running minimum starts anew at each.
    ranks = np.empty_like(nodes)
    ranks[np.argsort(errors, kind="stable")] = np.arange(len(nodes))
    ranks -= nodes * len(nodes)
    better = ranks == np.minimum.accumulate(ranks)
    return nodes[better], sizes[better], errors[better]


def _next_levels(nodes: _Ints, sizes: _Ints, errors: Floats) -> tuple[_Ints, _Ints, Floats]:
    """Steps from each level to the next, rated by the error that they leave behind."""
    before = np.flatnonzero(nodes[1:] == nodes[:-1])
    return before, before + 1, errors[before]


def _hull_steps(nodes: _Ints, sizes: _Ints, errors: Floats) -> tuple[_Ints, _Ints, Floats]:
    """Steps between neighbours on the lower convex hull of each curve, rated by error per byte."""
    bounds = [*np.flatnonzero(np.diff(nodes, prepend=-1)).tolist(), len(nodes)]
    all_sizes, all_errors = sizes.tolist(), errors.tolist()
    corners: list[int] = []
    rates: list[float] = []
    for first, stop in itertools.pairwise(bounds):
        own_corners, own_rates = _hull(all_sizes, all_errors, first, stop)
        corners += own_corners
        rates += own_rates
    after = np.flatnonzero(~np.isnan(rates))
    return np.array(corners)[after - 1], np.array(corners)[after], np.array(rates)[after]


def _hull(sizes: list[int], errors: list[float], first: int, stop: int) -> tuple[list[int], list[float]]:
    """Corners of the lower convex hull of the levels in a range, and the rates at which errors fall to them.

    Of lists, since elements of arrays are slow to read one by one.
    """
    corners, rates = [first], [math.nan]  # no comparison with nan is true, so the first corner stays
    for position in range(first + 1, stop):
        size, error = sizes[position], errors[position]
        while (rate := (errors[corners[-1]] - error) / (size - sizes[corners[-1]])) >= rates[-1]:
            corners.pop()
            rates.pop()
        corners.append(position)
        rates.append(rate)
    return corners, rates


def _spend(steps: Iterable[_Step], at: list[int], sizes: list[int], errors: list[float], spare: int) -> list[int]:
    """Where the nodes that are `at` some level stand in the end, when every step that fits is taken, best first."""
    at = at.copy()
    shorter: list[_Step] = []
    for _, cost, node, before, after in _in_order(steps, shorter):
        if at[node] != before:  # an earlier step of the node did not fit
            continue
        if cost <= spare:
            spare -= cost
            at[node] = after
            continue
        fitting = bisect.bisect_right(sizes, sizes[before] + spare, before + 1, after)
        corners, rates = _hull(sizes, errors, before, fitting)
        for rate, (here, there) in zip(rates[1:], itertools.pairwise(corners), strict=True):
            heapq.heappush(shorter, (-rate, sizes[there] - sizes[here], node, here, there))
    return at


def _in_order(steps: Iterable[_Step], others: list[_Step]) -> Iterator[_Step]:
    """Sorted steps and those of a heap that grows meanwhile."""
    for step in steps:
        while others and others[0] < step:
            yield heapq.heappop(others)
        yield step
    while others:
        yield heapq.heappop(others)
