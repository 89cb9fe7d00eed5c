/** What is wrong now, the worst first: the first thing that whoever is on call sees. */

import { PLATFORMS, type Platform, type StatusSummary, type Trends } from "../api/types";
import { causeOf } from "./causes";
import { byCause, type Failure, repeated } from "./failures";
import { hrefOf } from "./route";
import { runsOf, stepsOf } from "./trends";
import { count, PLATFORM_NAMES } from "./words";

export interface Finding {
  grave: boolean;
  what: string;
  why: string;
  todo: string;
  /** Where to look further, within the console. */
  href?: string;
}

export const RECENT_MINUTES = 10;
/** Of lateness: what is late for so many steps in a row is not the rest of a restart. */
const LATE_STEPS = 3;
const STILL = 0.8;
/** The same bounds as the alerts FinlinkSyncsFail and FinlinkSyncsLate have. */
const FAILED_SHARE = 0.2;
const LATE_SECONDS = 60;

/** `newest` are the newest failures: trends come later. */
export function findingsOf(
  summary: StatusSummary | undefined,
  trends: Trends | undefined,
  newest: Failure[] = [],
): Finding[] {
  const found = PLATFORMS.flatMap((platform) => [
    ...failing(platform, summary, trends, newest),
    ...(trends ? late(platform, trends) : []),
    ...(summary ? expired(platform, summary) : []),
  ]);
  return found.sort((a, b) => Number(b.grave) - Number(a.grave));
}

/** Runs that failed lately and connectors that fail now: of an outage both, so that it is one finding. */
function failing(
  platform: Platform,
  summary: StatusSummary | undefined,
  trends: Trends | undefined,
  newest: Failure[],
): Finding[] {
  const counts = summary?.byPlatform[platform];
  const errors = counts?.error ?? 0;
  // One in error fails, also where another tool wrote it.
  const now = Math.max(counts?.failing ?? 0, errors);
  const runs = trends && runsOf(trends, platform, RECENT_MINUTES);
  const most = runs?.failures[0];
  if (now === 0 && most === undefined) return [];
  const parts: string[] = [];
  if (now > 0) {
    parts.push(
      `${count(now, "connector fails", "connectors fail")}${errors > 0 ? `, ${errors} in error` : ""}`,
    );
  }
  let share = 0;
  if (runs && most) {
    const all = runs.succeeded + runs.partial + runs.failed;
    share = runs.failed / all;
    const mostly =
      runs.failures.length === 1 ? most.code : `mostly ${most.code} (${most.count} of ${runs.failed})`;
    parts.push(
      `${runs.failed} of ${count(all, "run")} failed in the last ${RECENT_MINUTES} minutes, ${mostly}`,
    );
  }
  const over = counts !== undefined && now === 0;
  const code = most?.code ?? byCause(repeated(newest.filter((each) => each.platform === platform)))[0]?.code;
  const cause = code === undefined ? undefined : causeOf(code);
  const many = counts !== undefined && now > (counts.active + counts.error) * FAILED_SHARE;
  const which = now === counts?.failing ? { failing: true as const } : { status: "error" as const };
  return [
    {
      grave: !over && (share > FAILED_SHARE || many || errors > 0),
      what: `${PLATFORM_NAMES[platform]}: ${parts.join("; ")}`,
      why: over
        ? "No connector fails any more."
        : (cause?.means ?? "Their last runs failed, or brought a part only."),
      todo: over ? "Nothing now." : (cause?.todo ?? "Open one: its last run shows the cause."),
      ...(now > 0 ? { href: hrefOf({ view: "connectors", platform, ...which }) } : {}),
    },
  ];
}

/**
 * Runs that keep beginning late. After a restart all that was due meanwhile begins late as well, but less so from minute
 * to minute, and it needs nothing.
 */
function late(platform: Platform, trends: Trends): Finding[] {
  const steps = Math.ceil((RECENT_MINUTES * 60) / trends.stepSeconds);
  const seconds = stepsOf(trends, platform)
    .slice(-steps)
    .flatMap((step) => step.lateSecondsMax ?? [])
    .filter((each) => each > LATE_SECONDS);
  const [first] = seconds;
  const newest = seconds.at(-1);
  if (first === undefined || newest === undefined || seconds.length < LATE_STEPS) return [];
  if (newest < first * STILL) return [];
  const most = Math.round(Math.max(...seconds));
  return [
    {
      grave: true,
      what: `${PLATFORM_NAMES[platform]}: runs keep beginning late, up to ${most} seconds in the last ${RECENT_MINUTES} minutes`,
      why: "Workers are too few or too busy, or the platform's rate limit is used up.",
      todo: "Start more workers or raise SYNC_CONCURRENCY; if finlink_syncs_deferred_total rises, the app's rate limit is the reason.",
    },
  ];
}

function expired(platform: Platform, summary: StatusSummary): Finding[] {
  const number = summary.byPlatform[platform].expired;
  if (number === 0) return [];
  return [
    {
      grave: false,
      what: `${PLATFORM_NAMES[platform]}: ${count(number, "connection")} expired`,
      why: "The session ended and could not be renewed.",
      todo: "Their users must log in again; there is nothing to do here.",
      href: hrefOf({ view: "connectors", platform, status: "expired" }),
    },
  ];
}
