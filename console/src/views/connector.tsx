/** One connector: how it is, what went wrong, its runs, and a button to sync it. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError } from "../api/errors";
import { mayChange, person } from "../api/person";
import type { Connector, RunState, SyncRun } from "../api/types";
import { causeOf } from "../model/causes";
import { totals } from "../model/lists";
import { hrefOf } from "../model/route";
import { duration } from "../model/time";
import { conditionOf, count, nameOf } from "../model/words";
import { ConnectorStory } from "../state/connectors";
import { now, runs } from "../state/live";
import { Audit } from "./audit";
import { Confirmed } from "./confirm";
import {
  ConditionMark,
  Fact,
  LastRun,
  Missing,
  Problem,
  RunMark,
  Section,
  Shown,
  StatusMark,
  Table,
  Time,
  useTitle,
} from "./parts";
import { Records } from "./records";

export function ConnectorView({ id }: { id: string }) {
  const story = useMemo(() => new ConnectorStory(id), []);
  useEffect(() => story.keep(), []);
  const run = runs.value.get(id);
  const known = story.connector.state.value.data;
  useTitle(known && nameOf(known));
  return (
    <>
      <h1 tabIndex={-1}>{known ? nameOf(known) : "Connector"}</h1>
      <p class="quiet">
        Connector <span class="id">{id}</span>
      </p>
      <Shown of={story.connector.state.value} what="the connector" retry={() => story.refresh()}>
        {(connector) => (
          <>
            <Facts connector={connector} story={story} />
            <Actions story={story} run={run} connector={connector} />
            <Errors connector={connector} />
            <History connector={connector} run={run} />
            <Records story={story} types={connector.metadata.permissions} />
            <Audit of={{ connectorId: id }} />
          </>
        )}
      </Shown>
    </>
  );
}

function Facts({ connector, story }: { connector: Connector; story: ConnectorStory }) {
  const { connectionDetails: details, metadata } = connector;
  const sums = story.totals.state.value.data;
  return (
    <>
      <p class="headline">
        <ConditionMark of={connector} />: {conditionOf(connector).means}
      </p>
      <p>
        Last run: <LastRun of={connector.lastRun} />
      </p>
      <dl class="facts">
        <Fact name="User">
          <a href={hrefOf({ view: "user", id: connector.userId })}>{connector.userId}</a>
        </Fact>
        <Fact name="Connection">
          <StatusMark status={connector.connectionStatus} />
        </Fact>
        <Fact name="Last data">
          <Time at={details.lastSyncAt} />
        </Fact>
        <Fact name="Next sync">
          {sums?.nextSyncAt ? (
            <Time at={sums.nextSyncAt} />
          ) : sums ? (
            <span class="quiet">does not sync by itself</span>
          ) : (
            "…"
          )}
        </Fact>
        <Fact name="Interval">{count(details.syncInterval, "minute")}</Fact>
        <Fact name="Runs">
          {sums
            ? sums.totalSyncs === 0
              ? "none yet"
              : `${sums.totalSyncs}, of which ${sums.failedSyncs} failed; ${sums.successRate} % succeeded`
            : "…"}
        </Fact>
        <Fact name="Session began">
          <Time at={details.connectedAt} />
        </Fact>
        <Fact name="Session ends">
          {details.expiresAt ? <Time at={details.expiresAt} /> : <span class="quiet">not known</span>}
          {details.expiresSoon && <strong> soon</strong>}
        </Fact>
        <Fact name="Fetches">{metadata.dataTypes.join(", ")}</Fact>
      </dl>
    </>
  );
}

function Actions(props: { story: ConnectorStory; run: SyncRun | undefined; connector: Connector }) {
  const { story, run, connector } = props;
  const live = connector.connectionStatus === "connected" || connector.connectionStatus === "error";
  const { totals } = story;
  const underWay = run?.syncId ?? totals.state.value.data?.currentSyncId;
  const name = nameOf(connector);
  if (!mayChange.value)
    return (
      <p class="quiet">
        Syncing, cancelling a run and disconnecting are for admins; your role is {person.value?.role}.
      </p>
    );
  return (
    <div class="actions">
      {live ? (
        <SyncButton story={story} />
      ) : (
        <p class="quiet">
          Without a session nothing syncs: the user must{" "}
          {connector.loginPending
            ? "complete the login that is pending at the platform's page."
            : "connect again."}
        </p>
      )}
      {underWay !== undefined && (
        <Confirmed
          label="Cancel the run"
          question={`Cancel the run of ${name} that is under way?`}
          then="It writes nothing more; records that it has stored stay. The next run comes at its interval."
          yes="Cancel the run"
          what="the cancellation"
          act={() => story.cancel(underWay)}
        />
      )}
      {live && (
        <Confirmed
          label="Disconnect"
          question={`Disconnect ${name}?`}
          then="Its session ends and nothing syncs any more, until the user logs in again. History and records stay."
          yes="Disconnect"
          what="the disconnection"
          act={() => story.disconnect()}
        />
      )}
    </div>
  );
}

function SyncButton({ story }: { story: ConnectorStory }) {
  const [asked, setAsked] = useState(false);
  const [message, setMessage] = useState("");
  const [refused, setRefused] = useState<ApiError | null>(null);
  async function sync() {
    if (asked) return;
    setAsked(true);
    setRefused(null);
    setMessage("");
    try {
      const { status, reason } = await story.sync();
      setMessage(
        status === "skipped"
          ? `The sync was skipped: ${reason ?? "no reason given"}.`
          : "A sync was requested.",
      );
    } catch (error) {
      if (error instanceof ApiError) setRefused(error);
    } finally {
      setAsked(false);
    }
  }
  const wait = refused?.retryAfterSeconds;
  return (
    <div class="sync">
      <button type="button" class="main" onClick={() => void sync()} aria-disabled={asked}>
        Sync now
      </button>
      <p role="status">{message}</p>
      {refused && <Problem error={refused} what={wait ? `a sync now, but in ${duration(wait)}` : "a sync"} />}
    </div>
  );
}

function Errors({ connector }: { connector: Connector }) {
  const [newest, ...older] = connector.errors;
  if (newest === undefined) return null;
  const cause = causeOf(newest.errorCode);
  return (
    <Section title="Errors" id="errors">
      <div class="newest">
        <p>
          <code>{newest.errorCode}</code> <strong>{newest.errorMessage}</strong>,{" "}
          <Time at={newest.occurredAt} />
        </p>
        <p>
          {cause.means} <span class="todo">{cause.todo}</span>
        </p>
      </div>
      {older.length > 0 && (
        <details>
          <summary>{older.length} earlier</summary>
          <Table label="Earlier errors" head={["When", "Cause"]}>
            {older.map((each) => (
              <tr key={each.occurredAt}>
                <td>
                  <Time at={each.occurredAt} />
                </td>
                <td class="cause">
                  <code>{each.errorCode}</code> {each.errorMessage}
                </td>
              </tr>
            ))}
          </Table>
        </details>
      )}
    </Section>
  );
}

function History({ connector, run }: { connector: Connector; run: SyncRun | undefined }) {
  if (run === undefined && connector.syncHistory.length === 0)
    return <p>No run has ended yet. The first one begins as soon as a worker is free.</p>;
  return (
    <Section title="Runs" id="runs">
      <Table label="Runs" head={["Ended", "How", "Took", "Items", "New", "Why"]}>
        {run && <UnderWay run={run} />}
        {connector.syncHistory.map((each) => (
          <tr key={each.syncId ?? each.syncedAt}>
            <td>
              <Time at={each.syncedAt} />
            </td>
            <td>
              <RunMark state={wordOf(each)} />{" "}
              <Missing dataTypes={each.missing.map((missing) => missing.dataType)} />
            </td>
            <td data-label="Took">
              {each.startedAt
                ? duration((Date.parse(each.syncedAt) - Date.parse(each.startedAt)) / 1000)
                : ""}
            </td>
            <td data-label="Items">{each.recordsCount?.toLocaleString("en")}</td>
            <td data-label="New">{each.addedCount?.toLocaleString("en")}</td>
            <td class="cause">
              {each.errorCode && <code>{each.errorCode}</code>} {each.errorMessage}
            </td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

/** A run that was cancelled or abandoned stands as failed in the history. */
function wordOf(entry: Connector["syncHistory"][number]): RunState {
  if (entry.errorCode === "RUN_CANCELLED") return "cancelled";
  return entry.errorCode === "RUN_ABANDONED" ? "abandoned" : entry.status;
}

function UnderWay({ run }: { run: SyncRun }) {
  const { recordsCount, addedCount } = totals(run);
  const since = run.startedAt;
  return (
    <tr class="under-way">
      <td class="quiet">{since ? "under way" : "waits for a worker"}</td>
      <td>
        <RunMark state={run.state} />
      </td>
      <td>
        {since &&
          `${duration(Math.max(0, Math.round((now.value.getTime() - Date.parse(since)) / 1000)))} so far`}
      </td>
      <td data-label="Items">{recordsCount.toLocaleString("en")}</td>
      <td data-label="New">{addedCount.toLocaleString("en")}</td>
      <td class="cause">
        {run.error && <code>{run.error.code}</code>} {run.error?.message}
      </td>
    </tr>
  );
}
