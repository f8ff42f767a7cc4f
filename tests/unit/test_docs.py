"""What the documents name is there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"


def written() -> set[str]:
    return {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }


@pytest.mark.parametrize("page", ["security.md", "failures.md"])
def test_every_proof_that_a_document_names_is_a_test(page: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", (DOCS / page).read_text(encoding="utf-8")))
    assert len(named) > 20
    assert named <= written(), named - written()


def test_every_failure_ends_with_its_proof() -> None:
    sections = (DOCS / "failures.md").read_text(encoding="utf-8").split("\n## ")[1:]
    assert len(sections) > 15
    assert [one.split("\n")[0] for one in sections if "*Proof:* `test_" not in one] == []
