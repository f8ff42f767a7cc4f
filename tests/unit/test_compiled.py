"""What is compiled is compiled before a worker is ready, never while it folds."""

import numpy as np
from numba.core.dispatcher import Dispatcher

from bench import world
from rates.effects import NOTHING, Stored, Texts
from rates.register import Register
from sinks.client import is_utf8
from streams import index, scan
from streams.compiled import warm
from streams.events import Events, Message
from streams.ledger import Ledger


def kinds() -> dict[str, int]:
    """In how many kinds each loop is compiled."""
    return {
        name: len(found.signatures)
        for module in (scan, index)
        for name, found in vars(module).items()
        if isinstance(found, Dispatcher)
    }


def test_nothing_is_compiled_after_the_start() -> None:
    warm()
    before = kinds()
    assert before["_scan"] == 1
    register = Register.shipped()
    ledger = Ledger(register)
    odd = b'{"service":"DongBoHoSoMC","madonvi":"H01","data":[{"MaHoSo":"H01-x","TrangThaiHoSo":"4"}, 7]}'
    sent = [*world.calls(3_000), *world.calls(300, 1, small=True), ("H01", odd, 1_759_000_000_000)]
    for begin in range(0, len(sent), 100):
        events = Events()
        messages = [
            Message(0, begin + at, time, key.encode(), value)
            for at, (key, value, time) in enumerate(sent[begin : begin + 100])
        ]
        positions = np.array([message.offset << 12 for message in messages], np.uint64)
        learnt = np.array([message.timestamp // 1000 for message in messages], np.int64)
        events.read(messages, positions, learnt, register, is_utf8)
        sought = ledger.seek(events.columns(register, lambda _, found, __: found))
        ledger.load(sought.missing, NOTHING)
        rows = ledger.fold(sought, {0: 0}).dossiers
        ledger.make_room(1_000, ledger.turn)
    # As the database gives them: in memory that is not ours.
    texts = Texts.of(rows.columns["number"])
    foreign = Texts(texts.data, np.frombuffer(np.array(texts.ends, np.int64).tobytes(), np.int64))
    ledger.clear()
    ledger.load(sought.keys, Stored({**rows.columns, "number": foreign}, NOTHING.cells))
    assert kinds() == before
