/** Finlink's TypeScript client: `connect`, and the FinlinkError that its calls fail with. */
export { type ConnectOptions, connect, type Finlink } from "./client.js";
export { type ErrorCode, type FieldError, FinlinkError } from "./errors.js";
export * from "./gen/words.js";
export type { TokenStore, Tokens } from "./session.js";
