"""The estimator that users see."""

from __future__ import annotations

import math
import numbers
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..evaluation import Traffic, count_traffic
from ..points import Coreset
from ..protocol import WorkerSettings, scheme_of
from ..sources import Source, with_common_target
from ..validation import RandomState, as_generator, check_count
from .actors import ray_pool
from .hosting import LocalPool, Pool
from .running import reporter, run
from .sources import as_source


@final
class DistributedCoreset(BaseEstimator):
    """Summary of shards that stay where they are: Ray actors send small messages, within one byte budget in all.

    The result depends on the data, their split into shards and the seed alone: not on the number of workers, their
    order, or the backend, nor on workers that die and whose shards others redo.

    Parameters
    ----------
    budget_bytes : int, default=65536
        The most bytes that all shards together send up, statistics included.
    base : estimator with `n_points` and `random_state`, optional
        As in `BudgetedCoreset`. With ``target_type="auto"`` the target is numeric for all shards if it is continuous in
        one; behind ObjectRefs and in files nobody sees all of them, so that shards which disagree are an error. With
        ``label_scale="auto"`` every shard has its own scale. A `DistributedSampling` is another way to summarise
        shards, that of the literature; `planner` and `allocation` then have no say.
    planner : {"empirical", "exhaustive", "eigenvalue", "max-distance", "quantile-distance"}, default="empirical"
        As in `BudgetedCoreset`; every shard plans for itself.
    allocation : {"sum", "max"}, default="sum"
        How shards share the budget. "sum" is for costs that add up: every shard's rough clustering cost decides its
        share, but none gets more than all its rows take with eight bits a value while others can use it. "max" is
        MECBD of arXiv 2204.06652, for costs that the worst shard decides: shards tell rough errors of several sizes,
        by the planner's proxy, or that of "max-distance" where it has none, and the largest is made small. Budgets of
        less than 560 bytes a shard, or 880 with "max", are shared equally: they cannot spare what shards would tell.
    backend : {"ray", "local"}, default="ray"
        "local" runs the same protocol in this process. "ray" uses the cluster that this process is connected to, or the
        one that ``RAY_ADDRESS`` names, and else starts one on this machine and stops it afterwards.
    num_workers : int, optional
        Ray actors. By default one a shard, but no more than one a CPU. Together they hold at most three quarters of a
        node's CPUs, and leave one free where there are two.
    label_column, weight_column : str, optional
        Columns of the shards' frames or files that hold labels and weights.
    on_shard_error : {"raise", "skip"}, default="raise"
        What happens to a shard that cannot be read, has bad values, or kills each of four workers while it is loaded.
        "raise" ends the run with its name. "skip" leaves it out, with a warning and an entry in ``skipped_``; none
        left is an error. Whatever goes wrong with a shard after it was loaded ends the run.
    timeout_s : float, default=600.0
        Seconds that one round may take before the run ends with TimeoutError; waiting for the tasks behind ObjectRefs
        comes before and counts as one. Executing a Dataset has no limit.
    progress : bool, default=True
        Report each round on standard error.
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    coreset_ : Coreset
        Union of the decoded summaries.
    messages_ : list of bytes
        The shards' summaries, in shard order; ``decode(b"".join(messages_))`` gives ``coreset_``. Those of shards
        that were left out or have no rows are empty.
    ledger_ : pandas.DataFrame
        Every message that travelled: ``node``, ``round``, ``direction`` ("up" or "down"), ``bytes``, the shard's
        ``name``, and ``retries``: how often the node had to be asked again because its worker died. Allocations
        travelled once more each time.
    plan_ : pandas.DataFrame
        A row a shard: ``n_points``, ``quantizer``, ``message_bytes``, ``name``.
    skipped_ : pandas.DataFrame
        The shards that were left out: ``shard``, ``name``, ``reason``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from coreset import DistributedCoreset
    >>> X, y = load_digits(return_X_y=True)
    >>> shards, labels = [X[:900], X[900:]], [y[:900], y[900:]]
    >>> run = DistributedCoreset(budget_bytes=4096, backend="local", progress=False, random_state=0)
    >>> ledger = run.fit(shards, labels).ledger_
    >>> int(ledger.loc[ledger["direction"] == "up", "bytes"].sum()) <= 4096
    True
    """

    def __init__(
        self,
        budget_bytes: int = 65536,
        *,
        base: BaseEstimator | None = None,
        planner: str = "empirical",
        allocation: str = "sum",
        backend: str = "ray",
        num_workers: int | None = None,
        label_column: str | None = None,
        weight_column: str | None = None,
        on_shard_error: str = "raise",
        timeout_s: float = 600.0,
        progress: bool = True,
        random_state: RandomState = None,
    ) -> None:
        self.budget_bytes = budget_bytes
        self.base = base
        self.planner = planner
        self.allocation = allocation
        self.backend = backend
        self.num_workers = num_workers
        self.label_column = label_column
        self.weight_column = weight_column
        self.on_shard_error = on_shard_error
        self.timeout_s = timeout_s
        self.progress = progress
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> DistributedCoreset:
        """Summarise the shards.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d), list of shards, path, ray.data.Dataset or Source
            One table is cut into shards of 65,536 rows. A list holds arrays, DataFrames (of pandas or polars) or Ray
            ObjectRefs of these. A path (str, Path, or a list of them) names parquet files, folders of them, globs, or
            URIs of any filesystem that pyarrow reads; workers read them, a file a shard, or a row group a shard where
            there is one file. Of a Dataset, each block is a shard. `coreset.sources` has a class for each of these,
            and the base class of a source of one's own. Shards may be empty, or of weight zero: they send nothing.
        y : array-like of shape (n,), or a list with an entry a shard, optional
            Class labels or a numeric target. In files and data sets they are a column; see `label_column`.
        sample_weight : array-like of shape (n,), or a list with an entry a shard, optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            When a value is bad, ``RAY_ADDRESS`` too, shards disagree on their columns, or the budget is too small.
        TypeError
            When an argument has the wrong type.
        OSError
            When a shard cannot be read, or its workers die again and again; FileNotFoundError when a path has no files.
        TimeoutError
            When a round takes longer than `timeout_s`.
        ConnectionError
            When ``RAY_ADDRESS`` names a cluster that does not answer.
        RuntimeError
            When the cluster has too few CPUs, or no worker can be started.
        ImportError
            When ray is missing for ``backend="ray"``, or pyarrow for parquet files.
        """
        self._check_parameters()
        self._forget()
        source = as_source(X, y, sample_weight, local=self.backend == "local")
        settings = WorkerSettings(
            with_common_target(self.base, source, self.label_column),
            self.planner,
            _entropy(self.random_state),
            self.label_column,
            self.weight_column,
            self.allocation,
        )
        skip = self.on_shard_error == "skip"
        with self._pool(source, settings) as pool:
            outcome = run(source, pool, int(self.budget_bytes), skip=skip, scheme=settings.scheme)
        self.coreset_: Coreset = outcome.coreset
        self.messages_: list[bytes] = outcome.messages
        self.ledger_: pd.DataFrame = outcome.ledger
        self.plan_: pd.DataFrame = outcome.plan
        self.skipped_: pd.DataFrame = outcome.skipped
        return self

    def traffic(self, *, model: str | int = "auto", n_rounds: int = 100, parameter_bytes: int = 4) -> Traffic:
        """What the fit sent, beside the budget, the raw data, and federated averaging of a model.

        It counts bytes and claims nothing about accuracy.

        Parameters
        ----------
        model : {"auto", "logistic", "linear"} or int
            As in `model_parameters`. "auto" is logistic regression for classes and linear regression for a numeric
            target; without labels, give the number of parameters.
        n_rounds : int, default=100
            Of federated averaging, in each of which the model goes down to every node and comes back.
        parameter_bytes : int, default=4
            Of one parameter; 4 is float32.

        Returns
        -------
        Traffic
            A text; a table by its `to_frame`.

        Raises
        ------
        ValueError, TypeError
            When the model is unknown, needs labels that there are not, or a count is not a positive integer.
        sklearn.exceptions.NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from coreset import DistributedCoreset
        >>> X, y = np.random.default_rng(0).normal(size=(600, 3)), np.arange(600) % 2
        >>> run = DistributedCoreset(900, backend="local", progress=False, random_state=0)
        >>> traffic = run.fit([X[:300], X[300:]], [y[:300], y[300:]]).traffic(n_rounds=20)
        >>> traffic.averaging.total_bytes     # 2 nodes x 20 rounds x (3 + 1) x 2 parameters x 4 bytes x 2 ways
        2560
        """
        check_is_fitted(self, "ledger_")
        return count_traffic(
            self.ledger_,
            self.messages_,
            self.coreset_,
            self.budget_bytes,
            model=model,
            n_rounds=n_rounds,
            parameter_bytes=parameter_bytes,
        )

    def _forget(self) -> None:
        """Drop what an earlier fit left, which must not pass for the result of one that fails."""
        for name in ("coreset_", "messages_", "ledger_", "plan_", "skipped_"):
            self.__dict__.pop(name, None)

    def _pool(self, source: Source, settings: WorkerSettings) -> AbstractContextManager[Pool]:
        report = reporter(self.progress, len(source))
        if self.backend == "local":
            return nullcontext(LocalPool(source, settings, report))
        return ray_pool(source, settings, self.num_workers, self.timeout_s, report)

    def _check_parameters(self) -> None:
        check_count("budget_bytes", self.budget_bytes)
        scheme_of(self.base, self.planner, self.allocation)
        if self.backend not in ("ray", "local"):
            raise ValueError(f"backend={self.backend!r} must be 'ray' or 'local'")
        if self.on_shard_error not in ("raise", "skip"):
            raise ValueError(f"on_shard_error={self.on_shard_error!r} must be 'raise' or 'skip'")
        if self.num_workers is not None:
            check_count("num_workers", self.num_workers)
        if self.label_column is not None and self.label_column == self.weight_column:
            raise ValueError(f"label_column and weight_column are both {self.label_column!r}")
        if not (isinstance(self.timeout_s, numbers.Real) and 0 < self.timeout_s < math.inf):
            raise ValueError(f"timeout_s={self.timeout_s!r} must be a positive number of seconds")


def _entropy(random_state: RandomState) -> int:
    return int.from_bytes(as_generator(random_state).bytes(16), "little")
