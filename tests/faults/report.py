"""What a run shows: a table of its faults, its verdict, and the command that plays it again."""

from statistics import median
from typing import Final

from tests.faults.bench import Options, Struck, Tally

BOUNDED: Final = {"kill": 1.0, "kill single": 1.5}
"""Times RECOVERY: a killed worker while another runs, and a single one that is started again."""


def kind_of(struck: Struck) -> str:
    return f"{struck.kind} single" if struck.how == "single" else struck.kind


def failures(options: Options, tally: Tally) -> list[str]:
    """Everything for which the run is not good."""
    found = list(tally.blamed)
    for kind, count in sorted(tally.verdict.get("differences", {}).items()):
        found.append(f"{count} {kind}, as {tally.verdict['examples'][kind][0]}")
    if not tally.verdict:
        found.append("there is no verdict")
    if options.recovery:
        for struck in tally.struck:
            bound = BOUNDED.get(kind_of(struck), 0) * options.recovery
            if bound and struck.seconds is not None and struck.seconds > bound:
                found.append(f"{kind_of(struck)} {struck.how}: {struck.seconds:.1f} s, above {bound:g} s")
    return found


def table(options: Options, tally: Tally, planned: dict[str, int]) -> str:
    lines = [f"{'fault':<14}{'planned':>8}{'done':>6}{'measured':>10}{'p50 s':>8}{'max s':>8}"]
    for kind, count in planned.items():
        done = [struck for struck in tally.struck if struck.kind == kind]
        for name in sorted({kind_of(struck) for struck in done} | {kind}):
            these = [struck for struck in done if kind_of(struck) == name]
            times = [struck.seconds for struck in these if struck.seconds is not None]
            p50, most = (f"{median(times):.1f}", f"{max(times):.1f}") if times else ("–", "–")
            whole = f"{count}" if name == kind else "of it"
            lines.append(f"{name:<14}{whole:>8}{len(these):>6}{len(times):>10}{p50:>8}{most:>8}")
    verdict, rate = tally.verdict, tally.events / max(tally.seconds, 0.001)
    wrong = verdict.get("differences", {})
    lines += [
        "",
        (
            f"events {tally.events:,} in {tally.seconds:.0f} s ({rate:,.0f}/s), sent again {tally.again} "
            f"times, lag at most {tally.lag:,} events, a worker at most {tally.rss} MiB"
        ),
        (
            f"compared {verdict.get('cells', 0):,} figures, {verdict.get('dossiers', 0):,} dossiers, "
            f"{verdict.get('letters', 0):,} dead letters: "
            + ", ".join(f"{wrong.get(kind, 0)} {kind}" for kind in KINDS)
        ),
        f"workers that ended themselves: {len(tally.ended)}",
        *(f"  {line}" for line in tally.ended),
        *tally.notes,
    ]
    return "\n".join(lines)


def command(options: Options) -> str:
    """The one line that plays the run again."""
    words = [f"SEED={options.seed}", f"EVENTS={options.events}"]
    words += [f"{name.upper()}={options.counts.get(kind, 0)}" for kind, name in NAMES.items()]
    if options.recovery:
        words.append(f"RECOVERY={options.recovery:g}")
    return " ".join(["make faults", *words, f"PLAN={options.plan}"])


KINDS: Final = (
    "wrong cells",
    "tallies unlike their dossiers",
    "lost dossiers",
    "duplicated dossiers",
    "wrong dossiers",
    "dossiers from nowhere",
    "wrong dead letters",
)

NAMES: Final = {
    "kill": "kills",
    "rebalance": "rebalances",
    "stall": "stalls",
    "broker": "broker",
    "engine": "engine",
    "wire": "wire",
    "clock": "clock",
}
