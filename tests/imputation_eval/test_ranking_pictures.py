"""Pictures and the line of progress of a ranking."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import SimpleImputer

from imputation_eval import HotDeckImputer, MeanImputer, ampute, rank_imputers
from imputation_eval.ranking.pictures import columns_of, local_shares

QUICK = {"n_repeats": 3, "n_draws": 2, "progress": False, "random_state": 0}


def test_plots():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ranking = rank_imputers(load_wine(as_frame=True).data, {"median": SimpleImputer()}, **QUICK)
    for kind in ("forest", "seconds", "ranks", "pairwise", "density", "local"):
        ranking.plot(kind)
    assert ranking.plot().get_xlabel() == "nds (lower is better)"
    with pytest.raises(ValueError, match="kind='pie'"):
        ranking.plot("pie")
    with pytest.raises(ValueError, match=r"imputer='truth' has no filled rows to show; available: .*'median'"):
        ranking.plot("density", imputer="truth")
    # Without a truth, observed values stand beside the imputed ones, and rows have nothing to stand beside.
    holes = ampute(load_wine(as_frame=True).data, missing_rate=0.2, random_state=0)
    blind = rank_imputers(holes, {"median": MeanImputer("median")}, mode="no_truth", **QUICK)
    names = [text.get_text() for text in blind.plot("density").legends[0].get_texts()]
    assert names == ["observed values", "imputed by median, 12 of 13 columns"]
    with pytest.raises(ValueError, match="without a truth there are none"):
        blind.plot("local")
    plt.close("all")


def test_pictures_show_the_values_as_they_are(mixed_table, rng):
    df = mixed_table(400, rng)
    marked = {"real": 77.0, "text": "low", "when": pd.Timestamp("2030-01-01")}

    def marking(table, random_state):
        filled = HotDeckImputer(random_state).fit_transform(table)
        return filled.assign(**{name: filled[name].mask(table[name].isna(), value) for name, value in marked.items()})

    ranking = rank_imputers(df, {"it": marking}, **QUICK)
    columns = {column.name: column for column in columns_of(ranking.example, "it", ranking.per_column["it"])}
    assert set(columns) == set(df.columns)
    for name, value in marked.items():
        assert set(pd.Series(columns[name].imputed)) == {value}
    assert set(columns["text"].observed) <= set(df["text"])
    assert set(pd.Series(columns["when"].observed).astype(df["when"].dtype)) <= set(df["when"])
    assert np.isin(np.round(columns["real"].observed, 9), np.round(df["real"], 9)).all()
    assert columns["grade"].levels == ["c", "b", "a"]
    points, local = local_shares(ranking.example, "it")
    half = len(points) // 2
    assert local[:half].mean() < 0.4 < 0.6 < local[half:].mean()


def test_progress_in_a_log_is_quiet_until_it_is_long(capsys, monkeypatch, rng):
    from imputation_eval._progress import Progress

    df = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    rank_imputers(df, {"median": SimpleImputer()}, **(QUICK | {"progress": True}))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Progress, "_PLAIN_INTERVAL_S", 0.0)
    rank_imputers(df, {"median": SimpleImputer()}, **(QUICK | {"progress": True}))
    assert "scoring imputers: 12 of 12, 0 s left" in capsys.readouterr().err
