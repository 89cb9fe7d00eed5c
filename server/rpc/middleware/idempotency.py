"""Innermost: a change that is sent again with its idempotency key has one effect and one answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, cast

from google.protobuf.message import Message

from server.core.errors import ApiError, FieldError, InvalidRequest, Unavailable
from server.core.idempotency import (
    Answer,
    AnswerExists,
    Answers,
    CallUnderWay,
    KeyedCall,
    enter_keyed_call,
)
from server.rpc.call import Context, Serving, current_call
from server.rpc.method import Method
from server.rpc.status import STATUSES

FIELD = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Less than Envoy waits for a change.
PATIENCE = timedelta(seconds=25)


class IdempotencyKeyReused(ApiError):
    code = "IDEMPOTENCY_KEY_REUSED"
    default_message = "This Idempotency-Key was used before for another request"


class Idempotency:
    """A step that serves `Idempotency-Key` on every change.

    Scope is the RPC with the fields of its path. Successes and refusals (4xx) are kept and given
    again; of what failed for want of a database or platform nothing is kept, so it may be tried again.
    """

    def __init__(self, answers: Answers, key: bytes, again: Callable[[str | None], object]) -> None:
        """`key` hides requests, which hold passwords, behind their fingerprints.

        `again` is called before an answer is given again, with the user that the request names: who
        made the change may have died before it told anybody of it.
        """
        self._answers = answers
        self._key = key
        self._again = again

    def __call__(self, method: Method, inner: Serving) -> Serving:
        if not method.changes_state:
            return inner
        if method.takes_stream and method.stores_reply:
            raise TypeError(f"{method.path}: of a stream no reply is stored; say IDEMPOTENCY_OWN")
        response = method.response_class

        async def handle(request: Message, context: Context) -> Message:
            key = current_call().idempotency_key
            if key is not None and not _KEY.fullmatch(key):
                message = "must be 1 to 255 visible ASCII characters, without spaces"
                raise InvalidRequest.of(FIELD, message)
            if key is None or not method.stores_reply:
                return await inner(request, context)
            path = [getattr(request, name) for name in sorted(method.path_fields)]
            name = self._fingerprint(json.dumps([method.path, path, key]).encode())
            asked = self._fingerprint(request.SerializeToString(deterministic=True))
            kept = await self._answers.find(name)
            if kept is None:
                try:
                    async with self._answers.serving(name, PATIENCE):
                        kept = await self._answers.find(name)
                        if kept is None:
                            return await self._serve(name, asked, inner, request, context)
                except CallUnderWay:
                    raise Unavailable(
                        f"Another call with this {FIELD} is still being served",
                        retry_after=timedelta(seconds=1),
                    ) from None
                except AnswerExists:
                    # Served elsewhere, while this process had been taken for dead.
                    kept = await self._answers.find(name)
                    if kept is None:
                        raise
            self._again(getattr(request, "user_id", None))
            return _given_again(kept, asked, response)

        return handle

    async def _serve(
        self, name: str, asked: str, inner: Serving, request: Message, context: Context
    ) -> Message:
        """Serve the call and keep its answer, with its change where it makes one."""

        def answer(reply: Message) -> Answer:
            return Answer(asked, {"reply": base64.b64encode(reply.SerializeToString()).decode()})

        call = KeyedCall(self._answers, name, answer)
        enter_keyed_call(call)
        try:
            reply = await inner(request, context)
        except ApiError as error:
            if _is_refusal(error):
                content = {"error": json.dumps(_as_json(error))}
                await self._answers.keep([(name, Answer(asked, content))])
            raise
        if call.stored is None:  # nothing was changed
            await self._answers.keep([(name, answer(reply))])
            return reply
        return cast("Message", call.stored)

    def _fingerprint(self, content: bytes) -> str:
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()


def _given_again(kept: Answer, asked: str, response: type[Message]) -> Message:
    """Raises IdempotencyKeyReused, or the error that was the answer."""
    if not hmac.compare_digest(kept.request, asked):
        raise IdempotencyKeyReused
    current_call().facts["replayed"] = True
    if "error" in kept.content:
        raise _from_json(json.loads(kept.content["error"]))
    return response.FromString(base64.b64decode(kept.content["reply"]))


def _is_refusal(error: ApiError) -> bool:
    return 400 <= STATUSES[error.code][1] < 500 and error.code != "RATE_LIMITED"


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
