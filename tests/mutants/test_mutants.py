"""Each rule of correctness, taken out of a copy of the project, is missed by the tests named for it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("rates", "streams", "producers", "sinks", "dashboards", "infra", "motcua", "tests")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's packages and tests, to be broken."""
    folder = tmp_path_factory.mktemp("mutants")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def ran(copy: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy against the copy."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-rf", "--no-header", "--tb=line"),
            *("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest", *tests),
        ],
        cwd=copy,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy), "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_takes_out_is_there_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.module).read_text(encoding="utf-8").count(mutant.old) == 1


@pytest.mark.long
def test_the_copy_as_it_is_passes_every_test_that_is_named(copy: Path) -> None:
    done = ran(copy, sorted({test for mutant in MUTANTS for test in mutant.tests}))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_test_named_for_a_mutant_fails_for_it(copy: Path, mutant: Mutant) -> None:
    module = copy / mutant.module
    sound = module.read_text(encoding="utf-8")
    module.write_text(sound.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        done = ran(copy, mutant.tests)
    finally:
        module.write_text(sound, encoding="utf-8")
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(failed) == len(mutant.tests), done.stdout
    for test in mutant.tests:
        (said,) = (line for line in failed if test in line)
        # Noticed by what it asserts, not stumbled over: an error elsewhere would prove nothing.
        assert any(word in said for word in (" - assert ", "AssertionError", "DID NOT RAISE")), said
