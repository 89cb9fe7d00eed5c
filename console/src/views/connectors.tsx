import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError } from "../api/errors";
import { type ConnectorSummary, PLATFORMS } from "../api/types";
import type { Filter } from "../model/lists";
import { hrefOf, routeOf } from "../model/route";
import { count, STATUS_WORDS, STATUSES } from "../model/words";
import { ConnectorList } from "../state/connectors";
import { runs } from "../state/live";
import { ConnectorLink, Problem, platformName, RunMark, Shown, StatusMark, Table, Time } from "./parts";

/** Connectors that pass a filter, or those of one user. */
export function ListView({ filter }: { filter: Filter }) {
  return (
    <>
      <h1 tabIndex={-1}>{filter.userId === undefined ? "Connectors" : `Connectors of ${filter.userId}`}</h1>
      {filter.userId === undefined && <Filters filter={filter} />}
      <List key={JSON.stringify(filter)} filter={filter} />
    </>
  );
}

function List({ filter }: { filter: Filter }) {
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
  /** `all` is a word that no filter knows, and so left out. */
  const go = (platform: string, status: string) => {
    location.hash = hrefOf(routeOf(`#/connectors?platform=${platform}&status=${status}`));
  };
  return (
    <form class="filters">
      <label>
        Platform{" "}
        <select
          value={platform ?? "all"}
          onChange={(event) => go(event.currentTarget.value, status ?? "all")}
        >
          <option value="all">all</option>
          {PLATFORMS.map((each) => (
            <option key={each} value={each}>
              {platformName(each)}
            </option>
          ))}
        </select>
      </label>
      <label>
        Status{" "}
        <select
          value={status ?? "all"}
          onChange={(event) => go(platform ?? "all", event.currentTarget.value)}
        >
          <option value="all">all</option>
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
