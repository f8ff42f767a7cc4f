"""The processes of a run: broker, engine and workers, started, killed, stopped and started again.

Broker and engine keep data and port over a restart. A worker is kept running by its `Slot`, as a supervisor
would, and judged by it: one that ends unasked must say why and what to do, with an exit code that is not 0.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from infra.local import broker as kafka
from infra.local import lifeline, ports

ROOT: Final = Path(__file__).parents[2]
PAUSE: Final = 0.5
STOPS_WITHIN: Final = 25.0
_LAST_LINE: Final = re.compile(r"motcua: .+Next: .+")
_GONE: Final = -signal.SIGKILL


def clean(env: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of its own, and these on top."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith("MOTCUA_") or n == "MOTCUA_CACHE_DIR"}
    return {**kept, **env}


class Part:
    """One process at a time, whose output goes to a file."""

    def __init__(self, name: str, command: tuple[str, ...], log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._env = clean(env)
        self.process: asyncio.subprocess.Process | None = None
        self.away = asyncio.Lock()
        """Held while it is down on purpose: two faults at once must not start it twice."""
        self._from = 0

    async def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._from = output.tell()
            self.process = await asyncio.create_subprocess_exec(
                *lifeline.tied(self._command), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                env=self._env, cwd=ROOT,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def kill(self) -> None:
        self.send(signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()

    async def terminate(self) -> None:
        if self.process is None:
            return
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOPS_WITHIN):
                await self.process.wait()
        except TimeoutError:
            await self.kill()

    def said(self) -> str:
        """What this life has said so far."""
        with self.log.open("rb") as file:
            file.seek(self._from)
            return file.read().decode(errors="replace")

    def last_line(self) -> str:
        return next((line for line in reversed(self.said().splitlines()) if line.strip()), "")


async def until(holds: Callable[[], Awaitable[bool]], what: str, within: float) -> None:
    deadline = time.monotonic() + within
    while not await holds():
        if time.monotonic() > deadline:
            msg = f"not within {within:g} s: {what}"
            raise TimeoutError(msg)
        await asyncio.sleep(0.05)


def _told(line: str) -> None:
    sys.stderr.write(f"{line}\n")


class Broker(Part):
    def __init__(self, data: Path) -> None:
        prepared = kafka.prepare(data, say=_told)
        prepared.format()
        self.address = prepared.address
        super().__init__("broker", prepared.command, data / "logs" / "broker.log", {})

    async def ready(self) -> None:
        async def answers() -> bool:
            return await asyncio.to_thread(kafka.topics, self.address) is not None

        await until(answers, "the broker answers", 180)


class Engine(Part):
    def __init__(self, data: Path) -> None:
        port = ports.settle(data, "engine")
        self.url = f"http://{ports.HOST}:{port}"
        command = (sys.executable, "-m", "infra.local.engine", "--data", str(data / "engine"))
        super().__init__("engine", (*command, "--port", str(port)), data / "logs" / "engine.log", {})

    async def ready(self) -> None:
        async def said() -> bool:
            return "engine ready on" in self.said()

        await until(said, "the engine is ready", 180)


class Slot(Part):
    """A place for a worker: while `wanted`, somebody works there."""

    def __init__(
        self,
        number: int,
        data: Path,
        env: Mapping[str, str],
        lives: dict[int, int],
        blame: Callable[[str], None],
    ) -> None:
        command = (sys.executable, "-m", "motcua", "--data-dir", str(data), "worker")
        self.clock = data / f"clock-{number}"
        own = {**env, "MOTCUA_CLOCK_DRILL": str(self.clock)}
        super().__init__(f"worker-{number + 1}", command, data / "logs" / f"worker-{number + 1}.log", own)
        self.number = number
        self.wanted = False
        self.held = 0.0
        """Until then (monotonic) it is not started again."""
        self.asked: signal.Signals | None = None
        self.excused: Callable[[], str] = lambda: ""
        """Why a worker may end itself now; empty where it may not."""
        self.ended: list[tuple[int, str]] = []
        self.stopped = False
        self.settled = 0.0
        """When it was last given partitions, as far as it has been heard (monotonic)."""
        self._ready = False
        self._heard = 0
        self._lives = lives
        self._blame = blame

    @property
    def ready(self) -> bool:
        if not self.running:
            return False
        self.hear()
        return self._ready and not self.stopped

    def hear(self) -> None:
        """Take in what it has said since the last time."""
        with self.log.open("rb") as file:
            file.seek(self._heard)
            said = file.read()
        said = said[: said.rfind(b"\n") + 1]
        self._heard += len(said)
        if b"partitions assigned" in said:
            self.settled = time.monotonic()
        self._ready = self._ready or b"worker ready" in said

    async def keep(self) -> None:
        """For as long as the run lasts."""
        while True:
            if not self.wanted or time.monotonic() < self.held:
                await asyncio.sleep(0.05)
                continue
            self.asked = None
            self._lives[self.number] = self._lives.get(self.number, 0) + 1
            self._ready = False
            await self.start()
            assert self.process is not None
            code = await self.process.wait()
            self.stopped = False
            self._judge(code)
            await asyncio.sleep(PAUSE)

    def _judge(self, code: int) -> None:
        said = self.last_line()
        match self.asked, code:
            case signal.SIGKILL, _:
                return
            case signal.SIGTERM, 0:
                return
            case signal.SIGTERM, code if code == -signal.SIGTERM and not self.said():
                return  # the program was not there yet to take the signal
            case signal.SIGTERM, code if code == _GONE:
                self._blame(f"{self.name} did not stop within {STOPS_WITHIN:g} s of SIGTERM")
                return
        self.ended.append((code, said))
        if code == 0 or not _LAST_LINE.search(said) or "a bug" in said:
            self._blame(f"{self.name} ended itself with code {code} and no word of what to do: {said!r}")
        elif not self.excused():
            self._blame(f"{self.name} ended itself without a reason in the plan, code {code}: {said}")

    async def strike(self) -> None:
        self.asked = signal.SIGKILL
        await self.kill()

    async def retire(self) -> None:
        self.wanted = False
        self.asked = signal.SIGTERM
        await self.terminate()

    def stop(self) -> None:
        self.stopped = True
        self.send(signal.SIGSTOP)

    def go_on(self) -> None:
        self.send(signal.SIGCONT)
        self.stopped = False

    def rss(self) -> int:
        """MiB, 0 where nobody works."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE") >> 20
        return 0
