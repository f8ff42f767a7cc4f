"""`make bench`: every figure beside its limit or peer; results in bench/results/latest.json."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import machine, pipeline

PARTS: dict[str, Callable[[], dict[str, Any]]] = {"pipeline": pipeline.run}
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default="", help="part,…")
    parser.add_argument("--check", action="store_true", help="non-zero where an answer is wrong")
    arguments = parser.parse_args()
    wanted = [part for part in arguments.only.split(",") if part] or list(PARTS)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; choose among {', '.join(PARTS)}")
    results: dict[str, Any] = {"machine": machine.describe()}
    for part in wanted:
        results[part] = PARTS[part]()
        print(json.dumps({part: results[part]}, indent=2, ensure_ascii=False))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {RESULTS.relative_to(Path.cwd())}", file=sys.stderr)
    wrong = [part for part in wanted if not results[part].get("agrees", True)]
    if wrong:
        print(f"wrong answer: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
