"""Jobs as their owners see them: who may see which, and those that are over kept at hand."""

from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from integrations.errors import NotFound
from integrations.gateway.ports import Job, Runs

KEPT = 10_000
"""Finished jobs; they do not change any more."""


class Jobs:
    """Safe between threads, for each step of it is one of CPython's own."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._over: OrderedDict[str, Job] = OrderedDict()

    def find(self, job_id: str, tenant: str) -> Job:
        """The tenant's own job. Raises NotFound for any other, whether or not it is there, Unavailable."""
        job = self.find_all([str(UUID(job_id))]).get(str(UUID(job_id)))
        if job is None or not tenant or job.tenant != tenant:
            raise NotFound(f"job {job_id} does not exist")
        return job

    def find_all(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Those that exist, whoever's they are."""
        found = {job_id: job for job_id in job_ids if (job := self._over.get(job_id))}
        if missing := [job_id for job_id in job_ids if job_id not in found]:
            found |= self._runs.find(missing)
        for job in found.values():
            if job.is_over:
                self._over[job.id] = job
        while len(self._over) > KEPT:
            self._over.popitem(last=False)
        return found
