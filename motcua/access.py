"""Who may see what: the readers of the page, and the one body that an installation may be limited to."""

from pathlib import Path

from dashboards.readers import Readers, ReadersError, loopback
from infra.local.trouble import WrongUse
from motcua.settings import Settings


def readers(settings: Settings) -> Readers | None:
    """Who may read the page; None: whoever reaches it on loopback. `WrongUse` where that were everybody."""
    if settings.page_readers:
        try:
            return Readers.read(Path(settings.page_readers), settings.body)
        except ReadersError as error:
            raise WrongUse(str(error)) from error
    if not loopback(settings.page_host):
        msg = (
            f"page_host {settings.page_host} is open to the network, and page_readers names nobody. "
            "Next: motcua page --new-reader NAME >> page.readers; MOTCUA_PAGE_READERS=page.readers; "
            "or leave MOTCUA_PAGE_HOST at 127.0.0.1"
        )
        raise WrongUse(msg)
    return None


def limited(settings: Settings, body: str = "") -> str:
    """The body to answer about: the one asked for, or the one that this installation is limited to."""
    if settings.body and body not in ("", settings.body):
        msg = f"this installation is limited to {settings.body}, so it does not answer about {body}"
        raise WrongUse(f"{msg}. Next: motcua config")
    return settings.body or body


def unlimited(settings: Settings, what: str) -> None:
    """Raise `WrongUse` where the installation is limited to one body and `what` is about all of them."""
    if settings.body:
        msg = f"{what}, and this installation is limited to {settings.body}. Next: motcua config"
        raise WrongUse(msg)


def reached(host: str) -> str:
    """The host under which something that listens on `host` is reached from this machine."""
    if host in ("0.0.0.0", "::", "localhost"):  # noqa: S104  # compared, not listened on
        return "[::1]" if host == "::" else "127.0.0.1"
    return f"[{host}]" if ":" in host else host
