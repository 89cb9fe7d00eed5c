/** Lists of connectors and histories of runs, kept current by the events of the stream. */

import type { ConnectorSummary, HistoryEntry, Platform, Status, SyncRun, WatchEvent } from "../api/types";
import { conditionOf, nameOf } from "./words";

export interface Filter {
  platform?: Platform;
  status?: Status;
  failing?: true;
  userId?: string;
  /** A part of its name or id. */
  search?: string;
}

export const ORDERS = ["newest", "name", "state", "run"] as const;
/** Of rows: the newest connectors first, or by a column. */
export type Order = (typeof ORDERS)[number];

const HISTORY_KEPT = 50;

/** The list after an event: the connector changed in its place, gone, or new at the top. */
export function withEvent(list: ConnectorSummary[], filter: Filter, event: WatchEvent): ConnectorSummary[] {
  const { connector } = event;
  if (connector === undefined) return list;
  const place = list.findIndex((each) => each.id === connector.id);
  const known = list[place];
  if (event.type === "deleted" || !belongs(connector, filter)) {
    return known === undefined ? list : list.filter((each) => each !== known);
  }
  // Of one that is new to the list it is not known where it belongs, unless it has just been made or has just come to be so.
  if (known === undefined) {
    const came = event.type === "connector" || (filter.failing && event.endedSync !== undefined);
    return came ? [connector, ...list] : list;
  }
  return list.with(place, connector);
}

/** Whether a part of its name or id is this. */
export function isFound(connector: ConnectorSummary, search: string | undefined): boolean {
  if (search === undefined) return true;
  const part = search.toLowerCase();
  return [connector.userId, nameOf(connector), connector.id].some((text) =>
    text.toLowerCase().includes(part),
  );
}

/** The worst first, as whoever is on call looks for them. */
const BADNESS = ["error", "failing", "partial", "expired", "disconnected", "connected"];

export function sorted(list: ConnectorSummary[], order: Order): ConnectorSummary[] {
  switch (order) {
    case "newest":
      return list;
    case "name":
      return list.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)));
    case "state":
      return list.toSorted((a, b) => badness(a) - badness(b));
    case "run":
      return list.toSorted((a, b) =>
        (b.lastRun?.finishedAt ?? "").localeCompare(a.lastRun?.finishedAt ?? ""),
      );
  }
}

const badness = (connector: ConnectorSummary): number => BADNESS.indexOf(conditionOf(connector).word);

/** The history after a run has ended. */
export function withEnded(history: HistoryEntry[], run: SyncRun): HistoryEntry[] {
  if (run.finishedAt === undefined || history.some((each) => each.syncId === run.syncId)) return history;
  const status = run.state === "success" || run.state === "partial" ? run.state : "failed";
  const entry: HistoryEntry = {
    syncId: run.syncId,
    syncedAt: run.finishedAt,
    status,
    counts: run.counts,
    missing: run.missing,
    ...(run.startedAt === undefined ? {} : { startedAt: run.startedAt }),
    ...(run.counts.length === 0 ? {} : totals(run)),
    ...(run.error === undefined ? {} : { errorCode: run.error.code, errorMessage: run.error.message }),
  };
  return [entry, ...history].slice(0, HISTORY_KEPT);
}

/** What a run has brought so far, over all data types. */
export function totals(run: SyncRun): { recordsCount: number; addedCount: number } {
  return {
    recordsCount: run.counts.reduce((total, each) => total + each.recordsCount, 0),
    addedCount: run.counts.reduce((total, each) => total + each.addedCount, 0),
  };
}

function belongs(connector: ConnectorSummary, filter: Filter): boolean {
  return (
    (filter.platform === undefined || filter.platform === connector.platform) &&
    (filter.status === undefined || filter.status === connector.connectionStatus) &&
    (filter.failing === undefined || connector.failing) &&
    (filter.userId === undefined || filter.userId === connector.userId)
  );
}
