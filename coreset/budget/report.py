"""`BudgetPlan`: how a budget is spent, and why so."""

from __future__ import annotations

import dataclasses
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..quantizers import Quantizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclasses.dataclass(frozen=True, repr=False)
class BudgetPlan:
    """How a budget is best spent.

    Parameters
    ----------
    n_points : int
        Points of the chosen message.
    quantizer : Quantizer
        Its codec.
    table : pandas.DataFrame
        A row a candidate: ``quantizer`` (the codec), ``n_points``, ``message_bytes``, ``measured`` (whether the bytes
        are those of an encoded message, rather than forecast), ``cell_error``, ``quantization_error``, ``error``,
        ``chosen`` and ``note``. The error is the root mean squared distance from a row to the nearest decoded point, in
        the data's units: that of the points themselves and what their rounding adds, as squares; the latter counts as a
        twentieth of the squared distance by which points are moved at least, and as all of it where the points are all
        rows. With a target it is the root of the mean of two squared energy distances from the rows, those to the
        points and to their scatter: class by class, or with a numeric target as one more column, which deviates as
        much as the others on average, so that no codec is chosen that spoils it. Proxies take the place of these errors
        with the planners that have some. A candidate that fits no point has 0 points and no error.
    planner : str
        Which one made the plan.
    budget_bytes : int
    measure : str
        What the errors are.
    remark : str
        What else is to be known of how the planner got there.
    """

    n_points: int
    quantizer: Quantizer
    table: pd.DataFrame
    planner: str = "empirical"
    budget_bytes: int = 0
    measure: str = ""
    remark: str = ""

    def __repr__(self) -> str:
        return (
            f"BudgetPlan({self.n_points} points by {self.quantizer!r} in {self.budget_bytes} bytes, "
            f"planner={self.planner!r}, {len(self.table)} candidates)"
        )

    def explain(self) -> str:
        """Say in words why the chosen candidate won.

        Returns
        -------
        str

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from coreset import plan_budget
        >>> X, y = load_iris(return_X_y=True)
        >>> "has the least error of" in plan_budget(X, 300, y=y, random_state=0).explain()
        True
        """
        winner = self.table[self.table["chosen"]].iloc[0]
        known = ~self.table["note"].str.startswith("not tried")
        others = self.table[~self.table["chosen"] & known & self.table["error"].notna() & (self.table["n_points"] > 0)]
        text = (
            f"{self.quantizer!r} with {self.n_points} points ({winner['message_bytes']} of {self.budget_bytes} bytes) "
            f"has the least error of {len(self.table)} candidates, {winner['error']:.4g}"
        )
        if len(others):
            second = others.sort_values("error").iloc[0]
            worse = _percent(second["error"], winner["error"])
            text += f", before {second['quantizer']!r} with {second['n_points']} points, {worse}"
        return " ".join(part for part in (f"{text}.", f"Errors are {self.measure}.", self.remark) if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw every candidate's error against its number of points.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            When matplotlib is missing.
        """
        from ..plots import plot_plan

        return plot_plan(self.table, ax)

    def _repr_html_(self) -> str:
        """Show the explanation and the table, best candidates first."""
        table = self.table.sort_values(["chosen", "error"], ascending=[False, True])
        return f"<p>{escape(self.explain())}</p>{table.to_html(index=False, float_format='{:.4g}'.format)}"


def comparison(error: float, best: float) -> str:
    """What to note on a candidate: how much worse than the best one it is."""
    return "as good" if error <= best else _percent(error, best)


def _percent(error: float, best: float) -> str:
    if not best > 0:
        return "worse" if error > 0 else "as good"
    share = 100 * (error / best - 1)
    return f"{share:.1f} % worse" if np.isfinite(share) and share < 1000 else "far worse"
