"""What a distributed run sent, beside what federated averaging of a model would send."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pandas as pd

from ..points import Coreset
from ..targets import NUMERIC
from ..validation import check_count
from .accounts import accounting

_MODELS = ("logistic", "linear")


@dataclasses.dataclass(frozen=True)
class FederatedAveraging:
    """Bytes of federated averaging: a model goes down to every node and comes back up, once a round.

    A count of bytes and no claim on accuracy: how many rounds a model needs is for the caller to say. Headers,
    compression and the choice of some nodes a round are left out.

    Parameters
    ----------
    n_nodes, n_rounds, n_parameters : int
    parameter_bytes : int, default=4
        Of one parameter; 4 is float32.

    References
    ----------
    McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017
    (arXiv 1602.05629), with every node in every round.

    Examples
    --------
    >>> from coreset import FederatedAveraging
    >>> averaging = FederatedAveraging(n_nodes=3, n_rounds=100, n_parameters=650)
    >>> averaging.up_bytes, averaging.total_bytes     # 3 x 100 x 650 x 4, and twice that
    (780000, 1560000)
    """

    n_nodes: int
    n_rounds: int
    n_parameters: int
    parameter_bytes: int = 4

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_count(field.name, getattr(self, field.name))

    @property
    def up_bytes(self) -> int:
        """From all nodes in all rounds."""
        return self.n_nodes * self.n_rounds * self.n_parameters * self.parameter_bytes

    @property
    def down_bytes(self) -> int:
        """To all nodes in all rounds."""
        return self.up_bytes

    @property
    def total_bytes(self) -> int:
        """Both ways."""
        return self.up_bytes + self.down_bytes


def model_parameters(model: str | int, n_features: int, n_classes: int = 0) -> int:
    """Number of parameters of a model that federated averaging would send.

    Parameters
    ----------
    model : {"logistic", "linear"} or int
        Logistic regression with a row of coefficients and an intercept a class, ``(n_features + 1) * n_classes``;
        linear regression, ``n_features + 1``; or the number itself, of any other model.
    n_features : int
    n_classes : int
        Needed for "logistic".

    Returns
    -------
    int

    Raises
    ------
    ValueError
        When the model is unknown, a count is less than one, or classes are missing.
    TypeError
        When a count is no integer.

    Examples
    --------
    >>> from coreset import model_parameters
    >>> model_parameters("logistic", 64, 10), model_parameters("linear", 64), model_parameters(25_557_032, 64)
    (650, 65, 25557032)
    """
    if not isinstance(model, str):
        return check_count("model", model)
    if model not in _MODELS:
        raise ValueError(f"model={model!r} must be one of {_MODELS} or a number of parameters")
    check_count("n_features", n_features)
    return (n_features + 1) * (check_count("n_classes", n_classes) if model == "logistic" else 1)


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Bytes of a run both ways, beside its budget, the raw data, and federated averaging.

    Parameters
    ----------
    n_nodes : int
        Those that took part.
    budget_bytes : int
        For what goes up.
    raw_bytes : int
        The source in its own type, as `accounting` has it.
    rounds : dict of str to (int, int)
        Bytes up and down of each round of the run. What was sent again to nodes whose worker died counts again.
    model : str
        Of federated averaging, in words.
    averaging : FederatedAveraging
    """

    n_nodes: int
    budget_bytes: int
    raw_bytes: int
    rounds: dict[str, tuple[int, int]]
    model: str
    averaging: FederatedAveraging

    @property
    def up_bytes(self) -> int:
        """All that was sent up; at most the budget."""
        return sum(up for up, _ in self.rounds.values())

    @property
    def down_bytes(self) -> int:
        """All that was sent down."""
        return sum(down for _, down in self.rounds.values())

    @property
    def equivalent_rounds(self) -> float:
        """Rounds of federated averaging that take the bytes of this run, both ways."""
        return (self.up_bytes + self.down_bytes) * self.averaging.n_rounds / self.averaging.total_bytes

    def to_frame(self) -> pd.DataFrame:
        """The table, a row each for the raw data, the budget, the run, its rounds, and federated averaging.

        Returns
        -------
        pandas.DataFrame
            ``up_bytes``, ``down_bytes`` (none for raw data and budget), ``total_bytes`` and ``of_raw``, the share of
            the raw bytes that the total is.
        """
        frame = pd.DataFrame(self._lines(), columns=["what", "up_bytes", "down_bytes"]).set_index("what")
        frame = frame.astype("Int64")
        total = frame.sum(axis=1).astype("int64")
        return frame.assign(total_bytes=total, of_raw=total / (self.raw_bytes or math.nan))

    def _lines(self) -> list[tuple[str, int, int | None]]:
        averaging = self.averaging
        return [
            ("raw data", self.raw_bytes, None),
            ("budget", self.budget_bytes, None),
            ("used", self.up_bytes, self.down_bytes),
            *((f"used for {name}", up, down) for name, (up, down) in self.rounds.items()),
            (f"federated averaging, {_count(averaging.n_rounds, 'round')}", averaging.up_bytes, averaging.down_bytes),
        ]

    def __str__(self) -> str:
        rows = [("bytes", "up", "down", "both", "of raw")]
        for name, up, down in self._lines():
            total = up + (down or 0)
            share = f"{100 * total / self.raw_bytes:.4g} %" if self.raw_bytes else ""
            rows.append((name, f"{up:,}", "" if down is None else f"{down:,}", f"{total:,}", share))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
            for cells in rows
        ]
        averaging = self.averaging
        return "\n".join(
            [
                *(line.rstrip() for line in table),
                f"Federated averaging: {self.model} of {averaging.n_parameters:,} parameters x "
                f"{averaging.parameter_bytes} bytes, down to {_count(averaging.n_nodes, 'node')} and up again each "
                f"round; the bytes used here are those of {self.equivalent_rounds:.3g} rounds.",
                "This counts bytes. It says nothing of the accuracy of either.",
            ]
        )


def count_traffic(
    ledger: pd.DataFrame,
    messages: Sequence[bytes],
    coreset: Coreset,
    budget_bytes: int,
    *,
    model: str | int = "auto",
    n_rounds: int = 100,
    parameter_bytes: int = 4,
) -> Traffic:
    """Traffic of a run from its ledger; `DistributedCoreset.traffic` calls it.

    Parameters
    ----------
    ledger : DataFrame
        ``node``, ``round``, ``direction``, ``bytes`` and, if there were any, ``retries``.
    messages : sequence of bytes
        The summaries, which tell of the raw data.
    coreset : Coreset
        What they decode to; its columns and classes decide how large the model is.
    budget_bytes : int
    model : {"auto", "logistic", "linear"} or int
        As in `model_parameters`. "auto" is logistic regression for classes and linear regression for a numeric target.
    n_rounds : int, default=100
        Of federated averaging.
    parameter_bytes : int, default=4

    Returns
    -------
    Traffic

    Raises
    ------
    ValueError
        When the model is unknown, there are no labels that say how large it is, or a count is less than one.
    TypeError
        When a count is no integer.
    """
    if model == "auto":
        model = "linear" if coreset.target_type == NUMERIC else "logistic"
    n_classes = 0 if coreset.labels is None or coreset.target_type == NUMERIC else len(set(coreset.labels.tolist()))
    if model == "logistic" and n_classes == 0:
        raise ValueError("there are no class labels that say how large a logistic regression is: give model a number")
    n_nodes = int(ledger["node"].nunique())
    n_parameters = model_parameters(model, coreset.n_features, n_classes)
    return Traffic(
        n_nodes=n_nodes,
        budget_bytes=int(budget_bytes),
        raw_bytes=accounting(b"".join(messages)).raw_bytes,
        rounds=_bytes_by_round(ledger),
        model=f"{model} regression" if isinstance(model, str) else "a model",
        averaging=FederatedAveraging(n_nodes, n_rounds, n_parameters, parameter_bytes),
    )


def _bytes_by_round(ledger: pd.DataFrame) -> dict[str, tuple[int, int]]:
    # What goes down is sent again with every retry; of what comes up, only the answer that arrived was sent whole.
    times = 1 + ledger["retries"] * (ledger["direction"] == "down") if "retries" in ledger else 1
    sent = (ledger["bytes"] * times).groupby([ledger["round"], ledger["direction"]], sort=False).sum()
    names = dict.fromkeys(ledger["round"])
    return {name: (int(sent.get((name, "up"), 0)), int(sent.get((name, "down"), 0))) for name in names}


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
