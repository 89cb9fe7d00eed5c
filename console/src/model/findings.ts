/** What is wrong now, the worst first: the first thing that whoever is on call sees. */

import { PLATFORMS, type StatusSummary, type Trends } from "../api/types";
import { causeOf } from "./causes";
import { hrefOf } from "./route";
import { runsOf } from "./trends";
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
/** The same bounds as the alerts FinlinkSyncsFail and FinlinkSyncsLate have. */
const FAILED_SHARE = 0.2;
const LATE_SECONDS = 60;

export function findingsOf(summary: StatusSummary | undefined, trends: Trends | undefined): Finding[] {
  const found = [...(trends ? ofRuns(trends) : []), ...(summary ? ofConnections(summary) : [])];
  return found.sort((a, b) => Number(b.grave) - Number(a.grave));
}

function ofRuns(trends: Trends): Finding[] {
  return PLATFORMS.flatMap((platform) => {
    const found: Finding[] = [];
    const name = PLATFORM_NAMES[platform];
    const { succeeded, partial, failed, failures, lateSecondsMax } = runsOf(trends, platform, RECENT_MINUTES);
    const [most] = failures;
    if (most !== undefined) {
      const all = succeeded + partial + failed;
      const cause = causeOf(most.code);
      const mostly = failures.length === 1 ? most.code : `mostly ${most.code} (${most.count} of ${failed})`;
      found.push({
        grave: failed > all * FAILED_SHARE,
        what: `${name}: ${failed} of ${count(all, "run")} failed in the last ${RECENT_MINUTES} minutes, ${mostly}`,
        why: cause.means,
        todo: cause.todo,
      });
    }
    if (lateSecondsMax !== null && lateSecondsMax > LATE_SECONDS) {
      found.push({
        grave: true,
        what: `${name}: runs began up to ${Math.round(lateSecondsMax)} seconds after their time in the last ${RECENT_MINUTES} minutes`,
        why: "Workers are too few or too busy, or the platform's rate limit is used up.",
        todo: "Start more workers or raise SYNC_CONCURRENCY; if finlink_syncs_deferred_total rises, the app's rate limit is the reason.",
      });
    }
    return found;
  });
}

function ofConnections(summary: StatusSummary): Finding[] {
  return PLATFORMS.flatMap((platform) => {
    const found: Finding[] = [];
    const { error, expired } = summary.byPlatform[platform];
    const name = PLATFORM_NAMES[platform];
    if (error > 0) {
      found.push({
        grave: true,
        what: `${name}: ${count(error, "connection")} in error`,
        why: "Five syncs in a row failed; syncing continues, more slowly, and a success clears it.",
        todo: "Open one: its errors show the cause.",
        href: hrefOf({ view: "connectors", platform, status: "error" }),
      });
    }
    if (expired > 0) {
      found.push({
        grave: false,
        what: `${name}: ${count(expired, "connection")} expired`,
        why: "The session ended and could not be renewed.",
        todo: "Their users must log in again; there is nothing to do here.",
        href: hrefOf({ view: "connectors", platform, status: "expired" }),
      });
    }
    return found;
  });
}
