"""A change that is sent again with its idempotency key has one effect and one reply."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from google.protobuf.message import Message

from server.core.errors import ApiError, FieldError, InvalidRequest, Unavailable
from server.core.idempotency import (
    AlreadyReplied,
    CallUnderWay,
    IdempotencyRecord,
    IdempotencyRecords,
    KeyedCall,
)
from server.rpc.call import IDEMPOTENCY_KEY, Context, Serving, current_call
from server.rpc.method import Method
from server.rpc.status import STATUSES

FIELD = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Less than Envoy waits for a change.
WAIT = timedelta(seconds=25)


class IdempotencyKeyReused(ApiError):
    code = "IDEMPOTENCY_KEY_REUSED"
    default_message = "This Idempotency-Key was used before for another request"


@dataclass(frozen=True)
class Idempotency:
    """Middleware that serves `Idempotency-Key` on every change.

    Scope is the caller, and the RPC with the fields of its path. Successes and refusals (4xx) are stored
    and returned again. Of a call that failed because the database or a platform did, nothing is stored, so
    it may be tried again.
    """

    _records: IdempotencyRecords
    # Hides requests, which hold passwords, behind their fingerprints.
    _key: bytes = field(repr=False)
    # Called before a reply is returned again, with the user that the request names: the process that made
    # the change may have died before it notified anybody of it.
    _replaying: Callable[[str | None], object]

    def __call__(self, method: Method, inner: Serving) -> Serving:
        if not method.changes_state:
            return inner
        if method.takes_stream and method.stores_reply:
            raise TypeError(f"{method.path}: of a stream no reply is stored; say IDEMPOTENCY_OWN")
        response = method.response_class

        async def handle(request: Message, context: Context) -> Message:
            call = current_call()
            key = call.header(IDEMPOTENCY_KEY)
            if key is not None and not _KEY.fullmatch(key):
                message = "must be 1 to 255 visible ASCII characters, without spaces"
                raise InvalidRequest.of(FIELD, message)
            if key is None or not method.stores_reply:
                return await inner(request, context)
            path = [getattr(request, name) for name in sorted(method.path_fields)]
            scope = call.principal.scope
            name = self._fingerprint(json.dumps([scope, method.path, path, key]).encode())
            asked = self._fingerprint(request.SerializeToString(deterministic=True))
            record = await self._records.find(name)
            if record is None:
                try:
                    async with self._records.serving(name, WAIT):
                        record = await self._records.find(name)
                        if record is None:
                            return await self._serve(name, asked, inner, request, context)
                except CallUnderWay:
                    raise Unavailable(
                        f"Another call with this {FIELD} is still being served",
                        retry_after=timedelta(seconds=1),
                    ) from None
                except AlreadyReplied:
                    # Served by another process, while this one had been taken for dead.
                    record = await self._records.find(name)
                    if record is None:
                        raise
            self._replaying(getattr(request, "user_id", None))
            return _replay(record, asked, response)

        return handle

    async def _serve(
        self, name: str, asked: str, inner: Serving, request: Message, context: Context
    ) -> Message:
        """Serve the call and store its reply, with its change if it makes one."""

        def record(reply: Message) -> IdempotencyRecord:
            content = base64.b64encode(reply.SerializeToString()).decode()
            return IdempotencyRecord(asked, {"reply": content})

        call = current_call().keyed = KeyedCall(self._records, name, record)
        try:
            reply = await inner(request, context)
        except ApiError as error:
            if 400 <= STATUSES[error.code][1] < 500 and error.code != "RATE_LIMITED":
                content = {"error": json.dumps(_as_json(error))}
                await self._records.add([(name, IdempotencyRecord(asked, content))])
            raise
        if call.stored is None:  # nothing was changed
            await self._records.add([(name, record(reply))])
            return reply
        return cast("Message", call.stored)

    def _fingerprint(self, content: bytes) -> str:
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()


def _replay(record: IdempotencyRecord, asked: str, response: type[Message]) -> Message:
    """Raises IdempotencyKeyReused, or the error that was the reply."""
    if not hmac.compare_digest(record.request, asked):
        raise IdempotencyKeyReused
    current_call().facts["replayed"] = True
    if "error" in record.content:
        raise _from_json(json.loads(record.content["error"]))
    return response.FromString(base64.b64decode(record.content["reply"]))


def _as_json(error: ApiError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "fields": [asdict(entry) for entry in error.fields],
        "metadata": error.metadata,
        "at": error.at.isoformat(),
    }


def _from_json(value: dict[str, Any]) -> ApiError:
    error = ApiError(
        value["message"],
        fields=[FieldError(**entry) for entry in value["fields"]],
        metadata=value["metadata"],
    )
    error.code = value["code"]
    error.at = datetime.fromisoformat(value["at"])
    return error
