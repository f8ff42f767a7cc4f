"""How loops that numpy cannot say are compiled, and that they are before a worker needs them.

The code is kept beside its module, so that it is made once: `make env` runs `python -m streams.compiled`. A
worker that finds none makes it at its start, which takes some ten seconds.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Bytes: TypeAlias = NDArray[Any]
Ints: TypeAlias = NDArray[np.int64]


def compiled(function: F) -> F:
    """Compile at the first call. Others may run meanwhile: it holds no lock of the interpreter."""
    found: Any = njit(cache=True, nogil=True)(function)
    return cast("F", found)


def inlined(function: F) -> F:
    """Compile into whatever calls it: to hand over arrays costs more than a few steps of work on them."""
    found: Any = njit(nogil=True, forceinline=True)(function)
    return cast("F", found)


# What the processor does with many bytes in one step, and numpy's language cannot say.

WIDE: Final = 32
"""So many bytes are looked at in one step, even beyond the end of what they are looked at for."""
_WINDOW: Final = ir.VectorType(ir.IntType(8), WIDE)


def _native(step: Callable[..., Any]) -> Any:
    """A step that a compiled loop takes in the processor's own words."""
    return intrinsic(step)


def _bytes_at(context: Any, builder: Any, kind: Any, text: Any, at: Any) -> Any:
    place = builder.gep(context.make_array(kind)(context, builder, text).data, [at])
    return builder.load(builder.bitcast(place, _WINDOW.as_pointer()), align=1)


def _every(byte: int) -> Any:
    return ir.Constant(_WINDOW, [ir.Constant(ir.IntType(8), byte)] * WIDE)


def _first(builder: Any, which: Any) -> Any:
    """The place of the first one that is true, `WIDE` where none is."""
    bits = builder.zext(builder.bitcast(which, ir.IntType(WIDE)), ir.IntType(64))
    bits = builder.or_(bits, ir.Constant(ir.IntType(64), 1 << WIDE))
    return builder.cttz(bits, ir.Constant(ir.IntType(1), 1))


@_native
def borrowed(_: Any, array: Any) -> Any:
    """An array that the caller keeps for as long as the compiled loop runs: nobody counts who uses it."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        found = context.make_array(signature.args[0])(context, builder, *given)
        found.meminfo, found.parent = (
            ir.Constant(owner.type, None) for owner in (found.meminfo, found.parent)
        )
        return found._getvalue()  # noqa: SLF001  # numba's own way

    return array(array), code


@_native
def plain(_: Any, text: Any, at: Any) -> Any:  # noqa: ARG001  # what is given is known when code is made
    """How many bytes of a JSON text come before its end, an escape or a control sign; at most `WIDE`."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        found = _bytes_at(context, builder, signature.args[0], *given)
        ended = builder.icmp_unsigned("==", found, _every(34))
        escaped = builder.icmp_unsigned("==", found, _every(92))
        control = builder.icmp_unsigned("<", found, _every(32))
        return _first(builder, builder.or_(builder.or_(ended, escaped), control))

    return types.int64(text, types.int64), code


@_native
def agreeing(_: Any, text: Any, at: Any, other: Any) -> Any:  # noqa: ARG001  # as above
    """How many bytes from one place on are those from another place on; at most `WIDE`."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind, (read, *places) = signature.args[0], given
        one, two = (_bytes_at(context, builder, kind, read, place) for place in places)
        return _first(builder, builder.icmp_unsigned("!=", one, two))

    return types.int64(text, types.int64, types.int64), code


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
        if not by_column:
            ledger.widen()
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
