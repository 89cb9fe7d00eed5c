/** The person who has signed in. The session is a cookie that no script can read; the page keeps whose it is. */

import { computed, signal } from "@preact/signals";
import { errorOf, unreachable } from "./errors";
import { apiKey } from "./key";
import type { SessionData, User } from "./types";

export interface Person {
  userId: string;
  role: User["role"];
}

const NAME = "finlink-person";

export const person = signal<Person | null>(kept());

/** Whether calls are the person's: an API key takes the place of the session. */
export const isPerson = computed(() => apiKey.value === null && person.value !== null);

/** Whether changes are offered: an API key's scope is not known here, so a refusal says it. */
export const mayChange = computed(() => !isPerson.value || person.value?.role === "admin");

/** Whether the audit trail is offered. */
export const mayAudit = mayChange;

export function keepPerson({ userId, role }: Person): void {
  const known = { userId, role };
  localStorage.setItem(NAME, JSON.stringify(known));
  person.value = known;
}

export function forgetPerson(): void {
  localStorage.removeItem(NAME);
  person.value = null;
}

/** The field of a login that a name belongs into. */
export function named(name: string): { email: string } | { phoneNumber: string } | { username: string } {
  if (name.includes("@")) return { email: name };
  return name.startsWith("+") ? { phoneNumber: name } : { username: name };
}

/** The person who has signed in, or the challenge of one who has a second factor. */
export type SignedIn = { person: Person } | { challengeId: string };

/** Signs in with a cookie; whether the console has something for this person. Fails with an ApiError. */
export async function signIn(name: string, password: string): Promise<SignedIn> {
  const fields = { ...named(name), password, session: "cookie", deviceName: "Console" };
  const data = await post<SessionData>("login", fields);
  if (data.challenge !== undefined) return { challengeId: data.challenge.challengeId };
  return { person: await begun(data) };
}

/** Completes a login with a code of the person's app, or a recovery code. Fails with an ApiError. */
export async function verify(challengeId: string, code: string): Promise<SignedIn> {
  const solution = /^\d{6}$/.test(code) ? { totp: code } : { recoveryCode: code };
  return { person: await begun(await post<SessionData>("second-factor", { challengeId, ...solution })) };
}

async function begun({ user }: SessionData): Promise<Person> {
  if (user === undefined) throw new TypeError("The reply names no user");
  if (user.role === "user") await signOut();
  else keepPerson(user);
  return user;
}

/** Ends the session. Fails with an ApiError. */
export async function signOut(): Promise<void> {
  await post("logout", {});
  forgetPerson();
}

/** Without the API key, which would take the place of the cookie. */
async function post<T>(call: string, body: object): Promise<T> {
  const headers = { "content-type": "application/json" };
  const path = `/api/v1/auth/${call}`;
  const reply = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }).catch(() => {
    throw unreachable();
  });
  const content: unknown = await reply.json().catch(() => null);
  if (!reply.ok) throw errorOf(reply.status, reply.headers, content);
  return (content as { data: T }).data;
}

function kept(): Person | null {
  const content = localStorage.getItem(NAME);
  try {
    return content === null ? null : (JSON.parse(content) as Person);
  } catch {
    return null;
  }
}
