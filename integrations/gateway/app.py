"""The gateway as one FastAPI app over ready values: webhooks, jobs, and the workers behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Response

from integrations.gateway import answers, receiving, routes
from integrations.gateway.callbacks import Callbacks
from integrations.gateway.desk import Desk
from integrations.gateway.dispatch import Dispatcher
from integrations.gateway.guard import BodyGate, KeyGate
from integrations.gateway.jobs import Jobs
from integrations.gateway.metrics import AnswerCounter, CountedQueue, Metrics
from integrations.gateway.views import Health
from integrations.gateway.watching import Watcher
from integrations.gateway.working import Sweeper, Worker

KEEP_S = 30 * 86_400
"""How long a finished delivery is known, so that it starts nothing when it comes again."""
DISPATCH_EVERY_S, CALLBACKS_EVERY_S = 2.0, 1.0


def build_app(desk: Desk) -> FastAPI:
    """The app. Its workers run while it does; any number of them may share the desk's databases."""
    jobs = Jobs(desk.runs)
    watcher = Watcher(jobs, desk.tally, desk.limits.poll_s)
    metrics = Metrics(desk, lambda: watcher.watched)
    inbox, outbox = (CountedQueue(queue, name, metrics.finished)
                     for name, queue in (("webhooks", desk.inbox), ("callbacks", desk.outbox)))
    dispatcher = Dispatcher(inbox=inbox, runs=desk.runs, sites=desk.sites, version_of=desk.version_of, refresh=desk.refresh)
    callbacks = Callbacks(outbox=outbox, runs=desk.runs, courier=desk.courier, pepper=desk.pepper)
    sweeper = Sweeper(lambda: (desk.inbox.forget(KEEP_S), desk.outbox.forget(KEEP_S)))

    def dispatch() -> int:
        sweeper.sweep()
        return dispatcher.work_once()

    workers = [Worker("dispatch", dispatch, DISPATCH_EVERY_S), Worker("callbacks", callbacks.work_once, CALLBACKS_EVERY_S)]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for worker in workers:
            worker.start()
        watching = asyncio.create_task(watcher.run())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        for worker in workers:
            await asyncio.to_thread(worker.stop)

    app = FastAPI(title="Fengmian", version="1", summary="Every post gets a cover.", lifespan=lifespan, docs_url=None,
                  redoc_url=None)
    app.state.watcher = watcher
    answers.install(app)
    app.include_router(receiving.make_router(desk, workers[0].wake))
    app.include_router(routes.make_router(desk, jobs, watcher))

    @app.get("/health", response_model=Health, tags=["operation"])
    async def health() -> Health:
        """The gateway answers."""
        return Health()

    @app.get("/metrics", include_in_schema=False)
    def tell_metrics() -> Response:
        return Response(metrics.as_text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.add_middleware(BodyGate, limits=desk.limits)
    app.add_middleware(KeyGate, desk=desk)  # stands before the body's: nobody's body is read without a key
    app.add_middleware(AnswerCounter, metrics=metrics)  # added last, so it stands first
    return app
