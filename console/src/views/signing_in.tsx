import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, adviceOn } from "../api/errors";
import { forgetKey, keepKey, signInAsked } from "../api/key";
import { signIn } from "../api/person";
import { duration } from "../model/time";
import { start } from "../state/live";
import { Prose } from "./parts";

/** Asks who is there: a person with an account, or an operator with a key. */
export function SigningIn({ why }: { why: string }) {
  return (
    <div class="signing-in">
      <h1 tabIndex={-1}>Sign in</h1>
      <p id="why" role="status">
        {why}
      </p>
      <PersonForm />
      <KeyForm />
      {why === "" && (
        <button type="button" onClick={() => (signInAsked.value = null)}>
          Go on without
        </button>
      )}
    </div>
  );
}

/** The session is a cookie: neither it nor the password is kept in the page. */
function PersonForm() {
  const name = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const [asked, setAsked] = useState(false);
  const [refused, setRefused] = useState("");
  useEffect(() => name.current?.focus(), []);
  async function submit(event: Event) {
    event.preventDefault();
    if (asked || !name.current?.value || !password.current?.value) return;
    setAsked(true);
    setRefused("");
    try {
      const { userId, role } = await signIn(name.current.value.trim(), password.current.value);
      if (role === "user") {
        setRefused(`${userId} has the role user. The console is for moderators and admins.`);
      } else {
        forgetKey();
        signInAsked.value = null;
        start();
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setRefused(whyNot(error));
    } finally {
      setAsked(false);
      if (password.current) password.current.value = "";
    }
  }
  return (
    <form class="key" onSubmit={(event) => void submit(event)}>
      <label for="name">Email, username or phone number</label>
      <input
        ref={name}
        id="name"
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        aria-describedby="why refused"
        required
      />
      <label for="password">Password</label>
      <input ref={password} id="password" type="password" autocomplete="current-password" required />
      <p id="refused" role="alert">
        <Prose text={refused} />
      </p>
      <button type="submit" class="main" aria-disabled={asked}>
        Sign in
      </button>
    </form>
  );
}

function whyNot(error: ApiError): string {
  const wait = error.retryAfterSeconds;
  if (wait !== null) return `${error.message}. Try again in ${duration(wait)}.`;
  return `${error.message}. ${adviceOn(error)}`;
}

/** The key is kept for this tab only. */
function KeyForm() {
  const field = useRef<HTMLInputElement>(null);
  function submit(event: Event) {
    event.preventDefault();
    const key = field.current?.value.trim();
    if (!key) return;
    keepKey(key);
    start();
  }
  return (
    <form class="key" onSubmit={submit} aria-labelledby="with-key">
      <h2 id="with-key">Or use an API key</h2>
      <p>
        Reading needs the scope <code>read</code>, syncing <code>write</code>, the newest failures{" "}
        <code>admin</code>.
      </p>
      <label for="key">Key</label>
      <input
        ref={field}
        id="key"
        type="password"
        autocomplete="off"
        spellcheck={false}
        aria-describedby="kept"
        required
      />
      <p id="kept" class="quiet">
        It stays in this tab and is forgotten when the tab is closed.{" "}
        <code>python -m server keys create NAME --scope admin</code> makes one.
      </p>
      <button type="submit">Use the key</button>
    </form>
  );
}
