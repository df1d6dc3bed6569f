"""Bytes of a run beside those of federated averaging, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from coreset import Coreset, DistributedCoreset, FederatedAveraging, RoundingQuantizer, encode, model_parameters
from coreset.evaluation import count_traffic


def ledger(*rows: tuple[int, str, str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["node", "round", "direction", "bytes", "retries"])


SENT = ledger(
    (0, "statistics", "up", 16, 0),
    (1, "statistics", "up", 18, 2),  # asked three times, arrived once
    (0, "allocation", "down", 9, 0),
    (1, "allocation", "down", 9, 2),  # travelled three times
    (0, "summary", "up", 300, 0),
    (1, "summary", "up", 400, 2),
)


def two_messages(**fields: object) -> tuple[list[bytes], Coreset]:
    """Two nodes of 100 rows each, three columns of float32 and a class of one byte: 2 x 100 x 13 raw bytes."""
    parts = [
        Coreset(np.eye(3), np.ones(3), labels=labels, n_source=100, source_dtype=np.dtype(np.float32), **fields)
        for labels in ([0, 1, 1], [1, 2, 2])
    ]
    return [encode(part, RoundingQuantizer(8)) for part in parts], Coreset.merge(*parts)


def test_every_number_of_a_small_run():
    messages, coreset = two_messages()
    traffic = count_traffic(SENT, messages, coreset, 1000, n_rounds=10)
    assert traffic.n_nodes == 2
    assert traffic.rounds == {"statistics": (34, 0), "allocation": (0, 36), "summary": (700, 0)}
    assert (traffic.up_bytes, traffic.down_bytes) == (734, 36)
    assert traffic.raw_bytes == 2600
    # Three columns and an intercept, three classes on the two nodes together.
    assert traffic.averaging == FederatedAveraging(2, 10, 4 * 3, 4)
    assert traffic.averaging.up_bytes == traffic.averaging.down_bytes == 2 * 10 * 12 * 4 == 960
    assert traffic.equivalent_rounds == pytest.approx(770 / (2 * 2 * 12 * 4))
    frame = traffic.to_frame()
    assert frame["total_bytes"].to_dict() == {
        "raw data": 2600,
        "budget": 1000,
        "used": 770,
        "used for statistics": 34,
        "used for allocation": 36,
        "used for summary": 700,
        "federated averaging, 10 rounds": 1920,
    }
    assert frame.loc["used", "of_raw"] == pytest.approx(770 / 2600)
    assert frame.loc["federated averaging, 10 rounds", ["up_bytes", "down_bytes"]].tolist() == [960, 960]
    assert frame["down_bytes"].isna().tolist() == [True, True, False, False, False, False, False]
    text = str(traffic)
    for said in ("1,920", "2,600", "29.62 %", "12 parameters x 4 bytes", "4.01 rounds", "nothing of the accuracy"):
        assert said in text


def test_a_ledger_without_retries_is_one_of_a_run_without_faults():
    messages, coreset = two_messages()
    assert count_traffic(SENT.drop(columns="retries"), messages, coreset, 1000).rounds["allocation"] == (0, 18)


def test_models():
    messages, coreset = two_messages()
    linear = count_traffic(SENT, messages, coreset, 1000, model="linear", n_rounds=1)
    assert linear.averaging.total_bytes == 2 * 2 * 4 * 4
    given = count_traffic(SENT, messages, coreset, 1000, model=1_000_000, n_rounds=3, parameter_bytes=2)
    assert given.averaging.total_bytes == 2 * 3 * 1_000_000 * 2 * 2
    assert "a model of 1,000,000 parameters x 2 bytes" in str(given)
    assert model_parameters("logistic", 784, 10) == 7850


def test_what_is_asked_wrongly_is_named():
    messages, coreset = two_messages()
    for parameters, error, message in [
        ({"model": "forest"}, ValueError, r"model='forest' must be one of \('logistic', 'linear'\)"),
        ({"model": 0}, ValueError, "model=0 must be at least 1"),
        ({"model": 2.5}, TypeError, "model=2.5 must be an integer"),
        ({"n_rounds": 0}, ValueError, "n_rounds=0 must be at least 1"),
        ({"parameter_bytes": 0}, ValueError, "parameter_bytes=0 must be at least 1"),
    ]:
        with pytest.raises(error, match=message):
            count_traffic(SENT, messages, coreset, 1000, **parameters)
    bare = Coreset(np.eye(3), np.ones(3), n_source=9)
    with pytest.raises(ValueError, match="no class labels that say how large"):
        count_traffic(SENT, [encode(bare, RoundingQuantizer(8))], bare, 1000)
    with pytest.raises(ValueError, match="n_classes=0 must be at least 1"):
        model_parameters("logistic", 3)
    with pytest.raises(NotFittedError):
        DistributedCoreset().traffic()


def test_a_fitted_run_tells(rng):
    X = rng.normal(size=(400, 5)).astype(np.float32)
    run = DistributedCoreset(3000, backend="local", progress=False, random_state=0)
    y = np.arange(400) % 4
    traffic = run.fit([X[:100], X[100:250], X[250:]], [y[:100], y[100:250], y[250:]]).traffic()
    assert traffic.up_bytes == run.ledger_.loc[run.ledger_["direction"] == "up", "bytes"].sum() <= 3000
    assert traffic.raw_bytes == 400 * (5 * 4 + 1)
    assert traffic.averaging == FederatedAveraging(3, 100, (5 + 1) * 4)
    # A numeric target has one row of coefficients.
    target = rng.normal(size=400)
    assert run.fit([X[:100], X[100:]], [target[:100], target[100:]]).traffic().averaging.n_parameters == 6
