import numpy as np
import pandas as pd
import pytest

from coreset import DistributedCoreset, plan_budget
from coreset.columns import check_numbers
from coreset.errors import needed
from coreset.protocol import Worker, WorkerSettings
from coreset.sources import Source


def test_a_missing_package_is_named_with_what_brings_it():
    with pytest.raises(ImportError, match=r"^get it$"), needed("no_such_package", "get it"):
        import no_such_package  # noqa: F401


def test_a_package_that_is_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_a_package.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), needed("half_a_package", "get it"):
        import half_a_package  # noqa: F401


@pytest.mark.parametrize(("gone", "says"), [("matplotlib", r"coreset-eval\[plots\]"), ("matplotlib.pyplot", "pyplot")])
def test_plots_tell_a_missing_matplotlib_from_a_broken_one(hide, gone, says):
    plan = plan_budget(np.arange(20.0).reshape(10, 2), 200, random_state=0)
    hide(gone)
    with pytest.raises(ImportError, match=says):
        plan.plot()


class Speechless:
    """A table whose error has no text."""

    def __array__(self, dtype=None, copy=None):
        raise ValueError


def test_errors_without_a_text_are_told_by_their_type():
    settings = WorkerSettings(None, "empirical", 0)
    with pytest.raises(ValueError, match=r"^shard 3: ValueError$"):
        Worker(3, Speechless(), None, None, settings)


def test_loaders_that_fail_without_a_text_tell_their_type_once():
    class Failing(Source):
        def __len__(self):
            return 1

        def name(self, shard):
            return f"shard {shard}"

        def loader(self, shard):
            return iter([]).__next__

    run = DistributedCoreset(900, backend="local", progress=False)
    with pytest.raises(OSError, match=r"^shard 0 cannot be read: StopIteration$"):
        run.fit(Failing())


@pytest.mark.parametrize("dtype", [object, "category", np.float64])
def test_rows_of_a_frame_are_probed_by_position(dtype):
    index = [0.5, 0.1, 0.7, 0.3]  # in which older pandas looks for 1000 as for a label
    check_numbers(pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0]}, index=index).astype(dtype))


def test_columns_of_one_name_are_each_checked():
    frame = pd.DataFrame([[1.0, "high"]], columns=["a", "a"])
    with pytest.raises(ValueError, match=r"^column 'a' of dtype \w+ does not hold numbers: .*'high'"):
        check_numbers(frame)


def test_columns_that_fail_without_a_text_are_named():
    class Mute:
        def __float__(self):
            raise ValueError

    with pytest.raises(ValueError, match=r"^column 'b' of dtype object does not hold numbers: ValueError$"):
        check_numbers(pd.DataFrame({"a": [1.0], "b": pd.Series([Mute()], dtype=object)}))
