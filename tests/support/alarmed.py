"""The view `alerts_now` with alerts of a test's own, in the columns that the page reads."""

from sinks.client import Database

SINCE = 1_696_233_600
_COLUMNS = (
    "rule String, level String, subject String, body String, state String, severity String, since DateTime, "
    "value Nullable(Float64), threshold Nullable(Float64), numerator UInt64, denominator UInt64, "
    "reason_vi String, reason_en String, complete_to DateTime, silenced_until DateTime"
)


async def alarmed(database: Database, whose: str = "") -> None:
    """Two alerts that are open, one that is over and one of too few dossiers; of one body, or of all."""
    rows = ", ".join(
        f"('R1', 'unit', '{subject}', '{subject[:3]}', '{state}', 'warn', {SINCE}, 0.4, 0.7, 40, 100, "
        f"'thấp', 'low', {SINCE}, 0)"
        for subject, state in (
            ("H18.02", "firing"),
            ("G15.01", "pending"),
            ("H18.03", "ok"),
            ("H18.04", "too_few"),
        )
    )
    await database.run(
        f"CREATE OR REPLACE VIEW alerts_now AS SELECT * FROM values('{_COLUMNS}', {rows}) "
        f"WHERE '{whose}' IN ('', body)"
    )
