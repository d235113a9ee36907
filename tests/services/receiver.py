"""A small web server of the tests' own that keeps what it is sent."""

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Delivery:
    path: str
    headers: Message
    body: bytes


class Receiver:
    """url: where deliveries go. They are kept in the order in which they came."""

    def __init__(self, url):
        self.url = url
        self.deliveries = []

    def wait_for(self, matches, within_s=10):
        """The first delivery that `matches`, or None if there is none in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for delivery in list(self.deliveries):
                if matches(delivery):
                    return delivery
            time.sleep(0.02)
        return None


@contextmanager
def receiving():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.deliveries.append(Delivery(self.path, self.headers, body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
