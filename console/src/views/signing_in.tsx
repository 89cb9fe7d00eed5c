import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, adviceOn } from "../api/errors";
import { forgetKey, keepKey, signInAsked } from "../api/key";
import { type Person, signIn, verify } from "../api/person";
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

/** Why somebody who has signed in has no use of the console; "" if it goes on as that person. */
function entered({ userId, role }: Person): string {
  if (role === "user") return `${userId} has the role user. The console is for moderators and admins.`;
  forgetKey();
  signInAsked.value = null;
  start();
  return "";
}

/** The session is a cookie: neither it nor the password is kept in the page. */
function PersonForm() {
  const [challengeId, setChallengeId] = useState<string | null>(null);
  if (challengeId === null) return <PasswordForm onChallenge={setChallengeId} />;
  return <CodeForm challengeId={challengeId} onRefused={() => setChallengeId(null)} />;
}

/** Asks for the second factor of a person who has one. */
function CodeForm({ challengeId, onRefused }: { challengeId: string; onRefused: () => void }) {
  const code = useRef<HTMLInputElement>(null);
  const [refused, setRefused] = useState("");
  useEffect(() => code.current?.focus(), []);
  async function submit(event: Event) {
    event.preventDefault();
    const typed = code.current?.value.trim();
    if (!typed) return;
    try {
      const signedIn = await verify(challengeId, typed);
      if ("person" in signedIn) setRefused(entered(signedIn.person));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setRefused(whyNot(error));
      if (code.current) code.current.value = "";
    }
  }
  return (
    <form class="key" onSubmit={(event) => void submit(event)}>
      <label for="code">Code of your authenticator app, or a recovery code</label>
      <input
        ref={code}
        id="code"
        autocomplete="one-time-code"
        spellcheck={false}
        aria-describedby="refused"
        required
      />
      <p id="refused" role="alert">
        <Prose text={refused} />
      </p>
      <button type="submit" class="main">
        Continue
      </button>
      <button type="button" onClick={onRefused}>
        Begin again
      </button>
    </form>
  );
}

function PasswordForm({ onChallenge }: { onChallenge: (challengeId: string) => void }) {
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
      const result = await signIn(name.current.value.trim(), password.current.value);
      if ("person" in result) setRefused(entered(result.person));
      else onChallenge(result.challengeId);
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
