"""`python -m tests.faults`, or `make faults`: play a plan of faults against a real stack and judge it.

Exit 0 where every figure, dossier and dead letter is right and every worker behaved, 1 on any difference,
2 for wrong use.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import plan as plans
from tests.faults import report
from tests.faults.bench import Bench, Options
from tests.faults.plays import PLAYS

DEFAULTS = {"kill": 4, "rebalance": 3, "stall": 1, "broker": 1, "engine": 1, "wire": 5, "clock": 2}


def options_of(arguments: list[str] | None) -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        epilog="plans: " + "; ".join(f"{name}: {text}" for name, text in plans.PLANS.items()),
    )
    parser.add_argument("--seed", type=int, default=7, help="the same seed plays the same faults")
    parser.add_argument("--events", type=int, default=100_000, help="records and progress rows, about")
    for kind, name in report.NAMES.items():
        parser.add_argument(f"--{name}", dest=kind, type=int, default=DEFAULTS[kind], metavar="N")
    parser.add_argument("--recovery", type=float, default=0, help="fail above so many seconds; 0: do not")
    parser.add_argument("--plan", choices=tuple(plans.PLANS), default="default")
    parser.add_argument("--workers", type=int, default=2, help="and one more, that comes and goes")
    parser.add_argument("--keep", type=Path, help="a new directory, kept, for data and logs")
    given = parser.parse_args(arguments)
    counts = {kind: getattr(given, kind) for kind in report.NAMES}
    if given.events < 1_000 or min(counts.values()) < 0 or given.workers < 2:
        parser.error("at least 1000 events and two workers, and no fault less than 0 times")
    if given.keep is not None and given.keep.exists():
        parser.error(f"{given.keep} is there already: name a new directory")
    return Options(given.seed, given.events, counts, given.plan, given.recovery, given.workers), given.keep


async def played(options: Options, data: Path) -> int:
    bench = Bench(options, data)
    tally = bench.tally
    began = time.monotonic()
    async with bench.stack():
        planned: dict[str, int] = {}
        try:
            planned = await PLAYS[options.plan](bench)
        except TimeoutError as late:
            bench.blame(str(late))
        tally.seconds = time.monotonic() - began
        tally.events = bench.sent
        tally.ended = [f"{slot.name} {code}: {line}" for slot in bench.slots for code, line in slot.ended]
    failures = report.failures(options, tally)
    print(report.table(options, tally, planned))
    for failure in failures:
        print(f"wrong: {failure}")
    print(f"{'FAILED' if failures else 'good'}: {report.command(options)}")
    return 1 if failures else 0


def main(arguments: list[str] | None = None) -> int:
    options, keep = options_of(arguments)
    data = keep or Path(tempfile.mkdtemp(prefix="motcua-faults-"))
    code = 1
    try:
        code = asyncio.run(played(options, data.absolute()))
    finally:
        if keep is None and code == 0:
            shutil.rmtree(data, ignore_errors=True)
        elif code:
            sys.stderr.write(f"data and logs are in {data}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
