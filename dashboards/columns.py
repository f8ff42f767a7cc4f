"""What heads each column of a panel's answer, in both languages, and the units of those that have one."""

from collections.abc import Mapping
from typing import Final

from dashboards.page.asked import LANGS, Lang
from dashboards.page.words import WORDS, Words
from dashboards.panels import Unit

COLUMNS: Final[Mapping[str, Words]] = {
    "accepted": ("Được nhận", "Accepted"),
    "age": ("Quá hạn hoặc tới hạn", "Overdue or due"),
    "applied": ("Đã có", "Seen before"),
    "at_most": ("Thông điệp trong lô, tới", "Messages in a batch, up to"),
    "audited": ("Đã tự kiểm tra", "Audited"),
    "batches": ("Số lô", "Batches"),
    "begun": ("Bắt đầu", "Started"),
    "body_code": ("Bộ, địa phương", "Body"),
    "buffered_bytes": ("Đang chờ trong bộ nhớ", "Waiting in memory"),
    "cached": ("Hồ sơ trong bộ nhớ", "Dossiers cached"),
    "canary": ("Tin dò gần nhất", "Latest canary"),
    "clean": ("Đã làm sạch", "Clean"),
    "code": ("Mã, tên", "Code, name"),
    "cohorts": ("Nhóm đã kiểm tra", "Cohorts checked"),
    "complete": ("Đầy đủ đến", "Complete to"),
    "completed_time": ("Hoàn thành", "Completed"),
    "connected": ("Dùng CSDL dân cư", "With population database"),
    "connected_first": ("Lần đầu dùng", "First used"),
    "connected_latest": ("Lần cuối dùng", "Last used"),
    "counted_day": ("Ngày tính", "Counted on"),
    "counts": ("Có tính", "Counts"),
    "days": ("Ngày có tin", "Days heard of"),
    "dead": ("Bị loại", "Rejected"),
    "definition": ("Định nghĩa", "Definition"),
    "delay": ("Tin dò mất, trung vị", "Canary took, median"),
    "delay_ms": ("Tin dò mất", "Canary took"),
    "denominator": ("Mẫu số", "Denominator"),
    "digitising": ("Có số hóa", "Digitised"),
    "disagreements": ("Sai lệch từng thấy", "Disagreements ever"),
    "dossiers": ("Hồ sơ", "Dossiers"),
    "dossiers_written": ("Hồ sơ đã ghi", "Dossiers written"),
    "due_time": ("Hẹn trả", "Due"),
    "ended": ("Đã dừng", "Ended"),
    "events": ("Sự kiện", "Events"),
    "events_a_second": ("Sự kiện vào mỗi giây", "Events in a second"),
    "expected": ("Phân vùng đã đăng ký", "Partitions registered"),
    "first_day": ("Ngày đầu", "First day"),
    "found": ("Tìm thấy", "Found"),
    "found_latest": ("Sai lệch gần nhất", "Latest disagreement"),
    "heard": ("Phân vùng có tin", "Partitions heard of"),
    "lag": ("Thông điệp chờ", "Messages waiting"),
    "last_time": ("Lần cuối", "Last"),
    "latest": ("Gần nhất", "Latest"),
    "level_name": ("Cấp", "Level"),
    "loaded": ("Hồ sơ nạp lại", "Dossiers loaded"),
    "lost": ("Bị thay thế", "Superseded"),
    "messages": ("Thông điệp", "Messages"),
    "messages_a_second": ("Thông điệp mỗi giây", "Messages a second"),
    "month": ("Tháng", "Month"),
    "name": ("Tên", "Name"),
    "newest": ("Kiểm tra gần nhất", "Latest check"),
    "number": ("Mã hồ sơ", "Dossier"),
    "numerator": ("Tử số", "Numerator"),
    "oldest": ("Kiểm tra lâu nhất", "Longest unchecked"),
    "partition": ("Phân vùng", "Partition"),
    "partitions": ("Số phân vùng", "Partitions"),
    "procedure_code": ("Thủ tục", "Procedure"),
    "rate": ("Tỷ lệ", "Rate"),
    "rate_clean": ("Tỷ lệ đã làm sạch", "Clean rate"),
    "reason_code": ("Lý do", "Reason"),
    "reason_en": ("Lý do (tiếng Anh)", "Reason"),
    "reason_vi": ("Lý do", "Reason (Vietnamese)"),
    "rebalances": ("Chia lại", "Rebalances"),
    "received_time": ("Tiếp nhận", "Received"),
    "recent": ("Phút vừa qua", "Last minute"),
    "rejected": ("Bị loại", "Rejected"),
    "repaired_latest": ("Sửa gần nhất", "Latest repair"),
    "reported": ("Theo báo cáo", "As reported"),
    "results": ("Có kết quả điện tử", "With electronic result"),
    "retries": ("Thử lại", "Retries"),
    "rows_a_second": ("Dòng ghi mỗi giây", "Rows out a second"),
    "rule_id": ("Quy tắc", "Rule"),
    "severity_name": ("Mức độ", "Severity"),
    "silenced": ("Tạm tắt đến", "Silenced until"),
    "since_time": ("Từ lúc", "Since"),
    "slowest": ("Tin dò mất, lâu nhất", "Canary took, slowest"),
    "spent": ("Tổng thời gian", "Time in all"),
    "stage": ("Bước", "Stage"),
    "stamp": ("Dấu tiến độ", "Stamp of progress"),
    "state_name": ("Tình trạng", "State"),
    "status": ("Trạng thái", "Status"),
    "system": ("Hệ thống", "System"),
    "system_code": ("Hệ thống", "System"),
    "tallies_written": ("Số đếm đã ghi", "Tallies written"),
    "threshold": ("Ngưỡng", "Threshold"),
    "told": ("Báo lần cuối", "Last told"),
    "total": ("Tổng", "Total"),
    "unsettled": ("Còn chờ xử lý", "Still waiting"),
    "value": ("Giá trị", "Value"),
    "with_result": ("Có kết quả điện tử", "With electronic result"),
    "worker": ("Tiến trình", "Worker"),
    "wrong": ("Đang sai lệch", "Wrong now"),
    "year": ("Năm", "Year"),
}

OWN_UNITS: Final[Mapping[str, Unit]] = {
    "buffered_bytes": "bytes",
    "delay": "milliseconds",
    "delay_ms": "milliseconds",
    "recent": "seconds",
    "slowest": "milliseconds",
    "spent": "seconds",
    "status": "points",
}
"""The columns whose unit is not their panel's."""


def said(words: Words, lang: Lang) -> str:
    return words[LANGS.index(lang)]


def title(name: str, lang: Lang) -> str:
    """What heads a column, or stands beside a variable."""
    return said(COLUMNS[name] if name in COLUMNS else WORDS[name], lang)
