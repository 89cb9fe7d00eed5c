/** Calls of Finlink's REST interface: credentials go along, refusals become errors, limits are waited for. */

import { signal } from "@preact/signals";
import { ApiError, errorOf, unreachable, wantsSignIn } from "./errors";
import { apiKey, signInAsked } from "./key";
import { forgetPerson, person } from "./person";

/** Until when reads wait because Finlink limits calls from this address. */
export const limitedUntil = signal<Date | null>(null);

const TRIES = 3;
type Query = Record<string, string | number | undefined>;

/** The `data` of a reply. A read that is limited waits as long as the reply asks, and says so. */
export async function read<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await dataOf<T>(await send("GET", path + queryOf(query), signal));
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "RATE_LIMITED" || tries === TRIES) throw error;
      await waitOut(error.retryAfterSeconds ?? 5, signal);
    }
  }
}

/** A change; if it is limited, its caller gets the error at once. */
export async function change<T>(path: string, body: object): Promise<T> {
  return dataOf<T>(await send("POST", path, undefined, JSON.stringify(body)));
}

export async function remove<T>(path: string): Promise<T> {
  return dataOf<T>(await send("DELETE", path));
}

/** A reply of 2xx, body unread. */
export async function send(
  method: string,
  path: string,
  signal?: AbortSignal,
  body?: string,
  more: Record<string, string> = {},
): Promise<Response> {
  const headers = new Headers(more);
  if (body !== undefined) headers.set("content-type", "application/json");
  if (apiKey.value !== null) headers.set("x-api-key", apiKey.value);
  const reply = await fetch(`/api/v1${path}`, {
    method,
    headers,
    cache: "no-store",
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  }).catch((cause: unknown) => {
    if (signal?.aborted) throw cause;
    throw unreachable();
  });
  if (reply.ok) return reply;
  const error = errorOf(reply.status, reply.headers, await reply.json().catch(() => null));
  if (wantsSignIn(error)) askWhoCalls();
  throw error;
}

function askWhoCalls(): void {
  if (apiKey.value !== null) signInAsked.value = "This API key is unknown or revoked.";
  else if (person.value !== null) signInAsked.value = "Your session has ended.";
  else signInAsked.value ??= "This Finlink lets nobody in without an account or an API key.";
  forgetPerson();
}

async function dataOf<T>(reply: Response): Promise<T> {
  const { data } = (await reply.json()) as { data: T };
  return data;
}

function queryOf(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") parameters.set(name, String(value));
  }
  return parameters.size > 0 ? `?${parameters}` : "";
}

async function waitOut(seconds: number, signal?: AbortSignal): Promise<void> {
  const until = new Date(Date.now() + seconds * 1000);
  if (limitedUntil.value === null || limitedUntil.value < until) limitedUntil.value = until;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  if (limitedUntil.value !== null && limitedUntil.value.getTime() <= Date.now()) limitedUntil.value = null;
  signal?.throwIfAborted();
}
