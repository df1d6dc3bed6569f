"""Where random numbers come from."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

__all__ = ["RandomState", "check_random_state", "generators", "one_seed"]

RandomState: TypeAlias = int | np.integer | np.random.RandomState | np.random.Generator | None


def check_random_state(random_state: object) -> None:
    """Raise unless `random_state` is a source of random numbers; it is not advanced."""
    if random_state is None or isinstance(random_state, np.random.RandomState | np.random.Generator):
        return
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer):
        raise TypeError(
            f"random_state must be None, an int, a RandomState or a Generator, got {type(random_state).__name__}"
        )
    if random_state < 0:
        raise ValueError(f"random_state={random_state} must be >= 0")


def generators(random_state: RandomState, n: int) -> list[np.random.Generator]:
    """Return `n` independent generators: equal seeds give equal generators, the first ones whatever `n` is.

    A RandomState or Generator is advanced, so a second call with the same object gives other numbers.
    """
    check_random_state(random_state)
    if isinstance(random_state, np.random.Generator):
        entropy: Any = random_state.integers(0, 2**32, size=4).tolist()
    elif isinstance(random_state, np.random.RandomState):
        entropy = random_state.randint(0, 2**32, size=4, dtype=np.uint64).tolist()
    else:
        entropy = random_state
    return [np.random.default_rng(child) for child in np.random.SeedSequence(entropy).spawn(n)]


def one_seed(random_state: RandomState) -> int:
    """Return a seed from which several can start alike: an int is one, any other source is advanced once."""
    check_random_state(random_state)
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(generators(random_state, 1)[0].integers(2**63))
