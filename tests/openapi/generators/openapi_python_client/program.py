"""The journey of every generated client, with openapi-python-client's: connect, or read."""

import json
import sys
from collections import Counter
from datetime import date
from typing import TypeVar

from client import AuthenticatedClient
from client.api.audit_trail import list_audit_events
from client.api.connectors import create_connector, get_connector_status_summary, list_records
from client.api.exports import export_user
from client.api.syncs import get_sync_status
from client.api.users import batch_get_users, create_user, get_user
from client.models import (
    CreateConnectorRequest,
    CreateUserRequest,
    Credentials,
    DataType,
    ErrorResponse,
    ExportUserResponse,
    Platform,
    PreferencesInput,
    Record,
    RiskTolerance,
    UserMetadataInput,
)
from client.types import UNSET, Response, Unset

T = TypeVar("T")


def there(value: T | Unset | None) -> T:
    assert value is not None
    assert not isinstance(value, Unset)
    return value


def done(value: T | ErrorResponse | None) -> T:
    assert not isinstance(value, ErrorResponse), value
    return there(value)


def connect(finlink: AuthenticatedClient, user_id: str) -> object:
    user = done(
        create_user.sync(
            client=finlink,
            body=CreateUserRequest(
                user_id=user_id,
                email=f"{user_id}@example.com",
                phone_number="+91-9876543210",
                date_of_birth=date(1990, 1, 15),
                income=1_200_000.5,
                risk_tolerance=RiskTolerance.MEDIUM,
                preferences=PreferencesInput(currency="INR"),
                metadata=UserMetadataInput(tags=["premium"]),
            ),
        )
    ).data
    connector = done(
        create_connector.sync(
            client=finlink,
            idempotency_key=f"connect-{user_id}",
            body=CreateConnectorRequest(
                user_id=user_id,
                platform=Platform.FI_MONEY,
                credentials=Credentials(username="9876543210", password="any"),
                permissions=[*DataType],
            ),
        )
    ).data
    profile = user.profile
    born: date = there(profile.date_of_birth)
    return {
        "user": user.user_id,
        "born": born.isoformat(),
        "income": profile.income,
        "risk": there(profile.risk_tolerance).value,
        "tags": user.metadata.tags,
        "connector": connector.id,
        "status": connector.connection_status.value,
    }


def walk(finlink: AuthenticatedClient, connector: str) -> list[Record]:
    records: list[Record] = []
    token: str | Unset = UNSET
    while True:
        page = done(list_records.sync(connector, client=finlink, limit=50, page_token=token)).data
        records += page.records
        token = page.pagination.next_page_token
        if isinstance(token, Unset):
            return records


def refusal(response: Response[T | ErrorResponse]) -> object:
    error = response.parsed
    assert isinstance(error, ErrorResponse)
    return {
        "status": response.status_code,
        "code": error.error.code.value,
        "message": error.error.message,
        "fields": [[detail.field, detail.message] for detail in error.error.details],
    }


def read(finlink: AuthenticatedClient, user_id: str, connector: str) -> object:
    records = walk(finlink, connector)
    row = next(record for record in records if not isinstance(record.transaction, Unset))
    transaction = there(row.transaction)
    since = get_connector_status_summary.sync(client=finlink, from_date="2020-01-01")
    events = list_audit_events.sync(
        client=finlink, user_id=user_id, from_date="2020-01-01T00:00:00.5+05:30"
    )
    found = done(batch_get_users.sync(client=finlink, user_ids=[user_id, "nobody"])).data
    status = done(get_sync_status.sync(connector, client=finlink)).data
    file = done(export_user.sync(user_id, client=finlink)).payload
    exported = [ExportUserResponse.from_dict(json.loads(line)) for line in file]
    later = Record.from_dict(row.to_dict() | {"later": 1})
    wrong = CreateUserRequest(
        user_id=user_id,
        email="user@example.com",
        phone_number="+12",
        preferences=PreferencesInput(currency="ZZZ"),
    )
    taken = CreateUserRequest(user_id=user_id, email=f"{user_id}@example.com")
    return {
        "records": Counter(record.data_type.value for record in records),
        "trades": sum(not isinstance(record.trade, Unset) for record in records),
        "holdings": sum(not isinstance(record.holding, Unset) for record in records),
        "transaction": {
            "id": later.id,
            "date": transaction.date,
            "direction": transaction.direction.value,
            "amount": transaction.amount.value,
        },
        "connections": done(since).data.summary.total_connections,
        "actions": [event.action for event in done(events).data.events],
        "found": [user.user_id for user in found.users],
        "missing": found.missing_user_ids,
        "outcomes": [entry.status.value for entry in status.sync_history],
        "exported": sum(not isinstance(each.record, Unset) for each in exported),
        "complete": not isinstance(exported[-1].completed, Unset),
        "errors": [
            refusal(create_user.sync_detailed(client=finlink, body=wrong)),
            refusal(create_user.sync_detailed(client=finlink, body=taken)),
            refusal(get_user.sync_detailed("nobody", client=finlink)),
        ],
    }


if __name__ == "__main__":
    phase, url, key, *names = sys.argv[1:]
    client = AuthenticatedClient(
        url, token=key, prefix="", auth_header_name="x-api-key", timeout=None
    )
    print(json.dumps(connect(client, *names) if phase == "connect" else read(client, *names)))
