"""The Java side of the broker: which Java runs it, and its jars, fetched once by Maven from `pom.xml`.

A download that was interrupted is repeated: only the marker `complete`, written last, makes a jar directory
count, and it counts for one pom and while every jar that it names is there.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.local.trouble import Away

OLDEST_JAVA = 17
_POM = Path(__file__).with_name("pom.xml")
INSTALL_JAVA = (
    "install a JDK 17 or later (Debian: apt install openjdk-17-jdk-headless; macOS: brew install openjdk)"
)
INSTALL_MAVEN = "install Maven (Debian: apt install maven; macOS: brew install maven)"
_THEN = "then run: motcua doctor"


@dataclass(frozen=True, slots=True)
class Java:
    """`build` tells one Java from another."""

    path: str
    version: int
    build: str


def java() -> Java:
    """The Java of JAVA_HOME, else of PATH. Raises Away when there is none or it is too old for the broker."""
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if path is None:
        where = f"JAVA_HOME ({home}) holds no bin/java" if home else "no java on PATH"
        raise Away(f"the broker needs Java {OLDEST_JAVA} or later and {where}: {INSTALL_JAVA}, {_THEN}")
    build = _build(path)
    found = re.search(r'[vV][eE][rR][sS][iI][oO][nN](?: |=)"(?:1\.)?(\d+)', build)
    if found is None:
        raise Away(f"{path} -version does not answer as Java does: {INSTALL_JAVA}, {_THEN}")
    version = int(found[1])
    if version < OLDEST_JAVA:
        raise Away(
            f"{path} is Java {version}, the broker needs {OLDEST_JAVA} or later: {INSTALL_JAVA}, {_THEN}"
        )
    return Java(path, version, build)


def _build(path: str) -> str:
    """Which Java it is, by the file that stands beside it; else by its own word, which takes a tenth of a
    second."""
    try:
        return (Path(path).resolve().parents[1] / "release").read_text()
    except (OSError, ValueError, IndexError):
        told = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
        return "" if told.returncode else told.stderr + told.stdout


def maven() -> str:
    """The path of mvn. Raises Away when there is none."""
    path = shutil.which("mvn")
    if path is None:
        raise Away(
            f"the broker's jars come through Maven and there is no mvn on PATH: {INSTALL_MAVEN}, {_THEN}"
        )
    return path


def cache_dir() -> Path:
    """MOTCUA_CACHE_DIR, else `.cache` of the checkout, else (installed from a wheel) the user's cache."""
    named = os.environ.get("MOTCUA_CACHE_DIR")
    if named:
        return Path(named).absolute()
    checkout = _POM.parents[2]
    return (
        checkout / ".cache" if (checkout / "pyproject.toml").exists() else Path.home() / ".cache" / "motcua"
    )


def fetched() -> Path | None:
    """The directory of the jars when they are all there."""
    folder = cache_dir() / "jars"
    try:
        pom, *names = (folder / "complete").read_text().splitlines()
    except (OSError, ValueError):
        return None
    return folder if pom == _pom_digest() and all((folder / name).exists() for name in names) else None


def fetch(say: Callable[[str], None]) -> Path:
    """The directory of the jars, filled by Maven first if need be (43 MB, half a minute). Raises Away."""
    if (there := fetched()) is not None:
        return there
    java()
    program = maven()
    folder = cache_dir() / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    with (cache_dir() / "jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Whoever held the lock may have fetched them.
        if (there := fetched()) is not None:
            return there
        for old in folder.iterdir():
            old.unlink()
        say(f"fetching the broker's jars into {folder} (43 MB, once)")
        _copy(program, folder)
        names = sorted(jar.name for jar in folder.glob("*.jar"))
        fresh = folder / "complete.new"
        fresh.write_text("\n".join([_pom_digest(), *names]) + "\n")
        fresh.replace(folder / "complete")
        say(f"{len(names)} jars are there")
    return folder


def _copy(program: str, folder: Path) -> None:
    command = [program, "-q", "-B", "-Dstyle.color=never", "--strict-checksums", "-f", str(_POM)]
    command += [f"-Dmaven.repo.local={cache_dir() / 'm2'}", "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode:
        lines = [line for line in (told.stdout + told.stderr).splitlines() if line.strip()]
        raise Away(
            "Maven could not fetch the broker's jars:\n  "
            + "\n  ".join(line[:300] for line in lines[:4])
            + "\ncheck the network (and any mirror in ~/.m2/settings.xml), then run: "
            "python -m infra.local.broker jars"
        )


def _pom_digest() -> str:
    return hashlib.sha256(_POM.read_bytes()).hexdigest()
