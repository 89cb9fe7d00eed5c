/** The session of a user who has signed in. Runs in Node.js and in browsers, so it imports nothing. */

/** The tokens of a session. Times are milliseconds since 1970. */
export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Of the call that uses the refresh token: if its reply is lost, the same call brings the same successor. */
  readonly refreshKey: string;
  /** When the next tokens are to be fetched. */
  readonly due: number;
  readonly expires: number;
}

/** Where the tokens of a session are kept, possibly for several tabs or processes. */
export interface TokenStore {
  /** Runs `renew` while no other tab or process does. */
  lock<T>(renew: () => Promise<T>): Promise<T>;
  /** The newest tokens; `undefined` if nobody is signed in. */
  load(): Tokens | undefined;
  save(tokens: Tokens | undefined): void;
}

/** What a session needs of a reply to Login or Refresh. */
export interface Granted {
  readonly token?: string | undefined;
  readonly refreshToken?: string | undefined;
  readonly expiresIn?: number | undefined;
}

/** The calls that a session makes. They fail with errors that have a `code`. */
export interface SessionCalls {
  refresh(refreshToken: string, key: string): Promise<Granted>;
  /** Begins the session, and begins it again if it has ended. */
  readonly login?: (() => Promise<Granted>) | undefined;
  /** The error of a call that needs a user while nobody is signed in. */
  nobody(): Error;
}

const PAUSE_MS = 10_000;
const PASSING = ["UNAVAILABLE", "UNREACHABLE", "DEADLINE_EXCEEDED", "RATE_LIMITED"];

export class Session {
  readonly #store: TokenStore;
  readonly #calls: SessionCalls;
  readonly #lifeUsed: number;
  #renewal: Promise<string> | undefined;
  #refused: unknown;

  /** `lifeUsed`: the part of a token's life after which the next one is fetched. */
  constructor(store: TokenStore, calls: SessionCalls, lifeUsed: number) {
    this.#store = store;
    this.#calls = calls;
    this.#lifeUsed = lifeUsed;
  }

  /** The access token as it is. */
  get present(): string | undefined {
    return this.#store.load()?.accessToken || undefined;
  }

  /** An access token that lives, renewed once for all who wait. */
  async token(): Promise<string> {
    const usable = this.#usable();
    if (usable !== undefined) return usable;
    this.#renewal ??= this.#store
      .lock(() => this.#renewed())
      .finally(() => {
        this.#renewal = undefined;
      });
    return this.#renewal;
  }

  /** Whether a call that failed with this code may succeed with the next token. */
  helps(code: string | undefined): boolean {
    const ended = code === "SESSION_ENDED" && this.#calls.login !== undefined;
    return ended || code === "TOKEN_EXPIRED";
  }

  /** Has the next call renew the token, unless another has come. */
  expire(token: string): void {
    const tokens = this.#store.load();
    if (tokens?.accessToken === token) this.#store.save({ ...tokens, due: 0, expires: 0 });
  }

  /** Keeps the tokens of a reply; gives the access token. */
  take(granted: Granted): string {
    const now = Date.now();
    const life = (granted.expiresIn ?? 0) * 1000;
    const accessToken = granted.token ?? "";
    this.#store.save({
      accessToken,
      refreshToken: granted.refreshToken ?? "",
      refreshKey: crypto.randomUUID(),
      due: now + life * this.#lifeUsed,
      expires: now + life,
    });
    return accessToken;
  }

  #usable(): string | undefined {
    const tokens = this.#store.load();
    return tokens && Date.now() < tokens.due ? tokens.accessToken : undefined;
  }

  async #renewed(): Promise<string> {
    const usable = this.#usable(); // another tab may have been quicker
    if (usable !== undefined) return usable;
    const tokens = this.#store.load();
    if (tokens === undefined) return this.#begun();
    try {
      return this.take(await this.#calls.refresh(tokens.refreshToken, tokens.refreshKey));
    } catch (error) {
      const code = codeOf(error);
      if (PASSING.includes(code) && Date.now() < tokens.expires) {
        this.#store.save({ ...tokens, due: Date.now() + PAUSE_MS });
        return tokens.accessToken;
      }
      if (!["SESSION_ENDED", "UNAUTHENTICATED"].includes(code)) throw error;
      this.#store.save(undefined);
      if (this.#calls.login === undefined) throw error;
      return this.#begun();
    }
  }

  /** A login that was refused is not tried again: more failures would lock the name. */
  async #begun(): Promise<string> {
    if (this.#calls.login === undefined) throw this.#calls.nobody();
    if (this.#refused !== undefined) throw this.#refused;
    try {
      return this.take(await this.#calls.login());
    } catch (error) {
      if (codeOf(error) === "LOGIN_FAILED") this.#refused = error;
      throw error;
    }
  }
}

/** Keeps the tokens of this process alone. */
export class Memory implements TokenStore {
  #tokens: Tokens | undefined;

  constructor(refreshToken: string | undefined) {
    if (refreshToken !== undefined)
      this.#tokens = {
        accessToken: "",
        refreshToken,
        refreshKey: crypto.randomUUID(),
        due: 0,
        expires: 0,
      };
  }

  lock<T>(renew: () => Promise<T>): Promise<T> {
    return renew();
  }

  load(): Tokens | undefined {
    return this.#tokens;
  }

  save(tokens: Tokens | undefined): void {
    this.#tokens = tokens;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
