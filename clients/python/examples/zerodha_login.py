"""A login as in production: on Zerodha's page; then wait for the first sync and read the holdings.

python zerodha_login.py USER [ADDRESS]    default: FINLINK_ADDRESS, else localhost:50051

It shows the address of the page, and reads from the input where the page led: the request token, or the whole
address with it.
"""

import sys
import time
from urllib.parse import parse_qs, urlsplit

import finlink_client
from finlink.connectors.v1.connector_service_pb2 import CreateConnectorRequest
from finlink.connectors.v1.record_pb2 import ListRecordsRequest
from finlink.connectors.v1.session_pb2 import Credentials, RefreshSessionRequest
from finlink.connectors.v1.sync_service_pb2 import GetSyncStatusRequest


def main(user_id: str, address: str | None) -> None:
    with finlink_client.connect_blocking(address) as finlink:
        created = finlink.connectors.CreateConnector(
            CreateConnectorRequest(
                user_id=user_id, platform="zerodha", permissions=["portfolio", "profile"]
            )
        )
        connector_id = created.data.id
        print(f"Log in at {created.data.login_url}", flush=True)
        led_to = sys.stdin.readline().strip()
        token = parse_qs(urlsplit(led_to).query).get("request_token", [led_to])[0]
        finlink.connectors.RefreshSession(
            RefreshSessionRequest(
                connector_id=connector_id, credentials=Credentials(request_token=token)
            )
        )
        print("Connected")

        status = GetSyncStatusRequest(connector_id=connector_id)
        for _ in range(150):
            if finlink.sync.GetSyncStatus(status).data.sync_history:
                break
            time.sleep(0.2)
        records = ListRecordsRequest(connector_id=connector_id, data_type="portfolio")
        for record in finlink.iterate_records(records):
            holding = record.holding
            print(
                f"{holding.name}: {holding.quantity} units, {holding.value.value} {holding.value.currency}"
            )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python zerodha_login.py USER [ADDRESS]")
    try:
        main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    except finlink_client.FinlinkError as error:
        sys.exit(f"{type(error).__name__}: {error}")
