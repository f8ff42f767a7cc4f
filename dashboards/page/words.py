"""Every word that the page says, in Vietnamese and English, and how numbers and times are written in each.

The names of statuses are those of the national portal's code list (`TrangThaiHoSo`); the reasons for a
rejection are those of `rates.wire.Reason`, each with what it means to whoever sent the event.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Final, TypeAlias

from dashboards.page.asked import LANGS, Lang
from rates.wire import Reason

Words: TypeAlias = tuple[str, str]
"""Vietnamese, English."""

WORDS: Final[Mapping[str, Words]] = {
    "tagline": (
        "Kết quả điện tử, tính lại từ từng hồ sơ",
        "Electronic results, recomputed from every dossier",
    ),
    "skip": ("Tới nội dung", "Skip to the content"),
    "overview": ("Tổng quan", "Overview"),
    "pipeline": ("Đường ống dữ liệu ra sao?", "How does the pipeline fare?"),
    "contents": ("Các phần của trang", "Parts of this page"),
    "path": ("Vị trí", "You are here"),
    "rehearsed": ("Số liệu diễn tập", "Rehearsed figures of"),
    "rehearsed_note": (
        "Đây là lịch sử được chạy lại để kiểm tra, không phải số liệu chính thức.",
        "This is history replayed to be checked, not the live figures.",
    ),
    "language": ("Ngôn ngữ", "Language"),
    "definition": ("Định nghĩa", "Definition"),
    "form": ("Dạng", "Form"),
    "reported": ("Theo báo cáo", "As reported"),
    "clean": ("Đã làm sạch", "Clean"),
    "clean_note": (
        "Dạng đã làm sạch không tính kết quả chỉ là một giấy tờ đầu vào của chính hồ sơ đó.",
        "The clean form does not count a result that is merely one of the dossier's own input papers.",
    ),
    "from": ("Từ ngày", "From"),
    "to": ("Đến ngày", "To"),
    "show_period": ("Xem", "Show"),
    "all_time": ("Toàn bộ thời gian", "All time"),
    "report_period": ("9 tháng 2023", "Jan–Sep 2023"),
    "period": ("Kỳ", "Period"),
    "everything": ("toàn bộ thời gian", "all time"),
    "since": ("từ", "from"),
    "until": ("đến", "to"),
    "filter": ("Chọn định nghĩa và kỳ", "Choose definition and period"),
    "complete_to": ("Đầy đủ đến", "Complete to"),
    "nothing_yet": ("Chưa có sự kiện nào", "Nothing yet"),
    "nothing_yet_long": (
        "Chưa có sự kiện nào tới. Trang này tự cập nhật khi sự kiện đầu tiên được ghi.",
        "No event has come yet. This page updates itself when the first one is stored.",
    ),
    "live": ("đang cập nhật", "live"),
    "paused": ("tạm dừng", "paused"),
    "lost": ("mất kết nối, đang thử lại", "connection lost, trying again"),
    "no_script": (
        "Không có JavaScript, trang không tự cập nhật; hãy tải lại trang để xem số mới.",
        "Without JavaScript the page does not update itself; reload it for newer figures.",
    ),
    "scoreboard": ("Báo cáo tháng 10/2023", "October 2023 report"),
    "scoreboard_question": (
        "Số đã công bố và số tính lại từ từng hồ sơ có khớp không?",
        "Do the published figures agree with those recomputed from dossiers?",
    ),
    "published": ("Công bố", "Published"),
    "recomputed": ("Tính lại", "Recomputed"),
    "agrees": ("Khớp", "Agrees"),
    "differs": ("Không khớp", "Differs"),
    "counting": ("Đang tính", "Counting"),
    "no_data": ("Chưa có dữ liệu", "No data yet"),
    "agree_count": ("số khớp", "figures agree"),
    "of": ("trên", "of"),
    "source": ("Nguồn", "Source"),
    "scoreboard_note": (
        "Theo ER-766-DOC, dạng báo cáo, theo ngày tiếp nhận, tháng 1–9/2023.",
        "By ER-766-DOC, as reported, by day of receipt, January–September 2023.",
    ),
    "national": ("Toàn quốc", "National"),
    "rates_of": ("Tỷ lệ theo từng định nghĩa", "Rates by definition"),
    "by_received": ("theo ngày tiếp nhận", "by day of receipt"),
    "by_completed": ("theo ngày hoàn thành", "by day of completion"),
    "by_due": ("theo ngày hẹn trả", "by due day"),
    "numerator": ("Tử số", "Numerator"),
    "denominator": ("Mẫu số", "Denominator"),
    "counts_label": ("tử số / mẫu số", "numerator / denominator"),
    "in_force": ("hiệu lực từ", "in force from"),
    "bodies": ("Bộ, ngành và địa phương", "Ministries and localities"),
    "ministry": ("Bộ, ngành", "Ministries"),
    "province": ("Địa phương", "Localities"),
    "other_bodies": ("Đơn vị khác", "Others"),
    "body_ministry": ("Bộ, cơ quan ngang bộ", "Ministry or ministerial-level agency"),
    "body_province": ("Tỉnh, thành phố", "Province or city"),
    "body_other": ("Không có trong danh mục", "Not in the register"),
    "body": ("Bộ, địa phương", "Body"),
    "pooled": ("Gộp", "Pooled"),
    "with_data": ("có dữ liệu", "with data"),
    "name": ("Tên", "Name"),
    "rate": ("Tỷ lệ", "Rate"),
    "unit": ("Đơn vị", "Unit"),
    "units": ("Các đơn vị", "Units"),
    "no_units": ("Không có hồ sơ nào trong kỳ này.", "No dossiers in this period."),
    "dossiers": ("Hồ sơ đứng sau con số", "The dossiers behind the number"),
    "dossier": ("Mã hồ sơ", "Dossier"),
    "show": ("Hiển thị", "Show"),
    "all_dossiers": ("Tất cả", "All"),
    "missing_dossiers": ("Chỉ hồ sơ còn thiếu", "Only the missing"),
    "counted": ("Có tính", "Counts"),
    "missing": ("Còn thiếu", "Missing"),
    "missing_note": (
        "Còn thiếu: có trong mẫu số nhưng không có trong tử số.",
        "Missing: in the denominator but not in the numerator.",
    ),
    "day_counted": ("Ngày tính", "Counted on"),
    "status": ("Trạng thái", "Status"),
    "system": ("Hệ thống", "System"),
    "procedure": ("Thủ tục", "Procedure"),
    "received": ("Tiếp nhận", "Received"),
    "completed": ("Hoàn thành", "Completed"),
    "due": ("Hẹn trả", "Due"),
    "no_dossiers": ("Không có hồ sơ nào khớp.", "No dossier matches."),
    "pages": ("Các trang", "Pages"),
    "previous": ("Trang trước", "Previous"),
    "next": ("Trang sau", "Next"),
    "page": ("Trang", "Page"),
    "rejected": ("Sự kiện bị loại", "Rejected events"),
    "rejected_note": (
        "Mọi sự kiện không hiểu được đều được giữ lại kèm lý do; tính từ đầu, không theo kỳ.",
        "Every event that could not be understood is kept with a reason; since the beginning, not by period.",
    ),
    "reason": ("Lý do", "Reason"),
    "meaning": ("Ý nghĩa", "What it means"),
    "events": ("Sự kiện", "Events"),
    "latest": ("Gần nhất", "Latest"),
    "total": ("Tổng", "Total"),
    "none_rejected": ("Không có sự kiện nào bị loại.", "No event was rejected."),
    "away_title": ("Cơ sở dữ liệu chưa trả lời", "The database does not answer"),
    "away": (
        "Trang vẫn chạy và tự hỏi lại. Số liệu trở lại ngay khi cơ sở dữ liệu trả lời; không mất gì cả.",
        "The page is up and asks again by itself. Figures return once the database answers; nothing is lost.",
    ),
    "unready_title": ("Cơ sở dữ liệu chưa sẵn sàng", "The database is not ready"),
    "unready": (
        "Cơ sở dữ liệu trả lời nhưng chưa có bảng mà trang cần; trang tự hỏi lại. Tiếp theo: motcua migrate",
        "The database answers, but lacks what this page reads; it asks again by itself. Next: motcua migrate",
    ),
    "bad_title": ("Địa chỉ này không hiểu được", "This address cannot be understood"),
    "missing_title": ("Không có trang này", "There is no such page"),
    "missing_page": ("Trang bạn tìm không tồn tại.", "The page you asked for does not exist."),
    "method_title": ("Trang này chỉ để đọc", "This page is for reading only"),
    "method": ("Chỉ có thể dùng GET.", "Only GET is possible."),
    "unknown_title": ("Cần tên và mật khẩu", "A name and a password are needed"),
    "unknown": (
        "Trang này chỉ dành cho người có tên trong danh sách. Hãy hỏi người quản trị trang.",
        "This page is for those on its list alone. Ask whoever runs it.",
    ),
    "not_yours_title": ("Không thuộc phạm vi của bạn", "This is not yours to see"),
    "not_yours": (
        "Bạn chỉ được xem số liệu của một bộ hoặc một địa phương; địa chỉ này hỏi về nơi khác.",
        "You may see the figures of one ministry or province; this address asks about another.",
    ),
    "elsewhere_title": ("Trang này chỉ dành cho máy này", "This page is for this machine alone"),
    "elsewhere": (
        "Hãy mở bằng 127.0.0.1 hoặc localhost. Muốn mở cho người khác, đặt MOTCUA_PAGE_READERS.",
        "Open it as 127.0.0.1 or localhost. To open it to others, set MOTCUA_PAGE_READERS.",
    ),
    "only": ("Chỉ số liệu của", "Figures of"),
    "back": ("Về tổng quan", "To the overview"),
    "parameter": ("Tham số", "Parameter"),
    "choices": ("Chọn một trong", "Choose one of"),
    "choose": ("Giá trị không có trong danh sách.", "The value is not one of the list."),
    "no_day": (
        "Không phải một ngày có thật. Viết năm-tháng-ngày, ví dụ 2023-09-30.",
        "Not a real day. Write year-month-day, for example 2023-09-30.",
    ),
    "far_day": (
        "Ngày phải nằm trong khoảng 1970-01-02 đến 2149-06-06.",
        "The day must lie between 1970-01-02 and 2149-06-06.",
    ),
    "turned": ("Ngày đầu nằm sau ngày cuối.", "The first day is after the last."),
    "to_come": ("Ngày này chưa tới.", "That day has not come yet."),
    "no_number": (
        "Không phải mã hồ sơ. Mã bắt đầu bằng mã đơn vị, ví dụ H18.21-231002-0147.",
        "Not the number of a dossier. It begins with the code of a unit, as in H18.21-231002-0147.",
    ),
    "known_on": ("Như được biết ngày", "As known on"),
    "known_long": ("Số liệu như được biết đến hết ngày", "Figures as they were known at the end of"),
    "known_note": (
        "Những gì được biết sau đó không được tính.",
        "What was learnt afterwards is left out.",
    ),
    "known_back": ("Về số liệu hiện nay", "Back to now"),
    "of_now": ("Phần này luôn nói về hiện tại.", "This always tells of now."),
    "restated": ("Thay đổi sau khi công bố", "Moved since published"),
    "restated_note": (
        (
            "Một tháng được công bố lần đầu khi tháng kết thúc. Không có trong bảng: không đổi. "
            "Trong ngoặc: thêm vào tử số / mẫu số."
        ),
        (
            "A month is first published at its end. What is not listed has not moved. "
            "In brackets: added to numerator / denominator."
        ),
    ),
    "restated_most": ("thay đổi nhiều nhất, trên tổng số", "moved most, of"),
    "restated_none": (
        "Không số liệu đã công bố nào thay đổi trong kỳ này.",
        "No published figure of this period has moved.",
    ),
    "when_published": ("Khi công bố", "When published"),
    "as_it_is": ("Hiện nay", "Now"),
    "as_known": ("Như được biết", "As known"),
    "then": ("Tỷ lệ khi đó", "The rate then"),
    "moved_by": ("Do", "By"),
    "versions": ("Các lần thay đổi đã ghi nhận", "Accepted versions"),
    "versions_note": (
        "Lần cuối ở trên; điều mới so với lần trước được tô đậm.",
        "The last is on top; what differs from the one before is bold.",
    ),
    "state_of": ("Tình trạng", "State"),
    "learnt": ("Được biết lúc", "Learnt"),
    "change_kind": ("Loại thay đổi", "Kind of change"),
    "record": ("Bản ghi đầy đủ", "Full record"),
    "progress": ("Dòng tiến độ", "Progress row"),
    "neither": ("Không tính", "Not counted"),
    "no_dossier_title": ("Không có hồ sơ này", "There is no such dossier"),
    "no_dossier": (
        "Chưa nhận được gì về hồ sơ có mã này trong phạm vi và thời điểm được hỏi.",
        "Nothing has come about a dossier of this number, within what is asked.",
    ),
    "no_page": ("Số trang phải là số nguyên dương.", "The page must be a positive whole number."),
    "no_body": (
        "Không phải mã bộ hay tỉnh. Mã có dạng G15 hoặc H18.",
        "Not the code of a ministry or province. It looks like G15 or H18.",
    ),
    "no_unit": (
        "Không phải mã đơn vị. Mã có dạng H18.21 hoặc 000.00.21.H18.",
        "Not the code of a unit. It looks like H18.21 or 000.00.21.H18.",
    ),
    "required": ("Cần có tham số này.", "This parameter is needed."),
    "foot": (
        "Tử số và mẫu số được gộp rồi mới chia; 0/0 là “–”, không phải 0 %. Giờ Việt Nam (UTC+7).",
        "Numerators and denominators are pooled, then divided; 0/0 is “–”, never 0 %. Vietnam time (UTC+7).",
    ),
    "boards": ("Các bảng", "Boards"),
    "csv": ("CSV", "CSV"),
    "csv_of": ("Tải bảng này dạng CSV", "This table as CSV"),
    "last_year": ("12 tháng qua", "Last 12 months"),
    "year_to_date": ("Từ đầu năm", "Year to date"),
    "target": ("Chỉ tiêu", "Target"),
    "no_target": ("chưa có chỉ tiêu", "no target set"),
    "recalled": ("chưa đối chiếu nguồn", "not yet checked in its source"),
    "reached": ("đạt", "reached"),
    "short_of": ("chưa đạt", "not reached"),
    "points": ("điểm %", "pp"),
    "year_before": ("so với cùng kỳ năm trước", "on the same days last year"),
    "no_year_before": (
        "Chọn ngày đầu của kỳ để so với cùng kỳ năm trước.",
        "Choose a first day to compare with the same days last year.",
    ),
    "no_before": ("không có cùng kỳ để so", "no year before to compare"),
    "standing_short": ("Vị trí", "Standing"),
    "now": ("Tỷ lệ hiện nay", "The rate now"),
    "now_question": (
        "Cả nước, các bộ và các địa phương đang ở đâu so với chỉ tiêu và năm trước?",
        "Where do the country, ministries and localities stand against target and last year?",
    ),
    "standing_note": (
        (
            "Vị trí: hạng kèm các hạng có thể (Wilson 95 %); ▲▼ so với cùng kỳ năm trước, ▽✓ so với chỉ tiêu "
            "theo điểm %. Mẫu số dưới 30 thì mờ và không xếp hạng."
        ),
        (
            "Standing: the rank and those that are possible (95 % Wilson); ▲▼ against the same days last "
            "year, ▽✓ against the target, in percentage points. Below a denominator of 30: grey, no rank."
        ),
    ),
    "rank": ("Hạng", "Rank"),
    "too_few": ("quá ít để xếp hạng", "too few to rank"),
    "interval": ("Khoảng 95 %", "95 % interval"),
    "map": ("Bản đồ ô các tỉnh, thành phố", "Provinces as tiles"),
    "map_question": ("Tỉnh, thành phố nào cao, nơi nào thấp?", "Which provinces are high, which low?"),
    "map_note": (
        "Mỗi ô một tỉnh, gần đúng vị trí; số là tỷ lệ (%). “–”: mẫu số dưới 30.",
        "A tile for each province, about where it lies, with its rate (%). “–”: a denominator below 30.",
    ),
    "trend": ("Diễn biến theo tháng", "Month by month"),
    "before": ("Năm trước", "Year before"),
    "month": ("Tháng", "Month"),
    "data": ("Xem số liệu", "Show the data"),
    "trend_none": ("Chưa có tháng nào có hồ sơ.", "No month has dossiers yet."),
    "trend_note": (
        "Tháng có mẫu số dưới 30 không được vẽ; số vẫn có trong bảng.",
        "A month with a denominator below 30 is not drawn; its counts are in the table.",
    ),
    "funnel": ("Biểu đồ phễu", "Funnel plot"),
    "funnel_question": (
        "Ai khác mức chung nhiều hơn mức ngẫu nhiên có thể gây ra?",
        "Who differs from the whole by more than chance explains?",
    ),
    "above_said": ("trên giới hạn 95 %", "above the 95 % limits"),
    "below_said": ("dưới giới hạn 95 %", "below them"),
    "funnel_pooled": ("mức gộp", "pooled"),
    "funnel_axis": ("mẫu số (thang logarit)", "denominator (logarithmic)"),
    "limits": ("giới hạn 95 % và 99 %", "95 % and 99 % limits"),
    "few_left_out": ("quá ít, không vẽ", "too few, not drawn"),
    "funnel_none": (
        "Chưa đủ ba nơi có mẫu số từ 30.",
        "Fewer than three have a denominator of 30 or more.",
    ),
    "backlog": ("Hồ sơ đang mở", "Open dossiers"),
    "backlog_note": (
        "Tính ở thời điểm “Đầy đủ đến”, không theo kỳ.",
        "As of “Complete to”, whatever the period.",
    ),
    "age": ("Tình trạng hạn", "Due"),
    "open_dossiers": ("Đang mở", "Open"),
    "of_them_overdue": ("trong đó quá hạn", "of them overdue"),
    "share": ("Tỷ trọng", "Share"),
    "systems": ("Các hệ thống chuyên ngành", "Specialised systems"),
    "all_systems": ("Mọi hệ thống", "All systems"),
    "connections": ("Kết nối", "Connections"),
    "inspection": ("Cần xem xét", "Inspection"),
    "alerts": ("Cảnh báo", "Alerts"),
    "peers": ("So với đơn vị cùng cấp", "Among units of its level"),
    "peers_said": (
        "một nửa số đơn vị cùng cấp nằm trong khoảng",
        "half of the units of its level lie between",
    ),
    "median": ("trung vị", "median"),
    "no_peers": ("Chưa đủ đơn vị cùng cấp để so.", "Too few units of its level to compare."),
    "print": ("Báo cáo về một đơn vị", "Report on a unit"),
    "definitions": ("Các định nghĩa", "Definitions"),
    "definitions_question": (
        "Mỗi tỷ lệ đếm gì, theo văn bản nào?",
        "What does each rate count, and by which text?",
    ),
    "legal_text": ("Văn bản", "Text"),
    "basis": ("Ngày tính", "Counted on"),
    "valid": ("Hiệu lực", "In force"),
    "no_text": ("chưa có địa chỉ văn bản", "no address known"),
    "targets_of": ("Chỉ tiêu trong danh mục", "Targets in the register"),
    "level": ("Cấp", "Level"),
    "indicator": ("Chỉ số", "Indicator"),
    "confirmed": ("đã đối chiếu nguồn", "checked in its source"),
    "level_ministry": ("Bộ, ngành", "Ministry"),
    "level_province": ("Tỉnh", "Province"),
    "level_district": ("Huyện", "District"),
    "level_commune": ("Xã", "Commune"),
    "level_department": ("Sở", "Department"),
    "level_agency": ("Cơ quan", "Agency"),
}

AGE_NAMES: Final[Mapping[str, Words]] = {
    "overdue_90": ("Quá hạn trên 90 ngày", "Overdue by more than 90 days"),
    "overdue_30": ("Quá hạn 31–90 ngày", "Overdue by 31–90 days"),
    "overdue_7": ("Quá hạn 8–30 ngày", "Overdue by 8–30 days"),
    "overdue": ("Quá hạn 1–7 ngày", "Overdue by 1–7 days"),
    "today": ("Đến hạn hôm nay", "Due today"),
    "week": ("Đến hạn trong 7 ngày", "Due within 7 days"),
    "later": ("Đến hạn sau 7 ngày", "Due in more than 7 days"),
    "no_due": ("Không có ngày hẹn trả", "Without a due day"),
}

KIND_NAMES: Final[Mapping[str, Words]] = {
    "learnt_late": ("Biết lần đầu", "First heard of"),
    "withdrawn": ("Rút hồ sơ", "Withdrawn"),
    "day_moved": ("Đổi ngày", "Day moved"),
    "result_added": ("Thêm kết quả", "Result added"),
    "result_removed": ("Bỏ kết quả", "Result removed"),
    "status_changed": ("Đổi trạng thái", "Status changed"),
    "other": ("Khác", "Other"),
}
"""The kinds of `rates.known.KINDS`."""

LANG_NAMES: Final[Mapping[Lang, str]] = {"vi": "Tiếng Việt", "en": "English"}

STATUSES: Final[Mapping[int, Words]] = {
    1: ("Mới đăng ký", "Newly registered"),
    2: ("Được tiếp nhận", "Accepted"),
    3: ("Không được tiếp nhận", "Refused"),
    4: ("Đang xử lý", "Processing"),
    5: ("Yêu cầu bổ sung giấy tờ", "Supplement requested"),
    6: ("Yêu cầu thực hiện nghĩa vụ tài chính", "Financial obligation due"),
    7: ("Công dân yêu cầu rút hồ sơ", "Withdrawn"),
    8: ("Dừng xử lý", "Stopped"),
    9: ("Đã xử lý xong", "Processed"),
    10: ("Đã trả kết quả", "Result returned"),
}

SYSTEM_NAMES: Final[Mapping[str, Words]] = {
    "civil_status": ("Hộ tịch", "Civil status"),
    "criminal_records": ("Lý lịch tư pháp", "Criminal records"),
    "business": ("Đăng ký doanh nghiệp", "Business registration"),
    "household_business": ("Đăng ký hộ kinh doanh", "Household business"),
    "land": ("Đất đai", "Land"),
    "environment": ("Môi trường", "Environment"),
    "other": ("Khác", "Other"),
}

REASONS: Final[Mapping[str, tuple[Words, Words]]] = {
    Reason.NOT_JSON: (
        ("Không phải JSON", "Not JSON"),
        (
            "Thông điệp không phải UTF-8 hoặc không phải JSON đúng chuẩn; không đọc được bản ghi nào.",
            "The message is not UTF-8 or not strict JSON; no record in it could be read.",
        ),
    ),
    Reason.TOO_LARGE: (
        ("Quá lớn", "Too large"),
        (
            "Thông điệp lớn hơn 8 MiB. Hãy gửi ít hồ sơ hơn trong một lần gọi.",
            "The message is larger than 8 MiB. Send fewer dossiers in one call.",
        ),
    ),
    Reason.TOO_DEEP: (
        ("Lồng quá sâu", "Nested too deeply"),
        (
            "JSON lồng nhau sâu hơn mức bộ giải mã chấp nhận.",
            "The JSON is nested deeper than the decoder follows.",
        ),
    ),
    Reason.TOO_MANY_RECORDS: (
        ("Quá nhiều bản ghi", "Too many records"),
        (
            "Một lần gọi có hơn 500 bản ghi. Hãy chia thành nhiều lần gọi.",
            "One call has more than 500 records. Split it into several calls.",
        ),
    ),
    Reason.NOT_A_CALL: (
        ("Không phải lời gọi đồng bộ", "Not a sync call"),
        (
            "Tên dịch vụ không phải DongBoHoSoMC hay CapNhatTienDoHoSoMC, hoặc data không phải danh sách.",
            "The service is neither DongBoHoSoMC nor CapNhatTienDoHoSoMC, or data is not a list.",
        ),
    ),
    Reason.BAD_FIELD: (
        ("Trường không dùng được", "Unusable field"),
        (
            "Bản ghi không phải đối tượng, hoặc dòng tiến độ không có thời điểm xử lý.",
            "The record is not an object, or a progress row has no time of progress.",
        ),
    ),
    Reason.BAD_NUMBER: (
        ("Sai mã hồ sơ", "Bad dossier number"),
        (
            "MaHoSo không bắt đầu bằng mã một đơn vị, nên không biết hồ sơ của ai.",
            "MaHoSo does not begin with the code of a unit, so nobody can tell whose dossier it is.",
        ),
    ),
    Reason.WRONG_UNIT: (
        ("Sai đơn vị", "Wrong unit"),
        (
            "madonvi không phải đơn vị của hồ sơ, cấp trên hay đơn vị kế thừa của nó.",
            "madonvi is not the dossier's unit, one above it, or a successor of one of these.",
        ),
    ),
    Reason.UNKNOWN_STATUS: (
        ("Trạng thái lạ", "Unknown status"),
        ("Trạng thái không thuộc các mã từ 1 đến 10.", "The status is not one of the codes 1 to 10."),
    ),
    Reason.REFUSED: (
        ("Kho dữ liệu từ chối", "Refused by the database"),
        (
            "Cơ sở dữ liệu không lưu được trạng thái mà bản ghi này dẫn tới.",
            "The database will not store the state that the record leads to.",
        ),
    ),
}

_LOCAL: Final = timezone(timedelta(hours=7))
_SPANS: Final = (
    (2 * 365 * 86_400, 365 * 86_400, ("năm", "years")),
    (60 * 86_400, 30 * 86_400, ("tháng", "months")),
    (2 * 86_400, 86_400, ("ngày", "days")),
    (2 * 3600, 3600, ("giờ", "hours")),
    (120, 60, ("phút", "minutes")),
)


def say(words: Words, lang: Lang) -> str:
    """One of the two."""
    return words[LANGS.index(lang)]


def count(number: int, lang: Lang) -> str:
    """A count with its thousands apart: 1.234.567 in Vietnamese, 1,234,567 in English."""
    return f"{number:,}".replace(",", "." if lang == "vi" else ",")


def decimal(text: str, lang: Lang) -> str:
    """A figure printed the English way, in the language's way: points and commas change places."""
    if lang == "en":
        return text
    return text.translate(_SWAPPED).replace(" of ", " / ").replace("over ", "trên ")


_SWAPPED: Final = str.maketrans(",.", ".,")


def moment(time: int | None, lang: Lang) -> str:
    """A local time to the minute; "–" for none."""
    if not time:
        return "–"
    local = datetime.fromtimestamp(time, UTC).astimezone(_LOCAL)
    return local.strftime("%H:%M %d/%m/%Y" if lang == "vi" else "%Y-%m-%d %H:%M")


def iso(time: int | None) -> str | None:
    """A local time as programs read it: 2023-10-01T09:30:00+07:00."""
    return datetime.fromtimestamp(time, UTC).astimezone(_LOCAL).isoformat() if time else None


def day(text: str, lang: Lang) -> str:
    """A day `YYYY-MM-DD` as the language writes it."""
    return "/".join(reversed(text.split("-"))) if lang == "vi" else text


def ago(seconds: int, lang: Lang) -> str:
    """How long ago, in one coarse unit, so that it changes seldom."""
    for least, unit, words in _SPANS:
        if seconds >= least:
            number = Fraction(seconds, unit).__floor__()
            return f"{number} {words[0]} trước" if lang == "vi" else f"{number} {words[1]} ago"
    return "vừa xong" if lang == "vi" else "just now"
