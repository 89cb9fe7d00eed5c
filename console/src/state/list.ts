/** A list of connectors: read once, then kept true by the stream. */

import { signal } from "@preact/signals";
import { read } from "../api/client";
import { ApiError } from "../api/errors";
import type { ConnectorSummary } from "../api/types";
import { type Filter, isFound, withEvent } from "../model/lists";
import { listen } from "./live";
import { Resource } from "./resource";

export interface Page {
  connectors: ConnectorSummary[];
  nextPageToken?: string;
}

interface ListReply {
  connectors: ConnectorSummary[];
  pagination?: { nextPageToken?: string };
}

/** A minute has 20 calls of connectors for one address. */
const PAGE = 100;
const PAGES_SEARCHED = 6;

/** Connectors that pass a filter, newest first; or those of one user. */
export class ConnectorList {
  readonly page = new Resource((signal) => this.load(undefined, signal));
  readonly searching = signal(false);
  private stopped = new AbortController();

  constructor(private readonly filter: Filter) {}

  keep(): () => void {
    const stop = listen({
      begun: () => void this.refresh(),
      events: (events) =>
        this.page.update((page) => ({
          ...page,
          connectors: events.reduce((list, event) => withEvent(list, this.filter, event), page.connectors),
        })),
    });
    return () => {
      stop();
      this.stopped.abort();
      this.page.stop();
    };
  }

  async refresh(): Promise<void> {
    await this.page.refresh();
    if (this.filter.search !== undefined) await this.search();
  }

  /** Look through some more pages for what is searched; the error where one cannot be read. */
  async search(): Promise<ApiError | null> {
    if (this.searching.peek()) return null;
    this.searching.value = true;
    try {
      for (let pages = 1; pages < PAGES_SEARCHED && !this.stopped.signal.aborted; pages++) {
        if (this.page.state.peek().data?.nextPageToken === undefined) break;
        const error = await this.more();
        if (error !== null) return error;
      }
      return null;
    } finally {
      this.searching.value = false;
    }
  }

  /** Those of what was read that are searched for. */
  found(page: Page): ConnectorSummary[] {
    return page.connectors.filter((each) => isFound(each, this.filter.search));
  }

  /** Add the page that follows; the error where that fails. */
  async more(): Promise<ApiError | null> {
    const token = this.page.state.peek().data?.nextPageToken;
    if (token === undefined) return null;
    try {
      const next = await this.load(token, this.stopped.signal);
      this.page.update((page) => {
        const known = new Set(page.connectors.map((each) => each.id));
        return {
          ...next,
          connectors: [...page.connectors, ...next.connectors.filter((each) => !known.has(each.id))],
        };
      });
      return null;
    } catch (error) {
      if (error instanceof ApiError) return error;
      if (this.stopped.signal.aborted) return null;
      throw error;
    }
  }

  private async load(pageToken?: string, signal?: AbortSignal): Promise<Page> {
    const { userId, search: _, failing, ...filter } = this.filter;
    const query = { ...filter, failing: failing && "true", limit: PAGE, pageToken };
    const { connectors, pagination } =
      userId === undefined
        ? await read<ListReply>("/connectors", query, signal)
        : await read<ListReply>(`/connectors/user/${userId}`, {}, signal);
    const nextPageToken = pagination?.nextPageToken;
    return { connectors, ...(nextPageToken === undefined ? {} : { nextPageToken }) };
  }
}
