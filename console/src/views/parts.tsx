/** What all views are made of. */

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { type ApiError, adviceOn, passes } from "../api/errors";
import type { ConnectorSummary, Platform, RunState, Status } from "../api/types";
import { hrefOf } from "../model/route";
import { local, relative, utc } from "../model/time";
import { conditionOf, nameOf, PLATFORM_NAMES, RUN_WORDS, STATUS_WORDS } from "../model/words";
import { now } from "../state/live";
import type { Loaded } from "../state/resource";

type Run = NonNullable<ConnectorSummary["lastRun"]>;

/** A time; UTC is in its title. */
export function Time({ at, far = false }: { at: string | undefined; far?: boolean }) {
  if (at === undefined) return <span class="quiet">never</span>;
  const moment = new Date(at);
  return (
    <time dateTime={at} title={utc(moment)}>
      {local(moment, now.value)}
      {far ? null : <span class="quiet ago"> {relative(moment, now.value)}</span>}
    </time>
  );
}

/** How a connector is: the worse of its connection and its last run. */
export function ConditionMark({ of }: { of: Parameters<typeof conditionOf>[0] }) {
  const { word, name, sign, means } = conditionOf(of);
  return (
    <span class={`mark ${word}`} title={means}>
      <span aria-hidden="true">{sign}</span> {name}
    </span>
  );
}

/** How its newest finished run ended, and when. */
export function LastRun({ of, far }: { of: Run | undefined; far?: boolean }) {
  if (of === undefined) return <span class="quiet">none has ended yet</span>;
  return (
    <>
      <RunMark state={of.state} /> <Missing dataTypes={of.missing} />{" "}
      {of.errorCode !== undefined && of.state !== "cancelled" && <code>{of.errorCode}</code>}{" "}
      <Time at={of.finishedAt} far={far ?? false} />
    </>
  );
}

/** Have the tab say what the page is about, once that is known. */
export function useTitle(text: string | undefined): void {
  useEffect(() => {
    if (text !== undefined) document.title = `${text} – Finlink console`;
  }, [text]);
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

/** A connector by its name; its id is in the title. */
export function ConnectorLink({ id, of }: { id: string; of: Parameters<typeof nameOf>[0] }) {
  return (
    <a href={hrefOf({ view: "connector", id })} title={id}>
      {nameOf(of)}
    </a>
  );
}

export const platformName = (platform: Platform) => PLATFORM_NAMES[platform];

/** What is shown of something that is read: itself, that it is being read, or why it cannot be. */
export function Shown<T>(props: {
  of: Loaded<T>;
  what: string;
  retry: () => void;
  /** What to do about Finlink as a whole stands elsewhere on the page. */
  brief?: boolean;
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
          brief={props.brief ?? false}
        />
      )}
      {data !== undefined ? props.children(data) : !error && <p class="loading">Reading {props.what} …</p>}
    </>
  );
}

/** A text in which backticks are around what is typed. */
export function Prose({ text }: { text: string }) {
  return (
    <>{text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>
  );
}

/** What failed, how it can be found in the log, and what to do. */
export function Problem(props: {
  error: ApiError;
  what: string;
  since?: Date | undefined;
  retry?: () => void;
  brief?: boolean;
}) {
  const { error, since } = props;
  if (props.brief && passes(error))
    return (
      <p class="notice">
        {since ? `This is the state of ${local(since)}` : `Waiting for ${props.what}`}: {error.message}.
      </p>
    );
  return (
    <div class="problem" role="alert">
      <p>
        <strong>
          Finlink does not give {props.what}: {error.message}
        </strong>{" "}
        <code>{error.code}</code>
      </p>
      <p>
        <Prose text={adviceOn(error)} />
        {passes(error) && " This page tries again by itself."}
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

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
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
  sort,
  minor = [],
  children,
}: {
  label: string;
  head: string[];
  /** Of columns that can be sorted by: how they are now, and what sorts by them. */
  sort?: Record<string, { now: boolean; by: () => void }>;
  /** Columns for which narrow screens have no room; their cells have the same class. */
  minor?: string[];
  children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="scroll" aria-label={label} tabIndex={0}>
      <table class="stacks">
        <thead>
          <tr>
            {head.map((each) => (
              <th
                key={each}
                scope="col"
                class={minor.includes(each) ? "minor" : undefined}
                aria-sort={sort?.[each]?.now ? "other" : undefined}
              >
                {sort?.[each] ? (
                  <button type="button" class="sort" onClick={sort[each].by}>
                    {each}
                    <span aria-hidden="true">{sort[each].now ? " ▾" : " ↕"}</span>
                  </button>
                ) : (
                  each
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
