/** Why a call gave nothing, in words an operator can act on. */

import type { ErrorBody } from "./types";

export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly requestId: string | null = null,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

export const unreachable = () => new ApiError("UNREACHABLE", "Finlink cannot be reached");

const ADVICE: Record<string, string> = {
  UNREACHABLE:
    "Is Finlink running, and does this machine reach it? `GET /health` replies while its Envoy runs.",
  UNAVAILABLE: "Finlink or its database does not respond: look at `GET /ready`, then at the log.",
  DEADLINE_EXCEEDED: "The reply did not come in time: look for `database does not respond` in the log.",
  INTERNAL: "A fault of Finlink: the log has the cause under the request id.",
  UNAUTHENTICATED: "Sign in, or give an API key that is valid here.",
  PERMISSION_DENIED:
    "The scope of your API key, or your role, does not reach this; `python -m server keys list` shows the scopes.",
  SESSION_ENDED: "Sign in again.",
  LOGIN_FAILED: "Check the name and the password.",
  EMAIL_NOT_VERIFIED: "Open the link in the mail that was sent to this address.",
  USER_NOT_ACTIVE: "An admin can make the account active.",
  RATE_LIMITED: "Finlink limits calls from one address; another program here may be calling too.",
  CONNECTOR_NOT_FOUND: "It was deleted, or the id is of another Finlink.",
  USER_NOT_FOUND: "They were deleted, or the id is of another Finlink.",
  REAUTH_REQUIRED: "The user must log in at the platform again; a sync by hand is of no use until then.",
  NOT_CONNECTED: "The user must connect to the platform again.",
};

const PASSING = ["UNREACHABLE", "UNAVAILABLE", "DEADLINE_EXCEEDED"];

/** Whether it may be over soon, without anybody changing anything. */
export const passes = ({ code }: ApiError): boolean => PASSING.includes(code) || /^HTTP_5/.test(code);

/** Whether nobody is signed in, or not any more. */
export const wantsSignIn = ({ code }: ApiError): boolean =>
  code === "UNAUTHENTICATED" || code === "SESSION_ENDED";

export function adviceOn(error: ApiError): string {
  return ADVICE[error.code] ?? "Try again; if it stays, look for the request id in the log.";
}

/** The error of a reply other than 2xx; `body` is its content, if that is JSON. */
export function errorOf(status: number, headers: Headers, body: unknown): ApiError {
  const requestId = headers.get("x-request-id");
  const wait = Number(headers.get("retry-after"));
  const retryAfter = headers.has("retry-after") && Number.isFinite(wait) ? wait : null;
  if (!isErrorBody(body)) {
    return new ApiError(
      `HTTP_${status}`,
      `The reply is HTTP ${status} without an explanation`,
      requestId,
      retryAfter,
    );
  }
  const { code, message, details } = body.error;
  const fields = details.map((each) => `${each.field} ${each.message}`).join("; ");
  return new ApiError(code, fields ? `${message}: ${fields}` : message, requestId, retryAfter);
}

function isErrorBody(body: unknown): body is ErrorBody {
  if (typeof body !== "object" || body === null || !("error" in body)) return false;
  const { error } = body;
  return typeof error === "object" && error !== null && "code" in error && "details" in error;
}
