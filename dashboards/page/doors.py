"""What every answer passes: who asks, its security headers, and a plain page for what goes wrong on the way.

With readers, every address asks for a name and a password (HTTP Basic), and answers are for whoever asked
alone. Without, the page is for this machine: it answers under names of loopback and no other, so that a web
page elsewhere, whose name was pointed here, gets nothing through the browser of whoever looks at it.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Middleware

from dashboards.page.asked import NotYours, Refused
from dashboards.page.site import ONLY, Site
from dashboards.readers import Reader, Readers, loopback
from rates.failures import Fatal, Retry

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PRIVATE: Final = {
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Accept-Language, Accept-Encoding",
}
"""Of two readers' answers under one address none may be kept and shown to the other."""
CHALLENGE: Final = 'Basic realm="motcua", charset="UTF-8"'
RETRY_AFTER: Final = "2"
_NOBODY: Final = "-"
PROBES: Final = ("/livez", "/readyz")
"""What whoever keeps the page running asks without a name: they say whether it works, and nothing else."""


def guarded(site: Site, readers: Readers | None = None, only: str = "") -> Middleware:
    """The middleware that lets in, names what went wrong and puts the headers on.

    `readers` None: whoever reaches it on loopback reads. `only`: the body that everybody is limited to.
    """

    @web.middleware
    async def pass_through(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[ONLY] = _NOBODY
        try:
            if readers is None:
                request[ONLY] = _local(request, only)
            elif request.path not in PROBES:
                request[ONLY] = _admitted(request, readers).body
            answer = await handler(request)
        except _Unknown:
            answer = _problem(site, request, 401, "unknown")
            answer.headers["WWW-Authenticate"] = CHALLENGE
        except _Elsewhere:
            answer = _problem(site, request, 403, "elsewhere")
        except NotYours:
            answer = _problem(site, request, 403, "not_yours")
        except Refused as refused:
            answer = _refusal(site, request, refused)
        except (Retry, Fatal) as error:
            site.failed(error)
            key = "away" if isinstance(error, Retry) else "unready"
            answer = _problem(site, request, 503, key)
            answer.headers["Retry-After"] = RETRY_AFTER
        except web.HTTPMethodNotAllowed as error:
            answer = _problem(site, request, 405, "method")
            answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        except (web.HTTPNotFound, web.HTTPForbidden):
            answer = _problem(site, request, 404, "missing")
        answer.headers.update(HEADERS)
        if readers:
            answer.headers.update(PRIVATE)
        return answer

    return pass_through


class _Unknown(Exception):
    """Nobody who may read: no name, no such name, or not its password."""


class _Elsewhere(Exception):
    """Asked under a name that is not this machine's own."""


def _admitted(request: web.Request, readers: Readers) -> Reader:
    reader = readers.admitted(request.headers.get("Authorization", ""))
    if reader is None:
        raise _Unknown
    return reader


def _local(request: web.Request, only: str) -> str:
    host = request.host
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if not loopback(name.strip("[]")):
        raise _Elsewhere
    return only


_SAID: Final = {
    "unknown": ("unknown_title", "unknown"),
    "elsewhere": ("elsewhere_title", "elsewhere"),
    "not_yours": ("not_yours_title", "not_yours"),
    "away": ("away_title", "away"),
    "unready": ("unready_title", "unready"),
    "method": ("method_title", "method"),
    "missing": ("missing_title", "missing_page"),
}


def _problem(site: Site, request: web.Request, status: int, key: str) -> web.Response:
    if _for_programs(request):
        return web.json_response({"error": key}, status=status)
    return site.problem(request, status, *_SAID[key])


def _refusal(site: Site, request: web.Request, refused: Refused) -> web.Response:
    if _for_programs(request):
        wrong = {
            "error": refused.why,
            "parameter": refused.name,
            "given": refused.given,
            "options": refused.options,
        }
        return web.json_response(wrong, status=400)
    return site.problem(request, 400, "bad_title", refused.why, refused=refused)


def _for_programs(request: web.Request) -> bool:
    return request.path.startswith("/api/")
