"""Every metric once: its name, kind, labels, unit, what it means and where its number comes from.

Prometheus' text is made from this list, and so is `docs/metrics.md` (`python -m motcua.metrics` writes it):
what is not here is not exported, and what is here is. Rooms know nothing of Prometheus, they keep numbers;
each part of the program has its own list over the numbers that it keeps.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from motcua import logs
from rates.dossier import Outcome
from rates.wire import Reason

if TYPE_CHECKING:
    # Each part loads its own room alone.
    from dashboards.page.counted import Asked
    from producers.portal import Portal
    from streams.vitals import Numbers

N = TypeVar("N")
Kind: TypeAlias = Literal["counter", "gauge"]
Samples: TypeAlias = Mapping[tuple[str, ...], float]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple, Generic[N]):
    """One metric. `read` gives its samples, by the values of `labels`, from the numbers of its part.

    `unit` is for people ("" for a plain number); `source` says which number of the code it is.
    """

    name: str
    kind: Kind
    help: str
    source: str
    read: Callable[[N], Samples]
    unit: str = ""
    labels: tuple[str, ...] = ()


STAGES: Final = (
    "fetch", "decode", "register", "load", "fold", "encode", "dossiers", "tallies", "dead letters",
    "progress", "canaries", "commit",
)  # fmt: skip
"""The stages of a micro-batch, in the order in which they come.

`fetch` is waiting for one. `encode` is part of the steps after it; those write, and go on while the next
batch is decoded and folded.
"""
CHANNELS: Final = ("alertmanager", "webhook", "mail", "file")
"""The ways out that alerts have."""
BATCH_SIZES: Final = (10, 100, 1_000, 10_000, 100_000)


def _count(name: str) -> Callable[["Numbers"], Samples]:
    return lambda own: {(): own.counts.get(name, 0)}


def _counts(prefix: str, known: Iterable[str]) -> Callable[["Numbers"], Samples]:
    """Those of the counts that are named `prefix` and a label; the known ones from the first look on."""
    zeros = dict.fromkeys(known, 0)

    def read(own: "Numbers") -> Samples:
        seen = {n.removeprefix(prefix): v for n, v in own.counts.items() if n.startswith(prefix)}
        return {(label,): value for label, value in (zeros | seen).items()}

    return read


WORKER: Final[tuple[Metric["Numbers"], ...]] = (
    Metric(
        "motcua_worker_ready",
        "gauge",
        "Whether what comes through this worker becomes durable just now (1) or not (0).",
        "streams.vitals.unready",
        lambda own: {(): float(own.ready)},
    ),
    Metric(
        "motcua_worker_messages_total",
        "counter",
        "Kafka messages that were made durable, canaries included.",
        "Folder.counts[messages]",
        _count("messages"),
        "messages",
    ),
    Metric(
        "motcua_worker_message_bytes_total",
        "counter",
        "Bytes of those messages.",
        "Folder.counts[bytes]",
        _count("bytes"),
        "bytes",
    ),
    Metric(
        "motcua_worker_batches_total",
        "counter",
        "Micro-batches, by the least power of ten that their number of messages does not exceed.",
        "Folder.counts[batches_…]",
        _counts("batches_", map(str, BATCH_SIZES)),
        "batches",
        ("at_most",),
    ),
    Metric(
        "motcua_events_total",
        "counter",
        "Events folded: accepted, lost to a newer one, or applied before.",
        "Folder.counts[accepted|lost|applied]",
        lambda own: {(one.value,): own.counts.get(one.value, 0) for one in Outcome},
        "events",
        ("outcome",),
    ),
    Metric(
        "motcua_dead_letters_total",
        "counter",
        "Events that could not be understood or stored, by reason.",
        "Folder.counts[dead_…]",
        _counts("dead_", Reason),
        "events",
        ("reason",),
    ),
    Metric(
        "motcua_dossiers_written_total",
        "counter",
        "Rows of dossiers written.",
        "Folder.counts[dossiers_written]",
        _count("dossiers_written"),
        "rows",
    ),
    Metric(
        "motcua_tallies_written_total",
        "counter",
        "Rows of tallies written.",
        "Folder.counts[tallies_written]",
        _count("tallies_written"),
        "rows",
    ),
    Metric(
        "motcua_dossiers_loaded_total",
        "counter",
        "Dossiers loaded back from ClickHouse: much more than are written means that the cache is too small.",
        "Folder.counts[loaded_dossiers]",
        _count("loaded_dossiers"),
        "dossiers",
    ),
    Metric(
        "motcua_dossiers_cached",
        "gauge",
        "Dossiers held in memory, about: a cohort and its cells weigh some, too.",
        "Folder.held",
        lambda own: {(): own.held},
        "dossiers",
    ),
    Metric(
        "motcua_store_retries_total",
        "counter",
        "Steps that were tried again because ClickHouse was away or refused for now.",
        "Folder.counts[retries]",
        _count("retries"),
        "tries",
    ),
    Metric(
        "motcua_stage_seconds_total",
        "counter",
        "Time spent in each stage of a micro-batch; what waits for ClickHouse counts.",
        "Folder.seconds",
        lambda own: {
            (stage.replace(" ", "_"),): value
            for stage, value in (dict.fromkeys(STAGES, 0.0) | dict(own.seconds)).items()
        },
        "seconds",
        ("stage",),
    ),
    Metric(
        "motcua_lag_messages",
        "gauge",
        "Messages of a partition of this worker that are in Kafka and not durable yet.",
        "streams.vitals.lag",
        lambda own: {(str(partition),): value for partition, value in own.lag.items()},
        "messages",
        ("partition",),
    ),
    Metric(
        "motcua_buffered_messages",
        "gauge",
        "Messages that are fetched and wait to be folded.",
        "Buffer.messages",
        lambda own: {(): own.buffered_messages},
        "messages",
    ),
    Metric(
        "motcua_buffered_bytes",
        "gauge",
        "Bytes of those messages.",
        "Buffer.bytes",
        lambda own: {(): own.buffered_bytes},
        "bytes",
    ),
    Metric(
        "motcua_rebalances_total",
        "counter",
        "Times that partitions were taken back; each drops the cache.",
        "Buffer.epoch",
        lambda own: {(): own.rebalances},
        "rebalances",
    ),
    Metric(
        "motcua_canaries_total",
        "counter",
        "Canaries that came through.",
        "Folder.counts[canaries]",
        _count("canaries"),
        "messages",
    ),
    Metric(
        "motcua_canary_delay_seconds",
        "gauge",
        "How long the last canary of a partition took from sending until it was durable.",
        "Folder.delays",
        lambda own: {(str(partition),): value for partition, value in own.delays.items()},
        "seconds",
        ("partition",),
    ),
    Metric(
        "motcua_audited_cohorts_total",
        "counter",
        "Cohorts whose tallies were held against their dossiers.",
        "Folder.counts[audited]",
        _count("audited"),
        "cohorts",
    ),
    Metric(
        "motcua_audits_skipped_total",
        "counter",
        "Cohorts that were in flight when their turn came.",
        "Folder.counts[audits_skipped]",
        _count("audits_skipped"),
        "cohorts",
    ),
    Metric(
        "motcua_audit_disagreements_total",
        "counter",
        "Cohorts whose tallies were wrong and were written anew. Must be 0.",
        "Folder.counts[disagreements]",
        _count("disagreements"),
        "cohorts",
    ),
    Metric(
        "motcua_alert_evaluations_total",
        "counter",
        "Times that this worker evaluated the alert rules; only the one that reads partition 0 does.",
        "Folder.counts[evaluations]",
        _count("evaluations"),
        "evaluations",
    ),
    Metric(
        "motcua_notices_sent_total",
        "counter",
        "Notices of alerts that were delivered, by way out.",
        "Folder.counts[notices_sent_…]",
        _counts("notices_sent_", CHANNELS),
        "notices",
        ("channel",),
    ),
    Metric(
        "motcua_notices_failed_total",
        "counter",
        "Notices of alerts that could not be delivered; they are tried again.",
        "Folder.counts[notices_failed_…]",
        _counts("notices_failed_", CHANNELS),
        "notices",
        ("channel",),
    ),
    Metric(
        "motcua_tellings_lost_total",
        "counter",
        "Times that the worker's own numbers could not be written for the page.",
        "Folder.counts[tellings_lost]",
        _count("tellings_lost"),
        "tellings",
    ),
)

PAGE: Final[tuple[Metric["Asked"], ...]] = (
    Metric(
        "motcua_page_requests_total",
        "counter",
        "Requests answered, by address and HTTP status.",
        "Asked.requests",
        lambda own: {(route, str(status)): value for (route, status), value in own.requests.items()},
        "requests",
        ("route", "status"),
    ),
    Metric(
        "motcua_page_request_seconds_total",
        "counter",
        "Time spent answering, by address.",
        "Asked.seconds",
        lambda own: {(route,): value for route, value in own.seconds.items()},
        "seconds",
        ("route",),
    ),
    Metric(
        "motcua_page_queries_total",
        "counter",
        "Questions put to ClickHouse, by whether they were answered.",
        "Asked.queries",
        lambda own: {(answer,): own.queries[answer] for answer in ("answered", "failed")},
        "queries",
        ("answer",),
    ),
    Metric(
        "motcua_page_query_seconds_total",
        "counter",
        "Time spent waiting for ClickHouse's answers.",
        "Asked.query_seconds",
        lambda own: {(): own.query_seconds},
        "seconds",
    ),
)

_TAKEN: Final = ("taken", "taken_in_part", "refused")


def _intake(prefix: str, plain: Sequence[str] = ()) -> Callable[["Portal"], Samples]:
    def read(portal: "Portal") -> Samples:
        found: dict[tuple[str, ...], float] = {(name,): portal.counts[name] for name in plain}
        for name, value in portal.counts.items():
            if name.startswith(prefix):
                found[(name.removeprefix(prefix),)] = value
        return found

    return read


INTAKE: Final[tuple[Metric["Portal"], ...]] = (
    Metric(
        "motcua_intake_calls_total",
        "counter",
        "Calls by what was answered: taken, taken_in_part, refused, or why a whole call was declined.",
        "Portal.counts[taken|taken_in_part|refused|declined_…]",
        _intake("declined_", _TAKEN),
        "calls",
        ("answer",),
    ),
    Metric(
        "motcua_intake_records_total",
        "counter",
        "Records that were taken.",
        "Portal.counts[records]",
        lambda own: {(): own.counts["records"]},
        "records",
    ),
    Metric(
        "motcua_intake_records_refused_total",
        "counter",
        "Records that were not taken, by reason.",
        "Portal.counts[refused_…]",
        _intake("refused_"),
        "records",
        ("reason",),
    ),
    Metric(
        "motcua_intake_messages_total",
        "counter",
        "Messages that Kafka acknowledged.",
        "Portal.counts[messages]",
        lambda own: {(): own.counts["messages"]},
        "messages",
    ),
)

EVERYWHERE: Final[tuple[Metric[object], ...]] = (
    Metric(
        "motcua_log_lines_suppressed_total",
        "counter",
        "Lines of libraries that were not logged because too many like them were.",
        "motcua.logs.suppressed",
        lambda _: {(name,): value for name, value in logs.suppressed.items()},
        "lines",
        ("logger",),
    ),
)

PROCESS: Final = (
    ("process_cpu_seconds_total", "counter", "seconds"),
    ("process_max_fds", "gauge", "files"),
    ("process_open_fds", "gauge", "files"),
    ("process_resident_memory_bytes", "gauge", "bytes"),
    ("process_start_time_seconds", "gauge", "seconds"),
    ("process_virtual_memory_bytes", "gauge", "bytes"),
)
"""What prometheus_client tells of every process, on Linux."""


class _Read(Collector, Generic[N]):
    def __init__(self, metrics: Sequence[Metric[N]], numbers: Callable[[], N]) -> None:
        self._metrics = metrics
        self._numbers = numbers

    def collect(self) -> Iterator[Family]:
        own = self._numbers()
        for metric in self._metrics:
            family = _FAMILY[metric.kind](metric.name, metric.help, labels=metric.labels)
            for labels, value in metric.read(own).items():
                family.add_metric(labels, value)
            yield family


_FAMILY: Final = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


def exposed(metrics: Sequence[Metric[N]], numbers: Callable[[], N]) -> Callable[[], bytes]:
    """What gives a part's metrics as Prometheus' text, each time it is called."""
    registry = CollectorRegistry()
    registry.register(_Read(metrics, numbers))
    registry.register(_Read(EVERYWHERE, object))
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)


_PARTS: Final = (
    ("The worker", WORKER),
    ("The page", PAGE),
    ("The intake", INTAKE),
    ("Every part", EVERYWHERE),
)


def documentation() -> str:
    """`docs/metrics.md`."""
    lines = [
        "# Metrics",
        "",
        "Written by `python -m motcua.metrics` from the catalogue in `motcua/metrics.py`; a test holds both",
        "together. Each part of the program answers `/metrics` where it listens (`motcua status`), beside",
        "`/livez` (200 while the process does its work; it never asks ClickHouse) and `/readyz` (200 while",
        "what it needs is there; else 503, and why).",
    ]
    for title, metrics in _PARTS:
        lines += ["", f"## {title}", "", "| metric | kind | unit | labels | meaning | number |"]
        lines.append("|---|---|---|---|---|---|")
        for one in metrics:
            labels = ", ".join(f"`{label}`" for label in one.labels) or "–"
            source = one.source.replace("|", "\\|")
            cells = (f"`{one.name}`", one.kind, one.unit or "–", labels, one.help, f"`{source}`")
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Of the process itself, from prometheus_client (on Linux):", ""]
    lines += ["| metric | kind | unit |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {unit} |" for name, kind, unit in PROCESS]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "metrics.md").write_text(documentation(), encoding="utf-8")
