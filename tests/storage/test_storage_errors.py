"""Driver errors: what passes by itself is UNAVAILABLE, the rest is a fault of ours."""

from __future__ import annotations

import asyncio

import pytest
from pymongo import errors as mongo

from server.storage.errors import translate


def labelled(label: str) -> mongo.PyMongoError:
    error = mongo.OperationFailure("no", 251)
    error._add_error_label(label)
    return error


@pytest.mark.parametrize(
    "error",
    [
        mongo.AutoReconnect("gone"),
        mongo.ConnectionFailure("gone"),
        mongo.NetworkTimeout("gone"),
        mongo.NotPrimaryError("stepped down"),
        mongo.ServerSelectionTimeoutError("nobody there"),
        mongo.ExecutionTimeout("too long"),
        mongo.WTimeoutError("no majority"),
        mongo.WaitQueueTimeoutError("no connection free"),
        mongo.ConfigurationError("Sessions are not supported by this MongoDB deployment"),
        labelled("TransientTransactionError"),
        labelled("RetryableWriteError"),
    ],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'code', '')}",
)
def test_passing_failures(error: mongo.PyMongoError) -> None:
    reported = translate(error)
    assert reported is not None
    assert reported.code == "UNAVAILABLE"
    assert str(error) not in reported.message


@pytest.mark.parametrize(
    "error",
    [
        mongo.DuplicateKeyError("taken", 11000),
        mongo.OperationFailure("bad query", 2),
        mongo.ConfigurationError("bad setting"),
        mongo.InvalidOperation("bad use"),
        mongo.DocumentTooLarge("bad size"),
        mongo.BulkWriteError({"writeErrors": [{"code": 11000}]}),
        labelled("NoWritesPerformed"),
        ValueError("not of the driver"),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_faults(error: BaseException) -> None:
    assert translate(error) is None
