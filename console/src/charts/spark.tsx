import { unbroken } from "./scale";

const WIDTH = 120;
const HEIGHT = 26;

/** A line on a scale of its own beside a figure, which has the same in words: decoration for those who see. */
export function Spark({ values, style }: { values: (number | undefined)[]; style: string }) {
  const known = values.filter((value) => value !== undefined);
  const least = Math.min(...known);
  const span = Math.max(1, Math.max(...known) - least);
  const x = (index: number) => 1 + ((WIDTH - 2) * index) / Math.max(1, values.length - 1);
  const y = (value: number) => HEIGHT - 3 - ((HEIGHT - 6) * (value - least)) / span;
  return (
    <svg
      class={`spark ${style}`}
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      aria-hidden="true"
    >
      {unbroken(values).map((part) => {
        const [only] = part;
        return part.length === 1 && only !== undefined ? (
          <circle key={only.index} cx={x(only.index)} cy={y(only.value)} r="1.5" />
        ) : (
          <polyline
            key={only?.index}
            points={part.map(({ index, value }) => `${x(index)},${y(value)}`).join(" ")}
          />
        );
      })}
    </svg>
  );
}
