"""The recorder's command: the topic as event logs, a file a day, with a manifest."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from motcua import clock
from motcua.cli import app, bar, say, settings, wrong


@app.command()
def record(
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Where the logs go.")] = None,
    until_now: Annotated[
        bool, typer.Option("--until-now", help="End once all that is there now is in closed files.")
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="DIR", help="Hold recorded files against their manifest."),
    ] = None,
) -> None:
    """Record the topic as Parquet event logs, a file for each day of receipt, until it is stopped."""
    if check is not None and to is None:
        raise typer.Exit(_checked(check))
    if to is None or check is not None:
        raise wrong("give either --to DIR or --check DIR")
    from motcua.wiring import needed
    from producers import recorder
    from streams.batches import CANARY

    found = settings()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def told(file: recorder.File) -> None:
        aside = f", {file.aside.messages:,} set aside" if file.aside else ""
        say(f"{to / file.file}: {file.messages:,} messages with {file.records:,} records{aside}")

    with bar("recorded") as progress:
        recorder.record(
            to,
            brokers=needed(found.kafka, "kafka"),
            topic=found.topic,
            canary=CANARY,
            now=clock.now,
            stopped=stop.is_set,
            until_now=until_now,
            told=told,
            progress=progress,
        )


def _checked(folder: Path) -> int:
    from producers import recorder

    manifest, problems = recorder.check(folder)
    if manifest is None:
        msg = f"{folder} holds no {recorder.MANIFEST}"
        raise wrong(msg)
    for problem in problems:
        say(problem)
    messages = sum(file.messages for file in manifest.files)
    say(f"{len(manifest.files):,} files with {messages:,} messages, {len(problems):,} of them damaged")
    return 1 if problems else 0
