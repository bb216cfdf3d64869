"""Webhooks go only where they may, and carry a signature that receivers' libraries know."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest

from producer.outbound import Caller, is_public
from producer.webhooks import PAUSES_S, check_url, signature, signing_secret
from shared.errors import InvalidInput


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification's reference libraries.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')

    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_webhook_has_a_secret_of_its_own() -> None:
    made = {
        signing_secret(webhook_id, salt, key)
        for webhook_id in (1, 2)
        for salt in ("a", "b")
        for key in ("k", "l")
    }

    assert len(made) == 8
    assert all(each.startswith("whsec_") for each in made)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # the cloud's metadata
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104  not bound to
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
    ],
)
def test_only_public_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://portal.example.org/hook",
        "ftp://portal.example.org",
        "https://",
        "https://user:secret@portal.example.org/",
        "https://portal.example.org/#x",
        "file:///etc/passwd",
        "//portal.example.org",
        "",
    ],
)
def test_other_than_plain_https_addresses_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url, allow_private=False)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://a..b/", "host"),
        ("https://.portal.example/", "host"),
        (f"https://{'a' * 64}.example/", "host"),
        ("https://[::zz]/", "cannot be a webhook"),
        ("https://[::1/", "cannot be a webhook"),
        ("https://portal.example:99999/", "cannot be a webhook"),
        ("https://portal.example/ü", "ASCII"),
        ("https://pörtal.example/", "ASCII"),
        ("https://portal.example/a b", "ASCII"),
        ("https://portal.example/a\nb", "ASCII"),
    ],
)
def test_an_address_that_no_request_can_carry_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_url(url, allow_private=False)


def test_names_in_ascii_form_and_addresses_are_taken() -> None:
    for host in ("xn--prtal-jua.example", "portal.example.", "[2606:2800:21f::1]", "93.184.215.14"):
        check_url(f"https://{host}/h%C3%BC", allow_private=False)


def test_a_name_that_cannot_be_one_is_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the resolver does with a name before it asks anybody.
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: host.encode("idna"))
    caller = Caller(allow_private=False)

    outcome = caller.post("https://a..b/", b"{}", {})

    caller.close()
    assert outcome == ("connection", False)


def test_plain_http_is_for_trying_out() -> None:
    check_url("http://127.0.0.1:9000/hook", allow_private=True)
    check_url("https://portal.example.org:8443/hook?x=1", allow_private=False)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::1"]])
def test_a_name_that_leads_into_a_private_network_is_not_called(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    def resolve(*_args: Any, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    caller = Caller(allow_private=False)

    outcome = caller.post("https://innocent.example.org/hook", b"{}", {})

    caller.close()
    assert outcome == ("private_address", False)


def test_a_portals_bad_night_is_survived() -> None:
    assert sum(PAUSES_S) > 24 * 3600
    assert list(PAUSES_S) == sorted(PAUSES_S)
