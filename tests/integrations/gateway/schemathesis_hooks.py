"""schemathesis draws the same Idempotency-Key for different bodies, which we rightly refuse: valid ones are made unique here."""

import re
import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    for name, value in dict(case.headers or {}).items():
        if name.lower() == "idempotency-key" and isinstance(value, str) and re.fullmatch(r"[!-~]{1,96}", value):
            case.headers[name] = f"{value}{uuid.uuid4().hex}"
