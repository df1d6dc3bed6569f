"""How well a classifier tells two samples apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from imputation_eval._validation import RandomStateLike, as_generator, check_integer
from imputation_eval.metrics.metric import Metric
from imputation_eval.metrics.samples import Sample, check_samples

_Array = NDArray[np.float64]
_N_FOLDS = 2


def classifier_auc(
    x: Sample,
    y: Sample,
    *,
    classifier: ClassifierMixin | None = None,
    n_folds: int = _N_FOLDS,
    random_state: RandomStateLike = None,
) -> float:
    """Cross-fitted area under the ROC curve of a classifier that tells two samples apart.

    Each row is judged by a classifier that was trained on other rows [1]_; the areas of the folds are averaged. Without
    a difference each fold's area is 0.5 on average, whatever the classifier overfits.

    Parameters
    ----------
    x : array of shape (n, n_features) or DataFrame
        Arrays are taken as they are; DataFrames are encoded by :class:`~imputation_eval.TableEncoder`, fitted on `x`.
    y : array of shape (m, n_features) or DataFrame
        The other sample.
    classifier : scikit-learn classifier, optional
        With ``predict_proba``; by default gradient boosting of 50 trees.
    n_folds : int >= 2
        At most the rows of either sample.
    random_state : None, int, RandomState or Generator
        Draws the folds and seeds the default classifier.

    Returns
    -------
    float
        Between 0 and 1; lower is better: about 0.5 when the samples cannot be told apart, 1 when they separate.

    Raises
    ------
    ValueError
        If a sample has fewer than `n_folds` rows, contains NaN or infinity, or the columns differ.
    TypeError
        If one is a DataFrame and the other is not, or `classifier` is none.

    References
    ----------
    .. [1] D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from imputation_eval import classifier_auc
    >>> rng = np.random.default_rng(0)
    >>> x, y, far = (rng.normal(shift, 1, size=(300, 2)) for shift in (0, 0, 5))
    >>> abs(classifier_auc(x, y, random_state=0) - 0.5) < 0.1, classifier_auc(x, far, random_state=0) > 0.95
    (True, True)
    """
    n_folds = check_integer(n_folds, "n_folds", minimum=2)
    if classifier is not None and not (hasattr(classifier, "fit") and hasattr(classifier, "predict_proba")):
        raise TypeError(f"classifier should have fit and predict_proba, got {classifier!r}.")
    a, b = check_samples(x, y, "classifier_auc", least=n_folds)
    return _classifier_auc(a, b, as_generator(random_state), n_folds, classifier)


def _classifier_auc(
    x: _Array,
    y: _Array,
    rng: np.random.Generator,
    n_folds: int = _N_FOLDS,
    classifier: ClassifierMixin | None = None,
) -> float:
    seed = int(rng.integers(2**31))
    if classifier is None:
        classifier = HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=seed)
    rows, labels = np.vstack([x, y]), np.repeat([0, 1], [len(x), len(y)])
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    areas = []
    for train, test in folds.split(rows, labels):
        scores = clone(classifier).fit(rows[train], labels[train]).predict_proba(rows[test])[:, 1]
        areas.append(roc_auc_score(labels[test], scores))
    return float(np.mean(areas))


CLASSIFIER_AUC = Metric("classifier_auc", _classifier_auc)
