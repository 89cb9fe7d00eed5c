import { expect, test } from "vitest";
import type { ConnectorSummary, SyncRun, WatchEvent } from "../src/api/types";
import { merged, ofAudit, ofEvent } from "../src/model/failures";
import { withEnded, withEvent } from "../src/model/lists";

const CONNECTOR: ConnectorSummary = {
  id: "a",
  userId: "u",
  platform: "zerodha",
  connectionStatus: "connected",
};
const RUN: SyncRun = {
  syncId: "sync_1",
  state: "failed",
  startedAt: "2026-01-15T10:00:00Z",
  finishedAt: "2026-01-15T10:00:02Z",
  counts: [],
  error: { code: "PLATFORM_UNAVAILABLE", message: "Zerodha does not answer" },
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

test("a run that failed is a failure with the connector's own words", () => {
  expect(ofEvent(event({ endedSync: RUN }))).toEqual({
    at: RUN.finishedAt,
    connectorId: "a",
    userId: "u",
    platform: "zerodha",
    code: "PLATFORM_UNAVAILABLE",
    message: "Zerodha does not answer",
  });
});

test.each<[string, Partial<WatchEvent>]>([
  ["a run under way", { sync: { ...RUN, state: "in_progress" } }],
  ["a partial run", { endedSync: { ...RUN, state: "partial" } }],
  ["a cancelled run", { endedSync: { ...RUN, state: "cancelled" } }],
  ["a connection that was made", { type: "connector" }],
])("%s is none", (_, change) => {
  expect(ofEvent(event(change))).toBeNull();
});

test("a session that expired is one", () => {
  const expired = event({ type: "connector", connector: { ...CONNECTOR, connectionStatus: "expired" } });
  expect(ofEvent(expired)).toMatchObject({ code: "REAUTH_REQUIRED", connectorId: "a" });
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
    },
    {
      id: "2",
      at: "2026-01-15T09:00:00Z",
      action: "sync.failed",
      connectorId: "a",
      userId: "u",
      platform: "zerodha",
      code: "INTERNAL",
    },
    { id: "3", at: "2026-01-15T09:00:00Z", action: "sync.failed" },
  ]);
  for (const both of [merged(audited, live ? [live] : []), merged(live ? [live] : [], audited)]) {
    expect(both.map((each) => [each.code, each.message])).toEqual([
      ["PLATFORM_UNAVAILABLE", "Zerodha does not answer"],
      ["INTERNAL", undefined],
    ]);
  }
});

test("a list is changed in its place, loses what no longer belongs, gains what has come to", () => {
  const expired: ConnectorSummary = { ...CONNECTOR, connectionStatus: "expired" };
  const other: ConnectorSummary = { ...CONNECTOR, id: "b" };
  const told = event({ type: "connector", connector: expired });
  expect(withEvent([other, CONNECTOR], {}, told)).toEqual([other, expired]);
  expect(withEvent([other, CONNECTOR], { status: "connected" }, told)).toEqual([other]);
  expect(withEvent([], { status: "expired" }, told)).toEqual([expired]);
  expect(withEvent([], { userId: "somebody" }, told)).toEqual([]);
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
