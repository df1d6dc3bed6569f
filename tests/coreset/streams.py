"""Streams that several test files make, and how two summaries and states are compared."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from coreset import (
    Coreset,
    FarthestFirstCoreset,
    LightweightCoreset,
    RobustCoreset,
    SensitivityCoreset,
    StreamingCoreset,
    UniformCoreset,
)

SAMPLERS = [UniformCoreset, SensitivityCoreset, LightweightCoreset]
CLASSES = [RobustCoreset, FarthestFirstCoreset, *SAMPLERS]
every_class = pytest.mark.parametrize("cls", CLASSES)


def stream_of(n_points=10, bucket_rows=40, seed=0, cls=RobustCoreset, **parameters) -> StreamingCoreset:
    return StreamingCoreset(cls(n_points=n_points, **parameters), bucket_rows=bucket_rows, random_state=seed)


def assert_same(one: Coreset, two: Coreset) -> None:
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)


def state_of(stream: StreamingCoreset) -> bytes:
    return pickle.dumps(stream)
