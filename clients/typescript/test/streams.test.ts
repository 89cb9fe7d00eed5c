/** Watches, exports and lists, against a scripted server in this process. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { connect, type Finlink, FinlinkError } from "../src/index.js";
import { Script } from "./script.js";
import { all, failure } from "./stack.js";

const DOWN = new ConnectError("no healthy upstream", Code.Unavailable);

let script: Script;
let finlink: Finlink;

beforeEach(async () => {
  script = await Script.serving();
  finlink = connect(script.address);
});

afterEach(async () => {
  finlink.close();
  await script.stop();
});

test("a watch goes on after the last event", async () => {
  const cut = new ConnectError("what is said of a stream whose server was killed", Code.Internal);
  script.streams.push([reported("a"), reported("b"), DOWN], [DOWN], [cut], [reported("c")]);
  const request = { userId: "ann", resumeToken: "start" };
  const events = await all(finlink.watchConnectors(request));
  assert.deepEqual(
    events.map((event) => event.resumeToken),
    ["a", "b", "c"],
  );
  assert.deepEqual(script.tokens, ["start", "b", "b", "b"]);
  assert.deepEqual(request, { userId: "ann", resumeToken: "start" });
  for (const { header } of script.received) assert.equal(header.get("grpc-timeout"), null);
});

test("what does not pass ends a watch", async () => {
  for (const reason of ["RESUME_TOKEN_EXPIRED", "INTERNAL"]) {
    script.streams.push([reported("a"), DOWN], [Script.failure(reason, Code.Internal)]);
    const watch = finlink.watchConnectors();
    assert.equal((await watch.next()).value?.resumeToken, "a");
    await failsWith(reason, watch.next());
  }
});

test("a watch that does not begin fails at once", async () => {
  script.streams.push([DOWN]);
  await failsWith("UNAVAILABLE", finlink.watchConnectors().next());
  assert.equal(script.received.length, 1);
});

test("closing the client ends a watch", async () => {
  script.streams.push([reported("a"), "hang"]);
  const watch = finlink.watchConnectors();
  await watch.next();
  const next = watch.next();
  await script.hanging;
  finlink.close();
  await failsWith("CANCELLED", next);
});

test("an export that breaks off is not taken for the whole", async () => {
  script.streams.push([{ item: { case: "user", value: { userId: "ann" } } }, DOWN]);
  await failsWith("UNAVAILABLE", all(finlink.exportUser({ userId: "ann" })));
  assert.equal(script.received.length, 1);
});

test("lists are walked in large pages, and nothing is fetched ahead", async () => {
  script.replies.push(
    { data: { records: [{ id: "a" }, { id: "b" }], pagination: { nextPageToken: "next" } } },
    { data: { records: [{ id: "c" }], pagination: {} } },
  );
  const walk = finlink.iterateRecords({ connectorId: "0", dataType: "trades" });
  for (const id of ["a", "b"]) assert.equal((await walk.next()).value?.id, id);
  assert.equal(script.received.length, 1);
  assert.equal((await walk.next()).value?.id, "c");
  assert.equal((await walk.next()).done, true);
  const asked = script.received.map((call) => call.message as Record<string, unknown>);
  assert.deepEqual(
    asked.map(({ dataType, limit, pageToken }) => [dataType, limit, pageToken]),
    [
      ["trades", 100, undefined],
      ["trades", 100, "next"],
    ],
  );
});

function reported(resumeToken: string) {
  return { resumeToken, type: "sync" };
}

async function failsWith(code: string, call: Promise<unknown>): Promise<void> {
  const error = await failure(call);
  assert.ok(error instanceof FinlinkError, String(error));
  assert.equal(error.code, code);
}
