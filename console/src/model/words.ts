/** The contract's words as people read them. */

import { type ConnectorSummary, PLATFORMS, type Platform, type RunState, type Status } from "../api/types";

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

/** How a connector is: the worse of its connection and of its last run. */
export interface Condition {
  /** Also the class of its mark. */
  word: Status | "failing" | "partial";
  name: string;
  sign: string;
  means: string;
}

const FAILING: Condition = {
  word: "failing",
  name: "Failing",
  sign: "✗",
  means: "It is connected, but its last run brought nothing. Syncing goes on.",
};
const IN_PART: Condition = {
  word: "partial",
  name: "Brings a part",
  sign: "◐",
  means: "It is connected, but its last run did not bring all of the data. Syncing goes on.",
};

export function conditionOf(
  connector: Pick<ConnectorSummary, "connectionStatus" | "failing" | "lastRun">,
): Condition {
  const { connectionStatus: status, failing, lastRun } = connector;
  if (status === "connected" && failing) return lastRun?.state === "partial" ? IN_PART : FAILING;
  return { word: status, ...STATUS_WORDS[status] };
}

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

/** `sai_iyer · Fi Money`: what people call a connector. */
export const nameOf = ({ userId, platform }: Pick<ConnectorSummary, "userId" | "platform">): string =>
  `${userId} · ${PLATFORM_NAMES[platform]}`;

/** `1 run`, `2 runs`, `1,204 runs`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
