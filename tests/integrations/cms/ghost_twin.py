"""A twin of Ghost's Admin API over real HTTP, for machines without a Ghost: what 5.130.6 was seen to answer, and no more.

The contract suite and test_ghost.py run on it and, with --ghost, on the real one: there it shows where the twin is wrong.
"""

import asyncio
import base64
import hmac
import io
import json
import re
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, UploadFile
from fastapi.responses import JSONResponse, Response
from PIL import Image

API = "/ghost/api/admin"
OWNER = "owner's session"
SENT = ("title", "html", "status", "custom_excerpt", "feature_image", "feature_image_alt", "feature_image_caption", "og_image",
        "twitter_image", "visibility", "meta_description")
META = ("feature_image_alt", "feature_image_caption", "og_image", "twitter_image", "meta_description")
"""Kept in another table, at whose changes Ghost looks for no collision."""
FILTER = re.compile(r"status:\[([a-z,]+)\]\+id:>'([0-9a-f]{24})'(?:\+updated_at:>='([^']+)')?")


class Said(Exception):
    """An answer that is an error of Ghost's."""

    def __init__(self, status, kind, message, context=None, code=None):
        self.status = status
        self.error = {"message": message, "context": context, "type": kind, "details": None, "code": code, "help": None}


@dataclass
class GhostTwin:
    """A site in memory. ask: as its owner, like the real one's."""

    url: str = ""
    admin_key: str = field(default_factory=lambda: f"{secrets.token_hex(12)}:{secrets.token_hex(32)}")
    posts: dict[str, dict] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def ask(self, method, route, **more):
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30, cookies={"session": OWNER}) as owner:
            answer = owner.request(method, f"{API}/{route}", **more)
        return answer.raise_for_status().json() if answer.content else {}

    def check_token(self, header):
        token = header.removeprefix("Ghost ")
        if token == header or token.count(".") != 2:
            raise Said(401, "UnauthorizedError", "Authorization header format is \"Authorization: Ghost [token]\"")
        signed, _, given = token.rpartition(".")
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in signed.split("."))
        key_id, secret = self.admin_key.split(":")
        if head["kid"] != key_id:
            raise Said(401, "UnauthorizedError", "Unknown Admin API Key", code="UNKNOWN_ADMIN_API_KEY")
        mac = base64.urlsafe_b64encode(hmac.digest(bytes.fromhex(secret), signed.encode(), "sha256")).decode().rstrip("=")
        trouble = ("invalid algorithm" if head["alg"] != "HS256" else "invalid signature" if mac != given else
                   "jwt expired" if min(claims["exp"], claims["iat"] + 300) <= time.time() else
                   "jwt audience invalid. expected: /\\/?admin\\/?$/" if claims["aud"] not in ("/admin/", "admin") else "")
        if trouble:
            raise Said(401, "UnauthorizedError", f"Invalid token: {trouble}", code="INVALID_JWT")

    def find(self, post_id, doing):
        if not re.fullmatch(r"[0-9a-f]{24}", post_id):
            raise Said(422, "ValidationError", f"Validation error, cannot {doing} post.", "Validation (matches) failed for id")
        if post_id not in self.posts:
            raise Said(404, "NotFoundError", f"Resource not found error, cannot {doing} post.", "Post not found.")
        return self.posts[post_id]

    def listed(self, query):
        statuses, last, since = FILTER.fullmatch(query["filter"]).groups()
        # SQLite compares the letters of a moment, so one that is written with a T comes after all of its day.
        found = [post for post in self.posts.values() if post["status"] in statuses.split(",") and post["id"] > last
                 and (since is None or post["updated_at"][:19].replace("T", " ") >= since)]
        ids = sorted(post["id"] for post in found)[: int(query["limit"])]
        return [{"id": post_id} for post_id in ids]

    def add(self, sent):
        post_id = f"{int(time.time()):08x}{len(self.posts) + 1:016x}"
        slug = f"post-{len(self.posts) + 1}"
        self.posts[post_id] = post = dict.fromkeys(SENT) | {
            "id": post_id, "status": "draft", "visibility": "public", "url": f"{self.url}/{slug}/", "tags": [], "authors": []}
        post["tags"] = [{"name": name, "visibility": "internal" if name.startswith("#") else "public"}
                        for name in sent.pop("tags", [])]
        self.save(post, sent)
        return post

    def edit(self, post, sent):
        if "updated_at" not in sent:
            raise Said(422, "ValidationError", "Validation error, cannot edit post.", "Validation failed for posts[0].")
        if len(sent.get("feature_image_alt") or "") > 191:
            raise Said(422, "ValidationError", "Validation error, cannot edit post.",
                       "Value in [posts_meta.feature_image_alt] exceeds maximum length of 191 characters.")
        is_noticed = any(post[key] != sent[key] for key in SENT if key in sent and key not in META)
        if is_noticed and sent["updated_at"] != post["updated_at"]:
            said = "Saving failed! Someone else is editing this post."
            raise Said(409, "UpdateCollisionError", said, said, "UPDATE_COLLISION")
        self.save(post, sent)

    @staticmethod
    def save(post, sent):
        changes = {key: sent[key] for key in SENT if key in sent}
        post |= {key: None if value == "" and key in (*META, "feature_image") else value for key, value in changes.items()}
        post["updated_at"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def keep(self, name, data):
        try:
            Image.open(io.BytesIO(data)).verify()
        except OSError:
            raise Said(400, "BadRequestError", "Request not understood error, cannot upload image.",
                       "Image processing failed Unable to manipulate image.") from None
        # The name comes as Latin-1, so that three dashes stand for one Chinese character.
        stem, dot, suffix = re.sub(r"[^A-Za-z0-9_@.]", "-", name.encode().decode("latin-1")).rpartition(".")
        numbers = ("", *(f"-{number}" for number in range(1, len(self.files) + 1)))
        places = (f"2026/11/{stem}{number}{dot}{suffix}" for number in numbers)
        place = next(place for place in places if place not in self.files)
        self.files[place] = data
        return f"{self.url}/content/images/{place}"


def build_app(twin):
    app = FastAPI(redirect_slashes=False)

    @app.exception_handler(Said)
    async def tell(request, said):
        return JSONResponse({"errors": [said.error]}, said.status)

    @app.middleware("http")
    async def check(request: Request, call_next):
        if request.url.path.startswith(API) and request.cookies.get("session") != OWNER:
            try:
                twin.check_token(request.headers.get("authorization", ""))
            except Said as said:
                return await tell(request, said)
        return await call_next(request)

    @app.get(f"{API}/posts/")
    async def browse(request: Request):
        return {"posts": twin.listed(request.query_params), "meta": {}}

    @app.post(f"{API}/posts/", status_code=201)
    async def add(request: Request):
        return {"posts": [twin.add((await request.json())["posts"][0])]}

    @app.get(f"{API}/posts/{{post_id}}/")
    async def read(post_id: str):
        return {"posts": [twin.find(post_id, "read")]}

    @app.put(f"{API}/posts/{{post_id}}/")
    async def edit(post_id: str, request: Request):
        post = twin.find(post_id, "edit")
        twin.edit(post, (await request.json())["posts"][0])
        return {"posts": [post]}

    @app.delete(f"{API}/posts/{{post_id}}/", status_code=204)
    async def delete(post_id: str):
        del twin.posts[twin.find(post_id, "delete")["id"]]
        return Response(status_code=204)

    @app.get(f"{API}/users/me/")
    async def me():
        raise Said(404, "NotFoundError", "Resource not found error, cannot read user.", "User not found.")

    @app.post(f"{API}/images/upload/", status_code=201)
    async def upload(file: UploadFile):
        return {"images": [{"url": twin.keep(file.filename, await file.read()), "ref": None}]}

    @app.get("/content/images/{place:path}")
    async def picture(place: str):
        return Response(twin.files[place], media_type="image/png")

    return app


@pytest.fixture(scope="session")
def ghost_twin():
    """The twin on a port of its own, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    twin = GhostTwin(f"http://127.0.0.1:{listener.getsockname()[1]}")
    server = uvicorn.Server(uvicorn.Config(build_app(twin), log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield twin
    finally:
        server.should_exit = True
        thread.join(20)
