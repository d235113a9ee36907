"""What must be so after every fault: one cover a post, no orphan, no wrong entry in the cache, no run that is stuck."""

import hashlib
import json
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace

import httpx

from flows import retaining, steps, verifying, wiring
from flows.record import Wishes
from integrations.cache import record
from integrations.errors import IntegrationError
from integrations.storage.naming import fingerprint_in, holds
from tests.chaos.world import BUCKET, SOURCE, World

DAY_S = 86_400
LOOK = """$told = array('posts' => array(), 'pictures' => array());
foreach (get_posts(array('post_type' => 'post', 'post_status' => 'publish', 'numberposts' => -1)) as $each) {
$told['posts'][$each->ID] = (int) get_post_thumbnail_id($each->ID); }
foreach (get_posts(array('post_type' => 'attachment', 'post_status' => 'any', 'numberposts' => -1)) as $each) {
$told['pictures'][] = array('id' => $each->ID, 'name' => $each->post_name,
'file' => basename((string) get_attached_file($each->ID)), 'url' => wp_get_attachment_url($each->ID),
'alt' => get_post_meta($each->ID, '_wp_attachment_image_alt', true)); }
echo json_encode($told);"""


@dataclass
class Findings:
    """What is wrong, in words, by kind: lost, duplicates, orphans, wrong, stuck."""

    wrong: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, what: str) -> None:
        self.wrong.setdefault(kind, []).append(what)

    def count(self, kind: str) -> int:
        return len(self.wrong.get(kind, []))


def inspect(world: World, posts: list[str], jobs: dict[str, str]) -> Findings:
    """Every invariant, once all is quiet. The adapters of this process are those of the world."""
    wiring.use(None)
    found = Findings()
    inspect_posts(world, posts, found)
    inspect_bucket(world, posts, found)
    inspect_cache(found)
    inspect_ledger(posts, found)
    inspect_runs(world, found)
    inspect_jobs(world, jobs, found)
    return found


def wanted_picture(post_id: str) -> str:
    """The fingerprint that the post's words ask for, made anew from the post as it is."""
    article = steps.fetch(SOURCE, post_id)
    wishes = steps.fill_wishes(SOURCE, Wishes())
    style = steps.choose_style(wishes)
    prompt = steps.write_prompt(steps.summarise(article), style, article, wishes)
    return steps.make_request(prompt, style, article, wishes).fingerprint


def inspect_posts(world: World, posts: list[str], found: Findings) -> None:
    """Each has one picture, the right one, served whole; the library has each picture once and none that no post shows."""
    told = json.loads(world.wordpress.run(LOOK))
    pictures, shown = {each["id"]: each for each in told["pictures"]}, Counter(told["posts"].values())
    for post_id in posts:
        picture = pictures.get(told["posts"].get(post_id))
        if picture is None:
            found.add("lost", f"post {post_id} has no cover")
            continue
        stored = [file for file in list_files(wanted_picture(post_id)) if file.format == "webp"]
        if not stored or steps.published_name(stored[0]) != picture["file"]:
            found.add("wrong", f"post {post_id} shows {picture['file']}, not {[file.name for file in stored]}")
        answer = httpx.get(picture["url"], timeout=30, trust_env=False)
        if answer.status_code != 200 or hashlib.sha256(answer.content).hexdigest()[:16] not in picture["file"]:
            found.add("wrong", f"post {post_id}: {picture['url']} is not whole: {answer.status_code}")
        if not picture["alt"]:
            found.add("wrong", f"post {post_id}: its picture has no alt text")
    for picture in pictures.values():
        if shown[picture["id"]] != 1:
            found.add("duplicates", f"picture {picture['name']} ({picture['id']}) is shown by {shown[picture['id']]} posts")


def list_files(fingerprint: str):
    """The bucket's files of a picture, as the story would store them."""
    from integrations.ports import StoredFile

    store, files = wiring.ports().store, []
    for name in store.list_names(time.time() + DAY_S):
        if fingerprint_in(name) == fingerprint:
            width, height = map(int, re.search(r"(\d+)x(\d+)", name).groups())
            data = store.get(name)
            files.append(StoredFile(path="", name=name, width=width, height=height, format=name.rpartition(".")[2],
                                    sha256=hashlib.sha256(data or b"").hexdigest()))
    return files


def inspect_bucket(world: World, posts: list[str], found: Findings) -> None:
    """Two files for each cover, whole, and nothing else; retention, were its time over, would find nothing to delete."""
    client = world.bucket()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    names = Counter(fingerprint_in(entry["Key"]) for page in pages for entry in page.get("Contents", []))
    wanted = {wanted_picture(post_id) for post_id in posts}
    for fingerprint in names.keys() - wanted:
        found.add("orphans", f"the bucket has {names[fingerprint]} files of {fingerprint[:12]}, which no post asks for")
    for fingerprint in wanted:
        if names[fingerprint] != 2:
            found.add("duplicates" if names[fingerprint] > 2 else "lost", f"{names[fingerprint]} files of {fingerprint[:12]}")
    days = wiring.ports().settings.retention.pictures_days + 1
    for fingerprint in retaining.find_unpublished(time.time() + days * DAY_S):
        found.add("orphans", f"retention takes {fingerprint[:12]} for unpublished")


def inspect_cache(found: Findings) -> None:
    """Every record names files that are there, whole, and of its own fingerprint; none is damaged."""
    cache, store = wiring.ports().cache, wiring.ports().store
    for key in cache._client.scan_iter(f"{cache._prefix}cover:*"):
        fingerprint = key.decode().rpartition(":")[2]
        cover = record.decode(cache._client.get(key), fingerprint)
        if cover is None:
            found.add("cache", f"the record {fingerprint[:12]} cannot be read")
            continue
        for file in cover.files:
            data = store.get(file.name)
            if data is None or not holds(file.name, data) or fingerprint_in(file.name) != fingerprint:
                found.add("cache", f"the record {fingerprint[:12]} names {file.name}, which is not whole or another's")


def inspect_ledger(posts: list[str], found: Findings) -> None:
    """Each post's cover is published once, as it stands; so it can be taken back."""
    published = Counter(entry.post_id for entry in wiring.ports().ledger.entries(site=SOURCE, happening="published"))
    for post_id in posts:
        if published[post_id] != 1:
            found.add("duplicates" if published[post_id] else "ledger", f"post {post_id}: {published[post_id]} entries published")
    for entry in verifying.list_published(0):
        if entry.post_id in posts:
            problem = _problem(entry)
            if problem:
                found.add("ledger", f"post {entry.post_id}: {problem}")


def _problem(entry):
    """As verify-published sees it; the picture itself was fetched already, past the guard for private networks."""
    served = httpx.get(entry.content["cover"], timeout=30, trust_env=False).content
    entry = replace(entry, content=dict(entry.content))
    try:
        named = wiring.ports().open_source(SOURCE).read(entry.post_id).cover
    except IntegrationError as exc:
        return str(exc)
    if named != entry.content["cover"]:
        return f"the post names {named!r} and was given {entry.content['cover']!r}"
    return verifying._compare(served, entry.content["file"], named, may_differ=True)


def inspect_runs(world: World, found: Findings) -> None:
    """None is open."""
    for run in world.open_runs():
        found.add("stuck", f"run {run['name']} ({run['id']}) is {run['state']['name']}: {run['state'].get('message')}")


def inspect_jobs(world: World, jobs: dict[str, str], found: Findings) -> None:
    """Every order's job has ended well, and nothing waits in the gateway's queues."""
    headers = {"Authorization": f"Bearer {world.key}"}
    for post_id, job_id in jobs.items():
        job = httpx.get(f"{world.gateway_url}/v1/jobs/{job_id}", headers=headers, timeout=30, trust_env=False).json()
        if job.get("status") != "succeeded":
            found.add("jobs", f"job {job_id} of post {post_id}: {job.get('status')}: {job.get('reason')}")
    from flows.gateway_wiring import build_database
    from integrations.gateway.queue import SqlQueue

    database = build_database(wiring.ports().settings)
    for name in ("webhooks", "callbacks"):
        if left := SqlQueue(database, name).backlog().count:
            found.add("stuck", f"{left} items wait in {name}")
    with suppress(Exception):
        database.close()
