/** Amounts as people read them: rounded to what their currency has, with its sign. */

export interface Money {
  value: string;
  /** Absent where the platform does not say. */
  currency?: string;
}

/** `₹1,23,456.78`. A decimal that no currency format takes stays as it is. */
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
