/** A list that is read a page at a time, as far as somebody wants to see it. */

import { ApiError } from "../api/errors";
import { Resource } from "./resource";

export interface Page<T> {
  items: T[];
  nextPageToken?: string;
}

export class Pages<T> {
  readonly page: Resource<Page<T>>;

  constructor(private readonly load: (pageToken?: string, signal?: AbortSignal) => Promise<Page<T>>) {
    this.page = new Resource((signal) => load(undefined, signal));
  }

  /** Add the page that follows; the error where that fails. */
  async more(): Promise<ApiError | null> {
    const token = this.page.state.peek().data?.nextPageToken;
    if (token === undefined) return null;
    try {
      const next = await this.load(token);
      this.page.update((page) => ({ ...next, items: [...page.items, ...next.items] }));
      return null;
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
  }
}

/** A page of a reply that has its list under a name. */
export function pageOf<T>(items: T[], pagination?: { nextPageToken?: string }): Page<T> {
  const token = pagination?.nextPageToken;
  return { items, ...(token === undefined ? {} : { nextPageToken: token }) };
}
