"""The two shapes of a Kite reply: a success envelope and an error envelope."""

from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class KiteError(Exception):
    """A refusal in Kite's own words; `error_type` is what clients decide by (Kite Connect docs)."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message


def token_error(message: str) -> KiteError:
    return KiteError(403, "TokenException", message)


def input_error(message: str) -> KiteError:
    return KiteError(400, "InputException", message)


def not_found(message: str) -> KiteError:
    return KiteError(404, "GeneralException", message)


def success(data: Any) -> Response:
    return JSONResponse({"status": "success", "data": data})


def failure(error: KiteError) -> Response:
    return JSONResponse(
        {
            "status": "error",
            "message": error.message,
            "data": None,
            "error_type": error.error_type,
        },
        status_code=error.status,
    )


async def reply_to_kite_error(_: Request, error: Exception) -> Response:
    return failure(cast(KiteError, error))


async def reply_to_http_error(_: Request, error: Exception) -> Response:
    """Errors of routing and body parsing, in Kite's shape instead of the framework's."""
    http_error = cast(HTTPException, error)
    message = "Route not found" if http_error.status_code == 404 else http_error.detail
    return failure(KiteError(http_error.status_code, "GeneralException", message))


async def reply_to_crash(_: Request, __: Exception) -> Response:
    return failure(KiteError(500, "GeneralException", "Something went wrong"))
