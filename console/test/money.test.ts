import { expect, test } from "vitest";
import { money, shareOf, signed, sums } from "../src/model/money";

const inr = (value: string) => ({ value, currency: "INR" });

test("sums are exact in each currency, whatever the digits", () => {
  const amounts = [inr("9007199254740993.01"), inr("-0.02"), { value: "1500", currency: "JPY" }, inr("3")];
  expect(sums(amounts)).toEqual([inr("9007199254740995.99"), { value: "1500", currency: "JPY" }]);
  expect(sums([inr("-0.05"), inr("0.02")])).toEqual([inr("-0.03")]);
  expect(sums([])).toEqual([]);
});

test("outflows are negative", () => {
  expect(money(signed(inr("1234.50"), "out"))).toBe("-₹1,234.50");
  expect(signed({ value: "5" }, "in")).toEqual({ value: "5" });
});

test.each([
  ["50", "200", 25],
  ["300", "200", 100],
  ["-5", "200", 0],
  ["0", "0", 0],
  ["1", "0", 100],
])("%s of %s is a bar of %d percent", (part, whole, percent) => {
  expect(shareOf(inr(part), inr(whole))).toBe(percent);
});
