"""How the monitor itself fares, as the page shows it: workers, stages, batches, partitions, audits.

Numbers come from what workers tell every few seconds; a worker that tells nothing any more is not counted as
one that works, and what nobody has told is "–", never 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from msgspec import Struct

from dashboards.figures import percent
from dashboards.page import shown
from dashboards.page.asked import Lang
from dashboards.page.words import Words, count, decimal, moment, say
from dashboards.panels import AUDITS, BATCHES, PARTITIONS, REJECTIONS, STAGES, SWAPS, WORKERS, Panel

Rows: TypeAlias = Sequence[Mapping[str, Any]]

PANELS: Final[tuple[Panel, ...]] = (WORKERS, STAGES, BATCHES, PARTITIONS, REJECTIONS, AUDITS, SWAPS)
LIVE_SECONDS: Final = 35
"""A worker tells every ten seconds; one that missed three tellings is silent."""

WORDS: Final[Mapping[str, Words]] = {
    "pipeline": ("Đường ống dữ liệu", "Pipeline"),
    "lead": (
        "Sự kiện đi từ Kafka qua các tiến trình xử lý tới ClickHouse; đây là tình trạng của đường ống đó.",
        "Events go from Kafka through the workers to ClickHouse; this is how that pipe itself fares.",
    ),
    "workers": ("Tiến trình xử lý", "Workers"),
    "worker": ("Tiến trình", "Worker"),
    "state": ("Tình trạng", "State"),
    "live": ("đang chạy", "live"),
    "silent": ("im lặng", "silent"),
    "ended": ("đã dừng", "ended"),
    "told": ("Báo lần cuối", "Last told"),
    "no_workers": (
        "Trong một giờ qua không có tiến trình nào báo về. Tiếp theo: motcua status",
        "No worker has told anything within the last hour. Next: motcua status",
    ),
    "none_live": (
        "Không tiến trình nào đang chạy: số liệu dừng ở thời điểm “Đầy đủ đến”. Tiếp theo: motcua status",
        "No worker is live: figures stand still at “Complete to”. Next: motcua status",
    ),
    "workers_note": (
        "Mỗi giây: trung bình của phút vừa qua. Các số khác tính từ khi tiến trình khởi động.",
        "A second: the mean of the last minute. Other numbers count since the worker's start.",
    ),
    "events_in": ("Sự kiện vào/giây", "Events in/s"),
    "rows_out": ("Dòng ghi/giây", "Rows out/s"),
    "lag": ("Tồn đọng", "Lag"),
    "waiting": ("thông điệp chờ", "messages waiting"),
    "events": ("Sự kiện", "Events"),
    "lost": ("bị thay thế", "superseded"),
    "applied": ("đã có", "seen before"),
    "written": ("Dòng đã ghi", "Rows written"),
    "dead": ("Bị loại", "Rejected"),
    "retries": ("Thử lại", "Retries"),
    "cached": ("Trong bộ nhớ", "Cached"),
    "loaded": ("nạp lại", "loaded"),
    "rebalances": ("Chia lại", "Rebalances"),
    "audited": ("Tự kiểm tra", "Audited"),
    "stages": ("Thời gian theo bước", "Time by stage"),
    "stage": ("Bước", "Stage"),
    "total": ("Tổng", "Total"),
    "minute": ("Phút vừa qua", "Last minute"),
    "share": ("Tỷ trọng", "Share"),
    "seconds": ("giây", "s"),
    "batches": ("Cỡ lô", "Batch sizes"),
    "batch_count": ("Số lô", "Batches"),
    "at_most": ("Thông điệp trong lô", "Messages in a batch"),
    "up_to": ("đến", "up to"),
    "partitions": ("Phân vùng", "Partitions"),
    "partition": ("Phân vùng", "Partition"),
    "complete": ("Đầy đủ đến", "Complete to"),
    "delay": ("Độ trễ tin dò", "Canary took"),
    "canary_note": (
        "Phân vùng im lặng được gửi một tin dò: nó đi hết đường ống và không tính là hồ sơ.",
        "A quiet partition is sent a canary: it goes all the way and never counts as a dossier.",
    ),
    "slowest": ("tin dò chậm nhất", "slowest canary"),
    "audits": ("Tự kiểm tra", "Self-audit"),
    "disagreements": ("Sai lệch từng thấy", "Disagreements ever"),
    "wrong_now": ("Đang sai lệch", "Wrong now"),
    "cohorts": ("Nhóm đã kiểm tra", "Cohorts checked"),
    "newest": ("Kiểm tra gần nhất", "Latest check"),
    "oldest": ("Kiểm tra lâu nhất", "Longest unchecked"),
    "found_latest": ("Sai lệch gần nhất", "Latest disagreement"),
    "repaired_latest": ("Sửa gần nhất", "Latest repair"),
    "nothing": ("Chưa có số liệu.", "Nothing yet."),
    "rejected": ("Sự kiện bị loại", "Rejected events"),
    "swaps": ("Lịch sử đã đưa vào thay", "Histories put in place"),
    "no_swaps": ("Chưa có lịch sử nào được đưa vào thay.", "No history was ever put in the place of live."),
    "when": ("Lúc", "When"),
    "what": ("Việc", "What"),
    "months": ("Phạm vi", "Scope"),
    "whole": ("toàn bộ", "whole"),
    "by": ("Người làm", "By whom"),
    "because": ("Vì sao", "Why"),
    "reason": ("Lý do", "Reason"),
    "latest": ("Gần nhất", "Latest"),
}

SWAP_NAMES: Final[Mapping[str, Words]] = {
    "swap": ("Đưa vào thay", "Put in place"),
    "back": ("Đưa trở lại", "Put back"),
    "begun": ("đang dở", "begun"),
    "done": ("đã xong", "done"),
}
"""What a swap does, and how far it is."""

_STAGES: Final[Mapping[str, Words]] = {
    "fetch": ("Chờ sự kiện", "Wait for events"),
    "decode": ("Giải mã", "Decode"),
    "register": ("Danh mục", "Register"),
    "load": ("Nạp từ ClickHouse", "Load from ClickHouse"),
    "fold": ("Gộp sự kiện", "Fold"),
    "encode": ("Xếp cột, trong các bước ghi", "Make columns, within writing"),
    "dossiers": ("Ghi hồ sơ", "Write dossiers"),
    "tallies": ("Ghi số đếm", "Write tallies"),
    "dead letters": ("Ghi sự kiện bị loại", "Write dead letters"),
    "progress": ("Ghi tiến độ", "Write progress"),
    "canaries": ("Ghi tin dò", "Write canaries"),
    "commit": ("Xác nhận với Kafka", "Acknowledge to Kafka"),
}


_AUDIT_TIMES: Final = ("newest", "oldest", "found_latest", "repaired_latest")


class Card(Struct, frozen=True):
    """One figure above the tables; `well` None: nobody knows."""

    key: str
    text: str
    foot: str
    well: bool | None


class Bar(Struct, frozen=True):
    """A line of which the share of a whole is shown."""

    key: str
    name: str
    text: str
    recent: str
    share: str
    share_text: str


def context(found: Sequence[Rows], now: int, lang: Lang) -> dict[str, Any]:
    """What the template needs of the answers of `PANELS`, in their order. `now`: seconds since 1970 UTC."""
    workers, stages, batches, partitions, rejections, (audit,), swapped = found
    listed = [_worker(row, now, lang) for row in workers]
    live = [row for row in workers if _state(row, now) == "live"]
    rejected, rejected_total = shown.rejections(rejections, lang)
    known = [row["lag"] for row in partitions if row["lag"] is not None] if live else []
    delays = [row["delay_ms"] for row in partitions if row["delay_ms"] is not None] if live else []
    found_ever = audit["found"]

    def p(key: str) -> str:
        return say(WORDS[key], lang)

    well = not audit["wrong"] if audit["cohorts"] else None
    wrong = f"{count(audit['wrong'], lang)} {p('wrong_now').lower()}"
    return {
        "p": p,
        "cards": [
            Card("workers", f"{len(live)} / {len(workers)}", p("live"), bool(live)),
            Card("lag", count(sum(known), lang) if known else shown.NONE, p("waiting"), None),
            Card("delay", _seconds(max(delays) / 1000, lang) if delays else shown.NONE, p("slowest"), None),
            Card("disagreements", count(found_ever, lang), wrong, well),
            Card("rejected", rejected_total, p("events"), None),
        ],
        "workers": listed,
        "alarm": "" if live else ("none_live" if workers else "no_workers"),
        "stages": _stages(stages, lang),
        "batches": _batches(batches, lang),
        "partitions": [_partition(row, lang) for row in partitions],
        "rejected": [one for one in rejected if one.events != "0"],
        "swaps": [_swap(row, lang) for row in swapped],
        "audit": [
            ("cohorts", count(audit["cohorts"], lang)),
            ("wrong_now", count(audit["wrong"], lang)),
            ("disagreements", count(found_ever, lang)),
            *((key, moment(audit[key], lang)) for key in _AUDIT_TIMES),
        ],
    }  # fmt: skip


def _state(row: Mapping[str, Any], now: int) -> str:
    if row["ended"]:
        return "ended"
    return "live" if now - row["told"] <= LIVE_SECONDS else "silent"


def _worker(row: Mapping[str, Any], now: int, lang: Lang) -> dict[str, str]:
    counts = ("messages", "lost", "applied", "dead", "retries", "cached", "loaded", "rebalances", "audited")
    rates = ("messages_a_second", "events_a_second", "rows_a_second")
    state = _state(row, now)
    return {
        "worker": row["worker"],
        "state": state,
        "told": moment(row["told"], lang),
        "events": count(row["accepted"] + row["lost"] + row["applied"], lang),
        "written": count(row["dossiers_written"] + row["tallies_written"], lang),
        "lag": shown.NONE if row["lag"] is None or state != "live" else count(row["lag"], lang),
        **{name: count(row[name], lang) for name in counts},
        **{name: shown.NONE if state != "live" else _rate(row[name], lang) for name in rates},
    }


def _partition(row: Mapping[str, Any], lang: Lang) -> dict[str, str]:
    delay = row["delay_ms"]
    return {
        "partition": str(row["partition"]),
        "lag": shown.NONE if row["lag"] is None else count(row["lag"], lang),
        "complete": moment(row["complete"], lang),
        "delay": shown.NONE if delay is None else _seconds(delay / 1000, lang),
    }


def _swap(row: Mapping[str, Any], lang: Lang) -> dict[str, str]:
    return {
        "number": str(row["swap_number"]),
        "when": moment(row["swapped_time"], lang),
        "what": say(SWAP_NAMES.get(row["swap_kind"], (row["swap_kind"],) * 2), lang),
        "name": row["rehearsal"],
        "months": row["swapped_months"] or say(WORDS["whole"], lang),
        "by": row["swapped_by"],
        "because": row["because"] or shown.NONE,
        "state": row["swap_state"],
        "state_name": say(SWAP_NAMES.get(row["swap_state"], (row["swap_state"],) * 2), lang),
    }


def _stages(rows: Rows, lang: Lang) -> list[Bar]:
    """The stages in the order in which they come, with their share of the time since the start."""
    spent = {row["stage"]: (float(row["spent"]), float(row["recent"])) for row in rows}
    # Columns are made within the steps that write.
    whole = sum(total for name, (total, _) in spent.items() if name != "encode")
    order = [*(name for name in _STAGES if name in spent), *sorted(spent.keys() - _STAGES.keys())]
    return [
        _bar(
            name,
            say(_STAGES.get(name, (name, name)), lang),
            _seconds(spent[name][0], lang),
            _seconds(spent[name][1], lang),
            round(1000 * spent[name][0]),
            round(1000 * whole),
            lang,
        )
        for name in order
    ]


def _batches(rows: Rows, lang: Lang) -> list[Bar]:
    whole = sum(row["batches"] for row in rows)
    return [
        _bar(
            str(row["at_most"]),
            f"{say(WORDS['up_to'], lang)} {count(row['at_most'], lang)}",
            count(row["batches"], lang),
            "",
            row["batches"],
            whole,
            lang,
        )
        for row in rows
    ]


def _bar(key: str, name: str, text: str, recent: str, part: int, whole: int, lang: Lang) -> Bar:
    share = percent(part, whole, 1)
    share_text = shown.NONE if share is None else decimal(f"{share} %", lang)
    return Bar(key, name, text, recent, share or "0", share_text)


def _seconds(value: float, lang: Lang) -> str:
    return f"{decimal(f'{value:,.1f}', lang)} {say(WORDS['seconds'], lang)}"


def _rate(value: float | None, lang: Lang) -> str:
    return shown.NONE if value is None else decimal(f"{value:,.1f}", lang)
