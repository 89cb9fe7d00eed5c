import { setMaxListeners } from "node:events";
import type { SecureContextOptions } from "node:tls";
import {
  clone,
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { type CallOptions, Code, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { FinlinkError } from "./errors.js";
import type { ConnectorSummary } from "./gen/finlink/connectors/v1/connector_pb.js";
import { ListConnectorsRequestSchema } from "./gen/finlink/connectors/v1/connector_reads_pb.js";
import { ListRecordsRequestSchema, type Record } from "./gen/finlink/connectors/v1/record_pb.js";
import {
  WatchConnectorsRequestSchema,
  type WatchConnectorsResponse,
} from "./gen/finlink/connectors/v1/watch_pb.js";
import type {
  ExportUserRequestSchema,
  ExportUserResponse,
} from "./gen/finlink/exports/v1/export_service_pb.js";
import type { LoginRequestSchema } from "./gen/finlink/identity/v1/login_pb.js";
import type { SessionData } from "./gen/finlink/identity/v1/session_pb.js";
import { ListUsersRequestSchema } from "./gen/finlink/users/v1/user_lists_pb.js";
import type { User } from "./gen/finlink/users/v1/user_pb.js";
import { Services } from "./gen/services.js";
import { pages } from "./paging.js";
import { milliseconds, RULES } from "./rules.js";
import { Memory, Session, type SessionCalls, type TokenStore } from "./session.js";
import { watch, whole } from "./streams.js";
import { FinlinkTransport } from "./transport.js";

const LOCAL = "localhost:50051";

/** How to reach Finlink, and what its calls have where their caller does not say. */
export interface ConnectOptions {
  /** Sent with every call. */
  readonly apiKey?: string;
  /** Of a user who has signed in: sent with every call, as it is. */
  readonly accessToken?: string;
  /** Signs a user in with the first call, and again if the session has ended. Access tokens are renewed in time. */
  readonly login?: MessageInitShape<typeof LoginRequestSchema>;
  /** Continues a session that has begun. A refresh token is used once: keep the newest. */
  readonly refreshToken?: string;
  /** Where the tokens are kept, instead of `refreshToken`, if several processes share them. */
  readonly tokenStore?: TokenStore;
  /** Gets each new session or pair of tokens. */
  readonly onSession?: (data: SessionData) => void;
  /** For TLS: `true`, or what to trust and to show. Without it the connection is not encrypted. */
  readonly tls?: true | SecureContextOptions;
  /** Of a call; 10 seconds. */
  readonly timeoutMs?: number;
  /** Of a call that waits for a platform, as connecting and refreshing do; 40 seconds. */
  readonly platformTimeoutMs?: number;
}

/**
 * A client of the Finlink at `address`, `HOST:PORT`; else `FINLINK_ADDRESS`, else `localhost:50051`.
 *
 * It connects with its first call, and again by itself whenever the connection is lost.
 */
export function connect(address?: string, options: ConnectOptions = {}): Finlink {
  const place = address || process.env.FINLINK_ADDRESS || LOCAL;
  const url = `${options.tls === undefined ? "http" : "https"}://${place}`;
  const secrets = options.tls === true ? {} : options.tls;
  // A connection that died silently is noticed, also while nothing is sent.
  const pings = {
    pingIntervalMs: milliseconds(RULES.pingInterval),
    pingTimeoutMs: milliseconds(RULES.pingTimeout),
    pingIdleConnection: true,
  };
  const sessions = new Http2SessionManager(url, pings, secrets);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // every call under way is one
  const transport = new FinlinkTransport(
    createGrpcTransport({ baseUrl: url, sessionManager: sessions }),
    {
      timeoutMs: options.timeoutMs ?? milliseconds(RULES.timeout),
      platformTimeoutMs: options.platformTimeoutMs ?? milliseconds(RULES.platformTimeout),
      apiKey: options.apiKey,
      accessToken: options.accessToken,
    },
    closing.signal,
  );
  const finlink = new Finlink(transport, closing, sessions);
  transport.session = sessionOf(finlink.auth, options);
  return finlink;
}

/** The session that a client was given, if any. */
function sessionOf(auth: Finlink["auth"], options: ConnectOptions): Session | undefined {
  const { login, refreshToken, tokenStore, accessToken } = options;
  if (login === undefined && refreshToken === undefined && tokenStore === undefined)
    return undefined;
  if (accessToken !== undefined)
    throw new TypeError("accessToken stands alone: a session brings its own");
  const granted = ({ data }: { data?: SessionData | undefined }): SessionData => {
    if (data === undefined) throw ended("The reply has no session");
    if (data.challenge !== undefined) throw unanswered();
    options.onSession?.(data);
    return data;
  };
  const calls: SessionCalls = {
    refresh: async (token, key) => {
      const headers = { "idempotency-key": key };
      return granted(await auth.refresh({ refreshToken: token }, { headers }));
    },
    login: login && (async () => granted(await auth.login(login))),
    nobody: () => ended("Nobody is signed in"),
  };
  return new Session(tokenStore ?? new Memory(refreshToken), calls, RULES.tokenLifeUsed);
}

/** There is nobody whom a client could ask for the code of an app. */
function unanswered(): FinlinkError {
  const message =
    "A second factor is needed: complete the login with VerifySecondFactor, and give the client its refresh token";
  return new FinlinkError({ code: "LOGIN_FAILED", message, grpcCode: Code.Unauthenticated });
}

function ended(message: string): FinlinkError {
  return new FinlinkError({ code: "SESSION_ENDED", message, grpcCode: Code.Unauthenticated });
}

/** Finlink's services over one connection. Made by `connect`. Its calls fail with a FinlinkError. */
export class Finlink extends Services {
  /** For services that have no client here, as gRPC's health service. */
  readonly transport: Transport;
  readonly #renews: (error: unknown) => boolean;
  readonly #closing: AbortController;
  readonly #sessions: Http2SessionManager;

  constructor(
    transport: FinlinkTransport,
    closing: AbortController,
    sessions: Http2SessionManager,
  ) {
    super(transport);
    this.transport = transport;
    this.#renews = (error) => transport.renews(error);
    this.#closing = closing;
    this.#sessions = sessions;
  }

  /** Closes the connection. Calls under way, and later ones, fail with CANCELLED. */
  close(): void {
    this.#closing.abort();
    this.#sessions.abort();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Every user that passes the filters of `request`, page by page. */
  async *iterateUsers(
    request: MessageInitShape<typeof ListUsersRequestSchema> = {},
    options?: CallOptions,
  ): AsyncGenerator<User, void, undefined> {
    const walk = copied(ListUsersRequestSchema, request);
    for await (const page of pages(this.users.listUsers, walk, options))
      yield* page.data?.users ?? [];
  }

  /** Every connector that passes the filters of `request`, page by page. */
  async *iterateConnectors(
    request: MessageInitShape<typeof ListConnectorsRequestSchema> = {},
    options?: CallOptions,
  ): AsyncGenerator<ConnectorSummary, void, undefined> {
    const walk = copied(ListConnectorsRequestSchema, request);
    const { listConnectors } = this.connectors;
    for await (const page of pages(listConnectors, walk, options))
      yield* page.data?.connectors ?? [];
  }

  /** Every record of the connector that `request` names, page by page. */
  async *iterateRecords(
    request: MessageInitShape<typeof ListRecordsRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<Record, void, undefined> {
    const { listRecords } = this.connectors;
    const walk = copied(ListRecordsRequestSchema, request);
    for await (const page of pages(listRecords, walk, options)) yield* page.data?.records ?? [];
  }

  /**
   * Every event of a watch, for as long as it is listened to; see WatchConnectors in the contract.
   *
   * If the stream breaks off, it is resumed after the last event, so none is missed and none comes twice; another `ready`
   * shows this. Keep `resumeToken` of the last event to continue after a restart. RESUME_TOKEN_EXPIRED means that this was
   * too long ago: list, then watch again.
   */
  watchConnectors(
    request: MessageInitShape<typeof WatchConnectorsRequestSchema> = {},
    options?: CallOptions,
  ): AsyncGenerator<WatchConnectorsResponse, void, undefined> {
    const first = create(WatchConnectorsRequestSchema, request);
    return watch(
      (token, given) => {
        const again = token === undefined ? first : { ...first, resumeToken: token };
        return this.connectors.watchConnectors(again, given);
      },
      this.#closing.signal,
      this.#renews,
      options,
    );
  }

  /**
   * Everything that Finlink keeps of a user, item by item; see ExportUser in the contract.
   *
   * It is complete once the item `completed` has come. If it breaks off, it fails and must be begun again.
   */
  exportUser(
    request: MessageInitShape<typeof ExportUserRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<ExportUserResponse, void, undefined> {
    return whole((given) => this.export.exportUser(request, given), this.#renews, options);
  }
}

/** A message of its own, whatever `init` is. */
function copied<D extends DescMessage>(schema: D, init: MessageInitShape<D>): MessageShape<D> {
  return clone(schema, create(schema, init));
}
