/** The newest failures, of whole runs or of a part: those of the audit trail, and those that the watch stream has reported since. */

import type { AuditEvent, Platform, SyncRun, WatchEvent } from "../api/types";

export interface Failure {
  at: string;
  connectorId: string;
  userId: string;
  platform: Platform;
  code: string;
  /** As the connector has it; the audit trail keeps codes only. */
  message?: string;
  /** Of a partial run, the data types that did not come for this reason. */
  missing?: string[];
}

/** Failures of one connector for one reason, of one kind: the newest, and how many are known of. */
export interface Repeated extends Failure {
  times: number;
}

/** Enough for an outage of some hundred connectors. */
export const KEPT = 500;
/** The trail and the stream report one failure at slightly different times. */
const SAME_MS = 5000;

export function ofAudit(events: Omit<AuditEvent, "actor">[]): Failure[] {
  return events.flatMap(({ at, action, connectorId, userId, platform, code, fields }) =>
    connectorId && userId && platform
      ? [
          {
            at,
            connectorId,
            userId,
            platform,
            code: code ?? "INTERNAL",
            ...(action === "sync.partial" && { missing: fields }),
          },
        ]
      : [],
  );
}

/** The failures that an event of the stream reports: none, one, or of a partial run one for each reason. */
export function ofEvent(event: WatchEvent): Failure[] {
  const { connector, endedSync } = event;
  if (connector === undefined) return [];
  const about = { connectorId: connector.id, userId: connector.userId, platform: connector.platform };
  const expired = event.type === "connector" && connector.connectionStatus === "expired";
  if (endedSync?.error === undefined)
    return expired ? [{ ...about, at: event.occurredAt, code: "REAUTH_REQUIRED" }] : [];
  const { state, error, finishedAt: at = event.occurredAt } = endedSync;
  if (state === "failed" || state === "abandoned" || expired) return [{ ...about, at, ...error }];
  if (state !== "partial") return [];
  return partsOf(endedSync, error).map((part) => ({ ...about, at, ...part }));
}

/** What a partial run lacks, by reason. */
function partsOf(run: SyncRun, { code, message }: NonNullable<SyncRun["error"]>): Part[] {
  const parts = new Map<string, Part>([[code, { code, message, missing: [] }]]);
  for (const { dataType, code, message } of run.missing) {
    const part = parts.get(code) ?? { code, message, missing: [] };
    part.missing.push(dataType);
    parts.set(code, part);
  }
  return [...parts.values()];
}

type Part = Required<Pick<Failure, "code" | "message" | "missing">>;

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

export const isPartial = (failure: Failure): boolean => failure.missing !== undefined;

/** One row for each connector and reason, in the order of the newest of each; partial runs have their own. */
export function repeated(failures: Failure[]): Repeated[] {
  const rows = new Map<string, Repeated>();
  for (const failure of failures) {
    const key = `${failure.connectorId} ${failure.code} ${isPartial(failure)}`;
    const row = rows.get(key);
    if (row === undefined) rows.set(key, { ...failure, times: 1 });
    else row.times += 1;
  }
  return [...rows.values()];
}

/** Failures for one reason at one platform: an outage is one of these, however many connectors it has. */
export interface Cause {
  platform: Platform;
  code: string;
  /** The newest. */
  at: string;
  times: number;
  /** What all of them say, if they say the same. */
  message?: string;
  rows: Repeated[];
  connectors: number;
}

/** The reason of the newest first. */
export function byCause(rows: Repeated[]): Cause[] {
  const causes = new Map<string, Repeated[]>();
  for (const row of rows) {
    const key = `${row.platform} ${row.code}`;
    causes.set(key, [...(causes.get(key) ?? []), row]);
  }
  return [...causes.values()].flatMap((rows) => {
    const [newest] = rows;
    if (newest === undefined) return [];
    const { platform, code, at, message } = newest;
    const same = message !== undefined && rows.every((row) => row.message === message);
    return {
      platform,
      code,
      at,
      times: rows.reduce((total, row) => total + row.times, 0),
      ...(same ? { message } : {}),
      rows,
      connectors: new Set(rows.map((row) => row.connectorId)).size,
    };
  });
}

/** Also of partial runs that lack the same within one hour: the trail reports only the first. */
function isSame(a: Failure, b: Failure): boolean {
  if (a.connectorId !== b.connectorId || a.code !== b.code) return false;
  if (a.missing?.join() !== b.missing?.join()) return false;
  const apart = Math.abs(Date.parse(a.at) - Date.parse(b.at));
  return apart < SAME_MS || (isPartial(a) && hourOf(a.at) === hourOf(b.at));
}

/** In UTC, as the trail reckons. */
const hourOf = (at: string): string => at.slice(0, "2026-01-15T10".length);
