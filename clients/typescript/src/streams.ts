import { setTimeout as sleep } from "node:timers/promises";
import type { CallOptions } from "@connectrpc/connect";
import { FinlinkError, toFinlinkError } from "./errors.js";
import { pauseAfter, RULES } from "./rules.js";

/** All that one stream brings. A caller who stops listening ends it. */
export async function* listen<T>(
  call: (options: CallOptions) => AsyncIterable<T>,
  options: CallOptions = {},
): AsyncGenerator<T, void, undefined> {
  const leaving = new AbortController();
  const signals = [leaving.signal, ...(options.signal ? [options.signal] : [])];
  try {
    yield* call({ ...options, signal: AbortSignal.any(signals) });
  } finally {
    leaving.abort();
  }
}

/** All that an export brings; it begins again if only its token had expired. */
export async function* whole<T>(
  call: (options: CallOptions) => AsyncIterable<T>,
  renews: (error: unknown) => boolean,
  options: CallOptions = {},
): AsyncGenerator<T, void, undefined> {
  for (let renewed = false, begun = false; ; renewed = true) {
    try {
      for await (const item of listen(call, options)) {
        begun = true;
        yield item;
      }
      return;
    } catch (reason) {
      if (begun || renewed || !renews(reason)) throw reason;
    }
  }
}

/** Every event of a watch, each once, over as many streams as it takes. */
export async function* watch<T extends { resumeToken: string }>(
  call: (resumeToken: string | undefined, options: CallOptions) => AsyncIterable<T>,
  closing: AbortSignal,
  renews: (error: unknown) => boolean,
  options: CallOptions = {},
): AsyncGenerator<T, void, undefined> {
  let token: string | undefined;
  let renewed = false;
  let failures = 0;
  const ends = AbortSignal.any([closing, ...(options.signal ? [options.signal] : [])]);
  for (;;) {
    try {
      for await (const event of listen((given) => call(token, given), options)) {
        token = event.resumeToken;
        failures = 0;
        renewed = false;
        yield event;
      }
      return;
    } catch (reason) {
      if (!renewed && renews(reason)) {
        renewed = true;
        continue;
      }
      // One that has begun is taken up for as long as it takes; one that has not may have nobody at its address.
      const passes = reason instanceof FinlinkError && reason.code === "UNAVAILABLE";
      if (!passes || token === undefined) throw reason;
      failures += 1;
    }
    const pause = pauseAfter(failures, RULES.watchPauses) * (1 - Math.random() / 2);
    await sleep(pause, undefined, { signal: ends }).catch((reason) => {
      throw toFinlinkError(reason, true);
    });
  }
}
