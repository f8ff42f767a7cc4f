"""A Grafana as its HTTP API is, as far as dashboards and alert rules go: what it stores, adds and refuses.

After the HTTP API reference of Grafana 13 (dashboards, folders, data sources, alerting provisioning): answers
are JSON with a `message`; a dashboard gets an `id` and a `version`; rules get what the server adds to them.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

TOKEN = "glsa_editor"
SOURCE = "motcua-clickhouse"


class Grafana:
    """What is stored, by uid; and what it does wrong on demand."""

    def __init__(self) -> None:
        self.address = ""
        self.sources = {SOURCE}
        self.folders: dict[str, str] = {}
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.placed: dict[str, str] = {}
        self.groups: dict[tuple[str, str], dict[str, Any]] = {}
        self.provisioned: set[str] = set()
        self.status = 0

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._admit])
        app.add_routes(
            [
                web.get("/api/datasources/uid/{uid}", self._source),
                web.get("/api/folders/{uid}", self._folder),
                web.post("/api/folders", self._new_folder),
                web.get("/api/dashboards/uid/{uid}", self._dashboard),
                web.post("/api/dashboards/db", self._save),
                web.get("/api/v1/provisioning/folder/{folder}/rule-groups/{group}", self._rules),
                web.put("/api/v1/provisioning/folder/{folder}/rule-groups/{group}", self._put_rules),
            ]
        )
        return app

    @web.middleware
    async def _admit(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.status:
            return said(self.status, "something is wrong")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return said(401, "Invalid API key")
        try:
            answer: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            return said(404, "Not found")
        return answer

    async def _source(self, request: web.Request) -> web.Response:
        uid = request.match_info["uid"]
        return web.json_response({"uid": uid}) if uid in self.sources else said(404, "Data source not found")

    async def _folder(self, request: web.Request) -> web.Response:
        uid = request.match_info["uid"]
        if uid not in self.folders:
            return said(404, "folder not found")
        return web.json_response({"uid": uid, "title": self.folders[uid]})

    async def _new_folder(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if not asked.get("title"):
            return said(400, "folder title cannot be empty")
        if asked["uid"] in self.folders:
            return said(412, "a folder with the same uid already exists")
        self.folders[asked["uid"]] = asked["title"]
        return web.json_response({"id": len(self.folders), **asked})

    async def _dashboard(self, request: web.Request) -> web.Response:
        uid = request.match_info["uid"]
        if uid not in self.dashboards:
            return said(404, "Dashboard not found")
        meta = {"folderUid": self.placed[uid], "provisioned": uid in self.provisioned}
        return web.json_response({"dashboard": self.dashboards[uid], "meta": meta})

    async def _save(self, request: web.Request) -> web.Response:
        asked = await request.json()
        document = asked.get("dashboard") or {}
        uid = document.get("uid", "")
        if not document.get("title"):
            return said(400, "Dashboard title cannot be empty")
        if asked.get("folderUid") and asked["folderUid"] not in self.folders:
            return said(400, "folder not found")
        if uid in self.provisioned:
            return said(400, "Cannot save provisioned dashboard")
        before = self.dashboards.get(uid)
        if before and not asked.get("overwrite"):
            return said(412, "The dashboard has been changed by someone else")
        version = before["version"] + 1 if before else 1
        number = before["id"] if before else len(self.dashboards) + 1
        self.dashboards[uid] = {**document, "id": number, "version": version}
        self.placed[uid] = asked.get("folderUid", "")
        return web.json_response({"status": "success", "uid": uid, "id": number, "version": version})

    async def _rules(self, request: web.Request) -> web.Response:
        key = (request.match_info["folder"], request.match_info["group"])
        return (
            web.json_response(self.groups[key]) if key in self.groups else said(404, "rule group not found")
        )

    async def _put_rules(self, request: web.Request) -> web.Response:
        folder, group = request.match_info["folder"], request.match_info["group"]
        asked = await request.json()
        if folder not in self.folders:
            return said(400, "folder not found")
        for rule in asked["rules"]:
            if not {"title", "condition", "data", "noDataState", "execErrState", "for"} <= set(rule):
                return said(400, "invalid alert rule")
            if rule["condition"] not in {query["refId"] for query in rule["data"]}:
                return said(400, "invalid alert rule: condition does not exist")
        added = {"updated": "2026-01-05T09:30:00Z", "provenance": "api", "isPaused": False}
        rules = [{"id": at, **rule, **added} for at, rule in enumerate(asked["rules"], 1)]
        self.groups[folder, group] = {**asked, "rules": rules}
        return web.json_response(self.groups[folder, group])


def said(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


@contextmanager
def running() -> Iterator[Grafana]:
    """A Grafana that answers on loopback, in a thread of its own: what asks it blocks."""
    grafana, loop, ended = Grafana(), asyncio.new_event_loop(), asyncio.Event()
    ready = threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(grafana.application(), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            grafana.address = f"http://{host}:{port}"
            ready.set()
            await ended.wait()
        finally:
            await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield grafana
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
