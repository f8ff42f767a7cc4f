"""What every answer passes: its security headers, and a plain page for whatever goes wrong on the way."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Middleware

from dashboards.page.asked import Refused
from dashboards.page.site import Site
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
RETRY_AFTER: Final = "2"


def guarded(site: Site) -> Middleware:
    """The middleware that names what went wrong and puts the headers on."""

    @web.middleware
    async def pass_through(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer = await handler(request)
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
        return answer

    return pass_through


_SAID: Final = {
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
