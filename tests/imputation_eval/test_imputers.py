from __future__ import annotations

import dataclasses
import random

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import BaggingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from imputation_eval import (
    ChainedImputer,
    HotDeckImputer,
    ImputationError,
    MeanImputer,
    TableImputer,
    ampute,
    default_imputers,
    impute,
)
from imputation_eval.imputers import contract, name_imputers

HOLES = pd.DataFrame({"a": [1.0, np.nan, 3.0, 4.0], "b": [5.0, 6.0, np.nan, 8.0]}, index=list("wxyz"))


@pytest.mark.parametrize("name", [name for name in default_imputers() if name != "miceforest"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestEveryDefaultImputer:
    """What each ready-made imputer must fulfil, found automatically."""

    def test_fills_mixed_tables_and_keeps_what_was_observed(self, name, mixed_table, rng):
        df = mixed_table(80, rng)
        df.index = pd.MultiIndex.from_product([range(8), range(10)])
        holes = ampute(df, missing_rate=0.2, random_state=0)
        before = holes.copy()
        filled = impute(default_imputers()[name], holes, 0)
        pd.testing.assert_frame_equal(holes, before)
        assert filled.index.equals(df.index)
        assert list(filled.columns) == list(df.columns)
        assert not filled.isna().any().any()
        observed = holes.notna().to_numpy()
        assert (filled.astype(object).to_numpy()[observed] == df.astype(object).to_numpy()[observed]).all()
        for column in ("text", "object", "category", "grade", "when"):
            assert filled[column].dtype == df[column].dtype
            assert column == "when" or set(filled[column]) <= set(df[column])
        assert set(filled["flag"]) == {True, False}
        assert filled["real"].dtype == np.float64

    def test_same_seed_same_table(self, name, mixed_table, rng):
        holes = ampute(mixed_table(60, rng), missing_rate=0.2, random_state=0)
        first, second = (impute(default_imputers()[name], holes, 7) for _ in range(2))
        pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("name", ["hot-deck", "iterative-sample", "forest", "pmm"])
def test_stochastic_imputers_follow_the_seed(name, rng):
    holes = ampute(pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc")), missing_rate=0.2, random_state=0)
    assert not impute(default_imputers()[name], holes, 0).equals(impute(default_imputers()[name], holes, 1))


def test_hot_deck_keeps_the_distribution_of_a_column():
    holes = pd.DataFrame({"x": ["a"] * 300 + ["b"] * 100 + [None] * 400})
    drawn = HotDeckImputer(random_state=0).fit_transform(holes)["x"].iloc[400:]
    # Binomial(400, 3/4): standard deviation 8.7; 4 of these either way.
    assert abs((drawn == "a").sum() - 300) < 35


def test_conditional_imputers_use_the_other_columns(rng):
    x = np.repeat([0.0, 1.0], 50) + rng.normal(0, 0.01, 100)
    df = pd.DataFrame({"x": x, "kind": np.where(x > 0.5, "high", "low")})
    holes = df.assign(kind=df["kind"].mask(rng.random(100) < 0.3))
    for name in ("knn", "iterative", "forest", "pmm"):
        assert (impute(default_imputers()[name], holes, 0)["kind"] == df["kind"]).all()


def test_mean_median_and_mode():
    holes = pd.DataFrame(
        {"x": [0.0, 1.0, 8.0, None], "n": pd.array([1, 2, 4, None], "Int64"), "k": ["v", "u", "u", None]}
    )
    assert MeanImputer().fit_transform(holes).iloc[3].tolist() == [3.0, pytest.approx(7 / 3), "u"]
    assert MeanImputer("median").fit_transform(holes).iloc[3].tolist() == [1.0, 2.0, "u"]
    assert MeanImputer(categorical=["n", "k"]).fit_transform(holes)["n"].iloc[3] == 1
    with pytest.raises(ValueError, match="strategy='mode'"):
        MeanImputer("mode").fit(holes)


def test_arrays_get_their_labels_back():
    filled = impute(SimpleImputer(), HOLES, 0)
    assert filled.index.tolist() == list("wxyz")
    assert filled.loc["x", "a"] == pytest.approx(8 / 3)
    filled = impute(lambda df, seed: impute(SimpleImputer(), df, seed)[["b", "a"]], HOLES, 0)
    assert filled.columns.tolist() == ["a", "b"]


def test_rounding_is_forgiven_and_undone():
    def float32(df, random_state):
        return SimpleImputer().fit_transform(df.astype(np.float32) * 3) / 3

    filled = impute(float32, HOLES.assign(a=[0.1, np.nan, 1e5 / 3, 4.0]), 0)
    assert filled["a"].tolist()[::2] == [0.1, 1e5 / 3]


def test_small_cells_of_a_heavy_tailed_column_may_not_change(rng):
    values = rng.lognormal(3, 1, 200)
    values[:2] = 1e9, np.nan
    holes = pd.DataFrame({"x": values})
    with pytest.raises(ImputationError, match=r"observed cells changed \(column: cells\): {'x': 198}"):
        impute(lambda df, seed: df.fillna(0).where(df["x"] > 5e3, 0, axis=0), holes, 0)
    # Rounding in proportion to the value is forgiven, and so is what is far below the spread of the column.
    impute(lambda df, seed: df.fillna(0) * (1 + 1e-6) + 1e-6, holes, 0)


def test_numbers_fill_nullable_booleans_that_are_read_as_numbers():
    holes = pd.DataFrame({"flag": pd.array([True, False, True, None], "boolean"), "x": [0.0, 1.0, 2.0, 3.0]})
    for name in ("mean", "knn"):
        filled = impute(default_imputers(categorical=[])[name], holes, 0)["flag"]
        assert filled.tolist()[:3] == [True, False, True]
        assert 0 < float(filled[3]) < 1
    assert impute(HotDeckImputer(), holes, 0)["flag"].dtype == "boolean"


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float64", "Float64"])
def test_floats_keep_their_precision_where_it_holds_what_was_imputed(dtype):
    holes = pd.DataFrame({"x": pd.Series([1.0, None, 3.0], dtype=dtype)})
    assert impute(MeanImputer(), holes, 0)["x"].dtype == dtype
    huge = impute(lambda df, seed: df.astype("float64").fillna(1e99), holes, 0)["x"]
    assert huge.tolist() == [1, 1e99, 3]


def test_estimators_are_cloned_and_seeded_also_when_nested():
    nested = make_pipeline(IterativeImputer(BaggingRegressor(n_estimators=2), max_iter=2, tol=1e9))
    holes = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3))).mask(np.eye(40, 3, dtype=bool))
    holes.columns = list("abc")
    first, second = (impute(nested, holes, 3) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert nested[0].random_state is None
    assert not hasattr(nested[0], "imputation_sequence_")


class WithAttribute:
    """Has fit_transform and a seed, but no get_params."""

    random_state = None

    def fit_transform(self, df):
        return df.fillna(np.random.default_rng(self.random_state).random())


class WithoutSeed:
    """Draws from the state that belongs to all."""

    def fit_transform(self, df):
        return df.fillna(np.random.random() + random.random())  # noqa: NPY002


@pytest.mark.parametrize(
    "imputer",
    [WithAttribute(), WithoutSeed(), lambda df, seed: WithoutSeed().fit_transform(df)],
    ids=["attribute", "global", "global in a callable"],
)
def test_what_has_no_parameter_for_a_seed_follows_it_as_well(imputer):
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    once = impute(imputer, HOLES, 5)
    after = np.random.random(), random.random()  # noqa: NPY002
    pd.testing.assert_frame_equal(once, impute(imputer, HOLES, 5))
    assert not once.equals(impute(imputer, HOLES, 6))
    assert getattr(imputer, "random_state", None) is None
    # The state of all goes on as if nothing had been drawn, also after a failure.
    with pytest.raises(ImputationError):
        impute(lambda df, seed: df * np.random.random(), HOLES, 0)  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    assert after == (np.random.random(), random.random())  # noqa: NPY002


def test_callables_get_an_int_seed_by_position_or_by_name():
    seeds = []

    def by_position(table, seed):
        seeds.append(seed)
        return table.fillna(0.0)

    def by_name(table, *, random_state):
        return by_position(table, random_state)

    for function in (by_position, by_name):
        impute(function, HOLES, 11)
    assert seeds == [11, 11]


def test_imputers_of_arrays_take_dates():
    df = pd.DataFrame({"x": [1.0, np.nan, 3.0, 4.0], "when": pd.date_range("2020-01-01", periods=4)})
    filled = impute(KNNImputer(n_neighbors=1), df.assign(when=df["when"].mask(df["x"] == 3)), 0)
    assert filled["when"].dtype.kind == "M"
    assert filled.notna().all(axis=None)


def test_objects_with_fit_transform_need_not_be_estimators():
    class Plain:
        used = False

        def fit_transform(self, df):
            assert not self.used
            self.used = True
            return df.fillna(1.0)

    imputer = Plain()
    for _ in range(2):
        assert impute(imputer, HOLES, 0).loc["x", "a"] == 1
    assert not imputer.used


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda df, seed: df, r"holes are left \(column: cells\): {'a': 1, 'b': 1}"),
        (lambda df, seed: df.fillna(0) * 2, r"observed cells changed \(column: cells\): {'a': 3, 'b': 3}"),
        (lambda df, seed: df.fillna(0).iloc[:3], "the index changed: 4 rows against 3"),
        (lambda df, seed: df.fillna(0).reset_index(drop=True), "the index changed: all 4 rows are there, but labels"),
        (
            lambda df, seed: df.fillna(0).iloc[::-1],
            "the index changed: all 4 rows are there, but labels differ or are in",
        ),
        (lambda df, seed: df.fillna(0)[["a"]], r"columns changed from \['a', 'b'\] to \['a'\]"),
        (lambda df, seed: df.fillna(0).to_numpy()[:, :1], r"shape changed from \(4, 2\) to \(4, 1\)"),
        (lambda df, seed: df.fillna(np.inf), "'a' holds infinite"),
        (lambda df, seed: df.astype(object).fillna("zero"), "'a' holds values that are not numbers"),
        (lambda df, seed: None, "it returned no table but NoneType"),
    ],
)
def test_broken_contracts_are_named(function, message):
    with pytest.raises(ImputationError, match=message):
        impute(function, HOLES, 0)


def test_blocks_of_floats_are_checked_as_single_columns_are(mixed_table, rng, monkeypatch):
    df = ampute(mixed_table(90, rng).assign(other=rng.normal(size=90), tiny=1e-9), missing_rate=0.2, random_state=0)
    df = df[sorted(df.columns)]
    good = HotDeckImputer(random_state=0).fit_transform(df)
    rounded = good.assign(real=good["real"] * (1 + 1e-6), other=good["other"] + 1e-7)
    row = int(np.flatnonzero(df["other"].notna())[-1])
    changed = good.assign(other=good["other"] + 1e-3 * (np.arange(90) == row))
    infinite = good.assign(real=good["real"].mask(df["real"].isna(), np.inf))
    found = []
    for in_blocks in (True, False):
        if not in_blocks:
            monkeypatch.setattr(contract, "plain_floats", lambda table: np.zeros(table.shape[1], dtype=bool))
        for entries in (16, 2**15):
            monkeypatch.setattr(contract, "_BLOCK_ENTRIES", entries)
            for output in (good, rounded):
                filled = contract.checked(df, output)
                assert filled.columns.equals(df.columns)
                assert (filled["other"][df["other"].notna()] == df["other"].dropna()).all()
                found.append(filled)
            for output, message in ((changed, "{'other': 1}"), (infinite, "'real' holds infinite")):
                with pytest.raises(ImputationError, match=message):
                    contract.checked(df, output)
    for k in (0, 1):
        for other in found[2 + k :: 2]:
            pd.testing.assert_frame_equal(found[k], other, check_exact=True)


def test_dropped_columns_are_named_as_holes():
    holes = HOLES.assign(empty=np.nan)
    with (
        pytest.warns(UserWarning, match="observed values"),
        pytest.raises(ImputationError, match=r"\{'empty': 4\}"),
    ):
        impute(SimpleImputer(), holes, 0)


def test_impossible_category_is_named():
    holes = pd.DataFrame({"kind": pd.Categorical(["a", None, "b"])})
    with pytest.raises(ImputationError, match=r"'kind' \(category\) cannot hold what was imputed, among it 'z'.$"):
        impute(lambda df, seed: df.astype(object).fillna("z"), holes, 0)


@pytest.mark.parametrize(
    ("imputers", "error", "message"),
    [
        ({}, ValueError, "imputers is empty"),
        ([("a", SimpleImputer()), ("a", KNNImputer())], ValueError, r"same name: \['a'\]"),
        ([SimpleImputer()], TypeError, "pairs of name"),
        ({1: SimpleImputer()}, TypeError, "pairs of name"),
        ({"a": SimpleImputer}, TypeError, r"imputers\['a'\] is the class SimpleImputer"),
        ({"a": StandardScaler().with_mean}, TypeError, "should have fit_transform or be a callable"),
        ({"a": lambda df: df}, TypeError, "should take two arguments"),
    ],
)
def test_what_is_no_imputer(imputers, error, message):
    with pytest.raises(error, match=message):
        name_imputers(imputers)


def test_table_imputer_hands_its_seed_on(rng):
    df = pd.DataFrame(rng.normal(size=(50, 3)), columns=list("abc"))
    holes = ampute(df, missing_rate=0.2, random_state=0)
    imputer = TableImputer(IterativeImputer(sample_posterior=True, max_iter=1), random_state=4)
    first, second = (imputer.fit_transform(holes) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(("method", "bend"), [("matching", 0), ("forest", 0), ("forest", 1)])
def test_donors_draw_from_the_conditional_distribution(method, bend, rng):
    x = rng.normal(size=3000)
    y = x + bend * x**2 + rng.normal(0, 0.5, size=len(x))
    df = pd.DataFrame({"x": x, "y": y})
    hole = rng.random(len(x)) < 0.4
    filled = ChainedImputer(method, random_state=0).fit_transform(df.assign(y=df["y"].mask(hole)))
    drawn = filled["y"][hole]
    assert set(drawn) <= set(y[~hole])
    residual = drawn - (x + bend * x**2)[hole]
    # 1200 draws, the standard error of the mean is 0.015, of the spread 2 %. A leaf of 5 donors adds a little to it,
    # and at the ends, where rows are few, much.
    assert residual.mean() == pytest.approx(0, abs=0.07)
    assert residual[np.abs(x[hole]) < 2].std() == pytest.approx(0.5, rel=0.1)
    # Once x is known, the draw says nothing about the value that was hidden.
    assert abs(np.corrcoef(residual, (y - x - bend * x**2)[hole])[0, 1]) < 0.1


def test_tied_predictions_share_all_donors():
    df = pd.DataFrame({"kind": list("ab") * 200, "y": np.arange(400.0)})
    hole = np.arange(400) >= 200
    drawn = ChainedImputer(random_state=0).fit_transform(df.assign(y=df["y"].mask(hole)))["y"][hole]
    # 100 donors of the same kind for each of 100 holes: about 63 of them are used.
    assert drawn[df["kind"] == "a"].nunique() > 40


@pytest.mark.parametrize(
    ("options", "message"),
    [({"method": "cart"}, "method='cart'"), ({"n_rounds": 0}, "n_rounds=0"), ({"n_donors": 0}, "n_donors=0")],
)
def test_chained_errors(options, message):
    with pytest.raises(ValueError, match=message):
        ChainedImputer(**options).fit_transform(HOLES)


def test_scikit_learns_imputers_fill_any_table(mixed_table, rng):
    df = mixed_table(80, rng)
    holes = ampute(df, missing_rate=0.2, random_state=0)
    for imputer in (SimpleImputer(), KNNImputer(), IterativeImputer(max_iter=2, tol=1e9)):
        filled = impute(imputer, holes, 0)
        assert not filled.isna().any().any()
        assert filled.dtypes[["text", "category", "grade", "when"]].equals(
            df.dtypes[["text", "category", "grade", "when"]]
        )
    # Those that take objects as they are get them as they are.
    commonest = impute(SimpleImputer(strategy="most_frequent"), holes[["text"]], 0)["text"]
    assert set(commonest[holes["text"].isna()]) == {holes["text"].mode().item()}
    codes = holes.assign(count=holes["count"].mask(holes["count"] > 1))
    assert set(
        impute(KNNImputer(), codes, 0, categorical=["count", "text", "object", "category", "flag"])["count"]
    ) == {0, 1}


def test_dates_are_averaged():
    when = pd.Series(pd.to_datetime(["2020-01-01", None, "2020-01-04"]))
    days = pd.Series(pd.to_timedelta([1, None, 4], unit="D"))
    filled = MeanImputer().fit_transform(pd.DataFrame({"when": when, "days": days}))
    assert filled["when"][1] == pd.Timestamp("2020-01-02 12:00")
    assert filled["days"][1] == pd.Timedelta(days=2.5)
    assert filled.dtypes.tolist() == [when.dtype, days.dtype]


def test_columns_that_are_not_there_are_no_levels():
    # A list of nominal columns fits the whole table; a part of it is filled as well.
    for name, imputer in default_imputers(categorical=["kind", "elsewhere"]).items():
        holes = pd.DataFrame({"kind": [1.0, 2.0, 2.0, None] * 10, "x": [1.0, None, 3.0, 4.0] * 10})
        assert set(impute(imputer, holes, 0)["kind"]) == {1, 2}, name


def test_columns_may_have_several_levels(rng):
    df = pd.DataFrame(rng.normal(size=(40, 3)), columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]))
    holes = ampute(df, missing_rate=0.2, random_state=0)
    for name, imputer in default_imputers().items():
        filled = impute(imputer, holes, 0)
        assert filled.columns.equals(df.columns), name
        assert not filled.isna().any().any()


def test_miceforest_is_used_if_installed(mixed_table, rng):
    pytest.importorskip("miceforest")
    holes = ampute(mixed_table(80, rng), missing_rate=0.2, random_state=0)
    first, second, other = (impute(default_imputers()["miceforest"], holes, seed) for seed in (0, 0, 1))
    assert first.dtypes[["text", "category", "grade", "when"]].equals(
        holes.dtypes[["text", "category", "grade", "when"]]
    )
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(other)


@pytest.mark.parametrize("seed", [-1, 2**32, 3.0, "x"])
def test_bad_seeds_are_named_and_leave_the_global_generators_alone(seed):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with pytest.raises((TypeError, ValueError), match="random_state"):
        impute(SimpleImputer(), pd.DataFrame({"x": [1.0, np.nan]}), seed)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_seeds_of_numpy_and_seeds_that_cannot_be_set_are_taken():
    @dataclasses.dataclass(frozen=True)
    class Zeros:
        random_state: int = 0

        def fit_transform(self, df):
            return df.fillna(0.0)

    assert impute(Zeros(), pd.DataFrame({"x": [1.0, np.nan]}), np.int64(3))["x"].tolist() == [1.0, 0.0]
