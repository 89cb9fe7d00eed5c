/** Deadlines, retries, keys and errors, against a scripted server in this process. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorReason } from "../src/gen/finlink/errors/v1/error_reason_pb.js";
import { connect, type Finlink, FinlinkError } from "../src/index.js";
import { isPublic, isRead, isRetried, waitsForPlatform } from "../src/rules.js";
import { METHODS, Script } from "./script.js";
import { failure } from "./stack.js";

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

test("the rules of each call are those of the Python client", {
  skip: process.env.FINLINK_TEST_RULES === undefined && "FINLINK_TEST_RULES names no file",
}, () => {
  const rules = (method: DescMethod) => ({
    read: isRead(method),
    retried: isRetried(method),
    waitsForPlatform: waitsForPlatform(method),
    public: isPublic(method),
  });
  const own = METHODS.map((method) => [`${method.parent.typeName}/${method.name}`, rules(method)]);
  const reported: unknown = JSON.parse(readFileSync(process.env.FINLINK_TEST_RULES ?? "", "utf8"));
  assert.deepEqual(Object.fromEntries(own), reported);
});

test("a change is tried again with the same key, and another change has another", async () => {
  script.replies.push(DOWN, DOWN);
  for (const userId of ["asha", "asha"]) await finlink.users.deleteUser({ userId });
  const keys = script.received.map((call) => call.header.get("idempotency-key"));
  assert.equal(keys.length, 4);
  assert.equal(new Set(keys.slice(0, 3)).size, 1);
  assert.notEqual(keys[3], keys[0]);
});

test("a read has no key, and a caller's own is kept", async () => {
  await finlink.users.getUser({ userId: "asha" });
  const headers = { "idempotency-key": "mine" };
  await finlink.users.deleteUser({ userId: "asha" }, { headers });
  const keys = script.received.map((call) => call.header.get("idempotency-key"));
  assert.deepEqual(keys, [null, "mine"]);
});

test("a call is given up after four attempts", async () => {
  script.replies.push(DOWN, DOWN, DOWN, DOWN, DOWN);
  const error = await failed(finlink.users.getUser({ userId: "asha" }));
  assert.deepEqual([error.code, error.message], ["UNAVAILABLE", "no healthy upstream"]);
  assert.equal(script.received.length, 4);
});

test("what goes to a platform, and other failures, are not tried again", async () => {
  script.replies.push(DOWN, new ConnectError("wrong", Code.InvalidArgument));
  assert.equal((await failed(finlink.connectors.createConnector({}))).code, "UNAVAILABLE");
  assert.equal((await failed(finlink.users.getUser({}))).code, "INVALID_ARGUMENT");
  assert.equal(script.received.length, 2);
});

test("with half of its tokens gone a client tries nothing again", async () => {
  script.replies.push(...Array.from({ length: 50 }, () => DOWN), DOWN);
  for (let time = 0; time < 50; time++) await failed(finlink.connectors.createConnector({}));
  await failed(finlink.users.getUser({}));
  assert.equal(script.received.length, 51);
});

test("a call has its deadline, its client's, or the contract's", async () => {
  const seconds = (header: Headers) => Number(header.get("grpc-timeout")?.slice(0, -1)) / 1000;
  await finlink.users.getUser({});
  await finlink.connectors.refreshSession({});
  using other = connect(script.address, { timeoutMs: 200_000, platformTimeoutMs: 300_000 });
  await other.users.getUser({});
  await other.connectors.refreshSession({});
  await other.users.getUser({}, { timeoutMs: 400_000 });
  const rounded = script.received.map((call) => Math.ceil(seconds(call.header)));
  assert.deepEqual(rounded, [10, 40, 200, 300, 400]);
});

test("an API key goes with every call, and who calls", async () => {
  using keyed = connect(script.address, { apiKey: "finlink_k" });
  await keyed.users.getUser({});
  await keyed.watchConnectors().next();
  for (const { header } of script.received) {
    assert.equal(header.get("x-api-key"), "finlink_k");
    assert.match(header.get("user-agent") ?? "", /^finlink-client-typescript\/0\./);
  }
  assert.equal(script.received.length, 2);
});

test("every reason of the contract arrives with all that it says", async () => {
  const reasons = Object.keys(ErrorReason).filter((name) => Number.isNaN(Number(name)));
  for (const reason of reasons.filter((name) => name !== "UNSPECIFIED")) {
    script.replies.push(Script.failure(reason, Code.FailedPrecondition));
    const error = await failed(finlink.users.getUser({}));
    assert.equal(error.code, reason);
    assert.equal(error.grpcCode, Code.FailedPrecondition);
    assert.deepEqual(error.fields, [{ field: "preferences.currency", message: "is odd" }]);
    assert.deepEqual(error.metadata, { loginUrl: "https://login.example" });
    assert.equal(error.loginUrl, "https://login.example");
    assert.equal(error.retryAfterMs, 7500);
    assert.equal(`${error}`, `${reason}: Told (preferences.currency: is odd)`);
  }
});

test("without a reason of Finlink's the status decides", async () => {
  const statuses = Object.values(Code).filter((code): code is Code => typeof code === "number");
  for (const status of statuses) {
    const other = Script.failure("USER_NOT_FOUND", status, "elsewhere.example");
    script.replies.push(...Array.from({ length: 1 }, () => other));
    const error = await failed(finlink.connectors.createConnector({}));
    const word = Code[status].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
    assert.equal(error.code, word.replace("CANCELED", "CANCELLED"));
    assert.deepEqual(error.metadata, {});
  }
});

test("a connection that is refused or breaks is unavailable", async () => {
  script.replies.push("hang");
  const call = failed(finlink.connectors.createConnector({}));
  await script.hanging;
  await script.stop();
  assert.equal((await call).code, "UNAVAILABLE");
  assert.equal((await failed(finlink.connectors.createConnector({}))).code, "UNAVAILABLE");
});

test("many calls at once are no cause for a warning", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on("warning", note);
  await Promise.all(Array.from({ length: 50 }, () => finlink.users.getUser({})));
  process.off("warning", note);
  assert.deepEqual(warnings, []);
});

test("a late reply is not waited for", async () => {
  script.replies.push("hang");
  const error = await failed(finlink.users.getUser({}, { timeoutMs: 20 }));
  assert.equal(error.code, "DEADLINE_EXCEEDED");
});

test("a caller gives a call up", async () => {
  script.replies.push("hang");
  const giving = new AbortController();
  const call = failed(finlink.users.getUser({}, { signal: giving.signal }));
  await script.hanging;
  giving.abort();
  assert.equal((await call).code, "CANCELLED");
});

test("closing ends what is under way, and what comes later", async () => {
  script.replies.push("hang");
  const call = failed(finlink.users.getUser({}));
  await script.hanging;
  finlink.close();
  assert.equal((await call).code, "CANCELLED");
  assert.equal((await failed(finlink.users.getUser({}))).message, "The client was closed");
  assert.equal((await failed(finlink.watchConnectors().next())).code, "CANCELLED");
});

async function failed(call: Promise<unknown>): Promise<FinlinkError> {
  const error = await failure(call);
  assert.ok(error instanceof FinlinkError, String(error));
  return error;
}
