import type { PlatformTrend } from "../api/types";
import { duration } from "../model/time";
import { ChartFrame, type Series } from "./frame";
import { roundedUp, unbroken } from "./scale";

type Step = PlatformTrend & { at: Date };

/** How long after their time runs began: the latest of each step, and the average. */
export function LatenessChart({ name, steps }: { name: string; steps: Step[] }) {
  const series: Series[] = [
    { name: "Latest", values: steps.map((step) => step.lateSecondsMax), shown: duration },
    { name: "On average", values: steps.map((step) => step.lateSecondsMean), shown: duration },
  ];
  const known = series.flatMap(({ values }) => values.flatMap((value) => value ?? []));
  const worst = known.length === 0 ? null : Math.max(...known);
  const most = roundedUp(worst ?? 1);
  const worstOf = worst === null ? "nothing began" : `${duration(worst)} at most`;
  return (
    <ChartFrame
      label={`${name}, how long after their time syncs began: ${worstOf}`}
      times={steps.map((step) => step.at)}
      most={most}
      series={series}
      legend={
        <>
          <strong>{name}</strong>
          <span class="figure">{worstOf}</span>
          <ul class="legend">
            <li>
              <span class="swatch latest" aria-hidden="true" /> latest
            </li>
            <li>
              <span class="swatch average" aria-hidden="true" /> on average
            </li>
          </ul>
        </>
      }
    >
      {(plot) =>
        series.map(({ name, values }, place) =>
          unbroken(values).map((part) => {
            const style = place === 0 ? "latest" : "average";
            const points = part.map(
              ({ index, value }) => `${plot.x(index) + plot.step / 2},${plot.y(value)}`,
            );
            const [only] = part;
            return part.length === 1 && only !== undefined ? (
              <circle
                key={`${name}${only.index}`}
                class={`dot ${style}`}
                cx={plot.x(only.index) + plot.step / 2}
                cy={plot.y(only.value)}
                r="2"
              />
            ) : (
              <polyline key={`${name}${only?.index}`} class={`line ${style}`} points={points.join(" ")} />
            );
          }),
        )
      }
    </ChartFrame>
  );
}
