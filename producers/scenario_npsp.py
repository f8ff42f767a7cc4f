"""Nine months of four provinces, as the national portal published them: January to September 2026.

    province     e-result, of received        on time   overdue
    H29 TP.HCM     1,151,713 / 1,509,963    1,305,653   164,193
    H26 Hà Nội       463,900 /   960,293      683,674   253,386
    H20 Đồng Tháp    277,579 /   369,553      314,557    44,086
    H18 Điện Biên     58,552 /    67,633       62,260     3,554

Reproduced, each to the dossier at scale 1 and by the day of receipt: the tallies `e_result` and `received`
(so `ER-766-PORTAL`), `on_time` and `late`. The source's progress group counts fewer as received than its
e-result group (1,469,846 for H29): exactly those that are on time or overdue. Here both count the same
dossiers, and what lies between them is still open or has no due date. Not reproduced: mean days of
processing, scores of the other groups, months, units and systems one by one (none is published): all drawn.

At another scale, denominators are the nearest to the scaled ones at which a numerator has the published
percentage to its two digits; from scale 0.01 on such a one is within 1 %. On time and overdue are rounded.

A dossier is heard of about 6.1 times: its unit's system sends each evening what has happened, full records
and progress rows, up to 200 a call. On the way: links that come weeks later, times of receipt that are
corrected, records sent again, rounds of supplements, input papers sent as results. All is received by the
evening of 30 September. Records hold declared fields alone.

Times here are local seconds since 1970-01-01 local.

Source: the national portal's evaluation of 2026 to 30 September (reference: domain §7.2).
"""

from bisect import bisect
from collections.abc import Iterator
from datetime import date
from itertools import accumulate
from random import Random
from typing import Final

from msgspec import Raw, Struct

from producers.scenario_records import DAY, HOUR, clock_text, date_text
from rates.calendar import Calendar
from rates.declared import FULL_SERVICE, PROGRESS_SERVICE
from rates.register import Procedure, Register
from rates.sheets import day_number


class Published(Struct, frozen=True):
    """What is published of a province: counts of dossiers."""

    body: str
    e_result: int
    received: int
    on_time: int
    late: int


PUBLISHED: Final = (
    Published("H29", 1_151_713, 1_509_963, 1_305_653, 164_193),
    Published("H26", 463_900, 960_293, 683_674, 253_386),
    Published("H20", 277_579, 369_553, 314_557, 44_086),
    Published("H18", 58_552, 67_633, 62_260, 3_554),
)
FIRST: Final = day_number(date(2026, 1, 1))
LAST: Final = day_number(date(2026, 9, 30))

_END: Final = LAST * DAY + 17 * HOUR  # what happens later is not in the figures
_SETTLED: Final = LAST - 16  # who is received later is never overdue: there would be no time for it
_MOST: Final = 200
_LIMIT_DAYS: Final = (2, 7, 3, 3, 10, 9, 2)  # in the order of SYSTEMS
_SYSTEM_WEIGHT: Final = (24, 5, 6, 9, 16, 1, 39)
_DONE, _LATE, _OPEN, _UNDATED = range(4)
_CLOCK: Final = [f"{s // HOUR:02}{s // 60 % 60:02}{s % 60:02}" for s in range(DAY)]


def scaled(published: Published, scale: float) -> Published:
    """The counts at a scale, with the published percentage where the scale is large enough to have it."""
    if scale == 1:
        return published
    shown = f"{100 * published.e_result / published.received:.2f}"
    wanted = max(1, round(published.received * scale))
    for away in range(max(2, wanted // 50)):
        for received in (wanted + away, wanted - away):
            e_result = round(received * published.e_result / published.received) if received > 0 else 0
            if received > 0 and f"{100 * e_result / received:.2f}" == shown:
                return _held(published.body, e_result, received, published, scale)
    return _held(
        published.body, round(wanted * published.e_result / published.received), wanted, published, scale
    )


def _held(body: str, e_result: int, received: int, published: Published, scale: float) -> Published:
    late = min(round(published.late * scale), received)
    return Published(body, e_result, received, min(round(published.on_time * scale), received - late), late)


def npsp(random: Random, scale: float, register: Register) -> Iterator[tuple[str, Raw]]:
    """The calls in order of receipt. Raises ValueError where the register does not know the provinces."""
    calendar = Calendar.shipped()
    working = [calendar.is_working_day(day) for day in range(FIRST, LAST + 60)]
    offices = [_Office(random, scaled(each, scale), register, working) for each in PUBLISHED]
    return _calls(offices, _Post(random, offices))


def _calls(offices: "list[_Office]", post: "_Post") -> Iterator[tuple[str, Raw]]:
    for day in range(FIRST, LAST + 1):
        for office in offices:
            office.receive(day, post)
        yield from post.sent(day)


class _Post:
    """What units have yet to send, by day and unit; each sends once a day, in the evening."""

    def __init__(self, random: Random, offices: "list[_Office]") -> None:
        self._bodies: list[str] = []
        self.slots: list[int] = []
        for office in offices:
            office.first = len(self.slots)
            self._bodies += [office.body] * len(office.units)
            self.slots += [17 * HOUR + 1800 + int(random.random() * 6 * HOUR) for _ in office.units]
        self._order = sorted(range(len(self.slots)), key=lambda unit: (self.slots[unit], unit))
        self._waiting: dict[int, tuple[dict[int, list[str]], dict[int, list[str]]]] = {}

    def add(self, unit: int, time: int, written: str, *, row: bool = False) -> None:
        """Have a record sent by the unit's first sending after `time`; in the end, by the last one."""
        day = min((time - self.slots[unit]) // DAY + 1, LAST)
        found = self._waiting.get(day)
        if found is None:
            found = self._waiting[day] = {}, {}
        kind = found[row]
        if unit in kind:
            kind[unit].append(written)
        else:
            kind[unit] = [written]

    def sent(self, day: int) -> Iterator[tuple[str, Raw]]:
        full, rows = self._waiting.pop(day, ({}, {}))
        for unit in self._order:
            if unit not in full and unit not in rows:
                continue
            at = clock_text(day * DAY + self.slots[unit])
            begin = f'"madonvi":"{self._bodies[unit]}",'
            for service, records in (
                (f'{{"service":"{FULL_SERVICE}",{begin}"isUpdating":"True","data":[', full.get(unit, ())),
                (f'{{"service":"{PROGRESS_SERVICE}",{begin}"data":[', rows.get(unit, ())),
            ):
                for start in range(0, len(records), _MOST):
                    call = f"{service}{','.join(records[start : start + _MOST])}]}}"
                    yield at, Raw(call.encode())


class _Office:
    """One province: how many dossiers each day brings, what becomes of them, and what is written about it.

    The counts are met by drawing without replacement, dossier by dossier: what is left of each kind decides.
    """

    def __init__(self, random: Random, counts: Published, register: Register, working: list[bool]) -> None:
        self._random = random
        self._chance = random.random
        self.body = counts.body
        self.units = [
            unit for unit in register.one_stop_units(LAST) if register.body(unit, LAST) == self.body
        ]
        self._procedures = [
            [one for one in register.procedures.values() if one.system == system]
            for system in range(len(_SYSTEM_WEIGHT))
        ]
        if not self.units or not all(self._procedures):
            msg = f"the register has no one-stop unit of {self.body}, or no procedure of a system in 2026"
            raise ValueError(f"{msg}; take the shipped register")
        self.first = 0
        self._systems = list(accumulate(_SYSTEM_WEIGHT))
        self._weights = list(
            accumulate(
                (8.0 if unit.endswith(".01") else 1.0) * random.lognormvariate(0, 0.5) for unit in self.units
            )
        )
        self._gaming = frozenset(random.sample(range(len(self.units)), max(1, len(self.units) // 30)))
        self._next = [0] * len(working)
        following = len(working)
        for index in reversed(range(len(working))):
            following = index if working[index] else following
            self._next[index] = following + FIRST
        self._days = _days(random, counts.received, working)
        self._left = self._kinds(counts)
        self._results = counts.e_result
        self._done = sum(left[kind] for left in self._left for kind in (_DONE, _LATE, _UNDATED))

    def _kinds(self, counts: Published) -> tuple[list[int], list[int]]:
        """How many dossiers there are of each kind, of those received until `_SETTLED` and of the later."""
        later = sum(self._days[_SETTLED - FIRST + 1 :])
        early = counts.received - later
        late = min(counts.late, early)
        other = counts.received - late - counts.on_time
        undated = min(other // 8, max(0, early - late))
        still_open = other - undated
        last_open = max(min(still_open * 3 // 5, later), still_open - (early - late - undated))
        first_open = still_open - last_open
        return (
            [early - late - undated - first_open, late, first_open, undated],
            [later - last_open, 0, last_open, 0],
        )

    def receive(self, day: int, post: _Post) -> None:
        """Hand over all that will ever be sent about the dossiers of a day."""
        count = self._days[day - FIRST]
        if not count:
            return
        left = self._left[day > _SETTLED]
        numbers = [int(self._chance() * 20) for _ in self.units]
        for unit in self._random.choices(range(len(self.units)), cum_weights=self._weights, k=count):
            numbers[unit] += 1 if self._chance() < 0.95 else 2
            draw = int(self._chance() * (left[0] + left[1] + left[2] + left[3]))
            kind = 0
            while draw >= left[kind]:
                draw -= left[kind]
                kind += 1
            left[kind] -= 1
            result = False
            if kind != _OPEN:
                result = self._chance() * self._done < self._results
                self._done -= 1
                self._results -= result
            self._dossier(day, unit, numbers[unit], kind, result, post)

    def _dossier(self, day: int, unit: int, serial: int, kind: int, result: bool, post: _Post) -> None:
        chance = self._chance
        number = f"{self.units[unit]}-{date_text(day)[2:]}-{serial:04}"
        online = chance() < 0.7
        if day == LAST or chance() < 0.94:
            received = day * DAY + 27_000 + int(chance() * 25_200)
        else:
            received = day * DAY + 54_000 + int(chance() * 28_800)
        system = bisect(self._systems, chance() * self._systems[-1])
        listed = self._procedures[system]
        procedure = listed[int(chance() * len(listed))]
        limit = 1 + int(chance() * 2 * _LIMIT_DAYS[system])
        begun = self._next[(day if received % DAY < 54_000 else day + 1) - FIRST]
        if kind == _LATE:
            limit = min(limit, LAST - 6 - begun)
        due = self._next[begun + limit - FIRST]
        end = 0
        if kind == _LATE:
            late = min(self._next[due + 1 + int(chance() ** 2 * 9) - FIRST], LAST)
            end = late * DAY + 8 * HOUR + int(chance() * 32_000)
        elif kind != _OPEN:
            day_done = self._next[begun + int(chance() ** 1.5 * (due - begun + 1)) - FIRST]
            end = min(day_done, LAST) * DAY + 54_000 + int(chance() * 7_000)
        end = min(end, _END)
        written = self._written(number, procedure, received, online, (due, kind), unit)
        self._journey(self.first + unit, written, (number, received, end), result, unit in self._gaming, post)

    def _written(
        self,
        number: str,
        procedure: Procedure,
        received: int,
        online: bool,
        due: tuple[int, int],
        unit: int,
    ) -> tuple[str, str, str]:
        """What is the same in all full records of a dossier: up to its status, up to its time of receipt."""
        chance = self._chance
        filed = received - (60 + int(chance() * 2 * HOUR) if online else 1)
        code = f"{procedure.code}.000.00.00.{self.body}" if chance() < 0.5 else procedure.code
        scanned = "1" if chance() < 0.6 + 0.3 * (unit % 4 == 0) else "0"
        identity = "1" if chance() < 0.8 else "0"
        on, kind = due
        due_text = "" if kind == _UNDATED else date_text(on) + ("000000" if chance() < 0.9 else "170000")
        paper = f'{{"DuongDanTaiTepTin":"tep/{number}.pdf","DuocSoHoa":"{scanned}"}}'
        head = (
            f'{{"MaHoSo":"{number}","MaTTHC":"{code}","MaLinhVuc":"{procedure.sector}",'
            f'"NgayNopHoSo":"{_wire(filed)}","HoSoCoThanhPhanSoHoa":"{scanned}",'
            f'"TaiKhoanDuocXacThucVoiVNeID":"{identity}","TaiLieuNop":[{paper}],"TrangThaiHoSo":"'
        )
        return head, f'","NgayHenTra":"{due_text}","NgayTiepNhan":"', _wire(received)

    def _journey(
        self,
        unit: int,
        written: tuple[str, str, str],
        times: tuple[str, int, int],
        result: bool,
        gaming: bool,
        post: _Post,
    ) -> None:
        """From receipt to the last record; by the fold's two clocks the planned one stands in the end."""
        chance, add = self._chance, post.add
        head, due, text = written
        number, received, end = times
        until = end or min(received + int((1 + 9 * chance()) * DAY), _END)
        spent = until - received
        begin = f'{{"MaHoSo":"{number}","TrangThai":"'
        first = f'{head}2{due}{text}"}}'
        if chance() < 0.015 and end > received + 9 * HOUR:
            # The clock is seven hours off until the dossier is done.
            first = f'{head}2{due}{_wire(received + 7 * HOUR)}"}}'
        add(unit, received, first)
        if chance() < 0.85:
            taken = received + 60 if spent > 60 else received
            add(unit, taken, f'{begin}2","ThoiDiemXuLy":"{_wire(taken)}"}}', row=True)
        step = received + int(spent * 0.5 * chance())
        if chance() < 0.88:
            add(unit, step, f'{begin}4","ThoiDiemXuLy":"{_wire(step)}"}}', row=True)
        if chance() < 0.5:
            add(unit, step, f'{head}4{due}{text}"}}')
        draw = chance()
        if draw < 0.05:
            asked, given = received + spent // 3, received + spent // 2
            round_ = f'{text}","DanhSachHoSoBoSung":[{{"NgayBoSung":"{_wire(asked)}'
            add(unit, asked, f'{head}5{due}{round_}"}}]}}')
            add(unit, given, f'{head}4{due}{round_}","NgayTiepNhanBoSung":"{_wire(given)}"}}]}}')
        elif draw < 0.09:
            add(unit, received + int(chance() * 9 * DAY), first)
        if not end:
            return
        if chance() < 0.83:
            add(unit, end, f'{begin}9","ThoiDiemXuLy":"{_wire(end)}"}}', row=True)
        ended = f'{text}","NgayKetThucXuLy":"{_wire(end)}'
        links = ""
        if result:
            path = f"tep/{number}.pdf" if gaming and chance() < 0.4 else f"ketqua/{number}.pdf"
            links = f',"DanhSachGiayToKetQua":[{{"DuongDanTepTinKetQua":"{path}"}}]'
        draw = chance()
        if draw < 0.1:
            status = "7" if draw < 0.02 and not result else "9"
            add(unit, end, last := f'{head}{status}{due}{ended}"{links}}}')
            returned = end
        else:
            returned = min(end + 60 + int(chance() ** 2 * 2 * DAY), _END)
            if chance() < 0.9:
                add(unit, end, f'{head}9{due}{ended}"{links}}}')
            ended = f'{ended}","NgayTra":"{_wire(returned)}'
            last = f'{head}10{due}{ended}"{links}}}'
            if result and returned + 9 * DAY < _END and chance() < 0.12:
                # At the same status and time the later arrival stands: the bare record is never sent again.
                add(unit, returned, f'{head}10{due}{ended}"}}')
                returned += DAY + int((7 + 28 * chance()) * DAY)
            add(unit, returned, last)
        if chance() < 0.06:
            add(unit, returned + int((1 + 20 * chance()) * DAY), last)


def _days(random: Random, count: int, working: list[bool]) -> list[int]:
    """How many dossiers each day brings, `count` in all: by working day and weekend, more as months pass."""
    weights = [
        (1.0 if working[day] else 0.12 if (FIRST + day + 3) % 7 == 5 else 0.04)
        * (0.9 + 0.2 * day / (LAST - FIRST))
        * random.uniform(0.85, 1.15)
        for day in range(LAST - FIRST + 1)
    ]
    ends = [round(count * part / sum(weights)) for part in accumulate(weights)]
    return [end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def _wire(time: int) -> str:
    return date_text(time // DAY) + _CLOCK[time % DAY]
