"""The estimator of streams: checking, drafts, seeds, merging."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Iterable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from ..construction import CoresetConstructor, RobustCoreset, Rows, target_settings
from ..construction.checking import check_batch, squarable
from ..points import Coreset
from ..targets import NUMERIC
from ..validation import RandomState, as_generator, check_count
from .batches import check_batches, parts_of
from .counter import Counter, Seen, count_rows, put_together

# Rows a leaf holds per point of its summary, unless told otherwise.
_LEAF_ROWS_PER_POINT = 64
# Beyond this many pieces the buffer is put together, so that rows that come one by one do not cost an object each.
_PIECES = 256
# The summary of everything is at no level of the counter; its seeds are apart.
_READING = 64


@final
class StreamingCoreset(BaseEstimator):
    """A summary of rows that come in parts and are never held together.

    Rows are collected into leaves of `bucket_rows`, and each leaf is summarised by `base`. Two summaries of leaves are
    merged and reduced to one of the same size, two of these again, and so on, as a binary counter carries; what is held
    at any time is one leaf of rows and one summary a level. The result depends on the rows, their order and the seed,
    not on how they were cut into batches.

    Parameters
    ----------
    base : construction, optional
        How rows and summaries are summarised, such as `RobustCoreset`, the default; it also says to how many points.
    bucket_rows : "auto" or int, default="auto"
        Rows a leaf; "auto" is 64 for every point of the base. Every level of the counter adds an error, and large
        leaves make few levels, ``log2(rows / bucket_rows)`` of them. They are fast, too: some of what a summary costs
        depends on its points alone. Memory is the price. (1M x 16 rows of heavy tails, 4,000 points, by
        ``benchmarks/streaming.py --bucket-rows``: with leaves of 4, 16 and 64 rows a point the offset was 1.50, 1.44
        and 1.33 times that of the base on all rows, and the time 9.7, 3.6 and 1.2 s, not 0.2. On clusters the costs of
        solved centres hardly tell these apart; on heavy tails without clusters they do.)
    random_state : int, RandomState, Generator or None, default=None
        Seeds of all leaves and levels; that of `base` is not used. Streams that are to be merged should have different
        ones, so that their draws are independent.

    Attributes
    ----------
    coreset_ : Coreset
        Summary of all rows so far, of at most `n_points` of the base. It is computed when it is asked for and kept
        until more rows come; reading it does not change what later ones will give.
    n_rows_seen_ : int
        Rows so far, without those of weight zero.
    n_rows_held_ : int
        Rows and points that are held now: less than ``bucket_rows + n_points * (log2(n_rows_seen_ / bucket_rows) + 1)``
        in a stream that was not merged.

    Notes
    -----
    The counter is that of Bentley and Saxe, "Decomposable searching problems I: static-to-dynamic transformation"
    (Journal of Algorithms, 1980); Har-Peled and Mazumdar, "On coresets for k-means and k-median clustering" (STOC 2004)
    put coresets into it. How offset, spread and certificate go through the levels is said at
    `CoresetConstructor.reduce`. As long as everything fits one leaf, the summary is that of the base.

    With labels every class is summarised apart at every level, so that one that was seen once is never lost. With a
    numeric target and ``label_scale="auto"`` every leaf has a scale of its own, and certificates are about the least of
    them; a number instead of "auto" keeps them comparable.

    Examples
    --------
    >>> import numpy as np
    >>> from coreset import RobustCoreset, StreamingCoreset
    >>> rng = np.random.default_rng(0)
    >>> stream = StreamingCoreset(RobustCoreset(n_points=100), bucket_rows=1600, random_state=0)
    >>> for _ in range(20):
    ...     stream = stream.partial_fit(rng.normal(size=(500, 3)))
    >>> stream.coreset_
    Coreset(100 points x 3 features, total weight 10000, from 10000 rows)
    >>> stream.n_rows_held_          # 6 leaves of 1600 rows, merged to one summary of 4 and one of 2, and 400 rows
    600
    """

    n_features_in_: int
    _entropy: int
    _counter: Counter
    _buffer: list[Rows]
    _seen: Seen | None
    _summary: Coreset | None

    def __init__(
        self,
        base: CoresetConstructor | None = None,
        *,
        bucket_rows: int | str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.base = base
        self.bucket_rows = bucket_rows
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> StreamingCoreset:
        """Forget what was seen and start anew with these rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,), optional
            Class labels or, see `target_type` of the base, numbers to regress on.
        sample_weight : array-like of shape (n,), optional
            Weight three means the same row three times; zero means that it is absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            On bad values, or fewer points than classes. Then nothing is forgotten.
        TypeError
            On values of the wrong type.
        """
        draft = self._anew()
        draft._take_in(X, y, sample_weight)
        if draft.n_rows_seen_ == 0:
            raise ValueError("sample_weight is zero for all rows, so there is nothing to summarise")
        return self._become(draft)

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> StreamingCoreset:
        """Add rows to those seen so far.

        Parameters
        ----------
        X : array-like of shape (n, d)
            With the columns, and the names of columns, of the first batch.
        y : array-like of shape (n,), optional
            In all batches or in none: class labels, of which new ones may come at any time, or numbers.
        sample_weight : array-like of shape (n,), optional
            All may be zero here: then no row is added.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            On bad values, columns or labels unlike those of earlier batches, or fewer points than classes so far. Then
            the stream is as it was, and can go on.
        TypeError
            On values of the wrong type.
        """
        draft = copy.copy(self) if self._started else self._anew()
        draft._take_in(X, y, sample_weight)
        return self._become(draft)

    def fit_batches(self, batches: Iterable[Any], *, progress: bool = False) -> StreamingCoreset:
        r"""Forget what was seen and read batches, of which only one needs to be in memory at a time.

        A parquet file, with labels in the column "class", is read by::

            frames = (batch.to_pandas() for batch in pyarrow.parquet.ParquetFile(path).iter_batches())
            stream.fit_batches((frame.drop(columns="class"), frame["class"]) for frame in frames)

        Parameters
        ----------
        batches : iterable of X, (X, y) or (X, y, sample_weight)
            Tables, alone or as tuples of what `partial_fit` takes. Empty tables are passed over.
        progress : bool, default=False
            Tell rows so far on standard error: a line that is rewritten on a terminal, only the last one elsewhere.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As for `partial_fit`, with a note that numbers the batch, or when there is no row at all. Then nothing is
            forgotten.

        Examples
        --------
        >>> import io
        >>> import pandas as pd
        >>> from coreset import RobustCoreset, StreamingCoreset
        >>> file = io.StringIO("length,width\n" + "1.5,2.5\n3.5,0.5\n" * 500)
        >>> stream = StreamingCoreset(RobustCoreset(n_points=2), random_state=0)
        >>> summary = stream.fit_batches(pd.read_csv(file, chunksize=64)).coreset_
        >>> summary.to_frame().sort_values("length", ignore_index=True)
           length  width  weight
        0     1.5    2.5   500.0
        1     3.5    0.5   500.0
        """
        check_batches(batches)
        draft = self._anew()
        number = -1
        for number, batch in enumerate(batches):
            try:
                if (parts := parts_of(batch)) is not None:
                    draft._take_in(*parts)
            except (ValueError, TypeError) as error:
                error.add_note(f"in batch {number} of fit_batches, counting from 0")
                raise
            if progress and sys.stderr.isatty():
                print(_progress(number + 1, draft), end="\r", file=sys.stderr, flush=True)
        if not draft._started or draft.n_rows_seen_ == 0:
            raise ValueError(f"batches has no row to summarise in its {number + 1} batches")
        if progress:
            print(_progress(number + 1, draft), file=sys.stderr, flush=True)
        return self._become(draft)

    def merge(self, other: StreamingCoreset) -> StreamingCoreset:
        """Add all that another stream has seen to this one, in place, as if its rows had come here.

        Summaries go level by level, so that as many reductions are made as if one stream had read everything; the order
        of merging changes the result only by the chance of other draws.

        Parameters
        ----------
        other : StreamingCoreset
            With the same parameters, of which only `random_state` may differ. It stays as it is.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            When `other` is no StreamingCoreset.
        ValueError
            When parameters, columns or labels disagree, or there are fewer points than classes. Then this stream is as
            it was.

        Examples
        --------
        >>> import numpy as np
        >>> from coreset import RobustCoreset, StreamingCoreset
        >>> one, two = (StreamingCoreset(RobustCoreset(n_points=50), random_state=seed) for seed in (0, 1))
        >>> one = one.fit(np.arange(3000.0).reshape(-1, 1))
        >>> two = two.fit(np.arange(3000.0, 9000.0).reshape(-1, 1))
        >>> one.merge(two).coreset_
        Coreset(50 points x 1 features, total weight 9000, from 9000 rows)
        """
        if not isinstance(other, StreamingCoreset):
            raise TypeError(f"other is a {type(other).__name__}, expected a StreamingCoreset")
        base, bucket_rows = self._checked_parameters()
        _check_same_recipe(base, bucket_rows, *other._checked_parameters())
        if not other._started:
            return self
        draft = copy.copy(self) if self._started else self._anew()
        draft._take_over_columns(other)
        draft._seen = other._known().after(draft._seen, "other", base.n_points)
        for level, bucket in enumerate(other._counter.buckets):
            if bucket is not None:
                draft._counter = draft._counter.add(bucket, level, draft._reduce)
        draft._push(other._buffer, bucket_rows)
        return self._become(draft)

    @property
    def coreset_(self) -> Coreset:
        """Summary of all rows so far."""
        if self._known().n_rows == 0:
            raise NotFittedError("Every row that this StreamingCoreset has seen has weight zero")
        if self._summary is None:
            self._summary = self._read()
        return self._summary

    @property
    def n_rows_seen_(self) -> int:
        """Rows so far, without those of weight zero."""
        return self._known().n_rows

    @property
    def n_rows_held_(self) -> int:
        """Rows and points that are held now."""
        self._known()
        return count_rows(self._buffer) + count_rows([bucket for bucket in self._counter.buckets if bucket is not None])

    @property
    def _started(self) -> bool:
        return vars(self).get("_seen") is not None

    def _known(self) -> Seen:
        if not self._started or self._seen is None:
            raise NotFittedError("This StreamingCoreset has seen no row yet; call fit or partial_fit first")
        return self._seen

    def _checked_parameters(self) -> tuple[CoresetConstructor, int]:
        """The base and the rows of a leaf."""
        base = RobustCoreset() if self.base is None else self.base
        if not isinstance(base, CoresetConstructor):
            raise TypeError(f"base={base!r} must be a construction such as RobustCoreset()")
        n_points = check_count("n_points", base.n_points)
        base._check_parameters()
        if getattr(base, "min_cell_size", 1) > 1:
            raise ValueError(
                f"base has min_cell_size={base.min_cell_size}, which a stream cannot keep: a leaf may hold fewer rows"
            )
        if not isinstance(self.bucket_rows, str):
            return base, check_count("bucket_rows", self.bucket_rows)
        if self.bucket_rows != "auto":
            raise ValueError(f"bucket_rows={self.bucket_rows!r} must be 'auto' or an integer")
        return base, _LEAF_ROWS_PER_POINT * n_points

    # Every change is made to a draft, which takes the place of the estimator when all went well; so what a draft shares
    # with it is replaced, never changed.

    def _anew(self) -> StreamingCoreset:
        """A copy that has seen nothing."""
        draft = copy.copy(self)
        draft._entropy = int.from_bytes(as_generator(self.random_state).bytes(16), "little")
        draft._counter = Counter()
        draft._buffer = []
        draft._seen = None
        draft._summary = None
        return draft

    def _become(self, draft: StreamingCoreset) -> StreamingCoreset:
        self.__dict__ = draft.__dict__
        return self

    def _take_in(self, X: ArrayLike, y: ArrayLike | None, sample_weight: ArrayLike | None) -> None:
        base, bucket_rows = self._checked_parameters()
        # scikit-learn refuses weights that are all zero, which is right for a table and wrong for a part of one.
        absent = sample_weight is not None and not np.any(np.asarray(sample_weight))
        weights = np.ones_like(sample_weight, dtype=np.float64) if absent else sample_weight
        target = target_settings(base)
        if target["target_type"] == "auto" and self._seen is not None and self._seen.target_type == NUMERIC:
            target["target_type"] = NUMERIC  # a batch of it may happen to hold integers
        rows = check_batch(self, X, y, weights, **target, reset=self._seen is None)
        rows = rows.take(slice(0, 0)) if absent else rows
        self._seen = Seen.of(rows).after(self._seen, "y", base.n_points)
        self._push([rows], bucket_rows)

    def _push(self, pieces: Sequence[Rows], bucket_rows: int) -> None:
        """Buffer rows, and cut a leaf whenever there are enough."""
        buffer, held = list(self._buffer), count_rows(self._buffer)
        for rows in pieces:
            start = 0
            while held + len(rows) - start >= bucket_rows:
                stop = start + max(0, bucket_rows - held)
                leaf = self._leaf([*buffer, rows.take(slice(start, stop))])
                self._counter = self._counter.add(leaf, 0, self._reduce)
                buffer, held, start = [], 0, stop
            if start < len(rows):
                # The caller may write into the table after the call, and a view would keep all of it alive.
                buffer.append(put_together([rows.take(slice(start, None))], copied=True))
                held += len(rows) - start
        self._buffer = [put_together(buffer)] if len(buffer) > _PIECES else buffer
        self._summary = None

    def _leaf(self, pieces: Sequence[Rows]) -> Coreset:
        rows = put_together(pieces)
        base = self._seeded(0, self._counter.made_at(0))
        return base._summary(dataclasses.replace(rows, X=squarable(rows.X)).for_sampling(base._samples_first))

    def _reduce(self, level: int, number: int, merged: Coreset) -> Coreset:
        return self._seeded(level, number).reduce(merged)

    def _read(self) -> Coreset:
        """All summaries, and that of the leaf that is not full, reduced at once: one error more, not one a level."""
        parts = [bucket for bucket in reversed(self._counter.buckets) if bucket is not None]
        if self._buffer:
            parts.append(self._leaf(self._buffer))
        merged = Coreset.merge(*parts) if len(parts) > 1 else parts[0]
        summary = self._reduce(_READING, self.n_rows_seen_, merged)
        names = getattr(self, "feature_names_in_", None)
        return dataclasses.replace(
            summary,
            feature_names=None if names is None else tuple(names),
            source_dtype=self._known().source_dtype,
            sample_indices=None,  # they count within a leaf
        )

    def _seeded(self, level: int, number: int) -> CoresetConstructor:
        """The base with the seed of one place in the counter, whenever and by whichever call that is reached."""
        sequence = np.random.SeedSequence(self._entropy, spawn_key=(level, number))
        base: CoresetConstructor = clone(self._checked_parameters()[0])
        return base.set_params(random_state=int(sequence.generate_state(1)[0]))

    def _take_over_columns(self, other: StreamingCoreset) -> None:
        if not hasattr(self, "n_features_in_"):
            self.n_features_in_ = other.n_features_in_
        if self.n_features_in_ != other.n_features_in_:
            raise ValueError(f"other has {other.n_features_in_} columns, this stream {self.n_features_in_}")
        mine, theirs = (getattr(stream, "feature_names_in_", None) for stream in (self, other))
        if theirs is None:
            return
        for column, (here, there) in enumerate(zip(theirs if mine is None else mine, theirs, strict=True)):
            if here != there:
                raise ValueError(f"feature names disagree: column {column} is {here!r} here, {there!r} in other")
        self.feature_names_in_ = theirs


def _check_same_recipe(
    base: CoresetConstructor, bucket_rows: int, other_base: CoresetConstructor, other_rows: int
) -> None:
    mine, theirs = (
        {"base": type(one).__name__, **one.get_params(deep=False), "bucket_rows": rows, "random_state": None}
        for one, rows in ((base, bucket_rows), (other_base, other_rows))
    )
    for name in mine:
        if mine[name] != theirs.get(name):
            raise ValueError(
                f"{name} is {mine[name]!r} here and {theirs.get(name)!r} in other: "
                "only streams with the same parameters can be merged"
            )


def _progress(n_batches: int, stream: StreamingCoreset) -> str:
    return f"coreset: {stream.n_rows_seen_} rows from {n_batches} batches, {stream.n_rows_held_} held"
