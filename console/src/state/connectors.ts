/** One connector with its history: read once, then kept true by the stream. */

import { change, read, remove } from "../api/client";
import type {
  AuditEvent,
  CancelledRun,
  Connector,
  DataType,
  StoredRecord,
  SyncStatus,
  TriggeredSync,
  WatchEvent,
} from "../api/types";
import { withEnded } from "../model/lists";
import { listen, liveness } from "./live";
import { Pages, pageOf } from "./pages";
import { Resource } from "./resource";

const ROWS = 20;

const TOTALS_REST_MS = 2000;
const POLL_MS = 15_000;

/** One connector. */
export class ConnectorStory {
  readonly connector = new Resource((signal) => read<Connector>(`/connectors/${this.id}`, {}, signal));
  readonly totals = new Resource((signal) =>
    read<SyncStatus>(`/connectors/${this.id}/sync-status`, {}, signal),
  );
  private later: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly id: string) {}

  keep(): () => void {
    const stop = listen({
      begun: () => this.refresh(),
      events: (events) => {
        for (const event of events) if (event.connector?.id === this.id) this.takeIn(event);
      },
    });
    const poll = setInterval(() => {
      if (liveness.peek().kind !== "live" && !document.hidden) this.refresh();
    }, POLL_MS);
    return () => {
      stop();
      clearInterval(poll);
      clearTimeout(this.later);
      this.connector.stop();
      this.totals.stop();
    };
  }

  refresh(): void {
    void this.connector.refresh();
    void this.totals.refresh();
  }

  async sync(): Promise<TriggeredSync> {
    return change<TriggeredSync>(`/connectors/${this.id}/sync`, {});
  }

  async cancel(syncId: string): Promise<CancelledRun> {
    return change<CancelledRun>(`/connectors/${this.id}/syncs/${syncId}/cancel`, {});
  }

  async disconnect(): Promise<void> {
    await remove<unknown>(`/connectors/${this.id}`);
    this.refresh();
  }

  records(dataType: DataType): Pages<StoredRecord> {
    return new Pages(async (pageToken, signal) => {
      const query = { dataType, limit: ROWS, pageToken };
      const path = `/connectors/${this.id}/records`;
      const { records, pagination } = await read<{ records: StoredRecord[]; pagination: Token }>(
        path,
        query,
        signal,
      );
      return pageOf(records, pagination);
    });
  }

  private takeIn(event: WatchEvent): void {
    if (event.type === "deleted") {
      this.refresh();
      return;
    }
    const { connector, endedSync } = event;
    this.connector.update((known) => ({
      ...known,
      ...(connector === undefined
        ? {}
        : {
            connectionStatus: connector.connectionStatus,
            failing: connector.failing,
            ...(connector.lastRun && { lastRun: connector.lastRun }),
          }),
      connectionDetails: {
        ...known.connectionDetails,
        ...(connector?.lastSyncAt === undefined ? {} : { lastSyncAt: connector.lastSyncAt }),
      },
      syncHistory: endedSync === undefined ? known.syncHistory : withEnded(known.syncHistory, endedSync),
      errors:
        endedSync?.error === undefined ? known.errors : [faultOf(endedSync.error, event), ...known.errors],
    }));
    if (endedSync) this.totals.update(({ currentSyncId: _, ...known }) => known);
    this.later ??= setTimeout(() => {
      this.later = undefined;
      void this.totals.refresh();
    }, TOTALS_REST_MS);
  }
}

function faultOf(error: { code: string; message: string }, event: WatchEvent) {
  return {
    errorCode: error.code,
    errorMessage: error.message,
    occurredAt: event.endedSync?.finishedAt ?? event.occurredAt,
  };
}

interface Token {
  nextPageToken?: string;
}

/** What the audit trail has about a connector or a user, newest first. */
export function audited(about: { connectorId: string } | { userId: string }): Pages<AuditEvent> {
  return new Pages(async (pageToken, signal) => {
    const query = { ...about, limit: ROWS, pageToken };
    const { events, pagination } = await read<{ events: AuditEvent[]; pagination: Token }>(
      "/audit-events",
      query,
      signal,
    );
    return pageOf(events, pagination);
  });
}
