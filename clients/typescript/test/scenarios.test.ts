/** What every client does, against a running Finlink: see clients/SCENARIOS.md. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inspect } from "node:util";
import type { CallOptions } from "@connectrpc/connect";
import { connect, type Finlink, FinlinkError } from "../src/index.js";
import {
  ADDRESS,
  all,
  client,
  failure,
  kill,
  LOGIN,
  NO_KILL,
  NO_STACK,
  newId,
  newUser,
} from "./stack.js";

const finlink = client();
after(() => finlink.close());

const options = { skip: NO_STACK };

test("creates a user", options, async () => {
  const userId = newId();
  const email = `${userId}@example.com`;
  const created = await finlink.users.createUser({ userId, email, firstName: "Asha" });
  const { data } = await finlink.users.getUser({ userId });
  assert.deepEqual(data, created.data);
  assert.equal(data?.profile?.firstName, "Asha");
  assert.equal(data?.preferences?.currency, "INR");

  const error = await failed(finlink.users.createUser({ userId: newId(), email }));
  assert.equal(error.code, "USER_EXISTS");
  assert.deepEqual(
    error.fields.map((each) => each.field),
    ["email"],
  );
});

test("connects both platforms", options, async () => {
  const userId = await newUser(finlink);
  for (const platform of ["fi_money", "zerodha"]) {
    const { data } = await connectTo(finlink, userId, platform);
    assert.equal(data?.connectionStatus, "connected");
  }
  const { data } = await finlink.connectors.listUserConnectors({ userId });
  const connectors = data?.connectors ?? [];
  assert.deepEqual(
    connectors.map((each) => each.platform),
    ["fi_money", "zerodha"],
  );
  for (const { id: connectorId } of connectors) {
    await finlink.connectors.disconnectConnector({ connectorId });
    const { data } = await finlink.connectors.getConnector({ connectorId });
    assert.equal(data?.connectionStatus, "disconnected");
  }
});

test("follows a sync", options, async () => {
  const userId = await newUser(finlink);
  const watch = finlink.watchConnectors({ userId });
  assert.equal((await watch.next()).value?.type, "ready");
  const connected = await connectTo(finlink, userId, "fi_money");
  const connectorId = connected.data?.id ?? "";
  const started = await finlink.sync.triggerSync({ connectorId });
  const syncId = started.data?.syncId ?? "";
  for await (const event of watch) if (event.endedSync?.syncId === syncId) break;

  const { data: run } = await finlink.sync.getSync({ connectorId, syncId });
  assert.equal(run?.state, "success");
  for (const { dataType, recordsCount } of run?.counts ?? []) {
    const records = await all(finlink.iterateRecords({ connectorId, dataType }));
    assert.equal(records.length, recordsCount, dataType);
    assert.ok(recordsCount > 0, dataType);
  }
});

test("watches and resumes", options, async () => {
  const userId = await newUser(finlink);
  const watch = finlink.watchConnectors({ userId });
  const ready = (await watch.next()).value;
  assert.equal(ready?.type, "ready");
  const { data } = await connectTo(finlink, userId, "zerodha");
  const event = (await watch.next()).value;
  assert.equal(event?.type, "connector");
  assert.equal(event?.connector?.id, data?.id);
  await watch.return(undefined);
  assert.equal((await watch.next()).done, true);

  const resumed = finlink.watchConnectors({ userId, resumeToken: ready?.resumeToken });
  assert.equal((await resumed.next()).value?.resumeToken, ready?.resumeToken);
  assert.deepEqual((await resumed.next()).value, event);
  await resumed.return(undefined);
});

test("reports what is wrong", options, async () => {
  const userId = await newUser(finlink);
  const wrong = { userId: newId(), email: "nobody", firstName: "x".repeat(101) };
  const invalid = await failed(
    finlink.users.createUser(wrong, { headers: { "x-request-id": "from-a-test" } }),
  );
  assert.equal(invalid.code, "VALIDATION_ERROR");
  assert.deepEqual(invalid.fields.map((each) => each.field).sort(), ["email", "firstName"]);
  assert.equal(invalid.requestId, "from-a-test");

  const permissions = ["portfolio"];
  const login = { userId, platform: "zerodha", permissions };
  const { data } = await finlink.connectors.createConnector(login);
  const refresh = finlink.connectors.refreshSession({ connectorId: data?.id ?? "" });
  const pending = await failed(refresh);
  assert.equal(pending.code, "REAUTH_REQUIRED");
  assert.ok(data?.loginUrl);
  assert.equal(pending.loginUrl, data.loginUrl);
  const printed = `${pending} ${pending.stack} ${inspect(pending)} ${JSON.stringify(pending)}`;
  assert.ok(printed.includes("REAUTH_REQUIRED"));
  assert.ok(!printed.includes(data.loginUrl), printed);

  const credentials = { ...LOGIN, password: "wrong" };
  const refused = { userId, platform: "fi_money", permissions, credentials };
  for (let time = 0; time < 10; time++) {
    const error = await failed(finlink.connectors.createConnector(refused));
    assert.equal(error.code, "INVALID_CREDENTIALS");
  }
  const limited = await failed(finlink.connectors.createConnector(refused));
  assert.equal(limited.code, "RATE_LIMITED");
  assert.ok((limited.retryAfterMs ?? 0) > 0);
});

test("survives a killed worker", { skip: NO_STACK || NO_KILL }, async () => {
  const userId = await newUser(finlink);
  const connected = await connectTo(finlink, userId, "zerodha");
  const watch = finlink.watchConnectors({ userId });
  assert.equal((await watch.next()).value?.type, "ready");

  const city = newId();
  const created: string[] = [];
  let reads = 0;
  let going = true;
  const reading = async (): Promise<void> => {
    while (going) {
      await finlink.users.getUser({ userId });
      reads += 1;
    }
  };
  const writing = async (): Promise<void> => {
    while (going) {
      const user = newId();
      await finlink.users.createUser({ userId: user, email: `${user}@example.com`, city });
      created.push(user);
    }
  };
  const callers = Promise.all([reading(), reading(), writing(), writing(), writing()]);
  try {
    await Promise.race([kill("worker-0").then(() => kill("worker-1")), callers]);
  } finally {
    going = false;
    await callers;
  }

  assert.ok(reads > 0);
  const listed = await all(finlink.iterateUsers({ city }));
  assert.deepEqual(listed.map((user) => user.userId).sort(), created.sort());
  for (const user of created) {
    const { data } = await finlink.audit.listAuditEvents({ userId: user, action: "user.created" });
    assert.equal(data?.events.length, 1, user);
  }
  await finlink.connectors.disconnectConnector({ connectorId: connected.data?.id ?? "" });
  for await (const event of watch) if (event.connector?.connectionStatus === "disconnected") break;
});

test("walks lists", options, async () => {
  const city = newId();
  const ids = [1, 2, 3, 4, 5].map((number) => `${city}_${number}`);
  for (const userId of ids)
    await finlink.users.createUser({ userId, email: `${userId}@example.com`, city });
  const newestFirst = [...ids].reverse();
  const request = { city, limit: 2 };
  const users = await all(finlink.iterateUsers(request));
  assert.deepEqual(
    users.map((user) => user.userId),
    newestFirst,
  );
  assert.deepEqual(request, { city, limit: 2 });
  const rest = await all(finlink.iterateUsers({ ...request, page: 2 }));
  assert.deepEqual(
    rest.map((user) => user.userId),
    newestFirst.slice(2),
  );
  assert.deepEqual(await all(finlink.iterateUsers({ city: `${city}x` })), []);

  const [first, second] = [ids[0] ?? "", ids[1] ?? ""];
  for (const userId of [first, second]) await connectTo(finlink, userId, "fi_money");
  const connectors = await all(finlink.iterateConnectors({ limit: 1, status: "connected" }));
  const owners = connectors.map((each) => each.userId).filter((each) => ids.includes(each));
  assert.deepEqual(owners, [second, first]);
});

test("exports a user", options, async () => {
  const userId = await newUser(finlink);
  await connectTo(finlink, userId, "zerodha");
  const items = await all(finlink.exportUser({ userId }));
  const kinds = items.map((item) => item.item.case);
  assert.equal(kinds[0], "user");
  const last = items.at(-1)?.item;
  assert.ok(last?.case === "completed");
  const { counts } = last.value;
  assert.equal(counts.connector, 1);
  for (const kind of ["user", "connector", "record", "auditEvent"])
    assert.equal(counts[kind] ?? 0, kinds.filter((each) => each === kind).length);
  const error = await failed(all(finlink.exportUser({ userId: newId() })));
  assert.equal(error.code, "USER_NOT_FOUND");
});

test("keeps deadlines", options, async () => {
  const userId = await newUser(finlink);
  const short = { timeoutMs: 1 };
  // Connecting asks the platform, which nothing can do within a millisecond.
  const error = await failed(connectTo(finlink, userId, "zerodha", short));
  assert.equal(error.code, "DEADLINE_EXCEEDED");
  const whole = await failed(all(finlink.exportUser({ userId }, short)));
  assert.equal(whole.code, "DEADLINE_EXCEEDED");
  const { data } = await finlink.users.getUser({ userId });
  assert.equal(data?.userId, userId);
});

test("stays signed in", options, async () => {
  const userId = newId();
  const login = { email: `${userId}@example.com`, password: "a long and quiet walk" };
  await finlink.auth.register({ userId, ...login });
  const sessions: { sessionId?: string | undefined; refreshToken?: string | undefined }[] = [];
  const onSession = (data: (typeof sessions)[number]) => sessions.push(data);
  const asks = async (client: Finlink) =>
    assert.equal((await client.me.getMe({})).data?.userId, userId);

  using one = connect(ADDRESS, { login, onSession });
  await asks(one);
  await finlink.auth.logout({ refreshToken: sessions[0]?.refreshToken });
  await asks(one);
  const refreshToken = sessions[1]?.refreshToken ?? "";
  using other = connect(ADDRESS, { refreshToken, onSession });
  await asks(other);
  assert.notEqual(sessions[0]?.sessionId, sessions[1]?.sessionId);
  assert.equal(sessions[2]?.sessionId, sessions[1]?.sessionId);
  assert.notEqual(sessions[2]?.refreshToken, refreshToken);
});

function connectTo(finlink: Finlink, userId: string, platform: string, call?: CallOptions) {
  const permissions = ["portfolio", "profile"];
  const login = { userId, platform, permissions, credentials: LOGIN };
  return finlink.connectors.createConnector(login, call);
}

async function failed(call: Promise<unknown>): Promise<FinlinkError> {
  const error = await failure(call);
  assert.ok(error instanceof FinlinkError, String(error));
  return error;
}
