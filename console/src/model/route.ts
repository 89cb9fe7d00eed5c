/** Addresses within the console, behind `#`: each view can be sent to a colleague. */

import type { Platform, Status } from "../api/types";
import { isPlatform, isStatus } from "./words";

export type Route =
  | { view: "overview" }
  | { view: "connectors"; platform?: Platform; status?: Status; failing?: true; search?: string }
  | { view: "connector"; id: string }
  | { view: "user"; id: string }
  | { view: "unknown"; path: string };

const CONNECTOR = /^[0-9a-f]{24}$/i;
const USER = /^[A-Za-z0-9_]{1,64}$/;

export function routeOf(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [first = "", second, ...more] = path.split("/");
  if (first === "") return { view: "overview" };
  if (more.length === 0) {
    if (first === "connectors" && second === undefined) return { view: "connectors", ...filters(query) };
    if (first === "connectors" && second !== undefined && CONNECTOR.test(second)) {
      return { view: "connector", id: second.toLowerCase() };
    }
    if (first === "users" && second !== undefined && USER.test(second)) return { view: "user", id: second };
  }
  return { view: "unknown", path };
}

export function hrefOf(route: Route): string {
  switch (route.view) {
    case "overview":
      return "#/";
    case "connectors": {
      const query = new URLSearchParams();
      if (route.platform) query.set("platform", route.platform);
      if (route.status) query.set("status", route.status);
      if (route.failing) query.set("failing", "true");
      if (route.search) query.set("search", route.search);
      return query.size > 0 ? `#/connectors?${query}` : "#/connectors";
    }
    case "connector":
      return `#/connectors/${route.id}`;
    case "user":
      return `#/users/${route.id}`;
    case "unknown":
      return `#/${route.path}`;
  }
}

/** Where what was typed into the search field leads: a connector by its whole id, else a list by the part. */
export function routeTo(typed: string): Route {
  const word = typed.trim();
  if (CONNECTOR.test(word)) return { view: "connector", id: word.toLowerCase() };
  return word === "" ? { view: "connectors" } : { view: "connectors", search: word };
}

/** Whether it could be the whole id of a user. */
export const isUserId = (word: string): boolean => USER.test(word);

function filters(query: string): Omit<Extract<Route, { view: "connectors" }>, "view"> {
  const parameters = new URLSearchParams(query);
  const platform = parameters.get("platform");
  const status = parameters.get("status");
  const search = parameters.get("search")?.trim();
  return {
    ...(isPlatform(platform) ? { platform } : {}),
    ...(isStatus(status) ? { status } : {}),
    ...(parameters.get("failing") === "true" ? { failing: true as const } : {}),
    ...(search ? { search } : {}),
  };
}
