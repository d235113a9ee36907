"""WordPressClient: every request to one WordPress goes through here, with its password, time limit and meaning of errors."""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from integrations.cms.own_site import OwnSite, first_words, parsed, without_secrets
from integrations.errors import NotFound, Refused, Unavailable
from integrations.http import Answer

PATHS = ("/wp-json", "/?rest_route=")
"""Where the REST API answers: with readable permalinks, and without."""
Query = Mapping[str, str | int]


class PastTheEnd(Refused):
    """A page of a list that there is not: the list has become shorter."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What WordPress said: one thing, or a list of them.

    pages: how many a list has, 0 if untold. methods: of HTTP, that this user may use there.
    """

    things: list[dict[str, Any]]
    pages: int = 0
    methods: frozenset[str] = frozenset()

    @property
    def thing(self) -> dict[str, Any]:
        """The one."""
        return self.things[0]


class WordPressClient:
    """Speaks to the REST API of one site as one user. Follows no redirect, so that the password stays with its site."""

    def __init__(self, url: str, user: str, password: str, *, timeout_s: float = 60, allow_http: bool = False) -> None:
        """url: of the site, as its visitors know it. password: an application password of `user`. timeout_s: for one
        request, uploads and the site's own work on them included.

        Raises ValueError for an address that is not https, unless it is this machine's or allow_http is set, and for a
        name or password that cannot be sent.
        """
        self._site = OwnSite("wordpress", url, "password", timeout_s=timeout_s, allow_http=allow_http)
        if not user or not password or ":" in user or not (user + password).isprintable():
            raise ValueError(f"wordpress: user {user!r} needs an application password, and neither may hold control characters "
                             f"nor the name a colon")
        self._user = user
        self._secrets = (password, base64.b64encode(f"{user}:{password}".encode()).decode())

    @property
    def name(self) -> str:
        """The site as an error shows it."""
        return self._site.name

    def get(self, route: str, query: Query, keys: Collection[str] = ("id",)) -> Reply:
        """What is at `route`, such as "posts/7", each thing with these keys. Raises NotFound, Refused, Unavailable."""
        return self._call("GET", route, query, keys)

    def post(self, route: str, fields: Mapping[str, Any], query: Query) -> Reply:
        """Change what is at `route`. Raises NotFound, Refused, Unavailable."""
        return self._call("POST", route, query, ("id",), json=dict(fields))

    def upload(self, fields: Mapping[str, str], file: tuple[str, bytes, str], keys: Collection[str]) -> Reply:
        """Add a file (its name, bytes and content type) to the library. Raises Refused, Unavailable."""
        return self._call("POST", "media", {"context": "edit"}, keys, data=dict(fields), files={"file": file})

    def _call(self, method: str, route: str, query: Query, keys: Collection[str], **body: Any) -> Reply:
        answer, what = self._send(method, f"{self._root}/wp/v2/{route}", query, **body), f"{method} {route}"
        content = self._understood(answer, what)
        things = content if isinstance(content, list) and "/" not in route else [content]
        if not all(isinstance(thing, dict) and thing.keys() >= set(keys) for thing in things):
            raise Refused(f"wordpress: {self.name}: {what}: the answer lacks {', '.join(keys)}")
        return Reply(things=things, pages=_number(answer.headers.get("x-wp-totalpages", "")),
                     methods=frozenset(answer.headers.get("allow", "").replace(" ", "").split(",")))

    @cached_property
    def _root(self) -> str:
        """Where the API answers, found out once. Raises Refused for a site without one, or one that takes no passwords."""
        for path in PATHS:
            answer = self._send("GET", f"{path}/", {"_fields": "namespaces,authentication"})
            index = parsed(answer)
            if isinstance(index, dict) and "wp/v2" in index.get("namespaces", ()):
                if "application-passwords" not in index.get("authentication", ()):
                    raise Refused(f"wordpress: {self.name} takes no application passwords; it must be served over https, "
                                  "and no plugin may have turned them off")
                return path
            if answer.status in (401, 403, 429) or answer.status >= 500:
                self._understood(answer, "GET the index of its API")
        raise Refused(f"wordpress: {self.name} answers neither at {PATHS[0]}/ nor at {PATHS[1]}/ as a WordPress does; "
                      "give the address of the site's front page")

    def _send(self, method: str, path: str, query: Query, **body: Any) -> Answer:
        way, _, rest_route = path.partition("?rest_route=")
        params = dict(query) | ({"rest_route": rest_route} if rest_route else {})
        headers = {"Authorization": f"Basic {self._secrets[1]}", "Accept": "application/json"}
        return self._site.send(method, way, params=params, headers=headers, **body)

    def _understood(self, answer: Answer, what: str) -> Any:
        """The JSON of an answer that went well. Raises what another one means."""
        content = parsed(answer)
        if answer.status < 300 and content is not None:
            return content
        code, message = (str(content.get(key, "")) for key in ("code", "message")) if isinstance(content, dict) else ("", "")
        said = without_secrets(f"{message} ({code})" if code else first_words(answer), self._secrets)
        told = f"wordpress: {self.name}: {what}: status {answer.status}: {said}"
        if answer.status < 300:
            raise Refused(f"wordpress: {self.name}: {what}: the answer is not JSON but {said!r}")
        if code == "rest_post_invalid_page_number":
            raise PastTheEnd(told)
        if answer.status in (404, 410):
            raise NotFound(told)
        if answer.status == 401:
            raise Refused(f"{told}; the user name {self._user!r} or the application password is not accepted")
        if answer.status == 403:
            raise Refused(f"{told}; the user {self._user!r} needs the role of an editor, or of the post's author")
        # A type of file that the site does not take comes as an error of the server, but will not pass by itself.
        if answer.status == 429 or (answer.status >= 500 and not code.startswith("rest_upload_")):
            raise Unavailable(told)
        raise Refused(told)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
