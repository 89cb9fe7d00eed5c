import { setMaxListeners } from "node:events";
import type { SecureContextOptions } from "node:tls";
import {
  clone,
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { CallOptions, Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
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
import { ListUsersRequestSchema } from "./gen/finlink/users/v1/user_lists_pb.js";
import type { User } from "./gen/finlink/users/v1/user_pb.js";
import { Services } from "./gen/services.js";
import { pages } from "./paging.js";
import { milliseconds, RULES } from "./rules.js";
import { listen, watch } from "./streams.js";
import { FinlinkTransport } from "./transport.js";

const LOCAL = "localhost:50051";

/** How to reach Finlink, and what its calls have where their caller does not say. */
export interface ConnectOptions {
  /** Sent with every call. */
  readonly apiKey?: string;
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
    },
    closing.signal,
  );
  return new Finlink(transport, closing, sessions);
}

/** Finlink's services over one connection. Made by `connect`. Its calls fail with a FinlinkError. */
export class Finlink extends Services {
  /** For services that have no client here, as gRPC's health service. */
  readonly transport: Transport;
  readonly #closing: AbortController;
  readonly #sessions: Http2SessionManager;

  constructor(transport: Transport, closing: AbortController, sessions: Http2SessionManager) {
    super(transport);
    this.transport = transport;
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
    return listen((given) => this.export.exportUser(request, given), options);
  }
}

/** A message of its own, whatever `init` is. */
function copied<D extends DescMessage>(schema: D, init: MessageInitShape<D>): MessageShape<D> {
  return clone(schema, create(schema, init));
}
