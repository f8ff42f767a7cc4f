"""`make bench`: every figure beside its limit or peer; results in bench/results/latest.json.

A part that is not run keeps the result it had, with the time at which it was measured. `CHECK=1` judges what
was measured in this run, and nothing else.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench import machine
from bench.bounds import missed

PARTS: Final = {
    "pipeline": "bench.pipeline:pipeline",
    "small_200": "bench.small:small_200",
    "small_1": "bench.small:small_1",
    "two_workers": "bench.pipeline:two_workers",
    "live": "bench.live:run",
    "cold": "bench.cold:run",
    "panels": "bench.panels:run",
    "start": "bench.start:run",
    "alerts": "bench.verdicts:run",
    "paint": "bench.paint:run",
    "history": "bench.history:run",
    "backtest": "bench.history:backtest",
}
"""Part → the function that measures it: imported when it is picked, called without arguments."""
RESULTS: Final = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="PART,…", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--check", action="store_true", help="exit 1 where a bound is missed")
    arguments = parser.parse_args()
    wanted = [part for part in arguments.only.split(",") if part] or list(PARTS)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; choose among {', '.join(PARTS)}")
    measured: dict[str, Any] = {}
    for part in wanted:
        module, _, function = PARTS[part].partition(":")
        result = getattr(import_module(module), function)()
        measured[part] = {"measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", **result}
        print(json.dumps({part: measured[part]}, indent=2, ensure_ascii=False), flush=True)
        save(RESULTS, {"machine": machine.describe(), part: measured[part]})
    print(f"written to {RESULTS}", file=sys.stderr)
    failures = missed(measured)
    for failure in failures:
        print(failure, file=sys.stderr)
    wrong = any(not result.get("agrees", True) for result in measured.values())
    return 1 if failures and (arguments.check or wrong) else 0


def save(path: Path, found: dict[str, Any]) -> None:
    """Put new results in the place of old ones, part by part."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    path.parent.mkdir(exist_ok=True)
    written = {"machine": {}, **{part: kept[part] for part in PARTS if part in kept}, **found}
    ordered = {name: written[name] for name in ("machine", *PARTS) if name in written}
    path.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
