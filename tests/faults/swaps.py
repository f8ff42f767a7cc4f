"""`python -m tests.faults.swaps`: swaps, of months, back, and a rebuild, killed at each step and ended.

Of each command every step is a death of its own: killed there, the same command is given again, and all
figures, audits and histories must be exact, live events that arrive meanwhile included. Minutes, not seconds;
`tests/e2e/test_swap.py` walks the same steps in one go. Exit 1 at the first difference.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.stack import running
from tests.support.steps import once
from tests.support.swapping import Live, beside

SEED, BASE = 5, 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.swaps", description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="every so many steps")
    parser.add_argument("--only", choices=("swap", "months", "rebuild"))
    given = parser.parse_args()
    kinds = (given.only,) if given.only else ("swap", "months", "rebuild")
    with (
        tempfile.TemporaryDirectory(prefix="motcua-swaps-") as folder,
        running(Path(folder) / "data", MOTCUA_CANARY_SECONDS="0") as stack,
    ):
        live = Live(stack, Path(folder), SEED, 60_000)
        live.publish(BASE)
        stack.run("replay", live.log(live.truth), "--into", "re")
        month = stack.query("SELECT max(cohort) FROM dossiers")
        for kind in kinds:
            command = {
                "swap": ("swap", "re", "--because", "a walk"),
                "months": ("swap", "re", f"--month={month[:4]}-{month[4:]}", "--because", "a walk"),
                "rebuild": ("rebuild",),
            }[kind]
            for what, then in ((command, ("swap", "--back")), (("swap", "--back"), ())):
                step, died = 1, True
                while died:
                    if what[-1] == "--back":
                        stack.run(*command)
                    with beside(lambda: live.trickle(2)):
                        died = once(stack, step, *what)
                        if died:
                            stack.run(*what)
                    live.publish(1)
                    live.exact()
                    print(f"{' '.join(what)}: killed at step {step}: exact" if died else f"{step - 1} steps")
                    if then:
                        stack.run(*then)
                    step += given.stride
    return 0


if __name__ == "__main__":
    sys.exit(main())
