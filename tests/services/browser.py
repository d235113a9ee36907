"""browser: a real Chromium, driven by Playwright, that speaks to this machine only."""

import shutil
from contextlib import ExitStack

import pytest

from tests.services.process import INSTALL, NotStarted, or_skip

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@pytest.fixture
def browser(request):
    with ExitStack() as stack:
        with or_skip(request, "chromium"):
            program = shutil.which("chromium")
            if program is None:
                raise NotStarted(f"chromium not found; {INSTALL}")
            from playwright.sync_api import sync_playwright

            play = stack.enter_context(sync_playwright())
            started = play.chromium.launch(executable_path=program, args=FLAGS)
            stack.callback(started.close)
        yield started
