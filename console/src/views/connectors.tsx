import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError } from "../api/errors";
import { type ConnectorSummary, PLATFORMS, STATUSES } from "../api/types";
import type { Filter } from "../model/lists";
import { hrefOf } from "../model/route";
import { count, isPlatform, isStatus, STATUS_WORDS } from "../model/words";
import { ConnectorList } from "../state/connectors";
import { runs } from "../state/live";
import { ConnectorLink, Problem, platformName, RunMark, Shown, StatusMark, Table, Time } from "./parts";

/** Connectors that pass a filter, or those of one user. */
export function ListView({ filter }: { filter: Filter }) {
  const list = useMemo(() => new ConnectorList(filter), []);
  const [refused, setRefused] = useState<ApiError | null>(null);
  useEffect(() => list.keep(), []);
  async function more() {
    setRefused(null);
    try {
      await list.more();
    } catch (error) {
      if (error instanceof ApiError) setRefused(error);
    }
  }
  return (
    <>
      <h1 tabIndex={-1}>{filter.userId === undefined ? "Connectors" : `Connectors of ${filter.userId}`}</h1>
      {filter.userId === undefined && <Filters filter={filter} />}
      <Shown of={list.page.state.value} what="the connectors" retry={() => void list.page.refresh()}>
        {({ connectors, nextPageToken }) => (
          <>
            {connectors.length === 0 ? (
              <p>There is none. {filter.platform || filter.status ? "Another filter may have some." : ""}</p>
            ) : (
              <Table
                label="Connectors"
                head={["Connector", "User", "Platform", "Status", "Last sync", "Run under way"]}
              >
                {connectors.map((each) => (
                  <Row key={each.id} connector={each} />
                ))}
              </Table>
            )}
            <p class="quiet">
              {count(connectors.length, "connector")} shown,{" "}
              {nextPageToken === undefined ? "all there are" : "newest first"}.
            </p>
            {refused && <Problem error={refused} what="more connectors" />}
            {nextPageToken !== undefined && (
              <button type="button" onClick={() => void more()}>
                Show more
              </button>
            )}
          </>
        )}
      </Shown>
    </>
  );
}

function Row({ connector }: { connector: ConnectorSummary }) {
  const run = runs.value.get(connector.id);
  return (
    <tr>
      <td>
        <ConnectorLink id={connector.id} />
      </td>
      <td>
        <a class="id" href={hrefOf({ view: "user", id: connector.userId })}>
          {connector.userId}
        </a>
      </td>
      <td>{platformName(connector.platform)}</td>
      <td>
        <StatusMark status={connector.connectionStatus} />
      </td>
      <td data-label="Last sync">
        <Time at={connector.lastSyncAt} />
      </td>
      <td data-label="Run">
        {run === undefined ? <span class="quiet">none</span> : <RunMark state={run.state} />}
      </td>
    </tr>
  );
}

function Filters({ filter }: { filter: Filter }) {
  const { platform, status } = filter;
  const go = (next: { platform?: string | undefined; status?: string | undefined }) => {
    const wanted = { platform, status, ...next };
    location.hash = hrefOf({
      view: "connectors",
      ...(isPlatform(wanted.platform ?? null)
        ? { platform: wanted.platform as (typeof PLATFORMS)[number] }
        : {}),
      ...(isStatus(wanted.status ?? null) ? { status: wanted.status as (typeof STATUSES)[number] } : {}),
    });
  };
  return (
    <form class="filters">
      <label>
        Platform{" "}
        <select value={platform ?? ""} onChange={(event) => go({ platform: event.currentTarget.value })}>
          <option value="">all</option>
          {PLATFORMS.map((each) => (
            <option key={each} value={each}>
              {platformName(each)}
            </option>
          ))}
        </select>
      </label>
      <label>
        Status{" "}
        <select value={status ?? ""} onChange={(event) => go({ status: event.currentTarget.value })}>
          <option value="">all</option>
          {STATUSES.map((each) => (
            <option key={each} value={each}>
              {STATUS_WORDS[each].name}
            </option>
          ))}
        </select>
      </label>
    </form>
  );
}
