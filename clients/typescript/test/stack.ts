/** The running Finlink that the tests call, as its environment names it. */
import { exec } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { connect, type Finlink } from "../src/index.js";

/** `HOST:PORT`; without it there is nothing to call. */
export const ADDRESS = process.env.FINLINK_TEST_ADDRESS;

/** A command that kills the worker it is given and ends once another one serves. */
export const KILL = process.env.FINLINK_TEST_KILL;

/** Why tests that need it are skipped, if they are. */
export const NO_STACK = ADDRESS === undefined && "FINLINK_TEST_ADDRESS names no Finlink";
export const NO_KILL = KILL === undefined && "FINLINK_TEST_KILL is not set";

/** What logs in at the sandbox of either platform. */
export const LOGIN = { username: "9876543210", password: "correct horse" };

export function client(): Finlink {
  return connect(ADDRESS ?? "");
}

/** An id that nobody has. */
export function newId(): string {
  return `ts_${randomBytes(8).toString("hex")}`;
}

/** A user that exists. */
export async function newUser(finlink: Finlink): Promise<string> {
  const userId = newId();
  await finlink.users.createUser({ userId, email: `${userId}@example.com` });
  return userId;
}

export async function kill(worker: string): Promise<void> {
  await promisify(exec)(`${KILL} ${worker}`);
}

/** All that comes. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** What a call fails with. */
export async function failure(call: Promise<unknown>): Promise<unknown> {
  return await call.then(
    () => {
      throw new Error("the call did not fail");
    },
    (error: unknown) => error,
  );
}
