"""Whether a table's columns are the pixels of an image, and how many make a row of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
_LEAST_IMAGE = 16  # columns
_LEAST_LIKENESS = 0.15  # correlation with the pixel above
_SAMPLE = 1 << 17  # codes


def find_stride(codes: Codes) -> int:
    """Columns a row, if the columns seem to be the pixels of an image; else 0.

    It is the distance, of two or more, at which columns correlate most, beyond the first distance at which they
    correlate least: in an image that is the pixel above.

    Parameters
    ----------
    codes : ndarray of shape (d, n)

    Returns
    -------
    int
        At most 65535.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).integers(0, 2, (6, 1, 100))
    >>> find_stride(np.tile(rows, (1, 5, 1)).transpose(1, 0, 2).reshape(30, 100).astype(np.uint8))
    6
    """
    n_columns = len(codes)
    if n_columns < _LEAST_IMAGE:
        return 0
    sample = codes[:, :: max(1, codes.size // _SAMPLE)].T.astype(np.float64)
    sample -= sample.mean(axis=0)
    # The products at every distance at once (Wiener and Khinchin).
    found = np.fft.rfft(sample, 2 * n_columns)
    spectrum = (np.square(found.real) + np.square(found.imag)).sum(axis=0)
    products = np.fft.irfft(spectrum)[: min(n_columns // 2, 65535) + 1]
    if products[0] <= 0:
        return 0
    shares = products / products[0]
    rising = np.flatnonzero(np.diff(shares) > 0)
    if len(rising) == 0 or rising[0] < 1:
        return 0
    start = max(2, int(rising[0]) + 1)
    best = start + int(shares[start:].argmax()) if start < len(shares) else 0
    return best if best and shares[best] > _LEAST_LIKENESS else 0
