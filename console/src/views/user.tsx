/** One user: who it is, the connectors, and what was done. */

import { useEffect, useMemo } from "preact/hooks";
import type { User } from "../api/types";
import { hrefOf } from "../model/route";
import { UserStory } from "../state/users";
import { Audit } from "./audit";
import { List } from "./connectors";
import { connectExample, Example } from "./examples";
import { Fact, Problem, Section, Time, useTitle } from "./parts";

export function UserView({ id }: { id: string }) {
  const story = useMemo(() => new UserStory(id), []);
  useEffect(() => story.keep(), []);
  const { data, error, at } = story.user.state.value;
  useTitle(data && (nameOf(data) ?? id));
  if (error?.code === "USER_NOT_FOUND")
    return (
      <>
        <h1 tabIndex={-1}>No user {id}</h1>
        <p>
          There is no user with just this id.{" "}
          <a href={hrefOf({ view: "connectors", search: id })}>Search connectors by this part</a>, or make the
          user with <code>POST /api/v1/users</code>.
        </p>
      </>
    );
  return (
    <>
      <h1 tabIndex={-1}>{(data && nameOf(data)) ?? id}</h1>
      {error && (
        <Problem
          error={error}
          what="the user"
          since={data === undefined ? undefined : at}
          retry={() => void story.user.refresh()}
        />
      )}
      {data ? <Facts user={data} /> : !error && <p class="loading">Reading the user …</p>}
      <Section title="Connectors" id="connectors">
        <List
          filter={{ userId: id }}
          none={
            <>
              <p>{id} has not connected to a platform yet. This connects to one:</p>
              <Example>{connectExample(id)}</Example>
            </>
          }
        />
      </Section>
      <Audit of={{ userId: id }} />
    </>
  );
}

const nameOf = ({ profile }: User): string | undefined =>
  [profile.firstName, profile.lastName].filter(Boolean).join(" ") || undefined;

function Facts({ user }: { user: User }) {
  const { profile } = user;
  return (
    <dl class="facts">
      <Fact name="User id">
        <span class="id">{user.userId}</span>
      </Fact>
      <Fact name="Email">
        {user.email ? (
          <>
            {user.email} <span class="quiet">{user.emailVerified ? "verified" : "not verified"}</span>
          </>
        ) : (
          <span class="quiet">none</span>
        )}
      </Fact>
      <Fact name="Status">
        {user.status}
        {user.status !== "active" && <span class="quiet">, so nothing syncs</span>}
      </Fact>
      <Fact name="Lives in">
        {[profile.city, profile.country].filter(Boolean).join(", ") || <span class="quiet">not known</span>}
      </Fact>
      <Fact name="Made">
        <Time at={user.createdAt} />
      </Fact>
      <Fact name="Changed">
        <Time at={user.updatedAt} />
      </Fact>
    </dl>
  );
}
