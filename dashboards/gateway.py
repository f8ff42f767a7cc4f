"""What this program asks of a Grafana: folders, dashboards, alert rules. The rest is its operator's.

Through `grafana-api`, and through that package's plain HTTP where it does not know an interface (alert rules,
data sources by uid). Contact points, policies and the data source come by files (`infra/grafana`): the first
two replace what a whole organisation has, the last holds a password.

Raises `Retry` while Grafana is away and `Fatal` for what it refuses; both say what to do next.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from rates.failures import Fatal, Retry

T = TypeVar("T")

TIMEOUT: Final = 10.0
_SERVERS: Final = ("id", "version")
"""What the server gives to a dashboard beside what was sent."""


class Gateway:
    """One Grafana. Use it as a context: at its end the connections close."""

    def __init__(self, address: str, token: str) -> None:
        """`address`: http://host[:port][/path]. `token`: of a service account with the role Admin, which
        alone may read data sources and set alert rules."""
        from grafana_api.grafana_face import GrafanaFace

        parts = urlsplit(address)
        path = parts.path.strip("/")
        self._face = GrafanaFace(
            auth=token,
            host=f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname,
            port=parts.port,
            protocol=parts.scheme,
            url_path_prefix=f"{path}/" if path else "",
            timeout=TIMEOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._face.api.s.close()

    def has_source(self, uid: str) -> bool:
        """Whether there is a data source of that uid."""
        return self._there(lambda: self._face.api.GET(f"/datasources/uid/{uid}")) is not None

    def put_folder(self, uid: str, title: str) -> None:
        """Make the folder unless it is there; a title that somebody gave it stays."""
        if self._there(lambda: self._face.folder.get_folder(uid)) is None:
            self._done(lambda: self._face.folder.create_folder(title, uid))

    def dashboard(self, uid: str) -> dict[str, Any] | None:
        """The dashboard of that uid as it was sent, None where there is none."""
        found = self._there(lambda: self._face.dashboard.get_dashboard(uid))
        if found is None:
            return None
        return {name: value for name, value in found["dashboard"].items() if name not in _SERVERS}

    def put_dashboard(self, folder: str, document: Mapping[str, Any]) -> None:
        """Make a dashboard what `document` says, whatever it was before."""
        body = {"dashboard": {**document, "id": None}, "folderUid": folder, "overwrite": True}
        self._done(lambda: self._face.dashboard.update_dashboard(body))

    def rules(self, folder: str, group: str) -> dict[str, Any] | None:
        """A group of alert rules, None where there is none."""
        return self._there(lambda: self._face.api.GET(_group(folder, group)))

    def put_rules(self, rules: Mapping[str, Any]) -> None:
        """Make a group of alert rules what `rules` says, as `alarms.pushed` has it."""
        self._done(lambda: self._face.api.PUT(_group(rules["folderUid"], rules["title"]), json=rules))

    def _there(self, ask: Callable[[], T]) -> T | None:
        from grafana_api.grafana_api import GrafanaClientError

        try:
            return self._done(ask, missing=GrafanaClientError)
        except GrafanaClientError:
            return None

    def _done(self, ask: Callable[[], T], missing: type[Exception] | None = None) -> T:
        """Ask, and name what goes wrong. `missing` lets the package's own "not found" through."""
        from grafana_api.grafana_api import GrafanaClientError, GrafanaServerError

        try:
            return ask()
        except GrafanaServerError as error:
            raise Retry("grafana", f"{error.message}. Next: look at its log") from error
        except GrafanaClientError as error:
            if missing and error.status_code == 404:
                raise
            raise Fatal(_refused(error.status_code, error.message)) from error
        except ValueError as error:  # an OSError of requests, too, so it comes first
            raise Retry("grafana", "its answer is not JSON. Next: is MOTCUA_GRAFANA its address?") from error
        except OSError as error:
            raise Retry(
                "grafana", f"{type(error).__name__}. Next: is it running at MOTCUA_GRAFANA?"
            ) from error


def _group(folder: str, group: str) -> str:
    return f"/v1/provisioning/folder/{folder}/rule-groups/{group}"


def _refused(status: int, message: str) -> str:
    if status in (401, 403):
        return f"grafana: {message}. Next: MOTCUA_GRAFANA_TOKEN=… of a service account with the role Admin"
    if "provisioned" in message.lower() or "provenance" in message.lower():
        return f"grafana: {message}. Next: nothing to push, files keep it; motcua dashboards check compares"
    return f"grafana: {message}. Next: motcua dashboards check"


def holds(found: Any, sent: Any) -> bool:
    """Whether what was read back has all that was sent; a server adds names of its own to rules."""
    if isinstance(sent, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and holds(found[name], value) for name, value in sent.items()
        )
    if isinstance(sent, list):
        return (
            isinstance(found, list)
            and len(found) == len(sent)
            and all(holds(one, other) for one, other in zip(found, sent, strict=True))
        )
    return bool(found == sent)
