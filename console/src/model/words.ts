/** The contract's words as people read them. */

import { PLATFORMS, type Platform, type RunState, type Status } from "../api/types";

/** `fi_money` is Fi Money. */
export const PLATFORM_NAMES = Object.fromEntries(
  PLATFORMS.map((word) => [
    word,
    word.replace(/(^|_)([a-z])/g, (_, gap, first) => (gap && " ") + first.toUpperCase()),
  ]),
) as Record<Platform, string>;

export const STATUS_WORDS: Record<Status, { name: string; sign: string; means: string }> = {
  connected: { name: "Connected", sign: "●", means: "Syncs at its interval." },
  expired: { name: "Expired", sign: "◆", means: "The session ended; the user must log in again." },
  error: { name: "Error", sign: "▲", means: "Five syncs in a row failed; syncing continues, more slowly." },
  disconnected: { name: "Disconnected", sign: "○", means: "The user disconnected, or a login is pending." },
};

/** In the order in which people are shown them. */
export const STATUSES = Object.keys(STATUS_WORDS) as Status[];

export const RUN_WORDS: Record<RunState, { name: string; sign: string }> = {
  in_progress: { name: "In progress", sign: "…" },
  deferred: { name: "Waiting for the platform", sign: "…" },
  success: { name: "Success", sign: "✓" },
  partial: { name: "Partial", sign: "◐" },
  failed: { name: "Failed", sign: "✗" },
  cancelled: { name: "Cancelled", sign: "–" },
  abandoned: { name: "Abandoned", sign: "✗" },
};

export const isPlatform = (word: string | null): word is Platform =>
  word !== null && Object.hasOwn(PLATFORM_NAMES, word);
export const isStatus = (word: string | null): word is Status =>
  word !== null && Object.hasOwn(STATUS_WORDS, word);

/** `1 run`, `2 runs`, `1,204 runs`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
