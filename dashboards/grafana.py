"""Grafana's dashboards, made from the same panels and boards as the page, once in each language.

The output is the same for the same panels: ids and uids are fixed, keys are sorted. It is committed under
`dashboards/generated`, so only who changes panels needs the foundation SDK, a development dependency.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from dashboards.boards import BOARDS, Board
from dashboards.choices import variable, with_following
from dashboards.columns import said
from dashboards.macros import ZONE
from dashboards.page.asked import LANGS, Lang
from dashboards.panels import Panel, panel
from dashboards.plugin import uid
from dashboards.visuals import visual

SDK: Final = "0.0.21"
GENERATED: Final = "generated"


def generated() -> dict[str, str]:
    """The dashboards that are committed: path below `generated` → text."""
    root = files("dashboards") / GENERATED
    return {
        f"{folder}/{entry.name}": entry.read_text(encoding="utf-8")
        for folder in LANGS
        for entry in sorted((root / folder).iterdir(), key=lambda one: one.name)
    }


def built() -> dict[str, str]:
    """What should be committed. Needs the foundation SDK: `ImportError` without it."""
    return {f"{lang}/{board.id}.json": text(dashboard(board, lang)) for board in BOARDS for lang in LANGS}


def text(document: object) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def widths(shown: Sequence[Panel]) -> list[int]:
    """How wide each panel is, of 24: two pictures that follow each other share a row, all else has one."""
    found: list[int] = []
    while len(found) < len(shown):
        pair = shown[len(found) : len(found) + 2]
        halves = len(pair) == 2 and all(one.shape in ("series", "heat", "map") for one in pair)
        found += [12, 12] if halves else [24]
    return found


def dashboard(board: Board, lang: Lang) -> dict[str, Any]:
    """A board as a dashboard of Grafana (v1)."""
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import dashboard as model

    made = (
        build.Dashboard(said((board.title_vi, board.title_en), lang))
        .uid(uid(board, lang))
        .tags(["motcua", f"motcua-{lang}"])
        .timezone(ZONE)
        .week_start("monday")
        .time("now-90d", "now")
        .refresh("1m")
        .readonly()
        .variables([variable(name, lang) for name in with_following(board)])
        .link(
            build.DashboardLink(said(("Các bảng", "Boards"), lang))
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([f"motcua-{lang}"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    shown = [panel(identifier) for identifier in dict.fromkeys(("freshness", *board.panels))]
    for one, width in zip(shown, widths(shown), strict=True):
        made = made.with_panel(visual(one, board, lang, width))
    found: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(made.build()))
    return found
