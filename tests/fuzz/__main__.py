"""`make fuzz`: hostile input by the million, through the decoder and through a running stack.

Prints a table; exits 1 on any difference, after naming the seed and the input that show it and the folder
that keeps that input. `--input N` plays a single one again, through the decoder.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.fuzz.decoding import Decoding, Fault, check, decode_many, together
from tests.fuzz.inputs import KINDS, Input, make
from tests.fuzz.pipeline import Piped, pipe
from tests.support.stack import running

SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--decode", type=int, default=100_000, help="so many inputs through the decoder")
    parser.add_argument("--pipeline", type=int, default=10_000, help="so many messages through a stack")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=int, help="play this one again")
    options = parser.parse_args()
    if options.input is not None:
        return _again(options.seed, options.input)
    faults: list[Fault] = []
    if options.decode:
        faults += _decode(options.seed, options.decode)
    if options.pipeline:
        with tempfile.TemporaryDirectory(prefix="motcua-fuzz-stack-") as folder:
            faults += _pipe(options.seed, options.pipeline, Path(folder))
    if not faults:
        return 0
    again = f"make fuzz SEED={options.seed}"
    print(f"\n{len(faults)} differences; kept in {_kept(options.seed, faults)}")
    print(f"all again: {again} DECODE={options.decode} PIPELINE={options.pipeline}")
    for fault in faults[:SHOWN]:
        print(f"  input {fault.number} ({fault.kind}): {fault.what[:500]}")
        if fault.number >= 0:
            print(f"    decoded again: {again} INPUT={fault.number}")
    return 1


def _decode(seed: int, inputs: int) -> list[Fault]:
    began = time.monotonic()
    done: list[Decoding] = []
    for part in decode_many(seed, inputs):
        done.append(part)
        if len(done) % 20 == 0:
            checked = sum(each.inputs.total() for each in done)
            print(f"decode: {checked:,} of {inputs:,}", file=sys.stderr, flush=True)
    whole = together(done)
    took = time.monotonic() - began
    print(
        f"\ndecode, seed {seed}: {inputs:,} inputs in {took:.0f} s, {inputs / took:,.0f} a second with checks"
    )
    print(
        f"in decode itself {whole.seconds:.0f} s, {inputs / whole.seconds:,.0f} a second and processor; ",
        end="",
    )
    print(f"slowest {whole.slowest[0]:.2f} s (input {whole.slowest[1]}); ", end="")
    print(f"largest process {whole.rss / 1e6:,.0f} MB, checks included")
    _table(whole.inputs, whole.rejected, whole.accepted)
    return whole.faults


def _pipe(seed: int, inputs: int, folder: Path) -> list[Fault]:
    with running(folder) as stack:
        try:
            piped: Piped = pipe(stack, seed, inputs)
        except (OSError, AssertionError):
            print((folder / "logs" / "stack.log").read_text(encoding="utf-8")[-4_000:], file=sys.stderr)
            raise
    count, verdict = piped.messages.total(), piped.verdict
    print(f"\npipeline, seed {seed}: {count:,} messages durable in {piped.seconds:.0f} s; ", end="")
    print(f"worker alive, at most {piped.worker_rss / 1e6:,.0f} MB")
    print(f"{verdict['dossiers']:,} dossiers, {verdict['cells']:,} cells and {verdict['letters']:,} ", end="")
    print(f"dead letters compared: {sum(verdict['differences'].values())} differ")
    _table(piped.messages, piped.rejected)
    return piped.faults


def _table(
    inputs: Counter[str], rejected: Counter[tuple[str, str]], accepted: Counter[str] | None = None
) -> None:
    """By kind: messages, records accepted, and what was rejected by reason."""
    reasons = sorted({reason for _, reason in rejected})
    kinds = sorted(inputs, key=["ten megabytes", *KINDS].index)
    heads = ["inputs", *(["accepted"] if accepted is not None else []), *reasons]
    rows = []
    for kind in kinds:
        told = [accepted[kind]] if accepted is not None else []
        rows.append((kind, [inputs[kind], *told, *(rejected[kind, reason] for reason in reasons)]))
    rows.append(("all", [sum(column) for column in zip(*(numbers for _, numbers in rows), strict=True)]))
    widths = [max(len(head), 9) for head in heads]
    _line("", heads, widths)
    for kind, numbers in rows:
        _line(kind, [f"{number:,}" for number in numbers], widths)


def _line(first: str, cells: Sequence[str], widths: Iterable[int]) -> None:
    print(f"{first:22}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))


def _kept(seed: int, faults: Sequence[Fault]) -> Path:
    """The folder with the inputs that show the first faults."""
    folder = Path(tempfile.mkdtemp(prefix="motcua-fuzz-"))
    for fault in faults[:SHOWN]:
        if fault.number >= 0:
            item = make(seed, fault.number)
            (folder / f"{seed}-{fault.number}.value").write_bytes(item.value or b"")
            (folder / f"{seed}-{fault.number}.json").write_text(_described(item), encoding="utf-8")
    (folder / "faults.json").write_text(json.dumps(faults, ensure_ascii=False, indent=1), encoding="utf-8")
    return folder


def _described(item: Input) -> str:
    return json.dumps({"kind": item.kind, "key": repr(item.key), "timestamp": item.timestamp})


def _again(seed: int, index: int) -> int:
    item = make(seed, index)
    (events, rejections), took, faults = check(item)
    print(_described(item), repr((item.value or b"")[:2_000]), sep="\n")
    print(*events, *rejections, f"{took:.3f} s", *faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
