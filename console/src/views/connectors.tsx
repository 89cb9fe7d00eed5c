import { useEffect, useMemo, useState } from "preact/hooks";
import type { ApiError } from "../api/errors";
import { type ConnectorSummary, PLATFORMS } from "../api/types";
import { type Filter, type Order, sorted } from "../model/lists";
import { hrefOf, isUserId, type Route, routeOf } from "../model/route";
import { count, STATUS_WORDS, STATUSES } from "../model/words";
import { ConnectorList, type Page } from "../state/list";
import { runs } from "../state/live";
import {
  ConditionMark,
  ConnectorLink,
  LastRun,
  Problem,
  platformName,
  RunMark,
  Shown,
  Table,
  Time,
} from "./parts";

type Filters = Omit<Extract<Route, { view: "connectors" }>, "view">;

/** Connectors that pass a filter. */
export function ListView({ filter }: { filter: Filters }) {
  const { search } = filter;
  return (
    <>
      <h1 tabIndex={-1}>{search === undefined ? "Connectors" : `Connectors with “${search}”`}</h1>
      {search !== undefined && (
        <p>
          Searched is a part of user, platform or id.{" "}
          {isUserId(search) && (
            <>
              The user with just this id: <a href={hrefOf({ view: "user", id: search })}>{search}</a>.{" "}
            </>
          )}
          <a href={hrefOf({ view: "connectors" })}>Show all</a>
        </p>
      )}
      <FilterForm filter={filter} />
      <List key={JSON.stringify(filter)} filter={filter} none={<None filter={filter} />} />
    </>
  );
}

function None({ filter }: { filter: Filters }) {
  const { failing, search, status, platform } = filter;
  const filtered = status !== undefined || platform !== undefined;
  if (search !== undefined)
    return <p>No connector has “{search}” in its user, platform or id, as far as was searched.</p>;
  if (failing && !filtered) return <p>No connector fails: the last run of each brought all.</p>;
  if (!failing && !filtered)
    return (
      <p>
        Nobody has connected to a platform. <a href="#/">The overview</a> says how to make a connector.
      </p>
    );
  return (
    <p>
      No connector passes this filter. <a href={hrefOf({ view: "connectors" })}>Show all</a>
    </p>
  );
}

export function List({ filter, none }: { filter: Filter; none: preact.ComponentChildren }) {
  const list = useMemo(() => new ConnectorList(filter), []);
  useEffect(() => list.keep(), []);
  return (
    <Shown of={list.page.state.value} what="the connectors" retry={() => void list.refresh()}>
      {(page) => <Rows list={list} page={page} filter={filter} none={none} />}
    </Shown>
  );
}

function Rows(props: { list: ConnectorList; page: Page; filter: Filter; none: preact.ComponentChildren }) {
  const { list, page, filter, none } = props;
  const [refused, setRefused] = useState<ApiError | null>(null);
  const [order, setOrder] = useState<Order>("newest");
  const rows = sorted(list.found(page), order);
  const by = (each: Order) => ({
    now: order === each,
    by: () => setOrder(order === each ? "newest" : each),
  });
  const ofUser = filter.userId !== undefined;
  const read = page.connectors.length;
  const all = page.nextPageToken === undefined;
  return (
    <>
      {rows.length === 0 ? (
        !list.searching.value && none
      ) : (
        <Table
          label="Connectors"
          head={["Connector", "State", "Last run", "Last data", "Id"]}
          minor={["Last data", "Id"]}
          sort={{ Connector: by("name"), State: by("state"), "Last run": by("run") }}
        >
          {rows.map((each) => (
            <Row key={each.id} connector={each} />
          ))}
        </Table>
      )}
      {!ofUser && (
        <p class="quiet" role="status">
          {filter.search !== undefined
            ? `${count(rows.length, "connector")} found among ${all ? "all" : "the newest"} ${read.toLocaleString("en")}${list.searching.value ? "; searching on …" : "."}`
            : `${count(rows.length, "connector")} shown, ${all ? "all there are" : "the newest ones"}${order === "newest" ? "" : "; sorted is what is shown"}.`}
        </p>
      )}
      {refused && <Problem error={refused} what="more connectors" />}
      {!all && !list.searching.value && (
        <button
          type="button"
          onClick={() => void (filter.search === undefined ? list.more() : list.search()).then(setRefused)}
        >
          {filter.search === undefined ? "Show more" : "Search on"}
        </button>
      )}
    </>
  );
}

function Row({ connector }: { connector: ConnectorSummary }) {
  const run = runs.value.get(connector.id);
  return (
    <tr>
      <td class="first">
        <ConnectorLink id={connector.id} of={connector} />
      </td>
      <td class="state">
        <ConditionMark of={connector} />
      </td>
      <td>
        <LastRun of={connector.lastRun} />{" "}
        {run && (
          <span class="now">
            Now <RunMark state={run.state} />
          </span>
        )}
      </td>
      <td class="minor" data-label="Last data">
        <Time at={connector.lastSyncAt} />
      </td>
      <td class="minor id quiet">{connector.id}</td>
    </tr>
  );
}

function FilterForm({ filter }: { filter: Filters }) {
  const { platform, status, failing, search } = filter;
  const state = failing ? "failing" : (status ?? "all");
  /** `all` is a word that no filter knows, and so left out. */
  const go = (platform: string, state: string) => {
    const chosen = state === "failing" ? "failing=true" : `status=${state}`;
    const more = search === undefined ? "" : `&search=${encodeURIComponent(search)}`;
    location.hash = hrefOf(routeOf(`#/connectors?platform=${platform}&${chosen}${more}`));
  };
  return (
    <form class="filters">
      <label>
        Platform{" "}
        <select value={platform ?? "all"} onChange={(event) => go(event.currentTarget.value, state)}>
          <option value="all">all</option>
          {PLATFORMS.map((each) => (
            <option key={each} value={each}>
              {platformName(each)}
            </option>
          ))}
        </select>
      </label>
      <label>
        State{" "}
        <select value={state} onChange={(event) => go(platform ?? "all", event.currentTarget.value)}>
          <option value="all">all</option>
          <option value="failing">Failing, or a part only</option>
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
