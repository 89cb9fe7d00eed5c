/** Amounts as people read them: rounded to the digits of their currency, with its symbol. */

export interface Money {
  value: string;
  /** Absent where the platform does not say. */
  currency?: string;
}

/** As `₹1,23,456.78`. An amount of an unknown currency stays as it is. */
export function money({ value, currency }: Money): string {
  if (currency === undefined) return value;
  try {
    const format = new Intl.NumberFormat(currency === "INR" ? "en-IN" : "en", {
      style: "currency",
      currency,
    });
    // A text is formatted exactly, whatever its length.
    return format.format(value as Intl.StringNumericLiteral);
  } catch {
    return `${value} ${currency}`;
  }
}

/** Outflows are negative. */
export function signed({ value, currency }: Money, direction: string | undefined): Money {
  const shown = direction === "out" ? `-${value}` : value;
  return currency === undefined ? { value: shown } : { value: shown, currency };
}

/** The sums by currency, in whole digits, so that nothing is rounded. */
export function sums(amounts: Money[]): Money[] {
  const found = new Map<string, { units: bigint; digits: number }>();
  for (const { value, currency = "" } of amounts) {
    const digits = value.split(".")[1]?.length ?? 0;
    const before = found.get(currency) ?? { units: 0n, digits };
    const most = Math.max(digits, before.digits);
    const scaled = (units: bigint, has: number) => units * 10n ** BigInt(most - has);
    const units = BigInt(value.replace(".", ""));
    found.set(currency, {
      units: scaled(before.units, before.digits) + scaled(units, digits),
      digits: most,
    });
  }
  return [...found].map(([currency, { units, digits }]) => {
    const text = `${units < 0n ? -units : units}`.padStart(digits + 1, "0");
    const whole = text.slice(0, text.length - digits);
    const part = digits > 0 ? `.${text.slice(text.length - digits)}` : "";
    return { value: `${units < 0n ? "-" : ""}${whole}${part}`, currency };
  });
}

/** How much of a whole is used, in percent from 0 to 100. Of a whole of zero, any use is all of it. */
export function shareOf(part: Money, whole: Money): number {
  const [used, available] = [Number(part.value), Number(whole.value)];
  if (used <= 0) return 0;
  return available <= 0 ? 100 : Math.min(100, (100 * used) / available);
}
