"""The journey of every generated client, with OpenAPI Generator's for Python: connect, or read."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date

from openapi_client import (
    ApiClient,
    ApiException,
    AuditTrailApi,
    Configuration,
    ConnectorsApi,
    CreateConnectorRequest,
    CreateUserRequest,
    Credentials,
    DataType,
    ErrorResponse,
    ExportsApi,
    ExportUserResponse,
    Platform,
    PreferencesInput,
    Record,
    RiskTolerance,
    SyncsApi,
    UserMetadataInput,
    UsersApi,
)


def connect(finlink: ApiClient, user_id: str) -> object:
    user = (
        UsersApi(finlink)
        .create_user(
            CreateUserRequest(
                userId=user_id,
                email=f"{user_id}@example.com",
                phoneNumber="+91-9876543210",
                dateOfBirth=date(1990, 1, 15),
                income=1_200_000.5,
                riskTolerance=RiskTolerance.MEDIUM,
                preferences=PreferencesInput(currency="INR"),
                metadata=UserMetadataInput(tags=["premium"]),
            )
        )
        .data
    )
    connector = (
        ConnectorsApi(finlink)
        .create_connector(
            CreateConnectorRequest(
                userId=user_id,
                platform=Platform.FI_MONEY,
                credentials=Credentials(username="9876543210", password="any"),
                permissions=[*DataType],
            ),
            idempotency_key=f"connect-{user_id}",
        )
        .data
    )
    assert user.profile.date_of_birth is not None
    assert user.profile.risk_tolerance is not None
    born: date = user.profile.date_of_birth
    return {
        "user": user.user_id,
        "born": born.isoformat(),
        "income": user.profile.income,
        "risk": user.profile.risk_tolerance.value,
        "tags": user.metadata.tags,
        "connector": connector.id,
        "status": connector.connection_status.value,
    }


def walk(finlink: ApiClient, connector: str) -> list[Record]:
    records: list[Record] = []
    token: str | None = None
    while True:
        page = ConnectorsApi(finlink).list_records(connector, limit=50, page_token=token).data
        records += page.records
        token = page.pagination.next_page_token
        if token is None:
            return records


def refusal(call: Callable[[], object]) -> object:
    try:
        call()
    except ApiException as raised:
        error = raised.data
        assert isinstance(error, ErrorResponse)
        return {
            "status": raised.status,
            "code": error.error.code.value,
            "message": error.error.message,
            "fields": [[detail.var_field, detail.message] for detail in error.error.details],
        }
    raise AssertionError("it was not refused")


def read(finlink: ApiClient, user_id: str, connector: str) -> object:
    users, connectors = UsersApi(finlink), ConnectorsApi(finlink)
    records = walk(finlink, connector)
    row = next(record for record in records if record.transaction)
    assert row.transaction is not None
    since = connectors.get_connector_status_summary(from_date="2020-01-01").data
    events = AuditTrailApi(finlink).list_audit_events(
        user_id=user_id, from_date="2020-01-01T00:00:00.5+05:30"
    )
    found = users.batch_get_users([user_id, "nobody"]).data
    status = SyncsApi(finlink).get_sync_status(connector).data
    lines = ExportsApi(finlink).export_user(user_id).decode().splitlines()
    exported = [each for line in lines if (each := ExportUserResponse.from_json(line))]
    later = Record.from_dict(json.loads(row.to_json()) | {"later": 1})
    assert later is not None
    wrong = CreateUserRequest(
        userId=user_id,
        email="user@example.com",
        phoneNumber="+12",
        preferences=PreferencesInput(currency="ZZZ"),
    )
    taken = CreateUserRequest(userId=user_id, email=f"{user_id}@example.com")
    return {
        "records": Counter(record.data_type.value for record in records),
        "trades": sum(record.trade is not None for record in records),
        "holdings": sum(record.holding is not None for record in records),
        "transaction": {
            "id": later.id,
            "date": row.transaction.var_date,
            "direction": row.transaction.direction.value,
            "amount": row.transaction.amount.value,
        },
        "connections": since.summary.total_connections,
        "actions": [event.action for event in events.data.events],
        "found": [user.user_id for user in found.users],
        "missing": found.missing_user_ids,
        "outcomes": [entry.status.value for entry in status.sync_history],
        "exported": sum(each.record is not None for each in exported),
        "complete": exported[-1].completed is not None,
        "errors": [
            refusal(lambda: users.create_user(wrong)),
            refusal(lambda: users.create_user(taken)),
            refusal(lambda: users.get_user("nobody")),
        ],
    }


if __name__ == "__main__":
    phase, url, key, *names = sys.argv[1:]
    with ApiClient(Configuration(host=url, api_key={"apiKey": key})) as client:
        print(json.dumps(connect(client, *names) if phase == "connect" else read(client, *names)))
