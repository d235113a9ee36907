"""What the tests of CMS adapters get besides the real services."""

import pytest

from tests.integrations.cms import ghost_twin as twin


@pytest.fixture(scope="session")
def ghost_twin():
    with twin.ghost_twin() as site:
        yield site
