/** What all views are made of. */

import type { ComponentChildren } from "preact";
import { type ApiError, adviceOn } from "../api/errors";
import type { Platform, RunState, Status } from "../api/types";
import { hrefOf } from "../model/route";
import { local, relative, utc } from "../model/time";
import { PLATFORM_NAMES, RUN_WORDS, STATUS_WORDS } from "../model/words";
import { now } from "../state/live";
import type { Loaded } from "../state/resource";

/** A time; UTC is in its title. */
export function Time({ at, far = false }: { at: string | undefined; far?: boolean }) {
  if (at === undefined) return <span class="quiet">never</span>;
  const moment = new Date(at);
  return (
    <time dateTime={at} title={utc(moment)}>
      {local(moment, now.value)}
      {far ? null : <span class="quiet"> {relative(moment, now.value)}</span>}
    </time>
  );
}

/** A connection's status: a sign and a word, so that colour is never all there is. */
export function StatusMark({ status }: { status: Status }) {
  const { name, sign, means } = STATUS_WORDS[status];
  return (
    <span class={`mark ${status}`} title={means}>
      <span aria-hidden="true">{sign}</span> {name}
    </span>
  );
}

export function RunMark({ state }: { state: RunState }) {
  const { name, sign } = RUN_WORDS[state];
  return (
    <span class={`mark ${state}`}>
      <span aria-hidden="true">{sign}</span> {name}
    </span>
  );
}

/** What a partial run did not bring. */
export function Missing({ dataTypes }: { dataTypes: string[] }) {
  return dataTypes.length > 0 ? <>without {dataTypes.join(", ")}</> : null;
}

export function ConnectorLink({ id, children }: { id: string; children?: ComponentChildren }) {
  return (
    <a href={hrefOf({ view: "connector", id })} class={children === undefined ? "id" : undefined}>
      {children ?? id}
    </a>
  );
}

export const platformName = (platform: Platform) => PLATFORM_NAMES[platform];

/** What is shown of something that is read: itself, that it is being read, or why it cannot be. */
export function Shown<T>(props: {
  of: Loaded<T>;
  what: string;
  retry: () => void;
  children: (data: T) => ComponentChildren;
}) {
  const { data, at, error } = props.of;
  return (
    <>
      {error && (
        <Problem
          error={error}
          what={props.what}
          since={data === undefined ? undefined : at}
          retry={props.retry}
        />
      )}
      {data !== undefined ? props.children(data) : !error && <p class="loading">Reading {props.what} …</p>}
    </>
  );
}

/** What failed, how it can be found in the log, and what to do. */
export function Problem(props: {
  error: ApiError;
  what: string;
  since?: Date | undefined;
  retry?: () => void;
}) {
  const { error, since } = props;
  return (
    <div class="problem" role="alert">
      <p>
        <strong>
          Finlink does not give {props.what}: {error.message}
        </strong>{" "}
        <code>{error.code}</code>
      </p>
      <p>
        {adviceOn(error)}
        {error.requestId && (
          <>
            {" "}
            Request id: <code>{error.requestId}</code>
          </>
        )}
        {since && <> This page shows the state of {local(since)}.</>}
      </p>
      {props.retry && (
        <button type="button" onClick={props.retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Section({ title, id, children }: { title: string; id: string; children: ComponentChildren }) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

/**
 * A table that scrolls by itself where it is too wide, also by keyboard. On a narrow screen its cells stand one below the
 * other, and those that need it have a `data-label`.
 */
export function Table({
  label,
  head,
  children,
}: {
  label: string;
  head: string[];
  children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="scroll" aria-label={label} tabIndex={0}>
      <table class="stacks">
        <thead>
          <tr>
            {head.map((each) => (
              <th key={each} scope="col">
                {each}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
