/** Sessions of users, against a scripted server in this process. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { LIFE_USED } from "../src/browser.js";
import type { RefreshRequest } from "../src/gen/finlink/identity/v1/login_pb.js";
import { type ConnectOptions, connect, type Finlink, FinlinkError } from "../src/index.js";
import { RULES } from "../src/rules.js";
import { Script } from "./script.js";

const DOWN = new ConnectError("no healthy upstream", Code.Unavailable);
const LOGIN = { email: "asha@example.com", password: "any" };

let script: Script;
let finlink: Finlink;

beforeEach(async () => {
  script = await Script.serving();
});

afterEach(async () => {
  mock.timers.reset();
  finlink.close();
  await script.stop();
});

/** A reply to Login or Refresh with the tokens of this number. */
const pair = (number: number, expiresIn = 900) => ({
  data: { token: `at${number}`, refreshToken: `flr_${number}`, expiresIn },
});
const refused = (reason: string) => Script.failure(reason, Code.Unauthenticated);

function signedIn(options: ConnectOptions = { refreshToken: "flr_0" }): Finlink {
  finlink = connect(script.address, options);
  return finlink;
}

/** Each call that came, with its access token. */
const calls = () =>
  script.received.map(({ method, header }) =>
    `${method} ${header.get("authorization")?.replace("Bearer ", "") ?? ""}`.trim(),
  );
const keys = (name: string) =>
  script.received
    .filter(({ method }) => method === name)
    .map(({ header }) => header.get("idempotency-key"));

test("many calls at once make one refresh", async () => {
  script.replies.push(pair(1));
  const kept: (string | undefined)[] = [];
  signedIn({ refreshToken: "flr_0", onSession: (data) => kept.push(data.refreshToken) });
  await Promise.all(Array.from({ length: 8 }, () => finlink.users.getUser({})));
  assert.deepEqual(calls(), ["Refresh", ...Array.from({ length: 8 }, () => "GetUser at1")]);
  assert.deepEqual(kept, ["flr_1"]);
});

test("the next token is fetched before one expires, and one that lives is used until then", async () => {
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  script.replies.push(pair(1), {}, {}, DOWN, DOWN, DOWN, DOWN, {}, {}, pair(2));
  signedIn();
  for (const passed of [0, 719, 2, 1, 10]) {
    mock.timers.tick(passed * 1000);
    await finlink.users.getUser({});
  }
  assert.deepEqual(calls(), [
    ...["Refresh", "GetUser at1", "GetUser at1"],
    ...["Refresh at1", "Refresh at1", "Refresh at1", "Refresh at1"],
    ...["GetUser at1", "GetUser at1", "Refresh at1", "GetUser at2"],
  ]);
});

test("a call whose token has expired is made once more", async () => {
  const expired = refused("TOKEN_EXPIRED");
  script.replies.push(pair(1), expired, pair(2), {}, expired, pair(3), expired);
  signedIn();
  await finlink.users.deleteUser({});
  assert.equal(await codeOf(finlink.users.deleteUser({})), "TOKEN_EXPIRED");
  assert.deepEqual(calls(), [
    ...["Refresh", "DeleteUser at1", "Refresh at1", "DeleteUser at2"],
    ...["DeleteUser at2", "Refresh at2", "DeleteUser at3"],
  ]);
  const [first, again, second, last] = keys("DeleteUser");
  assert.deepEqual([again, last], [first, second]);
  assert.notEqual(first, second);
});

test("a refresh whose reply was lost is repeated with its key", async () => {
  script.replies.push(Script.failure("DEADLINE_EXCEEDED", Code.DeadlineExceeded), pair(1));
  signedIn();
  assert.equal(await codeOf(finlink.users.getUser({})), "DEADLINE_EXCEEDED");
  await finlink.users.getUser({});
  const [first, again] = keys("Refresh");
  assert.equal(first, again);
  const asked = script.received.slice(0, 2).map(({ message }) => message as RefreshRequest);
  assert.deepEqual(
    asked.map((request) => request.refreshToken),
    ["flr_0", "flr_0"],
  );
});

test("a call waits for a token no longer than for its reply", async () => {
  script.replies.push("hang");
  signedIn();
  const late = finlink.users.getUser({}, { timeoutMs: 50 });
  assert.equal(await codeOf(late), "DEADLINE_EXCEEDED");
  const left = new AbortController();
  const leaving = finlink.users.getUser({}, { signal: left.signal });
  left.abort();
  assert.equal(await codeOf(leaving), "CANCELLED");
});

test("a login begins the session, begins it again, and is not tried again once refused", async () => {
  const ended = refused("SESSION_ENDED");
  script.replies.push(pair(1), {}, ended, ended, pair(2), {}, ended, ended);
  script.replies.push(refused("LOGIN_FAILED"));
  signedIn({ login: LOGIN });
  for (let time = 0; time < 2; time++) await finlink.users.getUser({});
  for (let time = 0; time < 2; time++)
    assert.equal(await codeOf(finlink.users.getUser({})), "LOGIN_FAILED");
  assert.deepEqual(
    calls().map((each) => each.split(" ")[0]),
    [
      ...["Login", "GetUser", "GetUser", "Refresh", "Login", "GetUser"],
      ...["GetUser", "Refresh", "Login"],
    ],
  );
});

test("an ended session is its caller's without a login", async () => {
  script.replies.push(refused("SESSION_ENDED"));
  signedIn();
  for (let time = 0; time < 2; time++)
    assert.equal(await codeOf(finlink.users.getUser({})), "SESSION_ENDED");
  assert.deepEqual(calls(), ["Refresh"]);
});

test("signing out shows the token and fetches none; a caller's own token is kept", async () => {
  script.replies.push({}, pair(1, 0));
  signedIn();
  await finlink.auth.logout({});
  await finlink.users.getUser({});
  await finlink.auth.logout({});
  await finlink.users.getUser({}, { headers: { authorization: "Bearer own" } });
  assert.deepEqual(calls(), ["Logout", "Refresh", "GetUser at1", "Logout at1", "GetUser own"]);
});

test("streams go on with the next token", async () => {
  const expired = refused("TOKEN_EXPIRED");
  script.replies.push(pair(1), pair(2), pair(3), pair(4), pair(5));
  script.streams.push(
    [{ resumeToken: "a" }, expired],
    [{ resumeToken: "b" }],
    [expired],
    [expired],
  );
  script.streams.push([expired], [{}], [{}, expired]);
  signedIn();
  const seen = [];
  for await (const event of finlink.watchConnectors()) seen.push(event.resumeToken);
  assert.deepEqual(seen, ["a", "b"]);
  assert.equal(await codeOf(all(finlink.watchConnectors())), "TOKEN_EXPIRED");
  assert.equal((await all(finlink.exportUser({}))).length, 1);
  assert.equal(await codeOf(all(finlink.exportUser({}))), "TOKEN_EXPIRED");
});

test("an access token is sent as it is, and stands alone", async () => {
  signedIn({ accessToken: "own" });
  await finlink.users.getUser({});
  assert.deepEqual(calls(), ["GetUser own"]);
  assert.throws(() => connect(script.address, { accessToken: "own", login: LOGIN }), TypeError);
});

test("pages renew as early as all clients", () => {
  assert.equal(LIFE_USED, RULES.tokenLifeUsed);
});

async function codeOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => assert.fail("it succeeded"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof FinlinkError, String(error));
  return error.code;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
