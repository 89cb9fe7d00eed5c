/** The newest failures: those the audit trail has, and those the watch stream has told since. */

import type { AuditEvent, Platform, WatchEvent } from "../api/types";

export interface Failure {
  at: string;
  connectorId: string;
  userId: string;
  platform: Platform;
  code: string;
  /** As the connector has it; the audit trail keeps codes only. */
  message?: string;
}

/** Failures of one connector for one reason: the newest, and how many are known of. */
export interface Repeated extends Failure {
  times: number;
}

export const KEPT = 50;
/** The trail and the stream tell of one failure at slightly different times. */
const SAME_MS = 5000;

export function ofAudit(events: Omit<AuditEvent, "actor" | "fields">[]): Failure[] {
  return events.flatMap(({ at, connectorId, userId, platform, code }) =>
    connectorId && userId && platform
      ? [{ at, connectorId, userId, platform, code: code ?? "INTERNAL" }]
      : [],
  );
}

/** The failure that an event of the stream tells of, if it does. */
export function ofEvent(event: WatchEvent): Failure | null {
  const { connector, endedSync } = event;
  if (connector === undefined) return null;
  const about = { connectorId: connector.id, userId: connector.userId, platform: connector.platform };
  if (endedSync?.error !== undefined && (endedSync.state === "failed" || endedSync.state === "abandoned")) {
    const { code, message } = endedSync.error;
    return { ...about, at: endedSync.finishedAt ?? event.occurredAt, code, message };
  }
  if (event.type === "connector" && connector.connectionStatus === "expired") {
    return { ...about, at: event.occurredAt, code: "REAUTH_REQUIRED" };
  }
  return null;
}

/** Both, each failure once, newest first. */
export function merged(known: Failure[], more: Failure[]): Failure[] {
  const all = [...known];
  for (const failure of more) {
    const twin = all.findIndex((each) => isSame(each, failure));
    const other = all[twin];
    if (other === undefined) all.push(failure);
    else if (other.message === undefined) all[twin] = failure;
  }
  return all.sort((a, b) => b.at.localeCompare(a.at)).slice(0, KEPT);
}

/** One row for each connector and reason, in the order of the newest of each. */
export function repeated(failures: Failure[]): Repeated[] {
  const rows = new Map<string, Repeated>();
  for (const failure of failures) {
    const key = `${failure.connectorId} ${failure.code}`;
    const row = rows.get(key);
    if (row === undefined) rows.set(key, { ...failure, times: 1 });
    else row.times += 1;
  }
  return [...rows.values()];
}

function isSame(a: Failure, b: Failure): boolean {
  const apart = Math.abs(Date.parse(a.at) - Date.parse(b.at));
  return a.connectorId === b.connectorId && a.code === b.code && apart < SAME_MS;
}
