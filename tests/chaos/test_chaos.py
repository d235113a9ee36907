"""The short chaos run: every fault once, while a dozen posts are covered; `make chaos` is the long one (docs/fleet.md)."""

from contextlib import ExitStack

import pytest

from tests.chaos.monkey import FAULTS
from tests.chaos.rounds import Round
from tests.chaos.world import settle_here, world_in
from tests.services.process import or_skip

pytestmark = [pytest.mark.slow, *(pytest.mark.service(name) for name in ("prefect", "redis", "s3", "wordpress", "postgres"))]
POSTS, SEED = 12, 1


@pytest.fixture
def world(request, tmp_path, monkeypatch):
    with ExitStack() as stack:
        with or_skip(request, "chaos"):
            world = stack.enter_context(world_in(tmp_path))
        settle_here(world, monkeypatch)
        yield world


def test_whatever_is_killed_every_post_has_one_cover_and_nothing_is_stuck(world):
    played = Round(world, list(FAULTS), POSTS, SEED, calm_s=2).play()
    assert played["harm"] == {}, played
    assert (played["covered"], len(played["faults"])) == (POSTS, len(FAULTS)), played
