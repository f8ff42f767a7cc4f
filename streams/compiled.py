"""How loops that numpy cannot say are compiled, and that they are before a worker needs them.

The code is kept beside its module, so that it is made once: `make env` runs `python -m streams.compiled`. A
worker that finds none makes it at its start, which takes some ten seconds.
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


def fixed(buffer: Any, kind: type[np.generic]) -> NDArray[Any]:
    """A buffer as an array that cannot be written to: to a compiled loop that is another kind of array."""
    found = buffer.view() if isinstance(buffer, np.ndarray) else np.frombuffer(buffer, kind)
    found.flags.writeable = False
    return found


def warm() -> None:
    """Load or make the code of every such loop: what follows waits for none."""
    from rates.effects import NOTHING, Stored
    from streams.events import Events, Message
    from streams.ledger import Ledger

    anybody = _Anybody()
    record = b'{"MaHoSo":"H01-250101-1","TrangThaiHoSo":"4","NgayTiepNhan":"20250101"}'
    value = b'{"service":"DongBoHoSoMC","madonvi":"H01","data":[%s]}' % record
    for by_column in (True, False):
        ledger, events = Ledger(anybody), Events(by_column=by_column)
        message = Message(0, 0, 0, b"H01", value)
        learnt = np.array([1_735_700_000], np.int64)
        events.read([message], np.zeros(1, np.uint64), learnt, anybody, lambda _: True)
        sought = ledger.seek(events.columns(anybody, lambda _, found, __: found))
        ledger.load(sought.missing, NOTHING)
        dossiers = ledger.fold(sought, {0: 0}).dossiers.columns
        ledger.clear()
        ledger.load(sought.missing, Stored(dossiers, NOTHING.cells))
        ledger.let_go(sought.missing[0])


class _Anybody:
    """A register in which everybody may send, and nothing is known."""

    def may_send(self, sender: str, unit: str) -> bool:  # noqa: ARG002
        return True

    def system(self, procedure: str, sector: str) -> int:  # noqa: ARG002
        return 0

    def result_required(self, procedure: str) -> bool:  # noqa: ARG002
        return True


if __name__ == "__main__":
    warm()
