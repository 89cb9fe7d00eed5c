import { useEffect, useRef } from "preact/hooks";
import { keepKey } from "../api/key";
import { start } from "../state/live";

/** Asks for the API key; it is kept for this tab only. */
export function KeyForm({ why }: { why: string }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  function submit(event: Event) {
    event.preventDefault();
    const key = field.current?.value.trim();
    if (!key) return;
    keepKey(key);
    start();
  }
  return (
    <form class="key" onSubmit={submit}>
      <h1 tabIndex={-1}>API key</h1>
      <p id="why" role="status">
        {why} Reading needs the scope <code>read</code>, syncing <code>write</code>, the newest failures{" "}
        <code>admin</code>.
      </p>
      <label for="key">Key</label>
      <input
        ref={field}
        id="key"
        type="password"
        autocomplete="off"
        spellcheck={false}
        aria-describedby="why kept"
        required
      />
      <p id="kept" class="quiet">
        It stays in this tab and is forgotten when the tab is closed.{" "}
        <code>python -m server keys create NAME --scope admin</code> makes one.
      </p>
      <button type="submit" class="main">
        Go on
      </button>
    </form>
  );
}
