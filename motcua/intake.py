"""`motcua intake`: takes the portal's own calls over HTTP from those who have a token, and makes tokens."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.local.trouble import WrongUse
from motcua import clock
from motcua.cli import app, given, say, settings, wrong
from motcua.settings import Settings
from rates.failures import Fatal
from rates.register import Register
from rates.wire import day_of

if TYPE_CHECKING:
    from infra.local.stack import Part
    from producers.senders import Senders


@app.command()
def intake(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: a free one.")] = None,
    new_token: Annotated[
        str | None, typer.Option(metavar="BODY", help="Make a token for a ministry or province, and end.")
    ] = None,
) -> None:
    """Take the portal's own calls over HTTP, from the systems of those whom `intake_tokens` names."""
    if new_token is not None:
        _make_token(new_token)
        return
    from motcua.receiving import serve
    from motcua.running import print_line

    given["intake_port"] = port
    found = settings()
    asyncio.run(serve(found, tokens(found), lambda address: print_line(f"intake ready on {address}")))


def _make_token(body: str) -> None:
    """The line for the file on stdout, so that `>>` puts it there; the token itself on stderr, once."""
    from producers import senders

    if body not in Register.shipped().bodies():
        msg = f"{body!r} is no ministry or province (H18, G09)"
        raise wrong(msg)
    if body not in Register.shipped().bodies(day_of(clock.now())):
        heir = Register.shipped().body(body, day_of(clock.now()))
        say(f"{body} has ended: its units are those of {heir} now, and a token of {heir} sends for them")
    token, line = senders.new(body)
    say(f"the token of {body}, shown this once: {token}")
    typer.echo(line)


def tokens(found: Settings) -> "Senders":
    """Those who may send. Raises WrongUse: without them nothing is served."""
    from producers import senders

    if not found.intake_tokens:
        raise WrongUse(
            "the intake serves only those who have a token, and intake_tokens names no file of them. "
            "Next: motcua intake --new-token BODY >> intake.tokens; MOTCUA_INTAKE_TOKENS=intake.tokens"
        )
    try:
        return senders.read(Path(found.intake_tokens))
    except Fatal as error:
        raise WrongUse(str(error)) from error


def intake_part(
    found: Settings, command: Sequence[str], environment: Mapping[str, str], needs: Sequence[str]
) -> "Part":
    """The intake as a part of the embedded stack."""
    from infra.local import ports
    from infra.local.stack import Part
    from motcua.access import reached

    tokens(found)  # what is wrong with them is said before anything starts
    port = ports.settle(found.data_dir, "intake", found.intake_port)
    address = f"{reached(found.intake_host)}:{port}"
    return Part(
        name="intake",
        argv=[*command, "intake", "--port", str(port)],
        ready="intake ready on",
        address=address,
        announced={"intake": f"http://{address}"},
        environment=environment,
        needs=needs,
    )
