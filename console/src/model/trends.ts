/** Sums over trends. */

import type { Platform, PlatformTrend, Trends } from "../api/types";

export interface Runs {
  succeeded: number;
  partial: number;
  failed: number;
  /** The most frequent first. */
  failures: { code: string; count: number }[];
  /** The longest a run began after its time; null where none that had one began. */
  lateSecondsMax: number | null;
}

/** The steps of one platform, oldest first. */
export function stepsOf(trends: Trends, platform: Platform): (PlatformTrend & { at: Date })[] {
  return trends.points.flatMap(({ at, platforms }) =>
    at === undefined
      ? []
      : platforms.filter((each) => each.platform === platform).map((each) => ({ ...each, at: new Date(at) })),
  );
}

/** What became of a platform's runs in the newest `minutes` of what is known, or in all of it. */
export function runsOf(trends: Trends, platform: Platform, minutes = Number.POSITIVE_INFINITY): Runs {
  const steps = stepsOf(trends, platform).slice(-Math.max(1, Math.ceil((minutes * 60) / trends.stepSeconds)));
  const codes = new Map<string, number>();
  for (const { code, count } of steps.flatMap((step) => step.failures)) {
    codes.set(code, (codes.get(code) ?? 0) + count);
  }
  const late = steps.flatMap((step) => step.lateSecondsMax ?? []);
  return {
    succeeded: sum(steps.map((step) => step.succeeded)),
    partial: sum(steps.map((step) => step.partial)),
    failed: sum(steps.map((step) => step.failed)),
    failures: [...codes].map(([code, count]) => ({ code, count })).sort((a, b) => b.count - a.count),
    lateSecondsMax: late.length > 0 ? Math.max(...late) : null,
  };
}

/** Successful runs in a hundred; null without runs. */
export function successRate(runs: Runs): number | null {
  const all = runs.succeeded + runs.partial + runs.failed;
  return all === 0 ? null : (100 * runs.succeeded) / all;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
