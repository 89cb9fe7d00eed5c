/** A scripted gRPC server. */
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { create, type DescMessage, type DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { WatchConnectorsRequest } from "../src/gen/finlink/connectors/v1/watch_pb.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../src/gen/google/rpc/error_details_pb.js";
import { SERVICES } from "../src/gen/services.js";

export const METHODS: DescMethod[] = SERVICES.flatMap((service) => service.methods);

/** What a call gets: nothing while it "hang"s, an error, or the message an object makes. */
type Reply = ConnectError | "hang" | object;

interface Received {
  readonly method: string;
  readonly header: Headers;
  readonly message: unknown;
}

/** Calls get `replies`, in order, and an empty message after them; streams get `streams`, a list a call. */
export class Script {
  readonly replies: Reply[] = [];
  readonly streams: Reply[][] = [];
  readonly received: Received[] = [];
  /** Settles when a call hangs. */
  readonly hanging: Promise<void>;
  readonly #server: Http2Server;
  readonly #sockets = new Set<Socket>();
  #hangs = () => {};

  private constructor() {
    this.hanging = new Promise((resolve) => {
      this.#hangs = resolve;
    });
    const adapter = connectNodeAdapter({
      routes: (router) => {
        for (const service of SERVICES)
          for (const method of service.methods)
            if (method.methodKind === "unary")
              router.rpc(method, ((message: unknown, context: HandlerContext) => {
                this.#receive(method.name, message, context);
                return this.#give(method.output, this.replies.shift() ?? {}, context);
              }) as never);
            else if (method.methodKind === "server_streaming")
              router.rpc(method, ((message: unknown, context: HandlerContext) =>
                this.#stream(method, message, context)) as never);
      },
    });
    this.#server = createServer(adapter);
    this.#server.on("connection", (socket: Socket) => this.#sockets.add(socket));
  }

  static async serving(): Promise<Script> {
    const script = new Script();
    await new Promise<void>((resolve) => script.#server.listen(0, "127.0.0.1", resolve));
    return script;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The resume tokens that watches asked for. */
  get tokens(): (string | undefined)[] {
    return this.received.map((call) => (call.message as WatchConnectorsRequest).resumeToken);
  }

  /** Breaks all connections and takes no more. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** An error with everything that one can carry. */
  static failure(reason: string, code: Code, domain = "finlink"): ConnectError {
    const metadata = { loginUrl: "https://login.example" };
    const violation = { field: "preferences.currency", description: "is odd" };
    return new ConnectError("Told", code, undefined, [
      { desc: ErrorInfoSchema, value: { reason, domain, metadata } },
      { desc: BadRequestSchema, value: { fieldViolations: [violation] } },
      { desc: RetryInfoSchema, value: { retryDelay: { seconds: 7n, nanos: 500_000_000 } } },
    ]);
  }

  #receive(method: string, message: unknown, context: HandlerContext): void {
    this.received.push({ method, header: context.requestHeader, message });
  }

  async *#stream(method: DescMethod, message: unknown, context: HandlerContext) {
    this.#receive(method.name, message, context);
    for (const reply of this.streams.shift() ?? [{}])
      yield await this.#give(method.output, reply, context);
  }

  async #give<D extends DescMessage>(output: D, reply: Reply, context: HandlerContext) {
    if (reply === "hang") {
      this.#hangs();
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      throw new ConnectError("gone", Code.Canceled);
    }
    if (reply instanceof ConnectError) throw reply;
    return create(output, reply as never);
  }
}
