"""The portal's own sync calls over HTTP, `DongBoHoSoMC` and `CapNhatTienDoHoSoMC`, for the bodies' systems.

    POST /        one call, as the national portal takes it (JSON); GET /livez, /readyz

Who sends is told by a token, as `Authorization: Bearer …` or as the call's own `session`. A token is of one
body and sends for the units of that body alone, as the register has them on the day: units that came to it
from a merged body included. A foreign record is refused and named in the answer, its neighbours are taken.

Promises: "0" is said only when Kafka has every record on all replicas; nothing foreign and nothing undeclared
(names, phones, the token) reaches Kafka or a log; any bytes at all get an answer, never a 500; an answer
comes within seconds while Kafka is away (503 and when to try again); memory is bounded by what is being taken
in. A call that was answered with an error may be sent again: what arrived twice counts once.

A record of the sender's own that cannot be understood (an unknown status, no time) is taken: the worker
makes it a dead letter with a reason, where people see it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final, TypeAlias

import msgspec
from aiohttp import web
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge
from msgspec import Raw, Struct

from producers import calls
from producers.calls import Message
from producers.outlet import Outlet
from producers.replies import reply
from producers.senders import Sender, Senders
from rates.declared import FULL_SERVICE, PROGRESS_SERVICE, encode, items, members, text_of
from rates.failures import Fatal, Retry
from rates.register import Register
from rates.wire import MAX_BYTES, MAX_RECORDS, UNIT, Reason, day_of, strict, unit_of

_SERVICES: Final = (FULL_SERVICE, PROGRESS_SERVICE)
_LARGE: Final = 64 * 1024
"""From this size on a call is read in a thread, beside the others; a smaller one weighs as much in memory."""
_SHOWN: Final = 80


class Limits(Struct, frozen=True, kw_only=True):
    """What the intake takes at most. `room`: bytes of calls at a time, of which a sender has half."""

    calls_a_second: float = 20.0
    calls_at_once: int = 100
    body_seconds: float = 15.0
    room: int = 8 * MAX_BYTES


class Refusal(Struct, frozen=True, gc=False):
    """A record that is not taken, as the answer shows it."""

    index: int
    number: str = msgspec.field(name="MaHoSo")
    reason: Reason
    detail: str


class Admitted(Struct, frozen=True):
    """What of a call may go on to Kafka, and which of its records may not."""

    messages: list[Message]
    records: int
    refused: list[Refusal]


class Declined(Exception):
    """A whole call is not taken. `key` names what is said (`replies.SAID`)."""

    def __init__(self, key: str, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(key)
        self.key = key
        self.detail = detail
        self.retry_after = retry_after


def admit(call: bytes, body: str, day: int, register: Register) -> Admitted:
    """What a body may send of a call, on a day. Raises Declined for a call that cannot be taken at all."""
    if not strict(call):
        raise Declined("not_json", "not UTF-8, or the escape of half a surrogate pair")
    try:
        return _admit(call.strip(b" \t\r\n"), body, day, register)
    except RecursionError:
        raise Declined("too_deep") from None
    except msgspec.DecodeError as error:
        raise Declined("not_json", str(error)) from None


def _admit(call: bytes, body: str, day: int, register: Register) -> Admitted:
    found = members(call)
    if found is None:
        _as_json.decode(call)
        raise Declined("not_a_call")
    records = items(found.get("data"))
    if records is None or text_of(found.get("service")) not in _SERVICES:
        raise Declined("not_a_call")
    if len(records) > MAX_RECORDS:
        raise Declined("too_many_records", f"{len(records)} > {MAX_RECORDS}")
    sender = text_of(found.get("madonvi"))
    if not UNIT.fullmatch(sender) or register.body(sender, day) != body:
        raise Declined("foreign_sender", f"madonvi is {sender[:_SHOWN]!r}, this token is of {body}")
    own: list[Raw] = []
    refused: list[Refusal] = []
    for index, record in enumerate(records):
        fields = members(record)
        number = text_of(fields.get("MaHoSo")) if fields is not None else ""
        unit = unit_of(number)
        if fields is None:
            refused.append(Refusal(index, "", Reason.BAD_FIELD, "the record is not an object"))
        elif unit is None:
            detail = "MaHoSo does not begin with the code of a unit"
            refused.append(Refusal(index, number[:_SHOWN], Reason.BAD_NUMBER, detail))
        elif (its_body := register.body(unit, day)) != body:
            detail = f"{unit} is a unit of {its_body}, this token is of {body}"
            refused.append(Refusal(index, number[:_SHOWN], Reason.WRONG_UNIT, detail))
        elif not register.may_send(sender, unit):
            detail = f"madonvi {sender} may not send for {unit}"
            refused.append(Refusal(index, number[:_SHOWN], Reason.WRONG_UNIT, detail))
        else:
            own.append(record)
    messages = calls.split(encode(found | {"data": own})) if own else []
    return Admitted(messages, len(own), refused)


_as_json = msgspec.json.Decoder(Raw)


class Portal:
    """The intake. `senders` and `register` may be replaced while it runs; `counts`: what became of calls."""

    def __init__(
        self,
        outlet: Outlet,
        senders: Senders,
        register: Register,
        *,
        clock: Callable[[], int],
        limits: Limits | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` tells seconds since 1970 UTC, `elapsed` seconds since any moment."""
        self.senders = senders
        self.register = register
        self.counts: Counter[str] = Counter()
        self._outlet = outlet
        self._clock = clock
        self._limits = limits or Limits()
        self._elapsed = elapsed
        self._held: Counter[str] = Counter()
        self._paid_until: dict[bytes, float] = {}

    def runner(self) -> web.AppRunner:
        """The intake, ready to be served; whoever serves it decides where."""
        return web.AppRunner(self.application(), access_log=None, auto_decompress=False)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BYTES, middlewares=[self._answered])
        app.add_routes(
            [
                web.post("/", self._take),
                web.get("/livez", self._live),
                web.get("/readyz", self._ready),
            ]
        )
        return app

    async def _take(self, request: web.Request) -> web.Response:
        size = request.content_length
        if size is not None and size > MAX_BYTES:
            raise Declined("too_large")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Declined("compressed")
        sender = None
        if "Authorization" in request.headers:
            sender = self._known(self.senders.by_header(request.headers["Authorization"]))
        # What comes in pieces may turn out as large as can be.
        weight = MAX_BYTES if size is None else max(size, _LARGE)
        with self._room(sender.body if sender else "", weight):
            if sender is not None:
                self._pace(sender)
            call = await self._read(request)
            if sender is None:
                sender = self._known(self.senders.by_session(call))
                self._pace(sender)
            now = self._clock()
            given = (call, sender.body, day_of(now), self.register)
            admitted = await asyncio.to_thread(admit, *given) if len(call) > _LARGE else admit(*given)
            if admitted.messages:
                await self._send(admitted.messages, now * 1000)
        return self._said(admitted)

    async def _send(self, messages: list[Message], timestamp_ms: int) -> None:
        try:
            await self._outlet.send(messages, timestamp_ms)
        except (Retry, Fatal):
            raise Declined("away", retry_after=5) from None
        self.counts["messages"] += len(messages)

    def _said(self, admitted: Admitted) -> web.Response:
        refused = admitted.refused
        self.counts["records"] += admitted.records
        self.counts.update(f"refused_{refusal.reason}" for refusal in refused)
        key = "taken" if not refused else "taken_in_part" if admitted.records else "refused"
        self.counts[key] += 1
        return reply(key, taken=admitted.records, refused=refused)

    def _known(self, sender: Sender | None) -> Sender:
        if sender is None:
            raise Declined("unauthorized")
        return sender

    @contextmanager
    def _room(self, whose: str, weight: int) -> Iterator[None]:
        """Holds room for a call while it is taken in. Who is not known yet shares the room of the unknown."""
        if (
            self._held.total() + weight > self._limits.room
            or self._held[whose] + weight > self._limits.room // 2
        ):
            raise Declined("busy", retry_after=1)
        self._held[whose] += weight
        try:
            yield
        finally:
            self._held[whose] -= weight

    def _pace(self, sender: Sender) -> None:
        """Counts a call against its token: a bucket of `calls_at_once`, refilled at `calls_a_second`."""
        now = self._elapsed()
        each = 1 / self._limits.calls_a_second
        paid_until = max(self._paid_until.get(sender.digest, now), now) + each
        early = paid_until - now - each * self._limits.calls_at_once
        if early > 0:
            raise Declined("too_fast", retry_after=ceil(early))
        self._paid_until[sender.digest] = paid_until

    async def _read(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                return await request.read()
        except TimeoutError:
            raise Declined("too_slow") from None
        except HTTPRequestEntityTooLarge:
            raise Declined("too_large") from None
        except web.RequestPayloadError as error:
            raise Declined("not_json", f"the body cannot be read: {error}"[:200]) from None

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, _: web.Request) -> web.Response:
        ready = await self._outlet.reachable()
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    @web.middleware
    async def _answered(self, request: web.Request, handler: "Handler") -> web.StreamResponse:
        """Whatever goes wrong on the way is said in the portal's own shape."""
        try:
            return await handler(request)
        except Declined as declined:
            key, detail, retry_after = declined.key, declined.detail, declined.retry_after
        except web.HTTPMethodNotAllowed:
            key, detail, retry_after = "method", "", None
        except web.HTTPNotFound:
            key, detail, retry_after = "no_such_address", "", None
        self.counts[f"declined_{key}"] += 1
        answer = reply(key, detail=detail)
        if retry_after is not None:
            answer.headers["Retry-After"] = str(retry_after)
        if key == "unauthorized":
            answer.headers["WWW-Authenticate"] = 'Bearer realm="motcua"'
        if key == "method":
            answer.headers["Allow"] = "POST" if request.path == "/" else "GET, HEAD"
        if key in ("too_slow", "too_large", "compressed"):
            # The rest of what is sent is read by nobody.
            answer.force_close()
        return answer


Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
