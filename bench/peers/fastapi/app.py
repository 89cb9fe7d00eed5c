"""The users and connectors API as one would write it with FastAPI and PyMongo's asyncio API."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import schemas
from documents import connector_of, midnight, user_of
from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.errors import DuplicateKeyError

Id = Annotated[str, Path(alias="userId", pattern=r"^[A-Za-z0-9_]{1,64}$")]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        os.environ["MONGODB_URI"], maxPoolSize=50, minPoolSize=2, w="majority", tz_aware=True
    )
    async with client:
        app.state.database = client[os.environ["DB_NAME"]]
        yield


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)


class ApiError(Exception):
    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        self.status, self.code, self.message, self.field = status, code, message, field


USER_NOT_FOUND = ApiError(404, "USER_NOT_FOUND", "User not found")


def error_reply(
    request: Request, status: int, code: str, message: str, details: list[dict[str, str]]
) -> JSONResponse:
    body = {
        "code": code,
        "message": message,
        "details": details,
        "timestamp": datetime.now(UTC).isoformat(),
        "path": request.url.path,
    }
    return JSONResponse({"success": False, "error": body, "timestamp": body["timestamp"]}, status)


@app.exception_handler(ApiError)
async def api_error(request: Request, error: ApiError) -> JSONResponse:
    details = [{"field": error.field, "message": error.message}] if error.field else []
    return error_reply(request, error.status, error.code, error.message, details)


@app.exception_handler(RequestValidationError)
async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    details = [
        {"field": ".".join(str(part) for part in item["loc"][1:]), "message": str(item["msg"])}
        for item in error.errors()
    ]
    return error_reply(request, 400, "VALIDATION_ERROR", "Validation failed", details)


@app.post("/api/v1/users", status_code=201, response_model_exclude_none=True)
async def create_user(body: schemas.UserBody, request: Request) -> schemas.UserCreated:
    now = datetime.now(UTC)
    profile = body.model_dump(by_alias=True, exclude_none=True, exclude={"user_id", "email"})
    document = {
        "userId": body.user_id,
        "email": body.email.lower(),
        "profile": midnight(profile),
        "preferences": schemas.Preferences().model_dump(by_alias=True),
        "status": "active",
        "emailVerified": False,
        "metadata": {"tags": []},
        "createdAt": now,
        "updatedAt": now,
    }
    try:
        await request.app.state.database.users.insert_one(document)
    except DuplicateKeyError as error:
        field = next(iter((error.details or {})["keyPattern"]))
        raise ApiError(409, "USER_EXISTS", f"{field} already exists", field) from None
    return schemas.UserCreated(data=user_of(document))


@app.get("/api/v1/users", response_model_exclude_none=True)
async def list_users(
    request: Request,
    page: Annotated[int, Query(ge=1)] = 1,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    status: schemas.Status | None = None,
) -> schemas.UserListReply:
    users = request.app.state.database.users
    where = {} if status is None else {"status": status}
    total = await users.count_documents(where)
    cursor = users.find(where).sort([("createdAt", -1), ("_id", -1)])
    documents = await cursor.skip((page - 1) * limit).limit(limit).to_list(None)
    pages = -(-total // limit)
    pagination = schemas.Pagination(
        current_page=page,
        total_pages=pages,
        total_users=total,
        has_next=page < pages,
        has_prev=page > 1,
    )
    data = schemas.UserList(users=[user_of(found) for found in documents], pagination=pagination)
    return schemas.UserListReply(data=data)


@app.get("/api/v1/users/{userId}", response_model_exclude_none=True)
async def get_user(user_id: Id, request: Request) -> schemas.UserReply:
    document = await request.app.state.database.users.find_one({"userId": user_id})
    if document is None:
        raise USER_NOT_FOUND
    return schemas.UserReply(data=user_of(document))


@app.put("/api/v1/users/{userId}/profile", response_model_exclude_none=True)
async def update_profile(
    user_id: Id, body: schemas.ProfileBody, request: Request
) -> schemas.ProfileReply:
    changes = midnight(body.model_dump(by_alias=True, exclude_unset=True))
    fields = {f"profile.{name}": value for name, value in changes.items()}
    document = await request.app.state.database.users.find_one_and_update(
        {"userId": user_id},
        {"$set": {**fields, "updatedAt": datetime.now(UTC)}},
        return_document=ReturnDocument.AFTER,
    )
    if document is None:
        raise USER_NOT_FOUND
    return schemas.ProfileReply(data=schemas.UpdatedProfile.model_validate(document))


@app.get("/api/v1/connectors/status", response_model_exclude_none=True)
async def connector_status(request: Request) -> schemas.SummaryReply:
    key = {"platform": "$platform", "status": "$connectionStatus", "failing": "$failing"}
    cursor = await request.app.state.database.connectors.aggregate(
        [{"$group": {"_id": key, "count": {"$sum": 1}}}]
    )
    counts: dict[str, int] = {}
    platforms: dict[str, dict[str, int]] = {}
    async for row in cursor:
        platform, status = row["_id"]["platform"], row["_id"]["status"]
        word = "active" if status == "connected" else status
        part = platforms.setdefault(platform, {"total": 0})
        part["total"] += row["count"]
        failing = ["failing"] if row["_id"].get("failing") else []
        for name in (word, *failing):
            part[name] = part.get(name, 0) + row["count"]
        for name in ("total", word, *failing):
            counts[f"{name}_connections"] = counts.get(f"{name}_connections", 0) + row["count"]
    summary = schemas.Counts(**counts)
    by_platform = {name: schemas.PlatformCounts(**part) for name, part in platforms.items()}
    return schemas.SummaryReply(data=schemas.Summary(summary=summary, by_platform=by_platform))


@app.get("/api/v1/connectors/user/{userId}", response_model_exclude_none=True)
async def user_connectors(user_id: Id, request: Request) -> schemas.ConnectorListReply:
    database = request.app.state.database
    if await database.users.find_one({"userId": user_id}, {"_id": 1}) is None:
        raise USER_NOT_FOUND
    documents = await database.connectors.find({"userId": user_id}).sort("_id", 1).to_list(None)
    now = datetime.now(UTC)
    data = schemas.ConnectorList(
        connectors=[connector_of(document, now) for document in documents],
        total_connectors=len(documents),
        active_connections=sum(found["connectionStatus"] == "connected" for found in documents),
    )
    return schemas.ConnectorListReply(data=data)
