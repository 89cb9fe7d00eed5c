"""Every failure arrives as the exception that says what it is."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta

import finlink_client
import grpc
import pytest
from finlink.connectors.v1.session_pb2 import RefreshSessionRequest
from finlink.errors.v1.error_reason_pb2 import ErrorReason
from finlink_client import FieldError, FinlinkError, Internal, NotFound, ReauthRequired, failures
from finlink_client.gen.reasons import REASONS as CLASSES
from google.rpc import error_details_pb2, status_pb2

from server.core.errors import ApiError
from server.core.errors import FieldError as ServerFieldError
from server.rpc.status import STATUSES, grpc_details
from tests.clients.flavours import Client
from tests.clients.scripted import Failure, Script

REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name, number in ErrorReason.items()
    if number != ErrorReason.Value("ERROR_REASON_UNSPECIFIED")
]
REQUEST = RefreshSessionRequest(connector_id="0123456789abcdef01234567")  # never tried again
LOGIN_URL = "https://login.example/?token=hush"


def set_by_server(reason: str) -> Failure:
    """What the server answers where `reason` holds, with all that an error can have."""
    error = ApiError(
        "As the server puts it",
        fields=[ServerFieldError("preferences.currency", "must be a currency")],
        metadata={"loginUrl": LOGIN_URL},
        retry_after=timedelta(seconds=7),
    )
    error.code = reason
    return Failure(STATUSES[reason][0], error.message, grpc_details(error))


async def failed(client: Client) -> FinlinkError:
    with pytest.raises(FinlinkError) as caught:
        await client.call(REQUEST)
    return caught.value


def test_every_reason_of_the_contract_has_a_class() -> None:
    assert set(CLASSES) == set(REASONS)
    assert len(set(CLASSES.values())) == len(REASONS)


def test_every_status_of_grpc_has_a_class() -> None:
    assert set(failures.STATUSES) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


def test_the_class_of_a_reason_is_one_its_status_alone_would_give() -> None:
    for reason, (status, _) in STATUSES.items():
        exact, general = CLASSES[reason], failures.STATUSES[status]
        if issubclass(general, finlink_client.AccessDenied):
            general = finlink_client.AccessDenied  # the status alone does not say why
        assert issubclass(exact, general) or reason in {"INVALID_CREDENTIALS", "CODE_INVALID"}


def test_all_are_exported() -> None:
    assert {each.__name__ for each in CLASSES.values()} <= set(finlink_client.__all__)
    assert len(set(finlink_client.__all__)) == len(finlink_client.__all__)


@pytest.mark.parametrize("reason", REASONS)
async def test_what_the_server_says_arrives_whole(
    reason: str, script: Script, scripted: Client
) -> None:
    script.replies["RefreshSession"].append(set_by_server(reason))
    error = await failed(scripted)
    assert type(error) is CLASSES[reason]
    assert error.code == reason
    assert error.message == "As the server puts it"
    assert error.fields == (FieldError("preferences.currency", "must be a currency"),)
    assert error.metadata == {"loginUrl": LOGIN_URL}
    assert error.retry_after == timedelta(seconds=7)
    assert error.grpc_code == STATUSES[reason][0]


@pytest.mark.parametrize("status", list(failures.STATUSES))
async def test_without_a_reason_the_status_decides(
    status: grpc.StatusCode, script: Script, scripted: Client
) -> None:
    script.replies["RefreshSession"].append(Failure(status, "no healthy upstream"))
    error = await failed(scripted)
    assert type(error) is failures.STATUSES[status]
    assert (error.code, error.grpc_code) == (status.name, status)
    assert error.message == "no healthy upstream"
    assert (error.fields, error.metadata, error.retry_after) == ((), {}, None)


def info(reason: str, domain: str) -> bytes:
    status = status_pb2.Status()
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain))
    return bytes(status.SerializeToString())


def broken_info() -> bytes:
    status = status_pb2.Status.FromString(info("USER_NOT_FOUND", "finlink"))
    status.details[0].value = b"\xff"
    return bytes(status.SerializeToString())


@pytest.mark.parametrize(
    ("details", "code"),
    [
        (b"\xff\xff", "NOT_FOUND"),
        (broken_info(), "NOT_FOUND"),
        (info("USER_NOT_FOUND", "elsewhere.example"), "NOT_FOUND"),
        (info("BUDGET_NOT_FOUND", "finlink"), "BUDGET_NOT_FOUND"),
    ],
    ids=["garbage", "garbage inside", "of another service", "newer than this client"],
)
async def test_details_that_mean_nothing_here_leave_the_status(
    details: bytes, code: str, script: Script, scripted: Client
) -> None:
    script.replies["RefreshSession"].append(Failure(grpc.StatusCode.NOT_FOUND, "?", details))
    error = await failed(scripted)
    assert type(error) is NotFound
    assert error.code == code


async def test_a_reply_that_is_no_message_is_an_internal_error(
    script: Script, scripted: Client
) -> None:
    script.replies["RefreshSession"].append(b"\xff\xff")
    assert type(await failed(scripted)) is Internal


def test_texts_say_what_is_wrong_and_no_secret() -> None:
    error = ReauthRequired(
        "REAUTH_REQUIRED", "Log in", [FieldError("x", "is odd")], {"loginUrl": LOGIN_URL}
    )
    assert error.login_url == LOGIN_URL
    assert str(error) == "REAUTH_REQUIRED: Log in (x: is odd)"
    assert repr(error) == "<ReauthRequired REAUTH_REQUIRED: Log in (x: is odd)>"
    assert ReauthRequired("REAUTH_REQUIRED", "Log in").login_url is None


def test_errors_survive_pickling_and_copying() -> None:
    error = ReauthRequired(
        "REAUTH_REQUIRED",
        "Log in",
        [FieldError("x", "is odd")],
        {"loginUrl": LOGIN_URL},
        timedelta(seconds=1),
        grpc.StatusCode.FAILED_PRECONDITION,
        "abc",
    )
    for twin in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):  # noqa: S301
        assert type(twin) is ReauthRequired
        assert vars(twin) == vars(error)
