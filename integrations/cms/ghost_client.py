"""GhostClient: every request to one Ghost goes through here, with its token, time limit and meaning of errors."""

import base64
import hmac
import json
import re
import time
from collections.abc import Collection, Mapping
from typing import Any

from integrations.cms.own_site import OwnSite, first_words, parsed, without_secrets
from integrations.errors import NotFound, Refused, Unavailable
from integrations.http import Answer

ROOT = "/ghost/api/admin"
TOKEN_S = 300
"""Ghost takes no token that lasts longer, nor one made longer ago."""
VERSION = "v5.0"
"""Of the API that we speak. Later versions of Ghost answer it as long as they can."""
_KEY = re.compile(r"([0-9a-f]{24}):([0-9a-f]{64})")
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<>]{1,300})</title", re.I)
Query = Mapping[str, str | int]
Thing = dict[str, Any]


class SavedMeanwhile(Refused):
    """The post is not as it was when it was read: somebody has saved it."""


class GhostClient:
    """Speaks to the Admin API of one site with one key. Follows no redirect, so that the key's tokens stay with their site."""

    def __init__(self, url: str, admin_key: str, *, timeout_s: float = 60, allow_http: bool = False) -> None:
        """url: where the site's /ghost/ is. admin_key: ID:SECRET as an integration of the site shows it. timeout_s: for one
        request, uploads and the site's own work on them included.

        Raises ValueError for an address that is not https, unless it is this machine's or allow_http is set, and for what is
        no such key.
        """
        self._site = OwnSite("ghost", url, "key", timeout_s=timeout_s, allow_http=allow_http)
        found = _KEY.fullmatch(admin_key)
        if not found:
            raise ValueError(f"ghost: the admin key must be 24 hex digits, a colon and 64 hex digits; this one has "
                             f"{len(admin_key)} characters{_guess(admin_key)}. It stands in Ghost's settings, Integrations, "
                             "on the page of a custom integration, as Admin API key")
        self._key_id, self._secret = found[1], found[2]

    @property
    def name(self) -> str:
        """The site as an error shows it."""
        return self._site.name

    def get(self, route: str, query: Query, keys: Collection[str] = ("id",)) -> list[Thing]:
        """The things at `route`, such as "posts/ID", each with these keys. Raises NotFound, Refused, Unavailable."""
        return self._call("GET", route, keys, params=dict(query))

    def put(self, route: str, fields: Thing) -> None:
        """Change what is at `route`. Raises SavedMeanwhile, NotFound, Refused, Unavailable."""
        self._call("PUT", route, ("id",), json={route.partition("/")[0]: [fields]})

    def upload(self, file: tuple[str, bytes, str]) -> str:
        """Add a picture (its name, bytes and content type) to the site's; its address. Raises Refused, Unavailable."""
        return str(self._call("POST", "images/upload", ("url",), files={"file": file}, data={"purpose": "image"})[0]["url"])

    def _call(self, method: str, route: str, keys: Collection[str], **rest: Any) -> list[Thing]:
        token = _make_token(self._key_id, bytes.fromhex(self._secret), time.time())
        headers = {"Authorization": f"Ghost {token}", "Accept-Version": VERSION, "Accept": "application/json"}
        answer, what = self._site.send(method, f"{ROOT}/{route}/", headers=headers, **rest), f"{method} {route}"
        content = self._understood(answer, what, token)
        things = content.get(route.partition("/")[0]) if isinstance(content, dict) else None
        if not isinstance(things, list) or not all(isinstance(thing, dict) and thing.keys() >= set(keys) for thing in things):
            raise Refused(f"ghost: {self.name}: {what}: the answer lacks {', '.join(keys)}")
        return things

    def _understood(self, answer: Answer, what: str, token: str) -> Any:
        """The JSON of an answer that went well. Raises what another one means."""
        content = parsed(answer)
        if answer.status < 300 and content is not None:
            return content
        error = _error_in(content)
        said = without_secrets(_told(error) if error else _page(answer), (self._secret, token))
        told = f"ghost: {self.name}: {what}: status {answer.status}: {said}"
        if answer.status < 300:
            raise Refused(f"ghost: {self.name}: {what}: the answer is not JSON but {said!r}")
        if answer.status == 429 or answer.status >= 500:
            raise Unavailable(told + _wait(answer))
        if not error and answer.status in (404, 406, 410):
            raise Refused(f"{told}; no Ghost answers here: give the address that its /ghost/ is at")
        if answer.status in (404, 410):
            raise NotFound(told)
        if answer.status == 409 and error.get("type") == "UpdateCollisionError":
            raise SavedMeanwhile(told)
        if answer.status == 401 and error:
            raise Refused(f"{told}; the admin key {self._key_id}:... is not accepted{_clock(said)}")
        if answer.status == 403 and error:
            raise Refused(f"{told}; use the Admin API key of a custom integration, or of staff with the role of an editor")
        raise Refused(told)


def _make_token(key_id: str, secret: bytes, now: float) -> str:
    """A token for the Admin API. now: seconds since the epoch.

    Source: RFC 7519 (JSON Web Token) with HS256; Ghost's documentation, "Token authentication".
    """
    parts = ({"alg": "HS256", "typ": "JWT", "kid": key_id}, {"iat": int(now), "exp": int(now) + TOKEN_S, "aud": "/admin/"})
    signed = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return f"{signed}.{_encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _error_in(content: Any) -> Mapping[str, Any]:
    """The first of Ghost's errors in an answer; empty for an answer that is not Ghost's."""
    errors = content.get("errors") if isinstance(content, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return first if isinstance(first, dict) else {}


def _told(error: Mapping[str, Any]) -> str:
    """Message, context and type. The context says what is wrong where the message only says that something is."""
    words = dict.fromkeys(str(error[key]) for key in ("message", "context") if error.get(key))
    return f"{' '.join(words)} ({error.get('type', 'error')})"


def _page(answer: Answer) -> str:
    """What a page that is not Ghost's JSON says: its title, such as of the one that Ghost shows while it starts."""
    title = _TITLE.search(answer.body[:4000].decode("utf-8", "replace"))
    return f"a page with the title {title[1].strip()!r}" if title else first_words(answer)


def _wait(answer: Answer) -> str:
    asked = answer.headers.get("retry-after", "")
    return f"; it asks to be left alone for {asked} s" if asked.isascii() and asked.isdecimal() and len(asked) < 7 else ""


def _clock(said: str) -> str:
    is_late = any(word in said for word in ("expired", "maxAge", "not active"))
    return ": the clocks of this machine and of the site are more than five minutes apart" if is_late else ""


def _guess(key: str) -> str:
    """What was given instead of an Admin API key, where it can be told."""
    if re.fullmatch(r"[0-9a-f]{26}", key):
        return " and looks like a Content API key, which can only read"
    return ", spaces around them" if _KEY.fullmatch(key.strip()) else ""
