/** Lists of connectors and histories of runs, kept current by the events of the stream. */

import type { ConnectorSummary, HistoryEntry, Platform, Status, SyncRun, WatchEvent } from "../api/types";

export interface Filter {
  platform?: Platform;
  status?: Status;
  userId?: string;
}

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
  if (known === undefined) return event.type === "connector" ? [connector, ...list] : list;
  return list.with(place, connector);
}

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
    (filter.userId === undefined || filter.userId === connector.userId)
  );
}
