"""The heart stays pure: the standard library and msgspec, and no clock."""

import ast
import sys
from pathlib import Path

import pytest

HEART = sorted((Path(__file__).resolve().parents[2] / "rates").glob("*.py"))


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("module", HEART, ids=lambda path: path.stem)
def test_a_module_of_the_heart_imports_the_standard_library_and_msgspec_alone(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert imported(tree) <= sys.stdlib_module_names | {"msgspec", "rates"}
    assert not imported(tree) & {"time", "asyncio", "socket", "subprocess"}
    calls = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not calls & {"now", "utcnow", "today"}
