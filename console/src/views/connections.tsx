import { PLATFORMS, type Platform, type PlatformCounts, type Status } from "../api/types";
import { Spark } from "../charts/spark";
import { hrefOf } from "../model/route";
import { stepsOf } from "../model/trends";
import { STATUS_WORDS, STATUSES } from "../model/words";
import { summary, trends } from "../state/overview";
import { platformName, Section, Shown, StatusMark } from "./parts";

const NOW: Record<Status, keyof PlatformCounts> = {
  connected: "active",
  expired: "expired",
  error: "error",
  disconnected: "disconnected",
};

const OTHERS = STATUSES.filter((status) => status !== "connected");

/** Connections by platform and status: how many now, and over time. */
export function Connections() {
  return (
    <Section title="Connections" id="connections">
      <Shown
        of={summary.state.value}
        what="the counts of connections"
        retry={() => void summary.refresh()}
        brief
      >
        {(counts) => (
          <table class="connections">
            <thead>
              <tr>
                <th scope="col">Platform</th>
                <th scope="col">
                  <StatusMark status="connected" />
                </th>
                <th scope="col">
                  <span class="mark failing" title="With a session, but the last run did not bring all">
                    <span aria-hidden="true">✗</span> Failing
                  </span>
                </th>
                {OTHERS.map((status) => (
                  <th key={status} scope="col">
                    <StatusMark status={status} />
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {PLATFORMS.map((platform) => (
                <tr key={platform}>
                  <th scope="row">
                    <a href={hrefOf({ view: "connectors", platform })}>{platformName(platform)}</a>{" "}
                    <span class="quiet">{counts.byPlatform[platform].total.toLocaleString("en")}</span>
                  </th>
                  <Cell platform={platform} status="connected" now={counts.byPlatform[platform].active} />
                  <td data-label="Failing">
                    <a
                      class={counts.byPlatform[platform].failing > 0 ? "number failing" : "number"}
                      href={hrefOf({ view: "connectors", platform, failing: true })}
                      aria-label={`${counts.byPlatform[platform].failing} failing, ${platformName(platform)}`}
                    >
                      {counts.byPlatform[platform].failing.toLocaleString("en")}
                    </a>
                    <span class="quiet between">of those with a session</span>
                  </td>
                  {OTHERS.map((status) => (
                    <Cell
                      key={status}
                      platform={platform}
                      status={status}
                      now={counts.byPlatform[platform][NOW[status]]}
                    />
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Shown>
    </Section>
  );
}

function Cell({ platform, status, now }: { platform: Platform; status: Status; now: number }) {
  const known = trends.value.data;
  const values = known === undefined ? [] : stepsOf(known, platform).map((step) => step[status]);
  const counted = values.filter((value) => value !== undefined);
  const least = Math.min(...counted, now);
  const most = Math.max(...counted, now);
  const word = STATUS_WORDS[status].name.toLowerCase();
  return (
    <td data-label={STATUS_WORDS[status].name}>
      <a
        class={now > 0 && (status === "error" || status === "expired") ? `number ${status}` : "number"}
        href={hrefOf({ view: "connectors", platform, status })}
        aria-label={`${now} ${word}, ${platformName(platform)}`}
      >
        {now.toLocaleString("en")}
      </a>
      {counted.length > 0 && (
        <>
          <Spark values={values} style={status} />
          <span class="quiet between">
            {least === most ? "steady" : `${least.toLocaleString("en")} to ${most.toLocaleString("en")}`}
          </span>
        </>
      )}
    </td>
  );
}
