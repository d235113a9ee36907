"""Signatures against the reference library, and everything that must not pass for one."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from integrations.errors import Refused
from integrations.gateway.signatures import check_ghost, check_github, check_standard, derive_secret, sign_standard

NOW = 1_700_000_000
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
BODY = '{"id": 42, "words": "封面"}'.encode()


def signed(body=BODY, moment=NOW, secret=SECRET):
    return sign_standard(secret, "msg_1", moment, body)


def test_what_the_reference_library_signs_is_accepted():
    moment = datetime.fromtimestamp(NOW, UTC)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW),
               "webhook-signature": Webhook(SECRET).sign("msg_1", moment, BODY.decode())}
    assert check_standard([SECRET], headers, BODY, NOW) == "msg_1"


def test_the_reference_library_accepts_what_we_sign():
    import time

    Webhook(SECRET).verify(BODY, signed(moment=int(time.time())))


def test_either_of_two_secrets_will_do_while_one_replaces_the_other():
    assert check_standard([OTHER, SECRET], signed(), BODY, NOW) == "msg_1"


def test_one_of_several_signatures_will_do():
    headers = signed()
    headers["webhook-signature"] = f"v1a,AAAA v1,{'A' * 43}= {headers['webhook-signature']}"
    assert check_standard([SECRET], headers, BODY, NOW) == "msg_1"


@pytest.mark.parametrize("changes", [
    {"webhook-signature": ""}, {"webhook-signature": "v1"}, {"webhook-signature": "v1,"}, {"webhook-signature": "v1,????"},
    {"webhook-signature": "v1,é"}, {"webhook-signature": "v2," + "A" * 44}, {"webhook-id": ""}, {"webhook-id": "msg_2"},
    {"webhook-id": "x" * 300}, {"webhook-id": "a\nb"}, {"webhook-timestamp": ""}, {"webhook-timestamp": "nan"},
    {"webhook-timestamp": "inf"}, {"webhook-timestamp": "1e9"}, {"webhook-timestamp": "-1"}, {"webhook-timestamp": "١٧"},
    {"webhook-timestamp": f"{NOW}.0"}, {"webhook-timestamp": "9" * 5000}, {"webhook-timestamp": str(NOW + 1)}])
def test_a_header_that_was_changed_is_refused(changes):
    with pytest.raises(Refused, match=r"^signature: "):
        check_standard([SECRET], {**signed(), **changes}, BODY, NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused(missing):
    headers = signed()
    del headers[missing]
    with pytest.raises(Refused, match=r"^signature: "):
        check_standard([SECRET], headers, BODY, NOW)


@pytest.mark.parametrize(("away_s", "passes"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
def test_a_message_is_good_for_five_minutes_around_its_time(away_s, passes):
    if passes:
        assert check_standard([SECRET], signed(), BODY, NOW + away_s) == "msg_1"
    else:
        with pytest.raises(Refused, match="more than 300 s away from now"):
            check_standard([SECRET], signed(), BODY, NOW + away_s)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_signature_fits_its_own_body_and_no_other(body, other):
    headers = signed(body)
    assert check_standard([SECRET], headers, body, NOW) == "msg_1"
    if other != body:
        with pytest.raises(Refused):
            check_standard([SECRET], headers, other, NOW)


def ghost(body=BODY, moment=str(NOW * 1000), secret="ghost secret"):
    mac = hmac.digest(secret.encode(), body + moment.encode(), "sha256").hex()
    return {"x-ghost-signature": f"sha256={mac}, t={moment}"}


def test_ghosts_signature_is_accepted_and_names_the_message():
    assert check_ghost(["ghost secret"], ghost(), BODY, NOW) == check_ghost(["ghost secret"], ghost(), BODY, NOW + 10)
    assert check_ghost(["ghost secret"], ghost(), BODY, NOW) != check_ghost(
        ["ghost secret"], ghost(moment=str(NOW * 1000 + 1)), BODY, NOW)


@pytest.mark.parametrize("headers", [
    {}, {"x-ghost-signature": ""}, {"x-ghost-signature": "sha256=zz, t=1"}, ghost(secret="other"), ghost(body=b"other"),
    ghost(moment=str((NOW - 301) * 1000)), ghost(moment=str((NOW + 301) * 1000)), ghost(moment=str(NOW)), ghost(moment="nan"),
    {"x-ghost-signature": ghost()["x-ghost-signature"].replace("t=17", "t=18")}])
def test_what_ghost_did_not_sign_just_now_is_refused(headers):
    with pytest.raises(Refused, match=r"^signature: "):
        check_ghost(["ghost secret"], headers, BODY, NOW)


def github(body=BODY, secret="hub secret"):
    return {"x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}


def test_githubs_signature_is_accepted_and_the_body_names_the_message():
    headers = {**github(), "x-github-delivery": "one"}
    assert check_github(["hub secret"], headers, BODY, NOW) == hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("headers", [{}, {"x-hub-signature-256": "sha256="}, {"x-hub-signature-256": "é"}, github(secret="x"),
                                     github(body=b"other"), {"x-hub-signature": github()["x-hub-signature-256"]}])
def test_what_github_did_not_sign_is_refused(headers):
    with pytest.raises(Refused, match=r"^signature: x-hub-signature-256 does not fit"):
        check_github(["hub secret"], headers, BODY, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_é", "whsec_?" * 10, "whsec_" + "A" * 400])
def test_a_secret_that_is_none_is_refused_without_showing_it(secret):
    with pytest.raises(ValueError, match=r"^a Standard Webhooks secret must be whsec_ and 16 to 128 bytes in base64$"):
        sign_standard(secret, "msg_1", NOW, BODY)


def test_a_derived_secret_is_the_same_again_and_another_for_another_purpose():
    first = derive_secret(b"pepper", "callback:acme")
    assert first == derive_secret(b"pepper", "callback:acme") != derive_secret(b"pepper", "callback:other")
    sign_standard(first, "msg_1", NOW, BODY)
