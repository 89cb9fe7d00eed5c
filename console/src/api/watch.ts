/** The watch stream: events as they come, resumed where it broke off for as long as the page is open. */

import { EventSourceParserStream } from "eventsource-parser/stream";
import { send } from "./client";
import { ApiError, errorOf, wantsSignIn } from "./errors";
import type { WatchEvent } from "./types";

/** Finlink sends a heartbeat after 15 seconds without an event: a stream silent for longer is dead. */
const SILENCE_MS = 35_000;
const LONGEST_PAUSE_MS = 30_000;

export interface Watcher {
  event(event: WatchEvent): void;
  /** The stream is broken, or was refused, and is tried again after a pause. */
  broken(error: ApiError): void;
  /** Changes in between cannot be reported: everything shown must be read again once `ready` comes. */
  gap(): void;
}

/** Watch until `stop`, or until nobody is signed in. */
export async function watch(watcher: Watcher, stop: AbortSignal): Promise<void> {
  let token: string | null = null;
  let failures = 0;
  while (!stop.aborted) {
    try {
      for await (const event of stream(token, stop)) {
        token = event.resumeToken;
        failures = 0;
        watcher.event(event);
      }
      throw new ApiError("UNAVAILABLE", "The stream ended");
    } catch (cause) {
      if (stop.aborted) return;
      const error = cause instanceof ApiError ? cause : new ApiError("UNREACHABLE", "The stream broke off");
      if (error.code === "RESUME_TOKEN_EXPIRED") {
        token = null;
        watcher.gap();
        continue;
      }
      watcher.broken(error);
      if (wantsSignIn(error)) return; // it begins again with who signs in
      await pause(Math.max(pauseAfter(failures++), (error.retryAfterSeconds ?? 0) * 1000), stop);
    }
  }
}

/** A second, then twice as long each time; spread, so that many consoles do not come back at once. */
export function pauseAfter(failures: number, random: () => number = Math.random): number {
  return Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** failures) * (0.5 + random() / 2);
}

async function* stream(token: string | null, stop: AbortSignal): AsyncGenerator<WatchEvent> {
  const own = new AbortController();
  const signal = AbortSignal.any([stop, own.signal]);
  let silence = setTimeout(() => own.abort(), SILENCE_MS);
  try {
    const more: Record<string, string> = token === null ? {} : { "last-event-id": token };
    const reply = await send("GET", "/connectors/watch", signal, undefined, more);
    if (reply.body === null) return;
    const reader = reply.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
      .getReader();
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(() => own.abort(), SILENCE_MS);
      const data: unknown = JSON.parse(value.data);
      if (value.event === "error") throw errorOf(503, reply.headers, data);
      yield data as WatchEvent;
    }
  } finally {
    clearTimeout(silence);
    own.abort();
  }
}

function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    stop.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
