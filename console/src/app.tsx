/** The frame of every view: header, notices, and the view that the address names. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { signInAsked } from "./api/key";
import { type Route, routeOf } from "./model/route";
import { ConnectorView } from "./views/connector";
import { ListView } from "./views/connectors";
import { Header } from "./views/header";
import { Notices } from "./views/notices";
import { Overview } from "./views/overview";
import { SigningIn } from "./views/signing_in";
import { UserView } from "./views/user";

const route = signal<Route>(routeOf(location.hash));
addEventListener("hashchange", () => {
  route.value = routeOf(location.hash);
});

export function App() {
  return (
    <>
      <button type="button" class="skip" onClick={skip}>
        Skip to the content
      </button>
      <Header route={route.value} />
      <Notices />
      <main id="main" tabIndex={-1}>
        {signInAsked.value === null ? <View route={route.value} /> : <SigningIn why={signInAsked.value} />}
      </main>
    </>
  );
}

function View({ route }: { route: Route }) {
  const first = useRef(true);
  // A filter leaves the focus where it was changed.
  const place = "id" in route ? route.id : route.view;
  useEffect(() => {
    const heading = document.querySelector<HTMLElement>("main h1");
    document.title = `${heading?.textContent ?? "Finlink"} – Finlink console`;
    if (!first.current) {
      heading?.focus();
      scrollTo(0, 0);
    }
    first.current = false;
  }, [place]);
  switch (route.view) {
    case "overview":
      return <Overview />;
    case "connectors":
      return <ListView filter={filterOf(route)} />;
    case "user":
      return <UserView key={route.id} id={route.id} />;
    case "connector":
      return <ConnectorView key={route.id} id={route.id} />;
    case "unknown":
      return (
        <>
          <h1 tabIndex={-1}>No such page</h1>
          <p>
            There is nothing at <code>{route.path}</code>. <a href="#/">To the overview</a>
          </p>
        </>
      );
  }
}

function filterOf({ view: _, ...filter }: Extract<Route, { view: "connectors" }>) {
  return filter;
}

/** A button, because a link to `#main` would be read as an address of the console. */
function skip() {
  document.getElementById("main")?.focus();
}
