import type { PlatformTrend } from "../api/types";
import { successRate } from "../model/trends";
import { count } from "../model/words";
import { ChartFrame, type Series } from "./frame";
import { roundedUp } from "./scale";

type Step = PlatformTrend & { at: Date };

/** Failed at the bottom, where heights can be compared; succeeded on top. */
const PARTS = [
  { name: "Failed", of: (step: Step) => step.failed, style: "failed" },
  { name: "Partial", of: (step: Step) => step.partial, style: "partial" },
  { name: "Succeeded", of: (step: Step) => step.succeeded, style: "success" },
] as const;

/** Runs that ended in each step, by how. */
export function RunsChart({ name, steps }: { name: string; steps: Step[] }) {
  const series: Series[] = PARTS.map((part) => ({
    name: part.name,
    values: steps.map(part.of),
    shown: (value) => value.toLocaleString("en"),
  }));
  // Of one word: a `url(#…)` with a space is none.
  const hatch = `hatch-${name.replaceAll(" ", "-")}`;
  const sums = PARTS.map((part) => steps.reduce((total, step) => total + part.of(step), 0));
  const [failed = 0, partial = 0, succeeded = 0] = sums;
  const rate = successRate({ failed, partial, succeeded, failures: [], lateSecondsMax: null });
  const most = roundedUp(Math.max(2, ...steps.map((step) => step.failed + step.partial + step.succeeded)));
  const label =
    `${name}, syncs that ended: ${succeeded} succeeded, ${partial} partial, ${failed} failed` +
    (rate === null ? "" : `; ${rate.toFixed(1)} % succeeded`);
  return (
    <ChartFrame
      label={label}
      times={steps.map((step) => step.at)}
      most={most}
      series={series}
      legend={
        <>
          <strong>{name}</strong>
          <span class="figure">{rate === null ? "no runs" : `${rate.toFixed(1)} % succeeded`}</span>
          <ul class="legend">
            {PARTS.map((part, index) => (
              <li key={part.name}>
                <span class={`swatch ${part.style}`} aria-hidden="true" />{" "}
                {count(sums[index] ?? 0, part.name.toLowerCase(), part.name.toLowerCase())}
              </li>
            ))}
          </ul>
        </>
      }
    >
      {(plot) => (
        <>
          <defs>
            <pattern
              id={hatch}
              width="4"
              height="4"
              patternUnits="userSpaceOnUse"
              patternTransform="rotate(45)"
            >
              <rect class="bar partial" width="2.5" height="4" />
            </pattern>
          </defs>
          {steps.map((step, index) => {
            let below = 0;
            return PARTS.map((part) => {
              const value = part.of(step);
              if (value === 0) return null;
              const foot = below;
              below += value;
              const fill =
                part.style === "partial" ? { fill: `url(#${hatch})` } : { class: `bar ${part.style}` };
              return (
                <rect
                  key={`${step.at.getTime()}${part.name}`}
                  {...fill}
                  x={plot.x(index) + plot.step * 0.1}
                  width={plot.step * 0.8}
                  y={plot.y(foot + value)}
                  height={plot.y(foot) - plot.y(foot + value)}
                />
              );
            });
          })}
        </>
      )}
    </ChartFrame>
  );
}
