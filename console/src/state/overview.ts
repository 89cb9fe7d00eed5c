/** The data of the overview, and when it is read again. */

import { effect, signal } from "@preact/signals";
import { read } from "../api/client";
import type { AuditEvent, StatusSummary, Trends, WatchEvent } from "../api/types";
import { type Failure, KEPT, merged, ofAudit, ofEvent } from "../model/failures";
import { listen } from "./live";
import { Resource } from "./resource";

export const RANGES = [
  { minutes: 60, name: "1 hour" },
  { minutes: 360, name: "6 hours" },
  { minutes: 1440, name: "24 hours" },
] as const;

/** A minute has 60 calls of statuses for one address: these take 8 of them at most. */
const POLL_MS = 30_000;
const SUMMARY_REST_MS = 15_000;

export const minutes = signal<number>(RANGES[0].minutes);
export const summary = new Resource((signal) => read<StatusSummary>("/connectors/status", {}, signal));
export const trends = new Resource((signal) =>
  read<Trends>("/connectors/trends", { minutes: minutes.peek() }, signal),
);
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
      },
      Math.max(0, last + SUMMARY_REST_MS - Date.now()),
    );
  };
  // These need not wait for the stream, as they are read again anyway.
  last = Date.now();
  void summary.refresh();
  void trends.refresh();
  const stopListening = listen({
    begun() {
      void trail.refresh();
      countSoon();
    },
    events(events) {
      takeIn(events);
      if (events.some((event) => event.type !== "sync")) countSoon();
    },
  });
  const poll = setInterval(() => {
    if (document.hidden) return;
    void trends.refresh();
    countSoon();
  }, POLL_MS);
  let first = true;
  const stopFollowing = effect(() => {
    minutes.value;
    if (!first) void trends.refresh();
    first = false;
  });
  return () => {
    stopListening();
    stopFollowing();
    clearInterval(poll);
    clearTimeout(later);
    for (const each of [summary, trends, trail]) each.stop();
  };
}

function takeIn(events: WatchEvent[]): void {
  const more = events.flatMap(ofEvent);
  if (more.length > 0) failures.value = merged(failures.peek(), more);
}

async function auditedFailures(signal: AbortSignal): Promise<true> {
  const pages = ["sync.failed", "sync.partial", "session.expired"].map((action) =>
    read<{ events: AuditEvent[] }>("/audit-events", { action, limit: KEPT }, signal),
  );
  for (const { events } of await Promise.all(pages)) {
    failures.value = merged(failures.peek(), ofAudit(events));
  }
  return true;
}
