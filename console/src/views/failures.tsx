import { useState } from "preact/hooks";
import { causeOf } from "../model/causes";
import { isPartial, repeated } from "../model/failures";
import { hrefOf } from "../model/route";
import { failures, trail } from "../state/overview";
import { ConnectorLink, Missing, Problem, platformName, RunMark, Section, Table, Time } from "./parts";

const AT_FIRST = 6;

/** The newest failures with their cause, also of a part of a run: those of the audit trail, and live ones. */
export function Failures() {
  const [all, setAll] = useState(false);
  const { error, data } = trail.state.value;
  const known = repeated(failures.value);
  const shown = all ? known : known.slice(0, AT_FIRST);
  return (
    <Section title="Newest failures" id="failures">
      {error?.code === "PERMISSION_DENIED" ? (
        <p class="notice">
          Failures from before this page was opened are in the audit trail, which needs a key of the scope{" "}
          <code>admin</code>; yours has not. New ones appear below as they happen.
        </p>
      ) : (
        error && <Problem error={error} what="the audit trail" retry={() => void trail.refresh()} />
      )}
      {known.length > 0 ? (
        <Table label="Newest failures" head={["Last", "Times", "Cause", "Platform", "User", "Connector"]}>
          {shown.map((failure) => {
            const cause = causeOf(failure.code);
            return (
              <tr key={`${failure.connectorId}${failure.code}${isPartial(failure)}`}>
                <td>
                  <Time at={failure.at} />
                </td>
                <td data-label="Times">{failure.times}</td>
                <td class="cause">
                  {failure.missing && (
                    <>
                      <RunMark state="partial" /> <Missing dataTypes={failure.missing} />{" "}
                    </>
                  )}
                  <code>{failure.code}</code> {failure.message ?? cause.means}
                  <span class="todo">{cause.todo}</span>
                </td>
                <td>{platformName(failure.platform)}</td>
                <td>
                  <a class="id" href={hrefOf({ view: "user", id: failure.userId })}>
                    {failure.userId}
                  </a>
                </td>
                <td>
                  <ConnectorLink id={failure.connectorId} />
                </td>
              </tr>
            );
          })}
        </Table>
      ) : (
        data && <p>No failed or partial sync and no expired session in the audit trail.</p>
      )}
      {known.length === 0 && !data && !error && <p class="loading">Reading the audit trail …</p>}
      {known.length > AT_FIRST && (
        <button type="button" onClick={() => setAll(!all)} aria-expanded={all}>
          {all ? `Show the newest ${AT_FIRST}` : `Show all ${known.length}`}
        </button>
      )}
    </Section>
  );
}
