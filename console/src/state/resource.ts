/** Something read from Finlink: what is known of it, since when, and why no more. */

import { type Signal, signal } from "@preact/signals";
import { ApiError, passes } from "../api/errors";

export interface Loaded<T> {
  /** As it was last read; it stays while a later read fails, so look at `error` too. */
  data?: T;
  at?: Date;
  error?: ApiError;
}

const FIRST_PAUSE_MS = 4000;
const LONGEST_PAUSE_MS = 30_000;
/** Those in use whose last read failed for a reason that passes by itself. */
const failed = new Set<{ refresh(): Promise<void> }>();

/** Read again at once what failed: Finlink can be reached again. */
export function readWhatFailed(): void {
  for (const each of [...failed]) void each.refresh();
}

export class Resource<T> {
  readonly state: Signal<Loaded<T>> = signal({});
  private under: AbortController | null = null;
  private later: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;

  constructor(private readonly load: (signal: AbortSignal) => Promise<T>) {}

  /** Read it again; a read under way is abandoned. What fails for now is read again after a pause, until `stop`. */
  async refresh(): Promise<void> {
    this.stop();
    this.under = new AbortController();
    const { signal } = this.under;
    try {
      const data = await this.load(signal);
      if (signal.aborted) return;
      this.failures = 0;
      this.state.value = { data, at: new Date() };
    } catch (cause) {
      if (signal.aborted) return;
      const error = cause instanceof ApiError ? cause : new ApiError("CONSOLE_FAULT", String(cause));
      this.state.value = { ...this.state.peek(), error };
      if (passes(error)) this.tryLater();
    }
  }

  /** Apply an event of the stream. */
  update(change: (data: T) => T): void {
    const { data, ...rest } = this.state.peek();
    if (data !== undefined) this.state.value = { ...rest, data: change(data) };
  }

  stop(): void {
    failed.delete(this);
    clearTimeout(this.later);
    this.under?.abort();
  }

  private tryLater(): void {
    failed.add(this);
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.failures++);
    this.later = setTimeout(() => void this.refresh(), pause);
  }
}
