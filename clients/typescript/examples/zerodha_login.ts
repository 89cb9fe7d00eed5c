/**
 * Connect a user to Zerodha as in production: log in on Zerodha's page, wait for the first sync, read holdings.
 *
 *     node zerodha_login.js USER
 *
 * Finlink is at FINLINK_ADDRESS, else localhost:50051. It shows the address of the page, and reads from the input where
 * the page led: the request token, or the whole address with it.
 */
import { createInterface } from "node:readline/promises";
import { setTimeout } from "node:timers/promises";
import { connect } from "@finlink/client";

const userId = process.argv[2] ?? "asha";
using finlink = connect();

const created = await finlink.connectors.createConnector({
  userId,
  platform: "zerodha",
  permissions: ["portfolio", "profile"],
});
const connectorId = created.data?.id ?? "";
console.log(`Log in at ${created.data?.loginUrl}`);
const input = createInterface({ input: process.stdin });
const ledTo = (await input.question("")).trim();
input.close();
const token = URL.canParse(ledTo) ? new URL(ledTo).searchParams.get("request_token") : ledTo;
await finlink.connectors.refreshSession({
  connectorId,
  credentials: { requestToken: token ?? "" },
});
console.log("Connected");

for (let looks = 0; looks < 150; looks++) {
  const { data } = await finlink.sync.getSyncStatus({ connectorId });
  if (data?.syncHistory.length) break;
  await setTimeout(200);
}
for await (const record of finlink.iterateRecords({ connectorId, dataType: "portfolio" })) {
  if (record.item.case !== "holding") continue;
  const { name, quantity, value } = record.item.value;
  console.log(`${name}: ${quantity} units, ${value?.value} ${value?.currency}`);
}
