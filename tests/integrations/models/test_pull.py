"""Pulling from a hub that speaks Hugging Face's or ModelScope's language over real sockets."""

import fcntl
import hashlib
import json
import shutil
from collections import namedtuple

import pytest

from integrations.errors import NotFound, Refused, Unavailable
from integrations.models.hub import PullFailed
from integrations.models.huggingface import HuggingFaceHub
from integrations.models.record import RECORD_FILE
from tests.integrations.models.conftest import FILES, PULLED, WEIGHTS, Noting
from tests.integrations.models.hub_server import SIGNATURE

BIG = "vae/model.safetensors"


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_pull_brings_the_chosen_files_and_records_them(shelf, model, hub, repo, watcher):
    record = shelf.pull(model, hub, "", watcher)
    folder = shelf.folder / "tiny"
    assert files_in(folder) == sorted([*PULLED, RECORD_FILE])
    assert all((folder / path).read_bytes() == FILES[path] for path in PULLED)
    assert (record.revision, record.source, record.whole) == (repo.names["main"], hub.source, True)
    told = json.loads((folder / RECORD_FILE).read_text())
    assert {path: file["sha256"] for path, file in told["files"].items()} == {
        path: hashlib.sha256(FILES[path]).hexdigest() for path in PULLED}
    assert told["licence"] == {"id": "apache-2.0", "url": "", "commercial": True}
    assert (watcher.begun, watcher.count, watcher.placed) == ([0], record.size, PULLED)
    assert shelf.verify(record) == []


def test_no_pickle_comes_where_there_are_safetensors_but_alone_it_does(shelf, model, hub, repo, watcher):
    repo.commit({"vae/pytorch_model.bin": FILES["vae/pytorch_model.bin"], "config.json": b"{}"})
    record = shelf.pull(model, hub, "", watcher)
    assert [file.path for file in record.files] == ["config.json", "vae/pytorch_model.bin"]


def test_a_whole_model_asks_the_hub_nothing(shelf, model, hub, hub_server, watcher):
    first = shelf.pull(model, hub, "", watcher)
    hub_server.forget()
    assert shelf.pull(model, hub, "", watcher) == first
    assert (hub_server.asked, watcher.checked) == ([], 1)


def test_a_later_pull_keeps_its_commit_unless_another_is_named(shelf, model, hub, repo, hub_server, watcher):
    old = shelf.pull(model, hub, "", watcher)
    new = repo.commit(FILES | {"config.json": b'{"size": 2}\n'})
    assert shelf.pull(model, hub, "", watcher).revision == old.revision
    hub_server.forget()
    branch = {"huggingface": "main", "modelscope": "master"}[hub.source]
    assert shelf.pull(model, hub, branch, watcher).revision == new
    assert (shelf.folder / "tiny" / "config.json").read_bytes() == b'{"size": 2}\n'
    assert hub_server.served[BIG] == 0  # the same bytes are not fetched twice
    assert shelf.pull(model, hub, old.revision, watcher).revision == old.revision
    assert (shelf.folder / "tiny" / "config.json").read_bytes() == FILES["config.json"]


def test_a_file_that_the_new_commit_lacks_is_gone(shelf, model, hub, repo, watcher):
    repo.commit(FILES | {"vae/old.json": b"{}"})
    shelf.pull(model, hub, "", watcher)
    shelf.pull(model, hub, repo.commit(FILES), watcher)
    assert not (shelf.folder / "tiny" / "vae" / "old.json").exists()


def test_a_tag_is_resolved_to_its_commit(shelf, model, hub, repo, watcher):
    tagged = repo.commit(FILES | {"config.json": b"tagged"}, "v1.0")
    assert shelf.pull(model, hub, "v1.0", watcher).revision == tagged


def test_what_breaks_off_goes_on_where_it_ended(shelf, model, hub, hub_server, watcher):
    hub_server.switches.drop_after = 600_000
    with pytest.raises(Unavailable) as caught:
        shelf.pull(model, hub, "", watcher)
    assert SIGNATURE not in str(caught.value)
    record = shelf.find("tiny")
    here = shelf.here(record)
    assert not record.whole
    assert 400_000 < here < 700_000
    hub_server.switches.drop_after = 0
    hub_server.forget()
    again = Noting()
    assert shelf.pull(model, hub, "", again).whole
    (body,) = [asked for asked in hub_server.bodies if "/cdn/" in asked.path]
    assert body.offset == len(WEIGHTS) - hub_server.served[BIG] > 400_000
    assert again.begun == [here]
    assert (shelf.folder / "tiny" / BIG).read_bytes() == WEIGHTS
    assert not any("/files" in asked.path or "/revision/" in asked.path for asked in hub_server.asked)  # the commit is known


def test_a_hub_that_knows_no_ranges_is_asked_for_all_of_it(shelf, model, hub, hub_server, watcher):
    hub_server.switches.drop_after = 600_000
    with pytest.raises(Unavailable):
        shelf.pull(model, hub, "", watcher)
    hub_server.switches.drop_after, hub_server.switches.ignores_ranges = 0, True
    record = shelf.pull(model, hub, "", watcher)
    assert watcher.count == record.size
    assert (shelf.folder / "tiny" / BIG).read_bytes() == WEIGHTS


def test_another_source_goes_on_with_the_same_bytes(shelf, model, hub_server, repo, watcher):
    from integrations.models.modelscope import ModelScopeHub

    hub_server.switches.drop_after = 600_000
    with pytest.raises(Unavailable):
        shelf.pull(model, HuggingFaceHub(hub_server.url), "", watcher)
    hub_server.switches.drop_after = 0
    hub_server.forget()
    assert shelf.pull(model, ModelScopeHub(hub_server.url), "", watcher).source == "modelscope"
    assert 0 < hub_server.served[BIG] < len(WEIGHTS)


@pytest.mark.parametrize("path", [BIG, "config.json"])
def test_bytes_that_contradict_their_hash_are_deleted_and_named(shelf, model, hub, hub_server, watcher, path):
    hub_server.switches.lies = {path}
    with pytest.raises(PullFailed, match=f"{path} from {hub.source} is damaged and was deleted: its "):
        shelf.pull(model, hub, "", watcher)
    assert path not in files_in(shelf.folder / "tiny")
    assert f"{path}.part" not in files_in(shelf.folder / "tiny")
    hub_server.switches.lies = set()
    assert shelf.pull(model, hub, "", watcher).whole


def test_a_damaged_model_is_mended_with_that_file_only(shelf, model, hub, hub_server, watcher):
    record = shelf.pull(model, hub, "", watcher)
    damaged = shelf.folder / "tiny" / "config.json"
    damaged.write_bytes(b"x" * len(FILES["config.json"]))
    (shelf.folder / "tiny" / "vae" / "config.json").unlink()
    (wrong, missing) = shelf.verify(record)
    assert (wrong.path, missing.path, missing.reason) == ("config.json", "vae/config.json", "it is missing")
    assert wrong.reason.startswith("its SHA-256 is ")
    hub_server.forget()
    assert shelf.pull(model, hub, "", watcher) == record
    assert sorted(hub_server.served) == ["config.json", "vae/config.json"]
    assert shelf.verify(record) == []


Usage = namedtuple("Usage", "total used free")


def test_a_disk_without_room_is_told_before_the_first_byte(shelf, model, hub, hub_server, watcher, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 1_500_000))
    with pytest.raises(PullFailed, match=r"tiny needs 2\.0 MB more; .* has 1\.5 MB free"):
        shelf.pull(model, hub, "", watcher)
    assert hub_server.bodies == []


def test_only_what_is_missing_needs_room(shelf, model, hub, hub_server, watcher, monkeypatch):
    hub_server.switches.drop_after = 1_500_000
    with pytest.raises(Unavailable):
        shelf.pull(model, hub, "", watcher)
    hub_server.switches.drop_after = 0
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, 900_000))
    assert shelf.pull(model, hub, "", watcher).whole


def test_a_second_pull_at_the_same_time_is_refused(shelf, model, hub, hub_server, watcher):
    shelf.folder.mkdir()
    with (shelf.folder / ".tiny.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for work in (lambda: shelf.pull(model, hub, "", watcher), lambda: shelf.remove("tiny")):
            (shelf.folder / "tiny").mkdir(exist_ok=True)
            with pytest.raises(PullFailed, match="another process is at work on tiny; wait until it is done"):
                work()
    assert hub_server.asked == []


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil.json", "vae/../../evil.json", "vae\\evil.json", "C:/evil.json",
                                  "vae//evil.json", "vae/evil\x00.json", "vae/\u202eevil.json", "vae/" + "y" * 300, "vae/a.part"])
def test_a_name_that_leaves_the_folder_is_refused(shelf, model, hub, repo, hub_server, watcher, name):
    repo.commit(FILES | {name: b"evil"})
    with pytest.raises(Refused, match="which is no plain path inside the folder"):
        shelf.pull(model, hub, "", watcher)
    assert hub_server.bodies == []
    assert files_in(shelf.folder) == [".tiny.lock"]


def test_a_folder_that_no_pull_made_is_left_alone(shelf, model, hub, watcher):
    own = shelf.folder / "tiny" / "own.safetensors"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    with pytest.raises(Refused, match="is there but was not pulled"):
        shelf.pull(model, hub, "", watcher)
    with pytest.raises(Refused, match="was not made by a pull and is left alone"):
        shelf.remove("tiny")
    assert own.read_bytes() == b"mine"


@pytest.mark.parametrize("is_whole", [True, False])
def test_removing_takes_what_was_pulled_and_nothing_else(shelf, model, hub, hub_server, watcher, is_whole):
    hub_server.switches.drop_after = 0 if is_whole else 600_000
    try:
        shelf.pull(model, hub, "", watcher)
    except Unavailable:
        assert not is_whole
    own = shelf.folder / "tiny" / "notes.txt"
    own.write_text("mine")
    assert shelf.remove("tiny") is False
    assert files_in(shelf.folder / "tiny") == ["notes.txt"]
    own.unlink()


def test_removing_leaves_no_folder(shelf, model, hub, watcher):
    shelf.pull(model, hub, "", watcher)
    assert shelf.remove("tiny") is True
    assert files_in(shelf.folder) == [".tiny.lock"]


def test_a_record_from_elsewhere_cannot_delete_outside_its_folder(shelf, model, hub, tmp_path, watcher):
    shelf.pull(model, hub, "", watcher)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    record = shelf.folder / "tiny" / RECORD_FILE
    record.write_text(record.read_text().replace('"config.json"', '"../../victim"'))
    with pytest.raises(Refused, match="no plain path"):
        shelf.remove("tiny")
    assert victim.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {}}', '{"files": {"a": 1}}', "\xff"])
def test_a_broken_record_is_refused(shelf, text):
    (shelf.folder / "tiny").mkdir(parents=True)
    (shelf.folder / "tiny" / RECORD_FILE).write_text(text, encoding="latin-1")
    with pytest.raises(Refused, match=f"{RECORD_FILE} is no record of a pull .*move the folder away"):
        shelf.records()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".tiny", "A", "x" * 65])
def test_what_is_no_name_is_refused(shelf, name):
    with pytest.raises(Refused, match="is no name of a model"):
        shelf.remove(name)


def test_a_folder_that_takes_no_files_is_told(model, hub, tmp_path, shelf, watcher):
    shelf.folder.write_text("a file")
    with pytest.raises(PullFailed, match="File exists"):
        shelf.pull(model, hub, "", watcher)


@pytest.mark.parametrize(("status", "error", "words"), [
    (401, Refused, "needs permission"), (403, Refused, "set models.token"), (404, NotFound, "does not exist"),
    (429, Unavailable, "status 429"), (500, Unavailable, "status 500"), (418, Refused, "status 418"),
])
@pytest.mark.parametrize("where", ["/api/", "/cdn/"])
def test_what_the_hub_answers_is_translated(shelf, model, hub, hub_server, watcher, status, error, words, where):
    hub_server.switches.statuses, hub_server.switches.status_of, hub_server.switches.forever = [status], where, True
    with pytest.raises(error) as caught:
        shelf.pull(model, hub, "", watcher)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert SIGNATURE not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_revision_does_not_exist(shelf, model, hub, watcher):
    with pytest.raises(NotFound, match="owner/model at none"):
        shelf.pull(model, hub, "none", watcher)


def test_a_hub_that_does_not_answer_in_time_is_unavailable(shelf, model, hub, hub_server, watcher):
    hub_server.switches.stall_s = 1
    with pytest.raises(Unavailable, match="Timeout"):
        shelf.pull(model, type(hub)(hub_server.url, timeout_s=0.2), "", watcher)


def test_a_hub_that_is_not_there_is_unavailable(shelf, model, hub, watcher):
    with pytest.raises(Unavailable, match="Connect"):
        shelf.pull(model, type(hub)("http://127.0.0.1:1", timeout_s=1), "", watcher)


@pytest.mark.parametrize("listing", [b"", b"<html>", b"[]", b"{}", b'{"sha": 5, "siblings": 5}', b'{"Data": {"Files": [5]}}',
                                     b'{"Data": {"Files": [{"Type": "blob"}]}}', b'{"siblings": [{"rfilename": "a"}]}'])
def test_an_answer_that_is_no_listing_is_refused(shelf, model, hub, hub_server, watcher, listing):
    hub_server.switches.listing = listing
    with pytest.raises(Refused) as caught:
        shelf.pull(model, hub, "", watcher)
    assert "owner/model at" in str(caught.value)


def test_files_without_a_hash_are_not_pulled(shelf, model, hub_server, repo, watcher):
    hub_server.switches.tells_no_hash = True
    with pytest.raises(Refused, match=r"tells no hash of README\.md"):
        shelf.pull(model, HuggingFaceHub(hub_server.url), "", watcher)


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(shelf, model, hub, hub_server, watcher):
    hub_server.switches.needs_token = "hf-secret"
    with pytest.raises(Refused, match="needs permission"):
        shelf.pull(model, hub, "", watcher)
    hub_server.forget()
    assert shelf.pull(model, type(hub)(hub_server.url, token="hf-secret"), "", watcher).whole
    assert {asked.token for asked in hub_server.asked if asked.host.startswith("localhost")} == {""}
    assert {asked.token for asked in hub_server.asked if asked.host.startswith("127")} == {"hf-secret"}


def test_a_token_stored_on_this_machine_is_not_sent(shelf, model, hub, hub_server, watcher, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "of-somebody-else")
    shelf.pull(model, hub, "", watcher)
    assert {asked.token for asked in hub_server.asked} == {""}


def test_the_server_is_a_hub_to_huggingface_hub_itself(hub_server, repo, tmp_path):
    from huggingface_hub import snapshot_download

    snapshot_download("owner/model", endpoint=hub_server.url, local_dir=tmp_path / "copy", token=False, allow_patterns=["vae/*"])
    assert (tmp_path / "copy" / BIG).read_bytes() == WEIGHTS


