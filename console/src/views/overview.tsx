/** The first view: what is wrong now, then how it came to be. */

import { useEffect, useState } from "preact/hooks";
import { PLATFORMS } from "../api/types";
import { LatenessChart } from "../charts/lateness";
import { RunsChart } from "../charts/runs";
import { stepsOf } from "../model/trends";
import { keepOverview, minutes, RANGES, summary, trends } from "../state/overview";
import { Connections } from "./connections";
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
            <Shown of={trends.state.value} what="the trends" retry={() => void trends.refresh()}>
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
          {trends.state.value.data && (
            <Section title="How late syncs began" id="late">
              <div class="charts">
                {PLATFORMS.map((platform) => (
                  <LatenessChart
                    key={platform}
                    name={platformName(platform)}
                    steps={stepsOf(trends.state.value.data ?? { stepSeconds: 60, points: [] }, platform)}
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
  const [example] =
    useState(`curl ${location.origin}/api/v1/connectors -H 'content-type: application/json' -d '{
  "userId": "user_12345", "platform": "zerodha", "permissions": ["portfolio", "profile", "trades"],
  "credentials": {"username": "user123", "password": "…"}}'`);
  return (
    <Section title="No connectors yet" id="nobody">
      <p>
        Nobody has connected to a platform. Once a user does, with <code>POST /api/v1/connectors</code>, it
        appears here by itself:
      </p>
      <pre>{example}</pre>
    </Section>
  );
}
