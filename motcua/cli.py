"""The commands. Each is thin: read options, ask the wiring, print.

Exit codes: 0 done, 1 the answer is "no", 2 wrong use, 3 something needed is away. With `--json` stdout holds
one JSON document and nothing else; progress and logs go to stderr.
"""

import asyncio
import inspect
import os
import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from infra.local.trouble import Trouble
from motcua import clock
from motcua.settings import Settings, load
from rates.failures import Fatal, Retry
from rates.sheets import RegisterError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn
    from rich.table import Table

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

On = Annotated[
    str | None, typer.Option("--on", metavar="NAME", help="A rehearsal's figures, not the live ones.")
]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Exact, explained, live electronic-result rates for one-stop shops.",
)
given: dict[str, Any] = {}


@app.callback()
def options(
    data_dir: Annotated[Path | None, typer.Option(help="All that the embedded stack writes.")] = None,
    kafka: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,…].")] = None,
    clickhouse: Annotated[str | None, typer.Option(help="ClickHouse's HTTP interface.")] = None,
    database: Annotated[str | None, typer.Option(help="The ClickHouse database.")] = None,
    topic: Annotated[str | None, typer.Option(help="The Kafka topic.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Options here override MOTCUA_… variables, which override motcua.toml."""
    given.update(
        data_dir=data_dir,
        kafka=kafka,
        clickhouse=clickhouse,
        database=database,
        topic=topic,
        log_level=log_level,
    )


def reading(command: Callable[..., T]) -> Callable[..., T]:
    """Gives a command the option --on: the rehearsal that it asks instead of the live system."""

    @wraps(command)
    def asked(*args: Any, on: str | None = None, **options: Any) -> T:
        if on is not None:
            given["on"] = on
        return command(*args, **options)

    own = inspect.signature(command)
    option = inspect.Parameter("on", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=On)
    asked.__signature__ = own.replace(parameters=[*own.parameters.values(), option])  # type: ignore[attr-defined]
    asked.__annotations__ = {**command.__annotations__, "on": On}
    return asked


def main() -> None:
    """The process boundary: every failure becomes a last line on stderr and an exit code."""
    try:
        app()
    except Trouble as trouble:
        _end(str(trouble), trouble.code)
    except Retry as away:
        _end(str(away) if "Next: " in str(away) else f"{away}. Next: motcua doctor", 3)
    except Fatal as fatal:
        _end(str(fatal), 1)
    except RegisterError as error:
        _end(f"{error}. Nothing was loaded", 2)
    except Exception as bug:  # noqa: BLE001  # the process boundary: the last line must say what happened
        traceback.print_exception(bug)
        _end(
            f"a bug, nothing was acknowledged: {type(bug).__name__}: {bug}. Next: report it with the above", 1
        )
    except KeyboardInterrupt:
        _end("stopped", 130)


def _end(line: str, code: int) -> None:
    typer.echo(f"motcua: {line}", err=True)
    sys.exit(code)


def settings() -> Settings:
    from motcua import logs

    found = load(given)
    if found.on:
        from motcua.rehearsal import clock_of

        # A rehearsal that was paced has a time of its own.
        if clock_of(found).exists():
            os.environ.setdefault("MOTCUA_CLOCK_DRILL", str(clock_of(found)))
    logs.configure(found.log_level, found.log_format)
    return found


def say(line: str) -> None:
    typer.echo(line, err=True)


def show(document: dict[str, Any]) -> None:
    """The one JSON document of a `--json` answer."""
    import msgspec

    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")


def console() -> "Console":
    """Where tables go: as wide as the terminal, and wide enough for every value where there is none."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=240)


def table(*columns: str, **more: Any) -> "Table":
    """A table for the console; what draws it is imported when there is something to draw."""
    from rich.table import Table

    return Table(*columns, **more)


@contextmanager
def bar(what: str, *columns: "ProgressColumn") -> Iterator[Callable[..., None]]:
    """A progress bar on stderr; it is told what is done and what there is, and fields for its columns."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    shown = columns or (TaskProgressColumn(),)
    text = TextColumn("{task.description}")
    with Progress(text, BarColumn(), *shown, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=None, rate="")
        yield lambda done, total, **more: progress.update(task, completed=done, total=total, **more)


def wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message)


def ask(question: Callable[[Any], Awaitable[T]]) -> T:
    """Put a question to the migrated database of these settings."""
    from motcua.wiring import migrated

    found = settings()
    if found.on:
        say(f"rehearsed figures of {found.on}, not the live ones")

    async def asked() -> T:
        async with migrated(found) as connected:
            return await question(connected)

    return asyncio.run(asked())


def instant(text: str, option: str) -> int:
    """A day or an instant as seconds since 1970 UTC; local where it names no offset. "" is 0."""
    if not text:
        return 0
    try:
        if len(text) < len("YYYY-MM-DD") or text[4] != "-" or text[7] != "-":
            raise ValueError
        found = datetime.fromisoformat(text)
        seconds = int((found if found.tzinfo else found.replace(tzinfo=clock.LOCAL)).timestamp())
        if not 0 <= seconds < 1 << 32:
            raise ValueError
    except (ValueError, OverflowError):
        msg = f"{option} takes YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS+07:00, not {text!r}"
        raise wrong(msg) from None
    return seconds


_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day(text: str, option: str) -> str:
    """A day as given by an option, checked; "" stays empty."""
    if not text:
        return ""
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        msg = f"{option} takes a day as YYYY-MM-DD, not {text!r}"
        raise wrong(msg) from None


def days(first: str, last: str) -> tuple[str, str]:
    """The days of --from and --to. A period without a day would give zeros that look like a finding."""
    begin, end = day(first, "--from"), day(last, "--to")
    if begin and end and begin > end:
        msg = f"--from {begin} is after --to {end}"
        raise wrong(msg)
    return begin, end


from motcua import (  # noqa: E402  # they register their commands on `app`
    alerts,  # noqa: F401
    answers,  # noqa: F401
    auditing,  # noqa: F401
    boards,  # noqa: F401
    dead,  # noqa: F401
    intake,  # noqa: F401
    keeping,  # noqa: F401
    recording,  # noqa: F401
    replaying,  # noqa: F401
    running,  # noqa: F401
    swapping,  # noqa: F401
)
