"""What this room asks of a database: rows for a query with `{name:Type}` parameters.

`sinks.client.Database` is one; a test's list of rows is another. Whatever goes wrong is raised as
`rates.failures.Retry` (away for now) or `Fatal` (not migrated, or a bug), and as nothing else.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Reader(Protocol):
    async def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """The answer as dictionaries, by column name."""
