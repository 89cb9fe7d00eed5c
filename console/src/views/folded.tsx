import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

/** A section whose content is there, and read, once it is opened. */
export function Folded(props: { title: string; id: string; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  return (
    <section aria-labelledby={props.id}>
      <details class="folded" onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <h2 id={props.id}>{props.title}</h2>
        </summary>
        {open && props.children}
      </details>
    </section>
  );
}
