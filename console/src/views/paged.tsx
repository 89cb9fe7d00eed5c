import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../api/errors";
import type { Pages } from "../state/pages";
import { Problem, Shown } from "./parts";

/** A list that is read a page at a time. */
export function Paged<T>(props: {
  of: Pages<T>;
  what: string;
  none: ComponentChildren;
  children: (items: T[]) => ComponentChildren;
}) {
  const { of, what } = props;
  const [refused, setRefused] = useState<ApiError | null>(null);
  useEffect(() => {
    void of.page.refresh();
    return () => of.page.stop();
  }, [of]);
  return (
    <Shown of={of.page.state.value} what={what} retry={() => void of.page.refresh()}>
      {({ items, nextPageToken }) => (
        <>
          {items.length === 0 ? <p>{props.none}</p> : props.children(items)}
          {refused && <Problem error={refused} what={`more of ${what}`} />}
          {nextPageToken !== undefined && (
            <button type="button" onClick={() => void of.more().then(setRefused)}>
              Show more
            </button>
          )}
        </>
      )}
    </Shown>
  );
}
