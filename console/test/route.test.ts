import { expect, test } from "vitest";
import { hrefOf, type Route, routeOf, routeTo } from "../src/model/route";

const ID = "0123456789abcdef01234567";

test.each<[string, Route]>([
  ["", { view: "overview" }],
  ["#/", { view: "overview" }],
  ["#/connectors", { view: "connectors" }],
  [
    "#/connectors?platform=zerodha&status=error",
    { view: "connectors", platform: "zerodha", status: "error" },
  ],
  ["#/connectors?failing=true&search=Fi+M", { view: "connectors", failing: true, search: "Fi M" }],
  [`#/connectors/${ID}`, { view: "connector", id: ID }],
  ["#/users/user_12345", { view: "user", id: "user_12345" }],
])("%s leads to a view, and the view back", (hash, route) => {
  expect(routeOf(hash)).toEqual(route);
  expect(routeOf(hrefOf(route))).toEqual(route);
});

test("words that no filter knows are left out", () => {
  expect(routeOf("#/connectors?platform=nobody&status=constructor&failing=yes&search=+")).toEqual({
    view: "connectors",
  });
});

test.each(["#/connectors/short", "#/users/no%20space", `#/connectors/${ID}/more`, "#/elsewhere"])(
  "%s is no page",
  (hash) => {
    expect(routeOf(hash).view).toBe("unknown");
  },
);

test("what is typed is a connector's whole id, else a part of a name or id", () => {
  expect(routeTo(` ${ID.toUpperCase()} `)).toEqual({ view: "connector", id: ID });
  expect(routeTo("user_1")).toEqual({ view: "connectors", search: "user_1" });
  expect(routeTo("")).toEqual({ view: "connectors" });
});
