"""How loops that numpy cannot say are compiled, and that they are before a worker needs them.

The code is kept beside its module, so that it is made once: `make env` runs `python -m streams.compiled`. A
worker that finds none makes it, which takes some ten seconds.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Bytes: TypeAlias = NDArray[Any]
Ints: TypeAlias = NDArray[np.int64]


def compiled(function: F) -> F:
    """Compile at the first call. Others may run meanwhile: it holds no lock of the interpreter."""
    found: Any = njit(cache=True, nogil=True)(function)
    return cast("F", found)
