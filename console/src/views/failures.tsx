import { isPerson } from "../api/person";
import { causeOf } from "../model/causes";
import { byCause, type Cause, isPartial, type Repeated, repeated } from "../model/failures";
import { hrefOf } from "../model/route";
import { count } from "../model/words";
import { failures, trail } from "../state/overview";
import { ConnectorLink, Missing, Problem, platformName, RunMark, Section, Table, Time } from "./parts";

/** More of a cause are in the list of connectors. */
const ROWS = 50;

/** The newest failures by cause, also of a part of a run: those of the audit trail, and live ones. */
export function Failures() {
  const { error, data } = trail.state.value;
  const causes = byCause(repeated(failures.value));
  return (
    <Section title="Newest failures" id="failures">
      {error?.code === "PERMISSION_DENIED" ? (
        <p class="notice">
          Failures from before this page was opened are in the audit trail, which{" "}
          {isPerson.value ? (
            "only an admin may read"
          ) : (
            <>
              needs a key of the scope <code>admin</code>; yours has not
            </>
          )}
          . New ones appear below as they happen.
        </p>
      ) : (
        error && <Problem error={error} what="the audit trail" retry={() => void trail.refresh()} brief />
      )}
      {causes.length > 0 ? (
        <ul class="causes">
          {causes.map((cause) => (
            <OfCause key={`${cause.platform} ${cause.code}`} cause={cause} />
          ))}
        </ul>
      ) : (
        data && <p>No failed or partial sync and no expired session in the audit trail.</p>
      )}
      {causes.length === 0 && !data && !error && <p class="loading">Reading the audit trail …</p>}
    </Section>
  );
}

/** One row however many connectors it is, with what to do about it once. */
function OfCause({ cause }: { cause: Cause }) {
  const { means, todo } = causeOf(cause.code);
  const [only] = cause.rows;
  const alone = cause.rows.length === 1 && only !== undefined;
  return (
    <li>
      <p class="line">
        <strong>{platformName(cause.platform)}</strong> <code>{cause.code}</code>{" "}
        <span>
          {alone ? <ConnectorLink id={only.connectorId} of={only} /> : count(cause.connectors, "connector")},{" "}
          {count(cause.times, "failure")}
        </span>{" "}
        <Time at={cause.at} />
      </p>
      <p>
        {alone && (
          <>
            <Partial of={only} />:{" "}
          </>
        )}
        {cause.message ?? means} <span class="todo">{todo}</span>
      </p>
      {!alone && (
        <details>
          <summary>
            {cause.rows.length > ROWS
              ? `Show the newest ${ROWS}`
              : `Show the ${count(cause.connectors, "connector")}`}
          </summary>
          <Table
            label={`${platformName(cause.platform)}, ${cause.code}`}
            head={["Connector", "Last", "Failures", "What"]}
          >
            {cause.rows.slice(0, ROWS).map((row) => (
              <tr key={`${row.connectorId}${isPartial(row)}`}>
                <td>
                  <ConnectorLink id={row.connectorId} of={row} />
                </td>
                <td>
                  <Time at={row.at} />
                </td>
                <td data-label="Failures">{row.times}</td>
                <td class="cause">
                  <Partial of={row} /> {cause.message === undefined && row.message}
                </td>
              </tr>
            ))}
          </Table>
          <p>
            <a href={hrefOf({ view: "connectors", platform: cause.platform, failing: true })}>
              All connectors of {platformName(cause.platform)} that fail now
            </a>
          </p>
        </details>
      )}
    </li>
  );
}

function Partial({ of }: { of: Repeated }) {
  return of.missing ? (
    <>
      <RunMark state="partial" /> <Missing dataTypes={of.missing} />
    </>
  ) : (
    <RunMark state="failed" />
  );
}
