import { expect, test } from "vitest";
import type { ConnectorSummary } from "../src/api/types";
import { byCause, type Failure, repeated } from "../src/model/failures";
import { isFound, sorted, withEvent } from "../src/model/lists";
import { money } from "../src/model/money";
import { local } from "../src/model/time";
import { conditionOf } from "../src/model/words";

const AT = "2026-01-15T10:00:02Z";

function connector(change: Partial<ConnectorSummary>): ConnectorSummary {
  return {
    id: "65a5072e9f1c2b3d4e5f6071",
    userId: "sai_iyer",
    platform: "fi_money",
    connectionStatus: "connected",
    failing: false,
    ...change,
  };
}

const ended = (state: "success" | "partial" | "failed") => ({ state, finishedAt: AT, missing: [] });

test("the worse of connection and last run is how a connector is", () => {
  const words = (change: Partial<ConnectorSummary>) => conditionOf(connector(change)).word;
  expect(words({})).toBe("connected");
  expect(words({ lastRun: ended("success") })).toBe("connected");
  expect(words({ failing: true, lastRun: ended("failed") })).toBe("failing");
  expect(words({ failing: true, lastRun: ended("partial") })).toBe("partial");
  expect(words({ failing: true, lastRun: ended("failed"), connectionStatus: "error" })).toBe("error");
  expect(words({ lastRun: ended("failed"), connectionStatus: "expired" })).toBe("expired");
});

test("a part of the user, the platform or the id is enough to find one", () => {
  const found = (search: string) => isFound(connector({}), search);
  expect(["SAI", "iyer · fi", "Fi M", "5f6071"].map(found)).toEqual([true, true, true, true]);
  expect(found("zerodha")).toBe(false);
});

test("rows are sorted by name, the worst state, or the newest run", () => {
  const list = [
    connector({ id: "1", userId: "b" }),
    connector({ id: "2", userId: "a", failing: true, lastRun: ended("failed") }),
    connector({ id: "3", userId: "c", lastRun: { ...ended("success"), finishedAt: "2026-01-16T10:00:00Z" } }),
  ];
  const ids = (order: Parameters<typeof sorted>[1]) => sorted(list, order).map((each) => each.id);
  expect(ids("newest")).toEqual(["1", "2", "3"]);
  expect(ids("name")).toEqual(["2", "1", "3"]);
  expect(ids("state")).toEqual(["2", "1", "3"]);
  expect(ids("run")).toEqual(["3", "2", "1"]);
});

test("a list of those that fail gains and loses them as their runs end", () => {
  const failing = connector({ failing: true, lastRun: ended("failed") });
  const about = { resumeToken: "t", type: "sync" as const, occurredAt: AT };
  const run = { syncId: "sync_1", state: "failed" as const, finishedAt: AT, counts: [], missing: [] };
  const gained = withEvent([], { failing: true }, { ...about, connector: failing, endedSync: run });
  expect(gained).toEqual([failing]);
  expect(
    withEvent(gained, { failing: true }, { ...about, connector: connector({}), endedSync: run }),
  ).toEqual([]);
});

test("an outage of many connectors is one cause", () => {
  const failures: Failure[] = Array.from({ length: 40 }, (_, number) => ({
    at: `2026-01-15T10:00:${String(59 - number).padStart(2, "0")}Z`,
    connectorId: String(number),
    userId: `user_${number}`,
    platform: "fi_money",
    code: "PLATFORM_UNAVAILABLE",
    message: "Fi Money cannot be reached",
    ...(number % 4 === 0 ? { missing: ["trades"] } : {}),
  }));
  const other: Failure = { ...(failures[0] as Failure), code: "INTERNAL", at: AT, message: "A fault" };
  const [first, second] = byCause(repeated([...failures, ...failures, other]));
  expect(first).toMatchObject({ connectors: 40, times: 80, message: "Fi Money cannot be reached" });
  expect(second).toMatchObject({ code: "INTERNAL", connectors: 1 });
});

test("amounts are rounded to their currency, times have day and zone", () => {
  expect(money({ value: "123456.7849", currency: "INR" })).toBe("₹1,23,456.78");
  expect(money({ value: "1234.6", currency: "JPY" })).toBe("¥1,235");
  expect(money({ value: "12.5" })).toBe("12.5");
  expect(money({ value: "12.5", currency: "no currency" })).toBe("12.5 no currency");
  const shown = local(new Date(AT), new Date("2027-01-01T00:00:00Z"));
  expect(shown).toMatch(/^15 Jan 2026 \d\d:\d\d:02 \S+$/);
});
