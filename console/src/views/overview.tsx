/** The first view: what is wrong now, then how it came to be. */

import { useEffect } from "preact/hooks";
import { PLATFORMS } from "../api/types";
import { LatenessChart } from "../charts/lateness";
import { RunsChart } from "../charts/runs";
import { zone } from "../model/time";
import { stepsOf } from "../model/trends";
import { keepOverview, minutes, RANGES, refreshTrends, summary, trends } from "../state/overview";
import { Connections } from "./connections";
import { connectExample, Example, userExample } from "./examples";
import { Failures } from "./failures";
import { Findings } from "./findings";
import { platformName, Section, Shown } from "./parts";

export function Overview() {
  useEffect(keepOverview, []);
  const counted = summary.state.value;
  const nobody = counted.data?.summary.totalConnections === 0;
  return (
    <>
      <Findings />
      {nobody ? (
        <NobodyYet />
      ) : (
        <>
          <Failures />
          <Range />
          <Connections />
          <Section title="Syncs that ended" id="ended">
            <Shown of={trends.value} what="the trends" retry={refreshTrends} brief>
              {(known) => (
                <div class="charts">
                  {PLATFORMS.map((platform) => (
                    <RunsChart
                      key={platform}
                      name={platformName(platform)}
                      steps={stepsOf(known, platform)}
                    />
                  ))}
                </div>
              )}
            </Shown>
          </Section>
          {trends.value.data && (
            <Section title="How late syncs began" id="late">
              <div class="charts">
                {PLATFORMS.map((platform) => (
                  <LatenessChart
                    key={platform}
                    name={platformName(platform)}
                    steps={stepsOf(trends.value.data ?? { stepSeconds: 60, points: [] }, platform)}
                  />
                ))}
              </div>
            </Section>
          )}
        </>
      )}
    </>
  );
}

/** How far back all trends look. */
function Range() {
  return (
    <fieldset class="range">
      <legend>Trends over the last</legend>
      <span class="quiet zone">Times are in {zone()}.</span>
      {RANGES.map((range) => (
        <label key={range.minutes}>
          <input
            type="radio"
            name="range"
            checked={minutes.value === range.minutes}
            onChange={() => {
              minutes.value = range.minutes;
            }}
          />
          <span>{range.name}</span>
        </label>
      ))}
    </fieldset>
  );
}

function NobodyYet() {
  return (
    <Section title="No connectors yet" id="nobody">
      <p>
        Nobody has connected to a platform. Make a user, then connect it; it appears here by itself. Beside
        the sandbox, as in development, any username and password will do:
      </p>
      <Example>{`${userExample()}\n\n${connectExample("user_12345")}`}</Example>
    </Section>
  );
}
