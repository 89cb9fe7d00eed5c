import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  MessageInitShape,
} from "@bufbuild/protobuf";
import {
  Code,
  type ContextValues,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from "@connectrpc/connect";
import { closed, FinlinkError, toFinlinkError, toStreamError } from "./errors.js";
import { isPublic, isRead, isRetried, pauseAfter, RULES, waitsForPlatform } from "./rules.js";
import type { Session } from "./session.js";

const PACKAGE = new URL("../../package.json", import.meta.url);
const { version } = JSON.parse(readFileSync(PACKAGE, "utf8")) as { version: string };

/** What a call has where its caller does not say. */
export interface Defaults {
  readonly timeoutMs: number;
  readonly platformTimeoutMs: number;
  readonly apiKey: string | undefined;
  readonly accessToken: string | undefined;
}

/** Gives each call its deadline and keys, tries it again where that is safe, and reports its failure as FinlinkError. */
export class FinlinkTransport implements Transport {
  readonly #inner: Transport;
  readonly #defaults: Defaults;
  readonly #closing: AbortSignal;
  readonly #tokens = new Tokens();
  /** Of the user who has signed in. */
  session: Session | undefined;

  constructor(inner: Transport, defaults: Defaults, closing: AbortSignal) {
    this.#inner = inner;
    this.#defaults = defaults;
    this.#closing = closing;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    const { timeoutMs: usual, platformTimeoutMs } = this.#defaults;
    const time = timeoutMs ?? (waitsForPlatform(method) ? platformTimeoutMs : usual);
    const deadline = performance.now() + time;
    const headers = this.#headers(method, header);
    const ended = this.#orClosed(signal);
    const attempts = () => this.#attempts(method, ended, deadline, headers, input, contextValues);
    const token = await this.#authorize(method, headers, ended, time);
    try {
      return await attempts();
    } catch (error) {
      if (token === undefined || !this.renews(error)) throw error;
      headers.delete("authorization");
      this.session?.expire(token);
      await this.#authorize(method, headers, ended, deadline - performance.now());
      return await attempts();
    }
  }

  async #attempts<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    ended: AbortSignal,
    deadline: number,
    headers: Headers,
    input: MessageInitShape<I>,
    contextValues?: ContextValues,
  ): Promise<UnaryResponse<I, O>> {
    for (let failures = 1; ; failures++) {
      const left = Math.max(1, Math.ceil(deadline - performance.now()));
      try {
        const reply = await this.#inner.unary(method, ended, left, headers, input, contextValues);
        this.#tokens.putBack();
        return reply;
      } catch (reason) {
        const error = this.#reported(reason, ended);
        const pause = this.#pause(method, error, failures);
        if (pause === undefined || performance.now() + pause >= deadline) throw error;
        await sleep(pause, undefined, { signal: ended }).catch((reason) => {
          throw this.#reported(reason, ended);
        });
      }
    }
  }

  async stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    input: AsyncIterable<MessageInitShape<I>>,
    contextValues?: ContextValues,
  ): Promise<StreamResponse<I, O>> {
    const headers = this.#headers(method, header);
    const ended = this.#orClosed(signal);
    const time = timeoutMs === undefined ? undefined : Math.max(1, Math.ceil(timeoutMs));
    const token = await this.#authorize(method, headers, ended, time ?? this.#defaults.timeoutMs);
    try {
      const reply = await this.#inner.stream(method, ended, time, headers, input, contextValues);
      return { ...reply, message: this.#messages(reply.message, ended, token) };
    } catch (reason) {
      throw this.#reported(reason, ended, toStreamError);
    }
  }

  async *#messages<T>(
    messages: AsyncIterable<T>,
    ended: AbortSignal,
    token: string | undefined,
  ): AsyncGenerator<T> {
    try {
      yield* messages;
    } catch (reason) {
      const error = this.#reported(reason, ended, toStreamError);
      if (token !== undefined && this.renews(error)) this.session?.expire(token);
      throw error;
    }
  }

  /** Whether a call that failed so may succeed with the next token. */
  renews(error: unknown): boolean {
    return error instanceof FinlinkError && (this.session?.helps(error.code) ?? false);
  }

  /**
   * Adds the user's access token and gives it, if the call needs one and its caller gave none. Calls for everybody, as
   * signing out, show the token that there is.
   */
  async #authorize(
    method: DescMethod,
    headers: Headers,
    ended: AbortSignal,
    timeoutMs: number,
  ): Promise<string | undefined> {
    if (this.session === undefined || headers.has("authorization")) return undefined;
    if (isPublic(method)) {
      const { present } = this.session;
      if (present !== undefined) headers.set("authorization", `Bearer ${present}`);
      return undefined;
    }
    const token = await this.#inTime(this.session.token(), ended, timeoutMs);
    headers.set("authorization", `Bearer ${token}`);
    return token;
  }

  /** What is awaited, unless the call ends before; the renewal itself goes on for the others. */
  async #inTime<T>(awaited: Promise<T>, ended: AbortSignal, timeoutMs: number): Promise<T> {
    const leaving = new AbortController();
    const signal = AbortSignal.any([ended, leaving.signal]);
    const late = sleep(Math.max(0, timeoutMs), undefined, { signal, ref: false }).then(
      () => {
        const message = "The next access token did not come in time";
        const grpcCode = Code.DeadlineExceeded;
        throw new FinlinkError({ code: "DEADLINE_EXCEEDED", message, grpcCode });
      },
      (reason) => {
        throw this.#reported(reason, ended);
      },
    );
    try {
      return await Promise.race([awaited, late]);
    } finally {
      leaving.abort();
    }
  }

  /** The milliseconds to wait before the next try, if there is to be one. */
  #pause(method: DescMethod, error: FinlinkError, failures: number): number | undefined {
    if (error.grpcCode !== Code.Unavailable) return undefined;
    const again = this.#tokens.take() && isRetried(method);
    if (!again || failures >= (RULES.retry?.attempts ?? 1)) return undefined;
    return pauseAfter(failures, RULES.retry?.pauses) * (0.8 + 0.4 * Math.random());
  }

  /** The caller's, and what the caller did not give: who calls, the API key or access token, a change's idempotency key. */
  #headers(method: DescMethod, given: HeadersInit | undefined): Headers {
    const headers = new Headers(given);
    const add = (name: string, value: string): void => {
      if (!headers.has(name)) headers.set(name, value);
    };
    add("user-agent", `finlink-client-typescript/${version}`);
    if (this.#defaults.apiKey !== undefined) add("x-api-key", this.#defaults.apiKey);
    if (this.#defaults.accessToken !== undefined)
      add("authorization", `Bearer ${this.#defaults.accessToken}`);
    if (!isRead(method)) add("idempotency-key", randomUUID());
    return headers;
  }

  #orClosed(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing : AbortSignal.any([signal, this.#closing]);
  }

  #reported(reason: unknown, ended: AbortSignal, as = toFinlinkError): FinlinkError {
    return this.#closing.aborted ? closed() : as(reason, ended.aborted);
  }
}

/** Fewer with each failure and more with each success: with half of them gone nothing is tried again. */
class Tokens {
  readonly #most = RULES.retry?.tokens ?? 0;
  #count = this.#most;

  /** Whether there are enough to try again. */
  take(): boolean {
    this.#count = Math.max(0, this.#count - 1);
    return this.#count > this.#most / 2;
  }

  putBack(): void {
    this.#count = Math.min(this.#most, this.#count + (RULES.retry?.tokensPerSuccess ?? 0));
  }
}
