import { Code, ConnectError } from "@connectrpc/connect";
import type { ErrorReason } from "./gen/finlink/errors/v1/error_reason_pb.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";
import { milliseconds } from "./rules.js";

const DOMAIN = "finlink";

/** gRPC's own words, for what failed before it reached Finlink. */
const STATUSES = {
  [Code.Canceled]: "CANCELLED",
  [Code.Unknown]: "UNKNOWN",
  [Code.InvalidArgument]: "INVALID_ARGUMENT",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.NotFound]: "NOT_FOUND",
  [Code.AlreadyExists]: "ALREADY_EXISTS",
  [Code.PermissionDenied]: "PERMISSION_DENIED",
  [Code.ResourceExhausted]: "RESOURCE_EXHAUSTED",
  [Code.FailedPrecondition]: "FAILED_PRECONDITION",
  [Code.Aborted]: "ABORTED",
  [Code.OutOfRange]: "OUT_OF_RANGE",
  [Code.Unimplemented]: "UNIMPLEMENTED",
  [Code.Internal]: "INTERNAL",
  [Code.Unavailable]: "UNAVAILABLE",
  [Code.DataLoss]: "DATA_LOSS",
  [Code.Unauthenticated]: "UNAUTHENTICATED",
} as const satisfies Record<Code, string>;

/** A word of the contract's ErrorReason; where the call did not reach Finlink, gRPC's status. */
export type ErrorCode = Exclude<keyof typeof ErrorReason, "UNSPECIFIED"> | (typeof STATUSES)[Code];

/** What is wrong with one field. */
export interface FieldError {
  /** Its JSON path, as in `preferences.currency`. */
  readonly field: string;
  readonly message: string;
}

/** What a FinlinkError is made of. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly grpcCode: Code;
  readonly fields?: readonly FieldError[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number | undefined;
  readonly requestId?: string | undefined;
}

/**
 * A call failed. `message` is for people, `code` for programs.
 *
 * Neither printing nor serialising it shows the request, or the metadata, which can hold a login address.
 */
export class FinlinkError extends Error {
  override readonly name = "FinlinkError";
  readonly code: ErrorCode;
  /** gRPC's status. */
  readonly grpcCode: Code;
  /** What is wrong with which field. */
  readonly fields: readonly FieldError[];
  /** How long to wait before trying again, where that is known. */
  readonly retryAfterMs: number | undefined;
  /** Finds the call in Finlink's log. */
  readonly requestId: string | undefined;
  readonly #metadata: Readonly<Record<string, string>>;

  constructor(failure: Failure) {
    super(failure.message);
    this.code = failure.code;
    this.grpcCode = failure.grpcCode;
    this.fields = failure.fields ?? [];
    this.retryAfterMs = failure.retryAfterMs;
    this.requestId = failure.requestId;
    this.#metadata = failure.metadata ?? {};
  }

  /** More facts, by name. */
  get metadata(): Readonly<Record<string, string>> {
    return this.#metadata;
  }

  /** Of REAUTH_REQUIRED: where the user must log in, if there is a page. */
  get loginUrl(): string | undefined {
    return this.#metadata.loginUrl;
  }

  override toString(): string {
    const fields = this.fields.map((each) => `${each.field}: ${each.message}`).join("; ");
    return `${this.code}: ${this.message}${fields && ` (${fields})`}`;
  }
}

/** Whatever a call failed with, as a FinlinkError. `givenUp`: whether its caller wants it no more. */
export function toFinlinkError(reason: unknown, givenUp: boolean): FinlinkError {
  if (reason instanceof FinlinkError) return reason;
  const error = ConnectError.from(reason);
  const info = error.findDetails(ErrorInfoSchema).find((each) => each.domain === DOMAIN);
  const status = !givenUp && connectionIsLost(error) ? Code.Unavailable : error.code;
  const violations = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return new FinlinkError({
    code: (info?.reason as ErrorCode | undefined) ?? STATUSES[status],
    message: error.rawMessage,
    grpcCode: status,
    fields: violations.map(({ field, description }) => ({ field, message: description })),
    metadata: info?.metadata ?? {},
    retryAfterMs: delay && milliseconds(delay),
    requestId: error.metadata.get("x-request-id") ?? undefined,
  });
}

/** The same for a stream. A stream whose server is killed is cut off: an INTERNAL that no server sent. */
export function toStreamError(reason: unknown, givenUp: boolean): FinlinkError {
  const error = toFinlinkError(reason, givenUp);
  const cut = error.grpcCode === Code.Internal && ConnectError.from(reason).details.length === 0;
  if (!cut) return error;
  const message = "The stream broke off";
  return new FinlinkError({ code: "UNAVAILABLE", message, grpcCode: Code.Unavailable });
}

/** The client was closed before or during a call. */
export function closed(): FinlinkError {
  return new FinlinkError({
    code: "CANCELLED",
    message: "The client was closed",
    grpcCode: Code.Canceled,
  });
}

/**
 * Whether neither a server nor the caller caused the error. To gRPC a connection that breaks is UNAVAILABLE; Connect
 * passes on what Node.js says of it, which is a cancelled stream or a system's error.
 */
function connectionIsLost(error: ConnectError): boolean {
  if (error.metadata.has("grpc-status")) return false;
  const { cause, code } = error;
  return code === Code.Canceled || (cause instanceof Error && "syscall" in cause);
}
