/** What charts over time have in common: a picture as wide as there is room, axes, and a table of the same. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { hourAndMinute, utc } from "../model/time";
import { everyNth } from "./scale";

export interface Plot {
  left: number;
  top: number;
  width: number;
  height: number;
  /** The left edge of a step. */
  x(index: number): number;
  y(value: number): number;
  step: number;
}

export interface Series {
  name: string;
  values: (number | undefined)[];
  shown(value: number): string;
}

const HEIGHT = 150;
const MARGIN = { left: 44, right: 8, top: 8, bottom: 22 };
const LABEL_WIDTH = 64;

export function ChartFrame(props: {
  /** What it shows, in a sentence. */
  label: string;
  times: Date[];
  most: number;
  series: Series[];
  legend: ComponentChildren;
  children: (plot: Plot) => ComponentChildren;
}) {
  const { times, most, series } = props;
  const [holder, width] = useWidth();
  const plot = plotOf(width, times.length, most);
  const shown = series[0]?.shown ?? String;
  return (
    <figure class="chart">
      <figcaption>{props.legend}</figcaption>
      <div ref={holder} class="holder">
        <svg role="img" aria-label={props.label} width={width} height={HEIGHT}>
          {[0, most / 2, most].map((value) => (
            <g key={value}>
              <line
                class="grid"
                x1={plot.left}
                x2={plot.left + plot.width}
                y1={plot.y(value)}
                y2={plot.y(value)}
              />
              <text class="axis" x={plot.left - 6} y={plot.y(value) + 4} text-anchor="end">
                {shown(value)}
              </text>
            </g>
          ))}
          {everyNth(times, Math.max(2, Math.floor(plot.width / LABEL_WIDTH))).map(({ item, index }) => (
            <text key={index} class="axis" x={plot.x(index)} y={HEIGHT - 6}>
              {hourAndMinute(item)}
            </text>
          ))}
          {props.children(plot)}
          {times.map((at, index) => (
            <rect
              key={at.getTime()}
              class="hit"
              x={plot.x(index)}
              y={plot.top}
              width={plot.step}
              height={plot.height}
            >
              <title>{`${hourAndMinute(at)}\n${describe(series, index)}`}</title>
            </rect>
          ))}
        </svg>
      </div>
      <AsTable times={times} series={series} />
    </figure>
  );
}

/** The same figures, newest first; made only once it is asked for. */
function AsTable({ times, series }: { times: Date[]; series: Series[] }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {open && (
        <section class="scroll low" aria-label="The chart's figures">
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                {series.map((each) => (
                  <th key={each.name} scope="col">
                    {each.name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times
                .map((at, index) => (
                  <tr key={at.getTime()}>
                    <th scope="row" title={utc(at)}>
                      {hourAndMinute(at)}
                    </th>
                    {series.map(({ name, values, shown }) => {
                      const value = values[index];
                      return <td key={name}>{value === undefined ? "–" : shown(value)}</td>;
                    })}
                  </tr>
                ))
                .reverse()}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}

function describe(series: Series[], index: number): string {
  return series
    .map(({ name, values, shown }) => {
      const value = values[index];
      return `${name}: ${value === undefined ? "none" : shown(value)}`;
    })
    .join("\n");
}

function plotOf(width: number, steps: number, most: number): Plot {
  const inner = {
    width: Math.max(1, width - MARGIN.left - MARGIN.right),
    height: HEIGHT - MARGIN.top - MARGIN.bottom,
  };
  const step = inner.width / Math.max(1, steps);
  return {
    ...inner,
    left: MARGIN.left,
    top: MARGIN.top,
    step,
    x: (index) => MARGIN.left + index * step,
    y: (value) => MARGIN.top + inner.height * (1 - value / most),
  };
}

function useWidth() {
  const holder = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (holder.current === null) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(holder.current);
    return () => observer.disconnect();
  }, []);
  return [holder, width] as const;
}
