import { expect, test } from "vitest";
import { errorOf } from "../src/api/errors";
import { roundedUp, unbroken } from "../src/charts/scale";
import { duration, relative, utc } from "../src/model/time";

const NOON = new Date("2026-01-15T12:00:00Z");

test.each([
  [2, "just now"],
  [40, "40 s ago"],
  [300, "5 min ago"],
  [-300, "in 5 min"],
  [7200, "2 h ago"],
  [172_800, "2 days ago"],
])("%d seconds before noon is %s", (seconds, words) => {
  expect(relative(new Date(NOON.getTime() - seconds * 1000), NOON)).toBe(words);
});

test("durations have a decimal only where it matters, and UTC is said to be UTC", () => {
  expect([1.44, 12.6, 120].map(duration)).toEqual(["1.4 s", "13 s", "2 min"]);
  expect(utc(NOON)).toBe("2026-01-15 12:00:00 UTC");
});

test("scales end at round numbers, and lines break where nothing is known", () => {
  expect([0, 1, 3, 7, 11, 100, 101].map(roundedUp)).toEqual([1, 1, 5, 10, 20, 100, 200]);
  expect(unbroken([1, 2, undefined, 3]).map((part) => part.map((each) => each.value))).toEqual([[1, 2], [3]]);
});

test("an error reports what Finlink said, its request id, and the fields to blame", () => {
  const headers = new Headers({ "x-request-id": "abc", "retry-after": "7" });
  const body = {
    error: {
      code: "RATE_LIMITED",
      message: "Too many",
      details: [{ field: "limit", message: "is 100 at most" }],
    },
  };
  expect(errorOf(429, headers, body)).toMatchObject({
    code: "RATE_LIMITED",
    message: "Too many: limit is 100 at most",
    requestId: "abc",
    retryAfterSeconds: 7,
  });
});

test("a reply that is not Finlink's is reported as it is", () => {
  expect(errorOf(502, new Headers(), null)).toMatchObject({ code: "HTTP_502", requestId: null });
});
