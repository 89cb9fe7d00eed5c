/** Scales of charts. */

/** The least of 1, 2, 5, 10, 20, 50, … that is not below `value`. */
export function roundedUp(value: number): number {
  if (value <= 1) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((each) => each * magnitude).find((each) => each >= value) ?? 10 * magnitude;
}

/** Up to `most` of `items`, evenly apart, the first among them. */
export function everyNth<T>(items: T[], most: number): { item: T; index: number }[] {
  const step = Math.max(1, Math.ceil(items.length / most));
  return items.map((item, index) => ({ item, index })).filter(({ index }) => index % step === 0);
}

/** Runs of points that follow each other without one that is absent: a line breaks where nothing is known. */
export function unbroken(values: (number | undefined)[]): { index: number; value: number }[][] {
  const parts: { index: number; value: number }[][] = [];
  values.forEach((value, index) => {
    if (value === undefined) return;
    const last = parts.at(-1);
    if (last?.at(-1)?.index === index - 1) last.push({ index, value });
    else parts.push([{ index, value }]);
  });
  return parts;
}
