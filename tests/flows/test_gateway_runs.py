"""What Runs promises, on the local twin and on a real Prefect server."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from integrations.errors import NotFound, Unavailable
from integrations.gateway.local import MemoryRuns
from integrations.gateway.ports import Order, Picture

PICTURE = Picture(url="https://cdn.example/封面.webp", width=1200, height=630, format="webp", sha256="ab" * 32)


class OnPrefect:
    """The adapter, and hands that do to its runs what a worker would do."""

    def __init__(self, api_url: str):
        from prefect.client.orchestration import SyncPrefectClient
        from prefect.client.schemas.objects import State, StateType

        from flows.prefect_server import PrefectServer
        from flows.runs import Patience, PrefectRuns
        from flows.sweep_prefect import PrefectFleet

        self.fleet = PrefectFleet(PrefectServer(api_url))
        self.client, self.state, self.types = SyncPrefectClient(api_url), State, StateType
        flow_id, name = self.client.create_flow_from_name("cover-post"), f"contract-{uuid.uuid4().hex[:8]}"
        self.client.create_deployment(flow_id, name, parameters={"source": ".", "wishes": {"out": "covers", "write": True}})
        self.runs = PrefectRuns(api_url, f"cover-post/{name}", patience=Patience(first_s=600, later_s=600))
        self.hasty = PrefectRuns(api_url, f"cover-post/{name}")

    def die(self, run_id, kind="CRASHED", reason="no sign of life for 600 s"):
        self._set(run_id, self.types[kind], reason)

    def sweep(self, run_id):
        """The run that the sweep starts in the place of a dead one."""
        return self.fleet.start_again(self._seen(run_id), f"after:{run_id}", {}, ["again:x"])

    def leave(self, run_id):
        self.fleet.leave(self._seen(run_id))

    def _seen(self, run_id):
        from flows.sweep_prefect import _run

        return _run(self.client.read_flow_run(UUID(run_id)))

    def go_on(self, job_id):
        self._set(job_id, self.types.RUNNING)

    def succeed(self, job_id, *pictures):
        from prefect.client.schemas.actions import ArtifactCreate

        rows = [{"url": each.url, "width": each.width, "height": each.height, "format": each.format, "sha256": each.sha256,
                 "title": "标题", "alt_text": "封面插画", "cover": "../a.webp"} for each in pictures]
        self.client.create_artifact(ArtifactCreate(key="cover", type="table", data=rows, flow_run_id=UUID(job_id)))
        self._set(job_id, self.types.COMPLETED)

    def fail(self, job_id, reason):
        self._set(job_id, self.types.FAILED, reason)

    def parameters(self, job_id):
        return self.client.read_flow_run(UUID(job_id)).parameters

    def _set(self, job_id, kind, message=None):
        self.client.set_flow_run_state(UUID(job_id), self.state(type=kind, message=message), force=True)


class InMemory:
    def __init__(self):
        self.runs = MemoryRuns()
        self.go_on, self.succeed, self.fail = self.runs.go_on, self.runs.succeed, self.runs.fail


ON_PREFECT = pytest.param("prefect", marks=[pytest.mark.slow, pytest.mark.service("prefect")])


@pytest.fixture(scope="module", params=["memory", ON_PREFECT])
def engine(request):
    if request.param == "memory":
        return InMemory()
    return OnPrefect(request.getfixturevalue("prefect_server").api_url)


def an_order(**changes):
    return Order(**{"source": "site:blog", "post_id": "7", "wishes": {"seed": 3}, "tenant": "acme", "site": "blog", **changes})


def start(engine, **changes):
    return engine.runs.start(an_order(**changes), uuid.uuid4().hex)


def find(engine, job):
    return engine.runs.find([job.id])[job.id]


def test_a_started_job_is_queued_and_says_whose_it_is(engine):
    job = find(engine, start(engine))
    assert (job.status, job.tenant, job.post_id, job.order, job.is_over) == ("queued", "acme", "7", an_order().digest, False)
    assert UUID(job.id)


def test_one_key_is_one_run_whatever_else_is_asked(engine):
    key = uuid.uuid4().hex
    first = engine.runs.start(an_order(), key)
    again = engine.runs.start(an_order(post_id="8"), key)
    assert (again.id, again.order) == (first.id, an_order().digest)
    assert again.order != an_order(post_id="8").digest


def test_many_at_once_with_one_key_are_one_run(engine):
    key = uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: engine.runs.start(an_order(), key).id, range(24)))
    assert len(set(jobs)) == 1


def test_a_job_goes_on_and_ends_with_its_pictures(engine):
    job = start(engine)
    engine.go_on(job.id)
    assert find(engine, job).status == "running"
    engine.succeed(job.id, PICTURE)
    done = find(engine, job)
    assert (done.status, done.is_over, done.pictures) == ("succeeded", True, (PICTURE,))


def test_a_failed_job_says_why(engine):
    job = start(engine)
    engine.fail(job.id, "words.body says block")
    failed = find(engine, job)
    assert (failed.status, failed.reason) == ("failed", "words.body says block")


def test_several_are_found_in_one_question_and_unknown_ones_are_left_out(engine):
    jobs, unknown = [start(engine) for _ in range(3)], str(uuid.uuid4())
    assert set(engine.runs.find([*(job.id for job in jobs), unknown])) == {job.id for job in jobs}
    assert engine.runs.find([]) == {}


def test_more_than_a_page_are_found(engine, monkeypatch):
    from flows import runs

    monkeypatch.setattr(runs, "PAGE", 2)
    jobs = [engine.runs.start(Order(source="s", post_id=str(number)), uuid.uuid4().hex).id for number in range(5)]
    engine.succeed(jobs[4], PICTURE)
    found = engine.runs.find(jobs)
    assert set(found) == set(jobs)
    assert found[jobs[4]].pictures == (PICTURE,)


def test_jobs_are_counted_by_state(engine):
    before = engine.runs.count()
    queued, running, done = (start(engine) for _ in range(3))
    engine.go_on(running.id)
    engine.succeed(done.id)
    after = engine.runs.count()
    grown = {status: after[status] - before[status] for status in after}
    assert grown == {"queued": 1, "running": 1, "waiting": 0, "succeeded": 1, "failed": 0, "cancelled": 0}
    assert find(engine, queued).status == "queued"


def test_a_queued_job_is_cancelled_at_once_and_one_that_is_over_stays(engine):
    job, done = start(engine), start(engine)
    engine.runs.cancel(job.id)
    engine.runs.cancel(job.id)
    assert find(engine, job).status == "cancelled"
    engine.succeed(done.id)
    engine.runs.cancel(done.id)
    assert find(engine, done).status == "succeeded"


def test_what_is_no_job_cannot_be_cancelled(engine):
    unknown = str(uuid.uuid4())
    with pytest.raises(NotFound, match=f"^job {unknown} does not exist$"):
        engine.runs.cancel(unknown)


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_the_deployments_own_wishes_hold_where_an_order_has_none(prefect_server):
    engine = OnPrefect(prefect_server.api_url)
    job = start(engine, wishes={"seed": 3, "write": False})
    assert engine.parameters(job.id) == {"source": "site:blog", "post_id": "7",
                                         "wishes": {"out": "covers", "write": False, "seed": 3}}


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_a_deployment_that_is_not_there_yet_is_worth_another_try(prefect_server):
    from flows.runs import PrefectRuns

    runs = PrefectRuns(prefect_server.api_url, "cover-post/none")
    with pytest.raises(Unavailable, match=r"^prefect: there is no deployment 'cover-post/none' yet: run `prefect deploy`$"):
        runs.start(an_order(), "key")


def test_a_server_out_of_reach_is_unavailable_at_once():
    from flows.runs import PrefectRuns

    runs = PrefectRuns("http://127.0.0.1:1/api", "cover-post/on-demand", timeout_s=2)
    unknown = str(uuid.uuid4())
    for ask in (lambda: runs.start(an_order(), "key"), lambda: runs.find([unknown]), lambda: runs.cancel(unknown)):
        with pytest.raises(Unavailable, match=r"^prefect: no server answers at http://127.0.0.1:1/api: "):
            ask()


@pytest.fixture
def prefect(prefect_server):
    return OnPrefect(prefect_server.api_url)


SWEPT = [("CRASHED", "no sign of life for 600 s"), ("FAILED", "Flow run encountered an exception: Unavailable: redis: away"),
         ("CANCELLED", "Deployment concurrency slot lost during provisioning - no slots available to continue execution")]


@pytest.mark.slow
@pytest.mark.service("prefect")
@pytest.mark.parametrize(("kind", "reason"), SWEPT)
def test_a_job_whose_run_died_waits_for_the_next_one_and_is_as_far_as_that(prefect, kind, reason):
    job = start(prefect)
    prefect.die(job.id, kind, reason)
    assert (find(prefect, job).status, find(prefect, job).reason, find(prefect, job).ended_at) == ("queued", reason, None)
    second = prefect.sweep(job.id)
    assert find(prefect, job).status == "queued"
    prefect.go_on(second)
    assert find(prefect, job).status == "running"
    prefect.die(second)
    third = prefect.sweep(second)
    prefect.succeed(third, PICTURE)
    done = find(prefect, job)
    assert (done.id, done.status, done.pictures, done.tenant, done.order) == (job.id, "succeeded", (PICTURE,), "acme", job.order)
    assert done.ended_at
    assert prefect.runs.start(an_order(), "another key").id != job.id


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_a_job_that_the_sweep_leaves_or_that_no_sweep_follows_is_failed(prefect):
    left, alone = start(prefect), start(prefect)
    for job in (left, alone):
        prefect.die(job.id)
    prefect.leave(left.id)
    assert find(prefect, left).status == "failed"
    assert prefect.hasty.find([alone.id])[alone.id].status == "failed"
    follower = prefect.sweep(alone.id)
    prefect.fail(follower, "Flow run encountered an exception: CoverRejected: no")
    assert (find(prefect, alone).status, find(prefect, alone).reason[-2:]) == ("failed", "no")


@pytest.mark.slow
@pytest.mark.service("prefect")
def test_cancelling_reaches_the_run_that_is_at_work_and_a_dead_one_is_not_begun_again(prefect):
    waiting, at_work = start(prefect), start(prefect)
    for job in (waiting, at_work):
        prefect.die(job.id)
    prefect.runs.cancel(waiting.id)
    assert find(prefect, waiting).status == "cancelled"
    assert waiting.id not in {run.id for run in prefect.fleet.list_runs(0)}
    follower = prefect.sweep(at_work.id)
    prefect.runs.cancel(at_work.id)
    assert find(prefect, at_work).status == "cancelled"
    assert prefect.client.read_flow_run(UUID(follower)).state.is_cancelled()
