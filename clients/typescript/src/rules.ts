import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { ErrorReason } from "./gen/finlink/errors/v1/error_reason_pb.js";
import {
  client,
  type Pauses,
  file_finlink_rules_v1_client as rules,
} from "./gen/finlink/rules/v1/client_pb.js";
import { method as methodRules, Reach } from "./gen/finlink/rules/v1/rules_pb.js";
import { http } from "./gen/google/api/annotations_pb.js";

/** What the contract has every client do. */
export const RULES = getOption(rules, client);

/** Whether it changes nothing: repeating it is always safe. */
export function isRead(method: DescMethod): boolean {
  return getOption(method, http).pattern.case === "get";
}

/** Whether a platform must reply before Finlink can. */
export function waitsForPlatform(method: DescMethod): boolean {
  return getOption(method, methodRules).errors.includes(ErrorReason.PLATFORM_UNAVAILABLE);
}

/** Whether it needs no credential, as signing in: no token is fetched for it. */
export function isPublic(method: DescMethod): boolean {
  return !isFinlinks(method) || getOption(method, methodRules).users?.reach === Reach.PUBLIC;
}

/** Reads, and changes but those that go to a platform: those their caller repeats in good time. */
export function isRetried(method: DescMethod): boolean {
  return isRead(method) || !waitsForPlatform(method);
}

/** Whether it is Finlink's, and no other service's on the same connection. */
export function isFinlinks(method: DescMethod): boolean {
  return hasOption(method, methodRules);
}

/** The milliseconds before one more try, after so many. */
export function pauseAfter(failures: number, pauses: Pauses | undefined): number {
  const longest = milliseconds(pauses?.longest);
  return Math.min(longest, milliseconds(pauses?.first) * (pauses?.factor ?? 1) ** (failures - 1));
}

export function milliseconds(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
