"""A dossier as it is stored, in the words of the recount."""

from collections.abc import Mapping
from typing import Any, Final

from rates.tallies import BIT, SYSTEMS
from rates.wire import DIGITISED, E_RESULT, E_RESULT_CLEAN, POPULATION_DATABASE, RESULT_REQUIRED

DOSSIERS: Final = (
    "SELECT number, toString(unit) AS unit, status, record_status, "
    "toUInt32(d.record_time) AS record_time, progress_status, "
    "toUInt32(d.progress_time) AS progress_time, toUInt32(d.received) AS received, "
    "toUInt32(d.completed) AS completed, toUInt32(d.due) AS due, facts, system, mask "
    "FROM dossiers AS d FINAL"
)
"""The columns of `state`, of every dossier; a condition may follow."""


def state(row: Mapping[str, Any]) -> dict[str, object]:
    """What `tests.recount` says of a dossier, of a stored row."""
    progress = (row["progress_time"], row["progress_status"]) if row["progress_status"] else None
    counts = bool(row["mask"] >> BIT["received"] & 1)
    state = {"unit": row["unit"], "status": row["status"] or None, "progress": progress, "counts": counts}
    if not row["record_status"]:
        return state
    return state | {
        "record_status": row["record_status"],
        "record_time": row["record_time"] or None,
        "received": row["received"] or None,
        "completed": row["completed"] or None,
        "due": row["due"] or None,
        "system": SYSTEMS[row["system"]],
        "result_required": bool(row["facts"] & RESULT_REQUIRED),
        "e_result": bool(row["facts"] & E_RESULT),
        "e_result_clean": bool(row["facts"] & E_RESULT_CLEAN),
        "digitised": bool(row["facts"] & DIGITISED),
        "population": bool(row["facts"] & POPULATION_DATABASE),
    }
