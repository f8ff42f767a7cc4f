"""A register small enough to hold in the head, for tests that are not about the register."""

from rates.tallies import SYSTEMS

PAPERLESS = "1.000002"
"""The one procedure without a paper result."""

_SYSTEM = {"1.000001": "land", PAPERLESS: "business", "1.000003": "civil_status", "G09-LV": "environment"}


class SmallRegister:
    """Anyone above a unit may send for it; three procedures and one sector have a system."""

    def may_send(self, sender: str, unit: str) -> bool:
        return bool(sender) and (unit == sender or unit.startswith(f"{sender}."))

    def system(self, procedure: str, sector: str) -> int:
        found = _SYSTEM.get(procedure) or _SYSTEM.get(sector) or "other"
        return SYSTEMS.index(found)

    def result_required(self, procedure: str) -> bool:
        return procedure != PAPERLESS
