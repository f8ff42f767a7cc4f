"""A CSV of reference data, shipped or a user's own, read row by row.

Promise: what cannot be used is refused with the file, the line, the column and what to do about it. Columns
may stand in any order and there may be more of them; all that are asked for must be there.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NoReturn

FIRST_DAY: Final = 0
LAST_DAY: Final = 65_535
"""Days are days since 1970, local; an open end is one of these two."""

EPOCH: Final = date(1970, 1, 1)
_LAST: Final = EPOCH + timedelta(days=LAST_DAY)


class RegisterError(ValueError):
    """Reference data that cannot be used: where it stands, what is wrong, what to do."""

    def __init__(self, file: str, line: int, column: str, problem: str, remedy: str) -> None:
        where = f"{file}, line {line}" + (f", column {column}" if column else "")
        super().__init__(f"{where}: {problem}; {remedy}")
        self.file = file
        self.line = line
        self.column = column


class Row:
    """One row of a sheet: its values by column, and where it stands for the message if one is refused."""

    __slots__ = ("_columns", "_values", "file", "line")

    def __init__(self, file: str, line: int, columns: dict[str, int], values: list[str]) -> None:
        self.file = file
        self.line = line
        self._columns = columns
        self._values = values

    def text(self, column: str) -> str:
        return self._values[self._columns[column]]

    def required(self, column: str) -> str:
        value = self.text(column)
        if not value:
            self.refuse(column, "it is empty", "fill it in")
        return value

    def choice(self, column: str, options: Sequence[str]) -> str:
        value = self.text(column)
        if value not in options:
            self.refuse(column, f"{value!r} is not known", f"write one of {', '.join(options)}")
        return value

    def flag(self, column: str) -> bool:
        return self.choice(column, ("0", "1")) == "1"

    def day(self, column: str, empty: int) -> int:
        """A date as days since 1970; `empty` where there is none."""
        value = self.text(column)
        return empty if not value else day_number(self.date(column))

    def date(self, column: str) -> date:
        value = self.text(column)
        try:
            found = date.fromisoformat(value) if len(value) == 10 else None
        except ValueError:
            found = None
        if found is None or not EPOCH <= found <= _LAST:
            self.refuse(column, f"{value!r} is no date", f"write YYYY-MM-DD, from {EPOCH} to {_LAST}")
        return found

    def validity(self) -> tuple[int, int]:
        """The days from `valid_from` to `valid_to`, both inclusive; empty means open."""
        first, last = self.day("valid_from", FIRST_DAY), self.day("valid_to", LAST_DAY)
        if last < first:
            self.refuse("valid_to", "it lies before valid_from", "swap the two, or leave valid_to empty")
        return first, last

    def share(self, column: str) -> float:
        value = self.text(column)
        try:
            found = float(value)
        except ValueError:
            found = -1.0
        if not 0 <= found <= 1:
            self.refuse(column, f"{value!r} is no share", "write a number from 0 to 1, as 0.8 for 80 %")
        return found

    def refuse(self, column: str, problem: str, remedy: str) -> NoReturn:
        raise RegisterError(self.file, self.line, column, problem, remedy)


def shipped() -> Traversable:
    """The directory of the reference data that comes with the program."""
    return files("rates") / "reference"


def read_rows(sheet: Traversable, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a sheet that has these columns; empty lines are skipped."""
    reader = csv.reader(io.StringIO(_text(sheet), newline=""), strict=True)
    try:
        header = next(reader, [])
        place = {name: index for index, name in enumerate(header)}
        missing = [name for name in columns if name not in place]
        if missing:
            remedy = f"add the columns {', '.join(missing)}; the first line must name {', '.join(columns)}"
            raise RegisterError(str(sheet), 1, missing[0], "the column is missing", remedy)
        for values in reader:
            if not values:
                continue
            if len(values) != len(header):
                problem = f"{len(values)} values under {len(header)} columns"
                remedy = "a comma within a value needs double quotes around the value"
                raise RegisterError(str(sheet), reader.line_num, "", problem, remedy)
            yield Row(str(sheet), reader.line_num, place, values)
    except csv.Error as error:
        remedy = "save the file as comma-separated values"
        raise RegisterError(str(sheet), reader.line_num, "", str(error), remedy) from error


def day_number(day: date) -> int:
    """A local date as days since 1970."""
    return (day - EPOCH).days


def _text(sheet: Traversable) -> str:
    try:
        written = sheet.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        remedy = "put it there, in the columns of the shipped one (rates/reference)"
        raise RegisterError(str(sheet), 1, "", "the file is missing", remedy) from error
    try:
        return written.decode("utf-8-sig")  # spreadsheets put a byte order mark first
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise RegisterError(str(sheet), line, "", "not UTF-8", "save the file as UTF-8") from error
