import { useEffect, useState } from "preact/hooks";
import { type Finding, findingsOf, RECENT_MINUTES } from "../model/findings";
import { count } from "../model/words";
import { summary, trends } from "../state/overview";

const QUIET_MS = 10_000;

export function Findings() {
  const counted = summary.state.value;
  const trended = trends.state.value;
  const read = counted.data !== undefined || trended.data !== undefined;
  const failed = counted.error !== undefined || trended.error !== undefined;
  const found = findingsOf(counted.data, trended.data);
  const verdict = !read
    ? failed
      ? "Not known"
      : "Looking …"
    : found.length > 0
      ? `${count(found.length, "thing")} to look at`
      : failed
        ? "Nothing found, but not everything is known"
        : "All is well";
  useEffect(() => {
    document.title = `${verdict} – Finlink console`; // to be seen while another tab is
  }, [verdict]);
  return (
    <section aria-labelledby="now" class={`now ${found.some((each) => each.grave) ? "grave" : ""}`}>
      <h1 id="now" tabIndex={-1}>
        {verdict}
      </h1>
      <Announced what={read ? verdict : ""} />
      {found.length > 0 ? (
        <ul class="findings">
          {found.map((each) => (
            <Found key={each.what} finding={each} />
          ))}
        </ul>
      ) : (
        read &&
        !failed && (
          <p>
            {count(counted.data?.summary.totalConnections ?? 0, "connection")}, none in error or expired; no
            run failed or began late in the last {RECENT_MINUTES} minutes.
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
