"""What torch modules are given and what becomes of their outputs: rows of any kind, labels or numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analog_eval import noise_sweep
from analog_eval.adapters import adapt

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


from analog_eval.adapters.modules.readings import reading_for  # noqa: E402


@pytest.fixture
def rows(rng):
    return rng.normal(size=(40, 8))


class TestRows:
    @pytest.mark.parametrize(
        "kind", [np.asarray, np.float32, np.ndarray.tolist, np.asfortranarray, pd.DataFrame, torch.tensor, "read-only"]
    )
    def test_of_any_kind(self, rows, kind):
        torch.manual_seed(0)
        module, y = nn.Linear(8, 3), np.arange(40) % 3
        X = rows.copy() if kind == "read-only" else kind(rows)
        if kind == "read-only":
            X.flags.writeable = False
        report = noise_sweep(module, X, y, n_draws=2, random_state=0)
        expected = noise_sweep(module, rows.astype(np.float32), y, n_draws=2, random_state=0)
        pd.testing.assert_frame_equal(report.table, expected.table)

    def test_integers(self):
        torch.manual_seed(0)
        images = np.random.default_rng(0).integers(0, 255, (20, 8), dtype=np.uint8)
        noise_sweep(nn.Linear(8, 2), images, np.arange(20) % 2, n_draws=2)
        words = nn.Sequential(nn.Embedding(255, 4), nn.Flatten(), nn.Linear(32, 2))
        assert adapt(words).transform(images).dtype == torch.int64
        noise_sweep(words, images, np.arange(20) % 2, n_draws=2)

    def test_that_make_no_sense(self):
        with pytest.raises(TypeError, match="X is sparse"):
            noise_sweep(nn.Linear(3, 2), csr_matrix(np.eye(3)), [0, 1, 0])
        with pytest.raises(TypeError, match="X must hold numbers"):
            noise_sweep(nn.Linear(1, 2), [["a"], ["b"]], [0, 1])
        with pytest.raises(ValueError, match="X must have rows"):
            noise_sweep(nn.Linear(3, 2), np.empty((0, 3)), [])

    def test_steps_before_the_module(self, digits):
        X, y = digits
        scaler = StandardScaler().fit(X)
        torch.manual_seed(0)
        module = nn.Linear(64, 10)
        whole = noise_sweep(make_pipeline(scaler, module), X, y, n_draws=2, random_state=0)
        pd.testing.assert_frame_equal(
            whole.table, noise_sweep(module, scaler.transform(X), y, n_draws=2, random_state=0).table
        )


class TestReadings:
    @pytest.mark.parametrize(
        ("outputs", "truth", "classes"),
        [
            ((4, 3), [0, 1, 2, 1], [0, 1, 2]),
            ((4, 3), [0.0, 1.0, 2.0, 1.0], [0, 1, 2]),
            ((4, 3), [[0], [1], [2], [1]], [0, 1, 2]),
            ((4, 2), [True, False, True, True], [0, 1]),
            ((4, 1), [0, 1, 1, 0], [0, 1]),
            ((4,), [-1, 1, 1, 1], [-1, 1]),
            ((4,), [1, 1, 1, 1], [0, 1]),
            ((4,), [0, 1, 2, 1], None),
            ((4, 1), [0.0, 1.0, 1.0, 1.0], None),
            ((4, 3), np.ones((4, 3)), None),
        ],
    )
    def test_rules(self, outputs, truth, classes, rng):
        got = reading_for(rng.normal(size=outputs) * 9, np.array(truth)).classes
        assert got is None if classes is None else got.tolist() == classes

    @pytest.mark.parametrize(
        ("outputs", "truth", "match"),
        [
            (np.zeros((2, 2)), ["a", "b"], "class numbers"),
            (np.zeros((2, 2)), [0, 2], "y holds class 2, but the model has 2 outputs"),
            (np.zeros((2, 2)), [-1, 1], "y holds class -1"),
            (np.zeros((2, 2)), [0.5, 1], r"y has shape \(2,\) .* \(2, 2\)"),
            (np.zeros((2, 2)), [[0, 1], [1, 0]], r"class numbers of shape \(2,\)"),
            (np.array([0.2, 0.9]), [0, 1], "sigmoid"),
        ],
    )
    def test_mix_ups(self, outputs, truth, match):
        with pytest.raises(ValueError, match=match):
            reading_for(outputs, np.array(truth))

    def test_probabilities(self):
        one = reading_for(np.array([-1.0, 2.0]), np.array([0, 1]))
        np.testing.assert_allclose(one.probabilities(np.array([0.0])), [[0.5, 0.5]])
        assert one.predictions(np.array([[-1.0], [2.0]])).tolist() == [0, 1]
