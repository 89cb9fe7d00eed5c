import { useRef, useState } from "preact/hooks";
import { ApiError } from "../api/errors";
import { apiKey, forgetKey, signInAsked } from "../api/key";
import { person, signOut } from "../api/person";
import { hrefOf, type Route, routeTo } from "../model/route";
import { local, utc } from "../model/time";
import { about } from "../state/about";
import { liveness } from "../state/live";
import { chooseTheme, THEMES, theme } from "../state/theme";

export function Header({ route }: { route: Route }) {
  return (
    <header>
      <a class="name" href="#/">
        Finlink
      </a>
      <Environment />
      <nav aria-label="Views">
        <a href="#/" aria-current={route.view === "overview" ? "page" : undefined}>
          Overview
        </a>
        <a href="#/connectors" aria-current={route.view === "connectors" ? "page" : undefined}>
          Connectors
        </a>
      </nav>
      <Find />
      {signInAsked.value === null && <Live />}
      <label class="theme">
        <span class="hidden">Theme</span>
        <select value={theme.value} onChange={(event) => chooseTheme(event.currentTarget.value)}>
          {THEMES.map((each) => (
            <option key={each} value={each}>
              {each === "system" ? "System" : each === "light" ? "Light" : "Dark"}
            </option>
          ))}
        </select>
      </label>
      <Caller />
    </header>
  );
}

/** Which Finlink this is, so that nobody takes one for another. */
function Environment() {
  const known = about.value;
  if (known === null) return null;
  return (
    <span class={`environment ${known.environment}`} title={`Finlink ${known.version} at ${location.host}`}>
      {known.environment} <span class="quiet">{known.version}</span>
    </span>
  );
}

/** Who calls: an operator with a key, a person, or nobody. */
function Caller() {
  const [refused, setRefused] = useState("");
  if (apiKey.value !== null)
    return (
      <button type="button" onClick={forget}>
        Forget key
      </button>
    );
  const who = person.value;
  if (who === null)
    return signInAsked.value === null ? (
      <button type="button" onClick={() => (signInAsked.value = "")}>
        Sign in
      </button>
    ) : null;
  async function leave() {
    try {
      await signOut();
      location.reload();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setRefused(`You are still signed in: ${error.message}.`);
    }
  }
  return (
    <div class="person">
      <span title={`Signed in as ${who.userId}, whose role is ${who.role}`}>
        <span class="id">{who.userId}</span> <span class="quiet">{who.role}</span>
      </span>
      <button type="button" onClick={() => void leave()}>
        Sign out
      </button>
      <span role="alert">{refused}</span>
    </div>
  );
}

/** With the key goes all that was read with it. */
function forget() {
  forgetKey();
  location.reload();
}

/** Says in words whether the page is live. */
function Live() {
  const state = liveness.value;
  const words = state.kind === "live" ? "Live" : state.kind === "connecting" ? "Connecting …" : null;
  return (
    <p class={`live ${state.kind}`} role="status">
      <span aria-hidden="true">{state.kind === "live" ? "●" : "○"}</span>{" "}
      {words ?? (state.kind === "broken" && <Broken since={state.since} why={state.error.message} />)}
    </p>
  );
}

function Broken({ since, why }: { since: Date; why: string }) {
  return (
    <span title={`${why}; last heard ${utc(since)}`}>
      Reconnecting; stale since <time dateTime={since.toISOString()}>{local(since)}</time>
    </span>
  );
}

function Find() {
  const field = useRef<HTMLInputElement>(null);
  function submit(event: Event) {
    event.preventDefault();
    location.hash = hrefOf(routeTo(field.current?.value ?? ""));
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: <search> is too new for the browsers that are supported
    <form role="search" onSubmit={submit}>
      <label for="find" class="hidden">
        Part of a name or id
      </label>
      <input
        ref={field}
        id="find"
        type="search"
        placeholder="Name or id"
        autocomplete="off"
        spellcheck={false}
      />
    </form>
  );
}
