import { useEffect, useState } from "preact/hooks";
import { adviceOn } from "../api/errors";
import { type Finding, findingsOf, RECENT_MINUTES } from "../model/findings";
import { count } from "../model/words";
import { failures, recent, summary } from "../state/overview";
import { Prose, Time } from "./parts";

const QUIET_MS = 10_000;

export function Findings() {
  const counted = summary.state.value;
  const trended = recent.state.value;
  const error = counted.error ?? trended.error;
  const read = counted.data !== undefined && trended.data !== undefined;
  const found = findingsOf(counted.data, trended.data, failures.value);
  const things = `${count(found.length, "thing")} to look at`;
  const verdict = error ? "Not known" : !read ? "Looking …" : found.length > 0 ? things : "All is well";
  useEffect(() => {
    document.title = `${verdict} – Finlink console`; // to be seen while another tab is
  }, [verdict]);
  const grave = !error && found.some((each) => each.grave);
  const since = [counted.at, trended.at].filter((at) => at !== undefined).sort((a, b) => +a - +b)[0];
  return (
    <section aria-labelledby="now" class={`now ${grave ? "grave" : ""}`}>
      <h1 id="now" tabIndex={-1}>
        {verdict}
      </h1>
      <Announced what={read || error ? verdict : ""} />
      {error ? (
        <>
          <p>
            {error.message}, so nobody can say how connectors are now. <Prose text={adviceOn(error)} /> This
            page tries again by itself.
          </p>
          {since && (
            <p class="quiet">
              Last known, at <Time at={since.toISOString()} />:{" "}
              {found.length > 0 ? found.map((each) => each.what).join("; ") : "all was well"}.
            </p>
          )}
        </>
      ) : found.length > 0 ? (
        <ul class="findings">
          {found.map((each) => (
            <Found key={each.what} finding={each} />
          ))}
        </ul>
      ) : (
        read && (
          <p>
            {count(counted.data?.summary.totalConnections ?? 0, "connection")}, none failing or expired; no
            run failed or keeps beginning late in the last {RECENT_MINUTES} minutes.
          </p>
        )
      )}
    </section>
  );
}

function Found({ finding }: { finding: Finding }) {
  return (
    <li class={finding.grave ? "grave" : "mild"}>
      <p>
        <span class="sign" aria-hidden="true">
          {finding.grave ? "▲" : "◆"}
        </span>
        <strong>{finding.what}</strong> {finding.href && <a href={finding.href}>Show them</a>}
      </p>
      <p>
        {finding.why} <span class="todo">{finding.todo}</span>
      </p>
    </li>
  );
}

/** Announced to screen readers when it has changed, at most every ten seconds. */
function Announced({ what }: { what: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setSaid(what), said === "" ? 0 : QUIET_MS);
    return () => clearTimeout(timer);
  }, [what, said]);
  return (
    <p class="hidden" role="status">
      {said}
    </p>
  );
}
