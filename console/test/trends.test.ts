import { expect, test } from "vitest";
import type { PlatformTrend, StatusSummary, Trends } from "../src/api/types";
import { findingsOf } from "../src/model/findings";
import { runsOf, stepsOf, successRate } from "../src/model/trends";

const QUIET: PlatformTrend = {
  platform: "fi_money",
  succeeded: 0,
  partial: 0,
  failed: 0,
  started: 0,
  failures: [],
};
const COUNTS = { total: 5, active: 5, disconnected: 0, error: 0, expired: 0, failing: 0 };
const CALM: StatusSummary = {
  summary: { totalConnections: 10 },
  byPlatform: { fi_money: COUNTS, zerodha: COUNTS },
};

/** A step a minute of Fi Money, Zerodha quiet beside it. */
function trends(...steps: Partial<PlatformTrend>[]): Trends {
  const points = steps.map((step, minute) => ({
    at: new Date(Date.UTC(2026, 0, 15, 10, minute)).toISOString(),
    platforms: [
      { ...QUIET, ...step },
      { ...QUIET, platform: "zerodha" as const },
    ],
  }));
  return { stepSeconds: 60, points };
}

const failed = (code: string, count: number) => ({ failed: count, failures: [{ code, count }] });

test("runs are summed over the newest minutes, causes by how frequent they are", () => {
  const known = trends({ succeeded: 100 }, failed("INTERNAL", 1), {
    ...failed("PLATFORM_UNAVAILABLE", 3),
    lateSecondsMax: 4,
  });
  const runs = runsOf(known, "fi_money", 2);
  expect(runs).toEqual({
    succeeded: 0,
    partial: 0,
    failed: 4,
    failures: [
      { code: "PLATFORM_UNAVAILABLE", count: 3 },
      { code: "INTERNAL", count: 1 },
    ],
    lateSecondsMax: 4,
  });
  expect(successRate(runsOf(known, "fi_money"))).toBeCloseTo(96.15, 2);
  expect(successRate(runsOf(known, "zerodha"))).toBeNull();
  expect(stepsOf(known, "fi_money")[0]?.at).toEqual(new Date("2026-01-15T10:00:00Z"));
});

test("nothing is wrong where nothing failed, was late, in error or expired", () => {
  expect(findingsOf(CALM, trends({ succeeded: 20, lateSecondsMax: 3 }))).toEqual([]);
  expect(findingsOf(undefined, undefined)).toEqual([]);
});

test("a few failures are reported, many are grave", () => {
  const [few] = findingsOf(CALM, trends({ succeeded: 99, ...failed("INTERNAL", 1) }));
  expect(few).toMatchObject({ grave: false, what: expect.stringContaining("1 of 100 runs failed") });
  const outage = trends({ succeeded: 2, ...failed("PLATFORM_UNAVAILABLE", 8) });
  const failing = { ...CALM, byPlatform: { fi_money: { ...COUNTS, failing: 4 }, zerodha: COUNTS } };
  const [many, ...more] = findingsOf(failing, outage);
  expect(many).toMatchObject({
    grave: true,
    what: "Fi Money: 4 connectors fail; 8 of 10 runs failed in the last 10 minutes, PLATFORM_UNAVAILABLE",
    href: "#/connectors?platform=fi_money&failing=true",
  });
  expect(more).toEqual([]);
  const [over] = findingsOf(CALM, outage);
  expect(over).toMatchObject({ grave: false, why: "No connector fails any more." });
});

test("many connectors that fail are grave before trends have it, with the cause of the newest failures", () => {
  const failing = { ...CALM, byPlatform: { fi_money: { ...COUNTS, failing: 4 }, zerodha: COUNTS } };
  const newest = {
    at: "2026-01-15T10:00:00Z",
    connectorId: "a",
    userId: "u",
    platform: "fi_money" as const,
    code: "PLATFORM_UNAVAILABLE",
  };
  const [found] = findingsOf(failing, trends({}), [newest]);
  expect(found).toMatchObject({ grave: true, what: "Fi Money: 4 connectors fail" });
  expect(found?.todo).toContain("catch up by themselves");
});

test("what begins late after a restart needs no workers, what keeps beginning late does", () => {
  const late = (...seconds: number[]) => trends(...seconds.map((lateSecondsMax) => ({ lateSecondsMax })));
  expect(findingsOf(CALM, late(400))).toEqual([]);
  expect(findingsOf(CALM, late(400, 300, 200, 100))).toEqual([]);
  expect(findingsOf(CALM, late(70, 90, 130))).toMatchObject([{ grave: true }]);
  expect(findingsOf(CALM, late(90, 85, 88))).toMatchObject([{ todo: expect.stringContaining("workers") }]);
});

test("what is old is no finding any more", () => {
  const old = failed("INTERNAL", 5);
  expect(findingsOf(CALM, trends(old, ...Array.from({ length: 10 }, () => ({}))))).toEqual([]);
});

test("late runs and connections in error come before expired ones, which lead to their list", () => {
  const summary = {
    ...CALM,
    byPlatform: { fi_money: { ...COUNTS, expired: 2 }, zerodha: { ...COUNTS, error: 1 } },
  };
  const found = findingsOf(summary, trends(...Array(3).fill({ started: 1, lateSecondsMax: 90 })));
  expect(found.map((each) => each.grave)).toEqual([true, true, false]);
  expect(found.map((each) => each.href)).toEqual([
    undefined,
    "#/connectors?platform=zerodha&status=error",
    "#/connectors?platform=fi_money&status=expired",
  ]);
});
