"""`make demo`: the October 2023 report recomputed from events, before the newcomer's eyes.

It is nothing but the commands, one after the other: `up --detach`, `scenario`, `publish`, `scoreboard`,
`down`. With `once` it plays in a data directory of its own, so that its answer depends on nothing before it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from infra.local import claim
from motcua.settings import Settings

SCENARIO = "october-2023"


def play(settings: Settings, *, once: bool) -> int:
    """Play the scenario; the exit code of the scoreboard, or of what failed before it."""
    # Asked to end in whatever way, it takes the stack down with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    if once:
        with TemporaryDirectory(prefix="motcua-demo-") as folder:
            return _play(Path(folder), once=True)
    return _play(settings.data_dir.absolute(), once=False)


def _play(data_dir: Path, *, once: bool) -> int:
    def motcua(*arguments: str) -> int:
        command = [sys.executable, "-m", "motcua", "--data-dir", str(data_dir), *arguments]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MOTCUA_")}
        cache = {name: os.environ[name] for name in ("MOTCUA_CACHE_DIR",) if name in os.environ}
        return subprocess.run(command, env={**inherited, **cache}, check=False).returncode

    log = data_dir / f"{SCENARIO}.ndjson"
    started = motcua("up", "--detach")
    if started:
        return started
    try:
        run = claim.read(data_dir)
        address = run.announced["page"] if run else "–"
        typer.echo(f"\n  The page: {address}\n\n  Playing {SCENARIO} …\n", err=True)
        code = motcua("scenario", SCENARIO, "--to", str(log)) or motcua("publish", str(log), "--wait")
        if code:
            return code
        code = motcua("scoreboard")
        if not once:
            typer.echo(f"\n  The page stays up: {address}\n  Ctrl-C stops everything.\n", err=True)
            with contextlib.suppress(KeyboardInterrupt):
                while claim.in_use(data_dir):
                    time.sleep(1)
        return code
    except KeyboardInterrupt:
        return 130
    finally:
        log.unlink(missing_ok=True)
        motcua("down")
