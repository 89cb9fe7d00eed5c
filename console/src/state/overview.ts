/** The data of the overview, and when it is read again. */

import { computed, effect, signal } from "@preact/signals";
import { read } from "../api/client";
import { ApiError } from "../api/errors";
import { mayAudit } from "../api/person";
import type { AuditEvent, StatusSummary, Trends, WatchEvent } from "../api/types";
import { type Failure, merged, ofAudit, ofEvent } from "../model/failures";
import { listen, liveness } from "./live";
import { Resource } from "./resource";

export const RANGES = [
  { minutes: 60, name: "1 hour" },
  { minutes: 360, name: "6 hours" },
  { minutes: 1440, name: "24 hours" },
] as const;

/** A minute has 60 calls of statuses for one address: these take 12 of them at most. */
const POLL_MS = 30_000;
const SUMMARY_REST_MS = 15_000;
/** Events of each kind that are read from the trail. */
const TRAIL = 100;

export const minutes = signal<number>(RANGES[0].minutes);
export const summary = new Resource((signal) => read<StatusSummary>("/connectors/status", {}, signal));
/** Of the last hour, in steps of a minute: what is wrong now is judged by these. */
export const recent = new Resource((signal) =>
  read<Trends>("/connectors/trends", { minutes: RANGES[0].minutes }, signal),
);
const longer = new Resource((signal) =>
  read<Trends>("/connectors/trends", { minutes: minutes.peek() }, signal),
);
/** Those of the chosen range. */
export const trends = computed(() => chosen().state.value);
export const refreshTrends = (): void => void chosen().refresh();
const chosen = () => (minutes.value === RANGES[0].minutes ? recent : longer);
/** What the audit trail has; the stream's failures come in `failures` beside it. */
export const trail = new Resource(auditedFailures);
export const failures = signal<Failure[]>([]);

/** Keep all of it true until the function that is returned is called. */
export function keepOverview(): () => void {
  let last = 0;
  let later: ReturnType<typeof setTimeout> | undefined;
  const countSoon = () => {
    later ??= setTimeout(
      () => {
        later = undefined;
        last = Date.now();
        void summary.refresh();
        void recent.refresh();
      },
      Math.max(0, last + SUMMARY_REST_MS - Date.now()),
    );
  };
  // These need not wait for the stream, as they are read again anyway.
  last = Date.now();
  void summary.refresh();
  void recent.refresh();
  const stopListening = listen({
    begun() {
      void trail.refresh();
      countSoon();
    },
    events(events) {
      takeIn(events);
      if (events.some((event) => event.type !== "sync" || event.endedSync !== undefined)) countSoon();
    },
  });
  const poll = setInterval(() => {
    if (document.hidden) return;
    if (chosen() === longer) void longer.refresh();
    countSoon();
  }, POLL_MS);
  const stopFollowing = effect(() => {
    if (chosen() === longer) void longer.refresh();
  });
  // The counts of before say nothing while Finlink cannot be reached: find out at once.
  const stopDoubting = effect(() => {
    if (liveness.value.kind === "broken") for (const each of [summary, recent]) void each.refresh();
  });
  return () => {
    stopListening();
    stopFollowing();
    stopDoubting();
    clearInterval(poll);
    clearTimeout(later);
    for (const each of [summary, recent, longer, trail]) each.stop();
  };
}

function takeIn(events: WatchEvent[]): void {
  const more = events.flatMap(ofEvent);
  if (more.length > 0) failures.value = merged(failures.peek(), more);
}

async function auditedFailures(signal: AbortSignal): Promise<true> {
  if (!mayAudit.value) throw new ApiError("PERMISSION_DENIED", "Only an admin may read the audit trail");
  const pages = ["sync.failed", "sync.partial", "session.expired"].map((action) =>
    read<{ events: AuditEvent[] }>("/audit-events", { action, limit: TRAIL }, signal),
  );
  for (const { events } of await Promise.all(pages)) {
    failures.value = merged(failures.peek(), ofAudit(events));
  }
  return true;
}
