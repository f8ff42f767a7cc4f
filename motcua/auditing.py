"""`motcua audit`: every tally held against the dossiers behind it, now, by whoever asks."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from motcua.access import unlimited
from motcua.cli import Json, app, ask, bar, console, reading, say, settings, show, table
from rates.cohort import CohortKey
from rates.effects import Compared
from rates.sheets import EPOCH
from rates.tallies import BASES, SYSTEMS

_PATIENCE: Final = 5
"""How often a cohort that differs or is in flight is read again, a second apart."""


@app.command()
@reading
def audit(
    everything: Annotated[
        bool, typer.Option("--all", help="List every cohort, not only those that differ.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hold every tally against the dossiers behind it; exit 1 on a difference.

    A cohort that is being written at the moment is read again, and listed as in flight if it stays so.
    """
    unlimited(settings(), "an audit is of every body's tallies")
    answer = ask(_audited)
    rows = [row for row in answer.pop("rows") if everything or row["state"] != "agrees"]
    if as_json:
        show({**answer, "rows": rows})
    else:
        _print(answer, rows)
    raise typer.Exit(1 if answer["disagreements"] else 0)


async def _audited(database: Any) -> dict[str, Any]:
    from rich.progress import MofNCompleteColumn

    from sinks import generations
    from sinks.audits import Audits
    from streams.audit import in_flight, partition_of, slices

    audits = Audits(database)
    registered = await generations.latest(database)
    partitions = registered[1].partitions if registered else 1
    listed = await audits.cohorts()
    rows = []
    with bar("cohorts", MofNCompleteColumn()) as progress:
        for keys in slices(listed):
            found: dict[CohortKey, Compared] = {}
            flying: set[CohortKey] = set()
            unsure = set(keys)
            for again in range(_PATIENCE + 1):
                if again:
                    await asyncio.sleep(1)
                # Progress first: what a batch finishes while cohorts are read counts as in flight.
                reached = await audits.progress()
                read = await audits.compare(unsure)
                found |= read
                flying = {
                    key
                    for key, one in read.items()
                    if in_flight(one, reached.get(partition_of(key.unit, partitions)))
                }
                # A difference is read a second time before it counts.
                unsure = flying | {key for key, one in read.items() if one.differences and not again}
                if not unsure:
                    break
            rows += [_row(key, one, key in flying) for key, one in sorted(found.items())]
            progress(len(rows), len(listed))
    return {
        "cohorts": len(rows),
        "dossiers": sum(row["dossiers"] for row in rows),
        "in_flight": sum(row["state"] == "in_flight" for row in rows),
        "disagreements": sum(row["state"] == "differs" for row in rows),
        "found_before": await audits.found(),
        "rows": rows,
    }


def _row(key: Any, compared: Any, flying: bool) -> dict[str, Any]:
    month = f"{key.month // 100}-{key.month % 100:02}" if key.month >= 100 else f"0000-{key.month:02}"
    state = "in_flight" if flying else "differs" if compared.differences else "agrees"
    return {
        "unit": key.unit,
        "cohort": month,
        "dossiers": compared.dossiers,
        "state": state,
        "differences": [
            {
                "system": SYSTEMS[one.cell.system],
                "basis": BASES[one.cell.basis],
                "day": (EPOCH + timedelta(days=one.cell.day)).isoformat(),
                "tally": one.tally,
                "stored": one.stored,
                "counted": one.counted,
            }
            for one in compared.differences
        ],
    }


def _print(answer: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    listed = table("unit", "cohort", "dossiers", "state", *_CELL)
    for row in rows:
        head = (row["unit"], row["cohort"], f"{row['dossiers']:,}", row["state"])
        for one in row["differences"] or [{}]:
            listed.add_row(*head, *(str(one.get(name, "")) for name in _CELL))
            head = ("", "", "", "")
    if rows:
        console().print(listed)
    say(
        f"{answer['cohorts']:,} cohorts with {answer['dossiers']:,} dossiers: "
        f"{answer['disagreements']:,} disagree, {answer['in_flight']:,} in flight; "
        f"{answer['found_before']:,} disagreements found by the workers so far"
    )
    if answer["disagreements"]:
        say("Next: leave the workers running, they write such cohorts anew; then motcua audit again")


_CELL: Final = ("system", "basis", "day", "tally", "stored", "counted")
