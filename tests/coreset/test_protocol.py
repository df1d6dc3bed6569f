"""The distributed algorithm without a transport: bytes in, bytes out, hostile bytes refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from threadpoolctl import threadpool_info

from coreset import Coreset, DistributedCoreset, RobustCoreset, decode
from coreset.protocol import Coordinator, Worker, WorkerSettings, schemes
from coreset.sources import TableSource
from coreset.wire import from_rough, roughly, seal

SETTINGS = WorkerSettings(base=None, planner="empirical", entropy=5)


def skewed_shards(rng: np.random.Generator, n_shards: int = 4) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Shards of different sizes, spreads and classes."""
    shards = [(1 + i) * rng.normal(size=(60 + 40 * i, 3)) + 5 * i for i in range(n_shards)]
    return shards, [np.arange(len(X)) % (1 + i % 3) for i, X in enumerate(shards)]


def local(budget: int = 4000, **parameters: object) -> DistributedCoreset:
    return DistributedCoreset(budget, backend="local", progress=False, random_state=0, **parameters)  # type: ignore[arg-type]


@settings(max_examples=25)
@given(st.integers(1, 6), st.integers(1, 6000), st.booleans())
def test_everything_sent_up_stays_within_the_budget_and_the_ledger_is_true(n_shards, budget, labelled):
    shards, labels = skewed_shards(np.random.default_rng(n_shards), n_shards)
    estimator = local(budget)
    try:
        estimator.fit(shards, labels if labelled else None)
    except ValueError as error:
        assert "too small" in str(error)  # noqa: PT017
        assert budget < 200 * n_shards
        return
    ledger = estimator.ledger_
    assert ledger.loc[ledger["direction"] == "up", "bytes"].sum() <= budget
    summaries = ledger[ledger["round"] == "summary"]
    assert summaries["bytes"].tolist() == [len(message) for message in estimator.messages_]
    assert summaries["node"].tolist() == list(range(n_shards))
    statistics = ledger.loc[ledger["round"] == "statistics", "bytes"].sum()
    assert statistics <= 0.05 * budget
    assert estimator.coreset_.total_weight == pytest.approx(sum(map(len, shards)), rel=1e-12)
    assert estimator.plan_["message_bytes"].tolist() == summaries["bytes"].tolist()


def test_bytes_follow_cost(rng):
    spread = [rng.normal(size=(3000, 4)) * scale for scale in (1.0, 3.0, 0.0)]
    sizes = local(8000).fit(spread).plan_["message_bytes"]
    # Costs stand at 1 : 9 : 0; the third shard has one distinct row and only gets its least message.
    assert 5 <= sizes[1] / sizes[0] <= 9
    assert sizes[2] < 150


def test_shards_that_can_say_everything_leave_bytes_to_others(rng):
    # By cost alone, the shard with outliers would get nearly all bytes, of which it can use few.
    shards = [rng.normal(size=(40, 5)) for _ in range(5)]
    shards[0][:3] *= 200.0
    run = local(5000).fit(shards)
    sizes = run.plan_["message_bytes"]
    assert sizes.sum() > 0.6 * 5000
    assert sizes.min() > 0.3 * sizes.max()
    assert (run.plan_["n_points"] == 40).all()


def test_statistics_are_rough_numbers():
    for value in (0.0, 1.0, 3.14159, 7.5e9, 1e300):
        rough = from_rough(roughly(value))
        assert len(roughly(value)) == 2
        assert 0.99 * min(value, 3.3e38) <= rough <= value


def test_small_budgets_are_shared_equally_without_statistics(rng):
    estimator = local(900).fit(*skewed_shards(rng))
    assert "statistics" not in set(estimator.ledger_["round"])
    assert (estimator.plan_["message_bytes"] <= 225).all()


def test_columns_in_another_order_are_noticed_at_every_budget(rng):
    frame = pd.DataFrame(rng.normal(size=(100, 2)), columns=["a", "b"])
    for budget in (900, 9000):  # without and with statistics
        for other in (frame[["b", "a"]], frame.to_numpy()):
            with pytest.raises(ValueError, match="shard 1 has other column names"):
                local(budget).fit([frame, other])


def test_equal_shards_draw_their_own_random_numbers(rng):
    X = rng.normal(size=(300, 3))
    messages = local(600).fit([X, X]).messages_  # too few bytes for all rows
    assert not np.array_equal(decode(messages[0]).points, decode(messages[1]).points)


def test_workers_use_one_blas_thread(rng, monkeypatch):
    threads: list[int] = []
    search = schemes.search

    def spy(*arguments, **keywords):
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return search(*arguments, **keywords)

    monkeypatch.setattr(schemes, "search", spy)
    local(3000).fit([rng.normal(size=(50, 3))])
    assert set(threads) == {1}


def test_a_coordinator_used_wrongly_says_so(rng):
    _, statistics = workers_and_statistics(rng)
    with pytest.raises(ValueError, match="statistics has 1 messages, n_shards is 2"):
        Coordinator(2, 4000).allocate(statistics[:1])
    with pytest.raises(ValueError, match="n_shards=0 must be at least 1"):
        Coordinator(0, 4000)
    with pytest.raises(ValueError, match="merge comes after allocate"):
        Coordinator(2, 4000).merge([b"", b""])
    coordinator = Coordinator(2, 4000)
    coordinator.allocate(statistics)
    with pytest.raises(ValueError, match="messages has 1 messages, n_shards is 2"):
        coordinator.merge([b""])


def test_a_class_on_one_node_only_is_kept(rng):
    shards = [rng.normal(size=(100, 2)) for _ in range(3)]
    labels = [np.zeros(100, int), np.zeros(100, int), np.r_[np.zeros(99, int), 7]]
    fitted = local(2000).fit(shards, labels)
    assert fitted.coreset_.weights[fitted.coreset_.labels == 7].tolist() == [1.0]


def test_messages_decode_to_the_coreset_and_names_travel_once(rng):
    frames = [pd.DataFrame(X, columns=["left", "middle", "right"]) for X in skewed_shards(rng)[0]]
    fitted = local().fit(frames)
    np.testing.assert_array_equal(decode(b"".join(fitted.messages_)).points, fitted.coreset_.points)
    assert fitted.coreset_.feature_names == ("left", "middle", "right")
    assert sum(b"middle" in message for message in fitted.messages_) == 1


def test_label_and_weight_columns(rng):
    frames = [
        pd.DataFrame(rng.normal(size=(80, 2)), columns=["a", "b"]).assign(y=["u", "v"] * 40, w=2.0) for _ in range(2)
    ]
    fitted = local(label_column="y", weight_column="w").fit(frames)
    assert set(fitted.coreset_.labels) == {"u", "v"}
    assert fitted.coreset_.total_weight == pytest.approx(320)
    assert fitted.coreset_.feature_names == ("a", "b")
    with pytest.raises(ValueError, match=r"shard 0: label_column='z' is none of the columns \['a', 'b', 'y', 'w'\]"):
        local(label_column="z").fit(frames)
    with pytest.raises(TypeError, match="shard 0: label_column='y' needs a DataFrame, not ndarray"):
        local(label_column="y").fit([np.eye(3)])
    with pytest.raises(ValueError, match="both y and label_column='y' are given"):
        local(label_column="y").fit(frames, [np.zeros(80), np.zeros(80)])


def test_shards_that_weigh_nothing_are_absent(rng, monkeypatch):
    X, weights = rng.normal(size=(200, 2)), np.repeat([0.0, 1.0], 100)
    monkeypatch.setattr("coreset.sources.memory._ROWS_A_SHARD", 100)
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(w=weights)
    for fitted in (
        local().fit([X[:100], X[100:]], None, [weights[:100], weights[100:]]),
        local().fit(X, None, weights),  # one table whose first shard has no other rows
        local(weight_column="w").fit([frame[:100], frame[100:]]),
    ):
        assert fitted.messages_[0] == b""
        assert fitted.coreset_.total_weight == pytest.approx(100)
        assert len(fitted.skipped_) == 0
    with pytest.raises(ValueError, match="no shard has rows of positive weight; empty: shard 0, shard 1"):
        local().fit([X, X], None, [np.zeros(200), np.zeros(200)])
    with pytest.raises(ValueError, match=r"shard 0: .*\(3,\)"):  # not absent: nobody knows of which rows these are
        local().fit([X], None, [np.zeros(3)])


def test_a_column_called_none_holds_weights_only_where_some_are_asked_for(rng):
    frame = pd.DataFrame(np.c_[rng.normal(size=9), np.zeros(9)], columns=pd.Index([0, None], dtype=object))
    assert local().fit([frame]).coreset_.total_weight == pytest.approx(9)


def test_a_table_of_labels_alone_has_nothing_to_summarise():
    with pytest.raises(ValueError, match="shard 0: it has no columns but labels and weights"):
        local(label_column="y").fit([pd.DataFrame({"y": [0, 1]})])
    with pytest.raises(ValueError, match=r"shard 0: X has no columns$"):
        local().fit([pd.DataFrame(index=range(2))])


def test_references_need_ray():
    reference = type("ObjectRef", (), {})()
    with pytest.raises(TypeError, match="shard 0 is a Ray ObjectRef, which backend='local' cannot read"):
        local().fit([reference])


def test_one_table_is_cut_by_its_size_alone(rng):
    X = rng.normal(size=(150_000, 1))
    shards = TableSource(X, np.arange(150_000)).shards
    assert [len(shard[0]) for shard in shards] == [50_000] * 3
    np.testing.assert_array_equal(np.concatenate([shard[1] for shard in shards]), np.arange(150_000))
    assert shards[0][2] is None


def test_shards_that_disagree_are_named(rng):
    with pytest.raises(ValueError, match="shard 1 has 2 columns, shard 0 has 3"):
        local().fit([rng.normal(size=(90, 3)), rng.normal(size=(90, 2))])
    frames = [pd.DataFrame(rng.normal(size=(90, 2)), columns=list(names)) for names in ("ab", "ac")]
    with pytest.raises(ValueError, match="shard 1 has other column names"):
        local().fit(frames)
    with pytest.raises(ValueError, match="shard 1: Input X contains NaN"):
        local().fit([np.eye(3), np.full((3, 3), np.nan)])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, "X is an empty list"),
        (([np.eye(2)], np.zeros(2)), TypeError, "y must be a list too, not ndarray"),
        (([np.eye(2)], [np.zeros(2), np.zeros(2)]), ValueError, "y has 2 entries, X has 1 shards"),
        ((np.eye(2), np.zeros(3)), ValueError, "y has 3 entries, X has 2 rows"),
        ((np.zeros((0, 2)),), ValueError, r"X has shape \(0, 2\)"),
        ((np.eye(2), [1, "a"]), TypeError, "y must hold only one of"),
        ((np.zeros(3),), ValueError, r"X has shape \(3,\)"),
        ((sparse.eye_array(3),), TypeError, "X is a sparse matrix"),
    ],
)
def test_bad_shards_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        local().fit(*arguments)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"budget_bytes": 30}, ValueError, "too small"),
        ({"budget_bytes": "1KB"}, TypeError, "budget_bytes='1KB' must be an integer"),
        ({"backend": "spark"}, ValueError, "backend='spark' must be 'ray' or 'local'"),
        ({"num_workers": 0}, ValueError, "num_workers=0 must be at least 1"),
        ({"timeout_s": 0}, ValueError, "timeout_s=0 must be a positive number"),
        ({"timeout_s": float("inf")}, ValueError, "timeout_s=inf must be a positive number"),
        ({"label_column": "a", "weight_column": "a"}, ValueError, "label_column and weight_column are both 'a'"),
    ],
)
def test_bad_parameters_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        local().set_params(**changes).fit([np.eye(3)])


def workers_and_statistics(rng: np.random.Generator) -> tuple[list[Worker], list[bytes]]:
    workers = [Worker(i, X, None, None, SETTINGS) for i, X in enumerate(skewed_shards(rng, 2)[0])]
    return workers, [worker.statistics() for worker in workers]


def test_statistics_are_small_and_hostile_ones_are_refused(rng):
    _, statistics = workers_and_statistics(rng)
    assert max(map(len, statistics)) <= 28
    for position in range(len(statistics[1])):
        broken = bytearray(statistics[1])
        broken[position] ^= 4
        with pytest.raises(ValueError, match="shard 1: "):
            Coordinator(2, 4000).allocate([statistics[0], bytes(broken)])
    for body in (b"", b"\xd1", b"\xd1\x01\x03" + b"\x00\x00\xc0\xff" + bytes(4) + b"\x10", bytes(500)):
        with pytest.raises(ValueError, match="shard 1: "):
            Coordinator(2, 4000).allocate([statistics[0], seal(body)])
    with pytest.raises(ValueError, match="shard 1: statistics of kind 209 for shard 0"):
        Coordinator(2, 4000).allocate([statistics[0], statistics[0]])


def test_summaries_larger_than_allowed_or_garbled_are_refused(rng):
    workers, statistics = workers_and_statistics(rng)
    coordinator = Coordinator(2, 4000)
    answers = coordinator.allocate(statistics)
    messages = [worker.summarise(answer) for worker, answer in zip(workers, answers, strict=True)]
    assert isinstance(coordinator.merge(messages), Coreset)
    with pytest.raises(ValueError, match=r"shard 1: its summary takes 9999 bytes, \d+ were allowed"):
        coordinator.merge([messages[0], bytes(9999)])
    with pytest.raises(ValueError, match="shard 0: message"):
        coordinator.merge([messages[0][:-1], messages[1]])


def test_shards_that_take_no_part_are_skipped_and_held_to_it(rng):
    workers, _ = workers_and_statistics(rng)
    coordinator = Coordinator(3, 4000, names=["zero", "one", "two"], absent={2})
    answers = coordinator.allocate([worker.statistics() for worker in workers] + [b""])
    assert answers[2] == b""
    messages = [worker.summarise(answer) for worker, answer in zip(workers, answers, strict=False)]
    assert coordinator.merge([*messages, b""]).n_source == 160
    assert {row["node"] for row in coordinator.ledger} == {0, 1}
    with pytest.raises(ValueError, match="two: it takes no part, but sent 3 bytes"):
        coordinator.merge([*messages, b"???"])
    with pytest.raises(ValueError, match="one: it answered with str instead of bytes"):
        coordinator.merge([messages[0], "text", b""])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="one: message"):
        coordinator.merge([messages[0], b"", b""])
    with pytest.raises(ValueError, match="none of the 2 shards takes part"):
        Coordinator(2, 4000, absent={0, 1})


def test_the_first_shard_that_takes_part_alone_sends_names(rng):
    frames = [pd.DataFrame(X, columns=["left", "middle", "right"]) for X in skewed_shards(rng, 3)[0]]
    workers = [Worker(number, X, None, None, SETTINGS) for number, X in enumerate(frames)]
    coordinator = Coordinator(3, 4000, absent={0})
    answers = coordinator.allocate([b""] + [worker.statistics(1) for worker in workers[1:]])
    messages = [workers[shard].summarise(answers[shard]) for shard in (1, 2)]
    assert [b"middle" in message for message in messages] == [True, False]
    assert coordinator.merge([b"", *messages]).feature_names == ("left", "middle", "right")


def test_answers_for_another_shard_or_garbled_are_refused(rng):
    workers, statistics = workers_and_statistics(rng)
    answers = Coordinator(2, 4000).allocate(statistics)
    with pytest.raises(ValueError, match="shard 0: got a message of kind 210 for shard 1"):
        workers[0].summarise(answers[1])
    with pytest.raises(ValueError, match="checksum"):
        workers[0].summarise(answers[0][:-1] + b"?")


def test_a_worker_answers_the_same_however_often_it_is_asked(rng):
    workers, statistics = workers_and_statistics(rng)
    assert workers[1].statistics() == statistics[1]
    answer = Coordinator(2, 4000).allocate(statistics)[1]
    assert workers[1].summarise(answer) == workers[1].summarise(answer)


def test_seeds_reach_the_summary(rng):
    shards, labels = skewed_shards(rng)
    one, again, other = (local().set_params(random_state=s).fit(shards, labels).messages_ for s in (1, 1, 2))
    assert one == again != other
    assert local(base=RobustCoreset(power=1)).fit(shards, labels).messages_ != one


def test_progress_is_reported_on_standard_error(rng, capsys):
    DistributedCoreset(4000, backend="local", random_state=0).fit(*skewed_shards(rng))
    assert "coreset: summary from 4 of 4 shards" in capsys.readouterr().err
