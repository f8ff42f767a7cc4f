"""The view `letters`: each dead letter once, however often it was refused, and what became of it since.

`dead_letters` holds refusals by position, `replays` what was sent again and where it went; a letter is its
content (`schema/0004_letters.sql`). A refusal at the position of a replay belongs to the letter that was
sent, not to a new one, unless a whole message was sent and single records of it are refused now.

A letter's state is never stored where it can be derived, so it is right after a crash at any point:

    waiting       not sent again, or refused anew since it was taken
    sent          on its way: its partition is not durable that far
    replayed      it has been taken
    failed_again  what was sent was refused
"""

from typing import Final

REPLAYED: Final = 2
FAILED: Final = 3
"""Steps of a replay that only say what can be derived while the topic's generation lasts."""

_NEWEST: Final = "(try, received_at, version)"
_TOLD: Final = ("unit", "reason", "field", "detail", "fields", "head", "partition", "version", "whole")
_DIGEST: Final = "sha256 [0-9a-f]{64}$"


def view(body: str) -> str:
    """The statement that makes it; `body`: SQL for the body of `unit` on the day of `last_seen`."""
    refusals = (
        "SELECT s.tries > 0 AND (d.fields = '' OR NOT s.whole) AS own, "
        "if(own, s.letter, d.letter) AS letter, if(own, s.tries, 0) AS try, d.unit AS unit, "
        "toString(d.reason) AS reason, toString(d.field) AS field, d.detail AS detail, d.fields AS fields, "
        "d.head AS head, d.partition AS partition, d.version AS version, d.received_at AS received_at, "
        f"d.fields = '' AND match(d.detail, '{_DIGEST}') AS whole "
        "FROM dead_letters AS d FINAL LEFT JOIN "
        "(SELECT letter, tries, partition, position, whole FROM replays FINAL WHERE position > 0) AS s "
        "ON d.partition = s.partition AND bitShiftRight(d.version, 12) = bitShiftRight(s.position, 12)"
    )
    told = ", ".join(f"argMax({name}, {_NEWEST}) AS l_{name}" for name in _TOLD)
    letters = (
        f"SELECT letter, {told}, max(try) AS tried, countIf(try = 0) AS seen, "
        "minIf(received_at, try = 0) AS first_seen, maxIf(received_at, try = 0) AS last_seen "
        f"FROM ({refusals}) GROUP BY letter"
    )
    last = ", ".join(
        f"argMax(x.{name}, x.tries) AS {name}" for name in ("step", "partition", "position", "seen", "ground")
    )
    reached = "bitShiftRight(p.version, 52)"
    sent = "bitShiftRight(t.position, 52)"
    state = (
        f"multiIf(t.step = {FAILED} OR (t.step > 0 AND r.tried = t.tries), 'failed_again', "
        f"t.step = {REPLAYED} OR (t.step = 1 AND {reached} = {sent} AND p.version >= t.position), "
        "if(r.seen > t.seen, 'waiting', 'replayed'), "
        f"t.step = 1 AND {reached} <= {sent}, 'sent', 'waiting')"
    )
    return (
        f"CREATE OR REPLACE VIEW letters AS SELECT r.letter AS letter, "
        f"{', '.join(f'r.l_{name} AS {name}' for name in _TOLD)}, r.seen AS seen, "
        f"r.first_seen AS first_seen, r.last_seen AS last_seen, {body} AS body, {state} AS state, "
        "t.tries AS tries, t.step AS step, t.ground AS ground, t.partition AS sent_to, "
        f"t.position AS position FROM ({letters}) AS r "
        f"LEFT JOIN (SELECT letter, max(x.tries) AS tries, {last} FROM replays AS x FINAL GROUP BY letter) "
        "AS t ON r.letter = t.letter "
        "LEFT JOIN (SELECT partition, version FROM progress FINAL) AS p ON p.partition = t.partition"
    )
