"""Shards that Ray tasks make, which want CPUs of the cluster as the workers do: two, and one stays free for tasks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from coreset import DistributedCoreset
from coreset.sources import Loader, Shard, Source

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("cluster"), pytest.mark.ray]
# Actors have no way to import a test file.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def run(backend: str = "ray", **parameters: Any) -> DistributedCoreset:
    settings = {"planner": "eigenvalue", "random_state": 0, "progress": False, "timeout_s": 30.0, "num_workers": 2}
    return DistributedCoreset(6000, backend=backend, **{**settings, **parameters})


def rows_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(500, 3))


def slowly(seconds: float) -> None:
    time.sleep(seconds)


def late(function: Callable[[Any], Any], num_cpus: float) -> Callable[[Any], Any]:
    """A task of a function, that comes to ask for its CPUs when actors would have long had theirs."""
    task = ray.remote(num_cpus=num_cpus)(lambda value, _: function(value))
    return lambda value: task.remote(value, ray.remote(num_cpus=0)(slowly).remote(2.0))


@pytest.mark.parametrize("num_cpus", [1, 2])
def test_references_whose_tasks_have_not_started_are_made(num_cpus):
    references = [late(rows_of, num_cpus)(seed) for seed in range(3)]
    assert run().fit(references).messages_ == run("local").fit([rows_of(seed) for seed in range(3)]).messages_


@pytest.mark.filterwarnings("ignore")  # Ray Data's own
def test_blocks_of_pandas_are_made(monkeypatch):
    """Ray Data turns them into Arrow's by a task a block, which run on after it has answered."""
    import ray.data.dataset

    def remote_function(convert: Callable[[Any], Any]) -> SimpleNamespace:
        return SimpleNamespace(remote=late(convert, 1))

    monkeypatch.setattr(ray.data.dataset, "cached_remote_fn", remote_function)
    frames = [pd.DataFrame(rows_of(seed), columns=["a", "b", "c"]) for seed in range(3)]
    fitted = run().fit(ray.data.from_pandas(frames))
    assert fitted.messages_ == run("local").fit(frames).messages_


class Asking(Source):
    """Shards whose loaders wait for a task of their own."""

    def __len__(self) -> int:
        return 4

    def name(self, shard: int) -> str:
        return f"shard {shard}"

    def loader(self, shard: int) -> Loader:
        def load() -> Shard:
            return ray.get(ray.remote(num_cpus=1)(rows_of).remote(shard)), None, None

        return load


def test_loaders_that_wait_for_tasks_get_them():
    assert run().fit(Asking()).messages_ == run("local").fit([rows_of(seed) for seed in range(4)]).messages_


def test_tasks_that_do_not_end_are_an_error_that_names_the_shards():
    endless = ray.remote(num_cpus=0.5)(slowly).remote(60)
    message = r"loading: the tasks that make shard 1 have not ended within timeout_s=0.5: the Ray cluster has 2 CPUs, "
    try:
        with pytest.raises(TimeoutError, match=message):
            run(timeout_s=0.5).fit([ray.put(rows_of(0)), endless])
    finally:
        ray.cancel(endless, force=True)
