/**
 * For pages: a user's session over REST, which all tabs of a browser share. One tab at a time renews the tokens, under a
 * Web Lock. Scripts of the page can read them: a page that Finlink's own origin serves rather asks for a cookie.
 */
import { Session, type SessionCalls, type TokenStore, type Tokens } from "./session.js";

/** `token_life_used` in client.proto. */
export const LIFE_USED = 0.8;

export interface BrowserSessionOptions {
  /** Finlink's origin; the page's own. */
  readonly url?: string;
  /** Of the entry in the storage, and of the lock. */
  readonly name?: string;
  /** `localStorage`, so that tabs share the session; `sessionStorage` keeps it in the tab. */
  readonly storage?: Storage;
}

/** What names the user and proves who it is: the fields of Login. */
export interface LoginFields {
  readonly email?: string;
  readonly username?: string;
  readonly phoneNumber?: string;
  readonly password: string;
  readonly deviceToken?: string;
  readonly deviceName?: string;
}

/** The data of a session that has begun. */
export interface SessionData {
  readonly token: string;
  readonly refreshToken: string;
  readonly expiresIn: number;
  readonly sessionId: string;
  readonly user?: { readonly userId: string; readonly role: string };
}

/** The first factor was right, and another is needed: `BrowserSession.verify` takes it. */
export interface Challenge {
  readonly challengeId: string;
  readonly methods: readonly string[];
}

/** A reply other than 2xx of the session's own calls; `code` is a word of ErrorReason. */
export class RestError extends Error {
  override readonly name = "RestError";

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Made by a page; pages of the same browser with the same `name` share the session. */
export class BrowserSession {
  readonly #url: string;
  readonly #store: Stored;
  readonly #session: Session;

  constructor({ url = "", name = "finlink-session", storage }: BrowserSessionOptions = {}) {
    this.#url = url;
    this.#store = new Stored(name, storage ?? localStorage);
    const calls: SessionCalls = {
      refresh: (refreshToken, key) =>
        this.#post("/api/v1/auth/refresh", { refreshToken }, { "idempotency-key": key }),
      nobody: () => new RestError("SESSION_ENDED", "Nobody is signed in"),
    };
    this.#session = new Session(this.#store, calls, LIFE_USED);
  }

  /** Whether somebody has signed in. The session may have ended meanwhile. */
  get isSignedIn(): boolean {
    return this.#store.load() !== undefined;
  }

  /** Signs a user in, or gives the challenge of one who has a second factor. Fails with a RestError. */
  async login(fields: LoginFields): Promise<SessionData | Challenge> {
    const data = await this.#post("/api/v1/auth/login", fields);
    return "challenge" in data ? (data.challenge as Challenge) : this.#begin(data);
  }

  /** Completes such a login with a code of the app, or a recovery code. Fails with a RestError. */
  async verify(
    challengeId: string,
    solution: { readonly totp: string } | { readonly recoveryCode: string },
  ): Promise<SessionData> {
    return this.#begin(
      await this.#post("/api/v1/auth/second-factor", { challengeId, ...solution }),
    );
  }

  /** Ends the session, here and at Finlink. Fails with a RestError if Finlink cannot be reached. */
  async logout(): Promise<void> {
    await this.#store.lock(async () => {
      const refreshToken = this.#store.load()?.refreshToken;
      if (refreshToken !== undefined) await this.#post("/api/v1/auth/logout", { refreshToken });
      this.#store.save(undefined);
    });
  }

  /** As the browser's `fetch`, with the user's token, and once more if that has expired. `body` must be repeatable. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const token = await this.#session.token();
    const reply = await this.#send(path, init, token);
    if (reply.status !== 401) return reply;
    const { code } = await errorOf(reply.clone());
    if (!this.#session.helps(code)) return reply;
    this.#session.expire(token);
    return this.#send(path, init, await this.#session.token());
  }

  async #begin(data: SessionData): Promise<SessionData> {
    await this.#store.lock(async () => this.#session.take(data));
    return data;
  }

  #send(path: string, init: RequestInit, token: string): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${token}`);
    return fetch(`${this.#url}${path}`, { ...init, headers });
  }

  async #post(path: string, body: object, more: Record<string, string> = {}): Promise<SessionData> {
    const reply = await fetch(`${this.#url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...more },
      body: JSON.stringify(body),
    }).catch(() => {
      throw new RestError("UNREACHABLE", "Finlink cannot be reached");
    });
    if (!reply.ok) throw await errorOf(reply);
    return ((await reply.json()) as { data: SessionData }).data;
  }
}

/** The tokens in a storage that tabs share. */
class Stored implements TokenStore {
  readonly #name: string;
  readonly #storage: Storage;

  constructor(name: string, storage: Storage) {
    this.#name = name;
    this.#storage = storage;
  }

  async lock<T>(renew: () => Promise<T>): Promise<T> {
    return await navigator.locks.request(this.#name, renew);
  }

  load(): Tokens | undefined {
    const content = this.#storage.getItem(this.#name);
    return content === null ? undefined : (JSON.parse(content) as Tokens);
  }

  save(tokens: Tokens | undefined): void {
    if (tokens === undefined) this.#storage.removeItem(this.#name);
    else this.#storage.setItem(this.#name, JSON.stringify(tokens));
  }
}

async function errorOf(reply: Response): Promise<RestError> {
  const body = (await reply.json().catch(() => null)) as {
    error?: { code: string; message: string };
  } | null;
  const { code, message } = body?.error ?? {
    code: `HTTP_${reply.status}`,
    message: "There is no explanation",
  };
  return new RestError(code, message);
}
