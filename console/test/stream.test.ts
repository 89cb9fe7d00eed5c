import { expect, test } from "vitest";
import type { ConnectorSummary, SyncRun, WatchEvent } from "../src/api/types";
import { type Failure, merged, ofAudit, ofEvent, repeated } from "../src/model/failures";
import { withEnded, withEvent } from "../src/model/lists";

const CONNECTOR: ConnectorSummary = {
  id: "a",
  userId: "u",
  platform: "zerodha",
  connectionStatus: "connected",
  failing: false,
};
const RUN: SyncRun = {
  syncId: "sync_1",
  state: "failed",
  startedAt: "2026-01-15T10:00:00Z",
  finishedAt: "2026-01-15T10:00:02Z",
  counts: [],
  missing: [],
  error: { code: "PLATFORM_UNAVAILABLE", message: "Zerodha does not respond" },
};

function event(change: Partial<WatchEvent>): WatchEvent {
  return {
    resumeToken: "t",
    type: "sync",
    occurredAt: "2026-01-15T10:00:03Z",
    connector: CONNECTOR,
    ...change,
  };
}

const PARTIAL: SyncRun = {
  ...RUN,
  state: "partial",
  missing: [
    { dataType: "portfolio", code: "PERMISSION_REFUSED", message: "Zerodha does not allow it" },
    { dataType: "trades", code: "PLATFORM_UNAVAILABLE", message: "Zerodha does not respond" },
    { dataType: "profile", code: "PLATFORM_UNAVAILABLE", message: "Zerodha does not respond" },
  ],
};
const ABOUT = { at: RUN.finishedAt, connectorId: "a", userId: "u", platform: CONNECTOR.platform };
const AWAY = { ...ABOUT, ...RUN.error };

test("a run that failed is a failure with the connector's own words", () => {
  expect(ofEvent(event({ endedSync: RUN }))).toEqual([AWAY]);
});

test("a partial run is a failure for each reason, with the data types that are missing for it", () => {
  expect(ofEvent(event({ endedSync: PARTIAL }))).toEqual([
    { ...AWAY, missing: ["trades", "profile"] },
    {
      ...ABOUT,
      code: "PERMISSION_REFUSED",
      message: "Zerodha does not allow it",
      missing: ["portfolio"],
    },
  ]);
});

test.each<[string, Partial<WatchEvent>]>([
  ["a run under way", { sync: { ...RUN, state: "in_progress" } }],
  ["a cancelled run", { endedSync: { ...RUN, state: "cancelled" } }],
  ["a connection that was made", { type: "connector" }],
])("%s is none", (_, change) => {
  expect(ofEvent(event(change))).toEqual([]);
});

test("a session that expired is one", () => {
  const expired = event({ type: "connector", connector: { ...CONNECTOR, connectionStatus: "expired" } });
  expect(ofEvent(expired)).toMatchObject([{ code: "REAUTH_REQUIRED", connectorId: "a" }]);
  const [found] = ofEvent({ ...expired, endedSync: PARTIAL });
  expect(found).toEqual(AWAY);
});

test("a run that failed and one that brought a part stand apart, each once", () => {
  const audited = ofAudit([
    {
      id: "1",
      ...ABOUT,
      at: "2026-01-15T09:00:00Z",
      action: "sync.partial",
      code: "PLATFORM_UNAVAILABLE",
      fields: ["trades"],
    },
    {
      id: "2",
      ...ABOUT,
      at: "2026-01-15T10:00:01Z",
      action: "sync.partial",
      code: "PLATFORM_UNAVAILABLE",
      fields: ["trades", "profile"],
    },
    {
      id: "3",
      ...ABOUT,
      at: "2026-01-15T08:00:00Z",
      action: "sync.failed",
      code: "PLATFORM_UNAVAILABLE",
      fields: [],
    },
  ]);
  const rows = repeated(merged(audited, ofEvent(event({ endedSync: PARTIAL }))));
  expect(rows.map((each) => [each.code, each.missing, each.times])).toEqual([
    ["PLATFORM_UNAVAILABLE", ["trades", "profile"], 2],
    ["PERMISSION_REFUSED", ["portfolio"], 1],
    ["PLATFORM_UNAVAILABLE", undefined, 1],
  ]);
});

test("partial runs that lack the same count once an hour, as in the trail", () => {
  const seen = (...finished: string[]) =>
    finished.reduce<Failure[]>(
      (known, at) => merged(known, ofEvent(event({ endedSync: { ...PARTIAL, finishedAt: at } }))),
      [],
    );
  const times = (known: Failure[]) => repeated(known).map((each) => each.times);
  expect(times(seen("2026-01-15T10:05:00Z", "2026-01-15T10:55:00Z"))).toEqual([1, 1]);
  expect(times(seen("2026-01-15T10:55:00Z", "2026-01-15T11:00:00Z"))).toEqual([2, 2]);
  const failed = ["2026-01-15T10:05:00Z", "2026-01-15T10:55:00Z"].flatMap((finishedAt) =>
    ofEvent(event({ endedSync: { ...RUN, finishedAt } })),
  );
  expect(times(merged([], failed))).toEqual([2]);
});

test("a failure that the trail and the stream both tell of is shown once, with its message", () => {
  const live = ofEvent(event({ endedSync: RUN }));
  const audited = ofAudit([
    {
      id: "1",
      at: "2026-01-15T10:00:02.500Z",
      action: "sync.failed",
      connectorId: "a",
      userId: "u",
      platform: "zerodha",
      code: "PLATFORM_UNAVAILABLE",
      fields: [],
    },
    {
      id: "2",
      at: "2026-01-15T09:00:00Z",
      action: "sync.failed",
      connectorId: "a",
      userId: "u",
      platform: "zerodha",
      code: "INTERNAL",
      fields: [],
    },
    { id: "3", at: "2026-01-15T09:00:00Z", action: "sync.failed", fields: [] },
  ]);
  for (const both of [merged(audited, live), merged(live, audited)]) {
    expect(both.map((each) => [each.code, each.message])).toEqual([
      ["PLATFORM_UNAVAILABLE", "Zerodha does not respond"],
      ["INTERNAL", undefined],
    ]);
  }
});

test("a list is changed in its place, loses what no longer belongs, gains what has come to", () => {
  const expired: ConnectorSummary = { ...CONNECTOR, connectionStatus: "expired" };
  const other: ConnectorSummary = { ...CONNECTOR, id: "b" };
  const reported = event({ type: "connector", connector: expired });
  expect(withEvent([other, CONNECTOR], {}, reported)).toEqual([other, expired]);
  expect(withEvent([other, CONNECTOR], { status: "connected" }, reported)).toEqual([other]);
  expect(withEvent([], { status: "expired" }, reported)).toEqual([expired]);
  expect(withEvent([], { userId: "somebody" }, reported)).toEqual([]);
  expect(withEvent([], {}, event({}))).toEqual([]);
  expect(withEvent([other, CONNECTOR], {}, event({ type: "deleted" }))).toEqual([other]);
});

test("a run that ended comes first in the history, once", () => {
  const [entry] = withEnded([], {
    ...RUN,
    state: "abandoned",
    counts: [{ dataType: "trades", recordsCount: 3, addedCount: 1 }],
  });
  expect(entry).toMatchObject({
    status: "failed",
    recordsCount: 3,
    addedCount: 1,
    errorCode: "PLATFORM_UNAVAILABLE",
  });
  const once = withEnded([], RUN);
  expect(withEnded(once, RUN)).toBe(once);
});
