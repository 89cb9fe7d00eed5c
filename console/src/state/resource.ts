/** Something read from Finlink: what is known of it, since when, and why no more. */

import { type Signal, signal } from "@preact/signals";
import { ApiError } from "../api/errors";

export interface Loaded<T> {
  /** As it was last read; it stays while a later read fails, so look at `error` too. */
  data?: T;
  at?: Date;
  error?: ApiError;
}

export class Resource<T> {
  readonly state: Signal<Loaded<T>> = signal({});
  private under: AbortController | null = null;

  constructor(private readonly load: (signal: AbortSignal) => Promise<T>) {}

  /** Read it again; a read under way is abandoned. */
  async refresh(): Promise<void> {
    this.stop();
    this.under = new AbortController();
    const { signal } = this.under;
    try {
      const data = await this.load(signal);
      if (!signal.aborted) this.state.value = { data, at: new Date() };
    } catch (cause) {
      if (signal.aborted) return;
      const error = cause instanceof ApiError ? cause : new ApiError("CONSOLE_FAULT", String(cause));
      this.state.value = { ...this.state.peek(), error };
    }
  }

  /** Apply an event of the stream. */
  update(change: (data: T) => T): void {
    const { data, ...rest } = this.state.peek();
    if (data !== undefined) this.state.value = { ...rest, data: change(data) };
  }

  stop(): void {
    this.under?.abort();
  }
}
