/** The one watch stream of the page, and who listens to it. */

import { batch, signal } from "@preact/signals";
import type { ApiError } from "../api/errors";
import type { SyncRun, WatchEvent } from "../api/types";
import { watch } from "../api/watch";
import { readWhatFailed } from "./resource";

export type Liveness =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "broken"; since: Date; error: ApiError };

export interface Listener {
  /** What has happened, oldest first; at most twice a second, however much that is. */
  events?(events: WatchEvent[]): void;
  /** The stream has begun, or begins again after a gap: everything shown must be read now. */
  begun(): void;
}

export const liveness = signal<Liveness>({ kind: "connecting" });
/** Runs under way by connector, as far as the stream has reported. */
export const runs = signal<ReadonlyMap<string, SyncRun>>(new Map());
/** A clock for times that are shown relative to now. */
export const now = signal(new Date());

const FLUSH_MS = 500;
const TICK_MS = 5000;
const listeners = new Set<Listener>();
let waiting: WatchEvent[] = [];
let flushing: ReturnType<typeof setTimeout> | undefined;
let heard = new Date();
/** Whether views may read: the stream is open, or cannot be opened. */
let open = false;
let stopped = new AbortController();

/** Begin to watch, with the key of now. */
export function start(): void {
  stopped.abort();
  stopped = new AbortController();
  batch(() => {
    liveness.value = { kind: "connecting" };
    runs.value = new Map();
  });
  open = false;
  waiting = [];
  void watch({ event: onEvent, broken: onBroken, gap: onGap }, stopped.signal);
}

/** Listen until the function that is returned is called. */
export function listen(listener: Listener): () => void {
  listeners.add(listener);
  if (open) listener.begun();
  return () => listeners.delete(listener);
}

setInterval(() => {
  now.value = new Date();
}, TICK_MS);

function onEvent(event: WatchEvent): void {
  heard = new Date();
  if (liveness.peek().kind !== "live") {
    liveness.value = { kind: "live" };
    readWhatFailed();
  }
  if (!open) begin();
  if (event.connector === undefined) return;
  waiting.push(event);
  if (flushing === undefined) flushing = setTimeout(flush, FLUSH_MS);
}

function onBroken(error: ApiError): void {
  if (liveness.peek().kind !== "broken") {
    liveness.value = { kind: "broken", since: open ? heard : new Date(), error };
  }
  if (!open) begin();
}

function onGap(): void {
  open = false;
  runs.value = new Map();
}

function begin(): void {
  open = true;
  for (const listener of listeners) listener.begun();
}

function flush(): void {
  flushing = undefined;
  const events = waiting;
  waiting = [];
  batch(() => {
    const under = new Map(runs.peek());
    for (const { connector, sync } of events) {
      if (connector === undefined) continue;
      if (sync === undefined) under.delete(connector.id);
      else under.set(connector.id, sync);
    }
    runs.value = under;
    now.value = new Date();
    for (const listener of listeners) listener.events?.(events);
  });
}
