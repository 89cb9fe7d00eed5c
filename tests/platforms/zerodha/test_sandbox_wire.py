"""Kite's wire facts that its official client hides."""

import hashlib
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.sandbox.driver import API_KEY, API_SECRET, Running, kite_request_token, running


def checksum(token: str, secret: str = API_SECRET) -> str:
    return hashlib.sha256(f"{API_KEY}{token}{secret}".encode()).hexdigest()


def exchange(base_url: str, token: str) -> httpx.Response:
    form = {"api_key": API_KEY, "request_token": token, "checksum": checksum(token)}
    return httpx.post(f"{base_url}/session/token", data=form)


def assert_error(reply: httpx.Response, status: int, error_type: str) -> None:
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert body["status"] == "error"
    assert body["error_type"] == error_type
    assert body["message"]


@pytest.fixture(scope="module")
def authorization(sandbox: Running) -> str:
    session = exchange(sandbox.zerodha, kite_request_token(sandbox.zerodha, "WR0001")).json()[
        "data"
    ]
    return f"token {API_KEY}:{session['access_token']}"


def test_login_page_carries_what_it_was_given(sandbox: Running) -> None:
    query = {"v": "3", "api_key": '"><script>', "redirect_params": "state=a%20b"}
    reply = httpx.get(f"{sandbox.zerodha}/connect/login", params=query)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert 'name="redirect_params" value="state=a%20b"' in reply.text
    assert "<script>" not in reply.text


@pytest.mark.parametrize("query", [{"v": "3"}, {"api_key": "k"}, {"v": "2", "api_key": "k"}])
def test_login_page_needs_version_and_key(sandbox: Running, query: dict[str, str]) -> None:
    assert httpx.get(f"{sandbox.zerodha}/connect/login", params=query).status_code == 400


def test_login_redirects_with_token_and_parameters(sandbox: Running) -> None:
    form = {
        "api_key": API_KEY,
        "user_id": "WR0002",
        "password": "any",
        "redirect_params": "state=a%26b&x=",
    }
    reply = httpx.post(f"{sandbox.zerodha}/connect/login", data=form)
    assert reply.status_code == 302
    query = parse_qs(urlsplit(reply.headers["location"]).query, keep_blank_values=True)
    assert len(query.pop("request_token")) == 1
    assert query == {
        "state": ["a&b"],
        "x": [""],
        "action": ["login"],
        "type": ["login"],
        "status": ["success"],
    }
    assert httpx.get(reply.headers["location"]).status_code == 200


def test_login_ends_at_the_registered_redirect_url() -> None:
    form = {"api_key": API_KEY, "user_id": "WR0003", "password": "any"}
    with running("--option", "zerodha.redirect_url=https://app.example/back?keep=1") as sandbox:
        reply = httpx.post(f"{sandbox.zerodha}/connect/login", data=form)
    assert reply.headers["location"].startswith("https://app.example/back?keep=1&request_token=")


def test_wrong_password_gives_no_token(sandbox: Running) -> None:
    form = {"api_key": API_KEY, "user_id": "WR0004", "password": "wrong"}
    reply = httpx.post(f"{sandbox.zerodha}/connect/login", data=form)
    assert reply.status_code == 403
    assert reply.headers["content-type"].startswith("text/html")
    assert "location" not in reply.headers
    assert "request_token" not in reply.text


@pytest.mark.parametrize("missing", ["api_key", "user_id", "password"])
def test_login_needs_every_field(sandbox: Running, missing: str) -> None:
    form = {"api_key": API_KEY, "user_id": "WR0005", "password": "any"} | {missing: ""}
    assert httpx.post(f"{sandbox.zerodha}/connect/login", data=form).status_code == 400


def test_request_token_works_once(sandbox: Running) -> None:
    token = kite_request_token(sandbox.zerodha, "WR0006")
    assert exchange(sandbox.zerodha, token).json()["status"] == "success"
    assert_error(exchange(sandbox.zerodha, token), 403, "TokenException")


def test_wrong_checksum(sandbox: Running) -> None:
    token = kite_request_token(sandbox.zerodha, "WR0007")
    form = {"api_key": API_KEY, "request_token": token, "checksum": checksum(token, "guess")}
    reply = httpx.post(f"{sandbox.zerodha}/session/token", data=form)
    assert_error(reply, 403, "TokenException")


def test_exchange_needs_a_form(sandbox: Running) -> None:
    token = kite_request_token(sandbox.zerodha, "WR0008")
    body = {"api_key": API_KEY, "request_token": token, "checksum": checksum(token)}
    assert_error(httpx.post(f"{sandbox.zerodha}/session/token", json=body), 400, "InputException")


@pytest.mark.parametrize(
    "header", ["", "token", "token demo_key", "token demo_key:", "token :t", "Bearer demo_key:t"]
)
def test_unreadable_credentials_are_an_input_error(sandbox: Running, header: str) -> None:
    reply = httpx.get(f"{sandbox.zerodha}/trades", headers={"Authorization": header})
    assert_error(reply, 400, "InputException")
    assert "`api_key`" in reply.json()["message"]
    assert "`access_token`" in reply.json()["message"]


def test_a_token_belongs_to_its_api_key(sandbox: Running, authorization: str) -> None:
    stolen = authorization.replace(API_KEY, "other_key")
    reply = httpx.get(f"{sandbox.zerodha}/trades", headers={"Authorization": stolen})
    assert_error(reply, 403, "TokenException")


def test_logout_names_the_token_in_the_query(sandbox: Running) -> None:
    url = f"{sandbox.zerodha}/session/token"
    assert_error(httpx.delete(url), 400, "InputException")
    query = {"api_key": API_KEY, "access_token": "never-was"}
    assert_error(httpx.delete(url, params=query), 403, "TokenException")


def test_unknown_path_and_method(sandbox: Running) -> None:
    assert_error(httpx.get(f"{sandbox.zerodha}/quote/none"), 404, "GeneralException")
    assert_error(httpx.put(f"{sandbox.zerodha}/trades"), 405, "GeneralException")


@pytest.mark.parametrize(("accepted", "used"), [("gzip", "gzip"), ("identity", None)])
def test_compressed_only_when_accepted(
    sandbox: Running, authorization: str, accepted: str, used: str | None
) -> None:
    headers = {"Authorization": authorization, "Accept-Encoding": accepted}
    reply = httpx.get(f"{sandbox.zerodha}/portfolio/holdings", headers=headers)
    assert reply.headers.get("content-encoding") == used
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["status"] == "success"
