"""The electronic-result rates: each a named pair of tallies over a basis, with its source.

A new definition is one more entry of `DEFINITIONS`: `motcua migrate` makes its view, `motcua rates`
and the page show it. Numerator and denominator are stored, the ratio never is; 0/0 is null. The dates a
definition holds for are a label, never a filter. In the *clean* form a result that is merely one of the
dossier's own input papers does not count.
"""

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from rates.tallies import BASES, BIT

Form: TypeAlias = Literal["reported", "clean"]
FORMS: Final[tuple[Form, ...]] = ("reported", "clean")


class Definition(Struct, frozen=True, kw_only=True):
    """A rate: `numerator` (reported, clean) / `denominator`, all names of tallies, by the day of a basis."""

    id: str
    basis: str
    numerator: tuple[str, str]
    denominator: str
    name_vi: str
    name_en: str
    source: str
    valid_from: str
    valid_to: str = ""

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            msg = f"{self.id}: {self.basis!r} is no basis; choose one of {', '.join(BASES)}"
            raise ValueError(msg)
        for tally in (*self.numerator, self.denominator):
            if tally not in BIT:
                msg = f"{self.id}: {tally!r} is no tally; add it to rates/tallies.py or choose another"
                raise ValueError(msg)

    def tally(self, form: Form) -> str:
        """The tally that is the numerator in a form."""
        return self.numerator[FORMS.index(form)]

    @property
    def view(self) -> str:
        """The name of its SQL view."""
        return "rates_" + self.id.lower().replace("-", "_")


DEFINITIONS: Final = (
    Definition(
        id="ER-766-DOC",
        basis="received",
        numerator=("e_result_required", "e_result_clean_required"),
        denominator="result_required",
        name_vi="Hồ sơ có kết quả giải quyết điện tử (tài liệu công thức)",
        name_en="Electronic result, formula document",
        source="Decision 766/QĐ-TTg of 2022-06-23, indicator 4.1, formula document",
        valid_from="2022-06-23",
    ),
    Definition(
        id="ER-766-PORTAL",
        basis="received",
        numerator=("e_result", "e_result_clean"),
        denominator="received",
        name_vi="Hồ sơ có kết quả giải quyết điện tử (Cổng DVCQG)",
        name_en="Electronic result, as the national portal computes it",
        source="Decision 766/QĐ-TTg, indicator 4.1, as observed on the national portal in 2026",
        valid_from="2022-06-23",
    ),
    Definition(
        id="ER-2026-METRICS",
        basis="completed",
        numerator=("e_result_returned_required", "e_result_clean_returned_required"),
        denominator="returned_required",
        name_vi="Hồ sơ đã trả có kết quả điện tử (METRICS 2026)",
        name_en="Electronic result of returned dossiers, METRICS sheet 2026",
        source="METRICS sheet of the formula workbook, 2026",
        valid_from="2026-01-01",
    ),
    Definition(
        id="ER-PROV-DONE",
        basis="completed",
        numerator=("done_satisfied", "done_satisfied_clean"),
        denominator="done",
        name_vi="Hồ sơ đã giải quyết có kết quả điện tử (hệ thống tỉnh)",
        name_en="Electronic result of finished dossiers, provincial dashboards",
        source="provincial dashboards (status 7, 9 or 10)",
        valid_from="2022-06-23",
    ),
    Definition(
        id="ER-PROV-SCORE",
        basis="received",
        numerator=("done_e_result", "done_e_result_clean"),
        denominator="received",
        name_vi="Hồ sơ đã giải quyết có kết quả điện tử trên hồ sơ tiếp nhận (chấm điểm tỉnh)",
        name_en="Finished with electronic result of all received, provincial score",
        source="provincial scoring of Decision 766/QĐ-TTg",
        valid_from="2022-06-23",
    ),
)


def definition(identifier: str) -> Definition:
    """The definition of that id; a `LookupError` that names the known ones otherwise."""
    for known in DEFINITIONS:
        if known.id == identifier:
            return known
    msg = f"no definition {identifier!r}; choose one of {', '.join(d.id for d in DEFINITIONS)}"
    raise LookupError(msg)
