/** A list of connectors, and one connector with its history: read once, then kept true by the stream. */

import { change, read } from "../api/client";
import type { Connector, ConnectorSummary, SyncStatus, TriggeredSync, WatchEvent } from "../api/types";
import { type Filter, withEnded, withEvent } from "../model/lists";
import { listen, liveness } from "./live";
import { Resource } from "./resource";

export interface Page {
  connectors: ConnectorSummary[];
  nextPageToken?: string;
}

interface ListAnswer {
  connectors: ConnectorSummary[];
  pagination?: { nextPageToken?: string };
}

const PAGE = 50;
const TOTALS_REST_MS = 2000;
const POLL_MS = 15_000;

/** Connectors that pass a filter, newest first; or those of one user. */
export class ConnectorList {
  readonly page = new Resource((signal) => this.load(undefined, signal));

  constructor(private readonly filter: Filter) {}

  keep(): () => void {
    return listen({
      begun: () => void this.page.refresh(),
      events: (events) =>
        this.page.update((page) => ({
          ...page,
          connectors: events.reduce((list, event) => withEvent(list, this.filter, event), page.connectors),
        })),
    });
  }

  /** Add the page that follows. */
  async more(): Promise<void> {
    const token = this.page.state.peek().data?.nextPageToken;
    if (token === undefined) return;
    const next = await this.load(token);
    this.page.update((page) => {
      const known = new Set(page.connectors.map((each) => each.id));
      return {
        ...next,
        connectors: [...page.connectors, ...next.connectors.filter((each) => !known.has(each.id))],
      };
    });
  }

  private async load(pageToken?: string, signal?: AbortSignal): Promise<Page> {
    const { userId, ...filter } = this.filter;
    const { connectors, pagination } =
      userId === undefined
        ? await read<ListAnswer>("/connectors", { ...filter, limit: PAGE, pageToken }, signal)
        : await read<ListAnswer>(`/connectors/user/${userId}`, {}, signal);
    const nextPageToken = pagination?.nextPageToken;
    return { connectors, ...(nextPageToken === undefined ? {} : { nextPageToken }) };
  }
}

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

  private takeIn(event: WatchEvent): void {
    if (event.type === "deleted") {
      this.refresh();
      return;
    }
    const { connector, endedSync } = event;
    this.connector.update((known) => ({
      ...known,
      ...(connector === undefined ? {} : { connectionStatus: connector.connectionStatus }),
      connectionDetails: {
        ...known.connectionDetails,
        ...(connector?.lastSyncAt === undefined ? {} : { lastSyncAt: connector.lastSyncAt }),
      },
      syncHistory: endedSync === undefined ? known.syncHistory : withEnded(known.syncHistory, endedSync),
      errors:
        endedSync?.error === undefined ? known.errors : [faultOf(endedSync.error, event), ...known.errors],
    }));
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
