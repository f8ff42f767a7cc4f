"""How a question about now becomes one about what was known: by the names of views, and nothing else.

Of some views there is one for each basis; a panel's question is not yet about one of them.

A view that ends in `_known` takes `known` (seconds since 1970 UTC): what was learnt before it. It has the
columns of the view that it is named after. `sinks.history` makes them.
"""

import re
from typing import Final

KINDS: Final = (
    "learnt_late",
    "withdrawn",
    "day_moved",
    "result_added",
    "result_removed",
    "status_changed",
    "other",
)
"""By what kind of event a figure moves; the first that fits. `other`: the dossier moved to another system."""

_PERIODS: Final = r"body_sums|unit_sums|unit_days|restatements_\$\{basis\}"
_PLAIN: Final = "counts|dossiers_named|dossier_versions|freshness"
_STANDING: Final = "unit_homes"
"""What is the same whatever was known."""
_READ: Final = re.compile(r"\b(?:FROM|JOIN)\s+([\w${}]+)")


def is_kept(sql: str) -> bool:
    """Whether all that a query reads is kept by when it was learnt."""
    return all(re.fullmatch(f"{_PERIODS}|{_PLAIN}|{_STANDING}", view) for view in _READ.findall(sql))


def as_known(sql: str) -> str:
    """A query over views as one over what was known; it takes `{known:UInt32}` beside its parameters."""
    found = re.sub(rf"\b({_PERIODS})\(", r"\1_known(known = {known:UInt32}, ", sql)
    return re.sub(rf"\b(FROM )({_PLAIN})\b(?!\()", r"\1\2_known(known = {known:UInt32})", found)
